"""What every formula here is written with: sums of gradients by name, and the types that go from layer to layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from recursive.errors import WeightsError, nearest

Array = np.ndarray
Values = Array | dict[str, Array]
"""One array, or several by name."""


FLOAT = np.dtype("float64")


class Pulled(NamedTuple):
    """What the gradient of a layer's output becomes: that of its input, its parameters, and the states it began with.

    None stands for the gradient of whole numbers and truth values, which have none.
    """

    x: Values | None
    params: Mapping[str, Array] = {}
    states: Mapping[str, Array] = {}


@dataclass(frozen=True)
class Computed:
    """What a layer returns, and the way back.

    Args:
        value: the output, batch first; a dict by name where there are several.
        back: from the gradient of a loss with respect to ``value`` to that with respect to all that it was made of.
        mask: which steps of the output are data, ``(batch, time)``; None where all are.
        finals: the states after the last step, by name.
        updates: what the layer keeps beside its parameters, as it is after this batch.
    """

    value: Values
    back: Callable[[Values], Pulled]
    mask: Array | None = None
    finals: Mapping[str, Array] = field(default_factory=dict)
    updates: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Whole:
    """What a container makes: its outputs by name and the way back, every value of every node, masks of outputs."""

    computed: Computed
    values: Mapping[str, Array]
    masks: Mapping[str, Array]


class Params(dict):
    """Parameters by name; one that is missing is asked for in words."""

    def __missing__(self, name: str) -> Array:
        raise WeightsError.about(
            "parameter",
            name,
            takes="an array",
            because="a layer computes with it",
            got="none",
            do=nearest(name, self) + " Layers that share weights are named in shared=.",
        )


@dataclass(frozen=True)
class Given:
    """What a layer is given beside its input, each by name; what its parts are given is called ``part.name``.

    Args:
        params: the weights.
        draws: the random numbers of this run, which come from outside.
        states: what states start from where they do not start anew.
        mask: which steps of the input are data, ``(batch, time)``; None where all are.
        train: turns noise on.
        dtype: the type of floats.
        in_loop: whether the layer is a node of a loop, to which a stateful container hands its states.
    """

    params: Params
    draws: Mapping[str, Array] = field(default_factory=dict)
    states: Mapping[str, Array] = field(default_factory=dict)
    mask: Array | None = None
    train: bool = False
    dtype: np.dtype = FLOAT
    in_loop: bool = False

    def inside(self, part: str) -> Given:
        """What the part called ``part`` is given, without a mask."""
        return replace(
            self,
            params=Params(inside(self.params, part)),
            draws=inside(self.draws, part),
            states=inside(self.states, part),
            mask=None,
            in_loop=False,
        )

    def replace(self, **changes: object) -> Given:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def floats(self, x: Array) -> Array:
        """``x``, whole numbers and truth values as floats."""
        return x if np.issubdtype(x.dtype, np.inexact) else x.astype(self.dtype)


def inside(values: Mapping[str, Array], part: str) -> dict[str, Array]:
    """The values that are called ``part.<name>``, by ``name``.

    >>> inside({"rec.W": 1, "rec.b": 2, "out.W": 3}, "rec")
    {'W': 1, 'b': 2}
    """
    return {
        name[len(part) + 1 :]: value
        for name, value in values.items()
        if name.startswith(part + ".")
    }


def outside(values: Mapping[str, Array], part: str) -> dict[str, Array]:
    """``values`` of the part called ``part``, as ``part.<name>``.

    >>> outside({"W": 1}, "rec")
    {'rec.W': 1}
    """
    return {f"{part}.{name}": value for name, value in values.items()}


def summed(*parts: Mapping[str, Array | None]) -> dict[str, Array]:
    """The sum of gradients, name by name.

    >>> summed({"W": 1, "b": 2}, {"W": 10, "x": None})
    {'W': 11, 'b': 2}
    """
    total: dict[str, Array] = {}
    for part in parts:
        for name, value in part.items():
            if value is not None:
                total[name] = total[name] + value if name in total else value
    return total


def like(d: Array, x: Array) -> Array:
    """The gradient of ``x``, which was stretched to the shape of ``d``: summed over what it was stretched along.

    >>> like(np.ones((3, 6)), np.ones((3, 1))).shape
    (3, 1)
    """
    d = d.sum(axis=tuple(range(d.ndim - x.ndim)))
    stretched = tuple(
        axis for axis in range(x.ndim) if x.shape[axis] == 1 and d.shape[axis] != 1
    )
    return d.sum(axis=stretched, keepdims=True)


def is_float(x: Array) -> bool:
    """Whether there is a gradient with respect to ``x``."""
    return np.issubdtype(x.dtype, np.inexact)


def one_or_all(values: dict[str, Array]) -> Values:
    """The value, where there is one; else all of them by name."""
    return next(iter(values.values())) if len(values) == 1 else values
