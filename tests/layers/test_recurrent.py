"""Recurrent layers against NumPy loops written from the papers' equations."""

import inspect

import numpy as np
import pytensor
import pytest

from recursive import (
    GRU,
    JZS1,
    JZS2,
    JZS3,
    LSTM,
    Dense,
    Sequential,
    SimpleDeepRNN,
    SimpleRNN,
)
from recursive.backend import evaluate
from recursive.errors import ConfigError, ShapeError, UnknownNameError
from recursive.layers import recurrent

BATCH, TIME, IN, HIDDEN = 3, 5, 4, 6
X = np.random.RandomState(0).normal(size=(BATCH, TIME, IN))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def hard_sigmoid(z):
    return np.clip(0.2 * z + 0.5, 0, 1)


def over_time(step, w, x, states=1):
    """The first state of ``step(w, x_t, *states)`` at every step, batch first."""
    past = [np.zeros((len(x), HIDDEN)) for _ in range(states)]
    found = []
    for t in range(x.shape[1]):
        past = step(w, x[:, t], *past)
        found.append(past[0])
    return np.stack(found, axis=1)


def simple_rnn(w, x, h):
    return (sigmoid(x @ w["W"] + h @ w["U"] + w["b"]),)


def gru(w, x, h):
    update = hard_sigmoid(x @ w["W_z"] + h @ w["U_z"] + w["b_z"])
    reset = hard_sigmoid(x @ w["W_r"] + h @ w["U_r"] + w["b_r"])
    proposed = sigmoid(x @ w["W_h"] + (h * reset) @ w["U_h"] + w["b_h"])
    return (update * h + (1 - update) * proposed,)


def lstm(w, x, h, c):
    gate = {g: x @ w[f"W_{g}"] + h @ w[f"U_{g}"] + w[f"b_{g}"] for g in "icfo"}
    c = hard_sigmoid(gate["f"]) * c + hard_sigmoid(gate["i"]) * np.tanh(gate["c"])
    return hard_sigmoid(gate["o"]) * np.tanh(c), c


def simple_deep_rnn(w, x, *past):
    """States: h one, two and three steps back, then 1 for each step that was there."""
    back, there = past[:3], past[3:]
    z = x @ w["W"] + w["b"]
    for k in range(3):
        z = z + np.where(there[k] == 1, hard_sigmoid(back[k] @ w[f"U{k + 1}"]), 0)
    return sigmoid(z), back[0], back[1], np.ones_like(there[0]), there[0], there[1]


def jzs1(w, x, h):
    update = sigmoid(x @ w["W_z"] + w["b_z"])
    reset = sigmoid(x @ w["W_r"] + h @ w["U_r"] + w["b_r"])
    proposed = np.tanh(np.tanh(x @ w["Pmat"]) + (reset * h) @ w["U_h"] + w["b_h"])
    return (update * proposed + (1 - update) * h,)


def jzs2(w, x, h):
    update = sigmoid(x @ w["W_z"] + h @ w["U_z"] + w["b_z"])
    reset = sigmoid(x @ w["Pmat"] + h @ w["U_r"] + w["b_r"])
    proposed = np.tanh(x @ w["W_h"] + (reset * h) @ w["U_h"] + w["b_h"])
    return (update * proposed + (1 - update) * h,)


def jzs3(w, x, h):
    update = sigmoid(x @ w["W_z"] + np.tanh(h) @ w["U_z"] + w["b_z"])
    reset = sigmoid(x @ w["W_r"] + h @ w["U_r"] + w["b_r"])
    proposed = np.tanh(x @ w["W_h"] + (reset * h) @ w["U_h"] + w["b_h"])
    return (update * proposed + (1 - update) * h,)


LOOPS = {
    SimpleRNN: (simple_rnn, 1),
    SimpleDeepRNN: (simple_deep_rnn, 6),
    GRU: (gru, 1),
    LSTM: (lstm, 2),
    JZS1: (jzs1, 1),
    JZS2: (jzs2, 1),
    JZS3: (jzs3, 1),
}
"""Every recurrent layer with its step and its number of states, for default activations."""


def random_weights(layer, seed=7):
    rng = np.random.RandomState(seed)
    layer.set_weights([rng.normal(0, 0.7, w.shape) for w in layer.get_weights()])
    fixed = {"Pmat": layer.Pmat.get_value()} if hasattr(layer, "Pmat") else {}
    return {
        name: param.get_value() for name, param in layer.named_params.items()
    } | fixed


def value(output):
    return evaluate([output], {})[0]


def test_every_recurrent_layer_has_a_loop_here():
    named = {
        thing for name in recurrent.__all__ for thing in [getattr(recurrent, name)]
    }
    assert named - {recurrent.RecurrentLayer} == set(LOOPS)


@pytest.mark.parametrize("kind", LOOPS, ids=lambda kind: kind.__name__)
def test_a_recurrent_layer_equals_a_numpy_loop(kind):
    layer = kind(IN, HIDDEN, return_sequences=True)
    step, states = LOOPS[kind]
    expected = over_time(step, random_weights(layer), X, states)
    assert np.abs(value(layer(X)) - expected).max() < 1e-13
    layer.return_sequences = False
    assert np.abs(value(layer(X)) - expected[:, -1]).max() < 1e-13


