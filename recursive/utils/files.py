"""Atomic file writes: a reader sees the old file or the new one, never half of one.

Every error that a file causes is a RecursiveError. It is also the OSError that it was,
such as a FileNotFoundError or a PermissionError.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recursive.errors import ConfigError, RecursiveError


def write_atomically(path: str | Path, write: Callable[[str], None]) -> None:
    """Let ``write`` fill a new file next to ``path``, then rename it to ``path``.

    A process that is killed while writing leaves the old file or the new one. What it
    leaves of the new one is removed by the next call that writes to the folder. A file
    that existed keeps its mode.

    Raises:
        ConfigError: if the folder does not exist or cannot be written, if ``path`` is a
            folder, a device or a read-only file, or if the disk is full.
    """
    path = place_of(path)
    _remove_leftovers(path.parent)
    temporary = _new_file(path)
    # The mode that the umask allows. ``write`` may replace the file and so lose it.
    mode = stat.S_IMODE(os.stat(path if path.exists() else temporary).st_mode)
    try:
        with file_errors(path, takes="a place where all of it can be written"):
            write(temporary)
            # On disk before the rename: else a crash may leave an empty file in place.
            with open(temporary, "rb") as written:
                os.fsync(written.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` in UTF-8; raises as :func:`write_atomically`."""

    def write(temporary: str) -> None:
        Path(temporary).write_text(text, encoding="utf-8")

    write_atomically(path, write)


def read_bytes(
    path: str | Path, most: int, error_class: type[RecursiveError], takes: str
) -> bytes:
    """Return the content of a file of at most ``most`` bytes.

    Raises:
        RecursiveError: as ``error_class``, for a file that is larger or cannot be read.
    """
    path = existing_file(path, error_class, takes)
    with file_errors(path, takes=takes, error_class=error_class):
        size = path.stat().st_size
        if size > most:
            raise error_class.about(
                "file",
                str(path),
                takes=f"{takes} of at most {most} bytes",
                got=f"{size} bytes",
                do="Check the path.",
            )
        return path.read_bytes()


# Paths


def place_of(path: str | Path) -> Path:
    """Return the absolute path if a file can be written there.

    Raises:
        ConfigError: for a folder, a device, a read-only file, or a folder that does not
            exist.
    """
    with file_errors(path, takes="the name of a file"):
        # Links are followed, so that the file that they point to is replaced.
        path = Path(os.path.realpath(checked_path(path)))
        is_there = _exists(path)
        folder_is_there = path.parent.is_dir()
    if is_there and not path.is_file():
        is_folder = path.is_dir()
        raise ConfigError.of_file(
            path,
            errno.EISDIR if is_folder else errno.ENODEV,
            takes="the name of a file",
            got="a folder" if is_folder else "a device",
            do="Choose another name.",
        )
    if not folder_is_there:
        raise ConfigError.of_file(
            path,
            errno.ENOENT,
            takes="a folder that exists",
            got="none",
            do=f"Create {path.parent} first.",
        )
    if is_there and _is_read_only(path):
        raise ConfigError.of_file(
            path,
            errno.EACCES,
            takes="a file that can be written",
            got="a read-only file",
            do="Choose another name, or change its mode.",
        )
    return path


def check_place(path: str | Path) -> Path:
    """Return the absolute path after a trial that creates a file in its folder.

    Raises:
        ConfigError: as :func:`write_atomically`, without writing anything.
    """
    path = place_of(path)
    os.unlink(_new_file(path))
    return path


def checked_path(path: object) -> Path:
    """Return ``path`` as a Path.

    Raises:
        ConfigError: for anything but a path, or a character that no path can have.
    """
    if not isinstance(path, str | os.PathLike):
        raise ConfigError.about(
            "file",
            str(path),
            takes="a path",
            got=type(path).__name__,
            do="Pass 'weights.h5', for example.",
        )
    try:
        has_zero = b"\0" in os.fsencode(path)
    except UnicodeEncodeError:
        has_zero = True
    if has_zero:
        raise ConfigError.about(
            "file",
            str(path),
            takes="a path",
            got="a character that no path can have",
            do="Correct the name.",
        )
    return Path(os.fsdecode(path))


