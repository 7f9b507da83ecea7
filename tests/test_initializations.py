"""Initial values against formulas, drawn from numpy's legacy generator as in 2015."""

import numpy as np
import pytensor
import pytest

from recursive import initializations
from recursive.errors import ShapeError, UnknownNameError

SEED = 1234
MATRIX = (4, 6)
KERNEL = (2, 3, 4, 5)


def drawn_uniform(shape, limit):
    return np.random.uniform(-limit, limit, shape)


def drawn_normal(shape, deviation):
    return deviation * np.random.standard_normal(shape)


def drawn_orthogonal(shape):
    """Up to the signs of the singular vectors, which the version of LAPACK chooses."""
    flat = np.random.normal(0.0, 1.0, (shape[0], int(np.prod(shape)) // shape[0]))
    left, _, right = np.linalg.svd(flat, full_matrices=False)
    return 1.1 * (left if left.shape == flat.shape else right).reshape(shape)


FORMULAS = {
    "uniform": lambda shape, fan_in, fan_out: drawn_uniform(shape, 0.05),
    "normal": lambda shape, fan_in, fan_out: drawn_normal(shape, 0.05),
    "lecun_uniform": lambda shape, fan_in, fan_out: drawn_uniform(
        shape, np.sqrt(3 / fan_in)
    ),
    "glorot_normal": lambda shape, fan_in, fan_out: drawn_normal(
        shape, np.sqrt(2 / (fan_in + fan_out))
    ),
    "glorot_uniform": lambda shape, fan_in, fan_out: drawn_uniform(
        shape, np.sqrt(6 / (fan_in + fan_out))
    ),
    "he_normal": lambda shape, fan_in, fan_out: drawn_normal(
        shape, np.sqrt(2 / fan_in)
    ),
    "he_uniform": lambda shape, fan_in, fan_out: drawn_uniform(
        shape, np.sqrt(6 / fan_in)
    ),
    "orthogonal": lambda shape, fan_in, fan_out: drawn_orthogonal(shape),
    "zero": lambda shape, fan_in, fan_out: np.zeros(shape),
    "one": lambda shape, fan_in, fan_out: np.ones(shape),
}
RANDOM = [name for name in FORMULAS if name not in ("zero", "one")]

FANS = {MATRIX: (4, 6), (6, 4): (6, 4), (5, 5): (5, 5), KERNEL: (60, 2), (6,): (1, 6)}


def test_every_initialization_has_a_formula_here():
    assert set(initializations.INITIALIZATIONS) == {*FORMULAS, "identity"}


@pytest.mark.parametrize(("shape", "fans"), FANS.items())
def test_fans_are_rows_and_columns_or_all_but_the_first_axis_and_the_first(shape, fans):
    assert initializations.get_fans(shape) == fans


@pytest.mark.parametrize("shape", [MATRIX, (6, 4), (5, 5), KERNEL])
@pytest.mark.parametrize("name", FORMULAS)
def test_global_seed_gives_the_numbers_of_2015(name, shape):
    np.random.seed(SEED)
    expected = FORMULAS[name](shape, *FANS[shape])
    following = np.random.uniform()
    np.random.seed(SEED)
    found = initializations.get(name)(shape).get_value()
    assert np.random.uniform() == following, "as many numbers were drawn"
    if name == "orthogonal":
        found, expected = np.abs(found), np.abs(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", RANDOM)
def test_a_given_generator_gives_the_same_numbers_and_spares_the_global_one(name):
    np.random.seed(SEED)
    expected = initializations.get(name)(MATRIX).get_value()
    np.random.seed(99)
    untouched = np.random.get_state()[1].copy(), np.random.get_state()[2:]
    rng = np.random.RandomState(SEED)
    first, second = (
        initializations.get(name)(MATRIX, rng=rng).get_value() for _ in range(2)
    )
    np.testing.assert_array_equal(first, expected)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.random.get_state()[1], untouched[0])
    assert np.random.get_state()[2:] == untouched[1]


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("lecun_uniform", 1 / 200),
        ("glorot_normal", 2 / 500),
        ("glorot_uniform", 2 / 500),
        ("he_normal", 2 / 200),
        ("he_uniform", 2 / 200),
        ("normal", 0.05**2),
        ("uniform", 0.05**2 / 3),
    ],
)
def test_variance_is_the_documented_one(name, variance):
    values = initializations.get(name)(
        (200, 300), rng=np.random.RandomState(SEED)
    ).get_value()
    np.testing.assert_allclose(values.var(), variance, rtol=0.03)
    np.testing.assert_allclose(
        values.mean(), 0.0, atol=4 * np.sqrt(variance / values.size)
    )


@pytest.mark.parametrize("name", ["uniform", "normal"])
def test_scale_of_a_plain_draw_can_be_chosen(name):
    draw = initializations.get(name)
    small = draw(MATRIX, rng=np.random.RandomState(SEED)).get_value()
    large = draw(MATRIX, scale=0.5, rng=np.random.RandomState(SEED)).get_value()
    np.testing.assert_allclose(large, 10 * small, rtol=1e-13)


@pytest.mark.parametrize("scale", [1.1, 1.0])
@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 5), (2, 3, 4)])
def test_orthogonal_has_orthonormal_rows_or_columns_times_its_scale(shape, scale):
    given = {} if scale == 1.1 else {"scale": scale}
    values = initializations.orthogonal(
        shape, rng=np.random.RandomState(SEED), **given
    ).get_value()
    flat = values.reshape(shape[0], -1)
    short = flat if flat.shape[0] <= flat.shape[1] else flat.T
    np.testing.assert_allclose(
        short @ short.T, scale**2 * np.eye(len(short)), atol=1e-14
    )


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_identity_is_the_identity_times_its_scale(scale):
    np.testing.assert_array_equal(
        initializations.identity((6, 6), scale).get_value(), scale * np.eye(6)
    )


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (6,), (6, 6, 6)])
def test_identity_refuses_what_is_not_a_square_matrix(shape):
    with pytest.raises(
        ShapeError, match="initialization 'identity' takes a square matrix"
    ):
        initializations.identity(shape)


@pytest.mark.parametrize("floatx", ["float64", "float32"])
@pytest.mark.parametrize("name", initializations.INITIALIZATIONS)
def test_initial_values_are_shared_variables_of_floatx_and_known_shape(name, floatx):
    with pytensor.config.change_flags(floatX=floatx):
        made = initializations.get(name)((6, 6))
    assert made.type.shape == (6, 6)
    assert made.dtype == made.get_value().dtype == floatx


def test_sizes_of_numpy_are_taken():
    assert initializations.glorot_normal(tuple(np.array(MATRIX))).type.shape == MATRIX


def test_function_is_taken_as_it_is():
    assert initializations.get(drawn_orthogonal) is drawn_orthogonal


def test_unknown_initialization_is_refused_and_the_nearest_offered():
    with pytest.raises(
        UnknownNameError,
        match=r"initialization 'ortogonal' .* Did you mean 'orthogonal'",
    ):
        initializations.get("ortogonal")
