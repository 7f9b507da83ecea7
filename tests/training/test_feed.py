"""Data whose number of steps differs from that of its loop."""

import numpy as np
import pytest

from recursive import Dense, Recurrent, Sequential
from recursive.errors import SequenceLengthError, ShapeError


def unrolled():
    rnn = Recurrent(n_steps=5, unroll=True)
    rnn.add_input("x", dim=1)
    rnn.add_node(Dense(2, 1, init="one"), "h", input=["x", "h_tm1"])
    return rnn


@pytest.mark.parametrize(
    "build",
    [
        unrolled,
        lambda: Sequential([unrolled()]),
        lambda: Sequential([Sequential([unrolled()])]),
    ],
    ids=["a loop", "a loop in a Sequential", "in two"],
)
def test_the_number_of_steps_that_was_declared_is_named(build):
    model = build()
    with pytest.raises(SequenceLengthError) as told:
        model.predict(np.ones((1, 6, 1)))
    words = str(told.value)
    assert "takes 5 steps, because the loop has n_steps=5; got 6" in words
    assert "Set n_steps=6 for the loop" in words


def test_a_tensor_of_other_steps_is_told_to_change_them():
    with pytest.raises(SequenceLengthError, match="or change n_steps"):
        unrolled()(np.ones((1, 6, 1)))


def test_data_of_other_axes_are_told_of_by_their_shape():
    with pytest.raises(ShapeError, match="takes an array of shape"):
        unrolled().predict(np.ones((1, 6)))


def test_after_the_advice_the_data_are_taken():
    rnn = unrolled()
    rnn.n_steps = 6
    assert rnn.predict(np.ones((1, 6, 1))) == 6
