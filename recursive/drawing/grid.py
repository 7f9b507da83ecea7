"""Lengths along the flow of time and across it, in inches.

The layout is computed once for both directions of a diagram. *Along* is the direction
of the flow: to the right, or upwards if the diagram is *rising*. *Across* is the other
direction. :mod:`recursive.drawing.layout` turns both into x and y at the end.

Along, a column is as deep as its deepest box, and the gap behind a column is wider if
its arrows are steep or if feedback passes there. Across, :func:`columns.settle` has
decided the centre of each box already.

**Feedback.** A state's arrow leaves its node forwards and must come back to the first
columns without passing a box. It runs in lanes, parallel lines ``LANE`` apart::

     ,---------------- outside ------------.
     |    +-------+             +------+   |  turn, behind the node's column
     `--> | h t-1 | ----------> | node | --'
          +-------+             +------+
     before the states

The lane of each node is chosen such that lanes do not cross one another: the node that
feeds the outermost box gets the innermost lane.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from recursive.drawing.columns import Columns, Vertex, settle
from recursive.drawing.sketch import FIRST, Link, Part, Sketch

NAME_SIZE = 10.0
"""The type size of names, which are bold, in points."""
LINE_SIZE = 8.5
"""The type size of the lines below a name, in points."""
LINE = 0.165
"""From one line of a box to the next."""
COLUMN_GAP = {False: 0.55, True: 0.42}
"""Between two columns, at least; by ``rising``."""
BOX_GAP = {False: 0.24, True: 0.22}
"""Between two boxes of a column; by ``rising``."""
LANE = 0.11
"""Between two parallel lanes of feedback."""
PAD = 0.18
"""From the boxes to the frame, and to the first lane."""
TITLE_ROOM = 0.3
"""Across, from the frame to the boxes on the side of its title."""
TITLE_START = PAD + 0.04
"""Along, from the frame to its title."""

Point = tuple[float, float]


# The sizes of text


def text_width(text: str, size: float, bold: bool = False) -> float:
    """The width of ``text`` in inches, or a little more."""
    return sum(map(_relative_width, text)) * size / 72 * (1.15 if bold else 1.0)


def _relative_width(character: str) -> float:
    """The width of a character in type of size 1."""
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    if character in "fijlrtI .,:;|'-()[]":
        return 0.42
    if character in "mwMW>%@\N{HORIZONTAL ELLIPSIS}":
        return 1.0
    return 0.79 if character.isupper() else 0.645


def box_size(part: Part, arrows: int, rising: bool) -> Point:
    """Width and height of a part's box, with room for the ``arrows`` that end at it."""
    name, *lines = part.lines
    widths = [0.8, text_width(name, NAME_SIZE, bold=True)]
    for line in lines:
        widths.append(text_width(line, LINE_SIZE))
    width = max(widths) + 0.2
    height = LINE * len(part.lines) + 0.16

    # Arrows end side by side, across the flow.
    ends = 0.1 * arrows + 0.1
    if rising:
        return max(width, ends), height
    return width, max(height, ends)


# The lanes of feedback


@dataclass(frozen=True)
class Lanes:
    """The lanes of feedback, one for each node that feeds a state.

    Args:
        outside: the nodes, innermost lane first, where lanes run outside of all boxes.
        turning: for each column, the nodes whose lanes turn off behind it, innermost
            lane first.
        label: the width of the widest label.
        rising: True if time flows upwards.
    """

    outside: tuple[Part, ...]
    turning: tuple[tuple[Part, ...], ...]
    label: float
    rising: bool

    @property
    def entry(self) -> float:
        """The length from the innermost lane to the box of a state that it enters.

        The label lies there.
        """
        return 0.4 if self.rising else self.label + 0.3

    @property
    def depth(self) -> float:
        """The length from the innermost lane to the outermost."""
        return LANE * (len(self.outside) - 1)

    @classmethod
    def of(
        cls,
        drawn: Sketch,
        columns: Columns,
        centre: Mapping[Vertex, float],
        rising: bool,
    ) -> Lanes:
        """The lanes of a sketch, in an order in which they do not cross."""
        links = [link for link in drawn.links if link.kind == "feedback"]
        # Across, the last box that each node feeds.
        last_fed: dict[Vertex, float] = {}
        for link in links:
            height = centre[link.target]
            last_fed[link.source] = max(last_fed.get(link.source, height), height)
        outside = sorted(last_fed, key=last_fed.__getitem__, reverse=True)

        # The node nearest to the outside turns off first.
        turning = []
        for column in columns.order:
            nodes = [vertex for vertex in column if vertex in last_fed]
            nodes.sort(key=centre.__getitem__, reverse=True)
            turning.append(tuple(nodes))

        widths = [text_width(link.label, LINE_SIZE) for link in links]
        label = max(widths, default=0.0)
        return cls(tuple(outside), tuple(turning), label, rising)


