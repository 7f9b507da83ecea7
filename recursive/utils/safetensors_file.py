"""Arrays in safetensors files: a JSON header that describes them, then their bytes.

The header is read and compared with what is expected before any array is. Source: the
format's description, https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from recursive import limits

DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "<u1",
    "BOOL": "|b1",
}
"""The NumPy dtypes of those that a file may name; NumPy lacks the others."""

METADATA = "__metadata__"


@dataclass(frozen=True)
class Entry:
    """An array as the header describes it; ``begin`` counts from the header's end."""

    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int

    @property
    def size(self) -> int:
        """The number of bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


Entries = dict[str, Entry]


def read(
    file: BinaryIO, check: Callable[[Entries], None] = lambda entries: None
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a file by name, and its metadata.

    Args:
        file: the file, open for reading.
        check: is called with what the header says before an array is read.

    Raises:
        ValueError: for a damaged file.
    """
    file_size = file.seek(0, os.SEEK_END)
    file.seek(0)
    header_size = int.from_bytes(file.read(8), "little")
    most = limits.WEIGHTS_HEADER
    if header_size > file_size - 8:
        raise ValueError(f"its header has {header_size} bytes, the file {file_size}")
    if header_size > most:
        raise ValueError(
            f"its header has {header_size} bytes, limits.WEIGHTS_HEADER is {most}"
        )
    header = _parsed(file.read(header_size))
    metadata = header.pop(METADATA, {})
    entries = {name: _entry(name, value) for name, value in header.items()}
    _check_places(entries, file_size - 8 - header_size)
    check(entries)
    arrays = {}
    for name, entry in entries.items():
        file.seek(8 + header_size + entry.begin)
        array = np.empty(entry.shape, entry.dtype)
        file.readinto(array.reshape(-1).view("u1"))
        arrays[name] = array
    return arrays, metadata if isinstance(metadata, dict) else {}


def write(
    file: BinaryIO, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write arrays and metadata to a file that is open for writing."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    # Wide numbers first, so that each array starts at a multiple of its item's size.
    order = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    header: dict[str, object] = {METADATA: dict(metadata)}
    little = {}
    end = 0
    for name in order:
        array = np.asarray(arrays[name], order="C")
        little[name] = array.astype(array.dtype.newbyteorder("<"), copy=False)
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": names[little[name].dtype.str],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    padded = text.ljust(math.ceil(len(text) / 8) * 8)
    file.write(len(padded).to_bytes(8, "little") + padded)
    for name in order:
        file.write(little[name].data if little[name].size else b"")


def _parsed(content: bytes) -> dict[str, object]:
    header = json.loads(content.decode(), object_pairs_hook=_without_doubles)
    if not isinstance(header, dict):
        raise ValueError("its header is not a mapping")
    return header


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("its header has a name twice")
    return found


def _entry(name: str, value: object) -> Entry:
    """The array that the header describes by ``value``."""
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"its header does not describe {name!r}")
    shape, offsets = value["shape"], value["data_offsets"]
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise ValueError(f"its header does not describe {name!r}")
    if not isinstance(value["dtype"], str) or value["dtype"] not in DTYPES:
        raise ValueError(f"{name!r} has the dtype {value['dtype']!r}")
    entry = Entry(np.dtype(DTYPES[value["dtype"]]), tuple(shape), offsets[0])
    if offsets[1] - offsets[0] != entry.size:
        raise ValueError(f"{name!r} has another size than its shape")
    return entry


def _are_counts(value: object) -> bool:
    if not isinstance(value, list):
        return False
    return all(type(item) is int and item >= 0 for item in value)


def _check_places(entries: Entries, size: int) -> None:
    """Raise a ValueError unless the arrays fill the file without gaps or overlaps."""
    end = 0
    for entry in sorted(entries.values(), key=lambda entry: (entry.begin, entry.size)):
        if entry.begin != end:
            raise ValueError("its arrays overlap or leave a gap")
        end += entry.size
    if end != size:
        raise ValueError(f"it has {size} bytes of arrays, its header says {end}")
