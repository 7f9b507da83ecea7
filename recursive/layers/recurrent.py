"""The recurrent layers of Keras 0.1.3, with its arguments, parameters and numbers: each is an RNN of its cell.

The equations are the cells' (``layers/cells.py``, ``layers/jzs.py``), the loop is RNN's (``layers/rnn.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
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

OF_THE_LAYER = ("name", "regularizers", "constraints", "updates", "params", "input_dim")
"""Attributes that a layer has of its own, whatever its cell has."""


class RecurrentLayer(RNN):
    """The base of the recurrent layers, which Keras 0.1.3 called ``Recurrent``: an RNN that makes its cell.

    ``(batch, time, input_dim)`` to ``(batch, output_dim)``, the last step, or with ``return_sequences`` to
    ``(batch, time, output_dim)``. The parameters and settings of the cell are attributes of the layer.

    As in 2015, a class of your own may override ``_step``. It is called with the arguments that it had then: what is
    computed of x at t, ``mask_tm1``, the states at t-1, and the ``U``. ``mask_tm1`` is ``(batch, 1)``, 0 where the step
    before was masked, and at the first step, and 1 elsewhere.

    Args:
        input_dim: values in a row of the input.
        output_dim: values in a row of the output, and of every state.
        init: the initialization of what reads the input, ``W``.
        inner_init: the initialization of what reads the states, ``U``.
        activation: of the output.
        weights: what ``get_weights()`` gave, to start from.
        truncate_gradient: k runs the backward loop over the last k steps of the whole sequence; -1 over all.
        return_sequences: True returns every step, False the last.
        mask_mode: what a masked step does. ``zero``, as in Keras 0.1: it computes as any other, and the step after it
            reads zeros for the states. ``carry``: the states and the output of the step before pass through it.
        seed: seeds the first values.
        stateful: True keeps the states between batches, instead of starting from zeros.
        go_backwards: True runs from the last step to the first, and returns the steps in that order.

    Raises:
        ShapeError: for dims that are not whole numbers of 1 or more.
        ConfigError: for a ``truncate_gradient`` of 0 or below -1, or an unknown mask mode.
        UnknownNameError: for an unknown initialization or activation.
        BatchSizeError: where states are kept from a batch of another size.

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
        vars(self).update(
            {key: value for key, value in vars(cell).items() if key not in OF_THE_LAYER}
        )
        if weights is not None:
            self.set_weights(weights)

    def __setattr__(self, name: str, value: object) -> None:
        """Assign it to the cell too, where it is one of its parameters or settings: the equations read it there."""
        super().__setattr__(name, value)
        cell = vars(self).get("cell")
        if cell is not None and name not in OF_THE_LAYER and name in vars(cell):
            setattr(cell, name, value)

    # The cell is no layer of its own here: parameters and rules are kept on the layer, as in 2015.

    @property
    def children(self) -> dict[str, Layer]:
        """None."""
        return {}

    def own_params(self) -> list[SharedVariable]:
        """The parameters, learned or frozen."""
        return self.cell.own_params()

    get_params = Layer.get_params

    # The step of 2015

    @classmethod
    def has_known_step(cls) -> bool:
        """Whether the formula of a step is the library's: neither ``step`` nor ``_step`` is overridden."""
        return is_ours(cls._step) and super().has_known_step()

    def _step(self, *args: TensorVariable) -> TensorVariable | Tensors:
        """The step as Keras 0.1.3 called it, which a class of your own may override."""
        raise NotImplementedError

    def _masked_step(
        self,
        projected: Tensors,
        mask_tm1: TensorVariable,
        past: Tensors,
        inner: Tensors,
    ) -> TensorVariable | Tensors:
        """What ``_step`` of Keras 0.1.3 returned: h at t, or all states where there are several."""
        found = self.step(*projected, *self.forget(past, mask_tm1), *inner)
        return found[0] if len(found) == 1 else tuple(found)

    def _called_as_in_2015(
        self,
        projected: Tensors,
        mask_tm1: TensorVariable,
        past: Tensors,
        inner: Tensors,
    ) -> list[TensorVariable]:
        """The states at t, from a ``_step`` that is overridden."""
        return self._returned(
            self._step(*projected, mask_tm1, *past, *inner), self.state_names
        )

    def _returned(
        self, found: TensorVariable | Tensors, names: Sequence[str]
    ) -> list[TensorVariable]:
        """What ``_step`` returned as a list; raise a ConfigError unless there is one for each of ``names``."""
        found = list(found) if isinstance(found, list | tuple) else [found]
        if len(found) != len(names):
            raise ConfigError.about(
                "layer",
                type(self).__name__,
                takes=f"a _step that returns {', '.join(names)} at t",
                because="the next step reads them",
                got=f"{len(found)} of them",
                do=f"End _step with: return {', '.join(f'{name}_t' for name in names)}",
            )
        return found

    def reads_mask(self) -> bool:
        """Whether ``_step`` is overridden: it is given a mask, whether there is one or not."""
        return not is_ours(self._step)

    def states_at(
        self,
        projected: Tensors,
        past: Tensors,
        inner: Tensors,
        valid_tm1: TensorVariable | None,
    ) -> Tensors:
        """The states at t: by ``_step`` where it is overridden, else by the cell's step."""
        if not self.reads_mask():
            return super().states_at(projected, past, inner, valid_tm1)
        return self._called_as_in_2015(projected, valid_tm1, past, inner)


