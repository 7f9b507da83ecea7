"""Kept states of a model: read, set, reset, copied, and what fit requires of rows."""

import copy
import functools
import pickle

import numpy as np
import pytensor
import pytest

from recursive import (
    GRU,
    LSTM,
    SGD,
    Callback,
    Dense,
    Graph,
    Recurrent,
    Recursive,
    Sequential,
    TimeDistributedDense,
    errors,
    model_from_json,
)
from tests.agreement.test_cases import JAX
from tests.cases import BATCH, HIDDEN, IN, weights_of, with_random_weights

OUT, STEPS = 2, 5


def x_of(*shape, seed=3):
    return np.random.RandomState(seed).normal(size=shape)


def recurrent(**settings):
    """A loop with one state of dim HIDDEN and initial value 0.5."""
    rnn = Recursive(return_sequences=True, **{"stateful": True, **settings})
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN, initial=0.5)
    rnn.add_node(
        Dense(IN + HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["x", "h"],
        return_state="h",
        create_output=True,
    )
    return rnn


@functools.cache
def compiled(stateful):
    model = Sequential(
        [recurrent(stateful=stateful), TimeDistributedDense(HIDDEN, OUT)]
    )
    model.build()
    with_random_weights(model)
    model.compile(SGD(lr=0.5), "mse")
    return model, model.get_weights()


def chain(stateful=True):
    """A model that is compiled once and returned to its initial values."""
    model, weights = compiled(stateful)
    model.set_weights(weights)
    model.reset_states()
    return model


@functools.cache
def graph_as_it_began():
    model = Graph()
    model.add_input("x", ndim=3, dim=IN)
    model.add_node(recurrent(), "first", input="x")
    last = Recurrent(return_sequences=True, stateful=True)
    last.add_input("x", dim=HIDDEN)
    last.add_node(
        Dense(HIDDEN + 2 * OUT, OUT, activation="tanh"),
        "g",
        input=["x", "g_tm1", "g_tm2"],
    )
    model.add_node(last, "last", input="first", create_output=True)
    model.build()
    with_random_weights(model)
    model.predict({"x": x_of(BATCH, STEPS, IN)})
    return model


def graph():
    """The same with two stateful layers."""
    graph_as_it_began().reset_states()
    return graph_as_it_began()


def steps_of(w, x, h):
    """h after each step, from the parameters of the chain."""
    found = []
    for t in range(x.shape[1]):
        h = np.tanh(
            np.concatenate([x[:, t], h], 1) @ w["layer_0.rec.W"] + w["layer_0.rec.b"]
        )
        found.append(h)
    return np.stack(found, 1)


START = np.full((BATCH, HIDDEN), 0.5)


# All states of a model by name


def test_states_inside_are_named_by_their_path_and_those_of_the_model_itself_plainly():
    alone, inside, nodes = recurrent(), chain(), graph()
    for model in (alone, inside, nodes):
        model.predict(
            x_of(BATCH, STEPS, IN)
            if model is not nodes
            else {"x": x_of(BATCH, STEPS, IN)}
        )
    assert {name: value.shape for name, value in alone.get_states().items()} == {
        "h": (BATCH, HIDDEN)
    }
    assert {name: value.shape for name, value in inside.get_states().items()} == {
        "layer_0.h": (BATCH, HIDDEN)
    }
    assert {name: value.shape for name, value in nodes.get_states().items()} == {
        "first.h": (BATCH, HIDDEN),
        "last.g": (2, BATCH, OUT),
    }


def test_the_states_of_a_chain_are_those_of_a_numpy_loop_and_can_be_set_and_reset():
    model, x = chain(), x_of(BATCH, STEPS, IN)
    w = weights_of(model)
    model.predict(x)
    assert (
        np.abs(model.get_states()["layer_0.h"] - steps_of(w, x, START)[:, -1]).max()
        < 1e-12
    )
    given = x_of(BATCH, HIDDEN, seed=8)
    model.set_states({"layer_0.h": given})
    expected = steps_of(w, x, given) @ w["layer_1.W"] + w["layer_1.b"]
    assert np.abs(model.predict(x) - expected).max() < 1e-12
    model.reset_states(batch_size=4)
    assert (model.get_states()["layer_0.h"] == np.full((4, HIDDEN), 0.5)).all()
    model.reset_states()
    assert model.get_states()["layer_0.h"].shape == (0, HIDDEN)


def test_what_get_states_gives_is_a_copy():
    model, x = chain(), x_of(BATCH, STEPS, IN)
    model.predict(x)
    kept = model.get_states()["layer_0.h"]
    before = kept.copy()
    model.predict(x)
    assert (kept == before).all()
    kept[:] = 7
    assert np.abs(model.get_states()["layer_0.h"]).max() < 1


@pytest.mark.parametrize(
    ("states", "error", "words"),
    [
        (
            {"h": START},
            errors.UnknownNameError,
            "state 'h' takes the name of a state .* 'first.h'",
        ),
        (
            {"first.h": START, "last.g": np.ones((2, BATCH, OUT + 1))},
            errors.ShapeError,
            r"takes \(2, batch, 2\)",
        ),
        (
            {"first.h": np.ones((4, HIDDEN))},
            errors.ShapeError,
            "states 'first.h, last.g' takes the same number of rows.* 4, 3",
        ),
        ([START], errors.DataError, "takes a dict by name; got list"),
        ({"first.h": "abc"}, errors.DtypeError, "state 'h' takes numbers"),
        (
            {"first.h": START * 1j},
            errors.DtypeError,
            "state 'h' takes numbers, .* got dtype complex128",
        ),
        (
            {"first.h": np.array([[None] * HIDDEN] * BATCH)},
            errors.DtypeError,
            "got dtype object",
        ),
        (
            {"first.h": START.astype("float64") * 1e300, "last.g": [[1.0], [2.0, 3.0]]},
            errors.SequenceLengthError,
            "rows of one length",
        ),
        (
            {"first.h": pytensor.tensor.zeros((BATCH, HIDDEN))},
            errors.DataError,
            "got a symbol",
        ),
    ],
)
def test_states_that_do_not_fit_are_refused_and_change_nothing(states, error, words):
    model = graph()
    model.predict({"x": x_of(BATCH, STEPS, IN)})
    before = model.get_states()
    with pytest.raises(error, match=words):
        model.set_states(states)
    assert all(
        (value == before[name]).all() for name, value in model.get_states().items()
    )


def test_a_model_whose_dims_wait_for_data_has_no_states_yet_and_resetting_them_does_nothing():
    rnn = Recursive(return_sequences=True, stateful=True)
    rnn.add_input("x")
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(
        Dense(HIDDEN), "rec", inputs=["x", "h"], return_state="h", create_output=True
    )
    model = Sequential([rnn, TimeDistributedDense(OUT)])
    model.reset_states()
    assert model.get_states() == {}
    for call in (
        lambda: model.reset_states(3),
        lambda: model.set_states({"layer_0.h": START}),
    ):
        with pytest.raises(errors.ShapeError, match="input of known dim"):
            call()
    model.predict(x_of(BATCH, STEPS, IN))
    assert list(model.get_states()) == ["layer_0.h"]
    with pytest.raises(
        errors.ConfigError, match="'batch_size' takes an integer of 1 or more"
    ):
        model.reset_states(0)


def test_a_model_without_such_states_has_none_to_reset():
    model = Sequential([Dense(IN, OUT)])
    model.reset_states()
    assert model.get_states() == {}


def test_a_stateful_layer_that_stands_in_a_chain_twice_is_told_what_to_do():
    rnn = recurrent()
    tied = Sequential([rnn, TimeDistributedDense(HIDDEN, IN), rnn])
    with pytest.raises(
        errors.StateError, match=r"state 'h' takes one layer call, .* copy\.deepcopy"
    ):
        tied.predict(x_of(BATCH, STEPS, IN))


# Copies and files


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["deepcopy", "pickle"],
)
def test_a_copy_goes_on_from_where_the_model_stood_and_then_by_itself(copied):
    model, x = graph(), x_of(BATCH, 3 * STEPS, IN)
    model.predict({"x": x[:, :STEPS]})
    other = copied(model)
    expected = model.predict({"x": x[:, STEPS:]})["last"]
    assert (
        np.abs(
            other.predict({"x": x[:, STEPS : 2 * STEPS]})["last"] - expected[:, :STEPS]
        ).max()
        < 1e-12
    )
    assert (
        np.abs(
            other.predict({"x": x[:, 2 * STEPS :]})["last"] - expected[:, STEPS:]
        ).max()
        < 1e-12
    )


