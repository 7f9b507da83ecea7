"""That all sequences of a loop have one length: scan would stop with the shortest, in silence."""

from __future__ import annotations

import pytensor.tensor as pt
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.variable import TensorVariable

from recursive.errors import SequenceLengthError


def common_length(lengths: dict[str, int | TensorVariable]) -> int | TensorVariable:
    """The number of steps that all sequences share.

    scan would silently stop with the shortest. Known lengths are compared here; unknown ones when the loop runs.

    Raises:
        SequenceLengthError: for lengths of 0, or that differ.
    """
    known = {
        name: length for name, length in lengths.items() if isinstance(length, int)
    }
    check_lengths(known)
    open_lengths = [length for name, length in lengths.items() if name not in known]
    if not open_lengths:
        return next(iter(known.values()))
    first, *rest = [*open_lengths, *list(known.values())[:1]]
    message = length_message(" and ".join(lengths), "lengths that differ, or 0")
    return CheckAndRaise(SequenceLengthError, message)(
        first, pt.gt(first, 0), *(pt.eq(first, n) for n in rest)
    )


def check_lengths(lengths: dict[str, int]) -> None:
    """Raise a SequenceLengthError unless all are equal and at least 1."""
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise SequenceLengthError(
            length_message(
                " and ".join(lengths),
                ", ".join(f"{name}: {length}" for name, length in lengths.items()),
            )
        )


def length_message(names: str, got: str) -> str:
    """The words of a SequenceLengthError."""
    return str(
        SequenceLengthError.about(
            "input",
            names,
            takes="sequences of one length, of 1 step or more",
            because="every step reads one slice of each",
            got=got,
            do="Cut or pad them to one length"
            + (", or change n_steps." if "n_steps" in names.split(" and ") else "."),
        )
    )
