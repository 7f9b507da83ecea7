"""Cells: one step of a recurrent layer, with its equations and parameters.

A cell holds the equations of a recurrent layer for one step, and nothing about time.

* :class:`~recursive.layers.rnn.RNN` loops a cell over the steps of a sequence.
* In a recurrent container a cell is a node, and the states that it reads are its ports.

A cell works in two parts, because the input is known for all steps before the loop
begins and the states are not::

    x_g = x @ W_g + b_g               for each gate g: Cell.project, all steps at once
    h   = f(x_g + h_tm1 @ U_g, ...)   Cell.step, one step after another

``h_tm1`` is the value of ``h`` one step back. ``W`` multiplies the input, ``U`` a
state, and ``b`` is a bias. ``RecurrentDense`` and ``RecurrentGRU`` are elanmart's
(keras issue 620, 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import activations, initializations
from recursive.errors import ConfigError, ShapeError, suggest
from recursive.layers.identity import own_methods
from recursive.layers.layer import Layer, Rule, Tensors, check_dim, plain
from recursive.layers.masks import PASS
from recursive.layers.products import affine_map
from recursive.spec.hoist import Product
from recursive.spec.shapes import Shape, common_shape
from recursive.utils.arguments import flag


def is_ours(function: Callable) -> bool:
    """True if the library defines a function or method, False for a user's override."""
    return function.__module__.partition(".")[0] == __name__.partition(".")[0]


