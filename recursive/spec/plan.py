"""The order of scan's arguments, decided in one place.

scan hands its step one long list: a slice of each sequence, the past values of each state, then everything that
stays the same. :class:`StepPlan` owns that list. Whoever needs a position asks for :attr:`StepPlan.arguments`;
nobody counts. ``declared`` plans the step as it was declared; ``plan`` takes out of the loop what need not be in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from recursive.spec.fused import joined
from recursive.spec.graph import (
    GraphSpec,
    Initial,
    LayerSpec,
    NodeSpec,
    OutputSpec,
    PortSpec,
)
from recursive.spec.history import resolve, with_implicit_states
from recursive.spec.hoist import Movable, Moves, moved, params_of
from recursive.spec.merging import MODES
from recursive.spec.names import Ref
from recursive.spec.order import ordered
from recursive.spec.shapes import Shape


@dataclass(frozen=True, slots=True)
class Sequence:
    """An input, a hoisted value or a draw, of which each step sees the slices at ``taps`` (oldest first)."""

    name: str
    taps: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A state ``name``, fed by ``node``, seen by each step at ``taps`` (oldest first), starting from ``initial``.

    One that is ``carried`` goes on from batch to batch.
    """

    name: str
    node: str
    taps: tuple[int, ...] = (-1,)
    initial: Initial = 0.0
    stateful: bool = False

    @property
    def lag(self) -> int:
        """How many rows of the past it starts with."""
        return -min(self.taps)


@dataclass(frozen=True)
class StepPlan:
    """What runs before the loop, what one step is given, runs and returns, and what runs after the loop.

    ``arguments`` are sequences (inputs as declared, then hoisted values, then draws), states as declared, contexts
    (likewise), then parameters; ``results`` are the values that feed the states, in the order of the states, then what
    is collected. What is ``steady`` is the same at every step: the contexts, and what is computed from them alone.
    """

    sequences: tuple[Sequence, ...]
    recurrences: tuple[Recurrence, ...]
    collected: tuple[str, ...]
    contexts: tuple[str, ...]
    constants: tuple[str, ...]
    nodes: tuple[NodeSpec, ...]
    hoisted: tuple[NodeSpec, ...] = ()
    deferred: tuple[NodeSpec, ...] = ()
    constant_over_time: frozenset[str] = frozenset()

    @property
    def per_step(self) -> tuple[Ref, ...]:
        """The arguments that are other ones at each step, and the contexts."""
        over_time = (*self.sequences, *self.recurrences)
        return (
            *(Ref(item.name, tap) for item in over_time for tap in item.taps),
            *map(Ref, self.contexts),
        )

    @property
    def arguments(self) -> tuple[Ref, ...]:
        """The step's arguments, in the order in which scan hands them over."""
        return (*self.per_step, *map(Ref, self.constants))

    @property
    def results(self) -> tuple[str, ...]:
        """The names that the step returns, in the order in which scan expects them."""
        return (*(item.node for item in self.recurrences), *self.collected)


Names = Mapping[str, tuple[str, ...]]
"""The names of parameters, or of draws, by node."""


def declared(
    spec: GraphSpec,
    params: Names,
    draws: Names | None = None,
    constant_draws: Collection[str] = (),
) -> StepPlan:
    """The plan of ``spec`` with every node in the loop, given the names of each node's parameters and random draws.

    Draws that are ``held`` are the same at every step.

    >>> from recursive.spec.graph import InputSpec, StateSpec
    >>> rec = NodeSpec("rec", LayerSpec("Dense"), (PortSpec("input", (Ref("x"), Ref("h"))),))
    >>> spec = GraphSpec(inputs=(InputSpec("x"),), states=(StateSpec("h", 6, "rec"),), nodes=(rec,),
    ...                  outputs=(OutputSpec("rec", (Ref("rec"),)),))
    >>> [str(ref) for ref in declared(spec, {"rec": ("rec.W", "rec.b")}).arguments]
    ['x', 'h_tm1', 'rec.W', 'rec.b']
    """
    nodes = resolved(spec)
    return _placed(
        spec,
        Moves(inside=list(nodes)),
        params,
        draws or {},
        constant_draws,
        {item.name for item in spec.inputs},
    )


def plan(
    spec: GraphSpec,
    params: Names,
    draws: Names,
    layers: Mapping[str, Movable],
    shapes: Mapping[str, Shape],
    masked: bool = False,
    constant_draws: Collection[str] = (),
) -> StepPlan:
    """The plan of ``spec`` with as little in the loop as may be, given what each node's layer tells about moving it.

    A loop that may stop early keeps everything, since nobody knows before how many steps there are.
    """
    if spec.until is not None:
        return declared(spec, params, draws, constant_draws)
    nodes = resolved(spec)
    inputs = [item.name for item in spec.inputs]
    fed = [state.input for state in with_implicit_states(spec)]
    moves = joined(moved(nodes, inputs, fed, layers, shapes, masked), layers)
    read = {ref.name for node in moves.inside for ref in node.refs}
    return _placed(spec, moves, params, draws, constant_draws, read)


