"""Products that share an input are made as one: the gates of an LSTM, written as nodes, multiply once a step.

Their weights stand side by side, and each of the layers goes on with its share of the product.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from recursive.spec.graph import NodeSpec, PortSpec
from recursive.spec.hoist import (
    FusedProducts,
    Movable,
    Moves,
    ProductShare,
    Remainder,
    SplitLayer,
    product_ports,
    split_layer,
)
from recursive.spec.merging import DEFAULT
from recursive.spec.names import Ref


@dataclass(frozen=True, slots=True)
class Member:
    """A product in the loop: its share, its node, and what it multiplies."""

    share: ProductShare
    node: NodeSpec
    read: PortSpec

    @property
    def reads(self) -> tuple[tuple[Ref, ...], str]:
        """What members of one group have in common."""
        mode = self.read.merge_mode if len(self.read.refs) > 1 else DEFAULT
        return self.read.refs, mode


def joined(moves: Moves, layers: Mapping[str, Movable]) -> Moves:
    """``moves`` in which the products of each step that multiply the same are one."""
    groups: dict[tuple, list[Member]] = {}
    for node in moves.inside:
        for member in _members(node, layers):
            groups.setdefault(member.reads, []).append(member)
    fused = [group for group in groups.values() if len(group) > 1]
    # The fused products run just before the first of the nodes that need them.
    first: dict[str, list[NodeSpec]] = {}
    for group in fused:
        first.setdefault(group[0].share.node, []).append(_fused(group))
    made = [member.share for group in fused for member in group]
    inside = []
    for node in moves.inside:
        inside += first.get(node.name, ())
        inside.append(_without(node, made, layers))
    return Moves(moves.hoisted, inside, moves.deferred)


def _remainder(node: NodeSpec, layers: Mapping[str, Movable]) -> Remainder | None:
    """The products that a node makes itself; None for a layer without any."""
    if isinstance(node, SplitLayer):
        return node.remainder
    products = tuple(product for product, _ in product_ports(node, layers[node.name]))
    shares = tuple(ProductShare(node.name, product) for product in products)
    return Remainder(products, shares) if shares else None


def _ports(node: NodeSpec) -> dict[str, PortSpec]:
    """The ports of the layer itself that a node reads."""
    ports = node.others if isinstance(node, SplitLayer) else node.ports
    return {port.name: port for port in ports}


def _members(node: NodeSpec, layers: Mapping[str, Movable]) -> list[Member]:
    remainder = _remainder(node, layers)
    if remainder is None:
        return []
    ports = _ports(node)
    return [
        Member(share, node, ports[share.product.port]) for share in remainder.shares
    ]


def _fused(group: list[Member]) -> FusedProducts:
    """The products of a group, as one node with an output for each."""
    shares = tuple(member.share for member in group)
    return FusedProducts(
        shares[0].named("products"),
        group[0].node.layer,
        (replace(group[0].read, name="input"),),
        tuple(share.value for share in shares),
        shares=shares,
    )


def _without(
    node: NodeSpec, made: Iterable[ProductShare], layers: Mapping[str, Movable]
) -> NodeSpec:
    """``node``, which reads those of its products that are ``made`` elsewhere, and makes the others."""
    gone = [share for share in made if share.node == node.name]
    if not gone:
        return node
    remainder = _remainder(node, layers)
    read_elsewhere = {share.product.port for share in gone}
    ports = [port for name, port in _ports(node).items() if name not in read_elsewhere]
    known = node.known.refs if isinstance(node, SplitLayer) else ()
    kept = tuple(share for share in remainder.shares if share not in gone)
    return split_layer(
        node,
        replace(remainder, shares=kept),
        [*known, *(Ref(share.value) for share in gone)],
        ports,
    )
