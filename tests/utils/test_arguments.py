"""Counts, flags and seeds, and the values that are refused."""

import numpy as np
import pytest

from recursive import GRU, Dense, Dropout, GaussianNoise, Recursive, errors
from recursive.utils import arguments
from tests.cases import HIDDEN, IN


@pytest.mark.parametrize("value", [0, -1, 2.0, "3", True, None, [3]])
def test_what_counts_is_a_whole_number_of_1_or_more(value):
    with pytest.raises(
        errors.ConfigError, match="'steps' takes an integer of 1 or more"
    ):
        arguments.count("steps", value)
    assert type(arguments.count("steps", np.int64(3))) is int


@pytest.mark.parametrize("value", ["no", None, 2, 0.0, np.array([True])])
def test_text_is_no_flag(value):
    with pytest.raises(
        errors.ConfigError,
        match=r"'stateful' takes True or False; .* Pass stateful=True for GRU",
    ):
        arguments.flag("GRU", "stateful", value)
    assert [
        arguments.flag("GRU", "stateful", given)
        for given in (True, np.bool_(True), 1, 0)
    ] == [True] * 3 + [False]


@pytest.mark.parametrize("value", [-1, 2**32, "a", 1.5, True])
@pytest.mark.parametrize(
    "make", [lambda seed: Dense(IN, 2, seed=seed), lambda seed: Dropout(0.5, seed=seed)]
)
def test_a_seed_is_a_whole_number_that_numpy_takes(make, value):
    with pytest.raises(
        errors.ConfigError, match="'seed' takes an integer from 0 to 4294967295"
    ):
        make(value)
    assert [make(seed).seed for seed in (None, 0, np.uint8(7))] == [None, 0, 7]


@pytest.mark.parametrize("sigma", [-0.1, float("nan"), float("inf"), True, "a", None])
def test_the_deviation_of_noise_is_a_finite_number(sigma):
    with pytest.raises(errors.ConfigError, match="takes a finite sigma of 0 or more"):
        GaussianNoise(sigma)


@pytest.mark.parametrize(
    "name",
    ["return_sequences", "stateful", "return_final_states", "go_backwards", "unroll"],
)
def test_a_container_refuses_what_is_no_flag_and_keeps_what_it_was(name):
    with pytest.raises(errors.ConfigError, match=f"'{name}' takes True or False"):
        Recursive(**{name: "no"})
    rnn = Recursive()
    with pytest.raises(errors.ConfigError, match="takes True or False; got 'no'"):
        setattr(rnn, name, "no")
    assert getattr(rnn, name) is getattr(rnn.spec, name) is False
    setattr(rnn, name, True)
    assert getattr(rnn, name) is getattr(rnn.spec, name) is True


@pytest.mark.parametrize("name", ["return_sequences", "stateful", "go_backwards"])
def test_a_recurrent_layer_refuses_what_is_no_flag(name):
    with pytest.raises(
        errors.ConfigError,
        match=f"'{name}' takes True or False; got",
    ):
        GRU(IN, HIDDEN, **{name: "no"})


def test_a_state_refuses_what_is_no_flag():
    with pytest.raises(
        errors.ConfigError,
        match=r"'stateful' takes True or False; .* for state 'h'",
    ):
        Recursive().add_state("h", dim=HIDDEN, stateful="no")
