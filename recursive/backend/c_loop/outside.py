"""The graph outside the loops, with fewer passes over the values of all steps.

What a loop reads and writes at all steps is large: megabytes, where the weights are
kilobytes. A copy of it takes as long as a tenth of the loop. So, before the loops are
translated:

- **Products of one value** become one product. The gates of an LSTM all multiply the
  input, ``x @ W_i``, ``x @ W_f``, ...: one product with the weights next to each other,
  of which each gate reads its columns where they lie. In the reverse pass the gradients
  of these weights, ``x.T @ dz_i``, are one product with ``dz`` in one piece.
- **The states at all steps**, with the rows before the first step in front, are what
  the loop's buffer holds already: they are not concatenated again.
- **A bias** that is added to such a product is added in the loop (``sink_biases``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.scan.op import Scan
from pytensor.tensor.basic import Alloc, AllocEmpty, Join
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Dot, Sum
from pytensor.tensor.shape import Reshape
from pytensor.tensor.subtensor import IncSubtensor, Subtensor
from pytensor.tensor.variable import TensorVariable

from recursive.backend.c_loop.buffers import BUFFERS


def merge_products(graph: FunctionGraph) -> None:
    """Compute products that share their left factor as one."""
    groups: dict[Variable, list[Apply]] = {}
    for node in graph.toposort():
        left, *_ = node.inputs or [None]
        if isinstance(node.op, Dot) and node.inputs[1].ndim == left.ndim == 2:
            groups.setdefault(left, []).append(node)
    for left, nodes in groups.items():
        for whole, members in _slices_of_one_value(nodes):
            nodes = [node for node in nodes if node not in members]
            _replace_by_columns(graph, left, whole, members)
        weights = [node for node in nodes if None not in node.inputs[1].type.shape]
        if len(weights) > 1:
            # Of small matrices, such as weights: joining them costs next to nothing.
            whole = pt.join(1, *[node.inputs[1] for node in weights])
            _replace_by_columns(graph, left, whole, weights)


def _replace_by_columns(
    graph: FunctionGraph, left: Variable, right: Variable, nodes: Sequence[Apply]
) -> None:
    """Put columns of ``left @ right`` in place of the products ``nodes``."""
    product = left.dot(right)
    start = 0
    pairs = []
    for node in nodes:
        [old] = node.outputs
        stop = start + node.inputs[1].type.shape[1]
        pairs.append((old, _typed(product[:, start:stop], old)))
        start = stop
    graph.replace_all_validate(pairs, reason="merge_products")


def _typed(new: TensorVariable, old: TensorVariable) -> TensorVariable:
    """``new`` with the sizes that the type of ``old`` knows."""
    if new.type.is_super(old.type) and new.type != old.type:
        return pt.specify_shape(new, old.type.shape)
    return new


def _slices_of_one_value(
    nodes: Sequence[Apply], place: int = 1
) -> Iterator[tuple[TensorVariable, list[Apply]]]:
    """Operations whose inputs at ``place`` are all the columns of one value, in order.

    Yields:
        The whole value as a matrix, and the operations.
    """
    found: dict[tuple[Variable, bool], list[tuple[int, int, Apply]]] = {}
    for node in nodes:
        columns = _columns(node.inputs[place])
        if columns is not None:
            key = columns.whole, columns.backwards
            found.setdefault(key, []).append((columns.start, columns.stop, node))
    for (whole, backwards), parts in found.items():
        parts.sort(key=lambda part: part[0])
        ends = [stop for _, stop, _ in parts]
        starts = [start for start, _, _ in parts]
        width = whole.type.shape[-1]
        if len(parts) > 1 and starts == [0, *ends[:-1]] and ends[-1] == width:
            rows = whole[::-1] if backwards else whole
            yield rows.reshape((-1, width)), [node for _, _, node in parts]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a matrix is of values ``(time, batch, dim)``.

    Args:
        whole: the values.
        backwards: True if they are read from the last step to the first.
        start: the first column.
        stop: the column after the last.
    """

    whole: Variable
    backwards: bool
    start: int
    stop: int


