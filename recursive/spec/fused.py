"""Products in the loop that share an input, computed as one.

The four gates of an LSTM, written as nodes, all multiply ``concat([x, h_tm1])``. One
product with their concatenated weights is faster than four::

    i, f, c, o = split(concat([x, h_tm1]) @ concat([W_i, W_f, W_c, W_o]), dims)

So the products are grouped by what they multiply. Each group of two or more becomes one
:class:`~recursive.spec.hoist.FusedProducts` node with an output per product, and each
layer becomes a :class:`~recursive.spec.hoist.SplitLayer` that reads its output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from recursive.spec.graph import NodeSpec, PortSpec
from recursive.spec.hoist import (
    FusedProducts,
    Movable,
    Placement,
    ProductShare,
    Remainder,
    SplitLayer,
    separable_products,
    split_layer,
)
from recursive.spec.merging import DEFAULT
from recursive.spec.names import Ref


@dataclass(frozen=True, slots=True)
class LoopProduct:
    """A product that ``node`` computes in the loop from the value at ``port``."""

    share: ProductShare
    node: NodeSpec
    port: PortSpec

    @property
    def multiplied(self) -> tuple[tuple[Ref, ...], str]:
        """The references and the merge mode, which are equal within a group."""
        # A single value is not merged, so its mode must not tell two products apart.
        is_merged = len(self.port.refs) > 1
        mode = self.port.merge_mode if is_merged else DEFAULT
        return self.port.refs, mode


def fuse_products(placement: Placement, layers: Mapping[str, Movable]) -> Placement:
    """``placement`` with one product for those in the loop that share an input."""
    groups: dict[tuple, list[LoopProduct]] = {}
    for node in placement.inside:
        for product in _loop_products(node, layers):
            groups.setdefault(product.multiplied, []).append(product)

    # A fused node runs just before the first node that needs one of its products.
    fused_before: dict[str, list[NodeSpec]] = {}
    fused_shares = []
    for group in groups.values():
        if len(group) > 1:
            fused = _fused_node(group)
            fused_shares += fused.shares
            fused_before.setdefault(group[0].node.name, []).append(fused)

    inside = []
    for node in placement.inside:
        inside += fused_before.get(node.name, [])
        inside.append(_without_products(node, fused_shares, layers))
    return replace(placement, inside=inside)


def _remainder(node: NodeSpec, layers: Mapping[str, Movable]) -> Remainder:
    """The products that a node computes itself, as far as they are separable."""
    if isinstance(node, SplitLayer):
        return node.remainder
    products = []
    shares = []
    for product, _ in separable_products(node, layers[node.name]):
        products.append(product)
        shares.append(ProductShare(node.name, product))
    return Remainder(tuple(products), tuple(shares))


def _loop_products(node: NodeSpec, layers: Mapping[str, Movable]) -> list[LoopProduct]:
    """The products that a node computes and that may be fused with others."""
    ports = node.ports_by_name
    products = []
    for share in _remainder(node, layers).shares:
        products.append(LoopProduct(share, node, ports[share.product.port]))
    return products


def _fused_node(group: list[LoopProduct]) -> FusedProducts:
    """The products of a group as one node, with an output for each."""
    first = group[0]
    shares = tuple(product.share for product in group)
    return FusedProducts(
        name=first.share.name_with("products"),
        layer=first.node.layer,
        ports=(replace(first.port, name="input"),),
        outputs=tuple(share.fused_name for share in shares),
        shares=shares,
    )


def _without_products(
    node: NodeSpec, fused: list[ProductShare], layers: Mapping[str, Movable]
) -> NodeSpec:
    """``node`` without its products that are ``fused``: it reads them instead."""
    moved = [share for share in fused if share.node == node.name]
    if not moved:
        return node
    remainder = _remainder(node, layers)
    kept = tuple(share for share in remainder.shares if share not in moved)

    ports = node.ports_by_name
    known = []
    if isinstance(node, SplitLayer):
        # Some products are known already. The new ones are added to them.
        known += ports.pop(node.known.name).refs
    for share in moved:
        ports.pop(share.product.port, None)
        known.append(Ref(share.fused_name))
    return split_layer(node, replace(remainder, shares=kept), known, ports.values())
