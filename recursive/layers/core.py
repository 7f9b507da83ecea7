"""The layer, and the plain ones: Dense, Activation, Dropout, Lambda.

A layer is a function of a tensor, with parameters: ``layer(x, train=False)``. Keras 0.1's chain, in which a layer
asks the one before it (``set_previous``, ``get_input``, ``get_output(train)``), is that call written along the chain.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import activations, backend, constraints, initializations, registry, regularizers
from recursive.backend import Argument
from recursive.errors import ConfigError, ShapeError, WeightsError
from recursive.spec.moves import Product
from recursive.spec.shapes import Shape

Tensors = TensorVariable | dict[str, TensorVariable]
"""One tensor, or several by name."""

Rows = tuple[tuple[int, int], ...]
"""Rows of weights, from the first to before the second, one span after another."""


def select_rows(W: TensorVariable, rows: Rows | None) -> TensorVariable:
    """The rows of ``W`` in ``rows``, one below the other; all of them for None."""
    if rows is None:
        return W
    spans = [W[start:stop] for start, stop in rows]
    return spans[0] if len(spans) == 1 else pt.concatenate(spans, axis=0)


def as_floats(x: TensorVariable) -> TensorVariable:
    """``x``, whole numbers and bools in floatX: PyTensor would make most of them float64."""
    return x if x.dtype.startswith("float") else x.astype(backend.floatX())


def linear_map(x: TensorVariable, W: SharedVariable) -> TensorVariable:
    """``x @ W`` over the last axis of ``x``, as one product of two matrices whatever the number of axes."""
    x = as_floats(x)
    if x.ndim == 2:
        return x.dot(W)
    leading = [backend.size(x, axis) for axis in range(x.ndim - 1)]
    return x.reshape((-1, backend.size(W, 0))).dot(W).reshape((*leading, backend.size(W, 1)))


Rule = str | Mapping | Callable | None
"""A regularizer or a constraint: its name, its configuration, the thing itself, or none."""


class Layer:
    """The base of all layers.

    A layer of your own gives :meth:`call`, says the shape of its output in :meth:`get_output_shape_for` where that
    differs from the shape of its input, and holds its parameters in ``self.params``.

    Args:
        name: a name for the user's own use.
        seed: seeds the draws of the first parameters; None draws them from numpy's global generator.

    >>> class Double(Layer):
    ...     def call(self, x, train=False):
    ...         return 2 * x
    >>> import numpy as np
    >>> Double()(np.ones((1, 2))).eval().tolist()
    [[2.0, 2.0]]
    """

    input_ndim: int | None = None
    """The number of axes of an input, batch included; None for layers that take any."""
    input_dtype: str = "float"
    input_dim: int | None = None
    """The size of the input's last axis; None while it is not known, or where any will do."""
    limit: int | None = None
    """What the whole numbers of the input are below, where they number something."""
    ports: tuple[str, ...] = ("input",)
    """The names of the inputs, where there are several: the layer is then called with a dict by these."""
    own_past: Mapping[str, str] = MappingProxyType({})
    """The ports that, left open in a recurrent container, read an output of the node itself, of the step before."""
    rowwise: bool = False
    """Whether each row of the output follows from the same row of the input: a loop can then be run in one call."""
    product: Product | None = None
    """The product that the layer begins with, where it gives :meth:`transform_input` and :meth:`finish`."""
    keeps_axes: bool = True
    """Whether the output has as many axes as the input, where the layer takes any number of them."""
    draws: tuple[str, ...] = ()
    """Names of the random draws that :meth:`call` takes while training; :meth:`draw` makes them."""
    gathers: bool = False
    """Whether training takes something from inside the layer (a penalty on its output, a running mean): a loop, which
    hands out nothing but its results, refuses such a layer."""
    built: bool = True
    """Whether the parameters have their first values."""
    output_names: tuple[str, ...] = ("output",)
    """The names of the outputs; where there are several, :meth:`call` returns a dict by these, in this order."""
    revision: tuple = ()
    """Another one whenever the declaration inside changes, or a layer of it."""
    previous: Layer | None = None
    activity_regularizer: regularizers.Regularizer | None = None
    """The penalty on what the layer returns."""

    def __init__(self, name: str | None = None, seed: int | None = None):
        self.name = name
        self.seed = seed
        self.params: list[SharedVariable] = []
        self.regularizers: list[Callable] = []
        self.constraints: list[Callable] = []
        self.updates: list[tuple[SharedVariable, TensorVariable]] = []

    # The layer as a function

    def __call__(self, x: Tensors, train: bool = False, mask: TensorVariable | None = None,
                 **draws: TensorVariable) -> Tensors:
        """The output for input ``x``; draws that are not given are made here.

        Args:
            x: the input, batch first; a dict of these by port where there are several.
            train: turns dropout on.
            mask: ``(batch, time)``, 0 at steps that are no data.
            draws: the random draws of this layer, by name.

        Raises:
            ConfigError: for a mask where the layer does not support one.
        """
        if isinstance(x, Mapping):
            x = {name: pt.as_tensor_variable(value) for name, value in x.items()}
            shapes = {name: value.type.shape for name, value in x.items()}
        else:
            x = pt.as_tensor_variable(x)
            shapes = x.type.shape
        if not self.built:
            self.build(shapes)
        check_mask(self, mask)
        output = self.call(x, train=train, **draws) if mask is None else \
            self.call_masked(x, pt.as_tensor_variable(mask), train=train, **draws)
        if train and self.activity_regularizer is not None:
            regularizers.watch(self, output)
        return output

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        """The formula of the layer."""
        raise NotImplementedError(f"{type(self).__name__} has no formula: give it a method call(self, x, train)")

    def transform_input(self, x: TensorVariable, rows: Rows | None = None, bias: bool = True) -> TensorVariable:
        """The product that the layer begins with, for all inputs or for those that meet ``rows`` of the weights."""
        raise NotImplementedError(f"{type(self).__name__} has no product to begin with")

    def finish(self, product: TensorVariable, others: Mapping[str, TensorVariable]) -> TensorVariable:
        """The output, given the product and what the other ports read."""
        raise NotImplementedError(f"{type(self).__name__} has no product to begin with")

    # Masks: which steps of the input are data, and which only fill it up

    def supports_masked_input(self) -> bool:
        """Whether the layer takes a mask."""
        return False

    def call_masked(self, x: TensorVariable, mask: TensorVariable, train: bool = False,
                    **draws: TensorVariable) -> TensorVariable:
        """The formula for an input of which some steps are masked: the same, unless a layer differs."""
        return self.call(x, train=train, **draws)

    def get_output_mask_for(self, x: TensorVariable, mask: TensorVariable | None = None) -> TensorVariable | None:
        """The mask of the output for input ``x`` and its mask; None where all of it is data."""
        return None

    def with_mask(self, x: TensorVariable, train: bool = False, mask: TensorVariable | None = None,
                  **draws: TensorVariable) -> tuple[TensorVariable, TensorVariable | None]:
        """The output, and its mask."""
        masked = {} if mask is None else {"mask": mask}
        check_mask(self, mask)
        return self(x, train=train, **masked, **draws), self.get_output_mask_for(x, mask)

    def build(self, input_shape: Shape) -> None:
        """Draw the parameters that depend on the input's shape; does nothing the second time."""

    def complete(self) -> None:
        """Build from the declaration alone, without any data.

        Raises:
            ShapeError: where parameters wait for a dim that only data would tell.
        """
        self.build((None, self.input_dim))

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        """The shape of the output, batch first, None for sizes that are not known."""
        return input_shape

    # Random draws: in a loop they are made before it, and enter it as sequences

    def draw(self, name: str, size: Sequence) -> TensorVariable:
        """The draw called ``name``, of ``size``: other values at each call of the compiled function."""
        raise NotImplementedError(f"{type(self).__name__} names the draw {name!r} but does not make it")

    def draw_shape(self, name: str, input_shape: Shape) -> Shape:
        """The shape of the draw called ``name`` for an input of ``input_shape``: the same, unless a layer differs."""
        return input_shape

    # Parameters

    @property
    def named_params(self) -> dict[str, SharedVariable]:
        """The parameters by the names of the attributes that hold them, in the order of ``params``."""
        names = {id(value): name for name, value in vars(self).items() if isinstance(value, SharedVariable)}
        return {names.get(id(param), f"param_{index}"): param for index, param in enumerate(self.params)}

    @property
    def named_weights(self) -> dict[str, SharedVariable]:
        """What a file of weights holds: the parameters, and what a layer keeps beside them that is not learned."""
        return self.named_params

    def govern(self, **rules: object) -> None:
        """Keep regularizers and constraints under the names where :meth:`get_params` looks for them.

        Args:
            rules: ``W_regularizer``, ``W_constraint`` for a parameter ``W``, and so on; ``activity_regularizer``.
        """
        for name, rule in rules.items():
            setattr(self, name, (regularizers if name.endswith("_regularizer") else constraints).get(rule))
        self.gathers = self.activity_regularizer is not None

    def get_params(self) -> tuple[list, list, list, list]:
        """Params, regularizers, constraints (one a parameter) and updates, as Keras 0.1's layers gave them."""
        named = self.named_params.items()
        penalties = [rule.on(param) for name, param in named if (rule := getattr(self, f"{name}_regularizer", None))]
        if self.activity_regularizer is not None:
            penalties.append(self.activity_regularizer.on_activity_of(self))
        rules = [getattr(self, f"{name}_constraint", None) or activations.linear for name, _ in named]
        return (self.params, [*self.regularizers, *penalties],
                [*self.constraints, *rules[len(self.constraints):]], self.updates)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the values of the parameters, in their order, and of what is kept beside them."""
        return [np.array(weight.get_value()) for weight in self.named_weights.values()]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Give the parameters new values; nothing is changed unless all of them fit.

        Raises:
            WeightsError: for another number of arrays, or another shape.
        """
        named = self.named_weights
        if len(weights) != len(named):
            raise WeightsError.about("layer", type(self).__name__, takes=f"{len(named)} arrays",
                                     because=f"it has the parameters {list(named)}",
                                     got=f"{len(weights)}", do="Compare with get_weights().")
        values = [np.asarray(value, dtype=param.dtype) for param, value in zip(named.values(), weights, strict=True)]
        for (name, param), value in zip(named.items(), values, strict=True):
            if value.shape != param.get_value(borrow=True).shape:
                raise WeightsError.about(
                    "parameter", name, takes=f"an array of shape {param.get_value(borrow=True).shape}",
                    because=f"{type(self).__name__} was made with it", got=value.shape,
                    do="Compare with get_weights().")
        for param, value in zip(named.values(), values, strict=True):
            param.set_value(value)

    def count_params(self) -> int:
        """How many numbers the parameters hold."""
        return sum(param.get_value(borrow=True).size for param in self.params)

    @property
    def rng(self) -> np.random.RandomState | None:
        """Where first values are drawn from: a generator of its own where there is a ``seed``, else numpy's."""
        return None if self.seed is None else np.random.RandomState(self.seed)

    def get_config(self) -> dict[str, object]:
        """The class name, as ``name``, and the arguments that make this layer again, as plain values.

        An argument of a layer of your own is found where the layer keeps it under its own name. Weights are no
        part of it.
        """
        arguments = [name for name in inspect.signature(type(self)).parameters if name not in ("name", "weights")]
        kept = {name: plain(getattr(self, name)) for name in arguments if hasattr(self, name)}
        return {"name": type(self).__name__, **kept}

    # The chain of Keras 0.1

    def set_previous(self, layer: Layer) -> None:
        """Take the output of ``layer`` as input."""
        self.previous = layer

    def arguments(self) -> list[Argument]:
        """What a program that runs this layer is given."""
        ndim = 2 if self.input_ndim is None else self.input_ndim
        shape = (None,) * (ndim - 1) + (self.input_dim if self.input_dtype == "float" else None,)
        return [Argument("input", backend.dtype_of(self.input_dtype), shape, self.limit)]

    @property
    def input(self) -> TensorVariable:
        """The symbolic input at the start of the chain; may be assigned."""
        if self.previous is not None:
            return self.previous.input
        if "_input" not in vars(self):
            self._input = self._symbolic_input()
        return self._input

    @input.setter
    def input(self, value: TensorVariable) -> None:
        self._input = value

    def _symbolic_input(self) -> TensorVariable:
        [argument] = self.arguments()
        return backend.tensor(argument.name, argument.dtype, argument.shape)

    def get_input(self, train: bool = False) -> TensorVariable:
        """The output of the layer before, or the symbolic input where there is none."""
        return self.input if self.previous is None else self.previous.get_output(train)

    def get_output(self, train: bool = False) -> TensorVariable:
        """The output as a tensor; ``train`` turns dropout on."""
        return self._along_the_chain(train)[0]

    def get_output_mask(self, train: bool = False) -> TensorVariable | None:
        """The mask of the output, ``(batch, time)``; None where all of it is data."""
        return self._along_the_chain(train)[1]

    def _along_the_chain(self, train: bool) -> tuple[TensorVariable, TensorVariable | None]:
        if self.previous is None:
            return self.with_mask(self.get_input(train), train)
        x, mask = self.previous._along_the_chain(train)
        return self.with_mask(x, train, mask)

    def __getstate__(self) -> dict[str, object]:
        """Everything but the symbolic input, which is made anew."""
        return {key: value for key, value in vars(self).items() if key != "_input"}


