"""A loop written out step by step, for short sequences of known length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad
from pytensor.tensor.variable import TensorVariable

from recursive.errors import ConfigError
from recursive.scan.step_graph import tapped


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
    read = [tapped(entry, "input") for entry in sequences]
    states = [tapped(entry, "initial") for entry in outputs_info if entry is not None]
    # The values of each state so far, beginning with the rows before the first step.
    histories = []
    for state in states:
        histories.append([state.rows[row] for row in range(state.lag)])
    results_over_time: list[list[TensorVariable]] = [[] for _ in outputs_info]
    for t in range(n_steps):
        args = []
        for item in read:
            args.extend(item.rows[t + item.lag + tap] for tap in item.taps)
        for state, history in zip(states, histories, strict=True):
            args.extend(history[tap] for tap in state.taps)
        results = step(*args, *non_sequences)
        if 0 <= truncate_gradient < n_steps - t:
            results = [disconnected_grad(result) for result in results]
        remaining = iter(histories)
        for entry, values, result in zip(
            outputs_info, results_over_time, results, strict=True
        ):
            values.append(result)
            if entry is not None:
                next(remaining).append(result)
    return [pt.stack(values) for values in results_over_time]
