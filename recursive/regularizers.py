"""Regularizers: penalties on parameters and on outputs of layers, added to the loss.

As in Keras 0.1, a regularizer is a function from a loss to a loss. It is bound to a
parameter or a layer before it is used.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive.errors import ConfigError
from recursive.utils import registry
from recursive.utils.arguments import coefficient


class Regularizer:
    """The base class, which adds nothing."""

    def set_param(self, p: SharedVariable) -> None:
        """Penalize the parameter ``p``."""
        self.p = p

    def set_layer(self, layer: object) -> None:
        """Penalize the output of ``layer``."""
        self.layer = layer

    def on(self, p: SharedVariable) -> Regularizer:
        """Return a copy bound to the parameter ``p``."""
        return on(self, p)

    def on_activity_of(self, layer: object) -> Regularizer:
        """Return a copy bound to the output of ``layer``."""
        return on_activity_of(self, layer)

    def __call__(self, loss: TensorVariable) -> TensorVariable:
        return loss

    def get_config(self) -> dict[str, object]:
        """Return the class name, as ``name``, and the arguments of the regularizer."""
        return {"name": type(self).__name__}


class WeightRegularizer(Regularizer):
    """``loss + l1 * sum(|p|) + l2 * sum(p**2)``, for a parameter ``p``."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        self.l1 = coefficient("WeightRegularizer", "l1", l1)
        self.l2 = coefficient("WeightRegularizer", "l2", l2)

    def __call__(self, loss: TensorVariable) -> TensorVariable:
        return loss + self.l1 * abs(self.p).sum() + self.l2 * (self.p**2).sum()

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {"l1": self.l1, "l2": self.l2}


class ActivityRegularizer(Regularizer):
    """``loss + sum(l1 * mean(|y|) + l2 * mean(y**2))``, for a layer's output ``y``.

    The means are over the rows of a batch. A layer that is used twice in a model is
    penalized for both of its outputs.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        self.l1 = coefficient("ActivityRegularizer", "l1", l1)
        self.l2 = coefficient("ActivityRegularizer", "l2", l2)

    def penalty(self, y: TensorVariable) -> TensorVariable:
        """Return what an output ``y`` of the layer adds to the loss."""
        return self.l1 * abs(y).mean(axis=0).sum() + self.l2 * (y**2).mean(axis=0).sum()

    def __call__(self, loss: TensorVariable) -> TensorVariable:
        return loss + self.penalty(self.layer.get_output(True))

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {"l1": self.l1, "l2": self.l2}


# Binding


def on(regularizer: Regularizer, p: SharedVariable) -> Regularizer:
    """A copy of ``regularizer`` bound to the parameter ``p``; one may serve several."""
    # Keras 0.1 bound the object itself, so only its last layer was penalized.
    bound = copy.copy(regularizer)
    bound.set_param(p)
    return bound


def on_activity_of(regularizer: Regularizer, layer: object) -> Regularizer:
    """A copy of ``regularizer`` bound to the output of ``layer``."""
    bound = copy.copy(regularizer)
    bound.set_layer(layer)
    # Training tells a penalty on an output by this attribute.
    bound.layer = layer
    return bound


def check_binds(name: str, regularizer: Regularizer | None) -> None:
    """Raise a ConfigError unless a regularizer can be bound.

    Args:
        name: the argument, ``activity_regularizer`` or that of a parameter.
        regularizer: any object, or None.
    """
    method = "set_layer" if name == "activity_regularizer" else "set_param"
    if regularizer is not None and not hasattr(regularizer, method):
        raise ConfigError.about(
            "argument",
            name,
            takes=f"an object with {method} that maps a loss to a loss",
            got=repr(regularizer),
            do="Pass regularizers.l2(0.01), for example, or a subclass of Regularizer.",
        )


identity = Regularizer
"""The name of :class:`Regularizer` in Keras 0.1."""


# By name


def l1(l: float = 0.01) -> WeightRegularizer:  # noqa: E741 (Keras 0.1's name)
    """``l * sum(|p|)``."""
    return WeightRegularizer(l1=l)


def l2(l: float = 0.01) -> WeightRegularizer:  # noqa: E741
    """``l * sum(p**2)``."""
    return WeightRegularizer(l2=l)


def l1l2(l1: float = 0.01, l2: float = 0.01) -> WeightRegularizer:
    """``l1 * sum(|p|) + l2 * sum(p**2)``."""
    return WeightRegularizer(l1=l1, l2=l2)


def activity_l1(l: float = 0.01) -> ActivityRegularizer:  # noqa: E741
    """``l * sum(mean(|y|))``."""
    return ActivityRegularizer(l1=l)


def activity_l2(l: float = 0.01) -> ActivityRegularizer:  # noqa: E741
    """``l * sum(mean(y**2))``."""
    return ActivityRegularizer(l2=l)


def activity_l1l2(l1: float = 0.01, l2: float = 0.01) -> ActivityRegularizer:
    """``sum(l1 * mean(|y|) + l2 * mean(y**2))``."""
    return ActivityRegularizer(l1=l1, l2=l2)


REGULARIZERS = {
    maker.__name__: maker
    for maker in (
        l1,
        l2,
        l1l2,
        activity_l1,
        activity_l2,
        activity_l1l2,
        Regularizer,
        WeightRegularizer,
        ActivityRegularizer,
    )
}
"""The functions and classes that create a regularizer, by name."""
REGULARIZERS["identity"] = identity


def get(
    identifier: str | Regularizer | Mapping[str, object] | None,
    kwargs: Mapping[str, object] | None = None,
) -> Regularizer | None:
    """Return a regularizer by its name or configuration.

    Args:
        identifier: a name, a dict in the form of ``get_config()``, or an object with
            the methods of a Regularizer or None, which is returned.
        kwargs: arguments that go with a name.

    Raises:
        UnknownNameError: for an unknown name.

    >>> get("l2").get_config()
    {'name': 'WeightRegularizer', 'l1': 0.0, 'l2': 0.01}
    >>> get({"name": "WeightRegularizer", "l1": 0.5}).l1
    0.5
    """
    return registry.instance(
        "regularizer", identifier, REGULARIZERS, Regularizer, kwargs
    )
