"""What containers have in common: values and parameters under the names of their parts, as ``part.name``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive.activations import linear
from recursive.errors import ConfigError, DataError, nearest
from recursive.layers.layer import Layer
from recursive.spec.names import split
from recursive.spec.shapes import Shape


def one_or_all(values: dict[str, object]) -> object:
    """The value, where there is one; else all of them by name."""
    return next(iter(values.values())) if len(values) == 1 else values


def inside(
    values: Mapping[str, TensorVariable], part: str
) -> dict[str, TensorVariable]:
    """The values that are called ``part.<name>``, by ``name``."""
    return {
        inner: value
        for outer, inner, value in (
            (*split(name), value) for name, value in values.items()
        )
        if outer == part
    }


def shared_out(
    draws: Mapping[str, TensorVariable], parts: Iterable[str]
) -> dict[str, dict[str, TensorVariable]]:
    """The draws that are given to each of ``parts``, by its name.

    Raises:
        DataError: for a draw of a part that there is not.
    """
    parts = list(parts)
    for name in draws:
        if split(name)[0] not in parts:
            raise DataError.about(
                "draw",
                name,
                takes="the name of a part and of its draw, as part.keep",
                because="it takes its place",
                got="an unknown part",
                do=nearest(split(name)[0], parts),
            )
    return {part: inside(draws, part) for part in parts}


def unique_params(layers: Mapping[str, Layer]) -> dict[str, SharedVariable]:
    """Parameters as ``layer.param``; one that several layers hold is named after the first."""
    return _unique(
        {
            f"{name}.{inner}": param
            for name, layer in layers.items()
            for inner, param in layer.named_params.items()
        }
    )


def unique_weights(layers: Mapping[str, Layer]) -> dict[str, SharedVariable]:
    """Weights, likewise: parameters, and what layers keep beside them."""
    return _unique(
        {
            f"{name}.{inner}": weight
            for name, layer in layers.items()
            for inner, weight in layer.named_weights.items()
        }
    )


def _unique(named: Mapping[str, SharedVariable]) -> dict[str, SharedVariable]:
    first = {id(variable): name for name, variable in reversed(named.items())}
    return {
        name: variable
        for name, variable in named.items()
        if first[id(variable)] == name
    }


def layers_of(layer: Layer) -> Iterator[Layer]:
    """``layer``, and every layer inside it."""
    yield layer
    parts = layer.parts if isinstance(layer, Composite) else getattr(layer, "nodes", {})
    for part in parts.values():
        yield from layers_of(part)


def refuse_params(container: Layer, value: list[SharedVariable]) -> None:
    """A container's parameters are its layers'; the empty list that every layer starts with is let pass."""
    if value:
        raise ConfigError.about(
            "container",
            type(container).__name__,
            takes="no parameters of its own",
            because="they belong to its layers",
            got=f"{len(value)}",
            do="Assign to the params of a layer.",
        )


def collect_params(
    params: list[SharedVariable], layers: Iterable[Layer]
) -> tuple[list, list, list, list]:
    """``params``, and the regularizers, constraints (one a parameter) and updates that ``layers`` have for them."""
    regularizers, updates, constrained = [], [], {}
    for layer in {id(layer): layer for layer in layers}.values():
        own_params, own_regularizers, own_constraints, own_updates = layer.get_params()
        regularizers += own_regularizers
        updates += own_updates
        constrained |= {
            id(param): rule
            for param, rule in zip(own_params, own_constraints, strict=True)
        }
    return (
        params,
        regularizers,
        [constrained.get(id(param), linear) for param in params],
        updates,
    )


class Composite(Layer):
    """A layer made of other layers: its parameters and draws are theirs, as ``part.name``."""

    @property
    def parts(self) -> dict[str, Layer]:
        """The layers by name, in their order."""
        raise NotImplementedError

    @property
    def revision(self) -> tuple:
        """Another one whenever a layer is added or replaced, here or inside."""
        return tuple((layer, layer.revision) for layer in self.parts.values())

    @property
    def built(self) -> bool:
        """Whether every layer has its parameters."""
        return all(layer.built for layer in self.parts.values())

    def ensure_built(self, input_shape: Shape | Mapping[str, Shape]) -> None:
        """Build: each layer does what it has left to do."""
        self.build(input_shape)

    @property
    def params(self) -> list[SharedVariable]:
        """The parameters of all layers, each once."""
        return list(self.named_params.values())

    @params.setter
    def params(self, value: list[SharedVariable]) -> None:
        refuse_params(self, value)

    @property
    def named_params(self) -> dict[str, SharedVariable]:
        """The parameters by the names of the layer and in it."""
        return unique_params(self.parts)

    @property
    def named_weights(self) -> dict[str, SharedVariable]:
        """The weights likewise."""
        return unique_weights(self.parts)

    def get_params(self) -> tuple[list, list, list, list]:
        """Params, regularizers, constraints and updates of all layers."""
        return collect_params(self.params, self.parts.values())

    @property
    def draws(self) -> tuple[str, ...]:
        """The draws of all layers, as ``part.keep``, ..."""
        return tuple(
            f"{part}.{name}"
            for part, layer in self.parts.items()
            for name in layer.draws
        )

    @property
    def steady_draws(self) -> tuple[str, ...]:
        """Those of the draws that are the same at every step of a loop."""
        return tuple(
            f"{part}.{name}"
            for part, layer in self.parts.items()
            for name in layer.steady_draws
        )

    def check_draws(
        self, draws: Mapping[str, object], input_shape: Shape | Mapping[str, Shape]
    ) -> None:
        shared_out(draws, self.parts)

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        part, inner = split(name)
        return self.parts[part].sample(inner, size)