class MaskedLayer(Layer):
    """The base of layers that treat every step alike: they take a mask and pass it on as it is.

    Source: ``keras.layers.core.MaskedLayer`` of Keras 0.1.
    """

    def supports_masked_input(self) -> bool:
        """True."""
        return True

    def get_output_mask_for(self, x: TensorVariable, mask: TensorVariable | None = None) -> TensorVariable | None:
        return mask

    def get_input_mask(self, train: bool = False) -> TensorVariable | None:
        """The mask of the output of the layer before; None where all of it is data, or there is none."""
        return None if self.previous is None else self.previous.get_output_mask(train)


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

    def __init__(self, input_dim: int | None = None, output_dim: int | None = None, init: str = "glorot_uniform",
                 activation: str = "linear", weights: Sequence[np.ndarray] | None = None, name: str | None = None,
                 W_regularizer: Rule = None, b_regularizer: Rule = None, activity_regularizer: Rule = None,
                 W_constraint: Rule = None, b_constraint: Rule = None, bias: bool = True, seed: int | None = None):
        super().__init__(name, seed)
        self.govern(W_regularizer=W_regularizer, b_regularizer=b_regularizer,
                    activity_regularizer=activity_regularizer, W_constraint=W_constraint, b_constraint=b_constraint)
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

    @property
    def built(self) -> bool:
        """Whether ``W`` and ``b`` have their first values."""
        return bool(self.params)

    def build(self, input_shape: Shape) -> None:
        if self.built:
            return
        self.input_dim = check_dim("Dense", "input_dim", input_shape[-1])
        self.W = initializations.first_values(self.init, (self.input_dim, self.output_dim), self.rng)
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
    def product(self) -> Product:
        """All of it is a product and an activation."""
        return Product("input", self.output_dim, ("W",), ("b",) * self.bias)

    def transform_input(self, x: TensorVariable, rows: Rows | None = None, bias: bool = True) -> TensorVariable:
        product = linear_map(x, select_rows(self.W, rows))
        return product + self.b if bias and self.bias else product

    def finish(self, product: TensorVariable, others: Mapping[str, TensorVariable]) -> TensorVariable:
        return self.activation(product)

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
        return x if self.activation is activations.linear else self.activation(as_floats(x))


