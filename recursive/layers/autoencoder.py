"""AutoEncoder: an encoder, and a decoder that reconstructs the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pytensor.tensor.variable import TensorVariable

from recursive.backend import Argument
from recursive.errors import ConfigError
from recursive.layers import chain
from recursive.layers.checks import check_started
from recursive.layers.composite import Composite
from recursive.layers.layer import Layer
from recursive.loop.call import Call, Value, Values
from recursive.spec.names import split
from recursive.spec.shapes import Shape


class AutoEncoder(Composite):
    """An encoder, and a decoder that reconstructs the input from the encoder's output.

    Args:
        encoder: a layer or container.
        decoder: a layer or container, which reads the output of the encoder.
        output_reconstruction: False returns the output of the encoder when a model
            predicts. ``fit`` and ``evaluate`` compare the reconstruction with the
            targets in either case. It may be assigned at any time.
        weights: initial weights of the encoder, followed by those of the decoder.

    Raises:
        ConfigError: for something that is not a layer.

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
        _check_part(encoder)
        _check_part(decoder)
        self.encoder = encoder
        self.decoder = decoder
        self.output_reconstruction = output_reconstruction
        self._link_parts()
        if weights is not None:
            self._build_if_possible()
            self.set_initial_weights(weights)

    def _link_parts(self) -> None:
        """Link the decoder to the encoder, and the encoder to the layer before."""
        self.encoder.place_first(self)
        self.decoder.link(self.encoder)

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore a copy and link its parts: copies of layers have no links."""
        vars(self).update(state)
        self._link_parts()

    @property
    def children(self) -> dict[str, Layer]:
        """The encoder and the decoder."""
        return {"encoder": self.encoder, "decoder": self.decoder}

    @property
    def revision(self) -> tuple:
        """A value that changes with a part, and with ``output_reconstruction``."""
        return (self.output_reconstruction, *super().revision)

    # Inputs are those of the encoder

    @property
    def input_ndim(self) -> int | None:
        """The number of axes of the encoder's input."""
        return self.encoder.input_ndim

    @property
    def input_dim(self) -> int | None:
        """The dim of the encoder's input."""
        return self.encoder.input_dim

    def arguments(self) -> list[Argument]:
        """The arguments of the encoder."""
        return self.encoder.arguments()

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of the encoder's inputs."""
        return self.encoder.ports

    def limit_at(self, port: str) -> int | None:
        """The bound that integers read by the encoder are below."""
        return self.encoder.limit_at(port)

    def mask_value_at(self, port: str) -> float | None:
        """The value that the encoder masks."""
        return self.encoder.mask_value_at(port)

    def as_inputs(
        self,
        x: object,
        mask: TensorVariable | Mapping[str, TensorVariable] | None = None,
    ) -> dict[str, Value]:
        """``x`` as values for the encoder."""
        return self.encoder.as_inputs(x, mask)

    def supports_masked_input(self) -> bool:
        """True if the encoder does."""
        return self.encoder.supports_masked_input()

    # Outputs are those of the decoder, or of the encoder

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs of the decoder, or of the encoder alone."""
        last = self.decoder if self.output_reconstruction else self.encoder
        return last.output_names

    def build(self, input_shape: Shape) -> None:
        # The decoder is built for the shape that the encoder returns.
        self.encoder.ensure_built(input_shape)
        hidden = self.encoder.get_output_shape_for(input_shape)
        if isinstance(hidden, dict) and self.decoder.nb_input == 1:
            decoder = type(self.decoder).__name__
            raise ConfigError.about(
                "layer",
                "AutoEncoder",
                takes="an encoder with one output",
                because=f"its decoder, a {decoder}, is a function of one value",
                got=f"{len(hidden)} outputs ({', '.join(hidden)})",
                do="Merge them in the encoder, "
                "or use a decoder with inputs of these names.",
            )
        self.decoder.ensure_built(hidden)

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        hidden = self.encoder.get_output_shape_for(input_shape)
        if not self.output_reconstruction:
            return hidden
        return self.decoder.get_output_shape_for(hidden)

    def get_target_shape_for(self, input_shape: Shape) -> Shape:
        hidden = self.encoder.get_output_shape_for(input_shape)
        return self.decoder.get_output_shape_for(hidden)

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs of the decoder, or those of the encoder when predicting."""
        if call.for_loss and call.is_in_step and not self.output_reconstruction:
            raise ConfigError.about(
                "layer",
                "AutoEncoder",
                takes="output_reconstruction=True inside a loop that is trained",
                because="the values of a loop have one shape",
                got="False",
                do="Train it first, then assign output_reconstruction = False.",
            )
        self.check_draws(call.draws, {})
        hidden = self.encoder.apply(inputs, call.inside("encoder"))
        if not (self.output_reconstruction or call.for_loss):
            return hidden
        values = chain.handed_on(hidden, self.decoder)
        found = self.decoder.apply(values, call.inside("decoder"))
        # The names are those of the encoder's outputs if they are what it predicts.
        return dict(zip(self.output_names, found.values(), strict=True))

    def draw_shape(self, name: str, input_shape: Shape) -> Shape:
        part, draw = split(name)
        if part == "encoder":
            return self.encoder.draw_shape(draw, input_shape)
        hidden = self.encoder.get_output_shape_for(input_shape)
        return self.decoder.draw_shape(draw, hidden)


def _check_part(part: object) -> None:
    """Raise a ConfigError unless ``part`` is a layer whose constructor has run."""
    if not isinstance(part, Layer):
        raise ConfigError.about(
            "layer",
            "AutoEncoder",
            takes="an encoder and a decoder that are layers",
            got=repr(part),
            do="Use AutoEncoder(Dense(6, 2), Dense(2, 6)), for example.",
        )
    check_started(part)
