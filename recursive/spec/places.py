"""The places where a declared node runs: before the loop, in it, or after it.

A node whose product is split runs in two of them.
"""

from __future__ import annotations

from recursive.spec.graph import NodeSpec
from recursive.spec.hoist import FusedProducts, ProductSlice
from recursive.spec.plan import StepPlan

BEFORE = "before the loop"
INSIDE = "in the loop"
AFTER = "after the loop"


def places(node: NodeSpec, plan: StepPlan) -> tuple[str, ...]:
    """The places where a part of ``node`` runs, in the order of time.

    >>> from recursive.spec.graph import LayerSpec
    >>> late = NodeSpec("late", LayerSpec("Dense"), ())
    >>> places(late, StepPlan((), (), (), (), (), nodes=(), deferred=(late,)))
    ('after the loop',)
    """
    nodes_at = {BEFORE: plan.hoisted, INSIDE: plan.nodes, AFTER: plan.deferred}
    found = []
    for place, nodes in nodes_at.items():
        if any(_is_part_of(planned, node) for planned in nodes):
            found.append(place)
    return tuple(found)


def _is_part_of(planned: NodeSpec, node: NodeSpec) -> bool:
    """True if a node of a plan does some work of a declared ``node``."""
    if isinstance(planned, ProductSlice | FusedProducts):
        return any(share.node == node.name for share in planned.shares)
    return planned.name == node.name
