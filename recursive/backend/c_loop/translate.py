"""A loop as C text: PyTensor's Scan node in, a program out.

1. The graph of the step is simplified (``simplified``).
2. Each operation ties the axes of its values, and the axis of rows is found.
3. Each array that the loop reads or writes gets a name in C (``_Arrays``).
4. The operations are written one after the other, elementwise ones in clusters.
5. The text is put together (``program.py``).

The arrays are those of PyTensor's scan. A *state* has a buffer ``(length, ...)``, in
front of it the rows before the first step: step ``t`` writes position ``lag + t`` and
reads ``lag + t - k``. If only the last values are wanted, the buffer is shorter and the
position counts modulo its length. A value that feeds no state is collected at position
``t``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.scan.op import Scan
from pytensor.tensor.basic import Join
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.math import Dot
from pytensor.tensor.rewriting.shape import ShapeFeature
from pytensor.tensor.type import TensorType

from recursive.backend.c_loop import program
from recursive.backend.c_loop.axes import Axes, Axis
from recursive.backend.c_loop.elementwise import (
    domain,
    is_elementwise,
    write_cluster,
    write_copy,
)
from recursive.backend.c_loop.operations import (
    join_places,
    join_sizes,
    mark_checks,
    operation,
    tie_elementwise,
)
from recursive.backend.c_loop.outside import sunk_bias
from recursive.backend.c_loop.refusal import TranslationError, describe
from recursive.backend.c_loop.writer import Array, Writer, kind_of


@dataclass(frozen=True, slots=True)
class State:
    """A state of a loop.

    Args:
        lag: the number of rows before the first step.
        input_index: the input of the loop that holds them.
        is_traced: False if only its last value is wanted.
    """

    lag: int
    input_index: int
    is_traced: bool = True


@dataclass(frozen=True, slots=True)
class Translation:
    """A loop in C, and how to call it.

    Args:
        source: the C text.
        arrays: the arrays that the C function takes, in its order.
        constants: the values of those that are written in the graph.
        failures: the errors that the operations of a step may raise.
        states: the states.
        collected: for each value that feeds no state, the input of the loop that says
            how many steps are kept.
        sequences: the inputs that are sequences.
        size_sources: the (array, axis) of each size that the C function takes.
        size_checks: the (array, axis) pairs of axes of one size; the number of the
            class, or the size.
        output_shapes: for each output, its sizes but that of time: numbers, ``R``, or
            the (array, axis) that tells it.
        cost: about the number of vector operations per row and step.
    """

    source: str
    arrays: tuple[Array, ...]
    constants: tuple[np.ndarray, ...]
    failures: tuple[Exception, ...]
    states: tuple[State, ...]
    collected: tuple[int, ...]
    sequences: range
    size_sources: tuple[tuple[int, int], ...]
    size_checks: tuple[tuple[int, int, Axis | int], ...]
    output_shapes: tuple[tuple[int | str, ...], ...]
    named_sizes: dict[str, tuple[int, int]]
    rows: Axis
    cost: int


def translate(loop: Loop) -> Translation:
    """Translate a loop.

    Raises:
        TranslationError: with the operation that is the reason.
    """
    try:
        return _translated(loop)
    except UNFORESEEN as error:
        # An operation in a form that the table does not foresee.
        raise TranslationError("a step", f"is not understood: {error!r}") from error


UNFORESEEN = (AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What Python raises if a graph is not as the table expects it."""


def _translated(loop: Loop) -> Translation:
    step, info = loop.step, loop.info
    axes = _tied(step, info)
    everything = [one for one in step.variables if isinstance(one.type, TensorType)]
    for value in step.inputs:
        kind_of(value)
    if not step.outputs:
        raise TranslationError("a loop", "without results")
    rows = axes.rows(step.outputs, everything)
    writer = Writer(axes, rows)
    arrays = _Arrays(writer, step, info)
    arrays.declare()
    _write_step(writer, step)
    arrays.finish()
    return Translation(
        source=program.text(writer),
        arrays=tuple(writer.arrays),
        constants=tuple(writer.constants),
        failures=tuple(writer.failures),
        states=tuple(arrays.states),
        collected=tuple(arrays.collected),
        sequences=range(1, 1 + info.n_seqs),
        size_sources=tuple(writer.size_sources),
        size_checks=tuple(writer.size_checks),
        output_shapes=tuple(arrays.output_shapes()),
        named_sizes=writer.named_sizes,
        rows=rows,
        cost=writer.cost,
    )


