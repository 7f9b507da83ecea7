"""PyTorch's ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU``: the whole loop is one operation.

Each gate has two biases there, of which one starts as zeros: the first step is that of the others, and later ones
learn faster.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from tests.bench import equations
from tests.bench.contenders.torch_loop import TorchContender
from tests.bench.contestants import RATE, Sizes

MODULES = {"vanilla": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru-after": torch.nn.GRU}
GATES = {"vanilla": [0], "lstm": [0, 1, 2, 3], "gru-after": [1, 0, 2]}
"""The place of each of PyTorch's gates in the equations. It is its own inverse."""


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
        params = equations.packed(network, weights)
        self.module = MODULES[network](
            sizes.input_dim, sizes.dim, batch_first=True, dtype=_dtype(params["W"])
        )
        inner = np.zeros_like(params["b"])
        if "b_inner" in params:
            inner[2 * sizes.dim :] = params["b_inner"]
        own = (params["W"], params["U"], params["b"], inner)
        with torch.no_grad():
            for param, value in zip(self.module.parameters(), own, strict=True):
                param.copy_(torch.from_numpy(self._reordered(value).T.copy()))
        self.optimizer = torch.optim.SGD(self.module.parameters(), lr=RATE)

    def _reordered(self, value: np.ndarray) -> np.ndarray:
        gates = np.split(value, len(GATES[self.network]), axis=-1)
        return np.concatenate([gates[place] for place in GATES[self.network]], axis=-1)

    def last(self, x: torch.Tensor) -> torch.Tensor:
        """The output at the last step."""
        return self.module(x)[0][:, -1]

    def weights(self) -> dict[str, np.ndarray]:
        W, U, b, inner = (
            self._reordered(value.detach().numpy().T)
            for value in self.module.parameters()
        )
        params = {"W": W, "U": U, "b": b}
        if self.network == "gru-after":
            params["b_inner"] = inner[2 * self.dim :]
        return equations.unpacked(self.network, params)


def _dtype(value: np.ndarray) -> torch.dtype:
    return torch.from_numpy(value[:0]).dtype
