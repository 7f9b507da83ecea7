"""The table of layers by class name, and how one is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from recursive.errors import ConfigError, UnknownNameError, nearest
from recursive.reference.arrays import Computed, Given, Values

Formula = Callable[[Mapping[str, object], Values, Given], Computed]
"""From a layer's configuration, its input and what else it is given."""


@dataclass(frozen=True)
class Rule:
    """A layer's formula, and what it does to a mask: ``refuse``, ``pass`` it on, or ``make`` one of its own."""

    formula: Formula
    mask: str


LAYERS: dict[str, Rule] = {}
"""Every layer by its class name."""


def layer(*names: str, mask: str = "refuse") -> Callable[[Formula], Formula]:
    """Put a formula into the table."""

    def put(formula: Formula) -> Formula:
        LAYERS.update(dict.fromkeys(names, Rule(formula, mask)))
        return formula

    return put


def compute(
    class_name: str, config: Mapping[str, object], x: Values, given: Given
) -> Computed:
    """What a layer makes of ``x``.

    Raises:
        UnknownNameError: for a layer that the table has not: a Lambda, or one of the user's own.
        ConfigError: for a mask where the layer takes none.
    """
    if class_name not in LAYERS:
        raise UnknownNameError.about(
            "layer",
            class_name,
            takes="the name of a layer with a formula",
            because="the reference runs no code but its own: no Lambda, no layer of yours",
            got=repr(class_name),
            do=nearest(class_name, LAYERS),
        )
    rule = LAYERS[class_name]
    if rule.mask == "refuse" and given.mask is not None:
        raise ConfigError.about(
            "layer",
            class_name,
            takes="an input without a mask",
            because="it does not look at one, so that masked steps would count as data",
            got="a mask from the layer before",
            do="Put a recurrent layer between them.",
        )
    found = rule.formula(config, x, given)
    return replace(found, mask=given.mask) if rule.mask == "pass" else found


def compute_part(part: Mapping[str, object], x: Values, given: Given) -> Computed:
    """The same for a layer inside another, whose configuration has the class as its ``name``."""
    return compute(str(part["name"]), part, x, given)
