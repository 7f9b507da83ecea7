"""One step of each recurrent layer: its equations, forwards and backwards.

Throughout, ``x`` is the input of the step, ``(batch, input_dim)``, ``h`` the state
before it, ``(batch, output_dim)``, ``f`` the activation and ``g`` the inner activation.
A product of two states is element by element; ``x W`` is a matrix product. ``dh`` is
the gradient of ``h``.

The gradients of a step are a dict by name: ``x`` for the input, ``h`` or ``c`` for a
state before the step, and the names of parameters. Where equations read one value at
several places, :func:`~recursive.reference.arrays.summed` adds up its gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recursive.reference.activations import activate
from recursive.reference.arrays import (
    Array,
    LayerGradients,
    LayerResult,
    Params,
    listed,
    one_or_all,
    summed,
)
from recursive.reference.table import Config, Formula, layer

States = tuple[Array, ...]
Found = dict[str, Array]
"""Gradients by name."""
Gate = tuple[Array, Callable[[Array], Found]]
"""A value, and its backward function."""
Step = Callable[[Params, Config, Array, States], tuple[States, Callable[..., Found]]]
"""From parameters, configuration, input and states to the new states.

The backward function takes one gradient per new state.
"""


def gate(
    p: Params,
    name: str,
    function: object,
    *,
    x: Array | None = None,
    h: Array | None = None,
    plus: Array | None = None,
) -> Gate:
    """``y = function(plus + x W + h U + b)``, of the terms that are given.

    A cell without biases has no ``b``.

    Backwards: ``dz = function'(z) dy``, ``dx = dz W^T``, ``dW = x^T dz``,
    ``dh = dz U^T``, ``dU = h^T dz``, ``db`` is the sum of ``dz`` over rows.
    """
    W, U, b = "W" + name, "U" + name, "b" + name
    z = 0
    if plus is not None:
        z = z + plus
    if x is not None:
        z = z + x @ p[W]
    if h is not None:
        z = z + h @ p[U]
    if b in p:
        z = z + p[b]
    y, function_back = activate(function, z)

    def back(dy):
        dz = function_back(dy)
        found = {}
        if b in p:
            found[b] = dz.sum(axis=0)
        if plus is not None:
            found["plus"] = dz
        if x is not None:
            found |= {"x": dz @ p[W].T, W: x.T @ dz}
        if h is not None:
            found |= {"h": dz @ p[U].T, U: h.T @ dz}
        return found

    return y, back


def simple(p, config, x, states):
    """``h' = f(x W + h U + b)``."""
    [h] = states
    y, back = gate(p, "", config["activation"], x=x, h=h)
    return (y,), back


def gru(p, config, x, states):
    """The gated recurrent unit (Cho et al. 2014, arXiv:1406.1078).

    ``z = g(x W_z + h U_z + b_z)``
    ``r = g(x W_r + h U_r + b_r)``
    ``n = f(x W_h + (r h) U_h + b_h)``
    ``h' = z h + (1 - z) n``
    """
    [h] = states
    f, g = config["activation"], config["inner_activation"]
    z, z_back = gate(p, "_z", g, x=x, h=h)
    r, r_back = gate(p, "_r", g, x=x, h=h)
    n, n_back = gate(p, "_h", f, x=x, h=r * h)

    def back(dy):
        # h' = z h + (1 - z) n
        of_n = n_back(dy * (1 - z))
        d_rh = of_n.pop("h")
        # The gate n reads the product r h: each factor gets d_rh times the other.
        of_r = r_back(d_rh * h)
        of_z = z_back(dy * (h - n))
        dh = dy * z + d_rh * r
        return summed(of_n, of_r, of_z, {"h": dh})

    return (z * h + (1 - z) * n,), back


def lstm(p, config, x, states):
    """Long short-term memory (Hochreiter and Schmidhuber 1997), with a forget gate.

    ``i = g(x W_i + h U_i + b_i)``, the gates ``f`` and ``o`` likewise
    ``n = a(x W_c + h U_c + b_c)``
    ``c' = f c + i n``
    ``h' = o a(c')``
    """
    h, c = states
    a, g = config["activation"], config["inner_activation"]
    i, i_back = gate(p, "_i", g, x=x, h=h)
    f, f_back = gate(p, "_f", g, x=x, h=h)
    o, o_back = gate(p, "_o", g, x=x, h=h)
    n, n_back = gate(p, "_c", a, x=x, h=h)
    new_c = f * c + i * n
    ac, ac_back = activate(a, new_c)

    def back(dy, dc):
        # The new cell is read by h' and by the step after this one.
        # h' = o a(c')
        dc = dc + ac_back(dy * o)
        of_o = o_back(dy * ac)
        # c' = f c + i n
        of_i = i_back(dc * n)
        of_f = f_back(dc * c)
        of_n = n_back(dc * i)
        # Each of the four gates has a gradient of x and of h: summed adds them up.
        return summed(of_o, of_i, of_f, of_n, {"c": dc * f})

    return (o * ac, new_c), back


