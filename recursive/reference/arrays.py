"""Arrays with masks, what a layer is given and what it returns, sums of gradients."""

# A *formula* computes one layer forwards and returns, next to the value, a function
# `back`. This page says what such a backward function is.
#
# Let `L` be a number that depends on everything: a loss, or the sum of all outputs
# times fixed weights. Write `dy` for the array of derivatives of `L` with respect to
# the entries of `y`; it has the shape of `y`. Forwards, a layer computes
# `y = f(x, W)`. Backwards, `back(dy)` returns `dx` and `dW`. It is linear in
# `dy`, and it still knows the arrays of the forward computation. For `y = x @ W + b`
# with `x` of `(batch, n)`:
#
#     dx = dy @ W.T
#     dW = x.T @ dy
#     db = dy.sum(axis=0)
#
# Three rules make every gradient of this package:
#
# 1. *Chain.* For `z = g(f(x))`, the gradient is `f_back(g_back(dz))`: the functions
#    backwards, the last one first.
# 2. *Sum.* If a value is read at two places, its gradient is the sum of what both
#    return (add, summed).
# 3. *Broadcast.* If an array is repeated along an axis, its gradient is summed over
#    that axis (unbroadcast).
#
# Integers and truth values have no gradient; `None` stands for it.
#
# Formulas run on complex numbers too. The tests use this: `f(x + ih).imag / h` is the
# derivative of `f` to full precision, and `back` must agree. This is why comparisons
# look at `x.real`.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from recursive.errors import DtypeError, WeightsError, suggest

Array = np.ndarray
Values = Array | dict[str, Array]
"""One array, or several by name."""


FLOAT = np.dtype("float64")


@dataclass(frozen=True)
class Value:
    """An array with its mask.

    Args:
        array: the numbers, batch first.
        mask: which entries along the leading axes are unmasked, as :mod:`masks` says;
            None if all are.
        is_context: True for an input that each step of a loop sees whole.
    """

    array: Array
    mask: Array | None = None
    is_context: bool = False


LayerInput = Value | dict[str, Value]
"""The input of a layer: one value, or several by port."""


def with_masks(x: Values | LayerInput) -> LayerInput:
    """``x``, with bare arrays as values without a mask."""
    if isinstance(x, Mapping):
        return {port: with_masks(value) for port, value in x.items()}
    return x if isinstance(x, Value) else Value(np.asarray(x))


def without_masks(x: LayerInput) -> Values:
    """The arrays of ``x``."""
    if isinstance(x, Mapping):
        return {port: value.array for port, value in x.items()}
    return x.array


def listed(values: object) -> list:
    """The values of a dict as a list; a single value as a list of one."""
    return list(values.values()) if isinstance(values, Mapping) else [values]


def one_or_all(values: dict[str, Array]) -> Values:
    """The value if there is one; else all of them by name."""
    return next(iter(values.values())) if len(values) == 1 else values


class LayerGradients(NamedTuple):
    """The gradients of a layer's input, of its parameters and of its initial states."""

    x: Values | None
    params: Mapping[str, Array] = {}
    states: Mapping[str, Array] = {}


@dataclass(frozen=True)
class LayerResult:
    """The output of a layer and its backward function.

    Args:
        value: the output, batch first; a dict by name if there are several.
        back: takes the gradient of ``value`` and returns those of its arguments.
        mask: the mask of the output; for several, a dict with those that have one.
        finals: the states after the last step, by name.
        updates: the new running means of the layer after this batch, by name.
    """

    value: Values
    back: Callable[[Values], LayerGradients]
    mask: Array | Mapping[str, Array] | None = None
    finals: Mapping[str, Array] = field(default_factory=dict)
    updates: Mapping[str, Array] = field(default_factory=dict)

    @property
    def masks(self) -> Mapping[str, Array]:
        """The masks of several outputs by name, for those that have one."""
        return {} if self.mask is None else self.mask

    @property
    def output(self) -> LayerInput:
        """The output with its mask, as the next layer reads it."""
        if not isinstance(self.value, Mapping):
            return Value(self.value, self.mask)
        masks = self.masks
        return {name: Value(y, masks.get(name)) for name, y in self.value.items()}


def function_of(
    y: Values, back_x: Callable[[Array], Values], mask: Array | None = None
) -> LayerResult:
    """The result of a layer without parameters; ``back_x`` takes ``dy`` to ``dx``."""
    return LayerResult(y, lambda dy: LayerGradients(back_x(dy)), mask)


@dataclass(frozen=True)
class GraphResult(LayerResult):
    """The outputs of a container by name, and every value of every node."""

    nodes: Mapping[str, Array] = field(default_factory=dict)