def test_a_stateful_model_is_written_to_json_without_its_states():
    model, x = graph(), x_of(BATCH, STEPS, IN)
    rnn = recurrent(stateful=False, go_backwards=True)
    rnn.add_state("goes", dim=1, input="one", stateful=True)
    rnn.add_node(Dense(HIDDEN + 1, 1), "one", inputs=["rec", "goes"])
    for made in (model, Sequential([rnn])):
        made.predict(x if isinstance(made, Sequential) else {"x": x})
        other = model_from_json(made.to_json())
        assert other.to_json() == made.to_json()
        assert {
            name: value.shape[-2:] for name, value in other.get_states().items()
        } == {name: (0, value.shape[-1]) for name, value in made.get_states().items()}
        assert made.get_states()


def test_another_batch_size_after_a_reset_runs_without_compiling_again():
    model = copy.deepcopy(chain())
    for rows in (3, 5, 1, 3):
        model.reset_states()
        model.predict(x_of(rows, STEPS, IN))
    model.reset_states(2)
    model.predict(x_of(2, STEPS + 1, IN))
    [program] = model._programs.compiled.values()
    assert len(program._functions) == 1


@pytest.mark.skipif(*JAX.args, **JAX.kwargs)
def test_on_jax_each_shape_compiles_once_and_is_kept():
    model, plain = copy.deepcopy(chain()), chain()
    model.compile(backend="jax")
    for rows in (3, 5, 3, 5):
        x = x_of(rows, STEPS, IN)
        for each in (model, plain):
            each.reset_states()
        for _ in range(2):
            np.testing.assert_allclose(model.predict(x), plain.predict(x), atol=1e-12)
    [program] = model._programs.compiled.values()
    assert len(program._functions) == 2


