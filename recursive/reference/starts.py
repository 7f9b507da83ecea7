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
        source: ``states``, ``params``, ``inputs`` or ``nodes``; or ``numbers``, without
            a gradient.
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


def start_of(
    state: StateSpec,
    scope: Scope,
    contexts: Mapping[str, Value],
    nodes: Mapping[str, Value],
) -> Start:
    """The start of ``state``: an optional start or state that is given, or as declared.

    ``nodes`` are the values of nodes that depend on contexts alone.
    """
    if state.dtype != "float":
        return _start_of_integers(state, scope, contexts)
    name, initial = state.name, state.initial
    parameter = f"{name}.initial"
    # An optional start comes first, even before the state of the batch before.
    if state.given in contexts:
        return _named("inputs", state.given, contexts, scope)
    if name in scope.states:
        return Start("states", name, np.asarray(scope.states[name], scope.dtype))
    if initial == LEARNED:
        return Start("params", parameter, scope.params[parameter])
    if initial == DRAWN:
        return Start("numbers", parameter, _drawn_start(state, scope))
    # Any other name is that of a context or a node.
    if isinstance(initial, str) and initial in contexts:
        return _named("inputs", initial, contexts, scope)
    if isinstance(initial, str):
        return _named("nodes", initial, nodes, scope)
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


def _named(source: str, name: str, values: Mapping[str, Value], scope: Scope) -> Start:
    """A value as a start, ``(batch, dim)`` or ``(batch, lag, dim)``."""
    value = scope.floats(values[name].array)
    return Start(source, name, value, is_batch_first=value.ndim == 3)


def _drawn_start(state: StateSpec, scope: Scope) -> Array:
    """A start that is drawn while training; 0 otherwise.

    The draw is standard normal, or uniform in [0, 1).
    """
    if not scope.train:
        return np.asarray(0.0, scope.dtype)
    draw = drawn(scope, f"{state.name}.initial", "an initial value")
    draw = np.asarray(draw, scope.dtype)
    if state.init == "uniform":
        draw = 2 * draw - 1
    return draw if state.scale is None else state.scale * draw
