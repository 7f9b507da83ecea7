"""One long series cut into batches for a stateful model, and joined again.

A series is divided into ``batch_size`` stretches of equal length, one per row of a
batch. Each batch holds the next ``steps`` of all stretches, so row i of a batch
continues row i of the batch before::

    0 1 2 3 4 5 | 6 7 8 9 10 11      two stretches
    [0 1 2]  [3 4 5]                 row 0 of batches 0 and 1
    [6 7 8]  [9 10 11]               row 1 of batches 0 and 1
"""

from __future__ import annotations

import numpy as np

from recursive.errors import DataError
from recursive.utils.arguments import count


def cut(series: object, batch_size: int, steps: int) -> np.ndarray:
    """Cut a series into rows in the order that ``fit`` takes them.

    A stateful model sees each stretch as one sequence in ``fit(...,
    batch_size=batch_size, shuffle=False)``. Cut the targets in the same way.

    Args:
        series: ``(length, ...)``.
        batch_size: the number of rows in a batch.
        steps: the number of steps in a row.

    Returns:
        ``(batches * batch_size, steps, ...)``.

    Raises:
        ConfigError: for a ``batch_size`` or ``steps`` that is not an integer of 1 or
            more.
        DataError: if the length is not a multiple of ``batch_size * steps``, or if
            ``series`` is not an array.

    >>> cut(np.arange(12), batch_size=2, steps=3).tolist()
    [[0, 1, 2], [6, 7, 8], [3, 4, 5], [9, 10, 11]]
    """
    series = _one_array("series", series)
    count("batch_size", batch_size)
    count("steps", steps)
    length = len(series) if series.ndim else 0
    steps_of_batch = batch_size * steps
    if length == 0 or length % steps_of_batch:
        usable = length // steps_of_batch * steps_of_batch
        raise DataError.about(
            "series",
            "length",
            takes=f"a multiple of {steps_of_batch} steps, 1 or more",
            because=f"each batch has {batch_size} rows of {steps}",
            got=f"{length}",
            do=f"Pass series[:{usable}]." if usable else "Choose smaller ones.",
        )
    # (batch, batches, steps, ...) -> (batches, batch, steps, ...)
    pieces = series.reshape(batch_size, -1, steps, *series.shape[1:])
    return pieces.swapaxes(0, 1).reshape(-1, steps, *series.shape[1:])


def join(rows: object, batch_size: int) -> np.ndarray:
    """Join the rows of :func:`cut`, or a model's outputs for them, into one series.

    Args:
        rows: ``(batches * batch_size, steps, ...)``.
        batch_size: the number of rows in a batch.

    Returns:
        ``(length, ...)``.

    Raises:
        ConfigError: for a ``batch_size`` that is not an integer of 1 or more.
        DataError: for rows that do not fill their batches or have no steps.

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
            got=rows.shape,
            do="Pass return_sequences=True to the model, "
            "and the batch_size that the series was cut with.",
        )
    # (batches, batch, steps, ...) -> (batch, batches, steps, ...)
    pieces = rows.reshape(-1, batch_size, *rows.shape[1:])
    return pieces.swapaxes(0, 1).reshape(-1, *rows.shape[2:])


def _one_array(name: str, value: object) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError.about(
            "argument",
            name,
            takes="one array",
            got=f"{type(value).__name__} ({error})",
            do="Bring all parts to the same length.",
        ) from error
