"""Optimizers of Keras 0.1, each the update rule of its paper.

An optimizer remembers numbers beside each parameter (a momentum, a mean of squares): its *slots*. They are shared
variables, made once and kept, so that a function which is compiled again goes on where the last one stopped.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from numbers import Real

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.tensor.variable import TensorVariable

from recursive.backend import copied_state, shared
from recursive.errors import ConfigError, WeightsError, suggest
from recursive.locked import locked
from recursive.utils import registry

Update = tuple[SharedVariable, TensorVariable]


class Optimizer:
    """The base: gradients, their clipping, and the slots.

    Subclasses give :meth:`step`, the new slots and the new value of one parameter.

    Args:
        clipnorm: where above 0, gradients are scaled down so that the norm over all of them together is at most this.
    """

    def __init__(self, clipnorm: float = 0.0):
        self.clipnorm = self._number("clipnorm", clipnorm)
        self.iterations = shared(0.0, "iterations")
        self.slots: dict[tuple[SharedVariable, str], SharedVariable] = {}

    def get_updates(
        self,
        params: Sequence[SharedVariable],
        constraints: Sequence[Callable],
        loss: TensorVariable,
    ) -> list[Update]:
        """The updates that one training step makes: the iteration count, then slots and value of each parameter.

        Args:
            params: what is learned.
            constraints: for each of them, a function from its new value to the one it is given.
            loss: one number.

        Raises:
            ConfigError: for another number of constraints than of parameters.
        """
        if len(constraints) != len(params):
            raise ConfigError.about(
                "optimizer",
                type(self).__name__,
                takes=f"{len(params)} constraints",
                because="each parameter has one",
                got=str(len(constraints)),
                do="Pass lambda p: p for those that are free.",
            )
        updates = [(self.iterations, self.iterations + 1)]
        for param, gradient, constraint in zip(
            params, self.get_gradients(loss, params), constraints, strict=True
        ):
            *slots, (_, value) = self.step(param, gradient)
            updates += [*slots, (param, constraint(value))]
        return [(old, _like(new, old)) for old, new in updates]

    def get_gradients(
        self, loss: TensorVariable, params: Sequence[SharedVariable]
    ) -> list[TensorVariable]:
        """The gradients of ``loss``, clipped; zeros for a parameter that ``loss`` does not depend on."""
        gradients = pytensor.grad(loss, list(params), disconnected_inputs="ignore")
        if self.clipnorm > 0 and gradients:
            norm = _norm(gradients)
            gradients = [
                pt.switch(
                    norm >= self.clipnorm, gradient * self.clipnorm / norm, gradient
                )
                for gradient in gradients
            ]
        return gradients

    def step(self, param: SharedVariable, gradient: TensorVariable) -> Iterator[Update]:
        """The new values of the slots of ``param``, then of ``param``."""
        raise NotImplementedError

    def slot(self, param: SharedVariable, name: str) -> SharedVariable:
        """The number(s) called ``name`` remembered beside ``param``, zeros at first."""
        if (param, name) not in self.slots:
            self.slots[param, name] = shared(
                np.zeros(param.get_value(borrow=True).shape), name
            )
        return self.slots[param, name]

    @locked
    def named_state(
        self, params: Mapping[str, SharedVariable]
    ) -> dict[str, SharedVariable]:
        """The iteration count and the slots of ``params``, by name; slots that are not there yet are made."""
        for param in params.values():
            list(self.step(param, pt.zeros_like(param)))
        names = {param: name for name, param in params.items()}
        slots = {
            f"{names[param]}.{slot}": value
            for (param, slot), value in self.slots.items()
            if param in names
        }
        return {"iterations": self.iterations, **slots}

    @locked
    def get_state(self) -> list[np.ndarray]:
        """Copies of the values of ``state``. Keras 0.1 gave the parameters among them."""
        return [np.array(value.get_value()) for value in self.state]

    @locked
    def set_state(self, values: Sequence[np.ndarray]) -> None:
        """Give ``state`` the values that ``get_state`` gave; nothing is changed unless all of them fit.

        Raises:
            WeightsError: for another number of arrays, or another shape. Slots are made by the first training step.
        """
        shapes = [value.get_value(borrow=True).shape for value in self.state]
        if [np.shape(value) for value in values] != shapes:
            raise WeightsError.about(
                "optimizer",
                type(self).__name__,
                takes=f"arrays of the shapes {shapes}",
                because="it remembers so much",
                got=f"{[np.shape(value) for value in values]}",
                do="Use load_optimizer of a model, which makes its slots first.",
            )
        for variable, value in zip(self.state, values, strict=True):
            variable.set_value(np.asarray(value, dtype=variable.dtype))

    def __getstate__(self) -> dict[str, object]:
        """The slots, and the parameters that they belong to, as NumPy arrays, whatever backend ran last."""
        return copied_state(self)

    def _number(self, name: str, value: object) -> float:
        """A setting as a float."""
        if (
            isinstance(value, bool)
            or not isinstance(value, Real)
            or not np.isfinite(value)
        ):
            raise ConfigError.about(
                "optimizer",
                type(self).__name__,
                takes=f"a finite number as {name}",
                because="its rule computes with it",
                got=repr(value),
                do=f"Say {name}=0.01.",
            )
        return float(value)

    @property
    def state(self) -> list[SharedVariable]:
        """Everything that changes while training: the iteration count and all slots."""
        return [self.iterations, *self.slots.values()]

    def get_config(self) -> dict[str, object]:
        """The arguments that make this optimizer again, and its name."""
        settings = {
            name: float(value.get_value())
            if isinstance(value, SharedVariable)
            else value
            for name, value in vars(self).items()
            if name not in ("iterations", "slots")
        }
        return {"name": type(self).__name__, **settings}


class SGD(Optimizer):
    """Gradient descent: ``v = momentum v - lr g``, ``p += v``; Nesterov looks ahead by one ``momentum v``.

    ``lr`` shrinks as ``lr / (1 + decay iterations)``. Sutskever et al., 2013.
    """

    def __init__(
        self,
        lr: float = 0.01,
        momentum: float = 0.0,
        decay: float = 0.0,
        nesterov: bool = False,
        clipnorm: float = 0.0,
    ):
        super().__init__(clipnorm)
        self.lr = shared(self._number("lr", lr), "lr")
        self.momentum, self.decay = (
            self._number("momentum", momentum),
            self._number("decay", decay),
        )
        self.nesterov = bool(nesterov)

    def step(self, param: SharedVariable, gradient: TensorVariable) -> Iterator[Update]:
        descent = self.lr / (1.0 + self.decay * self.iterations) * gradient
        velocity = self.slot(param, "velocity")
        new_velocity = self.momentum * velocity - descent
        yield velocity, new_velocity
        yield (
            param,
            param
            + (
                self.momentum * new_velocity - descent
                if self.nesterov
                else new_velocity
            ),
        )


class RMSprop(Optimizer):
    """``p -= lr g / sqrt(a + epsilon)``, where ``a`` is a running mean of ``g**2``. Tieleman and Hinton, 2012."""

    def __init__(
        self,
        lr: float = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-6,
        clipnorm: float = 0.0,
    ):
        super().__init__(clipnorm)
        self.lr = shared(self._number("lr", lr), "lr")
        self.rho, self.epsilon = (
            self._number("rho", rho),
            self._number("epsilon", epsilon),
        )

    def step(self, param: SharedVariable, gradient: TensorVariable) -> Iterator[Update]:
        squares = self.slot(param, "squares")
        new_squares = self.rho * squares + (1 - self.rho) * gradient**2
        yield squares, new_squares
        yield param, param - self.lr * gradient / pt.sqrt(new_squares + self.epsilon)


class Adagrad(Optimizer):
    """``p -= lr g / sqrt(a + epsilon)``, where ``a`` is the sum of all ``g**2``. Duchi et al., 2011."""

    def __init__(self, lr: float = 0.01, epsilon: float = 1e-6, clipnorm: float = 0.0):
        super().__init__(clipnorm)
        self.lr = shared(self._number("lr", lr), "lr")
        self.epsilon = self._number("epsilon", epsilon)

    def step(self, param: SharedVariable, gradient: TensorVariable) -> Iterator[Update]:
        squares = self.slot(param, "squares")
        new_squares = squares + gradient**2
        yield squares, new_squares
        yield param, param - self.lr * gradient / pt.sqrt(new_squares + self.epsilon)


class Adadelta(Optimizer):
    """Steps as large as recent steps, in units of the parameter. Zeiler, 2012."""

    def __init__(
        self,
        lr: float = 1.0,
        rho: float = 0.95,
        epsilon: float = 1e-6,
        clipnorm: float = 0.0,
    ):
        super().__init__(clipnorm)
        self.lr = shared(self._number("lr", lr), "lr")
        self.rho, self.epsilon = (
            self._number("rho", rho),
            self._number("epsilon", epsilon),
        )

    def step(self, param: SharedVariable, gradient: TensorVariable) -> Iterator[Update]:
        squares, deltas = self.slot(param, "squares"), self.slot(param, "deltas")
        new_squares = self.rho * squares + (1 - self.rho) * gradient**2
        delta = (
            gradient
            * pt.sqrt(deltas + self.epsilon)
            / pt.sqrt(new_squares + self.epsilon)
        )
        yield squares, new_squares
        yield deltas, self.rho * deltas + (1 - self.rho) * delta**2
        yield param, param - self.lr * delta


class Adam(Optimizer):
    """Running means of ``g`` and ``g**2``, both corrected for their start at zero. Kingma and Ba, 2015."""

    def __init__(
        self,
        lr: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        clipnorm: float = 0.0,
    ):
        super().__init__(clipnorm)
        self.lr = shared(self._number("lr", lr), "lr")
        self.beta_1, self.beta_2 = (
            self._number("beta_1", beta_1),
            self._number("beta_2", beta_2),
        )
        self.epsilon = self._number("epsilon", epsilon)

    def step(self, param: SharedVariable, gradient: TensorVariable) -> Iterator[Update]:
        time = self.iterations + 1
        rate = self.lr * pt.sqrt(1 - self.beta_2**time) / (1 - self.beta_1**time)
        mean, squares = self.slot(param, "mean"), self.slot(param, "squares")
        new_mean = self.beta_1 * mean + (1 - self.beta_1) * gradient
        new_squares = self.beta_2 * squares + (1 - self.beta_2) * gradient**2
        yield mean, new_mean
        yield squares, new_squares
        yield param, param - rate * new_mean / (pt.sqrt(new_squares) + self.epsilon)


OPTIMIZERS = {
    cls.__name__.lower(): cls for cls in (SGD, RMSprop, Adagrad, Adadelta, Adam)
}
"""Every optimizer class by its name in small letters."""


def get(
    identifier: str | Optimizer, kwargs: dict[str, object] | None = None
) -> Optimizer:
    """The optimizer itself, or a new one of the class called ``identifier``, in any case of letters.

    Args:
        identifier: a name, or an Optimizer.
        kwargs: settings of the new one.

    Raises:
        UnknownNameError: for an unknown name.
        ConfigError: where the identifier is neither a name nor an Optimizer, or for settings that it has not.

    >>> get("sgd", {"momentum": 0.9}).momentum
    0.9
    """
    if isinstance(identifier, Optimizer) and not kwargs:
        return identifier
    if not isinstance(identifier, str):
        raise ConfigError.about(
            "optimizer",
            str(identifier),
            takes="a name or an Optimizer, and settings for a name",
            because="it keeps numbers beside the parameters",
            got=repr(identifier),
            do=suggest("", OPTIMIZERS),
        )
    cls = registry.lookup("optimizer", identifier.lower(), OPTIMIZERS)
    known = list(inspect.signature(cls).parameters)
    for name in kwargs or {}:
        if name not in known:
            raise ConfigError.about(
                "optimizer",
                cls.__name__,
                takes=f"the settings {', '.join(known)}",
                because="its rule has these",
                got=repr(name),
                do=suggest(str(name), known),
            )
    return cls(**(kwargs or {}))


def _norm(gradients: Sequence[TensorVariable]) -> TensorVariable:
    """The norm over all of them together, measured in units of the largest, so that no square overflows."""
    largest = reduce(pt.maximum, [abs(gradient).max() for gradient in gradients])
    unit = pt.switch(largest > 0, largest, pt.ones_like(largest))
    return unit * pt.sqrt(sum(pt.sqr(gradient / unit).sum() for gradient in gradients))


def _like(new: TensorVariable, old: SharedVariable) -> TensorVariable:
    """``new`` in the dtype and static shape of ``old``, as an update must be."""
    return pt.specify_shape(
        new.astype(old.dtype) if new.dtype != old.dtype else new, old.type.shape
    )
