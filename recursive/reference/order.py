"""What the names in a declaration mean, and the order in which the nodes of one step run."""

from __future__ import annotations

from functools import cached_property

from recursive.errors import CycleError, OutputError
from recursive.spec.graph import GraphSpec, NodeSpec, OutputSpec, Ref, StateSpec


class Names:
    """The names of a declaration.

    Bare, a node is read at t and a state at t-1. ``rec_tm1``, where ``rec`` feeds the state ``h``, is ``h_tm1``: a
    state and its node share one history. A node that no state remembers has a history of its own.

    >>> names = Names(GraphSpec(states=(StateSpec("h", 6, "rec"),), nodes=(NodeSpec("rec", None, ()),)))
    >>> names.meaning(Ref("h")), names.meaning(Ref("rec", -2))
    (Ref(name='h', tap=-1), Ref(name='h', tap=-2))
    """

    def __init__(self, spec: GraphSpec):
        self.spec = spec
        self.nodes = {value: node.name for node in spec.nodes for value in node.values}
        self.history_of: dict[str, str] = {}
        for state in spec.states:
            self.history_of.setdefault(state.input, state.name)

    def meaning(self, ref: Ref) -> Ref:
        """The one reference for all that mean the same: a past value by the name of its history."""
        is_state = ref.name in {state.name for state in self.spec.states}
        if is_state and (ref.tap or ref.name not in self.nodes):
            return Ref(ref.name, ref.tap or -1)
        return Ref(self.history_of.get(ref.name, ref.name), ref.tap) if ref.tap else ref

    @cached_property
    def outputs(self) -> tuple[OutputSpec, ...]:
        """The outputs; in a free declaration that has none, the last node.

        Raises:
            OutputError: where nothing comes out.
        """
        if self.spec.outputs:
            return self.spec.outputs
        if self.spec.free and self.spec.nodes:
            last = self.spec.nodes[-1]
            return (OutputSpec(last.name, (Ref(last.values[0]),)),)
        raise OutputError.about(
            "graph",
            "outputs",
            takes="at least one output",
            because="it would return nothing",
            got="none",
            do="Declare an output.",
        )

    @cached_property
    def read(self) -> tuple[Ref, ...]:
        """The meaning of everything that nodes and outputs read."""
        return tuple(
            self.meaning(ref)
            for item in (*self.spec.nodes, *self.outputs)
            for ref in item.refs
        )

    @cached_property
    def histories(self) -> tuple[StateSpec, ...]:
        """The states as declared, then one for each node whose past is read though no state remembers it."""
        declared = {state.name for state in self.spec.states}
        found = dict.fromkeys(
            ref.name
            for ref in self.read
            if ref.tap and ref.name in self.nodes and ref.name not in declared
        )
        return (*self.spec.states, *(StateSpec(name, input=name) for name in found))

    def lag(self, name: str) -> int:
        """How many steps the history called ``name`` is looked back to."""
        return max([1, *(-ref.tap for ref in self.read if ref.name == name)])

    @cached_property
    def ordered(self) -> tuple[NodeSpec, ...]:
        """The nodes, each after what it reads of its own time, and else as they were declared.

        Raises:
            CycleError: where nodes wait for one another.
        """
        waiting, done = list(self.spec.nodes), []
        while waiting:
            unknown = {node.name for node in waiting}
            ready = next(
                (node for node in waiting if not self._needs(node) & unknown), None
            )
            if ready is None:
                raise CycleError.about(
                    "node",
                    waiting[0].name,
                    takes="values that are ready when its turn comes",
                    because="nodes of one step run one after another",
                    got=" and ".join(node.name for node in waiting)
                    + " waiting for one another",
                    do="Let one of them read the step before: name_tm1.",
                )
            waiting.remove(ready)
            done.append(ready)
        return tuple(done)

    def _needs(self, node: NodeSpec) -> set[str]:
        """The nodes whose values of the same time ``node`` reads."""
        refs = map(self.meaning, node.refs)
        return {
            self.nodes[ref.name]
            for ref in refs
            if not ref.tap and ref.name in self.nodes
        }


def carries(spec: GraphSpec, state: StateSpec) -> bool:
    """Whether ``state`` goes on from batch to batch."""
    return spec.stateful if state.stateful is None else state.stateful
