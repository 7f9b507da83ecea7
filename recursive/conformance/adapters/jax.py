"""JAX: a pure function under ``lax.scan``, gradients by ``vjp``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from operator import itemgetter

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from recursive.conformance.adapters.walk import Spec, Walk

Arrays = Mapping[str, jax.Array]


def run(
    walk: Walk,
    params: Arrays,
    inputs: Arrays,
    states: Arrays,
    mask: jax.Array | None,
    length: int | None = None,
) -> tuple[Arrays, Arrays, Arrays]:
    """Outputs, final states and nodes, of the first ``length`` steps."""
    length = length or walk.length(inputs)
    over_time = (
        {name: inputs[name] for name in walk.sequences},
        walk.valid(inputs, mask),
    )
    steps = jax.tree.map(lambda value: walk.turned(value).swapaxes(0, 1), over_time)
    past = walk.first_past(params, inputs, states)
    now, _ = jax.tree.map(itemgetter(0), steps)
    held = jax.tree.map(jnp.zeros_like, walk.step(params, past, {**inputs, **now}))

    def body(with_gradient: bool, carry: tuple, step: tuple) -> tuple:
        now, valid = step
        carry = walk.advance(params, *carry, {**inputs, **now}, valid, with_gradient)
        return carry, carry[1]

    first, carry, parts = walk.first_with_gradient(length), (past, held), []
    for begin, end in ((0, first), (first, length)):
        if begin < end:
            part = jax.tree.map(itemgetter(slice(begin, end)), steps)
            carry, found = lax.scan(
                partial(body, begin == first), carry, part, length=end - begin
            )
            parts.append(found)
    over_time = {
        key: jnp.concatenate([part[key] for part in parts]).swapaxes(0, 1)
        for key in held
    }
    if walk.spec["until"]:
        stops = (
            over_time["node", walk.spec["until"]]
            .swapaxes(0, 1)
            .reshape(length, -1)
            .all(axis=1)
            .tolist()
        )
        if (
            True in stops[:-1]
        ):  # how long it runs is known now: it is run again for as long
            return run(walk, params, inputs, states, mask, stops.index(True) + 1)
    return walk.told(over_time, carry[0])


class Adapter:
    """What the runner is given."""

    name = "jax"
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
            "bool",
            "float32",
            "layer:Gate",
            "layer:Blend",
            "layer:RecurrentDense",
            "layer:RecurrentGRU",
            "layer:RecurrentLSTM",
        }
    )
    compute = staticmethod(run)

    def build(self, spec: Spec, params: Mapping[str, np.ndarray]) -> dict:
        """The declaration, its parameters, and where its states are."""
        walk = Walk(
            spec, jnp, lax.stop_gradient, sigmoid=jax.nn.sigmoid, softmax=jax.nn.softmax
        )
        return {"walk": walk, "params": params, "states": {}}

    def run(
        self,
        model: dict,
        inputs: Mapping,
        *,
        mask: np.ndarray | None,
        states: Mapping | None,
        draws: Mapping | None,
        train: bool,
    ) -> dict:
        """Outputs, final states and nodes."""
        with jax.enable_x64(True):
            given = jax.tree.map(
                jnp.asarray,
                (model["params"], inputs, {**model["states"], **(states or {})}, mask),
            )
            outputs, finals, nodes = jax.tree.map(
                np.asarray, self.compute(model["walk"], *given)
            )
        model["states"] = {
            name: value for name, value in finals.items() if model["walk"].goes_on(name)
        }
        return {"outputs": outputs, "finals": finals, "nodes": nodes}

    def grads(
        self,
        model: dict,
        inputs: Mapping,
        cotangents: Mapping,
        *,
        mask: np.ndarray | None,
        states: Mapping | None,
        draws: Mapping | None,
        train: bool,
    ) -> dict:
        """By ``vjp``, from the start of the states."""
        floats = {
            name: value
            for name, value in inputs.items()
            if np.issubdtype(value.dtype, np.floating)
        }

        def outputs(params: Arrays, floats: Arrays) -> Arrays:
            given = jax.tree.map(
                jnp.asarray, ({**inputs, **floats}, states or {}, mask)
            )
            found, _, _ = self.compute(model["walk"], params, *given)
            return {name: found[name] for name in cotangents}

        with jax.enable_x64(True):
            params, floats, cotangents = jax.tree.map(
                jnp.asarray, (dict(model["params"]), floats, dict(cotangents))
            )
            _, back = jax.vjp(outputs, params, floats)
            params, inputs = jax.tree.map(np.asarray, back(cotangents))
        return {"params": params, "inputs": inputs}
