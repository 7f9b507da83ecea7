"""Elementwise operations, fused: one loop over the values computes all of them.

Operations that follow each other and have results of the same shape form a *cluster*.
The C code of a cluster is one loop: it reads each input of the cluster once, computes
every operation on local variables, and stores what others read::

    for each row r:
        for each position j of the row:
            v1 = a[r, j] + b[j];
            v2 = tanh(v1);
            h[r, j] = v2;

The C of one operation on single values is PyTensor's own, from its scalar operations.
tanh and sigmoid of a float32 are the arithmetic of ``vectorized.py``, so that gcc can
compute several positions at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytensor.graph.basic import Apply, Variable
from pytensor.scalar.basic import Tanh
from pytensor.scalar.math import Sigmoid
from pytensor.tensor.elemwise import Elemwise

from recursive.backend.c_loop.refusal import TranslationError, describe
from recursive.backend.c_loop.values import Number, Value, times
from recursive.backend.c_loop.writer import Writer, kind_of

ROUTINES = {Tanh: "recursive_tanh", Sigmoid: "recursive_sigmoid"}
"""Functions of one float32 that the prologue has."""

FAILS = "RECURSIVE_FAILS"
"""Marks where PyTensor's C code would leave with an error."""


def domain(writer: Writer, node: Apply) -> tuple:
    """What the results of two operations of one cluster have in common."""
    result = node.outputs[0]
    return writer.row_axis(result), writer.shape(result)


def write_cluster(
    writer: Writer, nodes: Sequence[Apply], needed: Callable[[Variable], bool]
) -> None:
    """Write the loop of a cluster.

    Args:
        writer: the text.
        nodes: elementwise operations, in the order in which they run.
        needed: True for a result that is read outside the cluster.
    """
    first = nodes[0].outputs[0]
    if first.type.ndim == 0 and writer.row_axis(first) is None:
        _write_numbers(writer, nodes)
        return
    inside: dict[Variable, str] = {}
    arrays: list[tuple[Value, str]] = []  # each with its pointer at the row
    reads: dict[Variable, str] = {}
    body: list[str] = []
    for node in nodes:
        names = []
        for value in node.inputs:
            if value in inside:
                names.append(inside[value])
                continue
            if value not in reads:
                reads[value] = _operand(writer, value, first, arrays, body)
            names.append(reads[value])
        made = []
        for output in node.outputs:
            name = writer.name()
            inside[output] = name
            body.append(f"{kind_of(output)} {name};")
            made.append(name)
        body.append(scalar_code(writer, node, names, made))
        for output, name in zip(node.outputs, made, strict=True):
            if needed(output):
                target = writer.place(output)
                writer.values[output] = target
                pointer = writer.name("x")
                arrays.append((target, pointer))
                body.append(f"{pointer}[{{{pointer}}}] = {name};")
    write_loops(writer, first, arrays, body)


def _operand(
    writer: Writer,
    value: Variable,
    result: Variable,
    arrays: list[tuple[Value, str]],
    body: list[str],
) -> str:
    """The C name of one number of an input of the cluster."""
    found = writer.value(value)
    if found.is_number:
        return found.base
    found = broadcast(writer, value, result)
    pointer, name = writer.name("x"), writer.name()
    arrays.append((found, pointer))
    body.append(f"const {found.kind} {name} = {pointer}[{{{pointer}}}];")
    return name


def broadcast(writer: Writer, value: Variable, result: Variable) -> Value:
    """``value`` with the axes of ``result``, standing still where it is repeated."""
    found = writer.value(value)
    own = dict(zip(writer.other_axes(value), found.strides, strict=True))
    rows = writer.row_axis(result)
    strides: list[Number] = []
    for axis in range(result.type.ndim):
        if axis == rows:
            continue
        repeated = value.type.broadcastable[axis]
        strides.append(0 if repeated else own[axis])
    return Value(
        found.kind, found.base, found.row, writer.shape(result), tuple(strides)
    )