class Cell(Layer):
    """One step of a recurrent layer, and the base of all cells.

    A custom cell defines :meth:`step` and the names of its parameters. The rest follows
    from these names and may be overridden: the states (:attr:`state_names`,
    :attr:`state_dims`), what is computed for all steps before the loop
    (:meth:`project`), and the states that follow a masked step (:meth:`forget`). A cell
    may define ``call`` instead of ``step``; then all of it is computed at every step.

    As a node it has the port ``input``, ``(batch, input_dim)``, and one port for each
    state of the previous step, ``(batch, output_dim)``. In a recurrent container a
    state port that is left open reads the node's own output of the previous step.

    Args:
        input_dim: the dim of the input. A single dim is that of the output; the dim of
            the input is then found in the data.
        output_dim: the dim of the output.
        init: the initialization of each ``W``.
        inner_init: the initialization of each ``U``.
        activation: a name or a function of a tensor.
        name: a name for the user's own use.
        seed: the seed of the initial weights.
        bias: False leaves out every ``b``.
        rules: ``W_regularizer``, ``U_regularizer`` and ``b_regularizer``, each for all
            parameters that begin with its letter; ``W_constraint`` and so on likewise.

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
    """The parameters in order. The first letter gives the kind: ``W`` multiplies the
    input, ``U`` a state, and ``b`` is a bias."""
    state_names: tuple[str, ...] = ("h",)
    """The values that a step passes to the next. States start at zero; the first is the
    output."""

    def __init__(
        self,
        input_dim: int | None = None,
        output_dim: int | None = None,
        init: str = "glorot_uniform",
        inner_init: str = "orthogonal",
        activation: str = "sigmoid",
        name: str | None = None,
        seed: int | None = None,
        bias: bool = True,
        **rules: Rule,
    ):
        super().__init__(name, seed)
        kind = type(self).__name__
        _check_rules(kind, rules)
        self.set_regularizers(**rules)
        self.bias = flag(kind, "bias", bias)
        if not self.bias:
            names = [name for name in self.param_names if not name.startswith("b")]
            self.param_names = tuple(names)
        if output_dim is None:  # a single dim is that of the output
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
        """The parameters in the order in which their initial values are drawn."""
        return self.param_names

    def first_value(
        self, name: str, rng: np.random.RandomState | None
    ) -> SharedVariable:
        """The parameter called ``name``, with its initial value."""
        if name.startswith("b"):
            return initializations.zero((self.output_dim,))
        if name.startswith("U"):
            shape = (self.output_dim, self.output_dim)
            return initializations.first_values(self.inner_init, shape, rng)
        shape = (self.input_dim, self.output_dim)
        return initializations.first_values(self.init, shape, rng)

    def build(self, input_shape: Mapping[str, Shape]) -> None:
        if self.built:
            return
        kind = type(self).__name__
        self.input_dim = check_dim(kind, "input_dim", input_shape["input"][-1])
        # Read once: with a seed, `self.rng` is a new generator each time.
        rng = self.rng
        # Once, too: a deep cell makes up thousands of names.
        names = dict.fromkeys(self.param_names)
        for name in self.drawing_order:
            if name in names:
                setattr(self, name, self.first_value(name, rng))
        self.params = [getattr(self, name) for name in names]

    def rule_for(self, param: str, kind: str) -> object:
        """The rule of a parameter, else that of its letter: of ``W`` for ``W_z``."""
        own = super().rule_for(param, kind)
        return getattr(self, f"{param[0]}_{kind}", None) if own is None else own

    def get_config(self) -> dict[str, object]:
        config = super().get_config()
        for name in RULES:
            rule = getattr(self, name, None)
            if rule is not None:
                config[name] = plain(rule)
        return config

    def _params_with_letter(self, letter: str) -> tuple[str, ...]:
        """The names of the parameters that begin with ``letter``, in order."""
        return tuple(name for name in self.param_names if name.startswith(letter))

    @property
    def inner_names(self) -> tuple[str, ...]:
        """The parameters that :meth:`step` takes as arguments."""
        return self._params_with_letter("U")

    # The equations

    @property
    def state_dims(self) -> tuple[int, ...]:
        """The dim of each state."""
        return (self.output_dim,) * len(self.state_names)

    @property
    def products(self) -> tuple[Product, ...]:
        """The product of the input with the weights of all gates.

        Empty if the class overrides ``project``.
        """
        # One large product is faster than one for each gate.
        weights = self._params_with_letter("W")
        biases = self._params_with_letter("b")
        if not weights or not is_ours(type(self).project):
            return ()
        return (Product("input", self.output_dim * len(weights), weights, biases),)

    def _split_gates(self, total: TensorVariable) -> list[TensorVariable]:
        """The product with the weights of all gates, split into one tensor a gate."""
        count = self.products[0].dim // self.output_dim
        if count == 1:
            return [total]
        # (..., gates * output_dim) to one (..., output_dim) for each gate
        return pt.split(total, [self.output_dim] * count, axis=total.ndim - 1)

    def project(self, x: TensorVariable) -> list[TensorVariable]:
        """The part of a step that reads only the input.

        A loop calls it once for all steps, with ``(time, batch, input_dim)``.

        Args:
            x: ``(..., input_dim)``.

        Returns:
            ``x @ W + b``, ``(..., output_dim)``, for each gate; ``[x]`` for a cell
            without a ``W``.
        """
        if not self.products:
            return [x]
        return self._split_gates(self.transform_input(x))

    def step(self, *args: TensorVariable) -> tuple[TensorVariable, ...]:
        """The states at t.

        Args:
            args: the projections at t, the states at t-1 and the ``U``, each in their
                order.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no formula: "
            "give it a method step(self, x, h_tm1, U)"
        )

    def forget(
        self, past: Sequence[TensorVariable], valid: TensorVariable
    ) -> list[TensorVariable]:
        """The states that a step of mask mode ``zero`` reads.

        They are zeros in the rows whose previous step was masked.

        Args:
            past: the states at t-1.
            valid: the mask at t-1, ``(batch, 1)``.
        """
        return [valid * state for state in past]

    @classmethod
    def has_known_step(cls) -> bool:
        """True if the library defines the formula of a step."""
        return is_ours(cls.step) and is_ours(cls.project)

    @classmethod
    def computes_by_step(cls) -> bool:
        """False if a user's class overrides how a layer is applied, as in ``call``."""
        return not own_methods(cls)

    # A cell as a node

    @property
    def ports(self) -> tuple[str, ...]:
        """The input, then the states of the previous step."""
        others = [f"prev_{state}" for state in self.state_names[1:]]
        return ("input", "prev_hid", *others)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The states, the first of which is the output."""
        return ("output", *self.state_names[1:])

    @property
    def own_past(self) -> Mapping[str, str]:
        """The output of the previous step that each state port reads if left open."""
        return dict(zip(self.ports[1:], self.output_names, strict=True))

    @property
    def rowwise(self) -> bool:
        """True if the step and the activations are the library's.

        A user's function may mix the rows of a batch.
        """
        known = activations.ACTIVATIONS.values()
        for name, value in vars(self).items():
            # `activation`, `inner_activation` and any other that a subclass adds
            if name.endswith("activation") and value not in known:
                return False
        return self.has_known_step()

    def finish(
        self, total: TensorVariable, others: Mapping[str, TensorVariable]
    ) -> Tensors:
        """The states at t, from the product with the input and the states at t-1."""
        return self._states(self._split_gates(total), others)

    def _states(
        self, projected: Sequence[TensorVariable], x: Mapping[str, TensorVariable]
    ) -> Tensors:
        """The output of a step: a tensor, or a dict if there are several states."""
        past = [x[port] for port in self.ports[1:]]
        inner = [getattr(self, name) for name in self.inner_names]
        states = self.step(*projected, *past, *inner)
        if len(states) == 1:
            return states[0]
        return dict(zip(self.output_names, states, strict=True))

    def call(self, x: Mapping[str, TensorVariable], train: bool = False) -> Tensors:
        if not self.products:
            return self._states(self.project(x["input"]), x)
        # A cell such as RecurrentDense has a product with a state too.
        total = 0
        for product in self.products:
            W, b = self.factors(product)
            total = total + affine_map(x[product.port], W, b)
        return self.finish(total, x)

    def get_output_shape_for(
        self, input_shape: Mapping[str, Shape]
    ) -> Shape | dict[str, Shape]:
        self._check_port("input", input_shape["input"], None)
        for port, dim in zip(self.ports[1:], self.state_dims, strict=True):
            self._check_port(port, input_shape[port], dim)
        # Shapes are those of one step: (batch, dim), without time.
        rows = input_shape["input"][0]
        shapes = [(rows, dim) for dim in self.state_dims]
        if len(shapes) == 1:
            return shapes[0]
        return dict(zip(self.output_names, shapes, strict=True))

    def _check_port(self, port: str, shape: Shape, dim: int | None) -> None:
        """Raise a ShapeError unless ``shape`` is ``(batch, dim)``; None is any dim."""
        if common_shape([shape, (None, dim)]) is None:
            raise ShapeError.about(
                "port",
                port,
                takes=f"(batch, {dim or 'dim'})",
                because=f"the {type(self).__name__} has output_dim={self.output_dim}",
                got=shape,
                do="Bring it to that shape with a Dense, for example.",
            )


RULES = (
    *("W_regularizer", "U_regularizer", "b_regularizer"),
    *("W_constraint", "U_constraint", "b_constraint"),
)
"""The rules of a cell's parameters."""


