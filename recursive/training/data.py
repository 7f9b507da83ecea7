"""What the user hands over, as arrays by name: cast, checked, cut into batches.

Data comes as a dict by name, as a list in the order declared, or as one array where one is expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from recursive.backend import Argument
from recursive.errors import (
    DataError,
    ShapeError,
    suggest,
)
from recursive.spec.shapes import format_shape

Arrays = dict[str, np.ndarray]


def by_name(kind: str, given: object, names: Sequence[str]) -> dict[str, object]:
    """``given`` as a dict with exactly ``names``.

    Raises:
        DataError: for missing, unknown, or too many.

    >>> by_name("input", [1, 2], ["a", "b"])
    {'a': 1, 'b': 2}
    """
    listed = ", ".join(map(repr, names))
    if isinstance(given, Mapping):
        check_names(kind, given, names)
        missing = [name for name in names if name not in given]
        if missing:
            raise DataError.about(
                kind,
                missing[0],
                takes="an array",
                because="it was declared",
                got="none",
                do=f"Pass a dict with {listed}.",
            )
        return {name: given[name] for name in names}
    if not names and given is None:
        return {}
    if not names and not isinstance(given, Mapping):
        raise DataError.about(
            "model",
            kind,
            takes=f"no {kind}",
            because="none was declared",
            got=type(given).__name__,
            do="Leave it out.",
        )
    values = given if isinstance(given, list | tuple) and len(names) > 1 else [given]
    if len(values) != len(names) or any(value is None for value in values):
        raise DataError.about(
            kind,
            ", ".join(names),
            takes=f"{len(names)} arrays",
            because=f"there are {listed}",
            got="none" if given is None else str(len(values)),
            do="Pass a dict by name, or a list in that order.",
        )
    return dict(zip(names, values, strict=True))


def check_names(kind: str, given: Iterable[str], names: Sequence[str]) -> None:
    """Raise a DataError for a name in ``given`` that is none of ``names``."""
    for name in given:
        if name not in names:
            raise DataError.about(
                kind,
                str(name),
                takes=f"one of the names {', '.join(map(repr, names))}",
                because="these were declared",
                got="an unknown name",
                do=suggest(name, names),
            )


def check_shape(
    kind: str,
    argument: Argument,
    array: np.ndarray,
    do: str = "Reshape the data, or declare another ndim or dim.",
) -> None:
    """Raise a ShapeError unless ``array`` has the axes and the known sizes of ``argument``; ``do`` is its advice."""
    fits = array.ndim == len(argument.shape) and all(
        size in (None, actual)
        for size, actual in zip(argument.shape, array.shape, strict=True)
    )
    if not fits:
        raise ShapeError.about(
            kind,
            argument.name,
            takes=f"an array of shape {format_shape(argument.shape)}",
            because="so it was declared, rows first",
            got=array.shape,
            do=do,
        )


def check_limit(kind: str, argument: Argument, array: np.ndarray) -> None:
    """Raise a DataError unless all numbers are 0 or more and below the limit of ``argument``, where it has one."""
    if (
        argument.limit is not None
        and array.size
        and not (array.min() >= 0 and array.max() < argument.limit)
    ):
        raise DataError.about(
            kind,
            argument.name,
            takes=f"whole numbers from 0 to {argument.limit - 1}",
            because=f"they number the {argument.limit} rows of an Embedding",
            got=f"numbers from {array.min()} to {array.max()}",
            do="Mend the data, or give the Embedding a larger input_dim.",
        )


def check_rows(arrays: Arrays) -> int:
    """The number of rows that all arrays share; 1 where there are none, as for a loop without inputs.

    Raises:
        DataError: for numbers that differ, or 0.
    """
    if not arrays:
        return 1
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) != 1 or 0 in rows.values():
        raise DataError.about(
            "data",
            " and ".join(rows),
            takes="arrays of one number of rows, 1 or more",
            because="row i of each belongs to example i",
            got=", ".join(f"{name}: {count}" for name, count in rows.items()),
            do="Pass as many rows of each.",
        )
    return next(iter(rows.values()))


def batches(order: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """The indices in ``order``, batch by batch; the last may be shorter.

    >>> [batch.tolist() for batch in batches(np.array([4, 0, 2]), 2)]
    [[4, 0], [2]]
    """
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def take(arrays: Arrays, rows: np.ndarray) -> Arrays:
    """Some rows of each array."""
    return {name: array[rows] for name, array in arrays.items()}
