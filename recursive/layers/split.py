"""Runners: the objects that a loop applies for its nodes.

For most nodes this is the layer. The plan may also take the matrix products of layers
apart (:mod:`recursive.spec.hoist`). A layer ``finish(x @ W_x + h @ W_h + b)`` then
becomes

* a :class:`SliceRunner` for ``x @ W_x + b``, which can run before the loop;
* a :class:`SplitRunner` for the rest: it adds ``h @ W_h`` and calls ``finish``.

``W_x`` and ``W_h`` are slices, along the rows, of one weight matrix of the layer. A
:class:`FusedRunner` multiplies ``x`` by the weights of several layers in one product.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.layers.chain import tensors_by_name
from recursive.layers.layer import Layer
from recursive.layers.masks import accepted_masks
from recursive.layers.products import affine_map, linear_map, select_rows, side_by_side
from recursive.loop.call import Call, Value, Values, joined, with_mask
from recursive.spec.graph import MAIN, NodeSpec
from recursive.spec.hoist import FusedProducts, ProductShare, ProductSlice, SplitLayer


class SliceRunner:
    """Runs the product of an input with some rows of a layer's weights."""

    # The plan splits no layer that draws.
    draws = ()

    def __init__(self, share: ProductShare, layer: Layer):
        self.share = share
        self.layer = layer

    def apply(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The product, with the mask that the layer passes on."""
        [value] = inputs.values()
        mask = _passed_on(self.layer, {self.share.product.port: value})
        return {MAIN: with_mask(self.product(value.tensor), mask)}

    def product(self, x: TensorVariable) -> TensorVariable:
        """``x`` times the rows of the weights, plus the bias if this share adds it."""
        return affine_map(x, *_factors(self.share, self.layer))


class FusedRunner:
    """Runs products of several layers with the same input, as one product or apart.

    One large product is faster on some backends, separate ones on others.
    """

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
        """The products with ``x``, cut out of one product with all weights."""
        weights, biases, dims = [], [], []
        for one in self.slices:
            W, b = _factors(one.share, one.layer)
            weights.append(W)
            biases.append(b)
            dims.append(one.share.product.dim)
        # (..., sum of dims)
        product = linear_map(x, side_by_side(weights))
        parts = pt.split(product, dims, axis=product.ndim - 1)
        # A new list: ``parts`` is the list of outputs of the node in PyTensor's graph.
        products = []
        for part, b in zip(parts, biases, strict=True):
            # Some shares have no bias.
            products.append(part if b is None else part + b)
        return products


class SplitRunner:
    """Runs the rest of a layer: sums all products and finishes."""

    draws = ()

    def __init__(self, node: SplitLayer, layer: Layer):
        self.known = node.known.name
        self.shares = node.remainder.shares
        self.layer = layer
        self.names = node.outputs or (MAIN,)

    def apply(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs of the layer by name."""
        others = tensors_by_name(inputs)
        # Known products come first in the sum, which fixes its rounding.
        total = others.pop(self.known)
        for share in self.shares:
            W, b = _factors(share, self.layer)
            total = total + affine_map(others.pop(share.product.port), W, b)
        found = self.layer.finish(total, others)
        outputs = list(found.values()) if isinstance(found, Mapping) else [found]

        # The layer's policy was applied to the known products when they were computed.
        unknown = dict(inputs)
        known = unknown.pop(self.known)
        mask = joined([known.mask, _passed_on(self.layer, unknown)])
        values = [with_mask(tensor, mask) for tensor in outputs]
        return dict(zip(self.names, values, strict=True))


def _passed_on(layer: Layer, inputs: Values) -> TensorVariable | None:
    """The joined mask of ``inputs`` of ``layer``, which must not refuse them."""
    return joined(accepted_masks(layer, inputs).values())


def _factors(
    share: ProductShare, layer: Layer
) -> tuple[TensorVariable, TensorVariable | None]:
    """The weights, ``(input dim, dim)``, and the bias of a share, if it adds one."""
    W, b = layer.factors(share.product)
    return select_rows(W, share.weight_rows), b if share.bias else None


Runner = SliceRunner | FusedRunner | SplitRunner | Layer
"""An object that a loop applies for a node."""


def runners(
    nodes: tuple[NodeSpec, ...], layers: Mapping[str, Layer]
) -> dict[str, Runner]:
    """The runner of each of ``nodes``, by name."""
    return {node.name: _runner(node, layers) for node in nodes}


def _runner(node: NodeSpec, layers: Mapping[str, Layer]) -> Runner:
    if isinstance(node, ProductSlice):
        return SliceRunner(node.share, layers[node.share.node])
    if isinstance(node, FusedProducts):
        return FusedRunner(node, layers)
    if isinstance(node, SplitLayer):
        return SplitRunner(node, layers[node.name])
    return layers[node.name]
