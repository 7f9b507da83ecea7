"""Keras 3 on JAX: a declaration as the cell of a ``keras.layers.RNN``.

Keras's RNN takes one sequence, returns one output, and its states are one step old. So
this port packs a declaration into that form:

- inputs are concatenated along their last axis and split again inside the cell;
- contexts are repeated over time, and travel with the sequences;
- outputs are concatenated inside the cell and split behind the layer;
- each step of a past of several steps is a state.

Gradients are those of the JAX port: ``jax.vjp`` of a pure function.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import accumulate

os.environ.setdefault("KERAS_BACKEND", "jax")  # Keras reads it when it is imported

import jax
import keras
from jax import numpy as jnp
from keras import ops

from recursive.conformance.adapters import jax as on_jax
from recursive.conformance.adapters.walk import Walk

if keras.backend.backend() != "jax":
    raise ImportError(
        f"this port needs Keras on JAX, and it runs on {keras.backend.backend()}: "
        "set KERAS_BACKEND=jax"
    )

Tensors = Mapping[str, jax.Array]
Dims = Mapping[str, int]


def split(joined: jax.Array, dims: Dims) -> dict[str, jax.Array]:
    """The values that were concatenated along the last axis, by name."""
    *ends, _ = accumulate(dims.values())
    return dict(zip(dims, ops.split(joined, ends, axis=-1), strict=True))


def steps_of(past: Tensors) -> list[jax.Array]:
    """The steps of each past, ``(batch, dim)``, one after another."""
    steps = []
    for value in past.values():
        steps += list(value)
    return steps


def past_of(steps: list[jax.Array], lags: Dims) -> dict[str, jax.Array]:
    """The past by name, from the list that ``steps_of`` returned."""
    past = {}
    begin = 0
    for name, lag in lags.items():
        past[name] = jnp.stack(steps[begin : begin + lag])
        begin += lag
    return past


def last_dims(values: Tensors) -> dict[str, int]:
    """The size of the last axis of each value."""
    return {name: value.shape[-1] for name, value in values.items()}


class Cell(keras.layers.Layer):
    """One step of a declaration, in the form that Keras's RNN calls."""

    def __init__(
        self,
        walk: Walk,
        input_dims: Dims,
        output_dims: Dims,
        past: Tensors,
        params: Tensors,
        dtype: str,
    ):
        super().__init__(dtype=dtype)
        self.walk = walk
        self.input_dims = input_dims
        self.output_names = list(output_dims)
        self.lags = {name: len(value) for name, value in past.items()}
        self.output_size = sum(output_dims.values())
        # At a masked step Keras returns the first state as output, so it is the output.
        step_dims = [step.shape[-1] for step in steps_of(past)]
        self.state_size = [self.output_size, *step_dims]
        self.weights_by_name = {}
        for name, value in params.items():
            self.weights_by_name[name] = self.add_weight(
                shape=value.shape, initializer="zeros", name=name.replace(".", "_")
            )

    def call(
        self, inputs: jax.Array, states: list[jax.Array]
    ) -> tuple[jax.Array, list[jax.Array]]:
        """The concatenated outputs and the new states, from those of a step before."""
        params = {
            name: ops.convert_to_tensor(weight)
            for name, weight in self.weights_by_name.items()
        }
        _, *steps = states
        now = split(inputs, self.input_dims)
        past, results = self.walk.advance(params, past_of(steps, self.lags), {}, now)
        outputs = [results["output", name] for name in self.output_names]
        output = ops.concatenate(outputs, axis=-1)
        return output, [output, *steps_of(past)]


def run(
    walk: Walk,
    params: Tensors,
    inputs: Tensors,
    states: Tensors,
    mask: jax.Array | None,
) -> tuple[Tensors, Tensors, Tensors]:
    """The outputs and final states, each by name: a pure function of JAX's arrays."""
    past = walk.initial_past(params, inputs, states)
    dtype = next((value.dtype.name for value in params.values()), "float64")
    sequences = inputs_over_time(walk, inputs)
    output_dims = dims_of_outputs(walk, params, past, sequences)
    cell = Cell(walk, last_dims(sequences), output_dims, past, params, dtype)
    rnn = keras.layers.RNN(
        cell,
        return_sequences=True,
        return_state=True,
        dtype=dtype,
        go_backwards=walk.spec["go_backwards"],
        unroll=walk.spec["unroll"],
    )

    x = ops.concatenate(list(sequences.values()), axis=-1)
    rnn.build(x.shape)
    before = jnp.zeros((len(x), cell.output_size), dtype)
    # The weights are arguments, so that vjp differentiates with respect to them.
    returned, _ = rnn.stateless_call(
        list(params.values()),
        [],
        x,
        initial_state=[before, *steps_of(past)],
        mask=walk.valid(inputs, mask),
    )
    outputs, _, *last_steps = returned
    over_time = {}
    for name, value in split(outputs, output_dims).items():
        over_time["output", name] = value
    return walk.run_results(over_time, past_of(last_steps, cell.lags))


def inputs_over_time(walk: Walk, inputs: Tensors) -> dict[str, jax.Array]:
    """The inputs that nodes read, each ``(batch, time, dim)``."""
    over_time = {}
    for name, value in inputs.items():
        if name == walk.spec["mask"]:
            continue
        if name in walk.sequences:
            over_time[name] = value
        elif value.ndim == 2:  # a context of three axes is only the start of a state
            steps = walk.length(inputs)
            over_time[name] = ops.repeat(value[:, None], steps, axis=1)
    return over_time


def dims_of_outputs(
    walk: Walk, params: Tensors, past: Tensors, sequences: Tensors
) -> dict[str, int]:
    """The dim of each output, found without computing it."""
    first = {name: value[:, 0] for name, value in sequences.items()}
    results = jax.eval_shape(walk.step, params, past, first)
    outputs = [output["name"] for output in walk.outputs]
    return {name: results["output", name].shape[-1] for name in outputs}


class Adapter(on_jax.Adapter):
    """The port that the runner is given."""

    name = "keras on jax"
    capabilities = frozenset(
        {
            "taps",
            "free",
            "contexts",
            "initial",
            "mask",
            "n_steps",
            "unroll",
            "go_backwards",
            "final_states",
            "stateful",
            "float32",
            "layer:Gate",
            "layer:Blend",
            "layer:RecurrentDense",
            "layer:RecurrentGRU",
            "layer:RecurrentLSTM",
        }
    )
    compute = staticmethod(run)
