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
from recursive.backend.c_loop.linker import LoopLinker


def _nothing() -> None:
    """Register no operation."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One row of the table; a property that a row leaves out has the default."""

    # The ``backend=`` of ``compile``, and what makes PyTensor's mode for it.
    name: str
    mode: Callable[[], Mode]

    # The packages that it runs on, and what ``pip install`` takes to get them.
    packages: tuple[str, ...] = ()
    install: str = ""
    # True if it needs a C++ compiler, and a BLAS to be fast.
    needs_compiler: bool = False

    # The PyTensor flags that are set while it compiles.
    flags: Callable[[], dict[str, str]] = dict
    # The context in which functions are compiled and run, given floatX.
    context: Callable[[str], AbstractContextManager] = nullcontext
    # Registers this library's operations with it.
    register: Callable[[], None] = _nothing

    # PyTensor's rewrites that are wrong or slow on it.
    excluded: tuple[str, ...] = ()
    # Rewrites of this library, each with its position.
    added: tuple[tuple[NodeRewriter, float], ...] = ()
    # True if the steps of a loop have to be compiled in the mode of the function around
    # it; on other backends PyTensor does so itself.
    rewrites_steps: bool = False
    # The operations that replace tanh and sigmoid of float32.
    arithmetic: vectorized.Arithmetic = field(default_factory=dict)

    # True if a function is compiled for the shapes of its arguments.
    fixes_shapes: bool = False
    # True if a loop may stop before its last step.
    stops_early: bool = True
    # True if a truncated gradient may pass through a sequence that was computed.
    truncates_computed: bool = True

    # True if a program can raise an error about its data.
    raises: bool = True
    # True if a program leaves other arrays than NumPy's in shared variables.
    holds_own_arrays: bool = False
    # True if it has threads of its own and does not use a BLAS.
    manages_threads: bool = False
    # True if a function may be compiled again for another memory layout.
    recompiles: bool = False

    # True if several products with one input are faster than one that is split.
    separate_products: bool = False
    # True if gradients that are next to each other are emitted as one value.
    whole_emitted: bool = False
    # True if products want their operands row after row in memory.
    contiguous_rows: bool = False

    # The row for programs whose loops cannot all be translated to C; None if loops are
    # PyTensor's in any case.
    fallback: Backend | None = None

    # Beginnings of the errors by which it says that it cannot run something.
    lacks: tuple[str, ...] = ()
    # The function in whose frame it fails to truncate a gradient.
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
    raises=False,
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

C_SCAN = Backend(
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

C = Backend(
    name="c",
    mode=lambda: Mode(LoopLinker(use_cloop=False, c_thunks=False), "fast_run"),
    needs_compiler=True,
    # Fused operations have no NumPy function, and NumPy's products are BLAS. Loops are
    # replaced in a graph that computes nothing in place.
    excluded=("fusion", "BlasOpt", "inplace"),
    whole_emitted=True,
    fallback=C_SCAN,
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
"""The backends of ``auto``: JAX compiles fastest, and PyTensor depends on Numba."""

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
