"""The plain layers: Dense, Activation, Dropout, Lambda, Identity.

The other layers that ``keras.layers.core`` of Keras 0.1 had can be imported from here
too; they are defined in modules of their kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import activations, backend, initializations
from recursive.backend.sizes import sizes
from recursive.draws import uniform
from recursive.errors import ConfigError, ShapeError, WeightsError, suggest
from recursive.layers.autoencoder import AutoEncoder
from recursive.layers.layer import Layer, MaskedLayer, Rule, Tensors, check_dim
from recursive.layers.masking import DropMask, Masking, ReadMask
from recursive.layers.maxout import ActivityRegularization, MaxoutDense
from recursive.layers.merge import Merge
from recursive.layers.noise import check_share, seeds_of
from recursive.layers.products import as_floats
from recursive.layers.shaping import Flatten, Permute, RepeatVector, Reshape
from recursive.spec.hoist import Product
from recursive.spec.names import check_name
from recursive.spec.shapes import Shape, format_shape
from recursive.utils import arguments

__all__ = [
    "Activation",
    "ActivityRegularization",
    "AutoEncoder",
    "Dense",
    "DropMask",
    "Dropout",
    "Flatten",
    "Identity",
    "Lambda",
    "Layer",
    "MaskedLayer",
    "Masking",
    "MaxoutDense",
    "Merge",
    "Permute",
    "ReadMask",
    "RepeatVector",
    "Reshape",
    "TimeDistributedDense",
]


class Identity(MaskedLayer):
    """A layer that returns its input: it merges values, or gives one a second name."""

    rowwise = True

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return x


class Dense(Layer):
    """An affine map over the last axis and an activation: ``activation(x @ W + b)``.

    It maps ``(batch, input_dim)`` to ``(batch, output_dim)``; any axes may stand
    between.

    Args:
        input_dim: the dim of the input. A single dim is that of the output; the dim of
            the input is then found when the layer is connected.
        output_dim: the dim of the output.
        init: the initialization of ``W``; ``b`` starts at zero.
        activation: a name or a function of a tensor.
        weights: the initial ``[W, b]``.
        W_regularizer, b_regularizer: penalties on ``W`` and ``b``, by name or from
            ``regularizers``.
        activity_regularizer: a penalty on the output.
        W_constraint, b_constraint: applied to ``W`` and ``b`` after each training step.
        bias: False leaves ``b`` out.
        seed: the seed of the initial weights.

    Raises:
        ShapeError: for dims that are not integers of 1 or more.
        UnknownNameError: for an unknown initialization, activation, regularizer or
            constraint.

    Source: ``keras.layers.core.Dense`` of Keras 0.1; ``bias`` and ``seed`` are new.

    >>> Dense(4, 6, init="one")(np.ones((3, 4))).eval().shape
    (3, 6)
    """

    def __init__(
        self,
        input_dim: int | None = None,
        output_dim: int | None = None,
        init: str = "glorot_uniform",
        activation: str = "linear",
        weights: Sequence[np.ndarray] | None = None,
        name: str | None = None,
        W_regularizer: Rule = None,
        b_regularizer: Rule = None,
        activity_regularizer: Rule = None,
        W_constraint: Rule = None,
        b_constraint: Rule = None,
        bias: bool = True,
        seed: int | None = None,
    ):
        super().__init__(name, seed)
        self.set_regularizers(
            W_regularizer=W_regularizer,
            b_regularizer=b_regularizer,
            activity_regularizer=activity_regularizer,
            W_constraint=W_constraint,
            b_constraint=b_constraint,
        )
        if output_dim is None:
            input_dim, output_dim = None, input_dim
        self.input_dim = check_dim("Dense", "input_dim", input_dim, optional=True)
        self.output_dim = check_dim("Dense", "output_dim", output_dim)
        self.init = initializations.get(init)
        self.activation = activations.get(activation)
        self.bias = arguments.flag("Dense", "bias", bias)
        self.initial_weights = weights
        if self.input_dim is not None:
            self.build((None, self.input_dim))

    def build(self, input_shape: Shape) -> None:
        if self.built:
            return
        self.input_dim = check_dim("Dense", "input_dim", input_shape[-1])
        shape = (self.input_dim, self.output_dim)
        self.W = initializations.first_values(self.init, shape, self.rng)
        self.params = [self.W]
        if self.bias:
            self.b = initializations.zero((self.output_dim,))
            self.params.append(self.b)
        try:
            self.set_initial_weights(self.initial_weights)
        except WeightsError:
            self.params = []  # not built: the next call raises the error again
            raise

    @property
    def rowwise(self) -> bool:
        """True if the activation is the library's. A user's function may mix rows."""
        return self.activation in activations.ACTIVATIONS.values()

    @property
    def products(self) -> tuple[Product]:
        """The product with the input; an activation is all that follows it."""
        biases = ("b",) if self.bias else ()
        return (Product("input", self.output_dim, ("W",), biases),)

    def finish(
        self, total: TensorVariable, others: Mapping[str, TensorVariable]
    ) -> TensorVariable:
        return self.activation(total)

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return self.finish(self.transform_input(x), {})

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.output_dim)


class TimeDistributedDense(MaskedLayer, Dense):
    """A Dense over ``(batch, time, input_dim)``, with the same weights at every step.

    Source: ``keras.layers.core.TimeDistributedDense`` of Keras 0.1.
    """

    input_ndim = 3


class Activation(MaskedLayer):
    """An activation function as a layer.

    Raises:
        UnknownNameError: for an unknown activation.

    >>> Activation("relu")(np.array([[-1.0, 2.0]])).eval().tolist()
    [[0.0, 2.0]]
    """

    def __init__(self, activation: str | Callable, name: str | None = None):
        super().__init__(name)
        self.activation = activations.get(activation)

    @property
    def rowwise(self) -> bool:
        """True if the activation is the library's. A user's function may mix rows."""
        return self.activation in activations.ACTIVATIONS.values()

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        if self.activation is activations.linear:
            return x  # integers stay integers
        return self.activation(as_floats(x))


class Dropout(MaskedLayer):
    """A layer that sets values to 0 at random while training.

    ::

        y = x * (keep >= p) / (1 - p)        keep uniform in [0, 1)

    So a fraction ``p`` of the values becomes 0, and the scale keeps their mean.
    ``keep`` is drawn before a loop and enters it as an argument: the step stays a
    function of its arguments, which has a gradient.

    Args:
        p: the fraction that is set to 0.
        per: ``step`` draws ``keep`` for every step of a sequence, in the shape of the
            input. ``sequence`` draws it once for all steps of ``(batch, time, dim)``,
            as ``(batch, dim)``.

    Raises:
        ConfigError: unless 0 <= p < 1, or for an unknown ``per``.

    Source: Srivastava et al., 2014; ``keras.layers.core.Dropout`` of Keras 0.1. One
    draw for each sequence: Gal and Ghahramani, 2016, who call it variational.

    >>> keep = np.array([[0.1, 0.8, 0.9]])
    >>> dropout = Dropout(0.5, per="sequence")
    >>> dropout(np.ones((1, 2, 3)), train=True, keep=keep).eval().tolist()
    [[[0.0, 2.0, 2.0], [0.0, 2.0, 2.0]]]
    """

    rowwise = True

    def __init__(
        self,
        p: float,
        name: str | None = None,
        seed: int | None = None,
        per: str = "step",
    ):
        super().__init__(name, seed)
        self.p = check_share("Dropout", p)
        if per not in PERIODS:
            raise ConfigError.about(
                "layer",
                "Dropout",
                takes=f"per={' or per='.join(map(repr, PERIODS))}",
                got=repr(per),
                do=suggest(str(per), PERIODS),
            )
        self.per = per
        # Without a fraction nothing is drawn, so a loop takes no argument for it.
        self.draws = ("keep",) if p else ()
        self.steady_draws = self.draws if per == "sequence" else ()
        self.seeds = seeds_of(seed)

    def call(
        self, x: TensorVariable, train: bool = False, keep: TensorVariable | None = None
    ) -> TensorVariable:
        if not train or not self.p:
            return x
        if keep is None:
            keep = self.sample("keep", self.draw_shape("keep", sizes(x)))
        x = as_floats(x)
        keep = pt.as_tensor_variable(keep)
        if self._is_over_time(x.ndim):
            keep = pt.expand_dims(keep, 1)  # (batch, 1, dim), for all steps
        is_kept = (keep >= self.p).astype(x.dtype)
        return x * is_kept / np.asarray(1 - self.p, dtype=x.dtype)

    def _is_over_time(self, ndim: int) -> bool:
        return self.per == "sequence" and ndim > 2

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        return uniform(size, self.seeds.spawn(1)[0])

    def draw_shape(self, name: str, input_shape: Shape) -> Shape:
        if self._is_over_time(len(input_shape)):
            return (input_shape[0], *input_shape[2:])
        return tuple(input_shape)


PERIODS = ("step", "sequence")
"""The lifetimes of a draw of Dropout."""


class Lambda(Layer):
    """A function of tensors as a layer without parameters.

    A Lambda cannot be saved to a file, because a file must never hold code.

    Args:
        function: from a tensor to a tensor, batch first. With several ports it takes a
            tensor for each, in their order.
        ports: the names of the inputs.
        output_dim: the size of the output's last axis, if the result of the function
            does not show it.

    >>> Lambda(lambda x: x[:, :1]).get_output_shape_for((None, 4))
    (None, 1)
    >>> gate = Lambda(lambda g, x: g * x, ports=("gate", "value"))
    >>> gate({"gate": np.array([[0.5]]), "value": np.array([[4.0]])}).eval().item()
    2.0
    """

    def __init__(
        self,
        function: Callable[..., TensorVariable],
        output_dim: int | None = None,
        name: str | None = None,
        ports: Sequence[str] = ("input",),
    ):
        super().__init__(name)
        if not callable(function):
            raise ConfigError.about(
                "layer",
                "Lambda",
                takes="a function",
                got=repr(function),
                do="Use Lambda(lambda x: 2 * x), for example.",
            )
        self.function = function
        self.output_dim = check_dim("Lambda", "output_dim", output_dim, optional=True)
        self.ports = _checked_ports(ports)

    def call(self, x: Tensors, train: bool = False) -> TensorVariable:
        return self._result(x)

    def _result(self, x: Tensors) -> TensorVariable:
        if len(self.ports) == 1:
            return self.function(x)
        return self.function(*(x[port] for port in self.ports))

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        shape = self._probed(input_shape)
        if self.output_dim is None:
            return shape
        found = shape[-1:]  # () for a result without axes
        if found not in ((self.output_dim,), (None,)):
            raise ShapeError.about(
                "layer",
                "Lambda",
                takes=f"a function whose result has dim {self.output_dim}",
                got=format_shape(shape),
                do="Change the function or output_dim, or leave output_dim out.",
            )
        return (*shape[:-1], self.output_dim)

    def check_output(
        self, output: object, input_shape: Shape | Mapping[str, Shape]
    ) -> None:
        """Check nothing: the shape is that of the function's result."""

    def _probed(self, input_shape: Shape | Mapping[str, Shape]) -> Shape:
        """The shape of the result for floats, or for integers if floats fail."""
        # The first error is the one to report: integers are only a second attempt.
        failed = None
        for dtype in (backend.floatX(), "int32"):
            try:
                return self._result(_probe(input_shape, dtype)).type.shape
            except Exception as error:  # a user's function may raise anything
                failed = failed or error
        raise ConfigError.about(
            "layer",
            "Lambda",
            takes=f"a function of a tensor of shape {input_shape}",
            because="its result gives the shape of the output",
            got=f"one that raises {type(failed).__name__}: {failed}",
            do="Correct the function or its input.",
        ) from failed


def _checked_ports(ports: object) -> tuple[str, ...]:
    if not isinstance(ports, list | tuple) or not ports:
        raise ConfigError.about(
            "layer",
            "Lambda",
            takes="a list of names as ports",
            got=repr(ports),
            do="Pass ports=('a', 'b'), for example.",
        )
    for port in ports:
        check_name("port", port)
    if len(set(ports)) < len(ports):
        raise ConfigError.about(
            "layer",
            "Lambda",
            takes="ports of different names",
            got=repr(ports),
            do="Rename one of them.",
        )
    return tuple(ports)


def _probe(
    input_shape: Shape | Mapping[str, Shape], dtype: str
) -> TensorVariable | dict[str, TensorVariable]:
    """Symbolic inputs of a shape and dtype, to call the function of a Lambda with."""
    if not isinstance(input_shape, Mapping):
        return backend.tensor("x", dtype, input_shape)
    inputs = {}
    for name, shape in input_shape.items():
        inputs[name] = backend.tensor(name, dtype, shape)
    return inputs
