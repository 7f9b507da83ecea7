"""What the loop starts from: the rows before the first step, oldest first."""

from __future__ import annotations

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend import Size, floatX, size
from recursive.spec.plan import Recurrence, Sequence


def first_rows(recurrence: Recurrence, batch: Size, dim: int) -> TensorVariable:
    """What a state is before the first step, ``(lag, batch, dim)``: its initial numbers in every row of the batch."""
    numbers = np.asarray(recurrence.initial, dtype=floatX())
    rows = numbers[:, np.newaxis] if numbers.ndim == 2 else numbers
    return pt.alloc(pt.constant(rows), recurrence.lag, batch, dim)


def started(recurrence: Recurrence, rows: TensorVariable) -> dict[str, object]:
    """scan's entry for a state: ``(batch, dim)``, or ``(lag, batch, dim)`` where it looks further back."""
    return {"initial": rows[0] if recurrence.taps == (-1,) else rows, "taps": list(recurrence.taps)}


def padded(sequence: Sequence, values: TensorVariable) -> dict[str, object]:
    """scan's entry for a sequence ``(time, batch, ...)``, with zeros in front of it for its earliest tap.

    Without them scan would run fewer steps than there are slices, and say nothing.
    """
    lag = -min(sequence.taps)
    if lag:
        zeros = pt.zeros((lag, *(size(values, axis) for axis in range(1, values.ndim))), dtype=values.dtype)
        values = pt.concatenate([zeros, values], axis=0)
    return {"input": values, "taps": list(sequence.taps)}
