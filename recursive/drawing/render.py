"""A layout drawn by matplotlib.

The figure is not one of pyplot's, and settings are restored, so a user's plots stay as
they are.
"""

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
"""The most pixels of a side. A larger diagram is drawn at fewer dots per inch."""
MOVE, LINE_TO, QUADRATIC, CUBIC = 1, 2, 3, 4
"""The codes of ``matplotlib.path.Path``: each point of a curve has the curve's code."""
HEAD = 0.09
"""The length of an arrow's head."""
ROUND = 0.12
"""The radius of the corners of a feedback arrow."""

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
"""Colours on white; for each kind of box, those of its inside and its edge."""
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
"""The colours on dark paper."""
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "recursive"}
"""Text stays text in an SVG, and the ids in the file are the same at every run."""


def as_png(found: Layout, dark: bool = False) -> bytes:
    """The diagram as PNG, at 150 dots per inch.

    Raises:
        MissingPackageError: if matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with _default_settings(), io.BytesIO() as file:
        FigureCanvasAgg(_figure(found, DARK if dark else LIGHT)).print_png(file)
        return file.getvalue()


def as_svg(found: Layout, dark: bool | None = None) -> bytes:
    """The diagram as SVG. With None for ``dark``, its reader's preference decides.

    Raises:
        MissingPackageError: if matplotlib is not installed.
    """
    with _default_settings(), io.BytesIO() as file:
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        figure = _figure(found, DARK if dark else LIGHT)
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
        svg = file.getvalue()
    return with_dark_colours(svg) if dark is None else svg


@contextmanager
def _default_settings() -> Iterator[None]:
    """matplotlib's default settings inside the block, whatever the user has set."""
    matplotlib = extras.load("matplotlib", "examples", "it draws")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def with_dark_colours(svg: bytes) -> bytes:
    """An SVG in colours of ``LIGHT``, with those of ``DARK`` for dark readers.

    A style sheet replaces them.
    """
    pairs = {}
    for key, light in LIGHT.items():
        for one, other in zip(_colours(light), _colours(DARK[key]), strict=True):
            if one != "none":
                pairs[one] = other
    rules = []
    for light, dark in pairs.items():
        for kind in ("fill", "stroke"):
            selector = f'svg.recursive [style*="{kind}: {light}"]'
            rules.append(f"{selector}{{{kind}:{dark} !important}}")
    query = "@media (prefers-color-scheme: dark)"
    style = f"<style>{query}{{{''.join(rules)}}}</style>"
    opening = rb'\1class="recursive" \2' + style.encode()
    return re.sub(rb"(<svg )([^>]*>)", opening, svg, count=1)


def _colours(entry: str | tuple[str, str]) -> tuple[str, ...]:
    return (entry,) if isinstance(entry, str) else entry


def _figure(found: Layout, colours: dict) -> Figure:
    from matplotlib.figure import Figure

    dpi = min(DPI, LARGEST / max(found.width, found.height))
    figure = Figure((found.width, found.height), dpi=dpi, facecolor=colours["paper"])
    artists: list[Artist] = []
    # States are drawn over other arrows, and boxes over all arrows.
    for arrow in sorted(found.arrows, key=lambda arrow: arrow.kind, reverse=True):
        artists += _arrow(arrow, found.rising, colours)
    for box in (*found.frames, *found.boxes):
        artists += _box(box, found.rising, colours)
    for artist in artists:
        artist.set_transform(figure.dpi_scale_trans)
        figure.add_artist(artist)
    return figure


# Boxes


def _box(box: Box, rising: bool, colours: dict) -> list[Artist]:
    """The rectangle of a box or a frame, and its text."""
    from matplotlib.patches import FancyBboxPatch

    inside, edge = colours[box.kind]
    is_frame = box.kind == "step"
    rectangle = FancyBboxPatch(
        (box.x, box.y),
        box.width,
        box.height,
        boxstyle=f"round,pad=0,rounding_size={0.15 if is_frame else 0.06}",
        facecolor=inside,
        edgecolor=colours["missing"] if box.missing else edge,
        linewidth=1.4 if box.missing else 1.0,
        linestyle=(0, (4, 2.5)) if box.missing else "-",
    )
    if is_frame:
        return [rectangle, _title(box, rising, colours)]
    return [rectangle, *_lines(box, colours)]


