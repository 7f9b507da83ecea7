"""One long series as batches whose rows go on from batch to batch, and back."""

from __future__ import annotations

import numpy as np

from recursive.errors import DataError
from recursive.utils.arguments import count


def cut(series: object, batch_size: int, steps: int) -> np.ndarray:
    """A series ``(length, ...)`` as rows ``(batches * batch_size, steps, ...)``, in the order that ``fit`` takes them.

    The series is laid out as ``batch_size`` stretches of one length, and each batch has the next ``steps`` of all of
    them: row i of a batch goes on from row i of the batch before. So a stateful model sees each stretch as one
    sequence under ``fit(..., batch_size=batch_size, shuffle=False)``. Targets are cut likewise.

    Raises:
        ConfigError: for a ``batch_size`` or ``steps`` that is no whole number of 1 or more.
        DataError: for a length that the batches do not use up, or what is no array.

    >>> cut(np.arange(12), batch_size=2, steps=3).tolist()
    [[0, 1, 2], [6, 7, 8], [3, 4, 5], [9, 10, 11]]
    """
    series = _one_array("series", series)
    for name, value in (("batch_size", batch_size), ("steps", steps)):
        count(name, value)
    length, used = len(series) if series.ndim else 0, batch_size * steps
    if length == 0 or length % used:
        raise DataError.about(
            "series",
            "length",
            takes=f"a multiple of {used} steps, 1 or more",
            because=f"each batch has {batch_size} rows of {steps}",
            got=f"{length}",
            do=f"Pass series[:{length // used * used}]."
            if length > used
            else "Choose smaller ones.",
        )
    pieces = series.reshape(batch_size, -1, steps, *series.shape[1:])
    return pieces.swapaxes(0, 1).reshape(-1, steps, *series.shape[1:])


def _one_array(name: str, value: object) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError.about(
            "argument",
            name,
            takes="one array",
            because="it is cut at equal steps",
            got=f"{type(value).__name__} ({error})",
            do="Bring all of it to one length.",
        ) from error


def join(rows: object, batch_size: int) -> np.ndarray:
    """The series that was cut into ``rows``, or what a model made of each of its steps: the inverse of :func:`cut`.

    Raises:
        ConfigError: for a ``batch_size`` that is no whole number of 1 or more.
        DataError: for rows that do not fill their batches, or have no steps.

    >>> join(cut(np.arange(12), 2, 3), 2).tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    """
    rows = _one_array("rows", rows)
    count("batch_size", batch_size)
    if rows.ndim < 2 or len(rows) == 0 or len(rows) % batch_size:
        raise DataError.about(
            "rows",
            "shape",
            takes=f"(batches * {batch_size}, steps, ...)",
            because="that is what cut gives",
            got=rows.shape,
            do="Say return_sequences=True in the "
            "model, and the batch_size that the series was cut with.",
        )
    pieces = rows.reshape(-1, batch_size, *rows.shape[1:])
    return pieces.swapaxes(0, 1).reshape(-1, *rows.shape[2:])
