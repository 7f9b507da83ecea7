"""The user's data as arrays by name."""

from collections import OrderedDict
from types import MappingProxyType

import numpy as np
import pytest

from recursive.backend import Argument
from recursive.backend.arrays import as_array
from recursive.errors import (
    ConfigError,
    DataError,
    DtypeError,
    SequenceLengthError,
    ShapeError,
)
from recursive.training.data import (
    batches,
    by_name,
    check_rows,
    check_shape,
    split,
    take,
)

A, B = np.ones((3, 5, 4)), np.zeros((3, 2))


# Dicts, lists and single arrays


@pytest.mark.parametrize(
    "given",
    [
        {"a": A, "b": B},
        {"b": B, "a": A},
        OrderedDict(b=B, a=A),
        MappingProxyType({"a": A, "b": B}),
        [A, B],
        (A, B),
    ],
)
def test_dict_or_list_is_given_back_by_name_in_the_order_declared(given):
    found = by_name("input", given, ["a", "b"])
    assert list(found) == ["a", "b"]
    assert found["a"] is A and found["b"] is B


@pytest.mark.parametrize("given", [{"a": A}, A])
def test_dict_or_array_is_given_back_where_one_is_expected(given):
    assert by_name("input", given, ["a"])["a"] is A


@pytest.mark.parametrize("rows", [[[1.0, 2.0], [3.0, 4.0]], ([1.0], [2.0]), [5.0]])
def test_list_is_one_array_where_one_is_expected(rows):
    assert by_name("input", rows, ["a"])["a"] is rows


@pytest.mark.parametrize(
    ("given", "names", "message"),
    [
        (
            {"a": A, "c": B},
            ["a", "b"],
            r"input 'c' takes one of the names 'a', 'b'; .* There are: 'a', 'b'",
        ),
        ({"inptu": A}, ["input"], r"input 'inptu' .* Did you mean 'input'"),
        ({"a": A, "b": B, "c": B}, ["a", "b"], r"input 'c' takes one of the names"),
        ({1: A}, ["a"], r"input '1' takes one of the names"),
        (
            {"a": A},
            ["a", "b"],
            r"input 'b' takes an array; got none",
        ),
        ({}, ["a"], r"input 'a' takes an array"),
        ([A, B, B], ["a", "b"], r"takes 2 arrays; got 3"),
        ([A], ["a", "b"], r"takes 2 arrays; got 1"),
        ([], ["a", "b"], r"takes 2 arrays; got 0"),
        (A, ["a", "b"], r"takes 2 arrays; got 1"),
        (
            np.stack([B, B]),
            ["a", "b"],
            r"takes 2 arrays; got 1",
        ),
        (None, ["a"], r"takes 1 array; got none"),
        (None, ["a", "b"], r"takes 2 arrays; got none"),
        ([A, None], ["a", "b"], r"takes 2 arrays"),
    ],
)
def test_missing_unknown_and_too_many_are_refused_by_name(given, names, message):
    with pytest.raises(DataError, match=message):
        by_name("input", given, names)


def test_error_says_whether_it_speaks_of_inputs_or_targets():
    with pytest.raises(DataError, match="target 'y' takes an array"):
        by_name("target", {}, ["y"])


