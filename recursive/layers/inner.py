"""A stateful container as a node of a loop: its states are states of that loop, read and returned at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive.errors import NodeError
from recursive.layers.layer import Layer
from recursive.spec.graph import MAIN
from recursive.spec.shapes import Shape


class StatesOfTheLoop(Layer):
    """``inner``, whose states enter by ports of their own, left open, and leave as outputs ``<state>_final``.

    Each is ``(batch, dim)``, or ``(batch, lag * dim)`` where it is looked back to; all start from zeros.
    """

    def __init__(self, name: str, inner: Layer):
        super().__init__()
        self._inner = inner
        self.states = inner.carried_states()
        for state in self.states:
            if np.any(np.asarray(state.initial, dtype=float) != 0):
                raise NodeError.about(
                    "node",
                    str(name),
                    takes="a stateful container whose states start from zeros",
                    because="they are states of the loop here",
                    got=f"initial={state.initial!r} of {state.name!r}",
                    do="Leave initial out.",
                )
        for final in {*self.own_past.values()} & {*inner.output_names}:
            raise NodeError.about(
                "node",
                str(name),
                takes="a stateful container without return_final_states",
                because="in a loop its states are read as outputs already",
                got=f"return_final_states=True, which gives {final!r} too",
                do=f"Leave it out, and read {name}.{final}.",
            )

    @property
    def ports(self) -> tuple[str, ...]:
        """The inputs, then the states."""
        return (*self._inner.ports, *(state.name for state in self.states))

    @property
    def own_past(self) -> Mapping[str, str]:
        """Each state is what it was after the step before."""
        return {state.name: f"{state.name}_final" for state in self.states}

    @property
    def output_names(self) -> tuple[str, ...]:
        """The outputs, one alone under the node's own name, then the states."""
        names = self._inner.output_names
        return (*((MAIN,) if len(names) == 1 else names), *self.own_past.values())

    def call(
        self,
        x: Mapping[str, TensorVariable],
        train: bool = False,
        **draws: TensorVariable,
    ) -> dict[str, TensorVariable]:
        """The outputs and the states after the inner loop."""
        starts = {state.name: x[state.name] for state in self.states}
        found, lasts = self._inner.from_states(
            {port: x[port] for port in self._inner.ports}, starts, train, draws
        )
        return dict(
            zip(self.output_names, [*found.values(), *lasts.values()], strict=True)
        )

    def get_output_shape_for(
        self, input_shape: Mapping[str, Shape]
    ) -> dict[str, Shape]:
        found = self._inner.get_output_shape_for(
            {port: input_shape[port] for port in self._inner.ports}
        )
        shapes = [*(found.values() if isinstance(found, dict) else [found])]
        sizes = self._inner.sizes_of_states(
            {port: input_shape[port] for port in self._inner.ports}
        )
        states = ((None, sizes[state.name]) for state in self.states)
        return dict(zip(self.output_names, [*shapes, *states], strict=True))

    # What it holds is the container's

    built = property(lambda self: self._inner.built, doc="Whether the container is.")
    draws = property(lambda self: self._inner.draws, doc="The draws of the container.")
    steady_draws = property(
        lambda self: self._inner.steady_draws,
        doc="Those that are the same at every step.",
    )
    revision = property(
        lambda self: self._inner.revision, doc="The revision of the container."
    )
    named_params = property(
        lambda self: self._inner.named_params, doc="The parameters of the container."
    )
    named_weights = property(
        lambda self: self._inner.named_weights, doc="The weights of the container."
    )

    @property
    def params(self) -> list[SharedVariable]:
        """The parameters of the container."""
        return self._inner.params

    @params.setter
    def params(self, value: list[SharedVariable]) -> None:
        """Let pass the empty list that every layer starts with."""

    def build(self, input_shape: Mapping[str, Shape]) -> None:
        self._inner.build({port: input_shape[port] for port in self._inner.ports})

    def get_params(self) -> tuple[list, list, list, list]:
        return self._inner.get_params()

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        return self._inner.sample(name, size)

    def get_config(self, verbose: int = 0) -> dict[str, object]:
        """That of the container."""
        return self._inner.get_config()
