"""The nodes that need not run step by step, and the products that can be split.

**Why.** Inside the loop a layer sees one step, ``(batch, dim)``, and the steps wait for
one another. Outside, the same layer sees all steps at once, ``(time, batch, dim)``, and
a matrix product of ``time * batch`` rows is much faster than ``time`` products of
``batch`` rows. So as little as possible should stay in the loop.

**Three places.** Only a layer that works *row by row* may leave the loop: each row of
its output depends on the same row of its input alone, so the time axis can be one more
axis of rows.

- A node is *hoisted*, that is, it runs before the loop, if its layer works row by row
  and everything that it reads is known before the loop: inputs, and values of other
  hoisted nodes.
- A node stays *inside*, that is, it runs at each step, if it feeds a state, if its
  layer does not work row by row, or if it reads the past and steps may be masked. So
  does each node that is not hoisted and that a node inside reads at the same step.
- Any other node is *deferred*: it runs after the loop.

**Split products.** Most layers start with a product, and a product of a concatenation
is a sum of products, each with some rows of the weights::

    concat([x, h_tm1]) @ W  =  x @ W[:4]  +  h_tm1 @ W[4:]        # x has dim 4

The first term does not depend on a state, so it can be hoisted as a separate node. This
is elanmart's ``transform_input`` (keras issue 620, 2015), derived from the declaration.

**An example.** Node ``i`` is the input gate of an LSTM with 6 values, a Dense layer::

    declared     i = sigmoid(concat([x, h_tm1]) @ W + b)

    before       i.before = x @ W[:4] + b                 a ProductSlice, with the
                                                          ProductShare of rows 0 to 4
    in the loop  i = sigmoid(i.before + h_tm1 @ W[4:])    a SplitLayer, left with the
                                                          ProductShare of rows 4 to 10

A :class:`ProductShare` says which weight rows of which product a node computes. A
:class:`ProductSlice` is the node that computes one share. A :class:`SplitLayer` runs
the rest of the layer: it adds the known products, here ``i.before``, to those that it
still computes. If the gates ``f``, ``g`` and ``o`` also multiply ``h_tm1``, the module
:mod:`recursive.spec.fused` then takes their products out of the layers::

    in the loop  i.late, f.late, g.late, o.late =         a FusedProducts
                     split(h_tm1 @ concat([W_i[4:], W_f[4:], W_g[4:], W_o[4:]]))
                 i = sigmoid(i.before + i.late)           a SplitLayer, no share left

**Types, not names.** A node that the plan creates has its own type. Nothing here
looks at the name of a layer's class, so a class of a user may have any name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from recursive.spec.graph import NodeSpec, PortSpec
from recursive.spec.merging import MODES, SUM
from recursive.spec.names import Ref, split
from recursive.spec.shapes import Shape

BEFORE = "before"
"""The word for a hoisted product in names of values and of ports."""

RowRange = tuple[int, int]
"""Weight rows, rows of a weight matrix: the first, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product that a layer starts with: the value at ``port`` times weights.

    Args:
        port: the port that reads the value, ``(batch, n)``.
        dim: the last axis of the result, ``(batch, dim)``.
        weights: the layer's names of the weights, ``(n, dim)`` in total.
        biases: the layer's names of the biases that are added.
    """

    port: str
    dim: int
    weights: tuple[str, ...]
    biases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProductShare:
    """The part of a layer's product that one node computes.

    Args:
        node: the node of the layer.
        product: the product.
        weight_rows: the rows of the weight matrix that are used; None for all.
        bias: True if the biases are added.
    """

    node: str
    product: Product
    weight_rows: tuple[RowRange, ...] | None = None
    bias: bool = True

    @property
    def param_names(self) -> tuple[str, ...]:
        """The parameters that it needs, by the layer's names."""
        biases = self.product.biases if self.bias else ()
        return self.product.weights + biases

    def name_with(self, word: str) -> str:
        """A name for a node that computes this share.

        It is ``node.word``, or ``node.port_word`` for another port than ``input``.
        """
        if self.product.port == "input":
            return f"{self.node}.{word}"
        return f"{self.node}.{self.product.port}_{word}"

    @property
    def fused_name(self) -> str:
        """The name of the share's product if it is fused with others.

        It is ``node.late`` for port ``input``, since it is computed in the loop, after
        ``node.before``; else ``node.port``.
        """
        if self.product.port == "input":
            return f"{self.node}.late"
        return f"{self.node}.{self.product.port}"


