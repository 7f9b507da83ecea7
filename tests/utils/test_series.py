"""A long series cut into batches whose rows continue from batch to batch."""

import numpy as np
import pytest

from recursive import Dense, Recursive, errors
from recursive.utils import series
from tests.cases import HIDDEN, IN, weights_of, with_random_weights

ROWS, STEPS, BATCHES = 3, 2, 10
SERIES = np.random.RandomState(5).normal(size=(ROWS * STEPS * BATCHES, IN))


@pytest.mark.parametrize("shape", [(), (IN,), (2, IN)])
def test_row_i_of_each_batch_goes_on_from_row_i_of_the_batch_before(shape):
    whole = np.random.RandomState(5).normal(size=(60, *shape))
    found = series.cut(whole, ROWS, STEPS)
    assert found.shape == (30, STEPS, *shape)
    for row in range(ROWS):
        stretch = np.concatenate(
            [found[batch * ROWS + row] for batch in range(BATCHES)]
        )
        assert (stretch == whole[row * 20 : (row + 1) * 20]).all()
    assert (series.join(found, ROWS) == whole).all()


def test_ten_batches_of_a_stateful_model_equal_one_long_run():
    rnn = Recursive(return_sequences=True, stateful=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(
        Dense(IN + HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["x", "h"],
        return_state="h",
        create_output=True,
    )
    with_random_weights(rnn)
    w, expected = weights_of(rnn), []
    for stretch in SERIES.reshape(ROWS, -1, IN):
        h = np.zeros(HIDDEN)
        for x in stretch:
            h = np.tanh(np.concatenate([x, h]) @ w["rec.W"] + w["rec.b"])
            expected.append(h)
    found = rnn.predict(series.cut(SERIES, ROWS, STEPS), batch_size=ROWS)
    assert np.abs(series.join(found, ROWS) - expected).max() < 1e-12
    rnn.reset_states()
    long = rnn.predict(SERIES.reshape(ROWS, -1, IN))
    assert np.abs(series.join(found, ROWS) - long.reshape(-1, HIDDEN)).max() < 1e-12


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: series.cut(SERIES[:-1], 3, 2),
            errors.DataError,
            r"a multiple of 6 steps, .* got 59\. Pass series\[:54\]",
        ),
        (
            lambda: series.cut(SERIES[:4], 3, 2),
            errors.DataError,
            r"got 4\. Choose smaller ones",
        ),
        (lambda: series.cut([], 3, 2), errors.DataError, "got 0"),
        (lambda: series.cut(3.0, 3, 2), errors.DataError, "got 0"),
        (
            lambda: series.cut(SERIES, 0, 2),
            errors.ConfigError,
            "'batch_size' takes an integer of 1 or more",
        ),
        (
            lambda: series.cut(SERIES, 3, True),
            errors.ConfigError,
            "'steps' takes an integer of 1 or more",
        ),
        (
            lambda: series.join(SERIES, 2.0),
            errors.ConfigError,
            "'batch_size' takes an integer",
        ),
        (
            lambda: series.join(SERIES[:, 0], 2),
            errors.DataError,
            r"takes \(batches \* 2, steps, ...\)",
        ),
        (
            lambda: series.join(SERIES[:3], 2),
            errors.DataError,
            r"got \(3, 4\)\. Pass return_sequences=True",
        ),
        (lambda: series.join(SERIES[:0], 2), errors.DataError, r"got \(0, 4\)"),
    ],
)
def test_what_cannot_be_cut_or_joined_is_told(call, error, words):
    with pytest.raises(error, match=words):
        call()
