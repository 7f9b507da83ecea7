"""Normalization of values to mean 0 and standard deviation 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import initializations, limits
from recursive.backend import shared
from recursive.errors import ConfigError
from recursive.layers.advanced_activations import row_shape
from recursive.layers.layer import Layer, MaskedLayer, check_dim
from recursive.layers.products import as_floats
from recursive.loop.call import Call, Value, Values
from recursive.spec.shapes import Shape
from recursive.utils.arguments import coefficient


class BatchNormalization(Layer):
    """Batch normalization: ``gamma * (x - mean) / (std + epsilon) + beta``.

    ``gamma`` and ``beta`` are learned. ``mean`` and ``std`` depend on the mode:

    * Mode 0 takes them of each value over the rows of the batch while training, and
      uses their running means otherwise.
    * Mode 1 takes them of each row, over its last axis.

    Args:
        input_shape: the shape of one row, without the batch. Outside a model it may
            include the batch, whose rows then have parameters of their own.
        epsilon: keeps the quotient finite.
        mode: 0 or 1.
        momentum: the fraction of the running means that a training step keeps.
        weights: the initial ``[gamma, beta, running_mean, running_std]``, or
            ``[gamma, beta]`` alone.
        seed: the seed of the initial weights.

    Raises:
        ConfigError: for an unknown mode.

    Source: Ioffe and Szegedy, 2015; ``keras.layers.normalization.BatchNormalization``
    of Keras 0.1. Version 0.1.3 used the running means while training too; this layer
    follows the paper.

    >>> BatchNormalization((4,), mode=1)(np.ones((3, 4))).type.shape
    (3, 4)
    """

    def __init__(
        self,
        input_shape: int | Sequence[int],
        epsilon: float = 1e-6,
        mode: int = 0,
        momentum: float = 0.9,
        weights: Sequence[np.ndarray] | None = None,
        name: str | None = None,
        seed: int | None = None,
    ):
        super().__init__(name, seed)
        if mode not in (0, 1):
            raise ConfigError.about(
                "layer",
                "BatchNormalization",
                takes="mode 0 or 1",
                got=repr(mode),
                do="Use 0 to normalize over the batch, 1 to normalize each row.",
            )
        self.input_shape = row_shape("BatchNormalization", input_shape)
        self.input_dim = self.input_shape[-1]
        self.input_ndim = len(self.input_shape) + 1
        self.epsilon = coefficient("BatchNormalization", "epsilon", epsilon)
        self.mode = mode
        self.momentum = coefficient("BatchNormalization", "momentum", momentum)
        self.gamma = initializations.uniform(self.input_shape, rng=self.rng)
        self.beta = initializations.zero(self.input_shape)
        self.params = [self.gamma, self.beta]
        self.running_mean = initializations.zero(self.input_shape)
        self.running_std = initializations.one(self.input_shape)
        self.set_initial_weights(weights)

    @property
    def has_side_outputs(self) -> bool:
        """True for mode 0, which updates running means."""
        return self.mode == 0

    @property
    def rowwise(self) -> bool:
        """True for mode 1."""
        return self.mode == 1

    @property
    def named_weights(self) -> dict[str, SharedVariable]:
        """The parameters, and the running means."""
        return self.named_params | {
            "running_mean": self.running_mean,
            "running_std": self.running_std,
        }

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs. While training, mode 0 also updates the running means."""
        outputs = super().compute(inputs, call)
        if self.mode == 0 and call.train:
            [value] = inputs.values()
            mean, std = self._of_the_batch(as_floats(value.tensor))
            self._update_running(self.running_mean, mean, call)
            self._update_running(self.running_std, std, call)
        return outputs

    def _update_running(
        self, running: SharedVariable, now: TensorVariable, call: Call
    ) -> None:
        """Move a running mean towards the value of this batch."""
        before = call.pending(running)
        moved = self.momentum * before + (1 - self.momentum) * now
        call.update(running, moved, training_only=True)

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        x = as_floats(x)
        mean, std = self._mean_and_std(x, train)
        return self.gamma * (x - mean) / (std + self.epsilon) + self.beta

    def _mean_and_std(
        self, x: TensorVariable, train: bool
    ) -> tuple[TensorVariable, TensorVariable]:
        """The mean and the standard deviation to normalize by."""
        if self.mode == 1:
            return self._of_each_row(x)
        if train:
            return self._of_the_batch(x)
        return self.running_mean, self.running_std

    def _of_each_row(self, x: TensorVariable) -> tuple[TensorVariable, TensorVariable]:
        return x.mean(axis=-1, keepdims=True), x.std(axis=-1, keepdims=True)

    def _of_the_batch(self, x: TensorVariable) -> tuple[TensorVariable, TensorVariable]:
        mean = x.mean(axis=0)
        # As in Keras 0.1, epsilon is added here and once more in `call`.
        std = pt.sqrt((pt.sqr(x - mean) + self.epsilon).mean(axis=0))
        return self._with_row_shape(mean, x), self._with_row_shape(std, x)

    def _with_row_shape(self, value: TensorVariable, x: TensorVariable):
        """``value``, a mean over the rows of ``x``, in the shape of the parameters."""
        if x.ndim == len(self.input_shape):
            # The shape of the parameters includes the rows, which share their mean.
            return pt.broadcast_to(value, self.input_shape)
        return pt.specify_shape(value, self.input_shape)


class LayerNormalization(MaskedLayer):
    """Normalizes each row: ``gamma * (x - mean) / sqrt(variance + epsilon) + beta``.

    Mean and variance are those of a row over its last axis, so that nothing depends on
    the batch or the step. ``gamma`` starts at 1 and ``beta`` at 0; both are learned.

    Args:
        input_dim: the size of the last axis; None takes that of the first input.
        epsilon: keeps the quotient finite.

    Source: Ba, Kiros and Hinton, 2016.

    >>> x = np.array([[1.0, 3.0]])
    >>> LayerNormalization(epsilon=0.0)(x).eval().tolist()
    [[-1.0, 1.0]]
    """

    rowwise = True

    def __init__(
        self,
        input_dim: int | None = None,
        epsilon: float = 1e-5,
        name: str | None = None,
    ):
        super().__init__(name)
        kind = "LayerNormalization"
        self.input_dim = check_dim(kind, "input_dim", input_dim, optional=True)
        self.epsilon = coefficient("LayerNormalization", "epsilon", epsilon)
        if self.input_dim is not None:
            self.build((None, self.input_dim))

    def build(self, input_shape: Shape) -> None:
        if self.built:
            return
        self.input_dim = check_dim("LayerNormalization", "input_dim", input_shape[-1])
        limits.count_parameter((self.input_dim,))
        self.gamma = shared(np.ones(self.input_dim), "gamma")
        self.beta = shared(np.zeros(self.input_dim), "beta")
        self.params = [self.gamma, self.beta]

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        x = as_floats(x)
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = pt.sqr(centred).mean(axis=-1, keepdims=True)
        epsilon = np.asarray(self.epsilon, dtype=x.dtype)
        return self.gamma * centred / pt.sqrt(variance + epsilon) + self.beta
