"""Sequences of unequal lengths as one array."""

import numpy as np
import pytest

from recursive import errors
from recursive.preprocessing.sequence import pad_sequences


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [[1, 2, 3], [0, 4, 5], [0, 0, 0]]),
        ({"padding": "post"}, [[1, 2, 3], [4, 5, 0], [0, 0, 0]]),
        ({"maxlen": 2}, [[2, 3], [4, 5], [0, 0]]),
        ({"maxlen": 2, "truncating": "post"}, [[1, 2], [4, 5], [0, 0]]),
        ({"maxlen": 4, "value": 9}, [[9, 1, 2, 3], [9, 9, 4, 5], [9, 9, 9, 9]]),
        ({"maxlen": 1, "padding": "post"}, [[3], [5], [0]]),
    ],
)
def test_short_sequences_are_padded_and_long_ones_are_cut(settings, expected):
    found = pad_sequences([[1, 2, 3], [4, 5], []], **settings)
    assert found.dtype == "int32"
    assert found.tolist() == expected


def test_sequences_of_vectors_keep_their_dim():
    rows = [np.ones((2, 4)), np.full((3, 4), 2.0)]
    found = pad_sequences(rows, dtype="float32")
    assert found.shape == (2, 3, 4)
    np.testing.assert_array_equal(found[0, 0], np.zeros(4))
    np.testing.assert_array_equal(found[1], rows[1])


@pytest.mark.parametrize(
    ("sequences", "settings", "error", "words"),
    [
        ([[0.5]], {}, errors.DtypeError, "takes numbers that int32 holds"),
        ([[2**40]], {}, errors.DtypeError, "takes numbers that int32 holds"),
        ([], {}, errors.DataError, "got none"),
        ([[], []], {}, errors.DataError, "got empty sequences only"),
        ([3, [1]], {}, errors.ShapeError, "got the single value 3"),
        ([[1], [[1, 2]]], {}, errors.ShapeError, r"takes steps of shape \(\)"),
        ([[[1], [1, 2]]], {}, errors.ShapeError, "takes steps of equal shape"),
        ([[1]], {"padding": "after"}, errors.ConfigError, "takes 'pre' or 'post'"),
        ([[1]], {"maxlen": 0}, errors.ConfigError, "maxlen"),
    ],
)
def test_what_cannot_be_padded_is_named(sequences, settings, error, words):
    with pytest.raises(error, match=words):
        pad_sequences(sequences, **settings)
