"""A layout drawn by matplotlib, in a figure of its own: no state of pyplot, and no setting, is left changed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from recursive.drawing.grid import (
    LINE,
    LINE_SIZE,
    NAME_SIZE,
    TITLE_ROOM,
    TITLE_START,
    Point,
)
from recursive.drawing.layout import Arrow, Box, Layout
from recursive.utils import extras

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

DPI = 150
LARGEST = 10_000
"""The most pixels of a side; a picture that would need more is drawn at fewer dots per inch."""
MOVE, LINE_TO, QUADRATIC, CUBIC = 1, 2, 3, 4
"""The codes of ``matplotlib.path.Path``; each point of a curve carries its curve's."""
HEAD = 0.09
"""The length of an arrow's head."""
ROUND = 0.12
"""The radius of the corners of a feedback."""

LIGHT = {
    "paper": "#ffffff",
    "ink": "#1f2937",
    "now": "#64748b",
    "feedback": "#b45309",
    "carried": "#b45309",
    "start": "#b45309",
    "missing": "#c81e1e",
    "input": ("#dbeafe", "#2563eb"),
    "state": ("#fef0d2", "#b45309"),
    "node": ("#eef1f5", "#64748b"),
    "output": ("#dcf5e4", "#15803d"),
    "step": ("none", "#94a3b8"),
}
"""Colours on white: of each kind of box, its inside and its edge."""
DARK = {
    "paper": "#16191f",
    "ink": "#e8ebf0",
    "now": "#a3aebf",
    "feedback": "#f5b94f",
    "carried": "#f5b94f",
    "start": "#f5b94f",
    "missing": "#ff7b7b",
    "input": ("#1b2f52", "#7fb0ff"),
    "state": ("#45320f", "#f5b94f"),
    "node": ("#2a303a", "#a3aebf"),
    "output": ("#163a26", "#6fd396"),
    "step": ("none", "#5b6678"),
}
"""The same, light on dark."""
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "recursive"}
"""Text stays text, and the names inside the file are the same at every run."""


