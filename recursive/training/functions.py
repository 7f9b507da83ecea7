"""The symbolic functions of a model: prediction, test and training step.

Each is built for a :class:`~recursive.backend.Program` that takes the inputs of the
container, then a target per output, then the weights of each target if there are any.

The loss is the weighted sum of the mean losses of all outputs. Training differentiates
and reports it with the penalties of regularizers, which are no part of it otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import metrics
from recursive.backend import Build, evaluate, floatX
from recursive.errors import ConfigError, ShapeError
from recursive.layers.checks import check_width
from recursive.layers.layer import Layer
from recursive.layers.learned import Frozen, collect
from recursive.loop.call import Call, Value
from recursive.objectives import (
    Objective,
    one_hot,
    takes_class_numbers,
    weighted_objective,
)
from recursive.optimizers import Optimizer
from recursive.training.measures import LOSS, Measures, number
from recursive.utils import registry

FROM_ARGUMENT = "argument"
"""The number of steps is one more argument of a program."""


def predictor(
    container: Layer, names: Sequence[str], n_steps: int | str | None = None
) -> Build:
    """Build the function from inputs to outputs.

    Args:
        container: the container.
        names: the names of the inputs.
        n_steps: the number of steps of its loops without sequences; FROM_ARGUMENT if
            it is the last argument; None for the declared one.
    """

    def build(inputs: list[TensorVariable]):
        steps = inputs[-1] if n_steps == FROM_ARGUMENT else n_steps
        call = Call(n_steps=steps)
        predicted = _outputs(container, names, inputs, call)
        return [value.tensor for value in predicted.values()], call.updates

    return build


def tester(container: Layer, names: Sequence[str], measures: Measures) -> Build:
    """Build the function from inputs, targets and weights to what is measured.

    It returns each number of ``measures`` and its divisor (see
    :mod:`recursive.training.averages`).
    """

    def build(inputs: list[TensorVariable]):
        call = Call(for_loss=True)
        means = means_of(container, names, inputs, measures, call)
        return numbers(means), call.updates

    return build


def trainer(
    container: Layer,
    names: Sequence[str],
    measures: Measures,
    optimizer: Optimizer,
    frozen: Mapping[Layer, Frozen] | None = None,
) -> Build:
    """Build :func:`tester` with one optimizer step as its updates.

    If there are penalties, their sum is a further result. Parameters in ``frozen`` are
    not updated.
    """

    def build(inputs: list[TensorVariable]):
        call = Call(train=True)
        means = means_of(container, names, inputs, measures, call)
        learned = collect(container, frozen)
        mean_loss = _total(means, measures)
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
        found = numbers(means)
        if loss is not mean_loss:
            found.append(loss - mean_loss)
        return found, [*steps, *call.updates, *learned.updates]

    return build


def _outputs(
    container: Layer,
    names: Sequence[str],
    inputs: list[TensorVariable],
    call: Call,
) -> dict[str, Value]:
    """Every output by name."""
    # Not strict: targets and weights follow the inputs of the container.
    tensors = dict(zip(names, inputs, strict=False))
    return container.apply(container.as_inputs(tensors), call)


class Mean(NamedTuple):
    """A mean, and what it was divided by."""

    value: TensorVariable
    divisor: TensorVariable


def numbers(means: Mapping[str, Mean]) -> list[TensorVariable]:
    """Each mean and its divisor, as a program returns them."""
    return [tensor for mean in means.values() for tensor in mean]


def _total(means: Mapping[str, Mean], measures: Measures) -> TensorVariable:
    """The weighted sum of the losses of all outputs."""
    terms = []
    for output, weight in measures.loss_weights.items():
        loss = means[number(LOSS, output)].value
        # Equal weights add no product to the graph.
        terms.append(loss if weight == 1 else np.asarray(weight, loss.dtype) * loss)
    return sum(terms)


def means_of(
    container: Layer,
    names: Sequence[str],
    inputs: list[TensorVariable],
    measures: Measures,
    call: Call,
) -> dict[str, Mean]:
    """The numbers of each output by name.

    Masked steps and rows of weight 0 do not count.
    """
    predicted = _outputs(container, names, inputs, call)
    outputs = measures.outputs
    targets_and_weights = inputs[len(names) :]
    targets = dict(zip(outputs, targets_and_weights, strict=False))
    weights = dict(zip(outputs, targets_and_weights[len(outputs) :], strict=False))

    means = {}
    for output, objective in measures.losses.items():
        y_true = targets[output]
        y_pred = predicted[output].tensor
        counts = masked_weights(weights.get(output), predicted[output].mask)
        means[number(LOSS, output)] = _mean_loss(objective, y_true, y_pred, counts)
        if takes_class_numbers(objective):
            y_true = one_hot(y_true, y_pred)
        for metric in measures.metrics[output]:
            values = _checked("metric", metric.function, y_true, y_pred)
            mean = _weighted_mean(values, counts, y_true)
            means[number(metric.name, output)] = mean
    return means


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
    values: TensorVariable, weights: TensorVariable | None, y_true: TensorVariable
) -> Mean:
    """The mean of one value per row or step; 0 if all weights are 0."""
    if values.ndim == y_true.ndim:
        values = values.mean(axis=-1)
    if weights is None:
        return _plain_mean(values, y_true)
    shares = weights[..., 0]
    divisor = shares.sum()
    total = pt.switch(pt.neq(shares, 0), shares * values, 0.0).sum()
    return Mean(total / pt.switch(pt.eq(divisor, 0), 1.0, divisor), divisor)


def _plain_mean(values: TensorVariable, y_true: TensorVariable) -> Mean:
    # A value that is one number counts by its rows.
    divisor = values.size if values.ndim else y_true.shape[0]
    return Mean(values.mean(), divisor.astype(floatX()))


def _mean_loss(
    objective: Objective,
    y_true: TensorVariable,
    y_pred: TensorVariable,
    weights: TensorVariable | None,
) -> Mean:
    """The mean of ``objective`` over rows and steps."""
    checked = functools.wraps(objective)(functools.partial(_checked, "loss", objective))
    if weights is None:
        return _plain_mean(checked(y_true, y_pred), y_true)
    mean = weighted_objective(checked)(y_true, y_pred, weights)
    return Mean(mean, weights[..., 0].sum())


def _checked(
    kind: str, function: Objective, y_true: TensorVariable, y_pred: TensorVariable
) -> TensorVariable:
    """The values of a loss or metric, of a shape that has a mean over rows.

    Raises:
        ConfigError: for anything but a tensor.
        ShapeError: for values that do not belong to rows and steps.
    """
    name = registry.name_of(function)
    found = function(y_true, y_pred)
    if not isinstance(found, TensorVariable):
        raise ConfigError.about(
            kind,
            name,
            takes="a function that returns a tensor",
            got=type(found).__name__,
            do="Return a PyTensor expression.",
        )
    check_width(kind, name, [y_true, y_pred], found)
    if function not in metrics.OWN:
        _check_shape(kind, function, y_true, y_pred)
    return found


def _check_shape(
    kind: str, function: Objective, y_true: TensorVariable, y_pred: TensorVariable
) -> None:
    """Raise a ShapeError unless there is a value per row, step or element, or only one.

    ``y_true[:, 0] - y_pred`` of one column has a value per pair of rows, for example.
    The mean over it is a number, so that nothing else would notice.
    """
    sizes = _example_sizes(y_pred)
    example_true = np.zeros([*sizes[:-1], y_true.type.shape[-1] or sizes[-1]])
    example_pred = np.full(sizes, 0.5)
    try:
        found = function(
            pt.constant(example_true.astype(y_true.dtype)),
            pt.constant(example_pred.astype(y_pred.dtype)),
        )
        shape = tuple(evaluate([found.shape], {})[0])
    except Exception:
        # It may take its own data only, such as a fixed number of rows.
        return
    if shape not in ((), sizes[:-1], sizes):
        raise ShapeError.about(
            kind,
            registry.name_of(function),
            takes="a function with one value per row or step, "
            f"{sizes[:-1]} for predictions of shape {sizes}",
            got=f"values of shape {shape}",
            do="Look at what it broadcasts, and take the mean over the last axis.",
        )


def _example_sizes(y_pred: TensorVariable) -> tuple[int, ...]:
    """A shape for examples of a tensor, in which unknown sizes differ from all others.

    >>> _example_sizes(pt.tensor("y", shape=(None, None, 3)))
    (2, 4, 3)
    """
    known = [size for size in y_pred.type.shape if size is not None]
    sizes = []
    unused = 2
    for size in y_pred.type.shape:
        while size is None and unused in known:
            unused += 1
        if size is None:
            size = unused
            unused += 1
        sizes.append(size)
    return tuple(sizes)