@pytest.mark.skipif(*JAX.args, **JAX.kwargs)
@pytest.mark.parametrize(
    "make",
    [
        lambda: Sequential([recurrent()]),
        lambda: Sequential([GRU(IN, OUT, return_sequences=True, stateful=True)]),
        lambda: Sequential([LSTM(IN, 1, return_sequences=True, stateful=True)]),
    ],
    ids=["container", "layer", "dim one"],
)
def test_a_batch_of_one_row_goes_on_on_jax(make):
    """PyTensor takes no update with 1 known row for a state with any rows."""
    model, x = make(), x_of(2, 2 * STEPS, IN)[:1]
    model.build()
    with_random_weights(model)
    model.compile(backend="python")
    expected = model.predict(x)
    model.reset_states()
    model.compile(backend="jax")
    found = [
        model.predict(x[:, part]) for part in (slice(0, STEPS), slice(STEPS, None))
    ]
    assert np.abs(np.concatenate(found, axis=1) - expected).max() < 1e-12


def test_a_loop_without_inputs_which_has_one_row_goes_on_too():
    rnn = Recursive(n_steps=2, return_sequences=True, stateful=True)
    rnn.add_state("h", dim=OUT, initial=1.0)
    rnn.add_node(
        Dense(OUT, OUT, init="identity"),
        "twice",
        inputs=["h", "h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    assert rnn.predict()[0].tolist() == [[2.0] * OUT, [4.0] * OUT]
    assert rnn.predict()[0].tolist() == [[8.0] * OUT, [16.0] * OUT]


# Many batches


X, Y = x_of(6, STEPS, IN), x_of(6, STEPS, OUT, seed=4)
HALVES = [(X[:3], Y[:3]), (X[3:], Y[3:])]


@pytest.mark.parametrize("resets", [None, "epoch", "batch"])
def test_fit_carries_states_on_and_resets_them_when_it_is_told_to(resets):
    model = chain()
    history = model.fit(
        X, Y, batch_size=3, nb_epoch=2, verbose=0, shuffle=False, reset_states=resets
    ).history["loss"]
    weights, states = model.get_weights(), model.get_states()["layer_0.h"]
    model, losses = chain(), []
    for _ in range(2):
        if resets == "epoch":
            model.reset_states()
        for x, y in HALVES:
            if resets == "batch":
                model.reset_states()
            losses.append(model.train_on_batch(x, y))
    assert np.abs(np.mean(np.reshape(losses, (2, 2)), axis=1) - history).max() < 1e-14
    assert all(
        (a == b).all() for a, b in zip(model.get_weights(), weights, strict=True)
    )
    assert (model.get_states()["layer_0.h"] == states).all()


def test_layers_that_carry_on_by_themselves_are_asked_and_set_by_their_place_too():
    model = Sequential(
        [
            GRU(IN, HIDDEN, return_sequences=True, stateful=True),
            LSTM(HIDDEN, OUT, stateful=True),
        ]
    )
    whole, part = model.predict(x_of(BATCH, 2 * STEPS, IN)), slice(STEPS, None)
    assert sorted(model.get_states()) == ["layer_0.h", "layer_1.c", "layer_1.h"]
    model.reset_states()
    model.predict(x_of(BATCH, 2 * STEPS, IN)[:, :STEPS])
    kept = model.get_states()
    model.predict(x_of(BATCH, STEPS, IN, seed=9))
    model.set_states(kept)
    assert (
        np.abs(model.predict(x_of(BATCH, 2 * STEPS, IN)[:, part]) - whole).max() < 1e-12
    )


def test_resets_make_a_difference():
    losses = [
        chain()
        .fit(
            X,
            Y,
            batch_size=3,
            nb_epoch=2,
            verbose=0,
            shuffle=False,
            reset_states=resets,
        )
        .history["loss"]
        for resets in (None, "epoch", "batch")
    ]
    assert losses[0][0] == losses[1][0] != losses[2][0], (
        "in the first epoch nothing went before"
    )
    assert losses[0][1] != losses[1][1]


def test_states_go_on_from_one_fit_to_the_next_and_into_predict():
    def predicted(fits, epochs):
        model = chain()
        for _ in range(fits):
            model.fit(
                X[:3], Y[:3], batch_size=3, nb_epoch=epochs, verbose=0, shuffle=False
            )
        return model.predict(X[:3])

    assert (predicted(2, 1) == predicted(1, 2)).all()


@pytest.mark.parametrize("shuffle", [True, "batch"])
def test_fit_asks_that_the_rows_keep_their_order_and_says_why(shuffle):
    model = chain()
    with pytest.raises(
        errors.ConfigError,
        match=r"'shuffle' takes False .* row i of a batch continues row i of the "
        r"batch before; got .*\. Pass shuffle=False, or reset_states='batch'",
    ):
        model.fit(X, Y, batch_size=3, verbose=0, shuffle=shuffle)
    assert model.get_states()["layer_0.h"].shape == (0, HIDDEN), "nothing ran"
    np.random.seed(1)
    shuffled = model.fit(
        X, Y, batch_size=4, nb_epoch=1, verbose=0, reset_states="batch"
    ).history["loss"]
    assert np.isfinite(shuffled).all(), (
        "rows that do not belong together may be mixed, and a batch left short"
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"reset_states": "epochs"},
            "'reset_states' takes None, 'epoch' or 'batch'; .* Did you mean 'epoch'",
        ),
        ({"reset_states": True}, "'reset_states' takes None"),
    ],
)
def test_states_are_reset_before_epochs_or_batches_only(settings, words):
    with pytest.raises(errors.ConfigError, match=words):
        chain().fit(X, Y, batch_size=3, shuffle=False, verbose=0, **settings)


