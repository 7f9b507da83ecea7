"""What a layer holds: the layers inside it, its parameters, and which of them are learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive import activations, constraints, regularizers
from recursive.errors import WeightsError
from recursive.utils import arguments


class HoldsParameters:
    """The base of whatever has parameters: shared variables in ``params``, and layers inside.

    The parameters are what is in ``params``, or was and is still held: what is taken out of the list is frozen, and
    stays a weight.
    """

    _trainable: bool = True
    activity_regularizer: regularizers.Regularizer | None = None
    """The penalty on what the layer returns."""
    has_side_outputs: bool = False
    """True where training takes something from inside the layer (a penalty on its output, a running mean): a loop,
    which hands out nothing but its results, refuses such a layer."""

    def __init__(self) -> None:
        self.params: list[SharedVariable] = []
        self.regularizers: list[Callable] = []
        self.constraints: list[Callable] = []
        self.updates: list[tuple[SharedVariable, TensorVariable]] = []

    @property
    def children(self) -> dict[str, HoldsParameters]:
        """The layers inside by name: those that the layer holds as attributes."""
        found: dict[str, HoldsParameters] = {}
        for name, value in vars(self).items():
            if name.startswith("_"):
                continue
            for place, item in _items(value):
                if isinstance(item, HoldsParameters):
                    found[f"{name}{place}"] = item
        return found

    @property
    def trainable(self) -> bool:
        """False keeps the parameters of the layer, and of all layers inside, as they are; ``compile`` reads it."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = arguments.flag(type(self).__name__, "trainable", value)

    @property
    def params(self) -> list[SharedVariable]:
        """The parameters that are learned; ``params = []`` freezes them, as in 2015."""
        self._every_param()  # what is taken out of the list stays a weight
        return self._params

    @params.setter
    def params(self, value: list[SharedVariable]) -> None:
        self._every_param()
        self._params = value

    @property
    def is_frozen_as_in_2015(self) -> bool:
        """True for a layer whose parameters were all taken out of ``params``."""
        return bool(self.own_params()) and not self.params

    @property
    def frozen_params(self) -> list[SharedVariable]:
        """The parameters that were taken out of ``params``: they are kept and saved, and not learned."""
        learned = self.params
        return [
            param
            for param in self.own_params()
            if all(param is not other for other in learned)
        ]

    def _every_param(self) -> list[SharedVariable]:
        """The parameters, learned or frozen: also those that were once in ``params`` and that the layer still holds."""
        learned = vars(self).get("_params", [])
        known = vars(self).get("_known_params", [])
        new = [param for param in learned if not any(param is other for other in known)]
        if new:
            held = [
                value
                for value in vars(self).values()
                if isinstance(value, SharedVariable)
            ]
            kept = [
                param
                for param in known
                if any(param is other for other in (*held, *learned))
            ]
            known = [*kept, *new] if kept else list(learned)
            self._known_params = known
        return known

    @property
    def named_params(self) -> dict[str, SharedVariable]:
        """The parameters, learned or frozen, by the names of their attributes; those of layers inside too."""
        names = {
            id(value): name
            for name, value in vars(self).items()
            if isinstance(value, SharedVariable)
        }
        own = {
            names.get(id(param), f"param_{index}"): param
            for index, param in enumerate(self._every_param())
        }
        inner = {}
        for child, layer in self.children.items():
            for name, param in layer.named_params.items():
                inner[f"{child}.{name}"] = param
        known = {id(param) for param in own.values()}
        return own | {
            name: param for name, param in inner.items() if id(param) not in known
        }

    @property
    def named_weights(self) -> dict[str, SharedVariable]:
        """What a file of weights holds: the parameters, and what layers keep that is not learned."""
        found = self.named_params
        known = {id(variable) for variable in found.values()}
        for child, layer in self.children.items():
            for name, variable in layer.named_weights.items():
                if id(variable) not in known:
                    found[f"{child}.{name}"] = variable
        return found

    def set_regularizers(self, **rules: object) -> None:
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
        self.has_side_outputs = self.activity_regularizer is not None

    def own_params(self) -> list[SharedVariable]:
        """The parameters of this layer, learned or frozen, without those of layers inside."""
        return list(self._every_param())

    def rules_for(
        self, params: Sequence[SharedVariable]
    ) -> tuple[list, list, list, list]:
        """``params`` with the penalties, constraints and updates that the layer has for them."""
        names = {id(param): name for name, param in self.named_params.items()}
        penalties, rules = [], []
        for param in self.own_params():
            penalty = getattr(self, f"{names[id(param)]}_regularizer", None)
            if penalty is not None:
                penalties.append(penalty.on(param))
        for place, param in enumerate(params):
            rule = getattr(self, f"{names[id(param)]}_constraint", None)
            if place < len(self.constraints):
                rule = self.constraints[place]
            rules.append(rule or activations.linear)
        if self.activity_regularizer is not None:
            penalties.append(self.activity_regularizer.on_activity_of(self))
        return list(params), [*self.regularizers, *penalties], rules, self.updates

    def get_params(self) -> tuple[list, list, list, list]:
        """Params, regularizers, constraints (one a parameter) and updates, as Keras 0.1's layers gave them."""
        return self.rules_for(self.params if self.trainable else [])

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


def _items(value: object) -> Iterator[tuple[str, object]]:
    """What an attribute holds, each with what is added to its name: itself, or the items of a list or dict."""
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield f"_{index}", item
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield f"_{key}", item
    else:
        yield "", value
