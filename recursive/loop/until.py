"""Loops that stop early: JAX has none, and before PyTensor 3.1.1 their gradient is wrong."""

from __future__ import annotations

import pytensor
from pytensor.gradient import undefined_grad
from pytensor.scan.utils import until as scan_until
from pytensor.tensor.variable import TensorVariable

from recursive.backend import rewrites, target
from recursive.errors import BackendError


def until(condition: TensorVariable) -> object:
    """What a step returns beside its results to stop the loop after it, where ``condition`` is true.

    Raises:
        BackendError: on JAX, where the number of steps must be known before.
    """
    if target() == "jax":
        raise BackendError.about(
            "backend",
            "jax",
            takes="loops of a known number of steps",
            because="it compiles for fixed shapes",
            got="a loop with until",
            do="Choose backend numba, c or python.",
        )
    return scan_until(condition)


def check_until_gradient() -> None:
    """Raise a BackendError where PyTensor's gradient of a loop that stops early is wrong: before 3.1.1."""
    if _has_wrong_until_gradient():
        raise BackendError.about(
            "backend",
            "pytensor",
            takes="a loop without until for a gradient",
            because="its gradient is wrong before PyTensor 3.1.1",
            got=f"PyTensor {pytensor.__version__}",
            do="Install pytensor>=3.1.1 (Python 3.12 or newer), or leave until out.",
        )


def without_wrong_gradient(values: TensorVariable) -> TensorVariable:
    """The values of a loop that stops early, which refuse a gradient where PyTensor's would be wrong."""
    return undefined_grad(values) if _has_wrong_until_gradient() else values


def _has_wrong_until_gradient() -> bool:
    return rewrites.VERSION < (3, 1, 1)
