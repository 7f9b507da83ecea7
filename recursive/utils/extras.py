"""Optional packages, imported only when they are used."""

from __future__ import annotations

import importlib
from types import ModuleType

from recursive.errors import MissingPackageError


def load(module: str, extra: str, why: str) -> ModuleType:
    """Import ``module``, which is installed with the extra called ``extra``.

    Raises:
        MissingPackageError: if it is not installed. The message explains how to install
            it, and ``why`` it is needed.

    >>> load("json", "examples", "it reads JSON").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # Not always ``module``: an installed package may miss one that it imports.
        package = (error.name or module).partition(".")[0]
        raise MissingPackageError.about(
            "package",
            package,
            takes="an installation",
            because=why,
            got="no such package",
            do=f"Run pip install 'recursive-rnn[{extra}]', "
            f"or pip install '.[{extra}]' in a clone.",
        ) from error
