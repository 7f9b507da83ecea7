"""Contiguous arrays, whose values C and Numba can process several at a time.

An array is contiguous if its values lie row after row in memory without gaps. A slice
of columns or a transposed matrix is a strided view instead: a compiler has to step from
value to value by strides that it learns when the program runs, one value at a time.

- On C, PyTensor writes a loop over contiguous values only if every size is known while
  it compiles. :class:`ContiguousElemwise` checks the arrays when the program runs.
- On Numba, the type of an array says if it is contiguous. A view counts as strided even
  if it happens to be contiguous. :class:`ContiguousCopy` costs less than the strides.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from pytensor.graph.basic import Apply
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.variable import TensorVariable

FAILS = "FAILS"
"""Marks where C code would leave with an error, as an integer division by zero does."""


class ContiguousElemwise(Elemwise):
    """An elementwise operation with a second C loop, for contiguous arrays."""

    def _c_all(
        self,
        node: Apply,
        name: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        sub: dict,
    ) -> tuple:
        *head, strided, tail = super()._c_all(node, name, inputs, outputs, sub)
        # An output that is computed in place lives in the array of that input.
        targets = []
        for number, output in enumerate(outputs):
            if number in self.inplace_pattern:
                targets.append(inputs[self.inplace_pattern[number]])
            else:
                targets.append(output)
        names = (*inputs, *targets)
        variables = (*node.inputs, *node.outputs)
        arrays = dict(zip(names, variables, strict=True))
        contiguous = self._contiguous_loop(node, name, inputs, targets, arrays, sub)
        # The second loop is a function, which has no place to report an error from.
        if FAILS in contiguous:
            return *head, strided, tail
        flags = " & ".join(f"PyArray_FLAGS({array})" for array in arrays)
        are_contiguous = f"({flags} & NPY_ARRAY_CARRAY_RO) == NPY_ARRAY_CARRAY_RO"
        loops = f"if ({are_contiguous}) {{ {contiguous} }} else {{ {strided} }}"
        return *head, loops, tail

    def c_code_cache_version_apply(self, node: Apply) -> tuple:
        return (3, *super().c_code_cache_version_apply(node))

    def _contiguous_loop(
        self,
        node: Apply,
        name: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        arrays: dict[str, TensorVariable],
        sub: dict,
    ) -> str:
        # Arrays overlap only if they are the same one, computed in place. Each step
        # reads all its values before it writes any.
        parameters, arguments = [], []
        for array, variable in arrays.items():
            kind = f"npy_{variable.type.dtype}"
            parameters.append(f"{kind}* {array}_start")
            arguments.append(f"({kind}*) PyArray_DATA({array})")
        reads = []
        for array in dict.fromkeys(inputs):
            kind = f"npy_{arrays[array].type.dtype}"
            reads.append(f"{kind} {array}_read = {array}_start[i];")
        results, writes = [], []
        for array in outputs:
            results.append(f"npy_{arrays[array].type.dtype} {array}_made;")
            writes.append(f"{array}_start[i] = {array}_made;")
        body = self.scalar_op.c_code(
            self.make_scalar_node(*node.inputs),
            f"{name}_scalar",
            [f"{array}_read" for array in inputs],
            [f"{array}_made" for array in outputs],
            {**sub, "fail": FAILS},
        )
        # gcc takes code behind so many checks for rarely used and optimizes it for
        # size. The attribute "hot" says otherwise, and needs a function.
        lines = "\n".join([*reads, *results, body, *writes])
        return f"""
        auto elements = [](npy_intp n, {", ".join(parameters)})
            __attribute__((noinline, hot)) {{
            #pragma GCC ivdep
            for (npy_intp i = 0; i < n; i++) {{
                {lines}
            }}
        }};
        elements(PyArray_SIZE({outputs[0]}), {", ".join(arguments)});
        """


@node_rewriter([Elemwise])
def contiguous_elemwise(
    graph: FunctionGraph, node: Apply
) -> list[TensorVariable] | None:
    """Use :class:`ContiguousElemwise` where nothing is broadcast."""
    if type(node.op) is not Elemwise or node.outputs[0].ndim == 0:
        return None
    variables = (*node.inputs, *node.outputs)
    patterns = {variable.type.broadcastable for variable in variables}
    if len(patterns) > 1:
        return None
    op = ContiguousElemwise(node.op.scalar_op, node.op.inplace_pattern)
    return op(*node.inputs, return_list=True)


class ContiguousCopy(Op):
    """A contiguous copy of an array."""

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


@functools.cache
def register_numba() -> None:
    """Register the copy with PyTensor's Numba backend."""
    from pytensor.link.numba.dispatch import basic

    @basic.register_funcify_and_cache_key(ContiguousCopy)
    def funcify(op, node=None, **kwargs):
        @basic.numba_njit
        def contiguous_copy(x):
            # Always a copy: PyTensor does not know that the result could be a view of
            # the input, and would write over both.
            return x.copy()

        return contiguous_copy, "ContiguousCopy_1"
