"""Which nodes need not run step by step: some can be computed for all steps before the loop, some after it.

A node that no past value reaches goes before the loop (it is hoisted), one that feeds no state after it (it is
deferred), where its layer works on each row by itself: all steps are then rows of one call. A layer that first
multiplies what it reads by weights is split: what the inputs give to the product is hoisted, the rest stays.
After elanmart's ``transform_input`` (keras issue 620, 2015).

What the plan makes of a node has a type of its own, below. Nothing here looks at the name of a layer's class, so a
user's class may have any name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from recursive.spec.graph import NodeSpec, PortSpec
from recursive.spec.merging import MODES, SUM
from recursive.spec.names import Ref, split
from recursive.spec.shapes import Shape

BEFORE = "before"
"""The word for a product that is known before the layer runs, in names of values and of ports."""


Span = tuple[int, int]
"""Rows from the first to before the second."""


@dataclass(frozen=True, slots=True)
class Product:
    """What a layer does first: it multiplies what it reads at ``port`` by weights, to ``dim`` values a row."""

    port: str
    dim: int
    weights: tuple[str, ...]
    biases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProductShare:
    """Some rows of the weights of one product of a layer, and its biases or not.

    Args:
        node: the node of the layer.
        product: the product.
        rows: of the weights; None for all of them.
        bias: whether the biases are added.
    """

    node: str
    product: Product
    rows: tuple[Span, ...] | None = None
    bias: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that it needs, as the layer calls them."""
        return self.product.weights + (self.product.biases if self.bias else ())

    def named(self, word: str) -> str:
        """The name of a value that is made from it."""
        if self.product.port == "input":
            return f"{self.node}.{word}"
        return f"{self.node}.{self.product.port}_{word}"

    @property
    def value(self) -> str:
        """The name of its product in the loop, where it is fused with others."""
        if self.product.port == "input":
            return f"{self.node}.late"
        return f"{self.node}.{self.product.port}"


