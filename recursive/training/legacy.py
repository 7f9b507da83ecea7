"""Functions on arrays that ``keras.models`` of Keras 0.1 had, for scripts of 2015.

The library itself keeps arrays by name (:mod:`.data`); here they are lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from recursive.errors import DataError, ShapeError


def standardize_X(X: object) -> list:  # noqa: N802 (the name of 2015)
    """``X`` if it is a list, else a list that holds it.

    >>> standardize_X([1, 2]), standardize_X("an array")
    ([1, 2], ['an array'])
    """
    return X if isinstance(X, list) else [X]


def standardize_y(y: object) -> np.ndarray:
    """``y`` as an array with at least two axes: ``(batch,)`` becomes ``(batch, 1)``.

    >>> standardize_y([3, 4]).tolist()
    [[3], [4]]
    """
    # An array in a file, such as HDF5Matrix, has a shape and stays what it is.
    array = y if hasattr(y, "shape") else np.asarray(y)
    return np.expand_dims(array, 1) if len(array.shape) == 1 else array


def slice_X(  # noqa: N802 (the name of 2015)
    X: object, start: int | Sequence[int] | None = None, stop: int | None = None
) -> object:
    """The rows of an array, or of each array in a list.

    Args:
        X: an array, or a list of arrays with the same rows.
        start: the first row; or the indices of all rows, which leave out ``stop``.
        stop: the row behind the last one.

    >>> rows = np.array([[1, 2], [3, 4], [5, 6]])
    >>> slice_X(rows, 1).tolist(), slice_X([rows], [2, 0])[0].tolist()
    ([[3, 4], [5, 6]], [[5, 6], [1, 2]])
    """
    rows = start if hasattr(start, "__len__") else slice(start, stop)
    if isinstance(X, list):
        return [array[rows] for array in X]
    return X[rows]


def make_batches(size: int, batch_size: int) -> list[tuple[int, int]]:
    """The first row of each batch and the row behind its last; the last may be shorter.

    >>> make_batches(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    starts = range(0, size, batch_size)
    return [(start, min(size, start + batch_size)) for start in starts]


def batch_shuffle(index_array: np.ndarray, batch_size: int) -> np.ndarray:
    """The indices with whole batches shuffled; a shorter last batch stays last.

    It draws from numpy's global generator.

    >>> batch_shuffle(np.array([4, 0, 2]), 2).tolist()
    [4, 0, 2]
    """
    order = np.array(index_array)
    full = len(order) // batch_size * batch_size
    # The reshaped array is a view, so shuffling its rows reorders ``order`` itself.
    np.random.shuffle(order[:full].reshape(-1, batch_size))
    return order


def standardize_weights(
    y: np.ndarray,
    sample_weight: object = None,
    class_weight: Mapping[int, float] | None = None,
) -> np.ndarray:
    """The weight of each row of ``y``, ``(batch, 1)``, or step, ``(batch, time, 1)``.

    Args:
        y: targets, ``(batch, dim)`` or ``(batch, time, dim)``. The class of a row or
            step is the index of its largest value, or its only value.
        sample_weight: weights that are returned with two axes or more.
        class_weight: weights by class; not used next to ``sample_weight``.

    Raises:
        DataError: for a class without a weight.
        ShapeError: for class weights of targets with other axes.

    >>> standardize_weights(np.array([[0], [2], [0]]), None, {0: 1.0, 2: 5.0}).tolist()
    [[1.0], [5.0], [1.0]]
    """
    if sample_weight is not None:
        return standardize_y(sample_weight)
    if not isinstance(class_weight, Mapping):
        return np.ones((*y.shape[:-1], 1))
    if y.ndim not in (2, 3):
        raise ShapeError.about(
            "argument",
            "class_weight",
            takes="targets (batch, dim) or (batch, time, dim)",
            got=f"targets of shape {y.shape}",
            do="Pass sample_weight.",
        )
    classes = y[..., 0] if y.shape[-1] == 1 else y.argmax(axis=-1)
    missing = sorted(set(classes.ravel().tolist()) - set(class_weight))
    if missing:
        raise DataError.about(
            "argument",
            "class_weight",
            takes="a weight for every class",
            got=f"none for {', '.join(f'{label:g}' for label in missing)}",
            do="Give the others a weight of 1.",
        )
    weights = [class_weight[label] for label in classes.ravel().tolist()]
    return np.array(weights).reshape(*y.shape[:-1], 1)
