"""Recurrent layers with their scan written by hand: what the container is compared with.

Their formulas, arguments and parameters are those of Keras 0.1.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import activations, initializations
from recursive.layers.hand_loop import RecurrentLayer
from recursive.layers.jzs import JZS1, JZS2, JZS3
from recursive.layers.layer import check_dim
from recursive.layers.products import linear_map

__all__ = [
    "GRU",
    "JZS1",
    "JZS2",
    "JZS3",
    "LSTM",
    "RecurrentLayer",
    "SimpleDeepRNN",
    "SimpleRNN",
]


class SimpleRNN(RecurrentLayer):
    """``h[t] = activation(x[t] @ W + b + h[t-1] @ U)``, ``h[-1] = 0``.

    Source: ``keras.layers.recurrent.SimpleRNN`` of Keras 0.1, whose default activation is a sigmoid.

    >>> SimpleRNN(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    param_names = ("W", "U", "b")

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        init: str = "glorot_uniform",
        inner_init: str = "orthogonal",
        activation: str = "sigmoid",
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

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        return [linear_map(x, self.W) + self.b]

    def step(
        self, x: TensorVariable, h_tm1: TensorVariable, U: TensorVariable
    ) -> tuple[TensorVariable]:
        return (self.activation(x + h_tm1.dot(U)),)


class SimpleDeepRNN(RecurrentLayer):
    """A look back of ``depth`` steps: ``h[t] = activation(x[t] @ W + b + sum of inner(h[t-k] @ U<k>))``.

    k runs from 1 to ``depth``. What lies before the first step adds nothing to the sum, and with mask mode ``zero``
    what was masked adds nothing either.

    Args:
        depth: how many steps it looks back. Its states are ``h1``, ``h2``, ..., one, two, ... steps back, and
            ``there1``, ``there2``, ..., 1 where there was such a step.
        inner_activation: of what each of them adds.

    Source: ``keras.layers.recurrent.SimpleDeepRNN`` of Keras 0.1. There scan gave the step several taps of one state;
    here every step back is a state of its own, so that masked steps can carry them all on.

    >>> SimpleDeepRNN(4, 6, depth=2)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        depth: int = 3,
        init: str = "glorot_uniform",
        inner_init: str = "orthogonal",
        activation: str = "sigmoid",
        inner_activation: str = "hard_sigmoid",
        weights: Sequence[np.ndarray] | None = None,
        truncate_gradient: int = -1,
        return_sequences: bool = False,
        mask_mode: str = "zero",
        name: str | None = None,
        seed: int | None = None,
        stateful: bool = False,
        go_backwards: bool = False,
    ):
        self.depth = check_dim("SimpleDeepRNN", "depth", depth)
        back = range(1, self.depth + 1)
        self.param_names = ("W", *(f"U{k}" for k in back), "b")
        self.state_names = (*(f"h{k}" for k in back), *(f"there{k}" for k in back))
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

    @property
    def state_dims(self) -> tuple[int, ...]:
        """The values of the last ``depth`` steps, latest first, then for each whether there was such a step."""
        return (self.output_dim,) * self.depth + (1,) * self.depth

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        return [linear_map(x, self.W) + self.b]

    def step(
        self, x: TensorVariable, *args: TensorVariable
    ) -> tuple[TensorVariable, ...]:
        past, there, U = (
            args[self.depth * part : self.depth * (part + 1)] for part in range(3)
        )
        added = [
            is_there * self.inner_activation(h.dot(U_k))
            for h, is_there, U_k in zip(past, there, U, strict=True)
        ]
        return (
            self.activation(x + sum(added)),
            *past[:-1],
            pt.ones_like(there[0]),
            *there[:-1],
        )

    def forget(
        self, past: Sequence[TensorVariable], valid: TensorVariable
    ) -> list[TensorVariable]:
        """As it was, but that the step before counts as none where it was masked."""
        values, (latest, *there) = past[: self.depth], past[self.depth :]
        return [*values, valid * latest, *there]


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

    def __init__(
        self,
        input_dim: int,
        output_dim: int = 128,
        init: str = "glorot_uniform",
        inner_init: str = "orthogonal",
        activation: str = "sigmoid",
        inner_activation: str = "hard_sigmoid",
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

    param_names = (
        "W_i",
        "U_i",
        "b_i",
        "W_c",
        "U_c",
        "b_c",
        "W_f",
        "U_f",
        "b_f",
        "W_o",
        "U_o",
        "b_o",
    )
    drawing_order = (
        "W_i",
        "U_i",
        "b_i",
        "W_f",
        "U_f",
        "b_f",
        "W_c",
        "U_c",
        "b_c",
        "W_o",
        "U_o",
        "b_o",
    )
    state_names = ("h", "c")

    def __init__(
        self,
        input_dim: int,
        output_dim: int = 128,
        init: str = "glorot_uniform",
        inner_init: str = "orthogonal",
        forget_bias_init: str = "one",
        activation: str = "tanh",
        inner_activation: str = "hard_sigmoid",
        weights: Sequence[np.ndarray] | None = None,
        truncate_gradient: int = -1,
        return_sequences: bool = False,
        mask_mode: str = "zero",
        name: str | None = None,
        seed: int | None = None,
        stateful: bool = False,
        go_backwards: bool = False,
    ):
        self.forget_bias_init = initializations.get(forget_bias_init)
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

    def first_value(
        self, name: str, rng: np.random.RandomState | None
    ) -> SharedVariable:
        if name == "b_f":
            return initializations.first_values(
                self.forget_bias_init, (self.output_dim,), rng
            )
        return super().first_value(name, rng)

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        return self.gates(x, "icfo")

    def step(
        self,
        x_i: TensorVariable,
        x_c: TensorVariable,
        x_f: TensorVariable,
        x_o: TensorVariable,
        h_tm1: TensorVariable,
        c_tm1: TensorVariable,
        U_i: TensorVariable,
        U_c: TensorVariable,
        U_f: TensorVariable,
        U_o: TensorVariable,
    ) -> tuple[TensorVariable, TensorVariable]:
        i = self.inner_activation(x_i + h_tm1.dot(U_i))
        f = self.inner_activation(x_f + h_tm1.dot(U_f))
        o = self.inner_activation(x_o + h_tm1.dot(U_o))
        c = f * c_tm1 + i * self.activation(x_c + h_tm1.dot(U_c))
        return o * self.activation(c), c
