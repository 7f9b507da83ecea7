"""What this library changes among PyTensor's rewrites of graphs: some are left out, some of its own come in."""

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

from recursive.backend import contiguous, vectorized
from recursive.backend.sizes import sizes

VERSION = tuple(
    map(int, re.match(r"(\d+)\.(\d+)\.(\d+)", pytensor.__version__).groups())
)
"""The version of PyTensor."""

WRONG = ("local_add_of_sparse_write", "scan_push_out_add")
"""Rewrites that are left out: the first adds many rows in place to a gradient that has one, for all; the second makes
the products of all steps one outside, also where a truncated gradient is of the last alone (Theano issue 4652, 2016).
"""

SLOW_ON_C = ("local_dot22_to_dot22scalar",)
"""Rewrites that make C slower: this one makes a product once for each number that it is multiplied by."""

WRONG_ON_NUMBA = ("scan_save_mem_no_prealloc",) if VERSION < (3, 1, 1) else ()
"""Rewrites that PyTensor 3.0 gets wrong on Numba: steps are lost where a state passes on another one's past."""

BEFORE_ALL, BEFORE_CANONICAL, BEFORE_FUSION, AFTER_ALL = -0.02, 0.05, 48.5, 200
"""Positions among PyTensor's rewrites: before graphs in graphs are opened, before formulas are simplified, before
operations on elements are joined."""


def for_backend(mode: Mode, backend: str) -> Mode:
    """``mode`` with the rewrites that ``backend`` is compiled with."""
    mode = mode.excluding(*WRONG, *(WRONG_ON_NUMBA if backend == "numba" else ()))
    if backend == "c":
        mode = mode.excluding(*SLOW_ON_C)
        mode = mode.register((contiguous.rewriter(), AFTER_ALL))
        mode = mode.register((dfs_rewriter(compiled_like(mode)), AFTER_ALL))
    if backend == "jax":
        mode = mode.register((dfs_rewriter(largest_by_place), BEFORE_CANONICAL))
    if backend in vectorized.FUNCTIONS:
        return mode.register((vectorized.rewriter(backend), BEFORE_FUSION))
    return (
        mode.register((dfs_rewriter(unfused_loop), AFTER_ALL))
        if backend == "python"
        else mode
    )


def compiled_like(mode: Mode) -> NodeRewriter:
    """Let the steps of a loop be compiled in ``mode``."""

    @node_rewriter([Scan])
    def rewrite(graph: FunctionGraph, node: Apply) -> list[TensorVariable] | None:
        if node.op.mode is mode:
            return None
        op = copy.copy(node.op)
        op.mode = mode
        return op(*node.inputs, return_list=True)

    return rewrite


@node_rewriter([Scan])
def unfused_loop(graph: FunctionGraph, node: Apply) -> list[TensorVariable] | None:
    """Let plain Python run the steps of a loop operation by operation, as NumPy calls.

    PyTensor 3.0 prepares a step for C whatever the mode outside: fused, each value would be a call of its own, which
    is twenty times slower.
    """
    if node.op.mode == "FAST_COMPILE":
        return None
    op = copy.copy(node.op)
    op.mode = "FAST_COMPILE"
    return op(*node.inputs, return_list=True)


@node_rewriter([Elemwise])
def largest_by_place(graph: FunctionGraph, node: Apply) -> list[TensorVariable] | None:
    """Say of a value that it is the largest where it stands in its place too, on JAX.

    The gradient of a maximum asks which values equal it. XLA may compute them a second time, with other roundings, and
    then none does: the gradient is lost.
    """
    if not isinstance(node.op.scalar_op, EQ):
        return None
    for largest, values in permutations(node.inputs):
        axes = _axes_of_maximum(largest, values)
        if axes:
            place = pt.argmax(values, axis=axes, keepdims=True)
            is_it = pt.and_(_is_at(place, values, axes), pt.invert(pt.isnan(largest)))
            return [pt.or_(pt.ge(values, largest), is_it)]
    return None


