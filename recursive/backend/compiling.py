"""The one call of ``pytensor.function``: modes, flags, and errors in plain words."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytensor
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.rewriting.basic import dfs_rewriter
from pytensor.tensor.variable import TensorVariable

from recursive.backend import rewrites, vectorized
from recursive.backend.c_loop.binary import CompilerError
from recursive.backend.c_loop.refusal import TranslationError
from recursive.backend.messages import quiet
from recursive.backend.table import BACKENDS, Backend, names_with
from recursive.backend.tensors import floatX
from recursive.draws import draw_updates
from recursive.errors import BackendError
from recursive.locked import locked


def compile_function(
    inputs: list[TensorVariable],
    outputs: list[TensorVariable],
    updates: list[tuple[SharedVariable, TensorVariable]],
    backend: str,
) -> Callable:
    """A PyTensor function, compiled for ``backend``; it also updates the generators."""
    row = BACKENDS[backend]
    if row.fallback is not None:
        try:
            return compile_for(row, inputs, outputs, updates)
        except (TranslationError, CompilerError):
            row = row.fallback
    return compile_for(row, inputs, outputs, updates)


@locked
def compile_for(
    row: Backend,
    inputs: list[TensorVariable],
    outputs: list[TensorVariable],
    updates: list[tuple[SharedVariable, TensorVariable]],
) -> Callable:
    """The same for one row of the table.

    Raises:
        TranslationError: if the row has a fallback, and a loop needs it.
        CompilerError: if the row has a fallback, and the compiler fails.
    """
    results = list(outputs)
    for _, value in updates:
        results.append(value)
    with (
        quiet(),
        running(row, floatX()),
        pytensor.config.change_flags(**row.flags()),
    ):
        row.register()
        return pytensor.function(
            inputs,
            outputs,
            # The generators move on by themselves, so each call draws other numbers.
            updates=[*updates, *draw_updates(results)],
            mode=mode_of(row),
            on_unused_input="ignore",
        )


def mode_of(backend: Backend) -> Mode:
    """PyTensor's mode for ``backend``, with the rewrites that its row asks for."""
    mode = backend.mode().excluding(*rewrites.WRONG, *backend.excluded)
    for rewrite, position in backend.added:
        mode = mode.register((dfs_rewriter(rewrite), position))
    if backend.rewrites_steps:
        steps = dfs_rewriter(rewrites.steps_in(mode))
        mode = mode.register((steps, rewrites.AFTER_ALL))
    if backend.arithmetic:
        functions = vectorized.rewriter(backend.arithmetic)
        mode = mode.register((functions, rewrites.BEFORE_FUSION))
    return mode


@contextmanager
def running(backend: Backend, floats: str) -> Iterator[None]:
    """The context in which a function is compiled and run, for floatX ``floats``.

    Raises:
        BackendError: for an error by which the backend says that it lacks something.
    """
    with backend.context(floats), _translated_errors(backend):
        yield


@contextmanager
def _translated_errors(backend: Backend) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        if not _fails_to_truncate(error, backend):
            raise
        others = names_with("truncates_computed", True)
        raise BackendError.about(
            "backend",
            backend.name,
            takes="a truncated gradient with respect to weights inside the loop only",
            because="PyTensor cannot truncate that of a computed sequence there",
            got="truncate_gradient in a loop over sequences that parameters computed",
            do=f"Choose backend {others}, or truncate_gradient=-1.",
        ) from error
    except (NotImplementedError, AttributeError, TypeError, IndexError) as error:
        # An empty tuple of beginnings matches nothing.
        if not str(error).startswith(backend.lacks):
            raise
        others = names_with("fixes_shapes", False)
        raise BackendError.about(
            "backend",
            backend.name,
            takes="operations that PyTensor has for it, on arrays of known sizes",
            because="it compiles for fixed shapes",
            got=str(error).splitlines()[0],
            do=f"Choose backend {others}, or write it with other operations.",
        ) from error


def _fails_to_truncate(error: AssertionError, backend: Backend) -> bool:
    # PyTensor's assertion has no message: only a frame shows where it was raised.
    frames = traceback.extract_tb(error.__traceback__)
    return any(frame.name == backend.truncation_frame for frame in frames)
