"""The meaning of a declaration, for ports in Python: names, order, layers and one step.

A port answers three questions about a declaration, and they are answered here:

1. What does a name mean? ``"rec"`` is the value of this step, ``"rec_tm2"`` the value
   of two steps back, and the bare name of a state is its value one step back
   (:meth:`Names.meaning`).
2. In which order do the nodes of a step run? A node waits for the values of this step
   that it reads. It never waits for the past (:attr:`Names.ordered`).
3. What does a step compute, and what does the next step remember
   (:meth:`Walk.step`, :meth:`Walk.advance`)?

The answers use operators and functions that array libraries name alike, so one copy
serves PyTorch, JAX and Keras. Two questions are left to a port: how the loop over time
runs, and how it is differentiated. ``torch.py`` is the shortest example.

Two dicts pass from step to step. At a masked step neither changes:

    past[name]                                  (lag, batch, dim), oldest first
    results["node", name], ["output", name]     (batch, dim), the values of one step

This module knows the format that docs/conformance.md describes. It imports nothing
from this package.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from operator import and_, mul
from types import ModuleType
from typing import Any

Spec = Mapping[str, Any]
Array = Any
Arrays = Mapping[Any, Array]
Key = tuple[str, str]
"""``("node", name)`` or ``("output", name)``."""


# Layers: functions of parameters, activation, inner activation, and what ports read


def gate(p: Arrays, name: str, f: Callable, x: Array, h: Array) -> Array:
    """``f(x W + h U + b)``."""
    return f(x @ p[f"W{name}"] + h @ p[f"U{name}"] + p[f"b{name}"])


def gru(p: Arrays, f: Callable, inner: Callable, x: Array, h: Array) -> list[Array]:
    """The GRU of Keras 0.1, where ``z`` keeps the old value."""
    z = gate(p, "_z", inner, x, h)
    r = gate(p, "_r", inner, x, h)
    return [z * h + (1 - z) * gate(p, "_h", f, x, r * h)]


def lstm(
    p: Arrays, f: Callable, inner: Callable, x: Array, h: Array, c: Array
) -> list[Array]:
    """The LSTM. Its values are the output and the cell."""
    i = gate(p, "_i", inner, x, h)
    forget = gate(p, "_f", inner, x, h)
    o = gate(p, "_o", inner, x, h)
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
"""The order in which a layer takes the values of its ports."""
DEFAULT_ACTIVATIONS = {
    "RecurrentDense": "sigmoid",
    "Gate": "hard_sigmoid",
    "RecurrentGRU": "sigmoid",
    "RecurrentLSTM": "tanh",
}
"""The activation of a layer whose configuration has none. Others are linear."""
MERGES = {
    "concat": lambda xp, values: xp.concatenate(values, axis=-1),
    "sum": lambda xp, values: sum(values),
    "mul": lambda xp, values: reduce(mul, values),
    "ave": lambda xp, values: sum(values) / len(values),
    # Of two equal values the first has the gradient, which maximum() would share.
    "max": lambda xp, values: reduce(lambda a, b: xp.where(b > a, b, a), values),
    "dot": lambda xp, values: (values[0] * values[1]).sum(-1, keepdims=True),
}


def activations(xp: ModuleType) -> dict[str, Callable]:
    """The activations that every library writes alike: all but sigmoid and softmax."""

    def hard_sigmoid(z: Array) -> Array:
        # The line holds at both of its ends: their slope is 0.2, as in 2015.
        line = 0.2 * z + 0.5
        saturated = xp.where(line > 1, xp.ones_like(z), xp.zeros_like(z))
        return xp.where((line >= 0) & (line <= 1), line, saturated)

    return {
        "linear": lambda z: z,
        "tanh": xp.tanh,
        # This form has the slope 1/2 at zero, as in 2015.
        "relu": lambda z: (z + abs(z)) / 2,
        "hard_sigmoid": hard_sigmoid,
        "softplus": lambda z: xp.logaddexp(z, xp.zeros_like(z)),
    }


# Names


def values_of(node: Spec) -> list[str]:
    """The names of a node's values.

    >>> values_of({"name": "lstm", "outputs": ["output", "cell"]})
    ['lstm', 'lstm.cell']
    """
    names = []
    for output in node["outputs"] or ["output"]:
        if output == "output":
            names.append(node["name"])
        elif "." in output:
            names.append(output)
        else:
            names.append(f"{node['name']}.{output}")
    return names


class Names:
    """The meaning of each name in a declaration, and the order of its nodes.

    Attributes:
        sequences: the inputs that each step reads a slice of.
        states: the states by name, those that nothing declares included.
        node_of: the node that computes a value, by the name of the value.
        outputs: the declared outputs, or the last node.
        lag: the number of steps kept, by the name of a state or sequence.
        ordered: the nodes in the order in which they run.
    """

    def __init__(self, spec: Spec):
        self.spec = spec
        self.sequences = [
            item["name"] for item in spec["inputs"] if item["is_sequence"]
        ]
        self.states = {state["name"]: state for state in spec["states"]}
        self.node_of: dict[str, Spec] = {}
        for node in spec["nodes"]:
            self.node_of |= dict.fromkeys(values_of(node), node)
        self.outputs = spec["outputs"] or [self._last_node()]
        self.lag = dict.fromkeys(self.states, 1)
        self._find_lags()
        self.ordered = self._order()

    def meaning(self, text: str) -> tuple[str, int]:
        """The name and the lag of the value that ``text`` refers to; lag 0 is now."""
        name, digits = re.fullmatch(r"(.+?)(?:_tm(\d+))?", text).groups()
        lag = int(digits or 0)
        # A node may be called like the state that it feeds. Bare, it is the node.
        if name in self.states and (lag or name not in self.node_of):
            return name, lag or 1
        if lag == 0:
            return name, 0
        # The past of a node is the past of the state that it feeds, if there is one.
        for state in self.states.values():
            if state["input"] == name:
                return state["name"], lag
        return name, lag

    def _meanings(self, ports: list[Spec]) -> Iterator[tuple[str, int]]:
        for port in ports:
            yield from map(self.meaning, port["read"])

    def _last_node(self) -> Spec:
        last = self.spec["nodes"][-1]
        return {"name": last["name"], "read": values_of(last)[:1], "merge_mode": "sum"}

    def _find_lags(self) -> None:
        """Note how far back each name is read, and add the states that this implies."""
        ports = list(self.outputs)
        for node in self.spec["nodes"]:
            ports += node["ports"].values()
        for name, lag in self._meanings(ports):
            if lag == 0:
                continue
            if name in self.node_of and name not in self.states:
                # A past that no declared state keeps. It starts from zeros.
                self.states[name] = {"name": name, "input": name, "initial": 0.0}
            self.lag[name] = max(lag, self.lag.get(name, 1))

    def _order(self) -> list[Spec]:
        """The nodes in running order: of the ready ones, the first declared is next."""
        ordered = []
        waiting = list(self.spec["nodes"])
        while waiting:
            node = next(node for node in waiting if self._is_ready(node, waiting))
            ordered.append(node)
            waiting.remove(node)
        return ordered

    def _is_ready(self, node: Spec, waiting: list[Spec]) -> bool:
        for name, lag in self._meanings(list(node["ports"].values())):
            if lag == 0 and self.node_of.get(name) in waiting:
                return False
        return True

    def width(
        self, name: str, known: Mapping[str, int], seen: tuple[str, ...] = ()
    ) -> int:
        """The dim of a value; 0 in a circle, where another port decides.

        Args:
            name: the value.
            known: the dims of inputs and states, as far as they are known.
            seen: the values that led here.
        """
        if name in known:
            return known[name]
        if name in seen:
            return 0
        seen = (*seen, name)
        if name not in self.node_of:
            return self.width(self.states[name]["input"], known, seen)
        node = self.node_of[name]
        dims = [self._port_width(port, known, seen) for port in node["ports"].values()]
        return node["layer"]["config"].get("output_dim") or max(dims)

    def _port_width(
        self, port: Spec, known: Mapping[str, int], seen: tuple[str, ...]
    ) -> int:
        dims = [self.width(name, known, seen) for name, _ in self._meanings([port])]
        if port["merge_mode"] == "concat":
            return sum(dims)
        return 1 if port["merge_mode"] == "dot" else max(dims)

    def is_stateful(self, name: str) -> bool:
        """True if a state is kept from batch to batch."""
        own = self.states[name].get("stateful")
        return self.spec["stateful"] if own is None else own

    def first_with_gradient(self, length: int) -> int:
        """The first step that the truncated reverse pass reaches."""
        k = self.spec["truncate_gradient"]
        return 0 if k == -1 else max(0, length - k)


# Steps


class Walk(Names):
    """A declaration that runs on the arrays of one library.

    Args:
        spec: the declaration.
        xp: the library's module, ``torch`` or ``jax.numpy``.
        stop_gradient: its function that returns a value without its gradient.
        own: its ``sigmoid`` and ``softmax``.
    """

    def __init__(
        self, spec: Spec, xp: ModuleType, stop_gradient: Callable, **own: Callable
    ):
        super().__init__(spec)
        self.xp = xp
        self.stop_gradient = stop_gradient
        self.activations = {**activations(xp), **own}

    def in_loop_order(self, value: Array) -> Array:
        """``value``, ``(batch, time, ...)``, in the order that the loop reads it in."""
        return self.xp.flip(value, (1,)) if self.spec["go_backwards"] else value

    def valid(self, inputs: Arrays, mask: Array | None) -> Array | None:
        """The unmasked steps, ``(batch, time)``; None if there is no mask."""
        masks = []
        for value in (mask, inputs.get(self.spec["mask"])):
            if value is not None:
                masks.append(value != 0)
        return reduce(and_, masks) if masks else None

    def length(self, inputs: Arrays) -> int:
        """The number of steps."""
        return self.spec["n_steps"] or inputs[self.sequences[0]].shape[1]

    def initial_past(
        self, params: Arrays, inputs: Arrays, states: Arrays
    ) -> dict[str, Array]:
        """The past before the first step: the starts of states, zeros for sequences."""
        starts = {
            name: self._start(state, params, inputs, states)
            for name, state in self.states.items()
        }
        dims = self._known_dims({**inputs, **starts})
        rows = len(next(iter(inputs.values()))) if inputs else 1
        past = {}
        for name, start in starts.items():
            shape = (self.lag[name], rows, self.width(name, dims))
            past[name] = self.xp.broadcast_to(start, shape)
        for name in self.sequences:
            if name in self.lag:
                zeros = self.xp.zeros_like(inputs[name][:, 0])
                past[name] = self.xp.stack([zeros] * self.lag[name])
        return past

    def _start(
        self, state: Spec, params: Arrays, inputs: Arrays, states: Arrays
    ) -> Array:
        """The start of a state, in a shape that stretches to ``(lag, batch, dim)``."""
        name, initial = state["name"], state["initial"]
        if name in states:
            return states[name]
        if initial == "learned":
            return params[f"{name}.initial"]
        if initial == "drawn":
            initial = 0.0  # drawn in training only, and then it is among the states
        if isinstance(initial, str):
            context = inputs[initial]  # (batch, dim) or (batch, lag, dim)
            return context.swapaxes(0, 1) if context.ndim == 3 else context
        floats = next((value.dtype for value in params.values()), self.xp.float64)
        numbers = self.xp.asarray(initial, dtype=floats)  # (), (dim,) or (lag, dim)
        return numbers[:, None] if numbers.ndim == 2 else numbers

    def _known_dims(self, arrays: Arrays) -> dict[str, int]:
        dims = {}
        for name, value in arrays.items():
            if value.ndim:
                dims[name] = value.shape[-1]
        for name, state in self.states.items():
            if state.get("dim"):
                dims[name] = state["dim"]
        return dims

    def step(self, params: Arrays, past: Arrays, now: Arrays) -> dict[Key, Array]:
        """The value of every node and output at one step.

        Args:
            params: the parameters by name.
            past: the values of earlier steps, each ``(lag, batch, dim)``.
            now: the slices of sequences at this step, and whole contexts.
        """
        now = dict(now)
        results = {}
        for node in self.ordered:
            ports = {}
            for name, port in node["ports"].items():
                ports[name] = self._read(port, past, now)
            values = self.layer(node, params, ports)
            for name, value in zip(values_of(node), values, strict=True):
                now[name] = results["node", name] = value
        for output in self.outputs:
            results["output", output["name"]] = self._read(output, past, now)
        return results

    def _read(self, port: Spec, past: Arrays, now: Arrays) -> Array:
        values = []
        for name, lag in self._meanings([port]):
            values.append(past[name][-lag] if lag else now[name])
        if len(values) == 1:
            return values[0]
        return MERGES[port["merge_mode"]](self.xp, values)

    def layer(self, node: Spec, params: Arrays, ports: Arrays) -> list[Array]:
        """The values of one node, from the values that its ports read."""
        kind = node["layer"]["class_name"]
        config = node["layer"]["config"]
        prefix = f"{node['name']}."
        own = {}
        for name, value in params.items():
            if name.startswith(prefix):
                own[name.removeprefix(prefix)] = value
        activation = config.get("activation", DEFAULT_ACTIVATIONS.get(kind, "linear"))
        inner = config.get("inner_activation", "hard_sigmoid")
        reads = [ports[name] for name in PORTS if name in ports]
        return LAYERS[kind](
            own, self.activations[activation], self.activations[inner], *reads
        )

    def advance(
        self,
        params: Arrays,
        past: Arrays,
        before: Arrays,
        now: Arrays,
        valid: Array | None = None,
        with_gradient: bool = True,
    ) -> tuple[dict[str, Array], dict[Key, Array]]:
        """The past and the results after one more step.

        Args:
            params: the parameters by name.
            past: the past before the step.
            before: the results of the step before, zeros at the first.
            now: the inputs at this step.
            valid: the rows that are not masked, ``(batch,)``; None is all.
            with_gradient: False before the first step of a truncated reverse pass.
        """
        results = self.step(params, past, now)
        if not with_gradient:
            results = {key: self.stop_gradient(value) for key, value in results.items()}
        newest = dict(now)
        for name, state in self.states.items():
            newest[name] = results["node", state["input"]]
        moved = {}
        for name, old in past.items():
            moved[name] = self.xp.concatenate([old[1:], newest[name][None]])
        # No time passes in a masked row: its past and its results stay.
        moved = self._in_valid_rows(valid, moved, past, batch_axis=1)
        return moved, self._in_valid_rows(valid, results, before, batch_axis=0)

    def _in_valid_rows(
        self, valid: Array | None, new: Arrays, old: Arrays, batch_axis: int
    ) -> Arrays:
        """``new`` in valid rows and ``old`` in masked ones."""
        if valid is None:
            return new
        kept = {}
        for key, value in new.items():
            shape = [1] * value.ndim
            shape[batch_axis] = -1
            is_valid = valid.reshape(tuple(shape))
            kept[key] = self.xp.where(is_valid, value, old[key])
        return kept

    def run_results(
        self, over_time: Mapping[Key, Array], past: Arrays
    ) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
        """The outputs, final states and nodes of a run, each by name.

        Args:
            over_time: the results of all steps, ``(batch, time, ...)``.
            past: the past after the last step.
        """
        outputs, finals, nodes = {}, {}, {}
        for (kind, name), value in over_time.items():
            if kind == "node":
                nodes[name] = value
            elif self.spec["return_sequences"]:
                outputs[name] = value
            else:
                outputs[name] = value[:, -1]
        for name in self.states:
            steps = past[name]  # (lag, batch, dim)
            is_single = self.lag[name] == 1
            finals[name] = steps[0] if is_single else steps
            if self.spec["return_final_states"]:
                output = f"{name.replace('.', '_')}_final"
                # As an output it is batch first: (batch, lag, dim).
                outputs[output] = steps[0] if is_single else steps.swapaxes(0, 1)
        return outputs, finals, nodes
