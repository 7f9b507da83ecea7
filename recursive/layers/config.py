"""Layers from their configurations: what ``get_config`` gave, made into the layer again.

A configuration names a class and holds the arguments of its constructor; arguments that are layers are made first.
Classes come from a table: nothing in a file is ever run.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from recursive.errors import ConfigError, RecursiveError, suggest
from recursive.layers import (
    advanced_activations,
    autoencoder,
    cells,
    choice,
    core,
    embeddings,
    jzs,
    masking,
    maxout,
    merge,
    noise,
    normalization,
    recurrent,
    rnn,
    shaping,
    wrappers,
)
from recursive.layers.graph import Graph
from recursive.layers.identity import class_name, config_of, is_of_library
from recursive.layers.layer import Layer
from recursive.spec.graph import GraphSpec

Classes = Mapping[str, type]


ROOMS = (
    advanced_activations,
    autoencoder,
    cells,
    choice,
    core,
    embeddings,
    jzs,
    masking,
    maxout,
    merge,
    noise,
    normalization,
    recurrent,
    rnn,
    shaping,
    wrappers,
)
CLASSES = {
    name: thing
    for room in ROOMS
    for name, thing in vars(room).items()
    if inspect.isclass(thing)
    and issubclass(thing, Layer)
    and thing.__module__ == room.__name__
}
"""What a configuration may name, but for the containers: every layer class that these rooms define, by name."""


def layer_from_config(config: object, classes: Classes, shared: object = None) -> Layer:
    """The layer that ``config`` describes, with new weights.

    Args:
        config: the name of a class, as ``name``, and arguments; or a Graph as Keras 0.1 wrote it.
        classes: the classes that may be named.
        shared: what :func:`shared_layers` gave: these places are given the same layer.

    Raises:
        ConfigError: for an unknown class, unknown or missing arguments, or arguments of a wrong type.
        RecursiveError: a child of it, from the layer's own checks.

    Source: ``keras.utils.layer_utils.container_from_config`` of Keras 0.1.

    >>> layer_from_config({"name": "Dense", "input_dim": 4, "output_dim": 6}, CLASSES).W.type.shape
    (4, 6)
    """
    shared = {} if shared is None else shared
    check_keys("shared", shared, shared)
    for path, first in shared.items():
        if not isinstance(first, str):
            raise _wrong_place(path, first)
    reader = _Reader(classes, shared)
    layer = reader.layer(config, "")
    for path in set(shared) - set(reader.made):
        raise _wrong_place(path, shared[path])
    return layer


class _Reader:
    """Makes layers, and remembers each by its path, for the places that share it."""

    def __init__(self, classes: Classes, shared: Mapping[str, str]):
        self.classes = classes
        self.shared = shared
        self.made: dict[str, Layer] = {}

    def layer(self, config: object, path: str) -> Layer:
        """What ``config`` describes; the one made before where the place at ``path`` shares it."""
        if path in self.shared and self.shared[path] not in self.made:
            raise _wrong_place(path, self.shared[path])
        self.made[path] = (
            self.made[self.shared[path]]
            if path in self.shared
            else self._new(config, path)
        )
        return self.made[path]

    def _new(self, config: object, path: str) -> Layer:
        name = config.get("name") if isinstance(config, Mapping) else None
        if not isinstance(name, str):
            raise ConfigError.about(
                "config",
                "layer",
                takes="a mapping with a name",
                because="it names a class",
                got=repr(config),
                do="Compare with what get_config() gives.",
            )
        name = self._known(name)
        if name not in self.classes:
            raise ConfigError.about(
                "layer",
                name,
                takes="a known class",
                because="it is made from its class",
                got="an unknown name",
                do=f"{suggest(name, self.classes)} {advice_for_own(name)}",
            )
        cls, arguments = self.classes[name], translate_legacy_args(name, config)
        trainable = arguments.pop("trainable", True)
        if not issubclass(cls, Graph):
            layer = self._called(cls, arguments, path)
        elif "spec" in arguments:
            layer = self._graph(cls, arguments, path)
        else:
            layer = self._graph_of_2015(cls, arguments, path)
        if trainable is not True:
            layer.trainable = trainable
        return layer

    def _known(self, name: str) -> str:
        """``name``, or the short name of a class of the user's own that was given by it."""
        short = name.rpartition(".")[2]
        given = self.classes.get(short)
        by_its_short_name = name not in self.classes and given is not None
        return short if by_its_short_name and not is_of_library(given) else name

    def _called(
        self, cls: type[Layer], arguments: Mapping[str, object], path: str
    ) -> Layer:
        parameters = inspect.signature(cls).parameters
        if not any(
            each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()
        ):
            check_keys(cls.__name__, arguments, parameters)
        made = {
            key: self._argument(key, value, path) for key, value in arguments.items()
        }
        with _worded(cls.__name__, arguments):
            return cls(**made)

    def _argument(self, key: str, value: object, path: str) -> object:
        """Layers are made; all else, the configuration of a regularizer too, is the constructor's to understand."""
        if key == "layers" and isinstance(value, list | tuple):
            return [
                self.layer(item, _join(path, f"layer_{index}"))
                for index, item in enumerate(value)
            ]
        name = value.get("name") if isinstance(value, Mapping) else None
        # Rules have configurations with names too. The name of a user's class may have a dot.
        may_be_own = key in LAYER_ARGUMENTS or (
            isinstance(name, str) and "." in name and not key.endswith(RULES)
        )
        is_layer = isinstance(name, str) and (name in self.classes or may_be_own)
        return self.layer(value, _join(path, key)) if is_layer else value

    def _graph(
        self, cls: type[Graph], config: Mapping[str, object], path: str
    ) -> Graph:
        check_keys(cls.__name__, config, ["spec"])
        spec = GraphSpec.from_dict(config["spec"])
        if (spec.loop, spec.free) != (cls.loop, cls.free):
            raise ConfigError.about(
                "config",
                cls.__name__,
                takes=f"a spec with loop={cls.loop}, free={cls.free}",
                because="the class says whether there is a loop, and whether names are free",
                got=f"loop={spec.loop}, free={spec.free}",
                do="Name the class that wrote it.",
            )
        layers = {
            node.name: self.layer(
                {**node.layer.config, "name": node.layer.class_name},
                _join(path, node.name),
            )
            for node in spec.nodes
        }
        return cls.from_spec(spec, layers)

    def _graph_of_2015(
        self, cls: type[Graph], config: Mapping[str, object], path: str
    ) -> Graph:
        """As Keras 0.1 wrote it: the arguments of each ``add_`` in turn, and the layers beside them."""
        check_keys(
            cls.__name__,
            config,
            [*KEYS_OF_2015, "input_order", "output_order", "nodes"],
        )
        layers = config.get("nodes", {})
        check_keys("nodes", layers, layers)
        inputs, nodes, outputs = (_items(config, key) for key in KEYS_OF_2015)
        listed = [item.get("name") for item in outputs]
        graph = cls()
        for item in inputs:
            with _worded("input_config", item):
                graph.add_input(**item)
        for item in nodes:
            name, axis = item.get("name"), item.get("concat_axis", -1)
            if name not in layers or axis not in (-1, 1):
                raise ConfigError.about(
                    "node",
                    str(name),
                    takes="a layer in 'nodes', and concat_axis -1",
                    because="so nodes are joined here",
                    got=f"concat_axis {axis}, and layers "
                    f"for {', '.join(map(repr, layers)) or 'none'}",
                    do="Mend the file.",
                )
            shown = bool(item.get("create_output")) and name not in listed
            arguments = {
                key: item[key]
                for key in ("input", "inputs", "merge_mode")
                if key in item
            }
            with _worded("node_config", item):
                graph.add_node(
                    self.layer(layers[name], _join(path, name)),
                    name,
                    create_output=shown,
                    **arguments,
                )
        for item in outputs:
            with _worded("output_config", item):
                graph.add_output(**item)
        return graph


