"""The initial values of states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recursive.errors import ShapeError
from recursive.reference.arrays import Array, Scope, Value, unbroadcast
from recursive.reference.noise import drawn
from recursive.spec.graph import DRAWN, LEARNED, StateSpec


@dataclass(frozen=True)
class Start:
    """The initial value of a state, and where its gradient goes.

    Args:
        source: ``states``, ``params`` or ``inputs``; or ``numbers``, without a
            gradient.
        name: the name there.
        value: one number, ``(dim,)``, ``(batch, dim)`` or ``(lag, batch, dim)``; of
            integers without ``dim``.
        is_batch_first: True for ``(batch, lag, dim)``, as contexts are.
    """

    source: str
    name: str
    value: Array
    is_batch_first: bool = False

    def rows(self, lag: int, batch: int, dims: tuple[int, ...]) -> Array:
        """The value broadcast to ``(lag, batch, *dims)``, oldest first.

        Raises:
            ShapeError: if it does not fit.
        """
        try:
            return np.array(np.broadcast_to(self._lag_first(), (lag, batch, *dims)))
        except ValueError as error:
            raise ShapeError.about(
                "state",
                self.name,
                takes=f"rows of {(batch, *dims)}, or {lag} of them, oldest first",
                got=self.value.shape,
                do="Compare with the shapes of get_states().",
            ) from error

    def back(self, d_rows: Array) -> Array:
        """The gradient of the value, from that of the rows."""
        d = unbroadcast(d_rows, self._lag_first())
        return np.moveaxis(d, 0, 1) if self.is_batch_first else d

    def _lag_first(self) -> Array:
        return np.moveaxis(self.value, 1, 0) if self.is_batch_first else self.value


def start_of(state: StateSpec, scope: Scope, contexts: Mapping[str, Value]) -> Start:
    """The start of ``state``: the state that is given, else as declared."""
    if state.dtype != "float":
        return _start_of_integers(state, scope, contexts)
    name, initial = state.name, state.initial
    parameter = f"{name}.initial"
    # A state that is given comes first: it continues the batch before.
    if name in scope.states:
        return Start("states", name, np.asarray(scope.states[name], scope.dtype))
    if initial == LEARNED:
        return Start("params", parameter, scope.params[parameter])
    if initial == DRAWN:
        draw = drawn(scope, parameter, "an initial value") if scope.train else 0.0
        return Start("numbers", parameter, np.asarray(draw, scope.dtype))
    # Any other name is that of a context, (batch, dim) or (batch, lag, dim).
    if isinstance(initial, str):
        value = scope.floats(contexts[initial].array)
        return Start("inputs", initial, value, is_batch_first=value.ndim == 3)
    numbers = np.asarray(initial, scope.dtype)
    # Rows of numbers are (lag, dim): the same for every row of the batch.
    return Start("numbers", name, numbers[:, None] if numbers.ndim == 2 else numbers)


def _start_of_integers(
    state: StateSpec, scope: Scope, contexts: Mapping[str, Value]
) -> Start:
    """The start of a state of integers or truth values: ``(batch,)``, without a dim."""
    name, initial = state.name, state.initial
    dtype = {"int": np.int32, "bool": bool}[state.dtype]
    if name in scope.states:
        return Start("states", name, np.asarray(scope.states[name]).astype(dtype))
    if isinstance(initial, str):
        # A context, (batch,) or (batch, lag).
        value = contexts[initial].array.astype(dtype)
        return Start("inputs", initial, value, is_batch_first=value.ndim == 2)
    numbers = np.asarray(initial).astype(dtype)
    # A number for each lag: the same for every row of the batch.
    return Start("numbers", name, numbers[:, None] if numbers.ndim else numbers)