def _axes_of_maximum(largest: TensorVariable, values: TensorVariable) -> list[int]:
    """The axes along which ``largest`` is the maximum of ``values``, kept with one value each; none if it is not."""
    if (
        not values.dtype.startswith("float")
        or not largest.owner
        or not isinstance(largest.owner.op, DimShuffle)
    ):
        return []
    [source] = largest.owner.inputs
    if (
        not source.owner
        or not isinstance(source.owner.op, Max)
        or source.owner.inputs[0] is not values
    ):
        return []
    axes = range(values.ndim) if source.owner.op.axis is None else source.owner.op.axis
    rest = iter(range(values.ndim))
    order = ["x" if axis in axes else next(rest) for axis in range(values.ndim)]
    return sorted(axes) if list(largest.owner.op.new_order) == order else []


def _is_at(
    place: TensorVariable, values: TensorVariable, axes: list[int]
) -> TensorVariable:
    """Whether each of ``values`` is the one at ``place`` along ``axes``, counted through all of them in their order."""
    shape = sizes(values)
    number, step = pt.zeros((), dtype="int64"), 1
    for along in reversed(axes):
        others = ["x"] * along + [0] + ["x"] * (values.ndim - along - 1)
        number, step = (
            number + step * pt.arange(shape[along]).dimshuffle(*others),
            step * shape[along],
        )
    return pt.eq(number, place)


@node_rewriter([OpFromGraph])
def opened(graph: FunctionGraph, node: Apply) -> list[TensorVariable] | None:
    """Put the graph of an operation that is ``inline`` in its place.

    PyTensor 3.0 does it with the loops of the first equal graph that it ever met, which may have been rewritten for
    another backend since.
    """
    inner = node.op.fgraph
    if not node.op.is_inline or not isinstance(inner, FunctionGraph):
        return None
    return clone_replace(
        inner.outputs,
        dict(zip(inner.inputs, node.inputs, strict=True)),
        clone_inner_graphs=True,
    )


optdb.register(
    "recursive_opened",
    dfs_rewriter(opened),
    "fast_compile",
    "fast_run",
    position=BEFORE_ALL,
)


def split_at_once(
    op: Split,
    node: Apply,
    x: TensorVariable,
    axis: TensorVariable,
    splits: TensorVariable,
) -> Apply:
    """Cut every step at the same places in one operation, as later PyTensors do.

    PyTensor 3.0 cuts step by step at places of its own for each, which JAX cannot compile.
    """
    old, old_axis, old_splits = node.inputs
    if not isinstance(old_axis, Constant) or not isinstance(old_splits, Constant):
        return vectorize_node_fallback(op, node, x, axis, splits)
    from_behind = int(old_axis.data) % old.type.ndim - old.type.ndim
    return op.make_node(x, x.type.ndim + from_behind, old_splits)


def join_at_once(
    op: Join, node: Apply, axis: TensorVariable, *values: TensorVariable
) -> Apply:
    """Put values side by side for every step, those too that are the same at every step, as later PyTensors do.

    PyTensor 3.0 does it step by step along an axis of its own for each, which JAX cannot compile.
    """
    old_axis, *old = node.inputs
    more = [
        value.type.ndim - before.type.ndim
        for value, before in zip(values, old, strict=True)
    ]
    if not isinstance(old_axis, Constant) or len(set(more)) == 1:
        return _join_alike(op, node, axis, *values)
    ndim = old[0].type.ndim
    shapes = [sizes(value) for value in values]
    leading = (
        [1] * (max(more) - count) + shape[:count]
        for shape, count in zip(shapes, more, strict=True)
    )
    steps = [
        next((size for size in found if not isinstance(size, int) or size != 1), 1)
        for found in zip(*leading, strict=True)
    ]
    values = [
        value
        if shape[:count] == steps
        else pt.broadcast_to(value, (*steps, *shape[count:]))
        for value, shape, count in zip(values, shapes, more, strict=True)
    ]
    return op.make_node(len(steps) + int(old_axis.data) % ndim, *values)


if Split not in _vectorize_node.registry:
    _vectorize_node.register(Split)(split_at_once)
if VERSION < (3, 1):
    _join_alike = _vectorize_node.dispatch(Join)
    _vectorize_node.register(Join)(join_at_once)
