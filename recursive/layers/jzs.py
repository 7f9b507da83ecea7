"""The three gated layers that a search over thousands of them found: MUT1, MUT2 and MUT3.

``new`` is what a step proposes, and the gate z mixes it with the state: ``h[t] = z * new + (1 - z) * h[t-1]``. They
differ in what the gates read. Jozefowicz, Zaremba and Sutskever, 2015: An Empirical Exploration of Recurrent Network
Architectures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import activations, backend
from recursive.layers.hand_loop import RecurrentLayer
from recursive.layers.products import linear_map


class JZSLayer(RecurrentLayer):
    """What the three have in common: their arguments, and the step.

    Args:
        inner_activation: of the gates z and r.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int = 128,
        init: str = "glorot_uniform",
        inner_init: str = "orthogonal",
        activation: str = "tanh",
        inner_activation: str = "sigmoid",
        weights: Sequence[np.ndarray] | None = None,
        truncate_gradient: int = -1,
        return_sequences: bool = False,
        mask_mode: str = "zero",
        name: str | None = None,
        seed: int | None = None,
        stateful: bool = False,
        go_backwards: bool = False,
    ):
        super().__init__(
            input_dim,
            output_dim,
            init,
            inner_init,
            activation,
            weights,
            truncate_gradient,
            return_sequences,
            mask_mode,
            name,
            seed,
            stateful,
            go_backwards,
        )
        self.inner_activation = activations.get(inner_activation)
        self.Pmat = self._fixed_projection()

    def mixed(
        self,
        z: TensorVariable,
        x_r: TensorVariable,
        x_h: TensorVariable,
        h_tm1: TensorVariable,
        U_r: TensorVariable,
        U_h: TensorVariable,
    ) -> tuple[TensorVariable]:
        """The state at t, for the gate z: what all three do alike."""
        r = self.inner_activation(x_r + h_tm1.dot(U_r))
        new = self.activation(x_h + (r * h_tm1).dot(U_h))
        return (z * new + (1 - z) * h_tm1,)

    def _fixed_projection(self) -> SharedVariable:
        """``Pmat`` of ``(input_dim, output_dim)``, which is not learned: signs drawn at random, times
        ``1 / sqrt(input_dim)``; the identity where the dims are equal.

        Keras 0.1 drew other signs each time, and saved weights did not hold them. Here they are the same for the same
        ``seed``, None too.
        """
        if self.input_dim == self.output_dim:
            return backend.shared(np.identity(self.output_dim))
        rng = np.random.RandomState(self.seed or 0)
        signs = 2 * rng.binomial(1, 0.5, (self.input_dim, self.output_dim)) - 1
        return backend.shared(signs / np.sqrt(self.input_dim))


class JZS1(JZSLayer):
    """MUT1: ``z = inner(x[t] @ W_z + b_z)``, ``r = inner(x[t] @ W_r + b_r + h[t-1] @ U_r)``,
    ``new = activation(tanh(x[t] @ Pmat) + b_h + (r * h[t-1]) @ U_h)``, with a fixed ``Pmat``.

    Source: ``keras.layers.recurrent.JZS1`` of Keras 0.1.

    >>> JZS1(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    param_names = ("W_z", "b_z", "W_r", "U_r", "b_r", "U_h", "b_h")

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        return [*self.gates(x, "zr"), pt.tanh(linear_map(x, self.Pmat)) + self.b_h]

    def step(
        self,
        x_z: TensorVariable,
        x_r: TensorVariable,
        x_h: TensorVariable,
        h_tm1: TensorVariable,
        U_r: TensorVariable,
        U_h: TensorVariable,
    ) -> tuple[TensorVariable]:
        return self.mixed(self.inner_activation(x_z), x_r, x_h, h_tm1, U_r, U_h)


class JZS2(JZSLayer):
    """MUT2: ``z = inner(x[t] @ W_z + b_z + h[t-1] @ U_z)``, ``r = inner(x[t] @ Pmat + b_r + h[t-1] @ U_r)``,
    ``new = activation(x[t] @ W_h + b_h + (r * h[t-1]) @ U_h)``, with a fixed ``Pmat``.

    Source: ``keras.layers.recurrent.JZS2`` of Keras 0.1.

    >>> JZS2(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    param_names = ("W_z", "U_z", "b_z", "U_r", "b_r", "W_h", "U_h", "b_h")

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        x_z, x_h = self.gates(x, "zh")
        return [x_z, linear_map(x, self.Pmat) + self.b_r, x_h]

    def step(
        self,
        x_z: TensorVariable,
        x_r: TensorVariable,
        x_h: TensorVariable,
        h_tm1: TensorVariable,
        U_z: TensorVariable,
        U_r: TensorVariable,
        U_h: TensorVariable,
    ) -> tuple[TensorVariable]:
        return self.mixed(
            self.inner_activation(x_z + h_tm1.dot(U_z)), x_r, x_h, h_tm1, U_r, U_h
        )


class JZS3(JZSLayer):
    """MUT3: ``z = inner(x[t] @ W_z + b_z + tanh(h[t-1]) @ U_z)``, ``r = inner(x[t] @ W_r + b_r + h[t-1] @ U_r)``,
    ``new = activation(x[t] @ W_h + b_h + (r * h[t-1]) @ U_h)``.

    Source: ``keras.layers.recurrent.JZS3`` of Keras 0.1.

    >>> JZS3(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    param_names = ("W_z", "U_z", "b_z", "W_r", "U_r", "b_r", "W_h", "U_h", "b_h")

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        return self.gates(x, "zrh")

    def step(
        self,
        x_z: TensorVariable,
        x_r: TensorVariable,
        x_h: TensorVariable,
        h_tm1: TensorVariable,
        U_z: TensorVariable,
        U_r: TensorVariable,
        U_h: TensorVariable,
    ) -> tuple[TensorVariable]:
        return self.mixed(
            self.inner_activation(x_z + pt.tanh(h_tm1).dot(U_z)),
            x_r,
            x_h,
            h_tm1,
            U_r,
            U_h,
        )
