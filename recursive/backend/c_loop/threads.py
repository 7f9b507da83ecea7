"""The number of threads that loops and large products use."""

from __future__ import annotations

import os

from recursive.errors import ConfigError

_set: list[int] = []


def set_threads(count: int | None) -> None:
    """Set how many threads the loops of backend ``c`` use.

    None restores the default: ``OMP_NUM_THREADS`` if it is set, else the number of
    processors that this process may use. The results do not depend on it.

    Raises:
        ConfigError: for anything but a positive integer.

    >>> import recursive
    >>> recursive.set_threads(1)
    >>> recursive.set_threads(None)
    """
    is_count = isinstance(count, int) and not isinstance(count, bool) and count > 0
    if count is not None and not is_count:
        raise ConfigError.about(
            "threads",
            "set_threads",
            takes="a positive integer, or None for the default",
            got=repr(count),
            do="Call set_threads(1) to use one processor, for example.",
        )
    _set[:] = [] if count is None else [count]


def set_count() -> int | None:
    """The number that ``set_threads`` has set; None for the default."""
    return _set[0] if _set else None


def thread_count() -> int:
    """The number of threads to use.

    >>> set_threads(3)
    >>> thread_count()
    3
    >>> set_threads(None)
    """
    if _set:
        return _set[0]
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
