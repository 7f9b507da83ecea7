"""The base class of all layers, and how a layer is applied.

A layer is a function of tensors with parameters. Users call it, ``layer(x)``.
Containers, wrappers and loops *apply* it, ``layer.apply(inputs, call)``, and
``layer(x)`` does too. A call goes through three methods:

1. :meth:`Layer.apply` is the template that every layer goes through. It takes and
   returns dicts of :class:`~recursive.loop.call.Value` (a tensor and its mask) by port
   and by output name. ``call`` says whether the network is training, hands out draws,
   and collects side outputs: updates and penalties. ``apply`` runs the methods of 2015
   that a class overrides (:mod:`recursive.layers.chain`). While training, it adds the
   penalties on the output to the loss.
2. :meth:`Layer.compute` does the work. It builds the parameters, checks masks and
   draws, runs ``call``, checks its output and adds the mask. A container overrides it
   and applies its inner layers.
3. :meth:`Layer.call` is the formula, a function of plain tensors:
   ``call(x, train=False)``. A layer of your own defines this method.

A loop may take the formula apart. If the layer declares that it begins with products of
its inputs (``products``) and continues with :meth:`Layer.finish`, the products with
inputs are hoisted out of the loop. This is only right while ``call`` is the declared
formula, so ``__init_subclass__`` withdraws the declaration from a subclass that changes
a method of it.

Parameters are held by the base class ``HoldsParameters``, and links of 2015 by
``Linked``. The mask policies are in :mod:`recursive.layers.masks`.
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
from recursive.loop.call import Call, Value, Values, joined
from recursive.loop.call import with_mask as value_with_mask
from recursive.spec.hoist import Product
from recursive.spec.shapes import Shape
from recursive.utils import arguments, registry

Rule = str | Mapping | Callable | None
"""A regularizer or a constraint: its name, its configuration, a callable, or None."""


class Layer(HoldsParameters, Linked):
    """The base of all layers.

    A layer of your own defines :meth:`call`, lists its parameters in ``self.params``,
    and defines :meth:`get_output_shape_for` if its output has another shape than its
    input.

    Args:
        name: a name that the library does not use.
        seed: the seed of the initial weights; None draws them from numpy's global
            generator.

    >>> class Double(Layer):
    ...     def call(self, x, train=False):
    ...         return 2 * x
    >>> import numpy as np
    >>> Double()(np.ones((1, 2))).eval().tolist()
    [[2.0, 2.0]]
    """

    # Inputs and outputs

    input_ndim: int | None = None
    """The number of axes of the first input, batch included; None for any number."""
    input_dtype: str = "float"
    """The kind of values of an input: ``float`` or ``int``."""
    input_dim: int | None = None
    """The size of the last axis of the first input; None if any or not known yet."""
    limit: int | None = None
    """The number of classes of an integer input: all its values are below it."""
    ports: tuple[str, ...] = ("input",)
    """The names of the inputs. A layer with several is called with a dict by these."""
    optional_ports: tuple[str, ...] = ()
    """The ports that a node may leave out. The layer then gets no value for them, and
    none of its weights depends on their dims."""
    training_ports: tuple[str, ...] = ()
    """The ports whose value counts only while training."""
    output_names: tuple[str, ...] = ("output",)
    """The names of the outputs. A layer with several returns a dict in this order."""
    keeps_axes: bool = True
    """True if the output has as many axes as the input.

    Only read for layers with ``input_ndim=None``.
    """
    masks: str | Mapping[str, str] = REFUSE
    """The mask policy: ``pass``, ``use``, ``drop``, ``refuse`` or a dict by port."""

    # Permissions for a loop, which may hoist, defer or split a layer

    own_past: Mapping[str, str] = MappingProxyType({})
    """By port: the output of the node itself, one step back, that the port reads.

    It holds for a port that is not connected. For example ``{"prev": "output"}``.
    """
    rowwise: bool = False
    """True if each row of the output depends only on the same row of the input.

    All steps of a loop can then be rows of one call.
    """
    products: tuple[Product, ...] = ()
    """The products that the layer begins with and sums; needs :meth:`Layer.finish`.

    For example ``(Product("input", 6, ("W",), ("b",)),)`` for ``x @ W + b`` with 6
    units.
    """
    splits: bool = True
    """True if :meth:`Layer.call` is the products and :meth:`Layer.finish` alone.

    A class may declare False, so that its products stay together.
    """

    # Anything besides parameters that a call depends on

    draws: tuple[str, ...] = ()
    """The names of random tensors, made by :meth:`Layer.sample`.

    They are passed to :meth:`Layer.call` as keyword arguments.
    """
    steady_draws: tuple[str, ...] = ()
    """The draws that are constant over time: all steps of a loop read the same one."""
    predicting_draws: tuple[str, ...] = ()
    """The draws that are made while predicting too, and not only while training."""
    carries: bool = False
    """True if states are kept between batches, in ``self.states``."""
    revision: tuple = ()
    """A value that changes whenever the declaration of a container changes."""
    has_own_call: bool = False
    """True for a container of a user's class that overrides ``call``."""

    def __init_subclass__(cls) -> None:
        """Check and register a subclass; withdraw declarations that it contradicts."""
        super().__init_subclass__()
        identity.register(cls)
        check_methods(cls)
        if "build" in vars(cls):
            cls.build = mark_built(cls.build)
        # Layers of 2015 have no shape rule: their output is computed to find its shape.
        written_as_in_2015 = "get_output" in vars(cls) or "get_input" in vars(cls)
        if written_as_in_2015 and "get_output_shape_for" not in vars(cls):
            cls.get_output_shape_for = chain.probed_shape
        # A rule for outputs that a class defines alone is its rule for targets too.
        if "get_output_shape_for" in vars(cls) and "get_target_shape_for" not in vars(
            cls
        ):
            cls.get_target_shape_for = Layer.get_target_shape_for

        # A subclass inherits rowwise and products. If it changes a formula method, they
        # no longer hold: rowwise and splits become False.
        keeps_formula = cls._keeps_methods("rowwise", identity.FORMULA)
        declaring = identity.defining_class(cls, "rowwise")
        if not keeps_formula or identity.changes_formula(cls, declaring):
            cls.rowwise = False
        # finish may be overridden, because a split layer calls the override.
        others = [method for method in identity.FORMULA if method != "finish"]
        cls.splits = cls._may_split() and cls._keeps_methods("products", others)

    @classmethod
    def _may_split(cls) -> bool:
        """False if a class declares ``splits = False`` for its inherited products.

        A class that declares ``products`` again starts from True.
        """
        declaring = identity.defining_class(cls, "products")
        bases = cls.__mro__[: cls.__mro__.index(declaring) + 1]
        return all(vars(base).get("splits", True) for base in bases)

    @classmethod
    def _keeps_methods(cls, attribute: str, methods: Sequence[str]) -> bool:
        """True if ``methods`` are those of the class that declares ``attribute``."""
        declaring = identity.defining_class(cls, attribute)
        return all(
            getattr(cls, method, None) is getattr(declaring, method, None)
            for method in methods
        )

    def __setattr__(self, name: str, value: object) -> None:
        """Assign an attribute.

        Raises:
            ConfigError: for a method of the formula.
        """
        if name in identity.FORMULA:
            raise ConfigError.about(
                "layer",
                type(self).__name__,
                takes="its formula from its class",
                because="the loop, source and files look at the class of a layer",
                got=f"a {name} that is assigned to one instance",
                do=f"Write a subclass with a method {name}.",
            )
        # Another activation is another formula, so plans made before are out of date.
        is_new = name not in vars(self)
        super().__setattr__(name, value)
        if name.endswith("activation") and not is_new:
            identity.note_change()

    def __init__(self, name: str | None = None, seed: int | None = None):
        super().__init__()
        self.name = name
        self.seed = arguments.seed(type(self).__name__, seed)

    # Applying the layer

    @locked
    def apply(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs by name, each with its mask: the one way to run a layer.

        Args:
            inputs: the value at each port.
            call: says whether the network is training, and collects side outputs.

        Raises:
            ConfigError: for a mask that a port refuses, or an output that is not a
                tensor.
            DataError: for a draw that the layer does not make.
            ShapeError: for a draw, a mask or an output of another shape than declared.
        """
        check_started(self)
        # Containers apply their inner layers; only a formula calls them as functions.
        if type(self).compute is Layer.compute:
            check_held_layers(self)
        running_override = chain.bound(self)
        if running_override is not None:
            # We are inside an override that calls super(): the outer apply adds the
            # penalty.
            outputs = self.compute(inputs, call)
            running_override.outputs.update(outputs)
            return outputs

        if chain.overrides(self, Layer) or self.has_own_call:
            outputs = chain.apply_bound(self, inputs, call, Layer)
        else:
            outputs = self.compute(inputs, call)
        if call.train:
            self._penalize(inputs, outputs, call)
        return outputs

    def _penalize(self, inputs: Values, outputs: Values, call: Call) -> None:
        """Add the penalties on the output to the loss. Called only while training."""
        # By id: one regularizer may be in both places, and it need not be hashable.
        found = {}
        for regularizer in self.regularizers:
            if getattr(regularizer, "layer", None) is self:
                found[id(regularizer)] = regularizer
        if self.activity_regularizer is not None:
            found[id(self.activity_regularizer)] = self.activity_regularizer

        for regularizer in found.values():
            if hasattr(regularizer, "penalty"):
                for value in outputs.values():
                    call.penalty(regularizer.penalty(value.tensor))
                continue
            # A user's regularizer, as in 2015: it asks its layer for the output.
            no_loss = pt.zeros((), dtype=backend.floatX())
            with chain.binding(self, inputs, call):
                bound = regularizers.on_activity_of(regularizer, self)
                call.penalty(bound(no_loss))

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs of :meth:`call` with their masks; containers override this."""
        shapes = chain.shapes_of(inputs, self)
        self.ensure_built(shapes)
        for port, value in inputs.items():
            check_mask(self, port, value)
        self.check_draws(call.draws, shapes)
        accepted = accepted_masks(self, inputs)

        # One tensor, or a dict by port if the layer has several.
        x = _tensors_for_call(self, inputs)
        output = self._formula(x, accepted, call)
        self.check_output(output, shapes)
        operands = list(chain.tensors_by_name(inputs).values())
        operands += self.named_params.values()
        check_width("layer", type(self).__name__, operands, output)

        mask = self.get_output_mask_for(x, _for_call(self, accepted))
        outputs = chain.by_name(self.output_names, output)
        return {name: value_with_mask(tensor, mask) for name, tensor in outputs.items()}

    def _formula(
        self, x: Tensors, accepted: Mapping[str, TensorVariable], call: Call
    ) -> Tensors:
        """The result of :meth:`call`, which takes masks only if the layer uses them."""
        named = self._extra_arguments(call) | call.draws
        used = {
            port: mask for port, mask in accepted.items() if policy(self, port) == USE
        }
        if used:
            named["mask"] = _for_call(self, used)
        elif accepted and hasattr(self, "call_masked"):
            # Layers of earlier versions read their mask in a separate method.
            masks = _for_call(self, accepted)
            return self.call_masked(x, masks, train=call.train, **named)
        check_takes(self, named)
        return self.call(x, train=call.train, **named)

    def _extra_arguments(self, call: Call) -> dict[str, object]:
        """Named arguments of :meth:`call` besides its input, mask and draws."""
        return {}

    def __call__(
        self,
        x: Tensors,
        train: bool = False,
        mask: TensorVariable | Mapping[str, TensorVariable] | None = None,
        **draws: TensorVariable,
    ) -> Tensors:
        """The output for input ``x``.

        Args:
            x: the input, batch first. For several inputs, a dict by port, or a list in
                the order of the ports.
            train: turns dropout on.
            mask: ``(batch, time)``, 0 at masked steps. One mask is that of every input
                that has steps; a dict by port gives each input its own.
            draws: random draws by name; those that are not given are drawn here.

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
        """The output of ``layer(x)`` and its mask; None for several outputs."""
        check_started(self)
        outputs = self.apply(self.as_inputs(x, mask), Call(train, draws))
        output_mask = None
        if len(outputs) == 1:
            [value] = outputs.values()
            output_mask = value.mask
        return chain.tensors_of(outputs), output_mask

    def as_inputs(
        self,
        x: Tensors | Sequence[TensorVariable],
        mask: TensorVariable | Mapping[str, TensorVariable] | None = None,
    ) -> dict[str, Value]:
        """Tensors or arrays as the values that :meth:`apply` takes."""
        tensors = chain.by_name(self.ports, x)
        # With several inputs and one mask, an input without a time axis gets none. A
        # single input must match its mask (checked later).
        attach = value_with_mask
        if len(tensors) == 1 or isinstance(mask, Mapping):
            attach = Value
        if not isinstance(mask, Mapping):
            shared_mask = None if mask is None else pt.as_tensor_variable(mask)
            mask = dict.fromkeys(tensors, shared_mask)

        inputs = {}
        for port, tensor in tensors.items():
            port_mask = mask.get(port)
            if port_mask is not None:
                port_mask = pt.as_tensor_variable(port_mask)
            inputs[port] = attach(chain.data_as_tensor(tensor), port_mask)
        return inputs

    def as_step(self) -> Layer:
        """The layer that a loop runs at each step: this one."""
        return self

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        """The formula of the layer; a plain ``Layer`` returns its input, as in 2015."""
        return x

    def factors(self, product: Product) -> tuple[TensorVariable, TensorVariable | None]:
        """The weights ``(input dim, product.dim)`` and the bias of a product."""
        W = side_by_side([getattr(self, name) for name in product.weights])
        biases = [getattr(self, name) for name in product.biases]
        return W, side_by_side(biases) if biases else None

    def transform_input(self, x: TensorVariable) -> TensorVariable:
        """The product of the input and the weights, ``x @ W + b``.

        Source: elanmart, keras issue 620, 2015.
        """
        return affine_map(x, *self.factors(self.products[0]))

    def finish(
        self, total: TensorVariable, others: Mapping[str, TensorVariable]
    ) -> TensorVariable:
        """The output, from the sum of the products and the inputs at other ports."""
        raise NotImplementedError(f"{type(self).__name__} has no product to begin with")

    # Masks

    def supports_masked_input(self) -> bool:
        """True if the layer takes a mask at its first port."""
        return policy(self, self.ports[0]) != REFUSE

    # Marks this method for masks.policy. An override, as in 2015, lacks the attribute
    # and decides instead of the declared policy.
    supports_masked_input.follows_policy = True

    def get_output_mask_for(
        self,
        x: Tensors,
        mask: TensorVariable | Mapping[str, TensorVariable] | None = None,
    ) -> TensorVariable | None:
        """The mask of the output for input ``x`` and its mask, or masks by port.

        The masks of all ports that pass them are joined with AND. A layer that uses
        masks overrides this.
        """
        masks = {} if mask is None else chain.by_name(self.ports, mask)
        return joined(
            value for port, value in masks.items() if policy(self, port) == PASS
        )

    def output_masks(
        self, inputs: Values, train: bool
    ) -> dict[str, TensorVariable | None]:
        """The mask of each output, without running the formula."""
        masks = _for_call(self, accepted_masks(self, inputs))
        mask = self.get_output_mask_for(_tensors_for_call(self, inputs), masks)
        return dict.fromkeys(self.output_names, mask)

    # Building

    @property
    def built(self) -> bool:
        """True once the parameters have initial values: ``build`` has run, if defined.

        May be assigned, as later versions of Keras do at the end of ``build``.
        """
        return vars(self).get("built", type(self).build is Layer.build)

    @built.setter
    def built(self, value: bool) -> None:
        vars(self)["built"] = bool(value)

    def build(self, input_shape: Shape) -> None:
        """Draw the parameters for this input shape and list them in ``self.params``."""

    @locked
    def ensure_built(self, input_shape: Shape | Mapping[str, Shape]) -> None:
        """Build the layer unless it is built.

        Raises:
            ConfigError: for a parameter that is not listed in ``self.params``.
            ShapeError: if ``build`` needs a dim that is not known yet.
        """
        if not self.built:
            with translate_shape_errors(self, input_shape):
                self.build(input_shape)
            check_params(self)

    @locked
    def complete(self) -> None:
        """Build from the declaration alone, without data.

        Raises:
            ShapeError: if a parameter needs a dim that only data can show.
        """
        self.ensure_built((None, self.input_dim))

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        """The shape of the output, batch first; None for sizes that are not known."""
        return input_shape

    def get_target_shape_for(self, input_shape: Shape) -> Shape:
        """The shape of the targets that a loss compares the output with.

        It is that of the output, except for an AutoEncoder that returns its code.
        """
        return self.get_output_shape_for(input_shape)

    # Random draws. A loop makes them before its first step, as sequences.

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        """The draw called ``name``, of shape ``size``.

        It is redrawn each time the compiled function runs.
        """
        raise NotImplementedError(
            f"{type(self).__name__} names the draw {name!r} but does not make it"
        )

    def draw_shape(self, name: str, input_shape: Shape) -> Shape:
        """The shape of the draw called ``name``: by default that of the input."""
        return input_shape

    def check_draws(
        self, draws: Mapping[str, object], input_shape: Shape | Mapping[str, Shape]
    ) -> None:
        """Raise an error unless ``draws`` can replace those of the layer."""
        check_draws(self, draws, input_shape)

    def check_output(
        self, output: object, input_shape: Shape | Mapping[str, Shape]
    ) -> None:
        """Raise an error unless ``output`` is as declared for ``input_shape``."""
        check_output(self, output, input_shape)

    @property
    def rng(self) -> np.random.RandomState | None:
        """The generator of initial weights; None, for numpy's, without a seed."""
        return None if self.seed is None else np.random.RandomState(self.seed)

    def get_config(self) -> dict[str, object]:
        """The class name, as ``name``, and the constructor arguments, as plain values.

        An argument is read from the attribute of the same name, if there is one. The
        arguments ``name`` and ``weights`` are left out: ``name`` is that of the class
        here, and weights are not part of a configuration.
        """
        config = {"name": identity.class_name(type(self))}
        for argument in inspect.signature(type(self)).parameters:
            if argument not in ("name", "weights") and hasattr(self, argument):
                config[argument] = plain(getattr(self, argument))
        return config

    # Arguments of a program

    def limit_at(self, port: str) -> int | None:
        """The number of classes that integers at ``port`` index, if they do."""
        return self.limit if port == self.ports[0] else None

    def mask_value_at(self, port: str) -> float | None:
        """The value of a step at ``port`` that the layer masks, as a Masking does.

        None means that the layer makes no mask of the values that it reads. Lists of
        unequal lengths are padded with this value.
        """
        return None

    def arguments(self) -> list[Argument]:
        """The arguments of a program that runs this layer."""
        ndim = 2 if self.input_ndim is None else self.input_ndim
        dim = self.input_dim if self.input_dtype == "float" else None
        shape = (*[None] * (ndim - 1), dim)
        dtype = backend.dtype_of(self.input_dtype)
        return [Argument("input", dtype, shape, self.limit)]

    @property
    def declares_input(self) -> bool:
        """True if the layer declares the shape of its input, or a part of it."""
        return (
            self.input_ndim is not None
            or self.input_dim is not None
            or self.products != ()
        )

    def _symbolic_input(self) -> TensorVariable:
        if not self.declares_input:
            raise AttributeError(
                f"{type(self).__name__} has no input, because it takes any shape: "
                "assign layer.input, or call set_previous"
            )
        [argument] = self.arguments()
        return backend.tensor(argument.name, argument.dtype, argument.shape)


class MaskedLayer(Layer):
    """The base of layers that pass masks on: they compute every step in the same way.

    Source: ``keras.layers.core.MaskedLayer`` of Keras 0.1.
    """

    masks = PASS


def _tensors_for_call(layer: Layer, inputs: Values) -> Tensors:
    """The tensors of ``inputs`` as ``call`` takes them."""
    return _for_call(layer, chain.tensors_by_name(inputs))


def _for_call(layer: Layer, values: Mapping[str, object]) -> object:
    """``values`` as ``call`` takes them: one, or several in a dict; None for none."""
    if not values:
        return None
    has_one_port = len(layer.ports) == 1 and tuple(values) == tuple(layer.ports)
    return values[layer.ports[0]] if has_one_port else dict(values)


def check_dim(
    layer: str, argument: str, value: object, optional: bool = False
) -> int | None:
    """Return ``value``, which must be an integer of 1 or more, or None if ``optional``.

    Raises:
        ShapeError: for anything else.
    """
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ShapeError.about(
            "layer",
            layer,
            takes=f"an integer of 1 or more as {argument}",
            got=repr(value),
            do=f"Pass {argument}=6, for example.",
        )
    return int(value)


def plain(value: object) -> object:
    """``value`` as a configuration holds it: a function of the library by its name."""
    if isinstance(value, Layer):
        return identity.config_of(value)
    if hasattr(value, "get_config"):
        config = value.get_config()
        known = NAMED_RULES.get(config.get("name"), type(value))
        # A user's regularizer or constraint with a name of the library would be read as
        # the wrong class.
        return config if known is type(value) else value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    name = registry.name_of(value) if callable(value) else None
    return name if NAMED_FUNCTIONS.get(name) is value else value


NAMED_FUNCTIONS = activations.ACTIVATIONS | initializations.INITIALIZATIONS
"""The functions that a configuration holds by name."""
NAMED_RULES = {**constraints.CONSTRAINTS, **regularizers.REGULARIZERS}
"""The constraints and regularizers that a configuration holds by name."""
