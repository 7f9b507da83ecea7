"""Two layers of Keras 0.1's core: maxout, and a penalty that is a layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pytensor.tensor.variable import TensorVariable

from recursive import initializations, regularizers
from recursive.backend.sizes import sizes
from recursive.layers.layer import Layer, Rule, check_dim
from recursive.layers.products import linear_map
from recursive.spec.shapes import Shape


class MaxoutDense(Layer):
    """The maximum of several affine maps: ``max over k of x @ W[k] + b[k]``.

    It maps ``(batch, input_dim)`` to ``(batch, output_dim)``; the maximum is taken
    value by value.

    Args:
        input_dim: the dim of the input.
        output_dim: the dim of the output.
        nb_feature: the number of maps.
        init: the initialization of ``W``, ``(nb_feature, input_dim, output_dim)``;
            ``b``, ``(nb_feature, output_dim)``, starts at zero.
        weights: the initial ``[W, b]``.
        W_regularizer, b_regularizer, activity_regularizer, W_constraint, b_constraint:
            as for Dense.
        seed: the seed of the initial weights.

    Raises:
        ShapeError: for dims that are not integers of 1 or more.
        UnknownNameError: for an unknown initialization, regularizer or constraint.

    Source: Goodfellow et al., 2013; ``keras.layers.core.MaxoutDense`` of Keras 0.1.

    >>> MaxoutDense(4, 6, init="one")(np.ones((3, 4))).eval().shape
    (3, 6)
    """

    rowwise = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        nb_feature: int = 4,
        init: str = "glorot_uniform",
        weights: Sequence[np.ndarray] | None = None,
        W_regularizer: Rule = None,
        b_regularizer: Rule = None,
        activity_regularizer: Rule = None,
        W_constraint: Rule = None,
        b_constraint: Rule = None,
        name: str | None = None,
        seed: int | None = None,
    ):
        super().__init__(name, seed)
        self.set_regularizers(
            W_regularizer=W_regularizer,
            b_regularizer=b_regularizer,
            activity_regularizer=activity_regularizer,
            W_constraint=W_constraint,
            b_constraint=b_constraint,
        )
        self.input_dim = check_dim("MaxoutDense", "input_dim", input_dim)
        self.output_dim = check_dim("MaxoutDense", "output_dim", output_dim)
        self.nb_feature = check_dim("MaxoutDense", "nb_feature", nb_feature)
        self.init = initializations.get(init)
        shape = (self.nb_feature, self.input_dim, self.output_dim)
        self.W = initializations.first_values(self.init, shape, self.rng)
        self.b = initializations.zero((self.nb_feature, self.output_dim))
        self.params = [self.W, self.b]
        self.set_initial_weights(weights)

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        # One product for all maps: (input_dim, nb_feature * output_dim).
        dim = self.nb_feature * self.output_dim
        W = self.W.dimshuffle(1, 0, 2).reshape((self.input_dim, dim))
        leading = sizes(x)[:-1]
        products = linear_map(x, W)
        maps = products.reshape((*leading, self.nb_feature, self.output_dim)) + self.b
        return maps.max(axis=-2)

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.output_dim)


class ActivityRegularization(Layer):
    """A layer that returns its input and adds a penalty on it to the loss.

    The penalty is ``sum(l1 * mean(|x|) + l2 * mean(x**2))``, while training only.

    Source: ``keras.layers.core.ActivityRegularization`` of Keras 0.1.
    """

    has_side_outputs = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, name: str | None = None):
        super().__init__(name)
        self.l1 = l1
        self.l2 = l2
        self.activity_regularizer = regularizers.ActivityRegularizer(l1, l2)

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return x
