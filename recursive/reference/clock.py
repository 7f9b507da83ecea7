"""Time, row by row: at a step that is no data, none passes for that row.

Every history is kept as one array of places: first ``lag`` places for what was before the first step, then one for
each step. A clock says at which place each row finds what it saw one step ago, two steps ago, ...
"""

from __future__ import annotations

import numpy as np

from recursive.reference.arrays import Array


class Clock:
    """The places of the past, for ``mask`` of ``(time, batch)``, whether a step is data; None where all are.

    >>> clock = Clock(np.array([[True], [False], [True]]), length=3, batch=1, lag=2)
    >>> clock.window[3].ravel().tolist()     # after the last step: the last two steps that were data
    [2, 4]
    """

    def __init__(self, mask: Array | None, length: int, batch: int, lag: int):
        self.lag, self.everyone = lag, np.arange(batch)
        valid = np.ones((length, batch), bool) if mask is None else mask
        window = np.repeat(np.arange(lag)[:, None], batch, axis=1)
        self.window = [window]
        """Before each step, and after the last: the places of the last ``lag`` steps that were data, oldest first."""
        for t in range(length):
            window = np.where(
                valid[t], np.vstack([window[1:], np.full(batch, lag + t)]), window
            )
            self.window.append(window)

    def place(self, t: int, tap: int) -> tuple[Array | int, Array]:
        """Where each row finds, at step ``t``, the value of now (tap 0) or of ``-tap`` steps before."""
        return (
            self.window[t][tap] if tap else np.full(len(self.everyone), self.lag + t)
        ), self.everyone

    def last_valid(self, length: int) -> Array:
        """The number of the last step that was data, at each step, ``(time, batch)``; below 0 before any."""
        return np.stack([self.window[t + 1][-1] - self.lag for t in range(length)])


def filled(values: Array, last: Array) -> Array:
    """``values`` over time, each replaced by the last that was data, zeros before any."""
    found = values[np.maximum(last, 0), np.arange(last.shape[1])]
    return np.where(_beside(last >= 0, values), found, np.zeros((), values.dtype))


def unfilled(d: Array, last: Array) -> Array:
    """The gradient of what was filled: each step has that of all steps which repeated it."""
    found = np.zeros_like(d)
    steps, rows = np.nonzero(last >= 0)
    np.add.at(found, (last[steps, rows], rows), d[steps, rows])
    return found


def _beside(rows: Array, values: Array) -> Array:
    return rows.reshape(rows.shape + (1,) * (values.ndim - rows.ndim))
