"""Classes, probabilities and scores. Source: ``keras.utils.np_utils`` of Keras 0.1."""

from __future__ import annotations

import numpy as np

from recursive.errors import DataError, DtypeError


def to_categorical(y: object, nb_classes: int | None = None) -> np.ndarray:
    """Return one-hot rows, ``(batch, nb_classes)``.

    Args:
        y: classes, integers from 0, ``(batch,)`` or ``(batch, 1)``.
        nb_classes: the number of classes; None for one more than the largest.

    Raises:
        DtypeError: for anything but integers.
        DataError: for negative numbers, numbers from ``nb_classes``, or another shape.

    >>> to_categorical([2, 0]).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    classes = np.asarray(y)
    _check_classes(classes)
    classes = classes.ravel().astype(int)
    known = int(classes.max()) + 1 if nb_classes is None else nb_classes
    if classes.min() < 0 or classes.max() >= known:
        raise DataError.about(
            "classes",
            "y",
            takes=f"integers from 0 to {known - 1}",
            got=f"{classes.min()} to {classes.max()}",
            do="Number the classes from 0.",
        )
    # Row i of the unit matrix is the one-hot vector of class i.
    return np.eye(known)[classes]


def _check_classes(classes: np.ndarray) -> None:
    is_number = classes.dtype.kind in "biuf"
    if not is_number or not np.array_equal(classes, np.round(classes)):
        raise DtypeError.about(
            "classes",
            "y",
            takes="integers",
            got=f"dtype {classes.dtype}",
            do="Number the classes from 0.",
        )
    one_per_row = classes.shape in ((classes.size,), (classes.size, 1))
    if not one_per_row or classes.size == 0:
        raise DataError.about(
            "classes",
            "y",
            takes="one class per row, 1 row or more",
            got=f"shape {classes.shape}",
            do="Pass (batch,) or (batch, 1).",
        )


def normalize(a: np.ndarray, axis: int = -1, order: int = 2) -> np.ndarray:
    """Divide ``a`` by its norm along ``axis``; vectors of zeros stay zeros.

    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    norms = np.linalg.norm(a, order, axis, keepdims=True)
    return a / np.where(norms == 0, 1, norms)


def binary_logloss(p: np.ndarray, y: np.ndarray) -> float:
    """Return ``-mean(y log p + (1 - y) log(1 - p))``.

    Args:
        p: the probabilities of class 1.
        y: the classes, 0 or 1.

    >>> round(binary_logloss(np.array([0.5, 0.5]), np.array([0, 1])), 4)
    0.6931
    """
    p = np.clip(np.asarray(p, float), 1e-15, 1 - 1e-15)
    return float(-np.mean(y * np.log(p) + (1 - np.asarray(y)) * np.log(1 - p)))


def accuracy(p: np.ndarray, y: np.ndarray) -> float:
    """Return the share of predicted classes ``p`` that equal ``y``.

    >>> accuracy(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]))
    0.75
    """
    return float(np.mean(np.equal(p, y)))


def probas_to_classes(y_pred: np.ndarray) -> np.ndarray:
    """Return the class of each row.

    It is the index of the largest probability. If there is one probability per row, the
    class is 1 above 0.5.

    >>> probas_to_classes(np.array([[0.2], [0.7]])).tolist()
    [0, 1]
    """
    if y_pred.ndim > 1 and y_pred.shape[1] > 1:
        return categorical_probas_to_classes(y_pred)
    return (y_pred.ravel() > 0.5).astype(int)


def categorical_probas_to_classes(p: np.ndarray) -> np.ndarray:
    """Return the index of the largest probability in each row.

    >>> categorical_probas_to_classes(np.array([[0.1, 0.7, 0.2]])).tolist()
    [1]
    """
    return np.argmax(p, axis=1)
