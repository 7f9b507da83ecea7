"""Layers as nodes of a container: the rules they must meet, and their specs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from recursive.errors import NodeError
from recursive.layers.checks import check_started
from recursive.layers.composite import Composite, layers_of
from recursive.layers.identity import config_of
from recursive.layers.layer import Layer
from recursive.layers.nested import NestedLoop
from recursive.spec.graph import GraphSpec, LayerSpec
from recursive.spec.names import Ref, split
from recursive.spec.shapes import Shape, node_shape
from recursive.spec.starts import start_name, start_nodes

Layers = Mapping[str, Layer]
"""The layer of each node, by the node's name."""


def check_node(container: Layer, name: str, layer: object) -> None:
    """Check that ``layer`` can become the node ``name`` of ``container``.

    Raises:
        ConfigError: if the layer's ``__init__`` did not call that of its base.
        NodeError: if it is not a layer, holds the container, has outputs that a loop
            cannot return, or keeps states that it cannot keep there.
    """
    if not isinstance(layer, Layer):
        raise NodeError.about(
            "node",
            str(name),
            takes="a layer",
            got=repr(layer),
            do="Say add_node(Dense(6), 'name', input='x'), for example.",
        )
    check_started(layer)
    # Rules hold for the layers inside too, at any depth.
    parts = list(layers_of(layer))
    if any(part is container for part in parts):
        raise NodeError.about(
            "node",
            str(name),
            takes="a layer that does not hold this container",
            because="it would be a part of itself",
            got=type(layer).__name__,
            do="Use copy.deepcopy for a second one like it.",
        )
    if container.loop and any(part.has_side_outputs for part in parts):
        raise NodeError.about(
            "node",
            str(name),
            takes="a layer without a penalty on its output or running means",
            because="a loop returns only its results",
            got=type(layer).__name__,
            do="Use it outside the loop.",
        )
    if any(part.carries for part in parts):
        _check_stateful(container, name, layer)


def _check_stateful(container: Layer, name: str, layer: Layer) -> None:
    """Check that a layer with kept states can keep them as a node."""
    if container.loop and not _is_stateful_loop(layer):
        raise NodeError.about(
            "node",
            str(name),
            takes="a stateful container by itself",
            because="its states become states of the loop",
            got=f"a {type(layer).__name__} that holds one",
            do="Make each of its layers a node.",
        )
    # Two nodes may share weights, but each would write its own next value of a state.
    if any(layer is other for other in container.nodes.values()):
        raise NodeError.about(
            "node",
            str(name),
            takes="a stateful layer that no other node uses",
            because="its states can have one next value only",
            got="the layer of another node",
            do="Use copy.deepcopy for a second layer like it.",
        )


def _is_stateful_loop(layer: Layer) -> bool:
    """True for a recurrent container that keeps states between batches."""
    return isinstance(layer, Composite) and layer.carries


def node_in_loop(name: str, layer: Layer) -> Layer:
    """``layer`` as a node of a loop.

    A stateful container is wrapped: its kept states become states of the loop. So are
    the states of a chain of cells.
    """
    # What leaves a step must be a result of scan. A shared variable that is updated
    # inside a step would not be.
    return NestedLoop(name, layer) if _is_stateful_loop(layer) else layer.as_step()


def layer_spec(layer: Layer) -> LayerSpec:
    """The class name and the configuration of ``layer``."""
    config = config_of(layer)
    return LayerSpec(config.pop("name"), config)


def output_names(layer: Layer) -> tuple[str, ...]:
    """The names of a layer's outputs if it has several, else none."""
    return layer.output_names if len(layer.output_names) > 1 else ()


def with_current_layers(spec: GraphSpec, layers: Layers) -> GraphSpec:
    """``spec`` with the configurations that the layers have now."""
    nodes = []
    for node in spec.nodes:
        layer = layer_spec(layers[node.name])
        nodes.append(dataclasses.replace(node, layer=layer))
    return spec.replace(nodes=tuple(nodes))


def check_unchanged(spec: GraphSpec, layers: Layers) -> None:
    """Raise a NodeError if the ports or outputs of a node changed since add_node."""
    for node in spec.nodes:
        layer = layers[node.name]
        read = tuple(port.name for port in node.ports)
        ports = []
        for port in layer.ports:
            if port in read or port not in layer.optional_ports:
                ports.append(port)
        declared = (read, node.outputs)
        found = (tuple(ports), output_names(layer))
        if declared != found:
            raise NodeError.about(
                "node",
                node.name,
                takes="a container that is complete when it is declared",
                because="other nodes read it by its inputs and outputs",
                got=f"{found} now, {declared} then",
                do="Declare everything inside it first, then call add_node.",
            )


def check_training_only(spec: GraphSpec, layers: Layers) -> None:
    """Raise a NodeError if a value counts that is there only while training.

    Only a port that is made for it may read such an input, such as ``truth`` of a
    Teacher.
    """
    names = {item.name for item in spec.inputs if item.training_only}
    if not names:
        return
    for output in spec.outputs:
        _check_reads("output", output.name, output.refs, names)
    for state in spec.states:
        for start in (start_name(state.initial), state.given):
            if start is not None:
                _check_reads("state", state.name, [Ref(start)], names)
    for node in spec.nodes:
        for port in node.ports:
            if port.name not in layers[node.name].training_ports:
                _check_reads("node", node.name, port.refs, names)


def check_start_layers(spec: GraphSpec, layers: Layers) -> None:
    """Raise a NodeError for random draws in the nodes that states start from."""
    for node in start_nodes(spec):
        if layers[node.name].draws:
            raise NodeError.about(
                "node",
                node.name,
                takes="a layer without random draws",
                because="a state starts from it",
                got=f"a {type(layers[node.name]).__name__} with "
                f"{', '.join(layers[node.name].draws)}",
                do="Draw in the enclosing graph, and pass the result as a context.",
            )


def _check_reads(kind: str, name: str, refs: Iterable[Ref], absent: set[str]) -> None:
    for ref in refs:
        if ref.name in absent:
            raise NodeError.about(
                kind,
                name,
                takes="values that are there while predicting, too",
                got=f"{str(ref)!r}, which is an input for training only",
                do="Read it with a Teacher, at the port truth.",
            )


def draw_shape(name: str, spec: GraphSpec, layers: Layers, shapes: Mapping) -> Shape:
    """The shape of the random draw ``node.draw``, at one step if there is a loop."""
    node_name, draw = split(name)
    [node] = (node for node in spec.nodes if node.name == node_name)
    shape = node_shape(spec, node, layers, shapes)
    return layers[node_name].draw_shape(draw, shape)
