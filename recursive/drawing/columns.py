"""In which column everything is drawn, in which order, and at which height (after Sugiyama, Tagawa and Toda, 1981).

A link that skips columns passes each of them through a :class:`Bend`, which is given a place of its own like a box:
so no arrow can run through a box. All links of one source share their bends.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

from recursive.drawing.sketch import Link, Part, Sketch

SWEEPS = 12
"""How often the columns are gone through, there and back."""


@dataclass(frozen=True, slots=True)
class Bend:
    """Where the value of ``source`` passes ``column`` on its way to a later one."""

    source: Part
    column: int


Vertex = Part | Bend
Neighbours = Mapping[Vertex, list[Vertex]]
Order = list[list[Vertex]]


@dataclass(frozen=True)
class Columns:
    """The columns, first to last, each in its order, and the way of each link of the same time through them."""

    order: Order
    paths: dict[Link, tuple[Vertex, ...]]
    before: Neighbours
    after: Neighbours


def arranged(drawn: Sketch) -> Columns:
    """The columns of a sketch: what is given, then nodes by the longest path to them, then outputs."""
    column = depths(drawn)
    paths = {
        link: _path(link, column) for link in drawn.links if link.kind != "feedback"
    }
    steps = list(
        dict.fromkeys(step for path in paths.values() for step in pairwise(path))
    )
    order: Order = [[] for _ in range(max(column.values()) + 1)]
    for part in drawn.parts:
        order[column[part]].append(part)
    for bend in dict.fromkeys(end for _, end in steps if isinstance(end, Bend)):
        order[bend.column].append(bend)
    before = _joined(order, ((end, start) for start, end in steps))
    after = _joined(order, steps)
    return Columns(uncrossed(order, before, after), paths, before, after)


def _joined(order: Order, steps: Iterable[tuple[Vertex, Vertex]]) -> Neighbours:
    """Those that each vertex is joined to."""
    neighbours: dict[Vertex, list[Vertex]] = {
        vertex: [] for column in order for vertex in column
    }
    for vertex, other in steps:
        neighbours[vertex].append(other)
    return neighbours


def depths(drawn: Sketch) -> dict[Part, int]:
    """The column of each part: behind all of the zones before its own, and within it by the longest path to it."""
    sources: dict[Part, list[Part]] = {}
    for link in drawn.links:
        if link.kind != "feedback":
            sources.setdefault(link.target, []).append(link.source)
    depth: dict[Part, int] = {}
    for _, zone in groupby(drawn.parts, key=lambda part: part.zone):
        first = 1 + max(depth.values(), default=-1)
        for part in zone:
            depth[part] = max(
                [first, *(1 + depth[source] for source in sources.get(part, ()))]
            )
    return depth


def _path(link: Link, column: Mapping[Part, int]) -> tuple[Vertex, ...]:
    between = range(column[link.source] + 1, column[link.target])
    return (
        link.source,
        *(Bend(link.source, number) for number in between),
        link.target,
    )


# The order in each column


def uncrossed(order: Order, before: Neighbours, after: Neighbours) -> Order:
    """The order with the fewest crossings among those that sweeps by the mean place of the neighbours find."""
    best = order
    for _ in range(SWEEPS):
        order = _sweep(order, before)
        best = min(best, order, key=lambda found: crossings(found, after))
        order = _sweep(order[::-1], after)[::-1]
        best = min(best, order, key=lambda found: crossings(found, after))
    return _switched(best, before, after)


def _switched(order: Order, before: Neighbours, after: Neighbours) -> Order:
    """``order`` with neighbours in a column switched for as long as that takes a crossing away."""
    order = [list(column) for column in order]
    place = {vertex: index for column in order for index, vertex in enumerate(column)}
    pairs = [(column, index) for column in order for index in range(len(column) - 1)]
    while sum(
        _switch(column, index, (before, after), place) for column, index in pairs
    ):
        pass
    return order


def _switch(
    column: list[Vertex],
    index: int,
    sides: Sequence[Neighbours],
    place: dict[Vertex, int],
) -> bool:
    """Switch two neighbours of a column, in place, if fewer of their arrows cross then; tell whether."""
    one, other = column[index], column[index + 1]
    better = (
        sum(
            _crossed(one, other, side, place) - _crossed(other, one, side, place)
            for side in sides
        )
        > 0
    )
    if better:
        column[index], column[index + 1] = other, one
        place[one], place[other] = index + 1, index
    return better


def _crossed(
    one: Vertex, other: Vertex, neighbours: Neighbours, place: Mapping[Vertex, int]
) -> int:
    """How many arrows of ``one`` and ``other`` cross on one side of their column if ``one`` comes first."""
    return sum(
        place[far] > place[near]
        for far in neighbours[one]
        for near in neighbours[other]
    )


def _sweep(order: Order, neighbours: Neighbours) -> Order:
    """Every column but the first sorted by the mean place of its neighbours in the column before it."""
    swept = [order[0]]
    for column in order[1:]:
        place, own = _places(swept[-1]), _places(column)
        wanted = {
            vertex: _mean([place[other] for other in neighbours[vertex]], own[vertex])
            for vertex in column
        }
        swept.append(sorted(column, key=wanted.__getitem__))
    return swept


def _places(column: Sequence[Vertex]) -> dict[Vertex, float]:
    """Places from 0 to 1, so that long and short columns compare."""
    return {vertex: (index + 0.5) / len(column) for index, vertex in enumerate(column)}


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def crossings(order: Order, after: Neighbours) -> int:
    """How many pairs of arrows cross between neighbouring columns."""
    count = 0
    for column, following in pairwise(order):
        place = {vertex: index for index, vertex in enumerate(following)}
        passed: list[int] = []
        for vertex in column:
            ends = [place[end] for end in after[vertex]]
            count += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return count


# The height of each vertex


def settled(
    columns: Columns, sizes: Mapping[Vertex, float], between: float
) -> dict[Vertex, float]:
    """The middle of each vertex across the flow: near those it is joined to, ``between`` away from its column's."""
    at = {
        vertex: float(index)
        for column in columns.order
        for index, vertex in enumerate(column)
    }
    both = {vertex: [*columns.before[vertex], *columns.after[vertex]] for vertex in at}
    weights = {
        vertex: 4.0 if isinstance(vertex, Bend) else 1.0 if both[vertex] else 0.01
        for vertex in at
    }
    forth, back = columns.order, columns.order[::-1]
    rounds = [
        *[(forth, columns.before), (back, columns.after)] * SWEEPS,
        *[(forth, both), (back, both)] * SWEEPS,
    ]
    for order, neighbours in [
        *rounds,
        (forth, columns.before),
        (forth[:1], columns.after),
    ]:
        for column in order:
            apart = [
                (sizes[one] + sizes[other]) / 2 + _room(one, other, between)
                for one, other in pairwise(column)
            ]
            wanted = _wanted(column, neighbours, both, at)
            at.update(
                zip(
                    column,
                    spread(wanted, apart, [weights[vertex] for vertex in column]),
                    strict=True,
                )
            )
    return at


