"""Classes, probabilities and scores as arrays. Source: ``keras.utils.np_utils`` of Keras 0.1."""

from __future__ import annotations

import numpy as np

from recursive.errors import DataError, DtypeError


def to_categorical(y: object, nb_classes: int | None = None) -> np.ndarray:
    """Rows of 0 with a 1 at the class of each: ``(batch,)`` or ``(batch, 1)`` to ``(batch, nb_classes)``.

    Args:
        y: classes, whole numbers from 0.
        nb_classes: how many classes there are; None for one more than the largest.

    Raises:
        DtypeError: for anything but whole numbers.
        DataError: for negative numbers, ``nb_classes`` and more, or more than one a row.

    >>> to_categorical([2, 0]).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    classes = np.asarray(y)
    if classes.dtype.kind not in "biuf" or not np.array_equal(
        classes, np.round(classes)
    ):
        raise DtypeError.about(
            "classes",
            "y",
            takes="whole numbers",
            because="they number columns",
            got=f"dtype {classes.dtype}",
            do="Number the classes from 0.",
        )
    if classes.size == 0 or classes.shape not in ((classes.size,), (classes.size, 1)):
        raise DataError.about(
            "classes",
            "y",
            takes="one class a row, 1 row or more",
            because="each row becomes one",
            got=f"shape {classes.shape}",
            do="Pass (batch,) or (batch, 1).",
        )
    classes = classes.ravel().astype(int)
    known = int(classes.max()) + 1 if nb_classes is None else nb_classes
    if classes.min() < 0 or classes.max() >= known:
        raise DataError.about(
            "classes",
            "y",
            takes=f"numbers from 0 to {known - 1}",
            because="each has a column",
            got=f"{classes.min()} to {classes.max()}",
            do="Number the classes from 0.",
        )
    return np.eye(known)[classes]


def normalize(a: np.ndarray, axis: int = -1, order: int = 2) -> np.ndarray:
    """``a`` divided by its norm along ``axis``; what is all zeros stays so.

    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    norms = np.linalg.norm(a, order, axis, keepdims=True)
    return a / np.where(norms == 0, 1, norms)


def binary_logloss(p: np.ndarray, y: np.ndarray) -> float:
    """The mean of ``-log`` of the probability of what is true, for probabilities ``p`` of classes ``y`` of 0 and 1.

    >>> round(binary_logloss(np.array([0.5, 0.5]), np.array([0, 1])), 4)
    0.6931
    """
    p = np.clip(np.asarray(p, float), 1e-15, 1 - 1e-15)
    return float(-np.mean(y * np.log(p) + (1 - np.asarray(y)) * np.log(1 - p)))


def accuracy(p: np.ndarray, y: np.ndarray) -> float:
    """The share of classes ``p`` that equal ``y``.

    >>> accuracy(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]))
    0.75
    """
    return float(np.mean(np.equal(p, y)))


def probas_to_classes(y_pred: np.ndarray) -> np.ndarray:
    """The class of each row: the place of the largest probability; 1 above 0.5 where there is one a row.

    >>> probas_to_classes(np.array([[0.2], [0.7]])).tolist()
    [0, 1]
    """
    if y_pred.ndim > 1 and y_pred.shape[1] > 1:
        return categorical_probas_to_classes(y_pred)
    return (y_pred.ravel() > 0.5).astype(int)


def categorical_probas_to_classes(p: np.ndarray) -> np.ndarray:
    """The place of the largest probability of each row.

    >>> categorical_probas_to_classes(np.array([[0.1, 0.7, 0.2]])).tolist()
    [1]
    """
    return np.argmax(p, axis=1)
