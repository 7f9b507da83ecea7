"""NaN and infinity in the data are named, and no learning rate is blamed for them."""

import numpy as np
import pytest

from recursive import LSTM, Dense, Masking, Recursive, Sequential, errors
from recursive.layers.core import TimeDistributedDense


def dense():
    model = Sequential([Dense(4, 2)])
    model.compile("sgd", "mse")
    return model


def data(rows=10):
    rng = np.random.default_rng(1)
    return rng.normal(size=(rows, 4)), rng.normal(size=(rows, 2))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("shuffle", [False, True])
def test_fit_names_the_array_and_the_row_and_restores_the_weights(value, shuffle):
    model, (X, y) = dense(), data()
    X[7, 2] = value
    before = model.get_weights()
    with pytest.raises(errors.DataError) as caught, np.errstate(all="ignore"):
        model.fit(X, y, batch_size=3, verbose=0, shuffle=shuffle)
    message = str(caught.value)
    assert f"input 'input' takes finite numbers; got {value} in row 7" in message
    assert "input[7, 2]" in message
    assert "learning rate" not in message
    assert "Weights and optimizer are back at the initial ones" in message
    for found, weight in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, weight)


def test_targets_are_looked_at_too():
    model, (X, y) = dense(), data()
    y[4, 1] = np.nan
    for call in (model.evaluate, model.fit):
        with pytest.raises(errors.DataError, match=r"target 'output' .* output\[4, 1]"):
            call(X, y, batch_size=3, verbose=0)


@pytest.mark.parametrize(
    ("method", "held"),
    [("train_on_batch", "The step was made"), ("test_on_batch", "is unchanged")],
)
def test_a_single_batch_is_looked_at(method, held):
    model, (X, y) = dense(), data()
    X[7, 2] = np.nan
    with pytest.raises(errors.DataError, match=rf"input\[7, 2].*{held}"):
        getattr(model, method)(X, y)


def test_validation_names_its_row():
    model, (X, y) = dense(), data()
    X[9, 0] = np.nan
    with pytest.raises(errors.DataError, match=r"got nan in row 1 of .*end of epoch 1"):
        model.fit(X, y, verbose=0, validation_split=0.2)


def test_a_target_of_weight_0_may_be_nan():
    model, (X, y) = dense(), data()
    y[4] = np.nan
    weights = np.ones(10)
    weights[4] = 0.0
    model.fit(X, y, nb_epoch=1, verbose=0, sample_weight=weights)
    X[6, 3] = np.nan
    with pytest.raises(errors.DataError, match=r"input\[6, 3]"):
        model.fit(X, y, nb_epoch=1, verbose=0, sample_weight=weights)


def masking_nan():
    lstm = LSTM(4, 6, return_sequences=True)
    model = Sequential([Masking(np.nan), lstm, TimeDistributedDense(6, 2)])
    model.compile("sgd", "mse")
    X, y = np.ones((3, 5, 4)), np.ones((3, 5, 2))
    X[1, :2] = np.nan
    y[1, :2] = np.nan
    return model, X, y


def test_masked_steps_may_be_nan():
    model, X, y = masking_nan()
    model.fit(X, y, nb_epoch=1, verbose=0)
    y[2, 3, 1] = np.nan
    with pytest.raises(errors.DataError, match=r"output\[2, 3, 1]"):
        model.fit(X, y, nb_epoch=1, verbose=0)


def test_masked_nan_is_not_blamed_for_a_learning_rate():
    model, X, y = masking_nan()
    model.optimizer.lr = 1e300
    with pytest.raises(errors.DivergenceError), np.errstate(all="ignore"):
        model.fit(X, y * 1e10, nb_epoch=9, verbose=0)


def test_data_that_breaks_the_weights_but_not_the_loss_is_found_in_the_batch_before():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_mask()
    rnn.add_state("h", dim=6)
    rnn.add_node(
        Dense(10, 6, activation="tanh"),
        "rec",
        inputs=["x", "h"],
        return_state="h",
        create_output=True,
    )
    rnn.compile("sgd", "mse")
    x, mask = np.ones((4, 3, 4)), np.ones((4, 3))
    x[1, 2], mask[1, 2] = np.nan, 0  # 0 times NaN is NaN, in the gradient
    rows = {"x": x, "mask": mask, "rec": np.zeros((4, 3, 6))}
    with pytest.raises(errors.DataError, match=r"'x' .* row 1 of the data, at x\[1, 2"):
        rnn.fit(rows, batch_size=2, nb_epoch=1, verbose=0, shuffle=False)
