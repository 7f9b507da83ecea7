"""A random recurrent network as plain data, the same for the container and its peers."""

from __future__ import annotations

import random
from dataclasses import dataclass

SEED = 620


@dataclass(frozen=True, slots=True)
class RandomNode:
    """A node: ``tanh`` or ``sigmoid`` of a product with its reads, or their merge.

    A read that ends in ``_tm1`` is the value of the step before.
    """

    name: str
    kind: str
    reads: tuple[str, ...]

    @property
    def has_weights(self) -> bool:
        """True if it is a product with weights."""
        return self.kind in ("tanh", "sigmoid")


def draw(count: int, seed: int = SEED) -> list[RandomNode]:
    """The nodes ``n1``, ``n2``, ..., in running order; the last is the output.

    Every second node has weights. It reads a value of this step, or the input, and one of the step before; the others
    join two nodes with weights, so that no value grows. Each node is read by another.

    >>> for node in draw(4, seed=1):
    ...     print(node.name, node.kind, *node.reads)
    n1 tanh x n3_tm1
    n2 mul n3_tm1 n1
    n3 sigmoid n2 n2_tm1
    n4 tanh n3 n4_tm1
    """
    rng = random.Random(seed)
    names = [f"n{number}" for number in range(1, count + 1)]
    weighted = [
        name for place, name in enumerate(names) if place % 2 == 0 or name == names[-1]
    ]
    nodes: list[RandomNode] = []
    for name in names[:-1]:
        node = _with_weights if name in weighted else _joining
        nodes.append(node(rng, name, names, weighted, _unread(nodes)))
    return [
        *nodes,
        RandomNode(names[-1], "tanh", (*(_unread(nodes) or ["x"]), f"{names[-1]}_tm1")),
    ]


def _unread(nodes: list[RandomNode]) -> list[str]:
    read = {name for node in nodes for name in node.reads}
    return [node.name for node in nodes if node.name not in read]


def _with_weights(
    rng: random.Random,
    name: str,
    names: list[str],
    weighted: list[str],
    unread: list[str],
) -> RandomNode:
    now = rng.choice(unread or ["x", *names[: names.index(name)]])
    return RandomNode(
        name, rng.choice(("tanh", "sigmoid")), (now, f"{rng.choice(names)}_tm1")
    )


def _joining(
    rng: random.Random,
    name: str,
    names: list[str],
    weighted: list[str],
    unread: list[str],
) -> RandomNode:
    here = [other for other in unread if other in weighted] or ["n1"]
    return RandomNode(
        name,
        rng.choice(("mul", "sum")),
        (f"{rng.choice(weighted)}_tm1", rng.choice(here)),
    )


def remembered(nodes: list[RandomNode]) -> tuple[str, ...]:
    """The nodes that are read one step later, the output last: the states."""
    read = {
        name.removesuffix("_tm1")
        for node in nodes
        for name in node.reads
        if name.endswith("_tm1")
    }
    return tuple(node.name for node in nodes if node.name in read)
