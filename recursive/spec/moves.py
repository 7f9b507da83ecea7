"""Which nodes need not run step by step: some can be computed for all steps before the loop, some after it.

A node that no past value reaches goes before the loop (it is hoisted), one that feeds no state after it (it is
deferred), where its layer works on each row by itself: all steps are then rows of one call. A layer that first
multiplies what it reads by weights is split: what the inputs give to the product is hoisted, the rest stays.
After elanmart's ``transform_input`` (keras issue 620, 2015).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from recursive.spec.graph import LayerSpec, NodeSpec, PortSpec
from recursive.spec.names import Ref, split
from recursive.spec.shapes import Shape

PART = "Product"
"""The class name of a part of a product."""
REST = "Rest"
"""The class name of what stays in the loop of a layer whose product was split."""
BEFORE = "before"
"""The port by which the rest reads the part that was computed before."""


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
class Share:
    """What some rows of a layer's weights have to do with one of its products: all of them for None.

    Args:
        node: whose layer it is.
        product: which product.
        rows: of the weights.
        bias: whether the biases are added to it.
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
        """The name of a value that comes of it."""
        return (
            f"{self.node}.{word}"
            if self.product.port == "input"
            else f"{self.node}.{self.product.port}_{word}"
        )

    @property
    def value(self) -> str:
        """The name of what it gives in the loop, where it is made with others."""
        return (
            f"{self.node}.late"
            if self.product.port == "input"
            else f"{self.node}.{self.product.port}"
        )


@dataclass(frozen=True, slots=True)
class Remainder:
    """What a layer goes on with, some of its products being given.

    Args:
        node: whose layer it is.
        layer: what was declared.
        products: all that it begins with.
        shares: those that it still makes itself.
    """

    node: str
    layer: LayerSpec
    products: tuple[Product, ...]
    shares: tuple[Share, ...]


class Movable(Protocol):
    """What a layer tells about being moved."""

    rowwise: bool
    """Whether each row of the output follows from the same row of the input."""
    products: tuple[Product, ...]
    """What it begins with: products, which are added."""
    splits: bool
    """Whether what it computes is these products and a rest, which may be made apart."""
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
        layers: what each node's layer tells.
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
        parts, rest = _split(node, layers[node.name], outside, shapes)
        moves.hoisted.extend(parts)
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
    ports = {port.name: port for port in node.ports}
    return (
        [(product, ports[product.port]) for product in layer.products]
        if layer.splits and not layer.draws
        else []
    )


def _split(
    node: NodeSpec, layer: Movable, outside: set[Ref], shapes: Mapping[str, Shape]
) -> tuple[list[NodeSpec], NodeSpec]:
    """The parts of a node's products that are hoisted, and the rest of the node, which adds to them."""
    parts, shares, ports = [], [], {port.name: port for port in node.ports}
    for product, port in product_ports(node, layer):
        early, late = _halves(port, outside, shapes)
        if early.refs:
            ports.pop(port.name)
            share = Share(node.name, product, early.rows if late.refs else None)
            read = PortSpec("input", early.refs, port.merge_mode)
            parts.append(
                NodeSpec(
                    share.named(BEFORE), LayerSpec(PART, {"shares": (share,)}), (read,)
                )
            )
        if late.refs:
            ports[port.name] = replace(port, refs=late.refs)
            shares.append(
                Share(
                    node.name,
                    product,
                    late.rows if early.refs else None,
                    bias=not early.refs,
                )
            )
    if not parts:
        return [], node
    remainder = Remainder(node.name, node.layer, tuple(layer.products), tuple(shares))
    return parts, rest_of(
        remainder, [Ref(part.name) for part in parts], ports.values(), node.outputs
    )


@dataclass(frozen=True, slots=True)
class Half:
    """Some of what a port reads, and the rows of the weights that it meets."""

    refs: tuple[Ref, ...] = ()
    rows: tuple[Span, ...] = ()


def _halves(
    port: PortSpec, outside: set[Ref], shapes: Mapping[str, Shape]
) -> tuple[Half, Half]:
    """What a port reads that is known before the loop, and what is not; all of it, where values merge to one."""
    if outside.isdisjoint(port.refs):
        return Half(), Half(port.refs)
    if outside.issuperset(port.refs):
        return Half(port.refs), Half()
    # Values that merge to one, or meet rows of the weights that are not known, are not taken apart.
    if port.merge_mode != "concat" or any(
        shapes[ref.name][-1] is None for ref in port.refs
    ):
        return Half(), Half(port.refs)
    spans = list(zip(port.refs, _rows(port, shapes), strict=True))
    early, late = (
        [(ref, rows) for ref, rows in spans if (ref in outside) is known]
        for known in (True, False)
    )
    return tuple(
        Half(tuple(ref for ref, _ in half), _joined(half)) for half in (early, late)
    )


def rest_of(
    remainder: Remainder,
    given: Iterable[Ref],
    ports: Iterable[PortSpec],
    outputs: tuple[str, ...],
) -> NodeSpec:
    """A node that adds what is ``given`` to the products that it still makes, and goes on."""
    before = PortSpec(BEFORE, tuple(given), "sum")
    return NodeSpec(
        remainder.node,
        LayerSpec(REST, {"remainder": remainder}),
        (before, *ports),
        outputs,
    )


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

    A part of a product needs weights, and biases where it adds them; the rest of the layer needs weights where it
    multiplies, and whatever else the layer has.
    """
    config = node.layer.config
    if "shares" in config:
        return tuple(
            name
            for share in config["shares"]
            for name, inner in _own(share.node, params).items()
            if inner in share.names
        )
    if node.layer.class_name == REST:
        remainder = config["remainder"]
        needed = {name for share in remainder.shares for name in share.names}
        gone = {
            name
            for product in remainder.products
            for name in product.weights + product.biases
        } - needed
        return tuple(
            name
            for name, inner in _own(remainder.node, params).items()
            if inner not in gone
        )
    return params.get(node.name, ())


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
