"""PyTorch: an eager loop over time, with gradients by autograd."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from recursive.conformance.adapters.walk import Spec, Walk

Tensors = dict[str, Tensor]


class DropoutWalk(Walk):
    """A walk with Dropout, whose draws are among the parameters of a step."""

    def layer(self, node: Spec, params: Tensors, ports: Tensors) -> list[Tensor]:
        """The values of one node."""
        if node["layer"]["class_name"] != "Dropout":
            return super().layer(node, params, ports)
        x = ports["input"]
        p = node["layer"]["config"]["p"]
        draws = params.get(f"{node['name']}.keep")
        # There are draws in training only.
        return [x if draws is None else x * (draws >= p) / (1 - p)]


def run(
    walk: Walk,
    params: Tensors,
    inputs: Tensors,
    *,
    mask: Tensor | None,
    states: Tensors,
    draws: Tensors,
) -> tuple[Tensors, Tensors, Tensors]:
    """The outputs, final states and nodes, each by name."""
    past = walk.initial_past(params, inputs, {**drawn_states(draws), **states})
    sequences = {name: walk.in_loop_order(inputs[name]) for name in walk.sequences}
    draws_over_time = {}
    for name, value in draws.items():
        # (batch, time, dim) is drawn for each step, (batch, dim) once for all.
        if value.ndim == 3:
            draws_over_time[name] = walk.in_loop_order(value)
    valid = walk.valid(inputs, mask)
    if valid is not None:
        valid = walk.in_loop_order(valid)
    length = walk.length(inputs)
    first_with_gradient = walk.first_with_gradient(length)

    results: Tensors = {}
    steps = []
    for t in range(length):
        now = {**inputs, **at_step(sequences, t)}
        own = {**params, **draws, **at_step(draws_over_time, t)}
        if t == 0:
            # Only a step knows the shapes of its results.
            for key, value in walk.step(own, past, now).items():
                results[key] = torch.zeros_like(value)
        past, results = walk.advance(
            own,
            past,
            results,
            now,
            valid=None if valid is None else valid[:, t],
            with_gradient=t >= first_with_gradient,
        )
        steps.append(results)
        if walk.spec["until"] and bool(results["node", walk.spec["until"]].all()):
            break

    over_time = {}
    for key in results:
        over_time[key] = torch.stack([step[key] for step in steps], dim=1)
    return walk.run_results(over_time, past)


def at_step(sequences: Tensors, t: int) -> Tensors:
    """The slices at one step of values ``(batch, time, ...)``."""
    return {name: value[:, t] for name, value in sequences.items()}


def drawn_states(draws: Tensors) -> Tensors:
    """The starts among the draws, by state."""
    starts = {}
    for name, value in draws.items():
        if name.endswith(".initial"):
            starts[name.removesuffix(".initial")] = value
    return starts


class Adapter:
    """The port that the runner is given."""

    name = "torch"
    capabilities = frozenset(
        {
            "taps",
            "free",
            "contexts",
            "initial",
            "mask",
            "n_steps",
            "until",
            "unroll",
            "truncate",
            "go_backwards",
            "final_states",
            "stateful",
            "draws",
            "int",
            "bool",
            "float32",
            "layer:Gate",
            "layer:Blend",
            "layer:RecurrentDense",
            "layer:RecurrentGRU",
            "layer:RecurrentLSTM",
            "layer:Dropout",
        }
    )

    def build(self, spec: Spec, params: Mapping[str, np.ndarray]) -> dict:
        """The declaration, its parameters, and the states that it keeps."""
        walk = DropoutWalk(
            spec,
            torch,
            Tensor.detach,
            sigmoid=torch.sigmoid,
            softmax=lambda z: torch.softmax(z, dim=-1),
        )
        return {"walk": walk, "params": params, "states": {}}

    def run(self, model: dict, inputs: Mapping, **given: object) -> dict:
        """The outputs, final states and nodes."""
        walk = model["walk"]
        given["states"] = {**model["states"], **(given["states"] or {})}
        with torch.no_grad():
            outputs, finals, nodes = run(
                walk, tensors(model["params"]), tensors(inputs), **tensors_of(**given)
            )
        finals = arrays(finals)
        model["states"] = {
            name: value for name, value in finals.items() if walk.is_stateful(name)
        }
        return {"outputs": arrays(outputs), "finals": finals, "nodes": arrays(nodes)}

    def grads(
        self, model: dict, inputs: Mapping, cotangents: Mapping, **given: object
    ) -> dict:
        """Gradients by autograd, of a run from the declared start."""
        params = tensors(model["params"])
        inputs = tensors(inputs)
        leaves = {}
        for name, value in params.items():
            leaves["params", name] = value.requires_grad_()
        for name, value in inputs.items():
            if value.is_floating_point():
                leaves["inputs", name] = value.requires_grad_()
        outputs, _, _ = run(model["walk"], params, inputs, **tensors_of(**given))
        total = sum(
            (outputs[name] * value).sum() for name, value in tensors(cotangents).items()
        )
        # Materialized: what nothing depends on has a gradient of zeros.
        gradients = torch.autograd.grad(
            total, list(leaves.values()), materialize_grads=True
        )
        found = {"params": {}, "inputs": {}}
        for (kind, name), gradient in zip(leaves, gradients, strict=True):
            found[kind][name] = gradient.numpy()
        return found


def tensors(values: Mapping[str, np.ndarray] | None) -> Tensors:
    """Copies as tensors, of the same dtypes; None is empty."""
    if values is None:
        return {}
    return {name: torch.from_numpy(np.array(value)) for name, value in values.items()}


def arrays(values: Tensors) -> dict[str, np.ndarray]:
    """Tensors as arrays."""
    return {name: value.numpy() for name, value in values.items()}


def tensors_of(
    mask: np.ndarray | None, states: Mapping | None, draws: Mapping | None, train: bool
) -> dict:
    """The keyword arguments of a run as tensors; draws in training only."""
    return {
        "mask": None if mask is None else torch.from_numpy(np.array(mask)),
        "states": tensors(states),
        "draws": tensors(draws if train else None),
    }
