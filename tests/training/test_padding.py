"""Rows of different lengths: padded, the network gives what it gives for each alone."""

import numpy as np
import pytest

from recursive import (
    GRU,
    LSTM,
    Bidirectional,
    Dense,
    DropMask,
    Embedding,
    Graph,
    Masking,
    Merge,
    Recursive,
    Sequential,
    SimpleRNN,
    TimeDistributedDense,
    errors,
)

LENGTHS = [5, 2, 4]
RNG = np.random.default_rng(2015)
ROWS = [RNG.normal(size=(length, 4)) for length in LENGTHS]
WORDS = [RNG.integers(1, 9, size=length).tolist() for length in LENGTHS]
TARGETS = [RNG.normal(size=(length, 2)) for length in LENGTHS]


def tagger(*behind):
    layers = [Masking(), LSTM(4, 6, return_sequences=True), *behind]
    model = Sequential([*layers, TimeDistributedDense(6, 2)])
    model.compile("sgd", "mse")
    return model


def masked_loop():
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
    return rnn


@pytest.mark.parametrize(
    ("rows", "build"),
    [
        (ROWS, lambda: Sequential([Masking(), SimpleRNN(4, 6), Dense(6, 2)])),
        (ROWS, lambda: Sequential([Masking(-1.0), GRU(4, 6, mask_mode="carry")])),
        (ROWS, lambda: Sequential([Masking(np.nan), LSTM(4, 6)])),
        (ROWS, lambda: Sequential([Sequential([Masking()]), LSTM(4, 6)])),
        (
            ROWS,
            lambda: Sequential(
                [Masking(), Bidirectional(LSTM(4, 6, mask_mode="carry"))]
            ),
        ),
        (WORDS, lambda: Sequential([Embedding(9, 4, mask_zero=True), LSTM(4, 6)])),
        (
            np.array(WORDS, dtype=object),
            lambda: Sequential([Embedding(9, 4, mask_zero=True), LSTM(4, 6)]),
        ),
    ],
    ids=["vectors", "another value", "nan", "nested", "both ways", "words", "objects"],
)
def test_rows_of_different_lengths_give_what_each_gives_alone(rows, build):
    model = build()
    alone = [model.predict(np.array([row]))[0] for row in rows]
    np.testing.assert_allclose(model.predict(rows), alone, atol=1e-12)


def test_steps_come_last_and_padding_first():
    model = tagger()
    found = model.predict(ROWS)
    assert found.shape == (3, 5, 2)
    for row, padded in zip(ROWS, found, strict=True):
        alone = model.predict(row[np.newaxis])[0]
        np.testing.assert_allclose(padded[5 - len(row) :], alone, atol=1e-12)


@pytest.mark.parametrize("behind", [[], [DropMask()]], ids=["masked", "unmasked"])
def test_padded_steps_of_targets_do_not_count(behind):
    model = tagger(*behind)
    losses = []
    for row, target in zip(ROWS, TARGETS, strict=True):
        losses.append(model.test_on_batch(row[np.newaxis], target[np.newaxis]))
    expected = np.average(losses, weights=LENGTHS)
    assert model.test_on_batch(ROWS, TARGETS) == pytest.approx(expected)
    assert model.evaluate(ROWS, TARGETS, 2, verbose=0) == pytest.approx(expected)
    weights = np.array([1.0, 3.0, 0.0])
    expected = np.average(losses, weights=weights * LENGTHS)
    found = model.test_on_batch(ROWS, TARGETS, sample_weight=weights)
    assert found == pytest.approx(expected)


def test_a_loop_gets_the_mask_that_is_left_out():
    rnn = masked_loop()
    found = rnn.predict({"x": ROWS})["rec"]
    for row, padded in zip(ROWS, found, strict=True):
        ones = np.ones((1, len(row)))
        alone = rnn.predict({"x": row[np.newaxis], "mask": ones})["rec"][0]
        np.testing.assert_allclose(padded[5 - len(row) :], alone, atol=1e-12)
    given = {"x": ROWS, "mask": [[1] * length for length in LENGTHS]}
    np.testing.assert_array_equal(rnn.predict(given)["rec"], found)
    targets = [RNG.normal(size=(length, 6)) for length in LENGTHS]
    assert np.isfinite(rnn.train_on_batch({"x": ROWS, "rec": targets}))


def test_a_mask_of_other_lengths_is_refused():
    with pytest.raises(errors.SequenceLengthError, match="'mask' takes rows of the sa"):
        masked_loop().predict({"x": ROWS, "mask": np.ones((3, 5))})
    with pytest.raises(errors.SequenceLengthError, match="3 steps in row 1, where 'x'"):
        masked_loop().predict({"x": ROWS[::-1], "mask": [[1] * 4, [1] * 3, [1] * 5]})


