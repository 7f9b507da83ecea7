"""One lock for all threads: only one at a time builds, compiles or runs a graph.

A PyTensor function keeps its inputs and results in its own storage. Compiling changes
``pytensor.config`` and the warning filters of the whole process. A layer draws its
parameters at its first call. None of this is safe if two threads do it at once.
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
"""The lock that this library holds while it builds, compiles, runs, or reads states.

It is re-entrant. It belongs to the module: no copy or pickle of a model holds it.
"""


def locked(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """``function``, which only one thread at a time can run.

    >>> locked(len)("abc")
    3
    """

    @functools.wraps(function)
    def alone(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        # Ctrl-C cannot come between taking an RLock by ``with`` and entering the block,
        # so the lock is always released.
        with LOCK:
            return function(*args, **kwargs)

    return alone


# If a process forked while another thread held the lock, the child would not have the
# thread that releases it. So a fork waits for the lock, and both processes release it.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=LOCK.acquire,
        after_in_parent=LOCK.release,
        after_in_child=LOCK.release,
    )
