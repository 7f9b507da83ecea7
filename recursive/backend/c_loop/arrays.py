"""Elementwise operations on whole arrays as calls of NumPy.

Outside the loops PyTensor runs an elementwise operation in Python. If NumPy has a
function with as many arguments, it is called once; else PyTensor calls Python for each
value, which takes a hundred times as long. :class:`ArrayElemwise` has a NumPy function
for the operations that PyTensor has none for: casts, clips, sums of several arrays.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pytensor.graph.basic import Apply
from pytensor.graph.fg import FunctionGraph
from pytensor.scalar import basic, math
from pytensor.tensor.elemwise import Elemwise


def _several(function: Callable) -> Callable:
    """A function of two arrays, applied to several from left to right."""

    def applied(*arrays: np.ndarray) -> np.ndarray:
        # Small arrays first: they are repeated, and then cost next to nothing.
        ordered = sorted(arrays, key=np.size)
        return functools.reduce(function, ordered)

    return applied


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(np.zeros((), x.dtype), x)


def _log1mexp(x: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.where(x < np.log(0.5), np.log1p(-np.exp(x)), np.log(-np.expm1(x)))


FUNCTIONS: Mapping[type, Callable] = {
    basic.Add: _several(np.add),
    basic.AND: _several(np.bitwise_and),
    basic.Cast: lambda x: x,
    basic.Clip: np.clip,
    basic.Identity: lambda x: x,
    basic.Mul: _several(np.multiply),
    basic.OR: _several(np.bitwise_or),
    basic.Second: lambda x, value: np.broadcast_arrays(x, value)[1],
    basic.XOR: _several(np.bitwise_xor),
    math.Log1mexp: _log1mexp,
    math.Softplus: _softplus,
}
"""A NumPy function for each scalar operation that PyTensor has none for."""


class ArrayElemwise(Elemwise):
    """An elementwise operation that is a NumPy function in Python."""

    def prepare_node(
        self, node: Apply, storage_map: object, compute_map: object, impl: object
    ) -> None:
        """Prepare nothing: the function is there."""

    def perform(
        self, node: Apply, inputs: Sequence[np.ndarray], outputs: Sequence[list]
    ) -> None:
        self._check_runtime_broadcast(node, inputs)
        found = FUNCTIONS[type(self.scalar_op)](*map(np.asarray, inputs))
        dtype = node.outputs[0].type.dtype
        # A copy if it is not new: no other operation may write to an input.
        is_input = any(np.may_share_memory(found, value) for value in inputs)
        outputs[0][0] = np.array(found, dtype=dtype, copy=True if is_input else None)


def use_numpy(graph: FunctionGraph) -> None:
    """Put NumPy functions in place of elementwise operations that have none."""
    for node in graph.toposort():
        op = node.op
        if not isinstance(op, Elemwise) or type(op.scalar_op) not in FUNCTIONS:
            continue
        spec = op.nfunc_spec
        if spec is not None and spec[1] == len(node.inputs):
            continue
        [new] = ArrayElemwise(op.scalar_op)(*node.inputs, return_list=True)
        graph.replace_validate(node.outputs[0], new, reason="use_numpy")
