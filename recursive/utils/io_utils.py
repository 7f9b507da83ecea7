"""Data sets in HDF5 files, read row by row.

Source: ``keras.utils.io_utils`` of Keras 0.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np

from recursive import limits
from recursive.errors import ConfigError, DataError, suggest
from recursive.utils import hdf5
from recursive.utils.files import existing_file, file_errors

Rows = int | slice | Sequence[int] | np.ndarray


class HDF5Matrix:
    """Some rows of a data set in an HDF5 file, which are read when they are asked for.

    The data set must be in the file itself. A link, a virtual data set or external
    storage is refused, because it can read any file of the machine.

    Args:
        datapath: the file.
        dataset: the name of the data set in it.
        start: the first row.
        end: the row after the last; None is the end of the data set.
        normalizer: a function of the rows that are read, such as one that scales them.

    Raises:
        ConfigError: for a file that cannot be read, an unknown data set, or rows
            that it does not have.

    Source: ``HDF5Matrix`` of Keras 0.1, which read indices in increasing order only.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(folder + "/data.h5", "w") as file:
    ...         file["X"] = np.arange(12).reshape(6, 2)
    ...     X = HDF5Matrix(folder + "/data.h5", "X", start=2, end=6)
    ...     print(X.shape, X[[3, 0]].tolist())
    ...     X.close()
    (4, 2) [[10, 11], [4, 5]]
    """

    def __init__(
        self,
        datapath: str | Path,
        dataset: str,
        start: int = 0,
        end: int | None = None,
        normalizer: Callable[[np.ndarray], np.ndarray] | None = None,
    ):
        self._file = _opened(datapath)
        self.data = self._dataset(dataset)
        self.start = start
        rows = len(self.data)
        self.end = rows if end is None else end
        self.normalizer = normalizer
        if not 0 <= self.start < self.end <= rows:
            self.close()
            raise ConfigError.about(
                "data set",
                dataset,
                takes=f"rows from 0 to {rows}",
                got=f"start={start}, end={end}",
                do="Choose a start below the end.",
            )

    def _dataset(self, name: str) -> h5py.Dataset:
        try:
            found = hdf5.member(self._file, name)
            if isinstance(found, h5py.Dataset):
                hdf5.check_chunks(found, limits.DATA_CHUNK)
        except (LookupError, AttributeError):  # no such name, or no text
            found = None
        except (ValueError, TypeError, OSError, RuntimeError) as error:
            path = self._file.filename
            self.close()
            raise ConfigError.about(
                "file",
                path,
                takes="a data set of its own that can be read",
                got=f"another one ({error})",
                do="If you trust the file, open it with h5py and pass the data set.",
            ) from error
        if not isinstance(found, h5py.Dataset) or found.ndim == 0:
            names = list(self._file)
            path = self._file.filename
            self.close()
            raise ConfigError.about(
                "file",
                path,
                takes="the name of a data set with rows",
                got=repr(name),
                do=suggest(str(name), names),
            )
        return found

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all rows."""
        return (len(self), *self.data.shape[1:])

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the rows as they are stored; a normalizer may return another."""
        return self.data.dtype

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        """All rows, for ``np.asarray``."""
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, key: Rows) -> np.ndarray:
        """Rows by number, slice, or a list of numbers in any order.

        Raises:
            IndexError: for a row that is not there, which also ends an iteration.
            DataError: for anything but rows, or if the file is damaged.
        """
        takes = "a data set that can be read"
        with file_errors(self._file.filename, takes=takes, error_class=DataError):
            found = self._read(key)
        return found if self.normalizer is None else self.normalizer(found)

    def _read(self, key: Rows) -> np.ndarray:
        if isinstance(key, slice):
            first, last, step = key.indices(len(self))
            if step == 1:
                return self.data[self.start + first : self.start + max(first, last)]
            return self._read(np.arange(first, last, step))
        wanted = np.asarray(key)
        if wanted.dtype == bool and wanted.shape == (len(self),):
            wanted = np.flatnonzero(wanted)
        if not wanted.size and wanted.ndim == 1:
            return self.data[self.start : self.start]
        if wanted.dtype.kind not in "iu" or wanted.ndim > 1:
            raise DataError.about(
                "index",
                type(self).__name__,
                takes="a row, a slice or a list of rows",
                got=repr(key),
                do="Index the columns after reading.",
            )
        return self._rows(wanted)

    def _rows(self, wanted: np.ndarray) -> np.ndarray:
        places = np.where(wanted < 0, wanted + len(self), wanted)
        if places.min() < 0 or places.max() >= len(self):
            raise IndexError(f"row {wanted.max()} of {len(self)} rows")
        # h5py takes increasing numbers without repetition.
        unique, inverse = np.unique(places, return_inverse=True)
        return self.data[self.start + unique][inverse]


def _opened(path: str | Path) -> h5py.File:
    takes = "an HDF5 file that can be read"
    path = existing_file(path, ConfigError, takes)
    with file_errors(path, takes=takes, do="Look at the path."):
        return h5py.File(path, "r")
