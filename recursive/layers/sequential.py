"""Layers one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from pytensor.tensor.variable import TensorVariable

from recursive.backend import Argument
from recursive.errors import ConfigError, ShapeError
from recursive.layers import chain
from recursive.layers.checks import check_started
from recursive.layers.composite import Composite
from recursive.layers.graph import Graph
from recursive.layers.layer import Layer, Tensors
from recursive.locked import locked
from recursive.loop.call import Call, Value, Values
from recursive.spec.names import split
from recursive.spec.shapes import Shape


class Sequential(Composite):
    """Layers one after another, each given the output of the one before.

    Source: ``keras.layers.containers.Sequential`` of Keras 0.1.

    >>> from recursive.layers.core import Activation, Dense
    >>> chain = Sequential([Dense(4, 6), Activation("tanh"), Dense(2)])
    >>> chain.get_output_shape_for((None, 4))
    (None, 2)
    """

    def __init__(self, layers: Sequence[Layer] = ()):
        self.layers: list[Layer] = []
        super().__init__()
        for layer in layers:
            self.add(layer)

    def add(self, layer: Layer) -> None:
        """Put ``layer`` behind the last one.

        Raises:
            ConfigError: for something that is not a layer.
        """
        if not isinstance(layer, Layer):
            raise ConfigError.about(
                "Sequential",
                "add",
                takes="a layer",
                because="it calls it on a tensor",
                got=repr(layer),
                do="Say add(Dense(6)), for example; a class needs its brackets.",
            )
        check_started(self)
        check_started(layer)
        if self.layers:
            layer.link(self.layers[-1])
        else:
            layer.place_first(self)
        self.layers.append(layer)

    def __setstate__(self, state: dict[str, object]) -> None:
        """Link the layers again: copies of layers have no links."""
        vars(self).update(state)
        for layer in self.layers[:1]:
            layer.place_first(self)
        for before, layer in pairwise(self.layers):
            layer.link(before)

    @property
    def children(self) -> dict[str, Layer]:
        """The layers as ``layer_0``, ``layer_1``, ..."""
        return {f"layer_{index}": layer for index, layer in enumerate(self.layers)}

    @property
    def input_ndim(self) -> int | None:
        """The number of axes of the input: what the first layer says that does not take any and return as many."""
        telling = (
            layer
            for layer in self.layers
            if layer.input_ndim is not None or not layer.keeps_axes
        )
        return next((layer.input_ndim for layer in telling), None)

    def limit_at(self, port: str) -> int | None:
        """What the numbers that the first layer takes are below."""
        return self.layers[0].limit_at(port) if self.layers else None

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of the first layer's inputs."""
        return self.layers[0].ports if self.layers else ("input",)

    @property
    def input_dim(self) -> int | None:
        """The size of the last axis that the first layer takes."""
        return self.layers[0].input_dim if self.layers else None

    @property
    def rowwise(self) -> bool:
        """Whether every layer is."""
        return all(layer.rowwise for layer in self.layers)

    def arguments(self) -> list[Argument]:
        """What the first layer is given."""
        self._check_layers()
        first = self.layers[0]
        return (
            first.arguments()
            if first.input_ndim or len(first.ports) > 1 or isinstance(first, Graph)
            else super().arguments()
        )

    @property
    def declares_input(self) -> bool:
        """Whether one of the layers does."""
        return any(layer.declares_input for layer in self.layers)

    def _symbolic_input(self) -> Tensors:
        first = self.layers[0] if self.layers else self
        return (
            first.input
            if first is not self and hasattr(first, "input")
            else super()._symbolic_input()
        )

    @locked
    def build(self, input_shape: Shape | dict[str, Shape] | None = None) -> None:
        """Draw the parameters that depend on the input's shape; None is the shape that the first layer declares."""
        if input_shape is None:
            input_shape = chain.one_or_all(
                {argument.name: argument.shape for argument in self.arguments()}
            )
        self._check_layers()
        for index, layer in enumerate(self.layers):
            if index and isinstance(input_shape, dict) and not isinstance(layer, Graph):
                raise ConfigError.about(
                    "Sequential",
                    f"layer_{index}",
                    takes="the one output of the layer before",
                    because=f"{type(layer).__name__} is a function of one tensor",
                    got=f"{len(input_shape)} outputs ({', '.join(input_shape)})",
                    do="Join the layers in a Graph, or leave one output.",
                )
            if index and not isinstance(input_shape, dict):
                _check_fits(index, layer, input_shape)
            layer.ensure_built(input_shape)
            input_shape = layer.get_output_shape_for(input_shape)

    def complete(self) -> None:
        self.build()
        for layer in self.layers:
            if not layer.built:
                layer.complete()

    def get_output_shape_for(self, input_shape: Shape | dict[str, Shape]) -> Shape:
        for layer in self.layers:
            input_shape = layer.get_output_shape_for(input_shape)
        return input_shape

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs of the last layer: each layer is applied to what the one before it returned."""
        self._check_layers()
        self.check_draws(call.draws, {})
        values = dict(inputs)
        for name, layer in self.children.items():
            values = layer.apply(chain.handed_on(values, layer), call.inside(name))
        return values

    def as_inputs(
        self,
        x: object,
        mask: TensorVariable | Mapping[str, TensorVariable] | None = None,
    ) -> dict[str, Value]:
        """What the first layer makes of ``x``."""
        self._check_layers()
        return self.layers[0].as_inputs(x, mask)

    def supports_masked_input(self) -> bool:
        """True if the first layer does."""
        self._check_layers()
        return self.layers[0].supports_masked_input()

    def draw_shape(self, name: str, input_shape: Shape) -> Shape:
        label, inner = split(name)
        before = int(label.removeprefix("layer_"))
        for layer in self.layers[:before]:
            input_shape = layer.get_output_shape_for(input_shape)
        return self.layers[before].draw_shape(inner, input_shape)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of what comes out of the last layer."""
        self._check_layers()
        return self.layers[-1].output_names

    def _check_layers(self) -> None:
        if not self.layers:
            raise ConfigError.about(
                "Sequential",
                "layers",
                takes="at least one layer",
                because="it has no formula",
                got="none",
                do="Say add(Dense(4, 6)), for example.",
            )


def _check_fits(index: int, layer: Layer, shape: Shape) -> None:
    """Raise a ShapeError unless ``layer`` takes what the layer before it gives."""
    kind = type(layer).__name__
    if layer.input_ndim not in (None, len(shape)):
        raise ShapeError.about(
            "layer",
            f"layer_{index}",
            takes=f"{layer.input_ndim} axes",
            because=f"it is a {kind}",
            got=f"{len(shape)} axes from layer_{index - 1}",
            do="Say return_sequences=True in a recurrent layer before it, or reshape.",
        )
    if None not in (layer.input_dim, shape[-1]) and layer.input_dim != shape[-1]:
        raise ShapeError.about(
            "layer",
            f"layer_{index}",
            takes=f"{layer.input_dim} values a row",
            because=f"its {kind} was made for them",
            got=f"{shape[-1]} from layer_{index - 1}",
            do="Mend its input_dim, or leave it out and it will be found.",
        )
