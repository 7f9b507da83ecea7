"""The layer: a function of a tensor, with parameters, ``layer(x, train=False)``.

Keras 0.1's chain, in which a layer asks the one before it (``set_previous``, ``get_input``, ``get_output(train)``), is
that call written along the chain.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import (
    activations,
    arguments,
    backend,
    constraints,
    initializations,
    registry,
    regularizers,
)
from recursive.backend import Argument
from recursive.errors import ConfigError, ShapeError, WeightsError
from recursive.layers.given import check_draws, check_mask
from recursive.layers.own import (
    check_output,
    check_params,
    check_started,
    check_width,
    noting,
    told_of_dims,
)
from recursive.layers.products import affine_map, side_by_side
from recursive.locked import locked
from recursive.spec.moves import Product
from recursive.spec.shapes import Shape

Tensors = TensorVariable | dict[str, TensorVariable]
"""One tensor, or several by name."""

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
    """The size of the last axis of the input, or of the first of them; None while it is not known, or for any."""
    limit: int | None = None
    """What the whole numbers of the input are below, where they number something."""
    ports: tuple[str, ...] = ("input",)
    """The names of the inputs, where there are several: the layer is then called with a dict by these."""
    own_past: Mapping[str, str] = MappingProxyType({})
    """The ports that, left open in a recurrent container, read an output of the node itself, of the step before."""
    rowwise: bool = False
    """Whether each row of the output follows from the same row of the input: a loop can then be run in one call."""
    products: tuple[Product, ...] = ()
    """The products that the layer begins with and adds, where it gives :meth:`Layer.finish`."""
    splits: bool = True
    """Whether :meth:`Layer.call` is the products and :meth:`Layer.finish` alone: a loop can then make them apart."""
    keeps_axes: bool = True
    """Whether the output has as many axes as the input, where the layer takes any number of them."""
    draws: tuple[str, ...] = ()
    """Names of the random draws that :meth:`call` takes while training; :meth:`sample` makes them."""
    steady_draws: tuple[str, ...] = ()
    """Those of the draws that are the same at every step of a loop."""
    gathers: bool = False
    """Whether training takes something from inside the layer (a penalty on its output, a running mean): a loop, which
    hands out nothing but its results, refuses such a layer."""
    carries: bool = False
    """Whether states go on from batch to batch; they are then in ``self.states``."""
    output_names: tuple[str, ...] = ("output",)
    """The names of the outputs; where there are several, :meth:`Layer.call` returns a dict by these, in this order."""
    revision: tuple = ()
    """Another one whenever the declaration inside changes, or a layer of it."""
    previous: Layer | None = None
    connection_map: Mapping[str, str] = MappingProxyType({})
    """Which output of the layer before each input is, by name, where there are several."""
    activity_regularizer: regularizers.Regularizer | None = None
    """The penalty on what the layer returns."""

    def __init_subclass__(cls) -> None:
        """What was known of the formula is not known of another one: a class that changes it says it anew.

        A ``build`` that has returned is noted, whoever called it.
        """
        super().__init_subclass__()
        if "build" in vars(cls):
            cls.build = noting(cls.build)
        if not cls._computes_as_said("rowwise", "call", "finish", "transform_input"):
            cls.rowwise = False
        cls.splits = cls._computes_as_said("products", "call", "transform_input")

    @classmethod
    def _computes_as_said(cls, what: str, *methods: str) -> bool:
        """Whether ``methods`` are still those of the class that said ``what`` of them."""
        said_by = next(base for base in cls.__mro__ if what in vars(base))
        return all(
            getattr(cls, method) is getattr(said_by, method, None) for method in methods
        )

    def __init__(self, name: str | None = None, seed: int | None = None):
        self.name = name
        self.seed = arguments.seed(type(self).__name__, seed)
        self.params: list[SharedVariable] = []
        self.regularizers: list[Callable] = []
        self.constraints: list[Callable] = []
        self.updates: list[tuple[SharedVariable, TensorVariable]] = []

    # The layer as a function

    @locked
    def __call__(
        self,
        x: Tensors,
        train: bool = False,
        mask: TensorVariable | None = None,
        **draws: TensorVariable,
    ) -> Tensors:
        """The output for input ``x``; draws that are not given are made here.

        Args:
            x: the input, batch first; a dict of these by port where there are several.
            train: turns dropout on.
            mask: ``(batch, time)``, 0 at steps that are no data.
            draws: the random draws of this layer, by name.

        Raises:
            ConfigError: for a mask where the layer does not support one.
            DataError: for a draw that the layer does not make.
            ShapeError: for a draw of another shape.
        """
        check_started(self)
        if isinstance(x, Mapping):
            x = {name: pt.as_tensor_variable(value) for name, value in x.items()}
            shapes = {name: value.type.shape for name, value in x.items()}
        else:
            x = pt.as_tensor_variable(x)
            shapes = x.type.shape
        self.ensure_built(shapes)
        check_mask(self, mask)
        self.check_draws(draws, shapes)
        output = (
            self.call(x, train=train, **draws)
            if mask is None
            else self.call_masked(x, pt.as_tensor_variable(mask), train=train, **draws)
        )
        self.check_output(output, shapes)
        given = list(x.values()) if isinstance(x, Mapping) else [x]
        check_width("layer", type(self).__name__, [*given, *self.params], output)
        if train and self.activity_regularizer is not None:
            regularizers.watch(self, output)
        return output

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        """The formula of the layer."""
        raise NotImplementedError(
            f"{type(self).__name__} has no formula: give it a method call(self, x, train)"
        )

    def factors(self, product: Product) -> tuple[TensorVariable, TensorVariable | None]:
        """What the layer multiplies by in one of its products, ``(dim of the port, product.dim)``, and adds, if so."""
        W, b = (
            [getattr(self, name) for name in names]
            for names in (product.weights, product.biases)
        )
        return side_by_side(W), side_by_side(b) if b else None

    def transform_input(self, x: TensorVariable) -> TensorVariable:
        """The product with the input that the layer begins with, ``x @ W + b``.

        Source: elanmart, keras issue 620, 2015.
        """
        return affine_map(x, *self.factors(self.products[0]))

    def finish(
        self, total: TensorVariable, others: Mapping[str, TensorVariable]
    ) -> TensorVariable:
        """The output, given the sum of the layer's products and what the other ports read."""
        raise NotImplementedError(f"{type(self).__name__} has no product to begin with")

    # Masks: which steps of the input are data, and which only fill it up

    def supports_masked_input(self) -> bool:
        """Whether the layer takes a mask."""
        return False

    def call_masked(
        self,
        x: TensorVariable,
        mask: TensorVariable,
        train: bool = False,
        **draws: TensorVariable,
    ) -> TensorVariable:
        """The formula for an input of which some steps are masked: the same, unless a layer differs."""
        return self.call(x, train=train, **draws)

    def get_output_mask_for(
        self, x: TensorVariable, mask: TensorVariable | None = None
    ) -> TensorVariable | None:
        """The mask of the output for input ``x`` and its mask; None where all of it is data."""
        return None

    @locked
    def with_mask(
        self,
        x: TensorVariable,
        train: bool = False,
        mask: TensorVariable | None = None,
        **draws: TensorVariable,
    ) -> tuple[TensorVariable, TensorVariable | None]:
        """The output, and its mask."""
        masked = {} if mask is None else {"mask": mask}
        check_mask(self, mask)
        return self(x, train=train, **masked, **draws), self.get_output_mask_for(
            x, mask
        )

    @property
    def built(self) -> bool:
        """Whether the parameters have their first values: whether ``build`` has run, where the class gives one.

        May be assigned, as Keras's later layers do at the end of ``build``.
        """
        return vars(self).get("built", type(self).build is Layer.build)

    @built.setter
    def built(self, value: bool) -> None:
        vars(self)["built"] = bool(value)

    def build(self, input_shape: Shape) -> None:
        """Draw the parameters that depend on the input's shape, and list them in ``self.params``."""

    @locked
    def ensure_built(self, input_shape: Shape | Mapping[str, Shape]) -> None:
        """Build, unless that is done.

        Raises:
            ConfigError: for a parameter that is not listed.
            ShapeError: where it needs a dim that is not known yet.
        """
        if not self.built:
            with told_of_dims(self, input_shape):
                self.build(input_shape)
            check_params(self)

    def complete(self) -> None:
        """Build from the declaration alone, without any data.

        Raises:
            ShapeError: where parameters wait for a dim that only data would tell.
        """
        self.ensure_built((None, self.input_dim))

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        """The shape of the output, batch first, None for sizes that are not known."""
        return input_shape

    # Random draws: in a loop they are made before it, and enter it as sequences

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        """The draw called ``name``, of ``size``: other values at each call of the compiled function."""
        raise NotImplementedError(
            f"{type(self).__name__} names the draw {name!r} but does not make it"
        )

    def draw_shape(self, name: str, input_shape: Shape) -> Shape:
        """The shape of the draw called ``name`` for an input of ``input_shape``: the same, unless a layer differs."""
        return input_shape

    def check_draws(
        self, draws: Mapping[str, object], input_shape: Shape | Mapping[str, Shape]
    ) -> None:
        """Raise an error unless ``draws`` may be given in place of the layer's own: see ``__call__``."""
        check_draws(self, draws, input_shape)

    def check_output(
        self, output: object, input_shape: Shape | Mapping[str, Shape]
    ) -> None:
        """Raise an error unless ``output`` is what the layer says that it returns for ``input_shape``."""
        check_output(self, output, input_shape)

    # Parameters

    @property
    def named_params(self) -> dict[str, SharedVariable]:
        """The parameters by the names of the attributes that hold them, in the order of ``params``."""
        names = {
            id(value): name
            for name, value in vars(self).items()
            if isinstance(value, SharedVariable)
        }
        return {
            names.get(id(param), f"param_{index}"): param
            for index, param in enumerate(self.params)
        }

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
            setattr(
                self,
                name,
                (regularizers if name.endswith("_regularizer") else constraints).get(
                    rule
                ),
            )
        self.gathers = self.activity_regularizer is not None

    def get_params(self) -> tuple[list, list, list, list]:
        """Params, regularizers, constraints (one a parameter) and updates, as Keras 0.1's layers gave them."""
        named = self.named_params.items()
        penalties = [
            rule.on(param)
            for name, param in named
            if (rule := getattr(self, f"{name}_regularizer", None))
        ]
        if self.activity_regularizer is not None:
            penalties.append(self.activity_regularizer.on_activity_of(self))
        rules = [
            getattr(self, f"{name}_constraint", None) or activations.linear
            for name, _ in named
        ]
        return (
            self.params,
            [*self.regularizers, *penalties],
            [*self.constraints, *rules[len(self.constraints) :]],
            self.updates,
        )

    @locked
    def get_weights(self) -> list[np.ndarray]:
        """Copies of the values of the parameters, in their order, and of what is kept beside them."""
        return [np.array(weight.get_value()) for weight in self.named_weights.values()]

    @locked
    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Give the parameters new values; nothing is changed unless all of them fit.

        Raises:
            WeightsError: for another number of arrays, or another shape.
        """
        named = self.named_weights
        if len(weights) != len(named):
            raise WeightsError.about(
                "layer",
                type(self).__name__,
                takes=f"{len(named)} arrays",
                because=f"it has the parameters {list(named)}",
                got=f"{len(weights)}",
                do="Compare with get_weights().",
            )
        values = [
            np.asarray(value, dtype=param.dtype)
            for param, value in zip(named.values(), weights, strict=True)
        ]
        for (name, param), value in zip(named.items(), values, strict=True):
            if value.shape != param.get_value(borrow=True).shape:
                raise WeightsError.about(
                    "parameter",
                    name,
                    takes=f"an array of shape {param.get_value(borrow=True).shape}",
                    because=f"{type(self).__name__} was made with it",
                    got=value.shape,
                    do="Compare with get_weights().",
                )
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
        arguments = [
            name
            for name in inspect.signature(type(self)).parameters
            if name not in ("name", "weights")
        ]
        kept = {
            name: plain(getattr(self, name))
            for name in arguments
            if hasattr(self, name)
        }
        return {"name": type(self).__name__, **kept}

    # The chain of Keras 0.1

    @property
    def nb_input(self) -> int:
        """How many inputs there are."""
        return len(self.ports)

    @property
    def nb_output(self) -> int:
        """How many outputs there are."""
        return len(self.output_names)

    def set_previous(
        self, layer: Layer, connection_map: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Take the output of ``layer`` as input.

        Args:
            layer: the layer before.
            connection_map: which of its outputs each input is, ``{"input": "output"}``; where there are several, and
                outputs are not called as the inputs are.

        Raises:
            ConfigError: where inputs and outputs do not pair.
        """
        pairs = dict(connection_map)
        if not pairs and self.nb_input == layer.nb_output == 1:
            pairs = {self.ports[0]: layer.output_names[0]}
        pairs = pairs or {name: name for name in self.ports}
        if set(pairs) != set(self.ports) or not set(pairs.values()) <= set(
            layer.output_names
        ):
            raise ConfigError.about(
                "layer",
                type(self).__name__,
                takes=f"an output for each of the inputs {', '.join(self.ports)}",
                because="each reads one",
                got=f"{pairs} of the outputs {', '.join(layer.output_names)}",
                do="Say set_previous(layer, connection_map={'input': 'output'}), by the names of both.",
            )
        self.previous, self.connection_map = layer, pairs

    def _of_previous(self, outputs: Tensors) -> Tensors:
        """What this layer is given of the outputs of the layer before."""
        if not isinstance(outputs, Mapping):
            return outputs
        found = {name: outputs[output] for name, output in self.connection_map.items()}
        return found if self.nb_input > 1 else next(iter(found.values()))

    def arguments(self) -> list[Argument]:
        """What a program that runs this layer is given."""
        ndim = 2 if self.input_ndim is None else self.input_ndim
        shape = (None,) * (ndim - 1) + (
            self.input_dim if self.input_dtype == "float" else None,
        )
        return [
            Argument("input", backend.dtype_of(self.input_dtype), shape, self.limit)
        ]

    @property
    def input(self) -> TensorVariable:
        """The symbolic input at the start of the chain; may be assigned.

        Raises:
            AttributeError: for a layer that takes an input of any shape, until one is assigned.
        """
        if self.previous is not None:
            return self.previous.input
        if "_input" not in vars(self):
            self._input = self._symbolic_input()
        return self._input

    @input.setter
    def input(self, value: TensorVariable) -> None:
        self._input = value

    @property
    def tells_its_input(self) -> bool:
        """Whether the layer itself says what its input is like."""
        return (
            self.input_ndim is not None
            or self.input_dim is not None
            or self.products != ()
        )

    def _symbolic_input(self) -> TensorVariable:
        if not self.tells_its_input:
            raise AttributeError(
                f"{type(self).__name__} has no input of its own, because it takes any shape: "
                "assign layer.input, or call set_previous"
            )
        [argument] = self.arguments()
        return backend.tensor(argument.name, argument.dtype, argument.shape)

    @locked
    def get_input(self, train: bool = False) -> TensorVariable:
        """The output of the layer before, or the symbolic input where there is none."""
        return (
            self.input
            if self.previous is None
            else self._of_previous(self.previous.get_output(train))
        )

    @locked
    def get_output(self, train: bool = False) -> TensorVariable:
        """The output as a tensor; ``train`` turns dropout on."""
        return self._along_the_chain(train)[0]

    @locked
    def get_output_mask(self, train: bool = False) -> TensorVariable | None:
        """The mask of the output, ``(batch, time)``; None where all of it is data."""
        return self._along_the_chain(train)[1]

    def _along_the_chain(
        self, train: bool
    ) -> tuple[TensorVariable, TensorVariable | None]:
        if self.previous is None:
            return self.with_mask(self.get_input(train), train)
        x, mask = self.previous._along_the_chain(train)
        return self.with_mask(self._of_previous(x), train, mask)

    def __getstate__(self) -> dict[str, object]:
        """Everything but the symbolic input, which is made anew."""
        state = backend.copied_state(self)
        state.pop("_input", None)
        return state


class MaskedLayer(Layer):
    """The base of layers that treat every step alike: they take a mask and pass it on as it is.

    Source: ``keras.layers.core.MaskedLayer`` of Keras 0.1.
    """

    def supports_masked_input(self) -> bool:
        """True."""
        return True

    def get_output_mask_for(
        self, x: TensorVariable, mask: TensorVariable | None = None
    ) -> TensorVariable | None:
        return mask

    def get_input_mask(self, train: bool = False) -> TensorVariable | None:
        """The mask of the output of the layer before; None where all of it is data, or there is none."""
        return None if self.previous is None else self.previous.get_output_mask(train)


def check_dim(
    layer: str, argument: str, value: object, optional: bool = False
) -> int | None:
    """``value`` where it is a whole number of 1 or more (or None, if ``optional``), else a ShapeError."""
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ShapeError.about(
            "layer",
            layer,
            takes=f"an {argument} that is a whole number of 1 or more",
            because="it counts the values of one row",
            got=repr(value),
            do=f"Say {argument}=6, for example.",
        )
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
