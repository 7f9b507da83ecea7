"""The optimizers of Keras 0.1, each the rule of its paper: a parameter, its gradient, and what is remembered of both.

``t`` counts the steps before this one. What is remembered is zeros at first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from recursive.errors import ConfigError, UnknownNameError, suggest
from recursive.reference.arrays import Array

Memory = dict[str, Array]
Rule = Callable[..., tuple[Array, Memory]]


def sgd(
    p: Array,
    g: Array,
    old: Memory,
    t: int,
    lr: float = 0.01,
    momentum: float = 0.0,
    decay: float = 0.0,
    nesterov: bool = False,
) -> tuple[Array, Memory]:
    """``v = momentum v - lr / (1 + decay t) g``, ``p += v``; Nesterov looks ahead by one ``momentum v``."""
    descent = lr / (1 + decay * t) * g
    v = momentum * old["velocity"] - descent
    return p + (momentum * v - descent if nesterov else v), {"velocity": v}


def rmsprop(
    p: Array,
    g: Array,
    old: Memory,
    t: int,
    lr: float = 0.001,
    rho: float = 0.9,
    epsilon: float = 1e-6,
) -> tuple[Array, Memory]:
    """``a = rho a + (1 - rho) g**2``, ``p -= lr g / sqrt(a + epsilon)``."""
    a = rho * old["squares"] + (1 - rho) * g**2
    return p - lr * g / np.sqrt(a + epsilon), {"squares": a}


def adagrad(
    p: Array, g: Array, old: Memory, t: int, lr: float = 0.01, epsilon: float = 1e-6
) -> tuple[Array, Memory]:
    """``a += g**2``, ``p -= lr g / sqrt(a + epsilon)``."""
    a = old["squares"] + g**2
    return p - lr * g / np.sqrt(a + epsilon), {"squares": a}


def adadelta(
    p: Array,
    g: Array,
    old: Memory,
    t: int,
    lr: float = 1.0,
    rho: float = 0.95,
    epsilon: float = 1e-6,
) -> tuple[Array, Memory]:
    """``u = g sqrt(d + epsilon) / sqrt(a + epsilon)``, ``p -= lr u``; means ``a`` of ``g**2``, ``d`` of ``u**2``."""
    a = rho * old["squares"] + (1 - rho) * g**2
    u = g * np.sqrt(old["deltas"] + epsilon) / np.sqrt(a + epsilon)
    return p - lr * u, {"squares": a, "deltas": rho * old["deltas"] + (1 - rho) * u**2}


def adam(
    p: Array,
    g: Array,
    old: Memory,
    t: int,
    lr: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Array, Memory]:
    """``p -= rate m / (sqrt(v) + epsilon)``, means of ``g`` and ``g**2``, the rate corrected for their start."""
    m = beta_1 * old["mean"] + (1 - beta_1) * g
    v = beta_2 * old["squares"] + (1 - beta_2) * g**2
    rate = lr * float(np.sqrt(1 - beta_2 ** (t + 1))) / (1 - beta_1 ** (t + 1))
    return p - rate * m / (np.sqrt(v) + epsilon), {"mean": m, "squares": v}


RULES: dict[str, tuple[Rule, tuple[str, ...]]] = {
    "sgd": (sgd, ("velocity",)),
    "rmsprop": (rmsprop, ("squares",)),
    "adagrad": (adagrad, ("squares",)),
    "adadelta": (adadelta, ("squares", "deltas")),
    "adam": (adam, ("mean", "squares")),
}
"""Every optimizer by its name in small letters, and what it remembers."""


class Optimizer:
    """An optimizer and its memory, from its configuration: a name, or a dict with ``name`` and settings.

    Raises:
        UnknownNameError: for an unknown name.
        ConfigError: for settings that it has not.

    >>> step = Optimizer({"name": "SGD", "lr": 0.1})
    >>> step({"W": np.array([1.0])}, {"W": np.array([2.0])})["W"].tolist()
    [0.8]
    """

    def __init__(self, config: str | Mapping[str, object]):
        settings = {"name": config} if isinstance(config, str) else dict(config)
        name = str(settings.pop("name", None)).lower()
        if name not in RULES:
            raise UnknownNameError.about(
                "optimizer",
                name,
                takes="a known name",
                because="its rule is looked up",
                got=repr(config),
                do=suggest(name, RULES),
            )
        self.rule, self.remembers = RULES[name]
        self.clipnorm, self.settings = settings.pop("clipnorm", 0.0), settings
        known = self.rule.__code__.co_varnames[4 : self.rule.__code__.co_argcount]
        for key in settings:
            if key not in known:
                raise ConfigError.about(
                    "optimizer",
                    name,
                    takes=f"the settings {', '.join(known)}",
                    because="its rule has these",
                    got=repr(key),
                    do=suggest(str(key), known),
                )
        self.memory: dict[str, Memory] = {}
        self.t = 0

    def __call__(
        self, params: Mapping[str, Array], gradients: Mapping[str, Array]
    ) -> dict[str, Array]:
        """The parameters after one step."""
        gradients, found = self._clipped(gradients), {}
        for name, p in params.items():
            old = self.memory.get(name) or dict.fromkeys(
                self.remembers, np.zeros_like(p)
            )
            found[name], self.memory[name] = self.rule(
                p, gradients[name], old, self.t, **self.settings
            )
        self.t += 1
        return found

    def _clipped(self, gradients: Mapping[str, Array]) -> Mapping[str, Array]:
        """Scaled down so that the norm over all gradients together is at most ``clipnorm``, where that is above 0."""
        norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
        if not self.clipnorm or norm < self.clipnorm:
            return gradients
        return {
            name: g * (self.clipnorm / norm).astype(g.dtype)
            for name, g in gradients.items()
        }
