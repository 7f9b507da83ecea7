"""Noise while training: added, multiplied, or in time.

Like the draws of Dropout, noise is drawn outside loops and enters them as a sequence.
Source: ``keras.layers.noise`` of Keras 0.1, which had the first two layers.
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
    """The base of layers that draw standard normal noise while training.

    The noise has the shape of the input.
    """

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
        # Each call spawns another seed, so two uses of a layer draw different noise.
        return normal(size, self.seeds.spawn(1)[0])


class GaussianNoise(NoiseLayer):
    """A layer that adds normal noise while training: ``x + sigma * noise``.

    Raises:
        ConfigError: for a sigma that is negative or not finite.
    """

    def __init__(self, sigma: float, name: str | None = None, seed: int | None = None):
        super().__init__(name, seed)
        if not _is_number(sigma) or not 0 <= sigma < np.inf:
            raise ConfigError.about(
                "layer",
                "GaussianNoise",
                takes="a finite sigma of 0 or more",
                got=repr(sigma),
                do="Use GaussianNoise(0.1), for example.",
            )
        self.sigma = float(sigma)
        # Without noise nothing is drawn, so a loop takes no argument for it.
        self.draws = ("noise",) if sigma else ()

    def disturbed(self, x: TensorVariable, noise: TensorVariable) -> TensorVariable:
        return x + self.sigma * noise


class GaussianDropout(NoiseLayer):
    """A layer that multiplies by normal noise while training.

    The noise has mean 1 and standard deviation ``sqrt(p / (1 - p))``, which is that of
    the factors of a Dropout.

    Raises:
        ConfigError: unless 0 <= p < 1.

    Source: Srivastava et al., 2014.
    """

    def __init__(self, p: float, name: str | None = None, seed: int | None = None):
        super().__init__(name, seed)
        self.p = check_share("GaussianDropout", p)
        self.draws = ("noise",) if p else ()

    def disturbed(self, x: TensorVariable, noise: TensorVariable) -> TensorVariable:
        deviation = float(np.sqrt(self.p / (1 - self.p)))
        return x * (1 + deviation * noise)


class Zoneout(MaskedLayer):
    """Noise in time: a layer that keeps old values at random while training.

    ::

        y = prev where keep < p, else input        while training
        y = p * prev + (1 - p) * input             otherwise: the expected value

    The ports are ``input``, the new values, and ``prev``, those of the previous step,
    both ``(batch, dim)``. In a recurrent container ``prev`` may be left open; it then
    reads the node's own output. ``keep``, uniform in [0, 1), is drawn for all steps
    before a loop.

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
        self.p = check_share("Zoneout", p)
        self.draws = ("keep",) if p else ()
        self.seeds = seeds_of(seed)

    def call(
        self,
        x: Mapping[str, TensorVariable],
        train: bool = False,
        keep: TensorVariable | None = None,
    ) -> TensorVariable:
        new = as_floats(x["input"])
        old = as_floats(x["prev"])
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
        new = input_shape["input"]
        old = input_shape["prev"]
        if None not in (new[-1], old[-1]) and new[-1] != old[-1]:
            raise ShapeError.about(
                "layer",
                "Zoneout",
                takes="input and prev of one dim",
                got=f"input {new}, prev {old}",
                do="Read the same node at an earlier step.",
            )
        return old if new[-1] is None else new


def seeds_of(seed: int | None) -> np.random.SeedSequence:
    """The seeds of a layer's draws: from ``seed``, or from numpy's global generator."""
    if seed is None:
        seed = np.random.randint(2**31)
    return np.random.SeedSequence(seed)


def check_share(layer: str, p: object) -> float:
    """Return ``p``, or raise a ConfigError unless 0 <= p < 1."""
    if not _is_number(p) or not 0 <= p < 1:
        raise ConfigError.about(
            "layer",
            layer,
            takes="a fraction p of 0 or more and below 1",
            got=repr(p),
            do=f"Use {layer}(0.5), for example.",
        )
    return float(p)


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float | np.number)
    return is_number and not isinstance(value, bool)
