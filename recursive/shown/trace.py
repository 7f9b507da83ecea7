"""The values of every node and state at every step, as arrays by name."""

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
from recursive.spec.plan import declared
from recursive.training import feed
from recursive.utils import extras


class Series(Mapping):
    """Arrays over time by name, batch first.

    An unknown name raises an UnknownNameError that offers the nearest one.
    """

    def __init__(self, values: Mapping[str, np.ndarray]):
        self._values = dict(values)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._values:
            raise UnknownNameError.about(
                "trace",
                str(name),
                takes="the name of a node or state",
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
        shapes = [f"{name} {value.shape}" for name, value in self.items()]
        return f"{type(self).__name__}({', '.join(shapes)})"


class Trace(Series):
    """Every node and state by name, each ``(batch, time, dim)``.

    A node has its value at each step, a state its value after it. Steps are in the
    order of the loop.

    Attributes:
        nodes: the names of the nodes' values.
        states: the names of the states.
    """

    def __init__(
        self, nodes: Mapping[str, np.ndarray], states: Mapping[str, np.ndarray]
    ):
        super().__init__({**nodes, **states})
        self.nodes = tuple(nodes)
        self.states = tuple(states)

    def to_xarray(self) -> Any:
        """An ``xarray.Dataset`` with the axes ``batch``, ``time`` and ``<name>_dim``.

        Raises:
            MissingPackageError: if xarray is not installed.
        """
        xarray = extras.load("xarray", "examples", "a Dataset is its")
        variables = {}
        for name, value in self.items():
            axes = ("batch", "time", f"{name}_dim")
            variables[name] = (axes[: value.ndim], value)
        return xarray.Dataset(variables)

    def plot(self, path: str | Path | None = None, row: int = 0) -> Any:
        """Heat maps of one row of the batch, one for each name, time to the right.

        Args:
            path: the file to save the figure in, if any.
            row: the row of the batch.

        Returns:
            The ``matplotlib`` figure.

        Raises:
            MissingPackageError: if matplotlib is not installed.
            ShapeError: for a row that the batch does not have.
        """
        return heat_maps(self, row, path)


@locked
def trace(rnn: Graph, x: object) -> Trace:
    """Every node and state of ``rnn`` at every step, for data as ``predict`` takes it.

    Kept states are read and not changed.

    Raises:
        RecursiveError: a subclass of it, for a container that is not complete or data
            that does not match it.
    """
    arrays, inputs = as_tensors(rnn, x)
    names = []
    for node in rnn.spec.nodes:
        names += node.values
    run = rnn.loop_run(
        given=inputs,
        outputs=tuple(OutputSpec(name, (Ref(name),)) for name in names),
        return_sequences=True,
        return_final_states=False,
    )
    values = rnn.as_inputs(inputs)
    outputs = run.execute(values, Call()).outputs
    wanted = [value.tensor for value in outputs.values()]

    recurrences = declared(run.spec, {}).recurrences
    before = run.start_values(values, Call())
    batch = len(next(iter(arrays.values()))) if arrays else 1
    for item in recurrences:
        rows = run.start(item, before, batch, Call())  # (lag, batch, dim)
        wanted.append(rows[-1])
    given = {inputs[name]: array for name, array in arrays.items()}
    values = backend.evaluate(wanted, given)

    nodes = dict(zip(names, values, strict=False))
    starts = values[len(names) :]
    mask = arrays.get(rnn.spec.mask)
    states = {}
    for item, start in zip(recurrences, starts, strict=True):
        states[item.name] = _after_each_step(rnn, nodes[item.node], start, mask)
    return Trace(nodes, states)


def as_tensors(
    rnn: Graph, x: object
) -> tuple[dict[str, np.ndarray], dict[str, TensorVariable]]:
    """The data by input, and a tensor of the same shape for each."""
    arrays = feed.inputs(rnn, x)
    tensors = {}
    for name, value in arrays.items():
        tensors[name] = backend.tensor(name, str(value.dtype), value.shape)
    return arrays, tensors


def _after_each_step(
    rnn: Graph, values: np.ndarray, start: np.ndarray, mask: np.ndarray | None
) -> np.ndarray:
    """A state after each step: the value that feeds it, or its start before any.

    Args:
        rnn: the container.
        values: the node that feeds the state, ``(batch, time, dim)``.
        start: ``(batch, dim)``.
        mask: ``(batch, time)``, if there is one.
    """
    if mask is None:
        return values
    # At masked steps a node repeats its last value, and is zeros before the first
    # valid step. A state is its start there.
    in_order = mask[:, ::-1] if rnn.spec.go_backwards else mask
    has_begun = np.cumsum(in_order, axis=1) > 0
    if values.ndim > has_begun.ndim:  # not a state of integers
        has_begun = has_begun[..., np.newaxis]
    return np.where(has_begun, values, start[:, np.newaxis])
