"""The network as a hand-written PyTensor scan, input product hoisted, scan's gradient.

It is compiled by a Program as the container is, so that both have the same BLAS and the same fixed shapes on JAX.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend import Argument, Program, shared
from tests.bench import equations
from tests.bench.contenders import Contender
from tests.bench.contestants import RATE, Sizes

OPS = equations.Ops(pt.tanh, pt.sigmoid, lambda values: pt.concatenate(values, axis=-1))


class Runner(Contender):
    """The network, as said above."""

    def __init__(
        self,
        network: str,
        sizes: Sizes,
        weights: Mapping[str, np.ndarray],
        backend: str,
    ):
        self.network, self.dim = network, sizes.dim
        self.equations = equations.of(network, sizes)
        self.params = {
            name: shared(value, name)
            for name, value in equations.packed(network, weights).items()
        }
        dtype = pytensor.config.floatX
        x = Argument("x", dtype, (None, None, sizes.input_dim))
        y = Argument("y", dtype, (None, sizes.dim))
        self._forward = Program([x], lambda inputs: ([self.last(*inputs)], []), backend)
        self._train = Program([x, y], lambda inputs: self.descent(*inputs), backend)

    def last(self, x: TensorVariable) -> TensorVariable:
        """The output at the last step."""
        given = self.equations.given(self.params, x)
        start = pt.zeros((x.shape[0], self.dim))

        def step(*arguments: TensorVariable) -> list[TensorVariable]:
            now, past = (
                arguments[: len(given)],
                arguments[len(given) : len(given) + self.equations.states],
            )
            p = dict(
                zip(
                    self.params,
                    arguments[len(given) + self.equations.states :],
                    strict=True,
                )
            )
            return list(self.equations.step(OPS, p, now, past))

        states = pytensor.scan(
            step,
            sequences=[value.swapaxes(0, 1) for value in given],
            outputs_info=[start] * self.equations.states,
            non_sequences=list(self.params.values()),
            strict=True,
            return_list=True,
            return_updates=False,
        )
        return states[self.equations.output][-1]

    def descent(self, x: TensorVariable, y: TensorVariable) -> tuple[list, list]:
        """The loss, and each parameter's new value."""
        loss = ((self.last(x) - y) ** 2).mean()
        params = list(self.params.values())
        gradients = pytensor.grad(loss, params, disconnected_inputs="ignore")
        return [loss], [
            (param, param - np.asarray(RATE, param.dtype) * gradient)
            for param, gradient in zip(params, gradients, strict=True)
        ]

    def forward(self, x: np.ndarray) -> np.ndarray:
        return self._forward(x)[0]

    def train(self, x: np.ndarray, y: np.ndarray) -> float:
        return float(self._train(x, y)[0])

    def weights(self) -> dict[str, np.ndarray]:
        return equations.unpacked(
            self.network,
            {name: np.array(value.get_value()) for name, value in self.params.items()},
        )
