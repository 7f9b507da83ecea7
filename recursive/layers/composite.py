"""The base class of layers that are composed of layers: containers and wrappers.

A :class:`Composite` has no parameters, draws or policy for masks. It collects those of
its parts, which are named ``part.name``.
"""

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
    """Raise a DataError for a draw of an unknown part."""
    parts = list(parts)
    for name in draws:
        part, _ = split(name)
        if part not in parts:
            raise DataError.about(
                "draw",
                name,
                takes="the name of a part and of its draw, as part.keep",
                got="an unknown part",
                do=suggest(part, parts),
            )


def layers_of(layer: Layer) -> Iterator[Layer]:
    """``layer`` and every layer inside it, as often as each is used."""
    yield layer
    for child in layer.children.values():
        yield from layers_of(child)


def refuse_params(container: Layer, value: list[SharedVariable]) -> None:
    """Raise a ConfigError for parameters of a container itself.

    The empty list passes: the constructor of every layer assigns it.
    """
    if value:
        raise ConfigError.about(
            "container",
            type(container).__name__,
            takes="no parameters besides those of its layers",
            got=f"{len(value)}",
            do="Assign to the params of a layer.",
        )


class Composite(Layer):
    """A layer composed of layers, whose parameters and draws are ``part.name``."""

    masks = USE

    @property
    def children(self) -> dict[str, Layer]:
        """The layers by name, in their order."""
        raise NotImplementedError

    @property
    def has_own_call(self) -> bool:
        """True if a user's class overrides ``call``."""
        return not identity.is_of_library(identity.defining_class(type(self), "call"))

    def call(self, x: object, train: bool = False, **draws: TensorVariable) -> Tensors:
        """The outputs of the inner layers for ``x``; a user's class may extend this."""
        now = chain.bound(self)
        # Not bound: a user calls the formula itself, without masks.
        if now is None:
            return chain.tensors_of(self.compute(self.as_inputs(x), Call(train, draws)))
        inputs = self.as_inputs(x, chain.masks_by_name(now.inputs))
        return chain.tensors_of(self.compute(inputs, now.call))

    @property
    def limit(self) -> int | None:
        """The number of classes of the first input, if it holds integers."""
        return self.limit_at(self.ports[0]) if self.ports else None

    def limit_at(self, port: str) -> int | None:
        """The number of classes at ``port``; None for vectors."""
        return None

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the values of all weights, which are drawn first if possible."""
        self._build_if_possible()
        return super().get_weights()

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Give the weights new values; raises as ``Layer.set_weights``."""
        self._build_if_possible()
        super().set_weights(weights)

    def _build_if_possible(self) -> None:
        """Build if the declaration is enough."""
        if self.built:
            return
        # A part that needs data, or an incomplete declaration, has no weights yet.
        with suppress(RecursiveError):
            self.complete()

    @property
    def revision(self) -> tuple:
        """A value that changes when a layer is added or replaced, at any depth."""
        return tuple((layer, layer.revision) for layer in self.children.values())

    def get_output_mask_for(
        self, x: object, mask: TensorVariable | None = None
    ) -> TensorVariable | None:
        """The mask of the output: steps that are unmasked in all outputs."""
        outputs = self.apply(self.as_inputs(x, mask), Call())
        return joined(chain.masks_by_name(outputs).values())

    def output_masks(
        self, inputs: Values, train: bool
    ) -> dict[str, TensorVariable | None]:
        """The mask of each output, as the inner layers returned it."""
        now = chain.bound(self)
        # An overridden method has called super, which applied the inner layers.
        if now is not None and now.outputs:
            return chain.masks_by_name(now.outputs)
        return chain.masks_by_name(self.compute(inputs, Call(train)))

    @property
    def built(self) -> bool:
        """True once every layer is built."""
        return all(layer.built for layer in self.children.values())

    def ensure_built(self, input_shape: Shape | Mapping[str, Shape]) -> None:
        """Build every inner layer that is not built."""
        # Called even if all are built, because build checks the shape of the input.
        self.build(input_shape)

    @property
    def params(self) -> list[SharedVariable]:
        """The parameters of all layers, each once, without frozen ones."""
        found: dict[SharedVariable, None] = {}
        for layer in self.children.values():
            found |= dict.fromkeys(layer.params)
        return [*found, *self.own_params()]

    @params.setter
    def params(self, value: list[SharedVariable]) -> None:
        refuse_params(self, value)
        # The constructor assigns params before constraints: later it is the user.
        if "constraints" in vars(self):
            self.trainable = False

    def own_params(self) -> list[SharedVariable]:
        """No parameters: they belong to the inner layers."""
        return []

    @property
    def named_params(self) -> dict[str, SharedVariable]:
        """The parameters as ``layer.param``; shared ones are named after the first."""
        return self._unique("named_params")

    @property
    def named_weights(self) -> dict[str, SharedVariable]:
        """The weights as ``layer.weight``; shared ones are named after the first."""
        return self._unique("named_weights")

    def _unique(self, attribute: str) -> dict[str, SharedVariable]:
        first_names: dict[SharedVariable, str] = {}
        for part, layer in self.children.items():
            for name, variable in getattr(layer, attribute).items():
                first_names.setdefault(variable, f"{part}.{name}")
        return {name: variable for variable, name in first_names.items()}

    def get_params(self) -> tuple[list, list, list, list]:
        """Params, regularizers, constraints and updates, each layer asked once."""
        found = learned.collect(self)
        return found.params, found.regularizers, found.constraints, found.updates

    @property
    def draws(self) -> tuple[str, ...]:
        """The draws of all layers, as ``part.keep``."""
        return self._draw_names("draws")

    @property
    def steady_draws(self) -> tuple[str, ...]:
        """The draws that are constant over the time of a loop, as ``part.keep``."""
        return self._draw_names("steady_draws")

    @property
    def predicting_draws(self) -> tuple[str, ...]:
        """The draws that are made while predicting too, as ``part.chance``."""
        return self._draw_names("predicting_draws")

    def _draw_names(self, attribute: str) -> tuple[str, ...]:
        names = []
        for part, layer in self.children.items():
            for name in getattr(layer, attribute):
                names.append(f"{part}.{name}")
        return tuple(names)

    def check_draws(
        self, draws: Mapping[str, object], input_shape: Shape | Mapping[str, Shape]
    ) -> None:
        check_draws_of_parts(draws, self.children)

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        part, inner = split(name)
        return self.children[part].sample(inner, size)


learned.LIBRARY.add(Composite.get_params)
