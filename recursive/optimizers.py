"""The optimizers of Keras 0.1, each the update rule of its paper.

An optimizer keeps *slots*: values per parameter, such as a momentum or a running mean
of squares. They are shared variables that are created once, so training continues with
them after a function is compiled again.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.tensor.variable import TensorVariable

from recursive.backend import copied_state, shared
from recursive.errors import ConfigError, WeightsError, suggest
from recursive.locked import locked
from recursive.utils import registry
from recursive.utils.arguments import is_finite

Update = tuple[SharedVariable, TensorVariable]


class Optimizer:
    """The base class: gradients, clipping and slots.

    Subclasses implement :meth:`step`, the new slots and the new value of a parameter.

    Args:
        clipnorm: if above 0, gradients are scaled down so that the norm over all of
            them together is at most this.
        clipvalue: if above 0, each value of a gradient is then cut to at most this, in
            either direction.
    """

    def __init__(self, clipnorm: float = 0.0, clipvalue: float = 0.0):
        self.clipnorm = self._number("clipnorm", clipnorm)
        self.clipvalue = self._number("clipvalue", clipvalue)
        self.iterations = shared(0.0, "iterations")
        self.slots: dict[tuple[SharedVariable, str], SharedVariable] = {}
        self._is_used = False

    def __setattr__(self, name: str, value: object) -> None:
        """Assign a setting; a number for ``lr`` becomes the value of its variable.

        Compiled functions read the variable, so that the next training step uses it.

        Raises:
            ConfigError: for anything but a finite number of 0 or more.
        """
        held = vars(self).get(name)
        if isinstance(held, SharedVariable) and not isinstance(value, Variable):
            held.set_value(np.asarray(self._number(name, value), dtype=held.dtype))
        else:
            super().__setattr__(name, value)

    def started(self) -> Optimizer:
        """An optimizer with empty slots, for a model that is compiled.

        It is this one the first time. Later it is a copy with its own slots, so that an
        optimizer can serve several models. Settings in variables, such as ``lr``, are
        shared by all copies.
        """
        if not self._is_used:
            self._is_used = True
            return self
        copied = copy.copy(self)
        vars(copied)["iterations"] = shared(0.0, "iterations")
        vars(copied)["slots"] = {}
        return copied

    def restart(self) -> None:
        """Empty the slots, for a model that is compiled again."""
        self.iterations = 0.0
        self.slots = {}

    def get_updates(
        self,
        params: Sequence[SharedVariable],
        constraints: Sequence[Callable],
        loss: TensorVariable,
    ) -> list[Update]:
        """Return the updates of one training step.

        They are the iteration count, then the slots and the value of each parameter.

        Args:
            params: the parameters to train.
            constraints: for each parameter, a function that is applied to its new
                value.
            loss: a scalar.

        Raises:
            ConfigError: unless there is one constraint for each parameter.
        """
        if len(constraints) != len(params):
            raise ConfigError.about(
                "optimizer",
                type(self).__name__,
                takes=f"{len(params)} constraints",
                got=str(len(constraints)),
                do="Pass lambda p: p for a parameter without one.",
            )
        updates = [(self.iterations, self.iterations + 1)]
        gradients = self.get_gradients(loss, params)
        for param, gradient, constraint in zip(
            params, gradients, constraints, strict=True
        ):
            # The last update is that of the parameter; its constraint comes after it.
            *slots, (_, new_value) = self.step(param, gradient)
            updates += slots
            updates.append((param, constraint(new_value)))
        return [(old, _like(new, old)) for old, new in updates]

    def get_gradients(
        self, loss: TensorVariable, params: Sequence[SharedVariable]
    ) -> list[TensorVariable]:
        """Return the clipped gradients of ``loss``.

        They are zeros for a parameter that ``loss`` does not depend on.
        """
        gradients = pytensor.grad(loss, list(params), disconnected_inputs="ignore")
        if self.clipnorm > 0 and gradients:
            norm = _norm(gradients)
            gradients = [
                clip_norm(gradient, self.clipnorm, norm) for gradient in gradients
            ]
        if self.clipvalue > 0:
            bound = self.clipvalue
            gradients = [pt.clip(gradient, -bound, bound) for gradient in gradients]
        return gradients

    def step(self, param: SharedVariable, gradient: TensorVariable) -> Iterator[Update]:
        """Yield the new values of the slots of ``param``, then of ``param``."""
        raise NotImplementedError

    def slot(self, param: SharedVariable, name: str) -> SharedVariable:
        """Return the slot of ``param`` called ``name``, created as zeros."""
        if (param, name) not in self.slots:
            shape = param.get_value(borrow=True).shape
            self.slots[param, name] = shared(np.zeros(shape), name)
        return self.slots[param, name]

    @locked
    def named_state(
        self, params: Mapping[str, SharedVariable]
    ) -> dict[str, SharedVariable]:
        """Return the iteration count and the slots of ``params`` by name.

        Missing slots are created.
        """
        for param in params.values():
            # The first step creates the slots; its values are not used.
            list(self.step(param, pt.zeros_like(param)))
        names = {param: name for name, param in params.items()}
        state = {"iterations": self.iterations}
        for (param, slot), value in self.slots.items():
            # An optimizer may have trained other parameters before, in another model.
            if param in names:
                state[f"{names[param]}.{slot}"] = value
        return state

    @locked
    def get_state(self) -> list[np.ndarray]:
        """Return copies of the values of ``state``; in Keras 0.1, of parameters too."""
        return [np.array(value.get_value()) for value in self.state]

    @locked
    def set_state(self, values: Sequence[np.ndarray]) -> None:
        """Set ``state`` to values that ``get_state`` returned.

        Nothing is changed unless all of them fit.

        Raises:
            WeightsError: for another number of arrays or another shape. The first
                training step creates the slots.
        """
        expected = [variable.get_value(borrow=True).shape for variable in self.state]
        found = [np.shape(value) for value in values]
        if found != expected:
            raise WeightsError.about(
                "optimizer",
                type(self).__name__,
                takes=f"arrays of the shapes {expected}",
                got=str(found),
                do="Use load_optimizer of a model, which creates the slots first.",
            )
        for variable, value in zip(self.state, values, strict=True):
            variable.set_value(np.asarray(value, dtype=variable.dtype))

    def __getstate__(self) -> dict[str, object]:
        """The attributes, with NumPy arrays in all shared variables."""
        return copied_state(self)

    def _number(self, name: str, value: object) -> float:
        """Return a setting as a float."""
        if not is_finite(value):
            raise ConfigError.about(
                "optimizer",
                type(self).__name__,
                takes=f"a finite number as {name}",
                got=repr(value),
                do=f"Pass {name}=0.01, for example.",
            )
        return float(value)

    @property
    def state(self) -> list[SharedVariable]:
        """All variables that training changes: the iteration count and the slots."""
        return [self.iterations, *self.slots.values()]

    def get_config(self) -> dict[str, object]:
        """Return the class name, as ``name``, and the arguments of the optimizer."""
        # Every other attribute is an argument of ``__init__`` of the same name.
        config = {"name": type(self).__name__}
        for name, value in vars(self).items():
            if isinstance(value, SharedVariable):
                value = float(value.get_value())
            if name not in ("iterations", "slots", "_is_used"):
                config[name] = value
        return config


class SGD(Optimizer):
    """Gradient descent with momentum: ``v = momentum v - lr g``, ``p += v``.

    Nesterov's variant is ``p += momentum v - lr g`` with the new ``v``. The learning
    rate decays as ``lr / (1 + decay iterations)``. Sutskever et al., 2013.
    """

    def __init__(
        self,
        lr: float = 0.01,
        momentum: float = 0.0,
        decay: float = 0.0,
        nesterov: bool = False,
        clipnorm: float = 0.0,
        clipvalue: float = 0.0,
    ):
        super().__init__(clipnorm, clipvalue)
        self.lr = shared(self._number("lr", lr), "lr")
        self.momentum = self._number("momentum", momentum)
        self.decay = self._number("decay", decay)
        self.nesterov = bool(nesterov)

    def step(self, param: SharedVariable, gradient: TensorVariable) -> Iterator[Update]:
        descent = self.lr / (1.0 + self.decay * self.iterations) * gradient
        velocity = self.slot(param, "velocity")
        new_velocity = self.momentum * velocity - descent
        yield velocity, new_velocity
        if self.nesterov:
            yield param, param + (self.momentum * new_velocity - descent)
        else:
            yield param, param + new_velocity


class RMSprop(Optimizer):
    """``p -= lr g / sqrt(a + epsilon)``, with ``a`` a running mean of ``g**2``.

    Tieleman and Hinton, 2012.
    """

    def __init__(
        self,
        lr: float = 0.001,
        rho: float = 0.9,
        epsilon: float = 1e-6,
        clipnorm: float = 0.0,
        clipvalue: float = 0.0,
    ):
        super().__init__(clipnorm, clipvalue)
        self.lr = shared(self._number("lr", lr), "lr")
        self.rho = self._number("rho", rho)
        self.epsilon = self._number("epsilon", epsilon)

    def step(self, param: SharedVariable, gradient: TensorVariable) -> Iterator[Update]:
        squares = self.slot(param, "squares")
        new_squares = self.rho * squares + (1 - self.rho) * gradient**2
        yield squares, new_squares
        yield param, param - self.lr * gradient / pt.sqrt(new_squares + self.epsilon)


class Adagrad(Optimizer):
    """``p -= lr g / sqrt(a + epsilon)``, with ``a`` the sum of all ``g**2``.

    Duchi et al., 2011.
    """

    def __init__(
        self,
        lr: float = 0.01,
        epsilon: float = 1e-6,
        clipnorm: float = 0.0,
        clipvalue: float = 0.0,
    ):
        super().__init__(clipnorm, clipvalue)
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
        clipvalue: float = 0.0,
    ):
        super().__init__(clipnorm, clipvalue)
        self.lr = shared(self._number("lr", lr), "lr")
        self.rho = self._number("rho", rho)
        self.epsilon = self._number("epsilon", epsilon)

    def step(self, param: SharedVariable, gradient: TensorVariable) -> Iterator[Update]:
        squares = self.slot(param, "squares")
        deltas = self.slot(param, "deltas")
        new_squares = self.rho * squares + (1 - self.rho) * gradient**2
        # A gradient over its RMS has no unit; times the RMS of steps it has that of the
        # parameter.
        rms_delta = pt.sqrt(deltas + self.epsilon)
        rms_gradient = pt.sqrt(new_squares + self.epsilon)
        delta = gradient * rms_delta / rms_gradient
        yield squares, new_squares
        yield deltas, self.rho * deltas + (1 - self.rho) * delta**2
        yield param, param - self.lr * delta


class Adam(Optimizer):
    """Running means of ``g`` and ``g**2``, both corrected for their start at zero.

    Kingma and Ba, 2015.
    """

    def __init__(
        self,
        lr: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        clipnorm: float = 0.0,
        clipvalue: float = 0.0,
    ):
        super().__init__(clipnorm, clipvalue)
        self.lr = shared(self._number("lr", lr), "lr")
        self.beta_1 = self._number("beta_1", beta_1)
        self.beta_2 = self._number("beta_2", beta_2)
        self.epsilon = self._number("epsilon", epsilon)

    def step(self, param: SharedVariable, gradient: TensorVariable) -> Iterator[Update]:
        # As at the end of the paper's section 2, the rate holds both corrections.
        time = self.iterations + 1
        rate = self.lr * pt.sqrt(1 - self.beta_2**time) / (1 - self.beta_1**time)
        mean = self.slot(param, "mean")
        squares = self.slot(param, "squares")
        new_mean = self.beta_1 * mean + (1 - self.beta_1) * gradient
        new_squares = self.beta_2 * squares + (1 - self.beta_2) * gradient**2
        yield mean, new_mean
        yield squares, new_squares
        yield param, param - rate * new_mean / (pt.sqrt(new_squares) + self.epsilon)


OPTIMIZERS = {
    cls.__name__.lower(): cls for cls in (SGD, RMSprop, Adagrad, Adadelta, Adam)
}
"""The optimizer classes by name in lower case."""


def get(
    identifier: str | Optimizer, kwargs: dict[str, object] | None = None
) -> Optimizer:
    """Return an optimizer by its name, in upper or lower case.

    Args:
        identifier: a name, or an Optimizer, which is returned.
        kwargs: the settings that go with a name.

    Raises:
        UnknownNameError: for an unknown name.
        ConfigError: for anything else than a name or an Optimizer, or for unknown
            settings.

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
                got=repr(name),
                do=suggest(str(name), known),
            )
    return cls(**(kwargs or {}))