# Everything


@dataclass(frozen=True)
class Rectangle:
    """From ``start`` to ``end`` along the flow, from ``first`` to ``last`` across."""

    start: float
    end: float
    first: float
    last: float


@dataclass(frozen=True)
class Grid:
    """The place of everything along the flow and across it.

    Args:
        columns: the vertices of each column, and the paths through them.
        titles: the title of each framed zone.
        rising: True if time flows upwards.
        start, end: the lengths along the flow at which each column starts and ends.
        centre: the centre of each vertex across the flow.
        size: the size of each vertex across the flow; 0 for a bend.
        lanes: the lanes of feedback.
    """

    columns: Columns
    titles: Mapping[int, str]
    rising: bool
    start: tuple[float, ...]
    end: tuple[float, ...]
    centre: Mapping[Vertex, float]
    size: Mapping[Vertex, float]
    lanes: Lanes

    @classmethod
    def of(cls, drawn: Sketch, columns: Columns, rising: bool) -> Grid:
        """The grid of a sketch for a flow to the right, or upwards (``rising``)."""
        along = {}
        across: dict[Vertex, float] = {}
        for column in columns.order:
            for vertex in column:
                across[vertex] = 0.0
        for part in drawn.parts:
            width, height = box_size(part, len(columns.before[part]), rising)
            along[part] = height if rising else width
            across[part] = width if rising else height

        centre = settle(columns, across, gap=BOX_GAP[rising])
        lanes = Lanes.of(drawn, columns, centre, rising)
        depths = _column_depths(drawn, columns, along)
        gaps = _column_gaps(drawn, columns, centre, lanes)

        starts = []
        ends = []
        start = 0.0
        for depth, gap in zip(depths, gaps, strict=True):
            starts.append(start)
            ends.append(start + depth)
            start = start + (depth + gap)
        return cls(
            columns,
            drawn.frames,
            rising,
            tuple(starts),
            tuple(ends),
            centre,
            across,
            lanes,
        )

    @cached_property
    def column_of(self) -> dict[Vertex, int]:
        """The column of each vertex."""
        column_of = {}
        for index, column in enumerate(self.columns.order):
            column_of.update(dict.fromkeys(column, index))
        return column_of

    def rectangle(self, vertex: Vertex) -> Rectangle:
        """The rectangle of a part's box, or the line that a bend is."""
        index = self.column_of[vertex]
        centre, half = self.centre[vertex], self.size[vertex] / 2
        return Rectangle(
            self.start[index], self.end[index], centre - half, centre + half
        )

    @cached_property
    def frames(self) -> dict[str, Rectangle]:
        """The rectangle around each framed zone that has nodes, by its title."""
        frames = {}
        for zone, title in self.titles.items():
            within = _columns_of_zone(self.columns, zone)
            if within:
                frames[title] = self._frame(within)
        return frames

    def _frame(self, within: list[int]) -> Rectangle:
        """The rectangle around some columns, with room for the title and the lanes."""
        boxes = []
        for index in within:
            boxes += map(self.rectangle, self.columns.order[index])
        first_column, last_column = within[0], within[-1]
        lanes = LANE * len(self.lanes.turning[last_column])
        return Rectangle(
            self.start[first_column] - PAD,
            self.end[last_column] + PAD + lanes,
            min(box.first for box in boxes) - TITLE_ROOM,
            max(box.last for box in boxes) + PAD,
        )

    @cached_property
    def extent(self) -> Rectangle:
        """The rectangle around everything."""
        inside = [*map(self.rectangle, self.centre), *self.frames.values()]
        outside = PAD + self.lanes.depth if self.lanes.outside else 0.0
        return Rectangle(
            min(0.0, self._outermost_lane),
            max(box.end for box in inside),
            min(box.first for box in inside),
            max(box.last for box in inside) + outside,
        )

    # The points of the arrows

    def points(self, link: Link) -> tuple[Point, ...]:
        """The points that the arrow of ``link`` passes, along and across."""
        if link.kind == "feedback":
            return self._feedback_points(link)
        first, *rest = self._forward_points(self.columns.paths[link])
        if link.source.zone != FIRST or not self.lanes.outside:
            return first, *rest

        # A context of the first column passes the lanes in a straight line.
        if link.kind == "start":
            rest = [(rest[0][0], self._start_arrival(link.target))]
        return first, (self._outermost_lane - 0.1, rest[0][1]), *rest

    def _forward_points(self, path: tuple[Vertex, ...]) -> tuple[Point, ...]:
        """The points of an arrow from a box through bends to another box."""
        source, *bends, target = path
        points = [(self.end[self.column_of[source]], self.centre[source])]
        for bend in bends:
            line = self.rectangle(bend)
            points.append((line.start, self.centre[bend]))
            points.append((line.end, self.centre[bend]))
        points.append((self.start[self.column_of[target]], self._arrival(path)))
        return tuple(points)

    def _arrival(self, path: tuple[Vertex, ...]) -> float:
        """The point across at which an arrow ends at its box.

        The arrows of a box end side by side, in the order in which they arrive.
        """
        box = path[-1]
        arriving = sorted(self.columns.before[box], key=self.centre.__getitem__)
        apart = min(0.16, (self.size[box] - 0.1) / len(arriving))
        place = arriving.index(path[-2]) - (len(arriving) - 1) / 2
        return self.centre[box] + apart * place

    def _start_arrival(self, state: Part) -> float:
        """The point across at which the arrow of an initial value ends.

        It lies next to the feedback, on the side where its label is not.
        """
        side = -1 if self.rising else 1
        return self.centre[state] + self.size[state] / 4 * side

    @property
    def _outermost_lane(self) -> float:
        """Along the flow, the outermost lane before the boxes of states."""
        if not self.lanes.outside:
            return 0.0
        starts = []
        for vertex in self.size:
            if isinstance(vertex, Part) and vertex.kind == "state":
                starts.append(self.start[self.column_of[vertex]])
        return min(starts) - self.lanes.entry - self.lanes.depth

    def _feedback_points(self, link: Link) -> tuple[Point, ...]:
        """The points of an arrow from a node back to the state that it feeds."""
        source = self.rectangle(link.source)
        target = self.rectangle(link.target)
        lane = LANE * self.lanes.outside.index(link.source)
        turning = self.lanes.turning[self.column_of[link.source]]
        lane_offset = LANE * turning.index(link.source)

        turn = source.end + PAD - 0.04 + lane_offset
        before = target.start - self.lanes.entry - lane
        outside = self.extent.last - self.lanes.depth + lane
        leave = self.centre[link.source] + self.size[link.source] / 4
        enter = self.centre[link.target]
        return (
            (source.end, leave),
            (turn, leave),
            (turn, outside),
            (before, outside),
            (before, enter),
            (target.start, enter),
        )

    def label(self, link: Link) -> Point:
        """The centre of a feedback's label, next to where it enters its box."""
        along = self.rectangle(link.target).start - self.lanes.entry / 2 - 0.04
        offset = self.lanes.label / 2 + 0.06 if self.rising else -0.1
        return along, self.centre[link.target] + offset


