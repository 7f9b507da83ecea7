"""The plain layers, Dense, Activation, Dropout, Lambda, and all others that Keras 0.1 had in this room."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import activations, backend, initializations
from recursive.backend.sizes import sizes
from recursive.draws import uniform
from recursive.errors import ConfigError, ShapeError, WeightsError, suggest
from recursive.layers.composed import AutoEncoder, Merge
from recursive.layers.layer import Layer, MaskedLayer, Rule, check_dim
from recursive.layers.masking import DropMask, Masking, ReadMask
from recursive.layers.maxout import ActivityRegularization, MaxoutDense
from recursive.layers.noise import check_share, seeds_of
from recursive.layers.products import as_floats
from recursive.layers.shaping import Flatten, Permute, RepeatVector, Reshape
from recursive.spec.hoist import Product
from recursive.spec.shapes import Shape, format_shape

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
    """Passes its input on: for merging only, or to give a value a second name."""

    rowwise = True

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return x


class Dense(Layer):
    """``activation(x @ W + b)`` over the last axis: ``(batch, input_dim)`` to ``(batch, output_dim)``.

    Args:
        input_dim: values a row of the input; where one dim is given alone it is the output's, and the input's is
            found when the layer is joined to others.
        output_dim: values a row of the output.
        init: the initialization of ``W``; ``b`` starts at zero.
        activation: a name or a function of a tensor.
        weights: ``[W, b]`` to start from.
        W_regularizer, b_regularizer: penalties on ``W`` and ``b``, by name or as made by ``regularizers``.
        activity_regularizer: a penalty on the output.
        W_constraint, b_constraint: what ``W`` and ``b`` are made to be after each training step.
        bias: False leaves ``b`` out.
        seed: seeds the first values.

    Raises:
        ShapeError: for dims that are not whole numbers of 1 or more.
        UnknownNameError: for an unknown initialization, activation, regularizer or constraint.

    Source: ``keras.layers.core.Dense`` of Keras 0.1; ``bias`` and ``seed`` are ours.

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
        self.bias = bias
        self.initial_weights = weights
        if self.input_dim is not None:
            self.build((None, self.input_dim))

    def build(self, input_shape: Shape) -> None:
        if self.built:
            return
        self.input_dim = check_dim("Dense", "input_dim", input_shape[-1])
        self.W = initializations.first_values(
            self.init, (self.input_dim, self.output_dim), self.rng
        )
        self.params = [self.W]
        if self.bias:
            self.b = initializations.zero((self.output_dim,))
            self.params.append(self.b)
        if self.initial_weights is not None:
            self._start_from(self.initial_weights)

    def _start_from(self, weights: Sequence[np.ndarray]) -> None:
        try:
            self.set_weights(weights)
        except WeightsError:
            self.params = []
            raise

    @property
    def rowwise(self) -> bool:
        """With a known activation; a function of one's own may be anything."""
        return self.activation in activations.ACTIVATIONS.values()

    @property
    def products(self) -> tuple[Product]:
        """All of it is a product and an activation."""
        return (Product("input", self.output_dim, ("W",), ("b",) * self.bias),)

    def finish(
        self, total: TensorVariable, others: Mapping[str, TensorVariable]
    ) -> TensorVariable:
        return self.activation(total)

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return self.finish(self.transform_input(x), {})

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.output_dim)


class TimeDistributedDense(MaskedLayer, Dense):
    """A Dense over ``(batch, time, input_dim)``: the same product at every step.

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
        """Known activations are; a function of one's own may be anything."""
        return self.activation in activations.ACTIVATIONS.values()

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return (
            x
            if self.activation is activations.linear
            else self.activation(as_floats(x))
        )


