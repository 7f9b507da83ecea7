"""Values of a step as C code sees them: a pointer, strides and sizes.

Each thread computes a block of rows at a time. In the C code ``base`` points to the
first row of the block, and the value at position ``(i, j)`` of row ``r`` is::

    base[r * row + i * strides[0] + j * strides[1]]

Sizes and strides are numbers where they are known while the code is written, which lets
the compiler unroll and vectorize; else they are names of C variables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

Number = int | str
"""A number, or the C expression of one."""


def times(first: Number, second: Number) -> Number:
    """The product of two numbers.

    >>> times(2, 3), times(1, "n4"), times(2, "n4")
    (6, 'n4', '(2 * n4)')
    """
    if isinstance(first, int) and isinstance(second, int):
        return first * second
    if 0 in (first, second):
        return 0
    if first == 1:
        return second
    if second == 1:
        return first
    return f"({first} * {second})"


def plus(first: Number, second: Number) -> Number:
    """The sum of two numbers."""
    if isinstance(first, int) and isinstance(second, int):
        return first + second
    if first == 0:
        return second
    if second == 0:
        return first
    return f"({first} + {second})"


def product(numbers: Iterable[Number]) -> Number:
    """The product of numbers; 1 if there are none."""
    total: Number = 1
    for number in numbers:
        total = times(total, number)
    return total


def contiguous_strides(shape: Sequence[Number]) -> tuple[Number, ...]:
    """The strides of an array without gaps.

    >>> contiguous_strides((2, 3, 4))
    (12, 4, 1)
    """
    strides: list[Number] = []
    step: Number = 1
    for size in reversed(shape):
        strides.append(step)
        step = times(size, step)
    return tuple(reversed(strides))


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a step in C.

    Args:
        kind: the C type of its numbers, such as ``npy_float32``.
        base: the pointer to the first row of the block; a C expression of a number if
            ``is_number``.
        row: the distance from row to row, 0 for what is the same in all rows.
        shape: the size of each axis but the axis of rows.
        strides: the distance along each of these axes.
        is_number: True for a number that is the same in all rows.
    """

    kind: str
    base: str
    row: Number = 0
    shape: tuple[Number, ...] = ()
    strides: tuple[Number, ...] = ()
    is_number: bool = False

    @property
    def is_contiguous(self) -> bool:
        """True if the values of one row have no gaps between them."""
        wanted = contiguous_strides(self.shape)
        for size, stride, expected in zip(
            self.shape, self.strides, wanted, strict=True
        ):
            if size != 1 and stride != expected:
                return False
        return True

    def moved(self, offset: Number) -> Value:
        """The same value, starting ``offset`` numbers later."""
        if offset == 0:
            return self
        return replace(self, base=f"({self.base} + {offset})")