def write_loops(
    writer: Writer,
    result: Variable,
    arrays: Sequence[tuple[Value, str]],
    body: Sequence[str],
) -> None:
    """Write the loops over rows and positions around ``body``.

    Args:
        writer: the text.
        result: a value of the shape that the loops run over.
        arrays: the arrays that the body reads or writes, of that shape, with the names
            of their pointers. In the body ``x[{x}]`` stands for the number of the array
            ``x`` at the position.
        body: the lines.
    """
    sizes = list(writer.shape(result))
    strides = [list(value.strides) for value, _ in arrays]
    _merge_axes(sizes, strides)
    lines = [f"for (long r = 0; r < {writer.row_count(result)}; r++) {{"]
    for value, pointer in arrays:
        offset = f" + r * {value.row}" if value.row else ""
        lines.append(f"{value.kind}* {pointer} = {value.base}{offset};")
    for number, size in enumerate(sizes):
        if number == len(sizes) - 1:
            lines.append("#pragma GCC ivdep")
        lines.append(f"for (long j{number} = 0; j{number} < {size}; j{number}++) {{")
    positions = {}
    for (_, pointer), own in zip(arrays, strides, strict=True):
        terms = [
            f"j{number}" if stride == 1 else f"j{number} * {stride}"
            for number, stride in enumerate(own)
            if stride != 0
        ]
        positions[pointer] = " + ".join(terms) or "0"
    for line in body:
        for pointer, position in positions.items():
            line = line.replace(f"{{{pointer}}}", position)
        lines.append(line)
    lines.append("}" * (len(sizes) + 1))
    writer.statements.append("\n".join(lines))
    writer.cost += _count(sizes) * len(body)


def _merge_axes(sizes: list[Number], strides: list[list[Number]]) -> None:
    """Make one axis of two where every array goes on from one to the next."""
    axis = len(sizes) - 2
    while axis >= 0:
        goes_on = all(
            own[axis] == times(own[axis + 1], sizes[axis + 1]) for own in strides
        )
        if goes_on:
            sizes[axis : axis + 2] = [times(sizes[axis], sizes[axis + 1])]
            for own in strides:
                del own[axis]
        axis -= 1


def _count(sizes: Sequence[Number]) -> int:
    """About how many positions there are."""
    count = 1
    for size in sizes:
        count *= size if isinstance(size, int) else 64
    return count


def _write_numbers(writer: Writer, nodes: Sequence[Apply]) -> None:
    """Write operations on numbers that are the same in all rows."""
    for node in nodes:
        names = []
        for value in node.inputs:
            names.append(writer.number(value))
        for output in node.outputs:
            name = writer.name()
            writer.statements.append(f"{kind_of(output)} {name};")
            writer.values[output] = Value(kind_of(output), name, is_number=True)
        made = [writer.values[output].base for output in node.outputs]
        writer.statements.append(scalar_code(writer, node, names, made))


def scalar_code(
    writer: Writer, node: Apply, names: Sequence[str], made: Sequence[str]
) -> str:
    """The C code that computes an elementwise operation on single values."""
    scalar_op = node.op.scalar_op
    routine = ROUTINES.get(type(scalar_op))
    if routine and node.outputs[0].type.dtype == "float32":
        cast = "" if node.inputs[0].type.dtype == "float32" else "(npy_float32) "
        return f"{made[0]} = {routine}({cast}{names[0]});"
    scalar_node = node.op.make_scalar_node(*node.inputs)
    return code_of(writer, node, scalar_op, scalar_node, names, made)


def code_of(
    writer: Writer,
    node: Apply,
    scalar_op: object,
    scalar_node: Apply,
    names: Sequence[str],
    made: Sequence[str],
) -> str:
    """PyTensor's C code of a scalar operation.

    Raises:
        TranslationError: if it has none, or one that may fail.
    """
    unique = writer.name("op")
    try:
        code = scalar_op.c_code(
            scalar_node, unique, list(names), list(made), {"fail": FAILS}
        )
        support = scalar_op.c_support_code()
        apply_support = scalar_op.c_support_code_apply(scalar_node, unique)
        headers = scalar_op.c_headers()
    except (NotImplementedError, AttributeError, TypeError) as error:
        raise TranslationError(describe(node), "has no C code") from error
    if FAILS in code or "Py" in code:
        raise TranslationError(describe(node), "has C code that may fail")
    for header in headers:
        writer.support[f"#include {header}"] = None
    for text in (support, apply_support):
        if "Py" in text or "numpy/" in text:
            raise TranslationError(describe(node), "has C code that needs Python")
        if text.strip():
            writer.support[text] = None
    return f"{{ {code} }}"


def write_copy(writer: Writer, source: Variable, target: Value) -> None:
    """Copy the value of ``source`` to ``target``, of the same shape."""
    found = writer.value(source)
    if found.is_number:
        writer.statements.append(f"{target.base}[0] = {found.base};")
        return
    read, write = writer.name("x"), writer.name("x")
    body = [f"{write}[{{{write}}}] = {read}[{{{read}}}];"]
    write_loops(writer, source, [(found, read), (target, write)], body)


def is_elementwise(node: Apply) -> bool:
    """True if a node is an elementwise operation."""
    return isinstance(node.op, Elemwise)
