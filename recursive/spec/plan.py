"""The order of the arguments of scan's step, decided in one place.

**What scan passes.** PyTensor's ``scan(fn, sequences, outputs_info, non_sequences)``
runs the loop over time. It calls ``fn`` once, with one flat list of symbolic arguments
for a single step::

    fn(each sequence at each of its taps,        sliced: one time step of an array
       each state at each of its taps,           fed back: what earlier steps returned
       each non-sequence)                        passed whole: the same at every step

Taps run from the oldest to the newest within one sequence or state. ``fn`` returns
another flat list: the new value of each state, then any other value to collect over
time. Nothing in either list has a name. A model with one more tap or one more weight
moves every later position, so code that counts positions breaks silently.

**Who owns the order.** A :class:`StepPlan` does. It is frozen and holds names, not
tensors. It depends on the declaration, on the layers' flags, shapes and draws, and on
whether steps may be masked; never on values. Code that calls scan lines up its tensors
with ``arguments``; the step itself gets its names back by a strict zip with the same
list; ``explain()`` prints that list. Since all of them read one object, they cannot
disagree.

**The order here.** Arguments: ``sequences`` (inputs as declared, then hoisted values,
then draws), ``recurrences`` (states as declared, then implicit ones), ``contexts``, and
the parameters in ``param_names``. The last two groups are scan's non-sequences.
Results: the value that feeds each state, in the order of the states, then
``collected``.

**How a plan is built.**

1. Each node's references are resolved, so that one value has one name
   (``spec/history.py``).
2. Nodes leave the loop if that is possible (``spec/hoist.py``), and products that share
   an input are fused (``spec/fused.py``).
3. The arguments and results follow from what the remaining nodes read and compute.

:func:`plan` does all three. :func:`declared` skips the second: it keeps every node in
the loop, as it was declared. So does :func:`plan` for a loop with ``until``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from recursive.spec.fused import fuse_products
from recursive.spec.graph import (
    GraphSpec,
    Initial,
    LayerSpec,
    NodeSpec,
    OutputSpec,
    PortSpec,
)
from recursive.spec.history import (
    fed_values,
    is_stateful,
    resolve,
    with_implicit_states,
)
from recursive.spec.hoist import Movable, Placement, params_of, place_nodes
from recursive.spec.merging import MODES
from recursive.spec.names import Ref
from recursive.spec.order import ordered
from recursive.spec.shapes import Shape

NamesByNode = Mapping[str, tuple[str, ...]]
"""The names of parameters, or of random draws (a Dropout's mask), by node."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """An input, a hoisted value or a draw, sliced at ``taps`` (oldest first)."""

    name: str
    taps: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A state ``name``, read at ``taps`` (oldest first).

    ``node`` is the name of the value that feeds it. It starts from ``initial``. If it
    is ``stateful``, it is kept between batches. It is ``(batch, dim)`` for ``dtype``
    ``float``, else ``(batch,)``.
    """

    name: str
    node: str
    taps: tuple[int, ...] = (-1,)
    initial: Initial = 0.0
    stateful: bool = False
    dtype: str = "float"

    @property
    def carried(self) -> bool:
        """The earlier name of ``stateful``."""
        return self.stateful

    @property
    def lag(self) -> int:
        """The largest number of steps that the state is read back.

        It needs as many rows before the first step, ``(lag, batch, dim)``.
        """
        return -min(self.taps)


@dataclass(frozen=True)
class StepPlan:
    """The arguments, nodes and results of one step, and the nodes outside the loop.

    Args:
        sequences: the arguments that are sliced per step.
        recurrences: the states.
        collected: the values returned in addition to those that feed states.
        contexts: the arguments other than parameters that every step gets whole.
            Besides contexts as declared, these are hoisted values and draws that do not
            change over time.
        param_names: the parameters that the nodes in the loop need.
        nodes: the nodes that run in the loop, in order.
        hoisted: the nodes that run before the loop, in order.
        deferred: the nodes that run after the loop, in order.
        constant_over_time: all contexts, hoisted values and draws that do not change
            over time, read in the loop or not. Parameters are not among them. A
            declared plan hoists nothing, so it has no computed values here.
    """

    sequences: tuple[Sequence, ...]
    recurrences: tuple[Recurrence, ...]
    collected: tuple[str, ...]
    contexts: tuple[str, ...]
    param_names: tuple[str, ...]
    nodes: tuple[NodeSpec, ...]
    hoisted: tuple[NodeSpec, ...] = ()
    deferred: tuple[NodeSpec, ...] = ()
    constant_over_time: frozenset[str] = frozenset()

    @property
    def steady(self) -> frozenset[str]:
        """The earlier name of ``constant_over_time``."""
        return self.constant_over_time

    @property
    def constants(self) -> tuple[str, ...]:
        """The earlier name of ``param_names``."""
        return self.param_names

    @property
    def per_step(self) -> tuple[Ref, ...]:
        """All arguments but the parameters."""
        refs = []
        for item in (*self.sequences, *self.recurrences):
            for tap in item.taps:
                refs.append(Ref(item.name, tap))
        refs.extend(map(Ref, self.contexts))
        return tuple(refs)

    @property
    def arguments(self) -> tuple[Ref, ...]:
        """The step's arguments, in the order in which scan passes them."""
        return (*self.per_step, *map(Ref, self.param_names))

    @property
    def results(self) -> tuple[str, ...]:
        """The names that the step returns, in the order that scan expects."""
        fed = tuple(item.node for item in self.recurrences)
        return fed + self.collected


def declared(
    spec: GraphSpec,
    params: NamesByNode,
    draws: NamesByNode | None = None,
    constant_draws: Collection[str] = (),
) -> StepPlan:
    """The plan of ``spec`` with every node in the loop.

    Args:
        spec: the declaration.
        params: the names of each node's parameters.
        draws: the names of each node's random draws.
        constant_draws: the draws that are the same at every step.

    >>> from recursive.spec.graph import InputSpec, StateSpec
    >>> reads = (PortSpec("input", (Ref("x"), Ref("h"))),)
    >>> rec = NodeSpec("rec", LayerSpec("Dense"), reads)
    >>> spec = GraphSpec(
    ...     inputs=(InputSpec("x"),),
    ...     states=(StateSpec("h", 6, "rec"),),
    ...     nodes=(rec,),
    ...     outputs=(OutputSpec("rec", (Ref("rec"),)),),
    ... )
    >>> made = declared(spec, {"rec": ("rec.W", "rec.b")})
    >>> [str(ref) for ref in made.arguments]
    ['x', 'h_tm1', 'rec.W', 'rec.b']
    """
    placement = Placement(inside=list(resolved_nodes(spec)))
    # An input that no node reads is an argument all the same, as declared.
    inputs = spec.input_names
    return _build_plan(spec, placement, inputs, params, draws or {}, constant_draws)


def plan(
    spec: GraphSpec,
    params: NamesByNode,
    draws: NamesByNode,
    layers: Mapping[str, Movable],
    shapes: Mapping[str, Shape],
    masked: bool = False,
    constant_draws: Collection[str] = (),
) -> StepPlan:
    """The plan of ``spec`` with as few nodes in the loop as possible.

    Args:
        spec: the declaration.
        params: the names of each node's parameters.
        draws: the names of each node's random draws.
        layers: each node's layer, which says if it may be moved or split.
        shapes: the shape of every value at one step.
        masked: True if some steps may be masked.
        constant_draws: the draws that are the same at every step.
    """
    if spec.until is not None:
        # The number of steps is not known in advance, so "all steps at once" is not
        # possible before or after the loop.
        return declared(spec, params, draws, constant_draws)
    nodes = resolved_nodes(spec)
    inputs, fed = spec.input_names, fed_values(spec)
    placement = place_nodes(nodes, inputs, fed, layers, shapes, masked)
    placement = fuse_products(placement, layers)

    taps_read = _taps_read(placement.inside)
    still_read = [name for name in inputs if name in taps_read]
    return _build_plan(spec, placement, still_read, params, draws, constant_draws)


def _build_plan(
    spec: GraphSpec,
    placement: Placement,
    inputs_taken: list[str],
    params: NamesByNode,
    draws: NamesByNode,
    constant_draws: Collection[str],
) -> StepPlan:
    """The plan for placed nodes; the loop has ``inputs_taken`` as arguments."""
    taps_inside = _taps_read(placement.inside)
    constant = _constant_over_time(spec, placement.hoisted, draws, constant_draws)

    # The loop takes inputs first, then hoisted values, then draws.
    available = list(inputs_taken)
    available += _hoisted_values(spec, placement)
    for node in placement.inside:
        available += draws.get(node.name, ())

    # Each of them is either sliced per step or passed whole.
    sequences = []
    contexts = []
    for name in available:
        # An input may be read at several taps. A past value of a hoisted node is kept
        # as a state, so here the node has only tap 0.
        taps = taps_inside.get(name, (0,)) if name in inputs_taken else (0,)
        if name in constant:
            contexts.append(name)
        else:
            sequences.append(Sequence(name, taps))

    return StepPlan(
        sequences=tuple(sequences),
        recurrences=_recurrences(spec, placement),
        collected=_collected_values(spec, placement),
        contexts=tuple(contexts),
        param_names=_needed_params(placement.inside, params),
        nodes=tuple(placement.inside),
        hoisted=tuple(placement.hoisted),
        deferred=tuple(placement.deferred),
        constant_over_time=frozenset(constant),
    )


def _constant_over_time(
    spec: GraphSpec,
    hoisted: list[NodeSpec],
    draws: NamesByNode,
    constant_draws: Collection[str],
) -> set[str]:
    """The values that are the same at every step."""
    constant = {*spec.context_names, *constant_draws}
    # A value computed from constant values alone is constant too. Hoisted nodes are in
    # the order in which they run, so one pass finds them all.
    for node in hoisted:
        read = {ref.name for ref in node.refs}
        read.update(draws.get(node.name, ()))
        if constant.issuperset(read):
            constant.update(node.values)
    return constant


def _hoisted_values(spec: GraphSpec, placement: Placement) -> list[str]:
    """The hoisted values that the loop takes: those it reads, or that feed a state.

    A hoisted value that feeds a state passes through the loop: the step takes it and
    returns it as the state's next value.
    """
    needed = {*_taps_read(placement.inside), *fed_values(spec)}
    values = []
    for node in placement.hoisted:
        for value in node.values:
            if value in needed:
                values.append(value)
    return values


def _recurrences(spec: GraphSpec, placement: Placement) -> tuple[Recurrence, ...]:
    """The states of the loop, each with the taps at which any node reads it."""
    everywhere = [*placement.hoisted, *placement.inside, *placement.deferred]
    taps_read = _taps_read(everywhere)
    recurrences = []
    for state in with_implicit_states(spec):
        # An implicit state has the name of the node that feeds it. So a read at tap 0
        # is one of the node's value at this step, and not of the state.
        past_taps = tuple(tap for tap in taps_read.get(state.name, ()) if tap)
        recurrence = Recurrence(
            state.name,
            state.input,
            past_taps or (-1,),  # declared but never read: still kept, with one row
            state.initial,
            is_stateful(spec, state),
            state.dtype,
        )
        recurrences.append(recurrence)
    return tuple(recurrences)


def _collected_values(spec: GraphSpec, placement: Placement) -> tuple[str, ...]:
    """The values that the step returns in addition to those that feed states."""
    wanted = [source_of(spec, output) for output in spec.outputs]
    if spec.until is not None:
        wanted.append(spec.until)
    for node in placement.deferred:
        wanted += [ref.name for ref in node.refs if not ref.tap]

    computed = set()
    for node in placement.inside:
        computed.update(node.values)
    # A value that feeds a state is returned already.
    computed.difference_update(fed_values(spec))
    return _unique(name for name in wanted if name in computed)


def _needed_params(nodes: list[NodeSpec], params: NamesByNode) -> tuple[str, ...]:
    """The parameters of the nodes in the loop, each once."""
    names = []
    for node in nodes:
        names += params_of(node, params)
    return _unique(names)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    """The names in order of their first appearance."""
    return tuple(dict.fromkeys(names))


def _taps_read(nodes: Iterable[NodeSpec]) -> dict[str, tuple[int, ...]]:
    """The taps at which each name is read, oldest first."""
    taps_by_name: dict[str, set[int]] = {}
    for node in nodes:
        for ref in node.refs:
            taps_by_name.setdefault(ref.name, set()).add(ref.tap)
    return {name: tuple(sorted(taps)) for name, taps in taps_by_name.items()}


# Nodes with resolved references, and the nodes that outputs need


def resolved_nodes(spec: GraphSpec) -> tuple[NodeSpec, ...]:
    """All nodes of a step, in the order in which they run, references resolved.

    The nodes of outputs that merge several values come last.
    """
    nodes = (*ordered(spec), *merged_outputs(spec))
    return tuple(_resolved_node(spec, node) for node in nodes)


def source_of(spec: GraphSpec, output: OutputSpec) -> str:
    """The name of the value that an output returns.

    It is the node that the output reads, or the output itself if it merges values or
    reads an input or a past value.
    """
    if len(output.refs) != 1:
        return output.name
    ref = resolve(spec, output.refs[0])
    is_node = ref.tap == 0 and spec.names[ref.name] == "node"
    return ref.name if is_node else output.name


def merged_outputs(spec: GraphSpec) -> tuple[NodeSpec, ...]:
    """An Identity node for each output that is not just a node.

    The node merges what the output reads and passes it on.
    """
    nodes = []
    for output in spec.outputs:
        if spec.names[source_of(spec, output)] == "output":
            port = PortSpec("input", output.refs, output.merge_mode)
            nodes.append(NodeSpec(output.name, LayerSpec("Identity"), (port,)))
    return tuple(nodes)


def _resolved_node(spec: GraphSpec, node: NodeSpec) -> NodeSpec:
    """``node`` with each reference replaced by the one that has the same meaning."""
    ports = []
    for port in node.ports:
        refs = tuple(resolve(spec, ref) for ref in port.refs)
        # A layer that takes values by name expects the names as they were declared.
        is_by_name = MODES[port.merge_mode].is_by_name
        names = tuple(map(str, port.refs)) if is_by_name else ()
        ports.append(PortSpec(port.name, refs, port.merge_mode, names))
    return NodeSpec(node.name, node.layer, tuple(ports), node.outputs)