class SimpleRNN(RecurrentLayer):
    """``h[t] = activation(x[t] @ W + b + h[t-1] @ U)``, ``h[-1] = 0``.

    Source: ``keras.layers.recurrent.SimpleRNN`` of Keras 0.1, whose default activation is a sigmoid.

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

    def _step(
        self,
        x_t: TensorVariable,
        mask_tm1: TensorVariable,
        h_tm1: TensorVariable,
        u: TensorVariable,
    ) -> TensorVariable:
        return self._masked_step([x_t], mask_tm1, [h_tm1], [u])


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

    def _step(self, x_t: TensorVariable, *args: TensorVariable) -> TensorVariable:
        """h at t, from x, ``depth`` masks, one, two, ... steps back, as many states, and the ``U``."""
        masks, past, inner = (
            args[self.depth * part : self.depth * (part + 1)] for part in range(3)
        )
        return self.step(x_t, *past, *masks, *inner)[0]

    def _called_as_in_2015(
        self,
        projected: Tensors,
        mask_tm1: TensorVariable,
        past: Tensors,
        inner: Tensors,
    ) -> list[TensorVariable]:
        """The masks say as well which steps there were."""
        past = self.forget(past, mask_tm1)
        values, there = past[: self.depth], past[self.depth :]
        [h] = self._returned(self._step(*projected, *there, *values, *inner), ("h",))
        return [h, *values[:-1], pt.ones_like(there[0]), *there[:-1]]


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

    def _step(
        self,
        xz_t: TensorVariable,
        xr_t: TensorVariable,
        xh_t: TensorVariable,
        mask_tm1: TensorVariable,
        h_tm1: TensorVariable,
        u_z: TensorVariable,
        u_r: TensorVariable,
        u_h: TensorVariable,
    ) -> TensorVariable:
        return self._masked_step([xz_t, xr_t, xh_t], mask_tm1, [h_tm1], [u_z, u_r, u_h])


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

    def _step(
        self,
        xi_t: TensorVariable,
        xf_t: TensorVariable,
        xo_t: TensorVariable,
        xc_t: TensorVariable,
        mask_tm1: TensorVariable,
        h_tm1: TensorVariable,
        c_tm1: TensorVariable,
        u_i: TensorVariable,
        u_f: TensorVariable,
        u_o: TensorVariable,
        u_c: TensorVariable,
    ) -> Tensors:
        return self._masked_step(
            [xi_t, xc_t, xf_t, xo_t],
            mask_tm1,
            [h_tm1, c_tm1],
            [u_i, u_c, u_f, u_o],
        )

    def _called_as_in_2015(
        self,
        projected: Tensors,
        mask_tm1: TensorVariable,
        past: Tensors,
        inner: Tensors,
    ) -> list[TensorVariable]:
        """The gates were in the order i, f, o, c then; the parameters are in the order i, c, f, o."""
        (x_i, x_c, x_f, x_o), (u_i, u_c, u_f, u_o) = projected, inner
        return super()._called_as_in_2015(
            [x_i, x_f, x_o, x_c], mask_tm1, past, [u_i, u_f, u_o, u_c]
        )


class JZSLayer(RecurrentLayer):
    """What the three layers of Jozefowicz, Zaremba and Sutskever have in common: their arguments.

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
            inner_activation=inner_activation,
        )


