"""Checks that every layer must pass when it is built and when it is called.

They find mistakes in layers that users write. PyTensor would find some of these too,
but later, and without the name of the layer.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive.errors import ConfigError, DtypeError, ShapeError
from recursive.spec.shapes import Shape, format_shape


def check_started(layer: object) -> None:
    """Raise a ConfigError if ``__init__`` has not called that of the base class."""
    if "constraints" not in vars(layer):
        raise ConfigError.about(
            "layer",
            type(layer).__name__,
            takes="super().__init__() at the start of its __init__",
            got="an __init__ without it",
            do="Begin with super().__init__(name, seed).",
        )


def check_methods(cls: type) -> None:
    """Raise a ConfigError if a class overrides a method that containers do not call."""
    for method in ("__call__", "with_mask"):
        if method in vars(cls):
            raise ConfigError.about(
                "layer",
                cls.__name__,
                takes="a method call(self, x, train=False)",
                because="containers apply a layer by its formula",
                got=f"a method {method}",
                do="Rename it to call, or override get_output(self, train=False).",
            )
    if "init_updates" in vars(cls):
        raise ConfigError.about(
            "layer",
            cls.__name__,
            takes="updates that a call hands in",
            got="a method init_updates, which nothing calls",
            do="Override compute(self, inputs, call), which calls "
            "call.update(variable, value).",
        )


def check_held_layers(layer: object) -> None:
    """Raise a ConfigError if a layer with a ``call`` has inner ones with side outputs.

    A formula calls inner layers as functions, so penalties, updates and kept states of
    an inner layer would be lost.
    """
    for name, child in layer.children.items():
        if child.has_side_outputs or child.carries:
            raise ConfigError.about(
                "layer",
                type(layer).__name__,
                takes="inner layers without side outputs",
                because="its call runs them as functions",
                got=f"a {type(child).__name__} as {name!r}, with a penalty on its "
                "output, running means or kept states",
                do="Override apply(self, inputs, call), and run it with "
                "child.apply(inputs, call.inside(name)).",
            )
        # They call their own inner layers as functions too.
        check_held_layers(child)


def mark_built(build: Callable) -> Callable:
    """Wrap ``build`` so that the layer counts as built afterwards."""

    @functools.wraps(build)
    def built(self: object, *args: object, **kwargs: object) -> None:
        build(self, *args, **kwargs)
        # Not by assignment: a subclass may have a property without a setter.
        vars(self)["built"] = True

    return built


@contextmanager
def translate_shape_errors(
    layer: object, input_shape: Shape | Mapping[str, Shape]
) -> Iterator[None]:
    """Raise a ShapeError if ``build`` fails in the block because a dim is not known."""
    shapes = input_shape.values() if isinstance(input_shape, Mapping) else [input_shape]
    try:
        yield
    except TypeError as error:
        # Arithmetic with None is a TypeError. The rows, shape[0], are never known.
        if all(None not in shape[1:] for shape in shapes):
            raise
        raise ShapeError.about(
            "layer",
            type(layer).__name__,
            takes="an input of known dim",
            got=", ".join(map(format_shape, shapes)),
            do="Set self.input_dim in its __init__, or pass data first.",
        ) from error


def check_params(layer: object) -> None:
    """Raise a ConfigError if a layer was just built and lists none of its parameters.

    They would be neither learned nor saved. A layer that lists some of its shared
    variables may hold others on purpose.
    """
    if layer.named_weights:
        return
    # The layer before is linked, not held.
    attributes = {
        name: value
        for name, value in vars(layer).items()
        if value is not layer.previous
    }
    for name, variable in _held_variables(attributes).items():
        if _is_of_floats(variable) and variable not in dict(layer.updates):
            raise ConfigError.about(
                "parameter",
                name,
                takes=f"a place in self.params of {type(layer).__name__}",
                because="only listed parameters are learned and saved",
                got="an empty list",
                do=f"Write self.params = [self.{name}] in build; hold a constant as a "
                "NumPy array.",
            )


def _held_variables(attributes: Mapping[str, object]) -> dict[str, SharedVariable]:
    """The shared variables among ``attributes``, in lists and in layers among them."""
    found = {}
    for name, value in attributes.items():
        if isinstance(value, SharedVariable):
            found[name] = value
        elif isinstance(value, list | tuple):
            items = {f"{name}[{index}]": item for index, item in enumerate(value)}
            found |= _held_variables(items)
        elif hasattr(value, "named_params"):
            for inner, param in value.named_params.items():
                found[f"{name}.{inner}"] = param
    return found


def _is_of_floats(value: SharedVariable) -> bool:
    return getattr(value.type, "dtype", "").startswith("float")


def check_width(
    kind: str, name: str, operands: Iterable[TensorVariable], found: object
) -> None:
    """Raise a DtypeError if a formula returns float64 but was given float32 only.

    Args:
        kind: ``layer`` or ``loss``.
        name: the name of the layer or loss.
        operands: the tensors that the formula computes with, parameters included.
        found: the result, a tensor or a dict of tensors.
    """
    # The names of the dtypes sort by width, up to float64.
    float_dtypes = [
        value.dtype for value in operands if value.dtype.startswith("float")
    ]
    if max(float_dtypes, default="float64") != "float32":
        return
    for value in found.values() if isinstance(found, Mapping) else [found]:
        if value.dtype == "float64":
            raise DtypeError.about(
                kind,
                name,
                takes="a formula that returns float32",
                because="all that it computes with is float32",
                got=value.dtype,
                do="Write np.float32(...) around arrays and numbers of NumPy in it, or "
                "value.astype(x.dtype).",
            )


def check_takes(layer: object, given: Iterable[str]) -> None:
    """Raise a ConfigError unless the ``call`` of a layer takes these arguments."""
    if not given:
        return
    parameters = inspect.signature(layer.call).parameters
    kinds = [parameter.kind for parameter in parameters.values()]
    # A call with **arguments takes any.
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return
    for name in given:
        if name not in parameters:
            raise ConfigError.about(
                "layer",
                type(layer).__name__,
                takes=f"a call with an argument {name!r}",
                because=f"its base class computes with the {name}",
                got=f"call({', '.join(parameters)})",
                do=f"Write call(self, x, train=False, {name}=None), and pass {name} to "
                "super().call.",
            )


def check_output(
    layer: object, output: object, input_shape: Shape | Mapping[str, Shape]
) -> None:
    """Raise an error unless ``output`` is what the layer declares.

    Raises:
        ConfigError: unless it is one tensor, or a dict of tensors by output name.
        ShapeError: for other axes or sizes, as far as both are known.
    """
    _check_kind_of_output(layer, output)
    if isinstance(output, Mapping):
        return
    declared = _declared_shape(layer, input_shape)
    if declared is not None and not _agree(output.type.shape, declared):
        raise ShapeError.about(
            "layer",
            type(layer).__name__,
            takes=f"an output of shape {format_shape(declared)}",
            because="its get_output_shape_for returns that shape",
            got=format_shape(output.type.shape),
            do="Correct get_output_shape_for, or the formula in call.",
        )


def _check_kind_of_output(layer: object, output: object) -> None:
    """Raise a ConfigError unless ``output`` is a tensor for each output name."""
    names = layer.output_names
    found = output if isinstance(output, Mapping) else {names[0]: output}
    are_tensors = all(isinstance(value, TensorVariable) for value in found.values())
    if tuple(found) == names and are_tensors:
        return
    wanted = "one tensor"
    if len(names) > 1:
        wanted = f"a dict of tensors by the names {', '.join(names)}, in this order"
    got = type(output).__name__
    if isinstance(output, Mapping):
        got = str({name: type(value).__name__ for name, value in output.items()})
    raise ConfigError.about(
        "layer",
        type(layer).__name__,
        takes=f"a call that returns {wanted}",
        got=got,
        do="End call with return and a PyTensor expression.",
    )


def _declared_shape(
    layer: object, input_shape: Shape | Mapping[str, Shape]
) -> Shape | None:
    """The shape by the layer's rule; None if there is no rule for one output.

    A rule that computes with unknown sizes fails with a TypeError: it cannot be
    compared.
    """
    rule = layer.get_output_shape_for
    if getattr(rule, "applies_the_layer", False):
        return None
    try:
        declared = rule(input_shape)
    except (TypeError, NotImplementedError):
        return None
    return declared if isinstance(declared, tuple | list) else None


def _agree(found: Shape, declared: Shape) -> bool:
    """True if both have the same axes, and the same sizes if both are known."""
    if len(found) != len(declared):
        return False
    for size, wanted in zip(found, declared, strict=True):
        # A negative size is one that the rule leaves open, as in a reshape.
        if None not in (size, wanted) and wanted >= 0 and size != wanted:
            return False
    return True
