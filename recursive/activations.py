"""Activation functions of Keras 0.1: from a tensor to a tensor of the same shape.

At kinks their gradients are those of Keras 0.1: 0.5 at 0 for :func:`relu`, 0.2 at both
ends of :func:`hard_sigmoid`. This holds for the Python backend; a compiler may choose
the value of either side.
"""

from __future__ import annotations

from collections.abc import Callable

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.utils import registry


def softmax(x: TensorVariable) -> TensorVariable:
    """``exp(x) / sum(exp(x))`` over the last axis.

    ``x`` is ``(batch, dim)`` or ``(batch, time, dim)``.
    """
    return pt.special.softmax(x, axis=-1)


time_distributed_softmax = softmax
"""An older name of :func:`softmax`, which takes sequences too."""


def softplus(x: TensorVariable) -> TensorVariable:
    """``log(1 + exp(x))``."""
    return pt.softplus(x)


def relu(x: TensorVariable) -> TensorVariable:
    """``max(x, 0)``."""
    # Written so that the gradient at 0 is 0.5, as in Keras 0.1.
    return (x + abs(x)) / 2


def tanh(x: TensorVariable) -> TensorVariable:
    """The hyperbolic tangent."""
    return pt.tanh(x)


def sigmoid(x: TensorVariable) -> TensorVariable:
    """``1 / (1 + exp(-x))``."""
    return pt.sigmoid(x)


def hard_sigmoid(x: TensorVariable) -> TensorVariable:
    """``0.2 x + 0.5`` clipped to [0, 1]: a piecewise linear sigmoid."""
    return pt.clip(0.2 * x + 0.5, 0.0, 1.0)


def linear(x: TensorVariable) -> TensorVariable:
    """``x`` itself."""
    return x


ACTIVATIONS = {
    function.__name__: function
    for function in (softmax, softplus, relu, tanh, sigmoid, hard_sigmoid, linear)
}
"""Every activation by name."""
OLDER_NAMES = {"time_distributed_softmax": softmax}
"""Names that are read, but never written to a file."""


def get(identifier: str | Callable) -> Callable:
    """The activation called ``identifier``, or the function itself.

    Raises:
        UnknownNameError: for an unknown name.

    >>> get("tanh") is tanh
    True
    """
    return registry.lookup("activation", identifier, ACTIVATIONS | OLDER_NAMES)
