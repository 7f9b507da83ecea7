"""Where a node runs: before the loop, in it, after it, or, where its product is split, in two of them."""

from __future__ import annotations

from recursive.spec.graph import NodeSpec
from recursive.spec.hoist import FusedProducts, ProductSlice
from recursive.spec.plan import StepPlan

BEFORE, INSIDE, AFTER = "before the loop", "in the loop", "after the loop"


def places(node: NodeSpec, plan: StepPlan) -> tuple[str, ...]:
    """Each place where some of ``node`` runs as ``plan`` says, in the order of time.

    >>> from recursive.spec.graph import LayerSpec
    >>> late = NodeSpec("late", LayerSpec("Dense"), ())
    >>> places(late, StepPlan((), (), (), (), (), nodes=(), deferred=(late,)))
    ('after the loop',)
    """
    run = {BEFORE: plan.hoisted, INSIDE: plan.nodes, AFTER: plan.deferred}
    return tuple(
        place
        for place, nodes in run.items()
        if any(_is_of(part, node) for part in nodes)
    )


def _is_of(part: NodeSpec, node: NodeSpec) -> bool:
    if isinstance(part, ProductSlice | FusedProducts):
        return any(share.node == node.name for share in part.shares)
    return part.name == node.name
