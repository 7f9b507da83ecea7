"""Checks of what a port returns or raises, before its numbers are compared."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

Arrays = Mapping[str, np.ndarray]

PARTS = {
    "run": {"outputs": "output", "finals": "state", "nodes": "node"},
    "grads": {"params": "the gradient of parameter", "inputs": "the gradient of input"},
    "train": {"losses": "the loss", "params": "parameter"},
}
"""The keys of what each method returns, and what a sentence calls one array of each."""
NEEDED = {"run": ("outputs",), "grads": ("params",), "train": ("losses", "params")}
"""The keys that must be there."""
NOT_THE_PORT = (str(Path(__file__).parent), sys.prefix, sys.base_prefix, "<")
"""The beginnings of the paths of files that belong to the runner or to libraries."""


class UnmetError(Exception):
    """A case that a port does not meet; the text is a sentence."""


class RaisedError(UnmetError):
    """The port raised an error, or gave no answer.

    Args:
        sentence: the whole message.
        code: the class of the error that the port raised; empty if it gave no answer.
    """

    def __init__(self, sentence: str, code: str = ""):
        super().__init__(sentence)
        self.code = code


class FormError(UnmetError):
    """The port returned a value of the wrong type or with the wrong keys."""


def parts(method: str, found: object) -> dict[str, Arrays]:
    """The arrays that ``method`` of a port returned, by key and name.

    A key that may be left out, and is, has no arrays.

    Raises:
        FormError: if ``found`` is not a dict of dicts of arrays, or has other keys.

    >>> parts("run", {"outputs": {"rec": [1.0]}})
    Traceback (most recent call last):
        ...
    recursive.conformance.forms.FormError: output 'rec' is a list, expected an array.
    """
    known = PARTS[method]
    if not isinstance(found, Mapping):
        raise FormError(f"{method} returned a {_type_of(found)}, expected a dict.")
    for kind in NEEDED[method]:
        if kind not in found:
            raise FormError(f"{method} returned no {kind!r} (keys: {listed(found)}).")
    for kind in found:
        if kind not in known:
            raise FormError(f"{method} returned {kind!r}, expected {listed(known)}.")
    by_kind = {}
    for kind in known:
        if kind == "losses":
            by_kind[kind] = _losses(found[kind])
        else:
            by_kind[kind] = _arrays(method, kind, found.get(kind))
    return by_kind


def _arrays(method: str, kind: str, found: object) -> Arrays:
    if found is None and kind not in NEEDED[method]:
        return {}
    if not isinstance(found, Mapping):
        raise FormError(
            f"{kind!r} of {method} is a {_type_of(found)}, "
            "expected a dict of arrays by name."
        )
    for name, value in found.items():
        what = f"{PARTS[method][kind]} {name!r}"
        if not isinstance(value, np.ndarray):
            raise FormError(f"{what} is a {_type_of(value)}, expected an array.")
        if value.dtype.kind not in "fiub":
            raise FormError(f"{what} has dtype {value.dtype}, expected numbers.")
    return found


def _losses(found: object) -> np.ndarray:
    try:
        return np.asarray(found, "float64")
    except (TypeError, ValueError):
        raise FormError(
            f"'losses' of train is {str(found)[:80]!r}, expected a list of numbers."
        ) from None


def error_code(found: object) -> str | None:
    """The name of an error, or None, as ``refuses`` returned it.

    Raises:
        FormError: if it is something else.
    """
    if found is not None and not isinstance(found, str):
        raise FormError(
            f"refuses returned a {_type_of(found)}, "
            "expected the name of an error class or None."
        )
    return found


def error_text(error: BaseException) -> str:
    """The message of an error, with the line of the port's code that it comes from.

    >>> error_text(ValueError("five"))
    'five'
    """
    words = [str(error)] if str(error) else []
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(NOT_THE_PORT)]
    if own:
        words.append(f"({Path(own[-1].filename).name}, line {own[-1].lineno})")
    return " ".join(words)


def raised_text(what: str, kind: str, words: str) -> str:
    """The sentence that ``what`` raised an error.

    >>> raised_text("run", "MemoryError", "")
    'run raised MemoryError'
    """
    return f"{what} raised {kind}: {words}" if words else f"{what} raised {kind}"


def listed(names: Iterable[str]) -> str:
    """The quoted names, or "none".

    >>> listed(["h", "rec"]), listed([])
    ("'h', 'rec'", 'none')
    """
    return ", ".join(map(repr, names)) or "none"


def _type_of(found: object) -> str:
    return type(found).__name__
