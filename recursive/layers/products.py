"""Products over the last axis, and floats of one dtype: used by many layers."""

from __future__ import annotations

from collections.abc import Sequence

import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import size, sizes

Rows = tuple[tuple[int, int], ...]
"""Spans of rows of a matrix, each ``(first, end)`` without the row ``end``."""


def select_rows(W: TensorVariable, rows: Rows | None) -> TensorVariable:
    """The rows of ``W`` in the spans ``rows``, stacked; all of them for None."""
    if rows is None:
        return W
    spans = [W[start:stop] for start, stop in rows]
    if len(spans) == 1:
        return spans[0]
    return pt.concatenate(spans, axis=0)


def side_by_side(parts: Sequence[TensorVariable]) -> TensorVariable:
    """``parts`` concatenated along their last axis."""
    if len(parts) == 1:
        return parts[0]
    return pt.concatenate(parts, axis=-1)


def as_floats(x: TensorVariable) -> TensorVariable:
    """``x`` as floats: floats keep their dtype, integers and bools become floatX."""
    if x.dtype.startswith("float"):
        return x
    # PyTensor would upcast most integer dtypes to float64.
    return x.astype(backend.floatX())


def linear_map(x: TensorVariable, W: SharedVariable) -> TensorVariable:
    """``x @ W`` over the last axis of ``x``, which may have any number of axes."""
    x = as_floats(x)
    if x.ndim == 2:
        return x.dot(W)
    # One product of two matrices is faster than a batch of small ones.
    leading = sizes(x)[:-1]
    rows = x.reshape((-1, size(W, 0)))
    return rows.dot(W).reshape((*leading, size(W, 1)))


def affine_map(
    x: TensorVariable, W: TensorVariable, b: TensorVariable | None
) -> TensorVariable:
    """``x @ W + b``, or ``x @ W`` if ``b`` is None."""
    product = linear_map(x, W)
    return product if b is None else product + b