def _lines(box: Box, colours: dict) -> Iterator[Artist]:
    """The centred lines of a box. A line that asks for something is red."""
    centre = box.x + box.width / 2
    top = box.y + box.height / 2 + LINE * (len(box.lines) - 1) / 2
    for index, line in enumerate(box.lines):
        at = (centre, top - LINE * index)
        asks = box.missing and line.endswith("?")
        colour = colours["missing" if asks else "ink"]
        if index == 0:
            yield _text(at, line, colour, size=NAME_SIZE, weight="bold")
        else:
            yield _text(at, line, colour, size=LINE_SIZE)


def _title(box: Box, rising: bool, colours: dict) -> Artist:
    """The title of a frame, along the flow of time, starting at its first nodes."""
    style: dict[str, object] = {"size": LINE_SIZE, "style": "italic"}
    if rising:
        at = (box.x + TITLE_ROOM / 2, box.y + TITLE_START)
        style |= {"rotation": 90, "va": "bottom"}
    else:
        at = (box.x + TITLE_START, box.y + box.height - TITLE_ROOM / 2)
        style |= {"ha": "left"}
    return _text(at, box.lines[0], colours["now"], **style)


def _text(at: Point, words: str, colour: str, **style: object) -> Artist:
    """A text, centred at a point unless ``style`` says otherwise."""
    from matplotlib.text import Text

    style = {"ha": "center", "va": "center", **style}
    return Text(*at, words, color=colour, parse_math=False, **style)


# Arrows


def _arrow(arrow: Arrow, rising: bool, colours: dict) -> list[Artist]:
    """The line of an arrow, its head, and its label if it has one."""
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path as Curve

    colour = colours[arrow.kind]
    tip, left, right, base = _head(arrow.points[-1], rising)
    points = [*arrow.points[:-1], base]
    is_feedback = arrow.kind == "feedback"
    segments = _rounded(points) if is_feedback else _smooth(points, rising)
    codes = [MOVE]
    vertices = [points[0]]
    for code, point in segments:
        codes.append(code)
        vertices.append(point)

    line = PathPatch(
        Curve(vertices, codes),
        facecolor="none",
        edgecolor=colour,
        linewidth=1.5 if arrow.kind in ("feedback", "carried") else 1.0,
    )
    head = Polygon([tip, left, right], facecolor=colour, edgecolor="none")
    if not arrow.label_at:
        return [line, head]
    return [line, head, _text(arrow.label_at, arrow.label, colour, size=LINE_SIZE)]


def _head(tip: Point, rising: bool) -> tuple[Point, Point, Point, Point]:
    """The corners of an arrow's head, and the middle of its base, where the line ends.

    The tip is the first of them.
    """
    x, y = tip
    half = 0.4 * HEAD
    if rising:
        return tip, (x - half, y - HEAD), (x + half, y - HEAD), (x, y - HEAD)
    return tip, (x - HEAD, y + half), (x - HEAD, y - half), (x - HEAD, y)


def _smooth(points: list[Point], rising: bool) -> Iterator[tuple[int, Point]]:
    """Cubic curves that pass each of ``points`` in the direction of the flow."""
    for (x, y), (to_x, to_y) in pairwise(points):
        if rising:
            middle = (y + to_y) / 2
            handles = (x, middle), (to_x, middle)
        else:
            middle = (x + to_x) / 2
            handles = (middle, y), (middle, to_y)
        for point in (*handles, (to_x, to_y)):
            yield CUBIC, point


def _rounded(points: list[Point]) -> Iterator[tuple[int, Point]]:
    """Straight lines through ``points``, with rounded corners."""
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        yield LINE_TO, _towards(corner, before)
        yield QUADRATIC, corner
        yield QUADRATIC, _towards(corner, after)
    yield LINE_TO, points[-1]


def _towards(start: Point, end: Point) -> Point:
    """The point ``ROUND`` away from ``start``, but not beyond half way to ``end``."""
    (x, y), (to_x, to_y) = start, end
    length = max(abs(to_x - x), abs(to_y - y))
    part = min(ROUND / length, 0.5) if length else 0.0
    return x + part * (to_x - x), y + part * (to_y - y)