@dataclass(frozen=True, slots=True)
class Remainder:
    """The rest of a layer's computation once some of its products are known.

    Args:
        products: all products that the layer starts with.
        shares: the shares of them that the layer still computes.
    """

    products: tuple[Product, ...]
    shares: tuple[ProductShare, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductSlice(NodeSpec):
    """A node that computes one share of a product of ``layer``."""

    share: ProductShare

    @property
    def shares(self) -> tuple[ProductShare, ...]:
        """The share as a tuple, like the shares of :class:`FusedProducts`."""
        return (self.share,)


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedProducts(NodeSpec):
    """A node that computes products of several layers that read the same value.

    ``layer`` is the layer of the first share.
    """

    shares: tuple[ProductShare, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitLayer(NodeSpec):
    """A node that runs the rest of ``layer``.

    Its first port reads the known products, which other nodes compute: before the loop,
    or, for fused products, in the loop.
    """

    remainder: Remainder

    @property
    def known(self) -> PortSpec:
        """The port that reads the known products."""
        return self.ports[0]

    @property
    def others(self) -> tuple[PortSpec, ...]:
        """The ports of the declared layer that it still reads."""
        return self.ports[1:]


class Movable(Protocol):
    """The attributes of a layer that decide if it is moved or split."""

    rowwise: bool
    """True if each row of the output depends on the same row of the input alone."""
    products: tuple[Product, ...]
    """The products that the layer starts with and adds up."""
    splits: bool
    """True if the rest of the layer needs only the sum of these products."""
    draws: tuple[str, ...]
    """The names of its random draws."""


@dataclass(slots=True)
class Placement:
    """The nodes before, inside and after the loop, each in the order they run."""

    hoisted: list[NodeSpec] = field(default_factory=list)
    inside: list[NodeSpec] = field(default_factory=list)
    deferred: list[NodeSpec] = field(default_factory=list)


def place_nodes(
    nodes: tuple[NodeSpec, ...],
    inputs: Iterable[str],
    fed: Iterable[str],
    layers: Mapping[str, Movable],
    shapes: Mapping[str, Shape],
    masked: bool = False,
) -> Placement:
    """Give each node its place, and split the products of those that stay inside.

    Args:
        nodes: all nodes of a step in order, their references resolved.
        inputs: the names of the inputs.
        fed: the values that feed states.
        layers: the layer of each node.
        shapes: the shape of every value at one step.
        masked: True if steps may be masked. Then a node that reads a past value stays
            in the loop: only the loop knows which step was the last unmasked one.
    """
    known = _inputs_read(nodes, inputs, masked)
    placement = Placement()
    remaining = []
    for node in nodes:
        if layers[node.name].rowwise and known.issuperset(node.refs):
            placement.hoisted.append(node)
            known.update(map(Ref, node.values))
        else:
            remaining.append(node)

    needed = _needed_inside(remaining, fed, layers, masked)
    for node in remaining:
        if node.name in needed:
            slices, rest = _split_products(node, layers[node.name], known, shapes)
            placement.hoisted += slices
            placement.inside.append(rest)
        else:
            placement.deferred.append(node)
    return placement


def _inputs_read(
    nodes: tuple[NodeSpec, ...], inputs: Iterable[str], masked: bool
) -> set[Ref]:
    """The references to inputs that can be read before the loop."""
    names = set(inputs)
    known = set()
    for node in nodes:
        for ref in node.refs:
            if ref.name in names and not (masked and ref.tap):
                known.add(ref)
    return known


def _needed_inside(
    nodes: list[NodeSpec],
    fed: Iterable[str],
    layers: Mapping[str, Movable],
    masked: bool,
) -> set[str]:
    """The names of the nodes that must run in the loop.

    These are the nodes that feed states, the nodes that cannot be moved, and the nodes
    that those read at the same step.
    """
    computed_by = {}
    for node in nodes:
        for value in node.values:
            computed_by[value] = node

    waiting = [computed_by[value] for value in fed if value in computed_by]
    for node in nodes:
        reads_past = any(ref.tap for ref in node.refs)
        if not layers[node.name].rowwise or (masked and reads_past):
            waiting.append(node)

    needed = set()
    while waiting:
        node = waiting.pop()
        if node.name in needed:
            continue
        needed.add(node.name)
        for ref in node.refs:
            if not ref.tap and ref.name in computed_by:
                waiting.append(computed_by[ref.name])
    return needed


# Splitting a layer's products


@dataclass(frozen=True, slots=True)
class PortSlice:
    """Some of the references of a port, and the weight rows that they meet."""

    refs: tuple[Ref, ...] = ()
    weight_rows: tuple[RowRange, ...] = ()


def separable_products(
    node: NodeSpec, layer: Movable
) -> list[tuple[Product, PortSpec]]:
    """The products that can be computed outside of a node's layer, with their ports."""
    if not layer.splits or layer.draws:
        return []
    ports = node.ports_by_name
    return [(product, ports[product.port]) for product in layer.products]


def _split_products(
    node: NodeSpec, layer: Movable, known: set[Ref], shapes: Mapping[str, Shape]
) -> tuple[list[NodeSpec], NodeSpec]:
    """The slices of a node's products that are hoisted, and the rest of the node."""
    slices = []
    shares = []
    ports = node.ports_by_name
    for product, port in separable_products(node, layer):
        before, in_loop = _before_and_in_loop(port, known, shapes)
        is_cut = bool(before.refs and in_loop.refs)
        if before.refs:
            del ports[port.name]
            rows = before.weight_rows if is_cut else None
            share = ProductShare(node.name, product, rows)
            read = PortSpec("input", before.refs, port.merge_mode)
            name = share.name_with(BEFORE)
            slices.append(ProductSlice(name, node.layer, (read,), share=share))
        if in_loop.refs:
            ports[port.name] = replace(port, refs=in_loop.refs)
            rows = in_loop.weight_rows if is_cut else None
            # The bias is added once, by the slice if there is one.
            bias = not before.refs
            shares.append(ProductShare(node.name, product, rows, bias))
    if not slices:
        return [], node
    remainder = Remainder(tuple(layer.products), tuple(shares))
    known_products = [Ref(item.name) for item in slices]
    return slices, split_layer(node, remainder, known_products, ports.values())


def _before_and_in_loop(
    port: PortSpec, known: set[Ref], shapes: Mapping[str, Shape]
) -> tuple[PortSlice, PortSlice]:
    """The part of a port that is known before the loop, and the part in the loop."""
    if known.isdisjoint(port.refs):
        return PortSlice(), PortSlice(port.refs)
    if known.issuperset(port.refs):
        return PortSlice(port.refs), PortSlice()

    # Only a concatenation can be cut: there each value meets its own weight rows,
    # which follow from the dims, if all of them are known.
    dims = [shapes[ref.name][-1] for ref in port.refs]
    if not MODES[port.merge_mode].joins_last_axis or None in dims:
        return PortSlice(), PortSlice(port.refs)

    before, in_loop = [], []
    start = 0
    for ref, dim in zip(port.refs, dims, strict=True):
        stop = start + dim
        part = before if ref in known else in_loop
        part.append((ref, (start, stop)))
        start = stop
    return _port_slice(before), _port_slice(in_loop)


def _port_slice(spans: list[tuple[Ref, RowRange]]) -> PortSlice:
    """The references in ``spans``, and their rows. Adjacent ranges are joined."""
    refs: list[Ref] = []
    rows: list[RowRange] = []
    for ref, (start, stop) in spans:
        refs.append(ref)
        if rows and rows[-1][1] == start:
            start, _ = rows.pop()
        rows.append((start, stop))
    return PortSlice(tuple(refs), tuple(rows))


def split_layer(
    node: NodeSpec,
    remainder: Remainder,
    known_products: Iterable[Ref],
    ports: Iterable[PortSpec],
) -> SplitLayer:
    """The node that adds the known products and runs the rest of ``node``.

    ``ports`` are those that the rest still reads.
    """
    ports = tuple(ports)
    name = _unused_port_name(node, ports)
    known = PortSpec(name, tuple(known_products), SUM.name)
    return SplitLayer(
        node.name, node.layer, (known, *ports), node.outputs, remainder=remainder
    )


def _unused_port_name(node: NodeSpec, ports: tuple[PortSpec, ...]) -> str:
    """A name for the port of known products that no port of the layer has."""
    # After hoisting, fused.py splits a layer again: its port keeps its name.
    if isinstance(node, SplitLayer):
        return node.known.name
    taken = {port.name for port in (*node.ports, *ports)}
    name = BEFORE
    while name in taken:
        name += "_"
    return name


# The parameters that a node needs


def params_of(node: NodeSpec, params: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The names of the parameters that a node of a plan needs.

    ``params`` are the parameters of each node as declared. A product needs its weights,
    and its biases if it adds them. The rest of a layer needs all parameters of the
    layer, except those of products that are computed elsewhere.
    """
    if isinstance(node, ProductSlice | FusedProducts):
        names = []
        for share in node.shares:
            for name in params.get(share.node, ()):
                if _local_name(name) in share.param_names:
                    names.append(name)
        return tuple(names)
    names = params.get(node.name, ())
    if isinstance(node, SplitLayer):
        unneeded = _params_used_elsewhere(node.remainder)
        return tuple(name for name in names if _local_name(name) not in unneeded)
    return names


def _params_used_elsewhere(remainder: Remainder) -> set[str]:
    """The parameters of products that other nodes compute, by the layer's names."""
    names = set()
    for product in remainder.products:
        names.update(product.weights, product.biases)
    for share in remainder.shares:
        names.difference_update(share.param_names)
    return names


def _local_name(param: str) -> str:
    """The name of a parameter inside its node: ``W`` for ``rec.W``."""
    return split(param)[1]