# Casting


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ([[1, 2]], "float32", [[1.0, 2.0]]),
        ([True, False], "float64", [1.0, 0.0]),
        ([True, False], "int32", [1, 0]),
        ([True, False], "bool", [True, False]),
        ([0, 1], "bool", [False, True]),
        ([0.0, 1.0], "bool", [False, True]),
        ([1.0, -2.0], "int32", [1, -2]),
        ([2**31 - 1, -(2**31)], "int32", [2**31 - 1, -(2**31)]),
        (np.array([7], "uint64"), "int32", [7]),
        (np.array([0.5], "float16"), "float64", [0.5]),
        (np.array([0.5], "longdouble"), "float64", [0.5]),
        ([np.nan, np.inf, -np.inf], "float32", [np.nan, np.inf, -np.inf]),
        ([0.1], "float32", [np.float32(0.1)]),
        ([[]], "float64", np.zeros((1, 0))),
        (3, "float64", 3.0),
    ],
)
def test_values_that_keep_their_meaning_are_cast(value, dtype, expected):
    found = as_array("input", "x", value, dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1.5], "int32"),
        ([1, 2.000001], "int32"),
        ([np.nan], "int32"),
        ([np.inf], "int32"),
        ([0.5], "bool"),
        ([2], "bool"),
        ([-1], "bool"),
        ([2**31], "int32"),
        ([-(2**31) - 1], "int32"),
        ([2.0**31], "int32"),
        ([1e300], "int32"),
        (np.array([2**64 - 1], "uint64"), "int32"),
    ],
)
def test_fractions_and_numbers_too_large_are_refused_where_whole_numbers_belong(
    value, dtype
):
    with pytest.raises(DtypeError, match=f"input 'x' takes integers that fit {dtype}"):
        as_array("input", "x", value, dtype)


@pytest.mark.parametrize("value", [[1e300], [-1e39], [[0.0], [3.5e38]]])
def test_numbers_too_large_for_float32_are_refused(value):
    with pytest.raises(DtypeError):
        as_array("input", "x", value, "float32")


@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "bool"])
@pytest.mark.parametrize(
    "value",
    [
        ["1.5"],
        "text",
        [b"1"],
        [None],
        None,
        {1, 2},
        {"a": 1},
        [1j],
        np.array(["2015-09-01"], "datetime64[D]"),
        np.array([[1, 2], [3]], dtype=object),
        np.array([1.0, 2.0], dtype=object),
        [2**70],
        object(),
    ],
)
def test_text_objects_dates_and_complex_numbers_are_refused(value, dtype):
    with pytest.raises(
        DtypeError, match=f"input 'x' takes numbers, as {dtype}; got dtype"
    ):
        as_array("input", "x", value, dtype)


@pytest.mark.parametrize(
    "value",
    [[[1, 2], [3]], [[[1], [2]], [[3]]], [np.ones((2, 3)), np.ones((4, 3))], [[1], 2]],
)
def test_rows_of_unequal_length_are_refused(value):
    with pytest.raises(SequenceLengthError, match="input 'x' takes rows of one length"):
        as_array("input", "x", value, "float64")


def test_array_of_the_right_dtype_is_not_copied():
    mine = np.arange(6.0)
    assert as_array("input", "x", mine, "float64") is mine
    assert as_array("input", "x", mine, "float32") is not mine


def test_array_that_cannot_be_written_to_is_copied():
    mine = np.broadcast_to(np.arange(3.0), (2, 3))
    found = as_array("input", "x", mine, "float64")
    assert found.flags.writeable and found.flags.c_contiguous
    np.testing.assert_array_equal(found, mine)


def test_array_with_other_strides_is_copied_to_a_contiguous_one():
    mine = np.arange(6.0).reshape(2, 3)
    found = as_array("input", "x", mine.T, "float64")
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, mine.T)


# Shapes and rows


@pytest.mark.parametrize(
    ("declared", "actual"),
    [
        ((None, None, 4), (3, 5, 4)),
        ((None, None, None), (3, 5, 4)),
        ((None, 4), (1, 4)),
        ((None,), (3,)),
        ((3, 4), (3, 4)),
        ((None, 4), (0, 4)),
        ((), ()),
    ],
)
def test_array_of_the_declared_shape_is_let_pass(declared, actual):
    check_shape("input", Argument("x", "float64", declared), np.zeros(actual))


