"""Loops that may stop early, with ``until``.

JAX has none, and before PyTensor 3.1.1 their gradient is wrong.
"""

from __future__ import annotations

import pytensor
from pytensor.gradient import undefined_grad
from pytensor.scan.utils import until as scan_until
from pytensor.tensor.variable import TensorVariable

from recursive.backend import rewrites, traits
from recursive.backend.table import names_with
from recursive.errors import BackendError


def until(condition: TensorVariable) -> object:
    """The object that a step returns next to its results to stop after this step.

    The loop stops if ``condition``, a scalar, is true.

    Raises:
        BackendError: for a backend that needs a known number of steps, such as JAX.
    """
    if not traits().stops_early:
        others = names_with("stops_early", True)
        raise BackendError.about(
            "backend",
            traits().name,
            takes="loops of a known number of steps",
            because="it compiles for fixed shapes",
            got="a loop with until",
            do=f"Choose backend {others}.",
        )
    return scan_until(condition)


def check_until_gradient() -> None:
    """Raise a BackendError before PyTensor 3.1.1, where the gradient is wrong."""
    if _has_wrong_until_gradient():
        raise BackendError.about(
            "backend",
            "pytensor",
            takes="a loop without until for a gradient",
            because="that gradient is wrong before PyTensor 3.1.1",
            got=f"PyTensor {pytensor.__version__}",
            do="Install pytensor>=3.1.1 (Python 3.12 or newer), or leave until out.",
        )


def without_wrong_gradient(values: TensorVariable) -> TensorVariable:
    """``values`` of a loop with ``until``, which refuse a gradient that is wrong."""
    return undefined_grad(values) if _has_wrong_until_gradient() else values


def _has_wrong_until_gradient() -> bool:
    return rewrites.VERSION < (3, 1, 1)
