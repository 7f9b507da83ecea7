"""Objectives against NumPy formulas, their gradients against central differences."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from recursive import objectives
from recursive.backend import evaluate
from recursive.errors import ShapeError, UnknownNameError

EPSILON = 1e-9
SHAPES = {"two axes": (3, 4), "three axes": (3, 5, 4)}


def categorical_crossentropy(t, p):
    p = np.clip(p, EPSILON, 1 - EPSILON)
    return -np.sum(t * np.log(p / np.sum(p, axis=-1, keepdims=True)), axis=-1)


def binary_crossentropy(t, p):
    p = np.clip(p, EPSILON, 1 - EPSILON)
    return -np.mean(t * np.log(p) + (1 - t) * np.log1p(-p), axis=-1)


def mean_squared_logarithmic_error(t, p):
    return np.mean(
        (np.log1p(np.maximum(p, EPSILON)) - np.log1p(np.maximum(t, EPSILON))) ** 2,
        axis=-1,
    )


def mean_absolute_percentage_error(t, p):
    return 100 * np.mean(np.abs(t - p) / np.maximum(np.abs(t), EPSILON), axis=-1)


FORMULAS = {
    "mean_squared_error": lambda t, p: np.mean((p - t) ** 2, axis=-1),
    "mean_absolute_error": lambda t, p: np.mean(np.abs(p - t), axis=-1),
    "mean_absolute_percentage_error": mean_absolute_percentage_error,
    "mean_squared_logarithmic_error": mean_squared_logarithmic_error,
    "squared_hinge": lambda t, p: np.mean(np.maximum(1 - t * p, 0) ** 2, axis=-1),
    "hinge": lambda t, p: np.mean(np.maximum(1 - t * p, 0), axis=-1),
    "categorical_crossentropy": categorical_crossentropy,
    "binary_crossentropy": binary_crossentropy,
    "poisson_loss": lambda t, p: np.mean(p - t * np.log(p + EPSILON), axis=-1),
}
ALIASES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
}


def one_hot(rng, shape):
    return np.eye(shape[-1])[rng.randint(shape[-1], size=shape[:-1])]


DATA = {
    "mean_absolute_percentage_error": lambda rng, shape: (
        rng.uniform(1, 2, shape) * rng.choice([-1, 1], shape),
        rng.uniform(-0.9, 0.9, shape),
    ),
    "mean_squared_logarithmic_error": lambda rng, shape: (
        rng.uniform(0.1, 3, shape),
        rng.uniform(0.1, 3, shape),
    ),
    "squared_hinge": lambda rng, shape: (
        rng.choice([-1.0, 1.0], shape),
        rng.normal(0, 2, shape),
    ),
    "hinge": lambda rng, shape: (
        rng.choice([-1.0, 1.0], shape),
        rng.normal(0, 2, shape),
    ),
    "categorical_crossentropy": lambda rng, shape: (
        one_hot(rng, shape),
        rng.uniform(0.05, 0.95, shape),
    ),
    "binary_crossentropy": lambda rng, shape: (
        rng.choice([0.0, 1.0], shape),
        rng.uniform(0.05, 0.95, shape),
    ),
    "poisson_loss": lambda rng, shape: (
        rng.poisson(2, shape).astype(float),
        rng.uniform(0.5, 3, shape),
    ),
}
"""Targets and predictions in the range of an objective and away from its kinks."""

EXTREMES = {
    "mean_absolute_percentage_error": ([0.0, 0.0, 1.0, -1.0], [0.0, 1.0, 0.0, 1e6]),
    "mean_squared_logarithmic_error": ([0.0, -5.0, 1e6, 1.0], [-5.0, 0.0, -1.0, 1e6]),
    "squared_hinge": ([-1.0, 1.0, -1.0, 1.0], [1e6, -1e6, 0.0, 1.0]),
    "hinge": ([-1.0, 1.0, -1.0, 1.0], [1e6, -1e6, 0.0, 1.0]),
    "categorical_crossentropy": ([0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]),
    "binary_crossentropy": ([0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]),
    "poisson_loss": ([0.0, 1.0, 2.0, 0.0], [0.0, 0.0, 1e6, 1.0]),
}
"""Targets and predictions for which a formula without an epsilon is not finite."""


def plain_data(rng, shape):
    return rng.normal(0, 1, shape), rng.normal(0, 1, shape)


def data_for(name, shape):
    return DATA.get(name, plain_data)(np.random.RandomState(len(name)), shape)


CASES = {
    (name, axes): data_for(name, shape)
    for name in FORMULAS
    for axes, shape in SHAPES.items()
}
CASES |= {
    (name, "extremes"): (np.array([t]), np.array([p]))
    for name, (t, p) in EXTREMES.items()
}


@pytest.fixture(scope="module")
def computed():
    """The values of every case and the gradient of their sum by ``y_pred``."""
    outputs, values = [], {}
    with pytensor.config.change_flags(floatX="float64"):
        for (name, _), (target, predicted) in CASES.items():
            t, p = (
                pt.TensorType("float64", shape=(None,) * target.ndim)(which)
                for which in ("y_true", "y_pred")
            )
            loss = objectives.get(name)(t, p)
            outputs += [loss, pytensor.grad(loss.sum(), p)]
            values |= {t: target, p: predicted}
        found = evaluate(outputs, values, backend="python")
    return dict(zip(CASES, zip(found[::2], found[1::2], strict=True), strict=True))


def central_differences(formula, target, predicted, step=1e-6):
    gradient = np.zeros_like(predicted)
    for index in np.ndindex(predicted.shape):
        moved = np.zeros_like(predicted)
        moved[index] = step
        above, below = (
            formula(target, predicted + sign * moved).sum() for sign in (1, -1)
        )
        gradient[index] = (above - below) / (2 * step)
    return gradient


def test_every_objective_has_a_formula_here():
    of_class_numbers = "sparse_categorical_crossentropy"
    assert set(objectives.OBJECTIVES) == {*FORMULAS, *ALIASES, of_class_numbers}


@pytest.mark.parametrize("axes", SHAPES)
def test_class_numbers_have_the_crossentropy_of_their_one_hot_vectors(axes):
    target, predicted = CASES["categorical_crossentropy", axes]
    numbers = target.argmax(axis=-1)[..., np.newaxis]
    t = pt.TensorType("int64", shape=(None,) * numbers.ndim)("y_true")
    p = pt.TensorType("float64", shape=(None,) * numbers.ndim)("y_pred")
    loss = objectives.get("sparse_categorical_crossentropy")(t, p)
    gradient = pytensor.grad(loss.sum(), p)
    found = evaluate([loss, gradient], {t: numbers, p: predicted})
    expected = categorical_crossentropy(target, predicted)
    np.testing.assert_allclose(found[0], expected, rtol=1e-13)
    np.testing.assert_allclose(
        found[1],
        central_differences(categorical_crossentropy, target, predicted),
        rtol=1e-6,
        atol=1e-6,
    )


@pytest.mark.parametrize("axes", SHAPES)
@pytest.mark.parametrize("name", FORMULAS)
def test_objective_gives_the_value_of_its_formula_for_each_row(computed, name, axes):
    value, _ = computed[name, axes]
    assert value.shape == SHAPES[axes][:-1]
    np.testing.assert_allclose(value, FORMULAS[name](*CASES[name, axes]), rtol=1e-13)


@pytest.mark.parametrize("axes", SHAPES)
@pytest.mark.parametrize("name", FORMULAS)
def test_objective_has_the_gradient_of_its_formula(computed, name, axes):
    _, gradient = computed[name, axes]
    expected = central_differences(FORMULAS[name], *CASES[name, axes])
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", EXTREMES)
def test_objective_and_its_gradient_stay_finite_at_the_ends(computed, name):
    value, gradient = computed[name, "extremes"]
    np.testing.assert_allclose(
        value, FORMULAS[name](*CASES[name, "extremes"]), rtol=1e-6
    )
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()


def test_certain_and_wrong_costs_the_logarithm_of_epsilon(computed):
    value, _ = computed["categorical_crossentropy", "extremes"]
    np.testing.assert_allclose(value, -np.log(1e-9), rtol=1e-8)


def test_certain_and_right_costs_nothing():
    t, p = pt.dmatrices("y_true", "y_pred")
    names = ["categorical_crossentropy", "binary_crossentropy"]
    given = np.eye(3)
    for value in evaluate(
        [objectives.get(name)(t, p) for name in names],
        {t: given, p: given},
        backend="python",
    ):
        np.testing.assert_allclose(value, 0.0, atol=1e-8)


@pytest.mark.parametrize(("floatx", "epsilon"), [("float64", 1e-9), ("float32", 1e-7)])
def test_epsilon_is_as_wide_as_floatx_can_tell(floatx, epsilon):
    with pytensor.config.change_flags(floatX=floatx):
        assert objectives.epsilon() == epsilon
        assert np.asarray(1.0, floatx) - np.asarray(epsilon, floatx) < 1.0


@pytest.mark.parametrize("name", FORMULAS)
def test_float32_stays_float32(name):
    t, p = pt.fmatrices("y_true", "y_pred")
    with pytensor.config.change_flags(floatX="float32"):
        loss = objectives.get(name)(t, p)
        assert loss.dtype == pytensor.grad(loss.sum(), p).dtype == "float32"


def test_probabilities_of_zero_and_one_stay_finite_in_float32():
    t, p = pt.fmatrices("y_true", "y_pred")
    given = {t: np.float32([[0, 1, 0, 1]]), p: np.float32([[1, 0, 0, 1]])}
    names = ["categorical_crossentropy", "binary_crossentropy", "poisson_loss"]
    with pytensor.config.change_flags(floatX="float32"):
        losses = [objectives.get(name)(t, p) for name in names]
        gradients = [pytensor.grad(loss.sum(), p) for loss in losses]
        found = evaluate(losses + gradients, given, backend="python")
    assert all(np.isfinite(value).all() for value in found)


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_short_name_means_the_long_one(alias, name):
    assert objectives.get(alias) is objectives.get(name)


def test_function_is_taken_as_it_is():
    assert objectives.get(np.subtract) is np.subtract


def test_unknown_loss_is_refused_and_the_nearest_offered():
    with pytest.raises(
        UnknownNameError,
        match=r"loss 'categorical_crossentopy' .* Did you mean 'categorical_cross",
    ):
        objectives.get("categorical_crossentopy")


# Weights


def weighted_loop(t, p, w, mask, error):
    """The weighted mean by a loop over rows that skips those of weight 0."""
    total, shares = 0.0, 0.0
    for place in np.ndindex(t.shape[:-1]):
        if w[place][0] != 0:
            total += w[place][0] * error(t[place], p[place])
            shares += w[place][0] * (1.0 if mask is None else mask[place])
    return total / shares


def weighted(name, *arrays, wrt=None):
    symbols = [pt.TensorType("float64", (None,) * array.ndim)() for array in arrays]
    value = objectives.weighted_objective(objectives.get(name))(*symbols)
    outputs = [value] if wrt is None else [value, pytensor.grad(value, symbols[wrt])]
    return evaluate(outputs, dict(zip(symbols, arrays, strict=True)))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", FORMULAS)
def test_weighted_objectives_are_means_by_weight(name, shape, masked):
    rng = np.random.RandomState(4)
    t, p = data_for(name, shape)
    w = rng.choice([0.0, 0.5, 2.0], size=(*shape[:-1], 1))
    w.flat[:2] = 0.0, 3.0
    mask = rng.choice([0.0, 1.0], size=shape[:-1])
    mask.flat[1] = 1.0
    arrays = (t, p, w, mask) if masked else (t, p, w)
    expected = weighted_loop(t, p, w, mask if masked else None, FORMULAS[name])
    assert weighted(name, *arrays)[0] == pytest.approx(expected, rel=1e-12)


def test_rows_of_weight_zero_have_no_share_even_where_they_are_not_finite():
    t, p = (
        np.array([[1.0, 2.0], [np.inf, 0.0], [np.nan, 1.0]]),
        np.array([[2.0, 4.0], [1.0, np.nan], [0.0, 0.0]]),
    )
    value, gradient = weighted("mse", t, p, np.array([[2.0], [0.0], [0.0]]), wrt=1)
    assert value == 2.5
    assert gradient.tolist() == [[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]]


def test_where_all_weights_are_zero_the_loss_and_its_gradient_are_zero():
    value, gradient = weighted(
        "mse", np.ones((3, 4)), np.zeros((3, 4)), np.zeros((3, 1)), wrt=1
    )
    assert value == 0.0
    assert not gradient.any()


def test_an_objective_that_is_one_number_cannot_be_weighted():
    with pytest.raises(
        ShapeError, match=r"loss 'whole' takes one value per row, .* got 0 axes"
    ):

        def whole(y_true, y_pred):
            return (y_true - y_pred).sum()

        objectives.weighted_objective(whole)(pt.matrix(), pt.matrix(), pt.matrix())
