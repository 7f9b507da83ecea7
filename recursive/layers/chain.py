"""The functions behind the chain of Keras 0.1, in which a layer asks for its input.

In 2015 a layer was linked to the one before it by ``set_previous``. Its
``get_output(train)`` called its ``get_input(train)``, which called
``get_output(train)`` of the layer before. A user wrote a layer by overriding these
methods. Both uses still work, and both end in :meth:`Layer.apply`:

* *Asking a chain.* :func:`linked_outputs` follows the links back to the symbolic input
  and applies one layer after the other.
* *Running a method of 2015.* :func:`apply_bound` is how a container applies a layer
  that overrides ``get_output``. It binds the inputs of the call to the layer while the
  method runs: ``get_input``, ``previous`` and ``super().get_output()`` then use these
  inputs.

The methods themselves are in :mod:`recursive.layers.linked`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.loop.call import Call, Value, Values, with_mask
from recursive.spec.shapes import Shape, Shapes

Tensors = TensorVariable | dict[str, TensorVariable]
"""One tensor, or several by name."""

METHODS = ("get_output", "get_input", "get_output_mask", "get_input_mask")
"""The methods that a layer of 2015 overrides."""


# Methods of 2015 that a user overrides


@dataclass(frozen=True)
class Bound:
    """The inputs of a layer while one of its methods runs.

    ``outputs`` is filled when the method calls ``super().get_output()``.
    """

    inputs: Values
    call: Call
    outputs: dict[str, Value] = field(default_factory=dict)


def bound(layer: object) -> Bound | None:
    """The inputs bound to ``layer``, if one of its methods runs now."""
    return vars(layer).get("_bound")


@dataclass(frozen=True)
class BoundPrevious:
    """The value of ``self.previous`` inside a method of 2015.

    It answers with the inputs of the call. The layer before may be any node of a
    container.
    """

    bound: Bound

    @property
    def input(self) -> Tensors:
        """The output of the layer before, whose own input is not known here."""
        return tensors_of(self.bound.inputs)

    def get_output(self, train: bool = False) -> Tensors:
        """The output of the layer before."""
        return tensors_of(self.bound.inputs)

    def get_output_mask(self, train: bool = False) -> TensorVariable | None:
        """The mask of the output of the layer before."""
        return next(iter(self.bound.inputs.values())).mask


@contextmanager
def binding(layer: object, inputs: Values, call: Call) -> Iterator[None]:
    """Let ``get_input`` of ``layer`` return ``inputs`` inside the block."""
    # Blocks may be nested: a method may apply its own layer again.
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
    """True if the class of ``layer`` overrides one of the ``methods`` of ``base``."""
    cls = type(layer)
    return any(getattr(cls, name) is not getattr(base, name) for name in methods)


def apply_bound(
    layer: object, inputs: Values, call: Call, base: type
) -> dict[str, Value]:
    """The outputs of a layer whose class overrides a method of 2015.

    It also runs a container whose class overrides ``call``.
    """
    layer.ensure_built(shapes_of(inputs, layer))
    with binding(layer, inputs, call):
        if overrides(layer, base):
            found = layer.get_output(call.train)
        else:
            found = layer.call(_argument_of_call(layer, inputs), call.train)
        outputs = by_name(layer.output_names, found)
        if overrides(layer, base, ("get_output_mask",)):
            masks = dict.fromkeys(outputs, layer.get_output_mask(call.train))
        else:
            masks = layer.output_masks(read_inputs(layer, call.train), call.train)
    return {name: with_mask(value, masks[name]) for name, value in outputs.items()}


def _argument_of_call(container: object, inputs: Values) -> Tensors:
    """A dict of tensors if the container declares inputs by name, else one tensor."""
    if container.nb_input > 1 or hasattr(container, "spec"):
        return tensors_by_name(inputs)
    return tensors_of(inputs)


def read_inputs(layer: object, train: bool) -> dict[str, Value]:
    """The inputs that ``get_input`` and ``get_input_mask`` of a bound layer return."""
    inputs = bound(layer).inputs
    tensors = layer.get_input(train)
    mask = layer.get_input_mask(train)
    if not isinstance(tensors, Mapping):
        [(port, value)] = inputs.items()
        return {port: with_mask(tensors, mask, value.is_context)}
    found = {}
    for name, tensor in tensors.items():
        value = inputs[name]
        found[name] = with_mask(tensor, value.mask, value.is_context)
    return found


def probed_shape(layer: object, input_shape: Shapes) -> Shapes:
    """The shape of the output, found by applying a layer that has no shape rule."""
    shapes: dict[str, Shape] = {layer.ports[0]: input_shape}
    if isinstance(input_shape, Mapping):
        shapes = dict(input_shape)
    dtypes = {argument.name: argument.dtype for argument in layer.arguments()}
    inputs = {}
    for name, shape in shapes.items():
        dtype = dtypes.get(name, backend.dtype_of(layer.input_dtype))
        inputs[name] = Value(backend.tensor(name, dtype, shape))
    return one_or_all(shapes_by_name(layer.apply(inputs, Call())))


# It is not an independent rule: comparing it with the output would apply the layer
# again.
probed_shape.applies_the_layer = True


# Links


def linked_inputs(layer: object, train: bool) -> dict[str, Value]:
    """The outputs of the layer before, or the symbolic input, by port."""
    if layer.previous is None:
        tensors = by_name(layer.ports, layer.input)
        # The input that a user assigned. Compiled functions of 2015 cast theirs too
        # (allow_input_downcast).
        found = {}
        for name, value in tensors.items():
            found[name] = Value(_as_floatx(pt.as_tensor_variable(value)))
        return found
    outputs = linked_outputs(layer.previous, train)
    return handed_on(outputs, layer, layer.connection_map)


def data_as_tensor(value: object) -> TensorVariable:
    """``value`` as a tensor; the floats of an array become floatX, symbols stay."""
    if isinstance(value, Variable):
        return pt.as_tensor_variable(value)
    return _as_floatx(pt.as_tensor_variable(value))


def _as_floatx(tensor: TensorVariable) -> TensorVariable:
    """``tensor`` in floatX if it is float64, as NumPy makes arrays."""
    return tensor.astype(backend.floatX()) if tensor.dtype == "float64" else tensor


def linked_outputs(layer: object, train: bool) -> Values:
    """The outputs of a layer in a chain, or of a place in a graph."""
    if hasattr(layer, "linked_values"):
        return layer.linked_values(train)
    return layer.apply(linked_inputs(layer, train), Call(train))


def handed_on(
    outputs: Values, layer: object, connection_map: Mapping[str, str] | None = None
) -> dict[str, Value]:
    """The ``outputs`` of one layer by the ports of the next ``layer``."""
    pairs = connection_map or paired(read_ports(layer, outputs), outputs)
    return {port: outputs[output] for port, output in pairs.items()}


def read_ports(layer: object, outputs: Collection[str]) -> tuple[str, ...]:
    """The ports of ``layer`` that read ``outputs``: without optional ones not there."""
    ports = []
    for port in layer.ports:
        if port in outputs or port not in layer.optional_ports:
            ports.append(port)
    return tuple(ports)


def paired(ports: Sequence[str], outputs: Collection[str]) -> dict[str, str]:
    """The output that each port reads: the only one, or the one of the same name."""
    if len(ports) == len(outputs) == 1:
        return dict(zip(ports, outputs, strict=True))
    return dict(zip(ports, ports, strict=True))


# One value, or several by name


def by_name(names: tuple[str, ...], found: object) -> dict[str, TensorVariable]:
    """One tensor, a list in the order of ``names``, or a dict, as a dict."""
    if isinstance(found, Mapping):
        return dict(found)
    if isinstance(found, list | tuple):
        return dict(zip(names, found, strict=True))
    return {names[0]: found}


def one_or_all(values: dict[str, object]) -> object:
    """The value if there is one, else the dict of all."""
    return next(iter(values.values())) if len(values) == 1 else values


def tensors_of(values: Values) -> Tensors:
    """The tensor if there is one value, else all tensors by name."""
    return one_or_all(tensors_by_name(values))


def tensors_by_name(values: Values) -> dict[str, TensorVariable]:
    """The tensors of ``values``, without their masks."""
    return {name: value.tensor for name, value in values.items()}


def masks_by_name(values: Values) -> dict[str, TensorVariable | None]:
    """The masks of ``values``."""
    return {name: value.mask for name, value in values.items()}


def shapes_by_name(values: Values) -> dict[str, Shape]:
    """The static shapes of ``values``."""
    return {name: value.tensor.type.shape for name, value in values.items()}


def shapes_of(inputs: Values, layer: object) -> Shapes:
    """The static shapes of ``inputs`` as the shape rule of ``layer`` takes them."""
    shapes = shapes_by_name(inputs)
    takes_one = len(layer.ports) == 1 and tuple(shapes) == tuple(layer.ports)
    return next(iter(shapes.values())) if takes_one else shapes
