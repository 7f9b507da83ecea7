"""The table of layers by class name, and how one of them is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from recursive.errors import (
    ConfigError,
    RecursiveError,
    UnknownNameError,
    suggest,
)
from recursive.reference.arrays import (
    LayerInput,
    LayerResult,
    Scope,
    Values,
    listed,
    with_masks,
    without_masks,
)
from recursive.reference.masks import joined

Found = TypeVar("Found")
Config = Mapping[str, object]
Formula = Callable[[Config, Values | LayerInput, Scope], LayerResult]
"""``formula(config, x, scope)`` computes a layer.

``config`` is the layer's configuration, ``x`` its input, an array, or a dict by port if
it has several, and ``scope`` its parameters, draws and states. All formulas have this
type.
"""

PASS, USE, DROP, REFUSE = "pass", "use", "drop", "refuse"
"""A layer's rule for the masks of its inputs.

PASS: the output has them, joined with the one that the layer creates. USE: the formula
reads them and returns the mask of its output. DROP: they end here. REFUSE: an error.
"""


@dataclass(frozen=True)
class Rule:
    """A layer's formula and its mask rule.

    A formula that uses masks gets values with their masks, any other one bare arrays.
    """

    formula: Formula
    mask: str


LAYERS: dict[str, Rule] = {}
"""Every layer by its class name."""


def layer(*names: str, mask: str = REFUSE) -> Callable[[Formula], Formula]:
    """Put a formula into the table."""

    def register(formula: Formula) -> Formula:
        LAYERS.update(dict.fromkeys(names, Rule(formula, mask)))
        return formula

    return register


def compute(
    class_name: str, config: Config, x: Values | LayerInput, scope: Scope
) -> LayerResult:
    """Compute a layer of ``x``, values with their masks or bare arrays.

    Raises:
        UnknownNameError: for a layer that is not in the table: a Lambda or a
            user-defined one.
        ConfigError: for a mask if the layer takes none.
    """
    if class_name not in LAYERS:
        raise unknown_layer(class_name, scope.place)
    rule = LAYERS[class_name]
    x = with_masks(x)
    if rule.mask == USE:
        return rule.formula(config, x, scope)
    if rule.mask == REFUSE:
        _check_unmasked(class_name, x, scope)
    result = rule.formula(config, without_masks(x), scope)
    if rule.mask == PASS:
        masks = [value.mask for value in listed(x)]
        result = replace(result, mask=joined([result.mask, *masks]))
    return result


def compute_part(part: Config, x: Values | LayerInput, scope: Scope) -> LayerResult:
    """Compute a layer inside another; its configuration names the class."""
    return compute(str(part["name"]), part, x, scope)


def _check_unmasked(class_name: str, x: LayerInput, scope: Scope) -> None:
    """Raise a ConfigError for a mask at any port.

    The mask of a context is let through: its entries are not steps.
    """
    ports = x if isinstance(x, Mapping) else {"input": x}
    for port, value in ports.items():
        if value.mask is not None and not value.is_context:
            raise ConfigError.about(
                "layer",
                class_name,
                takes=f"an input without a mask at its port {port!r}",
                because="masked steps would count in its output",
                got="a mask" + _at(scope.place),
                do="Put DropMask() in front of it if the mask may end there, or a "
                "recurrent layer that returns its last step.",
            )


def look_up(
    kind: str,
    name: object,
    table: Mapping[str, Found],
    error: type[RecursiveError] = UnknownNameError,
) -> Found:
    """The entry of ``table`` called ``name``, or an error that offers the nearest."""
    if not isinstance(name, str) or name not in table:
        raise error.about(
            kind,
            str(name),
            takes=f"the name of a known {kind}",
            got=repr(name),
            do=suggest(str(name), table),
        )
    return table[name]


def unknown_layer(class_name: str, place: str) -> UnknownNameError:
    """The error for a layer without a formula, at the node called ``place``."""
    module, _, own_name = class_name.rpartition(".")
    if module:
        advice = (
            f"It is the class {own_name} of the module {module}, not the library's: "
            "run the network with the library, or build this node of the library's "
            "layers."
        )
    else:
        advice = (
            suggest(class_name, LAYERS)
            + " For a layer of your own, run the network with the library."
        )
    return UnknownNameError.about(
        "layer",
        class_name,
        takes="the name of a layer with a formula",
        because="the reference runs no code but its own: no Lambda, no layer of yours",
        got=repr(class_name) + _at(place),
        do=advice,
    )


def _at(place: str) -> str:
    """The node of a layer, for an error."""
    return f" at node {place!r}" if place else ""
