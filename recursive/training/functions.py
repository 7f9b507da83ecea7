"""The symbolic functions of a model: prediction, test and training step.

Each is built for a :class:`~recursive.backend.Program` that takes the inputs of the
container, then a target per output, then the weights of each target if there are any.

The loss that is reported is the sum of the mean losses of all outputs. The loss that is
differentiated adds the penalties of regularizers to it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import objectives
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


def _categorical_accuracy(
    y_true: TensorVariable, y_pred: TensorVariable
) -> TensorVariable:
    return pt.eq(y_true.argmax(axis=-1), y_pred.argmax(axis=-1)).mean()


def _binary_accuracy(y_true: TensorVariable, y_pred: TensorVariable) -> TensorVariable:
    return pt.eq(y_true, pt.round(y_pred)).mean()


ACCURACIES: dict[str, Objective] = {
    "categorical": _categorical_accuracy,
    "binary": _binary_accuracy,
}
"""The accuracy by class mode: the share of predictions that are right."""


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
    """Build the function from inputs, targets and weights to loss and accuracy."""

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
    """Build :func:`tester` with one optimizer step as its updates.

    Parameters in ``frozen`` are not updated.
    """

    def build(inputs: list[TensorVariable]):
        call = Call(train=True)
        scores = _scores(container, inputs, losses, class_mode, call)
        learned = collect(container, frozen)
        loss = scores[0]
        for regularizer in learned.regularizers:
            # Penalties on a layer's output are in ``call.penalties`` already.
            if not hasattr(regularizer, "layer"):
                loss = regularizer(loss)
        for penalty in call.penalties:
            loss = loss + penalty
        # ``call`` has the new kept states and running means, ``learned`` the updates
        # that layers list themselves.
        steps = optimizer.get_updates(learned.params, learned.constraints, loss)
        return scores, [*steps, *call.updates, *learned.updates]

    return build


def _outputs(
    container: Layer, inputs: list[TensorVariable], call: Call
) -> dict[str, Value]:
    """Every output by name."""
    # Not strict: targets and weights follow the inputs of the container.
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
    """The summed losses and the mean accuracy over all outputs.

    Weights and masks count in the loss only.
    """
    predicted = _outputs(container, inputs, call)
    targets_and_weights = inputs[len(container.arguments()) :]
    targets = dict(zip(predicted, targets_and_weights, strict=False))
    weights = dict(zip(predicted, targets_and_weights[len(predicted) :], strict=False))

    mean_losses = []
    accuracies = []
    for name, value in predicted.items():
        y_true = targets[name]
        y_pred = value.tensor
        unmasked = masked_weights(weights.get(name), value.mask)
        mean_losses.append(_mean(losses[name], y_true, y_pred, unmasked))
        accuracies.append(ACCURACIES[class_mode](y_true, y_pred))
    return [sum(mean_losses), sum(accuracies) / len(accuracies)]


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


def _mean(
    objective: Objective,
    y_true: TensorVariable,
    y_pred: TensorVariable,
    weights: TensorVariable | None,
) -> TensorVariable:
    """The mean of ``objective`` over rows and steps, weighted if there are weights."""

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
        return checked(y_true, y_pred).mean()
    return weighted_objective(checked)(y_true, y_pred, weights)
