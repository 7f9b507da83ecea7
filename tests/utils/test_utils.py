"""The helpers of Keras 0.1: classes, scores, data to try a model on."""

import numpy as np
import pytest

from recursive.errors import DataError, DtypeError, UnknownNameError
from recursive.utils import generic_utils, np_utils, test_utils


@pytest.mark.parametrize(
    "y", [[2, 0, 1], np.array([[2], [0], [1]]), np.array([2.0, 0.0, 1.0]), (2, 0, 1)]
)
@pytest.mark.parametrize("nb_classes", [None, 3, 5])
def test_classes_become_rows_of_zeros_and_a_one(y, nb_classes):
    found = np_utils.to_categorical(y, nb_classes)
    expected = np.zeros((3, nb_classes or 3))
    expected[0, 2] = expected[1, 0] = expected[2, 1] = 1
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("y", "nb_classes", "error", "words"),
    [
        ([0, 3], 3, DataError, "integers from 0 to 2; got 0 to 3"),
        ([-1, 0], None, DataError, "got -1 to 0"),
        ([0.5], None, DtypeError, "takes integers"),
        (["a"], None, DtypeError, "takes integers"),
        ([[0, 1]], None, DataError, "one class per row"),
        ([], None, DataError, "1 row or more"),
    ],
)
def test_what_is_no_class_is_refused(y, nb_classes, error, words):
    with pytest.raises(error, match=words):
        np_utils.to_categorical(y, nb_classes)


@pytest.mark.parametrize(("axis", "order"), [(-1, 2), (0, 2), (1, 1), (0, np.inf)])
def test_rows_or_columns_are_brought_to_a_norm_of_one(axis, order):
    a = np.random.RandomState(1).normal(size=(3, 4))
    a[0] = a[:, 0] = 0
    found = np_utils.normalize(a, axis, order)
    lines, before = (found.T, a.T) if axis == 0 else (found, a)
    for line, old in zip(lines, before, strict=True):
        norm = {
            1: np.sum(abs(old)),
            2: np.sqrt(np.sum(old**2)),
            np.inf: np.max(abs(old)),
        }[order]
        np.testing.assert_allclose(line * norm, old, atol=1e-15)
        assert norm == 0 or np.abs(line).max() > 0


def test_the_log_loss_is_that_of_the_definition_and_finite_at_the_ends():
    p, y = np.array([0.2, 0.9, 0.5]), np.array([0, 1, 1])
    assert np_utils.binary_logloss(p, y) == pytest.approx(
        -np.log([0.8, 0.9, 0.5]).mean()
    )
    assert 30 < np_utils.binary_logloss(np.array([0.0]), np.array([1])) < 40


def test_probabilities_become_classes():
    p = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])
    assert np_utils.probas_to_classes(p).tolist() == [1, 0]
    assert np_utils.probas_to_classes(np.array([0.5, 0.51])).tolist() == [0, 1]
    assert np_utils.accuracy(np_utils.probas_to_classes(p), [1, 1]) == 0.5


def test_things_are_found_by_name_and_made_where_asked_for():
    table = {"list": list, "double": lambda x: 2 * x}
    assert generic_utils.get_from_module("list", table, "class") is list
    assert generic_utils.get_from_module("list", table, "class", instantiate=True) == []
    assert generic_utils.get_from_module(
        dict, table, "class", instantiate=True, kwargs={"a": 1}
    ) == {"a": 1}
    assert generic_utils.get_from_module([3], table, "class") == [3]
    with pytest.raises(UnknownNameError, match=r"class 'lits' .* Did you mean 'list'"):
        generic_utils.get_from_module("lits", table, "class")


def of_2015(nb_sample, input_shape, output_shape, classification, nb_class):
    """The draws of Keras 0.1, one row after another."""
    if classification:
        centers = np.random.randint(0, nb_class, size=(nb_sample, 1))
        return [
            np.random.normal(loc=center, scale=1.0, size=input_shape)
            for center in centers
        ], centers
    rows = [
        (
            np.random.normal(center, 1.0, input_shape),
            np.random.normal(center, 1.0, output_shape),
        )
        for center in np.random.random((nb_sample,))
    ]
    return [x for x, _ in rows], [y for _, y in rows]


@pytest.mark.parametrize("classification", [True, False])
def test_data_are_drawn_as_keras_0_1_drew_them(classification):
    np.random.seed(1)
    (X, y), (X_test, y_test) = test_utils.get_test_data(
        4, 3, (5, 2), (6,), classification, 3
    )
    np.random.seed(1)
    rows, targets = of_2015(7, (5, 2), (6,), classification, 3)
    assert np.array_equal(np.concatenate([X, X_test]), rows)
    assert np.array_equal(np.concatenate([y, y_test]), targets)
    assert (X.shape, X_test.shape, y.shape) == (
        (4, 5, 2),
        (3, 5, 2),
        (4, 1) if classification else (4, 6),
    )
