"""What a port gives the runner: two functions, and three more if it can."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from recursive.errors import ConfigError

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

    def run(self, model: object, inputs: Arrays, *, mask: np.ndarray | None, states: Arrays | None,
            draws: Arrays | None, train: bool) -> Mapping[str, Arrays]:
        """``{"outputs": {}}``, and if it can ``"finals"`` and ``"nodes"``, each by name."""

    def grads(self, model: object, inputs: Arrays, cotangents: Arrays, *, mask: np.ndarray | None,
              states: Arrays | None, draws: Arrays | None, train: bool) -> Mapping[str, Arrays]:
        """``{"params": {}, "inputs": {}}``: the gradient of ``sum(cotangents * outputs)``."""

    def train(self, model: object, inputs: Arrays, targets: Arrays,
              training: Mapping[str, object]) -> Mapping[str, object]:
        """``{"losses": [...], "params": {}}`` of so many steps of an optimizer on this one batch."""

    def refuses(self, spec: Mapping[str, object]) -> str | None:
        """The class of the error with which a declaration is refused; None where it is taken."""


def can(adapter: Adapter, method: str) -> bool:
    """Whether an adapter has an optional method."""
    return callable(getattr(adapter, method, None))


def missing(adapter: Adapter, needs: list[str]) -> list[str]:
    """The capabilities that are needed and not there."""
    return [] if "*" in adapter.capabilities else [name for name in needs if name not in adapter.capabilities]


def load(path: str) -> Adapter:
    """The adapter called ``module:object``; a class is called first. Modules of the present folder are found too.

    Raises:
        ConfigError: where there is none.

    >>> load("recursive.conformance.adapters.numpy:Adapter").name
    'numpy'
    """
    module, _, name = path.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), name or "Adapter")
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError.about("adapter", path, takes="module:object", because="it is imported", got=str(error),
                                do="Say my_port:Adapter, from the folder where my_port.py is.") from error
    finally:
        sys.path.pop(0)
    adapter = found() if isinstance(found, type) else found
    lacks = [name for name in ("name", "capabilities", "build", "run") if not hasattr(adapter, name)]
    if lacks:
        raise ConfigError.about("adapter", path, takes="name, capabilities, build and run",
                                because="cases are run by them", got=f"one without {', '.join(lacks)}",
                                do="See docs/conformance.md.")
    return adapter
