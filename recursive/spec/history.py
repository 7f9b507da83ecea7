"""The past values that exist, and the one name of each.

A state and the node that feeds it share one history: the references ``h``, ``h_tm1``
and ``rec_tm1`` read the same value if node ``rec`` feeds state ``h``. If no declared
state keeps a node's value and some name reads its past, the node gets an *implicit*
state that has the node's name.
"""

from __future__ import annotations

from recursive.spec.graph import GraphSpec, StateSpec
from recursive.spec.names import Ref


def resolve(spec: GraphSpec, ref: Ref) -> Ref:
    """The one reference that stands for all references to the same value.

    A bare state is read at t-1. The past of a node is read through its state.

    >>> spec = GraphSpec(states=(StateSpec("h", 6, "rec"),))
    >>> resolve(spec, Ref("h")), resolve(spec, Ref("h", -2))
    (Ref(name='h', tap=-1), Ref(name='h', tap=-2))
    """
    if spec.names.get(ref.name) == "state":
        return Ref(ref.name, ref.tap or -1)
    if ref.tap and ref.name in spec.feeds:
        return Ref(spec.feeds[ref.name][0], ref.tap)
    return ref


def is_stateful(spec: GraphSpec, state: StateSpec) -> bool:
    """True if a state is kept between batches. A state may override its container."""
    return spec.stateful if state.stateful is None else state.stateful


def final_name(state: str) -> str:
    """The name of a state's value after the last step, as an output.

    >>> final_name("h"), final_name("lstm.cell")
    ('h_final', 'lstm_cell_final')
    """
    return f"{state.replace('.', '_')}_final"


def with_implicit_states(spec: GraphSpec) -> tuple[StateSpec, ...]:
    """The states as declared, then the implicit ones in the order of the first read."""
    states = {state.name: state for state in spec.states}
    for _, ref in spec.reads():
        name = resolve(spec, ref).name
        if ref.tap and name not in states and spec.names[name] == "node":
            states[name] = StateSpec(name, None, name)
    return tuple(states.values())


def fed_values(spec: GraphSpec) -> list[str]:
    """The value that feeds each state, implicit states included."""
    return [state.input for state in with_implicit_states(spec)]