def existing_file(
    path: str | Path, error_class: type[RecursiveError], takes: str
) -> Path:
    """Return ``path`` if it is a file.

    Raises:
        RecursiveError: as ``error_class``, if it is none. A pipe or a device is none
            either: reading one may never end.
    """
    path = checked_path(path)
    with file_errors(path, takes=takes, error_class=error_class):
        mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        is_folder = stat.S_ISDIR(mode)
        raise error_class.of_file(
            path,
            errno.EISDIR if is_folder else errno.ENODEV,
            takes=takes,
            got="a folder" if is_folder else "a pipe or a device",
            do="Check the path.",
        )
    # The mode of the file may forbid reading, which libraries say in other words.
    with file_errors(path, takes=takes, error_class=error_class), path.open("rb"):
        return path


def _exists(path: Path) -> bool:
    """True if there is something at ``path``; raises an OSError if it cannot be told.

    ``Path.exists`` hides a loop of links in some versions of Python.
    """
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    return True


def _is_read_only(path: Path) -> bool:
    # The mode as well, because the administrator may write any file.
    has_write_bit = os.stat(path).st_mode & 0o222
    return not has_write_bit or not os.access(path, os.W_OK)


# Errors


@contextmanager
def file_errors(
    path: object,
    takes: str,
    error_class: type[RecursiveError] = ConfigError,
    do: str | None = None,
) -> Iterator[None]:
    """Raise the OSErrors of the block as errors of this library.

    Raises:
        RecursiveError: as ``error_class``, which is the OSError as well.
    """
    try:
        yield
    except RecursiveError:
        raise
    except OSError as error:
        number = system_number(error)
        is_missing = number == errno.ENOENT
        raise error_class.of_file(
            path,
            number or errno.EIO,
            takes=takes,
            got="no such file" if is_missing else None if number else str(error),
            do=do or _advice(number),
        ) from error


def system_number(error: Exception) -> int | None:
    """The number of the system's error, such as that of a full disk, if there is one.

    HDF5 often has it in its words only.
    """
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = re.search(r"errno = ([1-9]\d*)", str(error))
    return int(found[1]) if found else None


def _advice(number: int | None) -> str:
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Free some space; what was there before is unchanged."
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Choose another place, or change the mode."
    return "Check the path."


# Temporary files


def _new_file(path: Path) -> str:
    """Create an empty file in the folder of ``path`` and return its name.

    The name has the number of this process, so that others can tell if it still runs.
    It does not have the name of the file, which may be as long as a name can be, but
    its suffix, by which some writers choose a format.
    """
    suffix = path.suffix if len(path.suffix) < 20 else ""
    name = f"{_prefix()}{os.getpid()}-{secrets.token_hex(8)}{suffix}"
    temporary = str(path.with_name(name))
    # Nobody may read the new file who may not read the old one.
    mode = stat.S_IMODE(os.stat(path).st_mode) if path.exists() else 0o666
    with file_errors(
        path, takes="a folder that can be written", do="Choose another folder."
    ):
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode | 0o200))
    return temporary


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that have ended.

    Those of other machines, which may share the folder, have another prefix.
    """
    prefix = _prefix()
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(prefix):
                continue
            process = entry.name.removeprefix(prefix).partition("-")[0]
            if process.isdecimal() and _has_ended(int(process)):
                with suppress(OSError):
                    os.unlink(entry.path)


def _prefix() -> str:
    """The beginning of the names of temporary files on this machine."""
    host = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
    return f".recursive-{host}-"


def _has_ended(process: int) -> bool:
    # Elsewhere the call below ends the process instead of looking for it.
    if os.name != "posix":
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it belongs to another user, or is no number
        return False
    return False
