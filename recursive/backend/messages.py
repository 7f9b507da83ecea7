"""The texts of PyTensor, JAX and Numba that this library reads, all in one place.

None of them is an interface: a new release may word it differently, and then a warning
shows again or an error stays in JAX's words. Each entry names the versions that say it.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

SETTLED_WARNINGS = (
    # PyTensor 3.0 to 3.3: JAX draws from a copy of a generator, which is as good.
    "The RandomType SharedVariables",
    # JAX 0.8 to 0.10: in float32 it cannot sum in float64, as PyTensor asks it to.
    "Explicitly requested dtype",
    # PyTensor 3.0 to 3.3: the extra ``c`` brings a BLAS; without one choose.py says so.
    "PyTensor could not link to a BLAS",
    # Numba 0.65 to 0.68: as_contiguous copies where a copy is worth it.
    "(?s).*is faster on contiguous arrays",
    # Numba 0.65 to 0.68: it compiles a loop in a loop again in each process.
    "(?s).*Cannot cache compiled function",
)
"""Beginnings of warnings about what this library decided knowingly."""

JAX_LACKS = (
    # PyTensor 3.0 to 3.3: an operation has no translation to JAX ...
    "No JAX conversion",
    "No JAX implementation",
    # ... or has one for constant sizes and indices only.
    "JAX does not support",
    "JAX requires",
    # An AttributeError of Python: the translation calls a function that JAX removed.
    "module 'jax",
    # JAX 0.9 and 0.10: a slice from or to a place that is computed.
    "Slice entries must be static",
    # The same in JAX 0.8, and again from 0.12.
    "Array slice indices must have static",
    # JAX 0.8 to 0.12: a size that is computed.
    "Shapes must be 1D sequences",
    # JAX 0.8 to 0.12: a boolean index, whose number of values is computed.
    "Array boolean indices must be concrete",
    # JAX 0.8 to 0.12: any other use of a value that must be known while it compiles.
    "Abstract tracer value",
)
"""Beginnings of the errors that an operation cannot run on JAX, or not there."""

JAX_TRUNCATION_FRAME = "get_partial_traces"
"""The function of PyTensor 3.0 to 3.3 that fails to truncate a gradient on JAX.

It fails with a bare AssertionError if a sequence of the loop has been computed.
"""


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore SETTLED_WARNINGS inside the block; all others are still shown."""
    with warnings.catch_warnings():
        for message in SETTLED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        yield


@functools.cache
def notify_once(sentence: str) -> None:
    """Print a sentence to stderr the first time it is passed."""
    print(sentence, file=sys.stderr)
