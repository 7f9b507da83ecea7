"""A plan explained: the table of scan's arguments, the generated step as text, and what runs outside the loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from recursive.spec.hoist import ProductSlice
from recursive.spec.plan import StepPlan
from recursive.spec.shapes import Shape
from recursive.spec.text import step_source

HEAD = ("position", "kind", "name", "tap", "shape")


def explain(
    plan: StepPlan,
    shapes: Mapping[str, Shape],
    param_shapes: Mapping[str, Shape],
    params: Mapping[str, tuple[str, ...]],
) -> str:
    """The arguments of scan, position by position, and the step that it repeats."""
    shapes = {**shapes, **_shapes_of_slices(plan)}
    rows = [
        HEAD,
        *(
            (str(position), *row)
            for position, row in enumerate(_rows(plan, shapes, param_shapes))
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = (
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    )
    return "\n".join(
        [
            "The arguments of scan's step, in order:",
            "",
            *table,
            "",
            "The step:",
            "",
            step_source(plan, params),
        ]
    )


def _shapes_of_slices(plan: StepPlan) -> dict[str, Shape]:
    """The shapes of the values that the plan adds to those of the declaration."""
    return {
        node.name: (None, node.share.product.dim)
        for node in plan.hoisted
        if isinstance(node, ProductSlice)
    }


def _rows(
    plan: StepPlan, shapes: Mapping[str, Shape], param_shapes: Mapping[str, Shape]
) -> Iterator[tuple[str, str, str, str]]:
    for sequence in plan.sequences:
        for tap in sequence.taps:
            yield "sequence", sequence.name, _tap(tap), _shape(shapes[sequence.name])
    for state in plan.recurrences:
        for tap in state.taps:
            yield "state", state.name, _tap(tap), _shape(shapes[state.name])
    for name in plan.contexts:
        yield "context", name, "", _shape(shapes[name])
    for name in plan.constants:
        yield "parameter", name, "", _shape(param_shapes[name])


def _tap(tap: int) -> str:
    return f"t{tap}" if tap else "t"


def _shape(shape: Shape) -> str:
    sizes = [
        "batch" if axis == 0 and size is None else "any" if size is None else str(size)
        for axis, size in enumerate(shape)
    ]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
