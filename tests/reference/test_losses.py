"""Every loss: its gradient against derivatives found from values alone, and values worked out by hand."""

import numpy as np
import pytest

from recursive.errors import UnknownNameError
from recursive.reference.losses import LOSSES, mean_loss

CLASSES = np.eye(4)[[0, 2, 1]]
TARGETS = {
    "hinge": 2 * CLASSES - 1,
    "squared_hinge": 2 * CLASSES - 1,
    "categorical_crossentropy": CLASSES,
    "binary_crossentropy": CLASSES,
    "poisson_loss": 3 * CLASSES,
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_gives_its_gradient(name):
    rng = np.random.RandomState(2)
    y, true = (
        rng.uniform(0.05, 0.95, size=(3, 4)),
        TARGETS.get(name, rng.uniform(0.1, 2, size=(3, 4))),
    )
    direction = rng.normal(size=y.shape)
    _, found = mean_loss(name, true, y)
    along = (found * direction).sum()
    by_complex_step = mean_loss(name, true, y + 1e-20j * direction)[0].imag / 1e-20
    more, less = (mean_loss(name, true, y + by * direction)[0] for by in (1e-6, -1e-6))
    by_differences = (more - less) / 2e-6
    assert abs(along - by_complex_step) <= 1e-12 * max(1, abs(along))
    assert abs(along - by_differences) <= 1e-6 * max(1, abs(along))


@pytest.mark.parametrize(
    ("name", "true", "y", "expected"),
    [
        ("mse", [0.0, 1.0], [1.0, 3.0], 2.5),
        ("mae", [0.0, 1.0], [1.0, -2.0], 2.0),
        ("mape", [2.0, -4.0], [1.0, -4.0], 25.0),
        ("msle", [0.0, 1.0], [np.e - 1, 1.0], 0.5),
        ("hinge", [1.0, -1.0], [0.5, -2.0], 0.25),
        ("squared_hinge", [1.0, -1.0], [0.5, 0.0], 0.625),
        ("categorical_crossentropy", [1.0, 0.0], [0.25, 0.25], np.log(2)),
        ("binary_crossentropy", [1.0, 0.0], [0.5, 0.75], (np.log(2) + np.log(4)) / 2),
        ("poisson_loss", [1.0, 0.0], [np.e, 1.0], np.e / 2),
    ],
)
def test_a_loss_has_the_value_that_paper_gives(name, true, y, expected):
    assert abs(mean_loss(name, np.array([true]), np.array([y]))[0] - expected) < 1e-8


def test_a_step_that_is_no_data_has_no_share():
    true, mask = np.zeros((2, 2, 1)), np.array([[1, 0], [1, 1]])
    y = np.array([[[1.0], [np.inf]], [[2.0], [2.0]]])
    loss, d = mean_loss("mse", true, y, mask)
    assert loss == 3.0
    assert d.ravel().tolist() == [2 / 3, 0, 4 / 3, 4 / 3]


def test_where_nothing_is_data_the_loss_is_zero():
    loss, d = mean_loss(
        "mse", np.zeros((2, 2, 1)), np.ones((2, 2, 1)), np.zeros((2, 2))
    )
    assert loss == 0
    assert not d.any()


def test_an_unknown_loss_is_named():
    with pytest.raises(
        UnknownNameError,
        match=r"loss 'mean_square_error'.*Did you mean 'mean_squared_error'",
    ):
        mean_loss("mean_square_error", np.zeros((1, 1)), np.zeros((1, 1)))