def _columns(matrix: Variable) -> Columns | None:
    """The columns that ``matrix`` is of values of all steps; None for others."""
    node = matrix.owner
    if node is None or not isinstance(node.op, Reshape):
        return None
    part = node.inputs[0]
    if part.owner is None or not isinstance(part.owner.op, Subtensor):
        return None
    whole = part.owner.inputs[0]
    *front, last = part.owner.op.idx_list
    width = whole.type.shape[-1]
    if len(front) + 1 != whole.type.ndim or width is None:
        return None
    if not isinstance(last, slice) or matrix.type.shape[1] != part.type.shape[-1]:
        return None
    backwards = reads_backwards(part.owner)
    if any(entry != slice(None) for entry in front[int(backwards) :]):
        return None
    bounds = _bounds(part.owner, last)
    if bounds is None:
        return None
    columns = range(width)[slice(*bounds)]
    if columns.step != 1 or not columns:
        return None
    return Columns(whole, backwards, columns.start, columns.stop)


def _bounds(node: Apply, entry: slice) -> list[int | None] | None:
    """The start, stop and step of a slice; None if one of them is computed."""
    bounds: list[int | None] = []
    for part in (entry.start, entry.stop, entry.step):
        value = None if part is None else node.inputs[1 + part]
        if value is not None and not isinstance(value, Constant):
            return None
        bounds.append(None if value is None else int(value.data))
    return bounds


def reads_backwards(node: Apply) -> bool:
    """True if a slice is ``array[::-1]``, or ``array[::-1, ...]``."""
    first = node.op.idx_list[0]
    return isinstance(first, slice) and _bounds(node, first) == [None, None, -1]


# Sums over all steps and rows


class ColumnSums(Op):
    """The sum of each column of a matrix of float32.

    NumPy adds up float32 in float64, one row after the other, which takes as long as
    the product with the same matrix. Here sixty-four rows at a time are added up by
    BLAS, as a product with ones, and only these sums in float64.
    """

    __props__ = ()
    ROWS = 64

    def make_node(self, matrix: Variable) -> Apply:
        return Apply(self, [matrix], [matrix[0].type()])

    def perform(
        self, node: Apply, inputs: Sequence[np.ndarray], outputs: Sequence[list]
    ) -> None:
        [matrix] = inputs
        count = len(matrix) // self.ROWS
        first, rest = np.split(matrix, [count * self.ROWS])
        ones = np.ones((1, self.ROWS), matrix.dtype)
        # (count, 1, columns)
        sums = ones @ first.reshape(count, self.ROWS, matrix.shape[1])
        total = sums.sum(axis=(0, 1), dtype="float64")
        total += rest.sum(axis=0, dtype="float64")
        outputs[0][0] = total.astype(matrix.dtype)


def merge_sums(graph: FunctionGraph) -> None:
    """Sum the columns of one value at once, with :class:`ColumnSums`."""
    for node in graph.toposort():
        total = _total_of_two_sums(node)
        if total is not None:
            [old] = node.outputs
            new = _typed(total.reshape(old.type.shape), old)
            graph.replace_validate(old, new, reason="merge_sums")
    nodes = [node for node in graph.toposort() if _sums_columns(node)]
    for whole, members in _slices_of_one_value(nodes, place=0):
        nodes = [node for node in nodes if node not in members]
        total = ColumnSums()(whole)
        start = 0
        pairs = []
        for node in members:
            [old] = node.outputs
            stop = start + node.inputs[0].type.shape[1]
            pairs.append((old, _typed(total[start:stop], old)))
            start = stop
        graph.replace_all_validate(pairs, reason="merge_sums")
    for node in nodes:
        [old] = node.outputs
        new = _typed(ColumnSums()(node.inputs[0]), old)
        graph.replace_validate(old, new, reason="merge_sums")


