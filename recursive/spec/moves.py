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
"""The class name of what is hoisted of a product."""
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


class Movable(Protocol):
    """What a layer tells about being moved."""

    rowwise: bool
    """Whether each row of the output follows from the same row of the input."""
    product: Product | None


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
        port = _split_port(node, layers[node.name].product, outside)
        if port is None:
            moves.inside.append(node)
        else:
            part, rest = _split(node, port, layers[node.name].product, outside, shapes)
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


def _split_port(node: NodeSpec, product: Product | None, outside: set[Ref]) -> PortSpec | None:
    """The port of a node's product, where some of what it reads is there before the loop."""
    for port in node.ports:
        is_product = product is not None and port.name == product.port
        is_plain = port.merge_mode == "concat" or len(port.refs) == 1
        if is_product and is_plain and not outside.isdisjoint(port.refs):
            return port
    return None


def _split(node: NodeSpec, port: PortSpec, product: Product, outside: set[Ref],
           shapes: Mapping[str, Shape]) -> tuple[NodeSpec, NodeSpec]:
    """The part of a node's product that is hoisted, and the rest of the node, which adds to it."""
    spans = list(zip(port.refs, _rows(port, shapes), strict=True))
    early = [(ref, rows) for ref, rows in spans if ref in outside]
    late = [(ref, rows) for ref, rows in spans if ref not in outside]
    name = f"{node.name}.{BEFORE}"
    whole = None if not late else _joined(early)
    part = NodeSpec(name, _of(node, PART, product, whole), (PortSpec("input", tuple(ref for ref, _ in early)),))
    kept = [PortSpec(port.name, tuple(ref for ref, _ in late))] if late else []
    others = [other for other in node.ports if other is not port]
    ports = (PortSpec(BEFORE, (Ref(name),)), *kept, *others)
    return part, NodeSpec(node.name, _of(node, REST, product, _joined(late)), ports, node.outputs)


def _joined(spans: list[tuple[Ref, Span]]) -> tuple[Span, ...]:
    """The rows in ``spans``, neighbours in one."""
    rows: list[Span] = []
    for _, (start, stop) in spans:
        if rows and rows[-1][1] == start:
            rows[-1] = (rows[-1][0], stop)
        else:
            rows.append((start, stop))
    return tuple(rows)


def _of(node: NodeSpec, class_name: str, product: Product, rows: tuple[Span, ...] | None) -> LayerSpec:
    """What a part runs: the layer, and which rows of its weights; None for all of them."""
    return LayerSpec(class_name, {"node": node.name, "layer": node.layer, "product": product, "rows": rows})


def is_part(node: NodeSpec) -> bool:
    """Whether a node is one of the two that a layer was split into."""
    return node.layer.class_name in (PART, REST)


def params_of(node: NodeSpec, params: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The names of the parameters that a node needs; ``params`` names those of each node that was declared.

    A part of a product needs the weights and the biases; the rest of the layer needs weights where it multiplies, and
    whatever else the layer has.
    """
    if not is_part(node):
        return params.get(node.name, ())
    product, multiplies = node.layer.config["product"], bool(node.layer.config["rows"])
    own = {name: split(name)[1] for name in params.get(node.layer.config["node"], ())}
    if node.layer.class_name == PART:
        return tuple(name for name, inner in own.items() if inner in product.weights + product.biases)
    left_out = product.biases if multiplies else product.weights + product.biases
    return tuple(name for name, inner in own.items() if inner not in left_out)


def _rows(port: PortSpec, shapes: Mapping[str, Shape]) -> Iterator[Span]:
    """The rows of the weights that belong to each reference of a concat."""
    start = 0
    for ref in port.refs:
        stop = start + shapes[ref.name][-1]
        yield start, stop
        start = stop
