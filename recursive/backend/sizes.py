"""Sizes of axes: numbers where the type of a tensor tells them, else symbols."""

from __future__ import annotations

from pytensor.tensor.variable import TensorVariable

Size = int | TensorVariable
"""A number where it is known, else a symbol."""


def size(x: TensorVariable, axis: int) -> Size:
    """The size of an axis: a number where the type tells it, else a symbol."""
    known = x.type.shape[axis]
    return x.shape[axis] if known is None else known


def sizes(x: TensorVariable) -> list[Size]:
    """The size of every axis."""
    return [size(x, axis) for axis in range(x.ndim)]
