"""The network as a Python loop in PyTorch, as one writes what it has no module for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from tests.bench import equations
from tests.bench.contenders import Contender
from tests.bench.contestants import RATE, Sizes

OPS = equations.Ops(torch.tanh, torch.sigmoid, lambda values: torch.cat(values, dim=-1))


class TorchContender(Contender):
    """The parameters as PyTorch's tensors, and an optimizer for them."""

    optimizer: torch.optim.Optimizer

    def last(self, x: torch.Tensor) -> torch.Tensor:
        """The output at the last step."""
        raise NotImplementedError(f"{type(self).__name__} says how it computes")

    def forward(self, x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self.last(torch.from_numpy(x)).numpy()

    def train(self, x: np.ndarray, y: np.ndarray) -> float:
        self.optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(
            self.last(torch.from_numpy(x)), torch.from_numpy(y)
        )
        loss.backward()
        self.optimizer.step()
        return loss.item()


class Runner(TorchContender):
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
            name: torch.tensor(value, requires_grad=True)
            for name, value in equations.packed(network, weights).items()
        }
        self.optimizer = torch.optim.SGD(self.params.values(), lr=RATE)

    def last(self, x: torch.Tensor) -> torch.Tensor:
        """The output at the last step."""
        states = (x.new_zeros(x.shape[0], self.dim),) * self.equations.states
        for now in x.unbind(dim=1):
            states = self.equations.step(
                OPS, self.params, self.equations.given(self.params, now), states
            )
        return states[self.equations.output]

    def weights(self) -> dict[str, np.ndarray]:
        return equations.unpacked(
            self.network,
            {
                name: value.detach().numpy().copy()
                for name, value in self.params.items()
            },
        )
