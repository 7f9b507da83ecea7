"""Embedding: integers to vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import initializations
from recursive.errors import DtypeError
from recursive.layers.layer import Layer, Rule, check_dim
from recursive.layers.masks import PASS
from recursive.loop.call import joined
from recursive.spec.shapes import Shape
from recursive.utils.arguments import flag


class Embedding(Layer):
    """A table of vectors: the integer ``i`` becomes row ``i`` of the matrix ``W``.

    It maps integers ``(batch, time)`` to floats ``(batch, time, output_dim)``.

    Args:
        input_dim: the number of rows; the integers run from 0 to ``input_dim - 1``.
        output_dim: the dim of each vector.
        init: the initialization of ``W``, ``(input_dim, output_dim)``.
        W_regularizer: a penalty on ``W``, by name or from ``regularizers``.
        activity_regularizer: a penalty on the output.
        W_constraint: applied to ``W`` after each training step.
        mask_zero: True masks the steps whose integer is 0, which then is not a word.
        weights: the initial ``[W]``.
        seed: the seed of the initial weights.

    Source: ``keras.layers.embeddings.Embedding`` of Keras 0.1.

    >>> Embedding(5, 4, init="one")(np.array([[0, 4, 1]])).eval().shape
    (1, 3, 4)
    """

    masks = PASS
    input_ndim = 2
    input_dtype = "int"
    rowwise = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        init: str = "uniform",
        W_regularizer: Rule = None,
        activity_regularizer: Rule = None,
        W_constraint: Rule = None,
        mask_zero: bool = False,
        weights: Sequence[np.ndarray] | None = None,
        name: str | None = None,
        seed: int | None = None,
    ):
        super().__init__(name, seed)
        self.set_regularizers(
            W_regularizer=W_regularizer,
            activity_regularizer=activity_regularizer,
            W_constraint=W_constraint,
        )
        self.limit = check_dim("Embedding", "input_dim", input_dim)
        self.output_dim = check_dim("Embedding", "output_dim", output_dim)
        self.init = initializations.get(init)
        shape = (self.limit, self.output_dim)
        self.W = initializations.first_values(self.init, shape, self.rng)
        self.mask_zero = flag("Embedding", "mask_zero", mask_zero)
        self.params = [self.W]
        self.set_initial_weights(weights)

    def mask_value_at(self, port: str) -> float | None:
        return 0.0 if self.mask_zero else None

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        if x.dtype.startswith("float"):
            raise DtypeError.about(
                "layer",
                "Embedding",
                takes="integers",
                got=x.dtype,
                do="Declare them with add_input(name, ndim=2, dtype='int').",
            )
        return self.W[x]

    def get_output_mask_for(
        self, x: TensorVariable, mask: TensorVariable | None = None
    ) -> TensorVariable | None:
        # Besides its own mask, the layer passes on that of its input.
        is_word = pt.neq(x, 0) if self.mask_zero else None
        return joined([mask, is_word])

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {"input_dim": self.limit}
