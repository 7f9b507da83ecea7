"""The initial values of states: what they are read from before the first step.

A state starts from numbers, a learned row or draws, or from a named value: a context,
or a node that depends on contexts alone. Such a node has one value for the whole loop,
so it is computed once, before the first step.

A state may also have an *optional start*, an input that can be left out. If it is
given, the state starts from it; if not, as declared otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from recursive.spec.graph import (
    DRAWN,
    LEARNED,
    GraphSpec,
    Initial,
    NodeSpec,
    StateSpec,
)
from recursive.spec.history import resolve
from recursive.spec.order import ordered

DRAWS = ("normal", "uniform")
"""The distributions of drawn initial values."""

SCALED = ("normal", "uniform")
"""The initializations with a scale."""


def start_name(initial: Initial) -> str | None:
    """The context or node that an initial value names, if it names one.

    >>> start_name("h0"), start_name("learned"), start_name(0.5)
    ('h0', None, None)
    """
    if not isinstance(initial, str) or initial in (LEARNED, DRAWN):
        return None
    return initial


def optional_starts(spec: GraphSpec) -> tuple[str, ...]:
    """The inputs that may be left out, each once, in the order of the inputs."""
    names = {state.given for state in spec.states}
    return tuple(item.name for item in spec.inputs if item.name in names)


def with_starts(spec: GraphSpec, given: Collection[str] = ()) -> GraphSpec:
    """``spec`` as its loop runs when the optional starts ``given`` are there.

    No node reads an optional start, so the loop itself does not have it as an input.
    """
    optional = optional_starts(spec)
    if not optional:
        return spec
    states = []
    for state in spec.states:
        if state.given in given:
            state = dataclasses.replace(state, initial=state.given)
        states.append(dataclasses.replace(state, given=None))
    inputs = tuple(item for item in spec.inputs if item.name not in optional)
    return spec.replace(inputs=inputs, states=tuple(states))


def start_nodes(spec: GraphSpec) -> tuple[NodeSpec, ...]:
    """The nodes that initial values are computed from, in the order in which they run.

    >>> from recursive.spec.graph import InputSpec, LayerSpec, PortSpec
    >>> from recursive.spec.names import Ref
    >>> first = NodeSpec("first", LayerSpec("Dense"), (PortSpec("x", (Ref("c"),)),))
    >>> spec = GraphSpec(
    ...     inputs=(InputSpec("c", 2, is_sequence=False),),
    ...     states=(StateSpec("h", 6, "first", initial="first"),),
    ...     nodes=(first,),
    ... )
    >>> [node.name for node in start_nodes(spec)]
    ['first']
    """
    node_of = _nodes_by_value(spec)
    waiting = [start_name(state.initial) for state in spec.states]
    needed = set()
    while waiting:
        node = node_of.get(waiting.pop())
        if node is not None and node.name not in needed:
            needed.add(node.name)
            waiting.extend(ref.name for ref in node.refs)
    if not needed:
        return ()
    return tuple(node for node in ordered(spec) if node.name in needed)


def value_that_changes(spec: GraphSpec, name: str) -> str | None:
    """What ``name`` depends on that is no context, in words; None if there is none.

    A name that is not declared (yet) counts as a context.
    """
    node_of = _nodes_by_value(spec)
    waiting = [name]
    seen = set()
    while waiting:
        node = node_of.get(waiting.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        for ref in node.refs:
            past = resolve(spec, ref)
            if past.tap:
                return f"the past value {ref!s}"
            if past.name in spec.sequence_names:
                return f"the sequence {ref!s}"
            waiting.append(ref.name)
    return None


def _nodes_by_value(spec: GraphSpec) -> dict[str, NodeSpec]:
    """The node that computes each value."""
    found = {}
    for node in spec.nodes:
        for value in node.values:
            found[value] = node
    return found


def state_by_name(spec: GraphSpec, name: str) -> StateSpec | None:
    """The declared state called ``name``; None for an implicit one."""
    for state in spec.states:
        if state.name == name:
            return state
    return None
