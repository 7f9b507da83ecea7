"""Ctrl-C that waits until a batch is done, so that parameters and optimizer are never left half updated."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def between_batches() -> Iterator[Callable[[], None]]:
    """While inside, the first Ctrl-C is kept until the yielded function is called, which then raises it.

    A second Ctrl-C is raised at once. Outside the main thread signals do not arrive, and nothing is changed.
    """
    pressed: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    usual = signal.getsignal(signal.SIGINT)

    def keep(number: int, frame: object) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, usual)

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, keep)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, usual)
