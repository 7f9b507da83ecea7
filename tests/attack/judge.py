"""Runs one input and says what was wrong with the way it ended.

Right are two ends: the input is read, or it is refused by a RecursiveError.
"""

from __future__ import annotations

import os
import random
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from recursive.errors import RecursiveError
from tests.attack.targets import (
    SECRET,
    SECRET_VALUE,
    TARGETS,
    clear,
    prepare,
)

READ = "read"
REFUSED = "refused"
FOREIGN = "foreign exception"
CODE = "code was run"
REACHED = "another file was read"
MEMORY = "out of memory"
TIME = "out of time"
CRASH = "crash"
WRONG = (FOREIGN, CODE, REACHED, MEMORY, TIME, CRASH)

RUNS_CODE = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn")
"""The audit events of a process that is started."""

_started: list[str] = []


def _listen(event: str, arguments: tuple) -> None:
    if event in RUNS_CODE:
        _started.append(event)


_is_listening = False


def listen() -> None:
    """Begin to note the processes that are started; once for all."""
    global _is_listening
    if not _is_listening:
        _is_listening = True
        sys.addaudithook(_listen)


def judge(target: str, seed: int, folder: Path) -> tuple[str, str]:
    """The end of one input, and a line about it.

    Args:
        target: the name of a target.
        seed: decides the input.
        folder: an empty folder, which is emptied again.
    """
    prepare(folder)
    with _inside(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _judge(target, seed, folder)
        finally:
            clear(folder)


def _judge(target: str, seed: int, folder: Path) -> tuple[str, str]:
    call = TARGETS[target](random.Random(f"{target} {seed}"), folder)
    secrets = [folder / SECRET, folder / "secret.h5"]
    for secret in secrets:
        # The time of reading is noted if it was before that of writing.
        os.utime(secret, (1, os.stat(secret).st_mtime))
    before = len(_started)
    try:
        found = call()
        end, line = READ, ""
    except RecursiveError as error:
        is_memory = isinstance(error.__cause__, MemoryError)
        end, line = (MEMORY if is_memory else REFUSED), str(error)
        found = None
    except MemoryError:
        return MEMORY, traceback.format_exc()
    # What is judged are exceptions of any class.
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        return FOREIGN, f"{type(error).__name__} at {place}: {str(error)[:100]}"
    if len(_started) > before or (folder / "code_ran").exists():
        return CODE, line
    if any(os.stat(secret).st_atime > 1 for secret in secrets) or _has_secret(found):
        return REACHED, line
    return end, line


def _has_secret(found: object) -> bool:
    if isinstance(found, list):
        return any(map(_has_secret, found))
    # Arrays of text or of objects hold no number to compare.
    is_numbers = isinstance(found, np.ndarray) and found.dtype.kind in "fiu"
    return is_numbers and bool(np.any(found == SECRET_VALUE))


def notices_reading(folder: Path) -> bool:
    """True if the file system notes when a file is read."""
    path = folder / "noted"
    path.write_bytes(b"x")
    os.utime(path, (1, os.stat(path).st_mtime))
    path.read_bytes()
    noted = os.stat(path).st_atime > 1
    path.unlink()
    return noted


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in ``folder``, as the files that an HDF5 file names are looked for there."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
