"""Gaussian noise while training.

The noise is drawn outside of loops and enters them as a sequence, as Dropout's is.
Source: ``keras.layers.noise`` of Keras 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.errors import ConfigError
from recursive.layers.layer import MaskedLayer
from recursive.layers.products import as_floats


class NoiseLayer(MaskedLayer):
    """The base of layers that draw standard normal values, of the shape of their input, while training."""

    rowwise = True
    draws = ("noise",)

    def __init__(self, name: str | None, seed: int | None):
        super().__init__(name, seed)
        self.seeds = seeds_of(seed)

    def call(self, x: TensorVariable, train: bool = False, noise: TensorVariable | None = None) -> TensorVariable:
        if not train or not self.draws:
            return x
        x = as_floats(x)
        if noise is None:
            noise = self.draw("noise", [backend.size(x, axis) for axis in range(x.ndim)])
        return self.disturbed(x, noise)

    def disturbed(self, x: TensorVariable, noise: TensorVariable) -> TensorVariable:
        """``x``, disturbed by standard normal ``noise``."""
        raise NotImplementedError

    def draw(self, name: str, size: Sequence) -> TensorVariable:
        return backend.normal(size, self.seeds.spawn(1)[0])


class GaussianNoise(NoiseLayer):
    """While training, adds normal noise of standard deviation ``sigma``.

    Raises:
        ConfigError: for a sigma below 0.
    """

    def __init__(self, sigma: float, name: str | None = None, seed: int | None = None):
        super().__init__(name, seed)
        if not isinstance(sigma, int | float) or sigma < 0:
            raise ConfigError.about("layer", "GaussianNoise", takes="a sigma of 0 or more",
                                    because="it is a standard deviation", got=repr(sigma),
                                    do="Say GaussianNoise(0.1), for example.")
        self.sigma = sigma
        self.draws = ("noise",) if sigma else ()

    def disturbed(self, x: TensorVariable, noise: TensorVariable) -> TensorVariable:
        return x + self.sigma * noise


class GaussianDropout(NoiseLayer):
    """While training, multiplies by normal values of mean 1 and standard deviation ``sqrt(p / (1 - p))``.

    Raises:
        ConfigError: unless 0 <= p < 1.

    Source: Srivastava et al., 2014.
    """

    def __init__(self, p: float, name: str | None = None, seed: int | None = None):
        super().__init__(name, seed)
        self.p = check_share("GaussianDropout", p, "the variance is p / (1 - p)")
        self.draws = ("noise",) if p else ()

    def disturbed(self, x: TensorVariable, noise: TensorVariable) -> TensorVariable:
        return x * (1 + float(np.sqrt(self.p / (1 - self.p))) * noise)


def seeds_of(seed: int | None) -> np.random.SeedSequence:
    """Where the draws of a layer get their seeds: from its own, or from numpy's global generator."""
    return np.random.SeedSequence(np.random.randint(2**31) if seed is None else seed)


def check_share(layer: str, p: object, because: str) -> float:
    """``p`` where it is a share below 1, else a ConfigError."""
    if isinstance(p, bool) or not isinstance(p, int | float | np.number) or not 0 <= p < 1:
        raise ConfigError.about("layer", layer, takes="a share p of 0 or more and below 1", because=because,
                                got=repr(p), do=f"Say {layer}(0.5), for example.")
    return float(p)
