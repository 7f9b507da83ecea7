"""What every layer must keep to, one of your own too: looked at when it is built and called, told where it does not.

Nothing here is of use to a layer that is right; to one that is not, PyTensor's own words come late and name no layer.
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
    """Raise a ConfigError where an ``__init__`` did not begin with that of the base."""
    if "constraints" not in vars(layer):
        raise ConfigError.about(
            "layer",
            type(layer).__name__,
            takes="super().__init__() at the start of its __init__",
            because="that makes the lists of its parameters, regularizers and constraints",
            got="one without",
            do="Begin with super().__init__(name, seed).",
        )


def check_methods(cls: type) -> None:
    """Raise a ConfigError where a class overrides what only calls its formula: no container would see that."""
    for method in ("__call__", "with_mask"):
        if method in vars(cls):
            raise ConfigError.about(
                "layer",
                cls.__name__,
                takes="a method call(self, x, train=False)",
                because="containers apply a layer by its formula",
                got=f"one called {method}",
                do=f"Rename it to call, or override get_output(self, train=False) as in 2015, in place of {method}.",
            )


def check_held_layers(layer: object) -> None:
    """Raise a ConfigError where a layer with a ``call`` holds one that returns more than its output.

    The formula calls such a layer as a function: what it hands to training, or keeps for the next batch, would be lost.
    """
    for name, child in layer.children.items():
        if child.has_side_outputs or child.carries:
            raise ConfigError.about(
                "layer",
                type(layer).__name__,
                takes="layers inside that return their output and no more",
                because="its call runs them as functions",
                got=f"a {type(child).__name__} as {name!r}, with a penalty on its output, running means or kept states",
                do="Override apply(self, inputs, call), and run it by child.apply(inputs, call.inside(name)).",
            )
        check_held_layers(child)


def mark_built(build: Callable) -> Callable:
    """``build``, after which the layer counts as built."""

    @functools.wraps(build)
    def built(self: object, *args: object, **kwargs: object) -> None:
        build(self, *args, **kwargs)
        vars(self)["built"] = True

    return built


@contextmanager
def translate_shape_errors(
    layer: object, input_shape: Shape | Mapping[str, Shape]
) -> Iterator[None]:
    """Raise a ShapeError where a ``build`` computed with the None of a dim that is not known yet."""
    shapes = input_shape.values() if isinstance(input_shape, Mapping) else [input_shape]
    try:
        yield
    except TypeError as error:
        if all(None not in shape[1:] for shape in shapes):
            raise
        raise ShapeError.about(
            "layer",
            type(layer).__name__,
            takes="an input of known dim",
            because="its build reads the shape of it",
            got=", ".join(map(format_shape, shapes)),
            do="Set self.input_dim in its __init__, or pass data first.",
        ) from error


def check_params(layer: object) -> None:
    """Raise a ConfigError where a layer that was just built holds shared variables and names none of them.

    None would be learned. One that lists some may hold others that never change.
    """
    updated = [variable for variable, _ in layer.updates]
    own = {
        name: value
        for name, value in vars(layer).items()
        if value is not layer.previous
    }
    for name, value in ({} if layer.named_weights else _held(own)).items():
        if _is_of_floats(value) and not any(value is known for known in updated):
            raise ConfigError.about(
                "parameter",
                name,
                takes=f"a place in self.params of {type(layer).__name__}",
                because="only what is listed is learned and saved",
                got="an empty list",
                do=f"Say self.params = [self.{name}] in build; hold what never changes as an array of NumPy.",
            )


def _held(attributes: Mapping[str, object]) -> dict[str, SharedVariable]:
    """The shared variables among the attributes of a layer, in lists of them and of layers that it holds."""
    found = {}
    for name, value in attributes.items():
        if isinstance(value, list | tuple):
            found |= _held(
                {f"{name}[{index}]": item for index, item in enumerate(value)}
            )
        elif isinstance(value, SharedVariable):
            found[name] = value
        elif hasattr(value, "named_params"):
            found |= {
                f"{name}.{inner}": param for inner, param in value.named_params.items()
            }
    return found


def _is_of_floats(value: SharedVariable) -> bool:
    return getattr(value.type, "dtype", "").startswith("float")


def check_width(
    kind: str, name: str, made_of: Iterable[TensorVariable], found: object
) -> None:
    """Raise a DtypeError where a formula makes float64 of float32: widths are never mixed without a word.

    Args:
        kind: ``layer`` or ``loss``.
        name: what it is called.
        made_of: what the formula is given, parameters too.
        found: what it returned, a tensor or a dict of them.
    """
    widest = max(
        (value.dtype for value in made_of if value.dtype.startswith("float")),
        default="float64",
    )
    for value in found.values() if isinstance(found, Mapping) else [found]:
        if widest == "float32" and value.dtype == "float64":
            raise DtypeError.about(
                kind,
                name,
                takes="a formula that returns float32",
                because="what it computes with is of that, and widths are never mixed",
                got=value.dtype,
                do="Say np.float32(...) of arrays and numbers of NumPy in it, or "
                "value.astype(x.dtype).",
            )


def check_takes(layer: object, given: Iterable[str]) -> None:
    """Raise a ConfigError where the ``call`` of a layer does not take what it is given by name."""
    if not given:
        return
    parameters = inspect.signature(layer.call).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    taken = {parameter.name for parameter in parameters}
    for name in given:
        if name not in taken:
            raise ConfigError.about(
                "layer",
                type(layer).__name__,
                takes=f"a call with an argument {name!r}",
                because=f"its base class computes with the {name}",
                got=f"call({', '.join(taken)})",
                do=f"Say call(self, x, train=False, {name}=None), and hand {name} on to super().call.",
            )


def check_output(
    layer: object, output: object, input_shape: Shape | Mapping[str, Shape]
) -> None:
    """Raise an error unless ``output`` is what the layer says: a tensor of its shape, as far as known, or several.

    Raises:
        ConfigError: for something else than a tensor, or a dict of these by the names of the outputs.
        ShapeError: for other axes, or other sizes.
    """
    kind, names = type(layer).__name__, layer.output_names
    found = output if isinstance(output, Mapping) else {names[0]: output}
    if tuple(found) != names or not all(
        isinstance(value, TensorVariable) for value in found.values()
    ):
        raise ConfigError.about(
            "layer",
            kind,
            takes="a call that returns " + _words(names),
            because="other layers read them",
            got=str({name: type(value).__name__ for name, value in found.items()})
            if isinstance(output, Mapping)
            else type(output).__name__,
            do="End call with return, and a formula of PyTensor.",
        )
    said = _said(layer, input_shape)
    if said is None or isinstance(output, Mapping):
        return
    shape = output.type.shape
    if len(shape) != len(said) or any(
        _differ(*pair) for pair in zip(shape, said, strict=True)
    ):
        raise ShapeError.about(
            "layer",
            kind,
            takes=f"an output of shape {format_shape(said)}",
            because="its get_output_shape_for says so, and other layers are made for it",
            got=format_shape(shape),
            do="Mend get_output_shape_for, or the formula in call.",
        )


def _said(layer: object, input_shape: Shape | Mapping[str, Shape]) -> Shape | None:
    """The shape that the layer says; None where its rule cannot say it of sizes that are not known, or says several."""
    if getattr(layer.get_output_shape_for, "applies_the_layer", False):
        return None
    try:
        said = layer.get_output_shape_for(input_shape)
    except (TypeError, NotImplementedError):
        return None
    return said if isinstance(said, tuple | list) else None


def _differ(found: int | None, said: int | None) -> bool:
    return None not in (found, said) and said >= 0 and found != said


def _words(names: tuple[str, ...]) -> str:
    return (
        "one tensor"
        if len(names) == 1
        else f"a dict of tensors by the names {', '.join(names)}, in this order"
    )
