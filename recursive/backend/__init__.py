"""The package that turns tensors into programs.

It alone knows C, Numba and JAX (``table.py``), and it alone calls ``pytensor.scan``
(``scanning.py``) and ``pytensor.function`` (``compiling.py``). All other packages
compute with tensors. A ``build`` function describes a program, from typed inputs to
outputs and updates; :class:`Program` compiles it at its first call.
"""

from recursive.backend.program import (
    Argument,
    Build,
    Program,
    copied_state,
    evaluate,
    to_numpy,
)
from recursive.backend.scanning import (
    as_contiguous,
    prefers_separate_products,
    scan,
    target,
    traits,
)
from recursive.backend.tensors import (
    checked,
    checked_values,
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
    "as_contiguous",
    "checked",
    "checked_values",
    "copied_state",
    "dtype_of",
    "evaluate",
    "floatX",
    "if_else",
    "is_lazy",
    "prefers_separate_products",
    "scan",
    "shared",
    "target",
    "tensor",
    "to_numpy",
    "traits",
    "with_rows",
]