def _total_of_two_sums(node: Apply) -> Variable | None:
    """The sum over steps and rows that a node adds up steps for, ``(dim,)``.

    It is that of ``values.sum(axis=1)``, as the gradient of a bias inside a step is
    made: the sum over the rows of each step, and then over all steps. None for other
    nodes.
    """
    if not isinstance(node.op, Sum) or node.op.axis != (0,):
        return None
    if node.outputs[0].type.dtype != "float32" or None in node.outputs[0].type.shape:
        return None
    rows = node.inputs[0].owner
    if rows is not None and isinstance(rows.op, DimShuffle):
        # (time, dim) as (time, 1, dim)
        is_expanded = tuple(rows.op.new_order) == (0, "x", 1)
        rows = rows.inputs[0].owner if is_expanded else None
    if rows is None or not isinstance(rows.op, Sum) or rows.op.axis != (1,):
        return None
    [values] = rows.inputs
    if values.type.ndim != 3 or values.type.dtype != "float32":
        return None
    dim = values.type.shape[2]
    matrix = values.reshape((-1, dim))
    columns = _columns(matrix)
    if columns is None:
        return ColumnSums()(matrix)
    # A product reads the whole value, and can add up all columns on its way.
    whole = columns.whole[::-1] if columns.backwards else columns.whole
    total = ColumnSums()(whole.reshape((-1, whole.type.shape[2])))
    return total[columns.start : columns.stop]


def _sums_columns(node: Apply) -> bool:
    """True for ``matrix.sum(axis=0)`` of float32."""
    if not isinstance(node.op, Sum) or node.op.axis != (0,):
        return False
    [matrix] = node.inputs
    return (
        matrix.type.ndim == 2
        and matrix.type.shape[1] is not None
        and matrix.type.dtype == node.outputs[0].type.dtype == "float32"
    )


# States with their first rows


def reuse_buffers(graph: FunctionGraph) -> None:
    """Replace ``concatenate([first rows, states])`` by the buffer that holds both."""
    for node in graph.toposort():
        if not isinstance(node.op, Join):
            continue
        buffer = _buffer(node)
        if buffer is not None and buffer.type == node.outputs[0].type:
            graph.replace_validate(node.outputs[0], buffer, reason="reuse_buffers")


def _buffer(node: Apply) -> Variable | None:
    """The buffer of a loop that a concatenation repeats; None if there is none."""
    axis = getattr(node.op, "axis", None)
    parts = list(node.inputs)
    if axis is None:
        axis = getattr(parts.pop(0), "data", None)
    if axis is None or int(axis) != 0 or len(parts) != 2:
        return None
    first, rest = parts
    start = _start_of(rest)
    if start is None:
        return None
    buffer = rest.owner.inputs[0]
    loop = buffer.owner
    if loop is None or not isinstance(loop.op, Scan):
        return None
    given = _first_rows(loop, buffer)
    if given is None or given[0] != start:
        return None
    return buffer if _spread(first) is _spread(given[1]) else None


class BufferWithRows(Op):
    """An array of the given sizes whose first rows are set; the others are not."""

    __props__ = ("count",)

    def __init__(self, count: int):
        self.count = count

    def make_node(self, rows: Variable, like: Variable, *sizes: Variable) -> Apply:
        return Apply(self, [rows, *sizes], [like.type()])

    def perform(
        self, node: Apply, inputs: Sequence[np.ndarray], outputs: Sequence[list]
    ) -> None:
        rows, *sizes = inputs
        buffer = BUFFERS.empty(sizes, rows.dtype)
        buffer[: self.count] = rows
        outputs[0][0] = buffer


