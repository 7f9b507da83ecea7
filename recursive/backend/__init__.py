"""Where tensors become programs: the one package that knows C, Numba and JAX, and the one that calls ``scan``.

Everything above speaks of tensors only. A program is described by a ``build`` function from typed inputs to outputs
and updates; :class:`Program` compiles it when it is first called.
"""

from recursive.backend.program import (
    Argument,
    Build,
    Program,
    copied_state,
    evaluate,
    to_numpy,
)
from recursive.backend.scanning import in_rows, prefers_separate_products, scan, target
from recursive.backend.tensors import (
    checked,
    dtype_of,
    floatX,
    if_else,
    is_lazy,
    shared,
    tensor,
    with_rows,
)

__all__ = [
    "Argument",
    "Build",
    "Program",
    "checked",
    "copied_state",
    "dtype_of",
    "evaluate",
    "floatX",
    "if_else",
    "in_rows",
    "is_lazy",
    "prefers_separate_products",
    "scan",
    "shared",
    "target",
    "tensor",
    "to_numpy",
    "with_rows",
]
