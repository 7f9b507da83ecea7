"""Cells: one step of a recurrent layer, with its equations and parameters.

:class:`~recursive.layers.rnn.RNN` loops a cell over time. In a recurrent container a cell is a node, and the states
that it reads are its ports. ``RecurrentDense`` and ``RecurrentGRU`` are elanmart's (keras issue 620, 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import activations, initializations
from recursive.errors import ShapeError
from recursive.layers.identity import own_methods
from recursive.layers.layer import Layer, Tensors, check_dim
from recursive.layers.masks import PASS
from recursive.layers.products import affine_map
from recursive.spec.hoist import Product
from recursive.spec.shapes import Shape, common_shape


def is_ours(function: Callable) -> bool:
    """Whether a function or method is the library's, not a user's override."""
    return function.__module__.partition(".")[0] == __name__.partition(".")[0]


class Cell(Layer):
    """One step of a recurrent layer, and the base of all cells.

    A cell of your own gives :meth:`step` and the names of its parameters. The rest follows from these names, and may be
    overridden: the states (:attr:`state_names`, :attr:`state_dims`), what is computed for all steps before the loop
    (:meth:`project`), and what a masked step leaves behind (:meth:`forget`). A cell may give ``call`` instead of
    ``step``; it is then computed whole at every step.

    As a node it has the ports ``input``, ``(batch, input_dim)``, and one for each state of the step before,
    ``(batch, output_dim)``. A recurrent container reads those from the node itself where they are left open.

    Args:
        input_dim: values in a row of the input. A single dim is the output's, and the input's is found in the data.
        output_dim: values in a row of the output.
        init: the initialization of the ``W``.
        inner_init: the initialization of the ``U``.
        activation: a name or a function of a tensor.
        name: a name for the user's own use.
        seed: seeds the first values.

    >>> class Leaky(Cell):
    ...     param_names = ("W", "U", "b")
    ...
    ...     def step(self, x, h_tm1, U):
    ...         return (0.9 * h_tm1 + 0.1 * self.activation(x + h_tm1.dot(U)),)
    >>> from recursive.layers.rnn import RNN
    >>> RNN(Leaky(4, 6))(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    param_names: tuple[str, ...] = ()
    """The parameters in order. The first letter says what each is: ``W`` multiplies the input, ``U`` a state, ``b`` is
    a bias."""
    state_names: tuple[str, ...] = ("h",)
    """What a step passes to the next. States start at zero; the first is the output."""

    def __init__(
        self,
        input_dim: int | None = None,
        output_dim: int | None = None,
        init: str = "glorot_uniform",
        inner_init: str = "orthogonal",
        activation: str = "sigmoid",
        name: str | None = None,
        seed: int | None = None,
    ):
        super().__init__(name, seed)
        kind = type(self).__name__
        if output_dim is None:
            input_dim, output_dim = None, input_dim
        self.init = initializations.get(init)
        self.inner_init = initializations.get(inner_init)
        self.activation = activations.get(activation)
        self.output_dim = check_dim(kind, "output_dim", output_dim)
        self.input_dim = check_dim(kind, "input_dim", input_dim, optional=True)
        if self.input_dim is not None:
            self.build({"input": (None, self.input_dim)})

    # Parameters

    @property
    def drawing_order(self) -> tuple[str, ...]:
        """The parameters in the order in which their first values are drawn."""
        return self.param_names

    def first_value(
        self, name: str, rng: np.random.RandomState | None
    ) -> SharedVariable:
        """The parameter called ``name``, with its first value."""
        if name.startswith("b"):
            return initializations.zero((self.output_dim,))
        if name.startswith("U"):
            return initializations.first_values(
                self.inner_init, (self.output_dim, self.output_dim), rng
            )
        return initializations.first_values(
            self.init, (self.input_dim, self.output_dim), rng
        )

    def build(self, input_shape: Mapping[str, Shape]) -> None:
        if self.built:
            return
        self.input_dim = check_dim(
            type(self).__name__, "input_dim", input_shape["input"][-1]
        )
        rng = self.rng
        for name in self.drawing_order:
            setattr(self, name, self.first_value(name, rng))
        self.params = [getattr(self, name) for name in self.param_names]

    def _named(self, letter: str) -> tuple[str, ...]:
        """The parameters whose names begin with ``letter``, in order."""
        return tuple(name for name in self.param_names if name.startswith(letter))

    @property
    def inner_names(self) -> tuple[str, ...]:
        """The parameters that :meth:`step` takes as arguments."""
        return self._named("U")

    # The equations

    @property
    def state_dims(self) -> tuple[int, ...]:
        """The number of values in a row of each state."""
        return (self.output_dim,) * len(self.state_names)

    @property
    def products(self) -> tuple[Product, ...]:
        """The product of the input with the weights of all gates; none where the cell has a ``project`` of its own."""
        weights, biases = self._named("W"), self._named("b")
        if not weights or not is_ours(type(self).project):
            return ()
        return (Product("input", self.output_dim * len(weights), weights, biases),)

    def _gates(self, total: TensorVariable) -> list[TensorVariable]:
        """The input's part of each gate, from the product with the weights of all gates."""
        count = self.products[0].dim // self.output_dim
        if count == 1:
            return [total]
        return pt.split(total, [self.output_dim] * count, axis=total.ndim - 1)

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        """What a step reads of ``x``, ``(..., input_dim)``: one ``(..., output_dim)`` for each gate, or ``x`` itself.

        A loop makes it for all steps at once, from ``(time, batch, input_dim)``.
        """
        return self._gates(self.transform_input(x)) if self.products else [x]

    def step(self, *args: TensorVariable) -> tuple[TensorVariable, ...]:
        """The states at t, from the projections at t, the states at t-1 and the ``U``, each in their order."""
        raise NotImplementedError(
            f"{type(self).__name__} has no formula: give it a method step(self, x, h_tm1, U)"
        )

    def forget(
        self, past: Sequence[TensorVariable], valid: TensorVariable
    ) -> list[TensorVariable]:
        """The states that a step of mask mode ``zero`` reads: zeros where the step before was masked."""
        return [valid * state for state in past]

    @classmethod
    def has_known_step(cls) -> bool:
        """Whether the formula of a step is the library's."""
        return all(map(is_ours, (cls.step, cls.project)))

    @classmethod
    def computes_by_step(cls) -> bool:
        """False for a class of the user's own that overrides how a layer is applied, such as ``call``."""
        return not own_methods(cls)

    # A cell as a node

    @property
    def ports(self) -> tuple[str, ...]:
        """The input, then the states of the step before."""
        return (
            "input",
            "prev_hid",
            *(f"prev_{state}" for state in self.state_names[1:]),
        )

    @property
    def output_names(self) -> tuple[str, ...]:
        """The states, the first of which is the output."""
        return ("output", *self.state_names[1:])

    @property
    def own_past(self) -> Mapping[str, str]:
        """Which output of the step before each state port reads, where it is left open."""
        return dict(zip(self.ports[1:], self.output_names, strict=True))

    @property
    def rowwise(self) -> bool:
        """Whether step and activations are known: a user's function may mix rows."""
        used = [
            value for name, value in vars(self).items() if name.endswith("activation")
        ]
        return self.has_known_step() and all(
            value in activations.ACTIVATIONS.values() for value in used
        )

    def finish(
        self, total: TensorVariable, others: Mapping[str, TensorVariable]
    ) -> Tensors:
        """The states of this step, from the product with the input and the states of the step before."""
        return self._states(self._gates(total), others)

    def _states(
        self, projected: Sequence[TensorVariable], x: Mapping[str, TensorVariable]
    ) -> Tensors:
        """The output of a step, a dict where there are several states."""
        inner = [getattr(self, name) for name in self.inner_names]
        past = [x[port] for port in self.ports[1:]]
        states = self.step(*projected, *past, *inner)
        if len(states) == 1:
            return states[0]
        return dict(zip(self.output_names, states, strict=True))

    def call(self, x: Mapping[str, TensorVariable], train: bool = False) -> Tensors:
        if not self.products:
            return self._states(self.project(x["input"]), x)
        return self.finish(
            sum(
                affine_map(x[product.port], *self.factors(product))
                for product in self.products
            ),
            x,
        )

    def get_output_shape_for(
        self, input_shape: Mapping[str, Shape]
    ) -> Shape | dict[str, Shape]:
        dims = dict(zip(self.ports, (None, *self.state_dims), strict=True))
        for port, dim in dims.items():
            if common_shape([input_shape[port], (None, dim)]) is None:
                raise ShapeError.about(
                    "port",
                    port,
                    takes=f"(batch, {dim or 'dim'})",
                    because=f"a {type(self).__name__} of {self.output_dim} values reads it",
                    got=input_shape[port],
                    do="Bring it to that shape with a Dense, for example.",
                )
        rows = input_shape["input"][0]
        shapes = [(rows, dim) for dim in self.state_dims]
        if len(shapes) == 1:
            return shapes[0]
        return dict(zip(self.output_names, shapes, strict=True))


class RecurrentDense(Cell):
    """``activation(input @ W + b + prev_hid @ U)``: one step of SimpleRNN, with its arguments and defaults.

    Args:
        input_dim: values in a row of the input. A single dim is the output's.
        output_dim: values in a row of the output.
        init: the initialization of ``W``.
        inner_init: the initialization of ``U``.
        activation: a name or a function of a tensor.
        seed: seeds the first values.

    Source: elanmart, keras issue 620, 2015.

    >>> from recursive.layers.recursive import Recurrent
    >>> rnn = Recurrent()
    >>> rnn.add_input("x", dim=4)
    >>> rnn.add_node(RecurrentDense(6), "h", input="x")
    >>> [str(ref) for ref in rnn.declared_plan.arguments]
    ['x', 'h_tm1', 'h.W', 'h.U', 'h.b']
    """

    param_names = ("W", "U", "b")
    rowwise = Cell.rowwise
    """Stated again, because this class has a ``finish`` of its own."""

    @property
    def products(self) -> tuple[Product, ...]:
        """With the input and with the state: all that is left is their sum and an activation."""
        return (*super().products, Product("prev_hid", self.output_dim, ("U",)))

    def step(
        self, x: TensorVariable, h_tm1: TensorVariable, U: TensorVariable
    ) -> tuple[TensorVariable]:
        return (self.activation(x + h_tm1.dot(U)),)

    def finish(
        self, total: TensorVariable, others: Mapping[str, TensorVariable]
    ) -> TensorVariable:
        """The activation of the sum; :meth:`step`, with the product with the state already made."""
        return self.activation(total)


class RecurrentDeep(Cell):
    """One step of SimpleDeepRNN, with its arguments and defaults: it reads the last ``depth`` values of its output.

    ``activation(input @ W + b + sum of there<k> * inner(h<k> @ U<k>))`` for k from 1 to ``depth``.

    Args:
        depth: how many steps it looks back. The states are ``h1``, ``h2``, ..., the values one, two, ... steps back,
            and ``there1``, ``there2``, ..., 1 where there was such a step.
        inner_activation: of what each of them adds.

    Source: ``keras.layers.recurrent.SimpleDeepRNN`` of Keras 0.1.

    >>> RecurrentDeep(4, 6, depth=2).ports
    ('input', 'prev_hid', 'prev_h2', 'prev_there1', 'prev_there2')
    """

    def __init__(
        self,
        input_dim: int | None = None,
        output_dim: int | None = None,
        depth: int = 3,
        init: str = "glorot_uniform",
        inner_init: str = "orthogonal",
        activation: str = "sigmoid",
        inner_activation: str = "hard_sigmoid",
        name: str | None = None,
        seed: int | None = None,
    ):
        self.depth = check_dim(type(self).__name__, "depth", depth)
        self.inner_activation = activations.get(inner_activation)
        super().__init__(
            input_dim, output_dim, init, inner_init, activation, name, seed
        )

    @property
    def param_names(self) -> tuple[str, ...]:
        """One ``U`` for each step that it looks back."""
        return ("W", *(f"U{k}" for k in range(1, self.depth + 1)), "b")

    @property
    def state_names(self) -> tuple[str, ...]:
        """The values of the last ``depth`` steps, latest first, then for each whether there was such a step."""
        back = range(1, self.depth + 1)
        return (*(f"h{k}" for k in back), *(f"there{k}" for k in back))

    @property
    def state_dims(self) -> tuple[int, ...]:
        """Whether there was a step is one value a row."""
        return (self.output_dim,) * self.depth + (1,) * self.depth

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
        """The values stay, but a step that was masked counts as none."""
        values, (latest, *there) = past[: self.depth], past[self.depth :]
        return [*values, valid * latest, *there]


class Gate(RecurrentDense):
    """A gate: ``hard_sigmoid(input @ W + b + prev_hid @ U)``, values between 0 and 1 that others are multiplied by.

    Both ports are to be said: ``prev_hid`` is the state that it looks at.

    Source: pranv asked for "some abstraction of gating" in keras issue 620, 2015; the inner activation is Keras 0.1's.
    """

    own_past: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        input_dim: int | None = None,
        output_dim: int | None = None,
        init: str = "glorot_uniform",
        inner_init: str = "orthogonal",
        activation: str = "hard_sigmoid",
        name: str | None = None,
        seed: int | None = None,
    ):
        super().__init__(
            input_dim, output_dim, init, inner_init, activation, name, seed
        )


