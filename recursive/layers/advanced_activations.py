"""Activation functions with settings or parameters.

``input_shape`` is the shape of one row, without the batch: ``(dim,)`` or
``(time, dim)``.
Source: ``keras.layers.advanced_activations`` of Keras 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import initializations, limits
from recursive.activations import relu
from recursive.backend import shared
from recursive.layers.layer import MaskedLayer, check_dim
from recursive.layers.products import as_floats
from recursive.utils.arguments import coefficient


class AdvancedActivation(MaskedLayer):
    """The base class: a function of each value, computed in floats."""

    rowwise = True

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return self.activate(as_floats(x))

    def activate(self, x: TensorVariable) -> TensorVariable:
        """The function, applied to floats."""
        raise NotImplementedError


class LeakyReLU(AdvancedActivation):
    """A rectifier with a slope: ``x`` above 0, ``alpha * x`` below.

    Source: Maas et al., 2013.

    >>> LeakyReLU(0.5)(np.array([[-2.0, 3.0]])).eval().tolist()
    [[-1.0, 3.0]]
    """

    def __init__(self, alpha: float = 0.3, name: str | None = None):
        super().__init__(name)
        self.alpha = coefficient("LeakyReLU", "alpha", alpha)

    def activate(self, x: TensorVariable) -> TensorVariable:
        # By relu, so that the gradient at 0 lies halfway, as in Keras 0.1.
        return relu(x) - self.alpha * relu(-x)


def row_shape(layer: str, input_shape: int | Sequence[int]) -> tuple[int, ...]:
    """The shape of one row as a tuple; a single dim may be an integer.

    Raises:
        ShapeError: for dims that are not integers of 1 or more.
    """
    dims = input_shape
    if not isinstance(input_shape, list | tuple):
        dims = (input_shape,)
    return tuple(check_dim(layer, "input_shape", dim) for dim in dims)


class ShapedActivation(AdvancedActivation):
    """The base of activations with a parameter for each value of a row."""

    def __init__(
        self,
        input_shape: int | Sequence[int],
        name: str | None,
        seed: int | None = None,
    ):
        super().__init__(name, seed)
        self.input_shape = row_shape(type(self).__name__, input_shape)
        self.input_dim = self.input_shape[-1]
        self.input_ndim = len(self.input_shape) + 1


class PReLU(ShapedActivation):
    """A rectifier with learned slopes: ``x`` above 0, ``alphas * x`` below.

    Args:
        input_shape: the shape of one row, and of ``alphas``.
        init: the initialization of ``alphas``.
        weights: the initial ``[alphas]``.

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
        self.set_initial_weights(weights)

    def activate(self, x: TensorVariable) -> TensorVariable:
        return relu(x) - self.alphas * relu(-x)


class ParametricSoftplus(ShapedActivation):
    """A softplus with learned scales: ``alphas * log(1 + exp(betas * x))``.

    Args:
        input_shape: the shape of one row, of ``alphas`` and of ``betas``.
        alpha_init, beta_init: the initial values of ``alphas`` and ``betas``.
        weights: the initial ``[alphas, betas]``.

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
        kind = "ParametricSoftplus"
        self.alpha_init = coefficient(kind, "alpha_init", alpha_init)
        self.beta_init = coefficient(kind, "beta_init", beta_init)
        limits.count_parameter(self.input_shape)
        self.alphas = shared(np.full(self.input_shape, alpha_init))
        self.betas = shared(np.full(self.input_shape, beta_init))
        self.params = [self.alphas, self.betas]
        self.set_initial_weights(weights)

    def activate(self, x: TensorVariable) -> TensorVariable:
        return pt.softplus(self.betas * x) * self.alphas


class ThresholdedLinear(AdvancedActivation):
    """A threshold on the size: ``x`` where ``|x| >= theta``, else 0.

    Source: Konda, Memisevic and Krueger, 2014.

    >>> ThresholdedLinear(1.0)(np.array([[-2.0, -0.5, 1.0]])).eval().tolist()
    [[-2.0, 0.0, 1.0]]
    """

    def __init__(self, theta: float = 1.0, name: str | None = None):
        super().__init__(name)
        self.theta = coefficient(type(self).__name__, "theta", theta)

    def activate(self, x: TensorVariable) -> TensorVariable:
        return pt.switch(abs(x) < self.theta, pt.zeros_like(x), x)


class ThresholdedReLU(AdvancedActivation):
    """A threshold: ``x`` where ``x > theta``, else 0.

    Keras 0.1 spelled it ``ThresholdedReLu``; that name can be imported too.

    Source: Konda, Memisevic and Krueger, 2014.

    >>> ThresholdedReLU(1.0)(np.array([[-2.0, 1.0, 1.5]])).eval().tolist()
    [[0.0, 0.0, 1.5]]
    """

    def __init__(self, theta: float = 1.0, name: str | None = None):
        super().__init__(name)
        self.theta = coefficient(type(self).__name__, "theta", theta)

    def activate(self, x: TensorVariable) -> TensorVariable:
        return pt.switch(x > self.theta, x, pt.zeros_like(x))


ThresholdedReLu = ThresholdedReLU
