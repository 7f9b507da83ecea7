"""Recurrent layers with their scan written by hand: what the container is compared with.

Their formulas, arguments and parameters are those of Keras 0.1.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import activations, initializations
from recursive.layers.core import linear_map
from recursive.layers.hand_loop import RecurrentLayer

__all__ = ["GRU", "LSTM", "RecurrentLayer", "SimpleRNN"]


class SimpleRNN(RecurrentLayer):
    """``h[t] = activation(x[t] @ W + b + h[t-1] @ U)``, ``h[-1] = 0``.

    Source: ``keras.layers.recurrent.SimpleRNN`` of Keras 0.1, whose default activation is a sigmoid.

    >>> SimpleRNN(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    param_names = ("W", "U", "b")

    def __init__(self, input_dim: int, output_dim: int, init: str = "glorot_uniform", inner_init: str = "orthogonal",
                 activation: str = "sigmoid", weights: Sequence[np.ndarray] | None = None,
                 truncate_gradient: int = -1, return_sequences: bool = False, mask_mode: str = "zero",
                 name: str | None = None, seed: int | None = None):
        super().__init__(input_dim, output_dim, init, inner_init, activation, weights, truncate_gradient,
                         return_sequences, mask_mode, name, seed)

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        return [linear_map(x, self.W) + self.b]

    def step(self, x: TensorVariable, h_tm1: TensorVariable, U: TensorVariable) -> tuple[TensorVariable]:
        return (self.activation(x + h_tm1.dot(U)),)


class GRU(RecurrentLayer):
    """The gated recurrent unit.

    ``z = inner(x[t] @ W_z + b_z + h[t-1] @ U_z)``,
    ``r = inner(x[t] @ W_r + b_r + h[t-1] @ U_r)``,
    ``new = activation(x[t] @ W_h + b_h + (r * h[t-1]) @ U_h)``,
    ``h[t] = z * h[t-1] + (1 - z) * new``, ``h[-1] = 0``.

    Source: Cho et al., 2014; ``keras.layers.recurrent.GRU`` of Keras 0.1, whose default activation is a sigmoid.

    >>> GRU(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    param_names = ("W_z", "U_z", "b_z", "W_r", "U_r", "b_r", "W_h", "U_h", "b_h")

    def __init__(self, input_dim: int, output_dim: int = 128, init: str = "glorot_uniform",
                 inner_init: str = "orthogonal", activation: str = "sigmoid", inner_activation: str = "hard_sigmoid",
                 weights: Sequence[np.ndarray] | None = None, truncate_gradient: int = -1,
                 return_sequences: bool = False, mask_mode: str = "zero", name: str | None = None,
                 seed: int | None = None):
        super().__init__(input_dim, output_dim, init, inner_init, activation, weights, truncate_gradient,
                         return_sequences, mask_mode, name, seed)
        self.inner_activation = activations.get(inner_activation)

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        return self.gates(x, "zrh")

    def step(self, x_z: TensorVariable, x_r: TensorVariable, x_h: TensorVariable, h_tm1: TensorVariable,
             U_z: TensorVariable, U_r: TensorVariable, U_h: TensorVariable) -> tuple[TensorVariable]:
        z = self.inner_activation(x_z + h_tm1.dot(U_z))
        r = self.inner_activation(x_r + h_tm1.dot(U_r))
        new = self.activation(x_h + (r * h_tm1).dot(U_h))
        return (z * h_tm1 + (1 - z) * new,)


class LSTM(RecurrentLayer):
    """Long short-term memory, without peepholes.

    ``i, f, o = inner(x[t] @ W_g + b_g + h[t-1] @ U_g)`` for each gate g,
    ``c[t] = f * c[t-1] + i * activation(x[t] @ W_c + b_c + h[t-1] @ U_c)``,
    ``h[t] = o * activation(c[t])``, ``h[-1] = c[-1] = 0``.

    Args:
        forget_bias_init: the initialization of ``b_f``; the other biases start at zero.

    Source: Hochreiter and Schmidhuber, 1997; Gers et al., 2000; ``keras.layers.recurrent.LSTM`` of Keras 0.1.

    >>> LSTM(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    param_names = ("W_i", "U_i", "b_i", "W_c", "U_c", "b_c", "W_f", "U_f", "b_f", "W_o", "U_o", "b_o")
    drawing_order = ("W_i", "U_i", "b_i", "W_f", "U_f", "b_f", "W_c", "U_c", "b_c", "W_o", "U_o", "b_o")
    states = ("h", "c")

    def __init__(self, input_dim: int, output_dim: int = 128, init: str = "glorot_uniform",
                 inner_init: str = "orthogonal", forget_bias_init: str = "one", activation: str = "tanh",
                 inner_activation: str = "hard_sigmoid", weights: Sequence[np.ndarray] | None = None,
                 truncate_gradient: int = -1, return_sequences: bool = False, mask_mode: str = "zero",
                 name: str | None = None, seed: int | None = None):
        self.forget_bias_init = initializations.get(forget_bias_init)
        super().__init__(input_dim, output_dim, init, inner_init, activation, weights, truncate_gradient,
                         return_sequences, mask_mode, name, seed)
        self.inner_activation = activations.get(inner_activation)

    def first_value(self, name: str, rng: np.random.RandomState | None) -> SharedVariable:
        return self.forget_bias_init((self.output_dim,), rng=rng) if name == "b_f" else super().first_value(name, rng)

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        return self.gates(x, "icfo")

    def step(self, x_i: TensorVariable, x_c: TensorVariable, x_f: TensorVariable, x_o: TensorVariable,
             h_tm1: TensorVariable, c_tm1: TensorVariable, U_i: TensorVariable, U_c: TensorVariable,
             U_f: TensorVariable, U_o: TensorVariable) -> tuple[TensorVariable, TensorVariable]:
        i = self.inner_activation(x_i + h_tm1.dot(U_i))
        f = self.inner_activation(x_f + h_tm1.dot(U_f))
        o = self.inner_activation(x_o + h_tm1.dot(U_o))
        c = f * c_tm1 + i * self.activation(x_c + h_tm1.dot(U_c))
        return o * self.activation(c), c