class Masking(MaskedLayer):
    """Masks the steps of ``(batch, time, dim)`` where every value is ``mask_value``, and sets them to 0.

    Source: ``keras.layers.core.Masking`` of Keras 0.1.

    >>> x = pt.constant([[[1.0, 7.0], [7.0, 7.0]]])
    >>> Masking(mask_value=7.0)(x).eval().tolist()
    [[[1.0, 7.0], [0.0, 0.0]]]
    >>> Masking(mask_value=7.0).get_output_mask_for(x).eval().tolist()
    [[True, False]]
    """

    input_ndim = 3

    def __init__(self, mask_value: float = 0.0, name: str | None = None):
        super().__init__(name)
        self.mask_value = mask_value

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return x * self.get_output_mask_for(x).dimshuffle(0, 1, "x").astype(x.dtype)

    def get_output_mask_for(self, x: TensorVariable, mask: TensorVariable | None = None) -> TensorVariable:
        return pt.any(pt.neq(x, np.asarray(self.mask_value, dtype=x.dtype)), axis=-1)


class Dropout(MaskedLayer):
    """While training, sets a share ``p`` of the values to 0 and scales the others by ``1 / (1 - p)``.

    Which ones is decided by ``keep >= p``, for ``keep`` uniform in [0, 1). In a loop ``keep`` is drawn for all steps
    before it and enters as a sequence, so that the step stays a function and has a gradient.

    Raises:
        ConfigError: unless 0 <= p < 1.

    Source: Srivastava et al., 2014; ``keras.layers.core.Dropout`` of Keras 0.1.
    """

    def __init__(self, p: float, name: str | None = None, seed: int | None = None):
        super().__init__(name, seed)
        if not isinstance(p, int | float) or not 0 <= p < 1:
            raise ConfigError.about("layer", "Dropout", takes="a share p of 0 or more and below 1",
                                    because="what is left is scaled by 1 / (1 - p)", got=repr(p),
                                    do="Say Dropout(0.5), for example.")
        self.p = p
        self.draws = ("keep",) if p else ()
        self.seeds = np.random.SeedSequence(np.random.randint(2**31) if seed is None else seed)

    rowwise = True

    def call(self, x: TensorVariable, train: bool = False, keep: TensorVariable | None = None) -> TensorVariable:
        if not train or not self.p:
            return x
        if keep is None:
            keep = self.draw("keep", [backend.size(x, axis) for axis in range(x.ndim)])
        x = as_floats(x)
        return x * (keep >= self.p).astype(x.dtype) / np.asarray(1 - self.p, dtype=x.dtype)

    def draw(self, name: str, size: Sequence) -> TensorVariable:
        return backend.uniform(size, self.seeds.spawn(1)[0])


