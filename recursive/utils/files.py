"""Atomic file writes: a reader sees the old file or the new one, never half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from recursive.errors import ConfigError


def write_atomically(path: str | Path, write: Callable[[str], None]) -> None:
    """Let ``write`` fill a new file next to ``path``, then rename it to ``path``.

    A process that is killed while writing leaves the old file or the new one.

    Raises:
        ConfigError: if the folder does not exist or cannot be written, or if ``path``
            is a folder or a device.
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
            got=error.strerror,
            do="Choose another folder.",
        ) from error
    # The mode that the umask allows. ``write`` may replace the file and so lose it.
    usual_mode = os.stat(temporary).st_mode
    try:
        write(temporary)
        # On disk before the rename: else a crash may leave an empty file in place.
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, usual_mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` in UTF-8; raises as :func:`write_atomically`."""

    def write(temporary: str) -> None:
        Path(temporary).write_text(text, encoding="utf-8")

    write_atomically(path, write)


def place_of(path: str | Path) -> Path:
    """Return the absolute path if a file can be written there.

    Raises:
        ConfigError: for a folder, a device, or a folder that does not exist.
    """
    path = Path(path).resolve()
    if path.exists() and not path.is_file():
        raise ConfigError.about(
            "file",
            str(path),
            takes="the name of a file",
            got="a folder" if path.is_dir() else "a device",
            do="Choose another name.",
        )
    if not path.parent.is_dir():
        raise ConfigError.about(
            "file",
            str(path),
            takes="a folder that exists",
            got="none",
            do=f"Create {path.parent} first.",
        )
    return path
