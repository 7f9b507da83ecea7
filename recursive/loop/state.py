"""The rows of states before the first step and after the last, oldest first."""

from __future__ import annotations

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend import checked, dtype_of
from recursive.backend.sizes import Size, size, sizes
from recursive.errors import ShapeError, StateError
from recursive.scan.op import last_step
from recursive.spec.plan import Recurrence, Sequence


def first_rows(recurrence: Recurrence, batch: Size, dim: int) -> TensorVariable:
    """The rows before the first step of a state with initial numbers.

    They are ``(lag, batch, dim)``, with the same numbers in every row of the batch, or
    ``(lag, batch)`` for a state of integers.
    """
    numbers = pt.constant(start_numbers(recurrence, dim)[:, np.newaxis])
    return pt.alloc(numbers, recurrence.lag, batch, *_dims(recurrence, dim))


def _dims(recurrence: Recurrence, dim: int | None) -> tuple[int | None, ...]:
    """The axes of a state after that of the rows: none for integers."""
    return (dim,) if recurrence.dtype == "float" else ()


def start_numbers(recurrence: Recurrence, dim: int | None) -> np.ndarray:
    """The initial numbers of a state, ``(lag, dim)``, or ``(lag,)`` for integers.

    Raises:
        StateError: if its dim is not known.
    """
    check_dim_is_known(recurrence, dim)
    # A number, (dim,) or (lag, dim); a row stands for each of the taps.
    numbers = np.asarray(recurrence.initial, dtype=dtype_of(recurrence.dtype))
    shape = (recurrence.lag, *_dims(recurrence, dim))
    return np.array(np.broadcast_to(numbers, shape))


def check_dim_is_known(recurrence: Recurrence, dim: int | None) -> None:
    """Raise a StateError if the dim of a state is not known."""
    if dim is None and recurrence.dtype == "float":
        name, node = recurrence.name, recurrence.node
        raise StateError.about(
            "state",
            name,
            takes="a known dim",
            because="its initial value has that size",
            got=f"that of {node!r}, which follows from this state itself",
            do=f"Declare it: add_state({name!r}, dim=1, input={node!r}), for example.",
        )


def all_rows(
    recurrence: Recurrence, given: TensorVariable, batch: Size, dim: int
) -> TensorVariable:
    """A given initial value as the rows before the first step, ``(lag, batch, dim)``.

    Args:
        recurrence: the state.
        given: ``(dim,)`` or ``(batch, dim)`` for the same row at each tap, or
            ``(batch, lag, dim)``. Without ``dim`` for a state of integers.
        batch: the number of rows.
        dim: the dim of the state.

    Raises:
        ShapeError: for another number of rows; at run time if it is not known before.
    """
    dims = _dims(recurrence, dim)
    if given.ndim == 2 + len(dims):  # (batch, lag, dim) to (lag, batch, dim)
        others = range(2, given.ndim)
        given = _with_every_tap(recurrence, given).dimshuffle(1, 0, *others)
    return pt.alloc(given, recurrence.lag, batch, *dims)


def _with_every_tap(recurrence: Recurrence, given: TensorVariable) -> TensorVariable:
    lag = recurrence.lag
    taps = size(given, 1)
    if isinstance(taps, int):
        condition, got = taps == lag, f"{taps} of them"
    else:
        condition, got = pt.eq(taps, lag), "another number"
    error = ShapeError.about(
        "state",
        recurrence.name,
        takes=f"a start of (batch, {lag}, dim), oldest first",
        because=f"it is read {lag} steps back",
        got=got,
        do="Pass (batch, dim) to use one row for all.",
    )
    return checked(given, condition, error)


def last_rows(
    recurrence: Recurrence, before: TensorVariable, values: TensorVariable
) -> TensorVariable:
    """The rows before the step that would come next, ``(lag, batch, dim)``.

    Args:
        recurrence: the state.
        before: its rows before the first step, ``(lag, batch, dim)``.
        values: its values at every step, ``(time, batch, dim)``.
    """
    lag = recurrence.lag
    if lag == 1:
        return last_step(values)[None]
    # There may be fewer steps than the lag.
    return pt.concatenate([before, values], axis=0)[-lag:]


def started(recurrence: Recurrence, rows: TensorVariable) -> dict[str, object]:
    """scan's entry for a state: ``(batch, dim)`` for the tap -1, else all rows."""
    initial = rows[0] if recurrence.taps == (-1,) else rows
    return {"initial": initial, "taps": list(recurrence.taps)}


def padded(sequence: Sequence, values: TensorVariable) -> dict[str, object]:
    """scan's entry for a sequence ``(time, batch, ...)``, with zeros in front of it.

    There is a row of zeros for each step that its earliest tap reads back. Without them
    scan would silently run fewer steps.
    """
    lag = -min(sequence.taps)
    if lag:
        values = pt.concatenate([zeros_before(values, lag), values], axis=0)
    return {"input": values, "taps": list(sequence.taps)}


def zeros_before(values: TensorVariable, lag: int) -> TensorVariable:
    """``(lag, ...)`` of zeros, to stand in front of ``values``, ``(time, ...)``."""
    return pt.zeros((lag, *sizes(values, 1)), dtype=values.dtype)
