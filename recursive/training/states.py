"""The kept states of a whole model: those of every layer inside, as ``path.state``."""

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
from recursive.layers import config
from recursive.layers.layer import Layer
from recursive.layers.states import States, check_named
from recursive.locked import LOCK, locked

RESETS = ("epoch", "batch")
"""The stages before which ``fit`` can reset states."""


class KeptStates:
    """The states of a model's layers that are kept between batches.

    Args:
        layers: the states of each layer by its path; the path of the model is empty.

    >>> rnn, lstm = States({"h": np.zeros((1, 6))}), States({"c": np.zeros((2, 4))})
    >>> kept = KeptStates({"": rnn, "layer_1": lstm})
    >>> kept.prepare(3)
    >>> {name: value.shape for name, value in kept.get().items()}
    {'h': (3, 6), 'layer_1.c': (2, 3, 4)}
    """

    def __init__(self, layers: Mapping[str, States]):
        self.layers = dict(layers)

    @classmethod
    @locked
    def of(cls, model: Layer) -> KeptStates:
        """The kept states of a model and of every layer inside."""
        layers = {}
        seen = set()
        for path, layer in [("", model), *config.walk(model)]:
            # A layer that is used twice has one set of states, named by its first
            # place.
            if layer.carries and layer.built and layer not in seen:
                seen.add(layer)
                layers[path] = layer.states
        return cls(layers)

    @property
    def variables(self) -> list[SharedVariable]:
        """The shared variables that hold the states."""
        found = []
        for states in self.layers.values():
            found += states.variables.values()
        return found

    def _owners(self) -> dict[str, tuple[States, str]]:
        """The layer's states and the name in them, by the full name of each state."""
        owners = {}
        for path, states in self.layers.items():
            for name in states.variables:
                owners[_join(path, name)] = states, name
        return owners

    @locked
    def prepare(self, rows: int) -> None:
        """Make all states ready for a batch of ``rows``.

        Raises:
            BatchSizeError: if they are kept from a batch of another size.
        """
        for states in self.layers.values():
            states.prepare(rows)

    @locked
    def reset(self, batch_size: int | None = None) -> None:
        """Reset all states to their initial values, for ``batch_size`` rows.

        None lets the next batch set the number of rows.
        """
        for states in self.layers.values():
            states.reset(batch_size)

    @locked
    def get(self) -> dict[str, np.ndarray]:
        """Return copies of all states, ``(batch, dim)``.

        A state that is read several steps back is ``(lag, batch, dim)``, oldest first.
        """
        found = {}
        for path, states in self.layers.items():
            for name, value in states.get().items():
                found[_join(path, name)] = value
        return found

    @locked
    def set(self, given: Mapping[str, object]) -> None:
        """Set states to new values; states that are not named keep theirs.

        Raises:
            DataError: for anything but a dict.
            UnknownNameError: for a name that is not a kept state.
            DtypeError: for values that are not numbers.
            ShapeError: for values of another shape or with different numbers of rows.
                Nothing is changed then.
        """
        check_named(given)
        owners = self._owners()
        by_layer: dict[States, dict[str, object]] = {}
        for name, value in given.items():
            if name not in owners:
                raise UnknownNameError.about(
                    "state",
                    str(name),
                    takes="the name of a state kept between batches",
                    got="an unknown name",
                    do=suggest(str(name), owners),
                )
            states, inner_name = owners[name]
            by_layer.setdefault(states, {})[inner_name] = value

        # Some layers may be set before the values of another are refused.
        before = self._copies()
        try:
            for states, values in by_layer.items():
                states.set(values)
            self._check_one_size()
        except RecursiveError:
            self._restore(before)
            raise

    def _check_one_size(self) -> None:
        sizes = {}
        for name, (states, _) in self._owners().items():
            if states.batch_size is not None:
                sizes[name] = states.batch_size
        if len(set(sizes.values())) > 1:
            raise ShapeError.about(
                "states",
                ", ".join(sizes),
                takes="the same number of rows",
                because="they belong to one batch",
                got=", ".join(map(str, sizes.values())),
                do="Set all of them, or call reset_states(batch_size) first.",
            )

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Reset all states inside the block and restore them on exit."""
        # Other threads wait until the states are back: they would read the wrong ones.
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

    # What fit may do with kept states

    def check_order(self, resets: str | None, shuffle: bool | str) -> None:
        """Check the ``reset_states`` and ``shuffle`` arguments of ``fit``.

        Raises:
            ConfigError: for an unknown stage, nothing to reset, or a shuffle that would
                mix the rows that kept states belong to.
        """
        if resets is not None:
            self._check_resets(resets)
        if self.layers and shuffle and resets != "batch":
            raise ConfigError.about(
                "argument",
                "shuffle",
                takes="False for a stateful model",
                because="row i of a batch continues row i of the batch before",
                got=repr(shuffle),
                do="Pass shuffle=False, or reset_states='batch' if rows are unrelated.",
            )

    def _check_resets(self, resets: str) -> None:
        if resets not in RESETS:
            raise ConfigError.about(
                "argument",
                "reset_states",
                takes=f"None, {' or '.join(map(repr, RESETS))}",
                got=repr(resets),
                do=suggest(str(resets), RESETS),
            )
        if not self.layers:
            raise ConfigError.about(
                "argument",
                "reset_states",
                takes="a model with states kept between batches",
                got=f"{resets!r} for a model without",
                do="Pass stateful=True to a recurrent layer, or leave it out.",
            )

    def check_batches(self, rows: int, batch_size: int) -> None:
        """Raise a BatchSizeError if states are kept and the last batch is shorter."""
        rest = rows % batch_size
        if self.layers and rows > batch_size and rest:
            raise BatchSizeError.about(
                "data",
                "rows",
                takes=f"a multiple of batch_size={batch_size}",
                because="states are kept from batch to batch, row by row",
                got=f"{rows}",
                do=f"Leave out the last {rest}, "
                f"or choose a batch_size that divides {rows}.",
            )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
