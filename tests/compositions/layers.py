"""User-defined layers: one with a formula only, two of 2015, one with a rule for masks."""

import pytensor.tensor as pt

from recursive import Dense, Layer, MaskedLayer


class Formula(Layer):
    """Nothing but ``call``."""

    rowwise = True

    def call(self, x, train=False):
        return x / (1 + abs(x))


class Passing(MaskedLayer):
    """A formula that treats every step alike, and passes a mask on."""

    def call(self, x, train=False):
        return x * pt.sigmoid(x)


class Of2015(Layer):
    """Nothing but ``get_output``, as in Keras 0.1, which passes a mask on."""

    masks = "pass"

    def get_output(self, train=False):
        return 0.5 * self.get_input(train) + 0.25


class DenseOf2015(Dense):
    """A layer of the library with its output overridden, which passes a mask on."""

    masks = "pass"

    def get_output(self, train=False):
        return 2 * super().get_output(train)


class MeanOfData(MaskedLayer):
    """The mean over the steps that are data, which has no mask."""

    def call(self, x, train=False):
        return x.mean(axis=1)

    def call_masked(self, x, mask, train=False):
        mask = pt.expand_dims(mask, -1).astype(x.dtype)
        return (x * mask).sum(axis=1) / pt.maximum(mask.sum(axis=1), 1)

    def get_output_mask_for(self, x, mask=None):
        return None

    def get_output_shape_for(self, input_shape):
        return (input_shape[0], input_shape[2])


def gated(gate, value):
    """The function of a Lambda of two ports."""
    return pt.tanh(gate) * value


CUSTOM = {
    layer.__name__: layer
    for layer in (Formula, Passing, Of2015, DenseOf2015, MeanOfData)
}
"""What ``model_from_json`` is given."""
