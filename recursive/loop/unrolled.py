"""A loop written out, step by step, in place of scan: for short sequences of a known length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad
from pytensor.tensor.variable import TensorVariable

from recursive.errors import ConfigError


def written_out(
    step: Callable,
    sequences: Sequence[object],
    outputs_info: Sequence[object],
    non_sequences: Sequence[TensorVariable],
    n_steps: object,
    truncate_gradient: int = -1,
    name: str | None = None,
) -> list[TensorVariable]:
    """What ``backend.scan`` returns for the same arguments, without a loop.

    Raises:
        ConfigError: where the number of steps is not known before it runs.
    """
    if not isinstance(n_steps, int):
        raise ConfigError.about(
            "container",
            str(name),
            takes="a known number of steps",
            because="unroll=True writes every step out",
            got="one that is known when it runs",
            do="Say n_steps=5 too, give a tensor of your own a time axis of known length, "
            "or leave unroll out.",
        )
    given = [_entry(item, "input") for item in sequences]
    states = [
        None if item is None else _entry(item, "initial") for item in outputs_info
    ]
    past = [
        [rows[index] for index in range(-min(taps))]
        for rows, taps in filter(None, states)
    ]
    found: list[list[TensorVariable]] = [[] for _ in outputs_info]
    for t in range(n_steps):
        slices = (values[t + tap - min(taps)] for values, taps in given for tap in taps)
        seen = (
            rows[tap]
            for rows, (_, taps) in zip(past, filter(None, states), strict=True)
            for tap in taps
        )
        results = step(*slices, *seen, *non_sequences)
        if 0 <= truncate_gradient < n_steps - t:
            results = [disconnected_grad(result) for result in results]
        for rows, result in zip(found, results, strict=True):
            rows.append(result)
        for rows, result in zip(past, _of_states(results, states), strict=True):
            rows.append(result)
    return [pt.stack(rows) for rows in found]


def _entry(item: object, key: str) -> tuple[TensorVariable, list[int]]:
    """The values of a sequence or state, as rows from the first that is looked back to, and its taps."""
    if isinstance(item, dict):
        values, taps = item[key], item["taps"]
        return (values[None] if key == "initial" and taps == [-1] else values), taps
    return (item[None], [-1]) if key == "initial" else (item, [0])


def _of_states(
    results: Sequence[TensorVariable], states: Sequence[object]
) -> Iterator[TensorVariable]:
    return (
        result
        for result, state in zip(results, states, strict=True)
        if state is not None
    )
