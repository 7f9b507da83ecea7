"""What a declaration means, for ports in Python: its names, the order of its nodes, its layers, and one step.

Layers and merges are written by operators and by what array libraries call alike, so that a port says how its loop runs
and how it is differentiated, and no more. It knows the format, and nothing else of this package.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce
from operator import and_, mul
from types import ModuleType
from typing import Any

Spec = Mapping[str, Any]
Array = Any
Arrays = Mapping[Any, Array]


# What layers compute, of parameters, activations and what the ports read


def gate(p: Arrays, name: str, f: Callable, x: Array, h: Array) -> Array:
    """``f(x W + h U + b)``."""
    return f(x @ p[f"W{name}"] + h @ p[f"U{name}"] + p[f"b{name}"])


def gru(p: Arrays, f: Callable, inner: Callable, x: Array, h: Array) -> list[Array]:
    """The GRU of Keras 0.1: ``z`` keeps the old."""
    z, r = gate(p, "_z", inner, x, h), gate(p, "_r", inner, x, h)
    return [z * h + (1 - z) * gate(p, "_h", f, x, r * h)]


def lstm(
    p: Arrays, f: Callable, inner: Callable, x: Array, h: Array, c: Array
) -> list[Array]:
    """The LSTM, which hands out its cell too."""
    i, forget, o = (gate(p, name, inner, x, h) for name in ("_i", "_f", "_o"))
    c = forget * c + i * gate(p, "_c", f, x, h)
    return [o * f(c), c]


LAYERS = {
    "Identity": lambda p, f, inner, x: [x],
    "Activation": lambda p, f, inner, x: [f(x)],
    "Dense": lambda p, f, inner, x: [f(x @ p["W"] + p.get("b", 0))],
    "RecurrentDense": lambda p, f, inner, x, h: [gate(p, "", f, x, h)],
    "Gate": lambda p, f, inner, x, h: [gate(p, "", f, x, h)],
    "RecurrentGRU": gru,
    "RecurrentLSTM": lstm,
    "Blend": lambda p, f, inner, share, old, new: [share * old + (1 - share) * new],
}
PORTS = ("input", "prev_hid", "prev_cell", "gate", "old", "new")
"""The order in which a layer takes what its ports read."""
ACTIVATIONS = {
    "RecurrentDense": "sigmoid",
    "Gate": "hard_sigmoid",
    "RecurrentGRU": "sigmoid",
    "RecurrentLSTM": "tanh",
}
"""Those of cells where none is said."""
MERGES = {
    "concat": lambda xp, v: xp.concatenate(v, axis=-1),
    "sum": lambda xp, v: sum(v),
    "mul": lambda xp, v: reduce(mul, v),
    "ave": lambda xp, v: sum(v) / len(v),
    "max": lambda xp, v: reduce(lambda a, b: xp.where(b > a, b, a), v),
    "dot": lambda xp, v: (v[0] * v[1]).sum(-1, keepdims=True),
}
"""Every merge; of two that are equal the first has the gradient of ``max``."""


def functions(xp: ModuleType) -> dict[str, Callable]:
    """The activations that are alike in every library: all but sigmoid and softmax."""

    def hard_sigmoid(z: Array) -> Array:
        """Its slope is 0.2 at both ends too, as in 2015."""
        line = 0.2 * z + 0.5
        return xp.where(
            (line >= 0) & (line <= 1),
            line,
            xp.where(line > 1, xp.ones_like(z), xp.zeros_like(z)),
        )

    return {
        "linear": lambda z: z,
        "tanh": xp.tanh,
        "relu": lambda z: (z + abs(z)) / 2,
        "hard_sigmoid": hard_sigmoid,
        "softplus": lambda z: xp.logaddexp(z, xp.zeros_like(z)),
    }


# What names mean


def values_of(node: Spec) -> list[str]:
    """The names of a node's values.

    >>> values_of({"name": "lstm", "outputs": ["output", "cell"]})
    ['lstm', 'lstm.cell']
    """
    return [
        node["name"]
        if name == "output"
        else name
        if "." in name
        else f"{node['name']}.{name}"
        for name in node["outputs"] or ["output"]
    ]


class Names:
    """Which past each name means, how far back it is looked to, and the order in which nodes run."""

    def __init__(self, spec: Spec):
        self.spec = spec
        self.sequences = [
            item["name"] for item in spec["inputs"] if item["is_sequence"]
        ]
        self.node_of = {
            value: node for node in spec["nodes"] for value in values_of(node)
        }
        self.states = {state["name"]: state for state in spec["states"]}
        last = spec["nodes"][-1]
        self.outputs = spec["outputs"] or [
            {"name": last["name"], "read": values_of(last)[:1], "merge_mode": "sum"}
        ]
        ports = [port for node in spec["nodes"] for port in node["ports"].values()]
        reads = [
            self.meaning(text)
            for port in (*ports, *self.outputs)
            for text in port["read"]
        ]
        for name, back in reads:
            if (
                back and name in self.node_of and name not in self.states
            ):  # a past that no state remembers
                self.states[name] = {"name": name, "input": name, "initial": 0.0}
        self.lag = dict.fromkeys(self.states, 1)
        for name, back in reads:
            if back:
                self.lag[name] = max(back, self.lag.get(name, 1))
        self.ordered: list[Spec] = []
        while len(self.ordered) < len(spec["nodes"]):
            self.ordered.append(
                next(node for node in spec["nodes"] if self._is_ready(node))
            )

    def meaning(self, text: str) -> tuple[str, int]:
        """A name, and how many steps back: a state bare is one, and the past of a node is that of its state."""
        name, back = re.fullmatch(r"(.+?)(?:_tm(\d+))?", text).groups(default=0)
        if name in self.states and (back or name not in self.node_of):
            return name, int(back or 1)
        remembers = next(
            (state["name"] for state in self.states.values() if state["input"] == name),
            name,
        )
        return (remembers if back else name), int(back)

    def _is_ready(self, node: Spec) -> bool:
        reads = [
            self.meaning(text)
            for port in node["ports"].values()
            for text in port["read"]
        ]
        waits = [
            name
            for name, back in reads
            if not back and self.node_of.get(name) not in (None, *self.ordered)
        ]
        return node not in self.ordered and not waits

    def width(
        self, name: str, known: Mapping[str, int], seen: tuple[str, ...] = ()
    ) -> int:
        """Values a row; 0 where it is not known, in a circle."""
        if name in known or name in seen:
            return known.get(name, 0)
        if name not in self.node_of:
            return self.width(self.states[name]["input"], known, (*seen, name))
        node, found = self.node_of[name], []
        for port in node["ports"].values():
            widths = [
                self.width(self.meaning(text)[0], known, (*seen, name))
                for text in port["read"]
            ]
            found.append(
                {"concat": sum(widths), "dot": 1}.get(port["merge_mode"], max(widths))
            )
        return node["layer"]["config"].get("output_dim") or max(found)

    def goes_on(self, name: str) -> bool:
        """Whether a state goes on to the next batch."""
        said = self.states[name].get("stateful")
        return self.spec["stateful"] if said is None else said

    def first_with_gradient(self, length: int) -> int:
        """The step from which on a truncated gradient counts."""
        k = self.spec["truncate_gradient"]
        return 0 if k == -1 else max(0, length - k)


# How it runs


class Walk(Names):
    """A declaration, run by the arrays of a library.

    What is looked back to is ``past[name]`` of ``(lag, batch, dim)``, oldest first; what a step finds has the names
    ``("node", name)`` and ``("output", name)``.

    Args:
        xp: the library's module of arrays, ``torch`` or ``jax.numpy``.
        stop: its function that lets a value through, and no gradient.
        own: its sigmoid and softmax.
    """

    def __init__(self, spec: Spec, xp: ModuleType, stop: Callable, **own: Callable):
        super().__init__(spec)
        self.xp, self.stop, self.functions = xp, stop, {**functions(xp), **own}

    def turned(self, value: Array) -> Array:
        """``(batch, time, ...)`` in the order in which the loop runs."""
        return self.xp.flip(value, (1,)) if self.spec["go_backwards"] else value

    def valid(self, inputs: Arrays, mask: Array | None) -> Array | None:
        """Which steps are data, ``(batch, time)``; None where all are."""
        masks = [
            value != 0
            for value in (mask, inputs.get(self.spec["mask"]))
            if value is not None
        ]
        return reduce(and_, masks) if masks else None

    def length(self, inputs: Arrays) -> int:
        """How many steps there are."""
        return self.spec["n_steps"] or inputs[self.sequences[0]].shape[1]

    def first_past(
        self, params: Arrays, inputs: Arrays, states: Arrays
    ) -> dict[str, Array]:
        """What every state starts from, and the zeros before every input that is looked back to."""
        starts = {
            name: self._start(state, params, inputs, states)
            for name, state in self.states.items()
        }
        known = {
            name: value.shape[-1]
            for name, value in {**inputs, **starts}.items()
            if value.ndim
        }
        known |= {
            name: state["dim"]
            for name, state in self.states.items()
            if state.get("dim")
        }
        rows = len(next(iter(inputs.values()))) if inputs else 1
        past = {
            name: self.xp.broadcast_to(
                value, (self.lag[name], rows, self.width(name, known))
            )
            for name, value in starts.items()
        }
        return past | {
            name: self.xp.stack(
                [self.xp.zeros_like(inputs[name][:, 0])] * self.lag[name]
            )
            for name in self.sequences
            if name in self.lag
        }

    def _start(
        self, state: Spec, params: Arrays, inputs: Arrays, states: Arrays
    ) -> Array:
        """What stretches to ``(lag, batch, dim)``. A drawn start that is not given is zeros, as it is at rest."""
        name, initial = state["name"], state["initial"]
        if name in states or initial == "learned":
            return states[name] if name in states else params[f"{name}.initial"]
        if isinstance(initial, str) and initial != "drawn":
            return (
                inputs[initial].swapaxes(0, 1)
                if inputs[initial].ndim == 3
                else inputs[initial]
            )
        floats = next((value.dtype for value in params.values()), self.xp.float64)
        numbers = self.xp.asarray(0.0 if initial == "drawn" else initial, dtype=floats)
        return numbers[:, None] if numbers.ndim == 2 else numbers

    def step(
        self, params: Arrays, past: Arrays, now: Arrays
    ) -> dict[tuple[str, str], Array]:
        """Every node and output, of the inputs as they are now."""
        now, found = dict(now), {}

        def read(port: Spec) -> Array:
            values = [
                past[name][-back] if back else now[name]
                for name, back in map(self.meaning, port["read"])
            ]
            return (
                values[0]
                if len(values) == 1
                else MERGES[port["merge_mode"]](self.xp, values)
            )

        for node in self.ordered:
            values = self.layer(
                node, params, {name: read(port) for name, port in node["ports"].items()}
            )
            now |= zip(values_of(node), values, strict=True)
            found |= {("node", name): now[name] for name in values_of(node)}
        return found | {
            ("output", output["name"]): read(output) for output in self.outputs
        }

    def layer(self, node: Spec, params: Arrays, ports: Arrays) -> list[Array]:
        """The values of one node."""
        kind, config, prefix = (
            node["layer"]["class_name"],
            node["layer"]["config"],
            f"{node['name']}.",
        )
        own = {
            name.removeprefix(prefix): value
            for name, value in params.items()
            if name.startswith(prefix)
        }
        f = self.functions[config.get("activation", ACTIVATIONS.get(kind, "linear"))]
        inner = self.functions[config.get("inner_activation", "hard_sigmoid")]
        return LAYERS[kind](
            own, f, inner, *(ports[name] for name in PORTS if name in ports)
        )

    def advance(
        self,
        params: Arrays,
        past: Arrays,
        held: Arrays,
        now: Arrays,
        valid: Array | None = None,
        with_gradient: bool = True,
    ) -> tuple[dict, dict]:
        """The past, and what is found, after one more step. In rows that are masked no time passes: both stay."""
        found = self.step(params, past, now)
        if not with_gradient:
            found = {key: self.stop(value) for key, value in found.items()}
        news = {
            **now,
            **{
                name: found["node", state["input"]]
                for name, state in self.states.items()
            },
        }
        moved = {
            name: self.xp.concatenate([old[1:], news[name][None]])
            for name, old in past.items()
        }
        return self._kept(valid, moved, past, 1), self._kept(valid, found, held, 0)

    def _kept(self, valid: Array | None, new: Arrays, old: Arrays, axis: int) -> Arrays:
        if valid is None:
            return new
        return {
            key: self.xp.where(
                valid.reshape(*[1] * axis, -1, *[1] * (value.ndim - axis - 1)),
                value,
                old[key],
            )
            for key, value in new.items()
        }

    def told(self, over_time: Arrays, past: Arrays) -> tuple[dict, dict, dict]:
        """Outputs as they are asked for, final states and nodes, of ``(batch, time, ...)`` and the last past."""
        nodes, outputs = (
            {name: value for (kind, name), value in over_time.items() if kind == wanted}
            for wanted in ("node", "output")
        )
        if not self.spec["return_sequences"]:
            outputs = {name: value[:, -1] for name, value in outputs.items()}
        finals = {
            name: past[name][0] if self.lag[name] == 1 else past[name]
            for name in self.states
        }
        if self.spec["return_final_states"]:
            outputs |= {
                f"{name.replace('.', '_')}_final": value
                if value.ndim == 2
                else value.swapaxes(0, 1)
                for name, value in finals.items()
            }
        return outputs, finals, nodes
