"""The activations of Keras 0.1. Each returns its value and its backward function.

At kinks the gradients are those of 2015: 0.5 at 0 for ``relu``, 0.2 at both ends of
``hard_sigmoid``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recursive.reference.arrays import Array
from recursive.reference.table import look_up

Back = Callable[[Array], Array]
Activation = Callable[[Array], tuple[Array, Back]]


def linear(x):
    """``y = x``; ``dx = dy``."""
    return x, lambda dy: dy


def tanh(x):
    """The hyperbolic tangent; ``dx = dy (1 - y**2)``."""
    y = np.tanh(x)
    return y, lambda dy: dy * (1 - y**2)


def sigmoid(x):
    """``y = 1 / (1 + exp(-x))``; ``dx = dy y (1 - y)``."""
    # exp(-|x|) cannot overflow: for x < 0 this is exp(x) / (1 + exp(x)).
    small = np.exp(np.where(x.real < 0, x, -x))
    y = np.where(x.real < 0, small, 1) / (1 + small)
    return y, lambda dy: dy * y * (1 - y)


def hard_sigmoid(x):
    """``y = 0.2 x + 0.5`` clipped to [0, 1]; ``dx = 0.2 dy`` from end to end."""
    line = 0.2 * x + 0.5
    inside = (line.real >= 0) & (line.real <= 1)
    y = np.where(inside, line, line.real > 1)
    return y, lambda dy: 0.2 * dy * inside


def relu(x):
    """``y = max(x, 0)``; ``dx = dy (1 + sign(x)) / 2``.

    It was written ``(x + |x|) / 2`` in 2015: hence the gradient of 0.5 at 0.
    """
    y = np.where(x.real > 0, x, 0)
    return y, lambda dy: dy * (1 + np.sign(x.real)) / 2


def softplus(x):
    """``y = log(1 + exp(x))``; ``dx = dy sigmoid(x)``."""
    # log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)), which cannot overflow.
    positive = np.where(x.real > 0, x, 0)
    y = positive + np.log1p(np.exp(np.where(x.real > 0, -x, x)))
    return y, lambda dy: dy * sigmoid(x)[0]


def softmax(x):
    """``y = exp(x) / sum(exp(x))`` over the last axis; ``dx = y (dy - sum(dy y))``."""
    powers = np.exp(x - x.real.max(axis=-1, keepdims=True))
    y = powers / powers.sum(axis=-1, keepdims=True)
    return y, lambda dy: y * (dy - (dy * y).sum(axis=-1, keepdims=True))


ACTIVATIONS: dict[str, Activation] = {
    "linear": linear,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "relu": relu,
    "softplus": softplus,
    "softmax": softmax,
}
"""Every activation by name."""


def activate(name: object, x: Array) -> tuple[Array, Back]:
    """The activation called ``name`` of ``x``, and its backward function.

    Raises:
        UnknownNameError: for an unknown name, or a function, which no file can hold.

    >>> y, back = activate("relu", np.array([-1.0, 0.0, 2.0]))
    >>> y.tolist(), back(np.ones(3)).tolist()
    ([0.0, 0.0, 2.0], [0.0, 0.5, 1.0])
    """
    return look_up("activation", name, ACTIVATIONS)(x)
