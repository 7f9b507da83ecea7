"""Packages that are not needed to run a network, imported where they are used."""

from __future__ import annotations

import importlib
from types import ModuleType

from recursive.errors import MissingPackageError


def load(module: str, extra: str, why: str) -> ModuleType:
    """Import ``module``, which comes with the extra called ``extra``.

    Raises:
        MissingPackageError: where it is not installed; the message says how to install it.

    >>> load("json", "examples", "it reads JSON").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0]
        raise MissingPackageError.about(
            "package",
            package,
            takes="to be installed",
            because=why,
            got="no such package",
            do=f"Run pip install 'recursive-rnn[{extra}]', or pip install '.[{extra}]' in a clone.",
        ) from error