def as_png(found: Layout, dark: bool = False) -> bytes:
    """The picture as PNG, at 150 dots an inch.

    Raises:
        MissingPackageError: without matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with _own_settings(), io.BytesIO() as file:
        FigureCanvasAgg(_figure(found, DARK if dark else LIGHT)).print_png(file)
        return file.getvalue()


def as_svg(found: Layout, dark: bool | None = None) -> bytes:
    """The picture as SVG; where ``dark`` is None, in the colours that its reader prefers.

    Raises:
        MissingPackageError: without matplotlib.
    """
    with _own_settings(), io.BytesIO() as file:
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        FigureCanvasSVG(_figure(found, DARK if dark else LIGHT)).print_svg(
            file, metadata={"Date": None}
        )
        return _either(file.getvalue()) if dark is None else file.getvalue()


@contextmanager
def _own_settings() -> Iterator[None]:
    """matplotlib as it comes, whatever the user has set."""
    matplotlib = extras.load("matplotlib", "examples", "it draws")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def _either(svg: bytes) -> bytes:
    """A light picture with a rule for those who read it in the dark: each light colour becomes the dark one."""
    pairs = dict(
        pair
        for key, light in LIGHT.items()
        for pair in zip(_colours(light), _colours(DARK[key]), strict=True)
        if "none" not in pair
    )
    rules = "".join(
        f'svg.recursive [style*="{kind}: {light}"]{{{kind}:{dark} !important}}'
        for light, dark in pairs.items()
        for kind in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
    return re.sub(
        rb"(<svg )([^>]*>)", rb'\1class="recursive" \2' + style.encode(), svg, count=1
    )


def _colours(entry: str | tuple[str, str]) -> tuple[str, ...]:
    return (entry,) if isinstance(entry, str) else entry


def _figure(found: Layout, colours: dict) -> Figure:
    from matplotlib.figure import Figure

    dpi = min(DPI, LARGEST / max(found.width, found.height))
    figure = Figure((found.width, found.height), dpi=dpi, facecolor=colours["paper"])
    arrows = sorted(found.arrows, key=lambda arrow: arrow.kind, reverse=True)
    artists = [
        artist for arrow in arrows for artist in _arrow(arrow, found.rising, colours)
    ]
    boxes = (*found.frames, *found.boxes)
    for artist in (
        *artists,
        *(artist for box in boxes for artist in _box(box, found.rising, colours)),
    ):
        artist.set_transform(figure.dpi_scale_trans)
        figure.add_artist(artist)
    return figure


# Boxes


def _box(box: Box, rising: bool, colours: dict) -> Iterator[Artist]:
    from matplotlib.patches import FancyBboxPatch

    inside, edge = colours[box.kind]
    frame = box.kind == "step"
    yield FancyBboxPatch(
        (box.x, box.y),
        box.width,
        box.height,
        boxstyle=f"round,pad=0,rounding_size={0.15 if frame else 0.06}",
        facecolor=inside,
        edgecolor=colours["missing"] if box.missing else edge,
        linewidth=1.4 if box.missing else 1.0,
        linestyle=(0, (4, 2.5)) if box.missing else "-",
    )
    if frame:
        yield _title(box, rising, colours)
    else:
        yield from _lines(box, colours)


def _lines(box: Box, colours: dict) -> Iterator[Artist]:
    """The lines of a box, centred; a line that asks for something is red."""
    centre, top = (
        box.x + box.width / 2,
        box.y + box.height / 2 + LINE * (len(box.lines) - 1) / 2,
    )
    for index, line in enumerate(box.lines):
        style = {"size": LINE_SIZE} if index else {"size": NAME_SIZE, "weight": "bold"}
        asks = box.missing and line.endswith("?")
        yield _text(
            (centre, top - LINE * index),
            line,
            colours["missing" if asks else "ink"],
            **style,
        )


def _title(box: Box, rising: bool, colours: dict) -> Artist:
    """The title of the frame, along the flow of time; it begins where the first nodes do."""
    if rising:
        at, style = (
            (box.x + TITLE_ROOM / 2, box.y + TITLE_START),
            {"rotation": 90, "va": "bottom"},
        )
    else:
        at, style = (
            (box.x + TITLE_START, box.y + box.height - TITLE_ROOM / 2),
            {"ha": "left"},
        )
    return _text(
        at, box.lines[0], colours["now"], size=LINE_SIZE, style="italic", **style
    )


def _text(at: Point, words: str, colour: str, **style: object) -> Artist:
    from matplotlib.text import Text

    return Text(
        *at,
        words,
        color=colour,
        parse_math=False,
        **{"ha": "center", "va": "center", **style},
    )


# Arrows


def _arrow(arrow: Arrow, rising: bool, colours: dict) -> Iterator[Artist]:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path as Curve

    colour, feedback = colours[arrow.kind], arrow.kind == "feedback"
    tip, left, right, base = _head(arrow.points[-1], rising)
    points = [*arrow.points[:-1], base]
    steps = [
        (MOVE, points[0]),
        *(_rounded(points) if feedback else _smooth(points, rising)),
    ]
    yield PathPatch(
        Curve([point for _, point in steps], [code for code, _ in steps]),
        facecolor="none",
        edgecolor=colour,
        linewidth=1.5 if arrow.kind in ("feedback", "carried") else 1.0,
    )
    yield Polygon([tip, left, right], facecolor=colour, edgecolor="none")
    if arrow.label_at:
        yield _text(arrow.label_at, arrow.label, colour, size=LINE_SIZE)


def _head(tip: Point, rising: bool) -> tuple[Point, Point, Point, Point]:
    """The corners of an arrow's head, and the middle of its base, where the line ends."""
    (x, y), half = tip, 0.4 * HEAD
    if rising:
        return tip, (x - half, y - HEAD), (x + half, y - HEAD), (x, y - HEAD)
    return tip, (x - HEAD, y + half), (x - HEAD, y - half), (x - HEAD, y)


def _smooth(points: list[Point], rising: bool) -> Iterator[tuple[int, Point]]:
    """Cubic curves through ``points`` that pass each of them in the direction of the flow."""
    for (x, y), (to_x, to_y) in pairwise(points):
        middle_x, middle_y = (x + to_x) / 2, (y + to_y) / 2
        handles = (
            ((x, middle_y), (to_x, middle_y))
            if rising
            else ((middle_x, y), (middle_x, to_y))
        )
        yield from ((CUBIC, point) for point in (*handles, (to_x, to_y)))


def _rounded(points: list[Point]) -> Iterator[tuple[int, Point]]:
    """Straight lines through ``points``, with rounded corners."""
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        yield LINE_TO, _towards(corner, before)
        yield from ((QUADRATIC, corner), (QUADRATIC, _towards(corner, after)))
    yield LINE_TO, points[-1]


def _towards(start: Point, end: Point) -> Point:
    """The point at most ``ROUND`` away from ``start``, and no further than half way to ``end``."""
    length = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    part = min(ROUND / length, 0.5) if length else 0.0
    return start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1])
