"""The functions that scripts import from ``keras.utils.generic_utils`` of Keras 0.1."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from recursive.utils import registry


def get_from_module(
    identifier: object,
    module_params: Mapping[str, object],
    module_name: str,
    instantiate: bool = False,
    kwargs: Mapping[str, object] | None = None,
) -> object:
    """Return the object called ``identifier``, or ``identifier`` if it is not a string.

    Args:
        identifier: a name, or the object itself.
        module_params: objects by name, such as ``globals()`` of a module.
        module_name: the kind of object, for the error.
        instantiate: True calls a class that was found.
        kwargs: the arguments of that call.

    Raises:
        UnknownNameError: for an unknown name.

    >>> get_from_module("double", {"double": lambda x: 2 * x}, "function")(3)
    6
    """
    found = identifier
    if isinstance(identifier, str):
        found = registry.lookup(module_name, identifier, module_params)
    if instantiate and inspect.isclass(found):
        return found(**(kwargs or {}))
    return found


def make_tuple(*args: object) -> tuple:
    """Return the arguments as a tuple.

    >>> make_tuple(1, 2)
    (1, 2)
    """
    return args


def printv(v: object, prefix: str = "") -> None:
    """Print a value; each item of a dict or list has its own line.

    >>> printv({"a": [1, 2]})
    a:
    ..0:
    ....1
    ..1:
    ....2
    """
    if isinstance(v, Mapping):
        items = v.items()
    elif isinstance(v, list | tuple):
        items = enumerate(v)
    else:
        print(f"{prefix}{v}")
        return
    for key, value in items:
        print(f"{prefix}{key}:")
        printv(value, prefix + "..")
