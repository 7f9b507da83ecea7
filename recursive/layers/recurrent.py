"""The recurrent layers of Keras 0.1.3, with its arguments, parameters and numbers.

Each is an RNN (``layers/rnn.py``) of a cell, which holds the equations
(``layers/cells.py``, ``layers/jzs.py``). A class here adds two things of 2015: the
constructor, which makes the cell, and ``_step``, the step that a subclass may override.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive.errors import ConfigError
from recursive.layers.cells import (
    Cell,
    RecurrentDeep,
    RecurrentDense,
    RecurrentGRU,
    RecurrentLSTM,
    is_ours,
)
from recursive.layers.jzs import RecurrentJZS1, RecurrentJZS2, RecurrentJZS3
from recursive.layers.layer import Layer, check_dim
from recursive.layers.rnn import RNN, Tensors

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

LAYER_ATTRIBUTES = (
    "name",
    "regularizers",
    "constraints",
    "updates",
    "params",
    "input_dim",
)
"""The attributes that a layer does not share with its cell."""


class RecurrentLayer(RNN):
    """The base of the recurrent layers: an RNN that makes its cell.

    It maps ``(batch, time, input_dim)`` to ``(batch, output_dim)``, the last step, or
    with ``return_sequences`` to ``(batch, time, output_dim)``. The parameters and
    settings of the cell are attributes of the layer. Keras 0.1.3 called the class
    ``Recurrent``.

    As in 2015, a subclass may override ``_step``. Its arguments are those of 2015: the
    projections of x at t, ``mask_tm1``, the states at t-1, and the ``U``. ``mask_tm1``
    is ``(batch, 1)``: 0 if the previous step was masked and at the first step, else 1.

    Args:
        input_dim: the dim of the input.
        output_dim: the dim of the output and of every state.
        init: the initialization of each ``W``, which multiplies the input.
        inner_init: the initialization of each ``U``, which multiplies a state.
        activation: the activation of the output.
        weights: initial weights, in the order of ``get_weights()``.
        truncate_gradient: k runs the reverse pass over the last k steps of the whole
            sequence; -1 over all.
        return_sequences: True returns every step, False the last.
        mask_mode: the rule for masked steps. ``zero``, as in Keras 0.1: a masked step
            computes as any other, and the step after it reads zeros for the states.
            ``carry``: a masked step leaves the states and the output as they were.
        seed: the seed of the initial weights.
        stateful: True keeps the states between batches instead of starting from zeros.
        go_backwards: True runs from the last step to the first, and returns the steps
            in that order.

    Raises:
        ShapeError: for dims that are not integers of 1 or more.
        ConfigError: for a ``truncate_gradient`` of 0 or below -1, or an unknown mask
            mode.
        UnknownNameError: for an unknown initialization or activation.
        BatchSizeError: if states are kept from a batch of another size.

    >>> class Slow(SimpleRNN):
    ...     def _step(self, x_t, mask_tm1, h_tm1, u):
    ...         return 0.5 * h_tm1 + 0.5 * super()._step(x_t, mask_tm1, h_tm1, u)
    >>> Slow(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    cell_class: type[Cell] = Cell
    """The class of the cell."""

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        init: str,
        inner_init: str,
        activation: str,
        weights: Sequence[np.ndarray] | None,
        truncate_gradient: int,
        return_sequences: bool,
        mask_mode: str,
        name: str | None,
        seed: int | None,
        stateful: bool,
        go_backwards: bool,
        **settings: object,
    ):
        # Dims are checked here, so that an error names the layer and not its cell.
        kind = type(self).__name__
        cell = self.cell_class(
            check_dim(kind, "input_dim", input_dim),
            check_dim(kind, "output_dim", output_dim),
            init=init,
            inner_init=inner_init,
            activation=activation,
            seed=seed,
            **settings,
        )
        super().__init__(
            cell,
            return_sequences,
            truncate_gradient,
            mask_mode,
            stateful,
            go_backwards,
            name,
        )
        # By `vars`, since an assignment would be passed back to the cell.
        for key, value in vars(cell).items():
            if key not in LAYER_ATTRIBUTES:
                vars(self)[key] = value
        self.set_initial_weights(weights)

    def __setattr__(self, name: str, value: object) -> None:
        """Assign an attribute.

        A parameter or setting of the cell is assigned to the cell too, because the
        equations read it there.
        """
        super().__setattr__(name, value)
        cell = vars(self).get("cell")
        if cell is not None and name not in LAYER_ATTRIBUTES and name in vars(cell):
            setattr(cell, name, value)

    # As in 2015, parameters and their rules are kept on the layer. So the cell is not
    # one of its children, which would be asked for theirs.

    @property
    def children(self) -> dict[str, Layer]:
        """An empty dict."""
        return {}

    def own_params(self) -> list[SharedVariable]:
        """The parameters, learned or frozen."""
        return self.cell.own_params()

    get_params = Layer.get_params

    # The step of 2015

    @classmethod
    def has_known_step(cls) -> bool:
        """True if neither ``step`` nor ``_step`` is overridden by a user's class."""
        return is_ours(cls._step) and super().has_known_step()

    def _step(self, *args: TensorVariable) -> TensorVariable | Tensors:
        """The step as Keras 0.1.3 called it; a subclass may override it."""
        raise NotImplementedError

    def _masked_step(
        self,
        projected: Tensors,
        mask_tm1: TensorVariable,
        past: Tensors,
        inner: Tensors,
    ) -> TensorVariable | Tensors:
        """The result of ``_step`` in Keras 0.1.3: h at t, or a tuple of all states."""
        states = self.step(*projected, *self.forget(past, mask_tm1), *inner)
        return states[0] if len(states) == 1 else tuple(states)

    def _overridden_step(
        self,
        projected: Tensors,
        mask_tm1: TensorVariable,
        past: Tensors,
        inner: Tensors,
    ) -> list[TensorVariable]:
        """The states at t, from a ``_step`` that a subclass overrides."""
        result = self._step(*projected, mask_tm1, *past, *inner)
        return self._checked_result(result, self.state_names)

    def _checked_result(
        self, result: TensorVariable | Tensors, names: Sequence[str]
    ) -> list[TensorVariable]:
        """The result of ``_step`` as a list.

        Raises:
            ConfigError: unless it has one value for each of ``names``.
        """
        values = list(result) if isinstance(result, list | tuple) else [result]
        if len(values) != len(names):
            raise ConfigError.about(
                "layer",
                type(self).__name__,
                takes=f"a _step that returns {', '.join(names)} at t",
                because="the next step reads them",
                got=f"{len(values)} of them",
                do=f"End _step with: return {', '.join(f'{name}_t' for name in names)}",
            )
        return values

    def reads_mask(self) -> bool:
        """True if ``_step`` is overridden: it always takes a mask, ones without one."""
        return not is_ours(self._step)

    def states_at(
        self,
        projected: Tensors,
        past: Tensors,
        inner: Tensors,
        valid_tm1: TensorVariable | None,
    ) -> Tensors:
        """The states at t: from ``_step`` if it is overridden, else from the cell."""
        if self.reads_mask():
            return self._overridden_step(projected, valid_tm1, past, inner)
        return super().states_at(projected, past, inner, valid_tm1)