def set_rows_at_once(graph: FunctionGraph) -> None:
    """Allocate the buffer of a state together with its first rows.

    Setting rows of an array in another operation would copy the array first.
    """
    for node in graph.toposort():
        count = _count_set(node)
        if count is None or node.inputs[0].owner is None:
            continue
        empty = node.inputs[0].owner
        [old] = node.outputs
        if isinstance(empty.op, AllocEmpty):
            op = BufferWithRows(count)
            [new] = op.make_node(node.inputs[1], old, *empty.inputs).outputs
            graph.replace_validate(old, new, reason="set_rows_at_once")


def _count_set(node: Apply) -> int | None:
    """k if a node sets ``array[:k]``, which only a loop reads."""
    op = node.op
    if not isinstance(op, IncSubtensor) or not op.set_instead_of_inc:
        return None
    if len(op.idx_list) != 1 or not isinstance(op.idx_list[0], slice):
        return None
    entry = op.idx_list[0]
    if entry.start is not None or entry.step is not None or entry.stop is None:
        return None
    stop = node.inputs[2]
    return int(stop.data) if isinstance(stop, Constant) else None


def _start_of(value: Variable) -> int | None:
    """k if a value is ``array[k:]``."""
    node = value.owner
    if node is None or not isinstance(node.op, Subtensor):
        return None
    [*index] = node.op.idx_list
    if len(index) != 1 or not isinstance(index[0], slice):
        return None
    entry = index[0]
    if entry.start is None or entry.stop is not None or entry.step is not None:
        return None
    start = node.inputs[1]
    return int(start.data) if isinstance(start, Constant) else None


def _first_rows(loop: Apply, buffer: Variable) -> tuple[int, Variable] | None:
    """How many rows a loop's buffer begins with, and these rows."""
    index = loop.outputs.index(buffer)
    info = loop.op.info
    states = len(info.mit_sot_in_slices) + len(info.sit_sot_in_slices)
    if info.mit_mot_in_slices or index >= states:
        return None
    given = loop.inputs[1 + info.n_seqs + index].owner
    if given is None:
        return None
    count = _count_set(given)
    return None if count is None else (count, given.inputs[1])


def _spread(value: Variable) -> Variable:
    """The value that is repeated along new axes."""
    while value.owner is not None and isinstance(value.owner.op, Alloc):
        value = value.owner.inputs[0]
    return value


# Biases


def sunk_bias(sequence: Variable) -> tuple[Variable, Variable] | None:
    """Take apart a sequence that is a value plus a bias.

    Returns:
        The sequence without the bias, and the bias, ``(1, dim)``; None if it is not a
        sum, or if another operation reads it too.
    """
    path: list[Apply] = []
    value = sequence
    while value.owner is not None:
        node = value.owner
        if isinstance(node.op, Reshape) or _is_cut(node):
            path.append(node)
            value = node.inputs[0]
            continue
        break
    node = value.owner
    if node is None or not isinstance(node.op, Elemwise) or not path:
        return None
    if type(node.op.scalar_op).__name__ != "Add" or len(node.inputs) != 2:
        return None
    if value.type.ndim != 2 or sequence.type.ndim != 3:
        return None
    if value.type.shape[1] is None or value.type.shape[1] != sequence.type.shape[2]:
        return None
    for bias, other in (node.inputs, node.inputs[::-1]):
        kinds = {other.type.dtype, value.type.dtype, bias.type.dtype}
        is_row = bias.type.broadcastable == (True, False)
        has_dims_added = bias.owner is not None and isinstance(
            bias.owner.op, DimShuffle
        )
        if is_row and has_dims_added and len(kinds) == 1:
            for step in reversed(path):
                other = step.op(other, *step.inputs[1:])
            return _typed(other, sequence), bias
    return None


def _is_cut(node: Apply) -> bool:
    """True for ``array[:n]``."""
    if not isinstance(node.op, Subtensor) or len(node.op.idx_list) != 1:
        return False
    [entry] = node.op.idx_list
    return isinstance(entry, slice) and entry.start is None and entry.step is None
