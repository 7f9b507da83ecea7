"""One step of a recurrent layer as a node: what the container repeats, with the state that it reads as a port.

elanmart's ``RecurrentDense`` and ``RecurrentGRU`` (keras issue 620, 2015). Each computes what the layer of the same
formula computes at one step; the product with the input is made before the loop where it can be (``transform_input``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import activations, initializations
from recursive.errors import ShapeError
from recursive.layers.hand_loop import RecurrentLayer
from recursive.layers.layer import Layer, Tensors, check_dim
from recursive.layers.products import affine_map
from recursive.layers.recurrent import GRU, LSTM, SimpleRNN
from recursive.spec.moves import Product
from recursive.spec.shapes import Shape, common_shape


class Cell(Layer):
    """The base of layers that are one step of a recurrent layer, the ``rule``: it holds its parameters.

    Its ports are ``input``, ``(batch, input_dim)``, and a state of the step before, ``(batch, output_dim)``, which a
    recurrent container reads from the node itself where it is left open.
    """

    rule: type[RecurrentLayer] = SimpleRNN
    ports = ("input", "prev_hid")
    own_past: Mapping[str, str] = MappingProxyType({"prev_hid": "output"})

    def __init__(
        self,
        input_dim: int | None,
        output_dim: int | None,
        name: str | None,
        seed: int | None,
        **settings: object,
    ):
        super().__init__(name, seed)
        kind = type(self).__name__
        if output_dim is None:
            input_dim, output_dim = None, input_dim
        self.output_dim = check_dim(kind, "output_dim", output_dim)
        self.settings = settings
        self.input_dim = check_dim(kind, "input_dim", input_dim, optional=True)
        if self.input_dim is not None:
            self.build({"input": (None, self.input_dim)})

    def build(self, input_shape: dict[str, Shape]) -> None:
        if self.built:
            return
        self.input_dim = check_dim(
            type(self).__name__, "input_dim", input_shape["input"][-1]
        )
        self.step_of = self.rule(
            self.input_dim, self.output_dim, seed=self.seed, **self.settings
        )
        for name, param in self.step_of.named_params.items():
            setattr(self, name, param)
        self.params = self.step_of.params

    def _named(self, letter: str) -> tuple[str, ...]:
        """The parameters whose names begin with ``letter``, in their order: one for each gate."""
        return tuple(name for name in self.rule.param_names if name.startswith(letter))

    @property
    def rowwise(self) -> bool:
        """With known activations; a function of one's own may be anything."""
        used = [
            value
            for name, value in self.settings.items()
            if name.endswith("activation")
        ]
        return self.rule.has_known_step() and all(
            value in activations.ACTIVATIONS.values() for value in used
        )

    @property
    def products(self) -> tuple[Product, ...]:
        """The input's part of every gate, side by side."""
        weights, biases = self._named("W"), self._named("b")
        return (Product("input", self.output_dim * len(weights), weights, biases),)

    def finish(
        self, total: TensorVariable, others: Mapping[str, TensorVariable]
    ) -> Tensors:
        """The states of this step, from the input's part of every gate and the states of the step before."""
        gates = pt.split(
            total, [self.output_dim] * len(self._named("W")), axis=total.ndim - 1
        )
        inner = [getattr(self, name) for name in self._named("U")]
        states = self.step_of.step(
            *gates, *(others[port] for port in self.ports[1:]), *inner
        )
        return (
            states[0]
            if len(states) == 1
            else dict(zip(self.output_names, states, strict=True))
        )

    def call(self, x: Mapping[str, TensorVariable], train: bool = False) -> Tensors:
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
        dims = {
            port: None if port == "input" else self.output_dim for port in self.ports
        }
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
        shape = (input_shape["input"][0], self.output_dim)
        return (
            shape
            if len(self.output_names) == 1
            else dict.fromkeys(self.output_names, shape)
        )


class RecurrentDense(Cell):
    """``activation(input @ W + b + prev_hid @ U)``: one step of SimpleRNN, with its arguments and defaults.

    Args:
        input_dim: values a row of the input; where one dim is given alone it is the output's.
        output_dim: values a row of the output.
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
        self.init, self.inner_init = (
            initializations.get(init),
            initializations.get(inner_init),
        )
        self.activation = activations.get(activation)
        super().__init__(
            input_dim,
            output_dim,
            name,
            seed,
            init=self.init,
            inner_init=self.inner_init,
            activation=self.activation,
        )

    rowwise = Cell.rowwise
    """So it is, with another way to finish too."""

    @property
    def products(self) -> tuple[Product, ...]:
        """With the input and with the state: all of it is their sum and an activation."""
        return (*super().products, Product("prev_hid", self.output_dim, ("U",)))

    def finish(
        self, total: TensorVariable, others: Mapping[str, TensorVariable]
    ) -> TensorVariable:
        return self.activation(total)


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


class RecurrentGRU(Cell):
    """One step of GRU, with its arguments and defaults: ports ``input`` and ``prev_hid``.

    Source: elanmart, keras issue 620, 2015; formulas of Keras 0.1's GRU.

    >>> RecurrentGRU(4, 6).products[0].dim
    18
    """

    rule = GRU

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
        self.init, self.inner_init = (
            initializations.get(init),
            initializations.get(inner_init),
        )
        self.activation, self.inner_activation = (
            activations.get(activation),
            activations.get(inner_activation),
        )
        super().__init__(
            input_dim,
            output_dim,
            name,
            seed,
            init=self.init,
            inner_init=self.inner_init,
            activation=self.activation,
            inner_activation=self.inner_activation,
        )


class RecurrentLSTM(Cell):
    """One step of LSTM, with its arguments and defaults: ports ``input``, ``prev_hid`` and ``prev_cell``.

    It has two outputs: the hidden state, read by the node's name, and the cell, read as ``name.cell``.

    Source: elanmart, keras issue 620, 2015; formulas of Keras 0.1's LSTM.

    >>> RecurrentLSTM(4, 6).output_names
    ('output', 'cell')
    """

    rule = LSTM
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
        self.init, self.inner_init = (
            initializations.get(init),
            initializations.get(inner_init),
        )
        self.forget_bias_init = initializations.get(forget_bias_init)
        self.activation, self.inner_activation = (
            activations.get(activation),
            activations.get(inner_activation),
        )
        super().__init__(
            input_dim,
            output_dim,
            name,
            seed,
            init=self.init,
            inner_init=self.inner_init,
            forget_bias_init=self.forget_bias_init,
            activation=self.activation,
            inner_activation=self.inner_activation,
        )