class SimpleRNN(RecurrentLayer):
    """The simple recurrent layer: an affine map of input and state, and an activation.

    ::

        h[t] = activation(x[t] @ W + b + h[t-1] @ U)        h[-1] = 0

    Source: ``keras.layers.recurrent.SimpleRNN`` of Keras 0.1, whose default activation
    is a sigmoid.

    >>> SimpleRNN(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    cell_class = RecurrentDense

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

    def _step(self, x_t, mask_tm1, h_tm1, u):
        return self._masked_step([x_t], mask_tm1, [h_tm1], [u])


class SimpleDeepRNN(RecurrentLayer):
    """A simple recurrent layer that reads its output of the last ``depth`` steps.

    ::

        h[t] = activation(x[t] @ W + b + sum of inner(h[t-k] @ U<k>))

    k runs from 1 to ``depth``. A step before the first adds nothing to the sum, and
    with mask mode ``zero`` a masked step adds nothing either.

    Args:
        depth: the number of steps that it reads back. Its states are ``h1``, ``h2``,
            ..., the outputs one, two, ... steps back, and ``there1``, ``there2``, ...,
            1 if there was such a step.
        inner_activation: the activation ``inner``.

    Source: ``keras.layers.recurrent.SimpleDeepRNN`` of Keras 0.1. There the step read
    several taps of one state. Here every step back is a state, so that a masked step
    can keep them all (``mask_mode="carry"``).

    >>> SimpleDeepRNN(4, 6, depth=2)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    cell_class = RecurrentDeep

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
            depth=check_dim(type(self).__name__, "depth", depth),
            inner_activation=inner_activation,
        )

    def _step(self, x_t, *args):
        """h at t.

        Args:
            x_t: the projection of x at t.
            args: ``depth`` masks, one, two, ... steps back, as many states, and the
                ``U``.
        """
        # The cell takes states before masks, 2015 the other way round.
        masks = args[: self.depth]
        past = args[self.depth : 2 * self.depth]
        inner = args[2 * self.depth :]
        return self.step(x_t, *past, *masks, *inner)[0]

    def _overridden_step(
        self,
        projected: Tensors,
        mask_tm1: TensorVariable,
        past: Tensors,
        inner: Tensors,
    ) -> list[TensorVariable]:
        """The states at t, from a ``_step`` that returns h at t alone.

        A mask of 2015 is 0 for a masked step and for one before the first: it is the
        state ``there<k>``.
        """
        past = self.forget(past, mask_tm1)
        h_back = past[: self.depth]
        there = past[self.depth :]
        result = self._step(*projected, *there, *h_back, *inner)
        h = self._checked_result(result, ("h",))[0]
        return list(self.cell.shift(h, h_back, there))