def _check_rules(kind: str, given: Iterable[str]) -> None:
    """Raise a ConfigError unless ``given`` are names of rules."""
    for name in given:
        if name not in RULES:
            raise ConfigError.about(
                "layer",
                kind,
                takes=f"its arguments and {', '.join(RULES)}",
                got=repr(name),
                do=suggest(name, RULES),
            )


class RecurrentDense(Cell):
    """One step of SimpleRNN, with its arguments and defaults.

    ::

        h = activation(x @ W + b + h_tm1 @ U)

    ``x`` is read at port ``input``, ``h_tm1`` at port ``prev_hid``.

    Args:
        input_dim: the dim of the input. A single dim is that of the output.
        output_dim: the dim of the output.
        init: the initialization of ``W``.
        inner_init: the initialization of ``U``.
        activation: a name or a function of a tensor.
        seed: the seed of the initial weights.

    Source: elanmart, keras issue 620, 2015.

    >>> from recursive.layers.recursive import Recurrent
    >>> rnn = Recurrent()
    >>> rnn.add_input("x", dim=4)
    >>> rnn.add_node(RecurrentDense(6), "h", input="x")
    >>> [str(ref) for ref in rnn.declared_plan.arguments]
    ['x', 'h_tm1', 'h.W', 'h.U', 'h.b']
    """

    param_names = ("W", "U", "b")
    # A class with a `finish` of its own must declare `rowwise` again (see Layer).
    rowwise = Cell.rowwise

    @property
    def products(self) -> tuple[Product, ...]:
        """The products with the input and with the state."""
        return (*super().products, Product("prev_hid", self.output_dim, ("U",)))

    def step(self, x, h_tm1, U):
        h = self.activation(x + h_tm1.dot(U))
        return (h,)

    def finish(
        self, total: TensorVariable, others: Mapping[str, TensorVariable]
    ) -> TensorVariable:
        """The activation of the sum of both products: ``step`` without its product."""
        return self.activation(total)


