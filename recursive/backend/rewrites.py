"""Changes to PyTensor's rewrites of graphs: some are left out, some are added.

A rewrite replaces a part of a graph by another that computes the same. Each function
here is one; ``table.py`` says on which backend it runs. At the end of the module are
corrections of PyTensor 3.0 that hold for every backend.
"""

from __future__ import annotations

import copy
import re
from itertools import permutations

import pytensor
import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.mode import Mode, optdb
from pytensor.graph.basic import Apply, Constant
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import _vectorize_node, clone_replace
from pytensor.graph.rewriting.basic import NodeRewriter, dfs_rewriter, node_rewriter
from pytensor.scalar.basic import EQ
from pytensor.scan.op import Scan
from pytensor.tensor.basic import Join, Split
from pytensor.tensor.blockwise import vectorize_node_fallback
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Max
from pytensor.tensor.variable import TensorVariable

from recursive.backend.sizes import Size, sizes

VERSION = tuple(
    map(int, re.match(r"(\d+)\.(\d+)\.(\d+)", pytensor.__version__).groups())
)
"""The version of PyTensor."""

WRONG = (
    # Adds many rows in place to a gradient that has one row for all.
    "local_add_of_sparse_write",
    # Computes the products of all steps outside the loop, even if a truncated gradient
    # takes the last steps only (Theano issue 4652, 2016).
    "scan_push_out_add",
)
"""Rewrites that are wrong on every backend."""

SLOW_ON_C = (
    # Computes a matrix product once for each number that it is multiplied by.
    "local_dot22_to_dot22scalar",
)

# In PyTensor 3.0 it loses steps if a state passes on the past of another one.
WRONG_ON_NUMBA = ("scan_save_mem_no_prealloc",) if VERSION < (3, 1, 1) else ()

BEFORE_INLINING = -0.02
BEFORE_CANONICAL = 0.05
BEFORE_FUSION = 48.5
AFTER_ALL = 200
"""Positions among PyTensor's rewrites.

In order: before the graphs inside operations are inlined, before formulas are
simplified, before elementwise operations are fused, after everything.
"""


# The steps of loops


def steps_in(mode: Mode) -> NodeRewriter:
    """The rewrite that compiles the steps of a loop in ``mode``."""

    @node_rewriter([Scan])
    def rewrite(graph: FunctionGraph, node: Apply) -> list[TensorVariable] | None:
        if node.op.mode is mode:
            return None
        return _with_mode(node, mode)

    return rewrite


@node_rewriter([Scan])
def unfused_loop(graph: FunctionGraph, node: Apply) -> list[TensorVariable] | None:
    """Run the steps of a loop in plain Python as one NumPy call for each operation.

    PyTensor 3.0 prepares a step for C whatever the mode of the function is. Fused
    operations would call Python for each value, which is twenty times slower.
    """
    if node.op.mode == "FAST_COMPILE":
        return None
    return _with_mode(node, "FAST_COMPILE")


def _with_mode(node: Apply, mode: Mode | str) -> list[TensorVariable]:
    op = copy.copy(node.op)
    op.mode = mode
    return op(*node.inputs, return_list=True)


# The gradient of a maximum on JAX


@node_rewriter([Elemwise])
def equals_maximum_by_index(
    graph: FunctionGraph, node: Apply
) -> list[TensorVariable] | None:
    """Compare values with their maximum by index as well as by value.

    The gradient of a maximum goes to the values that are equal to it. XLA may compute
    the values twice with different roundings; then none is equal and the gradient is
    lost. The value at the index of the maximum is equal to it whatever the rounding.
    """
    if not isinstance(node.op.scalar_op, EQ):
        return None
    for largest, values in permutations(node.inputs):  # x == max or max == x
        axes = _axes_of_maximum(largest, values)
        if axes:
            index = pt.argmax(values, axis=axes, keepdims=True)
            at_index = _is_at(index, values, axes)
            is_it = pt.and_(at_index, pt.invert(pt.isnan(largest)))
            return [pt.or_(pt.ge(values, largest), is_it)]
    return None


