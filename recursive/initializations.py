"""Initial values of parameters, drawn as Keras 0.1 drew them.

Every function takes a shape and returns a shared variable of floatX. ``rng`` is a
``numpy.random.RandomState``. Without it, numpy's global generator is used, so that
``np.random.seed(1234)`` gives the same numbers as in 2015.

Sources: Glorot and Bengio 2010 (glorot), He et al. 2015 (he), LeCun et al. 1998
(lecun), Saxe et al. 2013 (orthogonal).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from recursive.backend import shared
from recursive.errors import ConfigError, ShapeError
from recursive.limits import count_parameter
from recursive.utils import registry

Shape = Sequence[int]
Rng = np.random.RandomState | None


def get_fans(shape: Shape) -> tuple[float, float]:
    """``(fan_in, fan_out)`` of a shape.

    They are the rows and columns of a matrix. For other ranks they are the product of
    all axes but the first, and the first axis.

    >>> get_fans((4, 6))
    (4, 6)
    """
    if len(shape) == 2:
        return shape[0], shape[1]
    return int(np.prod(shape[1:])), shape[0]


def uniform(shape: Shape, scale: float = 0.05, rng: Rng = None) -> SharedVariable:
    """Uniform in [-scale, scale)."""
    count_parameter(shape)
    return shared(_generator(rng).uniform(low=-scale, high=scale, size=shape))


def normal(shape: Shape, scale: float = 0.05, rng: Rng = None) -> SharedVariable:
    """Normal with standard deviation ``scale``."""
    count_parameter(shape)
    return shared(_generator(rng).randn(*shape) * scale)


def lecun_uniform(shape: Shape, rng: Rng = None) -> SharedVariable:
    """Uniform with variance ``1 / fan_in``."""
    fan_in, _ = get_fans(shape)
    # The variance of a uniform value in [-a, a) is a**2 / 3.
    return uniform(shape, np.sqrt(3.0 / fan_in), rng)


def glorot_normal(shape: Shape, rng: Rng = None) -> SharedVariable:
    """Normal with variance ``2 / (fan_in + fan_out)``."""
    return normal(shape, np.sqrt(2.0 / sum(get_fans(shape))), rng)


def glorot_uniform(shape: Shape, rng: Rng = None) -> SharedVariable:
    """Uniform with variance ``2 / (fan_in + fan_out)``."""
    return uniform(shape, np.sqrt(6.0 / sum(get_fans(shape))), rng)


def he_normal(shape: Shape, rng: Rng = None) -> SharedVariable:
    """Normal with variance ``2 / fan_in``."""
    fan_in, _ = get_fans(shape)
    return normal(shape, np.sqrt(2.0 / fan_in), rng)


def he_uniform(shape: Shape, rng: Rng = None) -> SharedVariable:
    """Uniform with variance ``2 / fan_in``."""
    fan_in, _ = get_fans(shape)
    return uniform(shape, np.sqrt(6.0 / fan_in), rng)


def orthogonal(shape: Shape, scale: float = 1.1, rng: Rng = None) -> SharedVariable:
    """Orthonormal rows or columns times ``scale``.

    They are the singular vectors of a normal matrix. A shape with more than two axes is
    drawn as a matrix with the same first axis.
    """
    count_parameter(shape)
    flat = (shape[0], int(np.prod(shape[1:])))
    matrix = _generator(rng).normal(0.0, 1.0, flat)
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    # The smaller of u and v is square; the other has the shape of the matrix.
    vectors = u if u.shape == flat else v
    return shared(scale * vectors.reshape(shape))


def identity(shape: Shape, scale: float = 1.0, rng: Rng = None) -> SharedVariable:
    """The identity matrix times ``scale``.

    Raises:
        ShapeError: for a shape that is not square.
    """
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ShapeError.about(
            "initialization",
            "identity",
            takes="a square matrix",
            got=tuple(shape),
            do="Use equal dims, or 'orthogonal'.",
        )
    count_parameter(shape)
    return shared(scale * np.identity(shape[0]))


def zero(shape: Shape, rng: Rng = None) -> SharedVariable:
    """All zeros."""
    count_parameter(shape)
    return shared(np.zeros(shape))


def one(shape: Shape, rng: Rng = None) -> SharedVariable:
    """All ones."""
    count_parameter(shape)
    return shared(np.ones(shape))


INITIALIZATIONS = {
    function.__name__: function
    for function in (
        uniform,
        normal,
        lecun_uniform,
        glorot_normal,
        glorot_uniform,
        he_normal,
        he_uniform,
        orthogonal,
        identity,
        zero,
        one,
    )
}
"""Every initialization by name."""


def get(identifier: str | Callable) -> Callable:
    """The initialization called ``identifier``, or the function itself.

    Raises:
        UnknownNameError: for an unknown name.
    """
    return registry.lookup("initialization", identifier, INITIALIZATIONS)


def first_values(function: Callable, shape: Shape, rng: Rng = None) -> SharedVariable:
    """The values of an initialization for ``shape``, as a shared variable of floatX.

    A user's function may return an array, and need not take ``rng``, as in Keras 0.1.

    Args:
        function: an initialization.
        shape: the shape of the parameter.
        rng: the generator of a layer with a seed; None for numpy's global generator.

    Raises:
        ConfigError: if there is a seed and the function takes no ``rng``.
        ShapeError: for values of another shape.
    """
    # Keras 0.1 called an initialization with the shape alone.
    takes_rng = "rng" in _arguments(function)
    if rng is not None and not takes_rng:
        raise ConfigError.about(
            "initialization",
            registry.name_of(function),
            takes="an argument rng",
            because="the layer has a seed, which must determine the draws",
            got="none",
            do="Draw from rng, a numpy RandomState, or leave the seed out.",
        )
    drawn = function(shape, rng=rng) if takes_rng else function(shape)
    values = drawn if isinstance(drawn, SharedVariable) else shared(drawn)
    found = values.get_value(borrow=True).shape
    if found != tuple(shape):
        raise ShapeError.about(
            "initialization",
            registry.name_of(function),
            takes=f"values of shape {tuple(shape)}",
            got=found,
            do="Return np.zeros(shape), for example.",
        )
    return values


def _arguments(function: Callable) -> Sequence[str]:
    """The names of a function's arguments, or none if Python cannot tell."""
    try:
        return tuple(inspect.signature(function).parameters)
    except ValueError:  # a function written in C without a signature
        return ()


def _generator(rng: Rng):
    return np.random if rng is None else rng
