"""The parameters of a layer: learned ones, frozen ones and those of inner layers.

A layer lists the shared variables it learns in ``params``. A parameter that is taken
out of the list is *frozen*: it is no longer learned, and is still saved and loaded as a
weight. ``_known_params`` remembers every parameter that was ever listed and is still
held. *Weights* are the parameters, learned or frozen, and the variables a layer keeps
without learning them, such as running means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import activations, constraints, regularizers
from recursive.errors import WeightsError
from recursive.utils import arguments


class HoldsParameters:
    """The part of a layer that holds parameters and inner layers."""

    _trainable: bool = True
    activity_regularizer: regularizers.Regularizer | None = None
    """The penalty on the output of the layer."""
    has_side_outputs: bool = False
    """True if a call has effects besides its output: a penalty or a running mean.

    A loop refuses such a layer, because its step returns values only.
    """

    def __init__(self) -> None:
        self.params: list[SharedVariable] = []
        self.regularizers: list[Callable] = []
        self.constraints: list[Callable] = []
        self.updates: list[tuple[SharedVariable, TensorVariable]] = []

    @property
    def children(self) -> dict[str, HoldsParameters]:
        """The inner layers by name: the public attributes that are layers."""
        found: dict[str, HoldsParameters] = {}
        for name, value in vars(self).items():
            # Private attributes are links and caches, not inner layers.
            if name.startswith("_"):
                continue
            for suffix, item in _items(value):
                if isinstance(item, HoldsParameters):
                    found[f"{name}{suffix}"] = item
        return found

    @property
    def trainable(self) -> bool:
        """False freezes the layer and all inner layers; read by ``compile``."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = arguments.flag(type(self).__name__, "trainable", value)

    @property
    def params(self) -> list[SharedVariable]:
        """The parameters that are learned; ``params = []`` freezes them, as in 2015."""
        # The caller may remove items from the list: remember them first.
        self._every_param()
        return self._params

    @params.setter
    def params(self, value: list[SharedVariable]) -> None:
        # Parameters of the old list become frozen ones, if the layer still holds them.
        self._every_param()
        self._params = value

    @property
    def is_frozen_as_in_2015(self) -> bool:
        """True for a layer that has parameters, all of them taken out of ``params``."""
        return bool(self.own_params()) and not self.params

    @property
    def _frozen_params(self) -> list[SharedVariable]:
        """The parameters that were taken out of ``params``."""
        return _without(self.own_params(), self.params)

    def _every_param(self) -> list[SharedVariable]:
        """The parameters that are in ``params``, or were and are still held."""
        listed = vars(self).get("_params", [])
        known = vars(self).get("_known_params", [])
        new = _without(listed, known)
        if not new:
            return known
        # A parameter that was replaced by a new one is no longer held.
        held = _ids([*vars(self).values(), *listed])
        kept = [param for param in known if id(param) in held]
        self._known_params = [*kept, *new] if kept else list(listed)
        return self._known_params

    @property
    def named_params(self) -> dict[str, SharedVariable]:
        """The parameters, learned or frozen, by attribute; as ``inner.W`` if inside."""
        names = _names_by_id(vars(self))
        found = {}
        for index, param in enumerate(self._every_param()):
            found[names.get(id(param), f"param_{index}")] = param
        # A parameter that an inner layer shares keeps the shorter name.
        own = _ids(found.values())
        for child, layer in self.children.items():
            for name, param in layer.named_params.items():
                if id(param) not in own:
                    found[f"{child}.{name}"] = param
        return found

    @property
    def named_weights(self) -> dict[str, SharedVariable]:
        """All weights by name, as a file of weights holds them."""
        found = self.named_params
        known = _ids(found.values())
        for child, layer in self.children.items():
            for name, variable in layer.named_weights.items():
                if id(variable) not in known:
                    found[f"{child}.{name}"] = variable
        return found

    def set_regularizers(self, **rules: object) -> None:
        """Set regularizers and constraints as attributes.

        Args:
            rules: ``W_regularizer`` and ``W_constraint`` for a parameter ``W``, and so
                on; ``activity_regularizer`` for the output.
        """
        for name, rule in rules.items():
            if name.endswith("_regularizer"):
                found = regularizers.get(rule)
                regularizers.check_binds(name, found)
            else:
                found = constraints.get(rule)
            setattr(self, name, found)
        self.has_side_outputs = self.activity_regularizer is not None

    def own_params(self) -> list[SharedVariable]:
        """The parameters, learned or frozen, without those of inner layers."""
        return list(self._every_param())

    def rules_for(
        self, params: Sequence[SharedVariable]
    ) -> tuple[list, list, list, list]:
        """``params`` with the penalties, constraints and updates of the layer.

        Penalties apply to all parameters of the layer, learned or frozen.
        """
        names = _names_by_id(self.named_params)
        penalties = list(self.regularizers)
        for param in self.own_params():
            penalty = self.rule_for(names[id(param)], "regularizer")
            if penalty is not None:
                penalties.append(regularizers.on(penalty, param))
        if self.activity_regularizer is not None:
            penalty = regularizers.on_activity_of(self.activity_regularizer, self)
            penalties.append(penalty)

        rules = []
        for place, param in enumerate(params):
            # The list of 2015, by place, goes before the attribute.
            if place < len(self.constraints):
                rule = self.constraints[place]
            else:
                rule = self.rule_for(names[id(param)], "constraint")
            rules.append(rule or activations.linear)
        return list(params), penalties, rules, self.updates

    def rule_for(self, param: str, kind: str) -> object:
        """The ``regularizer`` or ``constraint`` of a parameter; None if it has none."""
        return getattr(self, f"{param}_{kind}", None)

    def get_params(self) -> tuple[list, list, list, list]:
        """Params, regularizers, constraints (one per parameter) and updates.

        A frozen layer gives its penalties and updates, but no parameters.

        Source: ``get_params`` of Keras 0.1's layers.
        """
        return self.rules_for(self.params if self.trainable else [])

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the values of all weights, parameters first, in a fixed order."""
        return [np.array(weight.get_value()) for weight in self.named_weights.values()]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Give the weights new values; none is changed unless all of them fit.

        Args:
            weights: an array for each weight, in the order of ``get_weights()``; or one
                for each parameter alone, as Keras 0.1 had them. Running means then keep
                their values.

        Raises:
            WeightsError: for another number of arrays, another shape, or values that
                are not finite in the dtype of the weight.
        """
        named = self.named_weights
        params = self.named_params
        if len(weights) == len(params) != len(named):
            named = params
        if len(weights) != len(named):
            raise WeightsError.about(
                "layer",
                type(self).__name__,
                takes=f"{len(named)} arrays",
                because=f"it has the parameters {list(named)}",
                got=f"{len(weights)}",
                do="Compare with get_weights().",
            )
        _assign(named, weights)

    def set_initial_weights(self, weights: Sequence[np.ndarray] | None) -> None:
        """Give the first parameters the values of the constructor's ``weights``.

        Parameters without an array keep the values they were drawn with, as in Keras
        0.1. Weights that are not learned need an array each, or none.

        Args:
            weights: arrays in the order of ``get_weights()``; None for none.

        Raises:
            WeightsError: for more arrays than weights, or another shape.
        """
        if weights is None:
            return
        params = self.named_params
        if len(weights) >= len(params):
            self.set_weights(weights)
        else:
            first = list(params.items())[: len(weights)]
            _assign(dict(first), weights)

    def set_name(self, name: str) -> None:
        """Name the parameters ``name_p0``, ``name_p1``, ... in graphs and errors.

        Source: ``set_name`` of Keras 0.1's layers.

        >>> from recursive.layers.core import Dense
        >>> layer = Dense(4, 6)
        >>> layer.set_name("top")
        >>> [param.name for param in layer.params]
        ['top_p0', 'top_p1']
        """
        for index, param in enumerate(self.params):
            param.name = f"{name}_p{index}"

    def init_updates(self) -> None:
        """Do nothing: a layer hands in its updates when it is applied.

        In Keras 0.1 a container called this when a layer was added. A class that
        overrides it is refused.
        """

    def count_params(self) -> int:
        """The number of values in the parameters."""
        return sum(param.get_value(borrow=True).size for param in self.params)


