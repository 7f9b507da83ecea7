"""Layers that change the shape of their input and no values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend.sizes import size
from recursive.errors import ShapeError
from recursive.layers.layer import Layer, check_dim
from recursive.spec.shapes import Shape


class Reshape(Layer):
    """The rows of the input in another shape: ``(batch, ...)`` to ``(batch, *dims)``.

    The values keep their order. ``Reshape(2, 3)`` and ``Reshape(dims=(2, 3))`` are
    equal.

    Raises:
        ShapeError: for dims that are not integers of 1 or more, or that hold another
            number of values.

    Source: ``keras.layers.core.Reshape`` of Keras 0.1.

    >>> Reshape(2, 3).get_output_shape_for((None, 6))
    (None, 2, 3)
    """

    keeps_axes = False

    def __init__(
        self, *shape: int, dims: Sequence[int] | None = None, name: str | None = None
    ):
        super().__init__(name)
        if dims is None:
            dims = shape
        if not isinstance(dims, Sequence | np.ndarray):
            raise ShapeError.about(
                "layer",
                "Reshape",
                takes="a list of dims",
                got=repr(dims),
                do="Use Reshape(2, 3), for example.",
            )
        self.dims = tuple(check_dim("Reshape", "dim", dim) for dim in dims)

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return x.reshape((size(x, 0), *self.dims))

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        rows, *sizes = input_shape
        # With an unknown size the number of values is checked when the program runs.
        if None not in sizes and math.prod(sizes) != math.prod(self.dims):
            raise ShapeError.about(
                "layer",
                "Reshape",
                takes=f"{math.prod(self.dims)} values a row",
                because=f"its dims are {self.dims}",
                got=f"{math.prod(sizes)}, as {tuple(sizes)}",
                do="Correct its dims.",
            )
        return (rows, *self.dims)


class Permute(Layer):
    """The axes after the batch axis in another order.

    ``Permute((2, 1))`` maps ``(batch, time, dim)`` to ``(batch, dim, time)``.

    Raises:
        ShapeError: unless the dims are 1, 2, ... in some order.

    Source: ``keras.layers.core.Permute`` of Keras 0.1.

    >>> Permute((2, 1)).get_output_shape_for((None, 5, 4))
    (None, 4, 5)
    """

    def __init__(self, dims: Sequence[int], name: str | None = None):
        super().__init__(name)
        axes = list(range(1, len(dims) + 1))
        if sorted(dims) != axes:
            raise ShapeError.about(
                "layer",
                "Permute",
                takes=f"the axes {axes} in some order",
                got=repr(dims),
                do="Use Permute((2, 1)), for example.",
            )
        self.dims = tuple(dims)

    @property
    def input_ndim(self) -> int:
        """The number of axes, with that of the batch."""
        return len(self.dims) + 1

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return x.dimshuffle(0, *self.dims)

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        rows = input_shape[0]
        others = [input_shape[axis] for axis in self.dims]
        return (rows, *others)


class Flatten(Layer):
    """All axes after the batch axis as one: ``(batch, ...)`` to ``(batch, values)``.

    Source: ``keras.layers.core.Flatten`` of Keras 0.1.

    >>> Flatten().get_output_shape_for((None, 5, 4))
    (None, 20)
    """

    keeps_axes = False

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        values = math.prod([size(x, axis) for axis in range(1, x.ndim)])
        return x.reshape((size(x, 0), values))

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        rows, *sizes = input_shape
        return (rows, None if None in sizes else math.prod(sizes))


class RepeatVector(Layer):
    """A vector repeated over time: ``(batch, dim)`` to ``(batch, n, dim)``.

    A decoder reads it to see the same vector at every step.

    Raises:
        ShapeError: for an n that is not an integer of 1 or more.

    Source: ``keras.layers.core.RepeatVector`` of Keras 0.1.

    >>> RepeatVector(3).get_output_shape_for((None, 4))
    (None, 3, 4)
    """

    input_ndim = 2

    def __init__(self, n: int, name: str | None = None):
        super().__init__(name)
        self.n = check_dim("RepeatVector", "n", n)

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        # (batch, 1, dim) broadcast to (batch, n, dim)
        return pt.alloc(x.dimshuffle(0, "x", 1), size(x, 0), self.n, size(x, 1))

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.n, input_shape[1])
