"""Keras 3 on JAX: a declaration is the cell of a ``keras.layers.RNN``, gradients by ``jax.vjp``.

Keras's RNN has one sequence, one output and states of one step back. So inputs are joined into one sequence and cut
apart in the cell, contexts are repeated over time, outputs are joined and cut apart behind the layer, and what is
looked back to further is a state for each step. It knows the format, and nothing else of this package.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import reduce
from itertools import accumulate

os.environ.setdefault("KERAS_BACKEND", "jax")       # Keras reads it when it is imported

import jax
import keras
import numpy as np
from jax import numpy as jnp
from keras import ops

if keras.backend.backend() != "jax":
    raise ImportError(f"this port needs Keras on JAX, and it runs on {keras.backend.backend()}: set KERAS_BACKEND=jax")

Spec = Mapping[str, object]
Tensors = Mapping[str, object]


def hard_sigmoid(z: jax.Array) -> jax.Array:
    """That of 2015, whose slope is 0.2 at both ends too; Keras 3 has another."""
    line = 0.2 * z + 0.5
    return jnp.where((line >= 0) & (line <= 1), line, (line > 1).astype(line.dtype))


FUNCTIONS = {"linear": lambda z: z, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid, "hard_sigmoid": hard_sigmoid,
             "relu": lambda z: (z + jnp.abs(z)) / 2, "softplus": jax.nn.softplus, "softmax": jax.nn.softmax}
"""By JAX, as the merges are: ``keras.ops.tanh``, ``where`` and others make float32 of float64 on JAX."""
MERGES = {"concat": lambda v: jnp.concatenate(v, axis=-1), "sum": sum, "mul": lambda v: reduce(jnp.multiply, v),
          "ave": lambda v: sum(v) / len(v), "max": lambda v: reduce(lambda a, b: jnp.where(b > a, b, a), v),
          "dot": lambda v: (v[0] * v[1]).sum(-1, keepdims=True)}
CELLS = {"RecurrentDense": "sigmoid", "Gate": "hard_sigmoid", "RecurrentGRU": "sigmoid", "RecurrentLSTM": "tanh"}
"""Recurrent cells, and their activation where none is said."""


def layer(kind: str, config: Spec, p: Tensors, ports: Tensors) -> list:
    """The values of one node at one step."""
    if kind == "Blend":
        return [ports["gate"] * ports["old"] + (1 - ports["gate"]) * ports["new"]]
    x, activation = ports["input"], FUNCTIONS[config.get("activation", CELLS.get(kind, "linear"))]
    inner = FUNCTIONS[config.get("inner_activation", "hard_sigmoid")]

    def gate(name: str, function: object, h: object) -> object:
        return function(ops.matmul(x, p[f"W{name}"]) + ops.matmul(h, p[f"U{name}"]) + p[f"b{name}"])

    if kind in ("RecurrentDense", "Gate"):
        return [gate("", activation, ports["prev_hid"])]
    if kind == "RecurrentGRU":
        h = ports["prev_hid"]
        z = gate("_z", inner, h)
        return [z * h + (1 - z) * gate("_h", activation, gate("_r", inner, h) * h)]
    if kind == "RecurrentLSTM":
        h = ports["prev_hid"]
        c = gate("_f", inner, h) * ports["prev_cell"] + gate("_i", inner, h) * gate("_c", activation, h)
        return [gate("_o", inner, h) * activation(c), c]
    return [activation(ops.matmul(x, p["W"]) + p.get("b", 0) if kind == "Dense" else x)]


class Names:
    """What names mean: past or present, how many steps back, how wide; and the order of nodes."""

    def __init__(self, spec: Spec, inputs: Mapping[str, int], starts: Mapping[str, int]):
        last = spec["nodes"][-1]
        self.outputs = spec["outputs"] or [{"name": last["name"], "read": values_of(last)[:1], "merge_mode": "sum"}]
        self.nodes = {value: node for node in spec["nodes"] for value in values_of(node)}
        self.states = {state["name"] for state in spec["states"]}
        self.fed = {state["name"]: state["input"] for state in spec["states"]}
        self.known = {**inputs, **starts, **{item["name"]: item["dim"] for item in spec["states"] if item["dim"]}}
        ports = [port for node in spec["nodes"] for port in node["ports"].values()] + list(self.outputs)
        reads = [self.meaning(text) for port in ports for text in port["read"]]
        self.lag = dict.fromkeys(self.fed, 1)
        for name, back in reads:
            if back:
                self.fed.setdefault(name, name)              # what no state remembers remembers itself
                self.states |= {name} & set(self.nodes)
                self.lag[name] = max(back, self.lag.get(name, 1))
        self.ordered: list[Spec] = []
        while len(self.ordered) < len(spec["nodes"]):
            self.ordered.append(next(node for node in spec["nodes"] if node not in self.ordered and not any(
                self.waits(text) for port in node["ports"].values() for text in port["read"])))

    def meaning(self, text: str) -> tuple[str, int]:
        """A name, and how many steps back: a state bare is one, and the past of a node is that of its state."""
        name, back = re.fullmatch(r"(.+?)(?:_tm(\d+))?", text).groups(default=0)
        if name in self.states and (back or name not in self.nodes):
            return name, int(back or 1)
        return (next((state for state, node in self.fed.items() if node == name), name) if back else name), int(back)

    def waits(self, text: str) -> bool:
        """Whether the node that is read has yet to run."""
        name, back = self.meaning(text)
        return not back and name in self.nodes and self.nodes[name] not in self.ordered

    def width(self, name: str, seen: tuple[str, ...] = ()) -> int:
        """Values a row; 0 where it is not known, in a circle."""
        if name in self.known or name in seen:
            return self.known.get(name, 0)
        if name not in self.nodes:
            return self.width(self.fed[name], (*seen, name))
        node = self.nodes[name]
        return node["layer"]["config"].get("output_dim") or max(
            self.merged_width(port, (*seen, name)) for port in node["ports"].values())

    def merged_width(self, port: Spec, seen: tuple[str, ...] = ()) -> int:
        """Values a row of what a port or an output reads."""
        widths = [self.width(self.meaning(text)[0], seen) for text in port["read"]]
        several = {"concat": sum(widths), "dot": 1} if len(widths) > 1 else {}
        return several.get(port["merge_mode"], max(widths))


def values_of(node: Spec) -> list[str]:
    """The names of a node's values."""
    return [node["name"] if name == "output" else name if "." in name else f"{node['name']}.{name}"
            for name in node["outputs"] or ["output"]]