def deep(p, config, x, states):
    """``h' = f(x W + b + sum over k of there_k g(h_k U_k))``, for k up to ``depth``.

    The states are ``h_k``, the output of k steps before, then ``there_k`` of
    ``(batch, 1)``: 1 if there was such a step, else 0. Each step moves all of them on
    by one place.
    """
    depth = config["depth"]
    past, there = states[:depth], states[depth:]
    inner = []
    recurrent = 0
    for k in range(depth):
        y, y_back = activate(config["inner_activation"], past[k] @ p[f"U{k + 1}"])
        inner.append((y, y_back))
        recurrent = recurrent + there[k] * y
    z = x @ p["W"] + p["b"] + recurrent
    new_h, f_back = activate(config["activation"], z)

    def back(dy, *d_moved):
        dz = f_back(dy)
        found = {"x": dz @ p["W"].T, "W": x.T @ dz, "b": dz.sum(axis=0)}
        for k in range(depth):
            y, y_back = inner[k]
            # z reads there_k y, and y = g(h_k U_k).
            d_inner = y_back(dz * there[k])
            found[f"h{k + 1}"] = d_inner @ p[f"U{k + 1}"].T
            found[f"U{k + 1}"] = past[k].T @ d_inner
            found[f"there{k + 1}"] = (dz * y).sum(axis=-1, keepdims=True)
        # h_k is also the new h_(k+1). The new there_1 is the constant 1.
        d_past, d_there = d_moved[: depth - 1], d_moved[depth:]
        moved = {}
        for k in range(depth - 1):
            moved[f"h{k + 1}"] = d_past[k]
            moved[f"there{k + 1}"] = d_there[k]
        return summed(found, moved)

    return (new_h, *past[:-1], np.ones_like(there[0]), *there[:-1]), back


def jzs1(p, config, x, states):
    """MUT1 (Jozefowicz, Zaremba and Sutskever 2015), with a fixed matrix ``P``.

    ``z = g(x W_z + b_z)``
    ``r = g(x W_r + h U_r + b_r)``
    ``n = f(tanh(x P) + (r h) U_h + b_h)``
    ``h' = z n + (1 - z) h``
    """
    [h] = states
    f, g = config["activation"], config["inner_activation"]
    P = fixed_projection(p, config)
    u, tanh_back = activate("tanh", x @ P)
    z = gate(p, "_z", g, x=x)
    r = gate(p, "_r", g, x=x, h=h)
    n, plus_back = gate(p, "_h", f, plus=u, h=r[0] * h)

    def n_back(dn):
        # u = tanh(x P), and P is not learned.
        found = plus_back(dn)
        found["x"] = tanh_back(found.pop("plus")) @ P.T
        return found

    return mutated(h, z, r, (n, n_back))


def jzs2(p, config, x, states):
    """MUT2 of the same paper, with a fixed matrix ``P``.

    ``z = g(x W_z + h U_z + b_z)``
    ``r = g(x P + h U_r + b_r)``
    ``n = f(x W_h + (r h) U_h + b_h)``
    ``h' = z n + (1 - z) h``
    """
    [h] = states
    f, g = config["activation"], config["inner_activation"]
    P = fixed_projection(p, config)
    z = gate(p, "_z", g, x=x, h=h)
    r, plus_back = gate(p, "_r", g, plus=x @ P, h=h)
    n = gate(p, "_h", f, x=x, h=r * h)

    def r_back(dr):
        # plus = x P, and P is not learned.
        found = plus_back(dr)
        found["x"] = found.pop("plus") @ P.T
        return found

    return mutated(h, z, (r, r_back), n)


def jzs3(p, config, x, states):
    """MUT3 of the same paper.

    ``z = g(x W_z + tanh(h) U_z + b_z)``
    ``r = g(x W_r + h U_r + b_r)``
    ``n = f(x W_h + (r h) U_h + b_h)``
    ``h' = z n + (1 - z) h``
    """
    [h] = states
    f, g = config["activation"], config["inner_activation"]
    u, tanh_back = activate("tanh", h)
    z, u_back = gate(p, "_z", g, x=x, h=u)
    r = gate(p, "_r", g, x=x, h=h)
    n = gate(p, "_h", f, x=x, h=r[0] * h)

    def z_back(dz):
        # z reads u = tanh(h) in place of h.
        found = u_back(dz)
        found["h"] = tanh_back(found["h"])
        return found

    return mutated(h, (z, z_back), r, n)


