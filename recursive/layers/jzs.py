"""The cells MUT1, MUT2 and MUT3, found by a search over thousands of recurrent cells.

All three compute, with gates z and r and a proposal new::

    r   = inner(... + h_tm1 @ U_r)
    new = activation(... + (r * h_tm1) @ U_h)
    h   = z * new + (1 - z) * h_tm1

They differ in how the gates read the input. Note that z weighs the new value here, and
the old one in a GRU.

Source: Jozefowicz, Zaremba and Sutskever, 2015, An Empirical Exploration of Recurrent
Network Architectures.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import backend, limits
from recursive.layers.cells import Cell, GatedCell
from recursive.layers.layer import Tensors
from recursive.layers.products import affine_map, linear_map, side_by_side
from recursive.spec.shapes import Shape


class JZSCell(GatedCell):
    """The base of the three cells: their arguments and their shared equations."""

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

    def mixed(self, z, x_r, x_h, h_tm1, U_r, U_h):
        """The state at t, given the gate z: the equations that all three share."""
        r = self.inner_activation(x_r + h_tm1.dot(U_r))
        new = self.activation(x_h + (r * h_tm1).dot(U_h))
        h = z * new + (1 - z) * h_tm1
        return (h,)


class ProjectingCell(JZSCell):
    """The base of cells that also multiply the input by a fixed matrix ``Pmat``.

    ``Pmat``, ``(input_dim, output_dim)``, is not learned. It is the identity if the
    dims are equal; otherwise its values are random signs times ``1 / sqrt(input_dim)``.
    Keras 0.1 drew new signs for each model and did not save them with the weights. Here
    they depend on ``seed`` alone (None counts as 0), so that saved weights fit.
    """

    # A container may split a product from its cell only if every factor is a parameter,
    # because its plan passes factors by name. Pmat is not a parameter.
    products = ()
    # A class with a `call` of its own must declare `rowwise` again (see Layer).
    rowwise = Cell.rowwise

    def build(self, input_shape: Mapping[str, Shape]) -> None:
        if self.built:
            return
        super().build(input_shape)
        self.Pmat = self._fixed_projection()

    def _fixed_projection(self) -> SharedVariable:
        limits.count_parameter((self.input_dim, self.output_dim))
        if self.input_dim == self.output_dim:
            return backend.shared(np.identity(self.output_dim))
        # A separate generator: Pmat must not change the draws of the parameters.
        rng = np.random.RandomState(self.seed or 0)
        signs = 2 * rng.binomial(1, 0.5, (self.input_dim, self.output_dim)) - 1
        return backend.shared(signs / np.sqrt(self.input_dim))

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        return self.projected(x, self.Pmat)

    def call(self, x: Mapping[str, TensorVariable], train: bool = False) -> Tensors:
        # The step of a container may not read a shared variable that is not a
        # parameter, so Pmat enters it as a constant.
        Pmat = pt.constant(self.Pmat.get_value())
        return self._states(self.projected(x["input"], Pmat), x)

    def projected(
        self, x: TensorVariable, Pmat: TensorVariable
    ) -> list[TensorVariable]:
        """The part of z, r and new that reads only the input, ``(..., output_dim)``."""
        raise NotImplementedError

    def two_gates(self, x: TensorVariable, names: str) -> list[TensorVariable]:
        """``x @ W + b`` of two gates, computed as one product."""
        W = side_by_side([getattr(self, f"W_{name}") for name in names])
        b = side_by_side([getattr(self, f"b_{name}") for name in names])
        return pt.split(affine_map(x, W, b), [self.output_dim] * 2, axis=x.ndim - 1)


class RecurrentJZS1(ProjectingCell):
    """One step of JZS1, MUT1.

    With a fixed matrix ``Pmat`` that is not learned::

        z   = inner(x @ W_z + b_z)
        r   = inner(x @ W_r + b_r + h_tm1 @ U_r)
        new = activation(tanh(x @ Pmat) + b_h + (r * h_tm1) @ U_h)
        h   = z * new + (1 - z) * h_tm1

    ``x`` is read at port ``input``, ``h_tm1`` at port ``prev_hid``.

    Source: ``keras.layers.recurrent.JZS1`` of Keras 0.1.

    >>> RecurrentJZS1(6).ports
    ('input', 'prev_hid')
    """

    param_names = ("W_z", "b_z", "W_r", "U_r", "b_r", "U_h", "b_h")

    def projected(
        self, x: TensorVariable, Pmat: TensorVariable
    ) -> list[TensorVariable]:
        x_z, x_r = self.two_gates(x, "zr")
        x_h = pt.tanh(linear_map(x, Pmat)) + self.b_h
        return [x_z, x_r, x_h]

    def step(self, x_z, x_r, x_h, h_tm1, U_r, U_h):
        z = self.inner_activation(x_z)
        return self.mixed(z, x_r, x_h, h_tm1, U_r, U_h)


class RecurrentJZS2(ProjectingCell):
    """One step of JZS2, MUT2.

    With a fixed matrix ``Pmat`` that is not learned::

        z   = inner(x @ W_z + b_z + h_tm1 @ U_z)
        r   = inner(x @ Pmat + b_r + h_tm1 @ U_r)
        new = activation(x @ W_h + b_h + (r * h_tm1) @ U_h)
        h   = z * new + (1 - z) * h_tm1

    ``x`` is read at port ``input``, ``h_tm1`` at port ``prev_hid``.

    Source: ``keras.layers.recurrent.JZS2`` of Keras 0.1.

    >>> RecurrentJZS2(6).ports
    ('input', 'prev_hid')
    """

    param_names = ("W_z", "U_z", "b_z", "U_r", "b_r", "W_h", "U_h", "b_h")

    def projected(
        self, x: TensorVariable, Pmat: TensorVariable
    ) -> list[TensorVariable]:
        x_z, x_h = self.two_gates(x, "zh")
        x_r = affine_map(x, Pmat, self.b_r)
        return [x_z, x_r, x_h]

    def step(self, x_z, x_r, x_h, h_tm1, U_z, U_r, U_h):
        z = self.inner_activation(x_z + h_tm1.dot(U_z))
        return self.mixed(z, x_r, x_h, h_tm1, U_r, U_h)


class RecurrentJZS3(JZSCell):
    """One step of JZS3, MUT3.

    ::

        z   = inner(x @ W_z + b_z + tanh(h_tm1) @ U_z)
        r   = inner(x @ W_r + b_r + h_tm1 @ U_r)
        new = activation(x @ W_h + b_h + (r * h_tm1) @ U_h)
        h   = z * new + (1 - z) * h_tm1

    ``x`` is read at port ``input``, ``h_tm1`` at port ``prev_hid``.

    Source: ``keras.layers.recurrent.JZS3`` of Keras 0.1.

    >>> RecurrentJZS3(4, 6).products[0].dim
    18
    """

    param_names = ("W_z", "U_z", "b_z", "W_r", "U_r", "b_r", "W_h", "U_h", "b_h")

    def step(self, x_z, x_r, x_h, h_tm1, U_z, U_r, U_h):
        z = self.inner_activation(x_z + pt.tanh(h_tm1).dot(U_z))
        return self.mixed(z, x_r, x_h, h_tm1, U_r, U_h)
