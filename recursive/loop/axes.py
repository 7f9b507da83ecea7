"""Axes: ``(batch, time, dim)`` for users, ``(time, batch, dim)`` in loops."""

from __future__ import annotations

from pytensor.tensor.variable import TensorVariable

from recursive.backend.sizes import size


def swap_time(x: TensorVariable) -> TensorVariable:
    """``(batch, time, ...)`` as ``(time, batch, ...)``, or back.

    A tensor of one axis, ``(time,)``, stays as it is.
    """
    return x if x.ndim == 1 else x.dimshuffle(1, 0, *range(2, x.ndim))


def taps_first(x: TensorVariable, lag: int, dim: int) -> TensorVariable:
    """``(batch, lag * dim)`` as ``(lag, batch, dim)``."""
    return x.reshape((size(x, 0), lag, dim)).dimshuffle(1, 0, 2)
