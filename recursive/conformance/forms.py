"""What a port returns or raises, looked at before its numbers are: dicts of arrays by name, and errors in words."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

import numpy as np

Arrays = Mapping[str, np.ndarray]

PARTS = {
    "run": {"outputs": "output", "finals": "state", "nodes": "node"},
    "grads": {"params": "the gradient of parameter", "inputs": "the gradient of input"},
    "train": {"losses": "the loss", "params": "parameter"},
}
"""What each method returns, and what one of it is called in a sentence."""
NEEDED = {"run": ("outputs",), "grads": ("params",), "train": ("losses", "params")}
"""What must not be left out."""
BESIDE = (str(Path(__file__).parent), sys.prefix, sys.base_prefix, "<")
"""How files begin that are not the port's own."""


class UnmetError(Exception):
    """A case is not met; the text is a sentence."""


class RaisedError(UnmetError):
    """The port raised an error, or gave no answer."""


class FormError(UnmetError):
    """What the port returned is not of the form that is read."""


def parts(method: str, found: object) -> dict[str, Arrays]:
    """What ``method`` of a port returned, by kind; what it left out and need not have is empty.

    Raises:
        FormError: where it is no dict of dicts of arrays, or has other keys.

    >>> parts("run", {"outputs": {"rec": [1.0]}})
    Traceback (most recent call last):
        ...
    recursive.conformance.forms.FormError: output 'rec' is a list in place of an array.
    """
    known = PARTS[method]
    if not isinstance(found, Mapping):
        raise FormError(
            f"{method} returned a {type(found).__name__} in place of a dict."
        )
    for kind in NEEDED[method]:
        if kind not in found:
            raise FormError(
                f"{method} returned no {kind!r}; there are {_listed(found)}."
            )
    for kind in found:
        if kind not in known:
            raise FormError(
                f"{method} returned {kind!r}, which is none of {_listed(known)}."
            )
    return {
        kind: losses(found[kind])
        if kind == "losses"
        else _arrays(method, kind, found.get(kind))
        for kind in known
    }


def _arrays(method: str, kind: str, found: object) -> Arrays:
    if found is None and kind not in NEEDED[method]:
        return {}
    if not isinstance(found, Mapping):
        raise FormError(
            f"{kind!r} of {method} is a {type(found).__name__} in place of a dict of arrays by name."
        )
    for name, value in found.items():
        what = f"{PARTS[method][kind]} {name!r}"
        if not isinstance(value, np.ndarray):
            raise FormError(f"{what} is a {type(value).__name__} in place of an array.")
        if value.dtype.kind not in "fiub":
            raise FormError(f"{what} is of {value.dtype} in place of floats.")
    return found


def losses(found: object) -> np.ndarray:
    """The losses, a number a step.

    Raises:
        FormError: where they are something else.
    """
    try:
        return np.asarray(found, "float64")
    except (TypeError, ValueError):
        raise FormError(
            f"'losses' of train is {str(found)[:80]!r} in place of a list of numbers."
        ) from None


def code(found: object) -> str | None:
    """The name of the error that a declaration was refused with; None where it was taken.

    Raises:
        FormError: where it is something else.
    """
    if found is not None and not isinstance(found, str):
        raise FormError(
            f"refuses returned a {type(found).__name__} in place of the name of an error, or None."
        )
    return found


def words_of(error: BaseException) -> str:
    """What an error says, and the line of the port's own code that it comes from.

    >>> words_of(ValueError("five"))
    'five'
    """
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(BESIDE)
    ]
    where = [f"({Path(own[-1].filename).name}, line {own[-1].lineno})"] if own else []
    return " ".join([*filter(None, [str(error)]), *where])


def raised(what: str, kind: str, words: str) -> str:
    """The sentence that something raised an error.

    >>> raised("run", "MemoryError", "")
    'run raised MemoryError'
    """
    return f"{what} raised {kind}: {words}" if words else f"{what} raised {kind}"


def _listed(names: Mapping) -> str:
    return ", ".join(map(repr, names)) or "none"
