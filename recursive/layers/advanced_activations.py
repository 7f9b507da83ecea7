"""Activation functions with numbers of their own, some of them learned.

``input_shape`` is the shape of one row, without the batch: ``(dim,)``, or ``(time, dim)``.
Source: ``keras.layers.advanced_activations`` of Keras 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import initializations
from recursive.activations import relu
from recursive.backend import shared
from recursive.layers.layer import MaskedLayer, check_dim
from recursive.layers.products import as_floats


class AdvancedActivation(MaskedLayer):
    """The base: a function of every value by itself, in floats."""

    rowwise = True

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return self.activate(as_floats(x))

    def activate(self, x: TensorVariable) -> TensorVariable:
        """The function."""
        raise NotImplementedError


class LeakyReLU(AdvancedActivation):
    """``x`` above 0, ``alpha * x`` below.

    Source: Maas et al., 2013.

    >>> LeakyReLU(0.5)(np.array([[-2.0, 3.0]])).eval().tolist()
    [[-1.0, 3.0]]
    """

    def __init__(self, alpha: float = 0.3, name: str | None = None):
        super().__init__(name)
        self.alpha = alpha

    def activate(self, x: TensorVariable) -> TensorVariable:
        return relu(x) - self.alpha * relu(-x)


class ShapedActivation(AdvancedActivation):
    """The base of activations that learn a number for each value of a row."""

    def __init__(
        self,
        input_shape: int | Sequence[int],
        name: str | None,
        seed: int | None = None,
    ):
        super().__init__(name, seed)
        dims = input_shape if isinstance(input_shape, list | tuple) else (input_shape,)
        self.input_shape = tuple(
            check_dim(type(self).__name__, "input_shape", dim) for dim in dims
        )
        self.input_dim, self.input_ndim = (
            self.input_shape[-1],
            len(self.input_shape) + 1,
        )


class PReLU(ShapedActivation):
    """``x`` above 0, ``alphas * x`` below; ``alphas`` of ``input_shape`` are learned.

    Args:
        input_shape: the shape of one row.
        init: the initialization of ``alphas``.
        weights: ``[alphas]`` to start from.

    Source: He et al., 2015.

    >>> PReLU((2,), init="one")(np.array([[-2.0, 3.0]])).eval().tolist()
    [[-2.0, 3.0]]
    """

    def __init__(
        self,
        input_shape: int | Sequence[int],
        init: str = "zero",
        weights: Sequence[np.ndarray] | None = None,
        name: str | None = None,
        seed: int | None = None,
    ):
        super().__init__(input_shape, name, seed)
        self.init = initializations.get(init)
        self.alphas = initializations.first_values(
            self.init, self.input_shape, self.rng
        )
        self.params = [self.alphas]
        if weights is not None:
            self.set_weights(weights)

    def activate(self, x: TensorVariable) -> TensorVariable:
        return relu(x) - self.alphas * relu(-x)


class ParametricSoftplus(ShapedActivation):
    """``alphas * log(1 + exp(betas * x))``; both, of ``input_shape``, are learned.

    Args:
        input_shape: the shape of one row.
        alpha_init, beta_init: the numbers that ``alphas`` and ``betas`` start from.
        weights: ``[alphas, betas]`` to start from.

    Source: McFarland, Cui and Butts, 2013.
    """

    def __init__(
        self,
        input_shape: int | Sequence[int],
        alpha_init: float = 0.2,
        beta_init: float = 5.0,
        weights: Sequence[np.ndarray] | None = None,
        name: str | None = None,
    ):
        super().__init__(input_shape, name)
        self.alpha_init, self.beta_init = alpha_init, beta_init
        self.alphas = shared(np.full(self.input_shape, alpha_init))
        self.betas = shared(np.full(self.input_shape, beta_init))
        self.params = [self.alphas, self.betas]
        if weights is not None:
            self.set_weights(weights)

    def activate(self, x: TensorVariable) -> TensorVariable:
        return pt.softplus(self.betas * x) * self.alphas


class ThresholdedLinear(AdvancedActivation):
    """``x`` where ``|x|`` is ``theta`` or more, else 0.

    Source: Konda, Memisevic and Krueger, 2014.

    >>> ThresholdedLinear(1.0)(np.array([[-2.0, -0.5, 1.0]])).eval().tolist()
    [[-2.0, 0.0, 1.0]]
    """

    def __init__(self, theta: float = 1.0, name: str | None = None):
        super().__init__(name)
        self.theta = theta

    def activate(self, x: TensorVariable) -> TensorVariable:
        return pt.switch(abs(x) < self.theta, pt.zeros_like(x), x)


class ThresholdedReLU(AdvancedActivation):
    """``x`` above ``theta``, else 0. Keras 0.1 wrote it ``ThresholdedReLu``, which works too.

    Source: Konda, Memisevic and Krueger, 2014.

    >>> ThresholdedReLU(1.0)(np.array([[-2.0, 1.0, 1.5]])).eval().tolist()
    [[0.0, 0.0, 1.5]]
    """

    def __init__(self, theta: float = 1.0, name: str | None = None):
        super().__init__(name)
        self.theta = theta

    def activate(self, x: TensorVariable) -> TensorVariable:
        return pt.switch(x > self.theta, x, pt.zeros_like(x))


ThresholdedReLu = ThresholdedReLU
