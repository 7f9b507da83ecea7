"""Keras 3 on JAX: a declaration is the cell of a ``keras.layers.RNN``, gradients by ``jax.vjp``.

Keras's RNN has one sequence, one output and states of one step back. So inputs are joined into one sequence and cut
apart in the cell, contexts are repeated over time, outputs are joined and cut apart behind the layer, and what is
looked back to further is a state for each step.
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
        f"this port needs Keras on JAX, and it runs on {keras.backend.backend()}: set KERAS_BACKEND=jax"
    )

Tensors = Mapping[str, jax.Array]
Widths = Mapping[str, int]


def cut(joined: jax.Array, widths: Widths) -> dict[str, jax.Array]:
    """What was joined along the last axis, by name."""
    return dict(
        zip(
            widths,
            ops.split(joined, list(accumulate(widths.values()))[:-1], axis=-1),
            strict=True,
        )
    )


class Cell(keras.layers.Layer):
    """One step of a declaration, as Keras's RNN calls it."""

    def __init__(
        self,
        walk: Walk,
        widths: Widths,
        shown: Widths,
        past: Tensors,
        params: Tensors,
        dtype: str,
    ):
        super().__init__(dtype=dtype)
        self.walk, self.widths, self.shown = walk, widths, list(shown)
        self.lags = {name: len(value) for name, value in past.items()}
        self.output_size = sum(shown.values())
        steps = [value.shape[-1] for value in past.values() for _ in value]
        self.state_size = [
            self.output_size,
            *steps,
        ]  # a masked step of Keras shows the first state as output
        self.own = {
            name: self.add_weight(
                shape=value.shape, initializer="zeros", name=name.replace(".", "_")
            )
            for name, value in params.items()
        }

    def call(
        self, inputs: jax.Array, states: list[jax.Array]
    ) -> tuple[jax.Array, list[jax.Array]]:
        """The outputs, joined; and the states, newest last."""
        given = iter(states[1:])
        past = {
            name: jnp.stack([next(given) for _ in range(lag)])
            for name, lag in self.lags.items()
        }
        own = {name: ops.convert_to_tensor(weight) for name, weight in self.own.items()}
        past, found = self.walk.advance(own, past, {}, cut(inputs, self.widths))
        output = ops.concatenate(
            [found["output", name] for name in self.shown], axis=-1
        )
        return output, [output, *(step for name in self.lags for step in past[name])]


def run(
    walk: Walk,
    params: Tensors,
    inputs: Tensors,
    states: Tensors,
    mask: jax.Array | None,
) -> tuple:
    """Outputs and final states, a pure function of JAX's arrays."""
    spec, past = walk.spec, walk.first_past(params, inputs, states)
    dtype = next((value.dtype.name for value in params.values()), "float64")
    joined = {
        name: value
        if name in walk.sequences
        else ops.repeat(value[:, None], walk.length(inputs), axis=1)
        for name, value in inputs.items()
        if name != spec["mask"] and (name in walk.sequences or value.ndim == 2)
    }
    found = jax.eval_shape(
        walk.step, params, past, {name: value[:, 0] for name, value in joined.items()}
    )
    shown = {
        output["name"]: found["output", output["name"]].shape[-1]
        for output in walk.outputs
    }
    cell = Cell(
        walk,
        {name: value.shape[-1] for name, value in joined.items()},
        shown,
        past,
        params,
        dtype,
    )
    rnn = keras.layers.RNN(
        cell,
        return_sequences=True,
        return_state=True,
        dtype=dtype,
        go_backwards=spec["go_backwards"],
        unroll=spec["unroll"],
    )
    x = ops.concatenate(list(joined.values()), axis=-1)
    rnn.build(x.shape)
    before = jnp.zeros((len(x), cell.output_size), dtype)
    (outputs, _, *lasts), _ = rnn.stateless_call(
        list(params.values()),
        [],
        x,
        initial_state=[before, *(step for value in past.values() for step in value)],
        mask=walk.valid(inputs, mask),
    )
    lasts = iter(lasts)
    past = {
        name: jnp.stack([next(lasts) for _ in value]) for name, value in past.items()
    }
    return walk.told(
        {("output", name): value for name, value in cut(outputs, shown).items()}, past
    )


class Adapter(on_jax.Adapter):
    """What the runner is given."""

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
