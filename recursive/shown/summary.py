"""A container as a table: its nodes with shapes and parameters, where each runs, and its states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from recursive.spec.graph import Initial, NodeSpec
from recursive.spec.hoist import FusedProducts
from recursive.spec.names import Ref
from recursive.spec.places import places
from recursive.spec.plan import Recurrence, StepPlan
from recursive.spec.shapes import Shape

NODES = ("node", "layer", "reads", "shape", "parameters", "runs")
STATES = ("state", "fed by", "taps", "starts from", "shape")


def summary(
    nodes: Iterable[NodeSpec],
    plan: StepPlan,
    shapes: Mapping[str, Shape],
    param_names: Mapping[str, Sequence[str]],
    sizes: Mapping[str, int],
) -> str:
    """The table of ``nodes``, which run as ``plan`` says.

    Args:
        nodes: as declared.
        plan: what runs before the loop, in it and after it.
        shapes: the shape of each value at one step.
        param_names: the names of each node's parameters.
        sizes: how many numbers each parameter holds; one that nodes share is counted at the first of them.
    """
    counted = _counted(nodes := tuple(nodes), param_names, sizes)
    rows = [
        (
            node.name,
            node.layer.class_name,
            ", ".join(map(str, node.refs)),
            _shapes_of(node, shapes),
            f"{counted[node.name]:,}",
            _where(node, plan),
        )
        for node in nodes
    ]
    parts = [
        _table((NODES, *rows), right=NODES.index("parameters")),
        [f"Parameters: {sum(sizes.values()):,}", *_starts(sizes, param_names)],
        [*_joined(plan)],
        _table((STATES, *_states(plan, shapes))) if plan.recurrences else [],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _counted(
    nodes: Sequence[NodeSpec],
    param_names: Mapping[str, Sequence[str]],
    sizes: Mapping[str, int],
) -> dict[str, int]:
    seen: set[str] = set()
    counted = {}
    for node in nodes:
        own = set(param_names[node.name]) - seen
        counted[node.name] = sum(sizes[name] for name in own)
        seen |= own
    return counted


def _starts(
    sizes: Mapping[str, int], param_names: Mapping[str, Sequence[str]]
) -> list[str]:
    """The parameters that belong to no node: learned starts."""
    held = {name for names in param_names.values() for name in names}
    return [
        f"  of which {name}: {size:,}"
        for name, size in sizes.items()
        if name not in held
    ]


def _where(node: NodeSpec, plan: StepPlan) -> str:
    """Where a node runs; one whose product is split runs in two places."""
    found = places(node, plan)
    if len(found) < 2:
        return "".join(found)
    return f"its product with inputs {found[0]}, the rest {found[-1]}"


def _joined(plan: StepPlan) -> list[str]:
    """Which products are made as one."""
    lines = []
    for node in plan.nodes:
        if isinstance(node, FusedProducts):
            read = ", ".join(map(str, node.refs))
            layers = ", ".join(share.node for share in node.shares)
            lines.append(f"One product with {read} for {layers}")
    return lines


def _states(plan: StepPlan, shapes: Mapping[str, Shape]) -> list[tuple[str, ...]]:
    return [
        (
            item.name,
            item.node,
            ", ".join(str(Ref("t", tap)).replace("_tm", "-") for tap in item.taps),
            _start(item),
            _shape(shapes[item.name]),
        )
        for item in plan.recurrences
    ]


def _start(item: Recurrence) -> str:
    if item.stateful:
        return f"the batch before; at first {_initial(item.initial)}"
    return _initial(item.initial)


def _initial(initial: Initial) -> str:
    if isinstance(initial, str):
        return {"learned": "a learned row", "drawn": "random draws"}.get(
            initial, initial
        )
    if isinstance(initial, tuple):
        return "given rows" if isinstance(initial[0], tuple) else "a given row"
    return f"{initial:g}"


def _shapes_of(node: NodeSpec, shapes: Mapping[str, Shape]) -> str:
    return " ".join(_shape(shapes[value]) for value in node.values)


def _shape(shape: Shape) -> str:
    return f"({', '.join(['batch', *('any' if size is None else str(size) for size in shape[1:])])})"


def _table(rows: Sequence[Sequence[str]], right: int | None = None) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return [
        "  ".join(
            cell.rjust(width) if place == right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
