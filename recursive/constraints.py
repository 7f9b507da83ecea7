"""Constraints: functions that are applied to a parameter after every training step.

They map the new value to the one that is stored. Norms that are 0 stay 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.utils import registry
from recursive.utils.arguments import coefficient


class Constraint:
    """The base class, which does not change the value."""

    def __call__(self, p: TensorVariable) -> TensorVariable:
        return p

    def get_config(self) -> dict[str, object]:
        """Return the class name, as ``name``, and the arguments of the constraint."""
        return {"name": type(self).__name__}


class MaxNorm(Constraint):
    """Scales down the columns whose norm is above ``m``. Srivastava et al., 2014.

    >>> MaxNorm(1.0)(pt.constant([[3.0, 0.5], [4.0, 0.0]])).eval().round(6).tolist()
    [[0.6, 0.5], [0.8, 0.0]]
    """

    def __init__(self, m: float = 2):
        self.m = coefficient("MaxNorm", "m", m)

    def __call__(self, p: TensorVariable) -> TensorVariable:
        # A column holds the weights into one unit. The 1e-7 is that of Keras 0.1.
        norms = pt.sqrt(pt.sqr(p).sum(axis=0))
        return p * (pt.clip(norms, 0, self.m) / (1e-7 + norms))

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {"m": self.m}


class NonNeg(Constraint):
    """Sets negative values to 0.

    >>> NonNeg()(pt.constant([-1.0, 2.0])).eval().tolist()
    [0.0, 2.0]
    """

    def __call__(self, p: TensorVariable) -> TensorVariable:
        return pt.maximum(p, 0)


class UnitNorm(Constraint):
    """Scales every row to a norm of 1.

    >>> UnitNorm()(pt.constant([[3.0, 4.0], [0.0, 0.0]])).eval().round(6).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """

    def __call__(self, p: TensorVariable) -> TensorVariable:
        norms = pt.sqrt(pt.sqr(p).sum(axis=-1, keepdims=True))
        # A row of zeros is divided by ``tiny`` and so stays zeros.
        return p / pt.maximum(norms, np.finfo(p.dtype).tiny)


identity, maxnorm, nonneg, unitnorm = Constraint, MaxNorm, NonNeg, UnitNorm

CONSTRAINTS = {
    "identity": Constraint,
    "maxnorm": MaxNorm,
    "nonneg": NonNeg,
    "unitnorm": UnitNorm,
} | {kind.__name__: kind for kind in (Constraint, MaxNorm, NonNeg, UnitNorm)}
"""The constraint classes by name."""


def get(
    identifier: str | Constraint | Mapping[str, object] | None,
    kwargs: Mapping[str, object] | None = None,
) -> Constraint | None:
    """Return a constraint by its name or configuration.

    Args:
        identifier: a name, a dict in the form of ``get_config()``, or a Constraint,
            another function of a tensor or None, which is returned.
        kwargs: arguments that go with a name.

    Raises:
        UnknownNameError: for an unknown name.

    >>> get("maxnorm").get_config()
    {'name': 'MaxNorm', 'm': 2}
    """
    return registry.instance("constraint", identifier, CONSTRAINTS, Constraint, kwargs)
