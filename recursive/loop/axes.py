"""Axes in another order: the user's has rows first, the loop's time first."""

from __future__ import annotations

from pytensor.tensor.variable import TensorVariable

from recursive.backend.sizes import size


def swap_time(x: TensorVariable) -> TensorVariable:
    """``(batch, time, ...)`` to ``(time, batch, ...)``, and back; what has no rows stays ``(time,)``."""
    return x if x.ndim == 1 else x.dimshuffle(1, 0, *range(2, x.ndim))


def taps_first(x: TensorVariable, lag: int, dim: int) -> TensorVariable:
    """``(batch, lag * dim)`` as ``(lag, batch, dim)``."""
    return x.reshape((size(x, 0), lag, dim)).dimshuffle(1, 0, 2)
