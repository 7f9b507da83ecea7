"""What a user hands over as an array: cast to the dtype of a program's input where that keeps what it means."""

from __future__ import annotations

import numpy as np
from pytensor.graph.basic import Variable

from recursive.errors import DataError, DtypeError, SequenceLengthError


def as_array(kind: str, name: str, value: object, dtype: str) -> np.ndarray:
    """``value`` as an array of ``dtype``, where that keeps what it means.

    Raises:
        DataError: for masked values, which have no value, and symbols, which have none yet.
        DtypeError: for text, objects, complex numbers, fractions where whole numbers belong, or numbers too large.
        SequenceLengthError: for rows of unequal length.

    >>> as_array("input", "x", [[1, 2]], "float32").dtype
    dtype('float32')
    """
    if np.ma.is_masked(value):
        raise DataError.about(
            kind,
            name,
            takes="a value in every place",
            because="each is computed with",
            got=f"{np.ma.count_masked(value)} masked ones",
            do="Call filled(0) on it, for example.",
        )
    if isinstance(value, Variable):
        raise DataError.about(
            kind,
            name,
            takes="numbers",
            because="they are computed with now",
            got=f"a symbol ({value.type})",
            do="Pass an array.",
        )
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise SequenceLengthError.about(
            kind,
            name,
            takes="rows of one length",
            because="they form one array",
            got=f"rows that differ ({error})",
            do="Pad the shorter rows.",
        ) from error
    if array.dtype.kind not in "biuf":
        raise DtypeError.about(
            kind,
            name,
            takes=f"numbers, as {dtype}",
            because="it was declared so",
            got=f"dtype {array.dtype}",
            do="Convert it first.",
        )
    with np.errstate(invalid="ignore", over="ignore"):
        cast = array.astype(dtype)
    if cast.dtype.kind == "f" and not np.array_equal(
        np.isfinite(cast), np.isfinite(array)
    ):
        raise DtypeError.about(
            kind,
            name,
            takes=f"numbers that fit {dtype}",
            because="it was declared so",
            got=f"values of {array.dtype} that a cast would make infinite",
            do="Scale them first, or set floatX to float64.",
        )
    if cast.dtype.kind != "f" and not np.array_equal(cast, array):
        raise DtypeError.about(
            kind,
            name,
            takes=f"whole numbers that fit {dtype}",
            because="it was declared so",
            got=f"values of {array.dtype} that a cast would change",
            do="Round them first, or declare it dtype='float'.",
        )
    return cast
