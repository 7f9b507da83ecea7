"""JAX: a pure function under ``lax.scan``, gradients by ``vjp``. It knows the format, and nothing else of this package.

What is looked back to is the scan's carry: ``past[name]`` of ``(lag, batch, dim)``, oldest first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial, reduce
from operator import itemgetter

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Spec = Mapping[str, object]
Arrays = Mapping[str, jax.Array]


# What layers compute


def hard_sigmoid(z: jax.Array) -> jax.Array:
    """``0.2 z + 0.5`` cut to [0, 1]; the gradient is 0.2 at both ends, as in 2015."""
    line = 0.2 * z + 0.5
    return jnp.where((line >= 0) & (line <= 1), line, (line > 1).astype(z.dtype))


FUNCTIONS = {"linear": lambda z: z, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid, "hard_sigmoid": hard_sigmoid,
             "relu": lambda z: (z + jnp.abs(z)) / 2, "softplus": jax.nn.softplus, "softmax": jax.nn.softmax}
MERGES = {"concat": lambda v: jnp.concatenate(v, axis=-1), "sum": sum, "mul": lambda v: reduce(jnp.multiply, v),
          "ave": lambda v: sum(v) / len(v), "max": lambda v: reduce(lambda a, b: jnp.where(b > a, b, a), v),
          "dot": lambda v: (v[0] * v[1]).sum(-1, keepdims=True)}
"""Every merge; of two that are equal the first has the gradient of ``max``."""


def gate(p: Arrays, name: str, function: str, x: jax.Array, h: jax.Array) -> jax.Array:
    """``function(x W + h U + b)``."""
    return FUNCTIONS[function](x @ p[f"W{name}"] + h @ p[f"U{name}"] + p[f"b{name}"])


def dense(p: Arrays, config: Spec, x: jax.Array) -> list[jax.Array]:
    """``x W``, and ``+ b`` where it has one."""
    return [FUNCTIONS[config.get("activation", "linear")](x @ p["W"] + p.get("b", 0))]


def recurrent_dense(p: Arrays, config: Spec, x: jax.Array, h: jax.Array) -> list[jax.Array]:
    """One step of a simple recurrent layer."""
    return [gate(p, "", config.get("activation", "sigmoid"), x, h)]


def gru(p: Arrays, config: Spec, x: jax.Array, h: jax.Array) -> list[jax.Array]:
    """The GRU of Keras 0.1: ``z`` keeps the old."""
    z, r = (gate(p, name, config.get("inner_activation", "hard_sigmoid"), x, h) for name in ("_z", "_r"))
    return [z * h + (1 - z) * gate(p, "_h", config.get("activation", "sigmoid"), x, r * h)]


def lstm(p: Arrays, config: Spec, x: jax.Array, h: jax.Array, c: jax.Array) -> list[jax.Array]:
    """The LSTM, which hands out its cell too."""
    f = config.get("activation", "tanh")
    i, forget, o = (gate(p, name, config.get("inner_activation", "hard_sigmoid"), x, h) for name in ("_i", "_f", "_o"))
    c = forget * c + i * gate(p, "_c", f, x, h)
    return [o * FUNCTIONS[f](c), c]


LAYERS = {
    "Identity": lambda p, config, x: [x],
    "Activation": lambda p, config, x: [FUNCTIONS[config["activation"]](x)],
    "Dense": dense, "RecurrentDense": recurrent_dense, "RecurrentGRU": gru, "RecurrentLSTM": lstm,
    "Gate": lambda p, config, x, h: recurrent_dense(p, {"activation": "hard_sigmoid", **config}, x, h),
    "Blend": lambda p, config, share, old, new: [share * old + (1 - share) * new],
}
PORTS = ("input", "prev_hid", "prev_cell", "gate", "old", "new")
"""The order in which a layer takes what its ports read."""


# What names mean


class Names:
    """The names of a declaration: which past each means, how far back it is looked to, and the order of nodes."""

    def __init__(self, spec: Spec):
        self.node_of = {value: node for node in spec["nodes"] for value in values_of(node)}
        self.states = {state["name"]: state for state in spec["states"]}
        last = spec["nodes"][-1]
        self.outputs = spec["outputs"] or [{"name": last["name"], "read": values_of(last)[:1]}]
        ports = [port for node in spec["nodes"] for port in node["ports"].values()]
        reads = {self.meaning(text) for port in (*ports, *self.outputs) for text in port["read"]}
        for name in {name for name, back in reads if back and name in self.node_of} - set(self.states):
            self.states[name] = {"name": name, "input": name, "initial": 0.0}      # a past that no state remembers
        self.lag = {name: max([back for known, back in reads if known == name] + [int(name in self.states)])
                    for name in {*self.states, *(name for name, back in reads if back)}}
        self.ordered: list[Spec] = []
        while len(self.ordered) < len(spec["nodes"]):
            self.ordered.append(next(node for node in spec["nodes"] if self._is_ready(node)))

    def meaning(self, text: str) -> tuple[str, int]:
        """A name, and how many steps back: a state bare is one, and the past of a node is that of its state."""
        name, back = re.fullmatch(r"(.+?)(?:_tm(\d+))?", text).groups(default=0)
        if name in self.states and (back or name not in self.node_of):
            return name, int(back or 1)
        remembers = next((state["name"] for state in self.states.values() if state["input"] == name), name)
        return (remembers if back else name), int(back)

    def _is_ready(self, node: Spec) -> bool:
        reads = [self.meaning(text) for port in node["ports"].values() for text in port["read"]]
        waits = [name for name, back in reads if not back and self.node_of.get(name) not in (None, *self.ordered)]
        return node not in self.ordered and not waits

    def width(self, name: str, known: Mapping[str, int], seen: tuple[str, ...] = ()) -> int:
        """Values a row; 0 where it is not known, in a circle."""
        if name in known or name in seen:
            return known.get(name, 0)
        if name not in self.node_of:
            return self.width(self.states[name]["input"], known, (*seen, name))
        node, found = self.node_of[name], []
        for port in node["ports"].values():
            widths = [self.width(self.meaning(text)[0], known, (*seen, name)) for text in port["read"]]
            found.append({"concat": sum(widths), "dot": 1}.get(port["merge_mode"], max(widths)))
        return node["layer"]["config"].get("output_dim") or max(found)


def values_of(node: Spec) -> list[str]:
    """The names of a node's values."""
    return [node["name"] if name == "output" else name if "." in name else f"{node['name']}.{name}"
            for name in node["outputs"] or ["output"]]


