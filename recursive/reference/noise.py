"""Noise in training, from random numbers that are given.

So a run with noise is a function of its arguments like any other, and two programs can
compute with the same numbers.
"""

from __future__ import annotations

import numpy as np

from recursive.errors import DataError, ShapeError, suggest
from recursive.reference.arrays import (
    Array,
    LayerGradients,
    LayerResult,
    Scope,
    function_of,
)
from recursive.reference.layers import identity
from recursive.reference.masks import expanded
from recursive.reference.parts import LOOPS, parts_of
from recursive.reference.table import PASS, Config, layer


def drawn(
    scope: Scope, name: str, layer_name: str, shape: tuple[int, ...] | None = None
) -> Array:
    """The random numbers called ``name``, of ``shape``.

    Raises:
        DataError: if they are not given.
        ShapeError: for another shape.
    """
    if name not in scope.draws:
        raise DataError.about(
            "draw",
            name,
            takes="an array",
            because=f"{layer_name} is random, and the reference draws nothing itself",
            got="none",
            do=suggest(name, scope.draws) + f" Pass draws={{'node.{name}': array}}.",
        )
    draw = np.asarray(scope.draws[name])
    if shape is not None and draw.shape != shape:
        raise ShapeError.about(
            "draw",
            name,
            takes=f"{shape} at a step, the shape that {layer_name} reads",
            got=draw.shape,
            do="Draws are (batch, time, ...); those once per sequence (batch, ...).",
        )
    return draw


def constant_draws(class_name: str, config: Config) -> set[str]:
    """The draws of a layer that are the same at every step of a loop around it.

    They are those of Dropout once per sequence, also inside other layers. A loop inside
    has sequences of its own.
    """
    if class_name == "Dropout":
        return {"keep"} if config.get("per", "step") == "sequence" else set()
    # The steps of an inner loop are not those of the outer one.
    found: set[str] = set()
    if class_name not in LOOPS:
        for part, (part_class, part_config) in parts_of(config).items():
            for name in constant_draws(part_class, part_config):
                found.add(f"{part}.{name}")
    return found


@layer("Dropout", mask=PASS)
def dropout(config, x, scope):
    """``y = x (keep >= p) / (1 - p)``, with ``keep`` uniform in [0, 1).

    Once per sequence, ``keep`` has no time axis: all steps share it.
    """
    p = config["p"]
    if not scope.train or not p:
        return identity(config, x, scope)
    per_sequence = config.get("per", "step") == "sequence" and x.ndim > 2
    x = scope.floats(x)
    if per_sequence:
        keep = drawn(scope, "keep", "Dropout", (len(x), *x.shape[2:]))[:, None]
    else:
        keep = drawn(scope, "keep", "Dropout", x.shape)
    factor = (keep >= p).astype(scope.dtype) / (1 - p)
    return function_of(x * factor, lambda dy: dy * factor)


@layer("GaussianNoise", mask=PASS)
def gaussian_noise(config, x, scope):
    """``y = x + sigma noise``, with ``noise`` standard normal."""
    if not scope.train or not config["sigma"]:
        return identity(config, x, scope)
    noise = drawn(scope, "noise", "GaussianNoise", x.shape).astype(scope.dtype)
    return function_of(scope.floats(x) + config["sigma"] * noise, lambda dy: dy)


@layer("GaussianDropout", mask=PASS)
def gaussian_dropout(config, x, scope):
    """``y = x (1 + sqrt(p / (1 - p)) noise)``, with ``noise`` standard normal."""
    p = config["p"]
    if not scope.train or not p:
        return identity(config, x, scope)
    noise = drawn(scope, "noise", "GaussianDropout", x.shape).astype(scope.dtype)
    factor = 1 + float(np.sqrt(p / (1 - p))) * noise
    return function_of(scope.floats(x) * factor, lambda dy: dy * factor)


@layer("Zoneout", mask=PASS)
def zoneout(config, x, scope):
    """``y = s prev + (1 - s) input`` (Krueger et al. 2016, arXiv:1606.01305).

    ``s`` is 1 where ``keep < p``, with ``keep`` uniform in [0, 1), else 0; outside
    training it is ``p``.
    """
    p, new, old = config["p"], scope.floats(x["input"]), scope.floats(x["prev"])
    if scope.train and p:
        s = (drawn(scope, "keep", "Zoneout", new.shape) < p).astype(scope.dtype)
    else:
        s = np.asarray(p, scope.dtype)

    def back(dy):
        return {"input": dy * (1 - s), "prev": dy * s}

    return function_of(s * old + (1 - s) * new, back)


@layer("Teacher", mask=PASS)
def teacher(config, x, scope):
    """``y = truth`` where ``chance < share`` in training, else ``y = prediction``.

    ``chance``, ``(batch, 1)``, is uniform in [0, 1) (Bengio et al. 2015); of a sequence
    it is ``(batch, time, 1)``. The share is a number that is saved with the weights, or
    the value at a port. A share of 1 or 0 needs no draw.
    """
    port = config.get("share", 1.0)
    truth, prediction = x["truth"], x["prediction"]
    share = np.zeros(1)
    if scope.train:
        share = x[port] if isinstance(port, str) else scope.params["rate"]
    # (batch, 1) holds for all steps of a row. Words are (batch,), with a draw per row.
    share = expanded(share.real, max(truth.ndim, 2))
    rows_and_steps = truth.shape[: max(truth.ndim - 1, 1)]
    share = np.broadcast_to(share, (*rows_and_steps, 1))
    reads_truth = share >= 1
    if not np.isin(share, (0, 1)).all():
        reads_truth = drawn(scope, "chance", "Teacher", share.shape) < share
    if truth.ndim == 1:
        reads_truth = reads_truth[:, 0]

    def back(dy):
        found = dict.fromkeys(x)
        found["truth"] = np.where(reads_truth, dy, 0)
        found["prediction"] = np.where(reads_truth, 0, dy)
        return LayerGradients(found)

    return LayerResult(np.where(reads_truth, truth, prediction), back)
