"""The nodes of a graph, applied one after the other to the values that are known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from pytensor.tensor.variable import TensorVariable

from recursive.loop.call import Call, Value, Values, joined_with
from recursive.loop.merges import merge
from recursive.spec.graph import NodeSpec, PortSpec
from recursive.spec.merging import MODES
from recursive.spec.names import Ref

Env = dict[Ref, Value]
"""The values that are known so far, by name and tap."""


class Appliable(Protocol):
    """An object that runs a node: its layer, or a part of one or several layers."""

    draws: tuple[str, ...]

    def apply(self, inputs: Values, call: Call) -> Values:
        """The outputs by name, in their order."""


Layers = Mapping[str, Appliable]
"""The object that runs each node, by the node's name."""


def run(nodes: tuple[NodeSpec, ...], layers: Layers, env: Env, call: Call) -> None:
    """Apply each node's layer in turn and add its outputs to ``env``."""
    for node in nodes:
        layer = layers[node.name]
        # Draws were made before the loop, for all steps: see ``draws`` of a layer.
        draws = draws_in(node, layer, env)
        outputs = layer.apply(inputs_of(node, env), call.inside(node.name, draws))
        env.update(zip(map(Ref, node.values), outputs.values(), strict=True))


def draws_in(node: NodeSpec, layer: Appliable, env: Env) -> dict[str, TensorVariable]:
    """The random draws of a node that ``env`` has, by the layer's names for them."""
    found = {}
    for name in layer.draws:
        ref = Ref(f"{node.name}.{name}")
        if ref in env:
            found[name] = env[ref].tensor
    return found


def inputs_of(node: NodeSpec, env: Env) -> dict[str, Value]:
    """The inputs of a node's layer, by port.

    A port that takes several values by name gives one input for each of them.
    """
    inputs: dict[str, Value] = {}
    for port in node.ports:
        if MODES[port.merge_mode].is_by_name:
            # The layer itself combines them, as a function of several arguments.
            names = port.names or tuple(map(str, port.refs))
            for name, ref in zip(names, port.refs, strict=True):
                inputs[name] = env[ref]
        else:
            inputs[port.name] = read(port, env)
    return inputs


def read(port: PortSpec, env: Env) -> Value:
    """The value of a port: one value, or several merged, masked if any of them is."""
    values = [env[ref] for ref in port.refs]
    if len(values) == 1:
        return values[0]
    merged = merge([value.tensor for value in values], port.merge_mode)
    return joined_with(merged, values)


def mask_name(name: str) -> str:
    """The name of the mask of a value in a step; no node can have this name.

    >>> mask_name("words")
    'mask of words'
    """
    return f"mask of {name}"


def as_values(
    given: Mapping[Ref, TensorVariable], contexts: Collection[str] = ()
) -> Env:
    """The tensors of a step as values, each with its mask if that is among them.

    Args:
        given: tensors, and masks by their :func:`mask_name`.
        contexts: the names of the inputs that each step sees whole.
    """
    env: Env = {}
    for ref, tensor in given.items():
        mask = given.get(Ref(mask_name(ref.name), ref.tap))
        env[ref] = Value(tensor, mask, ref.name in contexts)
    return env


def result(name: str, env: Env) -> TensorVariable:
    """The value, or the mask of a value, that a step returns under ``name``."""
    if Ref(name) in env:
        return env[Ref(name)].tensor
    return env[Ref(name.removeprefix(mask_name("")))].mask
