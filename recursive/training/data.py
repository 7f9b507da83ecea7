"""The user's data as arrays by name, checked and cut into batches.

Data comes as a dict by name, as a list in declaration order, or as one array if only
one is expected. The first axis is rows: row i of every array belongs to example i.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

import numpy as np

from recursive.backend import Argument
from recursive.errors import ConfigError, DataError, ShapeError, suggest
from recursive.spec.shapes import format_shape
from recursive.training.rows import LazyRows, Rows, part

Arrays = dict[str, np.ndarray | LazyRows]

ROUNDING = 1e-6
"""A part of a row that is more than the rounding error of a share of rows."""


def by_name(kind: str, given: object, names: Sequence[str]) -> dict[str, object]:
    """Return ``given`` as a dict with exactly ``names``, in their order.

    Args:
        kind: ``input`` or ``target``, for the errors.
        given: a dict, a list, a single array, or None.
        names: the declared names.

    Raises:
        DataError: for missing, unknown or too many arrays.

    >>> by_name("input", [1, 2], ["a", "b"])
    {'a': 1, 'b': 2}
    """
    if isinstance(given, Mapping):
        check_names(kind, given, names)
        return {name: _required(kind, given, name, names) for name in names}
    if not names:
        if given is not None:
            raise DataError.about(
                "model",
                kind,
                takes=f"no {kind}",
                got=type(given).__name__,
                do="Leave it out.",
            )
        return {}

    # A list for a single name is one array: its rows, not a list of arrays.
    is_list = isinstance(given, list | tuple) and len(names) > 1
    values = given if is_list else [given]
    if len(values) != len(names) or any(value is None for value in values):
        raise DataError.about(
            kind,
            ", ".join(names),
            takes=_counted(len(names)),
            got="none" if given is None else str(len(values)),
            do="Pass a dict by name, or a list in this order.",
        )
    return dict(zip(names, values, strict=True))


def _required(
    kind: str, given: Mapping[str, object], name: str, names: Sequence[str]
) -> object:
    if name not in given:
        raise DataError.about(
            kind,
            name,
            takes="an array",
            got="none",
            do=f"Pass a dict with {_quoted(names)}.",
        )
    return given[name]


def present(arguments: Iterable[Argument], names: Container[str]) -> list[Argument]:
    """The arguments of a model that are there; optional ones may be left out."""
    return [argument for argument in arguments if argument.name in names]


def check_names(kind: str, given: Iterable[str], names: Sequence[str]) -> None:
    """Raise a DataError if ``given`` has a name that is not one of ``names``."""
    for name in given:
        if name not in names:
            raise DataError.about(
                kind,
                str(name),
                takes=f"one of the names {_quoted(names)}",
                got="an unknown name",
                do=suggest(name, names),
            )


def _counted(number: int) -> str:
    return "1 array" if number == 1 else f"{number} arrays"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def check_shape(
    kind: str,
    argument: Argument,
    array: np.ndarray,
    do: str = "Reshape the data, or declare another ndim or dim.",
) -> None:
    """Raise a ShapeError unless the axes and known sizes of ``argument`` match.

    ``do`` is the advice in the error.
    """
    if not _fits(array.shape, argument.shape):
        raise ShapeError.about(
            kind,
            argument.name,
            takes=f"an array of shape {format_shape(argument.shape)}",
            got=array.shape,
            do=do,
        )


def _fits(shape: tuple[int, ...], declared: tuple[int | None, ...]) -> bool:
    if len(shape) != len(declared):
        return False
    sizes = zip(shape, declared, strict=True)
    return all(expected in (None, actual) for actual, expected in sizes)


INDEXED = {
    "input": ("rows of an Embedding", "give the Embedding a larger input_dim"),
    "target": ("classes of the output", "give the output a larger dim"),
}
"""What integers of each kind index, and how to allow for larger ones."""


def check_limit(kind: str, argument: Argument, array: np.ndarray) -> None:
    """Raise a DataError unless all values lie in ``0 <= value < argument.limit``.

    Rows that are read later are checked then.
    """
    limit = argument.limit
    if limit is None or isinstance(array, LazyRows) or not array.size:
        return
    smallest, largest = array.min(), array.max()
    if not (smallest >= 0 and largest < limit):
        indexed, larger = INDEXED[kind]
        raise DataError.about(
            kind,
            argument.name,
            takes=f"integers from 0 to {limit - 1}",
            because=f"they index the {limit} {indexed}",
            got=f"numbers from {smallest} to {largest}",
            do=f"Correct the data, or {larger}.",
        )


def check_rows(arrays: Arrays) -> int:
    """Return the number of rows that all arrays share.

    It is 1 if there are no arrays, as for a loop without inputs.

    Raises:
        DataError: if the numbers differ or are 0.
    """
    if not arrays:
        return 1
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise DataError.about(
            "data",
            " and ".join(counts),
            takes="arrays with the same number of rows, 1 or more",
            because="row i of each belongs to example i",
            got=", ".join(f"{name}: {rows}" for name, rows in counts.items()),
            do="Pass one row or more, and the same number in each.",
        )
    return next(iter(counts.values()))


def batches(order: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield the indices in ``order`` batch by batch; the last may be shorter.

    >>> [batch.tolist() for batch in batches(np.array([4, 0, 2]), 2)]
    [[4, 0], [2]]
    """
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def take(arrays: Arrays, rows: Rows) -> dict[str, np.ndarray]:
    """Return these rows of each array; a slice of an array is a view."""
    return {name: array[rows] for name, array in arrays.items()}


def split(arrays: Arrays, validation_split: float) -> tuple[Arrays, Arrays]:
    """Split off the last rows for validation, as views; no arrays if the share is 0.

    Raises:
        ConfigError: for a share that is not a number with ``0 <= share < 1``, or that
            leaves no row for training or validation.

    Source: ``fit`` of Keras 0.1, except that 0.8 of 10 rows leaves 2 rows for training.
    """
    is_number = isinstance(validation_split, int | float | np.floating)
    if (
        not is_number
        or isinstance(validation_split, bool)
        or not 0 <= validation_split < 1
    ):
        raise ConfigError.about(
            "argument",
            "validation_split",
            takes="a share from 0 to below 1",
            because="some rows must be left for training",
            got=repr(validation_split),
            do="Pass 0.1, for example.",
        )
    rows = check_rows(arrays)
    if not validation_split:
        return arrays, {}
    # 10 * (1 - 0.8) is 1.9999999999999996, which is meant to be 2.
    start = math.floor(rows * (1 - float(validation_split)) + ROUNDING)
    if not 0 < start < rows:
        empty = "training" if start == 0 else "validation"
        raise ConfigError.about(
            "argument",
            "validation_split",
            takes="a share that leaves a row or more for training and for validation",
            got=f"{validation_split} of {rows} rows, which leaves none for {empty}",
            do="Choose another share, or pass validation_data.",
        )
    training = {name: part(array, 0, start) for name, array in arrays.items()}
    held_out = {name: part(array, start, rows) for name, array in arrays.items()}
    return training, held_out