def _assign(named: Mapping[str, SharedVariable], weights: Sequence[np.ndarray]) -> None:
    """Give each weight its array; none is changed unless all of them fit."""
    values = []
    for (name, weight), array in zip(named.items(), weights, strict=True):
        value = _as_weight(name, array, weight.dtype)
        shape = weight.get_value(borrow=True).shape
        if value.shape != shape:
            raise WeightsError.about(
                "parameter",
                name,
                takes=f"an array of shape {shape}",
                got=value.shape,
                do="Compare with get_weights().",
            )
        values.append(value)
    # All of them fit.
    for weight, value in zip(named.values(), values, strict=True):
        weight.set_value(value)


def _items(value: object) -> Iterator[tuple[str, object]]:
    """The items of an attribute, each with the suffix of its name.

    A list or dict gives its items; any other value is one item without a suffix.
    """
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield f"_{index}", item
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield f"_{key}", item
    else:
        yield "", value


def _as_weight(name: str, array: object, dtype: str) -> np.ndarray:
    """``array`` in the dtype of a weight, in which all its values are finite."""
    try:
        with np.errstate(over="ignore"):
            value = np.asarray(array).astype(dtype, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise WeightsError.about(
            "parameter",
            name,
            takes=f"numbers of {dtype}",
            got=f"something else ({error})",
            do="Compare with get_weights().",
        ) from error
    # After the cast, which makes 1e39 infinite in float32.
    if not np.isfinite(value).all():
        raise WeightsError.about(
            "parameter",
            name,
            takes=f"finite numbers of {dtype}",
            got="infinities or NaN",
            do="Correct the array, or set floatX to float64 if they are that large.",
        )
    return value


def _without(params: list, others: list) -> list[SharedVariable]:
    other_ids = _ids(others)
    return [param for param in params if id(param) not in other_ids]


def _names_by_id(named: Mapping[str, object]) -> dict[int, str]:
    return {id(value): name for name, value in named.items()}


def _ids(values: Iterable[object]) -> set[int]:
    """The ids of ``values``: parameters are compared by identity, never by value."""
    return {id(value) for value in values}
