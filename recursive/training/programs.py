"""The compiled functions of a model: programs that train, test and predict.

A program is fixed once it is compiled. So a model makes a new set of programs after
``compile``, after more is added to the container, and after floatX changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recursive.backend import Argument, Build, Program, floatX, table, to_numpy
from recursive.backend.c_loop.binary import CompilerError
from recursive.backend.c_loop.refusal import TranslationError
from recursive.backend.choose import is_auto, resolve_backend, resolve_without_c
from recursive.backend.program import KEPT_SHAPES
from recursive.errors import DtypeError
from recursive.layers import config
from recursive.layers.layer import Layer
from recursive.layers.learned import Frozen, frozen_now
from recursive.training import data, feed, functions, row_weights
from recursive.training.data import Arrays
from recursive.training.states import KeptStates


class Programs:
    """The programs of a model for one version of its declaration and one floatX.

    Each program is compiled when it is first called.

    Args:
        model: a container with the attributes that ``Model.compile`` sets.

    Raises:
        DtypeError: if parameters have another dtype than floatX.
    """

    def __init__(self, model: Layer):
        self.model = model
        self._version = _version(model)
        _check_floats(model)
        # Looked up once: walking all layers for each batch would take too long.
        self.states = KeptStates.of(model)
        self.compiled: dict[tuple, Program] = {}
        self._shared = [*model.named_weights.values(), *self.states.variables]

    def is_current(self) -> bool:
        """True unless the declaration or floatX has changed since."""
        return self._version == _version(self.model)

    def call(
        self,
        kind: str,
        arrays: Arrays,
        weighted: bool = False,
        n_steps: int | None = None,
    ) -> list[np.ndarray]:
        """Run a program on one batch, with kept states ready for its rows.

        Args:
            kind: ``train``, ``test`` or ``predict``.
            arrays: inputs, then targets, then weights.
            weighted: True if there are weights.
            n_steps: the number of steps of loops without sequences, to predict; None
                for the declared one.
        """
        names = [item.name for item in data.present(self.model.arguments(), arrays)]
        given = list(arrays.values())
        if n_steps is None:
            program = self.program(kind, weighted, names)
        else:
            program, takes_steps = self._program_of_steps(n_steps, names)
            if takes_steps:
                given.append(np.asarray(n_steps))
        # Kept states have a row per row of the batch; the first batch sets the number.
        self.states.prepare(data.check_rows(arrays))
        return program(*given)

    def _program_of_steps(
        self, n_steps: int, names: Sequence[str]
    ) -> tuple[Program, bool]:
        """The program that predicts ``n_steps``, and True if it takes them.

        A loop that is written out, and a backend that compiles for fixed shapes, need a
        program for each number of steps.
        """
        model = self.model
        backend = resolve_backend(model.backend, why_not_jax(model))
        loops = config.loops(model).values()
        is_fixed = table.BACKENDS[backend].fixes_shapes
        is_fixed = is_fixed or any(getattr(loop, "unroll", False) for loop in loops)
        steps = n_steps if is_fixed else functions.FROM_ARGUMENT
        key = ("predict", steps, tuple(names))
        if key not in self.compiled:
            arguments = self._arguments("predict", False, names)
            if not is_fixed:
                arguments.append(Argument("n_steps", "int64", ()))
            build = functions.predictor(model, names, steps)
            self.compiled[key] = self.create(arguments, build)
            self._drop_oldest_of_steps()
        return self.compiled[key], not is_fixed

    def _drop_oldest_of_steps(self) -> None:
        """Keep the programs of the last numbers of steps only."""
        of_steps = [key for key in self.compiled if isinstance(key[1], int)]
        of_steps = [key for key in of_steps if not isinstance(key[1], bool)]
        for key in of_steps[:-KEPT_SHAPES]:
            del self.compiled[key]

    def program(
        self, kind: str, weighted: bool = False, names: Sequence[str] | None = None
    ) -> Program:
        """The program of this kind; only one with weights multiplies by them.

        ``names`` are the inputs that are there; None stands for all of them.
        """
        if names is None:
            names = [item.name for item in self.model.arguments()]
        key = (kind, weighted, tuple(names))
        if key not in self.compiled:
            arguments = self._arguments(kind, weighted, names)
            build = self._build(kind, names)
            self.compiled[key] = self.create(arguments, build)
        return self.compiled[key]

    def create(self, arguments: list[Argument], build: Build) -> Program:
        """A program; ``auto`` takes another backend if a loop cannot be in C."""
        model = self.model
        backend = resolve_backend(model.backend, why_not_jax(model))
        program = Program(arguments, build, backend)
        is_free = model.may_change_backend or (model.backend is None and is_auto())
        if not is_free or table.BACKENDS[backend].fallback is None:
            return program
        try:
            program.compile_loops()
        except TranslationError as refusal:
            reason = f"its loops cannot become C functions: {refusal}"
        except CompilerError as error:
            reason = f"a loop in C could not be compiled: {error}"
        else:
            return program
        backend = resolve_without_c(reason)
        if model.backend is not None:
            model.backend = backend
        return Program(arguments, build, backend)

    def release_arrays(self) -> None:
        """Replace a backend's own arrays in weights and kept states by NumPy arrays.

        User functions can read those. Optimizer slots stay with the backend until they
        are copied: nothing else reads them, and there are more of them than of weights.
        """
        backend = table.BACKENDS.get(self.model.backend, table.NO_BACKEND)
        if backend.holds_own_arrays:
            to_numpy(self._shared)

    def _arguments(
        self, kind: str, weighted: bool, names: Sequence[str]
    ) -> list[Argument]:
        inputs = data.present(self.model.arguments(), names)
        if kind == "predict":
            return inputs
        targets = feed.target_arguments(self.model, self.model._measured)
        if not weighted:
            return inputs + targets
        return inputs + targets + [row_weights.argument(target) for target in targets]

    def _build(self, kind: str, names: Sequence[str]) -> Build:
        model = self.model
        if kind == "predict":
            return functions.predictor(model, names)
        measures = model._measured
        if kind == "test":
            return functions.tester(model, names, measures)
        return functions.trainer(model, names, measures, model.optimizer, self.frozen())

    def frozen(self) -> dict[Layer, Frozen]:
        """The frozen part of each layer."""
        # Layers that were frozen at ``compile`` stay so. Newer ones are read now.
        return frozen_now(self.model) | self.model._frozen


def _version(model: Layer) -> tuple[object, str]:
    return model.revision, floatX()


def _check_floats(model: Layer) -> None:
    """Raise a DtypeError if a parameter has another dtype than floatX."""
    for name, param in model.named_params.items():
        if param.dtype != floatX():
            raise DtypeError.about(
                "parameter",
                name,
                takes=f"floatX={param.dtype}",
                because="it was created so, and dtypes are never mixed",
                got=f"floatX={floatX()}",
                do="Set pytensor.config.floatX once, before the model is created.",
            )


def why_not_jax(model: Layer) -> str | None:
    """The reason why JAX cannot train a model, or None if it can."""
    inside = [layer for _, layer in config.walk(model)]
    for layer in [model, *inside]:
        if getattr(layer, "until", None) is not None:
            return "a loop with until has no known number of steps, which JAX needs"
    for layer in inside:
        if getattr(layer, "truncate_gradient", -1) != -1:
            return "JAX has no truncated gradient that continues before its loop"
    return None
