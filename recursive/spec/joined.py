"""Products that share an input are made as one: the gates of an LSTM, written as nodes, multiply once a step.

Their weights stand side by side, and the product is cut into what each of the layers goes on with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from recursive.spec.graph import LayerSpec, NodeSpec, PortSpec
from recursive.spec.moves import BEFORE, PART, REST, Movable, Moves, Share, part_of, product_port
from recursive.spec.names import Ref

CUT = "Cut"
"""The class name of what cuts a product into the shares of several layers."""


@dataclass(frozen=True, slots=True)
class Member:
    """A node whose product may be made together with others: what it reads in the loop, and what was before it."""

    node: NodeSpec
    share: Share
    late: tuple[Ref, ...]
    part: NodeSpec | None

    @property
    def reads(self) -> tuple[tuple[Ref, ...], ...]:
        """What members of one group read alike."""
        return self.late, () if self.part is None else self.part.refs

    @property
    def product(self) -> str:
        """The name of its share of the product."""
        return f"{self.node.name}.product"

    def rest(self) -> NodeSpec:
        """What it does with its share."""
        ports = tuple(port for port in self.node.ports if port.name not in (BEFORE, self.share.product.port))
        layer = LayerSpec(REST, {"share": replace(self.share, rows=())})
        return NodeSpec(self.node.name, layer, (PortSpec(BEFORE, (Ref(self.product),)), *ports), self.node.outputs)


def joined(moves: Moves, layers: Mapping[str, Movable]) -> Moves:
    """``moves`` in which the products of each step that read the same are one."""
    parts = {node.name: node for node in moves.hoisted if node.layer.class_name == PART}
    groups: dict[tuple, list[Member]] = {}
    for node in moves.inside:
        member = _member(node, layers, parts)
        if member is not None:
            groups.setdefault(member.reads, []).append(member)
    together = [group for group in groups.values() if len(group) > 1]
    before = {group[0].part.name: [_before(group)] for group in together if group[0].part is not None}
    gone = {member.part.name: [] for group in together for member in group if member.part is not None}
    inside = {member.node.name: [member.rest()] for group in together for member in group}
    for group in together:
        first = group[0].node.name
        inside[first] = [*_together(group), *inside[first]]
    return Moves(_replaced(moves.hoisted, gone | before), _replaced(moves.inside, inside), moves.deferred)


def _member(node: NodeSpec, layers: Mapping[str, Movable], parts: Mapping[str, NodeSpec]) -> Member | None:
    """A node as a member of a group; None where it has no product in the loop."""
    if node.layer.class_name == REST:
        share = node.layer.config["share"]
        late = next((port for port in node.ports if port.name == share.product.port), None)
        return None if late is None else Member(node, share, late.refs, parts[f"{node.name}.{BEFORE}"])
    port = product_port(node, layers[node.name])
    if port is None:
        return None
    return Member(node, Share(node.name, node.layer, layers[node.name].product, None), port.refs, None)


def _before(group: list[Member]) -> NodeSpec:
    """What is known of all their products before the loop."""
    shares = (member.part.layer.config["shares"][0] for member in group)
    return part_of(shares, group[0].part.name, group[0].part.refs)


def _together(group: list[Member]) -> tuple[NodeSpec, NodeSpec]:
    """The product of a group in the loop, and what cuts it."""
    first = group[0]
    product = part_of((member.share for member in group), f"{first.node.name}.late", first.late, bias=not first.part)
    reads = (*([Ref(first.part.name)] if first.part else []), Ref(product.name))
    sizes = tuple(member.share.product.dim for member in group)
    return product, NodeSpec(f"{first.node.name}.products", LayerSpec(CUT, {"sizes": sizes}),
                             (PortSpec("input", reads, "sum"),), tuple(member.product for member in group))


def _replaced(nodes: list[NodeSpec], others: Mapping[str, list[NodeSpec]]) -> list[NodeSpec]:
    return [other for node in nodes for other in others.get(node.name, [node])]