class Loop:
    """A Scan node taken apart: the graph of its step, and what it reads.

    Args:
        node: the Scan.

    Raises:
        TranslationError: for kinds of loops that are never translated.
    """

    def __init__(self, node: Apply):
        self.node = node
        self.info = node.op.info
        if self.info.as_while:
            raise TranslationError("until", "stops the loop early")
        if self.info.mit_mot_in_slices:
            raise TranslationError("scan's own gradient", "adds up in the loop")
        self.step = simplified(node.op)
        self.inputs = list(node.inputs)

    def sink_biases(self) -> None:
        """Add the biases of sequences in the step instead of before the loop."""
        for index in range(self.info.n_seqs):
            found = sunk_bias(self.inputs[1 + index])
            if found is None:
                continue
            outer, outer_bias = found
            inner = self.step.inputs[index]
            if outer.type.ndim != inner.type.ndim + 1 or not self.step.clients[inner]:
                continue
            sequence, bias = inner.type(), outer_bias.type()
            total = sequence + bias
            if total.type != inner.type:
                continue
            self.step.add_input(bias)
            self.step.add_input(sequence)
            self.step.replace(inner, total, reason="sink_biases")
            # The new sequence takes the place of the old one.
            self.step.inputs.remove(sequence)
            self.step.inputs[index] = sequence
            self.inputs[1 + index] = outer
            self.inputs.append(outer_bias)


# The graph of a step


@node_rewriter([OpFromGraph])
def _inlined(graph: FunctionGraph, node: Apply) -> list[Variable] | None:
    inner = thawed(node.op.fgraph)
    outside = dict(zip(inner.inputs, node.inputs, strict=True))
    return clone_replace(inner.outputs, outside)


def simplified(op: Scan) -> FunctionGraph:
    """A simplified copy of the graph of a step; no operation in it holds a graph."""
    shapes = ShapeFeature()
    inner = thawed(op.fgraph)
    graph = FunctionGraph(inner.inputs, inner.outputs, clone=True, features=[shapes])
    inline(graph)
    rewrite_graph(
        graph,
        include=("canonicalize", "stabilize", "specialize"),
        exclude=("fusion", "inplace", "BlasOpt", "local_dot_to_dot22"),
    )
    inline(graph)  # a softmax is found again where it was written out
    graph.remove_feature(shapes)
    mark_checks(graph)
    return graph


def thawed(graph: FunctionGraph) -> FunctionGraph:
    """The graph inside an operation; later versions of PyTensor freeze it."""
    return graph.unfreeze() if hasattr(graph, "unfreeze") else graph


def inline(graph: FunctionGraph) -> None:
    """Replace operations that hold graphs by these graphs."""
    dfs_rewriter(_inlined).rewrite(graph)


def _tied(step: FunctionGraph, info: object) -> Axes:
    """The classes of all axes of a step."""
    axes = Axes()
    for node in step.toposort():
        if is_elementwise(node):
            tie_elementwise(axes, node)
            continue
        entry = operation(node)
        if entry is None:
            raise TranslationError(describe(node), "has no translation")
        entry.tie(axes, node)
    # The past of a state and the result that feeds it are of one shape.
    place = info.n_seqs
    result = 0
    for taps in (*info.mit_sot_in_slices, *info.sit_sot_in_slices):
        for _ in taps:
            axes.tie_all(step.outputs[result], step.inputs[place])
            place += 1
        result += 1
    result += info.n_nit_sot
    for _ in range(info.n_untraced_sit_sot):
        axes.tie_all(step.outputs[result], step.inputs[place])
        place += 1
        result += 1
    return axes


