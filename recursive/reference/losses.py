"""The objectives of Keras 0.1: a value for each row, and its gradient.

``true`` is the target and ``y`` the prediction, ``(..., dim)``. A loss returns values
of ``(...)``, one per row, and the function from their gradients to that of ``y``. A
mean is over the last axis.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recursive.reference.arrays import Array
from recursive.reference.masks import as_value
from recursive.reference.table import look_up

Loss = Callable[[Array, Array], tuple[Array, Callable[[Array], Array]]]


def epsilon(y: Array) -> float:
    """A small number that keeps logarithms finite: 1e-7 in float32, else 1e-9."""
    return 1e-7 if y.dtype == np.float32 else 1e-9


def mean_of(values: Array, slopes: Array) -> tuple[Array, Callable[[Array], Array]]:
    """``mean(values)`` over the last axis; ``slopes`` are the derivatives of each."""
    dim = values.shape[-1]
    return values.mean(axis=-1), lambda d: d[..., None] * slopes / dim


def mean_squared_error(true, y):
    """``mean((y - true)**2)``."""
    return mean_of((y - true) ** 2, 2 * (y - true))


def mean_absolute_error(true, y):
    """``mean(|y - true|)``; the gradient is 0 where both are equal."""
    sign = np.sign((y - true).real)
    return mean_of(sign * (y - true), sign)


def mean_absolute_percentage_error(true, y):
    """``100 mean(|y - true| / |true|)``."""
    scale = 100 / np.maximum(np.abs(true), epsilon(y))
    sign = np.sign((y - true).real)
    return mean_of(scale * sign * (y - true), scale * sign)


def mean_squared_logarithmic_error(true, y):
    """``mean((log(1 + y) - log(1 + true))**2)``, both at least epsilon."""
    inside = y.real >= epsilon(y)
    clipped = np.where(inside, y, epsilon(y))
    difference = np.log(clipped + 1) - np.log(np.maximum(true, epsilon(y)) + 1)
    return mean_of(difference**2, inside * 2 * difference / (clipped + 1))


def hinge(true, y):
    """``mean(max(1 - true y, 0))``; at the kink the gradient is ``-true``."""
    over = (1 - true * y).real >= 0
    return mean_of(over * (1 - true * y), -(over * true))


def squared_hinge(true, y):
    """``mean(max(1 - true y, 0)**2)``."""
    over = (1 - true * y) * ((1 - true * y).real >= 0)
    return mean_of(over**2, -2 * over * true)


def categorical_crossentropy(true, y):
    """``-sum(true log(c / sum(c)))``, where ``c`` is ``y`` clipped."""
    inside, c = clip(y)
    total = c.sum(axis=-1, keepdims=True)
    values = -(true * np.log(c / total)).sum(axis=-1)
    slopes = inside * (true.sum(axis=-1, keepdims=True) / total - true / c)
    return values, lambda d: d[..., None] * slopes


def binary_crossentropy(true, y):
    """``-mean(true log c + (1 - true) log(1 - c))``, where ``c`` is ``y`` clipped."""
    inside, c = clip(y)
    values = -(true * np.log(c) + (1 - true) * np.log(1 - c))
    slopes = inside * ((1 - true) / (1 - c) - true / c)
    return mean_of(values, slopes)


def poisson_loss(true, y):
    """``mean(y - true log y)``."""
    return mean_of(y - true * np.log(y + epsilon(y)), 1 - true / (y + epsilon(y)))


def clip(y: Array) -> tuple[Array, Array]:
    """True where ``y`` is in [epsilon, 1 - epsilon], and ``y`` clipped to it."""
    small, large = y.dtype.type(epsilon(y)), y.dtype.type(1 - epsilon(y))
    is_low, is_high = y.real < epsilon(y), y.real > 1 - epsilon(y)
    clipped = np.where(is_low, small, np.where(is_high, large, y))
    return ~(is_low | is_high), clipped


LOSSES: dict[str, Loss] = {
    "mean_squared_error": mean_squared_error,
    "mean_absolute_error": mean_absolute_error,
    "mean_absolute_percentage_error": mean_absolute_percentage_error,
    "mean_squared_logarithmic_error": mean_squared_logarithmic_error,
    "hinge": hinge,
    "squared_hinge": squared_hinge,
    "categorical_crossentropy": categorical_crossentropy,
    "binary_crossentropy": binary_crossentropy,
    "poisson_loss": poisson_loss,
    "mse": mean_squared_error,
    "mae": mean_absolute_error,
    "mape": mean_absolute_percentage_error,
    "msle": mean_squared_logarithmic_error,
}
"""Every loss by name."""

HARMLESS = 0.5
"""The target and prediction of masked steps, where every loss is finite."""


def mean_loss(
    name: str, true: Array, y: Array, mask: Array | None = None
) -> tuple[float, Array]:
    """The mean loss over all unmasked rows, and its gradient with respect to ``y``.

    Raises:
        UnknownNameError: for an unknown loss.

    >>> loss, dy = mean_loss("mse", np.zeros((1, 2)), np.array([[1.0, 3.0]]))
    >>> float(loss), dy.tolist()
    (5.0, [[1.0, 3.0]])
    """
    loss = look_up("loss", name, LOSSES)
    valid = as_value(y, mask)
    filler = y.dtype.type(HARMLESS)
    # Whatever masked steps hold, inf too, must not reach the sum or the gradient.
    true = np.where(valid[..., None], true, filler)
    values, back = loss(true, np.where(valid[..., None], y, filler))
    weights = valid.astype(y.dtype) / max(valid.sum(), 1)
    return (weights * values).sum(), back(weights)
