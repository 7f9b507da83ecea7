"""The name of a layer's class in a configuration: one name stands for one formula.

The reference, ``source`` and ``explain`` look a formula up by this name, and a file is read by it. So a class of the
user's own is never called as a class of the library is, whatever its ``__name__``.
"""

from __future__ import annotations

import importlib
import sys

from recursive.spec.text import WORDS

PACKAGE = __name__.partition(".")[0]

FORMULA = (
    "__call__",
    "apply",
    "call",
    "call_masked",
    "compute",
    "finish",
    "from_states",
    "get_input",
    "get_input_mask",
    "get_output",
    "get_output_mask",
    "transform_input",
    "with_mask",
)
"""The methods that say what a layer computes."""

HARMLESS = (
    "build",
    "check_draws",
    "check_output",
    "complete",
    "draw_shape",
    "get_config",
    "get_output_mask_for",
    "get_output_shape_for",
    "get_params",
    "get_weights",
    "sample",
    "set_weights",
    "supports_masked_input",
)
"""Methods that a class may override without another formula."""

_registered: dict[str, list[type]] = {}
_changes = 0


def register(cls: type) -> None:
    """Remember a class that this library may define."""
    if _is_in_package(cls):
        _registered.setdefault(cls.__name__, []).append(cls)


def _is_in_package(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == PACKAGE


def is_of_library(cls: type) -> bool:
    """True for a class that a module of this library defines, once the module has run."""
    module = sys.modules.get(cls.__module__) if _is_in_package(cls) else None
    return getattr(module, cls.__qualname__, None) is cls


def is_library_name(name: str) -> bool:
    """True for the name of a layer class of this library."""
    # The answer must not depend on which modules are loaded already.
    importlib.import_module(f"{PACKAGE}.models")
    return any(is_of_library(cls) for cls in _registered.get(name, ()))


def class_name(cls: type) -> str:
    """The name of a layer's class in a configuration.

    It is the class's ``__name__``. A class that is not the library's, but has the name of one of its classes, is
    called by its module as well.
    """
    name = cls.__name__
    if is_of_library(cls):
        return name
    if name in WORDS or is_library_name(name):
        return f"{cls.__module__}.{cls.__qualname__}"
    return name


def config_of(layer: object) -> dict[str, object]:
    """``layer.get_config()``, with the name of the layer's class, and with ``trainable`` for a frozen one.

    A layer may stand for another one and give its configuration, with its name. No class of the user's own may stand
    for one of the library's, and what is inherited says nothing about the class that inherits it.
    """
    config = dict(layer.get_config())
    cls, name = type(layer), config.get("name")
    stands_for_another = (
        "get_config" in vars(cls)
        and isinstance(name, str)
        and name != cls.__name__
        and (is_of_library(cls) or not is_library_name(name))
    )
    config["name"] = name if stands_for_another else class_name(cls)
    if not layer.trainable or layer.is_frozen_as_in_2015:
        config["trainable"] = False
    return config


# Formulas of the user's own


def own_methods(cls: type) -> list[str]:
    """The methods of the formula that a class of the user's own defines, as ``Mine.call``."""
    found = []
    for method in FORMULA:
        by = next((base for base in cls.__mro__ if method in vars(base)), object)
        if by is not object and not is_of_library(by):
            found.append(f"{by.__name__}.{method}")
    return found


def changes_formula(cls: type, said_by: type) -> bool:
    """True where a class of the user's own overrides a method of ``said_by`` on which the formula may depend."""
    for base in cls.__mro__[: cls.__mro__.index(said_by)]:
        if _is_in_package(base):
            continue
        for name, value in vars(base).items():
            is_special = name.startswith("__") and name not in FORMULA
            is_formula = callable(value) and not is_special and name not in HARMLESS
            if is_formula and hasattr(said_by, name):
                return True
    return False


def note_change() -> None:
    """Take note that some layer has another formula than when it was declared."""
    global _changes
    _changes += 1


def changes() -> int:
    """How often a formula was replaced so far. A declaration made before has to be looked at again."""
    return _changes
