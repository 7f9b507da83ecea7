"""The methods of Keras 0.1 by which one layer asked the one before it: thin layers on top of ``apply``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.errors import ConfigError
from recursive.layers.chain import (
    BoundPrevious,
    Tensors,
    binding,
    bound,
    linked_inputs,
    override_inputs,
    tensors_of,
)
from recursive.locked import locked
from recursive.loop.call import Call, Value


class Linked:
    """A layer in a chain: it has a layer before it, and its input and output can be asked for.

    A class that overrides ``get_output``, ``get_input`` or ``get_output_mask`` is applied through them, see
    ``layers/chain.py``.
    """

    connection_map: Mapping[str, str] = MappingProxyType({})
    """Which output of the layer before each input is, by name, where there are several."""

    @property
    def nb_input(self) -> int:
        """How many inputs there are."""
        return len(self.ports)

    @property
    def nb_output(self) -> int:
        """How many outputs there are."""
        return len(self.output_names)

    def set_previous(
        self, layer: Linked, connection_map: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Take the output of ``layer`` as input.

        Args:
            layer: the layer before.
            connection_map: which of its outputs each input is, ``{"input": "output"}``; where there are several, and
                outputs are not called as the inputs are.

        Raises:
            ConfigError: where inputs and outputs do not pair.
        """
        pairs = dict(connection_map)
        if not pairs and self.nb_input == layer.nb_output == 1:
            pairs = {self.ports[0]: layer.output_names[0]}
        pairs = pairs or {name: name for name in self.ports}
        if set(pairs) != set(self.ports) or not set(pairs.values()) <= set(
            layer.output_names
        ):
            raise ConfigError.about(
                "layer",
                type(self).__name__,
                takes=f"an output for each of the inputs {', '.join(self.ports)}",
                because="each reads one",
                got=f"{pairs} of the outputs {', '.join(layer.output_names)}",
                do="Say set_previous(layer, connection_map={'input': 'output'}), by the names of both.",
            )
        self.previous, self.connection_map = layer, pairs

    @property
    def previous(self) -> Linked | None:
        """The layer before: as said by :meth:`set_previous`, else as a container has linked it.

        Before the first layer of a container is what is before the container.
        """
        now = bound(self)
        if now is not None:
            return BoundPrevious(now)
        given = vars(self).get("_previous") or vars(self).get("_link")
        container = vars(self).get("_first_of")
        return given if given is not None or container is None else container.previous

    @previous.setter
    def previous(self, layer: Linked | None) -> None:
        self._previous = layer

    @property
    def has_place(self) -> bool:
        """True once the layer stands somewhere: it keeps its first place when it is added again."""
        return any(name in vars(self) for name in ("_previous", "_link", "_first_of"))

    def link(self, layer: Linked) -> None:
        """Take the output of ``layer`` as input, unless the layer has a place; a copy of it has none."""
        if not self.has_place:
            self._link = layer

    def place_first(self, container: Linked) -> None:
        """Stand first in ``container``, unless the layer has a place."""
        if not self.has_place:
            self._first_of = container

    @property
    def input(self) -> TensorVariable:
        """The symbolic input at the start of the chain; may be assigned.

        Raises:
            AttributeError: for a layer that takes an input of any shape, until one is assigned.
        """
        now = bound(self)
        if now is not None:
            return tensors_of(now.inputs)
        if self.previous is not None:
            return self.previous.input
        if "_input" not in vars(self):
            self._input = self._symbolic_input()
        return self._input

    @input.setter
    def input(self, value: TensorVariable) -> None:
        self._input = value

    @locked
    def get_input(self, train: bool = False) -> Tensors:
        """The output of the layer before, or the symbolic input where there is none."""
        now = bound(self)
        return tensors_of(linked_inputs(self, train) if now is None else now.inputs)

    def get_input_mask(self, train: bool = False) -> TensorVariable | None:
        """The mask of what the first port reads; None where all of it is data."""
        now = bound(self)
        if now is None and self.previous is None:
            return None
        inputs = linked_inputs(self, train) if now is None else now.inputs
        return next(iter(inputs.values())).mask

    @locked
    def get_output(self, train: bool = False) -> Tensors:
        """The output as a tensor; ``train`` turns dropout on."""
        return tensors_of(self._linked(train))

    @locked
    def get_output_mask(self, train: bool = False) -> TensorVariable | None:
        """The mask of the output, ``(batch, time)``; None where all of it is data."""
        if bound(self) is None:
            return next(iter(self._linked(train).values())).mask
        masks = self.output_masks(override_inputs(self, train), train)
        return next(iter(masks.values()))

    def _linked(self, train: bool) -> dict[str, Value]:
        """The outputs for what the layer reads in its chain, or for what is bound to it."""
        now = bound(self)
        if now is not None:
            return self.apply(override_inputs(self, train), now.call.training(train))
        inputs = linked_inputs(self, train)
        call = Call(train)
        with binding(self, inputs, call):
            return self.apply(override_inputs(self, train), call)

    def __getstate__(self) -> dict[str, object]:
        """Everything but the symbolic input, which is made again, and the link that a container made."""
        state = backend.copied_state(self)
        for name in ("_input", "_link", "_first_of", "_bound"):
            state.pop(name, None)
        return state
