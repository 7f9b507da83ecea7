"""JSON and arrays in the files of the suite, checked as they are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np

from recursive import limits
from recursive.errors import DataError
from recursive.utils import safetensors_file
from recursive.utils.files import read_bytes

INSTALL = "Install the package again."


def content_of(path: str | Path, takes: str) -> bytes:
    """The content of a file of at most ``limits.SUITE_FILE`` bytes.

    Raises:
        DataError: if it is larger or cannot be read.
    """
    return read_bytes(path, limits.SUITE_FILE, DataError, takes)


def mapping(path: str | Path, content: bytes, form: Mapping[str, object]) -> dict:
    """The JSON object in ``content``, which has the keys of ``form``.

    Args:
        path: the file, for the error.
        content: its content.
        form: a type for each key, a mapping of such, or a list with one for each item.

    Raises:
        DataError: for anything else.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise damaged(path, "JSON", str(error)) from error
    check_form(path, "the file", found, form)
    return found


def check_form(path: str | Path, place: str, found: object, form: object) -> None:
    """Raise a DataError unless ``found`` has the types and keys of ``form``."""
    if isinstance(form, Mapping):
        check_form(path, place, found, dict)
        for key, inner in form.items():
            if key not in found:
                raise damaged(path, f"{key!r} in {place}", "none")
            check_form(path, f"{key!r} of {place}", found[key], inner)
    elif isinstance(form, list):
        check_form(path, place, found, list)
        for index, item in enumerate(found):
            check_form(path, f"item {index} of {place}", item, form[0])
    elif not isinstance(found, form):
        raise damaged(path, f"a {form.__name__} as {place}", type(found).__name__)


def arrays(path: str | Path, content: bytes) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file with this content.

    Raises:
        DataError: for another content, or a dtype that NumPy does not have.
    """
    try:
        found, _ = safetensors_file.read(BytesIO(content))
    except (ValueError, RecursionError) as error:
        raise DataError.about(
            "file",
            str(path),
            takes="a safetensors file with dtypes that NumPy has",
            got=str(error),
            do="Write it again.",
        ) from error
    return found


def damaged(path: str | Path, takes: str, got: str) -> DataError:
    """The error about a file of the suite with another content."""
    return DataError.about("file", str(path), takes=takes, got=got, do=INSTALL)
