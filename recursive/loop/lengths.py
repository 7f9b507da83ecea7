"""The check that all sequences of a loop have one length.

scan would silently stop with the shortest.
"""

from __future__ import annotations

import pytensor.tensor as pt
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.variable import TensorVariable

from recursive.backend.sizes import Size
from recursive.errors import SequenceLengthError


def common_length(lengths: dict[str, Size]) -> Size:
    """The number of steps that all sequences share.

    Known lengths are compared here, others at run time.

    Raises:
        SequenceLengthError: for lengths that are 0 or differ.
    """
    known: dict[str, int] = {}
    unknown: list[TensorVariable] = []
    for name, length in lengths.items():
        if isinstance(length, int):
            known[name] = length
        else:
            unknown.append(length)
    check_lengths(known)
    if not unknown:
        return next(iter(known.values()))
    # The result is a length that runs the check when it is used. One known length is
    # enough to compare with, since all known ones are equal.
    first, *rest = [*unknown, *list(known.values())[:1]]
    conditions = [pt.gt(first, 0)]
    for length in rest:
        conditions.append(pt.eq(first, length))
    message = length_message(" and ".join(lengths), "lengths that differ, or 0")
    return CheckAndRaise(SequenceLengthError, message)(first, *conditions)


def check_lengths(lengths: dict[str, int]) -> None:
    """Raise a SequenceLengthError unless all are equal and at least 1."""
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        got = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise SequenceLengthError(length_message(" and ".join(lengths), got))


def length_message(names: str, got: str) -> str:
    """The text of a SequenceLengthError about inputs; ``n_steps`` counts as one."""
    advice = "Cut or pad them to one length"
    if "n_steps" in names.split(" and "):
        advice += ", or change n_steps"
    error = SequenceLengthError.about(
        "input",
        names,
        takes="sequences of one length, of 1 step or more",
        because="every step reads one slice of each",
        got=got,
        do=f"{advice}.",
    )
    return str(error)
