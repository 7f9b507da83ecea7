"""Arrays from users, cast to the dtype of a program's input if no value changes."""

from __future__ import annotations

import numpy as np
from pytensor.graph.basic import Variable

from recursive.errors import DataError, DtypeError, SequenceLengthError


def as_array(kind: str, name: str, value: object, dtype: str) -> np.ndarray:
    """``value`` as an array of ``dtype``, if its values stay what they mean.

    A contiguous, writable array of that dtype is returned as it is, not copied.

    Args:
        kind: what the value is, for errors, such as ``input``.
        name: its name, for errors.
        value: an array, or nested lists of numbers.
        dtype: a dtype of NumPy.

    Raises:
        DataError: for masked values and for symbols, which have no value.
        DtypeError: for text, objects, complex numbers, fractions where integers are
            needed, or numbers that are too large.
        SequenceLengthError: for rows of unequal length.

    >>> as_array("input", "x", [[1, 2]], "float32").dtype
    dtype('float32')
    """
    _check_has_values(kind, name, value)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise SequenceLengthError.about(
            kind,
            name,
            takes="rows of one length",
            got=f"rows that differ ({error})",
            do="Pad the shorter rows.",
        ) from error
    return _cast(kind, name, array, dtype)


def _check_has_values(kind: str, name: str, value: object) -> None:
    if np.ma.is_masked(value):
        raise DataError.about(
            kind,
            name,
            takes="a value in every place",
            got=f"{np.ma.count_masked(value)} masked ones",
            do="Call filled(0) on it, for example.",
        )
    if isinstance(value, Variable):
        raise DataError.about(
            kind,
            name,
            takes="numbers",
            got=f"a symbol ({value.type})",
            do="Pass an array.",
        )


def _cast(kind: str, name: str, array: np.ndarray, dtype: str) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise DtypeError.about(
            kind,
            name,
            takes=f"numbers, as {dtype}",
            got=f"dtype {array.dtype}",
            do="Convert it first.",
        )
    # In C order and writable, because compilers compile again for other arrays.
    is_read_only = not array.flags.writeable
    with np.errstate(invalid="ignore", over="ignore"):
        cast = array.astype(dtype, order="C", copy=is_read_only)
    if array.dtype == cast.dtype:
        return cast
    if cast.dtype.kind == "f":
        # Rounding is expected of floats; an overflow is not.
        if not np.array_equal(np.isfinite(cast), np.isfinite(array)):
            raise DtypeError.about(
                kind,
                name,
                takes=f"numbers that fit {dtype}",
                got=f"values of {array.dtype} that a cast would make infinite",
                do="Scale them first, or set floatX to float64.",
            )
    elif not np.array_equal(cast, array):
        raise DtypeError.about(
            kind,
            name,
            takes=f"integers that fit {dtype}",
            got=f"values of {array.dtype} that a cast would change",
            do="Round them first, or declare it dtype='float'.",
        )
    return cast
