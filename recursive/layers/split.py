"""A layer in two parts: the product of what is known before a loop, and the rest, which adds to it at every step."""

from __future__ import annotations

from collections.abc import Mapping

from pytensor.tensor.variable import TensorVariable

from recursive.layers.layer import Layer, Rows
from recursive.spec.graph import NodeSpec
from recursive.spec.moves import BEFORE, PART, REST


class ProductPart:
    """What some rows of the weights give to a layer's product, the bias included."""

    draws = ()

    def __init__(self, layer: Layer, rows: Rows | None):
        self.layer, self.rows = layer, rows

    def __call__(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return self.layer.transform_input(x, self.rows)


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
            product = product + self.layer.transform_input(others.pop(self.layer.product.port), self.rows, bias=False)
        return self.layer.finish(product, others)


def runners(nodes: tuple[NodeSpec, ...], layers: Mapping[str, Layer]) -> dict[str, object]:
    """What each of ``nodes`` calls: its layer, or a part of one."""
    parts = {PART: ProductPart, REST: Rest}
    return {node.name: parts[node.layer.class_name](layers[node.layer.config["node"]], node.layer.config["rows"])
            if node.layer.class_name in parts else layers[node.name] for node in nodes}
