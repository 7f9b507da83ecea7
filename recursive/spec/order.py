"""The order in which the nodes of one step run.

It is topological: each node comes after the nodes whose values of the same step it
reads. It is also stable: of the nodes that are ready, the one declared first runs next,
so an order that is valid as declared is kept. This is Kahn's algorithm with a heap.
"""

from __future__ import annotations

import heapq
from typing import NoReturn

from recursive.errors import CycleError
from recursive.spec.graph import GraphSpec, NodeSpec
from recursive.spec.history import resolve


def ordered(spec: GraphSpec) -> tuple[NodeSpec, ...]:
    """The nodes of a graph in the order in which they run.

    Raises:
        CycleError: if nodes need one another's value of the same step; it names them.
    """
    needs = _needs(spec)
    readers: list[list[int]] = [[] for _ in spec.nodes]
    for reader, needed in enumerate(needs):
        for index in needed:
            readers[index].append(reader)

    # Nodes are known by their index. Each one waits until all it needs has run.
    waiting_for = list(map(len, needs))
    ready = [index for index, count in enumerate(waiting_for) if count == 0]
    result = []
    while ready:
        index = heapq.heappop(ready)
        result.append(spec.nodes[index])
        for reader in readers[index]:
            waiting_for[reader] -= 1
            if waiting_for[reader] == 0:
                heapq.heappush(ready, reader)

    if len(result) < len(spec.nodes):
        stuck = {index for index, count in enumerate(waiting_for) if count}
        _raise_cycle(spec, needs, stuck)
    return tuple(result)


def _needs(spec: GraphSpec) -> list[set[int]]:
    """For each node, the indices of the nodes that it reads at the same step."""
    index_of = {}
    for index, node in enumerate(spec.nodes):
        for name in (node.name, *node.values):
            index_of[name] = index

    needs = []
    for node in spec.nodes:
        needed = set()
        for ref in node.refs:
            is_of_this_step = resolve(spec, ref).tap == 0
            if is_of_this_step and ref.name in index_of:
                needed.add(index_of[ref.name])
        needs.append(needed)
    return needs


def _raise_cycle(spec: GraphSpec, needs: list[set[int]], stuck: set[int]) -> NoReturn:
    """Raise a CycleError that shows one cycle among the nodes that are ``stuck``."""
    # Each stuck node needs a stuck node, so following them must come back to one.
    path = [min(stuck)]
    while path.count(path[-1]) < 2:
        path.append(min(needs[path[-1]] & stuck))
    start = path.index(path[-1])
    names = [spec.nodes[index].name for index in path[start:]]

    reader, needed = spec.nodes[path[start]], spec.nodes[path[start + 1]]
    values = {needed.name, *needed.values}
    reads = [ref.name for ref in reader.refs if ref.name in values and not ref.tap]
    raise CycleError.about(
        "node",
        reader.name,
        takes="values that are computed before it runs",
        because="nodes of one step run one after another",
        got=" <- ".join(names),
        do=f"Let {reader.name!r} read '{reads[0]}_tm1' in place of {reads[0]!r}, for "
        "example.",
    )