def _placed(
    spec: GraphSpec,
    moves: Moves,
    params: Names,
    draws: Names,
    constant_draws: Collection[str],
    read: set[str],
) -> StepPlan:
    """The plan of ``moves``, whose steps see the inputs in ``read``."""
    taps = _taps_read(moves.inside)
    steady = _steady(spec, moves.hoisted, draws, constant_draws)
    fed = {state.input for state in with_implicit_states(spec)}
    hoisted = [
        value
        for node in moves.hoisted
        for value in node.values
        if value in taps or value in fed
    ]
    drawn = [name for node in moves.inside for name in draws.get(node.name, ())]
    inputs = [item.name for item in spec.inputs if item.name in read]
    past = _taps_read([*moves.hoisted, *moves.inside, *moves.deferred])
    recurrences = tuple(
        Recurrence(
            state.name,
            state.input,
            tuple(tap for tap in past.get(state.name, ()) if tap) or (-1,),
            state.initial,
            spec.stateful if state.stateful is None else state.stateful,
        )
        for state in with_implicit_states(spec)
    )
    made = {value for node in moves.inside for value in node.values} - {
        item.node for item in recurrences
    }
    wanted = [
        *(source_of(spec, output) for output in spec.outputs),
        *([spec.until] if spec.until else []),
        *(ref.name for node in moves.deferred for ref in node.refs if not ref.tap),
    ]
    return StepPlan(
        sequences=(
            *(
                Sequence(name, taps.get(name, (0,)))
                for name in inputs
                if name not in steady
            ),
            *(Sequence(name) for name in (*hoisted, *drawn) if name not in steady),
        ),
        recurrences=recurrences,
        collected=tuple(name for name in dict.fromkeys(wanted) if name in made),
        contexts=tuple(name for name in (*inputs, *hoisted, *drawn) if name in steady),
        constants=tuple(
            dict.fromkeys(
                name for node in moves.inside for name in params_of(node, params)
            )
        ),
        nodes=tuple(moves.inside),
        hoisted=tuple(moves.hoisted),
        deferred=tuple(moves.deferred),
        constant_over_time=frozenset(steady),
    )


def _steady(
    spec: GraphSpec,
    hoisted: list[NodeSpec],
    draws: Names,
    constant_draws: Collection[str],
) -> set[str]:
    """The values that are the same at every step: contexts, held draws, and what is computed from them alone."""
    steady = {
        *(item.name for item in spec.inputs if not item.is_sequence),
        *constant_draws,
    }
    for node in hoisted:
        if steady.issuperset(
            (*(ref.name for ref in node.refs), *draws.get(node.name, ()))
        ):
            steady.update(node.values)
    return steady


def resolved(spec: GraphSpec) -> tuple[NodeSpec, ...]:
    """Every node of a step in the order in which they run, outputs that merge included; each reads what it means."""
    return tuple(
        _resolved(spec, node) for node in (*ordered(spec), *merged_outputs(spec))
    )


def source_of(spec: GraphSpec, output: OutputSpec) -> str:
    """The name of the node whose sequence an output is: the node that it reads, or itself where it has to merge."""
    refs = [resolve(spec, ref) for ref in output.refs]
    is_a_node = (
        len(refs) == 1 and refs[0].tap == 0 and spec.names[refs[0].name] == "node"
    )
    return refs[0].name if is_a_node else output.name


def merged_outputs(spec: GraphSpec) -> tuple[NodeSpec, ...]:
    """A node for each output that is not simply a node: it merges what the output reads and passes it on."""
    return tuple(
        NodeSpec(
            output.name,
            LayerSpec("Identity"),
            (PortSpec("input", output.refs, output.merge_mode),),
        )
        for output in spec.outputs
        if spec.names[source_of(spec, output)] == "output"
    )


def _resolved(spec: GraphSpec, node: NodeSpec) -> NodeSpec:
    ports = (
        PortSpec(
            port.name,
            tuple(resolve(spec, ref) for ref in port.refs),
            port.merge_mode,
            tuple(map(str, port.refs)) if MODES[port.merge_mode].is_by_name else (),
        )
        for port in node.ports
    )
    return NodeSpec(node.name, node.layer, tuple(ports), node.outputs)


def _taps_read(nodes: Iterable[NodeSpec]) -> dict[str, tuple[int, ...]]:
    """The taps at which each name is read, oldest first."""
    read: dict[str, set[int]] = {}
    for ref in (ref for node in nodes for ref in node.refs):
        read.setdefault(ref.name, set()).add(ref.tap)
    return {name: tuple(sorted(taps)) for name, taps in read.items()}
