"""Layers from their configurations, and the checks of layers before they are written.

A configuration is plain data: the ``name`` of a class, and the arguments of its
constructor. Arguments that are layers are configurations again, and are built first::

    {"name": "Sequential", "layers": [{"name": "Dense", "input_dim": 4, "output_dim":
    6}]}

A layer has a path, ``layer_0.node``: the names of the children that lead to it. If one
layer stands in two places, the second path is written as shared with the first one.

Reading executes nothing from a file. Class names are looked up in a table of layer
classes, and everything else is an argument. So a file cannot hold a function, and
:func:`check_plain` refuses a layer that has one before anything is written.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from recursive import limits
from recursive.errors import ConfigError, RecursiveError, suggest
from recursive.layers import (
    advanced_activations,
    attention,
    autoencoder,
    cells,
    choice,
    core,
    decoding,
    embeddings,
    jzs,
    masking,
    maxout,
    merge,
    noise,
    normalization,
    recurrent,
    rnn,
    running,
    shaping,
    teacher,
    wrappers,
)
from recursive.layers.graph import Graph
from recursive.layers.identity import class_name, config_of, is_of_library
from recursive.layers.layer import Layer
from recursive.spec.graph import GraphSpec

Classes = Mapping[str, type]

MODULES = (
    advanced_activations,
    attention,
    autoencoder,
    cells,
    choice,
    core,
    decoding,
    embeddings,
    jzs,
    masking,
    maxout,
    merge,
    noise,
    normalization,
    recurrent,
    rnn,
    running,
    shaping,
    teacher,
    wrappers,
)


def _layer_classes() -> dict[str, type[Layer]]:
    """The layer classes that the modules define themselves, by name."""
    found = {}
    for module in MODULES:
        for name, value in vars(module).items():
            is_class = inspect.isclass(value) and issubclass(value, Layer)
            if is_class and value.__module__ == module.__name__:
                found[name] = value
    return found


CLASSES = _layer_classes()
"""The classes that a configuration may name, without the containers."""

LAYER_ARGUMENTS = ("layer", "backward_layer", "encoder", "decoder")
"""The arguments of the library's layers that are layers."""
RULES = ("_regularizer", "_constraint")
"""The endings of the names of arguments that are regularizers or constraints."""


def layer_from_config(config: object, classes: Classes, shared: object = None) -> Layer:
    """The layer that ``config`` describes, with new weights.

    Args:
        config: the name of a class, as ``name``, and arguments; or a Graph as Keras 0.1
            wrote it.
        classes: the classes that may be named.
        shared: the result of :func:`shared_layers`: paths of places and, for each, the
            path of the layer to put there.

    Raises:
        ConfigError: for an unknown class, unknown or missing arguments, or arguments of
            a wrong type.
        RecursiveError: a subclass of it, from the layer's own checks.

    Source: ``keras.utils.layer_utils.container_from_config`` of Keras 0.1.

    >>> config = {"name": "Dense", "input_dim": 4, "output_dim": 6}
    >>> layer_from_config(config, CLASSES).W.type.shape
    (4, 6)
    """
    shared = {} if shared is None else shared
    check_keys("shared", shared, shared)
    for path, first in shared.items():
        if not isinstance(first, str):
            raise _wrong_place(path, first)
    reader = _Reader(classes, shared)
    layer = reader.layer(config, "")
    for path in set(shared) - set(reader.built):
        raise _wrong_place(path, shared[path])
    return layer


