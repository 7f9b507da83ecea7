"""The network as a hand-written ``jax.lax.scan``, jitted, with ``value_and_grad``."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from tests.bench import equations
from tests.bench.contenders import Contender
from tests.bench.contestants import RATE, Sizes

OPS = equations.Ops(
    jnp.tanh, jax.nn.sigmoid, lambda values: jnp.concatenate(values, axis=-1)
)


class Runner(Contender):
    """The network, as said above."""

    def __init__(
        self,
        network: str,
        sizes: Sizes,
        weights: Mapping[str, np.ndarray],
        backend: None = None,
    ):
        self.network, self.dim = network, sizes.dim
        self.equations = equations.of(network, sizes)
        self.params = {
            name: jnp.asarray(value)
            for name, value in equations.packed(network, weights).items()
        }
        self._forward, self._train = jax.jit(self.last), jax.jit(self.descent)

    def last(self, params: dict, x: jax.Array) -> jax.Array:
        """The output at the last step."""
        start = (jnp.zeros((x.shape[0], self.dim), x.dtype),) * self.equations.states

        def step(states: tuple, x: jax.Array) -> tuple:
            return self.equations.step(
                OPS, params, self.equations.given(params, x), states
            ), None

        states, _ = jax.lax.scan(step, start, jnp.swapaxes(x, 0, 1))
        return states[self.equations.output]

    def descent(
        self, params: dict, x: jax.Array, y: jax.Array
    ) -> tuple[jax.Array, dict]:
        """The loss, and the new parameters."""
        loss, gradients = jax.value_and_grad(
            lambda params: jnp.mean((self.last(params, x) - y) ** 2)
        )(params)
        return loss, jax.tree.map(
            lambda param, gradient: param - RATE * gradient, params, gradients
        )

    def forward(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self._forward(self.params, x))

    def train(self, x: np.ndarray, y: np.ndarray) -> float:
        loss, self.params = self._train(self.params, x, y)
        jax.block_until_ready(self.params)
        return float(loss)

    def weights(self) -> dict[str, np.ndarray]:
        return equations.unpacked(
            self.network,
            {name: np.asarray(value) for name, value in self.params.items()},
        )
