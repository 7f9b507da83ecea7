"""Several tensors made one: the merge modes of nodes and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add, mul

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend import floatX


def merge(tensors: Sequence[TensorVariable], mode: str) -> TensorVariable:
    """``tensors`` merged by ``mode``; a single one is passed on as it is.

    >>> import numpy as np
    >>> merge([pt.constant(np.ones((3, 4))), pt.constant(np.ones((3, 6)))], "concat").type.shape
    (3, 10)
    """
    return tensors[0] if len(tensors) == 1 else MERGES[mode](_of_one_dtype(tensors))


def _of_one_dtype(tensors: Sequence[TensorVariable]) -> Sequence[TensorVariable]:
    """All in floatX where they differ: float32 and int32 would make float64, which a loop of float32 refuses."""
    if len({tensor.dtype for tensor in tensors}) == 1:
        return tensors
    return [tensor.astype(floatX()) for tensor in tensors]


def concat(tensors: Sequence[TensorVariable]) -> TensorVariable:
    """Side by side along the last axis."""
    return pt.concatenate(tensors, axis=-1)


def ave(tensors: Sequence[TensorVariable]) -> TensorVariable:
    """The mean, element by element."""
    return reduce(add, tensors) / len(tensors)


def dot(tensors: Sequence[TensorVariable]) -> TensorVariable:
    """The inner product of two, row by row: ``(batch, 1)``."""
    left, right = tensors
    return (left * right).sum(axis=-1, keepdims=True)


MERGES = {
    "concat": concat,
    "sum": lambda tensors: reduce(add, tensors),
    "mul": lambda tensors: reduce(mul, tensors),
    "ave": ave,
    "max": lambda tensors: reduce(pt.maximum, tensors),
    "dot": dot,
}
"""Every merge mode by name, but for ``join``, which merges nothing: it hands values over by name."""