class Dropout(MaskedLayer):
    """While training, sets a share ``p`` of the values to 0 and scales the others by ``1 / (1 - p)``.

    Which ones is decided by ``keep >= p``, for ``keep`` uniform in [0, 1). In a loop ``keep`` is drawn before it and
    enters it as an argument, so that the step stays a function and has a gradient.

    Args:
        p: the share that is set to 0.
        per: ``step`` decides anew at every step of a sequence, and draws ``keep`` in the shape of the input.
            ``sequence`` decides once for all steps of ``(batch, time, dim)``, and draws ``keep`` as ``(batch, dim)``.

    Raises:
        ConfigError: unless 0 <= p < 1, or for an unknown ``per``.

    Source: Srivastava et al., 2014; ``keras.layers.core.Dropout`` of Keras 0.1. Once a sequence: Gal and Ghahramani,
    2016, who call it variational.

    >>> keep = np.array([[0.1, 0.8, 0.9]])
    >>> Dropout(0.5, per="sequence")(np.ones((1, 2, 3)), train=True, keep=keep).eval().tolist()
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
        self.p = check_share("Dropout", p, "what is left is scaled by 1 / (1 - p)")
        if per not in PERIODS:
            raise ConfigError.about(
                "layer",
                "Dropout",
                takes=f"per={' or per='.join(map(repr, PERIODS))}",
                because="it says how long a draw counts",
                got=repr(per),
                do=suggest(str(per), PERIODS),
            )
        self.per = per
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
        x, keep = as_floats(x), pt.as_tensor_variable(keep)
        if self._is_over_time(x.ndim):
            keep = pt.expand_dims(keep, 1)
        return (
            x * (keep >= self.p).astype(x.dtype) / np.asarray(1 - self.p, dtype=x.dtype)
        )

    def _is_over_time(self, ndim: int) -> bool:
        return self.per == "sequence" and ndim > 2

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        return uniform(size, self.seeds.spawn(1)[0])

    def draw_shape(self, name: str, input_shape: Shape) -> Shape:
        return (
            (input_shape[0], *input_shape[2:])
            if self._is_over_time(len(input_shape))
            else tuple(input_shape)
        )


PERIODS = ("step", "sequence")
"""How long a draw of Dropout counts."""


class Lambda(Layer):
    """Any function of a tensor as a layer without parameters.

    Args:
        function: from a tensor to a tensor, batch first.
        output_dim: the size of the output's last axis, where it cannot be read off the function's result.

    A Lambda cannot be written to a file, because a file must never hold code.

    >>> Lambda(lambda x: x[:, :1]).get_output_shape_for((None, 4))
    (None, 1)
    """

    def __init__(
        self,
        function: Callable[[TensorVariable], TensorVariable],
        output_dim: int | None = None,
        name: str | None = None,
    ):
        super().__init__(name)
        if not callable(function):
            raise ConfigError.about(
                "layer",
                "Lambda",
                takes="a function",
                because="it calls it on its input",
                got=repr(function),
                do="Say Lambda(lambda x: ...).",
            )
        self.function = function
        self.output_dim = check_dim("Lambda", "output_dim", output_dim, optional=True)

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return self.function(x)

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        shape = self._probed(input_shape)
        if self.output_dim not in (None, *shape[-1:]) and shape[-1:] != (None,):
            raise ShapeError.about(
                "layer",
                "Lambda",
                takes=f"a function that returns {self.output_dim} values a row",
                because="that is its output_dim",
                got=format_shape(shape),
                do="Mend one of them, or leave output_dim out.",
            )
        return shape if self.output_dim is None else (*shape[:-1], self.output_dim)

    def check_output(
        self, output: object, input_shape: Shape | Mapping[str, Shape]
    ) -> None:
        """Nothing: the function itself is what says the shape."""

    def _probed(self, input_shape: Shape | Mapping[str, Shape]) -> Shape:
        """The shape of what the function makes of floats, or of whole numbers where it takes no floats."""
        failed = None
        for dtype in (backend.floatX(), "int32"):
            try:
                return self.function(_probe(input_shape, dtype)).type.shape
            except Exception as error:  # whatever a function of the user's own raises
                failed = failed or error
        raise ConfigError.about(
            "layer",
            "Lambda",
            takes=f"a function of a tensor of shape {input_shape}",
            because="its result tells the shape of the output",
            got=f"one that raises {type(failed).__name__}: {failed}",
            do="Mend the function, or what it is given.",
        ) from failed


def _probe(
    input_shape: Shape | Mapping[str, Shape], dtype: str
) -> TensorVariable | dict[str, TensorVariable]:
    if isinstance(input_shape, Mapping):
        return {
            name: backend.tensor(name, dtype, shape)
            for name, shape in input_shape.items()
        }
    return backend.tensor("x", dtype, input_shape)
