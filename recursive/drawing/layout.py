"""Where everything lies, in inches: x to the right, y up.

Time flows to the right; where the picture would be wider than a notebook, upwards, if that is narrower.
"""

from __future__ import annotations

from dataclasses import dataclass

from recursive.drawing.columns import arranged
from recursive.drawing.grid import Grid, Point, Span
from recursive.drawing.sketch import Link, Part, Sketch

WIDE = 8.0
"""The width of a notebook."""
MARGIN = 0.12


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with lines of text, its name first; x and y are its lower left corner.

    ``kind`` is input, state (a past value), node, output, or step for a frame around nodes; ``missing`` tells
    that something which it needs was not declared.
    """

    name: str
    kind: str
    lines: tuple[str, ...]
    x: float
    y: float
    width: float
    height: float
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """The way from one box to another through ``points``; a label is centred at ``label_at``.

    ``kind`` is now, for a value that is read at the same time, feedback, for one that is remembered, carried, for one
    that is remembered from an earlier step of the picture, or start, for a context that a state starts from.
    """

    source: Box
    target: Box
    label: str
    kind: str
    points: tuple[Point, ...]
    label_at: Point | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture of ``width`` and ``height``; ``rising`` where time flows upwards and not to the right."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    width: float
    height: float
    rising: bool = False
    frames: tuple[Box, ...] = ()


def layout(drawn: Sketch) -> Layout:
    """Where to draw the parts of a sketch.

    >>> from recursive.drawing.sketch import sketch
    >>> from recursive.spec.graph import GraphSpec, InputSpec
    >>> [box.lines for box in layout(sketch(GraphSpec(inputs=(InputSpec("x", dim=4),)))).boxes]
    [('x', 'input, dim 4'), ('?', 'output')]
    """
    columns = arranged(drawn)
    grid = Grid.of(drawn, columns, rising=False)
    if _size(grid)[0] > WIDE:
        grid = min(grid, Grid.of(drawn, columns, rising=True), key=_size)
    boxes = {part: _box(grid, part) for part in drawn.parts}
    frames = tuple(
        Box(title, "step", (title,), *_rectangle(grid, span))
        for title, span in grid.frames.items()
    )
    arrows = tuple(_arrow(grid, link, boxes) for link in drawn.links)
    return Layout(tuple(boxes.values()), arrows, *_size(grid), grid.rising, frames)


def _box(grid: Grid, part: Part) -> Box:
    return Box(
        part.name,
        part.kind,
        part.lines,
        *_rectangle(grid, grid.span(part)),
        part.missing,
    )


def _arrow(grid: Grid, link: Link, boxes: dict[Part, Box]) -> Arrow:
    points = tuple(_turned(grid, point) for point in grid.way(link))
    label_at = _turned(grid, grid.label(link)) if link.label else None
    return Arrow(
        boxes[link.source], boxes[link.target], link.label, link.kind, points, label_at
    )


# From along and across to x and y


def _size(grid: Grid) -> Point:
    """Width and height of the whole picture."""
    along = grid.extent.end - grid.extent.start + 2 * MARGIN
    across = grid.extent.last - grid.extent.first + 2 * MARGIN
    return (across, along) if grid.rising else (along, across)


def _turned(grid: Grid, point: Point) -> Point:
    """A point along and across as x and y: what comes first across lies at the top, or on the left."""
    along = point[0] - grid.extent.start + MARGIN
    if grid.rising:
        return point[1] - grid.extent.first + MARGIN, along
    return along, grid.extent.last - point[1] + MARGIN


def _rectangle(grid: Grid, span: Span) -> tuple[float, float, float, float]:
    """The lower left corner of a span, its width and its height."""
    corners = (
        _turned(grid, (span.start, span.first)),
        _turned(grid, (span.end, span.last)),
    )
    (left, right), (bottom, top) = (
        sorted(values) for values in zip(*corners, strict=True)
    )
    return left, bottom, right - left, top - bottom