LAYER_ARGUMENTS = ("layer", "backward_layer", "encoder", "decoder")
"""The arguments of the library's layers that are layers."""
RULES = ("_regularizer", "_constraint")
"""How the names of arguments end that are regularizers or constraints."""


def advice_for_own(name: str) -> str:
    """What to pass for a class of the user's own that a configuration calls ``name``."""
    return (
        f"Pass a class of your own as custom_layers={{{name!r}: "
        f"{name.rpartition('.')[2]}}}."
    )


def translate_legacy_args(name: str, config: Mapping[str, object]) -> dict[str, object]:
    """The arguments in a configuration, those that Keras 0.1 called otherwise by their names of today."""
    names, silent = RENAMED_SINCE_2015.get(name, {}), SILENT_IN_2015.get(name, {})
    return {
        names.get(key, key): value
        for key, value in config.items()
        if key != "name" and not (key in silent and value == silent[key])
    }


RENAMED_SINCE_2015 = {
    "AutoEncoder": {"encoder_config": "encoder", "decoder_config": "decoder"}
}
SILENT_IN_2015 = {
    "Activation": {"target": 0, "beta": 0.1},
    "Merge": {"concat_axis": -1},
}
"""Arguments that Keras 0.1 wrote though they changed nothing, with the values for which that is so."""
READ_BY_2015 = ("name", "input", "inputs", "merge_mode")
KEYS_OF_2015 = {
    "input_config": ("name", "ndim", "dtype"),
    "node_config": (*READ_BY_2015, "create_output", "concat_axis"),
    "output_config": READ_BY_2015,
}
"""What the lists of a Graph of Keras 0.1 hold, in the order in which they are read."""


def check_keys(name: str, config: object, known: Iterable[str]) -> None:
    """Raise a ConfigError unless ``config`` is a mapping whose keys are all ``known``."""
    if not isinstance(config, Mapping):
        raise ConfigError.about(
            "config",
            name,
            takes="a mapping",
            because="its fields are named",
            got=repr(config),
            do="Compare with what get_config() gives.",
        )
    for key in config:
        if key not in known:
            raise ConfigError.about(
                "config",
                name,
                takes="known keys only",
                because="an unknown key would be lost",
                got=repr(key),
                do=suggest(str(key), map(str, known)),
            )


