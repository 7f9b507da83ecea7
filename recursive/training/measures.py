"""What a model measures on each batch: the loss, the accuracy and metrics of outputs.

``compile`` fixes the measures. A program returns each of them as a mean, together with
what the mean was divided by (see :mod:`recursive.training.averages`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recursive import metrics, objectives
from recursive.errors import ConfigError, suggest
from recursive.metrics import ACCURACY, Metric
from recursive.objectives import Objective
from recursive.utils.arguments import is_finite

LOSS = "loss"
PENALTY = "penalty"
"""The sum of all penalties of regularizers."""


def number(measure: str, output: str) -> str:
    """The name of a number of one output; not an identifier, so nothing else has it."""
    return f"{measure} {output}"


@dataclass(frozen=True)
class Measures:
    """The losses and metrics of a model, each by output.

    Args:
        losses: the objective of each output that has a loss.
        loss_weights: the factor of each loss in the total.
        metrics: the metrics of each output. The accuracy is computed for all.
        accuracies: the outputs whose accuracy is among the metrics.
    """

    losses: Mapping[str, Objective]
    loss_weights: Mapping[str, float]
    metrics: Mapping[str, tuple[Metric, ...]]
    accuracies: tuple[str, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that have a loss, and so a target."""
        return tuple(self.losses)

    @property
    def numbers(self) -> list[str]:
        """The names of the numbers of a batch, in the order of a program's results."""
        names = []
        for output in self.outputs:
            names.append(number(LOSS, output))
            names += [number(metric.name, output) for metric in self.metrics[output]]
        return names


def of_model(
    loss: object,
    loss_weights: object,
    given_metrics: object,
    class_mode: str,
    outputs: Sequence[str],
) -> Measures:
    """The measures from the arguments of ``compile``.

    Raises:
        UnknownNameError: for an unknown loss or metric.
        ConfigError: for losses, weights or metrics that do not match the outputs.
    """
    losses = _losses(loss, outputs)
    trained = tuple(losses)
    by_output = _metrics(given_metrics, class_mode, trained)
    accuracies = []
    for output, found in by_output.items():
        if any(metric.name == ACCURACY for metric in found):
            accuracies.append(output)
        else:
            by_output[output] = (metrics.ACCURACIES[class_mode], *found)
    return Measures(
        losses, _loss_weights(loss_weights, trained), by_output, tuple(accuracies)
    )


def _losses(loss: object, outputs: Sequence[str]) -> dict[str, Objective]:
    """The objective of each output; an output whose loss is None has no target."""
    given = loss if isinstance(loss, Mapping) else dict.fromkeys(outputs[:1], loss)
    has_loss = any(value is not None for value in given.values())
    if set(given) != set(outputs) or not has_loss:
        raise ConfigError.about(
            "model",
            "compile",
            takes=f"a loss for each of the outputs {', '.join(outputs)}",
            got=repr(loss),
            do="Pass loss={'name': 'mse', ...}, and None for an output without one.",
        )
    losses = {}
    for name in outputs:
        if given[name] is not None:
            losses[name] = objectives.get(given[name])
    return losses


def _metrics(
    given: object, class_mode: str, outputs: Sequence[str]
) -> dict[str, tuple[Metric, ...]]:
    if given is None:
        return dict.fromkeys(outputs, ())
    if not isinstance(given, Mapping):
        found = metrics.listed(given, class_mode)
        return dict.fromkeys(outputs, found)
    check_outputs("metrics", given, outputs)
    by_output = {}
    for name in outputs:
        by_output[name] = metrics.listed(given.get(name, ()), class_mode)
    return by_output


def _loss_weights(given: object, outputs: Sequence[str]) -> dict[str, float]:
    """The factor of each loss: from a dict, a list in the order of outputs, or 1."""
    weights = dict.fromkeys(outputs, 1.0)
    if given is None:
        return weights
    if isinstance(given, list | tuple) and len(given) == len(outputs):
        given = dict(zip(outputs, given, strict=True))
    if not isinstance(given, Mapping):
        raise ConfigError.about(
            "argument",
            "loss_weights",
            takes=f"a dict by output, or a list of {len(outputs)} numbers",
            got=repr(given),
            do=f"Pass loss_weights={{{outputs[0]!r}: 0.5}}, for example.",
        )
    check_outputs("loss_weights", given, outputs)
    for name, value in given.items():
        if not is_finite(value) or value < 0:
            raise ConfigError.about(
                "loss_weights",
                name,
                takes="a finite number of 0 or more",
                got=repr(value),
                do="Pass 0.5, for example.",
            )
        weights[name] = float(value)
    return weights


def check_outputs(
    argument: str, given: Mapping[str, object], outputs: Sequence[str]
) -> None:
    """Raise a ConfigError if ``given`` names anything but an output with a loss."""
    for name in given:
        if name not in outputs:
            raise ConfigError.about(
                "argument",
                argument,
                takes=f"outputs with a loss: {', '.join(outputs)}",
                got=repr(name),
                do=suggest(str(name), outputs),
            )
