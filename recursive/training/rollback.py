"""Copies of everything that changes while training, to go back to when the loss is no longer finite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from recursive.locked import locked

Values = Mapping[SharedVariable, np.ndarray]


class Rollback:
    """Remembers weights and optimizer together, at the start and at the end of each epoch.

    A loss is that of before a step. So the weights at the end of an epoch are known to be good only when the first
    loss of the next one is finite; until then the copy before is kept too.

    Args:
        variables: everything that changes, asked for anew each time, since an optimizer adds to it.
    """

    def __init__(self, variables: Callable[[], Sequence[SharedVariable]]):
        self._variables = variables
        self._copies = [("the initial ones", self._copy())]

    def keep(self, epoch: int) -> None:
        """Copy everything at the end of ``epoch``, counted from 0."""
        self._copies = [
            self._copies[-1],
            (f"those of the end of epoch {epoch + 1}", self._copy()),
        ]

    @locked
    def restore(self, at_first_batch: bool) -> str:
        """Go back to the last copy that is known to be good, and say which; what is new since then becomes zero."""
        which, values = self._copies[0 if at_first_batch else -1]
        for variable in self._variables():
            current = variable.get_value(borrow=True)
            variable.set_value(
                values.get(variable, np.zeros(current.shape, current.dtype))
            )
        return which

    @locked
    def _copy(self) -> Values:
        return {
            variable: np.array(variable.get_value()) for variable in self._variables()
        }
