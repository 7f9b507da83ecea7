"""The one call of ``pytensor.function``: the mode of each backend, and its errors in plain words."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import ModuleType

import numpy as np
import pytensor
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive.backend import rewrites
from recursive.backend.choose import is_installed
from recursive.backend.quiet import quiet
from recursive.backend.tensors import floatX
from recursive.draws import draw_updates
from recursive.errors import BackendError
from recursive.locked import locked


def _openblas_flags() -> dict[str, str]:
    """What links C code with the OpenBLAS of the extra ``c``, where it is installed and no other BLAS was chosen.

    Its symbols carry a prefix, which the preprocessor puts on PyTensor's calls.
    """
    if not is_installed("scipy_openblas32"):
        return {}
    import scipy_openblas32

    folder = scipy_openblas32.get_lib_dir()
    routines = (
        kind + routine for kind in "sd" for routine in ("gemm", "gemv", "ger", "dot")
    )
    prefixed = " ".join(f"-D{routine}_=scipy_{routine}_" for routine in routines)
    return {
        "blas__ldflags": f"-L{folder} -Wl,-rpath,{folder} -l{scipy_openblas32.get_library()}",
        "gcc__cxxflags": f"{pytensor.config.gcc__cxxflags} {prefixed}".strip(),
    }


@contextmanager
def _compiling(backend: str, floats: str) -> Iterator[Mode]:
    """The mode of ``backend``, and PyTensor's configuration set for it while it compiles."""
    modes = {
        "python": ("py", "fast_compile"),
        "c": ("cvm", "fast_run"),
        "numba": ("numba", "fast_run"),
    }
    flags = {
        "python": {"cxx": "", "mode": "FAST_COMPILE", "linker": "py"},
        "c": _openblas_flags(),
    }
    with (
        quiet(),
        running(backend, floats),
        pytensor.config.change_flags(**flags.get(backend, {})),
    ):
        mode = pytensor.compile.mode.JAX if backend == "jax" else Mode(*modes[backend])
        yield rewrites.for_backend(mode, backend)


def running(backend: str, floats: str) -> AbstractContextManager:
    """What holds while a function is made and while it runs: JAX has a switch of its own for float64."""
    return _jax().enable_x64(floats == "float64") if backend == "jax" else nullcontext()


LACKING = (
    "No JAX conversion",
    "No JAX implementation",
    "JAX does not support",
    "JAX requires",
    "module 'jax",
    "Slice entries must be static",
    "Array slice indices must have static",
    "Shapes must be 1D sequences",
    "Array boolean indices must be concrete",
    "Abstract tracer value",
)
"""How PyTensor and JAX say that an operation cannot be had there, or not with sizes that are computed."""


@contextmanager
def translate_jax_errors() -> Iterator[None]:
    """Put into words what PyTensor lacks on JAX: some operations, and truncation of a gradient that goes on before."""
    try:
        yield
    except AssertionError as error:
        if "get_partial_traces" not in [
            frame.name for frame in traceback.extract_tb(error.__traceback__)
        ]:
            raise
        raise BackendError.about(
            "backend",
            "jax",
            takes="a truncated gradient with respect to weights inside the loop only",
            because="PyTensor cannot cut a sequence's gradient there",
            got="truncate_gradient in a loop that runs over what parameters have computed",
            do="Choose backend numba, c or python, or truncate_gradient=-1.",
        ) from error
    except (NotImplementedError, AttributeError, TypeError, IndexError) as error:
        if not str(error).startswith(LACKING):
            raise
        raise BackendError.about(
            "backend",
            "jax",
            takes="operations that PyTensor knows there, of sizes that are known",
            because="it compiles for fixed shapes",
            got=str(error).splitlines()[0],
            do="Choose backend numba, c or python, or write it with other operations.",
        ) from error


@functools.cache
def _jax() -> ModuleType:
    """JAX, and PyTensor's way to it. Their first import draws from numpy's global generator: put that back."""
    state = np.random.get_state()
    import jax
    import pytensor.link.jax.dispatch  # noqa: F401

    np.random.set_state(state)
    return jax


@locked
def compile_function(
    inputs: list[TensorVariable],
    outputs: list[TensorVariable],
    updates: list[tuple[SharedVariable, TensorVariable]],
    backend: str,
) -> Callable:
    """The one call of ``pytensor.function``."""
    results = [*outputs, *(value for _, value in updates)]
    with _compiling(backend, floatX()) as mode, translate_jax_errors():
        return pytensor.function(
            inputs,
            outputs,
            updates=[*updates, *draw_updates(results)],
            mode=mode,
            on_unused_input="ignore",
        )
