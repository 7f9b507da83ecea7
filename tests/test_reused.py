"""Callbacks, schedules and optimizers that are used more than once, or changed on the way."""

import csv
import struct

import numpy as np
import pytest

from recursive import (
    SGD,
    Adam,
    Dense,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    Sequential,
    errors,
)
from recursive.callbacks import Callback, CSVLogger, ReduceLROnPlateau, TensorBoard

X = np.random.RandomState(1).normal(size=(6, 1))


def model_of(optimizer, start=1.0):
    model = Sequential([Dense(1, 1, init="one", bias=False)])
    model.compile(optimizer, "mse", backend="python")
    model.set_weights([np.full((1, 1), start)])
    return model


class Numbers(Callback):
    """Puts given numbers in place of those of the epochs, before other callbacks."""

    def __init__(self, name, values):
        self.name = name
        self.values = values

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]


def epochs_until(stopping, losses):
    numbers = Numbers("loss", losses)
    model = model_of("sgd")
    history = model.fit(
        X, X, nb_epoch=len(losses), verbose=0, callbacks=[numbers, stopping]
    )
    return len(history.epoch)


def test_early_stopping_starts_afresh_for_each_fit():
    stopping = EarlyStopping("loss", patience=1)
    losses = [3.0, 2.0, 2.0, 2.0, 1.0]
    assert [epochs_until(stopping, losses) for _ in range(3)] == [4, 4, 4]


@pytest.mark.parametrize(
    ("settings", "numbers", "epochs"),
    [
        ({"min_delta": 0.5}, [3.0, 2.8, 2.0], 2),
        ({"mode": "max"}, [1.0, 2.0, 3.0, 2.0, 9.0], 4),
        ({"mode": "min"}, [1.0, 2.0, 3.0], 2),
        ({"patience": 2}, [1.0, 1.0, 1.0, 1.0, 0.0], 4),
    ],
)
def test_an_improvement_is_what_the_settings_say(settings, numbers, epochs):
    assert epochs_until(EarlyStopping("loss", **settings), numbers) == epochs


def test_the_best_weights_come_back():
    model = model_of(SGD(lr=0.1))
    seen = []

    class Watch(Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.get_weights()[0].item())

    model.fit(
        X,
        3 * X,
        nb_epoch=4,
        verbose=0,
        callbacks=[
            Watch(),
            Numbers("loss", [3.0, 1.0, 2.0, 2.0]),
            EarlyStopping("loss", patience=5, restore_best_weights=True),
        ],
    )
    assert len(set(seen)) == 4
    assert model.get_weights()[0].item() == seen[1]


def test_a_checkpoint_of_the_best_starts_afresh(tmp_path):
    saving = ModelCheckpoint(tmp_path / "w.h5", "loss", save_best_only=True)
    for losses in ([1.0], [5.0]):
        model = model_of("sgd", start=losses[0])
        model.fit(
            X, X, nb_epoch=1, verbose=0, callbacks=[Numbers("loss", losses), saving]
        )
        found = model_of("sgd")
        found.load_weights(tmp_path / "w.h5")
        np.testing.assert_array_equal(found.get_weights(), model.get_weights())


@pytest.mark.parametrize(
    "callback", [EarlyStopping(), ModelCheckpoint("w.h5", save_best_only=True)]
)
def test_without_validation_data_a_callback_warns_and_does_nothing(
    callback, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match="needs val_loss"):
        history = model_of("sgd").fit(X, X, nb_epoch=3, verbose=0, callbacks=[callback])
    assert len(history.epoch) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_fit_does_not_compute_is_an_error():
    with pytest.raises(errors.ConfigError, match="takes one of the numbers loss"):
        model_of("sgd").fit(X, X, verbose=0, callbacks=[EarlyStopping("los")])


def test_one_optimizer_serves_two_models():
    adam = Adam(lr=0.1)
    steps = []
    for _ in range(2):
        model = model_of(adam)
        model.train_on_batch(X, 3 * X)
        steps.append(model.get_weights()[0].item() - 1.0)
    # The first step of Adam has the length of the learning rate.
    assert steps == pytest.approx([0.1, 0.1])


def test_compiling_again_starts_with_empty_slots():
    model = model_of(Adam(lr=0.1))
    for _ in range(5):
        model.train_on_batch(X, 3 * X)
    model.compile(model.optimizer, "mse", backend="python")
    before = model.get_weights()[0].item()
    model.train_on_batch(X, 3 * X)
    assert model.get_weights()[0].item() - before == pytest.approx(0.1)


