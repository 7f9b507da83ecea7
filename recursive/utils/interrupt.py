"""Signal handling: Ctrl-C between batches, and a clean exit on SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def between_batches() -> Iterator[Callable[[], None]]:
    """Defer the first Ctrl-C inside the block until the yielded function is called.

    That function, or the end of the block, passes the signal on to the previous
    handler: Python's, which raises KeyboardInterrupt, or the user's. A second Ctrl-C
    reaches that handler at once.

    Nothing changes outside the main thread, which is the only one that gets signals,
    and in a process that ignores Ctrl-C.
    """
    previous = signal.getsignal(signal.SIGINT)
    if not _in_main_thread() or not callable(previous):
        yield lambda: None
        return
    deferred: list[tuple[int, FrameType | None]] = []

    def defer(number: int, frame: FrameType | None) -> None:
        deferred.append((number, frame))
        # The second Ctrl-C gets through, or a batch that hangs could not be stopped.
        signal.signal(signal.SIGINT, previous)

    def check() -> None:
        if deferred:
            previous(*deferred.pop())

    signal.signal(signal.SIGINT, defer)
    try:
        yield check
        check()
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def closing() -> Iterator[None]:
    """Let SIGTERM end the process like Ctrl-C, so that open resources are closed.

    Nothing changes outside the main thread, and if SIGTERM has a handler already.
    """
    previous = signal.getsignal(signal.SIGTERM)
    if not _in_main_thread() or previous is not signal.SIG_DFL:
        yield
        return
    # Python's handler of Ctrl-C raises KeyboardInterrupt, which unwinds all blocks.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
