"""The choice of a backend: the one that is asked for, if this machine has it."""

from __future__ import annotations

import os
import shutil

import pytensor

from recursive.backend import table
from recursive.backend.messages import notify_once, quiet
from recursive.backend.toolchains import is_installed
from recursive.errors import BackendError, suggest

BACKENDS = ("auto", *table.BACKENDS)
"""The names that ``compile(backend=...)`` takes.

``auto`` is C for a model whose loops become C functions, if there is a compiler; else
JAX if it is installed, else Numba.
"""

_chosen: list[str] = []


def set_backend(name: str | None) -> None:
    """Set the backend of every ``compile`` that names none.

    None restores the default: ``RECURSIVE_BACKEND`` if it is set, else ``auto``.

    Raises:
        BackendError: for an unknown or missing backend.
    """
    if name is not None:
        resolve_backend(name)
    _chosen[:] = [] if name is None else [name]


def resolve_backend(name: str | None = None, why_not_jax: str | None = None) -> str:
    """The name of the backend to use, which must be installed.

    What ``auto`` stands for is reported on stderr, once.

    Args:
        name: one of BACKENDS; None for the one that ``set_backend`` or
            ``RECURSIVE_BACKEND`` has set.
        why_not_jax: the reason why JAX cannot run the model, if it cannot.

    Raises:
        BackendError: for an unknown backend, or one that is not installed.
    """
    source = ""
    if name is None:
        if _chosen:
            name = _chosen[0]
        else:
            name = os.environ.get("RECURSIVE_BACKEND") or "auto"
            source = ", from RECURSIVE_BACKEND"
    if name not in BACKENDS:
        raise BackendError.about(
            "backend",
            str(name),
            takes=f"one of {', '.join(BACKENDS)}",
            got=repr(name) + source,
            do=suggest(str(name), BACKENDS),
        )
    if name == "auto":
        return _resolve_auto(why_not_jax)
    _check_installed(table.BACKENDS[name], source)
    return name


def is_auto(name: str | None = None) -> bool:
    """True if a name leaves the choice of the backend to this module."""
    if name is None:
        name = _chosen[0] if _chosen else os.environ.get("RECURSIVE_BACKEND") or "auto"
    return name == "auto"


def resolve_without_c(reason: str) -> str:
    """What ``auto`` is for a model whose loops do not become C functions."""
    preferred, fallback = table.PREFERRED, table.FALLBACK
    if all(map(is_installed, preferred.packages)):
        notify_once(f"recursive: backend auto is {preferred.name}, because {reason}.")
        return preferred.name
    notify_once(
        f"recursive: backend auto is {fallback.name}, because {reason}, and JAX, which "
        f"compiles faster, is not installed: pip install {preferred.install}."
    )
    return fallback.name


def _resolve_auto(why_not_jax: str | None) -> str:
    # What JAX cannot run is not translated to C either.
    if why_not_jax:
        chosen = table.FALLBACK.name
        notify_once(f"recursive: backend auto is {chosen}, because {why_not_jax}.")
        return chosen
    if not _compiler_problem():
        chosen = table.C.name
        notify_once(
            f"recursive: backend auto is {chosen}, because a C++ compiler is "
            "installed, and loops in C are fastest."
        )
        return chosen
    return resolve_without_c("no C++ compiler is installed")


def _check_installed(backend: table.Backend, source: str) -> None:
    """Raise a BackendError if this machine lacks what the backend needs."""
    for package in backend.packages:
        if not is_installed(package):
            raise BackendError.about(
                "backend",
                backend.name,
                takes=f"the package {package}",
                got=f"no such package{source}",
                do=f"Run pip install {backend.install}, or choose another backend.",
            )
    if backend.needs_compiler:
        _check_compiler(backend.name, source)


def _check_compiler(name: str, source: str) -> None:
    """Raise a BackendError without a C++ compiler."""
    problem = _compiler_problem()
    if problem:
        raise BackendError.about(
            "backend",
            name,
            takes="a C++ compiler",
            got=problem + source,
            do="Install g++, or choose another backend.",
        )


def _compiler_problem() -> str:
    """What is wrong with the C++ compiler; empty if nothing is."""
    compiler = pytensor.config.cxx
    if not compiler:
        return "none that PyTensor could find"
    # PyTensor's setting may be a path with spaces, or a command with options.
    if not shutil.which(compiler) and not shutil.which(compiler.split()[0]):
        return f"{compiler!r}, which does not exist"
    return ""


def note_missing_blas() -> None:
    """Print once that PyTensor's C code is slow, if it has no BLAS."""
    if not _has_blas():
        notify_once(
            "recursive: PyTensor's scan in C computes matrix products without a BLAS, "
            "many times slower, because none is installed: "
            "pip install 'recursive-rnn[c]'."
        )


def _has_blas() -> bool:
    """True if C code can link with a BLAS, from the extra ``c`` or the system."""
    with quiet():
        return is_installed("scipy_openblas32") or bool(pytensor.config.blas__ldflags)
