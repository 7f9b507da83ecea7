"""Checks of the random draws that a caller gives in place of a layer's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import Size, sizes
from recursive.errors import DataError, ShapeError, suggest
from recursive.spec.shapes import Shape, format_shape


def check_draws(
    layer: object, draws: Mapping[str, object], input_shape: Shape | Mapping[str, Shape]
) -> None:
    """Raise an error unless ``layer`` makes draws of these names and known sizes.

    Raises:
        DataError: for a name that is none of the layer's draws.
        ShapeError: for another shape than the draw for ``input_shape`` has.
    """
    check_draw_names(draws, layer.draws)
    for name, value in draws.items():
        shape = layer.draw_shape(name, input_shape)
        checked_draw(name, pt.as_tensor_variable(value), shape)


def check_draw_names(given: Mapping[str, object], names: Sequence[str]) -> None:
    """Raise a DataError for a draw that is none of ``names``."""
    for name in given:
        if name not in names:
            raise DataError.about(
                "draw",
                name,
                takes="the name of a draw",
                got="an unknown name",
                do=suggest(name, names),
            )


def checked_draw(
    name: str, value: TensorVariable, shape: Sequence[Size | None]
) -> TensorVariable:
    """Return ``value``, which must have ``shape``.

    Symbolic sizes are compared when the program runs. A size of None is not compared.

    Raises:
        ShapeError: for another shape.
    """
    error = ShapeError.about(
        "draw",
        name,
        takes=f"an array of shape {format_shape(shape)}",
        got=str(value.type.shape).replace("None", "any"),
        do="Draw one value for each that the layer draws.",
    )
    # A size that is known is compared now, so that the traceback shows the caller.
    fits = value.ndim == len(shape)
    comparisons = []
    for expected, actual in zip(shape, sizes(value), strict=False):
        if expected is None or expected is actual:
            continue
        if isinstance(expected, int) and isinstance(actual, int):
            fits = fits and expected == actual
        else:
            comparisons.append(pt.eq(expected, actual))

    value = backend.checked(value, fits, error)
    if comparisons:
        value = backend.checked(value, pt.all(pt.stack(comparisons)), error)
    return value
