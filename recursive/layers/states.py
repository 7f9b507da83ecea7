"""Kept states: the states of a stateful layer, which are kept between batches.

:class:`States` holds them in shared variables. Row i of a batch starts from the state
that row i of the batch before ended with, so batches must have equally many rows until
the states are reset. In 2015 this was not possible in general, because the size of a
shared variable of Theano could not change (keras issue 620).

:class:`Stateful` gives a layer the methods ``reset_states``, ``get_states`` and
``set_states``. ``Layer.carries`` is True for a layer that keeps states now.
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
    """The kept states of a layer by name, each ``(lag, batch, dim)``, oldest first.

    There are no rows before the first batch, which sets their number. A state of
    integers has no ``dim``.

    Args:
        starts: the initial value of each state, ``(lag, dim)``; floats are cast to
            floatX.

    >>> states = States({"h": np.zeros((1, 6))})
    >>> states.prepare(3)
    >>> states.get()["h"].shape
    (3, 6)
    """

    def __init__(self, starts: Mapping[str, np.ndarray]):
        self.starts: dict[str, np.ndarray] = {}
        self.variables: dict[str, SharedVariable] = {}
        for name, start in starts.items():
            start = np.asarray(start)
            if start.dtype.kind == "f":
                start = start.astype(floatX())
            self.starts[name] = start
            self.variables[name] = _variable(name, self.starts[name])

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The ``(lag, dim)`` of each state."""
        return {name: start.shape for name, start in self.starts.items()}

    @property
    def batch_size(self) -> int | None:
        """The number of rows of the states; None before the first batch."""
        # All states have equally many rows: the first one will do.
        for variable in self.variables.values():
            return variable.get_value(borrow=True).shape[1] or None
        return None

    @locked
    def prepare(self, rows: int) -> None:
        """Prepare the states for a batch of ``rows`` rows.

        Raises:
            BatchSizeError: if the states are those of a batch of another size.
        """
        if self.batch_size is None:
            self.reset(rows)
        elif self.batch_size != rows:
            raise BatchSizeError.about(
                "batch",
                "rows",
                takes=f"{self.batch_size} rows",
                because="states are kept between batches",
                got=str(rows),
                do="Call reset_states() first, or drop the last rows so that all "
                "batches are equal.",
            )

    @locked
    def reset(self, batch_size: int | None = None) -> None:
        """Reset every state to its initial value.

        Args:
            batch_size: the number of rows; None lets the next batch set it.

        Raises:
            ConfigError: unless ``batch_size`` is an integer of 1 or more.
        """
        rows = 0 if batch_size is None else count("batch_size", batch_size)
        for name, variable in self.variables.items():
            variable.set_value(self._repeated_start(name, rows))

    def _repeated_start(self, name: str, rows: int) -> np.ndarray:
        """The initial value of a state, ``(lag, rows, dim)``."""
        return np.repeat(self.starts[name][:, np.newaxis], rows, axis=1)

    @locked
    def get(self) -> dict[str, np.ndarray]:
        """Copies of the states, ``(batch, dim)``; ``(lag, batch, dim)`` if lag > 1."""
        found = {}
        for name, variable in self.variables.items():
            value = np.array(variable.get_value())
            found[name] = value[0] if len(value) == 1 else value
        return found

    @locked
    def set(self, given: Mapping[str, object]) -> None:
        """Give states new values; those that are not named keep theirs.

        Raises:
            DataError: for anything but a dict.
            UnknownNameError: for a name that is not a kept state.
            DtypeError: for values that are not numbers of the state's dtype.
            ShapeError: for values of another shape; nothing is changed then.
        """
        check_named(given)
        # All values are checked before the first one is set.
        values = {name: self._fitted(name, value) for name, value in given.items()}
        others = set(self.variables) - set(values)
        rows = {value.shape[1] for value in values.values()}
        kept_rows = self.batch_size if others else None
        all_rows = rows if kept_rows is None else rows | {kept_rows}
        if len(all_rows) > 1:
            raise ShapeError.about(
                "states",
                ", ".join(map(str, given)),
                takes="one number of rows",
                got=", ".join(map(str, sorted(all_rows))),
                do="Set all of them, or call reset_states(batch_size) first.",
            )
        for name, value in values.items():
            self.variables[name].set_value(value)
        if rows and kept_rows is None:
            # No batch has set the rows of the others yet.
            [new_rows] = rows
            for name in others:
                self.variables[name].set_value(self._repeated_start(name, new_rows))

    def fitting(self, name: str, value: TensorVariable) -> TensorVariable:
        """``value``, ``(lag, batch, dim)``, with the type of the state ``name``."""
        if value.type.shape[1] != 1:
            return value
        # An update must have the type of its variable, which leaves the rows open.
        return pt.second(self.variables[name], value)

    def __getstate__(self) -> dict[str, object]:
        """The states as NumPy arrays, whatever backend ran last."""
        return copied_state(self)

    def _fitted(self, name: str, value: object) -> np.ndarray:
        """A new value for the state ``name`` as an array, ``(lag, batch, dim)``."""
        if name not in self.variables:
            raise UnknownNameError.about(
                "state",
                str(name),
                takes="the name of a state kept between batches",
                got="an unknown name",
                do=suggest(str(name), self.variables),
            )
        start = self.starts[name]
        lag, *dims = start.shape  # no dim for integers
        array = as_array("state", name, value, str(start.dtype))
        if array.ndim == start.ndim and lag == 1:
            array = array[np.newaxis]
        is_of_shape = array.ndim == start.ndim + 1 and array.shape[0] == lag
        if is_of_shape and list(array.shape[2:]) == dims:
            return array
        axes = ", ".join(map(str, ["batch", *dims]))
        wanted = f"({lag}, {axes}), oldest first"
        if lag == 1:
            wanted = f"({axes})" if dims else "(batch,)"
        raise ShapeError.about(
            "state",
            name,
            takes=wanted,
            got=str(np.shape(value)),
            do="Compare with get_states().",
        )


class Stateful:
    """The methods of a layer that has :class:`States`, in ``self.states``."""

    def reset_states(self, batch_size: int | None = None) -> None:
        """Reset the kept states, for ``batch_size`` rows or those of the next batch."""
        self.states.reset(batch_size)

    def get_states(self) -> dict[str, np.ndarray]:
        """Copies of the kept states by name.

        Each is ``(batch, dim)``, or ``(lag, batch, dim)``, oldest first.
        """
        return self.states.get()

    def set_states(self, states: Mapping[str, np.ndarray]) -> None:
        """Give kept states new values; raises as ``States.set``."""
        self.states.set(states)


def check_named(given: object) -> None:
    """Raise a DataError unless states are given as a dict."""
    if not isinstance(given, Mapping):
        raise DataError.about(
            "argument",
            "states",
            takes="a dict by name",
            got=type(given).__name__,
            do="Compare with get_states().",
        )


def _variable(name: str, start: np.ndarray) -> SharedVariable:
    """A shared variable for a state without rows, ``(lag, 0, dim)``."""
    lag, *dims = start.shape
    # None in the static shape lets the number of rows change.
    empty = np.zeros((lag, 0, *dims), dtype=start.dtype)
    return pytensor.shared(empty, name=name, shape=(lag, None, *dims))
