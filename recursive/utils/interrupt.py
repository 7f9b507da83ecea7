"""Signals that wait until things are in order: Ctrl-C for the batch under way, an end for what is still open."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def between_batches() -> Iterator[Callable[[], None]]:
    """While inside, the first Ctrl-C is kept until the yielded function is called, or until the end.

    It then goes to whoever would have had it: Python, which raises KeyboardInterrupt, or the user's own handler.
    A second Ctrl-C goes there at once. Outside the main thread, where signals do not arrive, and in a process that
    ignores Ctrl-C, nothing is changed.
    """
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield lambda: None
        return
    kept: list[tuple[int, FrameType | None]] = []

    def keep(number: int, frame: FrameType | None) -> None:
        kept.append((number, frame))
        signal.signal(signal.SIGINT, usual)

    def check() -> None:
        if kept:
            usual(*kept.pop())

    signal.signal(signal.SIGINT, keep)
    try:
        yield check
        check()
    finally:
        signal.signal(signal.SIGINT, usual)


@contextmanager
def closing() -> Iterator[None]:
    """While inside, a process that is told to end (SIGTERM) ends as after Ctrl-C: what it has opened is closed.

    Outside the main thread, and where SIGTERM does something else already, nothing is changed.
    """
    usual = signal.getsignal(signal.SIGTERM)
    if (
        threading.current_thread() is not threading.main_thread()
        or usual is not signal.SIG_DFL
    ):
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)
