"""Random values as tensors: others at each call of a program, the same run for the same seed."""

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
    """Uniform values in [0, 1): other ones at each call of a Program, the same run for the same seed."""
    return _drawn(pt.random.uniform, shape, seed)


def normal(
    shape: Sequence[int | TensorVariable], seed: np.random.SeedSequence
) -> TensorVariable:
    """Standard normal values: other ones at each call of a Program, the same run for the same seed."""
    return _drawn(pt.random.normal, shape, seed)


def _drawn(
    distribution: Callable,
    shape: Sequence[int | TensorVariable],
    seed: np.random.SeedSequence,
) -> TensorVariable:
    rng = pytensor.shared(np.random.default_rng(seed))
    _, values = distribution(size=tuple(shape), rng=rng, return_next_rng=True)
    return values


def draw_updates(
    outputs: Sequence[TensorVariable],
) -> list[tuple[SharedVariable, TensorVariable]]:
    """The updates that make the random draws behind ``outputs`` other ones at the next call.

    >>> len(draw_updates([uniform((3, 4), np.random.SeedSequence(1))]))
    1
    """
    drawing = (
        variable.owner
        for variable in ancestors(outputs)
        if variable.owner is not None and isinstance(variable.owner.op, RandomVariable)
    )
    moved = {node.inputs[0]: node.outputs[0] for node in drawing}
    return [
        (rng, value) for rng, value in moved.items() if isinstance(rng, SharedVariable)
    ]
