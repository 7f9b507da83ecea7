"""A stateful container as a node of an outer loop.

The step of the outer loop is a function, so nothing can be kept inside it. The kept
states of the inner loop become states of the outer one: they enter through ports and
leave as outputs at every step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

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

Item = TypeVar("Item")


class NestedLoop(Layer):
    """The layer of the node: ``inner`` with a port and an output for each kept state.

    The port has the name of the state, the output is ``<state>_final``. If nothing is
    connected to the port, it reads that output of the step before. Each state is
    ``(batch, lag * dim)``, oldest first, and starts from zeros.

    Args:
        name: the name of the node, for errors.
        inner: the stateful container.
    """

    def __init__(self, name: str, inner: Layer):
        super().__init__()
        self._inner = inner
        self.states = inner.kept_states()
        self._check(str(name))

    def _check(self, name: str) -> None:
        """Raise a NodeError for a container that cannot be inside a loop."""
        # The outer loop starts the states of this node from zeros, (batch, lag * dim).
        for state in self.states:
            if state.dtype != "float":
                raise NodeError.about(
                    "node",
                    name,
                    takes="a stateful container whose kept states are floats",
                    got=f"dtype {state.dtype!r} of {state.name!r}",
                    do="Say stateful=False for this state, or keep it in a node of "
                    "the outer loop.",
                )
            if np.any(np.asarray(state.initial, dtype=float) != 0):
                raise NodeError.about(
                    "node",
                    name,
                    takes="a stateful container whose states start from zeros",
                    got=f"initial={state.initial!r} of {state.name!r}",
                    do="Leave initial out.",
                )
        for state in self._inner.spec.states:
            if state.given is not None:
                raise NodeError.about(
                    "node",
                    name,
                    takes="a stateful container without optional starts",
                    because="its states become states of the loop around it",
                    got=f"{state.given!r}, a start of {state.name!r}",
                    do="Leave stateful out, or declare the start in the outer loop.",
                )
        # from_states runs the loop of the library: an override would have no effect.
        for method in own_methods(type(self._inner)):
            raise NodeError.about(
                "node",
                name,
                takes="a stateful container with the formula of its class",
                because="the loop reads and returns its states at every step",
                got=f"one with {method}",
                do="Leave stateful out, or move the method into a node.",
            )
        for final in set(self.own_past.values()) & set(self._inner.output_names):
            raise NodeError.about(
                "node",
                name,
                takes="a stateful container without return_final_states",
                got=f"return_final_states=True, which returns {final!r} too",
                do=f"Leave it out, and read {name}.{final}.",
            )

    @property
    def ports(self) -> tuple[str, ...]:
        """The inputs, then the states."""
        return (*self._inner.ports, *self.own_past)

    @property
    def own_past(self) -> Mapping[str, str]:
        """Each state reads its final value of the step before."""
        return {state.name: f"{state.name}_final" for state in self.states}

    @property
    def output_names(self) -> tuple[str, ...]:
        """The outputs, then the states. A single output has the name of the node."""
        names = self._inner.output_names
        if len(names) == 1:
            names = (MAIN,)
        return (*names, *self.own_past.values())

    masks = USE

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs of the inner loop and its states after the last step."""
        starts = {state.name: inputs[state.name].tensor for state in self.states}
        outputs, lasts = self._inner.from_states(
            self._inner_ports(inputs), starts, call
        )
        values = [*outputs.values(), *map(Value, lasts.values())]
        return dict(zip(self.output_names, values, strict=True))

    def _inner_ports(self, by_port: Mapping[str, Item]) -> dict[str, Item]:
        """The items at ports of the container, without those of the states."""
        return {port: by_port[port] for port in self._inner.ports}

    def get_output_shape_for(
        self, input_shape: Mapping[str, Shape]
    ) -> dict[str, Shape]:
        inner_shapes = self._inner_ports(input_shape)
        outputs = self._inner.get_output_shape_for(inner_shapes)
        shapes = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
        sizes = self._inner.sizes_of_states(inner_shapes)
        # (batch, lag * dim)
        shapes += [(None, sizes[state.name]) for state in self.states]
        return dict(zip(self.output_names, shapes, strict=True))

    # The node holds the parameters, draws and settings of the container.

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
        """The draws that are constant over time."""
        return self._inner.steady_draws

    @property
    def predicting_draws(self) -> tuple[str, ...]:
        """The draws that are made while predicting too."""
        return self._inner.predicting_draws

    @property
    def revision(self) -> tuple:
        """The revision of the container."""
        return self._inner.revision

    @property
    def trainable(self) -> bool:
        """False if the container is frozen."""
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
        """Ignore the empty list that the constructor of every layer assigns."""

    def build(self, input_shape: Mapping[str, Shape]) -> None:
        self._inner.build(self._inner_ports(input_shape))

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        return self._inner.sample(name, size)

    def get_config(self, verbose: int = 0) -> dict[str, object]:
        """The configuration of the container."""
        return config_of(self._inner)
