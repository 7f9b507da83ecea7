"""The one call of ``pytensor.scan``, and what a step looks like on the backend that it is built for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pytensor
from pytensor.tensor.variable import TensorVariable

from recursive.backend import contiguous, vectorized

_target: ContextVar[str | None] = ContextVar("target", default=None)


def target() -> str | None:
    """The backend of the Program that is being built; None where tensors are made for the user's own use."""
    return _target.get()


@contextmanager
def building_for(backend: str) -> Iterator[None]:
    """Make ``backend`` the :func:`target` of everything that is built inside the block."""
    token = _target.set(backend)
    try:
        yield
    finally:
        _target.reset(token)


def prefers_separate_products() -> bool:
    """Whether the backend makes products with the same input faster one by one than as a large one.

    C and Numba compute with the pieces of a large one value by value, since they do not lie in one piece.
    """
    return target() in ("c", "numba")


def in_rows(x: TensorVariable) -> TensorVariable:
    """``x`` row after row in memory, where the backend multiplies such matrices faster than turned ones."""
    return contiguous.in_rows(x) if target() == "numba" and x.ndim > 1 else x


def scan(
    step: Callable,
    sequences: list,
    outputs_info: list,
    non_sequences: list,
    n_steps: int | TensorVariable,
    truncate_gradient: int = -1,
    name: str | None = None,
) -> list[TensorVariable]:
    """The one call of ``pytensor.scan``: strict, no hidden updates, always a list."""
    slices = sum(
        len(entry["taps"]) if isinstance(entry, dict) else 1 for entry in sequences
    )

    def vectorized_step(*args: TensorVariable) -> object:
        found = step(*map(in_rows, args[:slices]), *args[slices:])
        return (
            vectorized.as_arithmetic(found, target())
            if isinstance(found, list)
            else found
        )

    return pytensor.scan(
        vectorized_step if target() in vectorized.FUNCTIONS else step,
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
