"""tanh and sigmoid in float32 by arithmetic: within 4 units in the last place of the true value; float64 untouched."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from recursive.backend import Argument, Program

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 3e38, -3e38], dtype="float32")
TARGETS = [
    "numba",
    pytest.param(
        "c",
        marks=pytest.mark.skipif(not pytensor.config.cxx, reason="C code needs g++"),
    ),
]


def every_nth_float(largest, step):
    """Floats of both signs up to ``largest`` in size, evenly through their bits: the tiny ones too."""
    bits = np.arange(0, int(np.float32(largest).view(np.int32)), step, dtype=np.int32)
    return np.concatenate([bits.view(np.float32), -bits.view(np.float32)])


@pytest.fixture(scope="module", params=TARGETS)
def computed(request):
    """Values, their tanh and their sigmoid, and those of the special ones."""
    values = every_nth_float(87, 2503)
    with pytensor.config.change_flags(floatX="float32"):
        program = Program(
            [Argument("x", "float32", (None,))],
            lambda inputs: ([pt.tanh(inputs[0]), pt.sigmoid(inputs[0])], []),
            request.param,
        )
        found = program(values)
        return values, found, program(SPECIAL)


def units(found, right):
    """How far ``found`` is from ``right``, in the spacing of float32 there."""
    return np.abs(found.astype("float64") - right) / np.spacing(
        np.abs(right).astype("float32")
    ).astype("float64")


def test_they_are_within_four_units_in_the_last_place(computed):
    values, (tanh, sigmoid), _ = computed
    exact = values.astype("float64")
    assert len(values) > 800_000 and tanh.dtype == sigmoid.dtype == np.float32
    assert units(tanh, np.tanh(exact)).max() < 4
    assert units(sigmoid, 1 / (1 + np.exp(-exact))).max() < 4


def test_zeros_keep_their_sign_and_what_is_no_number_stays_so(computed):
    _, _, (tanh, sigmoid) = computed
    assert np.isnan(tanh[0]) and np.isnan(sigmoid[0])
    assert tanh[1:].tolist() == [1, -1, 0, 0, 1, -1] and np.signbit(
        tanh[3:5]
    ).tolist() == [False, True]
    assert sigmoid[[1, 3, 4, 5]].tolist() == [1, 0.5, 0.5, 1]
    assert (sigmoid[[2, 6]] < 1e-37).all()


def test_float64_is_computed_as_ever():
    values = np.linspace(-30, 30, 10_001)
    program = Program(
        [Argument("x", "float64", (None,))],
        lambda inputs: ([pt.tanh(inputs[0]), pt.sigmoid(inputs[0])], []),
        "numba",
    )
    tanh, sigmoid = program(values)
    assert np.abs(tanh - np.tanh(values)).max() <= 2.3e-16
    assert np.abs(sigmoid - 1 / (1 + np.exp(-values))).max() <= 2.3e-16
