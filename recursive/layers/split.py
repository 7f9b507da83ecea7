"""A layer in parts: the product of what is known before a loop, that of a step, made for several, and the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.layers.layer import Layer
from recursive.layers.products import Rows, linear_map, select_rows, side_by_side
from recursive.spec.graph import NodeSpec
from recursive.spec.joined import CUT
from recursive.spec.moves import BEFORE, PART, REST, Share


class ProductPart:
    """What some rows of the weights give to the products of layers, side by side."""

    draws = ()

    def __init__(self, shares: Sequence[Share], bias: bool, layers: Mapping[str, Layer]):
        self.shares, self.bias, self.layers = shares, bias, layers

    def __call__(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        factors = [(*self.layers[share.node].factors(), share) for share in self.shares]
        product = linear_map(x, side_by_side([select_rows(W, share.rows) for W, _, share in factors]))
        if not self.bias or all(b is None for _, b, _ in factors):
            return product
        return product + side_by_side([pt.zeros(share.product.dim, dtype=product.dtype) if b is None else b
                                       for _, b, share in factors])


class Cut:
    """Cuts a product into the shares of several layers."""

    draws = ()

    def __init__(self, names: Sequence[str], sizes: Sequence[int]):
        self.names, self.sizes = names, sizes

    def __call__(self, x: TensorVariable, train: bool = False) -> dict[str, TensorVariable]:
        shares = pt.split(x, list(self.sizes), axis=x.ndim - 1)
        return dict(zip(self.names, shares, strict=True))


class Rest:
    """A layer that is given a part of its product: it adds what the other rows give, and goes on as it would."""

    draws = ()

    def __init__(self, layer: Layer, rows: Rows):
        self.layer, self.rows = layer, rows

    def __call__(self, inputs: TensorVariable | Mapping[str, TensorVariable],
                 train: bool = False) -> TensorVariable | dict[str, TensorVariable]:
        others = dict(inputs) if isinstance(inputs, Mapping) else {BEFORE: inputs}
        product = others.pop(BEFORE)
        if self.rows:
            W, _ = self.layer.factors()
            product = product + linear_map(others.pop(self.layer.product.port), select_rows(W, self.rows))
        return self.layer.finish(product, others)


def runners(nodes: tuple[NodeSpec, ...], layers: Mapping[str, Layer]) -> dict[str, Callable]:
    """What each of ``nodes`` calls: its layer, or a part of one or several."""
    return {node.name: _runner(node, layers) for node in nodes}


def _runner(node: NodeSpec, layers: Mapping[str, Layer]) -> Callable:
    config = node.layer.config
    if node.layer.class_name == PART:
        return ProductPart(config["shares"], config["bias"], layers)
    if node.layer.class_name == CUT:
        return Cut(node.values, config["sizes"])
    if node.layer.class_name == REST:
        return Rest(layers[config["share"].node], config["share"].rows)
    return layers[node.name]