# The loop


def run(spec: Spec, names: Names, params: Arrays, inputs: Arrays, states: Arrays, mask: jax.Array | None,
        length: int | None = None) -> tuple[Arrays, Arrays, Arrays]:
    """Outputs, final states and nodes, of the first ``length`` steps."""
    dtype = next((value.dtype for value in params.values()), jnp.float64)
    turn = -1 if spec["go_backwards"] else 1
    steps = {item["name"]: jnp.moveaxis(inputs[item["name"]], 1, 0)[::turn]
             for item in spec["inputs"] if item["is_sequence"]}
    contexts = {name: value for name, value in inputs.items() if name not in steps}
    masks = [jnp.moveaxis(mask, 1, 0)[::turn] != 0] if mask is not None else []
    masks += [steps[spec["mask"]] != 0] if spec["mask"] else []
    steps["valid mask"] = reduce(jnp.logical_and, masks) if masks else None
    rows = len(next(iter(inputs.values()))) if inputs else 1
    past = first_past(names, params, inputs, contexts, states, rows, dtype)
    past |= {name: jnp.zeros((names.lag[name], *value.shape[1:]), value.dtype)
             for name, value in steps.items() if name in names.lag}

    def body(carry: tuple, x: Arrays, cut: bool = False) -> tuple:
        past, held = carry
        now = one_step(names, params, past, {**contexts, **x}, dtype)
        now = lax.stop_gradient(now) if cut else now
        news = {**x, **{name: now["node", state["input"]] for name, state in names.states.items()}}
        moved = {name: jnp.concatenate([old[1:], news[name][None]]) for name, old in past.items()}
        past, held = kept(x["valid mask"], (moved, now), (past, held), rows)
        return (past, held), held

    x = jax.tree.map(lambda value: value[0], steps)
    held = jax.tree.map(jnp.zeros_like, one_step(names, params, past, {**contexts, **x}, dtype))
    length = length or spec["n_steps"] or next(len(value) for value in steps.values() if value is not None)
    k = spec["truncate_gradient"]
    first = 0 if k == -1 else max(0, length - k)
    carry, shown = (past, held), []
    for cut, begin, end in ((True, 0, first), (False, first, length)):
        if begin < end:
            part = jax.tree.map(itemgetter(slice(begin, end)), steps)
            carry, seen = lax.scan(partial(body, cut=cut), carry, part, length=end - begin)
            shown.append(seen)
    past = carry[0]
    shown = {key: jnp.moveaxis(jnp.concatenate([part[key] for part in shown]), 0, 1) for key in shown[0]}
    nodes = {name: value for (kind, name), value in shown.items() if kind == "node"}
    if spec["until"]:
        ended = jnp.moveaxis(nodes[spec["until"]], 1, 0).reshape(length, -1).all(axis=1).tolist()
        if True in ended[:-1]:      # how long it runs is known now: it is run again for as long
            return run(spec, names, params, inputs, states, mask, ended.index(True) + 1)
    outputs = {name: value if spec["return_sequences"] else value[:, -1]
               for (kind, name), value in shown.items() if kind == "output"}
    finals = {name: past[name][0] if names.lag[name] == 1 else past[name] for name in names.states}
    if spec["return_final_states"]:
        outputs |= {f"{name.replace('.', '_')}_final": value if value.ndim == 2 else jnp.moveaxis(value, 0, 1)
                    for name, value in finals.items()}
    return outputs, finals, nodes


