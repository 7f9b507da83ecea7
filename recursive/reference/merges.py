"""The merge modes of nodes and outputs: several values become one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from recursive.errors import MergeError
from recursive.reference.arrays import Array, is_float, unbroadcast
from recursive.reference.table import look_up

Back = Callable[[Array], list[Array]]
Merge = Callable[[Sequence[Array]], tuple[Array, Back]]


def concat(values):
    """Join along the last axis; each value gets its columns of ``dy``."""
    ends = np.cumsum([value.shape[-1] for value in values])[:-1]
    return np.concatenate(values, axis=-1), lambda dy: np.split(dy, ends, axis=-1)


def sum_(values):
    """``y = a + b + ...``; each gets ``dy``."""
    return sum(values[1:], values[0]), lambda dy: [dy] * len(values)


def mul(values):
    """``y = a b c ...``; ``da = dy b c ...``. Dim 1 multiplies whole rows."""

    def product(factors: Sequence[Array]) -> Array:
        return np.prod(np.broadcast_arrays(*factors), axis=0)

    def back(dy):
        found = []
        for index in range(len(values)):
            # Not y / value: a factor may be zero.
            others = [*values[:index], *values[index + 1 :]]
            found.append(dy * product(others))
        return found

    return product(values), back


def ave(values):
    """``y = (a + b + ...) / n``; each gets ``dy / n``."""
    n = len(values)
    return sum(values[1:], values[0]) / n, lambda dy: [dy / n] * n


def max_(values):
    """The maximum, pair by pair from the left.

    Of two equal values the first gets the gradient, as in 2015.
    """
    if len(values) == 1:
        return values[0], lambda dy: [dy]
    first, first_back = max_(values[:-1])
    last = values[-1]
    y = np.where(last > first, last, first)
    return y, lambda dy: [*first_back(dy * (first == y)), dy * (first != y)]


def dot(values):
    """``y = sum(a b)`` of each row, ``(batch, 1)``; ``da = dy b``, ``db = dy a``."""
    a, b = values
    return (a * b).sum(axis=-1, keepdims=True), lambda dy: [dy * b, dy * a]


MERGES: dict[str, Merge] = {
    "concat": concat,
    "sum": sum_,
    "mul": mul,
    "ave": ave,
    "max": max_,
    "dot": dot,
}
"""Every merge mode by name."""

OF_ONE_SHAPE = ("sum", "ave", "max")
"""The modes whose values all have one shape: one value is enough to find the shape."""


def finds_shape(mode: str, known: Sequence[Array]) -> bool:
    """True if some ``known`` values are enough to find the shape of a merge."""
    if mode == "mul":
        # A value of dim 1 multiplies rows of any dim.
        return any(value.shape[-1] > 1 for value in known)
    return mode in OF_ONE_SHAPE


def merge(values: Sequence[Array], mode: str, dtype: np.dtype) -> tuple[Array, Back]:
    """Merge ``values`` by ``mode``; return the result and its backward function.

    A single value is passed on. Values of different dtypes are cast to ``dtype``.

    Raises:
        MergeError: for an unknown mode.

    >>> a, b = np.ones((3, 4)), np.ones((3, 6))
    >>> value, back = merge([a, b], "concat", np.dtype("float64"))
    >>> value.shape, [d.shape for d in back(value)]
    ((3, 10), [(3, 4), (3, 6)])
    """
    merge_values = look_up("merge mode", mode, MERGES, MergeError)
    if len(values) == 1:
        return values[0], lambda dy: [dy]
    # Merging integers with floats gives floats; integers alone stay integers.
    alike = values
    if len({value.dtype for value in values}) > 1:
        alike = [value.astype(dtype) for value in values]
    merged, merged_back = merge_values(alike)

    def back(dy):
        found = []
        for d, value in zip(merged_back(dy), values, strict=True):
            found.append(unbroadcast(d, value) if is_float(value) else None)
        return found

    return merged, back
