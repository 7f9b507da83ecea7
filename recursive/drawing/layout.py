"""The place of every box and arrow in inches: x to the right, y upwards.

Time flows to the right. If that makes the diagram wider than a notebook, time flows
upwards, provided that this is narrower.
"""

from __future__ import annotations

from dataclasses import dataclass

from recursive.drawing.columns import arrange
from recursive.drawing.grid import Grid, Point, Rectangle
from recursive.drawing.sketch import Link, Part, Sketch

WIDE = 8.0
"""The width of a notebook."""
MARGIN = 0.12
"""From the edge of the diagram to everything in it."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with lines of text, its name first.

    ``x`` and ``y`` are its lower left corner.
    ``kind`` is "input", "state" (a past value), "node", "output", or "step" for a frame
    around nodes. ``missing`` is True if something that it needs was not declared.
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
    """An arrow from one box to another through ``points``.

    ``kind`` is "now" for a value that is read at the same step, "feedback" for the new
    value of a state, "carried" for a value from an earlier step of the diagram, or
    "start" for a context that a state starts from. A label is centred at ``label_at``.
    """

    source: Box
    target: Box
    label: str
    kind: str
    points: tuple[Point, ...]
    label_at: Point | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """A diagram of ``width`` and ``height``; ``rising`` if time flows upwards."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    width: float
    height: float
    rising: bool = False
    frames: tuple[Box, ...] = ()


def layout(drawn: Sketch) -> Layout:
    """The places of the parts and links of a sketch.

    >>> from recursive.drawing.sketch import sketch
    >>> from recursive.spec.graph import GraphSpec, InputSpec
    >>> spec = GraphSpec(inputs=(InputSpec("x", dim=4),))
    >>> [box.lines for box in layout(sketch(spec)).boxes]
    [('x', 'input, dim 4'), ('?', 'output')]
    """
    columns = arrange(drawn)
    grid = Grid.of(drawn, columns, rising=False)
    if _size(grid)[0] > WIDE:
        grid = min(grid, Grid.of(drawn, columns, rising=True), key=_size)

    boxes = {}
    for part in drawn.parts:
        sides = _sides(grid, grid.rectangle(part))
        boxes[part] = Box(part.name, part.kind, part.lines, *sides, part.missing)
    frames = []
    for title, rectangle in grid.frames.items():
        frames.append(Box(title, "step", (title,), *_sides(grid, rectangle)))
    arrows = tuple(_arrow(grid, link, boxes) for link in drawn.links)
    width, height = _size(grid)
    return Layout(
        tuple(boxes.values()), arrows, width, height, grid.rising, tuple(frames)
    )


def _arrow(grid: Grid, link: Link, boxes: dict[Part, Box]) -> Arrow:
    """The arrow of a link between the boxes of its parts."""
    points = tuple(_to_x_y(grid, point) for point in grid.points(link))
    label_at = _to_x_y(grid, grid.label(link)) if link.label else None
    source, target = boxes[link.source], boxes[link.target]
    return Arrow(source, target, link.label, link.kind, points, label_at)


# From along and across to x and y


def _size(grid: Grid) -> Point:
    """Width and height of the whole diagram."""
    along = grid.extent.end - grid.extent.start + 2 * MARGIN
    across = grid.extent.last - grid.extent.first + 2 * MARGIN
    return (across, along) if grid.rising else (along, across)


def _to_x_y(grid: Grid, point: Point) -> Point:
    """A point along and across as x and y.

    The first place across lies at the top, or on the left if the diagram is rising.
    """
    along, across = point
    from_start = along - grid.extent.start + MARGIN
    if grid.rising:
        return across - grid.extent.first + MARGIN, from_start
    return from_start, grid.extent.last - across + MARGIN


def _sides(grid: Grid, rectangle: Rectangle) -> tuple[float, float, float, float]:
    """The lower left corner of a rectangle as x and y, its width and its height."""
    x, y = _to_x_y(grid, (rectangle.start, rectangle.first))
    other_x, other_y = _to_x_y(grid, (rectangle.end, rectangle.last))
    left, right = sorted((x, other_x))
    bottom, top = sorted((y, other_y))
    return left, bottom, right - left, top - bottom
