"""The table of operations: how each ties axes, and how it is written in C.

Each entry has two functions of a node of the step's graph. ``tie`` says which axes run
through the same index, and which are mixed (see ``axes.py``). ``write`` adds C code, or
only notes where a value lies: a slice, a transposed value and a part of a split are
other views of the same memory.

An operation without an entry makes the whole loop fall back to PyTensor's scan.
Elementwise operations are not in the table: ``elementwise.py`` fuses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from pytensor.compile.ops import DeepCopyOp, ViewOp
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.raise_op import Assert, CheckAndRaise
from pytensor.scalar.basic import AND, Add, IntDiv, Mul, Sub
from pytensor.scalar.basic import Cast as ScalarCast
from pytensor.tensor.basic import (
    Alloc,
    Join,
    MakeVector,
    ScalarFromTensor,
    Split,
    TensorFromScalar,
)
from pytensor.tensor.blas import BatchedDot, Dot22
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.extra_ops import CumOp
from pytensor.tensor.math import Argmax, Dot
from pytensor.tensor.shape import Reshape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import AdvancedSubtensor, IncSubtensor, Subtensor
from pytensor.tensor.type import TensorType

from recursive.backend.c_loop.axes import MIXES, Axes
from recursive.backend.c_loop.elementwise import (
    code_of,
    write_copy,
    write_loops,
)
from recursive.backend.c_loop.program import FIRST_FAILURE
from recursive.backend.c_loop.refusal import TranslationError, describe
from recursive.backend.c_loop.values import (
    Number,
    Value,
    contiguous_strides,
    plus,
    product,
    times,
)
from recursive.backend.c_loop.writer import Writer, kind_of
from recursive.backend.contiguous import ContiguousCopy

try:
    from pytensor.tensor.subtensor import AdvancedSubtensor1
except ImportError:  # PyTensor 3.1 and later have one operation for both
    AdvancedSubtensor1 = AdvancedSubtensor


@dataclass(frozen=True, slots=True)
class Operation:
    """One entry of the table.

    Args:
        tie: ties the axes of a node.
        write: writes it in C.
        is_view: True if ``write`` computes nothing, and may be done at any time.
    """

    tie: Callable[[Axes, Apply], None]
    write: Callable[[Writer, Apply], None]
    is_view: bool = False


# Elementwise


def tie_elementwise(axes: Axes, node: Apply) -> None:
    """Tie the axes of an elementwise operation, but for those that are repeated."""
    everything = [*node.inputs, *node.outputs]
    result = node.outputs[0]
    for axis in range(result.type.ndim):
        alike = everything
        if not result.type.broadcastable[axis]:
            alike = [one for one in everything if not one.type.broadcastable[axis]]
        for one in alike:
            axes.tie(result, axis, one, axis)


# Views


def _tie_dimshuffle(axes: Axes, node: Apply) -> None:
    [x], [out] = node.inputs, node.outputs
    order = node.op.new_order
    for axis, source in enumerate(order):
        if source != "x":
            axes.tie(out, axis, x, source)
    for axis in range(x.type.ndim):
        if axis not in order:
            axes.mix(x, axis, node)


def _write_dimshuffle(writer: Writer, node: Apply) -> None:
    [x], [out] = node.inputs, node.outputs
    found = writer.value(x)
    if found.is_number:
        writer.values[out] = found
        return
    strides = dict(zip(writer.other_axes(x), found.strides, strict=True))
    taken: list[Number] = []
    for axis in writer.other_axes(out):
        source = node.op.new_order[axis]
        taken.append(0 if source == "x" else strides[source])
    shape = writer.shape(out)
    writer.values[out] = replace(found, shape=shape, strides=tuple(taken))


def _tie_same(axes: Axes, node: Apply) -> None:
    axes.tie_all(node.outputs[0], node.inputs[0])


def _write_same(writer: Writer, node: Apply) -> None:
    writer.values[node.outputs[0]] = writer.value(node.inputs[0])


def _tie_nothing(axes: Axes, node: Apply) -> None:
    pass


def _write_number(writer: Writer, node: Apply) -> None:
    [x], [out] = node.inputs, node.outputs
    writer.values[out] = Value(kind_of(out), writer.number(x), is_number=True)


def _write_size(writer: Writer, node: Apply) -> None:
    [x], [out] = node.inputs, node.outputs
    size = writer.size(x, node.op.i)
    writer.values[out] = Value("npy_int64", f"((npy_int64) {size})", is_number=True)


def _tie_make_vector(axes: Axes, node: Apply) -> None:
    axes.mix(node.outputs[0], 0, node)


def _write_make_vector(writer: Writer, node: Apply) -> None:
    # Vectors of sizes are read by operations that look at their parts: see _parts.
    [out] = node.outputs
    target = writer.place(out)
    for position, part in enumerate(node.inputs):
        writer.statements.append(f"{target.base}[{position}] = {writer.number(part)};")
    writer.values[out] = target


def _tie_check(axes: Axes, node: Apply) -> None:
    axes.tie_all(node.outputs[0], node.inputs[0])


def _write_check(writer: Writer, node: Apply) -> None:
    value, *conditions = node.inputs
    writer.failures.append(node.op.exc_type(node.op.msg))
    code = FIRST_FAILURE + len(writer.failures) - 1
    for condition in conditions:
        if writer.row_axis(condition) is not None:
            raise TranslationError(describe(node), "checks the values of a row")
        number = writer.number(condition)
        writer.statements.append(f"if (!({number})) return {code};")
    writer.values[node.outputs[0]] = writer.value(value)


class EveryRow(Op):
    """True if all entries of a value are, for a check that reads nothing else.

    A block of rows can check its rows alone: all rows pass if each block does.
    """

    __props__ = ()

    def make_node(self, x: Variable) -> Apply:
        return Apply(self, [x], [TensorType("bool", ())()])

    def perform(self, node: Apply, inputs: list, outputs: list) -> None:
        outputs[0][0] = np.asarray(np.all(inputs[0]))


def mark_checks(graph: FunctionGraph) -> None:
    """Let the checks of a step read an EveryRow in place of the conjunction of all."""
    for node in graph.toposort():
        if not isinstance(node.op, CheckAndRaise):
            continue
        for place, condition in enumerate(node.inputs):
            owner = condition.owner
            is_scalar = owner is not None and isinstance(owner.op, ScalarFromTensor)
            all_of = owner.inputs[0].owner if is_scalar else owner
            if place and all_of is not None and _is_of_all(all_of):
                marked = EveryRow()(all_of.inputs[0])
                marked = owner.op(marked) if is_scalar else marked
                graph.change_node_input(node, place, marked)


def _is_of_all(node: Apply) -> bool:
    """True for the conjunction of all entries of a value of bools."""
    op = node.op
    if not isinstance(op, CAReduce) or not isinstance(op.scalar_op, AND):
        return False
    [x] = node.inputs
    return x.type.dtype == "bool" and len(_reduced_axes(node)) == x.type.ndim


def _write_every_row(writer: Writer, node: Apply) -> None:
    [x], [out] = node.inputs, node.outputs
    found = writer.value(x)
    if found.is_number:
        writer.values[out] = found
        return
    name = writer.name("every")
    lines = [f"npy_bool {name} = 1;"]
    lines.append(f"for (long r = 0; r < {writer.row_count(x)}; r++) {{")
    from_ = ""
    for axis, stride in zip(writer.other_axes(x), found.strides, strict=True):
        from_ += f" + j{axis} * {stride}"
        size = writer.size(x, axis)
        lines.append(f"for (long j{axis} = 0; j{axis} < {size}; j{axis}++) {{")
    lines.append(f"{name} = {name} && {found.base}[r * {found.row}{from_}];")
    lines.append("}" * (1 + len(found.strides)))
    writer.statements.append("\n".join(lines))
    writer.values[out] = Value(kind_of(out), name, is_number=True)


def _axis_of(op: object, inputs: Sequence[Variable], node: Apply) -> int:
    """The axis of a Join or Split, which in PyTensor 3.0 may be an input."""
    axis = getattr(op, "axis", None)
    if axis is None:
        [first, *_] = inputs
        if not isinstance(first, Constant):
            raise TranslationError(describe(node), "has an axis that is computed")
        axis = int(first.data)
    return axis


def _join_parts(node: Apply) -> tuple[int, list[Variable]]:
    has_axis = getattr(node.op, "axis", None) is not None
    parts = list(node.inputs if has_axis else node.inputs[1:])
    axis = _axis_of(node.op, node.inputs, node)
    return axis % node.outputs[0].type.ndim, parts


def _tie_join(axes: Axes, node: Apply) -> None:
    axis, parts = _join_parts(node)
    [out] = node.outputs
    axes.mix(out, axis, node)
    for part in parts:
        axes.mix(part, axis, node)
        for other in range(out.type.ndim):
            if other != axis:
                axes.tie(out, other, part, other)


def join_sizes(writer: Writer, node: Apply) -> None:
    """Note the size of a concatenation."""
    axis, parts = _join_parts(node)
    total: Number = 0
    for part in parts:
        total = plus(total, writer.size(part, axis))
    writer.define_size(node.outputs[0], axis, total)


def join_places(writer: Writer, node: Apply) -> list[tuple[Variable, Value]]:
    """The memory of each part of a concatenation within the whole."""
    axis, parts = _join_parts(node)
    [out] = node.outputs
    target = writer.place(out)
    position = writer.other_axes(out).index(axis)
    start: Number = 0
    found = []
    for part in parts:
        place = target.moved(times(start, target.strides[position]))
        found.append((part, replace(place, shape=writer.shape(part))))
        start = plus(start, writer.size(part, axis))
    return found


def _write_join(writer: Writer, node: Apply) -> None:
    [out] = node.outputs
    for part, place in join_places(writer, node):
        if writer.values.get(part) != place:
            _copy_broadcast(writer, part, place, out)
    writer.values[out] = writer.place(out)


def _copy_broadcast(
    writer: Writer, part: Variable, place: Value, out: Variable
) -> None:
    """Copy a part that may be the same for all rows, such as an Alloc."""
    found = writer.value(part)
    read, write = writer.name("x"), writer.name("x")
    if found.is_number:
        body = [f"{write}[{{{write}}}] = {found.base};"]
        pairs = [(place, write)]
    else:
        body = [f"{write}[{{{write}}}] = {read}[{{{read}}}];"]
        pairs = [(found, read), (place, write)]
    result = part if writer.row_axis(part) == writer.row_axis(out) else out
    write_loops(writer, result, pairs, body)


def _split_sizes(node: Apply) -> list[int]:
    sizes = node.inputs[-1]
    if not isinstance(sizes, Constant):
        raise TranslationError(describe(node), "has sizes that are computed")
    return [int(size) for size in sizes.data]


def _tie_split(axes: Axes, node: Apply) -> None:
    x = node.inputs[0]
    axis = _axis_of(node.op, node.inputs[1:], node) % x.type.ndim
    axes.mix(x, axis, node)
    for out in node.outputs:
        axes.mix(out, axis, node)
        for other in range(x.type.ndim):
            if other != axis:
                axes.tie(out, other, x, other)


def _write_split(writer: Writer, node: Apply) -> None:
    x = node.inputs[0]
    axis = _axis_of(node.op, node.inputs[1:], node) % x.type.ndim
    found = writer.value(x)
    position = writer.other_axes(x).index(axis)
    sizes = _split_sizes(node)
    total = writer.size(x, axis)
    if total != sum(sizes):
        writer.size_lines.append(f"if ({total} != {sum(sizes)}) return WRONG_SIZE;")
    start = 0
    for out, size in zip(node.outputs, sizes, strict=True):
        writer.define_size(out, axis, size)
        part = found.moved(times(start, found.strides[position]))
        writer.values[out] = replace(part, shape=writer.shape(out))
        start += size


# Indexing


@dataclass(frozen=True, slots=True)
class Index:
    """What is taken of one axis: all, a slice of constants, or one position.

    Args:
        start: the first position of a slice.
        stop: the position after the last.
        step: the distance.
        at: the variable that holds the position, if one is taken.
    """

    start: int | None = None
    stop: int | None = None
    step: int | None = None
    at: Variable | None = None

    @property
    def is_all(self) -> bool:
        """True if everything is taken, in order."""
        return (
            self.at is None and self == Index(step=self.step) and self.step in (1, None)
        )


def _indices(node: Apply, x: Variable, given: Sequence[Variable]) -> list[Index]:
    """What is taken of each axis of ``x``."""
    found = []
    for entry in node.op.idx_list:
        if isinstance(entry, slice):
            parts = [_slice_part(part, given, node) for part in _parts_of(entry)]
            found.append(Index(*parts))
        else:
            found.append(Index(at=given[entry]))
    while len(found) < x.type.ndim:
        found.append(Index())
    return found


def _parts_of(entry: slice) -> tuple:
    return entry.start, entry.stop, entry.step


def _slice_part(part: int | None, given: Sequence[Variable], node: Apply) -> int | None:
    if part is None:
        return None
    value = given[part]
    while value.owner is not None and isinstance(
        value.owner.op, ScalarFromTensor | TensorFromScalar
    ):
        value = value.owner.inputs[0]
    if not isinstance(value, Constant):
        raise TranslationError(describe(node), "takes a slice at places it computes")
    return None if value.data is None else int(value.data)


def _tie_indexed(
    axes: Axes, node: Apply, x: Variable, part: Variable, given: Sequence[Variable]
) -> None:
    axis = 0
    for source, index in enumerate(_indices(node, x, given)):
        if index.at is not None:
            axes.mix(x, source, node)
            continue
        if index.is_all:
            if not (part.type.broadcastable[axis] and not x.type.broadcastable[source]):
                axes.tie(part, axis, x, source)
        else:
            axes.mix(x, source, node)
            axes.mix(part, axis, node)
        axis += 1


def _tie_subtensor(axes: Axes, node: Apply) -> None:
    x, *given = node.inputs
    _tie_indexed(axes, node, x, node.outputs[0], given)


def _taken(
    writer: Writer, node: Apply, x: Variable, found: Value, given: Sequence[Variable]
) -> Value:
    """The view of ``found`` that an index takes."""
    strides = dict(zip(writer.other_axes(x), found.strides, strict=True))
    sizes, taken = [], []
    for axis, index in enumerate(_indices(node, x, given)):
        if axis == writer.row_axis(x):
            continue
        size, stride = writer.size(x, axis), strides[axis]
        if index.at is not None:
            found = found.moved(times(_position(writer, index.at, size), stride))
        elif index.is_all:
            sizes.append(size)
            taken.append(stride)
        else:
            start, step, count = _slice(index, size, node)
            found = found.moved(times(start, stride))
            sizes.append(count)
            taken.append(times(step, stride))
    return replace(found, shape=tuple(sizes), strides=tuple(taken))


def _position(writer: Writer, at: Variable, size: Number) -> Number:
    """A position that is checked against the size, counted from the end if negative."""
    if isinstance(at, Constant) and isinstance(size, int):
        place = int(at.data)
        if -size <= place < size:
            return place % size
    name = writer.name("i")
    writer.statements.append(
        f"long {name} = {writer.number(at)}; if ({name} < 0) {name} += {size};\n"
        f"if ({name} < 0 || {name} >= {size}) return WRONG_INDEX;"
    )
    return name


def _slice(index: Index, size: Number, node: Apply) -> tuple[Number, int, Number]:
    """The start, step and number of positions of a slice."""
    if isinstance(size, int):
        places = range(size)[index.start : index.stop : index.step]
        return places.start if len(places) else 0, places.step, len(places)
    # A size that is known at run time only: the slices that do not depend on it.
    start = index.start or 0
    if index.step in (None, 1) and start >= 0 and index.stop is None:
        return start, 1, f"({size} > {start} ? {size} - {start} : 0)"
    raise TranslationError(describe(node), "takes a slice of an axis of unknown size")


def _write_subtensor(writer: Writer, node: Apply) -> None:
    x, *given = node.inputs
    [out] = node.outputs
    found = writer.value(x)
    taken = _taken(writer, node, x, found, given)
    for axis, size in zip(writer.other_axes(out), taken.shape, strict=True):
        writer.define_size(out, axis, size)
    shape = writer.shape(out)
    writer.values[out] = replace(taken, shape=shape)


def _tie_inc_subtensor(axes: Axes, node: Apply) -> None:
    x, part, *given = node.inputs
    axes.tie_all(node.outputs[0], x)
    # The part may have fewer axes than what is indexed: those in front are repeated.
    positions = [index for index in _indices(node, x, given) if index.at is None]
    missing = len(positions) - part.type.ndim
    if missing < 0:
        raise TranslationError(describe(node), "sets a part with more axes")
    axis = 0
    for source, index in enumerate(_indices(node, x, given)):
        if not index.is_all:
            axes.mix(x, source, node)
        if index.at is not None:
            continue
        own = axis - missing
        axis += 1
        if own < 0 or part.type.broadcastable[own]:
            continue
        if index.is_all:
            axes.tie(part, own, x, source)
        else:
            axes.mix(part, own, node)


def _write_inc_subtensor(writer: Writer, node: Apply) -> None:
    x, part, *given = node.inputs
    [out] = node.outputs
    target = writer.place(out)
    _copy_broadcast(writer, x, target, out)
    writer.values[out] = target
    # The view of the target, with the axes that are left.
    left = []
    for axis, index in enumerate(_indices(node, x, given)):
        if index.at is None:
            left.append(axis)
    view = _taken(writer, node, out, target, given)
    kept = [axis for axis in left if axis != writer.row_axis(out)]
    found = writer.value(part)
    missing = len(left) - part.type.ndim
    strides: list[Number] = []
    if not found.is_number:
        own = dict(zip(writer.other_axes(part), found.strides, strict=True))
        for axis in kept:
            place = left.index(axis) - missing
            repeated = place < 0 or part.type.broadcastable[place]
            strides.append(0 if repeated else own[place])
        found = Value(found.kind, found.base, found.row, view.shape, tuple(strides))
        for place, axis in enumerate(left):
            own_axis = place - missing
            if axis not in kept or own_axis < 0:
                continue
            if part.type.broadcastable[own_axis]:
                continue
            size = view.shape[kept.index(axis)]
            actual = writer.size(part, own_axis)
            if size != actual:
                writer.size_lines.append(f"if ({size} != {actual}) return WRONG_SIZE;")
    write, read = writer.name("x"), writer.name("x")
    sign = "=" if node.op.set_instead_of_inc else "+="
    if found.is_number:
        body = [f"{write}[{{{write}}}] {sign} {found.base};"]
        pairs = [(view, write)]
    else:
        body = [f"{write}[{{{write}}}] {sign} {read}[{{{read}}}];"]
        pairs = [(view, write), (found, read)]
    _write_loops_over(writer, out, view.shape, pairs, body)


def _write_loops_over(
    writer: Writer,
    result: Variable,
    shape: Sequence[Number],
    arrays: Sequence[tuple[Value, str]],
    body: Sequence[str],
) -> None:
    """Write loops over the rows of ``result`` and over ``shape``."""
    lines = [f"for (long r = 0; r < {writer.row_count(result)}; r++) {{"]
    for value, pointer in arrays:
        offset = f" + r * {value.row}" if value.row else ""
        lines.append(f"{value.kind}* {pointer} = {value.base}{offset};")
    for number, size in enumerate(shape):
        lines.append(f"for (long j{number} = 0; j{number} < {size}; j{number}++) {{")
    for line in body:
        for value, pointer in arrays:
            terms = [f"j{n} * {stride}" for n, stride in enumerate(value.strides)]
            line = line.replace(f"{{{pointer}}}", " + ".join(terms) or "0")
        lines.append(line)
    lines.append("}" * (len(shape) + 1))
    writer.statements.append("\n".join(lines))


# Rows of a table


def _tie_take(axes: Axes, node: Apply) -> None:
    table, index = node.inputs
    [out] = node.outputs
    op = node.op
    if isinstance(op, AdvancedSubtensor):
        is_take = len(op.idx_list) == 1 and isinstance(op.idx_list[0], int)
        if not is_take:
            raise TranslationError(describe(node), "has no translation")
    if index.type.dtype == "bool":
        raise TranslationError(describe(node), "has a result whose size is computed")
    axes.mix(table, 0, node)
    for axis in range(index.type.ndim):
        axes.tie(out, axis, index, axis)
    for axis in range(1, table.type.ndim):
        axes.tie(out, axis - 1 + index.type.ndim, table, axis)


def _write_take(writer: Writer, node: Apply) -> None:
    table, index = node.inputs
    [out] = node.outputs
    if writer.row_axis(table) is not None:
        raise TranslationError(describe(node), MIXES)
    rows, numbers = writer.value(table), writer.value(index)
    target = writer.place(out)
    count = len(numbers.shape)
    size = writer.size(table, 0)
    lines = [f"for (long r = 0; r < {writer.row_count(out)}; r++) {{"]
    for axis, length in enumerate(numbers.shape):
        lines.append(f"for (long i{axis} = 0; i{axis} < {length}; i{axis}++) {{")
    at = "".join(f" + i{n} * {stride}" for n, stride in enumerate(numbers.strides))
    to = "".join(
        f" + i{n} * {stride}" for n, stride in enumerate(target.strides[:count])
    )
    read = (
        numbers.base if numbers.is_number else f"{numbers.base}[r * {numbers.row}{at}]"
    )
    lines.append(f"long i = {read}; if (i < 0) i += {size};")
    lines.append(f"if (i < 0 || i >= {size}) return WRONG_INDEX;")
    lines.append(f"{target.kind}* to = {target.base} + r * {target.row}{to};")
    lines.append(f"{rows.kind}* from = {rows.base} + i * {rows.strides[0]};")
    rest = target.shape[count:]
    for axis, length in enumerate(rest):
        lines.append(f"for (long j{axis} = 0; j{axis} < {length}; j{axis}++)")
    pairs = list(zip(target.strides[count:], rows.strides[1:], strict=True))
    left = " + ".join(f"j{n} * {pair[0]}" for n, pair in enumerate(pairs)) or "0"
    right = " + ".join(f"j{n} * {pair[1]}" for n, pair in enumerate(pairs)) or "0"
    lines.append(f"to[{left}] = from[{right}];")
    lines.append("}" * (count + 1))
    writer.statements.append("\n".join(lines))
    writer.values[out] = target


# Shapes


def _size_number(writer: Writer, size: Variable) -> Number:
    """The size that a scalar of a shape stands for."""
    if isinstance(size, Constant):
        return int(size.data)
    node = size.owner
    if node is not None:
        op = node.op
        if isinstance(op, ScalarFromTensor | TensorFromScalar):
            return _size_number(writer, node.inputs[0])
        if isinstance(op, Shape_i):
            return writer.size(node.inputs[0], op.i)
        if isinstance(op, Elemwise):
            scalar = op.scalar_op
            numbers = [_size_number(writer, one) for one in node.inputs]
            if isinstance(scalar, ScalarCast):
                return numbers[0]
            if isinstance(scalar, Mul):
                return product(numbers)
            if isinstance(scalar, Add):
                total: Number = 0
                for number in numbers:
                    total = plus(total, number)
                return total
            if isinstance(scalar, Sub) and all(isinstance(n, int) for n in numbers):
                return numbers[0] - numbers[1]
            if isinstance(scalar, IntDiv) and all(isinstance(n, int) for n in numbers):
                return numbers[0] // numbers[1]
    raise TranslationError("a step", "has a size that it computes from values")


def _is_size_of(axes: Axes, size: Variable) -> tuple[Variable, int] | None:
    """The axis whose size a scalar is; None if it is something else."""
    while size.owner is not None:
        op = size.owner.op
        if isinstance(op, Shape_i):
            return size.owner.inputs[0], op.i
        is_cast = isinstance(op, Elemwise) and isinstance(op.scalar_op, ScalarCast)
        if not is_cast and not isinstance(op, ScalarFromTensor | TensorFromScalar):
            return None
        size = size.owner.inputs[0]
    return None


def _tie_alloc(axes: Axes, node: Apply) -> None:
    value, *shape = node.inputs
    [out] = node.outputs
    for axis, size in enumerate(shape):
        same = _is_size_of(axes, size)
        if same is not None:
            axes.tie(out, axis, *same)
    extra = out.type.ndim - value.type.ndim
    for axis in range(value.type.ndim):
        if not value.type.broadcastable[axis]:
            axes.tie(out, axis + extra, value, axis)


def _write_alloc(writer: Writer, node: Apply) -> None:
    value, *shape = node.inputs
    [out] = node.outputs
    for axis, size in enumerate(shape):
        if axis != writer.row_axis(out):
            writer.define_size(out, axis, _size_number(writer, size))
    found = writer.value(value)
    if found.is_number:
        # A number everywhere: an array of one number that stands still.
        name = writer.name("c")
        writer.statements.append(f"{found.kind} {name}[1] = {{{found.base}}};")
        found = Value(found.kind, name)
        strides: tuple[Number, ...] = (0,) * len(writer.other_axes(out))
        writer.values[out] = Value(found.kind, name, 0, writer.shape(out), strides)
        return
    extra = out.type.ndim - value.type.ndim
    own = dict(zip(writer.other_axes(value), found.strides, strict=True))
    taken: list[Number] = []
    for axis in writer.other_axes(out):
        source = axis - extra
        repeated = source < 0 or value.type.broadcastable[source]
        taken.append(0 if repeated else own[source])
    writer.values[out] = Value(
        found.kind, found.base, found.row, writer.shape(out), tuple(taken)
    )


def _shape_parts(shape: Variable) -> list[Variable | int] | None:
    """The parts of a vector of sizes; None if it is computed in another way."""
    if isinstance(shape, Constant):
        return [int(part) for part in shape.data]
    if shape.owner is not None and isinstance(shape.owner.op, MakeVector):
        return list(shape.owner.inputs)
    return None


def _tie_reshape(axes: Axes, node: Apply) -> None:
    x, shape = node.inputs
    [out] = node.outputs
    parts = _shape_parts(shape)
    if parts is None or not out.type.ndim or not x.type.ndim:
        raise TranslationError(describe(node), "has a shape that is computed")
    # Axes in front that keep their size, up to the first that does not.
    axis = 0
    while axis < min(x.type.ndim, out.type.ndim):
        if not _keeps(axes, x, out, parts[axis], axis):
            break
        axes.tie(out, axis, x, axis)
        axis += 1
    for other in range(axis, x.type.ndim):
        axes.mix(x, other, node)
    for other in range(axis, out.type.ndim):
        axes.mix(out, other, node)


def _keeps(
    axes: Axes, x: Variable, out: Variable, part: Variable | int, axis: int
) -> bool:
    """True if an axis of a reshaped value is certainly that of the value."""
    if isinstance(part, Variable):
        same = _is_size_of(axes, part)
        if same is not None and axes.find(*same) == axes.find(x, axis):
            return True
        if not isinstance(part, Constant):
            return False
        part = int(part.data)
    if part == x.type.shape[axis]:
        return True
    if part != -1 or axis != 0:
        return False
    # The size that is left over: that of the first axis if all others are known.
    before = _known_count(x.type.shape[1:])
    after = _known_count(out.type.shape[1:])
    return before is not None and before == after


def _known_count(shape: Sequence[int | None]) -> int | None:
    count = 1
    for size in shape:
        if size is None:
            return None
        count *= size
    return count


def _write_reshape(writer: Writer, node: Apply) -> None:
    x, shape = node.inputs
    [out] = node.outputs
    parts = _shape_parts(shape)
    others = writer.other_axes(out)
    left = [axis for axis in others if _part_number(parts[axis]) == -1]
    total = product(writer.shape(x))
    known: Number = 1
    for axis in others:
        if axis not in left:
            part = parts[axis]
            size = part if isinstance(part, int) else _size_number(writer, part)
            writer.define_size(out, axis, size)
            known = times(known, writer.size(out, axis))
    for axis in left:
        if isinstance(total, int) and isinstance(known, int):
            writer.define_size(out, axis, total // max(known, 1))
        else:
            writer.define_size(out, axis, f"({total} / {known})")
    made = product(writer.shape(out))
    if made != total:
        writer.size_lines.append(f"if ({made} != {total}) return WRONG_SIZE;")
    if writer.row_axis(out) != writer.row_axis(x) or writer.row_axis(x) not in (
        0,
        None,
    ):
        raise TranslationError(describe(node), MIXES)
    found = writer.value(x)
    if not found.is_contiguous:
        copy = writer.scratch(x)
        write_copy(writer, x, copy)
        found = copy
    shape_of = writer.shape(out)
    writer.values[out] = replace(
        found, shape=shape_of, strides=contiguous_strides(shape_of), is_number=False
    )


def _part_number(part: Variable | int) -> int | None:
    if isinstance(part, int):
        return part
    return int(part.data) if isinstance(part, Constant) else None


# Reductions along a row


def _reduced_axes(node: Apply) -> list[int]:
    axis = node.op.axis
    if axis is None:
        return list(range(node.inputs[0].type.ndim))
    return [axis] if isinstance(axis, int) else list(axis)


def _tie_reduction(axes: Axes, node: Apply) -> None:
    [x] = node.inputs
    reduced = _reduced_axes(node)
    kept = [axis for axis in range(x.type.ndim) if axis not in reduced]
    for axis in reduced:
        axes.mix(x, axis, node)
    for out in node.outputs:
        for place, axis in enumerate(kept):
            axes.tie(out, place, x, axis)


def _write_reduction(writer: Writer, node: Apply) -> None:
    [x], [out] = node.inputs, node.outputs
    op = node.op
    found = writer.value(x)
    if found.is_number:
        raise TranslationError(describe(node), "reduces a number")
    dtype = getattr(op, "acc_dtype", None) or out.type.dtype
    kind = f"npy_{dtype}"
    scalar_op = op.scalar_op
    from pytensor.scalar import get_scalar_type

    accumulated = get_scalar_type(dtype).make_variable()
    read = get_scalar_type(x.type.dtype).make_variable()
    scalar_node = scalar_op.make_node(accumulated, read)
    code = code_of(writer, node, scalar_op, scalar_node, ["total", "x"], ["total2"])
    identity = scalar_op.identity
    target = writer.place(out)
    reduced = _reduced_axes(node)
    others = writer.other_axes(x)
    lines = [f"for (long r = 0; r < {writer.row_count(out)}; r++) {{"]
    from_, to = "", ""
    strides = dict(zip(others, found.strides, strict=True))
    kept = [axis for axis in others if axis not in reduced]
    for place, axis in enumerate(kept):
        lines.append(
            f"for (long j{axis} = 0; j{axis} < {writer.size(x, axis)}; j{axis}++) {{"
        )
        to += f" + j{axis} * {target.strides[place]}"
    for axis in others:
        from_ += f" + j{axis} * {strides[axis]}"
    infinite = identity is None or abs(float(identity)) == float("inf")
    start = f"({kind}) {int(identity)}" if not infinite else "0"
    lines.append(f"{kind} total = {start}; bool first = {str(infinite).lower()};")
    for axis in reduced:
        lines.append(
            f"for (long j{axis} = 0; j{axis} < {writer.size(x, axis)}; j{axis}++) {{"
        )
    lines.append(f"{found.kind} x = {found.base}[r * {found.row}{from_}];")
    lines.append(
        f"if (first) {{ total = x; first = false; }} "
        f"else {{ {kind} total2; {code} total = total2; }}"
    )
    lines.append("}" * len(reduced))
    lines.append(f"{target.base}[r * {target.row}{to}] = total;")
    lines.append("}" * (len(kept) + 1))
    writer.statements.append("\n".join(lines))
    writer.values[out] = target


def _write_argmax(writer: Writer, node: Apply) -> None:
    [x], [out] = node.inputs, node.outputs
    reduced = _reduced_axes(node)
    if len(reduced) != 1:
        raise TranslationError(describe(node), "has no translation over several axes")
    [axis] = reduced
    found = writer.value(x)
    target = writer.place(out)
    others = writer.other_axes(x)
    lines = [f"for (long r = 0; r < {writer.row_count(out)}; r++) {{"]
    from_, to = "", ""
    kept = [one for one in others if one != axis]
    for place, one in enumerate(kept):
        lines.append(
            f"for (long j{one} = 0; j{one} < {writer.size(x, one)}; j{one}++) {{"
        )
        to += f" + j{one} * {target.strides[place]}"
    for one, stride in zip(others, found.strides, strict=True):
        from_ += f" + j{one} * {stride}"
    lines.append(f"long best = 0; {found.kind} largest = 0;")
    lines.append(
        f"for (long j{axis} = 0; j{axis} < {writer.size(x, axis)}; j{axis}++) {{"
    )
    lines.append(f"{found.kind} x = {found.base}[r * {found.row}{from_}];")
    # As in NumPy, the first largest value, or the first NaN.
    lines.append(
        f"if (j{axis} == 0 || (largest == largest && !(x <= largest))) "
        f"{{ best = j{axis}; largest = x; }} }}"
    )
    lines.append(f"{target.base}[r * {target.row}{to}] = best;")
    lines.append("}" * (len(kept) + 1))
    writer.statements.append("\n".join(lines))
    writer.values[out] = target


def _tie_cumulative(axes: Axes, node: Apply) -> None:
    [x], [out] = node.inputs, node.outputs
    if node.op.mode != "add":
        raise TranslationError(describe(node), "has no translation")
    axes.mix(x, node.op.axis % x.type.ndim, node)
    axes.tie_all(out, x)


def _write_cumulative(writer: Writer, node: Apply) -> None:
    """The sums up to each position of an axis."""
    [x], [out] = node.inputs, node.outputs
    axis = node.op.axis % x.type.ndim
    found = writer.value(x)
    if found.is_number:
        raise TranslationError(describe(node), "adds up a number")
    target = writer.place(out)
    others = writer.other_axes(x)
    lines = [f"for (long r = 0; r < {writer.row_count(out)}; r++) {{"]
    from_, to = "", ""
    for one, stride, new_stride in zip(
        others, found.strides, target.strides, strict=True
    ):
        from_ += f" + j{one} * {stride}"
        to += f" + j{one} * {new_stride}"
        if one != axis:
            size = writer.size(x, one)
            lines.append(f"for (long j{one} = 0; j{one} < {size}; j{one}++) {{")
    size = writer.size(x, axis)
    lines.append(f"{target.kind} total = 0;")
    lines.append(f"for (long j{axis} = 0; j{axis} < {size}; j{axis}++) {{")
    lines.append(f"total += {found.base}[r * {found.row}{from_}];")
    lines.append(f"{target.base}[r * {target.row}{to}] = total; }}")
    lines.append("}" * len(others))
    writer.statements.append("\n".join(lines))
    writer.values[out] = target


# Products


def _tie_dot(axes: Axes, node: Apply) -> None:
    left, right = node.inputs[:2]
    [out] = node.outputs
    ndims = left.type.ndim, right.type.ndim
    if ndims not in ((2, 2), (2, 1), (1, 2)):
        raise TranslationError(describe(node), "has no translation for vectors")
    inner = left.type.ndim - 1
    axes.tie(left, inner, right, 0)
    axes.mix(left, inner, node)
    if left.type.ndim == 2:
        axes.tie(out, 0, left, 0)
    if right.type.ndim == 2:
        axes.tie(out, out.type.ndim - 1, right, 1)


def _write_dot(writer: Writer, node: Apply) -> None:
    left, right = node.inputs[:2]
    [out] = node.outputs
    _check_weights(writer, node, right)
    if writer.row_axis(left) not in (0, None):
        raise TranslationError(describe(node), "has rows in its second axis")
    matrix = writer.value(right)
    if right.type.ndim == 1:
        matrix = replace(matrix, shape=(*matrix.shape, 1), strides=(*matrix.strides, 1))
    packed = writer.packed(right, matrix)
    a = _with_rows_contiguous(writer, left)
    target = writer.place(out)
    K, N = matrix.shape
    count: Number = "rows"
    a_row, c_row = a.row, target.row
    if writer.row_axis(left) is None:
        count = 1 if left.type.ndim == 1 else writer.size(left, 0)
        a_row = 0 if left.type.ndim == 1 else a.strides[0]
        c_row = 0 if left.type.ndim == 1 else target.strides[0]
    writer.statements.append(
        f"product<{a.kind}>({count}, {K}, {N}, {a.base}, {a_row}, {packed}, "
        f"{target.base}, {c_row});"
    )
    both = times(K, N)
    # A multiplication takes an eighth of the time of a line of an elementwise loop.
    writer.cost += both // 8 if isinstance(both, int) else 1000
    writer.values[out] = target


def _check_weights(writer: Writer, node: Apply, right: Variable) -> None:
    """Raise TranslationError unless the right factor is the same at every step."""
    if writer.row_axis(right) is not None:
        raise TranslationError(describe(node), "has rows in its right factor")
    if not is_constant_over_time(writer, right):
        raise TranslationError(
            describe(node), "has weights that change from step to step"
        )
    if right.type.dtype not in ("float32", "float64"):
        raise TranslationError(describe(node), f"multiplies {right.type.dtype}")
    for value in node.inputs[:2]:
        if value.type.dtype != node.outputs[0].type.dtype:
            raise TranslationError(describe(node), "multiplies values of two dtypes")


def is_constant_over_time(writer: Writer, value: Variable) -> bool:
    """True for an array of the call without time, and for views of one."""
    if isinstance(value, Constant):
        return True
    if value.owner is not None:
        return isinstance(value.owner.op, DimShuffle) and is_constant_over_time(
            writer, value.owner.inputs[0]
        )
    return any(
        array.variable is value and not array.has_time and array.source[0] == "input"
        for array in writer.arrays
    )


def _with_rows_contiguous(writer: Writer, value: Variable) -> Value:
    """A value without gaps along its last axis, copied if need be."""
    found = writer.value(value)
    if found.strides[-1] == 1 and not found.is_number:
        return found
    copy = writer.scratch(value)
    write_copy(writer, value, copy)
    return copy


def _tie_batched_dot(axes: Axes, node: Apply) -> None:
    left, right = node.inputs
    [out] = node.outputs
    _tie_batches(axes, node)
    axes.tie(out, out.type.ndim - 2, left, left.type.ndim - 2)
    axes.tie(out, out.type.ndim - 1, right, right.type.ndim - 1)
    axes.tie(left, left.type.ndim - 1, right, right.type.ndim - 2)
    axes.mix(left, left.type.ndim - 1, node)


def _tie_batches(axes: Axes, node: Apply) -> None:
    [out] = node.outputs
    if not isinstance(node.op, BatchedDot):
        core = getattr(node.op, "core_op", None)
        signature = getattr(node.op, "signature", "").replace(" ", "")
        if not isinstance(core, Dot) or signature not in BATCHED:
            raise TranslationError(describe(node), "has no translation")
    for axis in range(out.type.ndim - 2):
        for one in node.inputs:
            repeated = one.type.broadcastable[axis]
            if not repeated or out.type.broadcastable[axis]:
                axes.tie(out, axis, one, axis)


BATCHED = ("(m,k),(k,n)->(m,n)", "(n,k),(k,m)->(n,m)", "(m,n),(n,p)->(m,p)")


def _write_batched_dot(writer: Writer, node: Apply) -> None:
    left, right = node.inputs
    [out] = node.outputs
    for value in (left, right):
        if value.type.dtype != out.type.dtype:
            raise TranslationError(describe(node), "multiplies values of two dtypes")
        if writer.row_axis(value) not in (0, None):
            raise TranslationError(describe(node), "has rows in another axis")
    target = writer.place(out)
    batches = writer.other_axes(out)[:-2]
    a, b = broadcast_batches(writer, left, out), broadcast_batches(writer, right, out)
    M, N = (writer.size(out, axis) for axis in (out.type.ndim - 2, out.type.ndim - 1))
    K = writer.size(left, left.type.ndim - 1)
    lines = [f"for (long r = 0; r < {writer.row_count(out)}; r++) {{"]
    for place, axis in enumerate(batches):
        size = writer.size(out, axis)
        lines.append(f"for (long b{place} = 0; b{place} < {size}; b{place}++) {{")
    pointers = []
    for name, value in (("a", a), ("w", b), ("c", target)):
        terms = "".join(
            f" + b{place} * {value.strides[place]}" for place in range(len(batches))
        )
        lines.append(f"{value.kind}* {name} = {value.base} + r * {value.row}{terms};")
        pointers.append(value.strides[len(batches) :])
    (am, ak), (bk, bn), (cm, cn) = pointers
    # Row by row of the right factor, so that the inner loop is over its columns.
    lines.append(f"for (long m = 0; m < {M}; m++) {{")
    lines.append(f"for (long n = 0; n < {N}; n++) c[m * {cm} + n * {cn}] = 0;")
    lines.append(
        f"for (long k = 0; k < {K}; k++) {{ const {a.kind} x = a[m * {am} + k * {ak}];"
    )
    lines.append("#pragma GCC ivdep")
    lines.append(
        f"for (long n = 0; n < {N}; n++) "
        f"c[m * {cm} + n * {cn}] += x * w[k * {bk} + n * {bn}]; }} }}"
    )
    lines.append("}" * (len(batches) + 1))
    writer.statements.append("\n".join(lines))
    writer.cost += 1000
    writer.values[out] = target


def broadcast_batches(writer: Writer, value: Variable, out: Variable) -> Value:
    """A factor with the batch axes of the result."""
    found = writer.value(value)
    own = dict(zip(writer.other_axes(value), found.strides, strict=True))
    strides: list[Number] = []
    for axis in writer.other_axes(out)[:-2]:
        strides.append(0 if value.type.broadcastable[axis] else own[axis])
    strides.extend([own[value.type.ndim - 2], own[value.type.ndim - 1]])
    return replace(found, strides=tuple(strides))


TABLE: Mapping[type, Operation] = {
    Alloc: Operation(_tie_alloc, _write_alloc),
    AdvancedSubtensor: Operation(_tie_take, _write_take),
    AdvancedSubtensor1: Operation(_tie_take, _write_take),
    Argmax: Operation(_tie_reduction, _write_argmax),
    Assert: Operation(_tie_check, _write_check),
    BatchedDot: Operation(_tie_batched_dot, _write_batched_dot),
    Blockwise: Operation(_tie_batched_dot, _write_batched_dot),
    CheckAndRaise: Operation(_tie_check, _write_check),
    CumOp: Operation(_tie_cumulative, _write_cumulative),
    ContiguousCopy: Operation(_tie_same, _write_same, is_view=True),
    DeepCopyOp: Operation(_tie_same, _write_same, is_view=True),
    DimShuffle: Operation(_tie_dimshuffle, _write_dimshuffle, is_view=True),
    Dot: Operation(_tie_dot, _write_dot),
    Dot22: Operation(_tie_dot, _write_dot),
    EveryRow: Operation(_tie_nothing, _write_every_row),
    IncSubtensor: Operation(_tie_inc_subtensor, _write_inc_subtensor),
    Join: Operation(_tie_join, _write_join),
    MakeVector: Operation(_tie_make_vector, _write_make_vector),
    Reshape: Operation(_tie_reshape, _write_reshape),
    ScalarFromTensor: Operation(_tie_nothing, _write_number, is_view=True),
    Shape_i: Operation(_tie_nothing, _write_size, is_view=True),
    SpecifyShape: Operation(_tie_same, _write_same, is_view=True),
    Split: Operation(_tie_split, _write_split, is_view=True),
    Subtensor: Operation(_tie_subtensor, _write_subtensor),
    TensorFromScalar: Operation(_tie_nothing, _write_number, is_view=True),
    ViewOp: Operation(_tie_same, _write_same, is_view=True),
}
"""Every operation that has a translation, but for elementwise ones and reductions."""

REDUCTION = Operation(_tie_reduction, _write_reduction)


def operation(node: Apply) -> Operation | None:
    """The entry of an operation; None if it has none."""
    if isinstance(node.op, CAReduce):
        return REDUCTION
    return TABLE.get(type(node.op))
