"""What every formula here is written with: sums of gradients by name, and the types that go from layer to layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from recursive.errors import WeightsError, suggest

Array = np.ndarray
Values = Array | dict[str, Array]
"""One array, or several by name."""


FLOAT = np.dtype("float64")


@dataclass(frozen=True)
class Value:
    """An array with its mask.

    Args:
        array: the numbers, batch first.
        mask: which entries along the leading axes are data, as :mod:`masks` says; None where all are.
        is_context: True for what a loop hands to every step whole.
    """

    array: Array
    mask: Array | None = None
    is_context: bool = False


Read = Value | dict[str, Value]
"""What a layer reads: one value, or several by port."""


def values_of(x: Values | Read) -> Read:
    """``x``, where bare arrays become values without a mask."""
    if isinstance(x, Mapping):
        return {port: values_of(value) for port, value in x.items()}
    return x if isinstance(x, Value) else Value(np.asarray(x))


def arrays_of(x: Read) -> Values:
    """The arrays alone."""
    if isinstance(x, Mapping):
        return {port: value.array for port, value in x.items()}
    return x.array


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
        mask: the mask of the output; where there are several, a dict by name of those that have one.
        finals: the states after the last step, by name.
        updates: what the layer keeps beside its parameters, as it is after this batch.
    """

    value: Values
    back: Callable[[Values], Pulled]
    mask: Array | Mapping[str, Array] | None = None
    finals: Mapping[str, Array] = field(default_factory=dict)
    updates: Mapping[str, Array] = field(default_factory=dict)

    @property
    def masks(self) -> Mapping[str, Array]:
        """The masks of several outputs by name, those that have one."""
        return {} if self.mask is None else self.mask

    @property
    def output(self) -> Read:
        """The output with its mask, as the next layer reads it."""
        if isinstance(self.value, Mapping):
            return {
                name: Value(array, self.masks.get(name))
                for name, array in self.value.items()
            }
        return Value(self.value, self.mask)


@dataclass(frozen=True)
class Whole:
    """What a container makes: its outputs and their masks by name, the way back, and every value of every node."""

    computed: Computed
    values: Mapping[str, Array]


class Params(dict):
    """Parameters by name; one that is missing is asked for in words."""

    def __missing__(self, name: str) -> Array:
        raise WeightsError.about(
            "parameter",
            name,
            takes="an array",
            because="a layer computes with it",
            got="none",
            do=suggest(name, self) + " Layers that share weights are named in shared=.",
        )


@dataclass(frozen=True)
class Given:
    """What a layer is given beside its input, each by name; what its parts are given is called ``part.name``.

    Args:
        params: the weights.
        draws: the random numbers of this run, which come from outside.
        states: what states start from where they do not start anew.
        mask: which steps of a loop are data, ``(batch, time)``, beside the masks of its inputs; None where all are.
        train: turns noise on.
        dtype: the type of floats.
        in_loop: True for a node of a loop, to which a stateful container hands its states.
        place: the node, as errors name it: ``outer.inner.layer_0``; empty for the whole.
    """

    params: Params
    draws: Mapping[str, Array] = field(default_factory=dict)
    states: Mapping[str, Array] = field(default_factory=dict)
    mask: Array | None = None
    train: bool = False
    dtype: np.dtype = FLOAT
    in_loop: bool = False
    place: str = ""

    def inside(self, part: str) -> Given:
        """What the part called ``part`` is given."""
        return replace(
            self,
            params=Params(inside(self.params, part)),
            draws=inside(self.draws, part),
            states=inside(self.states, part),
            mask=None,
            in_loop=False,
            place=f"{self.place}.{part}" if self.place else part,
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
