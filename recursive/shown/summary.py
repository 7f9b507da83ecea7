"""A container as a table of its nodes and states."""

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
INITIAL = {"learned": "a learned row", "drawn": "random draws"}

Row = tuple[str, ...]


def summary(
    nodes: Iterable[NodeSpec],
    plan: StepPlan,
    shapes: Mapping[str, Shape],
    param_names: Mapping[str, Sequence[str]],
    sizes: Mapping[str, int],
) -> str:
    """The table of the nodes of a container.

    Args:
        nodes: the declared nodes.
        plan: what runs before the loop, in it and after it.
        shapes: the shape of each value at one step.
        param_names: the names of each node's parameters.
        sizes: the number of values in each parameter. A parameter that several nodes
            share counts for the first of them.
    """
    nodes = tuple(nodes)
    counts = _parameter_counts(nodes, param_names, sizes)
    rows = [NODES]
    for node in nodes:
        rows.append(_node_row(node, plan, shapes, counts[node.name]))
    parts = [
        _table(rows, right_aligned="parameters"),
        [f"Parameters: {sum(sizes.values()):,}", *_starts(sizes, param_names)],
        _fused(plan),
    ]
    if plan.recurrences:
        rows = [STATES]
        for item in plan.recurrences:
            rows.append(_state_row(item, shapes))
        parts.append(_table(rows))
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _node_row(
    node: NodeSpec, plan: StepPlan, shapes: Mapping[str, Shape], parameters: int
) -> Row:
    reads = ", ".join(map(str, node.refs))
    node_shapes = " ".join(_shape(shapes[value]) for value in node.values)
    kind = node.layer.class_name
    return node.name, kind, reads, node_shapes, f"{parameters:,}", _where(node, plan)


def _state_row(item: Recurrence, shapes: Mapping[str, Shape]) -> Row:
    taps = [str(Ref("t", tap)).replace("_tm", "-") for tap in item.taps]
    start = _initial(item.initial)
    if item.stateful:
        start = f"the batch before; at first {start}"
    return item.name, item.node, ", ".join(taps), start, _shape(shapes[item.name])


def _parameter_counts(
    nodes: Sequence[NodeSpec],
    param_names: Mapping[str, Sequence[str]],
    sizes: Mapping[str, int],
) -> dict[str, int]:
    """The number of parameter values that each node adds to the total."""
    seen: set[str] = set()
    counts = {}
    for node in nodes:
        own = set(param_names[node.name]) - seen
        counts[node.name] = sum(sizes[name] for name in own)
        seen |= own
    return counts


def _starts(
    sizes: Mapping[str, int], param_names: Mapping[str, Sequence[str]]
) -> list[str]:
    """The parameters that belong to no node: learned starts."""
    of_nodes = set().union(*param_names.values())
    lines = []
    for name, size in sizes.items():
        if name not in of_nodes:
            lines.append(f"  of which {name}: {size:,}")
    return lines


def _where(node: NodeSpec, plan: StepPlan) -> str:
    """The place of a node, or the two places of one whose product is split."""
    found = places(node, plan)
    if len(found) < 2:
        return "".join(found)
    return f"its product with inputs {found[0]}, the rest {found[-1]}"


def _fused(plan: StepPlan) -> list[str]:
    """A line for each product that several nodes share."""
    lines = []
    for node in plan.nodes:
        if isinstance(node, FusedProducts):
            read = ", ".join(map(str, node.refs))
            layers = ", ".join(share.node for share in node.shares)
            lines.append(f"One product with {read} for {layers}")
    return lines


def _initial(initial: Initial) -> str:
    if isinstance(initial, str):
        return INITIAL.get(initial, initial)
    if isinstance(initial, tuple):
        return "given rows" if isinstance(initial[0], tuple) else "a given row"
    return f"{initial:g}"


def _shape(shape: Shape) -> str:
    sizes = ["any" if size is None else str(size) for size in shape[1:]]
    return f"({', '.join(['batch', *sizes])})"


def _table(rows: Sequence[Row], right_aligned: str | None = None) -> list[str]:
    """The lines of a table with its head underlined."""
    head, *body = rows
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * width for width in widths]
    lines = []
    for row in (head, rule, *body):
        cells = []
        for title, cell, width in zip(head, row, widths, strict=True):
            is_right = title == right_aligned
            cells.append(cell.rjust(width) if is_right else cell.ljust(width))
        lines.append("  ".join(cells).rstrip())
    return lines
