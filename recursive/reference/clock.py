"""Time, row by row: for a row that is masked at a step, no time passes.

Every history is one array of places: first ``lag`` places for the steps before the
first, then one for each step. The clock finds the place where each row reads k steps
back. Say that a row is masked at step 1, and that ``lag`` is 2:

    place      0    1    2    3        4
    step      -2   -1    0    1, masked   2

At step 2, this row reads place 2 one step back, not place 3.
"""

from __future__ import annotations

import numpy as np

from recursive.reference.arrays import Array
from recursive.reference.masks import expanded

Place = tuple[Array, Array]
"""An index into a history: for each row of the batch a place, and the row's number."""


class Clock:
    """The places of the past.

    ``window[t]``, ``(lag, batch)``, has the places of the last ``lag`` unmasked steps
    before step t, oldest first; ``window[length]`` those at the end.

    Args:
        mask: ``(time, batch)``, False where a step is masked; None if none is.
        length: the number of steps.
        batch: the number of rows.
        lag: the number of places before the first step.

    >>> clock = Clock(np.array([[True], [False], [True]]), length=3, batch=1, lag=2)
    >>> clock.window[3].ravel().tolist()
    [2, 4]
    """

    def __init__(self, mask: Array | None, length: int, batch: int, lag: int):
        self.lag = lag
        self.rows = np.arange(batch)
        valid = np.ones((length, batch), bool) if mask is None else mask
        window = np.repeat(np.arange(lag)[:, None], batch, axis=1)
        self.window = [window]
        for t in range(length):
            # The oldest place leaves the window, that of step t enters it; but the
            # window of a masked row stays.
            moved = np.vstack([window[1:], np.full(batch, lag + t)])
            window = np.where(valid[t], moved, window)
            self.window.append(window)

    def place(self, t: int, tap: int) -> Place:
        """Where each row reads at step ``t``; a tap of -k reads k steps back."""
        places = self.window[t][tap] if tap else np.full(len(self.rows), self.lag + t)
        return places, self.rows

    def last_valid(self, length: int) -> Array:
        """The last unmasked step at or before each step, ``(time, batch)``.

        It is negative for a row that was masked until then.
        """
        return np.stack([self.window[t + 1][-1] - self.lag for t in range(length)])


def forward_filled(values: Array, last: Array) -> Array:
    """``values`` over time, masked steps repeating the last unmasked one, or zeros."""
    # (time, batch, ...): step t of a row takes the values of its step last[t].
    found = values[np.maximum(last, 0), np.arange(last.shape[1])]
    has_past = expanded(last >= 0, values.ndim)
    return np.where(has_past, found, np.zeros((), values.dtype))


def forward_filled_back(d: Array, last: Array) -> Array:
    """The gradient of filled values: a step gets those of all steps that repeat it."""
    found = np.zeros_like(d)
    steps, rows = np.nonzero(last >= 0)
    # Not +=, which would count a step once even if several repeat it.
    np.add.at(found, (last[steps, rows], rows), d[steps, rows])
    return found