# Arrays


class _Arrays:
    """The arrays of a loop, in the order of PyTensor's inputs and outputs."""

    def __init__(self, writer: Writer, step: FunctionGraph, info: object):
        self.writer = writer
        self.step = step
        self.info = info
        self.states: list[State] = []
        self.collected: list[int] = []
        # The number of the array of each output, and where a step writes in it.
        self.outputs: list[tuple[int, str]] = []

    def declare(self) -> None:
        """Name every array, and give every input of the step its value."""
        writer, step, info = self.writer, self.step, self.info
        lags = [-min(taps) for taps in self._taps()]
        first_untraced = 1 + info.n_seqs + len(lags)
        first_length = first_untraced + info.n_untraced_sit_sot
        first_constant = first_length + info.n_nit_sot

        # Arrays tell sizes, so all of them are named before the first is used.
        sequences, others, reads = [], [], []
        for index in range(info.n_seqs):
            value = step.inputs[index]
            number = writer.add_array(value, ("input", 1 + index), has_time=True)
            writer.read_sizes(number)
            sequences.append((value, number))
        inputs = iter(step.inputs[info.n_seqs :])
        for index, taps in enumerate(self._taps()):
            result = step.outputs[index]
            number = writer.add_array(
                result, ("output", index), has_time=True, ring=True
            )
            writer.read_sizes(number)
            lag = lags[index]
            self.states.append(State(lag, 1 + info.n_seqs + index))
            self.outputs.append((number, writer.ring_position(number, lag)))
            for tap in taps:
                position = writer.ring_position(number, lag + tap)
                reads.append((next(inputs), number, position))
        for index in range(info.n_untraced_sit_sot):
            place = len(lags) + info.n_nit_sot + index
            result = step.outputs[place]
            number = writer.add_array(
                result, ("output", place), has_time=True, ring=True
            )
            writer.read_sizes(number)
            self.states.append(State(1, first_untraced + index, is_traced=False))
            reads.append((next(inputs), number, writer.ring_position(number, 0)))
        for index, value in enumerate(inputs):
            number = writer.add_array(
                value,
                ("input", first_constant + index),
                any_strides=self._is_only_multiplied(value),
            )
            writer.read_sizes(number)
            others.append((value, number))

        for value, number in sequences:
            writer.values[value] = writer.view(number, "t")
        for value, number, position in reads:
            writer.values[value] = writer.view(number, position)
        for value, number in others:
            writer.values[value] = writer.view(number)
        for index in range(info.n_nit_sot):
            self.collected.append(first_length + index)
        self._collect(len(lags))
        for index in range(info.n_untraced_sit_sot):
            number = self._array_of(("output", len(lags) + info.n_nit_sot + index))
            self.outputs.append((number, writer.ring_position(number, 1)))
        self._place()

    def _taps(self) -> list[tuple[int, ...]]:
        return [*self.info.mit_sot_in_slices, *self.info.sit_sot_in_slices]

    def _array_of(self, source: tuple[str, int]) -> int:
        for number, array in enumerate(self.writer.arrays):
            if array.source == source:
                return number
        raise LookupError(source)

    def _collect(self, first: int) -> None:
        for index in range(self.info.n_nit_sot):
            result = self.step.outputs[first + index]
            number = self.writer.add_array(
                result, ("output", first + index), has_time=True, ring=True
            )
            position = self.writer.ring_position(number, 0)
            self.outputs.append((number, position))

    def _is_only_multiplied(self, value: Variable) -> bool:
        """True for weights: right factors of products, maybe transposed."""
        clients = self.step.clients[value]
        for client, place in clients:
            op = client.op
            if isinstance(op, Dot) and place == 1 and value.type.ndim == 2:
                continue
            if isinstance(op, DimShuffle) and self._is_only_multiplied(
                client.outputs[0]
            ):
                continue
            return False
        return bool(clients) and value.type.ndim == 2

    def _place(self) -> None:
        """Let each result be computed where it is wanted."""
        writer = self.writer
        for result, (number, position) in zip(
            self.step.outputs, self.outputs, strict=True
        ):
            if result.owner is not None and result not in writer.places:
                try:
                    place = writer.view(number, position)
                except TranslationError:
                    continue  # its size is known only later: it is copied
                writer.places[result] = place

    def finish(self) -> None:
        """Copy the results that were computed elsewhere."""
        writer = self.writer
        used = set()
        for result, (number, position) in zip(
            self.step.outputs, self.outputs, strict=True
        ):
            value = writer.value(result)
            if result in writer.places and result not in used:
                used.add(result)
                place = writer.places[result]
                if value == place:
                    continue
            else:
                place = writer.view(number, position)
            write_copy(writer, result, place)

    def output_shapes(self) -> list[tuple[int | str, ...]]:
        """The sizes of each output; a name is that of a C variable."""
        shapes = []
        for result in self.step.outputs:
            sizes = [self.writer.size(result, axis) for axis in range(result.ndim)]
            for size in sizes:
                is_known = isinstance(size, int) or size == "R"
                if not is_known and size not in self.writer.named_sizes:
                    raise TranslationError("a result", "has a size it computes")
            shapes.append(tuple(sizes))
        return shapes