class RecurrentDeep(Cell):
    """One step of SimpleDeepRNN, which reads its output of the last ``depth`` steps.

    With h1 the output one step back, h2 two steps back, and so on, each ``(batch,
    output_dim)``::

        back = sum of there<k> * inner(h<k> @ U<k>)    for k = 1, ..., depth
        h    = activation(x @ W + b + back)

    ``there<k>``, ``(batch, 1)``, is 1 if there was a step k steps back and 0 before the
    first step, so that such a step adds nothing: ``inner(0)`` need not be 0.

    Args:
        depth: the number of steps that it reads back. Its states are ``h1``, ``h2``,
            ..., followed by ``there1``, ``there2``, ...
        inner_activation: the activation ``inner``.

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

    def _numbered(self, word: str) -> tuple[str, ...]:
        """``word1``, ``word2``, ..., one for each step that is read back."""
        return tuple(f"{word}{k}" for k in range(1, self.depth + 1))

    @property
    def param_names(self) -> tuple[str, ...]:
        """The parameters: ``W``, a ``U`` for each step that is read back, and ``b``."""
        return ("W", *self._numbered("U"), "b")

    @property
    def state_names(self) -> tuple[str, ...]:
        """The last ``depth`` outputs, latest first, then a flag for each."""
        return self._numbered("h") + self._numbered("there")

    @property
    def state_dims(self) -> tuple[int, ...]:
        """The dim of each output, then 1 for each flag."""
        return (self.output_dim,) * self.depth + (1,) * self.depth

    def step(self, x, *args):
        # args is h1, h2, ..., there1, there2, ..., U1, U2, ...
        h_back = args[: self.depth]
        there = args[self.depth : 2 * self.depth]
        U = args[2 * self.depth :]
        back = 0
        for h_k, there_k, U_k in zip(h_back, there, U, strict=True):
            back = back + there_k * self.inner_activation(h_k.dot(U_k))
        h = self.activation(x + back)
        return self.shift(h, h_back, there)

    def shift(
        self,
        h: TensorVariable,
        h_back: Sequence[TensorVariable],
        there: Sequence[TensorVariable],
    ) -> tuple[TensorVariable, ...]:
        """The states after a step whose output is ``h``: each moves one step back."""
        return (h, *h_back[:-1], pt.ones_like(there[0]), *there[:-1])

    def forget(
        self, past: Sequence[TensorVariable], valid: TensorVariable
    ) -> list[TensorVariable]:
        """The states with the previous step marked as absent if it was masked."""
        # The outputs stay. The flag `there1`, right after them, drops the masked step.
        latest = self.depth
        there1 = valid * past[latest]
        return [*past[:latest], there1, *past[latest + 1 :]]


class Gate(RecurrentDense):
    """A gate, with values between 0 and 1 that other values are multiplied by.

    ::

        gate = hard_sigmoid(x @ W + b + h @ U)

    Both ports must be connected: ``input`` reads ``x``, and ``prev_hid`` the state
        ``h``.

    Source: pranv asked for "some abstraction of gating" in keras issue 620, 2015; the
    activation is that of the gates of Keras 0.1.
    """

    # A gate has no state to read by default: both ports must be connected.
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
        bias: bool = True,
        **rules: Rule,
    ):
        super().__init__(
            input_dim,
            output_dim,
            init,
            inner_init,
            activation,
            name,
            seed,
            bias,
            **rules,
        )


class Blend(Layer):
    """A mix of two values: ``gate * old + (1 - gate) * new``, element by element.

    The gate is ``(batch, dim)``, or ``(batch, 1)`` for whole rows.

    Source: Cho et al., 2014, as in the GRU of Keras 0.1.
    """

    masks = PASS
    ports = ("gate", "old", "new")
    rowwise = True

    def call(
        self, x: Mapping[str, TensorVariable], train: bool = False
    ) -> TensorVariable:
        gate = x["gate"]
        return gate * x["old"] + (1 - gate) * x["new"]

    def get_output_shape_for(self, input_shape: Mapping[str, Shape]) -> Shape:
        gate = input_shape["gate"]
        # A gate of one value a row is repeated along the row, as merge_mul does. Its 1
        # says nothing about the dim of the result.
        if len(gate) > 1 and gate[-1] == 1:
            gate = (*gate[:-1], None)
        shape = common_shape([input_shape["old"], input_shape["new"], gate])
        if shape is None:
            raise ShapeError.about(
                "layer",
                "Blend",
                takes="old and new of one shape, "
                "and a gate of that shape or of (batch, 1)",
                got=", ".join(f"{port} {shape}" for port, shape in input_shape.items()),
                do="Bring them to one dim with a Dense first.",
            )
        return shape


class GatedCell(Cell):
    """The base of cells with gates; it adds the argument ``inner_activation``.

    Args:
        inner_activation: the activation of the gates, ``inner`` in the equations.
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
        bias: bool = True,
        **rules: Rule,
    ):
        self.inner_activation = activations.get(inner_activation)
        super().__init__(
            input_dim,
            output_dim,
            init,
            inner_init,
            activation,
            name,
            seed,
            bias,
            **rules,
        )


