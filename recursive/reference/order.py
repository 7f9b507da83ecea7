"""The meaning of the names in a declaration, and the order of its nodes."""

from __future__ import annotations

from functools import cached_property

from recursive.errors import CycleError, OutputError
from recursive.spec.graph import GraphSpec, NodeSpec, OutputSpec, Ref, StateSpec


class Names:
    """The names of a declaration.

    A bare name is a node's value at t, or a state's at t-1. ``rec_tm1``, if ``rec``
    feeds the state ``h``, is ``h_tm1``: a state and its node share one history. A node
    whose past is read without a state has a history under its own name.

    >>> rec = NodeSpec("rec", None, ())
    >>> names = Names(GraphSpec(states=(StateSpec("h", 6, "rec"),), nodes=(rec,)))
    >>> names.meaning(Ref("h")), names.meaning(Ref("rec", -2))
    (Ref(name='h', tap=-1), Ref(name='h', tap=-2))
    """

    def __init__(self, spec: GraphSpec):
        self.spec = spec
        self.states = {state.name for state in spec.states}
        self.node_of: dict[str, str] = {}
        for node in spec.nodes:
            self.node_of.update(dict.fromkeys(node.values, node.name))
        self.history_of: dict[str, str] = {}
        # A node that feeds two states has the history of the first.
        for state in spec.states:
            self.history_of.setdefault(state.input, state.name)

    def meaning(self, ref: Ref) -> Ref:
        """The meaning of ``ref``: a past value by the name of its history."""
        # A bare name that a node and a state share is the node's.
        if ref.name in self.states and (ref.tap or ref.name not in self.node_of):
            return Ref(ref.name, ref.tap or -1)
        if ref.tap:
            return Ref(self.history_of.get(ref.name, ref.name), ref.tap)
        return ref

    @cached_property
    def outputs(self) -> tuple[OutputSpec, ...]:
        """The outputs; in a free declaration without any, the last node.

        Raises:
            OutputError: if there is no output.
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
            got="none",
            do="Declare an output.",
        )

    @cached_property
    def refs(self) -> tuple[Ref, ...]:
        """The meaning of everything that nodes and outputs read."""
        found = []
        for item in (*self.spec.nodes, *self.outputs):
            found.extend(map(self.meaning, item.refs))
        return tuple(found)

    @cached_property
    def histories(self) -> tuple[StateSpec, ...]:
        """The states as declared, then one for each other node whose past is read."""
        found = {state.name: state for state in self.spec.states}
        for ref in self.refs:
            if ref.tap and ref.name in self.node_of and ref.name not in found:
                found[ref.name] = StateSpec(ref.name, input=ref.name)
        return tuple(found.values())

    @cached_property
    def fed_by(self) -> dict[str, str]:
        """The node that feeds each history, by the name of the history."""
        return {state.name: state.input for state in self.histories}

    def lag(self, name: str) -> int:
        """The number of steps that a history is read back, at least 1."""
        return self._lags.get(name, 1)

    @property
    def longest_lag(self) -> int:
        """The number of steps that any value is read back, at least 1."""
        return max(self._lags.values(), default=1)

    @cached_property
    def _lags(self) -> dict[str, int]:
        lags = {}
        for ref in self.refs:
            lags[ref.name] = max(-ref.tap, lags.get(ref.name, 1))
        return lags

    @cached_property
    def ordered(self) -> tuple[NodeSpec, ...]:
        """The nodes in an order in which they can run.

        It is the declared order, but for nodes that read later ones at their own time.

        Raises:
            CycleError: if nodes wait for one another.
        """
        waiting = list(self.spec.nodes)
        done = []
        while waiting:
            unknown = {node.name for node in waiting}
            ready = [node for node in waiting if not self._needs(node) & unknown]
            if not ready:
                listed = " and ".join(node.name for node in waiting)
                raise CycleError.about(
                    "node",
                    waiting[0].name,
                    takes="values that are computed before it",
                    got=f"{listed} waiting for one another",
                    do="Let one of them read the step before: name_tm1.",
                )
            # Take the first that is ready, to keep the declared order.
            waiting.remove(ready[0])
            done.append(ready[0])
        return tuple(done)

    def _needs(self, node: NodeSpec) -> set[str]:
        """The nodes that ``node`` reads at its own time."""
        found = set()
        for ref in map(self.meaning, node.refs):
            if not ref.tap and ref.name in self.node_of:
                found.add(self.node_of[ref.name])
        return found


def kept_states(spec: GraphSpec) -> list[str]:
    """The states of a loop that are kept from batch to batch; none for a Graph."""
    found = []
    for state in Names(spec).histories if spec.loop else ():
        is_kept = spec.stateful if state.stateful is None else state.stateful
        if is_kept:
            found.append(state.name)
    return found
