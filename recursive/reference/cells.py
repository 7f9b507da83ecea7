"""One step of each recurrent layer: its equations, and beside them how the gradient goes back through the step.

A gradient is a dict by name: ``x`` of the input, ``h`` or ``c`` of a state of the step before, else of a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from recursive.reference.activations import activate
from recursive.reference.arrays import Array, Computed, Given, Params, Pulled, summed
from recursive.reference.table import layer

Config = Mapping[str, object]
States = tuple[Array, ...]
Back = Callable[[Array], dict[str, Array]]
Step = Callable[
    [Params, Config, Array, States], tuple[States, Callable[..., dict[str, Array]]]
]
"""From parameters, configuration, input and states to the new states, and the way back from their gradients."""

LETTERS = {"x": "W", "h": "U"}
"""What multiplies the input, and the state of the step before."""


def gate(p: Params, name: str, function: object, **reads: Array) -> tuple[Array, Back]:
    """``function(x @ W + h @ U + b)``, of what it reads: ``x``, ``h`` or both."""
    weights = {read: p[LETTERS[read] + name] for read in reads}
    z = sum(value @ weights[read] for read, value in reads.items()) + p[f"b{name}"]
    y, function_back = activate(function, z)

    def back(d: Array) -> dict[str, Array]:
        d = function_back(d)
        found = {read: d @ W.T for read, W in weights.items()}
        found |= {LETTERS[read] + name: value.T @ d for read, value in reads.items()}
        return found | {f"b{name}": d.sum(axis=0)}

    return y, back


def simple(p: Params, config: Config, x: Array, states: States) -> tuple[States, Back]:
    """``h = f(x W + h U + b)``."""
    [h] = states
    y, back = gate(p, "", config["activation"], x=x, h=h)
    return (y,), back


def gru(p: Params, config: Config, x: Array, states: States) -> tuple[States, Back]:
    """``z = g(x W_z + h U_z + b_z)``, r likewise; ``new = f(x W_h + (r h) U_h + b_h)``; ``h = z h + (1 - z) new``."""
    [h], f, g = states, config["activation"], config["inner_activation"]
    z, z_back = gate(p, "_z", g, x=x, h=h)
    r, r_back = gate(p, "_r", g, x=x, h=h)
    new, new_back = gate(p, "_h", f, x=x, h=r * h)

    def back(d: Array) -> dict[str, Array]:
        of_new = new_back(d * (1 - z))
        d_reset = of_new.pop("h")
        return summed(
            of_new,
            r_back(d_reset * h),
            z_back(d * (h - new)),
            {"h": d * z + d_reset * r},
        )

    return (z * h + (1 - z) * new,), back


def lstm(
    p: Params, config: Config, x: Array, states: States
) -> tuple[States, Callable]:
    """``i, f, o = g(x W + h U + b)``, each its own; ``c = f c + i a(x W_c + h U_c + b_c)``; ``h = o a(c)``."""
    (h, old), g = states, config["inner_activation"]
    (i, i_back), (f, f_back), (o, o_back) = (
        gate(p, name, g, x=x, h=h) for name in ("_i", "_f", "_o")
    )
    new, new_back = gate(p, "_c", config["activation"], x=x, h=h)
    c = f * old + i * new
    shown, shown_back = activate(config["activation"], c)

    def back(d: Array, d_c: Array) -> dict[str, Array]:
        d_c = d_c + shown_back(d * o)
        return summed(
            o_back(d * shown),
            i_back(d_c * new),
            f_back(d_c * old),
            new_back(d_c * i),
            {"c": d_c * f},
        )

    return (o * shown, c), back


def deep(
    p: Params, config: Config, x: Array, states: States
) -> tuple[States, Callable]:
    """``h = f(x W + b + sum over k of there_k g(h_k U_k))``: ``depth`` steps back, those that there were."""
    depth = config["depth"]
    past, there = states[:depth], states[depth:]
    inner = [
        activate(config["inner_activation"], h @ p[f"U{k}"])
        for k, h in enumerate(past, 1)
    ]
    z = (
        x @ p["W"]
        + p["b"]
        + sum(was * value for was, (value, _) in zip(there, inner, strict=True))
    )
    y, y_back = activate(config["activation"], z)

    def back(d: Array, *d_moved: Array) -> dict[str, Array]:
        d = y_back(d)
        found = {"x": d @ p["W"].T, "W": x.T @ d, "b": d.sum(axis=0)}
        for k, (h, was, (value, inner_back)) in enumerate(
            zip(past, there, inner, strict=True), 1
        ):
            d_inner = inner_back(d * was)
            found |= {
                f"h{k}": d_inner @ p[f"U{k}"].T,
                f"U{k}": h.T @ d_inner,
                f"there{k}": (d * value).sum(axis=-1, keepdims=True),
            }
        moved = {f"h{k}": value for k, value in enumerate(d_moved[: depth - 1], 1)} | {
            f"there{k}": value for k, value in enumerate(d_moved[depth:], 1)
        }
        return summed(found, moved)

    return (y, *past[:-1], np.ones_like(there[0]), *there[:-1]), back


def _mixed(
    p: Params,
    config: Config,
    z: tuple[Array, Back],
    r: tuple[Array, Back],
    h: Array,
    propose: Callable[[Array], tuple[Array, Back]],
) -> tuple[States, Back]:
    """``h = z new + (1 - z) h``, where ``new`` reads ``r h``: what the three layers of Jozefowicz have in common."""
    (z, z_back), (r, r_back) = z, r
    new, new_back = propose(r * h)

    def back(d: Array) -> dict[str, Array]:
        of_new = new_back(d * z)
        d_reset = of_new.pop("h")
        return summed(
            of_new,
            r_back(d_reset * h),
            z_back(d * (new - h)),
            {"h": d * (1 - z) + d_reset * r},
        )

    return (z * new + (1 - z) * h,), back


def jzs1(p: Params, config: Config, x: Array, states: States) -> tuple[States, Back]:
    """MUT1: z reads ``x`` alone; ``new = f(tanh(x P) + (r h) U_h + b_h)``, with a fixed ``P``."""
    [h], f, g, P = (
        states,
        config["activation"],
        config["inner_activation"],
        fixed_projection(p, config),
    )
    shown, tanh_back = activate("tanh", x @ P)
    identity = Params(p | {"W_h": np.identity(P.shape[1], P.dtype)})

    def propose(reset: Array) -> tuple[Array, Back]:
        new, new_back = gate(identity, "_h", f, x=shown, h=reset)

        def back(d: Array) -> dict[str, Array]:
            found = new_back(d)
            del found["W_h"]
            return found | {"x": tanh_back(found["x"]) @ P.T}

        return new, back

    return _mixed(
        p, config, gate(p, "_z", g, x=x), gate(p, "_r", g, x=x, h=h), h, propose
    )


def jzs2(p: Params, config: Config, x: Array, states: States) -> tuple[States, Back]:
    """MUT2: ``r = g(x P + h U_r + b_r)``, with a fixed ``P``; ``new = f(x W_h + (r h) U_h + b_h)``."""
    [h], f, g = states, config["activation"], config["inner_activation"]
    r, r_back = gate(
        Params(p | {"W_r": fixed_projection(p, config)}), "_r", g, x=x, h=h
    )

    def without_weights(d: Array) -> dict[str, Array]:
        return {name: value for name, value in r_back(d).items() if name != "W_r"}

    return _mixed(
        p,
        config,
        gate(p, "_z", g, x=x, h=h),
        (r, without_weights),
        h,
        lambda reset: gate(p, "_h", f, x=x, h=reset),
    )


def jzs3(p: Params, config: Config, x: Array, states: States) -> tuple[States, Back]:
    """MUT3: ``z = g(x W_z + tanh(h) U_z + b_z)``; ``new = f(x W_h + (r h) U_h + b_h)``."""
    [h], f, g = states, config["activation"], config["inner_activation"]
    shown, tanh_back = activate("tanh", h)
    z, z_back = gate(p, "_z", g, x=x, h=shown)

    def through_tanh(d: Array) -> dict[str, Array]:
        found = z_back(d)
        return found | {"h": tanh_back(found["h"])}

    return _mixed(
        p,
        config,
        (z, through_tanh),
        gate(p, "_r", g, x=x, h=h),
        h,
        lambda reset: gate(p, "_h", f, x=x, h=reset),
    )


def fixed_projection(p: Params, config: Config) -> Array:
    """The ``P`` of JZS1 and JZS2, which is not learned: the identity where dims are equal, else signs drawn from the
    layer's seed (0 where it has none), times ``1 / sqrt(input_dim)``."""
    rows, columns, dtype = (
        config["input_dim"],
        config["output_dim"],
        next(iter(p.values())).dtype,
    )
    if rows == columns:
        return np.identity(rows, dtype)
    signs = (
        2
        * np.random.RandomState(config.get("seed") or 0).binomial(
            1, 0.5, (rows, columns)
        )
        - 1
    )
    return (signs / np.sqrt(rows)).astype(dtype)


