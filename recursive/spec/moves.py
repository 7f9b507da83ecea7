"""Which nodes need not run step by step: some can be computed for all steps before the loop, some after it.

A node that no past value reaches goes before the loop (it is hoisted), one that feeds no state after it (it is
deferred), where its layer works on each row by itself: all steps are then rows of one call. A layer that first
multiplies what it reads by weights is split: what the inputs give to the product is hoisted, the rest stays.
After elanmart's ``transform_input`` (keras issue 620, 2015).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from recursive.spec.graph import LayerSpec, NodeSpec, PortSpec
from recursive.spec.names import Ref, split
from recursive.spec.shapes import Shape

PART = "Product"
"""The class name of a part of a product, or of those of several layers side by side."""
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
    """What some rows of a layer's weights have to do with its product: all for None, none of them for ``()``."""

    node: str
    layer: LayerSpec
    product: Product
    rows: tuple[Span, ...] | None


class Movable(Protocol):
    """What a layer tells about being moved."""

    rowwise: bool
    """Whether each row of the output follows from the same row of the input."""
    product: Product | None
    draws: tuple[str, ...]


@dataclass(slots=True)
class Moves:
    """Nodes before, inside and after the loop, each in the order in which they run."""

    hoisted: list[NodeSpec] = field(default_factory=list)
    inside: list[NodeSpec] = field(default_factory=list)
    deferred: list[NodeSpec] = field(default_factory=list)


def moved(nodes: tuple[NodeSpec, ...], inputs: Iterable[str], remembered: Iterable[str],
          layers: Mapping[str, Movable], shapes: Mapping[str, Shape], masked: bool = False) -> Moves:
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
    outside = {ref for node in nodes for ref in node.refs if ref.name in given and not (masked and ref.tap)}
    for node in nodes:
        if layers[node.name].rowwise and outside.issuperset(node.refs):
            moves.hoisted.append(node)
            outside.update(map(Ref, node.values))
    gone = {node.name for node in moves.hoisted}
    staying = [node for node in nodes if node.name not in gone]
    looking_back = [node for node in staying if masked and any(ref.tap for ref in node.refs)]
    needed = _needed(staying, remembered, layers, looking_back)
    for node in staying:
        if node.name not in needed:
            moves.deferred.append(node)
            continue
        layer = layers[node.name]
        port = product_port(node, layer)
        if port is None or outside.isdisjoint(port.refs):
            moves.inside.append(node)
        else:
            part, rest = _split(node, port, layer.product, outside, shapes)
            moves.hoisted.append(part)
            moves.inside.append(rest)
    return moves


def _needed(nodes: list[NodeSpec], remembered: Iterable[str], layers: Mapping[str, Movable],
            others: list[NodeSpec]) -> set[str]:
    """The nodes that must run in the loop: those that feed states, those that cannot be moved, and what these read."""
    makers = {value: node for node in nodes for value in node.values}
    waiting = [makers[value] for value in remembered if value in makers]
    waiting += [*others, *(node for node in nodes if not layers[node.name].rowwise)]
    needed = set()
    while waiting:
        node = waiting.pop()
        if node.name not in needed:
            needed.add(node.name)
            waiting += [makers[ref.name] for ref in node.refs if not ref.tap and ref.name in makers]
    return needed


def product_port(node: NodeSpec, layer: Movable) -> PortSpec | None:
    """The port of a node's product, where what it reads is multiplied as it is; None where there is no such port."""
    if layer.product is None or layer.draws:
        return None
    plain = (port for port in node.ports if port.merge_mode == "concat" or len(port.refs) == 1)
    return next((port for port in plain if port.name == layer.product.port), None)


def _split(node: NodeSpec, port: PortSpec, product: Product, outside: set[Ref],
           shapes: Mapping[str, Shape]) -> tuple[NodeSpec, NodeSpec]:
    """The part of a node's product that is hoisted, and the rest of the node, which adds to it."""
    spans = list(zip(port.refs, _rows(port, shapes), strict=True))
    early = [(ref, rows) for ref, rows in spans if ref in outside]
    late = [(ref, rows) for ref, rows in spans if ref not in outside]
    name = f"{node.name}.{BEFORE}"
    whole = None if not late else _joined(early)
    part = part_of([Share(node.name, node.layer, product, whole)], name, tuple(ref for ref, _ in early))
    kept = [PortSpec(port.name, tuple(ref for ref, _ in late))] if late else []
    others = [other for other in node.ports if other is not port]
    ports = (PortSpec(BEFORE, (Ref(name),)), *kept, *others)
    rest = LayerSpec(REST, {"share": Share(node.name, node.layer, product, _joined(late))})
    return part, NodeSpec(node.name, rest, ports, node.outputs)


def part_of(shares: Iterable[Share], name: str, refs: tuple[Ref, ...], bias: bool = True) -> NodeSpec:
    """What ``shares`` of products give for the same ``refs``, side by side, with the biases or without."""
    return NodeSpec(name, LayerSpec(PART, {"shares": tuple(shares), "bias": bias}), (PortSpec("input", refs),))


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
    if node.layer.class_name == PART:
        return tuple(name for share in config["shares"] for name, inner in _own(share, params).items()
                     if inner in share.product.weights or (config["bias"] and inner in share.product.biases))
    if node.layer.class_name == REST:
        share = config["share"]
        left_out = share.product.biases if share.rows else share.product.weights + share.product.biases
        return tuple(name for name, inner in _own(share, params).items() if inner not in left_out)
    return params.get(node.name, ())


def _own(share: Share, params: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The parameters of a share's layer, and what the layer itself calls them."""
    return {name: split(name)[1] for name in params.get(share.node, ())}


def _rows(port: PortSpec, shapes: Mapping[str, Shape]) -> Iterator[Span]:
    """The rows of the weights that belong to each reference of a concat."""
    start = 0
    for ref in port.refs:
        stop = start + shapes[ref.name][-1]
        yield start, stop
        start = stop
