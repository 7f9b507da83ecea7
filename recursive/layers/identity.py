"""The name of a layer's class in a configuration: one name stands for one formula.

The reference, ``source()``, ``explain()`` and files find a formula by this name. A
user's class never gets the name of a class of the library, even if its ``__name__`` is
the same: it is then called by its module too, as ``__main__.Dense``.

The second part finds out if a user's class changes the formula that it inherits. The
loop may only take a formula apart if the answer is no.
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
"""The methods that define what a layer computes."""

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
    "get_target_shape_for",
    "get_weights",
    "sample",
    "set_initial_weights",
    "set_weights",
    "supports_masked_input",
)
"""The methods that a class may override without changing its formula."""

_registered: dict[str, list[type]] = {}
_changes = 0


def register(cls: type) -> None:
    """Remember a class that is in a module of this library."""
    # The module is still running: is_of_library asks later if it holds the class.
    if _is_in_package(cls):
        _registered.setdefault(cls.__name__, []).append(cls)


def _is_in_package(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == PACKAGE


def is_of_library(cls: type) -> bool:
    """True for a class that a module of this library defines at its top level."""
    if not _is_in_package(cls):
        return False
    # A user's class may claim such a module. The module itself must hold the class.
    module = sys.modules.get(cls.__module__)
    return getattr(module, cls.__qualname__, None) is cls


def is_library_name(name: str) -> bool:
    """True for the name of a layer class of this library."""
    # The answer must not depend on which modules are loaded already.
    importlib.import_module(f"{PACKAGE}.models")
    return any(is_of_library(cls) for cls in _registered.get(name, ()))


def class_name(cls: type) -> str:
    """The name of a layer's class in a configuration.

    It is the class's ``__name__``, with its module for a user's class that has a name
    of the library.
    """
    name = cls.__name__
    if is_of_library(cls):
        return name
    if name in WORDS or is_library_name(name):
        return f"{cls.__module__}.{cls.__qualname__}"
    return name


def config_of(layer: object) -> dict[str, object]:
    """``layer.get_config()`` with the right class name, and ``trainable`` if frozen.

    A class whose own ``get_config`` returns another name stands for the class of that
    name. A user's class cannot stand for a class of the library.
    """
    config = dict(layer.get_config())
    cls = type(layer)
    name = config.get("name")
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


# Formulas of users


def defining_class(cls: type, name: str) -> type | None:
    """The class of the bases of ``cls`` in whose body ``name`` is set."""
    return next((base for base in cls.__mro__ if name in vars(base)), None)


def own_methods(cls: type) -> list[str]:
    """The methods of the formula that a user's class defines, as ``Mine.call``."""
    found = []
    for method in FORMULA:
        defined_by = defining_class(cls, method)
        if defined_by not in (None, object) and not is_of_library(defined_by):
            found.append(f"{defined_by.__name__}.{method}")
    return found


def changes_formula(cls: type, declaring: type) -> bool:
    """True if a user's class overrides a method that the formula may depend on.

    Args:
        cls: the class.
        declaring: the class that declares the formula.
    """
    for base in cls.__mro__[: cls.__mro__.index(declaring)]:
        if _is_in_package(base):
            continue
        for name, value in vars(base).items():
            # Any other method may be called by the formula: it cannot be known.
            is_special = name.startswith("__") and name not in FORMULA
            is_formula = callable(value) and not is_special and name not in HARMLESS
            if is_formula and hasattr(declaring, name):
                return True
    return False


def note_change() -> None:
    """Count a change of the formula of some layer, such as another activation."""
    global _changes
    _changes += 1


def changes() -> int:
    """The number of changes so far; a plan made at another number is out of date."""
    return _changes
