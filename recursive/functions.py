"""The three functions of a model, as tensors: what it predicts, how far off that is, and one step that mends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend import Build
from recursive.layers.core import Layer
from recursive.optimizers import Optimizer

Objective = Callable[[TensorVariable, TensorVariable], TensorVariable]

ACCURACIES: dict[str, Objective] = {
    "categorical": lambda y_true, y_pred: pt.eq(y_true.argmax(axis=-1), y_pred.argmax(axis=-1)).mean(),
    "binary": lambda y_true, y_pred: pt.eq(y_true, pt.round(y_pred)).mean(),
}
"""The share of right answers, by class mode."""


def predictor(container: Layer) -> Build:
    """From inputs to outputs."""

    def build(inputs: list[TensorVariable]):
        return list(_outputs(container, inputs, train=False).values()), []

    return build


def tester(container: Layer, losses: Mapping[str, Objective], class_mode: str) -> Build:
    """From inputs and targets to the loss and the accuracy."""

    def build(inputs: list[TensorVariable]):
        return _scores(container, inputs, losses, class_mode, train=False), []

    return build


def trainer(container: Layer, losses: Mapping[str, Objective], class_mode: str, optimizer: Optimizer) -> Build:
    """From inputs and targets to the loss and the accuracy, with one step of the optimizer as updates."""

    def build(inputs: list[TensorVariable]):
        scores = _scores(container, inputs, losses, class_mode, train=True)
        params, regularizers, constraints, updates = container.get_params()
        loss = scores[0]
        for regularizer in regularizers:
            loss = regularizer(loss)
        return scores, [*optimizer.get_updates(params, constraints, loss), *updates]

    return build


def _outputs(container: Layer, inputs: list[TensorVariable], train: bool) -> dict[str, TensorVariable]:
    """Every output by name; inputs that follow those of the container are targets, and left alone."""
    own = inputs[:len(container.arguments())]
    found = container(own if len(own) > 1 else own[0], train=train)
    return found if isinstance(found, Mapping) else {container.output_names[0]: found}


def _scores(container: Layer, inputs: list[TensorVariable], losses: Mapping[str, Objective], class_mode: str,
            train: bool) -> list[TensorVariable]:
    """The sum of the mean losses of all outputs, and the mean accuracy over them."""
    predicted = _outputs(container, inputs, train)
    targets = dict(zip(predicted, inputs[len(container.arguments()):], strict=True))
    loss = sum(losses[name](targets[name], predicted[name]).mean() for name in predicted)
    accuracies = [ACCURACIES[class_mode](targets[name], predicted[name]) for name in predicted]
    return [loss, sum(accuracies) / len(accuracies)]
