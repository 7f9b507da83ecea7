"""PyTorch: an eager loop over time, gradients by autograd. It knows the format, and nothing else of this package."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import mul

import numpy as np
import torch
from torch import Tensor

Tensors = dict[str, Tensor]
Spec = Mapping[str, object]


# What layers compute


def hard_sigmoid(z: Tensor) -> Tensor:
    """``0.2 z + 0.5`` cut to [0, 1]; the gradient is 0.2 at both ends, as in 2015."""
    line = 0.2 * z + 0.5
    return torch.where((line >= 0) & (line <= 1), line, (line > 1).to(z.dtype))


def largest(values: Sequence[Tensor]) -> Tensor:
    """The largest, element by element; of two that are equal the first has the gradient."""
    return reduce(lambda a, b: torch.where(b > a, b, a), values)


FUNCTIONS = {"linear": lambda z: z, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "hard_sigmoid": hard_sigmoid,
             "relu": lambda z: (z + z.abs()) / 2, "softplus": lambda z: torch.logaddexp(z, torch.zeros_like(z)),
             "softmax": lambda z: torch.softmax(z, dim=-1)}
MERGES = {"concat": lambda v: torch.cat(v, dim=-1), "sum": sum, "mul": lambda v: reduce(mul, v),
          "ave": lambda v: sum(v) / len(v), "max": largest, "dot": lambda v: (v[0] * v[1]).sum(-1, keepdim=True)}


def gate(p: Tensors, name: str, function: str, x: Tensor, h: Tensor) -> Tensor:
    """``function(x W + h U + b)``."""
    return FUNCTIONS[function](x @ p[f"W{name}"] + h @ p[f"U{name}"] + p[f"b{name}"])


def simple(p: Tensors, f: str, g: str, x: Tensor, h: Tensor) -> list[Tensor]:
    """RecurrentDense and Gate."""
    return [gate(p, "", f, x, h)]


def gru(p: Tensors, f: str, g: str, x: Tensor, h: Tensor) -> list[Tensor]:
    """The GRU of Keras 0.1: ``z`` keeps the old."""
    z, r = gate(p, "_z", g, x, h), gate(p, "_r", g, x, h)
    return [z * h + (1 - z) * gate(p, "_h", f, x, r * h)]


def lstm(p: Tensors, f: str, g: str, x: Tensor, h: Tensor, c: Tensor) -> list[Tensor]:
    """The LSTM, which hands out its cell too."""
    i, forget, o = (gate(p, name, g, x, h) for name in ("_i", "_f", "_o"))
    c = forget * c + i * gate(p, "_c", f, x, h)
    return [o * FUNCTIONS[f](c), c]


CELLS = {"RecurrentDense": (simple, "sigmoid"), "Gate": (simple, "hard_sigmoid"), "RecurrentGRU": (gru, "sigmoid"),
         "RecurrentLSTM": (lstm, "tanh")}
"""A step of each recurrent cell, and its activation where none is said."""


def layer(kind: str, config: Spec, p: Tensors, ports: Tensors, draws: Tensors | None) -> list[Tensor]:
    """The values of one node at one step; ``draws`` is None where noise is off."""
    if kind in CELLS:
        step, activation = CELLS[kind]
        reads = [ports[name] for name in ("input", "prev_hid", "prev_cell") if name in ports]
        return step(p, config.get("activation", activation), config.get("inner_activation", "hard_sigmoid"), *reads)
    if kind == "Blend":
        return [ports["gate"] * ports["old"] + (1 - ports["gate"]) * ports["new"]]
    [x] = ports.values()
    if kind == "Dense":
        x = x.to(p["W"].dtype) @ p["W"] + p.get("b", 0)
    if kind == "Dropout" and draws is not None and config["p"]:
        x = x * (draws["keep"] >= config["p"]).to(x.dtype) / (1 - config["p"])
    return [FUNCTIONS[config.get("activation", "linear")](x)]


# What names mean


class Names:
    """The names of a declaration: which past each means, how far back it is looked to, and the order of nodes."""

    def __init__(self, spec: Spec):
        self.nodes = {value: node["name"] for node in spec["nodes"] for value in values_of(node)}
        self.feeds = {state["name"]: state["input"] for state in spec["states"]}
        self.states = {state["name"]: state for state in spec["states"]}
        last = spec["nodes"][-1]
        self.outputs = spec["outputs"] or [{"name": last["name"], "read": values_of(last)[:1], "merge_mode": "sum"}]
        reads = [self.meaning(text) for node in spec["nodes"] for port in node["ports"].values()
                 for text in port["read"]]
        reads += [self.meaning(text) for output in self.outputs for text in output["read"]]
        self.lag = dict.fromkeys(self.feeds, 1)
        for name, back in reads:
            if back:
                self.lag[name] = max(back, self.lag.get(name, 1))
        for name in set(self.lag) & set(self.nodes) - set(self.feeds):     # a node that no state remembers
            self.feeds[name], self.states[name] = name, {"name": name, "initial": 0.0}
        self.ordered = list(self._ordered(list(spec["nodes"])))

    def meaning(self, text: str) -> tuple[str, int]:
        """A name, and how many steps back: a state bare is one, and the past of a node is that of its state."""
        found = re.fullmatch(r"(.+)_tm(\d+)", text)
        name, back = (found[1], int(found[2])) if found else (text, 0)
        if name in self.states and (back or name not in self.nodes):
            return name, back or 1
        remembered = [state for state, node in self.feeds.items() if node == name]
        return (remembered[0] if back and remembered else name), back

    def _ordered(self, waiting: list[Spec]) -> Iterator[Spec]:
        while waiting:
            unknown = {node["name"] for node in waiting}
            ready = next(node for node in waiting if not self._needs(node) & unknown)
            waiting.remove(ready)
            yield ready

    def _needs(self, node: Spec) -> set[str]:
        meanings = [self.meaning(text) for port in node["ports"].values() for text in port["read"]]
        return {self.nodes[name] for name, back in meanings if not back and name in self.nodes}

    def width(self, name: str, known: Mapping[str, int], seen: tuple[str, ...] = ()) -> int:
        """Values a row; 0 where it is not known, in a circle."""
        if name in known or name in seen:
            return known.get(name, 0)
        seen = (*seen, name)
        if name not in self.nodes:
            return self.width(self.feeds[name], known, seen)
        node = next(node for node in self.ordered if node["name"] == self.nodes[name])
        if told := node["layer"]["config"].get("output_dim"):
            return told
        ports = [([self.width(self.meaning(text)[0], known, seen) for text in port["read"]], port["merge_mode"])
                 for port in node["ports"].values()]
        return max(1 if mode == "dot" else sum(widths) if mode == "concat" else max(widths) for widths, mode in ports)


def values_of(node: Spec) -> list[str]:
    """The names of a node's values."""
    full = {"output": node["name"]}
    return [full.get(name, name if "." in name else f"{node['name']}.{name}") for name in node["outputs"] or ["output"]]


