"""Small functions that create tensors, with the dtypes and shapes of this library."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.op import Op
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.variable import TensorVariable

from recursive.backend.scanning import traits
from recursive.backend.sizes import Size
from recursive.errors import RecursiveError

try:
    from pytensor.conditional.op import IfElse
    from pytensor.conditional.op import ifelse as lazy_ifelse
except ImportError:  # PyTensor 3.0
    from pytensor.ifelse import IfElse
    from pytensor.ifelse import ifelse as lazy_ifelse


def floatX() -> str:  # noqa: N802 (PyTensor's own name for it)
    """The dtype of floats: PyTensor's ``config.floatX``."""
    return pytensor.config.floatX


def dtype_of(declared: str) -> str:
    """The dtype of an input that was declared ``float``, ``int`` or ``bool``."""
    return {"float": floatX(), "int": "int32", "bool": "bool"}[declared]


def shared(value: object, name: str | None = None) -> SharedVariable:
    """``value`` as a shared variable of floatX whose shape is part of its type.

    Without a static shape scan refuses a state of dim 1, and JAX cannot compile.

    >>> shared([[1.0, 2.0, 3.0]]).type.shape
    (1, 3)
    """
    value = np.asarray(value, dtype=floatX())
    return pytensor.shared(value, name=name, shape=value.shape)


def tensor(name: str, dtype: str, shape: Sequence[int | None]) -> TensorVariable:
    """A symbolic input; None is an axis whose size is known only at run time."""
    return pt.TensorType(dtype, shape=tuple(shape))(name)


def if_else(
    condition: TensorVariable, then: TensorVariable, otherwise: TensorVariable
) -> TensorVariable:
    """``then`` or ``otherwise``; the one that is not chosen need not be computed."""
    return lazy_ifelse(condition, then, otherwise)


def is_lazy(op: Op) -> bool:
    """True if an operation computes only one of its branches."""
    return isinstance(op, IfElse)


def checked(
    value: TensorVariable, condition: bool | TensorVariable, error: RecursiveError
) -> TensorVariable:
    """``value`` if the condition holds, else ``error`` is raised.

    It is raised now if the condition is known, else at run time.
    """
    if isinstance(condition, bool):
        if not condition:
            raise error
        return value
    return CheckAndRaise(type(error), str(error))(value, condition)


def checked_values(
    value: TensorVariable, condition: TensorVariable, error: RecursiveError
) -> TensorVariable:
    """``value`` if a condition on the data holds, else ``error`` at run time.

    A backend whose programs cannot raise computes without the check.
    """
    return checked(value, condition, error) if traits().raises else value


def with_rows(variable: SharedVariable, rows: Size) -> TensorVariable:
    """A state kept between batches, ``(lag, batch, dim)``, for a batch of ``rows``."""
    known = rows if isinstance(rows, int) else None
    others = [None] * (variable.ndim - 2)  # none for a state of integers
    return pt.specify_shape(variable, (None, known, *others))
