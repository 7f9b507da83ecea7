"""The equations of one step of each network, which all peers share.

``p`` holds parameters by name; weights that read the same value are side by side, as one writes it by hand. ``given``
is what the step needs of the input: it can be computed inside the loop or before it. The container's networks are
declared in ``networks`` and share nothing with this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tests.bench import random_graph
from tests.bench.contestants import Sizes

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ops:
    """The operations of a library; ``concat`` joins a list along the last axis."""

    tanh: Callable
    sigmoid: Callable
    concat: Callable


@dataclass(frozen=True, slots=True)
class Equations:
    """``step(ops, p, given, past)`` returns the new states; ``output`` is the index of one.

    ``given(p, x)`` is a tuple of what the input ``(..., input_dim)`` gives. All states start as zeros.
    """

    states: int
    output: int
    given: Callable[[Params, Any], tuple]
    step: Callable[[Ops, Params, tuple, tuple], tuple]


def _affine(p: Params, x: Any) -> tuple:
    return (x @ p["W"] + p["b"],)


def _vanilla(ops: Ops, p: Params, given: tuple, past: tuple) -> tuple:
    (z,), (h,) = given, past
    return (ops.tanh(z + h @ p["U"]),)


def _lstm(dim: int, ops: Ops, p: Params, given: tuple, past: tuple) -> tuple:
    (z,), (h, c) = given, past
    i, f, g, o = _parts(z + h @ p["U"], dim, 4)
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
    return ops.sigmoid(o) * ops.tanh(c), c


def _gru(dim: int, ops: Ops, p: Params, given: tuple, past: tuple) -> tuple:
    (a,), (h,) = given, past
    z, r = _parts(ops.sigmoid(a[..., : 2 * dim] + h @ p["U"][:, : 2 * dim]), dim, 2)
    candidate = ops.tanh(a[..., 2 * dim :] + (r * h) @ p["U"][:, 2 * dim :])
    return (z * h + (1 - z) * candidate,)


def _gru_after(dim: int, ops: Ops, p: Params, given: tuple, past: tuple) -> tuple:
    (a,), (h,) = given, past
    u = h @ p["U"]
    z, r = _parts(ops.sigmoid(a[..., : 2 * dim] + u[..., : 2 * dim]), dim, 2)
    candidate = ops.tanh(a[..., 2 * dim :] + r * (u[..., 2 * dim :] + p["b_inner"]))
    return (z * h + (1 - z) * candidate,)


def _feedback_given(p: Params, x: Any) -> tuple:
    return x, x @ p["up1.W"] + p["up1.b"]


def _feedback(layers: int, ops: Ops, p: Params, given: tuple, past: tuple) -> tuple:
    """Chung et al., 2015: the gate of layer i to layer j is one value a row, ``sigmoid([below, past] w)``."""
    x, up = given
    below, states = x, []
    for j in range(1, layers + 1):
        up = up if j == 1 else below @ p[f"up{j}.W"] + p[f"up{j}.b"]
        seen = ops.concat([below, *past])
        gates = [ops.sigmoid(seen @ p[f"gate{i}to{j}.W"]) for i in range(1, layers + 1)]
        fed = [
            gate * (h @ p[f"back{i}to{j}.W"])
            for i, (gate, h) in enumerate(zip(gates, past, strict=True), start=1)
        ]
        below = ops.tanh(sum(fed, up))
        states.append(below)
    return tuple(states)


def _random(
    nodes: list[random_graph.RandomNode], ops: Ops, p: Params, given: tuple, past: tuple
) -> tuple:
    names = random_graph.remembered(nodes)
    values = {
        "x": given[0],
        **{f"{name}_tm1": value for name, value in zip(names, past, strict=True)},
    }
    for node in nodes:
        read = [values[name] for name in node.reads]
        if node.has_weights:
            z = ops.concat(read) @ p[f"{node.name}.W"] + p[f"{node.name}.b"]
            values[node.name] = ops.tanh(z) if node.kind == "tanh" else ops.sigmoid(z)
        else:
            values[node.name] = (
                read[0] * read[1] if node.kind == "mul" else read[0] + read[1]
            )
    return tuple(values[name] for name in names)


def _parts(z: Any, dim: int, count: int) -> list:
    return [z[..., place * dim : (place + 1) * dim] for place in range(count)]


def of(network: str, sizes: Sizes) -> Equations:
    """The equations of the network called ``network``."""
    dim, layers = sizes.dim, 3
    if network == "random":
        nodes = random_graph.draw(sizes.nodes)
        states = len(random_graph.remembered(nodes))
        return Equations(states, states - 1, lambda p, x: (x,), partial(_random, nodes))
    return {
        "vanilla": Equations(1, 0, _affine, _vanilla),
        "lstm": Equations(2, 0, _affine, partial(_lstm, dim)),
        "gru": Equations(1, 0, _affine, partial(_gru, dim)),
        "gru-after": Equations(1, 0, _affine, partial(_gru_after, dim)),
        "feedback": Equations(
            layers, layers - 1, _feedback_given, partial(_feedback, layers)
        ),
    }[network]


SIDE_BY_SIDE = {
    "vanilla": {"W": ("i2h.W",), "U": ("h2h.W",), "b": ("i2h.b",)},
    "lstm": {
        letter: tuple(f"{gate}.{letter}" for gate in ("i", "f", "candidate", "o"))
        for letter in "WUb"
    },
    "gru": {
        letter: tuple(f"{gate}.{letter}" for gate in ("z", "r", "candidate"))
        for letter in "WUb"
    },
    "gru-after": {
        **{
            letter: (f"z.{letter}", f"r.{letter}", f"{node}.{end}")
            for letter, node, end in (
                ("W", "i2c", "W"),
                ("U", "h2c", "W"),
                ("b", "i2c", "b"),
            )
        },
        "b_inner": ("h2c.b",),
    },
}
"""By network, the container's parameters that each parameter of the equations joins."""


def packed(network: str, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The container's parameters as the equations name them."""
    if network not in SIDE_BY_SIDE:
        return dict(weights)
    return {
        name: np.concatenate([weights[part] for part in parts], axis=-1)
        for name, parts in SIDE_BY_SIDE[network].items()
    }


def unpacked(network: str, params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The other way."""
    if network not in SIDE_BY_SIDE:
        return dict(params)
    return {
        part: value
        for name, parts in SIDE_BY_SIDE[network].items()
        for part, value in zip(
            parts, np.split(params[name], len(parts), axis=-1), strict=True
        )
    }
