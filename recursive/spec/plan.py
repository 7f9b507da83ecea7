"""The order of scan's arguments, decided in one place.

scan hands its step one long list: a slice of each sequence, the past values of each state, then everything that
stays the same. :class:`StepPlan` owns that list. Whoever needs a position asks for :attr:`StepPlan.arguments`;
nobody counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from recursive.spec.graph import GraphSpec, LayerSpec, NodeSpec, OutputSpec, PortSpec
from recursive.spec.history import resolve, with_implicit_states
from recursive.spec.names import Ref
from recursive.spec.order import ordered


@dataclass(frozen=True, slots=True)
class Sequence:
    """An input, or a draw, of which each step sees the slices at ``taps`` (oldest first)."""

    name: str
    taps: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A state ``name``, fed by ``node`` and seen by each step at ``taps`` (oldest first)."""

    name: str
    node: str
    taps: tuple[int, ...] = (-1,)

    @property
    def lag(self) -> int:
        """How many rows of the past it starts with."""
        return -min(self.taps)


@dataclass(frozen=True)
class StepPlan:
    """What one step is given, runs and returns.

    ``arguments`` are sequences (inputs as declared, then draws), states as declared, then parameters;
    ``results`` are the nodes that feed the states, in the order of the states, then what is collected.
    """

    sequences: tuple[Sequence, ...]
    recurrences: tuple[Recurrence, ...]
    collected: tuple[str, ...]
    constants: tuple[str, ...]
    nodes: tuple[NodeSpec, ...]

    @property
    def arguments(self) -> tuple[Ref, ...]:
        """The step's arguments, in the order in which scan hands them over."""
        per_step = (*self.sequences, *self.recurrences)
        return (*(Ref(item.name, tap) for item in per_step for tap in item.taps), *map(Ref, self.constants))

    @property
    def results(self) -> tuple[str, ...]:
        """The names that the step returns, in the order in which scan expects them."""
        return (*(item.node for item in self.recurrences), *self.collected)


def plan(spec: GraphSpec, params: Mapping[str, tuple[str, ...]],
         draws: Mapping[str, tuple[str, ...]] | None = None) -> StepPlan:
    """The plan of ``spec``, given the names of each node's parameters and random draws.

    >>> from recursive.spec.graph import InputSpec, StateSpec
    >>> rec = NodeSpec("rec", LayerSpec("Dense"), (PortSpec("input", (Ref("x"), Ref("h"))),))
    >>> spec = GraphSpec(inputs=(InputSpec("x"),), states=(StateSpec("h", 6, "rec"),), nodes=(rec,),
    ...                  outputs=(OutputSpec("rec", (Ref("rec"),)),))
    >>> [str(ref) for ref in plan(spec, {"rec": ("rec.W", "rec.b")}).arguments]
    ['x', 'h_tm1', 'rec.W', 'rec.b']
    """
    nodes = tuple(_resolved(spec, node) for node in (*ordered(spec), *merged_outputs(spec)))
    taps = _taps_read(nodes)
    drawn = (name for node in nodes for name in (draws or {}).get(node.name, ()))
    recurrences = tuple(
        Recurrence(state.name, state.input, tuple(tap for tap in taps.get(state.name, ()) if tap) or (-1,))
        for state in with_implicit_states(spec))
    remembered = {item.node for item in recurrences}
    return StepPlan(
        sequences=(*(Sequence(item.name, taps.get(item.name, (0,))) for item in spec.inputs),
                   *map(Sequence, drawn)),
        recurrences=recurrences,
        collected=tuple(name for name in dict.fromkeys(source_of(spec, output) for output in spec.outputs)
                        if name not in remembered),
        constants=tuple(dict.fromkeys(name for node in nodes for name in params.get(node.name, ()))),
        nodes=nodes)


def source_of(spec: GraphSpec, output: OutputSpec) -> str:
    """The name of the node whose sequence an output is: the node that it reads, or itself where it has to merge."""
    refs = [resolve(spec, ref) for ref in output.refs]
    is_a_node = len(refs) == 1 and refs[0].tap == 0 and spec.names[refs[0].name] == "node"
    return refs[0].name if is_a_node else output.name


def merged_outputs(spec: GraphSpec) -> tuple[NodeSpec, ...]:
    """A node for each output that is not simply a node: it merges what the output reads and passes it on."""
    return tuple(NodeSpec(output.name, LayerSpec("Identity"), (PortSpec("input", output.refs, output.merge_mode),))
                 for output in spec.outputs if spec.names[source_of(spec, output)] == "output")


def _resolved(spec: GraphSpec, node: NodeSpec) -> NodeSpec:
    ports = (PortSpec(port.name, tuple(resolve(spec, ref) for ref in port.refs), port.merge_mode)
             for port in node.ports)
    return NodeSpec(node.name, node.layer, tuple(ports))


def _taps_read(nodes: tuple[NodeSpec, ...]) -> dict[str, tuple[int, ...]]:
    """The taps at which each name is read, oldest first."""
    read: dict[str, set[int]] = {}
    for ref in (ref for node in nodes for ref in node.refs):
        read.setdefault(ref.name, set()).add(ref.tap)
    return {name: tuple(sorted(taps)) for name, taps in read.items()}