# The loop


class Loop:
    """One run of a declaration over a batch."""

    def __init__(self, spec: Spec, names: Names, params: Tensors, inputs: Tensors, given: Spec):
        self.spec, self.names, self.params = spec, names, params
        self.dtype = next((value.dtype for value in params.values()), torch.float64)
        self.draws, self.train = given["draws"] or {}, given["train"]
        over_time = {item["name"] for item in spec["inputs"] if item["is_sequence"]}
        self.sequences = {name: self.turned(inputs[name]) for name in over_time}
        self.contexts = {name: value for name, value in inputs.items() if name not in over_time}
        self.rows = len(next(iter(inputs.values()))) if inputs else 1
        self.length = spec["n_steps"] or next(iter(self.sequences.values())).shape[1]
        masks = [] if given["mask"] is None else [self.turned(given["mask"]) != 0]
        masks += [] if spec["mask"] is None else [self.sequences[spec["mask"]] != 0]
        self.valid = reduce(torch.logical_and, masks) if masks else None
        known = {name: value.shape[-1] for name, value in inputs.items()}
        starts = {name: self.start(state, given["states"] or {}) for name, state in names.states.items()}
        known |= {name: value.shape[-1] for name, value in starts.items() if value.ndim}
        known |= {name: state["dim"] for name, state in names.states.items() if state.get("dim")}
        self.past = {name: list(value.broadcast_to(names.lag[name], self.rows, names.width(name, known)))
                     for name, value in starts.items()}
        self.past |= {name: [torch.zeros_like(value[:, 0])] * names.lag[name]
                      for name, value in self.sequences.items() if name in names.lag}

    def turned(self, steps: Tensor) -> Tensor:
        """In the order in which the loop runs."""
        return steps.flip(1) if self.spec["go_backwards"] else steps

    def start(self, state: Spec, given: Tensors) -> Tensor:
        """What a state starts from, as what stretches to ``(lag, batch, dim)``, oldest first."""
        name, initial = state["name"], state["initial"]
        if name in given or initial == "learned":
            return given[name] if name in given else self.params[f"{name}.initial"]
        if initial == "drawn":
            return self.draws[f"{name}.initial"].to(self.dtype) if self.train else torch.zeros((), dtype=self.dtype)
        if isinstance(initial, str):
            value = self.contexts[initial].to(self.dtype)
            return value.movedim(1, 0) if value.ndim == 3 else value
        numbers = torch.tensor(initial, dtype=self.dtype)
        return numbers[:, None] if numbers.ndim == 2 else numbers

    def run(self) -> tuple[Tensors, Tensors, Tensors]:
        """Outputs, final states and nodes. Steps before the last ``truncate_gradient`` are without gradient."""
        k, held, steps = self.spec["truncate_gradient"], {}, []
        first = 0 if k == -1 else self.length - k
        for t in range(self.length):
            with torch.set_grad_enabled(torch.is_grad_enabled() and t >= first):
                now = self.step(t)
            fed = {name: now["node", self.names.feeds[name]] for name in self.names.feeds}
            fed |= {name: self.sequences[name][:, t] for name in self.past if name in self.sequences}
            self.past = {name: self.where(t, [*old[1:], fed[name]], old) for name, old in self.past.items()}
            before = held or {key: torch.zeros_like(value) for key, value in now.items()}
            held = dict(zip(now, self.where(t, now.values(), before.values()), strict=True))
            steps.append(held)
            if self.spec["until"] and bool(now["node", self.spec["until"]].all()):
                break
        over_time = {key: torch.stack([step[key] for step in steps], dim=1) for key in steps[0]}
        outputs, nodes = ({name: value for (kind, name), value in over_time.items() if kind == wanted}
                          for wanted in ("output", "node"))
        return self.shown(outputs), self.finals(0), nodes

    def step(self, t: int) -> dict[tuple[str, str], Tensor]:
        """Every node and output at step ``t``."""
        now = {**self.contexts, **{name: value[:, t] for name, value in self.sequences.items()}}
        nodes: Tensors = {}
        for node in self.names.ordered:
            ports = {name: self.read(port, now) for name, port in node["ports"].items()}
            kind, config = node["layer"]["class_name"], node["layer"]["config"]
            draws = {name: value if config.get("per") == "sequence" else self.turned(value)[:, t]
                     for name, value in inside(self.draws, node["name"]).items()} if self.train else None
            values = layer(kind, config, inside(self.params, node["name"]), ports, draws)
            nodes |= dict(zip(values_of(node), values, strict=True))
            now |= nodes
        shown = {("output", output["name"]): self.read(output, now) for output in self.names.outputs}
        return shown | {("node", name): value for name, value in nodes.items()}

    def read(self, port: Spec, now: Tensors) -> Tensor:
        """What a port or an output reads, merged."""
        meanings = map(self.names.meaning, port["read"])
        values = [self.past[name][-back] if back else now[name] for name, back in meanings]
        if len({value.dtype for value in values}) > 1:
            values = [value.to(self.dtype) for value in values]
        return values[0] if len(values) == 1 else MERGES[port["merge_mode"]](values)

    def where(self, t: int, new: Sequence[Tensor], old: Sequence[Tensor]) -> list[Tensor]:
        """The new, but in rows that are masked at ``t`` the old: for these, no time passes."""
        if self.valid is None:
            return list(new)
        return [torch.where(self.valid[:, t].reshape(-1, *[1] * (a.ndim - 1)), a, b)
                for a, b in zip(new, old, strict=True)]

    def shown(self, over_time: Tensors) -> Tensors:
        """Every output, all steps of it or the last; and the final states where asked for."""
        outputs = over_time if self.spec["return_sequences"] else {name: v[:, -1] for name, v in over_time.items()}
        finals = self.finals(1) if self.spec["return_final_states"] else {}
        return outputs | {f"{name.replace('.', '_')}_final": value for name, value in finals.items()}

    def finals(self, axis: int) -> Tensors:
        """The states after the last step; where more than one step is looked back to, they are along ``axis``."""
        return {name: self.past[name][0] if len(self.past[name]) == 1 else torch.stack(self.past[name], dim=axis)
                for name in self.names.feeds}


