"""The three functions of a model, as tensors: what it predicts, how far off that is, and one step that mends it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend import Build, floatX
from recursive.errors import ConfigError
from recursive.layers.checks import check_width
from recursive.layers.layer import Layer
from recursive.layers.learned import Frozen, collect
from recursive.loop.call import Call, Value
from recursive.objectives import weighted_objective
from recursive.optimizers import Optimizer
from recursive.utils import registry

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
        call = Call()
        predicted = _outputs(container, inputs, call)
        return [value.tensor for value in predicted.values()], call.updates

    return build


def tester(container: Layer, losses: Mapping[str, Objective], class_mode: str) -> Build:
    """From inputs and targets, and weights where they are given, to the loss and the accuracy."""

    def build(inputs: list[TensorVariable]):
        call = Call()
        return _scores(container, inputs, losses, class_mode, call), call.updates

    return build


def trainer(
    container: Layer,
    losses: Mapping[str, Objective],
    class_mode: str,
    optimizer: Optimizer,
    frozen: Mapping[Layer, Frozen] | None = None,
) -> Build:
    """As :func:`tester`, with one step of the optimizer as updates; what is ``frozen`` is not learned."""

    def build(inputs: list[TensorVariable]):
        call = Call(train=True)
        scores = _scores(container, inputs, losses, class_mode, call)
        learned = collect(container, frozen)
        loss = scores[0]
        for regularizer in learned.regularizers:
            if not hasattr(
                regularizer, "layer"
            ):  # one of a layer's output is a penalty of the call
                loss = regularizer(loss)
        for term in call.penalties:
            loss = loss + term
        steps = optimizer.get_updates(learned.params, learned.constraints, loss)
        return scores, [*steps, *call.updates, *learned.updates]

    return build


def _outputs(
    container: Layer, inputs: list[TensorVariable], call: Call
) -> dict[str, Value]:
    """Every output by name.

    Inputs that follow those of the container are targets and weights, and left alone.
    """
    names = [argument.name for argument in container.arguments()]
    tensors = dict(zip(names, inputs, strict=False))
    return container.apply(container.as_inputs(tensors), call)


def _scores(
    container: Layer,
    inputs: list[TensorVariable],
    losses: Mapping[str, Objective],
    class_mode: str,
    call: Call,
) -> list[TensorVariable]:
    """The sum of the mean losses of all outputs, and the mean accuracy over them, in which weights do not count."""
    predicted = _outputs(container, inputs, call)
    rest = inputs[len(container.arguments()) :]
    targets = dict(zip(predicted, rest, strict=False))
    weights = dict(zip(predicted, rest[len(predicted) :], strict=False))
    losses_of_outputs, accuracies = [], []
    for name, value in predicted.items():
        counts = masked_weights(weights.get(name), value.mask)
        y_true, y_pred = targets[name], value.tensor
        losses_of_outputs.append(_mean(losses[name], y_true, y_pred, counts))
        accuracies.append(ACCURACIES[class_mode](y_true, y_pred))
    return [sum(losses_of_outputs), sum(accuracies) / len(accuracies)]


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
