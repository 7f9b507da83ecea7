"""A Sequential of cells as one node of a loop, and as the cell of an RNN."""

import numpy as np
import pytensor.tensor as pt
import pytest

from recursive import (
    RNN,
    Activation,
    Bidirectional,
    Blend,
    Dense,
    Dropout,
    Embedding,
    Graph,
    Masking,
    Recurrent,
    RecurrentDeep,
    RecurrentDense,
    RecurrentGRU,
    RecurrentLSTM,
    Recursive,
    Sequential,
    backend,
    errors,
    model_from_json,
)
from tests.cases import BATCH, HIDDEN, IN, TIME, weights_of, with_random_weights
from tests.test_recurrentshop import (
    close,
    dense,
    gru_step,
    lstm_step,
    part,
    simple_step,
)

X = np.random.RandomState(3).normal(size=(BATCH, TIME, IN))
MASK = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 0, 1], [1, 1, 1, 1, 1]])


def cells():
    """An LSTM of 3, a Dense of 2 and a GRU."""
    return Sequential(
        [
            RecurrentLSTM(IN, 3),
            Dense(3, 2),
            RecurrentGRU(2, HIDDEN, activation="tanh"),
        ]
    )


def as_node(chain=None, **settings):
    rnn = Recurrent(return_sequences=True, **settings)
    rnn.add_input("x", dim=IN)
    rnn.add_node(chain or cells(), "y", input="x")
    rnn.add_output("y", input="y")
    return rnn


def step(w, x, states):
    """One step: the new states, h of the GRU first."""
    g, h, c = states
    h, c = lstm_step(part(w, "layer_0"), x, h, c)
    (g,) = gru_step(part(w, "layer_2"), dense(part(w, "layer_1"), h), g)
    return g, h, c


def zeros():
    return np.zeros((BATCH, HIDDEN)), np.zeros((BATCH, 3)), np.zeros((BATCH, 3))


def oracle(w, x, states=None):
    states, found = states or zeros(), []
    for t in range(x.shape[1]):
        states = step(w, x[:, t], states)
        found.append(states)
    return [np.stack(values, 1) for values in zip(*found, strict=True)]


def test_a_chain_is_a_node_whose_states_are_named_by_its_layers():
    rnn = with_random_weights(as_node(return_final_states=True))
    assert rnn.spec.nodes[0].outputs == ("output", "layer_0_output", "layer_0_cell")
    expected = oracle(part(weights_of(rnn), "y"), X)
    found = rnn.predict(X)
    assert list(found) == [
        "y",
        "y_final",
        "y_layer_0_output_final",
        "y_layer_0_cell_final",
    ]
    assert close(found["y"], expected[0])
    for value, right in zip(list(found.values())[1:], expected, strict=True):
        assert close(value, right[:, -1])
    trace = rnn.trace(X)
    assert close(trace["y.layer_0_cell"], expected[2])
    assert rnn.summary() and rnn.explain() and rnn.draw().mermaid


def test_the_states_of_a_chain_are_kept_between_batches():
    rnn = with_random_weights(as_node(stateful=True))
    expected = oracle(part(weights_of(rnn), "y"), X)
    found = [rnn.predict(part) for part in (X[:, :2], X[:, 2:])]
    assert close(np.concatenate(found, 1), expected[0])
    states = rnn.get_states()
    assert list(states) == ["y", "y.layer_0_output", "y.layer_0_cell"]
    assert close(states["y.layer_0_cell"], expected[2][:, -1])


def test_a_masked_step_keeps_the_states_of_a_chain():
    rnn = as_node()
    rnn.add_mask()
    rnn = with_random_weights(rnn)
    w, states = part(weights_of(rnn), "y"), zeros()
    found = rnn.predict({"x": X, "mask": MASK})["y"]
    shown = np.zeros((BATCH, HIDDEN))
    for t in range(TIME):
        is_data = MASK[:, t, None] == 1
        new = step(w, X[:, t], states)
        states = [
            np.where(is_data, now, old) for now, old in zip(new, states, strict=True)
        ]
        shown = np.where(is_data, states[0], shown)
        assert close(found[:, t], shown)


