"""Noise while training. The random numbers are given, so that a run with noise is a function like any other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recursive.errors import DataError, ShapeError, suggest
from recursive.reference.arrays import Array, Computed, Given, Pulled
from recursive.reference.parts import LOOPS, parts_of
from recursive.reference.table import PASS, layer

Config = Mapping[str, object]


def drawn(
    given: Given, name: str, layer_name: str, shape: tuple[int, ...] | None = None
) -> Array:
    """The draw called ``name``, of ``shape``.

    Raises:
        DataError: where it is not given.
        ShapeError: for another shape.
    """
    if name not in given.draws:
        raise DataError.about(
            "draw",
            name,
            takes="an array while training",
            because=f"{layer_name} is random, and the reference draws nothing itself",
            got="none",
            do=suggest(name, given.draws) + f" Say draws={{'node.{name}': array}}.",
        )
    draw = np.asarray(given.draws[name])
    if shape is not None and draw.shape != shape:
        raise ShapeError.about(
            "draw",
            name,
            takes=f"{shape} at a step",
            because=f"{layer_name} reads as many values",
            got=draw.shape,
            do="Draws are (batch, time, ...); those once a sequence (batch, ...).",
        )
    return draw


def held_draws(class_name: str, config: Config) -> set[str]:
    """The draws of a layer that are the same at every step of a loop around it: those that Dropout makes once a
    sequence, of a layer inside another too. A loop inside has sequences of its own."""
    if class_name == "Dropout":
        return {"keep"} if config.get("per", "step") == "sequence" else set()
    parts = {} if class_name in LOOPS else parts_of(config)
    return {
        f"{part}.{name}"
        for part, (kind, inner) in parts.items()
        for name in held_draws(kind, inner)
    }


@layer("Dropout", mask=PASS)
def dropout(config: Config, x: Array, given: Given) -> Computed:
    """``x (keep >= p) / (1 - p)``, ``keep`` uniform; once a sequence, ``keep`` has no axis of time."""
    p = config["p"]
    if not given.train or not p:
        return Computed(x, Pulled)
    over_time = config.get("per", "step") == "sequence" and x.ndim > 2
    x, keep = (
        given.floats(x),
        drawn(given, "keep", "Dropout", (len(x), *x.shape[1 + over_time :])),
    )
    keep = keep[:, None] if over_time else keep
    scale = (keep >= p).astype(given.dtype) / (1 - p)
    return Computed(x * scale, lambda d: Pulled(d * scale))


@layer("GaussianNoise", mask=PASS)
def gaussian_noise(config: Config, x: Array, given: Given) -> Computed:
    """``x + sigma noise``, ``noise`` standard normal."""
    if not given.train or not config["sigma"]:
        return Computed(x, Pulled)
    noise = drawn(given, "noise", "GaussianNoise", x.shape).astype(given.dtype)
    return Computed(given.floats(x) + config["sigma"] * noise, Pulled)


@layer("GaussianDropout", mask=PASS)
def gaussian_dropout(config: Config, x: Array, given: Given) -> Computed:
    """``x (1 + sqrt(p / (1 - p)) noise)``, ``noise`` standard normal."""
    p = config["p"]
    if not given.train or not p:
        return Computed(x, Pulled)
    noise = drawn(given, "noise", "GaussianDropout", x.shape).astype(given.dtype)
    factor = 1 + float(np.sqrt(p / (1 - p))) * noise
    return Computed(given.floats(x) * factor, lambda d: Pulled(d * factor))


@layer("Zoneout", mask=PASS)
def zoneout(config: Config, x: Mapping[str, Array], given: Given) -> Computed:
    """``prev`` where ``keep < p``, ``keep`` uniform, else ``input``; but while training ``p prev + (1 - p) input``."""
    p, new, old = config["p"], given.floats(x["input"]), given.floats(x["prev"])
    if given.train and p:
        share = (drawn(given, "keep", "Zoneout", new.shape) < p).astype(given.dtype)
    else:
        share = np.asarray(p, given.dtype)
    return Computed(
        share * old + (1 - share) * new,
        lambda d: Pulled({"input": d * (1 - share), "prev": d * share}),
    )