def two_inputs(second):
    graph = Graph()
    graph.add_input("a", ndim=3, dim=4)
    graph.add_node(Masking(), "masked", input="a")
    graph.add_node(LSTM(4, 6), "last", input="masked", create_output=True)
    graph.add_node(second, "other", input="a", create_output=True)
    return graph


def test_an_input_of_a_graph_is_padded_if_every_node_masks_it():
    graph = two_inputs(Masking())
    found = graph.predict({"a": ROWS})["last"]
    alone = [graph.predict({"a": row[np.newaxis]})["last"][0] for row in ROWS]
    np.testing.assert_allclose(found, alone, atol=1e-12)
    for second in (GRU(4, 6), Masking(2.0)):
        with pytest.raises(errors.SequenceLengthError, match="nothing masks it"):
            two_inputs(second).predict({"a": ROWS})


def test_each_branch_of_a_merge_is_padded_for_itself():
    words = Sequential([Embedding(9, 3, mask_zero=True), GRU(3, 6)])
    vectors = Sequential([Masking(-1.0), LSTM(4, 6)])
    model = Sequential([Merge([words, vectors], mode="sum")])
    alone = []
    for word, row in zip(WORDS, ROWS, strict=True):
        alone.append(model.predict([np.array([word]), row[np.newaxis]])[0])
    np.testing.assert_allclose(model.predict([WORDS, ROWS]), alone, atol=1e-12)


@pytest.mark.parametrize(
    "layers", [[LSTM(4, 6)], [Dense(4, 6)], [TimeDistributedDense(4, 6), Masking()]]
)
def test_a_network_that_masks_nothing_refuses_them_and_says_what_to_do(layers):
    with pytest.raises(errors.ShapeError) as caught:
        Sequential(layers).predict(ROWS)
    if layers[0].input_ndim == 3:
        message = str(caught.value)
        assert "because nothing masks it, so padding would count as data" in message
        assert "Start with Masking() or Embedding(mask_zero=True)" in message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"go_backwards": True}, r"layer_1 \(LSTM\) runs backwards"),
        ({"stateful": True}, r"layer_1 \(LSTM\) is stateful"),
    ],
)
def test_a_layer_whose_result_would_depend_on_the_padding_refuses_it(settings, words):
    def model(mode):
        return Sequential([Masking(), LSTM(4, 6, mask_mode=mode, **settings)])

    with pytest.raises(errors.ConfigError, match=words):
        model("zero").predict(ROWS)
    model = model("carry")
    found = model.predict(ROWS)
    alone = []
    for row in ROWS:
        if settings.get("stateful"):
            model.reset_states()
        alone.append(model.predict(row[np.newaxis])[0])
    np.testing.assert_allclose(found, alone, atol=1e-12)


def test_targets_of_other_lengths_than_the_input_are_refused():
    model = tagger()
    with pytest.raises(errors.SequenceLengthError, match="row 0 of 4 steps and 5 in"):
        model.test_on_batch(ROWS, TARGETS[::-1])
    with pytest.raises(errors.SequenceLengthError, match="equally many steps"):
        model.test_on_batch(np.ones((3, 5, 4)), TARGETS)


def test_targets_of_a_layer_that_returns_steps_backwards_are_not_padded():
    layer = LSTM(4, 2, return_sequences=True, go_backwards=True, mask_mode="carry")
    model = Sequential([Masking(), layer])
    model.compile("sgd", "mse")
    with pytest.raises(errors.ConfigError, match="returns its steps backwards"):
        model.test_on_batch(ROWS, TARGETS)


def test_a_row_without_steps_is_named():
    with pytest.raises(errors.DataError, match=r"'input' .* got row 1 without steps"):
        tagger().predict([ROWS[0], np.ones((0, 4)), ROWS[1]])


def test_fit_pads_rows_and_holds_some_out():
    model = tagger()
    history = model.fit(
        ROWS, TARGETS, batch_size=2, nb_epoch=2, verbose=0, validation_split=0.4
    )
    assert np.isfinite(history.history["val_loss"]).all()


def test_class_numbers_are_padded_and_weighted_by_class():
    model = Sequential(
        [
            Embedding(9, 4, mask_zero=True),
            LSTM(4, 6, return_sequences=True),
            TimeDistributedDense(6, 3, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    tags = [[0, 1, 2, 0, 0], [2, 1], [1, 1, 0, 2]]
    weight_of_class = {0: 1.0, 1: 2.0, 2: 0.5}
    losses, totals = [], []
    for row, tag in zip(WORDS, tags, strict=True):
        weights = np.array([[weight_of_class[number] for number in tag]])
        pair = np.array([row]), np.array([tag])
        losses.append(model.test_on_batch(*pair, sample_weight=weights))
        totals.append(weights.sum())
    expected = np.average(losses, weights=totals)
    found = model.train_on_batch(WORDS, tags, class_weight=weight_of_class)
    assert found == pytest.approx(expected)
