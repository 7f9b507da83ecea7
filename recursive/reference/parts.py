"""The layers inside a layer, from its configuration."""

from __future__ import annotations

from collections.abc import Iterator

from recursive.reference.table import Config
from recursive.spec.graph import GraphSpec

LOOPS = ("Recursive", "Recurrent")
NAMED_PARTS = ("layer", "backward_layer", "encoder", "decoder", "cell")
"""The keys that hold one layer each."""


def parts_of(config: Config) -> dict[str, tuple[str, Config]]:
    """The class and configuration of each layer directly inside one, by its name there.

    >>> parts_of({"layers": [{"name": "Dense", "output_dim": 6}]})
    {'layer_0': ('Dense', {'name': 'Dense', 'output_dim': 6})}
    """
    found = {}
    if "spec" in config:
        for node in GraphSpec.from_dict(config["spec"]).nodes:
            found[node.name] = (node.layer.class_name, node.layer.config)
        return found
    for index, part in enumerate(config.get("layers") or ()):
        found[f"layer_{index}"] = (part["name"], part)
    for name in NAMED_PARTS:
        if name in config:
            found[name] = (config[name]["name"], config[name])
    return found


def walk(spec: GraphSpec) -> Iterator[tuple[str, str, Config]]:
    """The path, class and configuration of every layer, at any depth."""
    for node in spec.nodes:
        yield from _walk_layer(node.name, node.layer.class_name, node.layer.config)


def _walk_layer(
    path: str, class_name: str, config: Config
) -> Iterator[tuple[str, str, Config]]:
    yield path, class_name, config
    for name, (part_class, part) in parts_of(config).items():
        yield from _walk_layer(f"{path}.{name}", part_class, part)
