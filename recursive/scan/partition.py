"""The place of every value: forward loop, backward loop, or after both.

The graph of a step and its vector-Jacobian product holds three kinds of values::

    forward     does not depend on a gradient             z_t, h_t, 1 - h_t**2
    in loop     leads to a gradient of the past           delta_t, dz_t, dz_t U.T
    after loop  the other values that depend on gradients      dz_t W.T

Values flow from the first kind to the second and third, and from the second to the
third. What flows from the forward loop is *stored*; what flows from the backward loop
to later work is *emitted*. Both are kept for all steps, ``(time, batch, ...)``.

Fewer stored values cost less memory and time. So a value is not stored, but computed
again, if cheap operations give it from the step's inputs, its results and other stored
values, and at most one more value is stored for it.

A transposed weight is not stored either: it is the same at every step. It is computed
once before the backward loop, and passed to it like a weight.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pytensor.graph.basic import Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.traversal import ancestors
from pytensor.scalar.basic import (
    EQ,
    GE,
    GT,
    LE,
    LT,
    NEQ,
    Add,
    Cast,
    Identity,
    Mul,
    Neg,
    Sqr,
    Sub,
    Switch,
)
from pytensor.tensor.basic import Alloc, Join, MakeVector, Split
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Dot
from pytensor.tensor.shape import Shape_i, SpecifyShape
from pytensor.tensor.subtensor import Subtensor

from recursive.scan.step_graph import StepGraph, is_size

CHEAP = (
    Alloc,
    DimShuffle,
    Join,
    MakeVector,
    Shape_i,
    SpecifyShape,
    Split,
    Subtensor,
)
"""Operations that are computed again rather than stored."""

CHEAP_ELEMENTWISE = (
    Add,
    Cast,
    EQ,
    GE,
    GT,
    Identity,
    LE,
    LT,
    Mul,
    NEQ,
    Neg,
    Sqr,
    Sub,
    Switch,
)
"""The same for elementwise operations."""


@dataclass(frozen=True, slots=True)
class Partition:
    """The values that go from one loop to the other, or to the work after them.

    Args:
        stored: values of the forward step that the forward loop returns in addition to
            its results.
        emitted: values of the backward step that the work after the loop reads.
        precomputed: values that the backward step reads and that are computed once
            before the backward loop, since they are the same at every step, such as a
            transposed weight.
        read: everything that the backward step reads: inputs of the forward step,
            results, stored and precomputed values, and the placeholders of gradients.
    """

    stored: tuple[Variable, ...] = ()
    emitted: tuple[Variable, ...] = ()
    precomputed: tuple[Variable, ...] = ()
    read: frozenset[Variable] = frozenset()


def partition(
    step: StepGraph,
    arriving: Sequence[Variable],
    carried: Sequence[Variable],
    deltas: Sequence[Variable],
    past_gradients: Sequence[Variable],
    later_gradients: Sequence[Variable],
    graph: FunctionGraph,
    whole: bool = False,
) -> Partition:
    """Find what is stored, emitted and precomputed.

    Args:
        step: the forward step.
        arriving: the placeholders of gradients from outside and from later steps.
        carried: those from later steps.
        deltas: the gradients of results that feed a state.
        past_gradients: the gradients with respect to pasts, which the loop computes.
        later_gradients: the other gradients, which are computed after the loop.
        graph: the graph of all of them.
        whole: True to emit concatenations as they are, and their parts as slices; and
            to compute elementwise values in the loop, which otherwise take a pass over
            all steps each.
    """
    depend_on_gradients = _depending_on(set(arriving), graph)
    forward = _computed(graph) - depend_on_gradients
    # Every delta is computed in the loop, even if only the work after it reads it.
    needed_in_loop = {*ancestors(past_gradients), *deltas}
    in_loop = (depend_on_gradients & needed_in_loop) | set(carried)
    if whole:
        on_the_way = _elementwise(arriving, depend_on_gradients, graph)
        wanted = first_reached(later_gradients, on_the_way)
        in_loop |= depend_on_gradients & set(ancestors(wanted))

    # A concatenation is left to the work after the loop, which treats its parts one by
    # one (see weight_gradient in backward.py), unless it is emitted whole.
    at_hand = in_loop | forward
    kept_whole = set()
    if whole:
        kept_whole = {value for value in in_loop if columns_of_parts(value)}
    uncut = set()
    for value in at_hand:
        if value in kept_whole or not parts_of_concatenation(value):
            uncut.add(value)
    from_outside = set(arriving) - set(carried)
    emitted, read_after_loop = [], []
    # first_reached walks back from the later gradients to the nearest values that one
    # of the loops has at hand.
    for value in first_reached(later_gradients, uncut):
        if value in forward:
            read_after_loop.append(value)
        elif value not in from_outside:
            emitted.append(value)
    if whole:
        emitted = _without_parts(emitted)

    # The forward loop has to hand over what the backward loop reads, the left factors
    # of the products after it, and what other work after it reads.
    loop_results = [*past_gradients, *emitted]
    lefts = [product.left for product in step.products]
    needed = [*first_reached(loop_results, forward), *lefts, *read_after_loop]
    stored = _stored(needed, known={*step.inputs, *step.results})

    changing = {*step.slices, *step.pasts, *step.results, *stored, *arriving}
    constants = _constant_over_time(changing, graph)
    available = {*changing, *graph.inputs, *constants}
    read = first_reached(loop_results, available)
    precomputed = []
    for value in read:
        if value in constants and value.owner is not None:
            precomputed.append(value)
    return Partition(tuple(stored), tuple(emitted), tuple(precomputed), frozenset(read))


KEEPS_ROWS = (Dot, Elemwise, Join, SpecifyShape, Split, Subtensor)
"""Operations whose result, a matrix, has the rows of what they read."""


def _elementwise(
    arriving: Sequence[Variable],
    depend_on_gradients: set[Variable],
    graph: FunctionGraph,
) -> set[Variable]:
    """The results of elementwise operations on gradients that have the batch's rows."""
    reached = set(arriving)
    found = set()
    for node in graph.toposort():
        gradients = depend_on_gradients.intersection(node.inputs)
        if not gradients or not gradients <= reached:
            continue
        is_matrix = node.outputs[0].type.ndim == 2
        if isinstance(node.op, KEEPS_ROWS) and is_matrix:
            reached.update(node.outputs)
            if isinstance(node.op, Elemwise):
                found.update(node.outputs)
    return found