class JZS1(JZSLayer):
    """MUT1: ``z = inner(x[t] @ W_z + b_z)``, ``r = inner(x[t] @ W_r + b_r + h[t-1] @ U_r)``,
    ``new = activation(tanh(x[t] @ Pmat) + b_h + (r * h[t-1]) @ U_h)``, with a fixed ``Pmat``,
    ``h[t] = z * new + (1 - z) * h[t-1]``.

    Source: ``keras.layers.recurrent.JZS1`` of Keras 0.1.

    >>> JZS1(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    cell_class = RecurrentJZS1

    def _step(
        self,
        xz_t: TensorVariable,
        xr_t: TensorVariable,
        xh_t: TensorVariable,
        mask_tm1: TensorVariable,
        h_tm1: TensorVariable,
        u_r: TensorVariable,
        u_h: TensorVariable,
    ) -> TensorVariable:
        return self._masked_step([xz_t, xr_t, xh_t], mask_tm1, [h_tm1], [u_r, u_h])


class JZS2(JZSLayer):
    """MUT2: ``z = inner(x[t] @ W_z + b_z + h[t-1] @ U_z)``, ``r = inner(x[t] @ Pmat + b_r + h[t-1] @ U_r)``,
    ``new = activation(x[t] @ W_h + b_h + (r * h[t-1]) @ U_h)``, with a fixed ``Pmat``,
    ``h[t] = z * new + (1 - z) * h[t-1]``.

    Source: ``keras.layers.recurrent.JZS2`` of Keras 0.1.

    >>> JZS2(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    cell_class = RecurrentJZS2

    def _step(
        self,
        xz_t: TensorVariable,
        xr_t: TensorVariable,
        xh_t: TensorVariable,
        mask_tm1: TensorVariable,
        h_tm1: TensorVariable,
        u_z: TensorVariable,
        u_r: TensorVariable,
        u_h: TensorVariable,
    ) -> TensorVariable:
        return self._masked_step([xz_t, xr_t, xh_t], mask_tm1, [h_tm1], [u_z, u_r, u_h])


class JZS3(JZSLayer):
    """MUT3: ``z = inner(x[t] @ W_z + b_z + tanh(h[t-1]) @ U_z)``, ``r = inner(x[t] @ W_r + b_r + h[t-1] @ U_r)``,
    ``new = activation(x[t] @ W_h + b_h + (r * h[t-1]) @ U_h)``, ``h[t] = z * new + (1 - z) * h[t-1]``.

    Source: ``keras.layers.recurrent.JZS3`` of Keras 0.1.

    >>> JZS3(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    cell_class = RecurrentJZS3

    def _step(
        self,
        xz_t: TensorVariable,
        xr_t: TensorVariable,
        xh_t: TensorVariable,
        mask_tm1: TensorVariable,
        h_tm1: TensorVariable,
        u_z: TensorVariable,
        u_r: TensorVariable,
        u_h: TensorVariable,
    ) -> TensorVariable:
        return self._masked_step([xz_t, xr_t, xh_t], mask_tm1, [h_tm1], [u_z, u_r, u_h])
