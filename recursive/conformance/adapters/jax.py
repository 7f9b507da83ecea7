"""JAX: a pure function with ``lax.scan`` inside, and gradients by ``vjp``."""

from __future__ import annotations

from collections.abc import Mapping
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
    """The outputs, final states and nodes, each by name, of the first ``length`` steps.

    All steps run unless ``length`` is given.
    """
    length = length or walk.length(inputs)
    sequences = {name: inputs[name] for name in walk.sequences}
    # Every step is a pair: the slices of the sequences, and which rows are valid.
    steps = jax.tree.map(
        lambda value: walk.in_loop_order(value).swapaxes(0, 1),  # (time, batch, ...)
        (sequences, walk.valid(inputs, mask)),
    )

    past = walk.initial_past(params, inputs, states)
    first_slices, _ = jax.tree.map(itemgetter(0), steps)
    first_results = walk.step(params, past, {**inputs, **first_slices})
    carry = (past, jax.tree.map(jnp.zeros_like, first_results))

    # Truncation is a second scan: the steps before it carry no gradient.
    first_with_gradient = walk.first_with_gradient(length)
    parts = []
    for begin, end in ((0, first_with_gradient), (first_with_gradient, length)):
        if begin == end:
            continue
        with_gradient = begin == first_with_gradient

        def body(carry: tuple, step: tuple, with_gradient: bool = with_gradient):
            slices, valid = step
            past, results = walk.advance(
                params, *carry, {**inputs, **slices}, valid, with_gradient
            )
            return (past, results), results

        part = jax.tree.map(itemgetter(slice(begin, end)), steps)
        carry, results = lax.scan(body, carry, part, length=end - begin)
        parts.append(results)

    over_time = {}
    for key in parts[0]:
        joined = jnp.concatenate([part[key] for part in parts])
        over_time[key] = joined.swapaxes(0, 1)  # (batch, time, ...)
    if walk.spec["until"]:
        steps_run = steps_until(over_time["node", walk.spec["until"]])
        if steps_run < length:
            # A scan cannot stop early, so that it runs again for as long as it should.
            return run(walk, params, inputs, states, mask, steps_run)
    past, _ = carry
    return walk.run_results(over_time, past)


def steps_until(stops: jax.Array) -> int:
    """The steps up to the first at which all of ``(batch, time, ...)`` are true."""
    by_step = stops.swapaxes(0, 1).reshape(stops.shape[1], -1)
    all_stop = by_step.all(axis=1).tolist()
    return all_stop.index(True) + 1 if True in all_stop else len(all_stop)


class Adapter:
    """The port that the runner is given."""

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
        """The declaration, its parameters, and the states that it keeps."""
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
        """The outputs, final states and nodes."""
        walk = model["walk"]
        states = {**model["states"], **(states or {})}
        # Without this, JAX makes float32 of every array.
        with jax.enable_x64(True):
            given = jax.tree.map(jnp.asarray, (model["params"], inputs, states, mask))
            found = self.compute(walk, *given)
            outputs, finals, nodes = jax.tree.map(np.asarray, found)
        model["states"] = {
            name: value for name, value in finals.items() if walk.is_stateful(name)
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
        """Gradients by ``vjp``, of a run from the declared start."""
        # JAX differentiates with respect to floats only.
        floats = {
            name: value
            for name, value in inputs.items()
            if np.issubdtype(value.dtype, np.floating)
        }

        def outputs(params: Arrays, floats: Arrays) -> Arrays:
            given = ({**inputs, **floats}, states or {}, mask)
            given = jax.tree.map(jnp.asarray, given)
            found, _, _ = self.compute(model["walk"], params, *given)
            return {name: found[name] for name in cotangents}

        with jax.enable_x64(True):
            arguments = (dict(model["params"]), floats, dict(cotangents))
            params, floats, cotangents = jax.tree.map(jnp.asarray, arguments)
            _, reverse_pass = jax.vjp(outputs, params, floats)
            found = jax.tree.map(np.asarray, reverse_pass(cotangents))
        param_gradients, input_gradients = found
        return {"params": param_gradients, "inputs": input_gradients}
