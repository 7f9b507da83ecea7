"""What states are before the first step: ``(lag, batch, dim)``, oldest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recursive.errors import ShapeError
from recursive.reference.arrays import Array, Given, like
from recursive.reference.noise import drawn
from recursive.spec.graph import DRAWN, LEARNED, StateSpec


@dataclass(frozen=True)
class Start:
    """Where a state starts from, stretched over rows and taps as it needs.

    Args:
        source: ``states``, ``params`` or ``inputs``, to which the gradient goes; or ``numbers``, which have none.
        name: the name there.
        value: ``(dim,)``, ``(batch, dim)``, ``(lag, batch, dim)`` or one number.
    """

    source: str
    name: str
    value: Array

    def rows(self, lag: int, batch: int, dim: int) -> Array:
        """``(lag, batch, dim)``, copied.

        Raises:
            ShapeError: where the value does not fit.
        """
        try:
            return np.array(np.broadcast_to(self.value, (lag, batch, dim)))
        except ValueError as error:
            raise ShapeError.about(
                "state",
                self.name,
                takes=f"a start of (batch, {dim}), or one for each step back",
                because=f"it has {batch} rows and is read {lag} steps back",
                got=self.value.shape,
                do="Compare with what get_states() gives.",
            ) from error

    def back(self, d: Array) -> Array:
        """The gradient of the value, from that of the rows."""
        return like(d, self.value)


def start_of(state: StateSpec, given: Given, contexts: Mapping[str, Array]) -> Start:
    """Where ``state`` starts from: what it goes on from, or as it was declared."""
    initial, learned = state.initial, f"{state.name}.initial"
    if state.name in given.states:
        return Start(
            "states", state.name, np.asarray(given.states[state.name], given.dtype)
        )
    if initial == LEARNED:
        return Start("params", learned, given.params[learned])
    if initial == DRAWN and given.train:
        return Start(
            "numbers",
            learned,
            np.asarray(drawn(given, learned, "a start that is drawn"), given.dtype),
        )
    if isinstance(initial, str) and initial != DRAWN:
        value = given.floats(contexts[initial])
        return Start(
            "inputs", initial, value if value.ndim == 2 else np.moveaxis(value, 1, 0)
        )
    numbers = np.asarray(0.0 if initial == DRAWN else initial, given.dtype)
    return Start(
        "numbers", state.name, numbers[:, None] if numbers.ndim == 2 else numbers
    )
