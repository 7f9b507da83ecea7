"""C text to a function in memory: the compiler, and the cache of what it made.

The name of a binary in the cache is a digest of the C text, the compiler, its flags and
the processor. So a binary that was built for one processor is never loaded on another:
a home folder may be shared by machines with different ones, and code for AVX-512 ends a
process on a machine without it. A binary gets its name when it is complete, so another
process never loads half of one.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytensor

from recursive.backend.messages import notify_once

FLAGS = (
    "-x",
    "c++",
    "-O3",
    "-march=native",
    # tanh and exp need not set errno, and no code reads floating-point traps: NaN and
    # infinities are as without these two, which let gcc vectorize.
    "-fno-math-errno",
    "-fno-trapping-math",
    # a * b + c is rounded once, in every loop alike.
    "-ffp-contract=fast",
    "-fPIC",
    "-shared",
    "-pthread",
)
"""The flags of the compiler."""


class CompilerError(Exception):
    """The compiler failed, or what it made cannot be loaded.

    It never reaches a user: the loop is then compiled as PyTensor's scan.
    """


def why_scan(error: CompilerError) -> str:
    """The sentence that says why loops are not compiled."""
    return (
        "recursive: backend c runs PyTensor's scan on Numba, because a loop could not "
        f"be compiled: {error}"
    )


class Binary:
    """A C program that is being compiled; it is loaded when it is first needed.

    Raises:
        CompilerError: if the compiler cannot be started.
    """

    def __init__(self, source: str):
        self.source = source
        self._process: subprocess.Popen | None = None
        self._made: Path | None = None
        command = compiler()
        digest = hashlib.sha256()
        for part in (source, *command, *FLAGS, identity(command[0]), processor()):
            digest.update(part.encode() + b"\0")
        self.path = folder() / f"{digest.hexdigest()[:32]}.so"
        if not self.path.exists():
            self._start(command)

    def _start(self, command: list[str]) -> None:
        handle, name = tempfile.mkstemp(suffix=".tmp", dir=self.path.parent)
        os.close(handle)
        self._made = Path(name)
        text = self._made.with_suffix(".cpp")
        text.write_text(self.source)
        try:
            self._process = subprocess.Popen(
                [*command, *FLAGS, str(text), "-o", name],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            self._clean()
            raise CompilerError(str(error)) from error

    def load(self, arguments: list[type]) -> ctypes._CFuncPtr:
        """The function ``loop`` of the program; waits for the compiler.

        Args:
            arguments: the types of its arguments.

        Raises:
            CompilerError: if it failed.
        """
        if self._process is not None:
            _, said = self._process.communicate()
            failed = self._process.returncode
            self._process = None
            if failed:
                self._clean()
                lines = said.decode(errors="replace").strip().splitlines()
                errors = [line for line in lines if "error" in line] or lines
                raise CompilerError(errors[0] if errors else f"exit code {failed}")
            os.chmod(self._made, 0o755)
            os.replace(self._made, self.path)
            self._clean()
        try:
            function = ctypes.CDLL(str(self.path)).loop
        except OSError as error:
            raise CompilerError(str(error)) from error
        function.restype = ctypes.c_int
        function.argtypes = arguments
        return function

    def discard(self) -> None:
        """End a compiler whose program is not wanted any more."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
            self._clean()

    def _clean(self) -> None:
        """Remove what the compiler read and wrote, if it is still there."""
        self._made.unlink(missing_ok=True)
        self._made.with_suffix(".cpp").unlink(missing_ok=True)


def compiler() -> list[str]:
    """The command of the C++ compiler that PyTensor uses.

    Raises:
        CompilerError: if there is none.
    """
    command = pytensor.config.cxx
    if shutil.which(command):
        return [command]  # a path, which may have spaces
    parts = shlex.split(command)
    if not parts or not shutil.which(parts[0]):
        raise CompilerError("there is no C++ compiler")
    return parts


@functools.cache
def identity(command: str) -> str:
    """A text that changes when another version of the compiler is installed."""
    path = os.path.realpath(shutil.which(command) or command)
    try:
        stat = os.stat(path)
    except OSError:
        return path
    return f"{path} {stat.st_size} {stat.st_mtime_ns}"


@functools.cache
def processor() -> str:
    """The model of the processor and what it can do."""
    wanted = ("vendor_id", "cpu family", "model", "model name", "flags", "Features")
    found = [platform.machine()]
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return " ".join([*found, platform.processor(), platform.node()])
    first = text.partition("\n\n")[0]
    for line in first.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in wanted:
            found.append(value.strip())
    return " ".join(found)


def usual_folder() -> Path:
    """The folder of the cache if it can be written to, next to PyTensor's own."""
    return Path(pytensor.config.base_compiledir) / "recursive_loops"


@functools.cache
def folder() -> Path:
    """The folder of the cache: the usual one, or a temporary one."""
    wanted = usual_folder()
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=wanted)
        os.close(handle)
        os.unlink(name)
    except OSError as error:
        notify_once(
            f"recursive: compiled loops are kept in a temporary folder, because "
            f"{wanted} cannot be written to ({error.strerror})."
        )
        return Path(tempfile.mkdtemp(prefix="recursive-loops-"))
    return wanted
