"""Training in segments, against a NumPy loop and against the gradient of whole sequences."""

import copy

import numpy as np
import pytest

from recursive import (
    GRU,
    LSTM,
    SGD,
    Activation,
    BatchNormalization,
    Bidirectional,
    Dense,
    DropMask,
    Dropout,
    Embedding,
    Flatten,
    Graph,
    Greedy,
    Masking,
    Recursive,
    Sequential,
    SimpleRNN,
    TimeDistributedDense,
    errors,
)
from recursive.optimizers import Adam
from recursive.training.recompute import Recompute
from tests.cases import BATCH, HIDDEN, IN, with_random_weights
from tests.training import test_tbptt as by_hand

OUT, TIME = 2, 7  # segments of 3, 3 and 1 steps
RNG = np.random.RandomState(11)
X = RNG.normal(size=(2 * BATCH, TIME, IN))
Y = RNG.normal(size=(2 * BATCH, TIME, OUT))
H = RNG.normal(size=(2 * BATCH, TIME, HIDDEN))
WORDS = RNG.randint(1, 9, size=(2 * BATCH, TIME))
WORDS[1, 4:] = WORDS[2, :2] = 0
PADDED = X.copy()
PADDED[1, 4:] = PADDED[2, :2] = 0


def recurrent(**settings):
    rnn = Recursive(**{"return_sequences": True, **settings})
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(
        Dense(IN + HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["x", "h"],
        return_state="h",
        create_output=True,
    )
    return rnn


def chain(*layers):
    return lambda: Sequential([layer() for layer in layers])


def readout():
    return TimeDistributedDense(HIDDEN, OUT)


def two_steps_back():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN, initial=0.25)
    rnn.add_node(Dense(IN, HIDDEN), "seen", input="x")
    rnn.add_node(
        Dense(3 * HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["seen", "h_tm2", "h_tm1"],
        return_state="h",
    )
    rnn.add_node(Dense(2 * HIDDEN, OUT), "out", inputs=["rec", "seen_tm1"])
    rnn.add_output("y", input="out")
    return rnn


def with_context():
    rnn = recurrent()
    rnn.add_input("c", dim=3, is_sequence=False)
    rnn.add_node(Dense(3 + HIDDEN, OUT), "y", inputs=["c", "rec"], create_output=True)
    return rnn


def nested():
    inner = Recursive(stateful=True, n_steps=2)
    inner.add_input("u", dim=IN, is_sequence=False)
    inner.add_state("s", dim=3)
    inner.add_node(
        Dense(IN + 3, 3, activation="tanh"),
        "n",
        inputs=["u", "s"],
        return_state="s",
        create_output=True,
    )
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(inner, "inner", input="x")
    rnn.add_node(Dense(3, OUT), "y", input="inner", create_output=True)
    return rnn


def shared():
    layer = Dense(HIDDEN, HIDDEN, activation="tanh")
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=HIDDEN)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_state("g", dim=HIDDEN)
    rnn.add_node(layer, "a", inputs=["x", "h"], merge_mode="sum", return_state="h")
    rnn.add_node(
        layer,
        "b",
        inputs=["a", "g"],
        merge_mode="sum",
        return_state="g",
        create_output=True,
    )
    return rnn


