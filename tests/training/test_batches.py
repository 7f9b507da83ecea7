"""Iterators of batches: what fit, evaluate and predict take from them, and refuse."""

import numpy as np
import pytest

from recursive import (
    LSTM,
    Callback,
    Dense,
    Graph,
    Masking,
    Recursive,
    Sequential,
    errors,
)
from recursive.layers.core import TimeDistributedDense
from recursive.training.batches import is_iterator

RNG = np.random.default_rng(2015)
X, Y = RNG.normal(size=(9, 4)), RNG.normal(size=(9, 2))
PARTS = [(X[i : i + 3], Y[i : i + 3]) for i in (0, 3, 6)]


class Loader:
    """A list-like object of batches, as torch has."""

    def __init__(self, parts=PARTS):
        self.parts = parts
        self.passes = 0

    def __iter__(self):
        self.passes += 1
        yield from self.parts

    def __len__(self):
        return len(self.parts)


def endless(parts=PARTS):
    while True:
        yield from parts


def dense():
    model = Sequential([Dense(4, 6, activation="tanh"), Dense(6, 2)])
    model.compile("sgd", "mse")
    return model


def twins(build=dense):
    first, second = build(), build()
    second.set_weights(first.get_weights())
    return first, second


def by_rows(model, **settings):
    settings = {"batch_size": 3, "nb_epoch": 2, "shuffle": False} | settings
    return model.fit(X, Y, verbose=0, **settings).history


# What is trained on


@pytest.mark.parametrize(
    ("source", "steps"),
    [(endless, 3), (Loader, None), (Loader, 3), (lambda: iter(PARTS * 2), 3)],
    ids=["endless", "loader", "loader with steps", "as many as needed"],
)
def test_batches_of_an_iterator_train_as_rows_do(source, steps):
    first, second = twins()
    history = second.fit(source(), nb_epoch=2, verbose=0, steps_per_epoch=steps)
    assert history.history == by_rows(first)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loader_goes_on_where_the_last_epoch_ended():
    seen = []

    class Noting(Loader):
        def __iter__(self):
            for number, part in enumerate(self.parts):
                seen.append(number)
                yield part

    dense().fit(Noting(), nb_epoch=2, verbose=0, steps_per_epoch=2)
    assert seen == [0, 1, 2, 0]


def test_a_batch_may_have_weights_or_be_a_dict():
    weights = np.array([1.0, 0.0, 2.0])
    first, second = twins()
    expected = first.train_on_batch(X[:3], Y[:3], sample_weight=weights)
    given = iter([[X[:3], Y[:3], weights]])
    history = second.fit(given, nb_epoch=1, verbose=0, steps_per_epoch=1)
    assert history.history["loss"] == [expected]
    rows = {"input": X[:3], "output": Y[:3]}
    assert second.evaluate(iter([rows]), verbose=0) == first.evaluate(
        X[:3], Y[:3], verbose=0
    )


def test_validation_data_may_be_an_iterator():
    first, second = twins()
    expected = by_rows(first, validation_data=(X[:6], Y[:6]))
    history = second.fit(
        Loader(), nb_epoch=2, verbose=0, validation_data=Loader(), validation_steps=2
    )
    np.testing.assert_allclose(history.history["val_loss"], expected["val_loss"])
    third, fourth = twins()
    expected = by_rows(third, validation_data=(X, Y))
    history = fourth.fit(
        X,
        Y,
        batch_size=3,
        nb_epoch=2,
        shuffle=False,
        verbose=0,
        validation_data=endless(),
        validation_steps=3,
    )
    np.testing.assert_allclose(history.history["val_loss"], expected["val_loss"])


def test_evaluate_and_predict_take_iterators():
    model = dense()
    expected = model.evaluate(X, Y, verbose=0)
    for found in (
        model.evaluate(iter(PARTS), verbose=0),
        model.evaluate(Loader(), verbose=1),
        model.evaluate(endless(), verbose=0, steps=3),
    ):
        assert found == pytest.approx(expected)
    inputs = (part[0] for part in endless())
    np.testing.assert_array_equal(
        model.predict(inputs, steps=3), model.predict(X, batch_size=3)
    )
    inputs = [{"input": part[0]} for part in PARTS]
    np.testing.assert_array_equal(
        model.predict(iter(inputs)), model.predict(X, batch_size=3)
    )


