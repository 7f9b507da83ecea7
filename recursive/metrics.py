"""Metrics, which are reported next to the loss and are not minimized.

A metric is a function ``(y_true, y_pred)`` with one value per row, ``(batch,)``, or per
step, ``(batch, time)``. The model averages these values over all batches. Masked steps
and rows of weight 0 do not count. Targets that are class numbers reach a metric as
one-hot vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import objectives
from recursive.backend import floatX
from recursive.backend.sizes import size
from recursive.errors import ConfigError
from recursive.objectives import Objective
from recursive.utils import registry
from recursive.utils.arguments import count


@dataclass(frozen=True)
class Metric:
    """A number that is reported.

    Args:
        name: the name under which it is reported.
        function: the value of each row or step, from ``(y_true, y_pred)``.
        finish: a function of the mean over all rows, such as ``exp``; None reports the
            mean itself.
    """

    name: str
    function: Objective
    finish: Callable[[float], float] | None = None

    def finished(self, mean: float) -> float:
        """The number to report for this mean over all rows."""
        return mean if self.finish is None else float(self.finish(mean))


def categorical_accuracy(
    y_true: TensorVariable, y_pred: TensorVariable
) -> TensorVariable:
    """1 where the largest value is that of the true class, otherwise 0."""
    return pt.eq(y_true.argmax(axis=-1), y_pred.argmax(axis=-1)).astype(floatX())


def binary_accuracy(y_true: TensorVariable, y_pred: TensorVariable) -> TensorVariable:
    """The share of values that round to the target."""
    is_right = pt.eq(y_true, pt.round(y_pred))
    return is_right.astype(floatX()).mean(axis=-1)


def top_k_categorical_accuracy(
    y_true: TensorVariable, y_pred: TensorVariable, k: int = 5
) -> TensorVariable:
    """1 where the true class is among the ``k`` largest values, otherwise 0."""
    true_value = (y_true * y_pred).sum(axis=-1, keepdims=True)
    # The first of equal values counts as the largest, as in ``argmax``.
    is_earlier = 1 - pt.cumsum(y_true, axis=-1)
    ahead = pt.gt(y_pred, true_value) + pt.eq(y_pred, true_value) * is_earlier
    return pt.lt(ahead.sum(axis=-1), k).astype(floatX())


def top_k(k: int) -> Metric:
    """The accuracy among the ``k`` largest values, reported as ``top_3`` for 3.

    Raises:
        ConfigError: for anything but an integer of 1 or more.

    >>> top_k(3).name
    'top_3'
    """
    function = partial(top_k_categorical_accuracy, k=count("k", k))
    return Metric(f"top_{k}", function)


def _accuracy(
    y_true: TensorVariable, y_pred: TensorVariable, of_columns: Objective
) -> TensorVariable:
    # The largest value of one column is always the first, so one column is rounded.
    is_one_column = size(y_true, -1) == 1
    compare = binary_accuracy if is_one_column else of_columns
    return compare(y_true, y_pred)


ACCURACY = "acc"
"""The name under which the accuracy of the class mode is reported."""

ACCURACIES = {
    "categorical": Metric(
        ACCURACY, partial(_accuracy, of_columns=categorical_accuracy)
    ),
    "binary": Metric(ACCURACY, binary_accuracy),
}
"""The accuracy by class mode."""


def _named() -> dict[str, Metric]:
    functions = dict(objectives.OBJECTIVES)
    for function in (categorical_accuracy, binary_accuracy, top_k_categorical_accuracy):
        functions[function.__name__] = function
    # Class numbers reach a metric as one-hot vectors, so both forms have one function.
    functions["sparse_categorical_accuracy"] = categorical_accuracy
    functions["sparse_categorical_crossentropy"] = objectives.categorical_crossentropy
    metrics = {name: Metric(name, function) for name, function in functions.items()}
    metrics["perplexity"] = Metric(
        "perplexity", objectives.categorical_crossentropy, np.exp
    )
    return metrics


METRICS: dict[str, Metric] = _named()
"""The metrics by name.

``perplexity`` is ``exp`` of the mean cross-entropy: 1 for predictions that are certain
and right, n for a uniform guess among n classes.
"""


OWN = {
    *objectives.OBJECTIVES.values(),
    *(metric.function for metric in (*METRICS.values(), *ACCURACIES.values())),
}
"""The functions of the library, whose values are known to be one per row."""


def get(identifier: object, class_mode: str = "categorical") -> Metric:
    """Return the metric for a name or a function.

    ``accuracy`` and ``acc`` are the accuracy of the class mode.

    Raises:
        UnknownNameError: for an unknown name, or anything else.

    >>> get("mae").name, get(lambda y_true, y_pred: y_pred.max(axis=-1)).name
    ('mae', '<lambda>')
    """
    if isinstance(identifier, Metric):
        return identifier
    if identifier in ("accuracy", ACCURACY):
        return ACCURACIES[class_mode]
    found = registry.lookup("metric", identifier, {**METRICS, "accuracy": None})
    return found if isinstance(found, Metric) else Metric(_name(found), found)


def _name(function: Callable) -> str:
    # A partial function has the name of the one that it calls.
    return registry.name_of(getattr(function, "func", function))


RESERVED = ("loss", "penalty")
"""The names of other numbers that are reported."""


def listed(given: object, class_mode: str) -> tuple[Metric, ...]:
    """The metrics of one output: names, functions or Metrics, or a single one.

    Raises:
        UnknownNameError: for an unknown name.
        ConfigError: for two metrics of one name.
    """
    is_list = isinstance(given, list | tuple)
    found = [get(item, class_mode) for item in (given if is_list else [given])]
    names = [metric.name for metric in found]
    for name in names:
        if names.count(name) > 1 or name in RESERVED:
            raise ConfigError.about(
                "metric",
                name,
                takes="a name that nothing else is reported under",
                got="one that is taken",
                do="Name it: Metric('mine', function), from recursive.metrics.",
            )
    return tuple(found)