@pytest.mark.parametrize("kind", LOOPS, ids=lambda kind: kind.__name__)
def test_one_row_of_one_value_over_one_step_is_no_special_case(kind):
    layer = kind(1, 1, return_sequences=True)
    weights = random_weights(layer)
    step, states = LOOPS[kind]
    past = [np.zeros((1, 1))] * states
    assert (
        np.abs(
            value(layer(np.ones((1, 1, 1))))[:, 0]
            - step(weights, np.ones((1, 1)), *past)[0]
        ).max()
        < 1e-14
    )


@pytest.mark.parametrize("kind", LOOPS, ids=lambda kind: kind.__name__)
def test_a_recurrent_layer_learns(kind):
    model = Sequential([kind(IN, HIDDEN), Dense(HIDDEN, 2)])
    model.compile("adam", "mse")
    y = np.random.RandomState(1).normal(size=(BATCH, 2))
    before = model.test_on_batch(X, y)
    model.fit(X, y, nb_epoch=5, verbose=0)
    assert model.test_on_batch(X, y) < before


@pytest.mark.parametrize("kind", LOOPS, ids=lambda kind: kind.__name__)
def test_float32_stays_float32(kind):
    with pytensor.config.change_flags(floatX="float32"):
        assert (
            kind(IN, HIDDEN)(np.ones((BATCH, TIME, IN), dtype="float32")).dtype
            == "float32"
        )


@pytest.mark.parametrize("kind", LOOPS, ids=lambda kind: kind.__name__)
def test_the_configuration_makes_the_layer_again(kind):
    layer = kind(
        IN,
        HIDDEN,
        activation="relu",
        truncate_gradient=3,
        return_sequences=True,
        seed=4,
    )
    config = layer.get_config()
    assert config.pop("name") == kind.__name__
    assert config.keys() == inspect.signature(kind).parameters.keys() - {
        "name",
        "weights",
    }
    again = kind(**config)
    assert again.get_config() == layer.get_config()
    assert all(
        np.array_equal(a, b)
        for a, b in zip(again.get_weights(), layer.get_weights(), strict=True)
    )


def test_the_fixed_projection_is_the_same_in_every_process_so_that_saved_weights_fit():
    signs = JZS1(IN, HIDDEN).Pmat.get_value() * np.sqrt(IN)
    assert set(np.round(np.unique(signs), 12)) == {-1.0, 1.0}
    np.random.seed(1)
    assert np.array_equal(JZS2(IN, HIDDEN).Pmat.get_value() * np.sqrt(IN), signs)
    assert not np.array_equal(
        JZS1(IN, HIDDEN, seed=3).Pmat.get_value() * np.sqrt(IN), signs
    )
    assert np.array_equal(JZS1(IN, IN).Pmat.get_value(), np.eye(IN))
    assert "Pmat" not in JZS1(IN, HIDDEN).named_params


def test_a_simple_deep_rnn_reads_depth_steps_back():
    layer = SimpleDeepRNN(IN, HIDDEN, depth=2)
    assert list(layer.named_params) == ["W", "U1", "U2", "b"]
    with pytest.raises(ShapeError, match="an integer of 1 or more as depth"):
        SimpleDeepRNN(IN, HIDDEN, depth=0)


def test_the_biases_of_forget_gates_start_at_one():
    layer = LSTM(IN, HIDDEN)
    assert (layer.b_f.get_value() == 1).all()
    assert (LSTM(IN, HIDDEN, forget_bias_init="zero").b_f.get_value() == 0).all()
    assert all(
        (bias.get_value() == 0).all() for bias in (layer.b_i, layer.b_c, layer.b_o)
    )


def test_an_lstm_draws_its_gates_in_the_order_of_2015_which_is_not_that_of_its_parameters():
    np.random.seed(3)
    limit = np.sqrt(6 / (IN + HIDDEN))
    drawn = {}
    for gate in "ifco":
        drawn[gate] = np.random.uniform(-limit, limit, (IN, HIDDEN))
        np.random.normal(size=(HIDDEN, HIDDEN))
    np.random.seed(3)
    layer = LSTM(IN, HIDDEN)
    assert all(
        np.array_equal(getattr(layer, f"W_{gate}").get_value(), drawn[gate])
        for gate in drawn
    )
    assert list(layer.named_params)[:6] == ["W_i", "U_i", "b_i", "W_c", "U_c", "b_c"]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: GRU(0, 6), ShapeError, "input_dim"),
        (lambda: LSTM(4, 2.5), ShapeError, "output_dim"),
        (
            lambda: SimpleRNN(4, 6, truncate_gradient=0),
            ConfigError,
            "truncate_gradient of -1, or 1 and more",
        ),
        (lambda: GRU(4, 6, truncate_gradient=-2), ConfigError, "got -2"),
        (lambda: LSTM(4, 6, truncate_gradient=True), ConfigError, "got True"),
        (
            lambda: LSTM(4, 6, inner_activation="hard_sigmid"),
            UnknownNameError,
            "Did you mean 'hard_sigmoid'",
        ),
        (
            lambda: LSTM(4, 6, forget_bias_init="ones"),
            UnknownNameError,
            "Did you mean 'one'",
        ),
        (
            lambda: GRU(4, 6)(X[:, 0]),
            ShapeError,
            "layer 'GRU' takes .batch, time, dim.",
        ),
    ],
)
def test_wrong_arguments_are_refused_at_once(make, error, words):
    with pytest.raises(error, match=words):
        make()
