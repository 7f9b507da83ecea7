"""Layers by name and from configurations, and the shapes of their outputs.

Source: ``keras.utils.layer_utils`` of Keras 0.1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recursive import backend
from recursive.errors import ConfigError, DataError
from recursive.layers import chain
from recursive.layers.config import CLASSES, check_keys, layer_from_config
from recursive.layers.graph import Graph
from recursive.layers.layer import Layer
from recursive.layers.merge import Merge
from recursive.layers.recursive import Recurrent, Recursive
from recursive.layers.sequential import Sequential

__all__ = [
    "container_from_config",
    "get_layer",
    "layer_from_config",
    "print_layer_shapes",
]

CONTAINERS = CLASSES | {
    cls.__name__: cls for cls in (Sequential, Graph, Recursive, Recurrent)
}
"""The layer classes and containers by name."""


def container_from_config(original_layer_dict: Mapping[str, object]) -> Layer:
    """The layer or container that a configuration describes, with new weights.

    Args:
        original_layer_dict: the result of ``get_config()``, here or in Keras 0.1.3. It
            is not changed.

    Raises:
        ConfigError: for an unknown class, or unknown or missing arguments.
        RecursiveError: a subclass of it, from the layer's own checks.

    >>> from recursive.layers.core import Dense
    >>> config = Sequential([Dense(4, 6), Dense(6, 2)]).get_config()
    >>> [layer.output_dim for layer in container_from_config(config).layers]
    [6, 2]
    """
    return layer_from_config(original_layer_dict, CONTAINERS)


def get_layer(
    identifier: str | Layer, kwargs: Mapping[str, object] | None = None
) -> Layer:
    """A layer by the name of its class.

    Args:
        identifier: a name, or a layer, which is returned.
        kwargs: the arguments of the class.

    Raises:
        ConfigError: for an unknown name, or unknown or missing arguments.

    >>> get_layer("Dense", {"input_dim": 4, "output_dim": 6}).output_dim
    6
    """
    if isinstance(identifier, Layer):
        return identifier
    arguments = {} if kwargs is None else kwargs
    check_keys("layer", arguments, arguments)
    return layer_from_config({**arguments, "name": identifier}, CONTAINERS)


def print_layer_shapes(model: Layer, input_shapes: object) -> None:
    """Run a model on zeros and print the shape of each layer's output.

    Args:
        model: a Sequential, a Merge or a Graph.
        input_shapes: a tuple, batch first; a list of tuples for several inputs; for a
            Graph a dict by name.

    Raises:
        ConfigError: for another layer.
        DataError: for a missing or an unknown shape.

    >>> from recursive.layers.core import Activation, Dense
    >>> print_layer_shapes(Sequential([Dense(4, 6), Activation("tanh")]), (3, 4))
    input shapes :  [(3, 4)]
    shape after Dense: (3, 6)
    shape after Activation: (3, 6)
    """
    given = input_shapes
    if isinstance(model, Graph) and not model.loop:
        layers = list(model.nodes.values())
    elif isinstance(model, Sequential | Merge):
        layers = model.layers
        if not isinstance(given, Mapping):
            given = _as_list(given)
    else:
        raise ConfigError.about(
            "argument",
            "model",
            takes="a Sequential, a Merge or a Graph",
            got=type(model).__name__,
            do="A loop has summary(), which lists the shapes of one step.",
        )
    print("input shapes : ", given)
    symbols = chain.by_name(model.ports, model.input)
    shapes = _by_port(given, list(symbols))
    values = {}
    for port, symbol in symbols.items():
        values[symbol] = np.zeros(shapes[port], dtype=symbol.dtype)
    for layer in layers:
        outputs = chain.by_name(layer.output_names, layer.get_output(train=False))
        found = backend.evaluate(list(outputs.values()), values)
        shown = ", ".join(str(output.shape) for output in found)
        print(f"shape after {type(layer).__name__}: {shown}")


def _as_list(shapes: object) -> object:
    """A list of shapes; a single shape is a list of one."""
    is_one = isinstance(shapes, tuple) and not isinstance(shapes[0], tuple)
    return [shapes] if is_one else shapes


def _by_port(shapes: object, ports: list[str]) -> dict[str, tuple[int, ...]]:
    """The shape at each port.

    Raises:
        DataError: unless there is one shape for each.
    """
    names = list(shapes) if isinstance(shapes, Mapping) else ports[: len(shapes)]
    if set(names) != set(ports) or len(shapes) != len(ports):
        raise DataError.about(
            "argument",
            "input_shapes",
            takes=f"a shape for each of the inputs {', '.join(ports)}",
            got=repr(shapes),
            do="Pass a dict by name, or a list in this order.",
        )
    if isinstance(shapes, Mapping):
        return dict(shapes)
    return dict(zip(ports, shapes, strict=True))
