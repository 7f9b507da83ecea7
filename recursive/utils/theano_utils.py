"""Shared variables and tensors of floatX.

Source: ``keras.utils.theano_utils`` of Keras 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable


def floatX(X: object) -> np.ndarray:  # noqa: N802 (the name of 2015)
    """``X`` as an array of floatX."""
    return np.asarray(X, dtype=pytensor.config.floatX)


def sharedX(  # noqa: N802 (the name of 2015)
    X: object, dtype: str | None = None, name: str | None = None
) -> SharedVariable:
    """``X`` as a shared variable of ``dtype``; None is floatX.

    >>> sharedX([[1, 2]], dtype="float32").get_value()
    array([[1., 2.]], dtype=float32)
    """
    value = np.asarray(X, dtype=dtype or pytensor.config.floatX)
    return pytensor.shared(value, name=name, shape=value.shape)


def shared_zeros(
    shape: int | Sequence[int], dtype: str | None = None, name: str | None = None
) -> SharedVariable:
    """A shared variable of zeros."""
    return sharedX(np.zeros(shape), dtype, name)


def shared_ones(
    shape: int | Sequence[int], dtype: str | None = None, name: str | None = None
) -> SharedVariable:
    """A shared variable of ones."""
    return sharedX(np.ones(shape), dtype, name)


def shared_scalar(
    val: float = 0.0, dtype: str | None = None, name: str | None = None
) -> SharedVariable:
    """A shared variable of one number."""
    return sharedX(val, dtype, name)


def alloc_zeros_matrix(*dims: int | TensorVariable) -> TensorVariable:
    """A tensor of zeros, of floatX; sizes may be symbolic.

    >>> alloc_zeros_matrix(2, 3).eval().shape
    (2, 3)
    """
    return pt.zeros(dims, dtype=pytensor.config.floatX)


def ndim_tensor(ndim: int) -> TensorVariable:
    """A symbolic input of ``ndim`` axes and floatX.

    2015 knew 1 to 4 axes and returned a matrix for any other number.

    >>> ndim_tensor(3).ndim
    3
    """
    return pt.TensorType(pytensor.config.floatX, shape=(None,) * ndim)()