def test_a_graph_takes_dicts_of_inputs_and_targets():
    def build():
        graph = Graph()
        graph.add_input("x", dim=4)
        graph.add_node(Dense(2), "y", input="x", create_output=True)
        graph.compile("sgd", {"y": "mse"})
        return graph

    first, second = twins(build)
    rows = {"x": X, "y": Y}
    parts = [{"x": x, "y": y} for x, y in PARTS]
    expected = first.fit(rows, batch_size=3, nb_epoch=2, verbose=0, shuffle=False)
    found = second.fit(endless(parts), nb_epoch=2, verbose=0, steps_per_epoch=3)
    assert found.history == expected.history
    assert second.evaluate(endless(parts), steps=3) == pytest.approx(
        first.evaluate(rows)
    )


def stateful_loop():
    rnn = Recursive(return_sequences=True, stateful=True)
    rnn.add_input("x", dim=4)
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


def test_a_stateful_model_continues_from_batch_to_batch():
    x, y = RNG.normal(size=(6, 5, 4)), RNG.normal(size=(6, 5, 6))
    parts = [(x[i : i + 3], y[i : i + 3]) for i in (0, 3)]
    for settings in ({}, {"tbptt_steps": 2, "reset_states": "batch"}):
        first, second = twins(stateful_loop)
        expected = first.fit(
            x, y, batch_size=3, nb_epoch=2, verbose=0, shuffle=False, **settings
        )
        found = second.fit(Loader(parts), nb_epoch=2, verbose=0, **settings)
        assert found.history == expected.history
    shorter = [parts[0], (x[:2], y[:2])]
    with pytest.raises(errors.BatchSizeError, match=r"takes 3 rows.*batch 2 of epoch"):
        stateful_loop().fit(Loader(shorter), nb_epoch=1, verbose=0)


def test_rows_of_different_lengths_are_padded_batch_by_batch():
    lstm = LSTM(4, 6, return_sequences=True)
    model = Sequential([Masking(), lstm, TimeDistributedDense(6, 2)])
    model.compile("sgd", "mse")
    x = [RNG.normal(size=(length, 4)) for length in (5, 2, 3)]
    y = [RNG.normal(size=(length, 2)) for length in (5, 2, 3)]
    expected = model.evaluate(x, y, verbose=0)
    parts = [(x[:2], y[:2]), (x[2:], y[2:])]
    assert model.evaluate(iter(parts), verbose=0) == pytest.approx(expected)


def test_class_weights_apply_to_each_batch():
    classes = np.eye(2)[[0, 1, 1, 0, 1, 0, 0, 0, 1]]
    first, second = twins()
    weights = {0: 1.0, 1: 2.5}
    settings = {"nb_epoch": 2, "verbose": 0, "shuffle": False, "class_weight": weights}
    expected = first.fit(X, classes, batch_size=3, **settings)
    parts = [(X[i : i + 3], classes[i : i + 3]) for i in (0, 3, 6)]
    assert second.fit(Loader(parts), **settings).history == expected.history


def test_callbacks_see_that_the_number_of_rows_is_not_known():
    class Noting(Callback):
        def on_train_begin(self, logs=None):
            self.seen = self.params

    callback = Noting()
    dense().fit(Loader(), nb_epoch=1, verbose=2, callbacks=[callback])
    assert callback.seen["nb_sample"] is callback.seen["batch_size"] is None


# Arguments that are refused


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "'steps_per_epoch' takes a number of batches for an iterator"),
        ({"steps_per_epoch": 0}, "'steps_per_epoch' takes an integer of 1 or more"),
        ({"steps_per_epoch": 2.5}, "'steps_per_epoch' takes an integer"),
        ({"steps_per_epoch": 3, "validation_split": 0.1}, "'validation_split' takes 0"),
        ({"steps_per_epoch": 3, "shuffle": "batch"}, "'shuffle' takes True or False"),
        ({"steps_per_epoch": 3, "y": Y}, "'y' takes None for an iterator"),
        ({"steps_per_epoch": 3, "sample_weight": [1]}, "'sample_weight' takes None"),
        (
            {"steps_per_epoch": 3, "validation_data": endless()},
            "'validation_steps' takes a number of batches",
        ),
        (
            {"steps_per_epoch": 3, "validation_data": endless(), "validation_steps": 0},
            "'validation_steps' takes an integer of 1 or more",
        ),
    ],
)
def test_settings_without_a_meaning_for_an_iterator_are_refused(settings, words):
    def untouched():
        raise AssertionError("a batch was taken")
        yield

    with pytest.raises(errors.ConfigError, match=words):
        dense().fit(untouched(), verbose=0, **settings)