class Lambda(Layer):
    """Any function of a tensor as a layer without parameters.

    Args:
        function: from a tensor to a tensor, batch first.
        output_dim: the size of the output's last axis, where it cannot be read off the function's result.

    A Lambda cannot be written to a file, because a file must never hold code.

    >>> Lambda(lambda x: x[:, :1]).get_output_shape_for((None, 4))
    (None, 1)
    """

    def __init__(self, function: Callable[[TensorVariable], TensorVariable], output_dim: int | None = None,
                 name: str | None = None):
        super().__init__(name)
        if not callable(function):
            raise ConfigError.about("layer", "Lambda", takes="a function", because="it calls it on its input",
                                    got=repr(function), do="Say Lambda(lambda x: ...).")
        self.function = function
        self.output_dim = check_dim("Lambda", "output_dim", output_dim, optional=True)

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        return self.function(x)

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        shape = self._probed(input_shape)
        return shape if self.output_dim is None else (*shape[:-1], self.output_dim)

    def _probed(self, input_shape: Shape | Mapping[str, Shape]) -> Shape:
        """The shape of what the function makes of floats, or of whole numbers where it takes no floats."""
        failed = None
        for dtype in (backend.floatX(), "int32"):
            try:
                return self.function(_probe(input_shape, dtype)).type.shape
            except Exception as error:  # whatever a function of the user's own raises
                failed = failed or error
        raise ConfigError.about("layer", "Lambda", takes=f"a function of a tensor of shape {input_shape}",
                                because="its result tells the shape of the output",
                                got=f"one that raises {type(failed).__name__}: {failed}",
                                do="Mend the function, or what it is given.") from failed