def first_past(names: Names, params: Arrays, inputs: Arrays, contexts: Arrays, states: Arrays, rows: int,
               dtype: jnp.dtype) -> dict[str, jax.Array]:
    """What the states start from."""
    starts = {name: start(state, params, contexts, states, dtype) for name, state in names.states.items()}
    known = {name: value.shape[-1] for name, value in (inputs | {n: v for n, v in starts.items() if v.ndim}).items()}
    known |= {name: state["dim"] for name, state in names.states.items() if state.get("dim")}
    return {name: jnp.broadcast_to(value, (names.lag[name], rows, names.width(name, known)))
            for name, value in starts.items()}


def start(state: Spec, params: Arrays, contexts: Arrays, states: Arrays, dtype: jnp.dtype) -> jax.Array:
    """What a state starts from, as what stretches to ``(lag, batch, dim)``."""
    name, initial = state["name"], state["initial"]
    if name in states or initial == "learned":
        return states[name] if name in states else params[f"{name}.initial"]
    if isinstance(initial, str) and initial != "drawn":
        value = contexts[initial].astype(dtype)
        return jnp.moveaxis(value, 1, 0) if value.ndim == 3 else value
    numbers = jnp.asarray(0.0 if initial == "drawn" else initial, dtype)      # draws are for training, with noise on
    return numbers[:, None] if numbers.ndim == 2 else numbers


def one_step(names: Names, params: Arrays, past: Arrays, now: Arrays, dtype: jnp.dtype) -> dict[tuple, jax.Array]:
    """Every node and output at one step."""
    now, nodes = dict(now), {}

    def read(port: Spec) -> jax.Array:
        values = [past[name][-back] if back else now[name] for name, back in map(names.meaning, port["read"])]
        if len(values) == 1:
            return values[0]
        return MERGES[port["merge_mode"]]([value.astype(jnp.result_type(*values)) for value in values])

    for node in names.ordered:
        ports = {name: read(port) for name, port in node["ports"].items()}
        own = {name.removeprefix(f"{node['name']}."): value for name, value in params.items()
               if name.startswith(f"{node['name']}.")}
        reads = [ports[name] for name in PORTS if name in ports]
        found = LAYERS[node["layer"]["class_name"]](own, node["layer"]["config"], *reads)
        nodes |= dict(zip(values_of(node), found, strict=True))
        now |= nodes
    outputs = {("output", output["name"]): read(output) for output in names.outputs}
    return outputs | {("node", name): value for name, value in nodes.items()}


def kept(valid: jax.Array | None, new: Sequence, old: Sequence, rows: int) -> Sequence:
    """The new; but in rows that are masked the old: for these, no time passes."""
    if valid is None:
        return new

    def choose(axis: int) -> object:
        return jax.tree.map(lambda a, b: jnp.where(
            valid.reshape(*[1] * axis, rows, *[1] * (a.ndim - axis - 1)), a, b), new[1 - axis], old[1 - axis])

    return choose(1), choose(0)


# The adapter


class Adapter:
    """What the runner is given."""

    name = "jax"
    capabilities = frozenset({
        "taps", "free", "contexts", "initial", "mask", "n_steps", "until", "unroll", "truncate", "go_backwards",
        "final_states", "stateful", "bool", "float32", "layer:Gate", "layer:Blend", "layer:RecurrentDense",
        "layer:RecurrentGRU", "layer:RecurrentLSTM"})

    def build(self, spec: Spec, params: Mapping[str, np.ndarray]) -> dict:
        """The declaration, its parameters, and where its states are."""
        return {"spec": spec, "names": Names(spec), "params": params, "states": {}}

    def run(self, model: dict, inputs: Mapping, *, mask: np.ndarray | None, states: Mapping | None,
            draws: Mapping | None, train: bool) -> dict:
        """Outputs, final states and nodes."""
        with jax.enable_x64(True):
            states = device({**model["states"], **(states or {})})
            found = run(model["spec"], model["names"], device(model["params"]), device(inputs), states, mask)
        outputs, finals, nodes = (jax.tree.map(np.asarray, part) for part in found)
        stateful = {name: state.get("stateful") for name, state in model["names"].states.items()}
        model["states"] = {name: value for name, value in finals.items()
                           if (model["spec"]["stateful"] if stateful[name] is None else stateful[name])}
        return {"outputs": outputs, "finals": finals, "nodes": nodes}

    def grads(self, model: dict, inputs: Mapping, cotangents: Mapping, *, mask: np.ndarray | None,
              states: Mapping | None, draws: Mapping | None, train: bool) -> dict:
        """By ``vjp``, from the start of the states."""
        floats = {name: value for name, value in inputs.items() if np.issubdtype(value.dtype, np.floating)}

        def outputs(params: Arrays, floats: Arrays) -> Arrays:
            given = {**device(inputs), **floats}
            found, _, _ = run(model["spec"], model["names"], params, given, device(states or {}), mask)
            return {name: found[name] for name in cotangents}

        with jax.enable_x64(True):
            _, back = jax.vjp(outputs, device(model["params"]), device(floats))
            params, floats = back(device(cotangents))
        return {"params": jax.tree.map(np.asarray, params), "inputs": jax.tree.map(np.asarray, floats)}


def device(arrays: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """Arrays of JAX, of the same type."""
    return {name: jnp.asarray(value) for name, value in arrays.items()}
