"""A plan as text: the table of scan's arguments, and the generated step."""

from __future__ import annotations

from collections.abc import Mapping

from recursive.spec.hoist import ProductSlice
from recursive.spec.plan import StepPlan
from recursive.spec.shapes import Shape
from recursive.spec.text import step_source

HEAD = ("position", "kind", "name", "tap", "shape")

Row = tuple[str, str, str, str]


def explain(
    plan: StepPlan,
    shapes: Mapping[str, Shape],
    param_shapes: Mapping[str, Shape],
    params: Mapping[str, tuple[str, ...]],
) -> str:
    """The arguments of scan, position by position, and the step that it repeats."""
    lines = ["The arguments of scan's step, in order:", ""]
    lines += _table(_rows(plan, shapes, param_shapes))
    lines += ["", "The step:", "", step_source(plan, params)]
    return "\n".join(lines)


def _rows(
    plan: StepPlan, shapes: Mapping[str, Shape], param_shapes: Mapping[str, Shape]
) -> list[Row]:
    """Kind, name, tap and shape of each argument, in the order of the arguments."""
    shapes = dict(shapes)
    # The plan adds hoisted products to the values of the declaration.
    for node in plan.hoisted:
        if isinstance(node, ProductSlice):
            shapes[node.name] = (None, node.share.product.dim)

    rows = []
    for kind, items in (("sequence", plan.sequences), ("state", plan.recurrences)):
        for item in items:
            shape = _shape_text(shapes[item.name])
            for tap in item.taps:
                time = f"t{tap}" if tap else "t"
                rows.append((kind, item.name, time, shape))
    for name in plan.contexts:
        rows.append(("context", name, "", _shape_text(shapes[name])))
    for name in plan.param_names:
        rows.append(("parameter", name, "", _shape_text(param_shapes[name])))
    return rows


def _table(rows: list[Row]) -> list[str]:
    """The lines of the table, each column as wide as its widest cell."""
    numbered: list[tuple[str, ...]] = [HEAD]
    for position, row in enumerate(rows):
        numbered.append((str(position), *row))
    widths = [max(map(len, column)) for column in zip(*numbered, strict=True)]

    lines = []
    for row in numbered:
        cells = map(str.ljust, row, widths)
        lines.append("  ".join(cells).rstrip())
    return lines


def _shape_text(shape: Shape) -> str:
    """A shape as Python writes a tuple, with words for unknown sizes."""
    sizes = ["any" if size is None else str(size) for size in shape]
    if shape and shape[0] is None:
        sizes[0] = "batch"
    comma = "," if len(sizes) == 1 else ""
    return f"({', '.join(sizes)}{comma})"
