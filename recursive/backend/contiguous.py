"""Arrays that lie in one piece: C and Numba compute with them several values at a time.

For C PyTensor writes such a loop only where every size is known when it compiles; else it steps through each array by
strides that the compiler does not know, and so value by value. To Numba an array that was cut or turned may be strided,
be it so or not: a copy says that it is not, and costs less.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from pytensor.graph.basic import Apply
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import GraphRewriter, dfs_rewriter, node_rewriter
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.variable import TensorVariable

FAILS = "FAILS"
"""Stands where an operation on values would leave with an error, as whole numbers do divided by zero."""


class ContiguousElemwise(Elemwise):
    """An operation on the elements of arrays of one shape, with a loop of its own where each lies in one piece.

    The loop is a function that is told to be hot: behind all the checks gcc would take it for rare, and make it small.
    """

    def _c_all(
        self,
        node: Apply,
        name: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        sub: dict,
    ) -> tuple:
        *head, loop, tail = super()._c_all(node, name, inputs, outputs, sub)
        places = [
            inputs[self.inplace_pattern[i]] if i in self.inplace_pattern else output
            for i, output in enumerate(outputs)
        ]
        arrays = dict(
            zip((*inputs, *places), (*node.inputs, *node.outputs), strict=True)
        )
        flags = " & ".join(f"PyArray_FLAGS({array})" for array in arrays)
        in_one_piece = f"({flags} & NPY_ARRAY_CARRAY_RO) == NPY_ARRAY_CARRAY_RO"
        fast = self._loop(node, name, inputs, places, arrays, sub)
        if FAILS in fast:
            return *head, loop, tail
        return *head, f"if ({in_one_piece}) {{ {fast} }} else {{ {loop} }}", tail

    def c_code_cache_version_apply(self, node: Apply) -> tuple:
        return (3, *super().c_code_cache_version_apply(node))

    def _loop(
        self,
        node: Apply,
        name: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        arrays: dict[str, TensorVariable],
        sub: dict,
    ) -> str:
        """Reads all values before it writes any: no two arrays overlap, but one that is computed in place."""
        kinds = {
            array: f"npy_{variable.type.dtype}" for array, variable in arrays.items()
        }
        takes = ", ".join(f"{kind}* {array}_start" for array, kind in kinds.items())
        given = ", ".join(
            f"({kind}*) PyArray_DATA({array})" for array, kind in kinds.items()
        )
        reads = "\n".join(
            f"{kinds[array]} {array}_read = {array}_start[i];"
            for array in dict.fromkeys(inputs)
        )
        results = "\n".join(f"{kinds[array]} {array}_made;" for array in outputs)
        writes = "\n".join(f"{array}_start[i] = {array}_made;" for array in outputs)
        body = self.scalar_op.c_code(
            self.make_scalar_node(*node.inputs),
            f"{name}_scalar",
            [f"{array}_read" for array in inputs],
            [f"{array}_made" for array in outputs],
            {**sub, "fail": FAILS},
        )
        return f"""
        auto elements = [](npy_intp n, {takes}) __attribute__((noinline, hot)) {{
            #pragma GCC ivdep
            for (npy_intp i = 0; i < n; i++) {{
                {reads}
                {results}
                {body}
                {writes}
            }}
        }};
        elements(PyArray_SIZE({outputs[0]}), {given});
        """


@node_rewriter([Elemwise])
def in_one_piece(graph: FunctionGraph, node: Apply) -> list[TensorVariable] | None:
    """Use it wherever nothing is broadcast."""
    patterns = {value.type.broadcastable for value in (*node.inputs, *node.outputs)}
    if type(node.op) is not Elemwise or len(patterns) > 1 or node.outputs[0].ndim == 0:
        return None
    op = ContiguousElemwise(node.op.scalar_op, node.op.inplace_pattern)
    return op(*node.inputs, return_list=True)


def rewriter() -> GraphRewriter:
    """What puts it into a graph, after operations have been composed."""
    return dfs_rewriter(in_one_piece)


class ContiguousCopy(Op):
    """A copy that lies row after row in memory."""

    __props__ = ()

    def make_node(self, x: TensorVariable) -> Apply:
        return Apply(self, [x], [x.type()])

    def perform(
        self, node: Apply, inputs: Sequence[np.ndarray], outputs: Sequence[list]
    ) -> None:
        outputs[0][0] = inputs[0].copy()

    def pullback(
        self, inputs: Sequence, outputs: Sequence, output_grads: Sequence
    ) -> list:
        return list(output_grads)


def in_rows(x: TensorVariable) -> TensorVariable:
    """``x`` row after row, for Numba."""
    register_numba()
    return ContiguousCopy()(x)


@functools.cache
def register_numba() -> None:
    """Tell PyTensor's way to Numba how it makes the copy."""
    from pytensor.link.numba.dispatch import basic

    @basic.register_funcify_and_cache_key(ContiguousCopy)
    def funcify(op, node=None, **kwargs):
        @basic.numba_njit
        def in_rows(x):
            return x.copy()  # what is a view of its input would be written over

        return in_rows, "InRows_2"
