"""What a declaration consists of: the layers inside a layer, from its configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

Config = Mapping[str, object]
LOOPS = ("Recursive", "Recurrent")


def parts_of(config: Config) -> dict[str, tuple[str, Config]]:
    """The class and configuration of each layer directly inside one, by the name that it has there.

    >>> parts_of({"layers": [{"name": "Dense", "output_dim": 6}]})
    {'layer_0': ('Dense', {'name': 'Dense', 'output_dim': 6})}
    """
    if "spec" in config:
        return {
            node["name"]: (node["layer"]["class_name"], node["layer"]["config"])
            for node in config["spec"]["nodes"]
        }
    named = {
        f"layer_{index}": part for index, part in enumerate(config.get("layers") or ())
    }
    named |= {
        name: config[name]
        for name in ("layer", "backward_layer", "encoder", "decoder", "cell")
        if name in config
    }
    return {name: (part["name"], part) for name, part in named.items()}


def walk(
    class_name: str, config: Config, path: str = ""
) -> Iterator[tuple[str, str, Config]]:
    """A layer and every layer inside it: path, class and configuration."""
    yield path, class_name, config
    for name, (kind, inner) in parts_of(config).items():
        yield from walk(kind, inner, f"{path}.{name}" if path else name)