def test_a_model_without_states_that_go_on_has_nothing_to_reset():
    with pytest.raises(
        errors.ConfigError,
        match=r"takes a model with states kept between batches; got 'epoch'",
    ):
        chain(False).fit(X, Y, reset_states="epoch", verbose=0)


class Counts(Callback):
    def __init__(self):
        self.begun = 0

    def on_train_begin(self, logs=None):
        self.begun += 1


@pytest.mark.parametrize(
    "call",
    [
        lambda model, counts: model.fit(
            X, Y, batch_size=4, shuffle=False, verbose=0, callbacks=[counts]
        ),
        lambda model, counts: model.fit(
            X,
            Y,
            batch_size=4,
            shuffle=False,
            verbose=0,
            callbacks=[counts],
            reset_states="epoch",
        ),
        lambda model, counts: model.fit(
            X[:4],
            Y[:4],
            batch_size=4,
            shuffle=False,
            verbose=0,
            callbacks=[counts],
            validation_data=(X, Y),
        ),
        lambda model, counts: model.evaluate(X, Y, batch_size=4, verbose=0),
        lambda model, counts: model.predict(X, batch_size=4),
    ],
    ids=["fit", "fit with resets", "validation", "evaluate", "predict"],
)
def test_a_last_batch_of_fewer_rows_is_refused_before_anything_runs(call):
    model, counts = chain(), Counts()
    with pytest.raises(
        errors.BatchSizeError,
        match=r"'rows' takes a multiple of batch_size=4, .* got 6\. "
        r"Leave out the last 2, or choose a batch_size that divides 6\.",
    ):
        call(model, counts)
    assert counts.begun == 0
    assert model.get_states()["layer_0.h"].shape == (0, HIDDEN)


