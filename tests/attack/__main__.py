"""``python -m tests.attack``: each input in a process of its own, within limits.

The process may use 512 MB more than it starts with, and 5 seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from recursive import set_backend
from tests.attack.judge import (
    CRASH,
    FOREIGN,
    MEMORY,
    TIME,
    WRONG,
    judge,
    listen,
    notices_reading,
)
from tests.attack.targets import TARGETS, clear

MEMORY_LIMIT = 512 * 2**20
SECONDS = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--inputs", type=int, default=2000, help="the number of inputs")
    parser.add_argument("--seed", type=int, default=0, help="the number of the first")
    parser.add_argument(
        "--target", choices=TARGETS, action="append", help="only these targets"
    )
    chosen = parser.parse_args()
    names = chosen.target or list(TARGETS)
    set_backend("python")
    listen()
    ends: Counter[tuple[str, str]] = Counter()
    wrong: Counter[tuple[str, str, str]] = Counter()
    largest = slowest = 0.0
    started = time.time()
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        if not notices_reading(folder):
            print("This file system does not note reading: set TMPDIR to another.")
        warm_up(names, folder)
        for index in range(chosen.inputs):
            target = names[index % len(names)]
            seed = chosen.seed + index
            end, line, memory, seconds = in_child(target, seed, folder)
            ends[target, end] += 1
            largest, slowest = max(largest, memory), max(slowest, seconds)
            if end in WRONG:
                wrong[target, end, line] += 1
                if wrong[target, end, line] == 1:
                    print(f"{target} {seed}: {end}: {line}", flush=True)
    for (target, end), number in sorted(ends.items()):
        print(f"{target:10} {end:25} {number:6}")
    total = Counter()
    for (_, end), number in ends.items():
        total[end] += number
    print(dict(total))
    print(
        f"{chosen.inputs} inputs in {time.time() - started:.0f} s; at most "
        f"{largest / 2**20:.0f} MB over the start and {slowest:.1f} s for one."
    )
    return 1 if wrong else 0


def warm_up(names: list[str], folder: Path) -> None:
    """Run a few inputs here, so that models are built and modules are loaded."""
    for name in names:
        for seed in range(3):
            judge(name, -1 - seed, folder)


def in_child(target: str, seed: int, folder: Path) -> tuple[str, str, float, float]:
    """The end of an input, a line about it, and the memory and CPU time it took."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(target, seed, folder, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        content = answers.read()
    _, status, used = os.wait4(child, 0)
    seconds = used.ru_utime + used.ru_stime
    if os.WIFSIGNALED(status):
        clear(folder)
        number = os.WTERMSIG(status)
        if number in (signal.SIGALRM, signal.SIGXCPU):
            return TIME, f"over {SECONDS} s", 0.0, seconds
        return CRASH, signal.Signals(number).name, 0.0, seconds
    if not content:
        clear(folder)
        return FOREIGN, f"the process ended with {status}", 0.0, seconds
    end, line, memory = json.loads(content)
    if memory > MEMORY_LIMIT:
        end = MEMORY
    return end, line, memory, seconds


def _answer(target: str, seed: int, folder: Path, writing: int) -> None:
    """Judge an input, write the answer and end the process."""
    start = _peak()
    mapped = int(Path("/proc/self/statm").read_text().split()[0])
    limit = mapped * resource.getpagesize() + MEMORY_LIMIT
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # Waiting counts too, such as for a pipe; a busy machine has ten times the time.
    signal.setitimer(signal.ITIMER_REAL, 10 * SECONDS)
    cpu = _cpu() + math.ceil(SECONDS)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    try:
        end, line = judge(target, seed, folder)
        os.write(writing, json.dumps([end, line[:500], _peak() - start]).encode())
    finally:
        # Without the rest of this program, which belongs to the parent.
        os._exit(0)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _cpu() -> int:
    return int(time.process_time()) + 1


if __name__ == "__main__":
    sys.exit(main())
