"""A loop written out step by step, for short sequences of known length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad
from pytensor.tensor.variable import TensorVariable

from recursive.errors import ConfigError
from recursive.scan.step_graph import Tapped, tapped


def written_out(
    step: Callable,
    sequences: Sequence[object],
    outputs_info: Sequence[object],
    non_sequences: Sequence[TensorVariable],
    n_steps: object,
    truncate_gradient: int = -1,
    name: str | None = None,
) -> list[TensorVariable]:
    """The results of ``backend.scan`` for the same arguments, computed without a loop.

    Raises:
        ConfigError: if the number of steps is not known.
    """
    if not isinstance(n_steps, int):
        raise ConfigError.about(
            "container",
            str(name),
            takes="a known number of steps with unroll=True",
            got="one that is known only at run time",
            do="Pass n_steps=5 too, give your tensor a time axis of known length, or "
            "leave unroll out.",
        )
    # What the step reads: the rows of each sequence and state, from the rows before the
    # first step on. A state's rows grow by one at each step.
    reads: list[tuple[Tapped, Sequence]] = []
    for entry in sequences:
        item = tapped(entry, "input")
        reads.append((item, item.rows))
    histories: dict[int, list[TensorVariable]] = {}
    for place, entry in enumerate(outputs_info):
        if entry is not None:
            item = tapped(entry, "initial")
            histories[place] = [item.rows[row] for row in range(item.lag)]
            reads.append((item, histories[place]))

    found: list[list[TensorVariable]] = [[] for _ in outputs_info]
    for t in range(n_steps):
        args = []
        for item, rows in reads:
            for tap in item.taps:
                args.append(rows[item.lag + t + tap])
        results = step(*args, *non_sequences)
        if 0 <= truncate_gradient < n_steps - t:
            results = [disconnected_grad(result) for result in results]
        for place, (values, result) in enumerate(zip(found, results, strict=True)):
            values.append(result)
            if place in histories:
                histories[place].append(result)
    return [pt.stack(values) for values in found]