def cut(joined: object, widths: Mapping[str, int]) -> dict[str, object]:
    """What was joined along the last axis, by name."""
    return dict(zip(widths, ops.split(joined, list(accumulate(widths.values()))[:-1], axis=-1), strict=True))


class Cell(keras.layers.Layer):
    """One step of a declaration, as Keras's RNN calls it."""

    def __init__(self, names: Names, widths: Mapping[str, int], params: Mapping[str, np.ndarray], dtype: str):
        super().__init__(dtype=dtype)
        self.names, self.widths = names, widths
        self.output_size = sum(names.merged_width(output) for output in names.outputs)
        pasts = [names.width(name) for name, lag in names.lag.items() for _ in range(lag)]
        self.state_size = [self.output_size, *pasts]         # a masked step of Keras shows the first state as output
        self.own = {name: self.add_weight(shape=value.shape, initializer="zeros", name=name.replace(".", "_"))
                    for name, value in params.items()}

    def call(self, inputs: object, states: list) -> tuple[object, list]:
        """The outputs, joined; and the states, newest last."""
        given = iter(states[1:])
        past = {name: [next(given) for _ in range(lag)] for name, lag in self.names.lag.items()}
        now = cut(inputs, self.widths)

        def read(port: Spec) -> object:
            found = [past[name][-back] if back else now[name] for name, back in map(self.names.meaning, port["read"])]
            return found[0] if len(found) == 1 else MERGES[port["merge_mode"]](found)

        for node in self.names.ordered:
            own = {name.removeprefix(f"{node['name']}."): weight for name, weight in self.own.items()
                   if name.startswith(f"{node['name']}.")}
            found = layer(node["layer"]["class_name"], node["layer"]["config"], own,
                          {name: read(port) for name, port in node["ports"].items()})
            now.update(zip(values_of(node), found, strict=True))
        output = ops.concatenate([read(output) for output in self.names.outputs], axis=-1)
        moved = [(*old[1:], now[self.names.fed[name]]) for name, old in past.items()]
        return output, [output, *(value for steps in moved for value in steps)]


