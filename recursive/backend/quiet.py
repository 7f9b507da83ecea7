"""What the compilers warn of that was decided knowingly, and need not be said again."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

QUIET = (
    "The RandomType SharedVariables",  # JAX draws from a copy of a generator: that is as good
    "Explicitly requested dtype",  # JAX in float32 cannot sum in float64, as PyTensor asks it to
    "PyTensor could not link to a BLAS",  # the extra ``c`` brings one, and without it we say so
    "(?s).*is faster on contiguous arrays",  # Numba
    "(?s).*Cannot cache compiled function",  # Numba, of a loop in a loop: it compiles that anew in each process
)
"""Warnings of the compilers about what this library decided knowingly."""


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out those of QUIET; all others are still shown."""
    with warnings.catch_warnings():
        for message in QUIET:
            warnings.filterwarnings("ignore", message=message)
        yield
