"""What a port gives the runner: two functions, and three more if it can."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Protocol

import numpy as np

from recursive.conformance.forms import raised, words_of
from recursive.conformance.needs import CAPABILITIES
from recursive.errors import ConfigError, UnknownNameError, suggest

Arrays = Mapping[str, np.ndarray]
OPTIONAL = ("grads", "train", "refuses")
"""Methods that an adapter may have; cases are judged by what there is."""


class Adapter(Protocol):
    """A port. ``grads``, ``train`` and ``refuses`` may be left out.

    Attributes:
        name: what reports call it.
        capabilities: the words of :data:`recursive.conformance.needs.CAPABILITIES` that it can do, and ``layer:GRU``
            for each layer that it has beside Dense, Activation and Identity. ``"*"`` is all of them.
    """

    name: str
    capabilities: set[str]

    def build(self, spec: Mapping[str, object], params: Arrays) -> object:
        """A model of the declaration with these parameters. One that is stateful starts anew."""

    def run(
        self,
        model: object,
        inputs: Arrays,
        *,
        mask: np.ndarray | None,
        states: Arrays | None,
        draws: Arrays | None,
        train: bool,
    ) -> Mapping[str, Arrays]:
        """``{"outputs": {}}``, and if it can ``"finals"`` and ``"nodes"``, each by name."""

    def grads(
        self,
        model: object,
        inputs: Arrays,
        cotangents: Arrays,
        *,
        mask: np.ndarray | None,
        states: Arrays | None,
        draws: Arrays | None,
        train: bool,
    ) -> Mapping[str, Arrays]:
        """``{"params": {}, "inputs": {}}``: the gradient of ``sum(cotangents * outputs)``."""

    def train(
        self,
        model: object,
        inputs: Arrays,
        targets: Arrays,
        training: Mapping[str, object],
    ) -> Mapping[str, object]:
        """``{"losses": [...], "params": {}}`` of so many steps of an optimizer on this one batch."""

    def refuses(self, spec: Mapping[str, object]) -> str | None:
        """The class of the error with which a declaration is refused; None where it is taken."""


def can(adapter: Adapter, method: str) -> bool:
    """Whether an adapter has an optional method."""
    return callable(getattr(adapter, method, None))


def missing(adapter: Adapter, needs: list[str]) -> list[str]:
    """The capabilities that are needed and not there."""
    return (
        []
        if "*" in adapter.capabilities
        else [name for name in needs if name not in adapter.capabilities]
    )


def load(path: str) -> Adapter:
    """The adapter called ``module:object``; a class is called first. Modules of the present folder are found too.

    Raises:
        ConfigError: where there is none, or its module or class raises an error.

    >>> load("recursive.conformance.adapters.numpy:Adapter").name
    'numpy'
    """
    module, _, name = path.partition(":")
    found = _imported(path, module)
    if not hasattr(found, name or "Adapter"):
        raise _not_found(path, f"no {name or 'Adapter'} in {module}")
    adapter = instance(getattr(found, name or "Adapter"))
    lacks = [
        name
        for name in ("name", "capabilities", "build", "run")
        if not hasattr(adapter, name)
    ]
    if lacks:
        raise ConfigError.about(
            "adapter",
            path,
            takes="name, capabilities, build and run",
            because="cases are run by them",
            got=f"one without {', '.join(lacks)}",
            do="Add them, as docs/conformance.md says.",
        )
    words = adapter.capabilities
    if (
        isinstance(words, str)
        or not isinstance(words, Iterable)
        or not all(isinstance(word, str) for word in words)
    ):
        raise ConfigError.about(
            "adapter",
            path,
            takes="capabilities that are a set of words",
            because="cases that need others are not run",
            got=repr(words),
            do="Say capabilities = {'taps', 'mask'}, for example.",
        )
    return adapter


def instance(found: object) -> object:
    """An adapter; a class is called first.

    Raises:
        ConfigError: where the class raises an error.
    """
    if not isinstance(found, type):
        return found
    try:
        return found()
    except (Exception, SystemExit) as error:  # a port may raise anything
        raise ConfigError.about(
            "adapter",
            found.__name__,
            takes="a class that is made without arguments",
            because="the runner makes it",
            got=raised("one that", type(error).__name__, words_of(error)),
            do="Give its arguments defaults, or name an object of it.",
        ) from error


def check_capabilities(adapter: Adapter) -> None:
    """Raise an UnknownNameError where an adapter claims what no case may need."""
    for word in sorted(adapter.capabilities):
        if word != "*" and not word.startswith("layer:") and word not in CAPABILITIES:
            raise UnknownNameError.about(
                "capability",
                word,
                takes="a word of the list, or layer:GRU and its like",
                because="cases are chosen by them",
                got="an unknown one",
                do=suggest(word, CAPABILITIES),
            )


def _imported(path: str, module: str) -> ModuleType:
    if not all(part.isidentifier() for part in module.split(".")):
        raise _not_found(path, f"{module!r}, which is no name of a module")
    sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a port may raise anything
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(
            f"{error.name}."
        ):
            raise _not_found(path, str(error)) from error
        raise ConfigError.about(
            "adapter",
            path,
            takes="a module that can be imported",
            because="the adapter is in it",
            got=raised("one that", type(error).__name__, words_of(error)),
            do=f"Mend it: python -c 'import {module}' shows more.",
        ) from error
    finally:
        sys.path.pop(0)


def _not_found(path: str, words: str) -> ConfigError:
    return ConfigError.about(
        "adapter",
        path,
        takes="module:object",
        because="it is imported",
        got=words,
        do="Say my_port:Adapter, from the folder where my_port.py is.",
    )
