"""The container, used as one would use it: ``predict_on_batch`` and ``train_on_batch``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recursive.optimizers import SGD
from tests.bench import networks
from tests.bench.contenders import Contender
from tests.bench.contestants import RATE, Sizes


class Runner(Contender):
    """The network, as said above."""

    def __init__(
        self,
        network: str,
        sizes: Sizes,
        weights: Mapping[str, np.ndarray],
        backend: str,
    ):
        self.model = networks.build(network, sizes)
        for name, param in self.model.named_params.items():
            param.set_value(weights[name])
        self.model.compile(SGD(lr=RATE), "mse", backend=backend)

    def forward(self, x: np.ndarray) -> np.ndarray:
        return self.model.predict_on_batch(x)

    def train(self, x: np.ndarray, y: np.ndarray) -> float:
        return self.model.train_on_batch(x, y)

    def bare(self, x: np.ndarray, y: np.ndarray) -> float:
        """As ``train``, by the compiled function alone, without checks and names."""
        program = self.model._current_programs().program("train")
        [function] = program._functions.values()
        with program._blas_threads():
            return float(np.asarray(function(x, y)[0]))

    def weights(self) -> dict[str, np.ndarray]:
        return {
            name: np.array(param.get_value())
            for name, param in self.model.named_params.items()
        }
