"""Collects what training needs from all layers of a container, each layer once.

A layer may stand in several places of a container, and two layers may share a
parameter. Each parameter is learned once. A layer is frozen if it is not trainable
itself or is inside a layer that is not, unless another place of it is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pytensor.compile.sharedvalue import SharedVariable

from recursive.activations import linear
from recursive.layers.layer import Layer


@dataclass(frozen=True)
class Frozen:
    """The frozen part of one layer: all of it if ``whole``, else some parameters."""

    whole: bool
    params: frozenset[SharedVariable] = frozenset()

    def is_learned(self, param: SharedVariable) -> bool:
        """True unless the layer or this parameter is frozen."""
        return not self.whole and param not in self.params


@dataclass
class Collected:
    """The parameters of all layers, with their penalties, constraints and updates."""

    params: list[SharedVariable] = field(default_factory=list)
    regularizers: list[Callable] = field(default_factory=list)
    constraints: list[Callable] = field(default_factory=list)
    updates: list[tuple] = field(default_factory=list)

    def add(
        self, params: list, regularizers: list, constraints: list, updates: list
    ) -> None:
        """Add the results of ``get_params`` of one layer.

        A parameter of two layers is added once, with the first constraint that it has.
        """
        for param, constraint in zip(params, constraints, strict=True):
            if param not in self.params:
                self.params.append(param)
                self.constraints.append(constraint)
                continue
            # Updating a shared parameter twice would double its step.
            place = self.params.index(param)
            if self.constraints[place] is linear:
                self.constraints[place] = constraint
        # A penalty that several layers report is added to the loss once.
        new = [rule for rule in regularizers if rule not in self.regularizers]
        self.regularizers += new
        self.updates += updates


def frozen_now(container: Layer) -> dict[Layer, Frozen]:
    """The frozen part of the container and of every inner layer, as of now."""
    free = _reached(container, {})
    return {
        layer: Frozen(layer not in free, frozenset(layer._frozen_params))
        for layer in inside(container)
    }


def marks(layers: Iterable[Layer]) -> list[tuple[bool, int]]:
    """A list that changes when a layer is frozen or freed, but not when it is built."""
    return [(layer.trainable, len(layer._frozen_params)) for layer in layers]


def _reached(layer: Layer, seen: dict[Layer, None]) -> dict[Layer, None]:
    """``layer`` and the inner layers that are reached without passing a frozen one."""
    # A frozen layer freezes the layers inside it.
    is_frozen = not layer.trainable or layer.is_frozen_as_in_2015
    if not is_frozen and layer not in seen:
        seen[layer] = None
        for child in layer.children.values():
            _reached(child, seen)
    return seen


def inside(layer: Layer) -> list[Layer]:
    """``layer`` and every inner layer, each once, in the order of first places."""
    return list(dict.fromkeys(_walk(layer)))


def _walk(layer: Layer) -> Iterator[Layer]:
    yield layer
    for child in layer.children.values():
        yield from _walk(child)


def collect(
    container: Layer, frozen: Mapping[Layer, Frozen] | None = None
) -> Collected:
    """Collect what training needs from every layer.

    Args:
        container: a layer, or a container of layers.
        frozen: the frozen part of each layer; None for what is frozen now.
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
    overrides_get_params = type(layer).get_params not in LIBRARY
    if overrides_get_params:
        _collect_overridden(layer, frozen[layer], found)
        return
    # Inner layers come before the container's own parameters, such as initial states.
    for child in layer.children.values():
        _collect(child, frozen, found, seen)
    learned = filter(frozen[layer].is_learned, layer.own_params())
    found.add(*layer.rules_for(list(learned)))


def _collect_overridden(layer: Layer, frozen: Frozen, found: Collected) -> None:
    """Add the results of a user's ``get_params``, which speaks for inner layers too."""
    params, regularizers, constraints, updates = layer.get_params()
    learned, rules = [], []
    for place, param in enumerate(params):
        if frozen.is_learned(param):
            learned.append(param)
            # As in 2015, there may be fewer constraints than parameters.
            rules.append(constraints[place] if place < len(constraints) else linear)
    found.add(learned, regularizers, rules, updates)


LIBRARY: set[Callable] = {Layer.get_params}
"""The ``get_params`` of this library's classes; any other is defined by a user."""
