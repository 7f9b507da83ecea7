"""What the loop starts from, and what it leaves: the rows before the first step and the last rows, oldest first."""

from __future__ import annotations

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend import checked, floatX
from recursive.backend.sizes import Size, size
from recursive.errors import ShapeError, StateError
from recursive.scan.op import last_step
from recursive.spec.plan import Recurrence, Sequence


def first_rows(recurrence: Recurrence, batch: Size, dim: int) -> TensorVariable:
    """What a state is before the first step, ``(lag, batch, dim)``: its initial numbers in every row of the batch."""
    return pt.alloc(
        pt.constant(start_numbers(recurrence, dim)[:, np.newaxis]),
        recurrence.lag,
        batch,
        dim,
    )


def start_numbers(recurrence: Recurrence, dim: int | None) -> np.ndarray:
    """The initial numbers of a state, ``(lag, dim)``.

    Raises:
        StateError: where nothing tells its dim.
    """
    check_dim_is_known(recurrence, dim)
    numbers = np.asarray(recurrence.initial, dtype=floatX())
    return np.array(np.broadcast_to(numbers, (recurrence.lag, dim)))


def check_dim_is_known(recurrence: Recurrence, dim: int | None) -> None:
    """Raise a StateError where nothing tells the ``dim`` of a state."""
    if dim is None:
        raise StateError.about(
            "state",
            recurrence.name,
            takes="a known dim",
            because="it starts from that many numbers a row",
            got=f"that of {recurrence.node!r}, which follows from this state itself",
            do=f"Say add_state({recurrence.name!r}, dim=1, input={recurrence.node!r}), for example.",
        )


def all_rows(
    recurrence: Recurrence, given: TensorVariable, batch: Size, dim: int
) -> TensorVariable:
    """``(dim,)``, ``(batch, dim)`` or ``(batch, taps, dim)`` as the rows before the first step, one for each tap.

    Raises:
        ShapeError: for another number of taps, when it runs where that is not known before.
    """
    if given.ndim == 3:
        given = _with_every_tap(recurrence, given).dimshuffle(1, 0, 2)
    return pt.alloc(given, recurrence.lag, batch, dim)


def _with_every_tap(recurrence: Recurrence, given: TensorVariable) -> TensorVariable:
    taps = size(given, 1)
    known = isinstance(taps, int)
    error = ShapeError.about(
        "state",
        recurrence.name,
        takes=f"a start of (batch, {recurrence.lag}, dim), oldest first",
        because=f"it is looked back to {recurrence.lag} steps",
        got=f"{taps} of them" if known else "another number",
        do="Give (batch, dim) to have one row used for all.",
    )
    return checked(
        given, taps == recurrence.lag if known else pt.eq(taps, recurrence.lag), error
    )


def last_rows(
    recurrence: Recurrence, before: TensorVariable, values: TensorVariable
) -> TensorVariable:
    """The rows before the step that would come next, ``(lag, batch, dim)``."""
    lag = recurrence.lag
    return (
        last_step(values)[None]
        if lag == 1
        else pt.concatenate([before, values], axis=0)[-lag:]
    )


def started(recurrence: Recurrence, rows: TensorVariable) -> dict[str, object]:
    """scan's entry for a state: ``(batch, dim)``, or ``(lag, batch, dim)`` where it looks further back."""
    return {
        "initial": rows[0] if recurrence.taps == (-1,) else rows,
        "taps": list(recurrence.taps),
    }


def padded(sequence: Sequence, values: TensorVariable) -> dict[str, object]:
    """scan's entry for a sequence ``(time, batch, ...)``, with zeros in front of it for its earliest tap.

    Without them scan would run fewer steps than there are slices, and say nothing.
    """
    lag = -min(sequence.taps)
    if lag:
        zeros = pt.zeros(
            (lag, *(size(values, axis) for axis in range(1, values.ndim))),
            dtype=values.dtype,
        )
        values = pt.concatenate([zeros, values], axis=0)
    return {"input": values, "taps": list(sequence.taps)}