def test_the_learning_rate_can_be_assigned_at_any_time():
    sgd = SGD(lr=0.1)
    model = model_of(sgd)
    slope = 2 * (X**2).mean()
    model.train_on_batch(X, 0 * X)
    assert model.get_weights()[0].item() == pytest.approx(1 - 0.1 * slope)
    model.optimizer.lr = 0.5
    before = model.get_weights()[0].item()
    model.train_on_batch(X, 0 * X)
    assert model.get_weights()[0].item() == pytest.approx(before * (1 - 0.5 * slope))
    assert model.optimizer.get_config()["lr"] == 0.5
    sgd.lr = 0.25
    assert model.optimizer.lr.get_value() == 0.25
    with pytest.raises(errors.ConfigError, match="takes a finite number as lr"):
        model.optimizer.lr = "fast"


def test_a_schedule_may_read_the_present_rate():
    seen = []

    class Watch(Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(float(self.model.optimizer.lr.get_value()))

    halving = LearningRateScheduler(lambda epoch, lr: lr / 2)
    model_of(SGD(lr=1.0)).fit(X, X, nb_epoch=3, verbose=0, callbacks=[halving, Watch()])
    assert seen == [0.5, 0.25, 0.125]


def test_the_rate_is_reduced_on_a_plateau():
    rates = []

    class Watch(Callback):
        def on_epoch_end(self, epoch, logs=None):
            rates.append(float(self.model.optimizer.lr.get_value()))

    losses = [3.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0]
    plateau = ReduceLROnPlateau("loss", factor=0.5, patience=2, cooldown=1, min_lr=0.3)
    model_of(SGD(lr=1.0)).fit(
        X,
        X,
        nb_epoch=7,
        verbose=0,
        callbacks=[Numbers("loss", losses), plateau, Watch()],
    )
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]


def test_a_csv_file_has_a_line_for_each_epoch(tmp_path):
    path = tmp_path / "log.csv"
    for append in (False, True):
        history = model_of("sgd").fit(
            X,
            X,
            nb_epoch=2,
            verbose=0,
            validation_data=(X, X),
            callbacks=[CSVLogger(path, append=append)],
        )
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "loss", "val_loss"]
    assert [row["epoch"] for row in rows] == ["0", "1", "0", "1"]
    assert float(rows[-1]["loss"]) == history.history["loss"][-1]
    with pytest.raises(errors.ConfigError, match="takes the columns epoch, loss"):
        model_of("sgd").fit(
            X, X, nb_epoch=1, verbose=0, callbacks=[CSVLogger(path, append=True)]
        )
    with pytest.raises(errors.ConfigError, match="none"):
        model_of("sgd").fit(
            X, X, verbose=0, callbacks=[CSVLogger(tmp_path / "none" / "log.csv")]
        )


def events(folder):
    """The records of an event file: length, checksum, data, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    [path] = folder.iterdir()
    rest = path.read_bytes()
    while rest:
        (length,) = struct.unpack("<Q", rest[:8])
        yield Event.FromString(rest[12 : 12 + length])
        rest = rest[16 + length :]


def test_tensorboard_gets_the_numbers_of_each_epoch_and_histograms(tmp_path):
    model = model_of(SGD(lr=0.25))
    history = model.fit(
        X, X, nb_epoch=3, verbose=0, callbacks=[TensorBoard(tmp_path, histogram_freq=2)]
    ).history
    scalars, histograms = {}, []
    for event in events(tmp_path):
        for value in event.summary.value:
            if value.HasField("histo"):
                histograms.append((value.tag, event.step))
            else:
                scalars.setdefault(value.tag, []).append(value.simple_value)
    assert scalars["loss"] == pytest.approx(history["loss"], rel=1e-6)
    assert scalars["lr"] == [0.25] * 3
    names = list(model.named_params)
    assert sorted(histograms) == sorted(
        (name, step) for name in names for step in (0, 2)
    )


def test_a_run_that_continues_has_the_numbers_of_its_epochs():
    rates = []

    def schedule(epoch):
        rates.append(epoch)
        return 0.1 / (epoch + 1)

    model = model_of(SGD(lr=0.1))
    scheduler = LearningRateScheduler(schedule)
    history = model.fit(
        X, X, nb_epoch=5, initial_epoch=3, verbose=0, callbacks=[scheduler]
    )
    assert history.epoch == rates == [3, 4]
    assert float(model.optimizer.lr.get_value()) == pytest.approx(0.02)
    finished = model.fit(X, X, nb_epoch=5, initial_epoch=5, verbose=0)
    assert finished.epoch == []
    with pytest.raises(
        errors.ConfigError, match="'initial_epoch' takes an integer of 0 or"
    ):
        model.fit(X, X, nb_epoch=5, initial_epoch=-1, verbose=0)