class GRU(RecurrentLayer):
    """The gated recurrent unit.

    ::

        z    = inner(x[t] @ W_z + b_z + h[t-1] @ U_z)               update gate
        r    = inner(x[t] @ W_r + b_r + h[t-1] @ U_r)               reset gate
        new  = activation(x[t] @ W_h + b_h + (r * h[t-1]) @ U_h)
        h[t] = z * h[t-1] + (1 - z) * new                           h[-1] = 0

    Source: Cho et al., 2014; ``keras.layers.recurrent.GRU`` of Keras 0.1, whose default
    activation is a sigmoid.

    >>> GRU(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    cell_class = RecurrentGRU

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
            inner_activation=inner_activation,
        )

    def _step(self, xz_t, xr_t, xh_t, mask_tm1, h_tm1, u_z, u_r, u_h):
        return self._masked_step([xz_t, xr_t, xh_t], mask_tm1, [h_tm1], [u_z, u_r, u_h])


class LSTM(RecurrentLayer):
    """Long short-term memory, without peepholes.

    ::

        i    = inner(x[t] @ W_i + b_i + h[t-1] @ U_i)               input gate
        f    = inner(x[t] @ W_f + b_f + h[t-1] @ U_f)               forget gate
        o    = inner(x[t] @ W_o + b_o + h[t-1] @ U_o)               output gate
        c[t] = f * c[t-1] + i * activation(x[t] @ W_c + b_c + h[t-1] @ U_c)
        h[t] = o * activation(c[t])                                 h[-1] = c[-1] = 0

    Args:
        forget_bias_init: the initialization of ``b_f``; the other biases start at zero.

    Source: Hochreiter and Schmidhuber, 1997; Gers et al., 2000;
    ``keras.layers.recurrent.LSTM`` of Keras 0.1.

    >>> LSTM(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    cell_class = RecurrentLSTM

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
            forget_bias_init=forget_bias_init,
            inner_activation=inner_activation,
        )

    # In 2015 the gates of a step were in the order i, f, o, c. The parameters of the
    # cell are in the order i, c, f, o.

    def _step(self, xi_t, xf_t, xo_t, xc_t, mask_tm1, h_tm1, c_tm1, u_i, u_f, u_o, u_c):
        projected = [xi_t, xc_t, xf_t, xo_t]
        inner = [u_i, u_c, u_f, u_o]
        return self._masked_step(projected, mask_tm1, [h_tm1, c_tm1], inner)

    def _overridden_step(
        self,
        projected: Tensors,
        mask_tm1: TensorVariable,
        past: Tensors,
        inner: Tensors,
    ) -> list[TensorVariable]:
        x_i, x_c, x_f, x_o = projected
        u_i, u_c, u_f, u_o = inner
        return super()._overridden_step(
            [x_i, x_f, x_o, x_c], mask_tm1, past, [u_i, u_f, u_o, u_c]
        )


