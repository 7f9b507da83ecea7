"""The cells of the three gated layers that a search over thousands of them found: MUT1, MUT2 and MUT3.

``new`` is what a step proposes, and the gate z mixes it with the state: ``output = z * new + (1 - z) * prev_hid``. They
differ in what the gates read. Jozefowicz, Zaremba and Sutskever, 2015: An Empirical Exploration of Recurrent Network
Architectures.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.layers.cells import Cell, GatedCell
from recursive.layers.layer import Tensors
from recursive.layers.products import affine_map, linear_map, side_by_side
from recursive.spec.shapes import Shape


class JZSCell(GatedCell):
    """What the three cells have in common: their arguments, and the last line of their equations."""

    def __init__(
        self,
        input_dim: int | None = None,
        output_dim: int | None = None,
        init: str = "glorot_uniform",
        inner_init: str = "orthogonal",
        activation: str = "tanh",
        inner_activation: str = "sigmoid",
        name: str | None = None,
        seed: int | None = None,
    ):
        super().__init__(
            input_dim,
            output_dim,
            init,
            inner_init,
            activation,
            inner_activation,
            name,
            seed,
        )

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


class ProjectingCell(JZSCell):
    """A cell that multiplies the input by a fixed matrix, ``Pmat`` of ``(input_dim, output_dim)``, too.

    ``Pmat`` is not learned: signs drawn at random, times ``1 / sqrt(input_dim)``; the identity where the dims are
    equal. Keras 0.1 drew other signs each time, and saved weights did not hold them. Here they are the same for the
    same ``seed``, None too.
    """

    products = ()
    """None that a container may take apart: ``Pmat`` is no parameter, so no plan can name it."""
    rowwise = Cell.rowwise
    """Stated again, because this class has a ``call`` of its own."""

    def build(self, input_shape: Mapping[str, Shape]) -> None:
        if self.built:
            return
        super().build(input_shape)
        self.Pmat = self._fixed_projection()

    def _fixed_projection(self) -> SharedVariable:
        if self.input_dim == self.output_dim:
            return backend.shared(np.identity(self.output_dim))
        rng = np.random.RandomState(self.seed or 0)
        signs = 2 * rng.binomial(1, 0.5, (self.input_dim, self.output_dim)) - 1
        return backend.shared(signs / np.sqrt(self.input_dim))

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        return self.projected(x, self.Pmat)

    def call(self, x: Mapping[str, TensorVariable], train: bool = False) -> Tensors:
        """The step of a container may not read a shared variable that is no parameter: ``Pmat`` is a constant in it."""
        Pmat = pt.constant(self.Pmat.get_value())
        return self._states(self.projected(x["input"], Pmat), x)

    def projected(
        self, x: TensorVariable, Pmat: TensorVariable
    ) -> list[TensorVariable]:
        """The input's part of z, r and new."""
        raise NotImplementedError

    def two_gates(self, x: TensorVariable, names: str) -> list[TensorVariable]:
        """``x @ W + b`` of two gates, by one product."""
        W, b = (
            side_by_side([getattr(self, f"{letter}_{name}") for name in names])
            for letter in "Wb"
        )
        return pt.split(affine_map(x, W, b), [self.output_dim] * 2, axis=x.ndim - 1)


class RecurrentJZS1(ProjectingCell):
    """One step of JZS1, MUT1: ``z = inner(input @ W_z + b_z)``, ``r = inner(input @ W_r + b_r + prev_hid @ U_r)``,
    ``new = activation(tanh(input @ Pmat) + b_h + (r * prev_hid) @ U_h)``, with a fixed ``Pmat``.

    Source: ``keras.layers.recurrent.JZS1`` of Keras 0.1.

    >>> RecurrentJZS1(6).ports
    ('input', 'prev_hid')
    """

    param_names = ("W_z", "b_z", "W_r", "U_r", "b_r", "U_h", "b_h")

    def projected(
        self, x: TensorVariable, Pmat: TensorVariable
    ) -> list[TensorVariable]:
        return [*self.two_gates(x, "zr"), pt.tanh(linear_map(x, Pmat)) + self.b_h]

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


class RecurrentJZS2(ProjectingCell):
    """One step of JZS2, MUT2: ``z = inner(input @ W_z + b_z + prev_hid @ U_z)``,
    ``r = inner(input @ Pmat + b_r + prev_hid @ U_r)``,
    ``new = activation(input @ W_h + b_h + (r * prev_hid) @ U_h)``, with a fixed ``Pmat``.

    Source: ``keras.layers.recurrent.JZS2`` of Keras 0.1.

    >>> RecurrentJZS2(6).ports
    ('input', 'prev_hid')
    """

    param_names = ("W_z", "U_z", "b_z", "U_r", "b_r", "W_h", "U_h", "b_h")

    def projected(
        self, x: TensorVariable, Pmat: TensorVariable
    ) -> list[TensorVariable]:
        x_z, x_h = self.two_gates(x, "zh")
        return [x_z, affine_map(x, Pmat, self.b_r), x_h]

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
        return self.mixed(z, x_r, x_h, h_tm1, U_r, U_h)


class RecurrentJZS3(JZSCell):
    """One step of JZS3, MUT3: ``z = inner(input @ W_z + b_z + tanh(prev_hid) @ U_z)``,
    ``r = inner(input @ W_r + b_r + prev_hid @ U_r)``,
    ``new = activation(input @ W_h + b_h + (r * prev_hid) @ U_h)``.

    Source: ``keras.layers.recurrent.JZS3`` of Keras 0.1.

    >>> RecurrentJZS3(4, 6).products[0].dim
    18
    """

    param_names = ("W_z", "U_z", "b_z", "W_r", "U_r", "b_r", "W_h", "U_h", "b_h")

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
        z = self.inner_activation(x_z + pt.tanh(h_tm1).dot(U_z))
        return self.mixed(z, x_r, x_h, h_tm1, U_r, U_h)
