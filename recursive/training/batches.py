"""The batches of ``fit``, ``evaluate`` and ``predict``: of rows, or of an iterator.

Both kinds have one interface. ``rows`` is the number of rows in an epoch, None if it is
not known. ``epoch(number)`` yields the batches of an epoch.

An iterator is user code, which may end, fail or yield something else in the middle of
training. Every such error names the batch and states what the model holds then. In
errors, batches and epochs are counted from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import numpy as np

from recursive.errors import ConfigError, DataError, RecursiveError
from recursive.training import data
from recursive.training.data import Arrays
from recursive.training.rows import as_slice
from recursive.utils.arguments import count

_END = object()
"""What stands for the end of an iterator, which may yield None by mistake."""


@dataclass(frozen=True)
class Place:
    """The place of a batch, counted from 1, and what the model holds before it.

    ``epoch`` is None outside ``fit``.

    >>> print(Place(3, epoch=2), "|", Place(3, epoch=2).held)
    batch 3 of epoch 2 | The model holds the weights after batch 2 of epoch 2.
    """

    batch: int
    epoch: int | None = None
    validates: bool = False

    def __str__(self) -> str:
        kind = "validation batch" if self.validates else "batch"
        epoch = "" if self.epoch is None else f" of epoch {self.epoch}"
        return f"{kind} {self.batch}{epoch}"

    @property
    def held(self) -> str:
        """The weights that the model holds until this batch is done."""
        if self.epoch is None:
            return "The model is unchanged."
        if self.validates:
            return f"The model holds the weights of the end of epoch {self.epoch}."
        if self.batch > 1:
            before = Place(self.batch - 1, self.epoch)
            return f"The model holds the weights after {before}."
        if self.epoch > 1:
            return f"The model holds the weights of the end of epoch {self.epoch - 1}."
        return "The model is unchanged."


@dataclass(frozen=True)
class Batch:
    """The arrays of one batch and its place.

    ``rows`` are the numbers of its rows in the data, None for an iterator.
    """

    arrays: Arrays
    place: Place
    rows: np.ndarray | None = None

    @property
    def size(self) -> int:
        """The number of rows."""
        return data.check_rows(self.arrays)


@contextmanager
def located(place: Place) -> Iterator[None]:
    """Add the place of a batch to an error that it raises inside the block."""
    try:
        yield
    except RecursiveError as error:
        raise type(error)(f"{error} This is {place}. {place.held}") from error


class RowBatches:
    """The batches of rows that are given as a whole.

    Args:
        arrays: arrays, or rows that are read later, by name.
        batch_size: the number of rows in a batch; the last may have fewer.
        shuffle: True shuffles rows in each epoch with numpy's global generator,
            ``batch`` shuffles whole batches.
        validates: True if they are the batches of a validation.

    >>> batches = RowBatches({"x": np.array([4, 5, 6])}, batch_size=2)
    >>> [batch.arrays["x"].tolist() for batch in batches.epoch()]
    [[4, 5], [6]]
    """

    def __init__(
        self,
        arrays: Arrays,
        batch_size: int,
        shuffle: bool | str = False,
        validates: bool = False,
    ):
        self.arrays = arrays
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.validates = validates
        self.rows = data.check_rows(arrays)

    def epoch(self, number: int | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch, which visit every row once."""
        all_rows = data.batches(self._order(), self.batch_size)
        for index, rows in enumerate(all_rows):
            place = Place(index + 1, number, self.validates)
            with located(place):
                arrays = data.take(self.arrays, as_slice(rows))
            yield Batch(arrays, place, rows)

    def _order(self) -> np.ndarray:
        """The row numbers of one epoch in the order they are visited."""
        order = np.arange(self.rows)
        if self.shuffle == "batch":
            # The reshaped array is a view, so shuffling its rows reorders ``order``
            # itself. A shorter last batch stays last.
            full = self.rows // self.batch_size * self.batch_size
            np.random.shuffle(order[:full].reshape(-1, self.batch_size))
        elif self.shuffle:
            np.random.shuffle(order)
        return order


