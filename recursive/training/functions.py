"""The symbolic functions of a model: prediction, test and training step.

Each is built for a :class:`~recursive.backend.Program` that takes the inputs of the
container, then a target per output, then the weights of each target if there are any.

The loss that is reported is the sum of the mean losses of all outputs. The loss that is
differentiated adds the penalties of regularizers to it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import objectives
from recursive.backend import Build, floatX
from recursive.backend.sizes import size
from recursive.errors import ConfigError
from recursive.layers.checks import check_width
from recursive.layers.layer import Layer
from recursive.layers.learned import Frozen, collect
from recursive.loop.call import Call, Value
from recursive.objectives import weighted_objective
from recursive.optimizers import Optimizer
from recursive.utils import registry

Objective = Callable[[TensorVariable, TensorVariable], TensorVariable]


def _categorical_accuracy(
    y_true: TensorVariable, y_pred: TensorVariable
) -> TensorVariable:
    return pt.eq(y_true.argmax(axis=-1), y_pred.argmax(axis=-1)).astype(floatX())


def _binary_accuracy(y_true: TensorVariable, y_pred: TensorVariable) -> TensorVariable:
    return pt.eq(y_true, pt.round(y_pred)).mean(axis=-1)


ACCURACIES: dict[str, Objective] = {
    "categorical": _categorical_accuracy,
    "binary": _binary_accuracy,
}
"""The accuracy by class mode: 1 for a correct row or step, otherwise 0."""


def losses_by_output(loss: object, outputs: tuple[str, ...]) -> dict[str, Objective]:
    """The objective of each output, from the ``loss`` argument of ``compile``.

    Raises:
        UnknownNameError: for an unknown loss.
        ConfigError: unless there is one loss for each output.
    """
    given = loss if isinstance(loss, Mapping) else dict.fromkeys(outputs[:1], loss)
    if set(given) != set(outputs):
        raise ConfigError.about(
            "model",
            "compile",
            takes=f"a loss for each of the outputs {', '.join(outputs)}",
            got=repr(loss),
            do="Pass loss={'name': 'mse', ...}.",
        )
    return {name: objectives.get(given[name]) for name in outputs}


def predictor(container: Layer) -> Build:
    """Build the function from inputs to outputs."""

    def build(inputs: list[TensorVariable]):
        call = Call()
        predicted = _outputs(container, inputs, call)
        return [value.tensor for value in predicted.values()], call.updates

    return build


def tester(container: Layer, losses: Mapping[str, Objective], class_mode: str) -> Build:
    """Build the function from inputs, targets and weights to losses and accuracies.

    For each output it returns the mean loss and its divisor, the accuracy and its
    divisor (see :mod:`recursive.training.averages`).
    """

    def build(inputs: list[TensorVariable]):
        call = Call()
        scores = _scores(container, inputs, losses, class_mode, call)
        return [number for output in scores for number in output], call.updates

    return build


def trainer(
    container: Layer,
    losses: Mapping[str, Objective],
    class_mode: str,
    optimizer: Optimizer,
    frozen: Mapping[Layer, Frozen] | None = None,
) -> Build:
    """Build :func:`tester` with one optimizer step as its updates.

    If there are penalties, their sum is a further result. Parameters in ``frozen`` are
    not updated.
    """

    def build(inputs: list[TensorVariable]):
        call = Call(train=True)
        scores = _scores(container, inputs, losses, class_mode, call)
        learned = collect(container, frozen)
        mean_loss = sum(output.loss for output in scores)
        loss = mean_loss
        for regularizer in learned.regularizers:
            # Penalties on a layer's output are in ``call.penalties`` already.
            if not hasattr(regularizer, "layer"):
                loss = regularizer(loss)
        for penalty in call.penalties:
            loss = loss + penalty
        # ``call`` has the new kept states and running means, ``learned`` the updates
        # that layers list themselves.
        steps = optimizer.get_updates(learned.params, learned.constraints, loss)
        numbers = [number for output in scores for number in output]
        if loss is not mean_loss:
            numbers.append(loss - mean_loss)
        return numbers, [*steps, *call.updates, *learned.updates]

    return build


def _outputs(
    container: Layer, inputs: list[TensorVariable], call: Call
) -> dict[str, Value]:
    """Every output by name."""
    # Not strict: targets and weights follow the inputs of the container.
    names = [argument.name for argument in container.arguments()]
    tensors = dict(zip(names, inputs, strict=False))
    return container.apply(container.as_inputs(tensors), call)


class Scores(NamedTuple):
    """The numbers of one output: means, and what they were divided by."""

    loss: TensorVariable
    loss_divisor: TensorVariable
    accuracy: TensorVariable
    accuracy_divisor: TensorVariable


def _scores(
    container: Layer,
    inputs: list[TensorVariable],
    losses: Mapping[str, Objective],
    class_mode: str,
    call: Call,
) -> list[Scores]:
    """The loss and accuracy of each output.

    Masked steps and rows of weight 0 do not count.
    """
    predicted = _outputs(container, inputs, call)
    targets_and_weights = inputs[len(container.arguments()) :]
    targets = dict(zip(predicted, targets_and_weights, strict=False))
    weights = dict(zip(predicted, targets_and_weights[len(predicted) :], strict=False))

    scores = []
    for name, value in predicted.items():
        y_true = targets[name]
        y_pred = value.tensor
        unmasked = masked_weights(weights.get(name), value.mask)
        loss = _mean_loss(losses[name], y_true, y_pred, unmasked)
        # The largest of one column is always the first, so one column is rounded.
        is_one_column = size(y_true, -1) == 1
        accuracy = ACCURACIES["binary" if is_one_column else class_mode]
        correct = accuracy(y_true, y_pred)
        scores.append(Scores(*loss, *_weighted_mean(correct, unmasked)))
    return scores


def masked_weights(
    weights: TensorVariable | None, mask: TensorVariable | None
) -> TensorVariable | None:
    """Weights ``(batch, time, 1)`` that are 0 at masked steps; None stands for ones.

    Keras 0.1 left masked steps out of the divisor only, so their values still
    contributed to the loss.
    """
    if mask is None:
        return weights
    # (batch, time) -> (batch, time, 1)
    valid = mask.astype(floatX())[..., None]
    return valid if weights is None else weights * valid


def _weighted_mean(
    values: TensorVariable, weights: TensorVariable | None
) -> tuple[TensorVariable, TensorVariable]:
    """The mean of ``(batch, ...)``, and its divisor; 0 if all weights are 0."""
    if weights is None:
        return values.mean(), values.size.astype(floatX())
    shares = weights[..., 0]
    divisor = shares.sum()
    total = pt.switch(pt.neq(shares, 0), shares * values, 0.0).sum()
    return total / pt.switch(pt.eq(divisor, 0), 1.0, divisor), divisor


def _mean_loss(
    objective: Objective,
    y_true: TensorVariable,
    y_pred: TensorVariable,
    weights: TensorVariable | None,
) -> tuple[TensorVariable, TensorVariable]:
    """The mean of ``objective`` over rows and steps, and what it was divided by."""

    @functools.wraps(objective)
    def checked(y_true: TensorVariable, y_pred: TensorVariable) -> TensorVariable:
        found = objective(y_true, y_pred)
        if not isinstance(found, TensorVariable):
            raise ConfigError.about(
                "loss",
                registry.name_of(objective),
                takes="a function that returns a tensor",
                got=type(found).__name__,
                do="Return a PyTensor expression.",
            )
        check_width("loss", registry.name_of(objective), [y_true, y_pred], found)
        return found

    if weights is None:
        values = checked(y_true, y_pred)
        # A loss that is one number counts by its rows.
        divisor = values.size if values.ndim else y_true.shape[0]
        return values.mean(), divisor.astype(floatX())
    mean = weighted_objective(checked)(y_true, y_pred, weights)
    return mean, weights[..., 0].sum()