class Model:
    """A declaration and its parameters; the layer is made when the inputs, and with them their widths, are known."""

    def __init__(self, spec: Spec, params: Mapping[str, np.ndarray]):
        self.spec, self.params, self.states = spec, params, {}
        self.dtype = next((value.dtype.name for value in params.values()), "float64")

    def __call__(self, params: Tensors, inputs: Tensors, mask: np.ndarray | None, states: Tensors) -> tuple:
        """Outputs and final states, a pure function of JAX's arrays."""
        over_time = {item["name"]: inputs[item["name"]] for item in self.spec["inputs"] if item["is_sequence"]}
        masked = over_time.pop(self.spec["mask"], None)
        masks = [item != 0 for item in (mask, masked) if item is not None]
        rows = len(next(iter(inputs.values())))
        length = self.spec["n_steps"] or next(iter(over_time.values())).shape[1]
        sequences = {name: over_time[name] if name in over_time else
                     ops.repeat(value[:, None], length, axis=1) for name, value in inputs.items()
                     if name in over_time or (name != self.spec["mask"] and value.ndim == 2)}
        widths = {name: value.shape[-1] for name, value in sequences.items()}
        starts = {state["name"]: self.start(state, params, inputs, states) for state in self.spec["states"]}
        starts |= {name: value for name, value in states.items() if name not in starts}
        names = Names(self.spec, widths, {name: value.shape[-1] for name, value in starts.items() if value.ndim})
        cell = Cell(names, widths, params, self.dtype)
        rnn = keras.layers.RNN(cell, return_sequences=True, return_state=True, dtype=self.dtype,
                               go_backwards=self.spec["go_backwards"], unroll=self.spec["unroll"])
        initial = [step for name, lag in names.lag.items() for step in ops.broadcast_to(
            starts.get(name, jnp.zeros((), self.dtype)), (lag, rows, names.width(name)))]
        initial = [jnp.zeros((rows, cell.output_size), self.dtype), *initial]
        x = ops.concatenate(list(sequences.values()), axis=-1)
        rnn.build(x.shape)
        (joined, _, *lasts), _ = rnn.stateless_call(list(params.values()), [], x, initial_state=initial,
                                                 mask=reduce(ops.logical_and, masks) if masks else None)
        return self.shown(names, joined, iter(lasts))

    def start(self, state: Spec, params: Tensors, inputs: Tensors, states: Tensors) -> object:
        """What a state starts from, as what stretches to ``(lag, batch, dim)``, oldest first."""
        name, initial = state["name"], state["initial"]
        if name in states or initial == "learned":
            return states[name] if name in states else params[f"{name}.initial"]
        if isinstance(initial, str) and initial != "drawn":
            return ops.moveaxis(inputs[initial], 1, 0) if inputs[initial].ndim == 3 else inputs[initial]
        numbers = ops.convert_to_tensor(np.asarray(0.0 if initial == "drawn" else initial, self.dtype))
        return numbers[:, None] if numbers.ndim == 2 else numbers

    def shown(self, names: Names, joined: object, lasts: object) -> tuple[Tensors, Tensors]:
        """Outputs, and the states after the last step, by name."""
        outputs = cut(joined, {output["name"]: names.merged_width(output) for output in names.outputs})
        if not self.spec["return_sequences"]:
            outputs = {name: value[:, -1] for name, value in outputs.items()}
        rows = {name: [next(lasts) for _ in range(lag)] for name, lag in names.lag.items()}
        finals = {name: steps[0] if len(steps) == 1 else ops.stack(steps) for name, steps in rows.items()
                  if name in names.states}
        if self.spec["return_final_states"]:
            outputs |= {f"{name.replace('.', '_')}_final": ops.moveaxis(value, 0, 1) if value.ndim == 3 else value
                        for name, value in finals.items()}
        return outputs, finals


class Adapter:
    """What the runner is given."""

    name = "keras on jax"
    capabilities = frozenset({
        "taps", "free", "contexts", "initial", "mask", "n_steps", "unroll", "go_backwards", "final_states", "stateful",
        "float32", "layer:Gate", "layer:Blend", "layer:RecurrentDense", "layer:RecurrentGRU", "layer:RecurrentLSTM"})

    def build(self, spec: Spec, params: Mapping[str, np.ndarray]) -> Model:
        """A model, its states at their starts."""
        return Model(spec, params)

    def run(self, model: Model, inputs: Mapping, *, mask: np.ndarray | None, states: Mapping | None,
            draws: Mapping | None, train: bool) -> dict:
        """Outputs and final states."""
        with jax.enable_x64(True):
            found = model(device(model.params), device(inputs), mask, device({**model.states, **(states or {})}))
            outputs, finals = jax.tree.map(np.asarray, found)
        stateful = {state["name"]: state["stateful"] for state in model.spec["states"]}
        model.states = {name: value for name, value in finals.items()
                        if (stateful.get(name) is None and model.spec["stateful"]) or stateful.get(name)}
        return {"outputs": outputs, "finals": finals}

    def grads(self, model: Model, inputs: Mapping, cotangents: Mapping, *, mask: np.ndarray | None,
              states: Mapping | None, draws: Mapping | None, train: bool) -> dict:
        """By ``jax.vjp``, from the start of the states."""
        floats = {name: value for name, value in inputs.items() if np.issubdtype(value.dtype, np.floating)}

        def outputs(params: Tensors, floats: Tensors) -> Tensors:
            found, _ = model(params, {**device(inputs), **floats}, mask, device(states or {}))
            return {name: found[name] for name in cotangents}

        with jax.enable_x64(True):
            _, back = jax.vjp(outputs, device(model.params), device(floats))
            params, inputs = jax.tree.map(np.asarray, back(device(cotangents)))
        return {"params": params, "inputs": inputs}


def device(arrays: Mapping[str, np.ndarray]) -> Tensors:
    """Arrays of JAX, of the same type."""
    return {name: jnp.asarray(value) for name, value in arrays.items()}
