"""Functions and classes found by name, as Keras 0.1's ``get`` found them: a string, or the thing itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from recursive.errors import UnknownNameError, suggest

Thing = TypeVar("Thing")


def lookup(kind: str, identifier: object, table: Mapping[str, Thing]) -> Thing:
    """What ``identifier`` names in ``table``, or ``identifier`` itself where it is callable.

    Raises:
        UnknownNameError: for a name that the table does not have.

    >>> lookup("activation", "double", {"double": lambda x: 2 * x})(3)
    6
    """
    if callable(identifier):
        return identifier
    if not isinstance(identifier, str) or identifier not in table:
        raise UnknownNameError.about(
            kind,
            str(identifier),
            takes="a known name or a function",
            because="it is looked up by name",
            got=repr(identifier),
            do=suggest(str(identifier), table),
        )
    return table[identifier]


def instance(
    kind: str,
    identifier: object,
    table: Mapping[str, Callable[..., Thing]],
    base: type[Thing],
    kwargs: Mapping[str, object] | None = None,
) -> Thing | None:
    """A new thing by its name, or by its configuration, a dict with its ``name``; one of ``base`` itself; None is none.

    Raises:
        UnknownNameError: for a name that the table does not have, or something else.

    >>> instance("number", {"name": "complex", "real": 1, "imag": 2}, {"complex": complex}, complex)
    (1+2j)
    """
    if identifier is None or isinstance(identifier, base):
        return identifier
    settings = (
        dict(identifier)
        if isinstance(identifier, Mapping)
        else {"name": identifier, **(kwargs or {})}
    )
    name = settings.pop("name", None)
    if not isinstance(name, str) or name not in table:
        raise UnknownNameError.about(
            kind,
            str(name),
            takes=f"a known name, a configuration or a {base.__name__}",
            because="it is looked up by name",
            got=repr(identifier),
            do=suggest(str(name), table),
        )
    return table[name](**settings)


def name_of(thing: object) -> str:
    """The name under which a function is found again: its ``__name__``."""
    return getattr(thing, "__name__", type(thing).__name__)
