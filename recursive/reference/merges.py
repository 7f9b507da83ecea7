"""Several values made one: the merge modes of nodes and outputs, each with its way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from recursive.errors import MergeError, suggest
from recursive.reference.arrays import Array, is_float, like

Back = Callable[[Array], list[Array]]


def concat(values: Sequence[Array]) -> tuple[Array, Back]:
    """Side by side along the last axis."""
    ends = np.cumsum([value.shape[-1] for value in values])[:-1]
    return np.concatenate(values, axis=-1), lambda d: np.split(d, ends, axis=-1)


def sum_(values: Sequence[Array]) -> tuple[Array, Back]:
    """The sum, element by element."""
    return sum(values[1:], values[0]), lambda d: [d] * len(values)


def mul(values: Sequence[Array]) -> tuple[Array, Back]:
    """The product; one value a row multiplies a whole row."""

    def others(place: int) -> Array:
        return np.prod(
            np.broadcast_arrays(
                *(v for index, v in enumerate(values) if index != place)
            ),
            axis=0,
        )

    return np.prod(np.broadcast_arrays(*values), axis=0), lambda d: [
        d * others(place) for place in range(len(values))
    ]


def ave(values: Sequence[Array]) -> tuple[Array, Back]:
    """The mean, element by element."""
    return sum(values[1:], values[0]) / len(
        values
    ), lambda d: [d / len(values)] * len(values)


def max_(values: Sequence[Array]) -> tuple[Array, Back]:
    """The largest, two by two from the left; of two that are equal the first has the gradient, as in 2015."""
    if len(values) == 1:
        return values[0], lambda d: [d]
    before, back = max_(values[:-1])
    last = values[-1]
    largest = np.where(last > before, last, before)
    return largest, lambda d: [*back(d * (before == largest)), d * (before != largest)]


def dot(values: Sequence[Array]) -> tuple[Array, Back]:
    """The inner product of two, row by row: ``(batch, 1)``."""
    left, right = values
    return (left * right).sum(axis=-1, keepdims=True), lambda d: [d * right, d * left]


MERGES = {
    "concat": concat,
    "sum": sum_,
    "mul": mul,
    "ave": ave,
    "max": max_,
    "dot": dot,
}
"""Every merge mode by name."""

OF_ONE_SHAPE = ("sum", "ave", "max")
"""The modes whose values all have one shape, so that one value is enough to find the shape."""


def finds_shape(mode: str, known: Sequence[Array]) -> bool:
    """True if some ``known`` values are enough to find the shape of a merge of these and others."""
    if mode == "mul":
        # One value a row multiplies rows of any size.
        return any(value.shape[-1] > 1 for value in known)
    return mode in OF_ONE_SHAPE


def merge(values: Sequence[Array], mode: str, dtype: np.dtype) -> tuple[Array, Back]:
    """``values`` merged by ``mode``, and the way back; a single one is passed on. All are ``dtype`` where they differ.

    Raises:
        MergeError: for an unknown mode.

    >>> value, back = merge([np.ones((3, 4)), np.ones((3, 6))], "concat", np.dtype("float64"))
    >>> value.shape, [d.shape for d in back(value)]
    ((3, 10), [(3, 4), (3, 6)])
    """
    if mode not in MERGES:
        raise MergeError.about(
            "merge",
            str(mode),
            takes="a known mode",
            because="its formula is looked up",
            got=repr(mode),
            do=suggest(str(mode), MERGES),
        )
    if len(values) == 1:
        return values[0], lambda d: [d]
    alike = (
        values
        if len({value.dtype for value in values}) == 1
        else [value.astype(dtype) for value in values]
    )
    merged, back = MERGES[mode](alike)
    return merged, lambda d: [
        like(part, value) if is_float(value) else None
        for part, value in zip(back(d), values, strict=True)
    ]
