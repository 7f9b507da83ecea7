"""Merges of several tensors into one: a function for each merge mode.

The modes are declared in :mod:`recursive.spec.merging`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add, mul

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend import floatX

Tensors = Sequence[TensorVariable]


def merge(tensors: Tensors, mode: str) -> TensorVariable:
    """``tensors`` merged by ``mode``; a single tensor is returned as it is.

    >>> import numpy as np
    >>> left, right = pt.constant(np.ones((3, 4))), pt.constant(np.ones((3, 6)))
    >>> merge([left, right], "concat").type.shape
    (3, 10)
    """
    if len(tensors) == 1:
        return tensors[0]
    return MERGES[mode](_of_one_dtype(tensors))


def _of_one_dtype(tensors: Tensors) -> Tensors:
    """The tensors unchanged if they have one dtype, else all as floatX.

    PyTensor would merge float32 and int32 to float64, which a loop of float32 refuses.
    """
    if len({tensor.dtype for tensor in tensors}) == 1:
        return tensors
    return [tensor.astype(floatX()) for tensor in tensors]


def concat(tensors: Tensors) -> TensorVariable:
    """The tensors concatenated along the last axis."""
    return pt.concatenate(tensors, axis=-1)


def sum_(tensors: Tensors) -> TensorVariable:
    """The sum, element by element."""
    return reduce(add, tensors)


def mul_(tensors: Tensors) -> TensorVariable:
    """The product, element by element; a tensor of dim 1 multiplies whole rows."""
    return reduce(mul, tensors)


def ave(tensors: Tensors) -> TensorVariable:
    """The mean, element by element."""
    return reduce(add, tensors) / len(tensors)


def max_(tensors: Tensors) -> TensorVariable:
    """The largest, element by element."""
    return reduce(pt.maximum, tensors)


def dot(tensors: Tensors) -> TensorVariable:
    """The inner product of two tensors, row by row: ``(batch, 1)``."""
    left, right = tensors
    return (left * right).sum(axis=-1, keepdims=True)


MERGES: dict[str, Callable[[Tensors], TensorVariable]] = {
    "concat": concat,
    "sum": sum_,
    "mul": mul_,
    "ave": ave,
    "max": max_,
    "dot": dot,
}
"""The function of each merge mode; ``join`` has none, since it merges nothing."""
