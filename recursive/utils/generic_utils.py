"""What scripts of Keras 0.1 took from ``keras.utils.generic_utils``."""

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
    """What ``identifier`` names in ``module_params`` (``globals()`` of a module), or ``identifier`` itself.

    Args:
        identifier: a name, or the thing.
        module_params: things by name.
        module_name: the kind of thing, for the error.
        instantiate: True calls a class that was found.
        kwargs: what it is called with.

    Raises:
        UnknownNameError: for a name that is not there.

    >>> get_from_module("double", {"double": lambda x: 2 * x}, "function")(3)
    6
    """
    found = (
        registry.lookup(module_name, identifier, module_params)
        if isinstance(identifier, str)
        else identifier
    )
    return found(**(kwargs or {})) if instantiate and inspect.isclass(found) else found


def make_tuple(*args: object) -> tuple:
    """The arguments as a tuple.

    >>> make_tuple(1, 2)
    (1, 2)
    """
    return args


def printv(v: object, prefix: str = "") -> None:
    """Print a value, of a dict or a list each part in a line.

    >>> printv({"a": [1, 2]})
    a:
    ..0:
    ....1
    ..1:
    ....2
    """
    items = (
        v.items()
        if isinstance(v, Mapping)
        else enumerate(v)
        if isinstance(v, list | tuple)
        else None
    )
    if items is None:
        print(f"{prefix}{v}")
        return
    for key, value in items:
        print(f"{prefix}{key}:")
        printv(value, prefix + "..")