class Blend(Layer):
    """``gate * old + (1 - gate) * new``, element by element: a gate that decides how much of the old is kept.

    The gate is ``(batch, dim)``, or ``(batch, 1)`` for whole rows.

    Source: Cho et al., 2014, as Keras 0.1's GRU has it.
    """

    masks = PASS
    ports = ("gate", "old", "new")
    rowwise = True

    def call(
        self, x: Mapping[str, TensorVariable], train: bool = False
    ) -> TensorVariable:
        return x["gate"] * x["old"] + (1 - x["gate"]) * x["new"]

    def get_output_shape_for(self, input_shape: Mapping[str, Shape]) -> Shape:
        gate = input_shape["gate"]
        shapes = [input_shape["old"], input_shape["new"]]
        # A gate of one value a row is repeated along the row, as merge_mul does.
        for_whole_rows = len(gate) > 1 and gate[-1] == 1
        shapes.append((*gate[:-1], None) if for_whole_rows else gate)
        shape = common_shape(shapes)
        if shape is None:
            raise ShapeError.about(
                "layer",
                "Blend",
                takes="old and new of one shape, and a gate of that shape or of (batch, 1)",
                because="they are joined element by element",
                got=", ".join(f"{port} {shape}" for port, shape in input_shape.items()),
                do="Bring them to one dim with a Dense first.",
            )
        return shape