def _probe(input_shape: Shape | Mapping[str, Shape], dtype: str) -> TensorVariable | dict[str, TensorVariable]:
    if isinstance(input_shape, Mapping):
        return {name: backend.tensor(name, dtype, shape) for name, shape in input_shape.items()}
    return backend.tensor("x", dtype, input_shape)


def check_mask(layer: Layer, mask: TensorVariable | None) -> None:
    """Raise a ConfigError where there is a mask and ``layer`` takes none."""
    if mask is not None and not layer.supports_masked_input():
        raise ConfigError.about("layer", type(layer).__name__, takes="an input without a mask",
                                because="it does not look at one, so that masked steps would count as data",
                                got="a mask from the layer before",
                                do="Put a recurrent layer with return_sequences=False between them, or use a layer "
                                   "that supports masks (TimeDistributedDense for a Dense).")


def check_dim(layer: str, argument: str, value: object, optional: bool = False) -> int | None:
    """``value`` where it is a whole number of 1 or more (or None, if ``optional``), else a ShapeError."""
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ShapeError.about("layer", layer, takes=f"an {argument} that is a whole number of 1 or more",
                               because="it counts the values of one row", got=repr(value),
                               do=f"Say {argument}=6, for example.")
    return int(value)


def plain(value: object) -> object:
    """``value`` as a configuration holds it: a function by its name, where it is found again by it."""
    if hasattr(value, "get_config"):
        return value.get_config()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    name = registry.name_of(value) if callable(value) else None
    return name if NAMED_FUNCTIONS.get(name) is value else value


NAMED_FUNCTIONS = activations.ACTIVATIONS | initializations.INITIALIZATIONS
"""Functions that a configuration names."""
