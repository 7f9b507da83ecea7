"""The container and its peers, a module each. Each ``Runner`` has its own process."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.bench.contestants import Sizes


class Contender:
    """The base of every ``Runner``: a network with the same initial weights for all.

    Args:
        network: its name.
        sizes: of data and states.
        weights: first values, by the container's names of parameters.
        backend: of PyTensor; None for peers that have none.
    """

    def __init__(
        self,
        network: str,
        sizes: Sizes,
        weights: Mapping[str, np.ndarray],
        backend: str | None = None,
    ):
        raise NotImplementedError

    def forward(self, x: np.ndarray) -> np.ndarray:
        """The output at the last step, ``(batch, dim)``, of ``x``, ``(batch, steps, input_dim)``."""
        raise NotImplementedError

    def train(self, x: np.ndarray, y: np.ndarray) -> float:
        """Take one SGD step on the mean squared error; return the loss before it."""
        raise NotImplementedError

    def weights(self) -> dict[str, np.ndarray]:
        """The parameters as they are now, by the container's names."""
        raise NotImplementedError