def test_arrays_have_no_number_of_steps():
    with pytest.raises(errors.ConfigError, match="'steps_per_epoch' takes None for ar"):
        dense().fit(X, Y, steps_per_epoch=3, verbose=0)
    with pytest.raises(errors.ConfigError, match="'steps' takes None for arrays"):
        dense().predict(X, steps=3)


@pytest.mark.parametrize("value", [X, [X], (X, Y), {"x": X}, range(3), "text", None])
def test_arrays_lists_and_dicts_are_no_iterators(value):
    assert not is_iterator(value)


# Iterators that go wrong


def ending():
    yield from PARTS[:2]


def raising():
    yield PARTS[0]
    yield PARTS[1]
    raise OSError("disk is gone")


def yielding(third):
    def batches():
        yield from (*PARTS[:2], third)

    return batches


CASES = {
    "ends": (ending, errors.DataError, "3 batches in each epoch; got 2 of them: it e"),
    "raises": (raising, errors.DataError, "no error while it makes batch 3.*OSError: "),
    "None": (yielding(None), errors.DataError, "or a dict; got None"),
    "an array": (yielding(X), errors.DataError, "or a dict; got ndarray"),
    "one of one": (yielding((X,)), errors.DataError, "or a dict; got a tuple of 1"),
    "other dim": (
        yielding((X[:, :3], Y)),
        errors.ShapeError,
        r"\(any, 4\); got \(9, 3\)",
    ),
    "other rows": (yielding((X[:2], Y)), errors.DataError, "input: 2, output: 9"),
    "text": (yielding(("a", Y)), errors.DtypeError, "takes numbers"),
}


@pytest.mark.parametrize("case", CASES)
def test_an_iterator_that_goes_wrong_is_named_with_the_weights_that_are_kept(case):
    source, kind, words = CASES[case]
    first, model = twins()
    losses = []

    class Noting(Callback):
        def on_batch_end(self, batch, logs=None):
            losses.append(logs["loss"])

    with pytest.raises(kind, match=words) as caught:
        model.fit(
            source(), nb_epoch=2, verbose=0, steps_per_epoch=3, callbacks=[Noting()]
        )
    message = str(caught.value)
    assert "batch 3 of epoch 1" in message
    assert "The model holds the weights after batch 2 of epoch 1." in message
    for x, y in PARTS[:2]:
        first.train_on_batch(x, y)
    assert len(losses) == 2
    for a, b in zip(first.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    if case == "raises":
        assert isinstance(caught.value.__cause__, OSError)


def test_an_iterator_that_ends_between_epochs_is_named():
    with pytest.raises(
        errors.DataError, match=r"before batch 1 of epoch 2.*the end of epoch 1"
    ):
        dense().fit(iter(PARTS), nb_epoch=2, verbose=0, steps_per_epoch=3)


def test_a_model_is_unchanged_by_a_first_batch_that_is_refused():
    model = dense()
    before = model.get_weights()
    for source in (iter([]), iter([None]), Loader([])):
        with pytest.raises(errors.DataError, match="The model is unchanged"):
            model.fit(source, nb_epoch=2, verbose=0, steps_per_epoch=3)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_validation_that_goes_wrong_says_that_the_epoch_was_trained():
    with pytest.raises(
        errors.DataError, match=r"before validation batch 4 of epoch 1.*end of epoch 1"
    ):
        dense().fit(
            X, Y, verbose=0, validation_data=Loader(), validation_steps=5, nb_epoch=1
        )


def test_an_iterator_that_ends_early_in_evaluate_is_named():
    with pytest.raises(errors.DataError, match="5 batches; got 3 of them"):
        dense().evaluate(iter(PARTS), verbose=0, steps=5)


def test_nan_in_a_batch_is_named_by_its_batch():
    bad = X[:3].copy()
    bad[1, 2] = np.nan
    with pytest.raises(
        errors.DataError, match=r"nan in row 1 in batch 3 of epoch 1, at input\[1, 2]"
    ):
        dense().fit(Loader([*PARTS[:2], (bad, Y[:3])]), nb_epoch=1, verbose=0)
