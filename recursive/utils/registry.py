"""Functions and classes by name, as in the ``get`` functions of Keras 0.1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from recursive.errors import UnknownNameError, suggest

Thing = TypeVar("Thing")


def lookup(kind: str, identifier: object, table: Mapping[str, Thing]) -> Thing:
    """Return the object called ``identifier``, or ``identifier`` if it is callable.

    Raises:
        UnknownNameError: for a name that is not in the table.

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
    """Create an object from its name or configuration.

    Args:
        kind: the kind of object, for the error.
        identifier: a name; a configuration, which is a dict with a ``name`` and
            arguments; an object of class ``base``, or another that can be called, or
            None, which is returned.
        table: classes by name.
        base: the base class of the objects.
        kwargs: arguments that go with a name.

    Raises:
        UnknownNameError: for a name that is not in the table, or anything else.

    >>> config = {"name": "complex", "real": 1, "imag": 2}
    >>> instance("number", config, {"complex": complex}, complex)
    (1+2j)
    """
    if identifier is None or isinstance(identifier, base):
        return identifier
    # As in Keras 0.1, an object need not have the base class. A class is a mistake:
    # its constructor would be called in place of its object.
    if callable(identifier) and not isinstance(identifier, type):
        return identifier
    if isinstance(identifier, Mapping):
        # A copy: the user's configuration keeps its name.
        arguments = dict(identifier)
        name = arguments.pop("name", None)
    else:
        arguments = dict(kwargs or {})
        name = identifier
    if not isinstance(name, str) or name not in table:
        raise UnknownNameError.about(
            kind,
            str(name),
            takes=f"a known name, a configuration or a {base.__name__}",
            got=repr(identifier),
            do=suggest(str(name), table),
        )
    return table[name](**arguments)


def name_of(thing: object) -> str:
    """Return the name of a function, or the class name of another object."""
    return getattr(thing, "__name__", type(thing).__name__)
