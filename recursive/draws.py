"""Random values as tensors, redrawn at each call and reproducible from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.variable import TensorVariable


def uniform(
    shape: Sequence[int | TensorVariable], seed: np.random.SeedSequence
) -> TensorVariable:
    """Uniform values in [0, 1).

    They are redrawn at each call of a Program and reproducible from the seed.
    """
    return _drawn(pt.random.uniform, shape, seed)


def normal(
    shape: Sequence[int | TensorVariable], seed: np.random.SeedSequence
) -> TensorVariable:
    """Standard normal values.

    They are redrawn at each call of a Program and reproducible from the seed.
    """
    return _drawn(pt.random.normal, shape, seed)


def _drawn(
    distribution: Callable,
    shape: Sequence[int | TensorVariable],
    seed: np.random.SeedSequence,
) -> TensorVariable:
    # The generator is a shared variable: `draw_updates` moves it on after each call.
    rng = pytensor.shared(np.random.default_rng(seed))
    _, values = distribution(size=tuple(shape), rng=rng, return_next_rng=True)
    return values


def draw_updates(
    outputs: Sequence[TensorVariable],
) -> list[tuple[SharedVariable, TensorVariable]]:
    """The updates that let the next call of a program draw other values.

    Without them a generator keeps its state, and each call draws the same values.

    Args:
        outputs: the outputs of the program; all draws that they depend on are updated.

    >>> len(draw_updates([uniform((3, 4), np.random.SeedSequence(1))]))
    1
    """
    # Several draws may share a generator: the last one found counts.
    updates = {}
    for variable in ancestors(outputs):
        node = variable.owner
        if node is None or not isinstance(node.op, RandomVariable):
            continue
        generator, next_generator = node.inputs[0], node.outputs[0]
        if isinstance(generator, SharedVariable):
            updates[generator] = next_generator
    return list(updates.items())