def _constant_over_time(changing: set[Variable], graph: FunctionGraph) -> set[Variable]:
    """The values that do not depend on ``changing`` ones, without sizes."""
    constants = _computed(graph) - _depending_on(changing, graph)
    # Sizes stay where they are used: JAX must see that they are static.
    return {value for value in constants if not is_size(value)}


def _computed(graph: FunctionGraph) -> set[Variable]:
    """Every variable of a graph, without the constants that are written in it."""
    return {value for value in graph.variables if not isinstance(value, Constant)}


def _depending_on(roots: set[Variable], graph: FunctionGraph) -> set[Variable]:
    """``roots`` and everything in ``graph`` that is computed from them."""
    found = set(roots)
    for node in graph.toposort():
        if not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return found


def first_reached(
    outputs: Iterable[Variable], stops: Collection[Variable]
) -> list[Variable]:
    """The variables of ``stops`` from which ``outputs`` can be computed.

    Each path from an output to the inputs is followed until it reaches one of them.
    """
    reached: dict[Variable, None] = {}  # a set that keeps the order
    seen: set[Variable] = set()
    waiting = list(outputs)[::-1]
    while waiting:
        value = waiting.pop()
        if value in seen:
            continue
        seen.add(value)
        if value in stops:
            reached[value] = None
        elif value.owner is not None:
            waiting.extend(value.owner.inputs[::-1])
    return list(reached)


def _stored(needed: Sequence[Variable], known: set[Variable]) -> list[Variable]:
    """The values to store so that cheap operations give all ``needed`` values.

    ``known`` values are there already: inputs and results of the step.
    """
    stored: dict[Variable, None] = {}  # a set that keeps the order
    cheap = []
    for value in needed:
        if value in known:
            continue
        if _is_cheap(value):
            cheap.append(value)
        else:
            stored[value] = None
    for value in cheap:
        missing = []
        for source in _costly_sources(value, known):
            if source not in stored:
                missing.append(source)
        # A single source is stored instead of the value, since it may serve others too.
        # Instead of several sources, the value itself is stored.
        if len(missing) > 1:
            missing = [value]
        stored.update(dict.fromkeys(missing))
    return list(stored)


def _costly_sources(value: Variable, known: set[Variable]) -> list[Variable]:
    """The values, not ``known``, from which cheap operations compute ``value``."""
    found: dict[Variable, None] = {}  # a set that keeps the order
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if value in known or isinstance(value, Constant):
            continue
        if _is_cheap(value):
            waiting.extend(value.owner.inputs)
        else:
            found[value] = None
    return list(found)


def _is_cheap(value: Variable) -> bool:
    """True if a value is computed again rather than stored."""
    if value.owner is None:
        return False
    op = value.owner.op
    if isinstance(op, Elemwise):
        return isinstance(op.scalar_op, CHEAP_ELEMENTWISE)
    return isinstance(op, CHEAP)


def parts_of_concatenation(value: Variable) -> list[Variable]:
    """The parts of a concatenation along the last axis; empty for other values."""
    if value.owner is None or not isinstance(value.owner.op, Join):
        return []
    parts = value.owner.inputs
    axis = getattr(value.owner.op, "axis", None)
    if axis is None:  # PyTensor 3.0 has the axis as first input
        axis = getattr(parts[0], "data", 0)
        parts = parts[1:]
    is_last = axis % value.type.ndim == value.type.ndim - 1
    return parts if is_last else []


def columns_of_parts(value: Variable) -> list[tuple[Variable, int, int]]:
    """Each part of a concatenation with its first column and the one after its last.

    Empty for other values, and if a size is not known.
    """
    found = []
    start = 0
    for part in parts_of_concatenation(value):
        size = part.type.shape[-1]
        if size is None:
            return []
        found.append((part, start, start + size))
        start += size
    return found


def _without_parts(emitted: Sequence[Variable]) -> list[Variable]:
    """``emitted`` without the values that are columns of others in it."""
    parts = set()
    for value in emitted:
        parts.update(part for part, _, _ in columns_of_parts(value))
    return [value for value in emitted if value not in parts]