def _wanted(
    column: Sequence[Vertex],
    neighbours: Neighbours,
    both: Neighbours,
    at: Mapping[Vertex, float],
) -> list[float]:
    """Where each would like to be: amid its neighbours; where it is; or, joined to nothing, amid the picture."""
    middle = (min(at.values()) + max(at.values())) / 2
    return [
        _mean(
            [at[other] for other in neighbours[vertex]],
            at[vertex] if both[vertex] else middle,
        )
        for vertex in column
    ]


def _room(one: Vertex, other: Vertex, between: float) -> float:
    """Bends may lie nearer to one another than boxes."""
    return between * (3 - isinstance(one, Bend) - isinstance(other, Bend)) / 3


def spread(
    wanted: Sequence[float], apart: Sequence[float], weights: Sequence[float]
) -> list[float]:
    """The places nearest to ``wanted`` that keep their order and lie ``apart`` from one another.

    The least sum of weighted squares, by pooling neighbours that are too near.

    >>> spread([0.0, 0.0, 9.0], apart=[2.0, 2.0], weights=[1.0, 1.0, 1.0])
    [-1.0, 1.0, 9.0]
    """
    offsets = [0.0, *accumulate(apart)]
    pools: list[tuple[float, float, int]] = []
    for want, offset, weight in zip(wanted, offsets, weights, strict=True):
        mean, count = want - offset, 1
        while pools and pools[-1][0] >= mean:
            other, heavy, many = pools.pop()
            mean = (mean * weight + other * heavy) / (weight + heavy)
            weight, count = weight + heavy, count + many
        pools.append((mean, weight, count))
    places = [mean for mean, _, count in pools for _ in range(count)]
    return [place + offset for place, offset in zip(places, offsets, strict=True)]
