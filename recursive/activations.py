"""Activation functions of Keras 0.1: tensors in, tensors of the same shape out.

Their gradients at kinks are the originals': 0.5 at 0 for :func:`relu`, 0.2 at the ends of
:func:`hard_sigmoid`, in plain Python; compilers may choose the other side.
"""

from __future__ import annotations

from collections.abc import Callable

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.utils import registry


def softmax(x: TensorVariable) -> TensorVariable:
    """``exp(x) / sum(exp(x))`` over the last axis, of ``(batch, dim)`` or ``(batch, time, dim)``."""
    return pt.special.softmax(x, axis=-1)


def softplus(x: TensorVariable) -> TensorVariable:
    """``log(1 + exp(x))``."""
    return pt.softplus(x)


def relu(x: TensorVariable) -> TensorVariable:
    """``max(x, 0)``, written ``(x + |x|) / 2``, so that its gradient at 0 is 0.5 as in Keras 0.1."""
    return (x + abs(x)) / 2


def tanh(x: TensorVariable) -> TensorVariable:
    """The hyperbolic tangent."""
    return pt.tanh(x)


def sigmoid(x: TensorVariable) -> TensorVariable:
    """``1 / (1 + exp(-x))``."""
    return pt.sigmoid(x)


def hard_sigmoid(x: TensorVariable) -> TensorVariable:
    """``0.2 x + 0.5`` cut to [0, 1]: a sigmoid of straight lines."""
    return pt.clip(0.2 * x + 0.5, 0.0, 1.0)


def linear(x: TensorVariable) -> TensorVariable:
    """``x`` itself."""
    return x


ACTIVATIONS = {
    function.__name__: function
    for function in (softmax, softplus, relu, tanh, sigmoid, hard_sigmoid, linear)
}
"""Every activation by name."""


def get(identifier: str | Callable) -> Callable:
    """The activation called ``identifier``, or the function itself.

    Raises:
        UnknownNameError: for an unknown name.

    >>> get("tanh") is tanh
    True
    """
    return registry.lookup("activation", identifier, ACTIVATIONS)
