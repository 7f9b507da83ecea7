"""Lengths along the flow and across it, in inches, before they are turned into x and y.

What is joined with what decides the places across; the sizes of the text decide how deep each column is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from operator import add

from recursive.drawing.columns import Columns, Vertex, settled
from recursive.drawing.sketch import FIRST, Link, Part, Sketch

NAME_SIZE, LINE_SIZE = 10.0, 8.5
"""Sizes of type, in points: of names, which are bold, and of the lines below them."""
LINE = 0.165
"""From one line of a box to the next."""
GAPS = (0.55, 0.42)
"""Between two columns, at least: side by side, and one above the other."""
APART = (0.24, 0.22)
"""Between two boxes of a column."""
LANE = 0.11
"""Between two parallel ways of the feedback."""
PAD = 0.18
"""From the boxes to the frame, and to the first way of the feedback."""
TITLE_ROOM, TITLE_START = 0.3, PAD + 0.04
"""Across, from the frame to the boxes, where its title is; along, from the frame to the title."""

Point = tuple[float, float]


# The sizes of text


def text_width(text: str, size: float, bold: bool = False) -> float:
    """The width of ``text``, in inches, or a little more."""
    return sum(map(_width, text)) * size / 72 * (1.15 if bold else 1.0)


def _width(character: str) -> float:
    """The width of one character, for type of size 1."""
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    if character in "fijlrtI .,:;|'-()[]":
        return 0.42
    return (
        1.0
        if character in "mwMW>%@\N{HORIZONTAL ELLIPSIS}"
        else 0.79
        if character.isupper()
        else 0.645
    )


def box_size(part: Part, arrows: int, rising: bool) -> Point:
    """Width and height of a part's box, with room for the ``arrows`` that end at it."""
    texts = [
        text_width(part.lines[0], NAME_SIZE, bold=True),
        *(text_width(line, LINE_SIZE) for line in part.lines[1:]),
    ]
    width, height = max(0.8, *texts) + 0.2, LINE * len(part.lines) + 0.16
    ends = 0.1 * arrows + 0.1
    return (max(width, ends), height) if rising else (width, max(height, ends))


# The ways of the feedback


@dataclass(frozen=True)
class Lanes:
    """The ways of the feedback, one for each node that is remembered; innermost first.

    Each leaves its node forwards, turns off beside the node's column (``beside``), runs back outside everything and
    behind the first column (``outside``), and enters the boxes of the past values from there.
    """

    outside: tuple[Part, ...]
    beside: tuple[tuple[Part, ...], ...]
    label: float
    rising: bool

    @property
    def entry(self) -> float:
        """From the ways behind the column of the past values to its boxes: the label lies there."""
        return 0.4 if self.rising else self.label + 0.3

    @property
    def outer(self) -> float:
        """From the innermost of the ways to the outermost."""
        return LANE * (len(self.outside) - 1)

    @classmethod
    def of(
        cls,
        drawn: Sketch,
        columns: Columns,
        middle: Mapping[Vertex, float],
        rising: bool,
    ) -> Lanes:
        """The lanes in an order that keeps them apart: what lies nearest to the outside turns first."""
        links = [link for link in drawn.links if link.kind == "feedback"]
        last: dict[Vertex, float] = {}
        for link in links:
            last[link.source] = max(
                last.get(link.source, middle[link.target]), middle[link.target]
            )
        outside = tuple(sorted(last, key=last.__getitem__, reverse=True))
        beside = (
            sorted(
                (vertex for vertex in column if vertex in last),
                key=middle.__getitem__,
                reverse=True,
            )
            for column in columns.order
        )
        label = max((text_width(link.label, LINE_SIZE) for link in links), default=0.0)
        return cls(outside, tuple(map(tuple, beside)), label, rising)


# Everything


@dataclass(frozen=True)
class Span:
    """A rectangle: from ``start`` to ``end`` along the flow, from ``first`` to ``last`` across it."""

    start: float
    end: float
    first: float
    last: float


