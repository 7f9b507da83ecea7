"""Training: fit, evaluate, predict, weight files, and errors in between."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytensor
import pytest

from recursive import (
    SGD,
    Activation,
    Adam,
    Dense,
    Dropout,
    Graph,
    Recursive,
    Sequential,
    SimpleRNN,
    errors,
)
from recursive.callbacks import Callback
from tests.cases import HIDDEN, IN, TIME

RNG = np.random.RandomState(1)
X = RNG.normal(size=(11, TIME, IN))
Y = np.tanh(X.sum(axis=(1, 2)))[:, np.newaxis]
CLASSES = np.eye(3)[RNG.randint(3, size=11)]


def vanilla(dim=HIDDEN):
    rnn = Recursive()
    rnn.add_input("input", ndim=3)
    rnn.add_state("h", dim=dim)
    rnn.add_node(Dense(IN, dim), "i2h", inputs=["input"])
    rnn.add_node(Dense(dim, dim, init="orthogonal", bias=False), "h2h", inputs=["h"])
    rnn.add_node(
        Activation("tanh"),
        "rec",
        inputs=["i2h", "h2h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    return rnn


def model(optimizer="sgd", loss="mse", out=1, activation="linear"):
    chain = Sequential([vanilla(), Dense(HIDDEN, out, activation=activation)])
    chain.compile(optimizer, loss)
    return chain


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adagrad", "adadelta", "adam"])
def test_the_container_and_the_layer_written_by_hand_have_the_same_losses_over_five_epochs(
    optimizer,
):
    container = model(optimizer)
    W, b, U, V, c = container.get_weights()
    by_hand = Sequential([SimpleRNN(IN, HIDDEN, activation="tanh"), Dense(HIDDEN, 1)])
    by_hand.set_weights([W, U, b, V, c])
    by_hand.compile(optimizer, "mse")
    losses = []
    for each in (container, by_hand):
        np.random.seed(0)
        losses.append(
            each.fit(X, Y, batch_size=4, nb_epoch=5, verbose=0).history["loss"]
        )
    assert np.abs(np.subtract(*losses)).max() < 1e-10
    assert losses[0][-1] != losses[0][0]


def test_fit_learns_and_its_history_says_so():
    chain = model(
        Adam(lr=0.01), "categorical_crossentropy", out=3, activation="softmax"
    )
    history = chain.fit(
        X,
        CLASSES,
        batch_size=4,
        nb_epoch=60,
        verbose=0,
        show_accuracy=True,
        validation_data=(X[:5], CLASSES[:5]),
    )
    assert history.epoch == list(range(60))
    assert set(history.history) == {"loss", "acc", "val_loss", "val_acc"}
    assert set(chain.fit(X, CLASSES, nb_epoch=1, verbose=0).history) == {"loss"}
    assert history.history["loss"][-1] < 0.2 < history.history["loss"][0]
    assert history.history["acc"][-1] == 1.0


def test_losses_are_means_over_rows_whatever_the_size_of_the_last_batch():
    chain = model()
    whole = chain.test_on_batch(X, Y)
    assert abs(chain.evaluate(X, Y, batch_size=4, verbose=0) - whole) < 1e-12
    assert abs(whole - np.mean((chain.predict(X) - Y) ** 2)) < 1e-12


def test_the_loss_of_a_training_step_is_that_of_before_the_step():
    chain = model(SGD(lr=0.1))
    before = chain.test_on_batch(X, Y)
    assert abs(chain.train_on_batch(X, Y) - before) < 1e-12
    assert chain.test_on_batch(X, Y) < before


def test_accuracy_counts_classes_or_rounds():
    chain = model(loss="categorical_crossentropy", out=3, activation="softmax")
    right = np.mean(chain.predict(X).argmax(1) == CLASSES.argmax(1))
    assert chain.evaluate(X, CLASSES, batch_size=3, show_accuracy=True, verbose=0)[
        1
    ] == pytest.approx(right)
    assert chain.test_on_batch(X, CLASSES, accuracy=True)[1] == pytest.approx(right)
    binary = Sequential([vanilla(), Dense(HIDDEN, 1, activation="sigmoid")])
    binary.compile("sgd", "binary_crossentropy", class_mode="binary")
    targets = (Y > 0).astype(float)
    right = np.mean(np.round(binary.predict(X)) == targets)
    assert binary.evaluate(X, targets, show_accuracy=True, verbose=0)[
        1
    ] == pytest.approx(right)


def test_predicting_in_batches_equals_predicting_at_once():
    chain = model()
    assert (
        np.abs(chain.predict(X, batch_size=4) - chain.predict_on_batch(X)).max() < 1e-14
    )


@pytest.mark.parametrize("given", [[X], (X,), X.tolist(), {"input": X}])
def test_one_input_may_come_as_a_list_of_one(given):
    chain = model()
    found = chain.predict(given)
    assert np.array_equal(
        found["output"] if isinstance(found, dict) else found, chain.predict(X)
    )
    assert chain.test_on_batch([X], [Y]) == chain.test_on_batch(X, Y)
    assert chain.predict([X[0]]).shape == (1, 1), "a list of rows is rows"


def test_predict_takes_a_whole_number_of_rows_at_once():
    with pytest.raises(
        errors.ConfigError,
        match="argument 'batch_size' takes an integer of 1 or more",
    ):
        model().predict(X, batch_size=0)


def test_classes_are_the_places_of_the_largest_values_or_above_a_half():
    chain = model(loss="categorical_crossentropy", out=3, activation="softmax")
    assert np.array_equal(
        chain.predict_classes(X, 4, 0), [np.argmax(row) for row in chain.predict(X)]
    )
    assert np.array_equal(chain.predict_proba(X, verbose=0), chain.predict(X))
    binary = Sequential([vanilla(), Dense(HIDDEN, 1, activation="sigmoid")])
    binary.compile("sgd", "binary_crossentropy", class_mode="binary")
    assert binary.predict_classes(X, verbose=0).tolist() == [
        [int(value > 0.5)] for [value] in binary.predict(X)
    ]


@pytest.mark.parametrize("factor", [100.0, -100.0])
def test_probabilities_that_are_none_are_warned_of(factor):
    chain = Sequential([Dense(IN, 1, weights=[np.ones((IN, 1)), np.zeros(1)])])
    with pytest.warns(UserWarning, match="not probabilities"):
        chain.predict_proba(factor * np.ones((3, IN)), verbose=0)


def test_evaluate_shows_a_bar_or_a_line(capsys):
    loss = model().evaluate(X, Y, verbose=2)
    assert capsys.readouterr() == (f"Evaluate loss={loss:.4f}\n", "")
    model().evaluate(X, Y)
    assert "Evaluate: 100%" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("labels", "written"),
    [
        (np.arange(11) % 3, "np.eye(3)[y]"),
        (np.arange(11)[:, np.newaxis] % 3, "np.eye(3)[y[..., 0]]"),
    ],
)
def test_classes_as_numbers_are_shown_the_way_to_rows(labels, written):
    chain = model(loss="categorical_crossentropy", out=3, activation="softmax")
    with pytest.raises(
        errors.ShapeError, match=rf"target 'output' .* pass {re.escape(written)}\.$"
    ):
        chain.fit(X, labels)
    assert np.isfinite(chain.train_on_batch(X, np.eye(3)[labels.ravel()]))
    for others in (labels + 0.5, np.ones((11, 2)), np.ones((11, 1, 1, 1))):
        with pytest.raises(
            errors.ShapeError, match="correct the layer that computes the output"
        ):
            chain.fit(X, others)


def test_targets_of_a_graph_are_among_its_data():
    graph = two_way()
    graph.compile("sgd", {"right": "mse", "both": "mae"})
    with pytest.raises(
        errors.ConfigError,
        match=r"'batch_size' takes an integer of 1 or more; got dict",
    ):
        graph.fit({"a": np.ones((7, 3))}, {"right": np.ones((7, 2))})


def test_masked_values_are_not_computed_with():
    holed = np.ma.array(X, mask=X > 2.0)
    with pytest.raises(
        errors.DataError,
        match=r"input 'input' takes a value in every place; .* Call filled\(0\)",
    ):
        model().predict(holed)
    assert np.isfinite(model().predict(np.ma.array(X))).all(), "nothing is masked"


def test_a_model_that_was_not_compiled_predicts_but_does_not_learn():
    chain = Sequential([vanilla(), Dense(HIDDEN, 1)])
    assert chain.predict(X).shape == (11, 1)
    for call in (chain.fit, chain.train_on_batch, chain.test_on_batch, chain.evaluate):
        with pytest.raises(errors.NotCompiledError, match="Call compile"):
            call(X, Y)
    chain.compile()
    with pytest.raises(errors.NotCompiledError):
        chain.fit(X, Y)


def test_the_same_seed_gives_the_same_run():
    def run():
        np.random.seed(5)
        chain = Sequential([vanilla(), Dropout(0.3), Dense(HIDDEN, 1)])
        chain.compile("adam", "mse")
        return chain.fit(X, Y, batch_size=4, nb_epoch=3, verbose=0).history["loss"]

    assert run() == run()


def test_shuffling_draws_from_numpys_generator_and_can_be_turned_off():
    def losses(shuffle, seed):
        chain = model()
        chain.set_weights([np.full(w.shape, 0.1) for w in chain.get_weights()])
        np.random.seed(seed)
        return chain.fit(
            X, Y, batch_size=4, nb_epoch=2, verbose=0, shuffle=shuffle
        ).history["loss"]

    assert losses(True, 1) != losses(True, 2)
    assert losses(False, 1) == losses(False, 2)


def test_the_last_rows_are_kept_for_validation():
    chain = model()
    chain.set_weights([np.full(w.shape, 0.1) for w in chain.get_weights()])
    twin = model()
    twin.set_weights(chain.get_weights())
    split = chain.fit(
        X, Y, nb_epoch=1, verbose=0, validation_split=0.3, shuffle=False
    ).history
    given = twin.fit(
        X[:7],
        Y[:7],
        nb_epoch=1,
        verbose=0,
        validation_data=(X[7:], Y[7:]),
        shuffle=False,
    ).history
    assert split == given


def two_way():
    graph = Graph()
    graph.add_input("a", dim=3)
    graph.add_input("b", dim=4)
    graph.add_node(Dense(3, 2, activation="tanh"), "left", input="a")
    graph.add_node(Dense(2), "right", inputs=["left", "b"], create_output=True)
    graph.add_output("both", inputs=["left", "right"], merge_mode="mul")
    return graph


def test_data_comes_as_a_dict_a_list_or_both():
    a, b = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 4))
    targets = {"right": RNG.normal(size=(7, 2)), "both": RNG.normal(size=(7, 2))}
    graph = two_way()
    graph.compile("sgd", {"right": "mse", "both": "mae"})
    losses = [
        graph.test_on_batch({"a": a, "b": b, **targets}),
        graph.test_on_batch({"b": b, "a": a}, y=targets),
        graph.test_on_batch([a, b], y=list(targets.values())),
        graph.test_on_batch((a, b), y=targets),
    ]
    predicted = graph.predict([a, b])
    expected = np.mean((predicted["right"] - targets["right"]) ** 2) + np.mean(
        abs(predicted["both"] - targets["both"])
    )
    assert np.abs(np.array(losses) - expected).max() < 1e-12


def test_a_dict_in_gives_a_dict_out_and_an_array_gives_an_array():
    rnn = vanilla()
    assert list(rnn.predict({"input": X})) == ["rec"]
    assert rnn.predict(X).shape == (11, HIDDEN)


def test_the_progress_bar_shows_loss_and_accuracy(capsys):
    chain = model(loss="categorical_crossentropy", out=3, activation="softmax")
    chain.fit(X, CLASSES, batch_size=4, nb_epoch=2, show_accuracy=True)
    shown = capsys.readouterr().err
    assert "Epoch 1/2" in shown
    assert "Epoch 2/2: 100%" in shown
    assert "loss=" in shown
    assert "acc=" in shown


def test_one_line_an_epoch_or_silence_where_asked_for(capsys):
    chain = model()
    chain.fit(X, Y, nb_epoch=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["Epoch", "1/2"], ["Epoch", "2/2"]]
    chain.fit(X, Y, nb_epoch=2, verbose=0)
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


BAD_DATA = [
    (
        X[:, :, :3],
        Y,
        errors.ShapeError,
        r"input 'input' takes an array of shape \(any, any, 4\)",
    ),
    (X[:, 0], Y, errors.ShapeError, "got \\(11, 4\\)"),
    (X, Y[:5], errors.DataError, "input: 11, output: 5"),
    (X[:0], Y[:0], errors.DataError, "1 or more"),
    (
        X,
        np.ones((11, 2)),
        errors.ShapeError,
        r"target 'output' takes an array of shape \(any, 1\)",
    ),
    (X[:, :0], Y, errors.SequenceLengthError, "1 step or more"),
    (
        [row[: 1 + i % 4] for i, row in enumerate(X.tolist())],
        Y,
        errors.SequenceLengthError,
        "rows of one length",
    ),
    (X.astype(str), Y, errors.DtypeError, "takes numbers"),
    (X.astype(complex), Y, errors.DtypeError, "takes numbers"),
    ({"inptu": X}, Y, errors.DataError, "Did you mean 'input'"),
    (X, None, errors.DataError, "none"),
]


@pytest.mark.parametrize(
    ("x", "y", "error", "words"), BAD_DATA, ids=range(len(BAD_DATA))
)
def test_data_that_does_not_match_is_refused_before_anything_runs(x, y, error, words):
    chain = model()
    weights = chain.get_weights()
    for call in (chain.fit, chain.train_on_batch, chain.evaluate):
        with pytest.raises(error, match=words):
            call(x, y)
    assert all(
        np.array_equal(a, b) for a, b in zip(chain.get_weights(), weights, strict=True)
    )


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("agad", "mse"), errors.UnknownNameError, "Did you mean 'adam'|'adagrad'"),
        (("adam", "mes"), errors.UnknownNameError, "Did you mean 'mse'"),
        (("adam", None), errors.ConfigError, "an optimizer and a loss"),
        (("adam", {"outptu": "mse"}), errors.ConfigError, "each of the outputs output"),
        (
            ("adam", "mse", "categoric"),
            errors.ConfigError,
            "Did you mean 'categorical'",
        ),
        (
            ("adam", "mse", "categorical", None, "jaxx"),
            errors.BackendError,
            "Did you mean 'jax'",
        ),
        (
            ("adam", "mse", "categorical", "FAST_RUN"),
            errors.ConfigError,
            "PyTensor replaces Theano; got .FAST_RUN.. Pass b",
        ),
        ((3, "mse"), errors.ConfigError, "a name or an Optimizer"),
    ],
)
def test_what_cannot_be_compiled_is_refused_at_once(arguments, error, words):
    with pytest.raises(error, match=words):
        Sequential([vanilla(), Dense(HIDDEN, 1)]).compile(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": 0},
        {"batch_size": 2.5},
        {"validation_split": 1.0},
        {"nb_epoch": 0},
        {"nb_epoch": 1.5},
        {"validation_data": X},
        {"validation_data": (X, Y, Y, Y)},
        {"validation_split": "a"},
        {"validation_split": True},
        {"validation_data": (X,)},
        {"batch_size": "a"},
    ],
)
def test_fit_refuses_what_makes_no_batch(arguments):
    with pytest.raises(errors.ConfigError):
        model().fit(X, Y, verbose=0, **arguments)


def bad_after(good_rows):
    """Targets whose loss overflows, in row order, after ``good_rows``."""
    targets = Y.copy()
    targets[good_rows:] = 1e300
    return targets


def test_a_loss_that_is_not_finite_stops_and_restores_the_initial_weights_and_optimizer():
    chain = model("adam")
    weights = chain.get_weights()
    with (
        np.errstate(over="ignore"),
        pytest.raises(errors.DivergenceError, match="back at the initial ones"),
    ):
        chain.fit(X, bad_after(4), batch_size=4, nb_epoch=3, verbose=0, shuffle=False)
    assert all(
        np.array_equal(a, b) for a, b in zip(chain.get_weights(), weights, strict=True)
    )
    assert all(not np.any(state.get_value()) for state in chain.optimizer.state)
    twin = model("adam")
    twin.set_weights(weights)
    losses = [
        each.fit(X, Y, nb_epoch=2, verbose=0, shuffle=False).history["loss"]
        for each in (chain, twin)
    ]
    assert losses[0] == losses[1], "the optimizer, too, is as if nothing had been"


def test_a_loss_that_is_not_finite_restores_the_end_of_the_last_good_epoch():
    chain = model(SGD(lr=0.1, momentum=0.9))
    chain.fit(X, Y, nb_epoch=2, verbose=0, shuffle=False)
    kept = [np.copy(v.get_value()) for v in [*chain.params, *chain.optimizer.state]]
    with (
        np.errstate(over="ignore"),
        pytest.raises(errors.DivergenceError, match="in epoch 1 of 3"),
    ):
        chain.fit(X, bad_after(8), batch_size=4, nb_epoch=3, verbose=0, shuffle=False)
    for value, state in zip(kept, [*chain.params, *chain.optimizer.state], strict=True):
        assert np.array_equal(state.get_value(), value)
    exploding = model(SGD(lr=30.0))
    with (
        np.errstate(all="ignore"),
        pytest.raises(errors.DivergenceError, match=r"end of epoch [0-9]+"),
    ):
        exploding.fit(X, 10 * Y, nb_epoch=5000, verbose=0, shuffle=False)
    assert np.isfinite(exploding.test_on_batch(X, Y))


@pytensor.config.change_flags(floatX="float32")
def test_a_loss_that_turns_float32_into_float64_is_refused():
    model = Sequential([Dense(4, 2)])
    model.compile(
        "sgd",
        lambda y_true, y_pred: ((y_true - y_pred) ** 2 * np.ones(2)).mean(axis=-1),
    )
    with pytest.raises(
        errors.DtypeError,
        match=r"loss '<lambda>' takes a formula that returns float32.*got float64",
    ):
        model.train_on_batch(np.ones((3, 4)), np.ones((3, 2)))


def test_a_model_stays_in_the_width_of_floats_that_it_was_made_in():
    with pytensor.config.change_flags(floatX="float32"):
        chain = model("adam")
        assert isinstance(chain.train_on_batch(X, Y), float)
        assert chain.predict(X).dtype == "float32"
        assert {param.dtype for param in [*chain.params, *chain.optimizer.state]} == {
            "float32"
        }
    with pytest.raises(
        errors.DtypeError, match=r"parameter 'layer_0\.i2h\.W' takes floatX=float32"
    ):
        chain.predict(X)


def test_a_last_step_that_spoils_the_weights_is_taken_back():
    chain = Sequential([Dense(IN, 1)])
    chain.compile(SGD(lr=1e308), "mse")
    weights = chain.get_weights()
    with (
        np.errstate(all="ignore"),
        pytest.raises(errors.DivergenceError, match="back at the initial ones"),
    ):
        chain.fit(10 * X[:, 0], Y, nb_epoch=1, batch_size=11, verbose=0)
    assert all(
        np.array_equal(a, b) for a, b in zip(chain.get_weights(), weights, strict=True)
    )


def test_a_layer_that_replaces_another_is_the_one_that_learns():
    chain = model()
    chain.train_on_batch(X, Y)
    chain.layers[1] = Dense(HIDDEN, 1)
    before = chain.layers[1].W.get_value()
    chain.train_on_batch(X, Y)
    assert not np.array_equal(chain.layers[1].W.get_value(), before)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "returned", [None, [1.0], np.float64(1)], ids=["nothing", "a list", "a number"]
)
def test_a_loss_that_returns_no_tensor_is_refused(returned, weighted):
    chain = model(loss=lambda y_true, y_pred: returned)
    with pytest.raises(
        errors.ConfigError,
        match=r"takes a function that returns a tensor.*(None|list|float)",
    ):
        chain.train_on_batch(X, Y, sample_weight=np.ones(len(X)) if weighted else None)


def test_an_output_added_after_compile_asks_for_its_loss():
    rnn = vanilla()
    rnn.compile("sgd", {"rec": "mse"})
    rnn.add_output("o", input="i2h")
    with pytest.raises(
        errors.ConfigError, match="a loss for each of the outputs rec, o"
    ):
        rnn.train_on_batch(
            X, {"rec": np.ones((11, HIDDEN)), "o": np.ones((11, HIDDEN))}
        )


def test_a_wrong_target_leaves_open_dims_open():
    rnn = Recursive()
    rnn.add_input("x")
    rnn.add_node(Dense(HIDDEN), "y", input="x", create_output=True)
    rnn.compile("sgd", "mse")
    with pytest.raises(errors.ShapeError, match="target 'y'"):
        rnn.train_on_batch(X[:, :, :3], np.ones((11, 2)))
    assert rnn.predict(X).shape == (11, HIDDEN)


def test_constraints_regularizers_and_updates_of_a_layer_hold_inside_containers():
    dense = Dense(HIDDEN, 1, init="one")
    counter = pytensor.shared(0.0)
    dense.constraints = [lambda p: p.clip(0, 0.5), lambda p: p]
    dense.regularizers = [lambda loss: loss + 100 * (dense.b - 1).sum() ** 2]
    dense.updates = [(counter, counter + 1)]
    chain = Sequential([vanilla(), dense])
    chain.compile(SGD(lr=1e-3), "mse")
    chain.train_on_batch(X, Y)
    assert dense.W.get_value().max() <= 0.5
    assert dense.b.get_value()[0] > 0.1
    assert counter.get_value() == 1


@pytest.mark.parametrize("second", [Dense(5, 3), SimpleRNN(HIDDEN, 2)])
def test_layers_that_do_not_fit_one_another_are_named_by_place(second):
    with pytest.raises(errors.ShapeError, match="layer 'layer_1' takes"):
        Sequential([vanilla(), second]).predict(X)


def test_ctrl_c_takes_effect_between_batches_and_leaves_a_usable_model():
    chain = model("adam")
    seen = []

    class Press(Callback):
        def on_batch_end(self, batch, logs=None):
            seen.append(batch)
            if len(seen) == 2:
                os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    usual = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        chain.fit(X, Y, batch_size=4, nb_epoch=3, verbose=0, callbacks=[Press()])
    assert len(seen) == 2, "the batch under way was finished, and no other begun"
    assert signal.getsignal(signal.SIGINT) is usual
    assert chain.optimizer.iterations.get_value() == 2
    assert np.isfinite(chain.fit(X, Y, nb_epoch=1, verbose=0).history["loss"][0])


def test_fit_works_in_a_thread_where_signals_do_not_arrive():
    losses = []
    chain = model()
    thread = threading.Thread(
        target=lambda: losses.append(chain.fit(X, Y, nb_epoch=1, verbose=0))
    )
    thread.start()
    thread.join()
    assert len(losses) == 1


@pytest.mark.parametrize("suffix", [".h5", ".safetensors"])
@pytest.mark.parametrize("make", [model, two_way, vanilla])
def test_weights_saved_and_loaded_give_the_same_model(tmp_path, suffix, make):
    first, second = make(), make()
    path = tmp_path / f"weights{suffix}"
    first.save_weights(path)
    assert not np.array_equal(first.get_weights()[0], second.get_weights()[0])
    second.load_weights(path)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(first.get_weights(), second.get_weights(), strict=True)
    )
    with pytest.raises(errors.ConfigError, match="overwrite=True"):
        first.save_weights(path)
    first.save_weights(path, overwrite=True)


def test_weights_of_another_model_change_nothing(tmp_path):
    small = vanilla(dim=2)
    small.save_weights(tmp_path / "small.h5")
    rnn = vanilla()
    before = rnn.get_weights()
    with pytest.raises(
        errors.WeightsError, match=r"parameter 'i2h.W' takes an array of shape \(4, 6\)"
    ):
        rnn.load_weights(tmp_path / "small.h5")
    assert all(
        np.array_equal(a, b) for a, b in zip(rnn.get_weights(), before, strict=True)
    )


def test_a_model_saved_in_one_process_predicts_the_same_in_another(tmp_path):
    rnn = vanilla()
    rnn.save_weights(tmp_path / "weights.h5")
    np.save(tmp_path / "x.npy", X)
    script = textwrap.dedent(f"""
        import numpy as np
        from tests.test_models import vanilla
        rnn = vanilla()
        rnn.compile(backend="python")
        rnn.load_weights({str(tmp_path / "weights.h5")!r})
        np.save({str(tmp_path / "y.npy")!r}, rnn.predict(np.load({str(tmp_path / "x.npy")!r})))
    """)
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
    assert np.array_equal(np.load(tmp_path / "y.npy"), rnn.predict(X))