def _items(config: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    items = config.get(key)
    if not isinstance(items, list | tuple):
        raise ConfigError.about(
            "config",
            key,
            takes="a list",
            because="declarations have an order",
            got=repr(items),
            do="Write the file again.",
        )
    for item in items:
        check_keys(key, item, KEYS_OF_2015[key])
    return list(items)


@contextmanager
def _worded(name: str, arguments: Mapping[str, object]) -> Iterator[None]:
    """Put into words what a constructor makes of missing arguments, or some of a wrong type."""
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
            because="it is made from them",
            got=f"{dict(arguments)!r} ({error})",
            do="Compare with what get_config() gives.",
        ) from error


# Layers inside layers


def walk(layer: Layer, path: str = "") -> Iterator[tuple[str, Layer]]:
    """Every layer inside, after its container, with its path: ``layer_0``, ``layer_0.node``, ..."""
    for name, part in layer.children.items():
        yield _join(path, name), part
        yield from walk(part, _join(path, name))


def loops(layer: Layer) -> dict[str, Layer]:
    """``layer`` and every layer inside that runs over time, by path; not those that run inside a step of another.

    >>> from recursive.layers.sequential import Sequential
    >>> list(loops(Sequential([recurrent.GRU(4, 6, return_sequences=True), core.Dense(6, 2)])))
    ['layer_0']
    """
    found: dict[str, Layer] = {}
    for path, part in [("", layer), *walk(layer)]:
        outside = not any(not other or path.startswith(f"{other}.") for other in found)
        if hasattr(part, "go_backwards") and outside:
            found[path] = part
    return found


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def check_plain(container: Layer) -> None:
    """Raise a ConfigError where a layer inside cannot be written, as a Lambda cannot."""
    named: dict[str, type] = {}
    for path, layer in [("", container), *walk(container)]:
        _check_class(path, layer, named)
    for path, layer in walk(container):
        if layer.children:
            continue
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
                do="Use a layer class of your own in place of a function.",
            ) from error
        _check_kept(path, layer, config)


def _check_class(path: str, layer: Layer, named: dict[str, type]) -> None:
    """Raise a ConfigError where a name in the configuration would stand for another formula.

    Args:
        path: of the layer.
        layer: to be written.
        named: the class of each name so far.
    """
    cls = type(layer)
    method = getattr(cls, "formula_of_instance", None)
    if method is not None:
        raise ConfigError.about(
            "layer",
            path or "the model",
            takes="methods of its class, to be written",
            because="it is made again from its class",
            got=f"{cls.__name__}, which was assigned to the instance",
            do=f"Write a class of your own that defines {method}.",
        )
    other = named.setdefault(class_name(cls), cls)
    if other is not cls and not (is_of_library(cls) and is_of_library(other)):
        raise ConfigError.about(
            "layer",
            path or "the model",
            takes="a class whose name no other class in the model has, to be written",
            because="a file names the classes",
            got=f"{class_name(cls)!r} for both {_where_defined(cls)} "
            f"and {_where_defined(other)}",
            do="Rename one of the classes.",
        )


def _where_defined(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _check_kept(path: str, layer: Layer, config: Mapping[str, object]) -> None:
    """Raise a ConfigError where an argument is not in the configuration: it would come back as its default."""
    takes = inspect.signature(type(layer)).parameters.values()
    lost = {
        parameter.name
        for parameter in takes
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    lost -= {"name", "weights", *config}
    if lost and config.get("name") == class_name(
        type(layer)
    ):  # another name is of a layer that it stands for
        name = min(lost)
        raise ConfigError.about(
            "layer",
            path,
            takes=f"its argument {name!r} in its configuration, to be written",
            because="it is made again from it",
            got=f"{type(layer).__name__} without it",
            do=f"Keep it as self.{name}, or give the layer a get_config of its own.",
        )


def shared_layers(container: Layer) -> dict[str, str]:
    """Where a layer stands a second time: that path, and the path of its first place.

    >>> from recursive.layers.sequential import Sequential
    >>> tied = core.Dense(4, 4)
    >>> shared_layers(Sequential([tied, core.Activation("tanh"), tied]))
    {'layer_2': 'layer_0'}
    """
    first: dict[int, str] = {}
    found: dict[str, str] = {}
    for path, layer in walk(container):
        inside_a_second_place = any(path.startswith(f"{other}.") for other in found)
        if not inside_a_second_place and first.setdefault(id(layer), path) != path:
            found[path] = first[id(layer)]
    return found


def _wrong_place(path: object, first: object) -> ConfigError:
    return ConfigError.about(
        "config",
        "shared",
        takes="the path of a layer, and of an earlier one to stand there",
        because="they are the same layer",
        got=f"{path!r}: {first!r}",
        do="Write the file again.",
    )
