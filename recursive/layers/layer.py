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
from pytensor.tensor.variable import TensorVariable

from recursive import activations, backend, constraints, initializations, regularizers
from recursive.backend import Argument
from recursive.errors import ConfigError, ShapeError
from recursive.layers import chain, identity
from recursive.layers.chain import Tensors
from recursive.layers.checks import (
    check_held_layers,
    check_methods,
    check_output,
    check_params,
    check_started,
    check_takes,
    check_width,
    mark_built,
    translate_shape_errors,
)
from recursive.layers.draws import check_draws
from recursive.layers.linked import Linked
from recursive.layers.masks import PASS, REFUSE, USE, accepted_masks, check_mask, policy
from recursive.layers.parameters import HoldsParameters
from recursive.layers.products import affine_map, side_by_side
from recursive.locked import locked
from recursive.loop.call import Call, Value, Values, joined, with_mask
from recursive.spec.hoist import Product
from recursive.spec.shapes import Shape
from recursive.utils import arguments, registry

Rule = str | Mapping | Callable | None
"""A regularizer or a constraint: its name, its configuration, the thing itself, or none."""


class Layer(HoldsParameters, Linked):
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
    carries: bool = False
    """Whether states go on from batch to batch; they are then in ``self.states``."""
    output_names: tuple[str, ...] = ("output",)
    """The names of the outputs; where there are several, :meth:`Layer.call` returns a dict by these, in this order."""
    revision: tuple = ()
    """Another one whenever the declaration inside changes, or a layer of it."""
    masks: str | Mapping[str, str] = REFUSE
    """What happens to the mask of each input: ``pass``, ``use``, ``drop`` or ``refuse``; a dict says it by port."""

    def __init_subclass__(cls) -> None:
        """Forget what the base class says of a formula that this class changes; note when ``build`` has returned."""
        super().__init_subclass__()
        identity.register(cls)
        check_methods(cls)
        if "build" in vars(cls):
            cls.build = mark_built(cls.build)
        written_as_in_2015 = "get_output" in vars(cls) or "get_input" in vars(cls)
        if written_as_in_2015 and "get_output_shape_for" not in vars(cls):
            cls.get_output_shape_for = chain.probed_shape
        same_formula = cls._computes_as_said("rowwise", identity.FORMULA)
        if not same_formula or identity.changes_formula(cls, cls._said_by("rowwise")):
            cls.rowwise = False
        # What makes the products apart calls the layer's own ``finish``.
        whole = [method for method in identity.FORMULA if method != "finish"]
        cls.splits = cls._computes_as_said("products", whole)

    @classmethod
    def _said_by(cls, what: str) -> type:
        """The class that says ``what`` of its formula."""
        return next(base for base in cls.__mro__ if what in vars(base))

    @classmethod
    def _computes_as_said(cls, what: str, methods: Sequence[str]) -> bool:
        """True if ``methods`` are still those of the class that said ``what`` of them."""
        said_by = cls._said_by(what)
        return all(
            getattr(cls, method, None) is getattr(said_by, method, None)
            for method in methods
        )

    def __setattr__(self, name: str, value: object) -> None:
        """Assign an attribute.

        Raises:
            ConfigError: for a method of the formula: what goes by the class of a layer would not see it.
        """
        if name in identity.FORMULA:
            raise ConfigError.about(
                "layer",
                type(self).__name__,
                takes="its formula from its class",
                because="the loop, source and files go by the class of a layer",
                got=f"a {name} that is assigned to one instance",
                do=f"Write a subclass with a method {name}.",
            )
        is_new = name not in vars(self)
        super().__setattr__(name, value)
        if name.endswith("activation") and not is_new:
            identity.note_change()

    def __init__(self, name: str | None = None, seed: int | None = None):
        super().__init__()
        self.name = name
        self.seed = arguments.seed(type(self).__name__, seed)

    # The layer as a function

    @locked
    def apply(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs by name, each with its mask: how every container, wrapper and loop runs a layer.

        Args:
            inputs: what each port reads, with its mask.
            call: says whether the network is training, and takes what leaves the layer beside its outputs.

        Raises:
            ConfigError: for a mask at a port that takes none, or a formula that returns something else than tensors.
            DataError: for a draw that the layer does not make.
            ShapeError: for a draw, a mask or an output of another shape than the layer says.
        """
        check_started(self)
        if type(self).compute is Layer.compute:
            check_held_layers(self)
        now = chain.bound(self)
        if now is not None:
            outputs = self.compute(inputs, call)
            now.outputs.update(outputs)
            return outputs
        if chain.overrides(self, Layer) or self.has_own_call:
            outputs = chain.apply_bound(self, inputs, call, Layer)
        else:
            outputs = self.compute(inputs, call)
        if call.train:
            self._penalize(inputs, outputs, call)
        return outputs

    def _penalize(self, inputs: Values, outputs: Values, call: Call) -> None:
        """Add the penalties on the output to the loss."""
        bound_rules = [
            rule for rule in self.regularizers if getattr(rule, "layer", None) is self
        ]
        if self.activity_regularizer is not None:
            bound_rules.append(self.activity_regularizer)
        for rule in {id(rule): rule for rule in bound_rules}.values():
            if hasattr(rule, "penalty"):
                for value in outputs.values():
                    call.penalty(rule.penalty(value.tensor))
            else:  # one of the user's own, which asks its layer for the output
                with chain.binding(self, inputs, call):
                    call.penalty(
                        rule.on_activity_of(self)(pt.zeros((), dtype=backend.floatX()))
                    )

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs as the formula gives them: a layer by its :meth:`call`, a container by its layers."""
        shapes = chain.shapes_of(inputs, self)
        self.ensure_built(shapes)
        for port, value in inputs.items():
            check_mask(self, port, value)
        self.check_draws(call.draws, shapes)
        accepted = accepted_masks(self, inputs)
        x = inputs_of_formula(
            self, {port: value.tensor for port, value in inputs.items()}
        )
        output = self._formula(x, accepted, call)
        self.check_output(output, shapes)
        tensors = [value.tensor for value in inputs.values()]
        check_width(
            "layer",
            type(self).__name__,
            [*tensors, *self.named_params.values()],
            output,
        )
        mask = self.get_output_mask_for(
            x, inputs_of_formula(self, accepted, default=None)
        )
        return {
            name: with_mask(tensor, mask)
            for name, tensor in chain.by_name(self.output_names, output).items()
        }

    def _formula(
        self, x: Tensors, accepted: Mapping[str, TensorVariable], call: Call
    ) -> Tensors:
        """What :meth:`call` returns, given the mask too where the layer uses it."""
        given = {**self.extra_arguments(call), **call.draws}
        used = {
            port: mask for port, mask in accepted.items() if policy(self, port) == USE
        }
        if used:
            given["mask"] = inputs_of_formula(self, used)
        elif accepted and hasattr(
            self, "call_masked"
        ):  # how layers of earlier versions read a mask
            mask = inputs_of_formula(self, accepted)
            return self.call_masked(x, mask, train=call.train, **given)
        check_takes(self, given)
        return self.call(x, train=call.train, **given)

    def extra_arguments(self, call: Call) -> dict[str, object]:
        """What :meth:`call` is given by name beside its input, its mask and its draws."""
        return {}

    def __call__(
        self,
        x: Tensors,
        train: bool = False,
        mask: TensorVariable | Mapping[str, TensorVariable] | None = None,
        **draws: TensorVariable,
    ) -> Tensors:
        """The output for input ``x``; draws that are not given are made here.

        Args:
            x: the input, batch first; where there are several, a dict of these by port, or a list in their order.
            train: turns dropout on.
            mask: ``(batch, time)``, 0 at steps that are no data; it holds for every input that has steps, or only for
                those that a dict by port names.
            draws: the random draws of this layer, by name.

        Raises:
            RecursiveError: as :meth:`apply`.
        """
        return self.with_mask(x, train, mask, **draws)[0]

    @locked
    def with_mask(
        self,
        x: Tensors,
        train: bool = False,
        mask: TensorVariable | Mapping[str, TensorVariable] | None = None,
        **draws: TensorVariable,
    ) -> tuple[Tensors, TensorVariable | None]:
        """The output as ``layer(x)`` gives it, and its mask; None for the mask where there are several outputs."""
        check_started(self)
        outputs = self.apply(self.as_inputs(x, mask), Call(train, draws))
        only = next(iter(outputs.values())) if len(outputs) == 1 else None
        return chain.tensors_of(outputs), None if only is None else only.mask

    def as_inputs(
        self,
        x: Tensors | Sequence[TensorVariable],
        mask: TensorVariable | Mapping[str, TensorVariable] | None = None,
    ) -> dict[str, Value]:
        """Tensors or arrays as the values that :meth:`apply` takes."""
        tensors = {
            name: pt.as_tensor_variable(value)
            for name, value in chain.by_name(self.ports, x).items()
        }
        if mask is None:
            return {name: Value(tensor) for name, tensor in tensors.items()}
        if isinstance(mask, Mapping):
            given = {
                name: None if value is None else pt.as_tensor_variable(value)
                for name, value in mask.items()
            }
            return {
                name: Value(tensor, given.get(name)) for name, tensor in tensors.items()
            }
        mask = pt.as_tensor_variable(mask)
        if len(tensors) == 1:
            return {name: Value(tensor, mask) for name, tensor in tensors.items()}
        return {name: with_mask(tensor, mask) for name, tensor in tensors.items()}

    has_own_call: bool = False
    """True for a container of the user's own that overrides ``call``: no layer's formula, but what wraps its layers."""

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        """The formula of the layer; that of a plain Layer passes its input on, as in 2015."""
        return x

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
        """True if the layer takes a mask at its first port."""
        return policy(self, self.ports[0]) != REFUSE

    supports_masked_input.follows_policy = True

    def get_output_mask_for(
        self,
        x: Tensors,
        mask: TensorVariable | Mapping[str, TensorVariable] | None = None,
    ) -> TensorVariable | None:
        """The mask of the output for input ``x`` and its mask, by port where there are several inputs.

        The masks that the layer passes on are joined with AND; a layer that uses masks says what it returns.
        """
        found = chain.by_name(self.ports, mask) if mask is not None else {}
        return joined(
            value for port, value in found.items() if policy(self, port) == PASS
        )

    def output_masks(
        self, inputs: Values, train: bool
    ) -> dict[str, TensorVariable | None]:
        """The mask of each output by the rule of the layer, without its formula."""
        accepted = accepted_masks(self, inputs)
        tensors = {port: value.tensor for port, value in inputs.items()}
        x = inputs_of_formula(self, tensors)
        mask = self.get_output_mask_for(x, inputs_of_formula(self, accepted))
        return dict.fromkeys(self.output_names, mask)

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
            with translate_shape_errors(self, input_shape):
                self.build(input_shape)
            check_params(self)

    @locked
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
        return {"name": identity.class_name(type(self)), **kept}

    # What a program is given

    def limit_at(self, port: str) -> int | None:
        """What the whole numbers at ``port`` are below, where they number something."""
        return self.limit if port == self.ports[0] else None

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
    def declares_input(self) -> bool:
        """Whether the layer itself says what its input is like."""
        return (
            self.input_ndim is not None
            or self.input_dim is not None
            or self.products != ()
        )

    def _symbolic_input(self) -> TensorVariable:
        if not self.declares_input:
            raise AttributeError(
                f"{type(self).__name__} has no input of its own, because it takes any shape: "
                "assign layer.input, or call set_previous"
            )
        [argument] = self.arguments()
        return backend.tensor(argument.name, argument.dtype, argument.shape)


class MaskedLayer(Layer):
    """The base of layers that treat every step alike: they take a mask and pass it on as it is.

    Source: ``keras.layers.core.MaskedLayer`` of Keras 0.1.
    """

    masks = PASS


def inputs_of_formula(
    layer: Layer, values: Mapping[str, object], default: object = None
) -> object:
    """What a formula takes: the value of its one port, or all by name; ``default`` where there is none."""
    if not values:
        return default
    return (
        values[layer.ports[0]]
        if tuple(values) == tuple(layer.ports) and len(layer.ports) == 1
        else dict(values)
    )


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
    if isinstance(value, Layer):
        return identity.config_of(value)
    if hasattr(value, "get_config"):
        config = value.get_config()
        known = NAMED_RULES.get(config.get("name"), type(value))
        # A rule of the user's own with the name of one of the library's stays what it is: no file can hold it.
        return config if known is type(value) else value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    name = registry.name_of(value) if callable(value) else None
    return name if NAMED_FUNCTIONS.get(name) is value else value


NAMED_FUNCTIONS = activations.ACTIVATIONS | initializations.INITIALIZATIONS
"""Functions that a configuration names."""
NAMED_RULES = {**constraints.CONSTRAINTS, **regularizers.REGULARIZERS}
"""Constraints and regularizers that a configuration names."""
