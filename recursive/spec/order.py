"""The order in which the nodes of one step run: topological, and stable, so that a valid order is kept."""

from __future__ import annotations

import heapq

from recursive.errors import CycleError
from recursive.spec.graph import GraphSpec, NodeSpec
from recursive.spec.history import resolve


def ordered(spec: GraphSpec) -> tuple[NodeSpec, ...]:
    """The nodes so that each comes after what it reads at the same time.

    Raises:
        CycleError: where nodes need one another's value of the same time; it names them.
    """
    place = {
        name: index
        for index, node in enumerate(spec.nodes)
        for name in (node.name, *node.values)
    }
    needs = [
        {place[name] for name in _needs(spec, node) if name in place}
        for node in spec.nodes
    ]
    readers: list[list[int]] = [[] for _ in spec.nodes]
    for reader, needed in enumerate(needs):
        for index in needed:
            readers[index].append(reader)
    waiting = [len(needed) for needed in needs]
    ready = [index for index, count in enumerate(waiting) if count == 0]
    result = []
    while ready:
        index = heapq.heappop(ready)
        result.append(spec.nodes[index])
        for reader in readers[index]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                heapq.heappush(ready, reader)
    if len(result) < len(spec.nodes):
        _raise_cycle(
            spec, needs, {index for index, count in enumerate(waiting) if count}
        )
    return tuple(result)


def _needs(spec: GraphSpec, node: NodeSpec) -> set[str]:
    """The names that ``node`` reads at its own time."""
    return {ref.name for ref in node.refs if resolve(spec, ref).tap == 0}


def _raise_cycle(spec: GraphSpec, needs: list[set[int]], stuck: set[int]) -> None:
    path = [min(stuck)]
    while path.count(path[-1]) < 2:
        path.append(min(needs[path[-1]] & stuck))
    cycle = [spec.nodes[index] for index in path[path.index(path[-1]) :]]
    reader, maker = cycle[:2]
    read = next(
        ref.name
        for ref in reader.refs
        if ref.name in (maker.name, *maker.values) and not ref.tap
    )
    raise CycleError.about(
        "node",
        reader.name,
        takes="values that are ready when its turn comes",
        because="nodes of one step run one after another",
        got=" <- ".join(node.name for node in cycle),
        do=f"Let {reader.name!r} read {read + '_tm1'!r} in place of {read!r}, for example.",
    )
