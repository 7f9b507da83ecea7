"""Checks of common arguments: counts, flags and seeds."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np

from recursive.errors import ConfigError


def count(name: str, value: object, least: int = 1) -> int:
    """Return ``value`` if it is an integer of ``least`` or more.

    Raises:
        ConfigError: for anything else.

    >>> count("batch_size", 32)
    32
    """
    if not _is_integer(value) or value < least:
        is_short = value is None or isinstance(value, str | float | int)
        raise ConfigError.about(
            "argument",
            name,
            takes=f"an integer of {least} or more",
            got=repr(value) if is_short else type(value).__name__,
            do=f"Pass {name}=32, for example.",
        )
    return int(value)


def is_finite(value: object) -> bool:
    """True for a real number that a float can hold; a bool is none.

    >>> is_finite(0.5), is_finite(10**400), is_finite("1")
    (True, False, False)
    """
    if not isinstance(value, Real) or isinstance(value, bool | np.bool_):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer above 1.8e308
        return False


def coefficient(owner: str, name: str, value: object) -> object:
    """Return ``value`` if it is a finite number, an array or a tensor.

    Raises:
        ConfigError: for anything else.

    >>> coefficient("MaxNorm", "m", 2)
    2
    """
    if not is_finite(value) and not hasattr(value, "ndim"):
        raise ConfigError.about(
            "argument",
            name,
            takes="a finite number",
            got=repr(value),
            do=f"Pass {name}=0.01 for {owner}, for example.",
        )
    return value


def flag(owner: str, name: str, value: object) -> bool:
    """Return ``value`` if it is True or False, or 1 or 0.

    ``owner`` is the layer or state that has the flag. Text is refused because ``'no'``
    would count as true.

    Raises:
        ConfigError: for anything else.

    >>> flag("GRU", "stateful", 1)
    True
    """
    is_0_or_1 = _is_integer(value) and value in (0, 1)
    if not isinstance(value, bool | np.bool_) and not is_0_or_1:
        raise ConfigError.about(
            "argument",
            name,
            takes="True or False",
            got=repr(value),
            do=f"Pass {name}=True for {owner}, for example.",
        )
    return bool(value)


def seed(owner: str, value: object) -> int | None:
    """Return ``value`` if it is a seed: an integer from 0 to 2**32 - 1, or None.

    ``owner`` is the layer that draws from it.

    Raises:
        ConfigError: for anything else.

    >>> seed("Dense", 7)
    7
    """
    if value is None:
        return None
    if not _is_integer(value) or not 0 <= value < 2**32:
        raise ConfigError.about(
            "argument",
            "seed",
            takes=f"an integer from 0 to {2**32 - 1}, or None",
            got=repr(value),
            do=f"Pass seed=1 for {owner}, for example.",
        )
    return int(value)


def _is_integer(value: object) -> bool:
    """True for an integer that is not a bool, which Python counts as one."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
