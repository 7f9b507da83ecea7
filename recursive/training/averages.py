"""Means of losses and accuracies over batches.

A mean over batches is right only if each batch counts by what its own mean was divided
by: the number of rows and steps, or the sum of their weights. So a program returns each
number together with that divisor, and the means do not depend on how rows are divided
into batches. A batch in which all weights are 0 does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from recursive.metrics import ACCURACY
from recursive.training.measures import LOSS, PENALTY, Measures, number

Measured = Mapping[str, tuple[float, float]]
"""The numbers of a batch: means by name, each with its divisor.

The names are ``loss y`` and ``acc y`` for an output ``y``, and ``penalty``.
"""


def measured(
    numbers: Sequence[np.ndarray], names: Sequence[str], rows: int
) -> Measured:
    """The numbers of one batch by name, as a program returns them.

    Args:
        numbers: a mean and its divisor for each of ``names``; then the penalty, if
            there is one.
        names: the names of the numbers.
        rows: the number of rows, which is the divisor of the penalty.

    >>> measured([1.5, 3, 0.5, 3, 0.25], ["loss y", "acc y"], rows=3)
    {'loss y': (1.5, 3.0), 'acc y': (0.5, 3.0), 'penalty': (0.25, 3.0)}
    """
    values = [float(value) for value in numbers]
    found = {}
    for index, name in enumerate(names):
        found[name] = (values[2 * index], values[2 * index + 1])
    if len(values) > 2 * len(names):
        found[PENALTY] = (values[-1], float(rows))
    return found


class Totals:
    """Numbers of batches, added up.

    >>> totals = Totals()
    >>> totals.add({"loss y": (1.0, 3.0)})
    >>> totals.add({"loss y": (5.0, 1.0)})
    >>> totals.mean("loss y")
    2.0
    """

    def __init__(self):
        self._totals: dict[str, float] = {}
        self._divisors: dict[str, float] = {}

    def add(self, numbers: Measured) -> None:
        """Add the numbers of one batch."""
        for name, (mean, divisor) in numbers.items():
            # A divisor of 0 leaves a mean out, even one that is not finite.
            total = mean * divisor if divisor else 0.0
            self._totals[name] = self._totals.get(name, 0.0) + total
            self._divisors[name] = self._divisors.get(name, 0.0) + divisor

    def mean(self, name: str) -> float:
        """The mean of one number; 0 if nothing counts."""
        divisor = self._divisors.get(name, 0.0)
        return self._totals[name] / divisor if divisor else 0.0

    def measured(self) -> Measured:
        """All numbers as those of one batch."""
        return {
            name: (self.mean(name), divisor) for name, divisor in self._divisors.items()
        }


class Averages(Totals):
    """The means over batches, as ``fit`` and ``evaluate`` report them.

    Args:
        measures: what the model measures.
        accuracy: True to report accuracies even if they are not among the metrics.
    """

    def __init__(self, measures: Measures, accuracy: bool):
        super().__init__()
        self.measures = measures
        self.accuracies = measures.outputs if accuracy else measures.accuracies

    @classmethod
    def of_batch(
        cls, measures: Measures, accuracy: bool, numbers: Measured
    ) -> Averages:
        """The numbers of a single batch."""
        averages = cls(measures, accuracy)
        averages.add(numbers)
        return averages

    def values(self) -> dict[str, float]:
        """The numbers by the names under which they are reported.

        ``loss`` is the weighted sum of the losses of all outputs, plus the penalties.
        Models with several outputs report each loss as ``y_loss``, each metric as
        ``y_mae`` and each accuracy as ``y_acc``; ``acc`` is their mean.
        """
        losses = {name: self.mean(number(LOSS, name)) for name in self.measures.outputs}
        found = {LOSS: 0.0}
        for name, weight in self.measures.loss_weights.items():
            found[LOSS] += weight * losses[name]
        if PENALTY in self._divisors:
            found[LOSS] += self.mean(PENALTY)
            found[PENALTY] = self.mean(PENALTY)
        if len(losses) > 1:
            found |= {f"{name}_loss": loss for name, loss in losses.items()}
        return found | self._accuracies() | self._metrics()

    def _accuracies(self) -> dict[str, float]:
        if not self.accuracies:
            return {}
        values = {name: self.mean(number(ACCURACY, name)) for name in self.accuracies}
        found = {ACCURACY: sum(values.values()) / len(values)}
        if len(self.measures.outputs) > 1:
            found |= {f"{name}_{ACCURACY}": value for name, value in values.items()}
        return found

    def _metrics(self) -> dict[str, float]:
        found = {}
        outputs = self.measures.outputs
        for output in outputs:
            for metric in self.measures.metrics[output]:
                if metric.name == ACCURACY:
                    continue
                name = metric.name if len(outputs) == 1 else f"{output}_{metric.name}"
                mean = self.mean(number(metric.name, output))
                found[name] = metric.finished(mean)
        return found

    @property
    def names(self) -> list[str]:
        """The names of the numbers in ``result``."""
        accuracy = [ACCURACY] if self.accuracies else []
        return [LOSS, *accuracy, *self._metrics()]

    def result(self) -> float | tuple[float, ...]:
        """The loss; a tuple of it, the accuracy and the metrics if there are any."""
        values = self.values()
        numbers = [values[name] for name in self.names]
        return tuple(numbers) if len(numbers) > 1 else numbers[0]


def combined(parts: Iterable[Measured]) -> Measured:
    """The numbers of several parts of a batch as those of one."""
    totals = Totals()
    for numbers in parts:
        totals.add(numbers)
    return totals.measured()
