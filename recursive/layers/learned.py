"""What training changes: the parameters of all layers inside a container, each once, but for those that are frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pytensor.compile.sharedvalue import SharedVariable

from recursive.activations import linear
from recursive.layers.layer import Layer


@dataclass(frozen=True)
class Frozen:
    """What is not learned of one layer: all of it, or the parameters that were taken out of its ``params``."""

    whole: bool
    params: frozenset[SharedVariable] = frozenset()

    def is_learned(self, param: SharedVariable) -> bool:
        """True unless the layer is frozen, or this one of its parameters."""
        return not self.whole and param not in self.params


@dataclass
class Collected:
    """What the layers of a container give training."""

    params: list[SharedVariable] = field(default_factory=list)
    regularizers: list[Callable] = field(default_factory=list)
    constraints: list[Callable] = field(default_factory=list)
    updates: list[tuple] = field(default_factory=list)

    def add(
        self, params: list, regularizers: list, constraints: list, updates: list
    ) -> None:
        """Add what one layer gives; a parameter of two layers counts once, with the first constraint that it has."""
        for param, rule in zip(params, constraints, strict=True):
            places = [
                place for place, known in enumerate(self.params) if known is param
            ]
            if not places:
                self.params.append(param)
                self.constraints.append(rule)
            elif self.constraints[places[0]] is linear:
                self.constraints[places[0]] = rule
        self.regularizers += [
            rule for rule in regularizers if rule not in self.regularizers
        ]
        self.updates += updates


def frozen_now(container: Layer) -> dict[Layer, Frozen]:
    """For every layer inside, and the container: what of it is frozen now.

    A layer that stands in several places is learned if one of them is not frozen.
    """
    free = _reached(container, {})
    return {
        layer: Frozen(layer not in free, frozenset(layer.frozen_params))
        for layer in inside(container)
    }


def marks(layers: Iterable[Layer]) -> list[tuple[bool, int]]:
    """What changes when a layer is frozen or freed; the parameters that a layer has yet to draw change nothing."""
    return [(layer.trainable, len(layer.frozen_params)) for layer in layers]


def _reached(layer: Layer, seen: dict[Layer, None]) -> dict[Layer, None]:
    """``layer`` and all layers inside that are reached without passing a frozen one."""
    is_frozen = not layer.trainable or layer.is_frozen_as_in_2015
    if not is_frozen and layer not in seen:
        seen[layer] = None
        for child in layer.children.values():
            _reached(child, seen)
    return seen


def inside(layer: Layer) -> list[Layer]:
    """``layer`` and every layer inside it, each once, in the order of their first places."""
    return list(dict.fromkeys(_walk(layer)))


def _walk(layer: Layer) -> Iterator[Layer]:
    yield layer
    for child in layer.children.values():
        yield from _walk(child)


def collect(
    container: Layer, frozen: Mapping[Layer, Frozen] | None = None
) -> Collected:
    """What training needs of every layer, each asked once.

    Args:
        container: a layer, or a container of layers.
        frozen: what is not learned, by layer; None looks at what is frozen now.
    """
    frozen = frozen_now(container) if frozen is None else frozen
    found = Collected()
    _collect(container, frozen, found, set())
    return found


def _collect(
    layer: Layer, frozen: Mapping[Layer, Frozen], found: Collected, seen: set[Layer]
) -> None:
    if layer in seen:
        return
    seen.add(layer)
    speaks_for_itself = type(layer).get_params not in LIBRARY
    if not speaks_for_itself:
        # The parameters of a container's layers come before its own, as learned initial states.
        for child in layer.children.values():
            _collect(child, frozen, found, seen)
        learned = [
            param for param in layer.own_params() if frozen[layer].is_learned(param)
        ]
        found.add(*layer.rules_for(learned))
        return
    params, regularizers, constraints, updates = layer.get_params()
    kept = [
        place for place, param in enumerate(params) if frozen[layer].is_learned(param)
    ]
    rules = [
        constraints[place] if place < len(constraints) else linear for place in kept
    ]
    found.add([params[place] for place in kept], regularizers, rules, updates)


LIBRARY: set[Callable] = {Layer.get_params}
"""The ``get_params`` of this library's classes; any other is a user's own, which says what its layer gives."""