class _Reader:
    """Builds layers and keeps each by its path, for the places that share it."""

    def __init__(self, classes: Classes, shared: Mapping[str, str]):
        self.classes = classes
        self.shared = shared
        self.built: dict[str, Layer] = {}

    def layer(self, config: object, path: str) -> Layer:
        """The layer at ``path``: one built before if it is shared, else a new one."""
        limits.check("config", "model", "layers", len(self.built) + 1, "LAYERS")
        around = path.count(".") + bool(path)
        limits.check("config", "model", "layers in layers", around, "LAYER_DEPTH")
        if path not in self.shared:
            layer = self._new(config, path)
        elif self.shared[path] in self.built:
            layer = self.built[self.shared[path]]
        else:
            raise _wrong_place(path, self.shared[path])
        self.built[path] = layer
        return layer

    def _new(self, config: object, path: str) -> Layer:
        name = self._class_name(config)
        cls = self.classes[name]
        arguments = translate_legacy_args(name, config)
        trainable = arguments.pop("trainable", True)
        # A container has a "spec", or the declarations of Keras 0.1; any other layer
        # has the arguments of its constructor.
        if not issubclass(cls, Graph):
            layer = self._called(cls, arguments, path)
        elif "spec" in arguments:
            layer = self._graph(cls, arguments, path)
        else:
            layer = self._graph_of_2015(cls, arguments, path)
        if trainable is not True:
            layer.trainable = trainable
        return layer

    def _class_name(self, config: object) -> str:
        """The name in ``config``, as it is in the table of classes."""
        name = config.get("name") if isinstance(config, Mapping) else None
        if not isinstance(name, str):
            raise ConfigError.about(
                "config",
                "layer",
                takes="a mapping with a name",
                got=repr(config),
                do="Compare with the result of get_config().",
            )
        if name in self.classes:
            return name
        # A file calls a user's class `module.Name` if the library has a `Name` too. The
        # user may pass it as `Name` alone, but the library's `Name` is another class.
        short = name.rpartition(".")[2]
        if short in self.classes and not is_of_library(self.classes[short]):
            return short
        raise ConfigError.about(
            "layer",
            name,
            takes="a known class",
            got="an unknown name",
            do=f"{suggest(name, self.classes)} {advice_for_own(name)}",
        )

    def _called(
        self, cls: type[Layer], arguments: Mapping[str, object], path: str
    ) -> Layer:
        """``cls(**arguments)``, with the layers among the arguments built first."""
        parameters = inspect.signature(cls).parameters
        kinds = [parameter.kind for parameter in parameters.values()]
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            check_keys(cls.__name__, arguments, parameters)
        values = {}
        for key, value in arguments.items():
            values[key] = self._argument(key, value, path)
        with _config_errors(cls.__name__, arguments):
            return cls(**values)

    def _argument(self, key: str, value: object, path: str) -> object:
        """A layer if ``value`` configures one; the constructor reads all else.

        A regularizer or constraint has a configuration with a name too, which its layer
        reads.
        """
        if key == "layers" and isinstance(value, list | tuple):
            layers = []
            for index, item in enumerate(value):
                layers.append(self.layer(item, _join(path, f"layer_{index}")))
            return layers
        name = value.get("name") if isinstance(value, Mapping) else None
        if not isinstance(name, str):
            return value
        # A name with a dot is that of a user's class, as of a rule or of a layer.
        names_own_layer = "." in name and not key.endswith(RULES)
        if name in self.classes or key in LAYER_ARGUMENTS or names_own_layer:
            return self.layer(value, _join(path, key))
        return value

    def _graph(
        self, cls: type[Graph], config: Mapping[str, object], path: str
    ) -> Graph:
        """A graph from a GraphSpec, which has the configuration of each layer."""
        check_keys(cls.__name__, config, ["spec"])
        spec = GraphSpec.from_dict(config["spec"])
        if (spec.loop, spec.free) != (cls.loop, cls.free):
            raise ConfigError.about(
                "config",
                cls.__name__,
                takes=f"a spec with loop={cls.loop}, free={cls.free}",
                got=f"loop={spec.loop}, free={spec.free}",
                do="Name the class that wrote it.",
            )
        layers = {}
        for node in spec.nodes:
            layer = {**node.layer.config, "name": node.layer.class_name}
            layers[node.name] = self.layer(layer, _join(path, node.name))
        return cls.from_spec(spec, layers)

    # A Graph as Keras 0.1 wrote it: the arguments of each ``add_``, and the layers

    def _graph_of_2015(
        self, cls: type[Graph], config: Mapping[str, object], path: str
    ) -> Graph:
        known = [*KEYS_OF_2015, "input_order", "output_order", "nodes"]
        check_keys(cls.__name__, config, known)
        layers = config.get("nodes", {})
        check_keys("nodes", layers, layers)
        inputs, nodes, outputs = (_items(config, key) for key in KEYS_OF_2015)
        graph = cls()
        for item in inputs:
            with _config_errors("input_config", item):
                graph.add_input(**item)
        # Keras 0.1 wrote an output of `create_output` twice: with its node, and as
        # output.
        listed = [item.get("name") for item in outputs]
        for item in nodes:
            arguments = _node_of_2015(item, layers, listed)
            name = arguments["name"]
            with _config_errors("node_config", item):
                layer = self.layer(layers[name], _join(path, name))
                graph.add_node(layer, **arguments)
        for item in outputs:
            with _config_errors("output_config", item):
                graph.add_output(**item)
        return graph


