"""Callbacks: the order of calls, their logs, and what they may do to training."""

import os
import signal

import numpy as np
import pytest

from recursive import SGD, Dense, Sequential
from recursive.callbacks import (
    BaseLogger,
    Callback,
    CallbackList,
    EarlyStopping,
    History,
    LearningRateScheduler,
    ModelCheckpoint,
)
from recursive.errors import ConfigError, DivergenceError

RNG = np.random.RandomState(3)
X = RNG.normal(size=(11, 4))
Y = np.tanh(X[:, :1])


def chain(lr=0.1):
    model = Sequential([Dense(4, 1)])
    model.compile(SGD(lr=lr), "mse")
    return model


def fit(model, *callbacks, nb_epoch=3, **options):
    return model.fit(
        X,
        Y,
        batch_size=4,
        nb_epoch=nb_epoch,
        verbose=0,
        callbacks=list(callbacks),
        **options,
    )


class Recorder(Callback):
    def __init__(self):
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append("train")

    def on_train_end(self, logs=None):
        self.seen.append("trained")

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(f"epoch {epoch}")

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((epoch, dict(logs)))

    def on_batch_begin(self, batch, logs=None):
        self.seen.append((batch, dict(logs)))

    def on_batch_end(self, batch, logs=None):
        self.seen.append((batch, dict(logs)))


def test_every_stage_is_told_in_its_order_with_its_logs():
    model, recorder = chain(), Recorder()
    history = model.fit(
        X,
        Y,
        batch_size=6,
        nb_epoch=2,
        verbose=0,
        callbacks=[recorder],
        validation_data=(X, Y),
        show_accuracy=True,
    )
    batch, step = {"batch", "size"}, {"batch", "size", "loss", "acc"}
    epoch = {"loss", "acc", "val_loss", "val_acc"}
    shape = [
        item if isinstance(item, str) else (item[0], set(item[1]))
        for item in recorder.seen
    ]
    of_epoch = [(0, batch), (0, step), (1, batch), (1, step)]
    assert shape == [
        "train",
        "epoch 0",
        *of_epoch,
        (0, epoch),
        "epoch 1",
        *of_epoch,
        (1, epoch),
        "trained",
    ]
    assert [item[1]["size"] for item in recorder.seen[2:6]] == [6, 6, 5, 5]
    assert recorder.seen[-2][1] == {
        name: values[-1] for name, values in history.history.items()
    }
    assert recorder.model is model
    assert recorder.params == {
        "batch_size": 6,
        "nb_epoch": 2,
        "nb_sample": 11,
        "verbose": 0,
        "do_validation": True,
        "metrics": ["loss", "acc", "val_loss", "val_acc"],
    }


def test_the_loss_of_an_epoch_is_the_mean_over_rows_of_the_losses_of_its_batches():
    recorder = Recorder()
    history = fit(chain(), recorder, nb_epoch=1)
    told = [
        item[1]
        for item in recorder.seen
        if isinstance(item, tuple) and "size" in item[1] and "loss" in item[1]
    ]
    assert [logs["size"] for logs in told] == [4, 4, 3]
    expected = sum(logs["size"] * logs["loss"] for logs in told) / 11
    assert history.history["loss"] == [pytest.approx(expected, rel=1e-14)]
    assert expected != pytest.approx(np.mean([logs["loss"] for logs in told]), rel=1e-6)


def test_callbacks_are_told_in_the_order_given():
    order = []

    class Named(Callback):
        def __init__(self, name):
            self.name = name

        def on_epoch_end(self, epoch, logs=None):
            order.append(self.name)

    fit(chain(), Named("a"), Named("b"), nb_epoch=1)
    assert order == ["a", "b"]


