"""What many layers compute with: products over the last axis, and floats of one width."""

from __future__ import annotations

from collections.abc import Sequence

import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import size, sizes

Rows = tuple[tuple[int, int], ...]
"""Rows of weights, from the first to before the second, one span after another."""


def select_rows(W: TensorVariable, rows: Rows | None) -> TensorVariable:
    """The rows of ``W`` in ``rows``, one below the other; all of them for None."""
    if rows is None:
        return W
    spans = [W[start:stop] for start, stop in rows]
    return spans[0] if len(spans) == 1 else pt.concatenate(spans, axis=0)


def side_by_side(parts: Sequence[TensorVariable]) -> TensorVariable:
    """``parts`` joined along their last axis."""
    return parts[0] if len(parts) == 1 else pt.concatenate(parts, axis=-1)


def as_floats(x: TensorVariable) -> TensorVariable:
    """``x``, whole numbers and bools in floatX: PyTensor would make most of them float64."""
    return x if x.dtype.startswith("float") else x.astype(backend.floatX())


def linear_map(x: TensorVariable, W: SharedVariable) -> TensorVariable:
    """``x @ W`` over the last axis of ``x``, as one product of two matrices whatever the number of axes."""
    x = as_floats(x)
    if x.ndim == 2:
        return x.dot(W)
    leading = sizes(x)[:-1]
    return x.reshape((-1, size(W, 0))).dot(W).reshape((*leading, size(W, 1)))


def affine_map(
    x: TensorVariable, W: TensorVariable, b: TensorVariable | None
) -> TensorVariable:
    """``x @ W + b``, or without ``b``."""
    return linear_map(x, W) if b is None else linear_map(x, W) + b
