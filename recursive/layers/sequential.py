"""A chain of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from pytensor.tensor.variable import TensorVariable

from recursive.backend import Argument
from recursive.errors import ConfigError, ShapeError
from recursive.layers import chain
from recursive.layers.cell_chain import CellChain, is_cell
from recursive.layers.checks import check_started
from recursive.layers.composite import Composite
from recursive.layers.graph import Graph
from recursive.layers.layer import Layer, Tensors
from recursive.locked import locked
from recursive.loop.call import Call, Value, Values
from recursive.spec.names import split
from recursive.spec.shapes import Shape


class Sequential(Composite):
    """A chain of layers: each reads the output of the one before.

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
        """Append ``layer``.

        Raises:
            ConfigError: if it is not a layer.
        """
        if not isinstance(layer, Layer):
            raise ConfigError.about(
                "Sequential",
                "add",
                takes="a layer",
                got=repr(layer),
                do="Say add(Dense(6)), for example; a class must be called.",
            )
        check_started(self)
        check_started(layer)
        # Links serve get_output() as of 2015: a layer asks the one before for its
        # output.
        if self.layers:
            layer.link(self.layers[-1])
        else:
            layer.place_first(self)
        self.layers.append(layer)

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore the links, which copies of layers do not have."""
        vars(self).update(state)
        if self.layers:
            self.layers[0].place_first(self)
        for before, layer in pairwise(self.layers):
            layer.link(before)

    def as_step(self) -> Layer:
        """In a loop, a chain that holds cells has their states as ports and outputs."""
        if any(is_cell(layer.as_step()) for layer in self.layers):
            return CellChain(self)
        return self

    @property
    def children(self) -> dict[str, Layer]:
        """The layers as ``layer_0``, ``layer_1``, ..."""
        return {f"layer_{index}": layer for index, layer in enumerate(self.layers)}

    @property
    def input_ndim(self) -> int | None:
        """The number of axes of the input; None if the layers take any."""
        for layer in self.layers:
            # Layers such as Activation take any number of axes and return as many, so
            # the input has those of the first layer that is not like that.
            if layer.input_ndim is not None or not layer.keeps_axes:
                return layer.input_ndim
        return None

    def limit_at(self, port: str) -> int | None:
        """The bound below which the integers that the first layer reads must lie."""
        return self.layers[0].limit_at(port) if self.layers else None

    def mask_value_at(self, port: str) -> float | None:
        """The value that the first layer masks."""
        return self.layers[0].mask_value_at(port) if self.layers else None

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of the first layer's inputs."""
        return self.layers[0].ports if self.layers else ("input",)

    @property
    def optional_ports(self) -> tuple[str, ...]:
        """The inputs of the first layer that may be left out."""
        return self.layers[0].optional_ports if self.layers else ()

    @property
    def input_dim(self) -> int | None:
        """The size of the last axis of the first layer's input."""
        return self.layers[0].input_dim if self.layers else None

    @property
    def rowwise(self) -> bool:
        """True if every layer is rowwise."""
        return all(layer.rowwise for layer in self.layers)

    def arguments(self) -> list[Argument]:
        """The arguments of the first layer."""
        self._check_layers()
        first = self.layers[0]
        if first.input_ndim or len(first.ports) > 1 or isinstance(first, Graph):
            return first.arguments()
        # The first layer takes any number of axes; a later one may fix it.
        return super().arguments()

    @property
    def declares_input(self) -> bool:
        """True if one of the layers knows its input."""
        return any(layer.declares_input for layer in self.layers)

    def _symbolic_input(self) -> Tensors:
        # A layer that takes any shape has no `input`.
        if self.layers and hasattr(self.layers[0], "input"):
            return self.layers[0].input
        return super()._symbolic_input()

    @locked
    def build(self, input_shape: Shape | dict[str, Shape] | None = None) -> None:
        """Draw the parameters that depend on the shape of the input.

        Args:
            input_shape: batch first; None is the shape that the first layer declares.

        Raises:
            ConfigError: without layers, or if a layer of one input reads several
                outputs.
            ShapeError: if a layer takes other axes or another dim than it reads.
        """
        if input_shape is None:
            shapes = {item.name: item.shape for item in self.arguments()}
            input_shape = chain.one_or_all(shapes)
        self._check_layers()
        for index, layer in enumerate(self.layers):
            if index:
                _check_reads(index, layer, input_shape)
            layer.ensure_built(input_shape)
            input_shape = layer.get_output_shape_for(input_shape)

    def complete(self) -> None:
        self.build()
        for layer in self.layers:
            if not layer.built:
                layer.complete()

    def get_output_shape_for(self, input_shape: Shape | dict[str, Shape]) -> Shape:
        for index, layer in enumerate(self.layers):
            # A chain whose layers are all built is not built again as a node.
            if index:
                _check_reads(index, layer, input_shape)
            input_shape = layer.get_output_shape_for(input_shape)
        return input_shape

    def get_target_shape_for(self, input_shape: Shape | dict[str, Shape]) -> Shape:
        for layer in self.layers:
            input_shape = layer.get_target_shape_for(input_shape)
        return input_shape

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs of the last layer."""
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
        """``x`` as inputs of the first layer."""
        self._check_layers()
        return self.layers[0].as_inputs(x, mask)

    def supports_masked_input(self) -> bool:
        """True if the first layer takes a mask."""
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
        """The names of the last layer's outputs."""
        self._check_layers()
        return self.layers[-1].output_names

    def _check_layers(self) -> None:
        if not self.layers:
            raise ConfigError.about(
                "Sequential",
                "layers",
                takes="at least one layer",
                got="none",
                do="Say add(Dense(4, 6)), for example.",
            )


def _check_reads(index: int, layer: Layer, shape: Shape | dict[str, Shape]) -> None:
    """Raise an error unless ``layer`` takes ``shape``, that of the layer before."""
    kind = type(layer).__name__
    if isinstance(shape, dict):
        if isinstance(layer, Graph):
            return  # it reads the outputs by name, and checks them itself
        raise ConfigError.about(
            "Sequential",
            f"layer_{index}",
            takes="one output of the layer before",
            because=f"a {kind} has one input",
            got=f"{len(shape)} outputs ({', '.join(shape)})",
            do="Connect the layers in a Graph, or declare one output.",
        )
    if layer.input_ndim not in (None, len(shape)):
        raise ShapeError.about(
            "layer",
            f"layer_{index}",
            takes=f"{layer.input_ndim} axes",
            because=f"it is a {kind}",
            got=f"{len(shape)} axes from layer_{index - 1}",
            do="Set return_sequences=True in a recurrent layer before it, or reshape.",
        )
    if None not in (layer.input_dim, shape[-1]) and layer.input_dim != shape[-1]:
        raise ShapeError.about(
            "layer",
            f"layer_{index}",
            takes=f"dim {layer.input_dim}",
            because=f"its {kind} was created for it",
            got=f"{shape[-1]} from layer_{index - 1}",
            do="Correct its input_dim, or leave it out to have it inferred.",
        )
