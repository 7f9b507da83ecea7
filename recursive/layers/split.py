"""What runs the nodes that the plan makes of a layer: a slice of its product, fused products, the rest of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.layers.layer import Layer
from recursive.layers.products import affine_map, linear_map, select_rows, side_by_side
from recursive.spec.graph import NodeSpec
from recursive.spec.moves import FusedProducts, ProductSlice, Share, SplitLayer


class SliceRunner:
    """The product of some rows of a layer's weights."""

    draws = ()

    def __init__(self, share: Share, layer: Layer):
        self.share, self.layer = share, layer

    def __call__(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return affine_map(x, *_factors(self.share, self.layer))


class FusedRunner:
    """The products of several layers with the same input, as one where the backend makes large ones faster."""

    draws = ()

    def __init__(self, node: FusedProducts, layers: Mapping[str, Layer]):
        self.names = node.values
        self.slices = [SliceRunner(share, layers[share.node]) for share in node.shares]

    def __call__(
        self, x: TensorVariable, train: bool = False
    ) -> dict[str, TensorVariable]:
        apart = backend.multiplies_apart()
        found = [one(x) for one in self.slices] if apart else self._as_one(x)
        return dict(zip(self.names, found, strict=True))

    def _as_one(self, x: TensorVariable) -> list[TensorVariable]:
        factors = [_factors(one.share, one.layer) for one in self.slices]
        dims = [one.share.product.dim for one in self.slices]
        product = linear_map(x, side_by_side([W for W, _ in factors]))
        pieces = pt.split(product, dims, axis=product.ndim - 1)
        return [
            piece if b is None else piece + b
            for piece, (_, b) in zip(pieces, factors, strict=True)
        ]


def _factors(
    share: Share, layer: Layer
) -> tuple[TensorVariable, TensorVariable | None]:
    """The weights that a share multiplies by, and what it adds, if anything."""
    W, b = layer.factors(share.product)
    return select_rows(W, share.rows), b if share.bias else None


class SplitRunner:
    """The rest of a layer: it adds the products that it still makes to the known ones, and finishes."""

    draws = ()

    def __init__(self, node: SplitLayer, layer: Layer):
        self.known = node.known.name
        self.shares = node.remainder.shares
        self.layer = layer

    def __call__(
        self, inputs: TensorVariable | Mapping[str, TensorVariable], train: bool = False
    ) -> TensorVariable | dict[str, TensorVariable]:
        others = dict(inputs) if isinstance(inputs, Mapping) else {self.known: inputs}
        total = others.pop(self.known)
        for share in self.shares:
            W, b = _factors(share, self.layer)
            total = total + affine_map(others.pop(share.product.port), W, b)
        return self.layer.finish(total, others)


def runners(
    nodes: tuple[NodeSpec, ...], layers: Mapping[str, Layer]
) -> dict[str, Callable]:
    """What each of ``nodes`` calls: its layer, or what runs a node that the plan made."""
    return {node.name: _runner(node, layers) for node in nodes}


def _runner(node: NodeSpec, layers: Mapping[str, Layer]) -> Callable:
    if isinstance(node, ProductSlice):
        return SliceRunner(node.share, layers[node.share.node])
    if isinstance(node, FusedProducts):
        return FusedRunner(node, layers)
    if isinstance(node, SplitLayer):
        return SplitRunner(node, layers[node.name])
    return layers[node.name]
