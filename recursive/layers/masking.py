"""Layers that create, read and drop masks: Masking, ReadMask, DropMask."""

from __future__ import annotations

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend.sizes import size
from recursive.errors import ConfigError, ShapeError
from recursive.layers.layer import Layer, MaskedLayer
from recursive.layers.masks import DROP, USE
from recursive.loop.call import joined, leading_axes
from recursive.spec.shapes import Shape
from recursive.utils.arguments import is_finite


class Masking(MaskedLayer):
    """Masks steps of ``(batch, time, dim)`` whose values all equal ``mask_value``.

    Masked steps become 0. The mask is joined with that of the input.

    Source: ``keras.layers.core.Masking`` of Keras 0.1.

    >>> x = pt.constant([[[1.0, 7.0], [7.0, 7.0]]])
    >>> Masking(mask_value=7.0)(x).eval().tolist()
    [[[1.0, 7.0], [0.0, 0.0]]]
    >>> Masking(mask_value=7.0).get_output_mask_for(x).eval().tolist()
    [[True, False]]
    """

    input_ndim = 3
    rowwise = True

    def __init__(self, mask_value: float = 0.0, name: str | None = None):
        super().__init__(name)
        # NaN and infinities are values of padding too.
        is_float = isinstance(mask_value, float | np.floating)
        if not is_float and not is_finite(mask_value):
            raise ConfigError.about(
                "layer",
                "Masking",
                takes="a number as mask_value",
                got=repr(mask_value),
                do="Use Masking(0.0), for example.",
            )
        self.mask_value = mask_value

    def mask_value_at(self, port: str) -> float:
        return float(self.mask_value)

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        # A switch, not a product: masked steps may hold inf or NaN.
        unmasked = self._unmasked(x)[..., None]
        return pt.switch(unmasked, x, pt.zeros((), dtype=x.dtype))

    def get_output_mask_for(
        self, x: TensorVariable, mask: TensorVariable | None = None
    ) -> TensorVariable:
        return joined([mask, self._unmasked(x)])

    def _unmasked(self, x: TensorVariable) -> TensorVariable:
        """True at steps with a value other than ``mask_value``, ``(batch, time)``."""
        # NaN differs from itself, so it needs a test of its own.
        if np.isnan(self.mask_value):
            return pt.any(~pt.isnan(x), axis=-1)
        return pt.any(pt.neq(x, np.asarray(self.mask_value, dtype=x.dtype)), axis=-1)


class ReadMask(Layer):
    """The mask of the input as a value: bool, ``(batch, time)``; ones without a mask.

    An attention reads it at a second port, to give no weight to masked steps.

    >>> x = np.ones((1, 3, 4))
    >>> ReadMask()(x, mask=np.array([[1, 1, 0]])).eval().tolist()
    [[True, True, False]]
    """

    masks = USE
    rowwise = True
    keeps_axes = False

    def call(
        self,
        x: TensorVariable,
        train: bool = False,
        mask: TensorVariable | None = None,
    ) -> TensorVariable:
        axes = leading_axes(x)
        if axes < 2:
            raise ShapeError.about(
                "layer",
                "ReadMask",
                takes="integers, (batch, time), or floats, (batch, time, dim)",
                got=f"a value of {x.ndim} axes",
                do="Read a sequence.",
            )
        if mask is None:
            return pt.ones([size(x, axis) for axis in range(axes)], dtype="bool")
        return pt.neq(mask, 0)

    def get_output_mask_for(
        self, x: TensorVariable, mask: TensorVariable | None = None
    ) -> None:
        return None

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        return input_shape[:-1] if len(input_shape) > 2 else input_shape

    def check_output(self, output: object, input_shape: Shape) -> None:
        """Check nothing: floats lose their last axis here, integers do not."""


class DropMask(Layer):
    """Returns its input without the mask: masked steps count as valid from here on.

    >>> DropMask().with_mask(np.ones((1, 2, 3)), mask=np.ones((1, 2)))[1] is None
    True
    """

    masks = DROP
    rowwise = True

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return x
