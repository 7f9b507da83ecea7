"""Preparations that one backend needs before PyTensor can compile for it."""

from __future__ import annotations

import functools
import importlib.util
from contextlib import AbstractContextManager
from types import ModuleType

import numpy as np
import pytensor

from recursive.backend import contiguous, vectorized


def is_installed(package: str) -> bool:
    """True if a package can be imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # a finder fails, or a module has no spec
        return False


def openblas_flags() -> dict[str, str]:
    """PyTensor's flags that link C code with the OpenBLAS of the extra ``c``.

    Empty if that extra is not installed.
    """
    if not is_installed("scipy_openblas32"):
        return {}
    import scipy_openblas32

    folder = scipy_openblas32.get_lib_dir()
    library = scipy_openblas32.get_library()
    # The symbols of this OpenBLAS have a prefix, which the preprocessor adds to the
    # names that PyTensor's C code calls: sgemm_ becomes scipy_sgemm_.
    renames = []
    for routine in ("gemm", "gemv", "ger", "dot"):
        for kind in "sd":
            name = f"{kind}{routine}_"
            renames.append(f"-D{name}=scipy_{name}")
    cxxflags = [pytensor.config.gcc__cxxflags, *renames]
    return {
        "blas__ldflags": f"-L{folder} -Wl,-rpath,{folder} -l{library}",
        "gcc__cxxflags": " ".join(cxxflags).strip(),
    }


def jax_precision(floats: str) -> AbstractContextManager:
    """The context in which JAX computes in ``floats``; its own default is float32."""
    return _jax().enable_x64(floats == "float64")


@functools.cache
def _jax() -> ModuleType:
    """JAX, with PyTensor's translations to it."""
    # Their first import draws from numpy's global generator: a seed that the user has
    # set would give other numbers on JAX than elsewhere.
    state = np.random.get_state()
    import jax
    import pytensor.link.jax.dispatch  # noqa: F401

    np.random.set_state(state)
    return jax


@functools.cache
def register_numba() -> None:
    """Register this library's operations with PyTensor's Numba backend."""
    contiguous.register_numba()
    vectorized.register_numba()