def test_a_chain_of_states_and_starts_of_the_users_own():
    """A port that is connected reads what the user says."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=3, input="y.layer_0_output", initial=[1.0, 2.0, 3.0])
    ports = {"input": "x", "layer_0_prev_hid": "h"}
    rnn.add_node(cells(), "y", input=ports)
    rnn.add_output("y", input="y")
    with_random_weights(rnn)
    g, _, c = zeros()
    start = (g, np.tile([1.0, 2.0, 3.0], (BATCH, 1)), c)
    assert close(rnn.predict(X), oracle(part(weights_of(rnn), "y"), X, start)[0])


def test_a_chain_may_hold_a_chain_and_end_with_any_layer():
    inner = Sequential([RecurrentDense(3, activation="tanh"), Activation("tanh")])
    chain = Sequential([Dense(IN, 2), inner, RecurrentGRU(2, activation="tanh")])
    outer = Sequential([chain, Dense(HIDDEN, activation="tanh")])
    rnn = with_random_weights(as_node(outer))
    w = part(weights_of(rnn), "y")
    h, g = np.zeros((BATCH, 3)), np.zeros((BATCH, 2))
    found = rnn.predict(X)
    for t in range(TIME):
        below = dense(part(w, "layer_0.layer_0"), X[:, t])
        (h,) = simple_step(part(w, "layer_0.layer_1.layer_0"), below, h)
        (g,) = gru_step(part(w, "layer_0.layer_2"), np.tanh(h), g)
        y = np.tanh(dense(part(w, "layer_1"), g))
        assert close(found[:, t], y)


def test_a_chain_that_begins_with_words():
    chain = Sequential([Embedding(9, IN), RecurrentGRU(IN, HIDDEN, activation="tanh")])
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("word", ndim=2, dtype="int")
    rnn.add_node(chain, "y", input="word")
    with_random_weights(rnn)
    w, words = part(weights_of(rnn), "y"), np.array([[1, 8, 0], [2, 2, 3]])
    found, h = rnn.predict(words), np.zeros((2, HIDDEN))
    for t in range(3):
        (h,) = gru_step(part(w, "layer_1"), w["layer_0.W"][words[:, t]], h)
        assert close(found[:, t], h)
    with pytest.raises(errors.DataError, match="integers from 0 to 8"):
        rnn.predict(words + 1)


def test_noise_between_the_cells_is_drawn_for_every_step():
    chain = Sequential(
        [RecurrentGRU(IN, 3), Dropout(0.5), RecurrentGRU(3, HIDDEN, activation="tanh")]
    )
    rnn = with_random_weights(as_node(chain))
    keep = np.random.RandomState(4).uniform(size=(BATCH, TIME, 3))
    [found] = backend.evaluate([rnn(X, train=True, **{"y.layer_1.keep": keep})], {})
    w = part(weights_of(rnn), "y")
    h, g = np.zeros((BATCH, 3)), np.zeros((BATCH, HIDDEN))

    def low(x, h):
        def gate(name, past):
            own = part(w, "layer_0")
            return x @ own["W_" + name] + own["b_" + name] + past @ own["U_" + name]

        def inner(z):
            return np.clip(0.2 * z + 0.5, 0, 1)

        z, r = inner(gate("z", h)), inner(gate("r", h))
        return z * h + (1 - z) / (1 + np.exp(-gate("h", r * h)))

    for t in range(TIME):
        h = low(X[:, t], h)
        dropped = np.where(keep[:, t] >= 0.5, h / 0.5, 0)
        (g,) = gru_step(part(w, "layer_2"), dropped, g)
        assert close(found[:, t], g)


def test_a_chain_is_saved_copied_frozen_and_shared(tmp_path):
    chain = cells()
    rnn = with_random_weights(as_node(chain))
    again = model_from_json(rnn.to_json())
    assert again.get_config() == rnn.get_config()
    rnn.save_weights(tmp_path / "w.safetensors")
    again.build()
    again.load_weights(tmp_path / "w.safetensors")
    assert (again.predict(X) == rnn.predict(X)).all()
    chain.trainable = False
    assert rnn.get_params()[0] == []
    assert not model_from_json(rnn.to_json()).nodes["y"].trainable
    chain.trainable = True
    twice = Recurrent(return_sequences=True)
    twice.add_input("x", dim=IN)
    twice.add_node(chain, "a", input="x")
    twice.add_node(chain, "b", input="x_tm1")
    twice.add_output("b", input="b")
    shifted = np.concatenate([np.zeros((BATCH, 1, IN)), X[:, :-1]], 1)
    assert close(twice.predict(X), rnn.predict(shifted))
    assert len(twice.params) == len(rnn.params)
    loaded = model_from_json(twice.to_json())
    loaded.build()
    assert len(loaded.params) == len(rnn.params)


def test_a_chain_trains():
    rnn = as_node()
    rnn.compile("adam", "mse", backend="python")
    y = np.zeros((BATCH, TIME, HIDDEN))
    losses = [rnn.train_on_batch(X, y) for _ in range(5)]
    assert losses[-1] < losses[0]


# In an RNN


@pytest.mark.parametrize("settings", [{}, {"go_backwards": True}], ids=str)
def test_an_rnn_repeats_a_chain(settings):
    layer = RNN(cells(), return_sequences=True, **settings)
    assert layer.state_names == ("layer_2_h", "layer_0_h", "layer_0_c")
    model = with_random_weights(Sequential([layer]))
    w = part(weights_of(model), "layer_0")
    in_order = X[:, ::-1] if settings else X
    assert close(model.predict(X), oracle(w, in_order)[0])
    again = model_from_json(model.to_json())
    again.build()
    again.set_weights(model.get_weights())
    assert (again.predict(X) == model.predict(X)).all()
    layer.return_sequences = False
    assert close(Sequential([layer]).predict(X), oracle(w, in_order)[0][:, -1])


def test_an_rnn_of_a_chain_keeps_its_states():
    layer = RNN(cells(), return_sequences=True, stateful=True)
    model = with_random_weights(Sequential([layer]))
    expected = oracle(part(weights_of(model), "layer_0"), X)
    found = [model.predict(part) for part in (X[:, :2], X[:, 2:])]
    assert close(np.concatenate(found, 1), expected[0])
    kept = model.get_states()
    assert list(kept) == ["layer_0.layer_2_h", "layer_0.layer_0_h", "layer_0.layer_0_c"]
    assert close(kept["layer_0.layer_0_c"], expected[2][:, -1])


@pytest.mark.parametrize("mode", ["zero", "carry"])
def test_masked_steps_of_an_rnn_of_a_chain(mode):
    layer = RNN(cells(), return_sequences=True, mask_mode=mode)
    model = with_random_weights(Sequential([layer]))
    w = part(weights_of(model), "layer_0")
    [found] = backend.evaluate([layer(X, mask=pt.as_tensor_variable(MASK))], {})
    states, before = zeros(), np.ones((BATCH, 1))
    for t in range(TIME):
        valid = MASK[:, t, None]
        if mode == "zero":
            states = step(w, X[:, t], [before * state for state in states])
            before = valid
        else:
            new = step(w, X[:, t], states)
            states = [
                np.where(valid == 1, now, old)
                for now, old in zip(new, states, strict=True)
            ]
        assert close(found[:, t], states[0])


def test_an_rnn_of_a_chain_with_flags_forgets_as_its_cells_do():
    """RecurrentDeep forgets a step by its flag, not by its state."""
    chain = Sequential([RecurrentDeep(IN, 3, depth=2), RecurrentDeep(3, 2, depth=1)])
    model = with_random_weights(Sequential([Masking(9.0), RNN(chain)]))
    layers = [RNN(cell, return_sequences=True) for cell in chain.layers]
    padded = np.where(MASK[..., None] == 1, X, 9.0)
    x = pt.as_tensor_variable(np.where(MASK[..., None] == 1, X, 0.0))
    mask = pt.as_tensor_variable(MASK)
    one_by_one = layers[1](layers[0](x, mask=mask), mask=mask)[:, -1]
    [expected] = backend.evaluate([one_by_one], {})
    assert close(model.predict(padded), expected)


def test_a_bidirectional_chain():
    model = with_random_weights(Sequential([Bidirectional(RNN(cells()))]))
    w = weights_of(model)
    found = model.predict(X)
    forward = oracle(part(w, "layer_0.layer"), X)[0][:, -1]
    backward = oracle(part(w, "layer_0.backward_layer"), X[:, ::-1])[0][:, -1]
    assert close(found, np.concatenate([forward, backward], 1))


def test_the_rules_of_cells_in_a_chain_count():
    chain = Sequential(
        [RecurrentDense(IN, 3, W_regularizer="l1"), RecurrentDense(3, HIDDEN)]
    )
    for model in (as_node(chain), Sequential([RNN(chain, return_sequences=True)])):
        model.compile("sgd", "mse", backend="python")
        y = np.zeros((BATCH, TIME, HIDDEN))
        penalty = 0.01 * np.abs(chain.layers[0].W.get_value()).sum()
        plain = model.evaluate(X, y, verbose=0)
        assert abs(model.train_on_batch(X, y) - plain - penalty) < 1e-12


# What is refused


def test_what_a_chain_cannot_be_is_refused():
    rnn = Recurrent()
    rnn.add_input("x", dim=IN)
    with pytest.raises(
        errors.ConfigError, match="layer_1' takes a cell, or a layer with one input"
    ):
        rnn.add_node(Sequential([RecurrentGRU(3), Blend()]), "y", input="x")
    with pytest.raises(errors.ConfigError, match="takes a Sequential that ends with"):
        RNN(Sequential([RecurrentGRU(4, 6), Dense(2)]))
    with pytest.raises(errors.ConfigError, match="takes a cell; got Sequential"):
        RNN(Sequential([Dense(4, 6)]))
    with pytest.raises(errors.ConfigError, match="without random draws"):
        RNN(Sequential([Dropout(0.5), RecurrentGRU(4, 6)]))
    stateful = RNN(RecurrentGRU(3), stateful=True)
    with pytest.raises(errors.NodeError, match="takes a stateful container by itself"):
        rnn.add_node(Sequential([RecurrentGRU(3), stateful]), "y", input="x")

    class Mine(Sequential):
        def call(self, x, train=False):
            return super().call(x, train)

    with pytest.raises(errors.ConfigError, match=r"got one with Mine\.call"):
        rnn.add_node(Mine([RecurrentGRU(3)]), "y", input="x")


def test_layers_that_are_added_to_a_chain_later_are_noticed():
    chain = cells()
    rnn = as_node(chain)
    chain.add(RecurrentGRU(3))
    with pytest.raises(errors.NodeError, match="complete when it is declared"):
        rnn.build()


def test_a_chain_of_dims_that_do_not_fit_is_refused():
    chain = Sequential([RecurrentGRU(IN, 3), RecurrentGRU(2, HIDDEN)])
    with pytest.raises(
        errors.ShapeError, match=r"layer 'layer_1' takes dim 2, .* got 3"
    ):
        as_node(chain).build()


def test_in_a_graph_without_a_loop_a_chain_of_cells_has_no_step_before():
    graph = Graph()
    graph.add_input("x", dim=IN)
    with pytest.raises(errors.NodeError, match="prev_hid"):
        graph.add_node(cells(), "y", input="x")