class JZSLayer(RecurrentLayer):
    """The base of JZS1, JZS2 and JZS3: their arguments.

    Args:
        inner_activation: the activation of the gates z and r.

    Source: Jozefowicz, Zaremba and Sutskever, 2015.
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
            inner_activation=inner_activation,
        )

    def _step(self, xz_t, xr_t, xh_t, mask_tm1, h_tm1, u_z, u_r, u_h):
        return self._masked_step([xz_t, xr_t, xh_t], mask_tm1, [h_tm1], [u_z, u_r, u_h])


class JZS1(JZSLayer):
    """The recurrent layer MUT1.

    With a fixed matrix ``Pmat`` that is not learned::

        z    = inner(x[t] @ W_z + b_z)
        r    = inner(x[t] @ W_r + b_r + h[t-1] @ U_r)
        new  = activation(tanh(x[t] @ Pmat) + b_h + (r * h[t-1]) @ U_h)
        h[t] = z * new + (1 - z) * h[t-1]                           h[-1] = 0

    Source: ``keras.layers.recurrent.JZS1`` of Keras 0.1.

    >>> JZS1(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    cell_class = RecurrentJZS1

    def _step(self, xz_t, xr_t, xh_t, mask_tm1, h_tm1, u_r, u_h):
        return self._masked_step([xz_t, xr_t, xh_t], mask_tm1, [h_tm1], [u_r, u_h])


class JZS2(JZSLayer):
    """The recurrent layer MUT2.

    With a fixed matrix ``Pmat`` that is not learned::

        z    = inner(x[t] @ W_z + b_z + h[t-1] @ U_z)
        r    = inner(x[t] @ Pmat + b_r + h[t-1] @ U_r)
        new  = activation(x[t] @ W_h + b_h + (r * h[t-1]) @ U_h)
        h[t] = z * new + (1 - z) * h[t-1]                           h[-1] = 0

    Source: ``keras.layers.recurrent.JZS2`` of Keras 0.1.

    >>> JZS2(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    cell_class = RecurrentJZS2


class JZS3(JZSLayer):
    """The recurrent layer MUT3.

    ::

        z    = inner(x[t] @ W_z + b_z + tanh(h[t-1]) @ U_z)
        r    = inner(x[t] @ W_r + b_r + h[t-1] @ U_r)
        new  = activation(x[t] @ W_h + b_h + (r * h[t-1]) @ U_h)
        h[t] = z * new + (1 - z) * h[t-1]                           h[-1] = 0

    Source: ``keras.layers.recurrent.JZS3`` of Keras 0.1.

    >>> JZS3(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    cell_class = RecurrentJZS3
