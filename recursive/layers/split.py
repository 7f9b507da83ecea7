"""What runs the nodes that the plan makes of a layer: a slice of its product, fused products, the rest of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.layers.layer import Layer
from recursive.layers.masks import accepted_masks
from recursive.layers.products import affine_map, linear_map, select_rows, side_by_side
from recursive.loop.call import Call, Value, Values, joined, with_mask
from recursive.spec.graph import MAIN, NodeSpec
from recursive.spec.hoist import FusedProducts, ProductShare, ProductSlice, SplitLayer


class SliceRunner:
    """The product of some rows of a layer's weights."""

    draws = ()

    def __init__(self, share: ProductShare, layer: Layer):
        self.share, self.layer = share, layer

    def apply(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The product of the one input."""
        [value] = inputs.values()
        mask = _passed_on(self.layer, {self.share.product.port: value})
        return {MAIN: with_mask(self.product(value.tensor), mask)}

    def product(self, x: TensorVariable) -> TensorVariable:
        """``x`` times the rows of the weights, and the bias where it is added here."""
        return affine_map(x, *_factors(self.share, self.layer))


class FusedRunner:
    """The products of several layers with the same input, as one where the backend makes large ones faster."""

    draws = ()

    def __init__(self, node: FusedProducts, layers: Mapping[str, Layer]):
        self.names = node.values
        self.slices = [SliceRunner(share, layers[share.node]) for share in node.shares]

    def apply(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The products by name, each with the mask that its layer passes on."""
        [value] = inputs.values()
        if backend.prefers_separate_products():
            products = [one.product(value.tensor) for one in self.slices]
        else:
            products = self._as_one(value.tensor)
        found = {}
        for name, one, product in zip(self.names, self.slices, products, strict=True):
            mask = _passed_on(one.layer, {one.share.product.port: value})
            found[name] = with_mask(product, mask)
        return found

    def _as_one(self, x: TensorVariable) -> list[TensorVariable]:
        factors = [_factors(one.share, one.layer) for one in self.slices]
        dims = [one.share.product.dim for one in self.slices]
        product = linear_map(x, side_by_side([W for W, _ in factors]))
        pieces = pt.split(product, dims, axis=product.ndim - 1)
        return [
            piece if b is None else piece + b
            for piece, (_, b) in zip(pieces, factors, strict=True)
        ]


class SplitRunner:
    """The rest of a layer: it adds the products that it still makes to the known ones, and finishes."""

    draws = ()

    def __init__(self, node: SplitLayer, layer: Layer):
        self.known = node.known.name
        self.shares = node.remainder.shares
        self.layer = layer
        self.names = node.outputs or (MAIN,)

    def apply(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs of the layer by name."""
        others = {port: value.tensor for port, value in inputs.items()}
        total = others.pop(self.known)
        for share in self.shares:
            W, b = _factors(share, self.layer)
            total = total + affine_map(others.pop(share.product.port), W, b)
        found = self.layer.finish(total, others)
        outputs = found if isinstance(found, Mapping) else {MAIN: found}
        ports = {port: value for port, value in inputs.items() if port != self.known}
        known_mask = inputs[self.known].mask  # what its slice has passed on
        mask = joined([known_mask, _passed_on(self.layer, ports)])
        return {
            name: with_mask(tensor, mask)
            for name, tensor in zip(self.names, outputs.values(), strict=True)
        }


def _passed_on(layer: Layer, inputs: Values) -> TensorVariable | None:
    """The mask that ``layer`` passes on from what its ports read; an error where it takes none."""
    return joined(accepted_masks(layer, inputs).values())


def _factors(
    share: ProductShare, layer: Layer
) -> tuple[TensorVariable, TensorVariable | None]:
    """The weights that a share multiplies by, and what it adds, if anything."""
    W, b = layer.factors(share.product)
    return select_rows(W, share.rows), b if share.bias else None


Runner = SliceRunner | FusedRunner | SplitRunner | Layer
"""What applies a node."""


def runners(
    nodes: tuple[NodeSpec, ...], layers: Mapping[str, Layer]
) -> dict[str, Runner]:
    """What applies each of ``nodes``: its layer, or what runs a node that the plan made."""
    return {node.name: _runner(node, layers) for node in nodes}


def _runner(node: NodeSpec, layers: Mapping[str, Layer]) -> Runner:
    if isinstance(node, ProductSlice):
        return SliceRunner(node.share, layers[node.share.node])
    if isinstance(node, FusedProducts):
        return FusedRunner(node, layers)
    if isinstance(node, SplitLayer):
        return SplitRunner(node, layers[node.name])
    return layers[node.name]
