"""Every optimizer: its first two steps worked out by hand, for one parameter of 1 and gradients of 0.5 and -2."""

import numpy as np
import pytest

from recursive.errors import ConfigError, UnknownNameError
from recursive.reference.optimizers import Optimizer


def two_steps(config):
    step = Optimizer(config)
    first = step({"p": np.array([1.0])}, {"p": np.array([0.5])})
    return [float(first["p"][0]), float(step(first, {"p": np.array([-2.0])})["p"][0])]


ROOT = np.sqrt

BY_HAND = [
    ({"name": "SGD", "lr": 0.1}, [0.95, 1.15]),
    ({"name": "SGD", "lr": 0.1, "decay": 1.0}, [0.95, 1.05]),
    ({"name": "SGD", "lr": 0.1, "momentum": 0.5}, [0.95, 0.95 - 0.025 + 0.2]),
    (
        {"name": "SGD", "lr": 0.1, "momentum": 0.5, "nesterov": True},
        [1 - 0.025 - 0.05, 0.925 + 0.0875 + 0.2],
    ),
    (
        {"name": "RMSprop", "lr": 0.1, "rho": 0.5, "epsilon": 0.0},
        [1 - 0.1 * ROOT(2), 1 - 0.1 * ROOT(2) + 0.2 / ROOT(0.0625 + 2)],
    ),
    ({"name": "Adagrad", "lr": 0.1, "epsilon": 0.0}, [0.9, 0.9 + 0.2 / ROOT(4.25)]),
    (
        {"name": "Adam", "lr": 0.1, "beta_1": 0.5, "beta_2": 0.5, "epsilon": 0.0},
        [0.9, 0.9 + 0.1 * ROOT(0.75) / 0.75 * 0.875 / ROOT(0.0625 + 2)],
    ),
]


@pytest.mark.parametrize(("config", "expected"), BY_HAND, ids=str)
def test_two_steps_are_as_on_paper(config, expected):
    np.testing.assert_allclose(two_steps(config), expected, rtol=1e-14)


def test_adadelta_moves_in_units_of_its_own_steps():
    """Both its means are zero at first, so that epsilon alone sets the size of the first step."""
    e, g, a = 0.01, 0.5, 0.05 * 0.25
    u = g * ROOT(e) / ROOT(a + e)
    a2, d = 0.95 * a + 0.05 * 4, 0.05 * u**2
    expected = [1 - u, 1 - u + 2 * ROOT(d + e) / ROOT(a2 + e)]
    np.testing.assert_allclose(
        two_steps({"name": "adadelta", "epsilon": e}), expected, rtol=1e-14
    )


def test_the_norm_over_all_gradients_together_is_clipped():
    step = Optimizer({"name": "sgd", "lr": 1.0, "clipnorm": 1.0})
    found = step(
        {"a": np.zeros(1), "b": np.zeros(1)},
        {"a": np.array([3.0]), "b": np.array([4.0])},
    )
    np.testing.assert_allclose([found["a"][0], found["b"][0]], [-0.6, -0.8], rtol=1e-15)


def test_what_an_optimizer_has_not_is_refused():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'adam'"):
        Optimizer("adm")
    with pytest.raises(ConfigError, match=r"lr, momentum, decay, nesterov.*got 'rho'"):
        Optimizer({"name": "sgd", "rho": 0.9})