def _node_of_2015(
    item: Mapping[str, object], layers: Mapping[str, object], outputs: list[object]
) -> dict[str, object]:
    """The arguments of ``add_node``, without the layer.

    Args:
        item: an entry of ``node_config``.
        layers: the configuration of each layer.
        outputs: the names in ``output_config``, which are declared after the nodes.
    """
    name = item.get("name")
    axis = item.get("concat_axis", -1)
    if name not in layers or axis not in (-1, 1):
        names = ", ".join(map(repr, layers)) or "none"
        raise ConfigError.about(
            "node",
            str(name),
            takes="a layer in 'nodes', and concat_axis -1",
            got=f"concat_axis {axis}, and layers for {names}",
            do="Correct the file.",
        )
    arguments = {"name": name}
    for key in ("input", "inputs", "merge_mode"):
        if key in item:
            arguments[key] = item[key]
    create_output = bool(item.get("create_output")) and name not in outputs
    return {**arguments, "create_output": create_output}


def _items(config: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    """The list ``config[key]``, with its entries checked."""
    items = config.get(key)
    if not isinstance(items, list | tuple):
        raise ConfigError.about(
            "config",
            key,
            takes="a list",
            got=repr(items),
            do="Write the file again.",
        )
    for item in items:
        check_keys(key, item, KEYS_OF_2015[key])
    return list(items)


def translate_legacy_args(name: str, config: Mapping[str, object]) -> dict[str, object]:
    """The arguments in ``config``, those of Keras 0.1 under their present names."""
    names = RENAMED_SINCE_2015.get(name, {})
    silent = SILENT_IN_2015.get(name, {})
    arguments = {}
    for key, value in config.items():
        is_silent = key in silent and value == silent[key]
        if key != "name" and not is_silent:
            arguments[names.get(key, key)] = value
    return arguments


RENAMED_SINCE_2015 = {
    "AutoEncoder": {"encoder_config": "encoder", "decoder_config": "decoder"}
}
SILENT_IN_2015 = {
    "Activation": {"target": 0, "beta": 0.1},
    "Merge": {"concat_axis": -1},
}
"""Arguments that Keras 0.1 wrote, with values that have no effect."""
READ_BY_2015 = ("name", "input", "inputs", "merge_mode")
KEYS_OF_2015 = {
    "input_config": ("name", "ndim", "dtype"),
    "node_config": (*READ_BY_2015, "create_output", "concat_axis"),
    "output_config": READ_BY_2015,
}
"""The keys in the lists of a Graph of Keras 0.1, in the order they are read."""


# Errors


def advice_for_own(name: str) -> str:
    """The advice for a user-defined class that a configuration calls ``name``."""
    short = name.rpartition(".")[2]
    return f"Pass a class of your own as custom_layers={{{name!r}: {short}}}."


def check_keys(name: str, config: object, known: Iterable[str]) -> None:
    """Raise a ConfigError unless ``config`` is a mapping whose keys are ``known``."""
    if not isinstance(config, Mapping):
        raise ConfigError.about(
            "config",
            name,
            takes="a mapping",
            got=repr(config),
            do="Compare with the result of get_config().",
        )
    for key in config:
        if key not in known:
            raise ConfigError.about(
                "config",
                name,
                takes="known keys only",
                got=repr(key),
                do=suggest(str(key), map(str, known)),
            )


@contextmanager
def _config_errors(name: str, arguments: Mapping[str, object]) -> Iterator[None]:
    """Raise a ConfigError for the errors of a constructor that gets wrong arguments."""
    try:
        yield
    except RecursiveError:
        raise
    except (
        TypeError,
        ValueError,
        AttributeError,
        LookupError,
        ArithmeticError,
    ) as error:
        raise ConfigError.about(
            "config",
            name,
            takes="the arguments of its class",
            got=f"{dict(arguments)!r} ({error})",
            do="Compare with the result of get_config().",
        ) from error


def _wrong_place(path: object, first: object) -> ConfigError:
    return ConfigError.about(
        "config",
        "shared",
        takes="the path of a place and that of an earlier layer",
        got=f"{path!r}: {first!r}",
        do="Write the file again.",
    )


# Layers inside layers


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def walk(layer: Layer, path: str = "") -> Iterator[tuple[str, Layer]]:
    """Every layer inside with its path, ``layer_0.node``; a container comes first."""
    for name, part in layer.children.items():
        yield _join(path, name), part
        yield from walk(part, _join(path, name))


def loops(layer: Layer) -> dict[str, Layer]:
    """The layers that run over time, by path: ``layer`` itself or layers inside it.

    Those that run inside a step of another are left out.

    >>> from recursive.layers.sequential import Sequential
    >>> gru = recurrent.GRU(4, 6, return_sequences=True)
    >>> list(loops(Sequential([gru, core.Dense(6, 2)])))
    ['layer_0']
    """
    found: dict[str, Layer] = {}
    for path, part in [("", layer), *walk(layer)]:
        if hasattr(part, "go_backwards") and not is_inside(path, found):
            found[path] = part
    return found


def is_inside(path: str, paths: Iterable[str]) -> bool:
    """True if ``path`` leads to a part of a layer at one of ``paths``."""
    return any(not other or path.startswith(f"{other}.") for other in paths)


def shared_layers(container: Layer) -> dict[str, str]:
    """The paths at which a layer occurs again, each with the layer's first path.

    >>> from recursive.layers.sequential import Sequential
    >>> tied = core.Dense(4, 4)
    >>> shared_layers(Sequential([tied, core.Activation("tanh"), tied]))
    {'layer_2': 'layer_0'}
    """
    first: dict[int, str] = {}
    found: dict[str, str] = {}
    for path, layer in walk(container):
        # The parts of a layer that occurs again are shared with it.
        if not is_inside(path, found) and first.setdefault(id(layer), path) != path:
            found[path] = first[id(layer)]
    return found


# Checks before a configuration is written


def check_plain(container: Layer) -> None:
    """Raise a ConfigError if a layer inside cannot be written, such as a Lambda."""
    # One name must stand for one class in the whole file.
    named: dict[str, type] = {}
    for path, layer in [("", container), *walk(container)]:
        _check_class(path, layer, named)
    for path, layer in walk(container):
        if layer.children:
            continue  # its configuration is that of its parts
        try:
            config = config_of(layer)
            json.dumps(config, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConfigError.about(
                "layer",
                path,
                takes="a configuration of plain data, to be written",
                because="a file must never hold code",
                got=f"{type(layer).__name__} ({error})",
                do="Use a layer class of your own instead of a function.",
            ) from error
        _check_arguments_kept(path, layer, config)


def _check_class(path: str, layer: Layer, named: dict[str, type]) -> None:
    """Raise a ConfigError if the class name would not stand for the layer's formula.

    Args:
        path: the path of the layer.
        layer: the layer to be written.
        named: the class of each name so far; that of ``layer`` is added.
    """
    cls = type(layer)
    method = getattr(cls, "formula_of_instance", None)
    if method is not None:
        raise ConfigError.about(
            "layer",
            path or "the model",
            takes="methods of its class, to be written",
            because="reading creates it from its class",
            got=f"{cls.__name__}, which was assigned to the instance",
            do=f"Write a class of your own that defines {method}.",
        )
    name = class_name(cls)
    other = named.setdefault(name, cls)
    if other is not cls and not (is_of_library(cls) and is_of_library(other)):
        raise ConfigError.about(
            "layer",
            path or "the model",
            takes="a class whose name no other class in the model has, to be written",
            because="a file has only the names of classes",
            got=f"{name!r} for both {_where_defined(cls)} and {_where_defined(other)}",
            do="Rename one of the classes.",
        )


def _where_defined(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _check_arguments_kept(
    path: str, layer: Layer, config: Mapping[str, object]
) -> None:
    """Raise a ConfigError if an argument is not in ``config``.

    The layer that is read would have the default of that argument.
    """
    cls = type(layer)
    if config.get("name") != class_name(cls):
        return  # the configuration is that of a layer that it stands for
    lost = set()
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            lost.add(parameter.name)
    lost -= {"name", "weights", *config}
    if lost:
        name = min(lost)
        raise ConfigError.about(
            "layer",
            path,
            takes=f"its argument {name!r} in its configuration, to be written",
            got=f"{cls.__name__} without it",
            do=f"Keep it as self.{name}, or define get_config.",
        )
