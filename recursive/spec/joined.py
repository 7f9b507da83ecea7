"""Products that share an input are made as one: the gates of an LSTM, written as nodes, multiply once a step.

Their weights stand side by side, and each of the layers goes on with its share of the product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from recursive.spec.graph import LayerSpec, NodeSpec, PortSpec
from recursive.spec.moves import (
    BEFORE,
    REST,
    Movable,
    Moves,
    Remainder,
    Share,
    product_ports,
    rest_of,
)
from recursive.spec.names import Ref

TOGETHER = "Products"
"""The class name of the products of several layers, made as one."""


@dataclass(frozen=True, slots=True)
class Member:
    """A product in the loop: whose share of which, and what it multiplies."""

    share: Share
    read: PortSpec

    @property
    def reads(self) -> tuple[tuple[Ref, ...], str]:
        """What members of one group have in common."""
        return self.read.refs, self.read.merge_mode if len(
            self.read.refs
        ) > 1 else "concat"


def joined(moves: Moves, layers: Mapping[str, Movable]) -> Moves:
    """``moves`` in which the products of each step that multiply the same are one."""
    groups: dict[tuple, list[Member]] = {}
    for node in moves.inside:
        for member in _members(node, layers):
            groups.setdefault(member.reads, []).append(member)
    together = [group for group in groups.values() if len(group) > 1]
    first: dict[str, list[NodeSpec]] = {}
    for group in together:
        first.setdefault(group[0].share.node, []).append(_together(group))
    given = [member.share for group in together for member in group]
    inside = [
        made
        for node in moves.inside
        for made in (*first.get(node.name, ()), _without(node, given, layers))
    ]
    return Moves(moves.hoisted, inside, moves.deferred)


def _remainder(node: NodeSpec, layers: Mapping[str, Movable]) -> Remainder | None:
    """What a node does itself, as far as it multiplies; None where it is no layer with products."""
    if node.layer.class_name == REST:
        return node.layer.config["remainder"]
    products = product_ports(node, layers[node.name])
    shares = tuple(Share(node.name, product) for product, _ in products)
    return (
        Remainder(
            node.name, node.layer, tuple(product for product, _ in products), shares
        )
        if shares
        else None
    )


def _members(node: NodeSpec, layers: Mapping[str, Movable]) -> list[Member]:
    remainder, ports = (
        _remainder(node, layers),
        {port.name: port for port in node.ports},
    )
    return (
        []
        if remainder is None
        else [Member(share, ports[share.product.port]) for share in remainder.shares]
    )


def _together(group: list[Member]) -> NodeSpec:
    """The products of a group, as one node with an output for each."""
    shares = tuple(member.share for member in group)
    port = replace(group[0].read, name="input")
    names = tuple(share.value for share in shares)
    return NodeSpec(
        shares[0].named("products"),
        LayerSpec(TOGETHER, {"shares": shares}),
        (port,),
        names,
    )


def _without(
    node: NodeSpec, given: Iterable[Share], layers: Mapping[str, Movable]
) -> NodeSpec:
    """``node``, which reads those of its products that are ``given``, and makes the others."""
    remainder = _remainder(node, layers)
    gone = [share for share in given if share.node == node.name]
    if not gone:
        return node
    ports = {
        port.name: port
        for port in node.ports
        if port.name not in {share.product.port for share in gone}
    }
    before = ports.pop(BEFORE).refs if BEFORE in ports else ()
    kept = replace(
        remainder,
        shares=tuple(share for share in remainder.shares if share not in gone),
    )
    return rest_of(
        kept,
        [*before, *(Ref(share.value) for share in gone)],
        ports.values(),
        node.outputs,
    )
