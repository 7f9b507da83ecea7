"""Which past values exist, and the one name of each.

A state and the node that feeds it share one history: bare ``h``, ``h_tm1`` and ``rec_tm1`` are the same value.
A node that no declared state remembers gets a history of its own where some name reads its past.
"""

from __future__ import annotations

from recursive.spec.graph import GraphSpec, StateSpec
from recursive.spec.names import Ref


def resolve(spec: GraphSpec, ref: Ref) -> Ref:
    """The one reference that means what ``ref`` means: a bare state is read at t-1, a past node through its state.

    >>> spec = GraphSpec(states=(StateSpec("h", 6, "rec"),))
    >>> resolve(spec, Ref("h")), resolve(spec, Ref("h", -2))
    (Ref(name='h', tap=-1), Ref(name='h', tap=-2))
    """
    if spec.names.get(ref.name) == "state":
        return Ref(ref.name, ref.tap or -1)
    if ref.tap and ref.name in spec.feeds:
        return Ref(spec.feeds[ref.name][0], ref.tap)
    return ref


def final_name(state: str) -> str:
    """The name of a state's value after the last step, as an output.

    >>> final_name("h"), final_name("lstm.cell")
    ('h_final', 'lstm_cell_final')
    """
    return f"{state.replace('.', '_')}_final"


def with_implicit_states(spec: GraphSpec) -> tuple[StateSpec, ...]:
    """The states as declared, then one for each node whose past is read though no state remembers it."""
    declared = {state.name for state in spec.states}
    past = (
        resolve(spec, ref).name
        for item in (*spec.nodes, *spec.outputs)
        for ref in item.refs
        if ref.tap
    )
    implicit = dict.fromkeys(
        name for name in past if spec.names[name] == "node" and name not in declared
    )
    return (*spec.states, *(StateSpec(name, None, name) for name in implicit))
