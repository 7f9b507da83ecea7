"""The inputs of a container: what the user passes, matched to what was declared."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from pytensor.tensor.variable import TensorVariable

from recursive.errors import DataError, ShapeError, suggest
from recursive.spec.graph import GraphSpec, InputSpec
from recursive.spec.shapes import Shape
from recursive.spec.starts import optional_starts


def match_inputs(spec: GraphSpec, x: object) -> dict[str, object]:
    """``x`` by the names of the inputs.

    Args:
        spec: the declaration.
        x: a dict by name, a list in the order declared, or the value of the one input.

    Raises:
        DataError: for unknown names, or another number of values than of inputs.
            Optional starts may be missing.
    """
    names = [item.name for item in spec.inputs]
    required = required_names(spec)
    if isinstance(x, Mapping):
        _check_names(names, x)
        if not set(required) <= set(x):
            raise DataError.about(
                "graph",
                "input",
                takes=", ".join(required),
                got=f"{', '.join(x)} only",
                do="Pass the missing ones too.",
            )
        return {name: x[name] for name in names if name in x}
    # A list has the order of the declarations; anything else is the one input.
    values = list(x) if isinstance(x, list | tuple) else [x]
    if len(values) == len(required):
        names = required
    if len(values) != len(names):
        raise DataError.about(
            "graph",
            "input",
            takes=f"{len(names)} tensors ({', '.join(names)})",
            got=f"{len(values)}",
            do="Pass a dict by name, or a list in that order.",
        )
    return dict(zip(names, values, strict=True))


def required_names(spec: GraphSpec) -> list[str]:
    """The inputs that must be given: all but optional starts."""
    optional = optional_starts(spec)
    return [item.name for item in spec.inputs if item.name not in optional]


def shapes_by_name(
    spec: GraphSpec, input_shape: Shape | Mapping[str, Shape]
) -> Mapping[str, Shape]:
    """The shapes by input name; a single shape is that of the one required input.

    Raises:
        DataError: for an unknown name, or one shape for several inputs.
    """
    names = [item.name for item in spec.inputs]
    if isinstance(input_shape, Mapping):
        _check_names(names, input_shape)
        return input_shape
    required = required_names(spec)
    if len(required) != 1:
        raise DataError.about(
            "graph",
            "input",
            takes=f"{len(names)} inputs by name",
            got="one without a name",
            do="Pass a dict by name.",
        )
    return {required[0]: input_shape}


def _check_names(names: list[str], given: Iterable[str]) -> None:
    for name in given:
        if name not in names:
            raise DataError.about(
                "graph",
                "input",
                takes=", ".join(names),
                got=repr(name),
                do=suggest(name, names),
            )


def with_dims(
    spec: GraphSpec,
    input_shape: Shape | Mapping[str, Shape] | None,
    integers: bool = False,
) -> GraphSpec:
    """``spec`` with the open dims of its inputs filled in from ``input_shape``.

    Args:
        spec: the declaration.
        input_shape: a shape, shapes by name, or None to fill in nothing.
        integers: True to fill in the dims of integer inputs too.
    """
    if input_shape is None:
        return spec
    shapes = shapes_by_name(spec, input_shape)
    inputs = []
    for item in spec.inputs:
        # The last axis of floats is a dim. That of integers may be time, whose size
        # changes from batch to batch.
        if item.dim is None and (item.dtype == "float" or integers):
            dim = _last_size(item, shapes.get(item.name))
            item = dataclasses.replace(item, dim=dim)
        inputs.append(item)
    return spec.replace(inputs=tuple(inputs))


def _last_size(item: InputSpec, shape: Shape | None) -> int | None:
    """The last size of ``shape`` if it has the axes declared and the last is a dim."""
    if not shape or item.ndim == 1 or len(shape) != item.ndim:
        return None
    return shape[-1]


def check_input(item: InputSpec, value: TensorVariable) -> None:
    """Raise a ShapeError unless ``value`` has the axes and the dim of ``item``."""
    if value.ndim != item.ndim:
        raise ShapeError.about(
            "input",
            item.name,
            takes=f"{item.ndim} axes",
            because=f"it has ndim={item.ndim}",
            got=f"a tensor of {value.ndim}",
            do="Reshape it, or declare another ndim.",
        )
    dim = value.type.shape[-1]
    if item.ndim > 1 and None not in (item.dim, dim) and dim != item.dim:
        raise ShapeError.about(
            "input",
            item.name,
            takes=f"dim {item.dim}",
            got=str(dim),
            do="Correct the data, or declare another dim.",
        )