def _axes_of_maximum(largest: TensorVariable, values: TensorVariable) -> list[int]:
    """The axes of ``values`` over which ``largest`` is the maximum, with keepdims.

    Empty if ``largest`` is something else.
    """
    expanded = largest.owner
    if not values.dtype.startswith("float"):
        return []
    if not expanded or not isinstance(expanded.op, DimShuffle):
        return []
    maximum = expanded.inputs[0].owner
    if not maximum or not isinstance(maximum.op, Max):
        return []
    if maximum.inputs[0] is not values:
        return []

    axes = range(values.ndim) if maximum.op.axis is None else maximum.op.axis
    # keepdims is a DimShuffle: ("x" for each axis of the maximum, the others in order).
    keepdims: list[int | str] = []
    kept = 0
    for axis in range(values.ndim):
        if axis in axes:
            keepdims.append("x")
        else:
            keepdims.append(kept)
            kept += 1
    return sorted(axes) if list(expanded.op.new_order) == keepdims else []


def _is_at(
    index: TensorVariable, values: TensorVariable, axes: list[int]
) -> TensorVariable:
    """True for each of ``values`` that is at ``index``, which counts along ``axes``."""
    shape = sizes(values)
    number = pt.zeros((), dtype="int64")
    stride = 1
    for axis in reversed(axes):
        others = ["x"] * axis + [0] + ["x"] * (values.ndim - axis - 1)
        number = number + stride * pt.arange(shape[axis]).dimshuffle(*others)
        stride = stride * shape[axis]
    return pt.eq(number, index)


# Corrections of PyTensor 3.0 on every backend


@node_rewriter([OpFromGraph])
def inlined(graph: FunctionGraph, node: Apply) -> list[TensorVariable] | None:
    """Replace an operation that is ``inline`` by its graph.

    PyTensor 3.0 does so itself, but with the loops of the first equal graph that it
    ever met, which may have been rewritten for another backend since.
    """
    inner = node.op.fgraph
    if not node.op.is_inline or not isinstance(inner, FunctionGraph):
        return None
    outside = dict(zip(inner.inputs, node.inputs, strict=True))
    return clone_replace(inner.outputs, outside, clone_inner_graphs=True)


optdb.register(
    "recursive_inlined",
    dfs_rewriter(inlined),
    "fast_compile",
    "fast_run",
    position=BEFORE_INLINING,
)


def split_at_once(
    op: Split,
    node: Apply,
    x: TensorVariable,
    axis: TensorVariable,
    splits: TensorVariable,
) -> Apply:
    """Split the values of all steps in one operation, as PyTensor 3.1 does.

    PyTensor 3.0 splits step by step, with sizes of each step that JAX cannot compile.
    """
    old, old_axis, old_splits = node.inputs
    if not isinstance(old_axis, Constant) or not isinstance(old_splits, Constant):
        return vectorize_node_fallback(op, node, x, axis, splits)
    # Counted from the end, an axis is the same with and without the axis of time.
    axis_from_end = int(old_axis.data) % old.type.ndim - old.type.ndim
    return op.make_node(x, x.type.ndim + axis_from_end, old_splits)


def join_at_once(
    op: Join, node: Apply, axis: TensorVariable, *values: TensorVariable
) -> Apply:
    """Concatenate the values of all steps in one operation, as PyTensor 3.1 does.

    Some of them may be constant over time. PyTensor 3.0 concatenates step by step,
    along an axis of each step that JAX cannot compile.
    """
    old_axis, *old = node.inputs
    # The number of axes that each value has in front of those that a step sees.
    added = []
    for value, before in zip(values, old, strict=True):
        added.append(value.type.ndim - before.type.ndim)
    if not isinstance(old_axis, Constant) or len(set(added)) == 1:
        return _join_alike(op, node, axis, *values)

    # Sizes are computed once: symbolic ones are equal only if they are the same one.
    shapes = [sizes(value) for value in values]
    leading = _leading_sizes(shapes, added)
    joined = []
    for value, shape, count in zip(values, shapes, added, strict=True):
        if shape[:count] != leading:
            value = pt.broadcast_to(value, (*leading, *shape[count:]))
        joined.append(value)
    step_axis = int(old_axis.data) % old[0].type.ndim
    return op.make_node(len(leading) + step_axis, *joined)


def _leading_sizes(shapes: list[list[Size]], added: list[int]) -> list[Size]:
    """The sizes to which the first axes of several shapes broadcast.

    ``added`` is the number of these axes in each shape.
    """
    length = max(added)
    leading: list[Size] = [1] * length
    for shape, count in zip(shapes, added, strict=True):
        for axis, found in enumerate(shape[:count], start=length - count):
            if isinstance(leading[axis], int) and leading[axis] == 1:
                leading[axis] = found
    return leading


if Split not in _vectorize_node.registry:
    _vectorize_node.register(Split)(split_at_once)
if VERSION < (3, 1):
    _join_alike = _vectorize_node.dispatch(Join)
    _vectorize_node.register(Join)(join_at_once)
