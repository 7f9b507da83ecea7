"""Activations against formulas of NumPy and SciPy: ordinary points, kinks, extremes."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import special

from recursive import activations
from recursive.backend import evaluate
from recursive.errors import UnknownNameError

POINTS = np.array(
    [[-30.0, -2.5, -1.0, 0.0], [-2.49, 0.3, 1.0, 2.5], [2.49, -0.7, 4.0, 30.0]]
)
WEIGHTS = np.array(
    [[1.0, -2.0, 0.5, 3.0], [-1.0, 1.5, 2.0, 1.0], [0.1, 1.0, -0.4, 2.0]]
)

VALUES = {
    "softmax": lambda x: special.softmax(x, axis=-1),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "relu": lambda x: np.maximum(x, 0.0),
    "tanh": np.tanh,
    "sigmoid": special.expit,
    "hard_sigmoid": lambda x: np.minimum(np.maximum(0.2 * x + 0.5, 0.0), 1.0),
    "linear": lambda x: x,
}


def softmax_gradient(x):
    """The gradient of ``sum(WEIGHTS * softmax(x))``."""
    p = special.softmax(x, axis=-1)
    return p * (WEIGHTS - (WEIGHTS * p).sum(axis=-1, keepdims=True))


GRADIENTS = {
    "softmax": softmax_gradient,
    "softplus": lambda x: WEIGHTS * special.expit(x),
    "relu": lambda x: WEIGHTS * np.heaviside(x, 0.5),
    "tanh": lambda x: WEIGHTS * (1.0 - np.tanh(x) ** 2),
    "sigmoid": lambda x: WEIGHTS * special.expit(x) * special.expit(-x),
    "hard_sigmoid": lambda x: WEIGHTS * 0.2 * (np.abs(x) <= 2.5),
    "linear": lambda x: WEIGHTS * np.ones_like(x),
}


@pytest.fixture(scope="module")
def computed():
    """The value of every activation at POINTS, and its gradient, in one compilation.

    The gradient is that of the sum of the values weighted by WEIGHTS.
    """
    x = pt.dmatrix("x")
    with pytensor.config.change_flags(floatX="float64"):
        values = [function(x) for function in activations.ACTIVATIONS.values()]
        gradients = [pytensor.grad((WEIGHTS * value).sum(), x) for value in values]
        found = evaluate(values + gradients, {x: POINTS}, backend="python")
    return dict(
        zip(
            activations.ACTIVATIONS,
            zip(found[: len(values)], found[len(values) :], strict=True),
            strict=True,
        )
    )


def test_every_activation_has_a_formula_here():
    assert set(activations.ACTIVATIONS) == set(VALUES) == set(GRADIENTS)


@pytest.mark.parametrize("name", VALUES)
def test_activation_has_the_values_of_its_formula(computed, name):
    np.testing.assert_allclose(
        computed[name][0], VALUES[name](POINTS), rtol=1e-14, atol=1e-16
    )


@pytest.mark.parametrize("name", GRADIENTS)
def test_activation_has_the_gradient_of_its_formula(computed, name):
    np.testing.assert_allclose(
        computed[name][1], GRADIENTS[name](POINTS), rtol=1e-12, atol=1e-15
    )


def test_relu_has_gradient_one_half_at_zero(computed):
    at_zero = POINTS == 0.0
    np.testing.assert_array_equal(computed["relu"][1][at_zero], 0.5 * WEIGHTS[at_zero])


def test_hard_sigmoid_has_the_gradient_of_its_slope_at_its_ends(computed):
    at_ends = np.abs(POINTS) == 2.5
    assert at_ends.sum() == 2
    np.testing.assert_allclose(
        computed["hard_sigmoid"][1][at_ends], 0.2 * WEIGHTS[at_ends], rtol=1e-15
    )


def test_hard_sigmoid_stays_between_zero_and_one(computed):
    value = computed["hard_sigmoid"][0]
    assert value.min() == 0.0 and value.max() == 1.0


def test_softmax_sums_to_one_over_the_last_axis_of_two_and_of_three():
    two, three = pt.dmatrix("two"), pt.dtensor3("three")
    rng = np.random.RandomState(0)
    values = {
        two: rng.normal(0.0, 10.0, (3, 4)),
        three: rng.normal(0.0, 10.0, (3, 5, 4)),
    }
    found = evaluate(
        [activations.softmax(two), activations.softmax(three)], values, backend="python"
    )
    for given, value in zip(values.values(), found, strict=True):
        np.testing.assert_allclose(value, special.softmax(given, axis=-1), rtol=1e-13)
        np.testing.assert_allclose(
            value.sum(axis=-1), np.ones(given.shape[:-1]), rtol=1e-14
        )


def test_activations_of_very_large_numbers_are_finite():
    x = pt.dmatrix("x")
    names = [name for name in VALUES if name != "linear"]
    values = [activations.get(name)(x) for name in names]
    gradients = [pytensor.grad(value.sum(), x) for value in values]
    found = evaluate(
        values + gradients,
        {x: np.array([[1e300, -1e300, 800.0, -800.0]])},
        backend="python",
    )
    for name, value in zip(names * 2, found, strict=True):
        assert np.isfinite(value).all(), name


@pytest.mark.parametrize("name", VALUES)
def test_activation_keeps_the_known_shape_and_float32(name):
    x = pt.TensorType("float32", shape=(3, None, 4))("x")
    with pytensor.config.change_flags(floatX="float32"):
        y = activations.get(name)(x)
        gradient = pytensor.grad(y.sum(), x)
    assert y.type.shape == (3, None, 4)
    assert y.dtype == gradient.dtype == "float32"


@pytest.mark.parametrize("name", VALUES)
def test_activation_is_found_by_its_name(name):
    assert activations.get(name) is activations.ACTIVATIONS[name]
    assert activations.get(name).__name__ == name


def test_function_is_taken_as_it_is():
    assert activations.get(np.cos) is np.cos


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [("tahn", "tanh"), ("rellu", "relu"), ("hardsigmoid", "hard_sigmoid")],
)
def test_unknown_activation_is_refused_and_the_nearest_offered(misspelt, meant):
    with pytest.raises(
        UnknownNameError, match=rf"activation '{misspelt}' .* Did you mean '{meant}'"
    ):
        activations.get(misspelt)
