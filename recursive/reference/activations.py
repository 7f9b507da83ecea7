"""The activations of Keras 0.1: each gives its value, and how the gradient goes back through it.

At kinks the gradients are those of 2015: 0.5 at 0 for ``relu``, 0.2 at both ends of ``hard_sigmoid``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recursive.errors import UnknownNameError, suggest
from recursive.reference.arrays import Array

Back = Callable[[Array], Array]


def linear(x: Array) -> tuple[Array, Back]:
    """``x`` itself."""
    return x, lambda d: d


def tanh(x: Array) -> tuple[Array, Back]:
    """The hyperbolic tangent, whose derivative is ``1 - y**2``."""
    y = np.tanh(x)
    return y, lambda d: d * (1 - y**2)


def sigmoid(x: Array) -> tuple[Array, Back]:
    """``1 / (1 + exp(-x))``, whose derivative is ``y (1 - y)``; written so that ``exp`` cannot overflow."""
    small = np.exp(np.where(x.real < 0, x, -x))
    y = np.where(x.real < 0, small, 1) / (1 + small)
    return y, lambda d: d * y * (1 - y)


def hard_sigmoid(x: Array) -> tuple[Array, Back]:
    """``0.2 x + 0.5`` cut to [0, 1]."""
    line = 0.2 * x + 0.5
    inside = (line.real >= 0) & (line.real <= 1)
    return np.where(inside, line, line.real > 1), lambda d: 0.2 * d * inside


def relu(x: Array) -> tuple[Array, Back]:
    """``max(x, 0)``, written ``(x + |x|) / 2`` in 2015: hence the gradient of 0.5 at 0."""
    return np.where(x.real > 0, x, 0), lambda d: d * (1 + np.sign(x.real)) / 2


def softplus(x: Array) -> tuple[Array, Back]:
    """``log(1 + exp(x))``, whose derivative is the sigmoid."""
    above = np.where(x.real > 0, x, 0)
    return above + np.log1p(
        np.exp(np.where(x.real > 0, -x, x))
    ), lambda d: d * sigmoid(x)[0]


def softmax(x: Array) -> tuple[Array, Back]:
    """``exp(x) / sum(exp(x))`` over the last axis."""
    powers = np.exp(x - x.real.max(axis=-1, keepdims=True))
    y = powers / powers.sum(axis=-1, keepdims=True)
    return y, lambda d: y * (d - (d * y).sum(axis=-1, keepdims=True))


ACTIVATIONS = {
    function.__name__: function
    for function in (linear, tanh, sigmoid, hard_sigmoid, relu, softplus, softmax)
}
"""Every activation by name."""


def activate(name: object, x: Array) -> tuple[Array, Back]:
    """The activation called ``name`` of ``x``, and the way back.

    Raises:
        UnknownNameError: for an unknown name, or a function, which no file can hold.

    >>> y, back = activate("relu", np.array([-1.0, 0.0, 2.0]))
    >>> y.tolist(), back(np.ones(3)).tolist()
    ([0.0, 0.0, 2.0], [0.0, 0.5, 1.0])
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise UnknownNameError.about(
            "activation",
            str(name),
            takes="a known name",
            because="its formula is looked up",
            got=repr(name),
            do=suggest(str(name), ACTIVATIONS),
        )
    return ACTIVATIONS[name](x)
