"""The table of layers by class name, and how one is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from recursive.errors import ConfigError, UnknownNameError, suggest
from recursive.reference.arrays import (
    Computed,
    Given,
    Read,
    Values,
    arrays_of,
    values_of,
)
from recursive.reference.masks import joined

Formula = Callable[[Mapping[str, object], Values | Read, Given], Computed]
"""From a layer's configuration, its input and what else it is given."""

PASS, USE, DROP, REFUSE = "pass", "use", "drop", "refuse"
"""What becomes of the masks that a layer reads. The output has them, joined with one that the layer makes; the formula
reads them, and says which mask its output has; they end here; or they are an error."""


@dataclass(frozen=True)
class Rule:
    """A layer's formula, and what becomes of the masks that it reads.

    A formula that uses masks is given values with their masks, every other one bare arrays.
    """

    formula: Formula
    mask: str


LAYERS: dict[str, Rule] = {}
"""Every layer by its class name."""


def layer(*names: str, mask: str = REFUSE) -> Callable[[Formula], Formula]:
    """Put a formula into the table."""

    def put(formula: Formula) -> Formula:
        LAYERS.update(dict.fromkeys(names, Rule(formula, mask)))
        return formula

    return put


def compute(
    class_name: str, config: Mapping[str, object], x: Values | Read, given: Given
) -> Computed:
    """What a layer makes of ``x``, values with their masks or bare arrays.

    Raises:
        UnknownNameError: for a layer that the table has not: a Lambda, or one of the user's own.
        ConfigError: for a mask where the layer takes none.
    """
    if class_name not in LAYERS:
        raise unknown_layer(class_name, given.place)
    rule, x = LAYERS[class_name], values_of(x)
    if rule.mask == USE:
        return rule.formula(config, x, given)
    if rule.mask == REFUSE:
        _check_unmasked(class_name, x, given)
    found = rule.formula(config, arrays_of(x), given)
    if rule.mask == PASS:
        values = x.values() if isinstance(x, Mapping) else [x]
        found = replace(
            found, mask=joined([found.mask, *(value.mask for value in values)])
        )
    return found


def compute_part(
    part: Mapping[str, object], x: Values | Read, given: Given
) -> Computed:
    """The same for a layer inside another, whose configuration has the class as its ``name``."""
    return compute(str(part["name"]), part, x, given)


def _check_unmasked(class_name: str, x: Read, given: Given) -> None:
    """Raise a ConfigError for a mask at any port.

    A context is read without its mask: its entries are no steps, so none of them is lost.
    """
    ports = x if isinstance(x, Mapping) else {"input": x}
    for port, value in ports.items():
        if value.mask is not None and not value.is_context:
            raise ConfigError.about(
                "layer",
                class_name,
                takes=f"an input without a mask at its port {port!r}",
                because="masked steps would count as data in what it returns",
                got="a mask" + _at(given.place),
                do="Put DropMask() in front of it if the mask may end there, or a recurrent layer "
                "that returns its last step.",
            )


def unknown_layer(class_name: str, place: str) -> UnknownNameError:
    """The error of a layer that the table does not have, at the node called ``place``."""
    return UnknownNameError.about(
        "layer",
        class_name,
        takes="the name of a layer with a formula",
        because="the reference runs no code but its own: no Lambda, no layer of yours",
        got=repr(class_name) + _at(place),
        do=_advice(class_name),
    )


def _at(place: str) -> str:
    """The node of a layer, for an error."""
    return f" at node {place!r}" if place else ""


def _advice(class_name: str) -> str:
    """What to do about a layer without a formula."""
    module, _, own_name = class_name.rpartition(".")
    if module:
        return (
            f"It is the class {own_name} of the module {module}, not the library's: run the network with the "
            "library, or build this node of the library's layers."
        )
    return (
        suggest(class_name, LAYERS)
        + " For a layer of your own, run the network with the library."
    )
