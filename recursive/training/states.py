"""The states of a whole model that go on from batch to batch: those of every layer inside, as ``path.state``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from recursive.errors import (
    BatchSizeError,
    ConfigError,
    RecursiveError,
    ShapeError,
    UnknownNameError,
    suggest,
)
from recursive.layers.states import States, check_named
from recursive.locked import LOCK, locked

RESETS = ("epoch", "batch")
"""Before what ``fit`` may put states back to their starts."""


class Carried:
    """The carried states of a model's layers, by the path of each; that of the model itself is empty.

    >>> carried = Carried({"": States({"h": np.zeros((1, 6))}), "layer_1": States({"c": np.zeros((2, 4))})})
    >>> carried.prepare(3)
    >>> {name: value.shape for name, value in carried.get().items()}
    {'h': (3, 6), 'layer_1.c': (2, 3, 4)}
    """

    def __init__(self, layers: Mapping[str, States]):
        self.layers = dict(layers)

    @property
    def variables(self) -> list[SharedVariable]:
        """What holds the states."""
        return [
            variable
            for states in self.layers.values()
            for variable in states.variables.values()
        ]

    @locked
    def prepare(self, rows: int) -> None:
        """Make all states ready for a batch of ``rows``.

        Raises:
            BatchSizeError: where they go on from a batch of another size.
        """
        for states in self.layers.values():
            states.prepare(rows)

    @locked
    def reset(self, batch_size: int | None = None) -> None:
        """Put all states back to their starts, for ``batch_size`` rows; None lets the next batch say how many."""
        for states in self.layers.values():
            states.reset(batch_size)

    @locked
    def get(self) -> dict[str, np.ndarray]:
        """Copies of all states: ``(batch, dim)``, or ``(lag, batch, dim)``, oldest first, where several are kept."""
        return {
            _join(path, name): value
            for path, states in self.layers.items()
            for name, value in states.get().items()
        }

    @locked
    def set(self, given: Mapping[str, object]) -> None:
        """Give states new values; those that are not named stay as they are.

        Raises:
            DataError: for anything but a dict.
            UnknownNameError: for a name that is no carried state.
            DtypeError: for values that are no numbers.
            ShapeError: for values of another shape, or of several numbers of rows; nothing is changed then.
        """
        check_named(given)
        owners = {
            _join(path, name): (states, name)
            for path, states in self.layers.items()
            for name in states.variables
        }
        shares: dict[States, dict[str, object]] = {}
        for name, value in given.items():
            if name not in owners:
                raise UnknownNameError.about(
                    "state",
                    str(name),
                    takes="the name of a state that is carried over",
                    because="others start anew",
                    got="an unknown name",
                    do=suggest(str(name), owners),
                )
            states, inner = owners[name]
            shares.setdefault(states, {})[inner] = value
        before = self._copies()
        try:
            for states, share in shares.items():
                states.set(share)
            self._check_one_size()
        except RecursiveError:
            self._restore(before)
            raise

    def _check_one_size(self) -> None:
        sizes = {
            _join(path, name): states.batch_size
            for path, states in self.layers.items()
            for name in states.variables
            if states.batch_size is not None
        }
        if len(set(sizes.values())) > 1:
            raise ShapeError.about(
                "states",
                ", ".join(sizes),
                takes="one number of rows",
                because="they belong to one batch",
                got=", ".join(map(str, sizes.values())),
                do="Set all of them, or call reset_states(batch_size) first.",
            )

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Reset all states inside the block and restore them on exit.

        Other threads wait where there are any: they would run with the states of another run.
        """
        with LOCK if self.layers else nullcontext():
            before = self._copies()
            self.reset()
            try:
                yield
            finally:
                self._restore(before)

    def _copies(self) -> list[np.ndarray]:
        return [np.array(variable.get_value()) for variable in self.variables]

    def _restore(self, values: list[np.ndarray]) -> None:
        for variable, value in zip(self.variables, values, strict=True):
            variable.set_value(value)

    # What the data must be like

    def check_order(self, resets: str | None, shuffle: bool | str) -> None:
        """Raise a ConfigError where ``fit`` cannot reset states so, or would mix the rows that they belong to."""
        if resets is not None and resets not in RESETS:
            raise ConfigError.about(
                "argument",
                "reset_states",
                takes=f"None, {' or '.join(map(repr, RESETS))}",
                because="states start anew before each, or never",
                got=repr(resets),
                do=suggest(str(resets), RESETS),
            )
        if resets is not None and not self.layers:
            raise ConfigError.about(
                "argument",
                "reset_states",
                takes="a model that carries states over",
                because="there is nothing else to reset",
                got=f"{resets!r} for one without",
                do="Say stateful=True in a recurrent layer, or leave reset_states out.",
            )
        if self.layers and shuffle and resets != "batch":
            raise ConfigError.about(
                "argument",
                "shuffle",
                takes="False for a model that carries states over",
                because="row i of a batch goes on from row i of the batch before",
                got=repr(shuffle),
                do="Say shuffle=False, or reset_states='batch' if rows do not belong together.",
            )

    def check_batches(self, rows: int, batch_size: int) -> None:
        """Raise a BatchSizeError where the last of several batches would have fewer rows than the states."""
        rest = rows % batch_size
        if self.layers and rows > batch_size and rest:
            raise BatchSizeError.about(
                "data",
                "rows",
                takes=f"a multiple of batch_size={batch_size}",
                because="states go on from batch to batch, row by row",
                got=f"{rows}",
                do=f"Leave out the last {rest}, or choose a batch_size that divides {rows}.",
            )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