@pytest.mark.parametrize(
    "stage",
    [
        "on_train_begin",
        "on_epoch_begin",
        "on_batch_begin",
        "on_batch_end",
        "on_epoch_end",
        "on_train_end",
    ],
)
@pytest.mark.parametrize("verbose", [0, 1])
def test_a_callback_that_raises_leaves_a_usable_model(stage, verbose, capsys):
    model, usual = chain(), signal.getsignal(signal.SIGINT)
    bad = Callback()

    def fail(*args):
        raise ZeroDivisionError("in a callback")

    setattr(bad, stage, fail)
    with pytest.raises(ZeroDivisionError, match="in a callback") as caught:
        model.fit(X, Y, batch_size=4, nb_epoch=2, verbose=verbose, callbacks=[bad])
    assert caught.tb, "which keeps all that was made alive, a bar too"
    assert signal.getsignal(signal.SIGINT) is usual
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    shown = capsys.readouterr().err
    assert bool(shown) == (verbose == 1 and stage != "on_train_begin")
    assert shown == "" or shown.endswith("\n"), "the bar is closed"
    assert fit(model).history["loss"][-1] < 1.0


def test_a_callback_may_stop_after_an_epoch():
    class Stop(Callback):
        def on_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    recorder, model = Recorder(), chain()
    assert fit(model, Stop(), recorder).epoch == [0]
    assert recorder.seen[-1] == "trained"
    assert fit(model, nb_epoch=2).epoch == [0, 1], "the next call begins anew"


def test_a_loss_that_is_not_finite_goes_back_whatever_callbacks_did():
    class Explode(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.good = self.model.get_weights()
            self.model.optimizer.lr.set_value(np.float64(1e300))

    explode, model = Explode(), chain()
    with (
        np.errstate(all="ignore"),
        pytest.raises(DivergenceError, match="end of epoch 1"),
    ):
        fit(model, explode)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(model.get_weights(), explode.good, strict=True)
    )


def test_ctrl_c_during_validation_takes_effect_between_its_batches(monkeypatch):
    model, seen = chain(), []
    tested = model._run

    def press(kind, arrays):
        seen.append(kind)
        if kind == "test":
            os.kill(os.getpid(), signal.SIGINT)
        return tested(kind, arrays)

    monkeypatch.setattr(model, "_run", press)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        fit(model, validation_data=(X, Y))
    assert seen == ["train"] * 3 + ["test"]


# History and BaseLogger


def test_a_history_begins_anew_with_each_fit():
    history, model = History(), chain()
    for _ in range(2):
        assert fit(model, history, nb_epoch=2) == history
    assert history.epoch == [0, 1]


def test_base_logger_shows_what_fit_shows(capsys):
    logger = BaseLogger()
    logger._set_params(
        {"verbose": 2, "nb_epoch": 1, "nb_sample": 4, "metrics": ["loss", "val_loss"]}
    )
    CallbackList([logger]).on_epoch_begin(0)
    logger.on_batch_end(0, {"size": 4, "loss": 0.5})
    logger.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.25})
    assert capsys.readouterr() == ("Epoch 1/1 loss=0.5000 val_loss=0.2500\n", "")


# ModelCheckpoint


def test_a_checkpoint_writes_a_file_for_each_epoch(tmp_path, capsys):
    model = chain()
    fit(
        model,
        ModelCheckpoint(tmp_path / "w.{epoch:02d}-{val_loss:.3f}.h5", verbose=1),
        validation_data=(X, Y),
    )
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name[:5] for name in names] == ["w.00-", "w.01-", "w.02-"]
    assert capsys.readouterr().out.count("weights saved to") == 3
    twin = chain()
    twin.load_weights(tmp_path / names[-1])
    assert np.array_equal(twin.predict(X), model.predict(X))


class Numbers(Callback):
    """Replaces the logs of an epoch by chosen numbers."""

    def __init__(self, **values):
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs.update({name: values[epoch] for name, values in self.values.items()})


def test_the_best_only_is_kept_where_asked_for(tmp_path):
    model, kept = chain(), []

    class Keep(Callback):
        def on_epoch_end(self, epoch, logs=None):
            kept.append(self.model.get_weights())

    fit(
        model,
        Numbers(loss=[3.0, 1.0, 2.0]),
        Keep(),
        ModelCheckpoint(str(tmp_path / "best.h5"), "loss", save_best_only=True),
    )
    model.load_weights(tmp_path / "best.h5")
    assert all(
        np.array_equal(a, b) for a, b in zip(model.get_weights(), kept[1], strict=True)
    )


