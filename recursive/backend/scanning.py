"""The one call of ``pytensor.scan``, and the backend that a graph is built for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pytensor
from pytensor.tensor.variable import TensorVariable

from recursive.backend import vectorized
from recursive.backend.contiguous import ContiguousCopy
from recursive.backend.table import NO_BACKEND, Backend

# A context variable rather than an argument: the graph is built by layers and by users'
# functions, which have no argument for a backend and hardly ever need one. It is a fact
# about the program, set once for the whole build, and not a way to pass data. Each
# thread has its own value.
_target: ContextVar[Backend] = ContextVar("target", default=NO_BACKEND)


def target() -> str | None:
    """The name of the backend that a Program is being built for.

    None if no Program is being built: tensors are then made for the user's own use.
    """
    return _target.get().name or None


def traits() -> Backend:
    """The properties of the backend that a Program is being built for.

    Those of ``NO_BACKEND`` if no Program is being built.
    """
    return _target.get()


@contextmanager
def building_for(backend: Backend) -> Iterator[None]:
    """Set ``backend`` as the :func:`target` of what is built inside the block."""
    token = _target.set(backend)
    try:
        yield
    finally:
        _target.reset(token)


def prefers_separate_products() -> bool:
    """True if several products with one input are faster than one that is split.

    The parts of a large product are not contiguous; C and Numba then compute with them
    one value at a time.
    """
    return traits().separate_products


def as_contiguous(x: TensorVariable) -> TensorVariable:
    """``x``, copied row after row in memory if the backend multiplies that faster."""
    if traits().contiguous_rows and x.ndim > 1:
        return ContiguousCopy()(x)
    return x


def scan(
    step: Callable,
    sequences: list,
    outputs_info: list,
    non_sequences: list,
    n_steps: int | TensorVariable,
    truncate_gradient: int = -1,
    name: str | None = None,
) -> list[TensorVariable]:
    """``pytensor.scan``, always strict, without hidden updates, returning a list."""
    if traits().arithmetic:
        step = _vectorized(step, _slice_count(sequences))
    return pytensor.scan(
        step,
        sequences=sequences,
        outputs_info=outputs_info,
        non_sequences=non_sequences,
        n_steps=n_steps,
        truncate_gradient=truncate_gradient,
        name=name,
        strict=True,
        return_list=True,
        return_updates=False,
    )


def _slice_count(sequences: list) -> int:
    """The number of arguments that a step has for slices: one for each tap."""
    count = 0
    for entry in sequences:
        count += len(entry["taps"]) if isinstance(entry, dict) else 1
    return count


def _vectorized(step: Callable, slice_count: int) -> Callable:
    """``step`` on contiguous slices, with arithmetic in place of tanh and sigmoid."""

    def vectorized_step(*args: TensorVariable) -> object:
        slices = map(as_contiguous, args[:slice_count])
        results = step(*slices, *args[slice_count:])
        # A step that may stop early returns a pair: that stays as it is.
        if isinstance(results, list):
            return vectorized.as_arithmetic(results, traits().arithmetic)
        return results

    return vectorized_step
