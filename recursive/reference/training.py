"""Training: run, compare, run backwards, move the weights; again and again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from recursive.errors import DataError
from recursive.reference.arguments import Arrays, check_rules
from recursive.reference.arrays import Array, summed
from recursive.reference.losses import mean_loss
from recursive.reference.optimizers import Optimizer
from recursive.reference.order import kept_states
from recursive.reference.parts import walk
from recursive.reference.penalties import constrained, penalties, rules
from recursive.reference.run import gradients_of, run_graph
from recursive.spec.graph import GraphSpec


@dataclass(frozen=True)
class Trained:
    """The results of training.

    Args:
        losses: the loss before each step.
        params: the weights after the last step, by name.
        states: the kept states after the last step, by name.
    """

    losses: list[float]
    params: dict[str, Array]
    states: dict[str, Array]


def train(
    spec: GraphSpec,
    params: Arrays,
    inputs: Arrays,
    targets: Arrays,
    optimizer: str | Mapping[str, object] = "sgd",
    steps: int = 10,
    *,
    loss: str | Mapping[str, str | None] = "mse",
    mask: Array | None = None,
    states: Arrays | None = None,
    draws: Arrays | Iterable[Arrays] | None = None,
    shared: Mapping[str, str] | None = None,
) -> Trained:
    """Train on one batch for some steps.

    The parameters of a layer with ``trainable: false`` in its configuration, and those
    of all layers inside it, stay as they are.

    Args:
        targets: by output, each of its shape.
        optimizer: a name, or a dict with ``name`` and settings.
        steps: the number of training steps.
        loss: one name for all outputs, or a dict by output; training minimizes the sum.
            An output whose loss is None is not trained on and needs no target.
        draws: random numbers that all steps share, or an iterable of them, one per
            step.
        spec, params, inputs, mask, states, shared: as in
            :func:`~recursive.reference.run.run`.

    Raises:
        ConfigError: for penalties on the outputs of layers.
        DataError: for missing targets.
        RecursiveError: as in :func:`~recursive.reference.run.run`.

    >>> from recursive.spec.graph import (
    ...     InputSpec, LayerSpec, NodeSpec, OutputSpec, PortSpec, Ref
    ... )
    >>> node = NodeSpec("y", LayerSpec("Dense"), (PortSpec("input", (Ref("x"),)),))
    >>> spec = GraphSpec(loop=False, inputs=(InputSpec("x", ndim=2),), nodes=(node,))
    >>> spec = spec.replace(outputs=(OutputSpec("y", (Ref("y"),)),))
    >>> params = {"y.W": np.zeros((1, 1)), "y.b": np.zeros(1)}
    >>> one = np.ones((1, 1))
    >>> sgd = {"name": "sgd", "lr": 0.25}
    >>> train(spec, params, {"x": one}, {"y": one}, sgd, steps=3).losses
    [1.0, 0.0, 0.0]
    """
    check_rules(spec)
    update = Optimizer(optimizer)
    params = {name: np.asarray(value) for name, value in params.items()}
    learned = _learned(spec, params, shared or {})
    penalized = rules(spec, params, "regularizer")
    limited = rules(spec, learned, "constraint")
    states = dict(states or {})
    is_for_all = draws is None or isinstance(draws, Mapping)
    draws = repeat(draws) if is_for_all else iter(draws)
    losses = []
    for _ in range(steps):
        result = run_graph(
            spec, params, inputs, mask, states, next(draws), True, shared
        )
        # Train on the loss: its gradients are the cotangents of the outputs.
        value, cotangents = _total_loss(result.value, result.masks, targets, loss)
        penalty, d_penalties = penalties(penalized, params)
        losses.append(float(value + penalty))
        found = gradients_of(result, cotangents, params, inputs, states, shared)
        d_params = summed(found.params, d_penalties)
        moved = update(
            {name: params[name] for name in learned},
            {name: d_params[name] for name in learned},
        )
        params = params | constrained(limited, moved) | result.updates
        # A Graph hands out the kept states of its layers only.
        kept = kept_states(spec) if spec.loop else list(result.finals)
        states |= {name: result.finals[name] for name in kept}
    return Trained(losses, params, states)


def _total_loss(
    outputs: Arrays,
    masks: Arrays,
    targets: Arrays,
    loss: str | Mapping[str, str | None],
) -> tuple[float, dict[str, Array]]:
    """The sum of the mean losses of all outputs, and its gradient for each."""
    losses = loss if isinstance(loss, Mapping) else dict.fromkeys(outputs, loss)
    total = 0.0
    cotangents = {}
    for name, y in outputs.items():
        if name in losses and losses[name] is None:
            cotangents[name] = np.zeros_like(y)
            continue
        if name not in targets or name not in losses:
            raise DataError.about(
                "output",
                name,
                takes="a target and a loss",
                got="none",
                do="Pass one for each output.",
            )
        mask = masks.get(name) if np.ndim(y) > 2 else None
        target = np.asarray(targets[name], y.dtype)
        value, cotangents[name] = mean_loss(losses[name], target, y, mask)
        total = total + value
    return total, cotangents


def _learned(spec: GraphSpec, params: Arrays, shared: Mapping[str, str]) -> list[str]:
    """The names of the parameters that are learned.

    A shared layer is learned if it is trainable at all of its places.
    """
    # A layer inside a frozen one is frozen: its parameters have the same prefix.
    fixed = []
    for path, _, config in walk(spec):
        if not config.get("trainable", True):
            fixed.append(f"{path}.")
    found = []
    for name in params:
        places = [name]
        for second, first in shared.items():
            if name.startswith(first + "."):
                places.append(second + name.removeprefix(first))
        if not any(place.startswith(tuple(fixed)) for place in places):
            found.append(name)
    return found
