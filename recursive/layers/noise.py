"""Noise while training: added, multiplied by, or in time.

What is drawn is drawn outside of loops and enters them as a sequence, as Dropout's is.
Source: ``keras.layers.noise`` of Keras 0.1, which had the first two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend.sizes import sizes
from recursive.draws import normal, uniform
from recursive.errors import ConfigError, ShapeError
from recursive.layers.layer import MaskedLayer
from recursive.layers.products import as_floats
from recursive.spec.shapes import Shape


class NoiseLayer(MaskedLayer):
    """The base of layers that draw standard normal values, of the shape of their input, while training."""

    rowwise = True
    draws = ("noise",)

    def __init__(self, name: str | None, seed: int | None):
        super().__init__(name, seed)
        self.seeds = seeds_of(seed)

    def call(
        self,
        x: TensorVariable,
        train: bool = False,
        noise: TensorVariable | None = None,
    ) -> TensorVariable:
        if not train or not self.draws:
            return x
        x = as_floats(x)
        if noise is None:
            noise = self.sample("noise", sizes(x))
        return self.disturbed(x, pt.as_tensor_variable(noise).astype(x.dtype))

    def disturbed(self, x: TensorVariable, noise: TensorVariable) -> TensorVariable:
        """``x``, disturbed by standard normal ``noise``."""
        raise NotImplementedError

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        return normal(size, self.seeds.spawn(1)[0])


class GaussianNoise(NoiseLayer):
    """While training, adds normal noise of standard deviation ``sigma``.

    Raises:
        ConfigError: for a sigma below 0, or that is not finite.
    """

    def __init__(self, sigma: float, name: str | None = None, seed: int | None = None):
        super().__init__(name, seed)
        if (
            isinstance(sigma, bool)
            or not isinstance(sigma, int | float | np.number)
            or not 0 <= sigma < np.inf
        ):
            raise ConfigError.about(
                "layer",
                "GaussianNoise",
                takes="a finite sigma of 0 or more",
                because="it is a standard deviation",
                got=repr(sigma),
                do="Say GaussianNoise(0.1), for example.",
            )
        self.sigma = float(sigma)
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


class Zoneout(MaskedLayer):
    """Noise in time: while training, keeps each value of the step before with probability ``p``.

    The ports are ``input``, the new values, and ``prev``, those of the step before, each ``(batch, dim)``; in a
    recurrent container ``prev`` may be left open, and reads the node itself. An old value is kept where ``keep < p``,
    for ``keep`` uniform in [0, 1), drawn for all steps before a loop. Else the output is what is to be expected:
    ``p * prev + (1 - p) * input``.

    Raises:
        ConfigError: unless 0 <= p < 1.
        ShapeError: for ports of different dims.

    Source: Krueger et al., 2016.

    >>> import numpy as np
    >>> values = {"input": np.array([[1.0, 2.0]]), "prev": np.array([[7.0, 8.0]])}
    >>> Zoneout(0.5)(values, train=True, keep=np.array([[0.1, 0.6]])).eval().tolist()
    [[7.0, 2.0]]
    """

    ports = ("input", "prev")
    own_past: Mapping[str, str] = MappingProxyType({"prev": "output"})
    rowwise = True

    def __init__(self, p: float, name: str | None = None, seed: int | None = None):
        super().__init__(name, seed)
        self.p = check_share("Zoneout", p, "something new must come in")
        self.draws = ("keep",) if p else ()
        self.seeds = seeds_of(seed)

    def call(
        self,
        x: Mapping[str, TensorVariable],
        train: bool = False,
        keep: TensorVariable | None = None,
    ) -> TensorVariable:
        new, old = as_floats(x["input"]), as_floats(x["prev"])
        if not train or not self.p:
            p = np.asarray(self.p, dtype=new.dtype)
            return p * old + (1 - p) * new
        if keep is None:
            keep = self.sample("keep", sizes(new))
        return pt.switch(pt.lt(keep, self.p), old, new)

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        return uniform(size, self.seeds.spawn(1)[0])

    def draw_shape(self, name: str, input_shape: Mapping[str, Shape]) -> Shape:
        return self.get_output_shape_for(input_shape)

    def get_output_shape_for(self, input_shape: Mapping[str, Shape]) -> Shape:
        new, old = (input_shape[port] for port in self.ports)
        if None not in (new[-1], old[-1]) and new[-1] != old[-1]:
            raise ShapeError.about(
                "layer",
                "Zoneout",
                takes="input and prev of one dim",
                because="one takes the place of the other, element by element",
                got=f"input {new}, prev {old}",
                do="Read the same node at an earlier step.",
            )
        return old if new[-1] is None else new


def seeds_of(seed: int | None) -> np.random.SeedSequence:
    """Where the draws of a layer get their seeds: from its own, or from numpy's global generator."""
    return np.random.SeedSequence(np.random.randint(2**31) if seed is None else seed)


def check_share(layer: str, p: object, because: str) -> float:
    """``p`` where it is a share below 1, else a ConfigError."""
    if (
        isinstance(p, bool)
        or not isinstance(p, int | float | np.number)
        or not 0 <= p < 1
    ):
        raise ConfigError.about(
            "layer",
            layer,
            takes="a share p of 0 or more and below 1",
            because=because,
            got=repr(p),
            do=f"Say {layer}(0.5), for example.",
        )
    return float(p)
