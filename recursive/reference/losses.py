"""The objectives of Keras 0.1: a value for each row, and how the gradient goes back to what was predicted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recursive.errors import UnknownNameError, suggest
from recursive.reference.arrays import Array
from recursive.reference.masks import as_value

Back = Callable[[Array], Array]
Found = tuple[Array, Back]


def epsilon(y: Array) -> float:
    """What keeps logarithms and quotients finite: 1e-7 in float32, else 1e-9."""
    return 1e-7 if y.dtype == np.float32 else 1e-9


def _mean(values: Array, derivative: Array) -> Found:
    """The mean of ``values`` over the last axis; ``derivative`` is that of each."""
    return values.mean(axis=-1), lambda d: d[..., None] * derivative / values.shape[-1]


def mean_squared_error(true: Array, y: Array) -> Found:
    """``mean((y - true)**2)``."""
    return _mean((y - true) ** 2, 2 * (y - true))


def mean_absolute_error(true: Array, y: Array) -> Found:
    """``mean(|y - true|)``, of gradient 0 where both are equal."""
    sign = np.sign((y - true).real)
    return _mean(sign * (y - true), sign)


def mean_absolute_percentage_error(true: Array, y: Array) -> Found:
    """``100 mean(|y - true| / |true|)``."""
    scale = 100 / np.maximum(np.abs(true), epsilon(y))
    sign = np.sign((y - true).real)
    return _mean(scale * sign * (y - true), scale * sign)


def mean_squared_logarithmic_error(true: Array, y: Array) -> Found:
    """``mean((log(1 + y) - log(1 + true))**2)``, what is below epsilon cut off."""
    kept = y.real >= epsilon(y)
    cut = np.where(kept, y, epsilon(y))
    difference = np.log(cut + 1) - np.log(np.maximum(true, epsilon(y)) + 1)
    return _mean(difference**2, kept * 2 * difference / (cut + 1))


def hinge(true: Array, y: Array) -> Found:
    """``mean(max(1 - true y, 0))``; where both are equal, the first has the gradient."""
    over = (1 - true * y).real >= 0
    return _mean(over * (1 - true * y), -(over * true))


def squared_hinge(true: Array, y: Array) -> Found:
    """``mean(max(1 - true y, 0)**2)``."""
    over = (1 - true * y) * ((1 - true * y).real >= 0)
    return _mean(over**2, -2 * over * true)


def categorical_crossentropy(true: Array, y: Array) -> Found:
    """``-sum(true log y)``, for rows of ``y`` that are cut to [epsilon, 1 - epsilon] and made to sum to 1."""
    small = epsilon(y)
    kept, cut = _cut(y, small)
    total = cut.sum(axis=-1, keepdims=True)
    values = -(true * np.log(cut / total)).sum(axis=-1)
    derivative = kept * (true.sum(axis=-1, keepdims=True) / total - true / cut)
    return values, lambda d: d[..., None] * derivative


def binary_crossentropy(true: Array, y: Array) -> Found:
    """``-mean(true log y + (1 - true) log(1 - y))``, for ``y`` cut to [epsilon, 1 - epsilon]."""
    kept, p = _cut(y, epsilon(y))
    return _mean(
        -(true * np.log(p) + (1 - true) * np.log(1 - p)),
        kept * ((1 - true) / (1 - p) - true / p),
    )


def poisson_loss(true: Array, y: Array) -> Found:
    """``mean(y - true log y)``."""
    return _mean(y - true * np.log(y + epsilon(y)), 1 - true / (y + epsilon(y)))


def _cut(y: Array, small: float) -> tuple[Array, Array]:
    """Where ``y`` is in [small, 1 - small], and ``y`` cut to it."""
    low, high = y.real < small, y.real > 1 - small
    return ~(low | high), np.where(
        low, y.dtype.type(small), np.where(high, y.dtype.type(1 - small), y)
    )


LOSSES = {
    function.__name__: function
    for function in (
        mean_squared_error,
        mean_absolute_error,
        mean_absolute_percentage_error,
        mean_squared_logarithmic_error,
        hinge,
        squared_hinge,
        categorical_crossentropy,
        binary_crossentropy,
        poisson_loss,
    )
}
LOSSES |= {
    "mse": mean_squared_error,
    "mae": mean_absolute_error,
    "mape": mean_absolute_percentage_error,
    "msle": mean_squared_logarithmic_error,
}
"""Every loss by name."""

HARMLESS = 0.5
"""What stands for targets and predictions of steps that are no data: every loss is finite there."""


def mean_loss(
    name: str, true: Array, y: Array, mask: Array | None = None
) -> tuple[float, Array]:
    """The mean loss over all rows, or over the steps that are data, and its gradient with respect to ``y``.

    Raises:
        UnknownNameError: for an unknown loss.

    >>> loss, d = mean_loss("mse", np.zeros((1, 2)), np.array([[1.0, 3.0]]))
    >>> float(loss), d.tolist()
    (5.0, [[1.0, 3.0]])
    """
    if name not in LOSSES:
        raise UnknownNameError.about(
            "loss",
            str(name),
            takes="a known name",
            because="its formula is looked up",
            got=repr(name),
            do=suggest(str(name), LOSSES),
        )
    counts = as_value(y, mask)
    here = counts[..., None]
    values, back = LOSSES[name](
        np.where(here, true, y.dtype.type(HARMLESS)),
        np.where(here, y, y.dtype.type(HARMLESS)),
    )
    shares = counts.astype(y.dtype) / max(counts.sum(), 1)
    return (shares * values).sum(), back(shares)