# As nodes: a step whose states are ports


def cell(
    step: Step, defaults: Config, ports: Mapping[str, str]
) -> Callable[[Config, Mapping, Given], Computed]:
    """The layer that is one ``step``; ``ports`` says which state each port after the input is."""

    def formula(config: Config, x: Mapping[str, Array], given: Given) -> Computed:
        return as_node(
            step, {**defaults, **config}, ports, ("output", "cell"), x, given
        )

    return formula


def as_node(
    step: Step,
    config: Config,
    ports: Mapping[str, str],
    outputs: Sequence[str],
    x: Mapping[str, Array],
    given: Given,
) -> Computed:
    """One ``step`` of what the ports read, and its way back; ``outputs`` names the states."""
    states, back = step(
        given.params,
        config,
        given.floats(x["input"]),
        tuple(x[port] for port in ports),
    )

    def ports_back(d: Array | dict[str, Array]) -> Pulled:
        found = back(*(d.values() if isinstance(d, Mapping) else [d]))
        return Pulled(
            {
                "input": found.pop("x"),
                **{port: found.pop(state) for port, state in ports.items()},
            },
            found,
        )

    return Computed(
        states[0] if len(states) == 1 else dict(zip(outputs, states, strict=True)),
        ports_back,
    )


GATED = {"activation": "sigmoid", "inner_activation": "hard_sigmoid"}
SEARCHED = {"activation": "tanh", "inner_activation": "sigmoid"}
ONE = {"prev_hid": "h"}

layer("RecurrentDense")(cell(simple, {"activation": "sigmoid"}, ONE))
layer("Gate")(cell(simple, {"activation": "hard_sigmoid"}, ONE))
layer("RecurrentGRU")(cell(gru, GATED, ONE))
layer("RecurrentLSTM")(
    cell(
        lstm,
        {**GATED, "activation": "tanh"},
        {"prev_hid": "h", "prev_cell": "c"},
    )
)
layer("RecurrentJZS1")(cell(jzs1, SEARCHED, ONE))
layer("RecurrentJZS2")(cell(jzs2, SEARCHED, ONE))
layer("RecurrentJZS3")(cell(jzs3, SEARCHED, ONE))


@layer("RecurrentDeep")
def deep_node(config: Config, x: Mapping[str, Array], given: Given) -> Computed:
    """Its ports and outputs follow from its depth: the states, the first of which is the output."""
    config = {"depth": 3, **GATED, **config}
    back = range(1, config["depth"] + 1)
    states = [*(f"h{k}" for k in back), *(f"there{k}" for k in back)]
    ports = {"prev_hid": "h1", **{f"prev_{name}": name for name in states[1:]}}
    return as_node(deep, config, ports, ("output", *states[1:]), x, given)
