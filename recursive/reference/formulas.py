"""A check, before anything runs, that the reference has a formula for every layer."""

from __future__ import annotations

from collections.abc import Mapping

from recursive.errors import UnknownNameError
from recursive.reference.parts import parts_of
from recursive.reference.table import LAYERS, unknown_layer
from recursive.spec.graph import GraphSpec


def check_formulas(spec: GraphSpec) -> None:
    """Raise an UnknownNameError for a layer in ``spec``, or inside one of its layers, that is not in the table.

    A Lambda is such a layer, a class of the user's own, and a layer with an activation of the user's own.
    """
    _check_nodes(spec, "")


def _check_nodes(spec: GraphSpec, prefix: str) -> None:
    for node in spec.nodes:
        _check_layer(prefix + node.name, node.layer.class_name, node.layer.config)


def _check_layer(path: str, class_name: str, config: Mapping[str, object]) -> None:
    if class_name not in LAYERS:
        raise unknown_layer(class_name, path)
    for name, value in config.items():
        if name.endswith("activation") and callable(value):
            raise UnknownNameError.about(
                "node",
                path,
                takes=f"an {name} of the library, by its name",
                because="the reference runs no code but its own",
                got=f"the function {getattr(value, '__name__', value)!r} in {class_name}",
                do="Compare this layer with a formula of your own.",
            )
    if "spec" in config:
        _check_nodes(GraphSpec.from_dict(config["spec"]), f"{path}.")
        return
    for name, (kind, inner) in parts_of(config).items():
        _check_layer(f"{path}.{name}", kind, inner)
