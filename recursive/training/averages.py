"""Means of losses and accuracies over batches.

A mean over batches is right only if each batch counts by what its own mean was divided
by: the number of rows and steps, or the sum of their weights. So a program returns each
number together with that divisor, and the means do not depend on how rows are divided
into batches. A batch in which all weights are 0 does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

PENALTY = "penalty"
"""The sum of all penalties of regularizers."""

Measured = Mapping[str, tuple[float, float]]
"""The numbers of a batch: means by name, each with its divisor.

The names are ``loss y`` and ``acc y`` for an output ``y``, and ``penalty``.
"""


def measured(
    numbers: Sequence[np.ndarray], outputs: Sequence[str], rows: int
) -> Measured:
    """The numbers of one batch by name, as a program returns them.

    Args:
        numbers: for each output its loss, the divisor, its accuracy, the divisor; then
            the penalty, if there is one.
        outputs: the names of the outputs.
        rows: the number of rows, which is the divisor of the penalty.

    >>> measured([1.5, 3, 0.5, 3, 0.25], ["y"], rows=3)
    {'loss y': (1.5, 3.0), 'acc y': (0.5, 3.0), 'penalty': (0.25, 3.0)}
    """
    values = [float(number) for number in numbers]
    found = {}
    for index, name in enumerate(outputs):
        loss, loss_divisor, accuracy, accuracy_divisor = values[
            4 * index : 4 * index + 4
        ]
        found[f"loss {name}"] = (loss, loss_divisor)
        found[f"acc {name}"] = (accuracy, accuracy_divisor)
    if len(values) > 4 * len(outputs):
        found[PENALTY] = (values[-1], float(rows))
    return found


class Averages:
    """The means over batches.

    Args:
        outputs: the names of the outputs.
        accuracy: True to report accuracies too.

    >>> averages = Averages(["y"], accuracy=False)
    >>> averages.add({"loss y": (1.0, 3.0), "acc y": (0.5, 3.0)})
    >>> averages.add({"loss y": (5.0, 1.0), "acc y": (0.5, 1.0)})
    >>> averages.values()
    {'loss': 2.0}
    """

    def __init__(self, outputs: Sequence[str], accuracy: bool):
        self.outputs = tuple(outputs)
        self.accuracy = accuracy
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

    def values(self) -> dict[str, float]:
        """The means as ``fit`` and ``evaluate`` report them.

        ``loss`` is the sum of the losses of all outputs and of the penalties. Models
        with several outputs report each loss as ``y_loss`` and each accuracy as
        ``y_acc``; ``acc`` is their mean.
        """
        losses = {name: self.mean(f"loss {name}") for name in self.outputs}
        found = {"loss": sum(losses.values())}
        if PENALTY in self._divisors:
            found["loss"] += self.mean(PENALTY)
            found[PENALTY] = self.mean(PENALTY)
        if len(losses) > 1:
            found |= {f"{name}_loss": loss for name, loss in losses.items()}
        if self.accuracy:
            found |= self._accuracies()
        return found

    def _accuracies(self) -> dict[str, float]:
        accuracies = {name: self.mean(f"acc {name}") for name in self.outputs}
        found = {"acc": sum(accuracies.values()) / len(accuracies)}
        if len(accuracies) > 1:
            found |= {f"{name}_acc": value for name, value in accuracies.items()}
        return found


def values_of(
    numbers: Measured, outputs: Sequence[str], accuracy: bool
) -> dict[str, float]:
    """The numbers of a single batch as ``train_on_batch`` reports them."""
    averages = Averages(outputs, accuracy)
    averages.add(numbers)
    return averages.values()


def combined(parts: Iterable[Measured]) -> Measured:
    """The numbers of several parts of a batch as those of one."""
    averages = Averages((), accuracy=False)
    for numbers in parts:
        averages.add(numbers)
    return averages.measured()
