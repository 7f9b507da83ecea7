"""Layers as in 2015: linked one to the next, each asking the one before it for its input.

Keras 0.1's layers were linked by ``set_previous``. ``get_output(train)`` of a layer called its ``get_input(train)``,
which called ``get_output(train)`` of the layer before. Such a chain is :meth:`Layer.apply` called along the links. A
layer of the user's own that overrides one of these methods is applied through them: for the duration of one call its
inputs are bound to it, and ``get_input`` answers with these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.loop.call import Call, Value, Values, with_mask
from recursive.spec.shapes import Shape, Shapes

Tensors = TensorVariable | dict[str, TensorVariable]
"""One tensor, or several by name."""

METHODS = ("get_output", "get_input", "get_output_mask", "get_input_mask")
"""What one overrode to write a layer."""


@dataclass(frozen=True)
class Bound:
    """The inputs of a layer for the duration of one call, and what it made of them, once ``super`` was asked."""

    inputs: Values
    call: Call
    outputs: dict[str, Value] = field(default_factory=dict)


def bound(layer: object) -> Bound | None:
    """What is bound to ``layer`` now."""
    return vars(layer).get("_bound")


@dataclass(frozen=True)
class BoundPrevious:
    """The layer before, for the duration of a call: what a method of 2015 asks as ``self.previous``."""

    bound: Bound

    @property
    def input(self) -> Tensors:
        """What it returned: its own input is out of reach here."""
        return tensors_of(self.bound.inputs)

    def get_output(self, train: bool = False) -> Tensors:
        """What it returned."""
        return tensors_of(self.bound.inputs)

    def get_output_mask(self, train: bool = False) -> TensorVariable | None:
        """The mask of what it returned."""
        return next(iter(self.bound.inputs.values())).mask


@contextmanager
def binding(layer: object, inputs: Values, call: Call) -> Iterator[None]:
    """Bind ``inputs`` to ``layer``: its ``get_input`` answers with them inside the block."""
    before = bound(layer)
    vars(layer)["_bound"] = Bound(inputs, call)
    try:
        yield
    finally:
        if before is None:
            del vars(layer)["_bound"]
        else:
            vars(layer)["_bound"] = before


def overrides(layer: object, base: type, methods: tuple[str, ...] = METHODS) -> bool:
    """True where the class of ``layer`` has another of the ``methods`` than ``base``."""
    cls = type(layer)
    return any(getattr(cls, name) is not getattr(base, name) for name in methods)


def apply_bound(
    layer: object, inputs: Values, call: Call, base: type
) -> dict[str, Value]:
    """The outputs of a layer that overrides a method of 2015."""
    layer.ensure_built(shapes_of(inputs, layer))
    with binding(layer, inputs, call):
        if layer.has_own_call and not overrides(layer, base):
            x = {name: value.tensor for name, value in inputs.items()}
            found = layer.call(
                x
                if layer.nb_input > 1 or hasattr(layer, "spec")
                else tensors_of(inputs),
                call.train,
            )
        else:
            found = layer.get_output(call.train)
        outputs = by_name(layer.output_names, found)
        masks_are_its_own = overrides(layer, base, ("get_output_mask",))
        if masks_are_its_own:
            mask = layer.get_output_mask(call.train)
            return {name: with_mask(value, mask) for name, value in outputs.items()}
        masks = layer.output_masks(override_inputs(layer, call.train), call.train)
    return {name: with_mask(value, masks[name]) for name, value in outputs.items()}


def override_inputs(layer: object, train: bool) -> dict[str, Value]:
    """What a layer's own ``get_input`` and ``get_input_mask`` say that it reads."""
    tensors = layer.get_input(train)
    mask = layer.get_input_mask(train)
    inputs = bound(layer).inputs
    contexts = {name: value.is_context for name, value in inputs.items()}
    if isinstance(tensors, Mapping):
        return {
            name: with_mask(tensor, inputs[name].mask, contexts[name])
            for name, tensor in tensors.items()
        }
    [port] = inputs
    return {port: with_mask(tensors, mask, contexts[port])}


def linked_inputs(layer: object, train: bool) -> dict[str, Value]:
    """What a layer is given by the layer before it, or its symbolic input where there is none."""
    if layer.previous is None:
        found = layer.input
        return {name: Value(x) for name, x in by_name(layer.ports, found).items()}
    outputs = linked_outputs(layer.previous, train)
    pairs = dict(layer.connection_map) or paired(layer.ports, outputs)
    return {port: outputs[output] for port, output in pairs.items()}


def linked_outputs(layer: object, train: bool) -> Values:
    """What a layer returns at its place in the chain, or what stands at a place of a graph."""
    if hasattr(layer, "linked_values"):
        return layer.linked_values(train)
    return layer.apply(linked_inputs(layer, train), Call(train))


def handed_on(outputs: Values, layer: object) -> dict[str, Value]:
    """What ``layer`` reads of the ``outputs`` of the layer before it, by its ports."""
    pairs = paired(layer.ports, outputs)
    return {port: outputs[output] for port, output in pairs.items()}


def paired(ports: tuple[str, ...], outputs: Mapping[str, object]) -> dict[str, str]:
    """The output that each port reads: the only one, or the one of its own name."""
    if len(ports) == len(outputs) == 1:
        return dict(zip(ports, outputs, strict=True))
    return {port: port for port in ports}


def by_name(names: tuple[str, ...], found: object) -> dict[str, TensorVariable]:
    """One tensor, several in order or several by name, as a dict by ``names``."""
    if isinstance(found, Mapping):
        return dict(found)
    if isinstance(found, list | tuple):
        return dict(zip(names, found, strict=True))
    return {names[0]: found}


def tensors_of(values: Values) -> Tensors:
    """The tensor, where there is one value; else all of them by name."""
    tensors = {name: value.tensor for name, value in values.items()}
    return next(iter(tensors.values())) if len(tensors) == 1 else tensors


def shapes_of(inputs: Values, layer: object) -> Shapes:
    """The static shapes of ``inputs`` in the form that the shape rule of ``layer`` takes."""
    shapes = {name: value.tensor.type.shape for name, value in inputs.items()}
    takes_one = len(layer.ports) == 1 and tuple(shapes) == tuple(layer.ports)
    return next(iter(shapes.values())) if takes_one else shapes


def probed_shape(layer: object, input_shape: Shapes) -> Shapes:
    """The shape of the output, found by applying the layer: one written as in 2015 has no rule for it."""
    shapes: dict[str, Shape] = {layer.ports[0]: input_shape}
    if isinstance(input_shape, Mapping):
        shapes = dict(input_shape)
    dtypes = {argument.name: argument.dtype for argument in layer.arguments()}
    inputs = {}
    for name, shape in shapes.items():
        dtype = dtypes.get(name, backend.dtype_of(layer.input_dtype))
        inputs[name] = Value(backend.tensor(name, dtype, shape))
    outputs = layer.apply(inputs, Call())
    found = {name: value.tensor.type.shape for name, value in outputs.items()}
    return next(iter(found.values())) if len(found) == 1 else found


probed_shape.applies_the_layer = (
    True  # so it says nothing that could be compared with the output
)
