"""The network in Keras 3 on JAX: ``RNN(cell)`` in a Sequential.

Where Keras has the cell, it is Keras's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import keras
import numpy as np

from recursive.errors import BackendError
from tests.bench import equations
from tests.bench.contenders import Contender
from tests.bench.contestants import CELLS, RATE, Sizes

OPS = equations.Ops(
    keras.ops.tanh,
    keras.ops.sigmoid,
    lambda values: keras.ops.concatenate(values, axis=-1),
)

KERAS_CELLS = {
    "vanilla": keras.layers.SimpleRNNCell,
    "lstm": keras.layers.LSTMCell,
    "gru": partial(keras.layers.GRUCell, reset_after=False),
    "gru-after": partial(keras.layers.GRUCell, reset_after=True),
}


class Cell(keras.layers.Layer):
    """One step of a network that Keras has no cell for."""

    def __init__(self, network: str, sizes: Sizes, params: Mapping[str, np.ndarray]):
        super().__init__()
        self.equations = equations.of(network, sizes)
        self.state_size = [sizes.dim] * self.equations.states
        self.output_size = sizes.dim
        self.values = {
            name: self.add_weight(shape=value.shape, name=name.replace(".", "_"))
            for name, value in params.items()
        }
        self.built = True

    def call(self, inputs: object, states: list) -> tuple:
        """The output, and the new states."""
        new = self.equations.step(
            OPS, self.values, self.equations.given(self.values, inputs), tuple(states)
        )
        return new[self.equations.output], list(new)


class Runner(Contender):
    """The network, as said above."""

    def __init__(
        self,
        network: str,
        sizes: Sizes,
        weights: Mapping[str, np.ndarray],
        backend: None = None,
    ):
        if keras.backend.backend() != "jax":
            raise BackendError.about(
                "peer",
                "keras",
                takes="Keras on JAX",
                because="it is compared on JAX",
                got=f"Keras on {keras.backend.backend()}",
                do="Set KERAS_BACKEND=jax.",
            )
        self.network, self.dim = network, sizes.dim
        params = equations.packed(network, weights)
        self.names = list(params)
        cell = (
            KERAS_CELLS[network](sizes.dim)
            if network in CELLS
            else Cell(network, sizes, params)
        )
        self.model = keras.Sequential(
            [keras.Input((sizes.steps, sizes.input_dim)), keras.layers.RNN(cell)]
        )
        self.model.set_weights(self._as_keras(params))
        self.model.compile(keras.optimizers.SGD(RATE), "mse")

    def _as_keras(self, params: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The weights in Keras's order; a GRU that resets after the product has two biases."""
        if self.network != "gru-after":
            return list(params.values())
        inner = np.concatenate(
            [np.zeros_like(params["b_inner"])] * 2 + [params["b_inner"]]
        )
        return [params["W"], params["U"], np.stack([params["b"], inner])]

    def forward(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict_on_batch(x))

    def train(self, x: np.ndarray, y: np.ndarray) -> float:
        return float(self.model.train_on_batch(x, y))

    def weights(self) -> dict[str, np.ndarray]:
        values = [np.asarray(variable.value) for variable in self.model.weights]
        if self.network == "gru-after":
            W, U, (b, inner) = values
            values = [W, U, b, inner[2 * self.dim :]]
        return equations.unpacked(
            self.network, dict(zip(self.names, values, strict=True))
        )
