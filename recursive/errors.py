"""Errors, all worded in one shape.

Every error that a user can cause is a :class:`RecursiveError`. It is raised where the
mistake was made, before PyTensor complains, and reads

    <kind> '<name>' takes <expected>; got <actual>. <what to do>

with ``, because <reason>`` after what is expected if the reason helps the user.
:meth:`RecursiveError.about` is the only place that words one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RecursiveError(ValueError):
    """The base of every error that this library raises on purpose; a ``ValueError``.

    >>> raise RecursiveError.about(
    ...     "state", "h", takes="a positive dim", got="0", do="Say add_state('h', dim=6)."
    ... )
    Traceback (most recent call last):
        ...
    recursive.errors.RecursiveError: state 'h' takes a positive dim; got 0. \
Say add_state('h', dim=6).
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


class InvalidNameError(RecursiveError):
    """A name that cannot be used as one: not an identifier, reserved, or taken already."""


class DuplicateNameError(InvalidNameError):
    """A name that is already used in the same graph."""


class ReservedNameError(InvalidNameError):
    """A name that ends in ``_tm<k>``, which reads an earlier time."""


class UnknownNameError(RecursiveError):
    """A name that nothing in reach declares; the message offers the nearest one."""


class TapError(RecursiveError):
    """A tap (``h_tm2``) that cannot be read."""


class NodeError(RecursiveError):
    """A node that cannot be part of a step: without inputs, or used against its layer's rules."""


class MergeError(RecursiveError):
    """A merge mode that does not exist, is missing, or does not fit what it should merge."""


class StateError(RecursiveError):
    """A state that nothing returns, that two nodes return, or whose dim does not fit."""


class OutputError(RecursiveError):
    """A container that returns nothing."""


class CycleError(RecursiveError):
    """Nodes that need one another's value of the same time."""


class ShapeError(RecursiveError):
    """Dims, shapes or numbers of dimensions that do not fit."""


class SequenceLengthError(ShapeError):
    """Sequences of no steps, or of unequal numbers of steps."""


class BatchSizeError(ShapeError):
    """A batch of another number of rows than the states that should go on through it."""


class DtypeError(RecursiveError):
    """Values of another dtype than is taken, which no cast gives without changing what they mean, or their width."""


class DataError(RecursiveError):
    """Data that does not match the inputs and outputs of the model."""


class ConfigError(RecursiveError):
    """A configuration, option or file content that cannot be read or written."""


class WeightsError(RecursiveError):
    """Weights of another number, name or shape than the model's."""


class BackendError(RecursiveError):
    """A backend that is unknown, not installed, or cannot run this model."""


class MissingPackageError(RecursiveError):
    """A package of an extra that is not installed."""


class NotCompiledError(RecursiveError):
    """A model used for training before ``compile``."""


class DivergenceError(RecursiveError):
    """A loss that is no longer a finite number."""


class TrainableChangedWarning(UserWarning):
    """A layer was frozen or freed after ``compile``, which reads what is learned."""


class ShapesChangeWarning(UserWarning):
    """Shapes that change from call to call, on a backend that compiles for each."""


def suggest(name: str, candidates: Iterable[str]) -> str:
    """A sentence that offers the candidate nearest to ``name``, or lists them all when none is near.

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
