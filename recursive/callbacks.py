"""What is told of each stage of ``fit``, and may act on it.

>>> class Losses(Callback):
...     def on_train_begin(self, logs=None):
...         self.losses = []
...     def on_batch_end(self, batch, logs=None):
...         self.losses.append(logs["loss"])
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path

import numpy as np

from recursive.errors import ConfigError, suggest
from recursive.utils.progress import Bar, Mean
from recursive.utils.weight_files import check_target

Logs = dict[str, float]


class Callback:
    """The base: every method does nothing. ``self.model`` is the model, ``self.params`` how it is fitted.

    ``params`` has ``batch_size``, ``nb_epoch``, ``nb_sample``, ``verbose``, ``do_validation`` and ``metrics``. The
    logs of a batch have its ``size``, and at its end ``loss`` (and ``acc``); those of the end of an epoch have the
    means, and ``val_loss`` (and ``val_acc``). Set ``self.model.stop_training = True`` to stop after the epoch.

    Epochs and batches are counted from 0. What a method raises ends ``fit``; the model stays as the last batch left
    it. Source: ``keras.callbacks`` of Keras 0.1, whose logs of an epoch had the numbers of validation only.
    """

    model: object = None
    params: dict[str, object] = {}  # noqa: RUF012 (replaced, never changed)

    def _set_params(self, params: dict[str, object]) -> None:
        self.params = params

    def _set_model(self, model: object) -> None:
        self.model = model

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a step."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a step."""


