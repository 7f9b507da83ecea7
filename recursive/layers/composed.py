"""Layers made of layers side by side: branches that are merged, an encoder with its decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from pytensor.tensor.variable import TensorVariable

from recursive.backend import Argument
from recursive.errors import ConfigError, MergeError, ShapeError, suggest
from recursive.layers import chain
from recursive.layers.checks import check_started
from recursive.layers.composite import Composite
from recursive.layers.layer import Layer
from recursive.loop.call import Call, Value, Values, joined_with
from recursive.loop.merges import MERGES, merge
from recursive.spec.merging import MODES
from recursive.spec.names import split
from recursive.spec.shapes import Shape


class Merge(Composite):
    """Several branches, each with inputs of its own, made one by a merge mode: the first layer of a chain.

    Args:
        layers: the branches, two or more: layers or containers.
        mode: sum, concat, mul, ave, max or dot.

    The inputs are ``input_0``, ``input_1``, ..., in the order of the branches; a branch with several inputs puts its
    number in front of their names.

    Raises:
        ConfigError: for fewer than two branches, or something that is not a layer.
        MergeError: for an unknown mode.

    Source: ``keras.layers.core.Merge`` of Keras 0.1.

    >>> from recursive.layers.core import Dense
    >>> joined = Merge([Dense(4, 6), Dense(3, 6)], mode="sum")
    >>> joined.ports
    ('input_0', 'input_1')
    >>> joined([np.ones((2, 4)), np.ones((2, 3))]).type.shape
    (2, 6)
    """

    def __init__(
        self, layers: Sequence[Layer], mode: str = "sum", name: str | None = None
    ):
        super().__init__(name)
        if len(layers) < 2 or not all(isinstance(layer, Layer) for layer in layers):
            raise ConfigError.about(
                "layer",
                "Merge",
                takes="two layers or more",
                because="it merges what they return",
                got=repr(layers),
                do="Say Merge([left, right], mode='concat'), for example.",
            )
        if mode not in MERGES:
            raise MergeError.about(
                "layer",
                "Merge",
                takes="a known mode",
                because="it is looked up by name",
                got=repr(mode),
                do=suggest(str(mode), MERGES),
            )
        if MODES[mode].binary and len(layers) != 2:
            raise MergeError.about(
                "layer",
                "Merge",
                takes=f"two branches for mode {mode!r}",
                because=f"it is {MODES[mode].meaning}",
                got=str(len(layers)),
                do="Give it two, or merge some of them in a Merge before it.",
            )
        for layer in layers:
            check_started(layer)
        self.layers, self.mode = list(layers), mode

    @property
    def children(self) -> dict[str, Layer]:
        """The branches as ``layer_0``, ``layer_1``, ..."""
        return {f"layer_{index}": layer for index, layer in enumerate(self.layers)}

    @property
    def revision(self) -> tuple:
        """Another one whenever a branch changes."""
        return (self.mode, *super().revision)

    def arguments(self) -> list[Argument]:
        """The inputs of all branches, in their order."""
        return [
            replace(argument, name=name)
            for index, layer in enumerate(self.layers)
            for name, argument in _named(index, layer.arguments()).items()
        ]

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of the inputs of all branches, in their order."""
        return tuple(argument.name for argument in self.arguments())

    def _split(self, values: object) -> list[object]:
        """What is given for all inputs, by name or in their order, as what each branch is given."""
        names = self.ports
        by_name = (
            values
            if isinstance(values, Mapping)
            else dict(zip(names, values, strict=False))
        )
        if set(by_name) != set(names) or len(values) != len(names):
            raise ConfigError.about(
                "layer",
                "Merge",
                takes=f"{len(names)} inputs ({', '.join(names)})",
                because="each branch reads its own",
                got=f"{len(values)}",
                do="Pass a dict by name, or a list in that order.",
            )
        return [
            chain.one_or_all(
                {
                    argument.name: by_name[name]
                    for name, argument in _named(index, layer.arguments()).items()
                }
            )
            for index, layer in enumerate(self.layers)
        ]

    def build(
        self, input_shape: Mapping[str, Shape] | Sequence[Shape] | None = None
    ) -> None:
        shapes = (
            {item.name: item.shape for item in self.arguments()}
            if input_shape is None
            else input_shape
        )
        for layer, shape in zip(self.layers, self._split(shapes), strict=True):
            layer.ensure_built(shape)

    def complete(self) -> None:
        for layer in self.layers:
            layer.complete()

    def get_output_shape_for(
        self, input_shape: Mapping[str, Shape] | Sequence[Shape]
    ) -> Shape:
        shapes = [
            layer.get_output_shape_for(shape)
            for layer, shape in zip(self.layers, self._split(input_shape), strict=True)
        ]
        mode = MODES[self.mode]
        # The rows are those of the batch, which no branch knows.
        sizes = {mode.shared_axes(shape)[1:] for shape in shapes}
        if len(sizes) > 1:
            raise ShapeError.about(
                "layer",
                "Merge",
                takes="branches of one shape",
                because=f"mode is {self.mode!r}",
                got=", ".join(map(str, shapes)),
                do="Mend their dims, or say mode='concat'.",
            )
        return mode.merged_shape(shapes)

    def as_inputs(
        self,
        x: object,
        mask: TensorVariable | Mapping[str, TensorVariable] | None = None,
    ) -> dict[str, Value]:
        """A dict by name, or a list in the order of the inputs, as values."""
        self._split(x)
        return super().as_inputs(x, mask)

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The merged outputs of all branches, data where all of them are."""
        self.check_draws(call.draws, {})
        outputs = []
        for (name, layer), given in zip(
            self.children.items(), self._split(inputs), strict=True
        ):
            values = given if isinstance(given, Mapping) else {layer.ports[0]: given}
            [output] = layer.apply(values, call.inside(name)).values()
            outputs.append(output)
        merged = merge([value.tensor for value in outputs], self.mode)
        return {"output": joined_with(merged, outputs)}

    def draw_shape(self, name: str, input_shape: Mapping[str, Shape]) -> Shape:
        part, inner = split(name)
        shapes = dict(zip(self.children, self._split(input_shape), strict=True))
        return self.children[part].draw_shape(inner, shapes[part])

    def _symbolic_input(self) -> list[TensorVariable]:
        inputs = [layer.input for layer in self.layers]
        return [
            one
            for value in inputs
            for one in (
                value.values()
                if isinstance(value, Mapping)
                else value
                if isinstance(value, list)
                else [value]
            )
        ]


def _named(index: int, arguments: Sequence[Argument]) -> dict[str, Argument]:
    """The inputs of branch ``index`` by the names that they have outside."""
    if len(arguments) == 1:
        return {f"input_{index}": arguments[0]}
    return {f"input_{index}_{argument.name}": argument for argument in arguments}


class AutoEncoder(Composite):
    """An encoder and the decoder that makes the input again from what it returns.

    Args:
        encoder: a layer or container.
        decoder: a layer or container, given what the encoder returns.
        output_reconstruction: False returns what the encoder returns, once the model is trained; may be assigned.
        weights: those of the encoder, then of the decoder, to start from.

    Raises:
        ConfigError: for something that is not a layer; while training, where ``output_reconstruction`` is False.

    Source: ``keras.layers.core.AutoEncoder`` of Keras 0.1.

    >>> from recursive.layers.core import Dense
    >>> AutoEncoder(Dense(6, 2), Dense(2, 6)).get_output_shape_for((None, 6))
    (None, 6)
    """

    def __init__(
        self,
        encoder: Layer,
        decoder: Layer,
        output_reconstruction: bool = True,
        weights: Sequence[np.ndarray] | None = None,
        name: str | None = None,
    ):
        super().__init__(name)
        for part in (encoder, decoder):
            if not isinstance(part, Layer):
                raise ConfigError.about(
                    "layer",
                    "AutoEncoder",
                    takes="an encoder and a decoder that are layers",
                    because="it calls one on what the other returns",
                    got=repr(part),
                    do="Say AutoEncoder(Dense(6, 2), Dense(2, 6)), for example.",
                )
            check_started(part)
        self.encoder, self.decoder, self.output_reconstruction = (
            encoder,
            decoder,
            output_reconstruction,
        )
        self._link_parts()
        if weights is not None:
            self.set_weights(weights)

    def _link_parts(self) -> None:
        """Link the decoder to the encoder, and that to what is before."""
        self.encoder.place_first(self)
        self.decoder.link(self.encoder)

    def __setstate__(self, state: dict[str, object]) -> None:
        """Link the parts again: copies of layers have no links."""
        vars(self).update(state)
        self._link_parts()

    @property
    def children(self) -> dict[str, Layer]:
        """The encoder and the decoder."""
        return {"encoder": self.encoder, "decoder": self.decoder}

    @property
    def revision(self) -> tuple:
        """Another one whenever a part changes, or what is returned."""
        return (self.output_reconstruction, *super().revision)

    @property
    def input_ndim(self) -> int | None:
        """The number of axes that the encoder takes."""
        return self.encoder.input_ndim

    @property
    def input_dim(self) -> int | None:
        """The size of the last axis that the encoder takes."""
        return self.encoder.input_dim

    def arguments(self) -> list[Argument]:
        """What the encoder is given."""
        return self.encoder.arguments()

    def build(self, input_shape: Shape) -> None:
        self.encoder.ensure_built(input_shape)
        hidden = self.encoder.get_output_shape_for(input_shape)
        if isinstance(hidden, dict) and self.decoder.nb_input == 1:
            raise ConfigError.about(
                "layer",
                "AutoEncoder",
                takes="an encoder with one output",
                because=f"its decoder, a {type(self.decoder).__name__}, is a function of one value",
                got=f"{len(hidden)} outputs ({', '.join(hidden)})",
                do="Merge them in the encoder, or give a decoder with inputs of these names.",
            )
        self.decoder.ensure_built(hidden)

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        hidden = self.encoder.get_output_shape_for(input_shape)
        return (
            self.decoder.get_output_shape_for(hidden)
            if self.output_reconstruction
            else hidden
        )

    def limit_at(self, port: str) -> int | None:
        """What the numbers that the encoder takes are below."""
        return self.encoder.limit_at(port)

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """What the decoder makes of what the encoder returns, or that alone."""
        if call.train and not self.output_reconstruction:
            raise ConfigError.about(
                "layer",
                "AutoEncoder",
                takes="output_reconstruction=True while it is trained",
                because="the reconstruction is what is compared with targets",
                got="False",
                do="Train it first, then assign output_reconstruction = False.",
            )
        self.check_draws(call.draws, {})
        hidden = self.encoder.apply(inputs, call.inside("encoder"))
        if not self.output_reconstruction:
            return hidden
        values = chain.handed_on(hidden, self.decoder)
        return self.decoder.apply(values, call.inside("decoder"))

    def as_inputs(
        self,
        x: object,
        mask: TensorVariable | Mapping[str, TensorVariable] | None = None,
    ) -> dict[str, Value]:
        """What the encoder makes of ``x``."""
        return self.encoder.as_inputs(x, mask)

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of the encoder's inputs."""
        return self.encoder.ports

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs of the decoder, or of the encoder alone."""
        last = self.decoder if self.output_reconstruction else self.encoder
        return last.output_names

    def supports_masked_input(self) -> bool:
        """True if the encoder does."""
        return self.encoder.supports_masked_input()

    def draw_shape(self, name: str, input_shape: Shape) -> Shape:
        part, inner = split(name)
        shape = (
            input_shape
            if part == "encoder"
            else self.encoder.get_output_shape_for(input_shape)
        )
        return self.children[part].draw_shape(inner, shape)
