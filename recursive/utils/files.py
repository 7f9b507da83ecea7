"""Files that are there as a whole: the old one or the new one, never half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from recursive.errors import ConfigError


def write_atomically(path: str | Path, write: Callable[[str], None]) -> None:
    """Let ``write`` fill a new file beside ``path``, then put it in its place in one move.

    A process that is killed leaves the old file or the new one, never half of one.

    Raises:
        ConfigError: where the folder does not exist or takes no files, or ``path`` is one, or a device.
    """
    path = place_of(path)
    temporary = str(path.with_name(f".{path.name}.{secrets.token_hex(8)}{path.suffix}"))
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise ConfigError.about(
            "file",
            str(path),
            takes="a folder that can be written",
            because="it is put there",
            got=error.strerror,
            do="Name another place.",
        ) from error
    usual_mode = os.stat(temporary).st_mode
    try:
        write(temporary)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, usual_mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` in UTF-8, as :func:`write_atomically` does, which says what it raises."""
    write_atomically(
        path, lambda temporary: Path(temporary).write_text(text, encoding="utf-8")
    )


def place_of(path: str | Path) -> Path:
    """The whole path, where a file can be put there."""
    path = Path(path).resolve()
    if path.exists() and not path.is_file():
        raise ConfigError.about(
            "file",
            str(path),
            takes="the name of a file",
            because="it is written there",
            got="a folder" if path.is_dir() else "a device",
            do="Name another one.",
        )
    if not path.parent.is_dir():
        raise ConfigError.about(
            "file",
            str(path),
            takes="a folder that exists",
            because="it is written there",
            got="none",
            do=f"Make {path.parent} first.",
        )
    return path
