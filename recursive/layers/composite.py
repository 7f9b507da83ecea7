"""What containers have in common: values and parameters under the names of their parts, as ``part.name``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive.errors import ConfigError, DataError, RecursiveError, suggest
from recursive.layers import chain, identity, learned
from recursive.layers.chain import Tensors
from recursive.layers.layer import Layer
from recursive.layers.masks import USE
from recursive.loop.call import Call, Values, joined
from recursive.spec.names import split
from recursive.spec.shapes import Shape


def check_draws_of_parts(draws: Mapping[str, object], parts: Iterable[str]) -> None:
    """Raise a DataError for a draw of a part that there is not."""
    parts = list(parts)
    for name in draws:
        if split(name)[0] not in parts:
            raise DataError.about(
                "draw",
                name,
                takes="the name of a part and of its draw, as part.keep",
                because="it takes its place",
                got="an unknown part",
                do=suggest(split(name)[0], parts),
            )


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
    """``layer``, and every layer inside it, as often as it stands there."""
    yield layer
    for child in layer.children.values():
        yield from layers_of(child)


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


class Composite(Layer):
    """A layer made of other layers: its parameters and draws are theirs, as ``part.name``."""

    masks = USE

    @property
    def children(self) -> dict[str, Layer]:
        """The layers by name, in their order."""
        raise NotImplementedError

    @property
    def has_own_call(self) -> bool:
        """True where a class of the user's own overrides ``call``."""
        defined_by = next(cls for cls in type(self).__mro__ if "call" in vars(cls))
        return not identity.is_of_library(defined_by)

    def call(self, x: object, train: bool = False, **draws: TensorVariable) -> Tensors:
        """What the layers make of ``x``. A class of the user's own may change it, and call this one."""
        now = chain.bound(self)
        if now is None:
            return chain.tensors_of(self.compute(self.as_inputs(x), Call(train, draws)))
        masks = {name: value.mask for name, value in now.inputs.items()}
        return chain.tensors_of(self.compute(self.as_inputs(x, masks), now.call))

    @property
    def limit(self) -> int | None:
        """What the numbers of the first input are below."""
        return self.limit_at(self.ports[0]) if self.ports else None

    def limit_at(self, port: str) -> int | None:
        """What the numbers at ``port`` are below; None for a container of vectors."""
        return None

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the values of all weights, once those that can be drawn are there."""
        self._draw_what_is_known()
        return super().get_weights()

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Give the weights new values, once those that can be drawn are there; raises as ``Layer.set_weights``."""
        self._draw_what_is_known()
        super().set_weights(weights)

    def _draw_what_is_known(self) -> None:
        if not self.built:
            with suppress(
                RecursiveError
            ):  # what waits for data, or is not complete, has no weights yet
                self.complete()

    @property
    def revision(self) -> tuple:
        """Another one whenever a layer is added or replaced, here or inside."""
        return tuple((layer, layer.revision) for layer in self.children.values())

    def get_output_mask_for(
        self, x: object, mask: TensorVariable | None = None
    ) -> TensorVariable | None:
        """The mask of the output for input ``x`` and its mask: data where all outputs are."""
        outputs = self.apply(self.as_inputs(x, mask), Call())
        return joined(value.mask for value in outputs.values())

    def output_masks(
        self, inputs: Values, train: bool
    ) -> dict[str, TensorVariable | None]:
        """The mask of each output: that which the layers made of the inputs, if they were asked for the output."""
        now = chain.bound(self)
        if now is not None and now.outputs:
            return {name: value.mask for name, value in now.outputs.items()}
        outputs = self.compute(inputs, Call(train))
        return {name: value.mask for name, value in outputs.items()}

    @property
    def built(self) -> bool:
        """True once every layer has its parameters."""
        return all(layer.built for layer in self.children.values())

    def ensure_built(self, input_shape: Shape | Mapping[str, Shape]) -> None:
        """Build: each layer does what it has left to do."""
        self.build(input_shape)

    @property
    def params(self) -> list[SharedVariable]:
        """The parameters of all layers, each once, but for those that ``params = []`` has frozen."""
        found: dict[SharedVariable, None] = {}
        for layer in self.children.values():
            found |= dict.fromkeys(layer.params)
        return [*found, *self.own_params()]

    @params.setter
    def params(self, value: list[SharedVariable]) -> None:
        refuse_params(self, value)
        if "constraints" in vars(self):  # assigned by the user, not by the constructor
            self.trainable = False

    def own_params(self) -> list[SharedVariable]:
        """None: they belong to the layers."""
        return []

    @property
    def named_params(self) -> dict[str, SharedVariable]:
        """The parameters by the names of the layer and in it."""
        return unique_params(self.children)

    @property
    def named_weights(self) -> dict[str, SharedVariable]:
        """The weights likewise."""
        return unique_weights(self.children)

    def get_params(self) -> tuple[list, list, list, list]:
        """Params, regularizers, constraints and updates of all layers, each layer asked once."""
        found = learned.collect(self)
        return found.params, found.regularizers, found.constraints, found.updates

    @property
    def draws(self) -> tuple[str, ...]:
        """The draws of all layers, as ``part.keep``, ..."""
        return tuple(
            f"{part}.{name}"
            for part, layer in self.children.items()
            for name in layer.draws
        )

    @property
    def steady_draws(self) -> tuple[str, ...]:
        """Those of the draws that are the same at every step of a loop."""
        return tuple(
            f"{part}.{name}"
            for part, layer in self.children.items()
            for name in layer.steady_draws
        )

    def check_draws(
        self, draws: Mapping[str, object], input_shape: Shape | Mapping[str, Shape]
    ) -> None:
        check_draws_of_parts(draws, self.children)

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        part, inner = split(name)
        return self.children[part].sample(inner, size)


learned.LIBRARY.add(Composite.get_params)