class CallbackList(Callback):
    """Several callbacks as one, told in their order.

    Raises:
        ConfigError: for something that is not a callback.
    """

    def __init__(self, callbacks: Sequence[Callback] = ()):
        self.callbacks: list[Callback] = []
        if not isinstance(callbacks, list | tuple | CallbackList):
            raise ConfigError.about(
                "argument",
                "callbacks",
                takes="a list",
                because="there may be several",
                got=repr(callbacks),
                do="Say callbacks=[History()], for example.",
            )
        for callback in callbacks:
            self.append(callback)

    def __iter__(self) -> Iterator[Callback]:
        return iter(self.callbacks)

    def append(self, callback: Callback) -> None:
        """Tell ``callback`` too, after the others."""
        if not isinstance(callback, Callback):
            raise ConfigError.about(
                "argument",
                "callbacks",
                takes="callbacks",
                because="their methods are called",
                got=repr(callback),
                do="Derive from Callback; a class needs its brackets.",
            )
        self.callbacks.append(callback)

    def _set_params(self, params: dict[str, object]) -> None:
        for callback in self.callbacks:
            callback._set_params(params)

    def _set_model(self, model: object) -> None:
        for callback in self.callbacks:
            callback._set_model(model)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_begin({} if logs is None else logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_end({} if logs is None else logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, {} if logs is None else logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, {} if logs is None else logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_batch_begin(batch, {} if logs is None else logs)

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_batch_end(batch, {} if logs is None else logs)


class BaseLogger(Callback):
    """Shows a bar, or a line an epoch, as ``verbose`` says: what ``fit`` prints."""

    _bar: Bar | None = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.close()
        self._mean = Mean(
            name for name in self.params["metrics"] if not name.startswith("val_")
        )
        self._bar = Bar(
            f"Epoch {epoch + 1}/{self.params['nb_epoch']}",
            self.params["nb_sample"],
            self.params["verbose"],
        )

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._mean.add(logs, logs["size"])
        self._bar.advance(logs["size"], self._mean.values())

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._bar.end(logs)
        self.close()

    def close(self) -> None:
        """Leave the line of the bar, which an epoch that was broken off would go on with."""
        if self._bar is not None:
            self._bar.close()


@dataclass
class History(Callback):
    """The epochs that were run, and one list for each number that was followed: ``loss``, ``acc``, ``val_loss``...

    >>> history = History()
    >>> history.on_epoch_end(0, {"loss": 0.5})
    >>> history.history
    {'loss': [0.5]}
    """

    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch, self.history = [], {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)


class Monitor(Callback):
    """The base of what waits for a number to get better: larger for an accuracy, smaller for anything else.

    Keras 0.1 took the smaller one for an accuracy too.

    Args:
        monitor: the name of the number.
    """

    def __init__(self, monitor: str):
        self.monitor = monitor
        self.is_better = operator.gt if monitor.endswith("acc") else operator.lt
        self.best = -np.inf if monitor.endswith("acc") else np.inf

    def on_train_begin(self, logs: Logs | None = None) -> None:
        followed = self.params["metrics"]
        if self.monitor not in followed:
            raise ConfigError.about(
                "callback",
                type(self).__name__,
                takes=f"one of the numbers {', '.join(followed)}",
                because="only these are followed",
                got=repr(self.monitor),
                do="Pass validation_data or validation_split for val_loss, show_accuracy for acc.",
            )

    def improved(self, logs: Logs) -> bool:
        """Whether the number is the best so far, which is then remembered."""
        if not self.is_better(logs[self.monitor], self.best):
            return False
        self.best = logs[self.monitor]
        return True


class ModelCheckpoint(Monitor):
    """Saves the weights after each epoch, or after each that is the best so far. A file is never left half written.

    Args:
        filepath: the file; ``weights.{epoch:02d}-{val_loss:.2f}.h5`` is filled in from the epoch and its numbers.
        monitor: the number that decides which epoch is the best.
        verbose: 1 prints a line for each file.
        save_best_only: True overwrites the file only with something better.

    Raises:
        ConfigError: at the start of ``fit``, for a file that cannot be written, or a name in ``filepath`` or a
            ``monitor`` that is not followed.

    Source: ``keras.callbacks.ModelCheckpoint`` of Keras 0.1.
    """

    def __init__(
        self,
        filepath: str | Path,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
    ):
        super().__init__(monitor)
        self.filepath = filepath
        self.verbose = verbose
        self.save_best_only = save_best_only

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.save_best_only:
            super().on_train_begin(logs)
        check_target(self._path(0, dict.fromkeys(self.params["metrics"], 0.0)))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_best_only and not self.improved(logs):
            return
        path = self._path(epoch, logs)
        self.model.save_weights(path, overwrite=True)
        if self.verbose:
            print(f"Epoch {epoch + 1}: weights saved to {path}")

    def _path(self, epoch: int, logs: Logs) -> str:
        try:
            return str(self.filepath).format(epoch=epoch, **logs)
        except (LookupError, ValueError) as error:
            raise ConfigError.about(
                "callback",
                "ModelCheckpoint",
                takes="a filepath whose braces can be filled in",
                because="they hold the epoch and its numbers",
                got=f"{self.filepath} ({error})",
                do=suggest(str(error).strip("'"), ["epoch", *logs]),
            ) from error


class EarlyStopping(Monitor):
    """Stops once a number has not got better for more than ``patience`` epochs in a row.

    Source: ``keras.callbacks.EarlyStopping`` of Keras 0.1, with its way of counting: ``patience=0`` stops at the first
    epoch that is no better.
    """

    def __init__(self, monitor: str = "val_loss", patience: int = 0, verbose: int = 0):
        super().__init__(monitor)
        self.patience = patience
        self.verbose = verbose
        self.wait = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.improved(logs):
            self.wait = 0
            return
        if self.wait >= self.patience:
            self.model.stop_training = True
            if self.verbose:
                print(
                    f"Epoch {epoch + 1}: stopped early, {self.monitor} no better than {self.best:.4f}"
                )
        self.wait += 1


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch to ``schedule(epoch)``, for epochs from 0.

    Raises:
        ConfigError: where the schedule gives something that is not a number.

    Source: ``keras.callbacks.LearningRateScheduler`` of Keras 0.1.
    """

    def __init__(self, schedule: Callable[[int], float]):
        self.schedule = schedule

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        rate, lr = self.schedule(epoch), self.model.optimizer.lr
        if (
            isinstance(rate, bool)
            or not isinstance(rate, Real)
            or not np.isfinite(rate)
        ):
            raise ConfigError.about(
                "callback",
                "LearningRateScheduler",
                takes="a schedule that gives finite numbers",
                because="each is a learning rate",
                got=f"{rate!r} for epoch {epoch}",
                do="Look at the function again.",
            )
        lr.set_value(np.asarray(rate, dtype=lr.dtype))