@pytest.mark.parametrize(
    ("callback", "words"),
    [
        (lambda folder: ModelCheckpoint(folder / "{epohc}.h5"), "Did you mean 'epoch'"),
        (
            lambda folder: ModelCheckpoint(folder / "{val_loss}.h5"),
            "the epoch or its numbers in braces",
        ),
        (
            lambda folder: ModelCheckpoint(folder / "{epoch:x.h5"),
            "the epoch or its numbers in braces",
        ),
        (lambda folder: ModelCheckpoint(folder / "w.pkl"), "takes a suffix of .h5"),
        (
            lambda folder: ModelCheckpoint(folder / "none" / "w.h5"),
            "takes a folder that exists",
        ),
        (lambda folder: EarlyStopping("acc"), "show_accuracy=True for acc"),
    ],
)
def test_what_a_callback_cannot_do_is_told_before_the_first_step(
    callback, words, tmp_path
):
    model = chain()
    before = model.get_weights()
    with pytest.raises(ConfigError, match=words):
        fit(model, callback(tmp_path))
    assert np.array_equal(before[0], model.get_weights()[0])


# EarlyStopping


@pytest.mark.parametrize(
    ("losses", "patience", "epochs"),
    [
        ([3.0, 2.0, 1.0, 0.5], 0, 4),
        ([3.0, 2.0, 2.0, 0.5], 0, 3),
        ([3.0, 4.0, 5.0, 1.0], 1, 3),
        ([3.0, 4.0, 2.0, 5.0, 1.0], 1, 5),
        ([3.0, float("nan"), 1.0, 0.5], 0, 2),
    ],
)
def test_early_stopping_waits_for_so_many_epochs_that_are_no_better(
    losses, patience, epochs
):
    model = chain()
    history = fit(
        model,
        Numbers(loss=losses),
        EarlyStopping("loss", patience),
        nb_epoch=len(losses),
    )
    assert history.epoch == list(range(epochs))


def test_a_larger_accuracy_is_the_better_one(capsys):
    history = fit(
        chain(),
        Numbers(val_acc=[0.5, 0.6, 0.7, 0.4]),
        EarlyStopping("val_acc", verbose=1),
        nb_epoch=4,
        show_accuracy=True,
        validation_data=(X, Y),
    )
    assert history.epoch == [0, 1, 2, 3]
    assert (
        capsys.readouterr().out
        == "Epoch 4: stopped early, val_acc no better than 0.7000\n"
    )


# LearningRateScheduler


def test_the_learning_rate_follows_its_schedule():
    rates, model = [], chain()

    class See(Callback):
        def on_batch_begin(self, batch, logs=None):
            rates.append(float(self.model.optimizer.lr.get_value()))

    fit(
        model, LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch)), See(), nb_epoch=2
    )
    assert rates == [0.1] * 3 + [0.05] * 3
    by_hand = chain(lr=0.1)
    by_hand.set_weights(model.get_weights())
    fit(model, LearningRateScheduler(lambda epoch: 0.1), nb_epoch=1, shuffle=False)
    fit(by_hand, nb_epoch=1, shuffle=False)
    assert np.array_equal(model.get_weights()[0], by_hand.get_weights()[0])


@pytest.mark.parametrize("rate", ["a", None, float("nan"), True])
def test_a_schedule_gives_numbers(rate):
    with pytest.raises(ConfigError, match="a schedule that returns finite numbers"):
        fit(chain(), LearningRateScheduler(lambda epoch: rate))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([EarlyStopping], "an instance of it"),
        ([3], "takes instances of Callback"),
        (EarlyStopping(), "takes a list"),
    ],
)
def test_only_callbacks_are_told(given, words):
    with pytest.raises(ConfigError, match=words):
        chain().fit(X, Y, callbacks=given)
