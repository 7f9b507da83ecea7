"""What the loop starts from: the rows before the first step, oldest first."""

from __future__ import annotations

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.spec.plan import Recurrence, Sequence


def initial_state(recurrence: Recurrence, batch: int | TensorVariable, dim: int) -> dict[str, object]:
    """scan's entry for a state of zeros: ``(batch, dim)``, or ``(lag, batch, dim)`` where it looks further back."""
    rows = () if recurrence.taps == (-1,) else (recurrence.lag,)
    zeros = pt.zeros((*rows, batch, dim), dtype=backend.floatX())
    return {"initial": zeros, "taps": list(recurrence.taps)}


def padded(sequence: Sequence, values: TensorVariable) -> dict[str, object]:
    """scan's entry for a sequence ``(time, batch, ...)``, with zeros in front of it for its earliest tap.

    Without them scan would run fewer steps than there are slices, and say nothing.
    """
    lag = -min(sequence.taps)
    if lag:
        zeros = pt.zeros((lag, *(backend.size(values, axis) for axis in range(1, values.ndim))), dtype=values.dtype)
        values = pt.concatenate([zeros, values], axis=0)
    return {"input": values, "taps": list(sequence.taps)}
