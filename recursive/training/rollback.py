"""Copies of all variables that training changes, restored when the loss diverges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from recursive.locked import locked

Values = Mapping[SharedVariable, np.ndarray]


class Rollback:
    """Copies of weights and optimizer, made at the start and after each epoch.

    Args:
        variables: returns all variables that change. It is called for each copy,
            because an optimizer adds slots at its first step.
    """

    def __init__(self, variables: Callable[[], Sequence[SharedVariable]]):
        self._variables = variables
        self._copies = [("the initial ones", self._copy())]

    def keep(self, epoch: int) -> None:
        """Copy all variables at the end of ``epoch``, counted from 0."""
        # A loss is computed before its step, so the newest copy is known to be good
        # only once the first loss of the next epoch is finite. Until then the older one
        # stays.
        newest = (f"those of the end of epoch {epoch + 1}", self._copy())
        self._copies = [self._copies[-1], newest]

    @locked
    def restore(self, at_first_batch: bool) -> str:
        """Restore the last copy known to be good and return its description.

        Variables that are newer than the copy become zero.

        Args:
            at_first_batch: True if the first loss of the epoch was not finite, which
                means that the newest copy is bad.
        """
        description, values = self._copies[0 if at_first_batch else -1]
        for variable in self._variables():
            current = variable.get_value(borrow=True)
            zeros = np.zeros(current.shape, current.dtype)
            variable.set_value(values.get(variable, zeros))
        return description

    @locked
    def _copy(self) -> Values:
        variables = self._variables()
        return {variable: np.array(variable.get_value()) for variable in variables}
