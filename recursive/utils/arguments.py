"""What a user says as an argument: counts, flags, seeds."""

from __future__ import annotations

import numpy as np

from recursive.errors import ConfigError


def count(name: str, value: object) -> int:
    """``value`` where it is a whole number of 1 or more.

    Raises:
        ConfigError: for anything else.

    >>> count("batch_size", 32)
    32
    """
    if not _is_whole(value) or value < 1:
        got = (
            repr(value)
            if isinstance(value, str | float | int) or value is None
            else type(value).__name__
        )
        raise ConfigError.about(
            "argument",
            name,
            takes="a whole number of 1 or more",
            because="it counts",
            got=got,
            do=f"Say {name}=32, for example.",
        )
    return int(value)


def flag(owner: str, name: str, value: object) -> bool:
    """``value`` where it is True or False, or 1 or 0; text such as ``'no'`` would count as true.

    Raises:
        ConfigError: for anything else.

    >>> flag("GRU", "stateful", 1)
    True
    """
    if not isinstance(value, bool | np.bool_) and not (
        _is_whole(value) and value in (0, 1)
    ):
        raise ConfigError.about(
            "argument",
            name,
            takes="True or False",
            because=f"{owner} does so or not",
            got=repr(value),
            do=f"Say {name}=True.",
        )
    return bool(value)


def seed(name: str, value: object) -> int | None:
    """``value`` where it is a seed: a whole number from 0 to 2**32 - 1, or None.

    Raises:
        ConfigError: for anything else.

    >>> seed("Dense", 7)
    7
    """
    if value is not None and not (_is_whole(value) and 0 <= value < 2**32):
        raise ConfigError.about(
            "argument",
            "seed",
            takes="a whole number from 0 to 4294967295, or None",
            because=f"the draws of {name} follow from it",
            got=repr(value),
            do="Say seed=1.",
        )
    return None if value is None else int(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
