"""Settings of a loop can be assigned later, and are checked as in the constructor."""

import numpy as np
import pytest

from recursive import Dense, Lambda, Recurrent, Recursive
from recursive.errors import ConfigError, RecursiveError, UnknownNameError


def counting(n_steps, **settings):
    """A loop that adds its context at every step: ``c``, ``2 c``, ``3 c``, ..."""
    rnn = Recursive(n_steps=n_steps, return_sequences=True, **settings)
    rnn.add_input("c", is_sequence=False, dim=1)
    rnn.add_state("n", dim=1)
    rnn.add_node(
        Dense(2, 1, init="one"),
        "sum",
        inputs=["c", "n"],
        return_state="n",
        create_output=True,
    )
    return rnn


def test_the_number_of_steps_may_be_assigned():
    rnn = counting(2)
    c = np.full((1, 1), 3.0)
    assert rnn.predict(c).ravel().tolist() == [3, 6]
    rnn.n_steps = np.int64(4)
    assert rnn.n_steps == 4
    assert rnn.predict(c).ravel().tolist() == [3, 6, 9, 12]


def test_the_number_of_steps_of_an_unrolled_loop_may_be_assigned():
    rnn = Recurrent(n_steps=2, unroll=True)
    rnn.add_input("x", dim=1)
    rnn.add_node(Dense(2, 1, init="one"), "h", input=["x", "h_tm1"])
    assert rnn.get_input().type.shape == (None, 2, 1)
    rnn.n_steps = 3
    assert rnn.get_input().type.shape == (None, 3, 1)
    assert rnn.predict(np.ones((1, 3, 1))) == 3


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "3"])
def test_the_number_of_steps_is_checked_as_in_the_constructor(steps):
    with pytest.raises(RecursiveError) as constructed:
        counting(steps).complete()
    rnn = counting(2)
    with pytest.raises(ConfigError) as assigned:
        rnn.n_steps = steps
    assert str(assigned.value) == str(constructed.value)
    assert rnn.n_steps == 2


def test_until_may_be_assigned():
    rnn = counting(6)
    rnn.add_node(Lambda(lambda n: n > 5), "large", input="sum")
    c = np.full((1, 1), 2.0)
    assert rnn.predict(c).ravel().tolist() == [2, 4, 6, 8, 10, 12]
    rnn.until = "large"
    assert rnn.predict(c).ravel().tolist() == [2, 4, 6]
    rnn.until = None
    assert rnn.predict(c).ravel().tolist() == [2, 4, 6, 8, 10, 12]


def test_until_is_checked_as_in_the_constructor():
    rnn = counting(6)
    rnn.until = "larg"
    with pytest.raises(UnknownNameError, match="'larg'"):
        rnn.complete()