# Statements


def _write_step(writer: Writer, step: FunctionGraph) -> None:
    """Write all operations of a step."""
    waiting = list(step.toposort())
    _place_parts(writer, step, waiting)
    results = set(step.outputs)
    done: set[Apply] = set()
    while waiting:
        # First all that is not elementwise, so that clusters become large.
        waiting = _write_ready(writer, waiting, done)
        cluster, waiting = _next_cluster(writer, waiting, done)
        members = set(cluster)

        def needed(value: Variable, members: set[Apply] = members) -> bool:
            if value in results:
                return True
            return any(client not in members for client, _ in step.clients[value])

        if cluster:
            write_cluster(writer, cluster, needed)
            done |= members


def _owners(node: Apply) -> set[Apply]:
    """The operations that compute the inputs of a node."""
    return {value.owner for value in node.inputs if value.owner is not None}


def _write_ready(
    writer: Writer, waiting: Sequence[Apply], done: set[Apply]
) -> list[Apply]:
    """Write the operations that wait for no elementwise one; returns the others."""
    left = []
    for node in waiting:
        if is_elementwise(node) or not _owners(node) <= done:
            left.append(node)
        else:
            _write(writer, node)
            done.add(node)
    return left


def _next_cluster(
    writer: Writer, waiting: Sequence[Apply], done: set[Apply]
) -> tuple[list[Apply], list[Apply]]:
    """The next cluster of elementwise operations, and what is left."""
    cluster: list[Apply] = []
    left: list[Apply] = []
    at_hand = set(done)
    kind: tuple | None = None
    for node in waiting:
        is_ready = is_elementwise(node) and _owners(node) <= at_hand
        if is_ready and kind in (None, domain(writer, node)):
            kind = domain(writer, node)
            cluster.append(node)
            at_hand.add(node)
        else:
            left.append(node)
    return cluster, left


def _write(writer: Writer, node: Apply) -> None:
    if isinstance(node.op, Join):
        join_sizes(writer, node)
    operation(node).write(writer, node)


def _place_parts(writer: Writer, step: FunctionGraph, nodes: Sequence[Apply]) -> None:
    """Let the parts of concatenations be computed within the whole."""
    for node in reversed(nodes):
        if not isinstance(node.op, Join):
            continue
        try:
            join_sizes(writer, node)
            places = join_places(writer, node)
        except TranslationError:
            continue  # a size is known only later: the parts are copied
        for part, place in places:
            owner = part.owner
            if owner is None or part in writer.places:
                continue
            if writer.row_axis(part) != writer.row_axis(node.outputs[0]):
                continue
            entry = None if is_elementwise(owner) else operation(owner)
            if entry is None or not entry.is_view:
                writer.places[part] = place
