"""A layer in parts: the product of what is known before a loop, those of a step, made for several, and the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.layers.chain import by_name
from recursive.layers.layer import Layer
from recursive.layers.masks import accepted_masks
from recursive.layers.products import affine_map, linear_map, select_rows, side_by_side
from recursive.loop.call import Call, Value, Values, joined_with
from recursive.spec.graph import NodeSpec
from recursive.spec.joined import TOGETHER
from recursive.spec.moves import BEFORE, PART, REST, Share


class ProductPart:
    """What some rows of the weights give to the product of a layer."""

    draws = ()

    def __init__(self, share: Share, layer: Layer):
        self.share, self.layer = share, layer

    def __call__(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return affine_map(x, *_factors(self.share, self.layer))


class Products:
    """The products of several layers with the same input, as one where the backend makes large ones faster."""

    draws = ()

    def __init__(
        self, names: Sequence[str], shares: Sequence[Share], layers: Mapping[str, Layer]
    ):
        self.names, self.parts = (
            names,
            [ProductPart(share, layers[share.node]) for share in shares],
        )

    def __call__(
        self, x: TensorVariable, train: bool = False
    ) -> dict[str, TensorVariable]:
        found = (
            (part(x) for part in self.parts)
            if backend.multiplies_apart()
            else self._as_one(x)
        )
        return dict(zip(self.names, found, strict=True))

    def _as_one(self, x: TensorVariable) -> list[TensorVariable]:
        factors = [_factors(part.share, part.layer) for part in self.parts]
        sizes = [part.share.product.dim for part in self.parts]
        product = linear_map(x, side_by_side([W for W, _ in factors]))
        pieces = pt.split(product, sizes, axis=product.ndim - 1)
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


class Rest:
    """A layer that is given some of its products: it adds those that it makes itself, and goes on as it would."""

    draws = ()

    def __init__(self, layer: Layer, shares: Sequence[Share]):
        self.layer, self.shares = layer, shares

    def __call__(
        self, inputs: TensorVariable | Mapping[str, TensorVariable], train: bool = False
    ) -> TensorVariable | dict[str, TensorVariable]:
        others = dict(inputs) if isinstance(inputs, Mapping) else {BEFORE: inputs}
        total = others.pop(BEFORE)
        for share in self.shares:
            W, b = _factors(share, self.layer)
            total = total + affine_map(others.pop(share.product.port), W, b)
        return self.layer.finish(total, others)


class Applied:
    """A part of one or several layers, applied as a layer is."""

    draws = ()

    def __init__(self, part: Callable, names: Sequence[str], layers: Sequence[Layer]):
        self.part, self.names, self.layers = part, names, layers

    def apply(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs by name; the masks are treated as the layers treat them."""
        tensors = {port: value.tensor for port, value in inputs.items()}
        x = next(iter(tensors.values())) if len(tensors) == 1 else tensors
        found = self.part(x, train=call.train)
        masked = self._masked(inputs)
        return {
            name: joined_with(tensor, masked)
            for name, tensor in by_name(tuple(self.names), found).items()
        }

    def _masked(self, inputs: Values) -> list[Value]:
        """The inputs whose masks are passed on."""
        kept = []
        for port, value in inputs.items():
            own = port if port in self.layers[0].ports else self.layers[0].ports[0]
            if accepted_masks(self.layers[0], {own: value}):
                kept.append(value)
        return kept


def runners(
    nodes: tuple[NodeSpec, ...], layers: Mapping[str, Layer]
) -> dict[str, Applied | Layer]:
    """What runs each of ``nodes``: its layer, or a part of one or several."""
    found: dict[str, Applied | Layer] = {}
    for node in nodes:
        part = _runner(node, layers)
        if isinstance(part, Layer):
            found[node.name] = part
            continue
        whole = (
            [part.layer]
            if hasattr(part, "layer")
            else [each.layer for each in part.parts]
        )
        found[node.name] = Applied(part, node.outputs or ("output",), whole)
    return found


def _runner(node: NodeSpec, layers: Mapping[str, Layer]) -> Callable:
    config = node.layer.config
    if node.layer.class_name == PART:
        [share] = config["shares"]
        return ProductPart(share, layers[share.node])
    if node.layer.class_name == TOGETHER:
        return Products(node.values, config["shares"], layers)
    if node.layer.class_name == REST:
        remainder = config["remainder"]
        return Rest(layers[remainder.node], remainder.shares)
    return layers[node.name]