def inside(arrays: Tensors, node: str) -> Tensors:
    """What belongs to a node, by the names that its layer has for it."""
    return {name.removeprefix(f"{node}."): value for name, value in arrays.items() if name.startswith(f"{node}.")}


# The adapter


class Adapter:
    """What the runner is given."""

    name = "torch"
    capabilities = frozenset({
        "taps", "free", "contexts", "initial", "mask", "n_steps", "until", "unroll", "truncate", "go_backwards",
        "final_states", "stateful", "draws", "int", "bool", "float32", "layer:Gate", "layer:Blend",
        "layer:RecurrentDense", "layer:RecurrentGRU", "layer:RecurrentLSTM", "layer:Dropout"})

    def build(self, spec: Spec, params: Mapping[str, np.ndarray]) -> dict:
        """The declaration, its parameters, and where its states are."""
        return {"spec": spec, "names": Names(spec), "params": tensors(params), "states": {}}

    def run(self, model: dict, inputs: Mapping, **given: object) -> dict:
        """Outputs, final states and nodes."""
        with torch.no_grad():
            found = self._loop(model, self._inputs(model, inputs), given).run()
        outputs, finals, nodes = (arrays(part) for part in found)
        stateful = {name: state.get("stateful") for name, state in model["names"].states.items()}
        model["states"] = {name: value for name, value in finals.items()
                           if (model["spec"]["stateful"] if stateful[name] is None else stateful[name])}
        return {"outputs": outputs, "finals": finals, "nodes": nodes}

    def grads(self, model: dict, inputs: Mapping, cotangents: Mapping, **given: object) -> dict:
        """By autograd, from the start of the states."""
        params = {name: value.clone().requires_grad_() for name, value in model["params"].items()}
        inputs = {name: value.requires_grad_(value.is_floating_point())
                  for name, value in self._inputs(model, inputs).items()}
        outputs, _, _ = self._loop({**model, "params": params, "states": {}}, inputs, given).run()
        floats = {name: value for name, value in inputs.items() if value.requires_grad}
        leaves = [*params.values(), *floats.values()]
        total = sum((outputs[name] * value).sum() for name, value in tensors(cotangents).items())
        found = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)
        return {"params": arrays(dict(zip(params, found, strict=False))),
                "inputs": arrays(dict(zip(floats, found[len(params):], strict=True)))}

    def _inputs(self, model: dict, inputs: Mapping[str, np.ndarray]) -> Tensors:
        kinds = {item["name"]: item["dtype"] for item in model["spec"]["inputs"]}
        return {name: value != 0 if kinds[name] == "bool" else value for name, value in tensors(inputs).items()}

    def _loop(self, model: dict, inputs: Tensors, given: Mapping) -> Loop:
        states = tensors({**model["states"], **(given["states"] or {})})
        mask = None if given["mask"] is None else torch.from_numpy(given["mask"])
        given = {"states": states, "mask": mask, "draws": tensors(given["draws"] or {}), "train": given["train"]}
        return Loop(model["spec"], model["names"], model["params"], inputs, given)


def tensors(found: Mapping[str, np.ndarray]) -> Tensors:
    """Arrays of PyTorch, of the same type."""
    return {name: torch.from_numpy(np.array(value)) for name, value in found.items()}


def arrays(found: Tensors) -> dict[str, np.ndarray]:
    """Arrays of NumPy."""
    return {name: value.detach().numpy() for name, value in found.items()}
