"""Masks made, read as values, and dropped."""

from __future__ import annotations

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend.sizes import size
from recursive.errors import ShapeError
from recursive.layers.layer import Layer, MaskedLayer
from recursive.layers.masks import DROP, USE
from recursive.loop.call import joined, leading_axes
from recursive.spec.shapes import Shape


class Masking(MaskedLayer):
    """Masks the steps of ``(batch, time, dim)`` where every value is ``mask_value``, and sets them to 0.

    Source: ``keras.layers.core.Masking`` of Keras 0.1.

    >>> x = pt.constant([[[1.0, 7.0], [7.0, 7.0]]])
    >>> Masking(mask_value=7.0)(x).eval().tolist()
    [[[1.0, 7.0], [0.0, 0.0]]]
    >>> Masking(mask_value=7.0).get_output_mask_for(x).eval().tolist()
    [[True, False]]
    """

    input_ndim = 3

    def __init__(self, mask_value: float = 0.0, name: str | None = None):
        super().__init__(name)
        self.mask_value = mask_value

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        # A switch, not a product: what stands at masked steps may be inf or NaN.
        return pt.switch(self._data(x)[..., None], x, pt.zeros((), dtype=x.dtype))

    def get_output_mask_for(
        self, x: TensorVariable, mask: TensorVariable | None = None
    ) -> TensorVariable:
        return joined([mask, self._data(x)])

    def _data(self, x: TensorVariable) -> TensorVariable:
        """True at the steps that hold another value than ``mask_value``, which may be NaN."""
        if np.isnan(self.mask_value):
            return pt.any(~pt.isnan(x), axis=-1)
        return pt.any(pt.neq(x, np.asarray(self.mask_value, dtype=x.dtype)), axis=-1)


class ReadMask(Layer):
    """The mask of its input as a value: bool, ``(batch, time)`` for a sequence, ones where there is no mask.

    What an attention needs that weighs no padding: it reads this at a port of its own.

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
                takes="(batch, time) of words or (batch, time, dim)",
                because="a mask says which steps are data",
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
        """Nothing: words have a mask of as many axes as they have, vectors of one fewer."""


class DropMask(Layer):
    """Passes its input on without its mask: from here on, masked steps count as data.

    >>> DropMask().with_mask(np.ones((1, 2, 3)), mask=np.ones((1, 2)))[1] is None
    True
    """

    masks = DROP
    rowwise = True

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return x