def mutated(h: Array, z: Gate, r: Gate, n: Gate) -> tuple[States, Callable[..., Found]]:
    """``h' = z n + (1 - z) h``, where ``n`` reads ``r h``: the end of JZS1 to 3."""
    z, z_back = z
    r, r_back = r
    n, n_back = n

    def back(dy):
        # h' = z n + (1 - z) h
        of_n = n_back(dy * z)
        d_rh = of_n.pop("h")
        of_r = r_back(d_rh * h)
        of_z = z_back(dy * (n - h))
        dh = dy * (1 - z) + d_rh * r
        return summed(of_n, of_r, of_z, {"h": dh})

    return (z * n + (1 - z) * h,), back


def fixed_projection(p: Params, config: Config) -> Array:
    """The matrix ``P`` of JZS1 and JZS2, which is not learned.

    It has the shape ``(input_dim, output_dim)``. It is the identity if both dims are
    equal. Else it has random signs, drawn with the layer's seed (0 if it has none),
    times ``1 / sqrt(input_dim)``.
    """
    rows, columns = config["input_dim"], config["output_dim"]
    dtype = next(iter(p.values())).dtype
    if rows == columns:
        return np.identity(rows, dtype)
    rng = np.random.RandomState(config.get("seed") or 0)
    signs = 2 * rng.binomial(1, 0.5, (rows, columns)) - 1
    return (signs / np.sqrt(rows)).astype(dtype)


@dataclass(frozen=True)
class Cell:
    """A step, its default configuration and the names of its states.

    The first state is the output.
    """

    step: Step
    defaults: Config
    states: tuple[str, ...] = ("h",)

    def state_names(self, config: Config) -> tuple[str, ...]:
        """The names of the states."""
        return self.states

    def state_dim(self, state: str, config: Config) -> int:
        """The dim of a state."""
        return config["output_dim"]

    def is_forgotten(self, state: str) -> bool:
        """True for a state that a masked step sets to zero, in mask mode ``zero``."""
        return True


class DeepCell(Cell):
    """The cell of :func:`deep`, whose states follow from its depth."""

    def state_names(self, config: Config) -> tuple[str, ...]:
        """``h1, ..., there1, ...``."""
        names = []
        for kind in ("h", "there"):
            for k in range(1, config["depth"] + 1):
                names.append(f"{kind}{k}")
        return tuple(names)

    def state_dim(self, state: str, config: Config) -> int:
        """1 for the flags, which are ``(batch, 1)``."""
        return 1 if state.startswith("there") else config["output_dim"]

    def is_forgotten(self, state: str) -> bool:
        """True for ``there1`` alone: a masked step counts as no step."""
        return state == "there1"


GATED = {"activation": "sigmoid", "inner_activation": "hard_sigmoid"}
SEARCHED = {"activation": "tanh", "inner_activation": "sigmoid"}

CELLS = {
    "RecurrentDense": Cell(simple, {"activation": "sigmoid"}),
    "Gate": Cell(simple, {"activation": "hard_sigmoid"}),
    "RecurrentDeep": DeepCell(deep, {**GATED, "depth": 3}),
    "RecurrentGRU": Cell(gru, GATED),
    "RecurrentLSTM": Cell(lstm, {**GATED, "activation": "tanh"}, ("h", "c")),
    "RecurrentJZS1": Cell(jzs1, SEARCHED),
    "RecurrentJZS2": Cell(jzs2, SEARCHED),
    "RecurrentJZS3": Cell(jzs3, SEARCHED),
}
"""Every cell by its class name."""

PORTS = {"h": "prev_hid", "h1": "prev_hid", "c": "prev_cell"}
"""The ports that read states; any other state is read at ``prev_<state>``."""


def as_layer(cell: Cell) -> Formula:
    """The formula of a cell as a node: one step, with a port for each state."""

    def formula(config, x, scope):
        config = {**cell.defaults, **config}
        names = cell.state_names(config)
        ports = {name: PORTS.get(name, f"prev_{name}") for name in names}
        states = tuple(x[port] for port in ports.values())
        new, step_back = cell.step(
            scope.params, config, scope.floats(x["input"]), states
        )

        def back(d):
            # The step names gradients by state and parameter; ports have other names.
            found = step_back(*listed(d))
            d_x = {"input": found.pop("x")}
            for name, port in ports.items():
                d_x[port] = found.pop(name)
            return LayerGradients(d_x, found)

        return LayerResult(one_or_all(dict(zip(names, new, strict=True))), back)

    return formula


for name, cell in CELLS.items():
    layer(name)(as_layer(cell))
