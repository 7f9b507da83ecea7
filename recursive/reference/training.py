"""Learning: a loss, its gradient, a step of an optimizer, again and again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from recursive.errors import ConfigError, DataError
from recursive.reference.arrays import Array
from recursive.reference.losses import mean_loss
from recursive.reference.optimizers import Optimizer
from recursive.reference.order import Names, carries
from recursive.reference.parts import walk
from recursive.reference.run import Arrays, pulled_back, run_whole
from recursive.spec.graph import GraphSpec


@dataclass(frozen=True)
class Trained:
    """What came of some training steps.

    Args:
        losses: of each step, before it.
        params: the weights after the last, by name.
        states: what stateful states are then, by name.
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
    loss: str | Mapping[str, str] = "mse",
    mask: Array | None = None,
    states: Arrays | None = None,
    draws: Arrays | Iterable[Arrays] | None = None,
    shared: Mapping[str, str] | None = None,
) -> Trained:
    """Make some training steps on one batch.

    The parameters of a layer whose configuration says ``trainable: false``, and those of all layers inside it, stay as
    they are.

    Args:
        targets: by output, each of its shape.
        optimizer: a name, or a dict with ``name`` and settings, as ``Optimizer.get_config()`` of the library gives.
        steps: how many.
        loss: the name of one for all outputs, or a dict by output; their sum is made small.
        draws: random numbers for every step, or one dict of them for each.
        spec, params, inputs, mask, states, shared: as in :func:`~recursive.reference.run.run`.

    Raises:
        ConfigError: for layers with a penalty or a constraint, which this does not know.
        DataError: for missing targets.
        RecursiveError: a child of it, as :func:`~recursive.reference.run.run` does.

    >>> from recursive.spec.graph import InputSpec, LayerSpec, NodeSpec, OutputSpec, PortSpec, Ref
    >>> node = NodeSpec("y", LayerSpec("Dense"), (PortSpec("input", (Ref("x"),)),))
    >>> spec = GraphSpec(loop=False, inputs=(InputSpec("x", ndim=2),), nodes=(node,),
    ...                  outputs=(OutputSpec("y", (Ref("y"),)),))
    >>> params = {"y.W": np.zeros((1, 1)), "y.b": np.zeros(1)}
    >>> train(spec, params, {"x": np.ones((1, 1))}, {"y": np.ones((1, 1))}, {"name": "sgd", "lr": 0.25}, 3).losses
    [1.0, 0.0, 0.0]
    """
    _check_free(spec)
    step, losses, states = Optimizer(optimizer), [], dict(states or {})
    params = {name: np.asarray(value) for name, value in params.items()}
    learned = _learned(spec, params, shared or {})
    every = (
        repeat(draws) if draws is None or isinstance(draws, Mapping) else iter(draws)
    )
    for _ in range(steps):
        found = run_whole(spec, params, inputs, mask, states, next(every), True, shared)
        value, cotangents = _loss(
            found.computed.value, found.computed.masks, targets, loss
        )
        back = pulled_back(found, cotangents, params, inputs, states, shared or {})
        losses.append(float(value))
        moved = step(
            {name: params[name] for name in learned},
            {name: back.params[name] for name in learned},
        )
        params = params | moved | found.computed.updates
        states |= _carried(spec, found.computed.finals)
    return Trained(losses, params, states)


def _loss(
    outputs: Arrays, masks: Arrays, targets: Arrays, loss: str | Mapping[str, str]
) -> tuple[float, dict]:
    """The sum of the mean losses of all outputs, and its gradient with respect to each."""
    total, cotangents = 0.0, {}
    for name, y in outputs.items():
        if name not in targets or (isinstance(loss, Mapping) and name not in loss):
            raise DataError.about(
                "output",
                name,
                takes="a target and a loss",
                because="it is compared with it",
                got="none",
                do="Give one for each output.",
            )
        mask = masks.get(name) if np.ndim(y) > 2 else None
        value, cotangents[name] = mean_loss(
            loss[name] if isinstance(loss, Mapping) else loss,
            np.asarray(targets[name], y.dtype),
            y,
            mask,
        )
        total = total + value
    return total, cotangents


def _carried(spec: GraphSpec, finals: Arrays) -> Arrays:
    """Of the final states those that go on: of a graph, all that its layers hand out."""
    going_on = {
        state.name
        for state in Names(spec).histories
        if spec.loop and carries(spec, state)
    }
    return {
        name: value
        for name, value in finals.items()
        if not spec.loop or name in going_on
    }


def _learned(spec: GraphSpec, params: Arrays, shared: Mapping[str, str]) -> list[str]:
    """The names of the parameters that are learned. A layer that stands twice is learned if it is at both places."""
    fixed = tuple(
        f"{path}."
        for node in spec.nodes
        for path, _, config in walk(node.layer.class_name, node.layer.config, node.name)
        if not config.get("trainable", True)
    )
    return [
        name
        for name in params
        if not any(place.startswith(fixed) for place in _places(name, shared))
    ]


def _places(name: str, shared: Mapping[str, str]) -> list[str]:
    """The names of a parameter at every place of its layer."""
    others = [
        second + name.removeprefix(first)
        for second, first in shared.items()
        if name.startswith(first + ".")
    ]
    return [name, *others]


def _check_free(spec: GraphSpec) -> None:
    for node in spec.nodes:
        for path, kind, config in walk(
            node.layer.class_name, node.layer.config, node.name
        ):
            rules = [
                key
                for key, rule in config.items()
                if key.endswith(("_regularizer", "_constraint")) and rule
            ]
            if rules or kind == "ActivityRegularization":
                raise ConfigError.about(
                    "layer",
                    path,
                    takes="no penalty and no constraint here",
                    because="the reference trains by the loss alone",
                    got=", ".join(rules) or kind,
                    do="Leave it out.",
                )