@dataclass(frozen=True)
class Grid:
    """Where each column starts and ends along the flow, and the middle and size of each vertex across it."""

    columns: Columns
    titles: Mapping[int, str]
    rising: bool
    start: tuple[float, ...]
    end: tuple[float, ...]
    middle: Mapping[Vertex, float]
    size: Mapping[Vertex, float]
    lanes: Lanes

    @classmethod
    def of(cls, drawn: Sketch, columns: Columns, rising: bool) -> Grid:
        """The grid of a sketch for a flow to the right, or upwards (``rising``)."""
        boxes = {
            part: box_size(part, len(columns.before[part]), rising)
            for part in drawn.parts
        }
        size = {
            vertex: boxes[vertex][not rising] if vertex in boxes else 0.0
            for column in columns.order
            for vertex in column
        }
        middle = settled(columns, size, between=APART[rising])
        lanes = Lanes.of(drawn, columns, middle, rising)
        deep = [
            max(boxes[vertex][rising] for vertex in column if vertex in boxes)
            for column in columns.order
        ]
        for zone, title in drawn.frames.items():
            [*within] = _within(columns, zone)
            if len(within) == 1:
                deep[within[0]] = max(deep[within[0]], text_width(title, LINE_SIZE))
        gaps = [
            GAPS[rising] + _steep(columns, index, middle) + LANE * len(beside)
            for index, beside in enumerate(lanes.beside)
        ]
        if any(link.kind == "start" for link in drawn.links) and lanes.outside:
            gaps[0] += lanes.entry + lanes.outer
        start = tuple(accumulate(map(add, deep[:-1], gaps), initial=0.0))
        return cls(
            columns,
            drawn.frames,
            rising,
            start,
            tuple(map(add, start, deep)),
            middle,
            size,
            lanes,
        )

    @cached_property
    def column(self) -> dict[Vertex, int]:
        """The column of each vertex."""
        return {
            vertex: index
            for index, column in enumerate(self.columns.order)
            for vertex in column
        }

    def span(self, vertex: Vertex) -> Span:
        """The rectangle of a part's box, or of the line that a bend is."""
        index, half = self.column[vertex], self.size[vertex] / 2
        return Span(
            self.start[index],
            self.end[index],
            self.middle[vertex] - half,
            self.middle[vertex] + half,
        )

    @cached_property
    def frames(self) -> dict[str, Span]:
        """By its title, the rectangle around each framed zone that has nodes."""
        return {
            title: self._frame(within)
            for zone, title in self.titles.items()
            if (within := _within(self.columns, zone))
        }

    def _frame(self, within: list[int]) -> Span:
        spans = [
            self.span(vertex)
            for index in within
            for vertex in self.columns.order[index]
        ]
        lanes = LANE * len(self.lanes.beside[within[-1]])
        return Span(
            self.start[within[0]] - PAD,
            self.end[within[-1]] + PAD + lanes,
            min(span.first for span in spans) - TITLE_ROOM,
            max(span.last for span in spans) + PAD,
        )

    @cached_property
    def extent(self) -> Span:
        """The rectangle around everything."""
        spans = [*map(self.span, self.middle), *self.frames.values()]
        beside = PAD + self.lanes.outer if self.lanes.outside else 0.0
        return Span(
            min(0.0, self._behind),
            max(span.end for span in spans),
            min(span.first for span in spans),
            max(span.last for span in spans) + beside,
        )

    # The ways of the arrows

    def way(self, link: Link) -> tuple[Point, ...]:
        """The points that the arrow of ``link`` passes, along and across; straight amid the feedback."""
        if link.kind == "feedback":
            return self._back(link)
        first, *rest = self._forth(self.columns.paths[link])
        if link.source.zone != FIRST or not self.lanes.outside:
            return first, *rest
        if link.kind == "start":
            rest = [(rest[0][0], self._beside(link.target))]
        return first, (self._behind - 0.1, rest[0][1]), *rest

    def _forth(self, path: tuple[Vertex, ...]) -> tuple[Point, ...]:
        points = [(self.end[self.column[path[0]]], self.middle[path[0]])]
        for bend in path[1:-1]:
            span = self.span(bend)
            points += [(span.start, self.middle[bend]), (span.end, self.middle[bend])]
        return (*points, (self.start[self.column[path[-1]]], self._arrival(path)))

    def _arrival(self, path: tuple[Vertex, ...]) -> float:
        """Where an arrow ends at its box: the ends lie side by side, in the order of where they come from."""
        vertex = path[-1]
        sources = sorted(self.columns.before[vertex], key=self.middle.__getitem__)
        apart = min(0.16, (self.size[vertex] - 0.1) / len(sources))
        return self.middle[vertex] + apart * (
            sources.index(path[-2]) - (len(sources) - 1) / 2
        )

    def _beside(self, state: Part) -> float:
        """Where the arrow of a start ends: beside the feedback, on the side where its label is not."""
        return self.middle[state] + self.size[state] / 4 * (-1 if self.rising else 1)

    @property
    def _behind(self) -> float:
        """Along the flow, where the outermost of the ways runs to the boxes of the past values."""
        if not self.lanes.outside:
            return 0.0
        ends = [
            self.start[self.column[part]]
            for part in self.size
            if isinstance(part, Part) and part.kind == "state"
        ]
        return min(ends) - self.lanes.entry - self.lanes.outer

    def _back(self, link: Link) -> tuple[Point, ...]:
        source, target = self.span(link.source), self.span(link.target)
        lane = LANE * self.lanes.outside.index(link.source)
        beside = LANE * self.lanes.beside[self.column[link.source]].index(link.source)
        turn, behind = (
            source.end + PAD - 0.04 + beside,
            target.start - self.lanes.entry - lane,
        )
        outside = self.extent.last - self.lanes.outer + lane
        leave, enter = (
            self.middle[link.source] + self.size[link.source] / 4,
            self.middle[link.target],
        )
        return (
            (source.end, leave),
            (turn, leave),
            (turn, outside),
            (behind, outside),
            (behind, enter),
            (target.start, enter),
        )

    def label(self, link: Link) -> Point:
        """The middle of the label of a feedback: where it enters its box, beside the arrow."""
        beside = self.lanes.label / 2 + 0.06 if self.rising else -0.1
        return self.span(link.target).start - self.lanes.entry / 2 - 0.04, self.middle[
            link.target
        ] + beside


def _within(columns: Columns, zone: int) -> list[int]:
    """The columns of a zone."""
    return [
        index
        for index, column in enumerate(columns.order)
        if any(isinstance(vertex, Part) and vertex.zone == zone for vertex in column)
    ]


def _steep(columns: Columns, index: int, middle: Mapping[Vertex, float]) -> float:
    """The additional room behind a column whose arrows are steep."""
    rises = [
        abs(middle[end] - middle[vertex])
        for vertex in columns.order[index]
        for end in columns.after[vertex]
    ]
    return min(0.45, 0.08 * max(rises, default=0.0))
