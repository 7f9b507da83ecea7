"""The column of each part, its place in the column, and its height.

This is layered drawing after Sugiyama, Tagawa and Toda (1981). Time flows in one
direction, so every arrow except the feedback of states should point forwards and pass
through no box. Four steps lead there:

1. **Columns** (:func:`depths`). A part lies one column behind the last part that it
   reads: its depth is the longest path to it. All parts of a zone (inputs, nodes,
   outputs) lie behind all parts of the zone before.
2. **Bends** (:class:`Bend`). An arrow that skips columns passes each of them at a bend,
   which takes a place in the column like a box. Then all arrows run between adjacent
   columns, and no arrow crosses a box. All arrows of one source share their bends.
3. **Order** (:func:`uncross`). Fewest crossings is an NP-hard problem, so this is a
   heuristic. In each sweep, every column is sorted by the mean place of its neighbours
   in the column before it, forwards and then backwards. The best order seen is kept.
   Then adjacent vertices are switched as long as that removes a crossing.
4. **Heights** (:func:`settle`). Each vertex moves to the mean height of its neighbours,
   as near as the order and the sizes of the boxes allow. :func:`spread` solves that for
   one column: it is a weighted least-squares problem with a fixed order, solved by
   pooling adjacent violators (isotonic regression).

A *vertex* is a part or a bend. A *path* is the list of vertices that one arrow passes.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

from recursive.drawing.sketch import Link, Part, Sketch

SWEEPS = 12
"""The number of sweeps over the columns, forwards and backwards."""


@dataclass(frozen=True, slots=True)
class Bend:
    """The point where the arrows of ``source`` pass ``column`` on their way."""

    source: Part
    column: int


Vertex = Part | Bend
Neighbours = Mapping[Vertex, list[Vertex]]
Order = list[list[Vertex]]
"""The vertices of each column, from the first column to the last."""


@dataclass(frozen=True)
class Columns:
    """The columns in their order, and the path of each arrow through them.

    Args:
        order: the vertices of each column.
        paths: the path of each link, except feedback.
        before: the vertices of the column before that each vertex is joined to.
        after: the vertices of the column after that each vertex is joined to.
    """

    order: Order
    paths: dict[Link, tuple[Vertex, ...]]
    before: Neighbours
    after: Neighbours


def arrange(drawn: Sketch) -> Columns:
    """Put the parts and bends of a sketch in columns, with few crossings."""
    column_of = depths(drawn)
    paths = {}
    for link in drawn.links:
        if link.kind != "feedback":
            paths[link] = _path(link, column_of)

    # Arrows of one source share bends, so a step may be on several paths.
    steps: dict[tuple[Vertex, Vertex], None] = {}
    for path in paths.values():
        steps.update(dict.fromkeys(pairwise(path)))

    order: Order = [[] for _ in range(max(column_of.values()) + 1)]
    for part in drawn.parts:
        order[column_of[part]].append(part)
    for bend in dict.fromkeys(end for _, end in steps):
        if isinstance(bend, Bend):
            order[bend.column].append(bend)

    before = _neighbours(order)
    after = _neighbours(order)
    for start, end in steps:
        before[end].append(start)
        after[start].append(end)
    return Columns(uncross(order, before, after), paths, before, after)


def _neighbours(order: Order) -> dict[Vertex, list[Vertex]]:
    """An empty list of neighbours for each vertex."""
    neighbours: dict[Vertex, list[Vertex]] = {}
    for column in order:
        for vertex in column:
            neighbours[vertex] = []
    return neighbours


# 1 and 2: columns and bends


def depths(drawn: Sketch) -> dict[Part, int]:
    """The column of each part: the longest path to it, behind the zones before its own.

    The parts of a sketch are sorted by zone, and each comes after what it reads.
    """
    sources: dict[Part, list[Part]] = {}
    for link in drawn.links:
        if link.kind != "feedback":
            sources.setdefault(link.target, []).append(link.source)

    depth: dict[Part, int] = {}
    for _, zone in groupby(drawn.parts, key=lambda part: part.zone):
        first_column = 1 + max(depth.values(), default=-1)
        for part in zone:
            depth[part] = first_column
            for source in sources.get(part, ()):
                depth[part] = max(depth[part], 1 + depth[source])
    return depth


def _path(link: Link, column_of: Mapping[Part, int]) -> tuple[Vertex, ...]:
    """The vertices that the arrow of a link passes, from its source to its target."""
    path: list[Vertex] = [link.source]
    for column in range(column_of[link.source] + 1, column_of[link.target]):
        path.append(Bend(link.source, column))
    path.append(link.target)
    return tuple(path)


# 3: the order in each column


def uncross(order: Order, before: Neighbours, after: Neighbours) -> Order:
    """An order with few crossings, found by sweeps and by switching neighbours."""
    best = order
    fewest = crossings(order, after)
    for _ in range(SWEEPS):
        forwards = _sweep(order, before)
        backwards = _sweep(forwards[::-1], after)[::-1]
        for found in (forwards, backwards):
            count = crossings(found, after)
            if count < fewest:
                best, fewest = found, count
        order = backwards
    return _switch_adjacent(best, before, after)


def _sweep(order: Order, neighbours: Neighbours) -> Order:
    """Sort each column by the mean place of its neighbours in the column before it."""
    swept = [order[0]]
    for column in order[1:]:
        place = _relative_places(swept[-1])
        own_place = _relative_places(column)
        mean_place = {}
        for vertex in column:
            places = [place[other] for other in neighbours[vertex]]
            mean_place[vertex] = _mean(places, own_place[vertex])
        swept.append(sorted(column, key=mean_place.__getitem__))
    return swept


def _relative_places(column: Sequence[Vertex]) -> dict[Vertex, float]:
    """Places from 0 to 1, so that long and short columns compare."""
    return {vertex: (index + 0.5) / len(column) for index, vertex in enumerate(column)}


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def crossings(order: Order, after: Neighbours) -> int:
    """The number of pairs of arrows that cross between neighbouring columns."""
    count = 0
    for column, following in pairwise(order):
        place = {vertex: index for index, vertex in enumerate(following)}
        # The sorted ends of the arrows that start above. An arrow crosses those of them
        # that end below its own end.
        ends_above: list[int] = []
        for vertex in column:
            ends = [place[end] for end in after[vertex]]
            for end in ends:
                count += len(ends_above) - bisect_right(ends_above, end)
            for end in ends:
                insort(ends_above, end)
    return count


def _switch_adjacent(order: Order, before: Neighbours, after: Neighbours) -> Order:
    """Switch adjacent vertices of a column as long as that removes a crossing."""
    order = [list(column) for column in order]
    place = {}
    for column in order:
        for index, vertex in enumerate(column):
            place[vertex] = index

    improved = True
    while improved:
        improved = False
        for column in order:
            for index in range(len(column) - 1):
                one, other = column[index], column[index + 1]
                gain = 0
                for side in (before, after):
                    gain += _crossed(one, other, side, place)
                    gain -= _crossed(other, one, side, place)
                if gain > 0:
                    column[index], column[index + 1] = other, one
                    place[one], place[other] = index + 1, index
                    improved = True
    return order


def _crossed(
    one: Vertex, other: Vertex, neighbours: Neighbours, place: Mapping[Vertex, int]
) -> int:
    """The number of crossings of two vertices' arrows on one side, ``one`` first."""
    count = 0
    for far in neighbours[one]:
        for near in neighbours[other]:
            count += place[far] > place[near]
    return count


