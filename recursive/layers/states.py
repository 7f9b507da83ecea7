"""States that go on from batch to batch: shared variables whose number of rows may change.

Santana was stuck on it in 2015, since shared variables could not change size (keras issue 620); PyTensor's can.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive.backend import copied_state, floatX
from recursive.backend.arrays import as_array
from recursive.errors import (
    BatchSizeError,
    DataError,
    ShapeError,
    UnknownNameError,
    suggest,
)
from recursive.locked import locked
from recursive.utils.arguments import count


class States:
    """The carried states of a layer, by name: each ``(lag, batch, dim)``, its rows before the next step.

    Before the first batch there are no rows; the first batch sets their number.

    >>> states = States({"h": np.zeros((1, 6))})
    >>> states.prepare(3)
    >>> states.get()["h"].shape
    (3, 6)
    """

    def __init__(self, starts: Mapping[str, np.ndarray]):
        self.starts = {
            name: np.asarray(start, dtype=floatX()) for name, start in starts.items()
        }
        self.variables = {
            name: _variable(name, start) for name, start in self.starts.items()
        }

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The lag and the dim of each state."""
        return {name: start.shape for name, start in self.starts.items()}

    @property
    def batch_size(self) -> int | None:
        """How many rows the states have; None before the first batch."""
        sizes = [
            variable.get_value(borrow=True).shape[1]
            for variable in self.variables.values()
        ]
        return sizes[0] if sizes and sizes[0] else None

    @locked
    def prepare(self, rows: int) -> None:
        """Make the states ready for a batch of ``rows``.

        Raises:
            BatchSizeError: where they go on from a batch of another size.
        """
        if self.batch_size is None:
            self.reset(rows)
        elif self.batch_size != rows:
            raise BatchSizeError.about(
                "batch",
                "rows",
                takes=f"{self.batch_size} rows",
                because="its states go on from batch to batch",
                got=str(rows),
                do="Call reset_states() first, or leave the rest out so that all batches are equal.",
            )

    @locked
    def reset(self, batch_size: int | None = None) -> None:
        """Put every state back to its start, for ``batch_size`` rows; None lets the next batch say how many.

        Raises:
            ConfigError: for a ``batch_size`` that is no whole number of 1 or more.
        """
        rows = 0 if batch_size is None else count("batch_size", batch_size)
        for name, variable in self.variables.items():
            variable.set_value(
                np.repeat(self.starts[name][:, np.newaxis], rows, axis=1)
            )

    @locked
    def get(self) -> dict[str, np.ndarray]:
        """Copies of the states: ``(batch, dim)``, or ``(lag, batch, dim)``, oldest first, where several are kept."""
        values = {
            name: np.array(variable.get_value())
            for name, variable in self.variables.items()
        }
        return {
            name: value[0] if len(value) == 1 else value
            for name, value in values.items()
        }

    @locked
    def set(self, given: Mapping[str, object]) -> None:
        """Give states new values, of one number of rows; those that are not named stay as they are.

        Raises:
            DataError: for anything but a dict.
            UnknownNameError: for a name that is no carried state.
            DtypeError: for values that are no numbers of floatX.
            ShapeError: for values of another shape; nothing is changed then.
        """
        check_named(given)
        values = {}
        for name, value in given.items():
            if name not in self.variables:
                raise UnknownNameError.about(
                    "state",
                    str(name),
                    takes="the name of a state that is carried over",
                    because="others start anew",
                    got="an unknown name",
                    do=suggest(str(name), self.variables),
                )
            values[name] = self._fitted(name, value)
        rows = {value.shape[1] for value in values.values()}
        kept = (
            {self.batch_size} - {None} if set(values) < set(self.variables) else set()
        )
        if len(rows | kept) > 1:
            raise ShapeError.about(
                "states",
                ", ".join(map(str, given)),
                takes="one number of rows",
                because="they belong to one batch",
                got=", ".join(map(str, sorted(rows | kept))),
                do="Set all of them, or call reset_states(batch_size) first.",
            )
        for name, value in values.items():
            self.variables[name].set_value(value)
        if not kept and rows:
            for name in set(self.variables) - set(values):
                self.variables[name].set_value(
                    np.repeat(self.starts[name][:, np.newaxis], *rows, axis=1)
                )

    def fitting(self, name: str, value: TensorVariable) -> TensorVariable:
        """``value``, ``(lag, batch, dim)``, in the type of the state called ``name``, which may have any rows."""
        variable = self.variables[name]
        return _with_any_rows(value, variable) if value.type.shape[1] == 1 else value

    def __getstate__(self) -> dict[str, object]:
        """The states as NumPy arrays, whatever backend ran last."""
        return copied_state(self)

    def _fitted(self, name: str, value: object) -> np.ndarray:
        lag, dim = self.starts[name].shape
        array = as_array("state", name, value, floatX())
        array = array[np.newaxis] if array.ndim == 2 and lag == 1 else array
        if array.ndim != 3 or array.shape[0] != lag or array.shape[2] != dim:
            wanted = (
                f"(batch, {dim})"
                if lag == 1
                else f"({lag}, batch, {dim}), oldest first"
            )
            raise ShapeError.about(
                "state",
                name,
                takes=wanted,
                because="that is its dim, and how far it is looked to",
                got=str(np.shape(value)),
                do="Compare with get_states().",
            )
        return array


class Stateful:
    """The methods of a layer that has :class:`States` of its own, in ``self.states``."""

    def reset_states(self, batch_size: int | None = None) -> None:
        """Put the states back to their starts; the next batch has ``batch_size`` rows, or sets their number."""
        self.states.reset(batch_size)

    def get_states(self) -> dict[str, np.ndarray]:
        """Copies of the carried states by name, ``(batch, dim)``, or ``(lag, batch, dim)``, oldest first."""
        return self.states.get()

    def set_states(self, states: Mapping[str, np.ndarray]) -> None:
        """Give carried states other values; raises as ``States.set``."""
        self.states.set(states)


def check_named(given: object) -> None:
    """Raise a DataError where states are given in anything but a dict."""
    if not isinstance(given, Mapping):
        raise DataError.about(
            "argument",
            "states",
            takes="a dict by name",
            because="each state has a name",
            got=type(given).__name__,
            do="Compare with get_states().",
        )


def _with_any_rows(value: TensorVariable, variable: SharedVariable) -> TensorVariable:
    """``value``, whose type says one row, with that of ``variable``, which may have others: PyTensor asks for it."""
    return pt.second(variable, value)


def _variable(name: str, start: np.ndarray) -> SharedVariable:
    lag, dim = start.shape
    return pytensor.shared(
        np.zeros((lag, 0, dim), dtype=floatX()), name=name, shape=(lag, None, dim)
    )
