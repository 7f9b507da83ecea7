"""The table of backends: every fact about one stands in its row, and nowhere else.

Other modules ask for a property, such as ``fixes_shapes``, and never for a name. To add
a backend that PyTensor compiles for, add a row. What a row refers to lies next to it:

- ``rewrites.py``, changes to PyTensor's rewrites of graphs;
- ``vectorized.py``, tanh and sigmoid as arithmetic;
- ``contiguous.py``, arrays without gaps;
- ``toolchains.py``, flags and imports of the compilers;
- ``messages.py``, the texts by which a backend says that it lacks something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import pytensor
from pytensor.compile.mode import Mode
from pytensor.graph.rewriting.basic import NodeRewriter

from recursive.backend import contiguous, messages, rewrites, toolchains, vectorized


def _nothing() -> None:
    """Register no operation."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One row of the table.

    Args:
        name: the ``backend=`` of ``compile``.
        mode: makes PyTensor's mode.
        packages: the packages that it runs on.
        install: what ``pip install`` takes to get them.
        needs_compiler: True if it needs a C++ compiler, and a BLAS to be fast.
        flags: makes the PyTensor flags that are set while it compiles.
        context: makes the context in which functions are compiled and run, from floatX.
        register: registers this library's operations with it.
        excluded: names of PyTensor's rewrites that are wrong or slow on it.
        added: rewrites of this library, each with its position.
        rewrites_steps: True if the step of a loop has to be compiled in the mode of
            the function around it; elsewhere PyTensor does so itself.
        arithmetic: the operations that replace tanh and sigmoid of float32, by the
            scalar operation that they replace.
        fixes_shapes: True if a function is compiled for the shapes of its arguments.
        stops_early: True if a loop may stop before its last step.
        truncates_computed: True if a truncated gradient may pass through sequences
            that the program has computed.
        holds_own_arrays: True if a program leaves arrays of the backend in shared
            variables instead of NumPy arrays.
        manages_threads: True if it has threads of its own, apart from BLAS.
        recompiles: True if it may compile again for another memory layout.
        separate_products: True if several products with one input are faster than one
            product whose result is split.
        contiguous_rows: True if products want their operands row after row in memory.
        lacks: beginnings of the errors that it raises for what it cannot run.
        truncation_frame: the function in whose frame a gradient fails to be truncated.
    """

    name: str
    mode: Callable[[], Mode]
    packages: tuple[str, ...] = ()
    install: str = ""
    needs_compiler: bool = False
    flags: Callable[[], dict[str, str]] = dict
    context: Callable[[str], AbstractContextManager] = nullcontext
    register: Callable[[], None] = _nothing
    excluded: tuple[str, ...] = ()
    added: tuple[tuple[NodeRewriter, float], ...] = ()
    rewrites_steps: bool = False
    arithmetic: vectorized.Arithmetic = field(default_factory=dict)
    fixes_shapes: bool = False
    stops_early: bool = True
    truncates_computed: bool = True
    holds_own_arrays: bool = False
    manages_threads: bool = False
    recompiles: bool = False
    separate_products: bool = False
    contiguous_rows: bool = False
    lacks: tuple[str, ...] = ()
    truncation_frame: str = ""


JAX = Backend(
    name="jax",
    mode=lambda: pytensor.compile.mode.JAX,
    packages=("jax", "jaxlib"),
    install="'recursive-rnn[jax]'",
    context=toolchains.jax_precision,
    added=((rewrites.equals_maximum_by_index, rewrites.BEFORE_CANONICAL),),
    fixes_shapes=True,
    stops_early=False,
    truncates_computed=False,
    holds_own_arrays=True,
    manages_threads=True,
    lacks=messages.JAX_LACKS,
    truncation_frame=messages.JAX_TRUNCATION_FRAME,
)

NUMBA = Backend(
    name="numba",
    mode=lambda: Mode("numba", "fast_run"),
    packages=("numba",),
    install="numba",
    register=toolchains.register_numba,
    excluded=rewrites.WRONG_ON_NUMBA,
    arithmetic=vectorized.UNFUSED,
    recompiles=True,
    separate_products=True,
    contiguous_rows=True,
)

C = Backend(
    name="c",
    mode=lambda: Mode("cvm", "fast_run"),
    needs_compiler=True,
    flags=toolchains.openblas_flags,
    excluded=rewrites.SLOW_ON_C,
    added=((contiguous.contiguous_elemwise, rewrites.AFTER_ALL),),
    rewrites_steps=True,
    arithmetic=vectorized.FUSED,
    separate_products=True,
)

PYTHON = Backend(
    name="python",
    mode=lambda: Mode("py", "fast_compile"),
    flags=lambda: {"cxx": "", "mode": "FAST_COMPILE", "linker": "py"},
    added=((rewrites.unfused_loop, rewrites.AFTER_ALL),),
)

BACKENDS: Mapping[str, Backend] = {
    backend.name: backend for backend in (JAX, NUMBA, C, PYTHON)
}
"""Every backend by its name."""

PREFERRED, FALLBACK = JAX, NUMBA
"""What ``auto`` means: JAX compiles fastest; PyTensor itself depends on Numba."""

NO_BACKEND = Backend(name="", mode=Mode)
"""The properties while a graph is built for no backend in particular."""


def names_with(property_name: str, value: bool) -> str:
    """The backends whose property has this value, as text for an error.

    >>> names_with("stops_early", True)
    'numba, c or python'
    """
    names = [
        backend.name
        for backend in BACKENDS.values()
        if getattr(backend, property_name) is value
    ]
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