@pytest.mark.parametrize(
    ("declared", "shown", "actual"),
    [
        ((None, None, 4), r"\(any, any, 4\)", (3, 5, 6)),
        ((None, None, 4), r"\(any, any, 4\)", (3, 4)),
        ((None, 4), r"\(any, 4\)", (3, 5, 4)),
        ((None, 4), r"\(any, 4\)", (4,)),
        ((None, 4), r"\(any, 4\)", (3, 1)),
        ((None, 1), r"\(any, 1\)", (3, 0)),
        ((3, 4), r"\(3, 4\)", (5, 4)),
    ],
)
def test_array_of_another_shape_is_refused_with_both_shapes(declared, shown, actual):
    with pytest.raises(
        ShapeError, match=f"target 'y' takes an array of shape {shown}"
    ) as caught:
        check_shape("target", Argument("y", "float64", declared), np.zeros(actual))
    assert f"got {actual}" in str(caught.value)


def test_number_of_rows_is_the_one_that_all_arrays_share():
    assert check_rows({"a": A, "b": B}) == 3
    assert check_rows({"a": A[:1]}) == 1


def test_unequal_numbers_of_rows_are_refused_each_with_its_name():
    with pytest.raises(DataError, match=r"data 'a and b' .* got a: 3, b: 2"):
        check_rows({"a": A, "b": B[:2]})


@pytest.mark.parametrize(
    "arrays", [{"a": A[:0]}, {"a": A[:0], "b": B[:0]}, {"a": A, "b": B[:0]}]
)
def test_no_rows_are_refused(arrays):
    with pytest.raises(DataError, match="1 or more"):
        check_rows(arrays)


def test_where_there_are_no_arrays_there_is_one_row():
    """A loop without inputs runs for one row."""
    assert check_rows({}) == 1


# Batches


@pytest.mark.parametrize(
    ("rows", "batch_size", "sizes"),
    [
        (5, 2, [2, 2, 1]),
        (6, 3, [3, 3]),
        (3, 128, [3]),
        (1, 1, [1]),
        (4, 1, [1, 1, 1, 1]),
        (0, 2, []),
    ],
)
def test_batches_hold_every_row_once_in_the_order_given_and_the_last_may_be_shorter(
    rows, batch_size, sizes
):
    order = np.random.RandomState(0).permutation(rows)
    found = list(batches(order, batch_size))
    assert [len(batch) for batch in found] == sizes
    assert [row for batch in found for row in batch] == order.tolist()


def test_the_same_rows_are_taken_of_each_array():
    a, b = np.arange(12).reshape(3, 4), np.arange(3)
    found = take({"a": a, "b": b}, np.array([2, 0]))
    np.testing.assert_array_equal(found["a"], [[8, 9, 10, 11], [0, 1, 2, 3]])
    np.testing.assert_array_equal(found["b"], [2, 0])


# Held-out rows


@pytest.mark.parametrize(
    ("rows", "share", "trained"),
    [
        (10, 0.8, 2),
        (10, 0.9, 1),
        (10, 0.3, 7),
        (10, 0.1 * 3, 7),
        (10, np.float32(0.8), 2),
        (10, 0.75, 2),
        (3, 1 / 3, 2),
        (3, 0.5, 1),
        (2, 0.5, 1),
        (1000, 0.999, 1),
        (11, 0.3, 7),
        (10, 0, 10),
    ],
)
def test_a_share_of_rows_is_exact(rows, share, trained):
    x = np.arange(rows)
    training, held_out = split({"x": x}, share)
    assert training["x"].tolist() == list(range(trained))
    if share:
        assert held_out["x"].tolist() == list(range(trained, rows))
    else:
        assert held_out == {}
    assert np.shares_memory(training["x"], x)


@pytest.mark.parametrize(
    ("rows", "share", "empty"),
    [(10, 0.95, "training"), (1, 0.5, "training"), (10, 1e-9, "validation")],
)
def test_a_share_that_leaves_no_row_is_refused(rows, share, empty):
    with pytest.raises(
        ConfigError, match=f"of {rows} rows, which leaves none for {empty}"
    ):
        split({"x": np.arange(rows)}, share)