def test_rows_of_another_number_than_the_states_are_refused_before_fit_begins():
    model, counts = chain(), Counts()
    model.predict(X[:3])
    before = model.get_states()["layer_0.h"]
    with pytest.raises(
        errors.BatchSizeError,
        match=r"takes 3 rows, .* got 2\. Call reset_states\(\) first",
    ):
        model.fit(X, Y, batch_size=2, shuffle=False, verbose=0, callbacks=[counts])
    assert counts.begun == 0
    assert (model.get_states()["layer_0.h"] == before).all()
    model.fit(
        X, Y, batch_size=2, shuffle=False, verbose=0, nb_epoch=1, reset_states="epoch"
    )
    assert len(model.get_states()["layer_0.h"]) == 2


@pytest.mark.parametrize("resets", [None, "epoch", "batch"])
def test_validating_starts_anew_and_changes_nothing_of_the_training(resets):
    settings = {
        "batch_size": 3,
        "nb_epoch": 3,
        "verbose": 0,
        "shuffle": False,
        "reset_states": resets,
    }
    held_out = x_of(6, STEPS, IN, seed=6), x_of(6, STEPS, OUT, seed=7)
    model = chain()
    expected, states = (
        model.fit(X, Y, **settings).history,
        model.get_states()["layer_0.h"],
    )
    model = chain()
    found = model.fit(X, Y, validation_data=held_out, **settings).history
    assert found["loss"] == expected["loss"]
    assert (model.get_states()["layer_0.h"] == states).all()
    w = weights_of(model)
    h = START
    losses = []
    for part in (slice(0, 3), slice(3, 6)):
        states = steps_of(w, held_out[0][part], START if resets == "batch" else h)
        h = states[:, -1]
        losses.append(
            np.mean((states @ w["layer_1.W"] + w["layer_1.b"] - held_out[1][part]) ** 2)
        )
    assert abs(found["val_loss"][-1] - np.mean(losses)) < 1e-12


def test_validation_may_have_another_number_of_rows():
    model = chain()
    model.fit(
        X,
        Y,
        batch_size=3,
        nb_epoch=1,
        verbose=0,
        shuffle=False,
        validation_data=(X[:2], Y[:2]),
    )
    assert len(model.get_states()["layer_0.h"]) == 3


class Spoils(Callback):
    """Spoils the weights in epoch 2, after ``batch``, or before the first for None."""

    def __init__(self, batch):
        self.batch = batch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.on_batch_end(None)

    def on_batch_end(self, batch, logs=None):
        if self.epoch == 1 and batch == self.batch:
            self.model.layers[1].W.set_value(np.full((HIDDEN, OUT), np.nan))


@pytest.mark.parametrize(
    ("batch", "epochs", "words"),
    [
        (None, 0, "back at the initial ones"),
        (0, 1, "back at those of the end of epoch 1"),
    ],
)
def test_a_loss_that_is_no_longer_finite_brings_back_the_states_too(
    batch, epochs, words
):
    settings = {"batch_size": 3, "verbose": 0, "shuffle": False}
    given = {"layer_0.h": x_of(BATCH, HIDDEN, seed=8)}
    model = chain()
    model.set_states(given)
    for _ in range(epochs):
        model.fit(X, Y, nb_epoch=1, **settings)
    expected = model.get_states()["layer_0.h"]
    model = chain()
    model.set_states(given)
    with pytest.raises(errors.DivergenceError, match=words):
        model.fit(X, Y, nb_epoch=2, callbacks=[Spoils(batch)], **settings)
    assert (model.get_states()["layer_0.h"] == expected).all()