@dataclass(frozen=True, slots=True)
class Remainder:
    """The rest of a layer's computation once some of its products are known.

    Args:
        products: all products that the layer begins with.
        shares: those that it still makes itself.
    """

    products: tuple[Product, ...]
    shares: tuple[ProductShare, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductSlice(NodeSpec):
    """A product of one layer, made apart from it; ``layer`` is that layer."""

    share: ProductShare

    @property
    def shares(self) -> tuple[ProductShare, ...]:
        """The one share, as the fused products have several."""
        return (self.share,)


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedProducts(NodeSpec):
    """Products of several layers that read the same, made as one; ``layer`` is that of the first."""

    shares: tuple[ProductShare, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitLayer(NodeSpec):
    """A layer whose first port reads products that are known; ``layer`` is the layer that was declared."""

    remainder: Remainder

    @property
    def known(self) -> PortSpec:
        """The port that reads the known products."""
        return self.ports[0]

    @property
    def others(self) -> tuple[PortSpec, ...]:
        """The ports of the layer that it still reads."""
        return self.ports[1:]


class Movable(Protocol):
    """What a layer says of itself, to be moved or split."""

    rowwise: bool
    """Whether each row of the output follows from the same row of the input."""
    products: tuple[Product, ...]
    """The products that it begins with, which are added."""
    splits: bool
    """Whether its formula is these products and a rest, which may be made apart."""
    draws: tuple[str, ...]


@dataclass(slots=True)
class Moves:
    """Nodes before, inside and after the loop, each in the order in which they run."""

    hoisted: list[NodeSpec] = field(default_factory=list)
    inside: list[NodeSpec] = field(default_factory=list)
    deferred: list[NodeSpec] = field(default_factory=list)


def moved(
    nodes: tuple[NodeSpec, ...],
    inputs: Iterable[str],
    remembered: Iterable[str],
    layers: Mapping[str, Movable],
    shapes: Mapping[str, Shape],
    masked: bool = False,
) -> Moves:
    """``nodes`` (ordered, their references resolved) in the three places.

    Args:
        nodes: every node of a step.
        inputs: the names of the inputs.
        remembered: the values that feed states.
        layers: the layer of each node.
        shapes: the shape of every value at one step.
        masked: True keeps what looks back in the loop, which alone knows the last step that was no padding.
    """
    moves = Moves()
    given = set(inputs)
    outside = {
        ref
        for node in nodes
        for ref in node.refs
        if ref.name in given and not (masked and ref.tap)
    }
    for node in nodes:
        if layers[node.name].rowwise and outside.issuperset(node.refs):
            moves.hoisted.append(node)
            outside.update(map(Ref, node.values))
    gone = {node.name for node in moves.hoisted}
    staying = [node for node in nodes if node.name not in gone]
    looking_back = [
        node for node in staying if masked and any(ref.tap for ref in node.refs)
    ]
    needed = _needed(staying, remembered, layers, looking_back)
    for node in staying:
        if node.name not in needed:
            moves.deferred.append(node)
            continue
        slices, rest = _split(node, layers[node.name], outside, shapes)
        moves.hoisted.extend(slices)
        moves.inside.append(rest)
    return moves


def _needed(
    nodes: list[NodeSpec],
    remembered: Iterable[str],
    layers: Mapping[str, Movable],
    others: list[NodeSpec],
) -> set[str]:
    """The nodes that must run in the loop: those that feed states, those that cannot be moved, and what these read."""
    makers = {value: node for node in nodes for value in node.values}
    waiting = [makers[value] for value in remembered if value in makers]
    waiting += [*others, *(node for node in nodes if not layers[node.name].rowwise)]
    needed = set()
    while waiting:
        node = waiting.pop()
        if node.name not in needed:
            needed.add(node.name)
            waiting += [
                makers[ref.name]
                for ref in node.refs
                if not ref.tap and ref.name in makers
            ]
    return needed


def product_ports(node: NodeSpec, layer: Movable) -> list[tuple[Product, PortSpec]]:
    """The products of a node that may be made apart from it, and what each multiplies."""
    if not layer.splits or layer.draws:
        return []
    ports = {port.name: port for port in node.ports}
    return [(product, ports[product.port]) for product in layer.products]


def _split(
    node: NodeSpec, layer: Movable, outside: set[Ref], shapes: Mapping[str, Shape]
) -> tuple[list[NodeSpec], NodeSpec]:
    """The slices of a node's products that are hoisted, and the rest of the node, which adds to them."""
    slices, shares = [], []
    ports = {port.name: port for port in node.ports}
    for product, port in product_ports(node, layer):
        early, late = _early_and_late(port, outside, shapes)
        if early.refs:
            ports.pop(port.name)
            share = ProductShare(node.name, product, early.rows if late.refs else None)
            slices.append(_product_slice(node, share, early.refs, port.merge_mode))
        if late.refs:
            ports[port.name] = replace(port, refs=late.refs)
            rows = late.rows if early.refs else None
            shares.append(ProductShare(node.name, product, rows, bias=not early.refs))
    if not slices:
        return [], node
    remainder = Remainder(tuple(layer.products), tuple(shares))
    known = [Ref(part.name) for part in slices]
    return slices, split_layer(node, remainder, known, ports.values())


def _product_slice(
    node: NodeSpec, share: ProductShare, refs: tuple[Ref, ...], merge_mode: str
) -> ProductSlice:
    """A product of ``node`` with ``refs``, as a node."""
    read = PortSpec("input", refs, merge_mode)
    return ProductSlice(share.named(BEFORE), node.layer, (read,), share=share)


@dataclass(frozen=True, slots=True)
class PortSlice:
    """Some of what a port reads, and the rows of the weights that it meets."""

    refs: tuple[Ref, ...] = ()
    rows: tuple[Span, ...] = ()


def _early_and_late(
    port: PortSpec, outside: set[Ref], shapes: Mapping[str, Shape]
) -> tuple[PortSlice, PortSlice]:
    """What a port reads that is known before the loop, and what is not; all of it, where values merge to one."""
    if outside.isdisjoint(port.refs):
        return PortSlice(), PortSlice(port.refs)
    if outside.issuperset(port.refs):
        return PortSlice(port.refs), PortSlice()
    meets_unknown_rows = any(shapes[ref.name][-1] is None for ref in port.refs)
    if not MODES[port.merge_mode].joins_last_axis or meets_unknown_rows:
        return PortSlice(), PortSlice(port.refs)
    early, late = [], []
    for ref, rows in zip(port.refs, _rows(port, shapes), strict=True):
        (early if ref in outside else late).append((ref, rows))
    return _port_slice(early), _port_slice(late)


def _port_slice(spans: list[tuple[Ref, Span]]) -> PortSlice:
    return PortSlice(tuple(ref for ref, _ in spans), _joined(spans))


def split_layer(
    node: NodeSpec,
    remainder: Remainder,
    known: Iterable[Ref],
    ports: Iterable[PortSpec],
) -> SplitLayer:
    """A node that adds the products that are ``known`` to those that it still makes, and does the rest of ``node``."""
    ports = tuple(ports)
    before = PortSpec(_unused_port(node, ports), tuple(known), SUM.name)
    return SplitLayer(
        node.name, node.layer, (before, *ports), node.outputs, remainder=remainder
    )


def _unused_port(node: NodeSpec, ports: tuple[PortSpec, ...]) -> str:
    """A name for the port of known products. The layer itself may have a port called ``before``."""
    if isinstance(node, SplitLayer):
        return node.known.name
    name, taken = BEFORE, {port.name for port in (*node.ports, *ports)}
    while name in taken:
        name += "_"
    return name


def _joined(spans: list[tuple[Ref, Span]]) -> tuple[Span, ...]:
    """The rows in ``spans``, neighbours in one."""
    rows: list[Span] = []
    for _, (start, stop) in spans:
        if rows and rows[-1][1] == start:
            rows[-1] = (rows[-1][0], stop)
        else:
            rows.append((start, stop))
    return tuple(rows)


def params_of(node: NodeSpec, params: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The names of the parameters that a node needs; ``params`` names those of each node that was declared.

    A slice of a product needs weights, and biases where it adds them; the rest of a layer needs weights where it
    multiplies, and whatever else the layer has.
    """
    if isinstance(node, ProductSlice | FusedProducts):
        return tuple(
            name
            for share in node.shares
            for name, inner in _own(share.node, params).items()
            if inner in share.names
        )
    if isinstance(node, SplitLayer):
        gone = _no_longer_needed(node.remainder)
        return tuple(
            name for name, inner in _own(node.name, params).items() if inner not in gone
        )
    return params.get(node.name, ())


def _no_longer_needed(remainder: Remainder) -> set[str]:
    """The parameters of products that are made elsewhere."""
    of_products = {
        name
        for product in remainder.products
        for name in product.weights + product.biases
    }
    return of_products - {name for share in remainder.shares for name in share.names}


def _own(node: str, params: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The parameters of a node's layer, and what the layer itself calls them."""
    return {name: split(name)[1] for name in params.get(node, ())}


def _rows(port: PortSpec, shapes: Mapping[str, Shape]) -> Iterator[Span]:
    """The rows of the weights that belong to each reference of a concat."""
    start = 0
    for ref in port.refs:
        stop = start + shapes[ref.name][-1]
        yield start, stop
        start = stop
