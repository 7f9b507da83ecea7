"""What a layer is given beside its input: a mask, and random draws in place of those that it would make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import Size, size, sizes
from recursive.errors import (
    DataError,
    SequenceLengthError,
    ShapeError,
    suggest,
)
from recursive.loop.lengths import check_lengths, length_message
from recursive.spec.shapes import Shape, format_shape


def checked_mask(
    layer: str, mask: TensorVariable, rows: Size, length: Size
) -> TensorVariable:
    """``mask`` where it is ``(batch, time)``; numbers that are not known are compared when it runs.

    Raises:
        ShapeError: for other axes, or another number of rows.
        SequenceLengthError: for another number of steps than ``length``.
    """
    takes, because = (
        "(batch, time)",
        "it says of every step of every row whether it is data",
    )
    if mask.ndim != 2:
        raise ShapeError.about(
            "mask",
            layer,
            takes=takes,
            because=because,
            got=f"{mask.ndim} axes",
            do="Leave out the axis of the dims.",
        )
    found = size(mask, 0), size(mask, 1)
    got = (
        f"{found[0]} rows for {rows}"
        if _are_known(found[0], rows)
        else "another number of rows"
    )
    error = ShapeError.about(
        "mask",
        layer,
        takes=takes,
        because=because,
        got=got,
        do="Give each row its own.",
    )
    mask = backend.checked(mask, _equal(found[0], rows), error)
    if _are_known(found[1], length):
        check_lengths({"input": length, "mask": found[1]})
        return mask
    error = SequenceLengthError(length_message("input and mask", "lengths that differ"))
    return backend.checked(mask, _equal(found[1], length), error)


def _are_known(*sizes: Size) -> bool:
    return all(isinstance(size, int) for size in sizes)


def _equal(one: Size, other: Size) -> bool | TensorVariable:
    return one == other if _are_known(one, other) else pt.eq(one, other)


def check_draws(
    layer: object, draws: Mapping[str, object], input_shape: Shape | Mapping[str, Shape]
) -> None:
    """Raise an error unless ``layer`` makes draws of these names, of these shapes as far as they are known.

    Raises:
        DataError: for a name that is none of its draws.
        ShapeError: for another shape than the draw of an input of ``input_shape`` has.
    """
    check_draw_names(draws, layer.draws)
    for name, value in draws.items():
        checked_draw(
            name, pt.as_tensor_variable(value), layer.draw_shape(name, input_shape)
        )


def check_draw_names(given: Mapping[str, object], names: Sequence[str]) -> None:
    """Raise a DataError for a draw that is none of ``names``."""
    for name in given:
        if name not in names:
            raise DataError.about(
                "draw",
                name,
                takes="the name of a draw",
                because="it takes its place",
                got="an unknown name",
                do=suggest(name, names),
            )


def checked_draw(
    name: str, value: TensorVariable, shape: Sequence[Size | None]
) -> TensorVariable:
    """``value`` where it has ``shape``; sizes that are symbols are compared when it runs, None is any.

    Raises:
        ShapeError: for another shape.
    """
    found = sizes(value)
    pairs = [
        (size, actual)
        for size, actual in zip(shape, found, strict=False)
        if size is not None
    ]
    known = [pair for pair in pairs if _are_known(*pair)]
    error = ShapeError.about(
        "draw",
        name,
        takes=f"an array of shape {format_shape(shape)}",
        because="it takes the place of one",
        got=str(value.type.shape).replace("None", "any"),
        do="Draw one value for each that the layer draws.",
    )
    value = backend.checked(
        value,
        value.ndim == len(shape) and all(size == actual for size, actual in known),
        error,
    )
    later = [
        pt.eq(*pair) for pair in pairs if pair not in known and pair[0] is not pair[1]
    ]
    return backend.checked(value, pt.all(pt.stack(later)), error) if later else value
