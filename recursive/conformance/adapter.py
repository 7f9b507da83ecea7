"""The adapter: the two to five functions that connect a port to the runner.

An author of a port writes a class with the members of :class:`Adapter`, in a module of
their own, and runs ``recursive conformance run --adapter module:Class``. The runner
calls it in this order, for each case that it covers:

1. ``refuses(spec)``, if the port has it: the answer must be None for a valid case and
   the class of the error for an invalid one.
2. ``build(spec, params)``, which returns a model of any type.
3. ``run(model, inputs, ...)``, once for each batch. A stateful model keeps its states
   in between.
4. ``grads(model, inputs, cotangents, ...)``, if the port has it and the case asks.

A training case calls ``train(model, inputs, targets, training)`` after ``build``.
A port may raise anything at any time: its case fails with that error, and the next one
runs. A port in another language does the same over JSON lines:
:mod:`recursive.conformance.stdio`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Protocol

import numpy as np

from recursive.conformance.forms import error_text, raised_text
from recursive.conformance.needs import CAPABILITIES
from recursive.errors import ConfigError, UnknownNameError, suggest

Arrays = Mapping[str, np.ndarray]
OPTIONAL = ("grads", "train", "refuses")
"""The methods that an adapter may leave out. Cases are judged by those that it has."""
REQUIRED = ("name", "capabilities", "build", "run")


class Adapter(Protocol):
    """A port. ``grads``, ``train`` and ``refuses`` are optional.

    All arrays are NumPy's, batch first: a sequence is ``(batch, time, dim)``, a context
    ``(batch, dim)``. Dtypes are those of the case; outputs must have them too.

    Attributes:
        name: the name of the port in reports.
        capabilities: the words of :data:`recursive.conformance.needs.CAPABILITIES` that
            the port supports, and ``layer:GRU`` for each layer besides Dense,
            Activation and Identity. ``"*"`` stands for all of them.
    """

    name: str
    capabilities: set[str]

    def build(self, spec: Mapping[str, object], params: Arrays) -> object:
        """Build a model with these parameters, its states at their initial values.

        Args:
            spec: the declaration with all fields, as in ``case.json``.
            params: the parameters by name, ``"rec.W"``.
        """

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
        """Run one batch.

        Args:
            model: what ``build`` returned.
            inputs: the inputs by name.
            mask: ``(batch, time)``, true at valid steps, besides a declared mask.
            states: the states to start from, ``(batch, dim)`` or ``(lag, batch, dim)``,
                oldest first. They replace the declared start.
            draws: the random numbers of noise, ``(batch, time, dim)``, or
                ``(batch, dim)`` if they hold for all steps.
            train: True if noise is on.

        Returns:
            ``{"outputs": {...}}``, arrays by name. A port that can also returns
            ``"finals"``, the states after the last step, which are compared, and
            ``"nodes"``, ``(batch, time, dim)``, which show where a failure begins.
        """

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
        """Return the gradients of ``sum(cotangents * outputs)``.

        They are those of a run from the start, also after ``run`` has moved the states.

        Args:
            model, inputs, mask, states, draws, train: as for ``run``.
            cotangents: an array of each output's shape, by its name.

        Returns:
            ``{"params": {...}, "inputs": {...}}``: of every parameter, zeros if nothing
            depends on it, and of the inputs that are floats.
        """

    def train(
        self,
        model: object,
        inputs: Arrays,
        targets: Arrays,
        training: Mapping[str, object],
    ) -> Mapping[str, object]:
        """Take some steps of an optimizer on one batch.

        Args:
            model, inputs: as for ``run``.
            targets: the target of each output by name.
            training: ``{"optimizer": {"name": "SGD", "lr": 0.1}, "loss": "mse",
                "steps": 10}``.

        Returns:
            ``{"losses": [...], "params": {...}}``: the loss before each step, and the
            parameters after the last.
        """

    def refuses(self, spec: Mapping[str, object]) -> str | None:
        """The class of the error that a declaration raises; None if it is accepted."""


def can(adapter: Adapter, method: str) -> bool:
    """True if an adapter has an optional method."""
    return callable(getattr(adapter, method, None))


def missing(adapter: Adapter, needs: list[str]) -> list[str]:
    """The capabilities that a case needs and the adapter lacks."""
    if "*" in adapter.capabilities:
        return []
    return [name for name in needs if name not in adapter.capabilities]


def load(path: str) -> Adapter:
    """The adapter called ``module:object``; a class is instantiated.

    Modules of the current folder are found too.

    Raises:
        ConfigError: if there is none, or its module or class raises an error.

    >>> load("recursive.conformance.adapters.numpy:Adapter").name
    'numpy'
    """
    module, _, name = path.partition(":")
    name = name or "Adapter"
    found = _import(path, module)
    if not hasattr(found, name):
        raise _not_found(path, f"no {name} in {module}")
    adapter = instance(getattr(found, name))
    lacks = [member for member in REQUIRED if not hasattr(adapter, member)]
    if lacks:
        raise ConfigError.about(
            "adapter",
            path,
            takes="name, capabilities, build and run",
            got=f"one without {', '.join(lacks)}",
            do="Add them, as docs/conformance.md says.",
        )
    if not _are_words(adapter.capabilities):
        raise ConfigError.about(
            "adapter",
            path,
            takes="capabilities that are a set of strings",
            got=repr(adapter.capabilities),
            do="Say capabilities = {'taps', 'mask'}, for example.",
        )
    return adapter


def _are_words(found: object) -> bool:
    # A string is an iterable of strings too, and a likely mistake.
    if isinstance(found, str) or not isinstance(found, Iterable):
        return False
    return all(isinstance(word, str) for word in found)


def instance(found: object) -> object:
    """``found``, or an instance of it if it is a class.

    Raises:
        ConfigError: if the class raises an error.
    """
    if not isinstance(found, type):
        return found
    try:
        return found()
    except (Exception, SystemExit) as error:  # a port may raise anything
        raise ConfigError.about(
            "adapter",
            found.__name__,
            takes="a class that needs no arguments",
            got=raised_text("one that", type(error).__name__, error_text(error)),
            do="Give its arguments defaults, or name an instance.",
        ) from error


def check_capabilities(adapter: Adapter) -> None:
    """Raise an UnknownNameError if an adapter claims an unknown capability."""
    for word in sorted(adapter.capabilities):
        is_known = word == "*" or word in CAPABILITIES or word.startswith("layer:")
        if not is_known:
            raise UnknownNameError.about(
                "capability",
                word,
                takes="a word of the list in docs/conformance.md, or layer:<class>",
                got="an unknown one",
                do=suggest(word, CAPABILITIES),
            )


def _import(path: str, module: str) -> ModuleType:
    if not all(part.isidentifier() for part in module.split(".")):
        raise _not_found(path, f"{module!r}, which is not the name of a module")
    sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a port may raise anything
        # The module itself may be missing, or one that it imports: only the first
        # is a wrong path.
        is_missing = isinstance(error, ModuleNotFoundError)
        if is_missing and f"{module}.".startswith(f"{error.name}."):
            raise _not_found(path, str(error)) from error
        raise ConfigError.about(
            "adapter",
            path,
            takes="a module that can be imported",
            got=raised_text("one that", type(error).__name__, error_text(error)),
            do=f"Run python -c 'import {module}' to see the whole traceback.",
        ) from error
    finally:
        sys.path.pop(0)


def _not_found(path: str, got: str) -> ConfigError:
    return ConfigError.about(
        "adapter",
        path,
        takes="module:object",
        got=got,
        do="Say my_port:Adapter, in the folder that my_port.py is in.",
    )
