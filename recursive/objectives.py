"""Objectives, which training minimizes.

``objective(y_true, y_pred)`` returns one value per row, the mean over the last axis:
``(batch,)``, or ``(batch, time)`` for sequences.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend import floatX
from recursive.backend.sizes import size
from recursive.errors import ShapeError
from recursive.utils import registry

Objective = Callable[[TensorVariable, TensorVariable], TensorVariable]


def epsilon() -> float:
    """Return the bound that keeps logarithms finite: 1e-9, or 1e-7 in float32."""
    return 1.0e-9 if floatX() == "float64" else 1.0e-7


def mean_squared_error(
    y_true: TensorVariable, y_pred: TensorVariable
) -> TensorVariable:
    """``mean((y_pred - y_true)**2)``."""
    return pt.sqr(y_pred - y_true).mean(axis=-1)


def mean_absolute_error(
    y_true: TensorVariable, y_pred: TensorVariable
) -> TensorVariable:
    """``mean(|y_pred - y_true|)``."""
    return abs(y_pred - y_true).mean(axis=-1)


def mean_absolute_percentage_error(
    y_true: TensorVariable, y_pred: TensorVariable
) -> TensorVariable:
    """``100 mean(|y_true - y_pred| / |y_true|)``, in percent."""
    divisor = pt.clip(abs(y_true), epsilon(), pt.inf)
    return 100.0 * abs((y_true - y_pred) / divisor).mean(axis=-1)


def mean_squared_logarithmic_error(
    y_true: TensorVariable, y_pred: TensorVariable
) -> TensorVariable:
    """``mean((log(1 + y_pred) - log(1 + y_true))**2)``; negative values count as 0."""
    log_pred = pt.log(pt.clip(y_pred, epsilon(), pt.inf) + 1.0)
    log_true = pt.log(pt.clip(y_true, epsilon(), pt.inf) + 1.0)
    return pt.sqr(log_pred - log_true).mean(axis=-1)


def squared_hinge(y_true: TensorVariable, y_pred: TensorVariable) -> TensorVariable:
    """``mean(max(1 - y_true y_pred, 0)**2)``, for classes of -1 and 1."""
    return pt.sqr(pt.maximum(1.0 - y_true * y_pred, 0.0)).mean(axis=-1)


def hinge(y_true: TensorVariable, y_pred: TensorVariable) -> TensorVariable:
    """``mean(max(1 - y_true y_pred, 0))``, for classes of -1 and 1."""
    return pt.maximum(1.0 - y_true * y_pred, 0.0).mean(axis=-1)


def categorical_crossentropy(
    y_true: TensorVariable, y_pred: TensorVariable
) -> TensorVariable:
    """``-sum(y_true log y_pred)``; rows of ``y_pred`` are scaled to sum to 1."""
    # Clipped before scaling: a row of zeros becomes uniform, not 0 / 0.
    clipped = pt.clip(y_pred, epsilon(), 1.0 - epsilon())
    probabilities = clipped / clipped.sum(axis=-1, keepdims=True)
    return -(y_true * pt.log(probabilities)).sum(axis=-1)


def sparse_categorical_crossentropy(
    y_true: TensorVariable, y_pred: TensorVariable
) -> TensorVariable:
    """``-log y_pred[y_true]``: targets are class numbers instead of one-hot vectors.

    They are integers, ``(batch, 1)`` or ``(batch, time, 1)``. ``fit`` also takes them
    without the last axis.
    """
    return categorical_crossentropy(one_hot(y_true, y_pred), y_pred)


sparse_categorical_crossentropy.takes_class_numbers = True


def takes_class_numbers(objective: Callable) -> bool:
    """True if the targets of an objective are class numbers.

    A function says so by an attribute ``takes_class_numbers``.
    """
    return getattr(objective, "takes_class_numbers", False)


def one_hot(y_true: TensorVariable, y_pred: TensorVariable) -> TensorVariable:
    """Class numbers ``(..., 1)`` as one-hot vectors of the shape of ``y_pred``."""
    classes = size(y_pred, -1)
    numbers = np.arange(classes) if isinstance(classes, int) else pt.arange(classes)
    # A type may not know that the last axis is 1, and so would not broadcast it.
    return pt.eq(y_true[..., 0][..., np.newaxis], numbers).astype(y_pred.dtype)


def binary_crossentropy(
    y_true: TensorVariable, y_pred: TensorVariable
) -> TensorVariable:
    """``-mean(y_true log y_pred + (1 - y_true) log(1 - y_pred))``."""
    p = pt.clip(y_pred, epsilon(), 1.0 - epsilon())
    return -(y_true * pt.log(p) + (1.0 - y_true) * pt.log(1.0 - p)).mean(axis=-1)


def poisson_loss(y_true: TensorVariable, y_pred: TensorVariable) -> TensorVariable:
    """``mean(y_pred - y_true log y_pred)``."""
    return (y_pred - y_true * pt.log(y_pred + epsilon())).mean(axis=-1)


def weighted_objective(fn: Callable) -> Callable:
    """Return the weighted mean of ``fn``: ``sum(w fn(y_true, y_pred)) / sum(w)``.

    The result is a function of ``(y_true, y_pred, weights, mask=None)``. Weights are
    ``(batch, 1)``, for sequences ``(batch, time, 1)``. A row of weight 0 contributes to
    neither value nor gradient, even if ``fn`` is not finite there. If all weights are
    0, so is the value. A ``mask``, ``(batch, time)``, leaves steps out of the divisor
    only, as in Keras 0.1.

    Raises:
        ShapeError: if ``fn`` does not return one value per row.

    Source: ``keras.models.weighted_objective`` of Keras 0.1.

    >>> y_true = pt.as_tensor_variable([[0.0], [0.0]])
    >>> y_pred = pt.as_tensor_variable([[1.0], [2.0]])
    >>> weights = pt.as_tensor_variable([[3.0], [1.0]])
    >>> weighted_objective(mean_squared_error)(y_true, y_pred, weights).eval().item()
    1.75
    """

    def weighted(
        y_true: TensorVariable,
        y_pred: TensorVariable,
        weights: TensorVariable,
        mask: TensorVariable | None = None,
    ) -> TensorVariable:
        # In 2015 it took NumPy arrays too.
        y_true, y_pred = pt.as_tensor_variable(y_true), pt.as_tensor_variable(y_pred)
        row_weights = weights[..., 0]
        # 0 times infinity is NaN, in the value and in the gradient. So rows of weight 0
        # are replaced before ``fn``, not after.
        counts = pt.neq(row_weights, 0)[..., np.newaxis]
        is_class = y_true.dtype.startswith("int")
        safe_true = y_true if is_class else pt.switch(counts, y_true, HARMLESS)
        safe_pred = pt.switch(counts, y_pred, HARMLESS)
        values = fn(safe_true, safe_pred)
        if values.ndim != row_weights.ndim:
            raise ShapeError.about(
                "loss",
                registry.name_of(fn),
                takes="one value per row",
                because="each is multiplied by the weight of its row",
                got=f"{values.ndim} axes",
                do="Leave out the mean over rows, or the weights.",
            )
        total = (row_weights if mask is None else row_weights * mask).sum()
        divisor = pt.switch(pt.eq(total, 0), 1.0, total)
        return (row_weights * values).sum() / divisor

    return weighted


HARMLESS = 0.5
"""A target and prediction for which every objective and its gradient are finite."""

OBJECTIVES = {
    function.__name__: function
    for function in (
        mean_squared_error,
        mean_absolute_error,
        mean_absolute_percentage_error,
        mean_squared_logarithmic_error,
        squared_hinge,
        hinge,
        categorical_crossentropy,
        sparse_categorical_crossentropy,
        binary_crossentropy,
        poisson_loss,
    )
}
OBJECTIVES.update(
    mse=mean_squared_error,
    mae=mean_absolute_error,
    mape=mean_absolute_percentage_error,
    msle=mean_squared_logarithmic_error,
)
"""The objectives by name."""


def get(identifier: str | Callable) -> Callable:
    """Return the objective called ``identifier``, or the function itself.

    Raises:
        UnknownNameError: for an unknown name.
    """
    return registry.lookup("loss", identifier, OBJECTIVES)
