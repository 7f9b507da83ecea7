"""Values brought to mean 0 and standard deviation 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import initializations
from recursive.backend import shared
from recursive.errors import ConfigError
from recursive.layers.layer import Layer, check_dim
from recursive.loop.call import Call, Value, Values


class BatchNormalization(Layer):
    """``gamma * (x - mean) / (std + epsilon) + beta``, ``gamma`` and ``beta`` learned.

    Mode 0 takes mean and std of each value over the rows of the batch while training, and of their running means at
    all other times. Mode 1 takes them of each row by itself, over its last axis.

    Args:
        input_shape: the shape of one row, without the batch.
        epsilon: keeps the quotient finite.
        mode: 0 or 1.
        momentum: the share of the running means that a training step keeps.
        weights: ``[gamma, beta, running_mean, running_std]`` to start from.
        seed: seeds the first values.

    Raises:
        ConfigError: for an unknown mode.

    Source: Ioffe and Szegedy, 2015; ``keras.layers.normalization.BatchNormalization`` of Keras 0.1. Version 0.1.3 took
    the running means while training too; this is the paper's.

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
                because="it normalizes over rows, or each row by itself",
                got=repr(mode),
                do="Say mode=0.",
            )
        dims = input_shape if isinstance(input_shape, list | tuple) else (input_shape,)
        self.input_shape = tuple(
            check_dim("BatchNormalization", "input_shape", dim) for dim in dims
        )
        self.input_dim, self.input_ndim = (
            self.input_shape[-1],
            len(self.input_shape) + 1,
        )
        self.epsilon, self.mode, self.momentum = epsilon, mode, momentum
        self.gamma = initializations.uniform(self.input_shape, rng=self.rng)
        self.beta = initializations.zero(self.input_shape)
        self.params = [self.gamma, self.beta]
        self.running_mean = shared(np.zeros(self.input_shape))
        self.running_std = shared(np.ones(self.input_shape))
        if weights is not None:
            self.set_weights(weights)

    @property
    def has_side_outputs(self) -> bool:
        """Mode 0 keeps running means."""
        return self.mode == 0

    @property
    def rowwise(self) -> bool:
        """Mode 1 is."""
        return self.mode == 1

    @property
    def named_weights(self) -> dict[str, SharedVariable]:
        """The parameters, and the running means."""
        return self.named_params | {
            "running_mean": self.running_mean,
            "running_std": self.running_std,
        }

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs; while training, mode 0 moves the running means towards those of the batch too."""
        outputs = super().compute(inputs, call)
        if self.mode == 0 and call.train:
            [value] = inputs.values()
            means = zip(
                (self.running_mean, self.running_std),
                self._of_the_batch(value.tensor),
                strict=True,
            )
            for running, now in means:
                before = call.pending(running)
                moved = self.momentum * before + (1 - self.momentum) * now
                call.update(running, moved, training_only=True)
        return outputs

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        mean, std = self._mean_and_std(x, train)
        return self.gamma * (x - mean) / (std + self.epsilon) + self.beta

    def _mean_and_std(
        self, x: TensorVariable, train: bool
    ) -> tuple[TensorVariable, TensorVariable]:
        """What the values are normalized by."""
        if self.mode == 1:
            return self._of_each_row(x)
        if train:
            return self._of_the_batch(x)
        return self.running_mean, self.running_std

    def _of_each_row(self, x: TensorVariable) -> tuple[TensorVariable, TensorVariable]:
        return x.mean(axis=-1, keepdims=True), x.std(axis=-1, keepdims=True)

    def _of_the_batch(self, x: TensorVariable) -> tuple[TensorVariable, TensorVariable]:
        mean = pt.specify_shape(x.mean(axis=0), self.input_shape)
        std = pt.sqrt((pt.sqr(x - mean) + self.epsilon).mean(axis=0))
        return mean, std