# 4: the height of each vertex


def settle(
    columns: Columns, sizes: Mapping[Vertex, float], gap: float
) -> dict[Vertex, float]:
    """The centre of each vertex across the flow, near those of its neighbours.

    Boxes of a column lie at least ``gap`` apart.
    """
    both = {}
    for vertex, neighbours in columns.before.items():
        both[vertex] = [*neighbours, *columns.after[vertex]]
    centre = {}
    for column in columns.order:
        for index, vertex in enumerate(column):
            centre[vertex] = float(index)

    for order, neighbours in _rounds(columns, both):
        for column in order:
            apart = []
            for one, other in pairwise(column):
                half_sizes = (sizes[one] + sizes[other]) / 2
                apart.append(half_sizes + _gap_between(one, other, gap))
            wanted = _wanted(column, neighbours, both, centre)
            weights = [_weight(vertex, both) for vertex in column]
            places = spread(wanted, apart, weights)
            centre.update(zip(column, places, strict=True))
    return centre


def _rounds(columns: Columns, both: Neighbours) -> list[tuple[Order, Neighbours]]:
    """The passes over the columns, each with the neighbours that attract a vertex."""
    forwards = columns.order
    backwards = forwards[::-1]
    one_side = [(forwards, columns.before), (backwards, columns.after)]
    both_sides = [(forwards, both), (backwards, both)]
    # At the end, each column follows the one before it, and the first the second.
    last = [(forwards, columns.before), (forwards[:1], columns.after)]
    return one_side * SWEEPS + both_sides * SWEEPS + last


def _weight(vertex: Vertex, both: Neighbours) -> float:
    """The weight of a vertex's wish: bends are strong, so that arrows are straight."""
    if isinstance(vertex, Bend):
        return 4.0
    return 1.0 if both[vertex] else 0.01


def _wanted(
    column: Sequence[Vertex],
    neighbours: Neighbours,
    both: Neighbours,
    centre: Mapping[Vertex, float],
) -> list[float]:
    """The centre that each vertex of a column would have if it were alone."""
    middle = (min(centre.values()) + max(centre.values())) / 2
    wanted = []
    for vertex in column:
        # Without neighbours on this side it stays, and without any it goes to the
        # middle of the diagram.
        default = centre[vertex] if both[vertex] else middle
        heights = [centre[other] for other in neighbours[vertex]]
        wanted.append(_mean(heights, default))
    return wanted


def _gap_between(one: Vertex, other: Vertex, gap: float) -> float:
    """The gap between two vertices. Bends may lie nearer to one another than boxes."""
    bends = isinstance(one, Bend) + isinstance(other, Bend)
    return gap * (3 - bends) / 3


def spread(
    wanted: Sequence[float], apart: Sequence[float], weights: Sequence[float]
) -> list[float]:
    """The places nearest to ``wanted`` that keep their order and lie ``apart``.

    They have the least sum of weighted squares. Once the offsets that ``apart`` adds up
    to are subtracted, places must only not decrease. So values that decrease form a
    pool, and each value of a pool becomes the pool's mean.

    >>> spread([0.0, 0.0, 9.0], apart=[2.0, 2.0], weights=[1.0, 1.0, 1.0])
    [-1.0, 1.0, 9.0]
    """
    offsets = list(accumulate(apart, initial=0.0))
    pools: list[tuple[float, float, int]] = []  # mean, weight, count
    for want, offset, weight in zip(wanted, offsets, weights, strict=True):
        mean, count = want - offset, 1
        while pools and pools[-1][0] >= mean:
            pool_mean, pool_weight, pool_count = pools.pop()
            total = mean * weight + pool_mean * pool_weight
            mean = total / (weight + pool_weight)
            weight += pool_weight
            count += pool_count
        pools.append((mean, weight, count))

    means: list[float] = []
    for mean, _, count in pools:
        means += [mean] * count
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]
