"""Errors, all worded in one shape.

Every error that a user can cause is a :class:`RecursiveError`. It is raised where the
mistake was made, before PyTensor complains, and reads

    <kind> '<name>' takes <expected>; got <actual>. <what to do>

with ``, because <reason>`` after what is expected if the reason helps the user.
:meth:`RecursiveError.about` is the only place that words one.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from functools import cache


class RecursiveError(ValueError):
    """The base class of all errors that this library raises; a ``ValueError``.

    >>> raise RecursiveError.about(
    ...     "state", "h", takes="a positive dim", got="0", do="Write dim=6."
    ... )
    Traceback (most recent call last):
        ...
    recursive.errors.RecursiveError: state 'h' takes a positive dim; got 0. \
Write dim=6.
    """

    @classmethod
    def about(
        cls,
        kind: str,
        name: str,
        *,
        takes: str,
        got: object,
        do: str,
        because: str | None = None,
    ) -> RecursiveError:
        """The error about the ``kind`` called ``name``, in the shape of all errors.

        ``because`` is for a reason that helps the user; most errors need none.
        """
        expected = f"{takes}, because {because}" if because else takes
        return cls(f"{kind} {name!r} takes {expected}; got {got}. {do}")

    @classmethod
    def of_file(
        cls, path: object, number: int, *, takes: str, do: str, got: str | None = None
    ) -> RecursiveError:
        """The error about a file, which is the OSError called ``number`` as well.

        >>> import errno
        >>> error = WeightsError.of_file(
        ...     "w.h5", errno.ENOENT, takes="a file of weights", do="Check the path."
        ... )
        >>> isinstance(error, WeightsError), isinstance(error, FileNotFoundError)
        (True, True)
        """
        # OSError itself chooses the subclass that belongs to a number.
        both = _with_os_error(cls, type(OSError(number, "")))
        got = got or os.strerror(number)
        error = both.about("file", str(path), takes=takes, got=got, do=do)
        error.errno = number
        error.filename = str(path)
        return error


class _IsOSError:
    """The methods of an error that is an OSError as well."""

    def __str__(self) -> str:
        # An OSError with a filename would write its number and the filename instead.
        return self.args[0]

    def __reduce__(self) -> tuple:
        error_class, os_class = type(self).__bases__[1:]
        return _unpickled, (
            error_class,
            os_class,
            self.args,
            vars(self) | {"errno": self.errno, "filename": self.filename},
        )


@cache
def _with_os_error(
    error_class: type[RecursiveError], os_class: type[OSError]
) -> type[RecursiveError]:
    """A class with the name of ``error_class`` that derives from both."""
    bases = (_IsOSError, error_class, os_class)
    return type(error_class.__name__, bases, {"__module__": error_class.__module__})


def _unpickled(
    error_class: type[RecursiveError],
    os_class: type[OSError],
    args: tuple,
    attributes: dict[str, object],
) -> RecursiveError:
    error = _with_os_error(error_class, os_class)(*args)
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


class InvalidNameError(RecursiveError):
    """A name that is not an identifier, reserved, or already used."""


class DuplicateNameError(InvalidNameError):
    """A name that is already used in the same graph."""


class ReservedNameError(InvalidNameError):
    """A name that ends in ``_tm<k>``, which is the form of a tap."""


class UnknownNameError(RecursiveError):
    """A name that is not declared; the message suggests the nearest one."""


class TapError(RecursiveError):
    """A tap (``h_tm2``) that cannot be read."""


class NodeError(RecursiveError):
    """A node without inputs, or one that breaks a rule of its layer."""


class MergeError(RecursiveError):
    """A merge mode that is unknown, missing, or does not fit its inputs."""


class StateError(RecursiveError):
    """A state that no node or two nodes return, or whose dim does not fit."""


class OutputError(RecursiveError):
    """A container without outputs."""


class CycleError(RecursiveError):
    """Nodes that need each other's value of the same step."""


class ShapeError(RecursiveError):
    """Dims, shapes or numbers of axes that do not fit."""


class SequenceLengthError(ShapeError):
    """Sequences without steps, or with different numbers of steps."""


class BatchSizeError(ShapeError):
    """A batch whose number of rows differs from that of the kept states."""


class DtypeError(RecursiveError):
    """Values of another dtype, which a cast would change, or of mixed dtypes."""


class DataError(RecursiveError):
    """Data that does not match the inputs and outputs of the model."""


class ConfigError(RecursiveError):
    """A configuration, option or file that cannot be used."""


class WeightsError(RecursiveError):
    """Weights whose number, names or shapes differ from those of the model."""


class BackendError(RecursiveError):
    """A backend that is unknown, not installed, or unable to run this model."""


class MissingPackageError(RecursiveError):
    """An optional package that is not installed."""


class NotCompiledError(RecursiveError):
    """A model trained or evaluated before ``compile``."""


class DivergenceError(RecursiveError):
    """A loss that is no longer finite."""


class TrainableChangedWarning(UserWarning):
    """A layer was frozen or unfrozen after ``compile``, which has no effect."""


class ShapesChangeWarning(UserWarning):
    """Shapes that change from call to call on a backend that compiles for each."""


def suggest(name: str, candidates: Iterable[str]) -> str:
    """A sentence that offers the nearest candidate, or lists all if none is near.

    >>> suggest("inptu", ["input", "h"])
    "Did you mean 'input'?"
    >>> suggest("zzz", ["input", "h"])
    "There are: 'input', 'h'."
    """
    candidates = list(dict.fromkeys(candidates))
    close = difflib.get_close_matches(str(name), candidates, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return (
        f"There are: {', '.join(map(repr, candidates))}."
        if candidates
        else "There are none yet."
    )
