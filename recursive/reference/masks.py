"""Masks: which entries along the leading axes of a value are unmasked.

A mask is a bool array: ``(batch, time)`` for a sequence, ``(batch, sentence, word)``
for documents. None means that every entry is unmasked. A mask has at least two axes: a
value of ``(batch, dim)`` has none.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from recursive.reference.arrays import Array, is_float, present


def joined(masks: Iterable[Array | None]) -> Array | None:
    """The AND of all masks, aligned at their first axes; None if there is no mask.

    >>> sentences = np.array([[True, False]])
    >>> words = np.array([[[True, False], [True, True]]])
    >>> joined([sentences, None, words]).tolist()
    [[[True, False], [False, False]]]
    """
    masks = [np.asarray(mask) != 0 for mask in present(masks)]
    if not masks:
        return None
    axes = max(mask.ndim for mask in masks)
    # A mask of sentences masks all words of a sentence.
    deep = [expanded(mask, axes) for mask in masks]
    return np.logical_and.reduce(np.broadcast_arrays(*deep))


def created(mask: Array) -> Array | None:
    """The mask that a layer creates; None for one entry per row, which has no steps.

    >>> created(np.array([True, False])) is None
    True
    """
    return mask if mask.ndim > 1 else None


def as_value(x: Array, mask: Array | None) -> Array:
    """``mask`` over all leading axes of ``x``: without the last for floats, else all.

    >>> as_value(np.zeros((2, 3, 4)), None).shape
    (2, 3)
    >>> as_value(np.zeros((2, 3), int), None).shape
    (2, 3)
    """
    shape = x.shape[:-1] if is_float(x) else x.shape
    if mask is None:
        return np.ones(shape, bool)
    return np.array(np.broadcast_to(expanded(mask, len(shape)), shape))


def expanded(mask: Array, axes: int) -> Array:
    """``mask`` with axes of length 1 added at the end, ``axes`` in all."""
    return mask.reshape(mask.shape + (1,) * (axes - mask.ndim))