class RecurrentGRU(GatedCell):
    """One step of GRU, with its arguments and defaults.

    ::

        z   = inner(x @ W_z + b_z + h_tm1 @ U_z)               update gate
        r   = inner(x @ W_r + b_r + h_tm1 @ U_r)               reset gate
        new = activation(x @ W_h + b_h + (r * h_tm1) @ U_h)
        h   = z * h_tm1 + (1 - z) * new

    ``x`` is read at port ``input``, ``h_tm1`` at port ``prev_hid``.

    Source: elanmart, keras issue 620, 2015; formulas of Keras 0.1's GRU.

    >>> RecurrentGRU(4, 6).products[0].dim
    18
    """

    param_names = ("W_z", "U_z", "b_z", "W_r", "U_r", "b_r", "W_h", "U_h", "b_h")

    def step(self, x_z, x_r, x_h, h_tm1, U_z, U_r, U_h):
        # x_z is x @ W_z + b_z, and x_r and x_h likewise: see Cell.project.
        z = self.inner_activation(x_z + h_tm1.dot(U_z))
        r = self.inner_activation(x_r + h_tm1.dot(U_r))
        new = self.activation(x_h + (r * h_tm1).dot(U_h))
        h = z * h_tm1 + (1 - z) * new
        return (h,)


class RecurrentLSTM(Cell):
    """One step of LSTM, with its arguments and defaults.

    ::

        i = inner(x @ W_i + b_i + h_tm1 @ U_i)                 input gate
        f = inner(x @ W_f + b_f + h_tm1 @ U_f)                 forget gate
        o = inner(x @ W_o + b_o + h_tm1 @ U_o)                 output gate
        c = f * c_tm1 + i * activation(x @ W_c + b_c + h_tm1 @ U_c)
        h = o * activation(c)

    ``x`` is read at port ``input``, ``h_tm1`` at ``prev_hid``, ``c_tm1`` at
    ``prev_cell``. It has two outputs: ``h``, read by the node's name, and ``c``, read
    as ``name.cell``.

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
    # Keras 0.1.3 drew its weights in another order than it listed them. The same numpy
    # seed must give the same weights.
    drawing_order = (
        *("W_i", "U_i", "b_i"),
        *("W_f", "U_f", "b_f"),
        *("W_c", "U_c", "b_c"),
        *("W_o", "U_o", "b_o"),
    )
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
        bias: bool = True,
        **rules: Rule,
    ):
        self.forget_bias_init = initializations.get(forget_bias_init)
        self.inner_activation = activations.get(inner_activation)
        super().__init__(
            input_dim,
            output_dim,
            init,
            inner_init,
            activation,
            name,
            seed,
            bias,
            **rules,
        )

    def first_value(
        self, name: str, rng: np.random.RandomState | None
    ) -> SharedVariable:
        if name != "b_f":
            return super().first_value(name, rng)
        shape = (self.output_dim,)
        return initializations.first_values(self.forget_bias_init, shape, rng)

    def step(self, x_i, x_c, x_f, x_o, h_tm1, c_tm1, U_i, U_c, U_f, U_o):
        # x_i is x @ W_i + b_i, and the others likewise: see Cell.project.
        i = self.inner_activation(x_i + h_tm1.dot(U_i))
        f = self.inner_activation(x_f + h_tm1.dot(U_f))
        o = self.inner_activation(x_o + h_tm1.dot(U_o))
        c = f * c_tm1 + i * self.activation(x_c + h_tm1.dot(U_c))
        h = o * self.activation(c)
        return h, c
