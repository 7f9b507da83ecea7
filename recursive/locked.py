"""One lock for all threads: PyTensor builds, compiles and runs for one of them at a time.

A PyTensor function keeps its inputs and results in storage of its own, compiling changes
``pytensor.config`` and the warning filters of the whole process, and a layer draws its parameters when
it is first called. None of that is safe when two threads do it at once.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

LOCK = threading.RLock()
"""Held while this library builds tensors, compiles, runs a function, or reads and writes what those change.

It is re-entrant, and belongs to the module: copies and pickles of models never hold it.
"""


def locked(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """``function``, run by one thread at a time.

    >>> locked(len)("abc")
    3
    """

    @functools.wraps(function)
    def alone(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        # Entering an RLock by ``with`` cannot be split by a Ctrl-C, so the lock is released whatever happens.
        with LOCK:
            return function(*args, **kwargs)

    return alone


# A process that forks while another thread holds the lock would leave the child without the thread that
# releases it. So the fork waits for the lock, and both sides release it.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=LOCK.acquire,
        after_in_parent=LOCK.release,
        after_in_child=LOCK.release,
    )
