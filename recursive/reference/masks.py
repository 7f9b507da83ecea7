"""Masks: which entries along the leading axes of a value are data.

A mask is an array of bool, ``(batch, time)`` for a sequence and ``(batch, sentence, word)`` for documents. None means
that all entries are data. A mask has two axes at least: a value ``(batch, dim)`` has none.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from recursive.reference.arrays import Array, is_float


def joined(masks: Iterable[Array | None]) -> Array | None:
    """The AND of all masks that are there, aligned at their first axes; None where none is.

    >>> sentences = np.array([[True, False]])
    >>> words = np.array([[[True, False], [True, True]]])
    >>> joined([sentences, None, words]).tolist()
    [[[True, False], [False, False]]]
    """
    present = [np.asarray(mask) != 0 for mask in masks if mask is not None]
    if not present:
        return None
    axes = max(mask.ndim for mask in present)
    deep = [_with_axes(mask, axes) for mask in present]
    return np.logical_and.reduce(np.broadcast_arrays(*deep))


def made(mask: Array) -> Array | None:
    """The mask that a layer makes; None for one entry a row, which is no sequence.

    >>> made(np.array([True, False])) is None
    True
    """
    return mask if mask.ndim > 1 else None


def as_value(x: Array, mask: Array | None) -> Array:
    """``mask`` over all leading axes of ``x``: all but the last of floats, every axis of anything else.

    >>> as_value(np.zeros((2, 3, 4)), None).shape, as_value(np.zeros((2, 3), int), None).shape
    ((2, 3), (2, 3))
    """
    shape = x.shape[:-1] if is_float(x) else x.shape
    if mask is None:
        return np.ones(shape, bool)
    return np.array(np.broadcast_to(_with_axes(mask, len(shape)), shape))


def _with_axes(mask: Array, axes: int) -> Array:
    """``mask`` with axes of length 1 behind its own."""
    return mask.reshape(mask.shape + (1,) * (axes - mask.ndim))