# Functions of Keras 0.1


def clip_norm(g: TensorVariable, c: float, n: TensorVariable | float) -> TensorVariable:
    """The gradient ``g`` scaled to the norm ``c`` if its norm ``n`` is larger.

    A ``c`` of 0 or less does not clip.

    >>> clip_norm(pt.constant([3.0, 4.0]), 1.0, 5.0).eval().round(6).tolist()
    [0.6, 0.8]
    """
    if c <= 0:
        return g
    # The quotient is NaN if all gradients are 0; the switch does not take it then.
    return pt.switch(pt.ge(n, c), g * c / n, g)


def kl_divergence(p: TensorVariable, p_hat: TensorVariable) -> TensorVariable:
    """``p_hat - p + p * log(p / p_hat)``, of each value.

    Its sum is the Kullback-Leibler divergence of ``p`` from ``p_hat``.

    >>> kl_divergence(pt.constant([1.0]), pt.constant([1.0])).eval().tolist()
    [0.0]
    """
    return p_hat - p + p * pt.log(p / p_hat)


def _norm(gradients: Sequence[TensorVariable]) -> TensorVariable:
    """The norm over all gradients together."""
    # In units of the largest value, so that no square overflows.
    largest = reduce(pt.maximum, [abs(gradient).max() for gradient in gradients])
    unit = pt.switch(largest > 0, largest, pt.ones_like(largest))
    return unit * pt.sqrt(sum(pt.sqr(gradient / unit).sum() for gradient in gradients))


def _like(new: TensorVariable, old: SharedVariable) -> TensorVariable:
    """``new`` in the dtype and static shape of ``old``, as an update must be."""
    if new.dtype != old.dtype:
        new = new.astype(old.dtype)
    return pt.specify_shape(new, old.type.shape)