def says_words():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_state("word", dtype="int", initial=1)
    rnn.add_node(Embedding(OUT, 3), "read", input="word")
    rnn.add_node(
        Dense(IN + 3 + HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["x", "read", "h"],
        return_state="h",
    )
    rnn.add_node(
        Dense(HIDDEN, OUT, activation="softmax"), "p", input="rec", create_output=True
    )
    rnn.add_node(Greedy(), "choice", input="p", return_state="word")
    return rnn


def frozen():
    model = Sequential([recurrent(), readout()])
    model.layers[1].trainable = False
    return model


def two_branches():
    model = Graph()
    model.add_input("x", ndim=3, dim=IN)
    model.add_node(recurrent(), "rec", input="x", create_output=True)
    model.add_node(GRU(IN, OUT), "last", input="x", create_output=True)
    return model


LAST = {"x": X}, {"y": Y}
MODELS = {
    "sequences": (chain(recurrent, readout), X, Y, {}),
    "the last step": (
        chain(lambda: recurrent(return_sequences=False), lambda: Dense(HIDDEN, OUT)),
        X,
        Y[:, 0],
        {},
    ),
    "final states": (
        lambda: recurrent(return_final_states=True),
        X,
        {"rec": H, "h_final": H[:, 0]},
        {},
    ),
    "a sequence and a last step": (two_branches, X, {"rec": H, "last": Y[:, 0]}, {}),
    "stateful": (
        chain(lambda: recurrent(stateful=True), readout),
        X,
        Y,
        {"shuffle": False},
    ),
    "two steps back": (two_steps_back, X, Y, {}),
    "a context": (with_context, {"x": X, "c": H[:, 0, :3]}, {"rec": H, "y": Y}, {}),
    "nested": (nested, X, Y, {}),
    "shared": (shared, H, H, {}),
    "frozen": (frozen, X, Y, {}),
    "words that it says": (says_words, X, Y, {}),
    "LSTM over GRU": (
        chain(
            lambda: GRU(IN, HIDDEN, return_sequences=True),
            lambda: Activation("tanh"),
            lambda: LSTM(HIDDEN, OUT),
        ),
        X,
        Y[:, 0],
        {},
    ),
    "masked": (
        chain(
            lambda: Masking(),
            lambda: SimpleRNN(IN, HIDDEN, return_sequences=True),
            readout,
        ),
        PADDED,
        Y,
        {},
    ),
    "words": (
        chain(
            lambda: Embedding(9, IN, mask_zero=True),
            lambda: recurrent(),
            readout,
        ),
        WORDS,
        Y,
        {},
    ),
    "sample weights": (
        chain(recurrent, readout),
        X,
        Y,
        {"sample_weight": RNG.uniform(size=(2 * BATCH, TIME))},
    ),
    "penalties": (
        chain(
            lambda: SimpleRNN(IN, HIDDEN, return_sequences=True),
            lambda: TimeDistributedDense(HIDDEN, OUT, W_regularizer="l2"),
        ),
        X,
        Y,
        {},
    ),
    "one step": (chain(recurrent, readout), X[:, :1], Y[:, :1], {}),
}


def trained(build, x, y, settings, optimizer, backend="python", **more):
    model = build()
    model.build()
    with_random_weights(model)
    names = list(model.output_names)
    loss = "mse" if len(names) == 1 else dict.fromkeys(names, "mse")
    model.compile(optimizer, loss, metrics=["mae"], backend=backend)
    np.random.seed(3)
    history = model.fit(
        x, y=y, batch_size=BATCH, nb_epoch=2, verbose=0, **settings, **more
    ).history
    states = model.get_states()
    return model.get_weights(), history, states


def check_equal(name, backend, tolerance):
    build, x, y, settings = MODELS[name]
    found = trained(build, x, y, settings, Adam(clipnorm=1.0), backend, recompute=True)
    expected = trained(build, x, y, settings, Adam(clipnorm=1.0), backend)
    for a, b in zip(found[0], expected[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
    assert list(found[1]) == list(expected[1])
    for key, values in found[1].items():
        np.testing.assert_allclose(values, expected[1][key], atol=tolerance)
    assert list(found[2]) == list(expected[2])
    for key, value in found[2].items():
        np.testing.assert_allclose(value, expected[2][key], atol=tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_training_in_segments_equals_training_on_whole_sequences(name):
    check_equal(name, "python", 1e-10)


@pytest.mark.compiled
@pytest.mark.parametrize("backend", ["c", "jax"])
@pytest.mark.parametrize(
    "name", ["sequences", "the last step", "stateful", "words", "two steps back"]
)
def test_backends_train_in_segments(name, backend):
    check_equal(name, backend, 1e-9)


def test_training_in_segments_gives_the_weights_of_the_loop_by_hand():
    model, weights = by_hand.compiled(
        Sequential([recurrent(stateful=True), TimeDistributedDense(HIDDEN, OUT)])
    )
    x, y = by_hand.X, by_hand.Y
    expected, loss, h = by_hand.by_hand(weights, by_hand.TIME, None)
    found = model.fit(
        x, y, batch_size=BATCH, nb_epoch=1, verbose=0, shuffle=False, recompute=True
    )
    for a, b in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)
    assert abs(found.history["loss"][0] - loss) < 1e-10
    np.testing.assert_allclose(model.get_states()["layer_0.h"], h, atol=1e-10)


def test_a_batch_runs_in_as_many_segments_as_a_segment_has_steps():
    model = Sequential([recurrent(), readout()])
    model.compile("sgd", "mse", backend="python")
    arrays = model._weighted_pairs(X, Y, None)
    step = Recompute(model, model._current_programs())
    lengths = [piece.stop - piece.start for piece in step._segments(arrays)]
    assert lengths == [3, 3, 1]


def reads_past_inputs():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=OUT)
    rnn.add_node(
        Dense(IN + OUT, OUT),
        "y",
        inputs=["x_tm1", "h"],
        return_state="h",
        create_output=True,
    )
    return rnn


def learned_start():
    rnn = recurrent()
    rnn.add_state("g", dim=OUT, input="y", initial="learned")
    rnn.add_node(Dense(HIDDEN + OUT, OUT), "y", inputs=["rec", "g"])
    return rnn


@pytest.mark.parametrize(
    ("build", "x", "y", "words"),
    [
        (
            chain(lambda: Dense(IN, OUT)),
            X[:, 0],
            Y[:, 0],
            "takes an input that is a sequence; got none",
        ),
        (
            chain(lambda: Bidirectional(GRU(IN, 1, return_sequences=True))),
            X,
            Y,
            r"got go_backwards=True in layer_0\.backward_layer",
        ),
        (
            lambda: recurrent(unroll=True, n_steps=TIME),
            X,
            H,
            "got n_steps in the model",
        ),
        (
            lambda: recurrent(truncate_gradient=2),
            X,
            H,
            "got truncate_gradient in the model",
        ),
        (learned_start, X, H, "got an initial state that is not a number"),
        (
            reads_past_inputs,
            X,
            Y,
            "takes loops that read each input at its own step, .* got x_tm1",
        ),
        (
            chain(Masking, lambda: SimpleRNN(IN, OUT)),
            PADDED,
            Y[:, 0],
            "takes outputs that are sequences, if steps are masked",
        ),
        (
            chain(Masking, lambda: SimpleRNN(IN, OUT, return_sequences=True), DropMask),
            PADDED,
            Y,
            r"takes masks that reach the outputs.* got layer_2 \(DropMask\)",
        ),
        (
            chain(recurrent, lambda: Dropout(0.5)),
            X,
            H,
            "takes a model without random draws",
        ),
        (
            chain(
                lambda: recurrent(return_sequences=False),
                lambda: BatchNormalization((HIDDEN,)),
            ),
            X,
            H[:, 0],
            "takes layers that treat each step alone",
        ),
        (
            chain(recurrent, Flatten),
            X,
            H.reshape(2 * BATCH, -1),
            r"got layer_1 \(Flatten\)",
        ),
    ],
)
def test_what_segments_would_change_is_refused_before_anything_is_trained(
    build, x, y, words
):
    model = build()
    model.compile("sgd", dict.fromkeys(model.output_names, "mse"))
    model.build()
    before = model.get_weights()
    with pytest.raises(errors.ConfigError, match=words):
        model.fit(x, y=y, batch_size=BATCH, nb_epoch=1, verbose=0, recompute=True)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_recompute_and_truncated_gradients_exclude_each_other():
    model = Sequential([recurrent(stateful=True), readout()])
    model.compile(SGD(), "mse")
    with pytest.raises(errors.ConfigError, match="takes None if recompute is True"):
        model.fit(X, Y, batch_size=BATCH, shuffle=False, tbptt_steps=2, recompute=True)


def test_sequences_of_different_lengths_are_refused():
    model = by_hand.joined()
    model.compile("sgd", {"rec": "mse"})
    x = {"x": X, "z": RNG.normal(size=(2 * BATCH, TIME + 1, IN))}
    with pytest.raises(
        errors.SequenceLengthError, match="'recompute' takes sequences of equal"
    ):
        model.fit(x, y={"rec": H}, verbose=0, shuffle=False, recompute=True)


def test_a_second_fit_compiles_nothing():
    model = Sequential([recurrent(), readout()])
    model.compile("sgd", "mse", backend="python")
    model.fit(X, Y, batch_size=BATCH, nb_epoch=1, verbose=0, recompute=True)
    first = model._recompute
    model.fit(X, Y, batch_size=BATCH, nb_epoch=1, verbose=0, recompute=True)
    assert model._recompute is first
    model.compile("sgd", "mae", backend="python")
    model.fit(X, Y, batch_size=BATCH, nb_epoch=1, verbose=0, recompute=True)
    assert model._recompute is not first


def test_a_model_that_was_trained_in_segments_can_be_copied():
    model = Sequential([recurrent(), readout()])
    model.compile("sgd", "mse", backend="python")
    model.fit(X, Y, batch_size=BATCH, nb_epoch=1, verbose=0, recompute=True)
    copied = copy.deepcopy(model)
    np.testing.assert_array_equal(copied.predict(X), model.predict(X))
    copied.fit(X, Y, batch_size=BATCH, nb_epoch=1, verbose=0, recompute=True)
    assert np.abs(copied.get_weights()[0] - model.get_weights()[0]).max() > 0