class Params(dict):
    """Parameters by name. A missing one raises a WeightsError."""

    def __missing__(self, name: str) -> Array:
        raise WeightsError.about(
            "parameter",
            name,
            takes="an array",
            got="none",
            do=suggest(name, self) + " Layers that share weights are named in shared=.",
        )


@dataclass(frozen=True)
class Scope:
    """Everything that a layer is given besides its input, each by name.

    The scope of a container holds the arrays of all layers inside: ``rec.W`` is the
    parameter ``W`` of the node ``rec``, and :meth:`child` makes the scope of that node.

    Args:
        params: the weights.
        draws: the random numbers; this package draws none itself.
        states: the states to continue from.
        mask: which steps of a loop are unmasked, ``(batch, time)``, in addition to the
            masks of its inputs; None if all are.
        train: turns noise on.
        dtype: the dtype of floats.
        in_loop: True for a node of a loop, which hands a stateful container its states.
        place: the node as errors name it, ``outer.inner.layer_0``; empty at the top.
        shared: the places of layers that occur again, each with the first place.
    """

    params: Params
    draws: Mapping[str, Array] = field(default_factory=dict)
    states: Mapping[str, Array] = field(default_factory=dict)
    mask: Array | None = None
    train: bool = False
    dtype: np.dtype = FLOAT
    in_loop: bool = False
    place: str = ""
    shared: Mapping[str, str] = field(default_factory=dict)

    def child(self, part: str) -> Scope:
        """The scope of the layer called ``part``."""
        return self.replace(
            params=Params(unprefixed(self.params, part)),
            draws=unprefixed(self.draws, part),
            states=unprefixed(self.states, part),
            mask=None,
            in_loop=False,
            place=f"{self.place}.{part}" if self.place else part,
        )

    def replace(self, **changes: object) -> Scope:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def floats(self, x: Array) -> Array:
        """``x``, with integers and truth values cast to floats."""
        return x if is_float(x) else x.astype(self.dtype)


def unprefixed(values: Mapping[str, Array], part: str) -> dict[str, Array]:
    """The values called ``part.<name>``, by ``<name>``.

    >>> unprefixed({"rec.W": 1, "rec.b": 2, "out.W": 3}, "rec")
    {'W': 1, 'b': 2}
    """
    found = {}
    for name, value in values.items():
        if name.startswith(part + "."):
            found[name.removeprefix(part + ".")] = value
    return found


def prefixed(values: Mapping[str, Array], part: str) -> dict[str, Array]:
    """The values of the layer called ``part``, as ``part.<name>``.

    >>> prefixed({"W": 1}, "rec")
    {'rec.W': 1}
    """
    return {f"{part}.{name}": value for name, value in values.items()}


def collected(parts: Mapping[str, object], field_name: str) -> dict[str, Array]:
    """One field of all parts, such as ``params``, as one dict by ``part.<name>``."""
    found = {}
    for name, part in parts.items():
        found |= prefixed(getattr(part, field_name), name)
    return found


def present(values: Iterable) -> list:
    """The values that are not None."""
    return [value for value in values if value is not None]


def add(total: dict[str, Array], name: str, d: Array | None) -> None:
    """Add the gradient ``d`` to ``total[name]``; None adds nothing."""
    if d is not None:
        total[name] = total[name] + d if name in total else d


def summed(*parts: Mapping[str, Array | None]) -> dict[str, Array]:
    """The sum of gradients, name by name.

    >>> summed({"W": 1, "b": 2}, {"W": 10, "x": None})
    {'W': 11, 'b': 2}
    """
    total: dict[str, Array] = {}
    for part in parts:
        for name, d in part.items():
            add(total, name, d)
    return total


def zeros_like(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Zeros for each array, by name."""
    return {name: np.zeros_like(value) for name, value in arrays.items()}


def unbroadcast(d: Array, x: Array) -> Array:
    """The gradient of ``x`` from ``d``, that of ``x`` broadcast to the shape of ``d``.

    >>> unbroadcast(np.ones((3, 6)), np.ones((3, 1))).shape
    (3, 1)
    """
    d = d.sum(axis=tuple(range(d.ndim - x.ndim)))
    repeated = []
    for axis, length in enumerate(x.shape):
        if length == 1 and d.shape[axis] != 1:
            repeated.append(axis)
    return d.sum(axis=tuple(repeated), keepdims=True)


def truth(kind: str, name: str, x: Array) -> Array:
    """Return ``x``, an array of truth values; raise a DtypeError for any other."""
    if x.dtype != bool:
        raise DtypeError.about(
            kind,
            name,
            takes="truth values",
            got=x.dtype,
            do="Declare the input that it comes from with dtype='bool'.",
        )
    return x


def is_float(x: Array) -> bool:
    """True if there is a gradient with respect to ``x``."""
    return np.issubdtype(x.dtype, np.inexact)
