"""``python -m tests.attack.faults``: faults that the judge must see, and how each ended."""

import json
import os
import tempfile
from pathlib import Path

from tests.attack import __main__ as attack
from tests.attack.judge import (
    CODE,
    FOREIGN,
    MEMORY,
    REACHED,
    TIME,
    listen,
    notices_reading,
)
from tests.attack.targets import TARGETS


def open_secret(rng, folder):
    return lambda: (folder / "secret").read_bytes()


def wait(rng, folder):
    return lambda: (folder / "pipe").read_bytes()


def allocate(rng, folder):
    return lambda: bytearray(2**32)


def run(rng, folder):
    return lambda: os.system("true")


def raise_foreign(rng, folder):
    return lambda: {}["key"]


FAULTS = {
    REACHED: open_secret,
    TIME: wait,
    MEMORY: allocate,
    CODE: run,
    FOREIGN: raise_foreign,
}


def main() -> None:
    """Print the end of each fault as JSON; None where it cannot be seen."""
    listen()
    ends = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for end, fault in FAULTS.items():
            if end == REACHED and not notices_reading(folder):
                ends[end] = None
                continue
            attack.SECONDS = 0.1 if end == TIME else 5
            TARGETS["fault"] = fault
            ends[end] = attack.in_child("fault", 0, folder)[0]
    print(json.dumps(ends))


if __name__ == "__main__":
    main()
