"""The methods of Keras 0.1 by which layers are linked and asked for their output.

:class:`Linked` gives every layer these methods. Users call them and may override them.
The functions behind them, and an account of how they reach :meth:`Layer.apply`, are in
:mod:`recursive.layers.chain`.
"""

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
    paired,
    read_inputs,
    read_ports,
    tensors_of,
)
from recursive.locked import locked
from recursive.loop.call import Call, Value


class Linked:
    """The part of a layer that knows the layer before it.

    Every method has two cases. While the layer is bound (a container runs a method that
    its class overrides), the methods use the inputs of that call. Otherwise they follow
    the links.
    """

    connection_map: Mapping[str, str] = MappingProxyType({})
    """The output of the layer before that each input reads, if there are several."""

    @property
    def nb_input(self) -> int:
        """The number of inputs."""
        return len(self.ports)

    @property
    def nb_output(self) -> int:
        """The number of outputs."""
        return len(self.output_names)

    def set_previous(
        self, layer: Linked, connection_map: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Take the output of ``layer`` as input.

        Args:
            layer: the layer before.
            connection_map: the output that each input reads, ``{"input": "output"}``.
                It is needed if there are several and their names differ.

        Raises:
            ConfigError: if an input has no output to read.
        """
        ports = read_ports(self, layer.output_names)
        pairs = dict(connection_map) or paired(ports, layer.output_names)
        required = set(self.ports) - set(self.optional_ports)
        reads_every_port = required <= set(pairs) <= set(self.ports)
        if not reads_every_port or not set(pairs.values()) <= set(layer.output_names):
            raise ConfigError.about(
                "layer",
                type(self).__name__,
                takes=f"an output for each of the inputs {', '.join(self.ports)}",
                got=f"{pairs} of the outputs {', '.join(layer.output_names)}",
                do="Pass connection_map={'input': 'output'}, by the names of both.",
            )
        self.previous = layer
        self.connection_map = pairs

    @property
    def previous(self) -> Linked | None:
        """The layer before: that of :meth:`set_previous`, else that of the container.

        The layer before the first one of a container is the layer before the container.
        """
        now = bound(self)
        if now is not None:
            return BoundPrevious(now)
        # A link by the user goes before a link by a container.
        linked = vars(self).get("_previous") or vars(self).get("_link")
        if linked is not None:
            return linked
        # Asked late, because the container may be linked after the layer was added.
        container = vars(self).get("_first_of")
        return None if container is None else container.previous

    @previous.setter
    def previous(self, layer: Linked | None) -> None:
        self._previous = layer

    @property
    def has_place(self) -> bool:
        """True once the layer is linked; it keeps its first link when added again."""
        return any(name in vars(self) for name in ("_previous", "_link", "_first_of"))

    def link(self, layer: Linked) -> None:
        """Take the output of ``layer`` as input, unless a link exists already."""
        if not self.has_place:
            self._link = layer

    def place_first(self, container: Linked) -> None:
        """Become the first layer of ``container``, unless a link exists already."""
        if not self.has_place:
            self._first_of = container

    @property
    def input(self) -> TensorVariable:
        """The symbolic input of the first layer of the chain; may be assigned.

        A tensor, a shared variable or an array can be assigned. A layer reads floats as
        floatX.

        Raises:
            AttributeError: for a layer that takes any shape, until an input is
                assigned.
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
        """The output of the layer before, or the symbolic input of a first layer."""
        now = bound(self)
        return tensors_of(linked_inputs(self, train) if now is None else now.inputs)

    def get_input_mask(self, train: bool = False) -> TensorVariable | None:
        """The mask of the first input; None if all of its steps are valid."""
        now = bound(self)
        if now is None and self.previous is None:
            return None
        inputs = linked_inputs(self, train) if now is None else now.inputs
        return next(iter(inputs.values())).mask

    @locked
    def get_output(self, train: bool = False) -> Tensors:
        """The output as a tensor, or several by name; ``train`` turns dropout on."""
        return tensors_of(self._linked(train))

    @locked
    def get_output_mask(self, train: bool = False) -> TensorVariable | None:
        """The mask of the output, ``(batch, time)``; None if all steps are valid."""
        if bound(self) is None:
            return next(iter(self._linked(train).values())).mask
        masks = self.output_masks(read_inputs(self, train), train)
        return next(iter(masks.values()))

    def _linked(self, train: bool) -> dict[str, Value]:
        """The outputs for the bound inputs, or else for those of the chain."""
        now = bound(self)
        if now is not None:
            return self.apply(read_inputs(self, train), now.call.training(train))
        inputs = linked_inputs(self, train)
        call = Call(train)
        # Bound, so that a get_input of the class has the inputs to answer with.
        with binding(self, inputs, call):
            return self.apply(read_inputs(self, train), call)

    def __getstate__(self) -> dict[str, object]:
        """The attributes without the symbolic input and links set by containers."""
        state = backend.copied_state(self)
        for name in ("_input", "_link", "_first_of", "_bound"):
            state.pop(name, None)
        return state