def _column_depths(
    drawn: Sketch, columns: Columns, along: Mapping[Part, float]
) -> list[float]:
    """The length of each column along the flow."""
    depths = []
    for column in columns.order:
        depths.append(max(along[vertex] for vertex in column if vertex in along))
    # The title of a frame around a single column must fit.
    for zone, title in drawn.frames.items():
        within = _columns_of_zone(columns, zone)
        if len(within) == 1:
            [index] = within
            depths[index] = max(depths[index], text_width(title, LINE_SIZE))
    return depths


def _column_gaps(
    drawn: Sketch,
    columns: Columns,
    centre: Mapping[Vertex, float],
    lanes: Lanes,
) -> list[float]:
    """The length of the gap behind each column along the flow."""
    gaps = []
    for index, turning in enumerate(lanes.turning):
        steep = _room_for_steep_arrows(columns, index, centre)
        gaps.append(COLUMN_GAP[lanes.rising] + steep + LANE * len(turning))
    # Contexts that states start from form a first column, and the lanes pass behind it.
    has_starts = any(link.kind == "start" for link in drawn.links)
    if has_starts and lanes.outside:
        gaps[0] += lanes.entry + lanes.depth
    return gaps


def _columns_of_zone(columns: Columns, zone: int) -> list[int]:
    """The indices of the columns that hold parts of a zone."""
    indices = []
    for index, column in enumerate(columns.order):
        zones = {vertex.zone for vertex in column if isinstance(vertex, Part)}
        if zone in zones:
            indices.append(index)
    return indices


def _room_for_steep_arrows(
    columns: Columns, index: int, centre: Mapping[Vertex, float]
) -> float:
    """The additional gap behind a column whose arrows are steep."""
    steepest = 0.0
    for vertex in columns.order[index]:
        for end in columns.after[vertex]:
            steepest = max(steepest, abs(centre[end] - centre[vertex]))
    return min(0.45, 0.08 * steepest)
