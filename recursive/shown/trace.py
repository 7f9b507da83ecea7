"""What a container computed: every node and every state at every step, as arrays by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.errors import UnknownNameError, suggest
from recursive.layers.graph import Graph
from recursive.locked import locked
from recursive.loop.call import Call
from recursive.shown.heat import heat_maps
from recursive.spec.graph import OutputSpec
from recursive.spec.names import Ref
from recursive.training import feed
from recursive.utils import extras


class Series(Mapping):
    """Arrays over time by name, batch first; a name that is not there raises, and the nearest one is offered."""

    def __init__(self, values: Mapping[str, np.ndarray]):
        self._values = dict(values)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._values:
            raise UnknownNameError.about(
                "trace",
                str(name),
                takes="the name of a node or state",
                because="these were recorded",
                got="an unknown name",
                do=suggest(str(name), self._values),
            )
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name} {value.shape}' for name, value in self.items())})"


class Trace(Series):
    """Every node and state by name, ``(batch, time, dim)``: a node's value at a step, a state's after it.

    Steps are in the order in which the loop ran. ``nodes`` and ``states`` are the names of each.
    """

    def __init__(
        self, nodes: Mapping[str, np.ndarray], states: Mapping[str, np.ndarray]
    ):
        super().__init__({**nodes, **states})
        self.nodes, self.states = tuple(nodes), tuple(states)

    def to_xarray(self) -> Any:
        """An ``xarray.Dataset`` of axes ``batch``, ``time`` and ``<name>_dim``.

        Raises:
            MissingPackageError: where xarray is not installed.
        """
        xarray = extras.load("xarray", "examples", "a Dataset is its")
        axes = {
            name: ("batch", "time", f"{name}_dim")[: value.ndim]
            for name, value in self.items()
        }
        return xarray.Dataset(
            {name: (axes[name], value) for name, value in self.items()}
        )

    def plot(self, path: str | Path | None = None, row: int = 0) -> Any:
        """Heat maps of one ``row`` of the batch, time to the right, one for each name; written to ``path`` if given.

        Returns:
            The ``matplotlib`` figure.

        Raises:
            MissingPackageError: where matplotlib is not installed.
            ShapeError: for a row that the batch does not have.
        """
        return heat_maps(self, row, path)


@locked
def trace(rnn: Graph, x: object) -> Trace:
    """Every node and state of ``rnn`` at every step, for data as ``predict`` takes it; nothing is carried over.

    Raises:
        RecursiveError: a child of it, for a container that is not complete or data that does not match it.
    """
    arrays, inputs = as_tensors(rnn, x)
    names = [name for node in rnn.spec.nodes for name in node.values]
    recurrences = rnn.declared_plan.recurrences
    run = rnn.loop_run(
        outputs=tuple(OutputSpec(name, (Ref(name),)) for name in names),
        return_sequences=True,
        return_final_states=False,
    )
    found = run.execute(rnn.as_inputs(inputs), Call()).outputs
    batch = len(next(iter(arrays.values()))) if arrays else 1
    starts = [run.start(item, inputs, batch, Call())[-1] for item in recurrences]
    values = backend.evaluate(
        [*(value.tensor for value in found.values()), *starts],
        {inputs[name]: array for name, array in arrays.items()},
    )
    nodes, began = dict(zip(names, values, strict=False)), values[len(names) :]
    mask = arrays.get(rnn.spec.mask)
    return Trace(
        nodes,
        {
            item.name: _after_each_step(rnn, nodes[item.node], start, mask)
            for item, start in zip(recurrences, began, strict=True)
        },
    )


def as_tensors(
    rnn: Graph, x: object
) -> tuple[dict[str, np.ndarray], dict[str, TensorVariable]]:
    """The data by input, and a tensor of its shape for each."""
    arrays = feed.inputs(rnn, x)
    return arrays, {
        name: backend.tensor(name, str(value.dtype), value.shape)
        for name, value in arrays.items()
    }


def _after_each_step(
    rnn: Graph, values: np.ndarray, start: np.ndarray, mask: np.ndarray | None
) -> np.ndarray:
    """A state after each step: what feeds it, and in rows without data yet, its start."""
    if mask is None:
        return values
    began = np.cumsum(mask[:, ::-1] if rnn.spec.go_backwards else mask, axis=1) > 0
    return np.where(began[..., np.newaxis], values, start[:, np.newaxis])
