"""Sizes of axes: integers where the type of a tensor has them, else symbols."""

from __future__ import annotations

from pytensor.tensor.variable import TensorVariable

Size = int | TensorVariable
"""An integer if the size is known, else a symbol."""


def size(x: TensorVariable, axis: int) -> Size:
    """The size of an axis: an integer if the type has it, else a symbol."""
    known = x.type.shape[axis]
    return x.shape[axis] if known is None else known


def sizes(x: TensorVariable, first: int = 0) -> list[Size]:
    """The size of every axis from the axis ``first`` on."""
    return [size(x, axis) for axis in range(first, x.ndim)]
