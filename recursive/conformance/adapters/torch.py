"""PyTorch: an eager loop over time, gradients by autograd."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from recursive.conformance.adapters.walk import Spec, Walk

Tensors = dict[str, Tensor]


class Dropping(Walk):
    """With Dropout, whose draws are among the parameters of a step where noise is on."""

    def layer(self, node: Spec, params: Tensors, ports: Tensors) -> list[Tensor]:
        """The values of one node."""
        if node["layer"]["class_name"] != "Dropout":
            return super().layer(node, params, ports)
        x, p, draws = (
            ports["input"],
            node["layer"]["config"]["p"],
            params.get(f"{node['name']}.keep"),
        )
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
    """Outputs, final states and nodes."""
    drawn = {
        name.removesuffix(".initial"): value
        for name, value in draws.items()
        if name.endswith(".initial")
    }
    past, held, steps = walk.first_past(params, inputs, {**drawn, **states}), {}, []
    valid, length = walk.valid(inputs, mask), walk.length(inputs)
    over_time = {name: walk.turned(inputs[name]) for name in walk.sequences}
    draws = {
        name: walk.turned(value) if value.ndim == 3 else value
        for name, value in draws.items()
    }
    valid = None if valid is None else walk.turned(valid)
    for t in range(length):
        now = {**inputs, **{name: value[:, t] for name, value in over_time.items()}}
        own = {
            **params,
            **{
                name: value[:, t] if value.ndim == 3 else value
                for name, value in draws.items()
            },
        }
        held = held or {
            key: torch.zeros_like(value)
            for key, value in walk.step(own, past, now).items()
        }
        past, held = walk.advance(
            own,
            past,
            held,
            now,
            None if valid is None else valid[:, t],
            t >= walk.first_with_gradient(length),
        )
        steps.append(held)
        if walk.spec["until"] and bool(held["node", walk.spec["until"]].all()):
            break
    return walk.told(
        {key: torch.stack([step[key] for step in steps], dim=1) for key in held}, past
    )


class Adapter:
    """What the runner is given."""

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
        """The declaration, its parameters, and where its states are."""
        walk = Dropping(
            spec,
            torch,
            Tensor.detach,
            sigmoid=torch.sigmoid,
            softmax=lambda z: torch.softmax(z, dim=-1),
        )
        return {"walk": walk, "params": params, "states": {}}

    def run(self, model: dict, inputs: Mapping, **given: object) -> dict:
        """Outputs, final states and nodes."""
        given["states"] = {**model["states"], **(given["states"] or {})}
        with torch.no_grad():
            found = run(
                model["walk"],
                tensors(model["params"]),
                tensors(inputs),
                **given_tensors(**given),
            )
        outputs, finals, nodes = (
            {name: value.numpy() for name, value in part.items()} for part in found
        )
        model["states"] = {
            name: value for name, value in finals.items() if model["walk"].goes_on(name)
        }
        return {"outputs": outputs, "finals": finals, "nodes": nodes}

    def grads(
        self, model: dict, inputs: Mapping, cotangents: Mapping, **given: object
    ) -> dict:
        """By autograd, from the start of the states."""
        params, inputs = tensors(model["params"]), tensors(inputs)
        floats = {
            name: value for name, value in inputs.items() if value.is_floating_point()
        }
        leaves = [
            value.requires_grad_() for value in (*params.values(), *floats.values())
        ]
        outputs, _, _ = run(model["walk"], params, inputs, **given_tensors(**given))
        total = sum(
            (outputs[name] * value).sum() for name, value in tensors(cotangents).items()
        )
        found = [
            value.numpy()
            for value in torch.autograd.grad(total, leaves, materialize_grads=True)
        ]
        return {
            "params": dict(zip(params, found, strict=False)),
            "inputs": dict(zip(floats, found[len(params) :], strict=True)),
        }


def tensors(found: Mapping[str, np.ndarray] | None) -> Tensors:
    """New tensors, of the same types."""
    return {
        name: torch.from_numpy(np.array(value)) for name, value in (found or {}).items()
    }


def given_tensors(
    mask: np.ndarray | None, states: Mapping | None, draws: Mapping | None, train: bool
) -> dict:
    """What is given beside the inputs; draws where noise is on."""
    return {
        "mask": None if mask is None else torch.from_numpy(np.array(mask)),
        "states": tensors(states),
        "draws": tensors(draws if train else None),
    }
