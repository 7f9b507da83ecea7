"""The optimizers of Keras 0.1, each the rule of its paper.

A rule takes a parameter ``p``, its gradient ``g``, its memory ``old`` by name, the
number ``t`` of steps before this one, and settings. It returns the new parameter and
memory. All memory is zero at first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

import numpy as np

from recursive.errors import ConfigError, suggest
from recursive.reference.arrays import Array
from recursive.reference.table import look_up

Memory = dict[str, Array]
Rule = Callable[..., tuple[Array, Memory]]


def sgd(p, g, old, t, lr=0.01, momentum=0.0, decay=0.0, nesterov=False):
    """``s = lr / (1 + decay t) g``, ``v = momentum v - s``, ``p = p + v``.

    With Nesterov momentum, ``p = p + momentum v - s``, of the new ``v``.
    """
    s = lr / (1 + decay * t) * g
    v = momentum * old["velocity"] - s
    return p + (momentum * v - s if nesterov else v), {"velocity": v}


def rmsprop(p, g, old, t, lr=0.001, rho=0.9, epsilon=1e-6):
    """``a = rho a + (1 - rho) g**2``, ``p = p - lr g / sqrt(a + epsilon)``."""
    a = rho * old["squares"] + (1 - rho) * g**2
    return p - lr * g / np.sqrt(a + epsilon), {"squares": a}


def adagrad(p, g, old, t, lr=0.01, epsilon=1e-6):
    """``a = a + g**2``, ``p = p - lr g / sqrt(a + epsilon)``."""
    a = old["squares"] + g**2
    return p - lr * g / np.sqrt(a + epsilon), {"squares": a}


def adadelta(p, g, old, t, lr=1.0, rho=0.95, epsilon=1e-6):
    """``u = g sqrt(d + epsilon) / sqrt(a + epsilon)``, ``p = p - lr u``.

    ``a = rho a + (1 - rho) g**2`` is taken before, ``d = rho d + (1 - rho) u**2``
    after.
    """
    a = rho * old["squares"] + (1 - rho) * g**2
    u = g * np.sqrt(old["deltas"] + epsilon) / np.sqrt(a + epsilon)
    d = rho * old["deltas"] + (1 - rho) * u**2
    return p - lr * u, {"squares": a, "deltas": d}


def adam(p, g, old, t, lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """``p = p - rate m / (sqrt(v) + epsilon)`` (Kingma and Ba 2014, arXiv:1412.6980).

    ``m = beta_1 m + (1 - beta_1) g``, ``v = beta_2 v + (1 - beta_2) g**2``,
    ``rate = lr sqrt(1 - beta_2**(t+1)) / (1 - beta_1**(t+1))``.
    """
    m = beta_1 * old["mean"] + (1 - beta_1) * g
    v = beta_2 * old["squares"] + (1 - beta_2) * g**2
    # m and v start at zero: the rate makes up for it.
    rate = lr * float(np.sqrt(1 - beta_2 ** (t + 1))) / (1 - beta_1 ** (t + 1))
    return p - rate * m / (np.sqrt(v) + epsilon), {"mean": m, "squares": v}


RULES: dict[str, tuple[Rule, tuple[str, ...]]] = {
    "sgd": (sgd, ("velocity",)),
    "rmsprop": (rmsprop, ("squares",)),
    "adagrad": (adagrad, ("squares",)),
    "adadelta": (adadelta, ("squares", "deltas")),
    "adam": (adam, ("mean", "squares")),
}
"""Every optimizer by its name in lower case, and the names in its memory."""


class Optimizer:
    """An optimizer with its memory.

    Args:
        config: a name, or a dict with ``name`` and settings.

    Raises:
        UnknownNameError: for an unknown name.
        ConfigError: for an unknown setting.

    >>> step = Optimizer({"name": "SGD", "lr": 0.1})
    >>> step({"W": np.array([1.0])}, {"W": np.array([2.0])})["W"].tolist()
    [0.8]
    """

    def __init__(self, config: str | Mapping[str, object]):
        self.settings = {"name": config} if isinstance(config, str) else dict(config)
        name = str(self.settings.pop("name", None)).lower()
        self.rule, self.remembers = look_up("optimizer", name, RULES)
        self.clipnorm = self.settings.pop("clipnorm", 0.0)
        self.memory: dict[str, Memory] = {}
        self.t = 0
        # The arguments after p, g, old and t.
        known = list(inspect.signature(self.rule).parameters)[4:]
        for key in self.settings:
            if key not in known:
                raise ConfigError.about(
                    "optimizer",
                    name,
                    takes=f"the settings {', '.join(known)}",
                    got=repr(key),
                    do=suggest(str(key), known),
                )

    def __call__(
        self, params: Mapping[str, Array], gradients: Mapping[str, Array]
    ) -> dict[str, Array]:
        """The parameters after one step."""
        gradients = self._clipped(gradients)
        moved = {}
        for name, p in params.items():
            zeros = dict.fromkeys(self.remembers, np.zeros_like(p))
            old = self.memory.get(name, zeros)
            moved[name], self.memory[name] = self.rule(
                p, gradients[name], old, self.t, **self.settings
            )
        self.t += 1
        return moved

    def _clipped(self, gradients: Mapping[str, Array]) -> Mapping[str, Array]:
        """The gradients, scaled to a norm of at most ``clipnorm``.

        It is the norm over all gradients together. A ``clipnorm`` of 0 scales nothing.
        """
        norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
        if not self.clipnorm or norm < self.clipnorm:
            return gradients
        scale = self.clipnorm / norm
        return {name: g * scale.astype(g.dtype) for name, g in gradients.items()}
