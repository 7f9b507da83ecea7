"""What training makes small: ``objective(y_true, y_pred)`` gives one value a row, the mean over the last axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend import floatX
from recursive.errors import ShapeError
from recursive.utils import registry


def epsilon() -> float:
    """What keeps logarithms and quotients finite: 1e-9 in float64, 1e-7 in float32."""
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
    return 100.0 * abs(
        (y_true - y_pred) / pt.clip(abs(y_true), epsilon(), pt.inf)
    ).mean(axis=-1)


def mean_squared_logarithmic_error(
    y_true: TensorVariable, y_pred: TensorVariable
) -> TensorVariable:
    """``mean((log(1 + y_pred) - log(1 + y_true))**2)``, negative values cut off."""
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
    """``-sum(y_true log y_pred)``, for rows of ``y_pred`` that are made to sum to 1."""
    clipped = pt.clip(y_pred, epsilon(), 1.0 - epsilon())
    return -(y_true * pt.log(clipped / clipped.sum(axis=-1, keepdims=True))).sum(
        axis=-1
    )


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
    """The mean of ``fn`` in which each row counts by its weight: ``sum(w fn(y_true, y_pred)) / sum(w)``.

    What comes out is a function of ``(y_true, y_pred, weights, mask=None)``. Weights are ``(batch, 1)``, for sequences
    ``(batch, time, 1)``. A row of weight 0 has no share in the value or the gradient, even where ``fn`` is not finite
    there. A ``mask`` of ``(batch, time)`` takes steps out of the divisor alone, as in Keras 0.1. Where all weights are
    0, the value is 0.

    Raises:
        ShapeError: where ``fn`` does not give one value a row.

    Source: ``keras.models.weighted_objective`` of Keras 0.1.

    >>> y_true, weights = pt.as_tensor_variable([[0.0], [0.0]]), pt.as_tensor_variable([[3.0], [1.0]])
    >>> weighted_objective(mean_squared_error)(y_true, pt.as_tensor_variable([[1.0], [2.0]]), weights).eval().item()
    1.75
    """

    def weighted(
        y_true: TensorVariable,
        y_pred: TensorVariable,
        weights: TensorVariable,
        mask: TensorVariable | None = None,
    ) -> TensorVariable:
        shares = weights[..., 0]
        counts = pt.neq(shares, 0)[..., np.newaxis]
        values = fn(
            pt.switch(counts, y_true, HARMLESS), pt.switch(counts, y_pred, HARMLESS)
        )
        if values.ndim != shares.ndim:
            raise ShapeError.about(
                "loss",
                registry.name_of(fn),
                takes="one value a row",
                because="each is multiplied by the weight of its row",
                got=f"{values.ndim} axes",
                do="Leave out the mean over rows, or the weights.",
            )
        total = (shares if mask is None else shares * mask).sum()
        return (shares * values).sum() / pt.switch(pt.eq(total, 0), 1.0, total)

    return weighted


HARMLESS = 0.5
"""What stands for targets and predictions of weight 0: every objective and its gradient are finite there."""

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
"""Every objective by name."""


def get(identifier: str | Callable) -> Callable:
    """The objective called ``identifier``, or the function itself.

    Raises:
        UnknownNameError: for an unknown name.
    """
    return registry.lookup("loss", identifier, OBJECTIVES)
