"""Rows that stay in a file until a batch needs them.

An h5py data set, a ``np.memmap`` or an ``HDF5Matrix`` may be larger than the memory. So
it is read, cast and checked batch by batch.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from math import prod

import numpy as np

from recursive.errors import ShapeError

Rows = np.ndarray | slice
"""The numbers of some rows, or a slice of them without a step."""

RELEASED_AFTER = 8 * 2**20
"""The number of bytes after which the pages of a memory map are released."""

COPY_ON_WRITE = "c"
"""The mode of a memory map whose changes stay in memory."""

READ_AROUND = 2 * 2**16
"""The number of bytes that the system maps at both ends of what is read."""


def is_lazy(value: object) -> bool:
    """True for an array in a file, whose rows are read by ``value[rows]``.

    >>> is_lazy(np.ones((3, 2)))
    False
    """
    if isinstance(value, np.ndarray):
        return isinstance(value, np.memmap)
    # Arrays of JAX and the like are in memory. Those of pandas are indexed by label.
    if hasattr(value, "__array_namespace__") or hasattr(value, "iloc"):
        return False
    has_rows = hasattr(value, "__getitem__") and hasattr(value, "__len__")
    has_dtype = isinstance(getattr(value, "dtype", None), np.dtype)
    return has_rows and has_dtype and bool(getattr(value, "shape", ()))


class LazyRows:
    """Rows of an array in a file, which are read, cast and checked by ``rows[batch]``.

    Args:
        source: an object with ``shape``, ``len()`` and ``[rows]``, which takes a slice
            or increasing numbers, as a data set of h5py.
        shape: the shape of a converted row.
        dtype: the dtype of a converted row.
        convert: casts and checks some rows.

    Raises:
        ShapeError: when rows are read, if they have another shape.

    >>> rows = LazyRows(np.arange(8), (1,), "float64", lambda read: read[:, None] / 2)
    >>> rows.part(2, 6)[np.array([3, 0])].tolist()
    [[2.5], [1.0]]
    """

    def __init__(
        self,
        source: object,
        shape: tuple[int, ...],
        dtype: str,
        convert: Callable[[np.ndarray], np.ndarray],
    ):
        self._source = source
        self._convert = convert
        self._start = 0
        self._stop = len(source)
        self._row_shape = tuple(shape)
        self._row_bytes = prod(source.shape[1:]) * source.dtype.itemsize
        self._touched = 0
        self.dtype = np.dtype(dtype)

    def part(self, start: int, stop: int) -> LazyRows:
        """The rows from ``start`` to ``stop`` as a view: nothing is read."""
        view = LazyRows(self._source, self._row_shape, self.dtype, self._convert)
        view._start = self._start + start
        view._stop = self._start + stop
        return view

    def with_last_axis(self) -> LazyRows:
        """The rows with a last axis of 1, read and converted as these."""
        view = LazyRows(
            self._source,
            (*self._row_shape, 1),
            self.dtype,
            lambda read: self._convert(read)[..., np.newaxis],
        )
        view._start, view._stop = self._start, self._stop
        return view

    def __len__(self) -> int:
        return self._stop - self._start

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all rows."""
        return (len(self), *self._row_shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __getitem__(self, rows: Rows) -> np.ndarray:
        """These rows, in the order asked for."""
        if isinstance(rows, slice):
            first, last, _ = rows.indices(len(self))
            read = self._source[self._start + first : self._start + last]
            self._release_pages(last - first, pieces=1)
        else:
            # h5py takes increasing numbers without repetition.
            unique, order = np.unique(rows, return_inverse=True)
            read = self._source[self._start + unique][order]
            self._release_pages(len(unique), pieces=len(unique))
        found = self._convert(read)
        if found.shape[1:] != self._row_shape:
            raise ShapeError.about(
                "data set",
                type(self._source).__name__,
                takes=f"rows of shape {self._row_shape}, as it declares",
                got=f"rows of shape {found.shape[1:]}",
                do="Let its normalizer keep the shape of a row.",
            )
        return found

    def _release_pages(self, rows: int, pieces: int) -> None:
        """Return the pages of a memory map to the system every few megabytes."""
        if not isinstance(self._source, np.memmap):
            return
        self._touched += rows * self._row_bytes + pieces * READ_AROUND
        if self._touched > RELEASED_AFTER:
            self._touched = 0
            release_pages(self._source)


def release_pages(array: np.memmap) -> None:
    """Let the system drop the pages of a memory map that were read.

    They are read again when they are needed. A map in mode ``c`` is left alone: its
    changed pages are nowhere else.
    """
    if array.mode == COPY_ON_WRITE or not hasattr(mmap.mmap, "madvise"):
        return
    base = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)


def part(array: np.ndarray | LazyRows, start: int, stop: int):
    """The rows from ``start`` to ``stop`` as a view."""
    if isinstance(array, LazyRows):
        return array.part(start, stop)
    return array[start:stop]


def as_slice(rows: np.ndarray) -> Rows:
    """A slice if ``rows`` are consecutive, which is read at once and not copied.

    >>> as_slice(np.array([4, 5, 6])), as_slice(np.array([4, 6]))
    (slice(4, 7, None), array([4, 6]))
    """
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return slice(int(rows[0]), int(rows[0]) + len(rows))
    return rows
