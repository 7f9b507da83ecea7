"""The three functions of a model, as tensors: what it predicts, how far off that is, and one step that mends it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import registry
from recursive.backend import Build, floatX
from recursive.errors import ConfigError
from recursive.layers.graph import Graph
from recursive.layers.layer import Layer
from recursive.layers.own import check_width
from recursive.objectives import weighted_objective
from recursive.optimizers import Optimizer
from recursive.regularizers import watching

Objective = Callable[[TensorVariable, TensorVariable], TensorVariable]

ACCURACIES: dict[str, Objective] = {
    "categorical": lambda y_true, y_pred: pt.eq(
        y_true.argmax(axis=-1), y_pred.argmax(axis=-1)
    ).mean(),
    "binary": lambda y_true, y_pred: pt.eq(y_true, pt.round(y_pred)).mean(),
}
"""The share of right answers, by class mode."""


def predictor(container: Layer) -> Build:
    """From inputs to outputs."""

    def build(inputs: list[TensorVariable]):
        predicted, _ = _outputs(container, inputs, train=False)
        return list(predicted.values()), []

    return build


def tester(container: Layer, losses: Mapping[str, Objective], class_mode: str) -> Build:
    """From inputs and targets, and weights where they are given, to the loss and the accuracy."""

    def build(inputs: list[TensorVariable]):
        return _scores(container, inputs, losses, class_mode, train=False), []

    return build


def trainer(
    container: Layer,
    losses: Mapping[str, Objective],
    class_mode: str,
    optimizer: Optimizer,
) -> Build:
    """As :func:`tester`, with one step of the optimizer as updates."""

    def build(inputs: list[TensorVariable]):
        with watching():
            scores = _scores(container, inputs, losses, class_mode, train=True)
            params, regularizers, constraints, updates = container.get_params()
            loss = scores[0]
            for regularizer in regularizers:
                loss = regularizer(loss)
        return scores, [*optimizer.get_updates(params, constraints, loss), *updates]

    return build


def _outputs(
    container: Layer, inputs: list[TensorVariable], train: bool
) -> tuple[dict[str, TensorVariable], dict[str, TensorVariable]]:
    """Every output by name, and the masks of those that have one.

    Inputs that follow those of the container are targets and weights, and left alone.
    """
    own = inputs[: len(container.arguments())]
    x = own[0] if len(own) == 1 else own
    if isinstance(container, Graph):
        return container.with_masks(x, train)
    found, mask = container.with_mask(x, train)
    found = found if isinstance(found, Mapping) else {container.output_names[0]: found}
    return found, {} if mask is None else {
        name: mask for name, value in found.items() if value.ndim > mask.ndim
    }


def _scores(
    container: Layer,
    inputs: list[TensorVariable],
    losses: Mapping[str, Objective],
    class_mode: str,
    train: bool,
) -> list[TensorVariable]:
    """The sum of the mean losses of all outputs, and the mean accuracy over them, in which weights do not count."""
    predicted, masks = _outputs(container, inputs, train)
    rest = inputs[len(container.arguments()) :]
    targets = dict(zip(predicted, rest, strict=False))
    weights = dict(zip(predicted, rest[len(predicted) :], strict=False))
    loss = sum(
        _mean(
            losses[name],
            targets[name],
            predicted[name],
            masked_weights(weights.get(name), masks.get(name)),
        )
        for name in predicted
    )
    accuracies = [
        ACCURACIES[class_mode](targets[name], predicted[name]) for name in predicted
    ]
    return [loss, sum(accuracies) / len(accuracies)]


def masked_weights(
    weights: TensorVariable | None, mask: TensorVariable | None
) -> TensorVariable | None:
    """Weights of ``(batch, time, 1)`` in which the steps that ``mask`` takes out count nothing; None are ones.

    Keras 0.1 took masked steps out of the divisor only, so that what stood there had a share in the loss.
    """
    if mask is None:
        return weights
    counts = mask.astype(floatX())[..., None]
    return counts if weights is None else weights * counts


def _mean(
    objective: Objective,
    y_true: TensorVariable,
    y_pred: TensorVariable,
    weights: TensorVariable | None,
) -> TensorVariable:
    @functools.wraps(objective)
    def checked(y_true: TensorVariable, y_pred: TensorVariable) -> TensorVariable:
        found = objective(y_true, y_pred)
        if not isinstance(found, TensorVariable):
            raise ConfigError.about(
                "loss",
                registry.name_of(objective),
                takes="a function that returns a tensor",
                because="its gradient is what is learned from",
                got=type(found).__name__,
                do="End it with return, and a formula of PyTensor.",
            )
        check_width("loss", registry.name_of(objective), [y_true, y_pred], found)
        return found

    if weights is None:
        return checked(y_true, y_pred).mean()
    return weighted_objective(checked)(y_true, y_pred, weights)
