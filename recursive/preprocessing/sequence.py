"""Sequences of unequal lengths as one array.

Source: ``keras.preprocessing.sequence`` of Keras 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recursive.errors import ConfigError, DataError, DtypeError, ShapeError, suggest
from recursive.utils.arguments import count

SIDES = ("pre", "post")
"""The ends of a sequence: before the first step, and after the last."""


def pad_sequences(
    sequences: Sequence[object],
    maxlen: int | None = None,
    dtype: str = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: float = 0.0,
) -> np.ndarray:
    """Sequences of unequal lengths as one array.

    It has the shape ``(batch, time)``, or ``(batch, time, dim)`` for rows of numbers.

    Args:
        sequences: one sequence per row: numbers, ``(time,)``, or rows of numbers,
            ``(time, dim)``.
        maxlen: the number of steps; longer sequences are cut. None is that of the
            longest.
        dtype: the dtype of the array.
        padding: the end at which short sequences are padded, ``'pre'`` or ``'post'``.
        truncating: the end at which long sequences are cut, ``'pre'`` or ``'post'``.
        value: the number to pad with. ``Masking`` and ``mask_zero`` expect 0.

    Raises:
        ConfigError: for an unknown end, or a ``maxlen`` below 1.
        DataError: if there is no sequence, or all are empty.
        ShapeError: for sequences of other axes or dims than the first.
        DtypeError: for numbers that ``dtype`` cannot hold, such as 0.5 in int32.

    Source: ``pad_sequences`` of Keras 0.1, which took numbers only, and cut 0.5 to 0.

    >>> pad_sequences([[1, 2, 3], [4]]).tolist()
    [[1, 2, 3], [0, 0, 4]]
    >>> pad_sequences([[1, 2, 3], [4]], maxlen=2, padding="post").tolist()
    [[2, 3], [4, 0]]
    """
    check_side("padding", padding)
    check_side("truncating", truncating)
    rows = _as_arrays(sequences)
    longest = max(len(row) for row in rows)
    length = longest if maxlen is None else count("maxlen", maxlen)
    padded = np.full((len(rows), length, *_step_shape(rows)), value, dtype)
    for place, row in enumerate(rows):
        kept = row[-length:] if truncating == "pre" else row[:length]
        # An empty sequence would select the whole row by the slice -0.
        start = length - len(kept) if padding == "pre" else 0
        padded[place, start : start + len(kept)] = _cast(place, kept, dtype)
    return padded


def check_side(argument: str, side: object) -> None:
    """Raise a ConfigError unless ``side`` is an end of a sequence."""
    if side not in SIDES:
        raise ConfigError.about(
            "argument",
            argument,
            takes="'pre' or 'post'",
            got=repr(side),
            do=suggest(str(side), SIDES),
        )


def _as_arrays(sequences: Sequence[object]) -> list[np.ndarray]:
    rows = []
    for place, sequence in enumerate(sequences):
        try:
            row = np.asarray(sequence)
        except ValueError as error:
            raise ShapeError.about(
                "sequence",
                str(place),
                takes="steps of equal shape",
                got=f"steps that differ ({error})",
                do="Give each step the same number of values.",
            ) from error
        if row.ndim == 0:
            raise ShapeError.about(
                "sequence",
                str(place),
                takes="a list of steps, (time,) or (time, dim)",
                got=f"the single value {row}",
                do=f"Write [{row}].",
            )
        rows.append(row)
    if not rows or not any(len(row) for row in rows):
        raise DataError.about(
            "data",
            "sequences",
            takes="one sequence or more, of one step or more",
            got="none" if not rows else "empty sequences only",
            do="Look at where they come from.",
        )
    return rows


def _step_shape(rows: list[np.ndarray]) -> tuple[int, ...]:
    """The shape of one step, which all sequences share; an empty one has none."""
    filled = [(place, row) for place, row in enumerate(rows) if len(row)]
    _, first = filled[0]
    for place, row in filled:
        if row.shape[1:] != first.shape[1:]:
            raise ShapeError.about(
                "sequence",
                str(place),
                takes=f"steps of shape {first.shape[1:]}, as the first",
                got=str(row.shape[1:]),
                do="Give all sequences the same dim.",
            )
    return first.shape[1:]


def _cast(place: int, row: np.ndarray, dtype: str) -> np.ndarray:
    """The row in ``dtype``, if that changes no integer and no fraction."""
    if not len(row):
        return row.astype(dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        cast = row.astype(dtype)
    is_exact = cast.dtype.kind == "f" or np.array_equal(cast, row)
    if not is_exact:
        raise DtypeError.about(
            "sequence",
            str(place),
            takes=f"numbers that {np.dtype(dtype)} holds",
            got=f"{row.dtype} values that the cast would change",
            do="Pass dtype='float32', for example.",
        )
    return cast