class GatedCell(Cell):
    """The base of cells with gates: their arguments.

    Args:
        inner_activation: of the gates.
    """

    def __init__(
        self,
        input_dim: int | None = None,
        output_dim: int | None = None,
        init: str = "glorot_uniform",
        inner_init: str = "orthogonal",
        activation: str = "sigmoid",
        inner_activation: str = "hard_sigmoid",
        name: str | None = None,
        seed: int | None = None,
    ):
        self.inner_activation = activations.get(inner_activation)
        super().__init__(
            input_dim, output_dim, init, inner_init, activation, name, seed
        )


class RecurrentGRU(GatedCell):
    """One step of GRU, with its arguments and defaults: ports ``input`` and ``prev_hid``.

    ``z = inner(input @ W_z + b_z + prev_hid @ U_z)``,
    ``r = inner(input @ W_r + b_r + prev_hid @ U_r)``,
    ``new = activation(input @ W_h + b_h + (r * prev_hid) @ U_h)``,
    ``output = z * prev_hid + (1 - z) * new``.

    Source: elanmart, keras issue 620, 2015; formulas of Keras 0.1's GRU.

    >>> RecurrentGRU(4, 6).products[0].dim
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
        z = self.inner_activation(x_z + h_tm1.dot(U_z))
        r = self.inner_activation(x_r + h_tm1.dot(U_r))
        new = self.activation(x_h + (r * h_tm1).dot(U_h))
        return (z * h_tm1 + (1 - z) * new,)


class RecurrentLSTM(Cell):
    """One step of LSTM, with its arguments and defaults: ports ``input``, ``prev_hid`` and ``prev_cell``.

    ``i, f, o = inner(input @ W_g + b_g + prev_hid @ U_g)`` for each gate g,
    ``cell = f * prev_cell + i * activation(input @ W_c + b_c + prev_hid @ U_c)``,
    ``output = o * activation(cell)``.

    It has two outputs: the hidden state, read by the node's name, and the cell, read as ``name.cell``.

    Args:
        forget_bias_init: the initialization of ``b_f``; the other biases start at zero.

    Source: elanmart, keras issue 620, 2015; formulas of Keras 0.1's LSTM.

    >>> RecurrentLSTM(4, 6).output_names
    ('output', 'cell')
    """

    param_names = (
        *("W_i", "U_i", "b_i"),
        *("W_c", "U_c", "b_c"),
        *("W_f", "U_f", "b_f"),
        *("W_o", "U_o", "b_o"),
    )
    drawing_order = (
        *("W_i", "U_i", "b_i"),
        *("W_f", "U_f", "b_f"),
        *("W_c", "U_c", "b_c"),
        *("W_o", "U_o", "b_o"),
    )
    """As in Keras 0.1.3, which listed its parameters in another order."""
    state_names = ("h", "c")
    ports = ("input", "prev_hid", "prev_cell")
    own_past: Mapping[str, str] = MappingProxyType(
        {"prev_hid": "output", "prev_cell": "cell"}
    )
    output_names = ("output", "cell")

    def __init__(
        self,
        input_dim: int | None = None,
        output_dim: int | None = None,
        init: str = "glorot_uniform",
        inner_init: str = "orthogonal",
        forget_bias_init: str = "one",
        activation: str = "tanh",
        inner_activation: str = "hard_sigmoid",
        name: str | None = None,
        seed: int | None = None,
    ):
        self.forget_bias_init = initializations.get(forget_bias_init)
        self.inner_activation = activations.get(inner_activation)
        super().__init__(
            input_dim, output_dim, init, inner_init, activation, name, seed
        )

    def first_value(
        self, name: str, rng: np.random.RandomState | None
    ) -> SharedVariable:
        if name == "b_f":
            return initializations.first_values(
                self.forget_bias_init, (self.output_dim,), rng
            )
        return super().first_value(name, rng)

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
