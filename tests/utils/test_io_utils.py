"""Rows of a data set in a file, against the array that was written."""

import h5py
import numpy as np
import pytest

from recursive import errors
from recursive.utils.io_utils import HDF5Matrix

ARRAY = np.arange(60.0).reshape(10, 3, 2)


@pytest.fixture
def path(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["X"] = ARRAY
        file["group/y"] = np.arange(10)
        file["number"] = 3
    return tmp_path / "data.h5"


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        np.int64(2),
        slice(None),
        slice(1, 3),
        slice(-2, None),
        slice(5, 1),
        slice(None, None, 2),
        slice(None, None, -1),
        [3, 0, 0, 2],
        np.array([5, 1]),
        [],
        np.arange(6) % 2 == 0,
    ],
)
def test_rows_are_those_of_the_array(path, key):
    matrix = HDF5Matrix(path, "X", start=2, end=8)
    np.testing.assert_array_equal(matrix[key], ARRAY[2:8][key])
    matrix.close()


def test_it_has_the_shape_of_its_rows_and_ends(path):
    matrix = HDF5Matrix(path, "X", 2, 8, normalizer=lambda rows: rows / 60)
    assert (len(matrix), matrix.shape, matrix.ndim) == (6, (6, 3, 2), 3)
    np.testing.assert_array_equal(np.stack(list(matrix)), ARRAY[2:8] / 60)
    assert HDF5Matrix(path, "group/y").shape == (10,)


@pytest.mark.parametrize("key", [6, -7, [0, 6]])
def test_a_row_that_is_not_there_is_an_index_error(path, key):
    with pytest.raises(IndexError):
        HDF5Matrix(path, "X", 2, 8)[key]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("Y",), "takes the name of a data set"),
        (("group",), "takes the name of a data set"),
        (("number",), "takes the name of a data set"),
        (("X", 5, 5), "takes rows from 0 to 10"),
        (("X", 0, 11), "takes rows from 0 to 10"),
    ],
)
def test_what_is_not_in_the_file_is_named(path, arguments, words):
    with pytest.raises(errors.ConfigError, match=words):
        HDF5Matrix(path, *arguments)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(errors.ConfigError, match="takes an HDF5 file"):
        HDF5Matrix(tmp_path / "none.h5", "X")
    with pytest.raises(errors.DataError, match="takes a row, a slice or a list"):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file["X"] = ARRAY
        HDF5Matrix(tmp_path / "x.h5", "X")[0.5]


def test_all_rows_are_read_at_once_as_an_array(path):
    rows = HDF5Matrix(path, "X", start=2, end=5, normalizer=lambda read: read / 2)
    np.testing.assert_array_equal(np.asarray(rows), ARRAY[2:5] / 2)
    assert np.asarray(rows, dtype="float32").dtype == "float32"
    rows.close()
