"""A stateful container as a node of a loop: its states are states of that loop, read and returned at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive.errors import NodeError
from recursive.layers.identity import config_of, own_methods
from recursive.layers.layer import Layer
from recursive.layers.masks import USE
from recursive.loop.call import Call, Value, Values
from recursive.spec.graph import MAIN, GraphSpec
from recursive.spec.shapes import Shape


class NestedLoop(Layer):
    """``inner``, whose states enter by ports of their own, left open, and leave as outputs ``<state>_final``.

    Each is ``(batch, dim)``, or ``(batch, lag * dim)`` where it is looked back to; all start from zeros.
    """

    def __init__(self, name: str, inner: Layer):
        super().__init__()
        self._inner = inner
        self.states = inner.kept_states()
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
        for method in own_methods(type(inner)):
            raise NodeError.about(
                "node",
                str(name),
                takes="a stateful container with the formula of its class",
                because="in a loop its states are read and returned at every step",
                got=f"one with {method}",
                do="Leave stateful out, or put what the method does into a node.",
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

    masks = USE

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs and the states after the inner loop."""
        starts = {state.name: inputs[state.name].tensor for state in self.states}
        sequences = {port: inputs[port] for port in self._inner.ports}
        found, lasts = self._inner.from_states(sequences, starts, call)
        values = [*found.values(), *map(Value, lasts.values())]
        return dict(zip(self.output_names, values, strict=True))

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

    @property
    def children(self) -> dict[str, Layer]:
        """The layers of the container."""
        return self._inner.children

    @property
    def spec(self) -> GraphSpec:
        """The declaration of the container."""
        return self._inner.spec

    @property
    def built(self) -> bool:
        """True once the container is built."""
        return self._inner.built

    @property
    def draws(self) -> tuple[str, ...]:
        """The draws of the container."""
        return self._inner.draws

    @property
    def steady_draws(self) -> tuple[str, ...]:
        """Those that are the same at every step."""
        return self._inner.steady_draws

    @property
    def revision(self) -> tuple:
        """The revision of the container."""
        return self._inner.revision

    @property
    def trainable(self) -> bool:
        """That of the container."""
        return self._inner.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._inner.trainable = value

    @property
    def named_params(self) -> dict[str, SharedVariable]:
        """The parameters of the container."""
        return self._inner.named_params

    @property
    def named_weights(self) -> dict[str, SharedVariable]:
        """The weights of the container."""
        return self._inner.named_weights

    def own_params(self) -> list[SharedVariable]:
        """The parameters of the container itself."""
        return self._inner.own_params()

    def ensure_built(self, input_shape: Mapping[str, Shape]) -> None:
        self.build(input_shape)

    @property
    def params(self) -> list[SharedVariable]:
        """The parameters of the container."""
        return self._inner.params

    @params.setter
    def params(self, value: list[SharedVariable]) -> None:
        """Let pass the empty list that every layer starts with."""

    def build(self, input_shape: Mapping[str, Shape]) -> None:
        self._inner.build({port: input_shape[port] for port in self._inner.ports})

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        return self._inner.sample(name, size)

    def get_config(self, verbose: int = 0) -> dict[str, object]:
        """That of the container."""
        return config_of(self._inner)
