"""Which backend a program is made for: the one that was chosen, where this machine has it."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import sys

import pytensor

from recursive.backend.quiet import quiet
from recursive.errors import BackendError, suggest

BACKENDS = ("auto", "jax", "numba", "c", "python")
"""What ``compile(backend=...)`` takes. ``auto`` is JAX where it is installed, since it compiles fastest, else Numba."""

PACKAGES = {"jax": ("jax", "jaxlib"), "numba": ("numba",)}
INSTALL = {"jax": "'recursive-rnn[jax]'", "numba": "numba"}
"""What a backend is made of, and how that is installed."""

_chosen: list[str] = []


def set_backend(name: str | None) -> None:
    """Choose the backend of every ``compile`` that names none; None goes back to ``RECURSIVE_BACKEND`` or ``auto``.

    Raises:
        BackendError: for an unknown or missing backend.
    """
    if name is not None:
        resolve_backend(name)
    _chosen[:] = [] if name is None else [name]


def resolve_backend(name: str | None = None, why_not_jax: str | None = None) -> str:
    """The backend that ``name`` means: itself, or the one chosen, with ``auto`` decided, and told once on stderr.

    Args:
        name: one of BACKENDS; None for the one chosen by ``set_backend`` or ``RECURSIVE_BACKEND``.
        why_not_jax: why JAX cannot run the model, if it cannot.

    Raises:
        BackendError: for an unknown backend, or one that is not installed.
    """
    place = ""
    if name is None:
        name = _chosen[0] if _chosen else os.environ.get("RECURSIVE_BACKEND") or "auto"
        place = "" if _chosen else ", from RECURSIVE_BACKEND"
    if name not in BACKENDS:
        raise BackendError.about(
            "backend",
            str(name),
            takes=f"one of {', '.join(BACKENDS)}",
            because="these can run a scan and its gradient",
            got=repr(name) + place,
            do=suggest(str(name), BACKENDS),
        )
    if name == "auto":
        return _chosen_by_auto(why_not_jax)
    for package in PACKAGES.get(name, ()):
        if not is_installed(package):
            raise BackendError.about(
                "backend",
                name,
                takes=f"the package {package}",
                because="it compiles with it",
                got=f"no such package{place}",
                do=f"Run pip install {INSTALL[name]}, or choose another backend.",
            )
    if name == "c":
        _check_compiler(place)
    return name


def _check_compiler(place: str) -> None:
    """Raise a BackendError without a C++ compiler; say once that there is no BLAS, without which C is slow."""
    compiler = pytensor.config.cxx
    if not compiler or not (
        shutil.which(compiler) or shutil.which(compiler.split()[0])
    ):
        raise BackendError.about(
            "backend",
            "c",
            takes="a C++ compiler",
            because="it compiles C code",
            got=f"none that PyTensor could find{place}"
            if not compiler
            else f"{compiler!r}, which is not there{place}",
            do="Install g++, or choose another backend.",
        )
    if not _has_blas():
        notify_once(
            "recursive: backend c makes its products without a BLAS, many times slower, because none is installed: "
            "pip install 'recursive-rnn[c]'."
        )


def _has_blas() -> bool:
    """Whether C code has a BLAS to link with: that of the extra ``c``, or one that PyTensor finds."""
    with quiet():
        return is_installed("scipy_openblas32") or bool(pytensor.config.blas__ldflags)


def _chosen_by_auto(why_not_jax: str | None) -> str:
    if why_not_jax:
        name, why = "numba", why_not_jax
    elif all(map(is_installed, PACKAGES["jax"])):
        name, why = "jax", "it is installed, and compiles fastest"
    else:
        name, why = (
            "numba",
            "JAX, which compiles faster, is not installed: pip install 'recursive-rnn[jax]'",
        )
    notify_once(f"recursive: backend auto is {name}, because {why}.")
    return name


@functools.cache
def notify_once(sentence: str) -> None:
    """Say it once."""
    print(sentence, file=sys.stderr)


def is_installed(package: str) -> bool:
    """Whether a package can be imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # something stands in its way
        return False
