"""The peak memory of this process, if the system reports it."""

from __future__ import annotations

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")
MEGABYTE = 2**20


def peak() -> float:
    """The largest resident size in megabytes since the process began, on Linux since :func:`forget`."""
    if STATUS.exists():
        return _kilobytes("VmHWM") / 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE


def forget() -> None:
    """Reset the peak to the present size, so that compiling does not count. Linux only."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")


def _kilobytes(name: str) -> int:
    [line] = [
        line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:")
    ]
    return int(line.split()[1])