class IteratorBatches:
    """The batches that an iterator yields.

    An iterator has a single pass, which each epoch continues. An iterable that is not
    an iterator, such as a loader, can be started again.

    Args:
        source: the iterator or iterable.
        steps: the number of batches in an epoch. None is all batches of one pass.
        to_arrays: turns what is yielded into arrays by name.
        restarts: True starts an iterable again at every epoch. False continues it with
            the batch after the last, and starts it again only at its end, so that
            every batch has its turn.
        validates: True if they are the batches of a validation.

    >>> def to_arrays(given):
    ...     return {"x": np.array([given])}
    >>> batches = IteratorBatches([4, 5, 6], 2, to_arrays)
    >>> for number in 1, 2:
    ...     print([batch.arrays["x"].tolist() for batch in batches.epoch(number)])
    [[4], [5]]
    [[6], [4]]
    """

    rows = None
    batch_size = None

    def __init__(
        self,
        source: Iterable,
        steps: int | None,
        to_arrays: Callable[[object], Arrays],
        restarts: bool = False,
        validates: bool = False,
    ):
        self.source = source
        self.steps = steps
        self.validates = validates
        self._to_arrays = to_arrays
        self._has_one_pass = isinstance(source, Iterator)
        self._starts_each_epoch = not self._has_one_pass and (restarts or steps is None)
        self._pass: Iterator | None = None
        self._is_peeked = False

    def peek(self, number: int | None = None) -> Arrays:
        """The arrays of the first batch, which ``epoch`` yields too."""
        place = Place(1, number, self.validates)
        given = self._next(place)
        if given is _END:
            raise self._ended(place)
        self._pass = chain([given], self._pass)
        self._is_peeked = True
        return self._converted(given, place)

    def epoch(self, number: int | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch.

        Raises:
            DataError: if the iterator ends early, raises an error, or yields something
                else than a batch.
            RecursiveError: a subclass of it, for a batch that the model does not take.
        """
        if self._starts_each_epoch and not self._is_peeked:
            self._pass = None
        self._is_peeked = False
        index = 0
        while index != self.steps:
            place = Place(index + 1, number, self.validates)
            given = self._next(place)
            if given is _END and self._continues():
                self._pass = None
                given = self._next(place)
            if given is _END:
                if index and self.steps is None:
                    return
                raise self._ended(place)
            yield Batch(self._converted(given, place), place)
            index += 1

    def _continues(self) -> bool:
        """True if an epoch goes on with the next pass when one has ended."""
        return not self._has_one_pass and not self._starts_each_epoch

    def _next(self, place: Place) -> object:
        """What the iterator yields next, or the end."""
        try:
            if self._pass is None:
                self._pass = iter(self.source)
            return next(self._pass)
        except StopIteration:
            return _END
        except Exception as error:
            raise DataError.about(
                "iterator",
                type(self.source).__name__,
                takes=f"no error while it makes {place}",
                got=f"{type(error).__name__}: {error}",
                do=f"Correct the iterator. {place.held}",
            ) from error

    def _converted(self, given: object, place: Place) -> Arrays:
        with located(place):
            return self._to_arrays(given)

    def _ended(self, place: Place) -> DataError:
        epoch = "" if place.epoch is None else " in each epoch"
        needed = "1 batch or more" if self.steps is None else f"{self.steps} batches"
        do = "Let it yield more batches, or ask for fewer steps."
        if self._has_one_pass:
            do = (
                "Let it go on (while True), pass an object whose __iter__ starts "
                "again, or ask for fewer steps."
            )
        return DataError.about(
            "iterator",
            type(self.source).__name__,
            takes=f"{needed}{epoch}",
            got=f"{place.batch - 1} of them: it ended before {place}",
            do=f"{do} {place.held}",
        )


Batches = RowBatches | IteratorBatches


def is_iterator(value: object) -> bool:
    """True for an iterator, or an iterable that is not an array, a list or a dict.

    >>> is_iterator(iter([])), is_iterator([]), is_iterator(np.ones(3))
    (True, False, False)
    """
    if isinstance(value, Iterator):
        return True
    if isinstance(value, Sequence | Mapping):
        return False
    is_array = hasattr(value, "__array__") or hasattr(value, "shape")
    return hasattr(value, "__iter__") and not is_array


def checked_steps(
    name: str, steps: object, source: object, has_one_pass: bool = False
) -> int | None:
    """The number of batches to take from ``source``; None is all of them.

    Args:
        name: the name of the argument.
        steps: its value.
        source: the user's data.
        has_one_pass: True if ``source`` is read once. In several epochs, an iterator
            without a number of steps is refused: it cannot start again.

    Raises:
        ConfigError: for a number below 1, a missing one, or data in arrays.
    """
    if steps is not None:
        steps = count(name, steps)
    if not is_iterator(source):
        if steps is not None:
            raise ConfigError.about(
                "argument",
                name,
                takes="None for arrays",
                because="an epoch visits each of their rows once",
                got=str(steps),
                do="Leave it out, or pass an iterator of batches.",
            )
        return None
    if steps is None and isinstance(source, Iterator) and not has_one_pass:
        raise ConfigError.about(
            "argument",
            name,
            takes="a number of batches for an iterator",
            because="it may have no end, and cannot start again",
            got="None",
            do=f"Pass {name}=100, for example, or an object whose __iter__ starts "
            "again.",
        )
    return steps


def parts_of(given: object) -> tuple[object, object, object]:
    """``X``, ``y`` and ``sample_weight`` of a batch that an iterator yielded.

    Raises:
        DataError: for anything but ``(X, y)``, ``(X, y, sample_weight)`` or a dict.

    >>> parts_of(([1], [2]))
    ([1], [2], None)
    """
    if isinstance(given, Mapping):
        return given, None, None
    is_tuple = isinstance(given, tuple | list)
    if is_tuple and len(given) in (2, 3):
        return (*given, None)[:3]
    raise DataError.about(
        "iterator",
        "batch",
        takes="(X, y), (X, y, sample_weight) or a dict",
        got=f"a {type(given).__name__} of {len(given)}" if is_tuple else _kind(given),
        do="Yield (X, y), for example.",
    )


def _kind(given: object) -> str:
    return "None" if given is None else type(given).__name__
