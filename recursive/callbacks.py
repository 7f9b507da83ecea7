"""Callbacks: objects whose methods ``fit`` calls at each stage of training.

>>> class Losses(Callback):
...     def on_train_begin(self, logs=None):
...         self.losses = []
...     def on_batch_end(self, batch, logs=None):
...         self.losses.append(logs["loss"])
"""

from __future__ import annotations

import csv
import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import TextIO

import numpy as np

from recursive.errors import ConfigError, suggest
from recursive.utils import extras
from recursive.utils.arguments import count, is_finite
from recursive.utils.files import check_place, checked_path, file_errors
from recursive.utils.progress import Bar
from recursive.utils.weight_files import check_target

Logs = dict[str, float]

MODES = ("auto", "min", "max")
"""The directions in which a number can improve; ``auto`` follows from its name."""

FORMAT_ERRORS = (LookupError, ValueError, AttributeError, TypeError)
"""The errors of ``str.format``."""


class Callback:
    """The base class, whose methods do nothing.

    ``self.model`` is the model. ``self.params`` is a dict with ``batch_size``,
    ``nb_epoch``, ``nb_sample``, ``verbose``, ``do_validation`` and ``metrics``.

    The logs of a batch hold its ``size`` and, at its end, ``loss`` and maybe ``acc``.
    The logs at the end of an epoch hold the means, and ``val_loss`` and maybe
    ``val_acc``. Epochs and batches are counted from 0.

    Set ``self.model.stop_training = True`` to stop after the current epoch. An
    exception in a method ends ``fit``; the model keeps the weights of the last batch.

    Source: ``keras.callbacks`` of Keras 0.1, whose epoch logs had only validation.
    """

    model: object = None
    params: dict[str, object] = {}  # noqa: RUF012 (replaced, never changed)

    def _set_params(self, params: dict[str, object]) -> None:
        self.params = params

    def _set_model(self, model: object) -> None:
        self.model = model

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called after the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before an epoch."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called after an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before the training step on a batch."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after the training step on a batch."""


class CallbackList(Callback):
    """Several callbacks as one, called in order.

    Raises:
        ConfigError: for anything that is not a list of callbacks.
    """

    def __init__(self, callbacks: Sequence[Callback] = ()):
        self.callbacks: list[Callback] = []
        if not isinstance(callbacks, list | tuple | CallbackList):
            raise ConfigError.about(
                "argument",
                "callbacks",
                takes="a list",
                got=repr(callbacks),
                do="Pass callbacks=[History()], for example.",
            )
        for callback in callbacks:
            self.append(callback)

    def __iter__(self) -> Iterator[Callback]:
        return iter(self.callbacks)

    def append(self, callback: Callback) -> None:
        """Add ``callback`` after the others."""
        if not isinstance(callback, Callback):
            raise ConfigError.about(
                "argument",
                "callbacks",
                takes="instances of Callback",
                got=repr(callback),
                do="Derive a class from Callback and pass an instance of it.",
            )
        self.callbacks.append(callback)

    def _set_params(self, params: dict[str, object]) -> None:
        for callback in self.callbacks:
            callback._set_params(params)

    def _set_model(self, model: object) -> None:
        for callback in self.callbacks:
            callback._set_model(model)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._call("on_train_begin", logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._call("on_train_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._call("on_epoch_begin", logs, epoch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._call("on_epoch_end", logs, epoch)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._call("on_batch_begin", logs, batch)

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._call("on_batch_end", logs, batch)

    def _call(self, method: str, logs: Logs | None, *number: int) -> None:
        """Call a method of each callback; ``number`` is that of the epoch or batch."""
        for callback in self.callbacks:
            # Always a dict, which a callback may read without a check for None.
            getattr(callback, method)(*number, {} if logs is None else logs)


class BaseLogger(Callback):
    """The output of ``fit``: a bar or a line per epoch, depending on ``verbose``."""

    _bar: Bar | None = None
    running: Callable[[], dict[str, float]] = dict
    """The means of the epoch so far; ``fit`` sets it."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        # An epoch that an exception ended left its bar open.
        self.close()
        self._bar = Bar(
            f"Epoch {epoch + 1}/{self.params['nb_epoch']}",
            self.params["nb_sample"],
            self.params["verbose"],
        )

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._bar.advance(logs["size"], self.running())

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._bar.end(logs)
        self.close()

    def close(self) -> None:
        """End the line of the bar, which an interrupted epoch leaves open."""
        if self._bar is not None:
            self._bar.close()


@dataclass
class History(Callback):
    """The numbers of all epochs: a list each for ``loss``, ``acc``, ``val_loss``...

    ``epoch`` lists the epochs, ``history`` holds the lists by name.

    >>> history = History()
    >>> history.on_epoch_end(0, {"loss": 0.5})
    >>> history.history
    {'loss': [0.5]}
    """

    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []
        self.history = {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)


class Monitor(Callback):
    """The base of callbacks that watch a number, and remember its best value.

    An accuracy is better if it is larger, anything else if it is smaller. In Keras 0.1,
    smaller was better for an accuracy too.

    A callback that is used for a second ``fit`` starts afresh.

    Args:
        monitor: the name of the number.
        min_delta: the smallest change that counts as an improvement.
        mode: ``min`` or ``max`` for the better direction, or ``auto``.
    """

    def __init__(self, monitor: str, min_delta: float = 0.0, mode: str = "auto"):
        if mode not in MODES:
            raise ConfigError.about(
                "callback",
                type(self).__name__,
                takes=f"a mode of {', '.join(MODES)}",
                got=repr(mode),
                do=suggest(str(mode), MODES),
            )
        self.monitor = monitor
        self.min_delta = _finite(type(self).__name__, "min_delta", min_delta)
        is_larger_better = monitor.endswith("acc") if mode == "auto" else mode == "max"
        self.sign = 1.0 if is_larger_better else -1.0
        self.best = -self.sign * np.inf
        self.is_monitoring = True

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start afresh, and look for the number among those that ``fit`` computes.

        Without validation data a callback that needs them warns and does nothing.
        """
        self.best = -self.sign * np.inf
        metrics = self.params["metrics"]
        self.is_monitoring = self.monitor in metrics
        if self.is_monitoring:
            return
        if self.monitor.removeprefix("val_") in metrics:
            warnings.warn(
                f"{type(self).__name__} needs {self.monitor}, which fit computes from "
                "validation data only: it does nothing. Pass validation_data or "
                "validation_split.",
                stacklevel=2,
            )
            return
        raise ConfigError.about(
            "callback",
            type(self).__name__,
            takes=f"one of the numbers {', '.join(metrics)}",
            got=repr(self.monitor),
            do="Pass show_accuracy=True for acc.",
        )

    def improved(self, logs: Logs) -> bool:
        """True if the number is the best so far, which updates ``best``."""
        number = logs[self.monitor]
        if not self.sign * (number - self.best) > self.min_delta:
            return False
        self.best = number
        return True


def _finite(owner: str, name: str, value: object) -> float:
    """The number ``value``, 0 or more."""
    if not is_finite(value) or value < 0:
        raise ConfigError.about(
            "callback",
            owner,
            takes=f"a {name} of 0 or more",
            got=repr(value),
            do=f"Pass {name}=0.0, for example.",
        )
    return float(value)


class ModelCheckpoint(Monitor):
    """Saves the weights after each epoch, or after each that is the best so far.

    Writes are atomic: a file is never left half written.

    Args:
        filepath: the file. The epoch and its numbers replace braces, as in
            ``weights.{epoch:02d}-{val_loss:.2f}.h5``.
        monitor: the number that decides which epoch is the best.
        verbose: 1 prints a line for each file.
        save_best_only: True saves only after an epoch that is the best so far.

    Raises:
        ConfigError: at the start of ``fit``, for a file that cannot be written, or if
            ``fit`` does not compute ``monitor`` or a number in ``filepath``.

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
        # With made-up numbers, so that a bad path fails now and not after an epoch.
        check_target(self._path(0, dict.fromkeys(self.params["metrics"], 0.0)))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_best_only and not (self.is_monitoring and self.improved(logs)):
            return
        path = self._path(epoch, logs)
        self.model.save_weights(path, overwrite=True)
        if self.verbose:
            print(f"Epoch {epoch + 1}: weights saved to {path}")

    def _path(self, epoch: int, logs: Logs) -> str:
        template = str(self.filepath)
        try:
            for _, _, form, _ in Formatter().parse(template):
                # A width of ten digits would make a path of gigabytes.
                if re.search(r"\d{4}", form or ""):
                    raise ValueError(f"{form} is too wide")
            return template.format(epoch=epoch, **logs)
        except FORMAT_ERRORS as error:
            raise ConfigError.about(
                "callback",
                "ModelCheckpoint",
                takes="a filepath with the epoch or its numbers in braces",
                got=f"{self.filepath} ({error})",
                do=suggest(str(error).strip("'"), ["epoch", *logs]),
            ) from error


class EarlyStopping(Monitor):
    """Stops once a number has not improved for more than ``patience`` epochs in a row.

    ``patience=0`` stops at the first epoch that is no better.

    Args:
        monitor: the name of the number.
        patience: the number of epochs to wait for an improvement.
        verbose: 1 prints a line when it stops.
        min_delta: the smallest change that counts as an improvement.
        mode: ``min`` or ``max`` for the better direction; ``auto`` is ``max`` for an
            accuracy.
        restore_best_weights: True restores the weights of the best epoch at the end of
            ``fit``.

    Source: ``keras.callbacks.EarlyStopping`` of Keras 0.1, which counts in this way.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 0,
        verbose: int = 0,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best_weights: bool = False,
    ):
        super().__init__(monitor, min_delta, mode)
        self.patience = patience
        self.verbose = verbose
        self.restore_best_weights = restore_best_weights
        self.wait = 0
        self._best_weights: list[np.ndarray] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        self.wait = 0
        self._best_weights = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if not self.is_monitoring:
            return
        if self.improved(logs):
            self.wait = 0
            if self.restore_best_weights:
                self._best_weights = self.model.get_weights()
            return
        # Checked before this epoch is counted, as in Keras 0.1.
        if self.wait >= self.patience:
            self.model.stop_training = True
            if self.verbose:
                print(
                    f"Epoch {epoch + 1}: stopped early, "
                    f"{self.monitor} no better than {self.best:.4f}"
                )
        self.wait += 1

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by ``factor`` when a number stops improving.

    Args:
        monitor: the name of the number.
        factor: the factor, above 0 and below 1.
        patience: the number of epochs without improvement before a reduction.
        verbose: 1 prints a line for each reduction.
        mode: as for :class:`EarlyStopping`.
        min_delta: as for :class:`EarlyStopping`.
        cooldown: the number of epochs after a reduction that do not count.
        min_lr: the smallest learning rate.

    Source: ``keras.callbacks.ReduceLROnPlateau`` of later versions of Keras.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ):
        super().__init__(monitor, min_delta, mode)
        if not 0 < _finite("ReduceLROnPlateau", "factor", factor) < 1:
            raise ConfigError.about(
                "callback",
                "ReduceLROnPlateau",
                takes="a factor above 0 and below 1",
                got=repr(factor),
                do="Pass factor=0.1, for example.",
            )
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.wait = 0
        self.resting = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        self.wait = 0
        self.resting = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if not self.is_monitoring:
            return
        self.resting = max(0, self.resting - 1)
        if self.improved(logs) or self.resting:
            self.wait = 0
            return
        self.wait += 1
        if self.wait >= self.patience:
            self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        old = float(optimizer.lr.get_value())
        new = max(old * self.factor, self.min_lr)
        self.wait = 0
        self.resting = self.cooldown + 1
        if new < old:
            optimizer.lr = new
            if self.verbose:
                print(f"Epoch {epoch + 1}: learning rate reduced to {new:g}")


class CSVLogger(Callback):
    """Writes the numbers of each epoch as a line of a CSV file.

    Args:
        filename: the file.
        separator: the text between two values.
        append: True adds to an existing file, whose columns must be the same.

    Raises:
        ConfigError: at the start of ``fit``, for a file that cannot be written.

    Source: ``keras.callbacks.CSVLogger`` of later versions of Keras.
    """

    def __init__(
        self, filename: str | Path, separator: str = ",", append: bool = False
    ):
        self.filename = checked_path(filename)
        self.separator = separator
        self.append = append

    def on_train_begin(self, logs: Logs | None = None) -> None:
        check_place(self.filename)  # fails now and not after an epoch
        self._columns: list[str] | None = None
        if self.append and self.filename.exists():
            self._columns = self._columns_of_file()

    def _columns_of_file(self) -> list[str] | None:
        try:
            with self._file("r") as file:
                return next(csv.reader(file, delimiter=self.separator), None)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ConfigError.about(
                "file",
                str(self.filename),
                takes="a CSV file to append to",
                got=f"something else ({error})",
                do="Write to another file, or pass append=False.",
            ) from error

    @contextmanager
    def _file(self, mode: str) -> Iterator[TextIO]:
        """The file, open in ``mode``; its errors are those of this library."""
        takes = "a file that can be read and written"
        with (
            file_errors(self.filename, takes=takes),
            self.filename.open(mode, newline="", encoding="utf-8") as file,
        ):
            yield file

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        row = {"epoch": epoch, **logs}
        is_new = self._columns is None
        if is_new:
            self._columns = list(row)
        if list(row) != self._columns:
            raise ConfigError.about(
                "file",
                str(self.filename),
                takes=f"the columns {', '.join(self._columns)}",
                got=", ".join(row),
                do="Write to another file, or pass append=False.",
            )
        # The file is whole after each epoch, whatever ends the run.
        with self._file("w" if is_new else "a") as file:
            writer = csv.writer(file, delimiter=self.separator)
            if is_new:
                writer.writerow(self._columns)
            writer.writerow(row.values())


class TensorBoard(Callback):
    """Writes the numbers of each epoch for TensorBoard, and histograms of the weights.

    The learning rate is written as ``lr``. ``tensorboard --logdir logs`` shows them.

    Args:
        log_dir: the folder.
        histogram_freq: the number of epochs between two histograms; 0 writes none.

    Raises:
        MissingPackageError: without the extra ``tensorboard``.

    Source: ``keras.callbacks.TensorBoard`` of later versions of Keras.
    """

    def __init__(self, log_dir: str | Path = "logs", histogram_freq: int = 0):
        self.log_dir = checked_path(log_dir)
        self.histogram_freq = count("histogram_freq", histogram_freq, least=0)
        why = "it writes the files that TensorBoard reads"
        # Loaded now, so that a missing package is reported before training.
        self._package = extras.load("tensorboardX", "tensorboard", why)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        with file_errors(self.log_dir, takes="a folder that can be written"):
            self._writer = self._package.SummaryWriter(str(self.log_dir))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        rate = float(self.model.optimizer.lr.get_value())
        for name, value in {**logs, "lr": rate}.items():
            self._writer.add_scalar(name, value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for name, param in self.model.named_params.items():
                self._writer.add_histogram(name, param.get_value(), epoch)
        # The numbers of finished epochs are kept, whatever ends the run.
        self._writer.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._writer.close()


class Scheduler(Callback):
    """The base of callbacks that set a number before each epoch, counted from 0.

    Args:
        schedule: a function of the epoch, or of the epoch and the present number.

    Raises:
        ConfigError: if the schedule returns anything but a finite number.
    """

    def __init__(self, schedule: Callable[..., float]):
        self.schedule = schedule
        parameters = inspect.signature(schedule).parameters.values()
        required = [item for item in parameters if item.default is item.empty]
        self._takes_number = len(required) == 2

    def scheduled(self, epoch: int, number: float) -> float:
        """The number for ``epoch``, where ``number`` is the present one."""
        arguments = [epoch, number] if self._takes_number else [epoch]
        found = self.schedule(*arguments)
        if not is_finite(found):
            raise ConfigError.about(
                "callback",
                type(self).__name__,
                takes="a schedule that returns finite numbers",
                got=f"{found!r} for epoch {epoch}",
                do="Correct the function.",
            )
        return found


class LearningRateScheduler(Scheduler):
    """Sets the learning rate before each epoch, counted from 0.

    Args:
        schedule: a function of the epoch, or of the epoch and the present rate.

    Raises:
        ConfigError: if the schedule returns anything but a finite number.

    Source: ``keras.callbacks.LearningRateScheduler`` of Keras 0.1.

    >>> halving = LearningRateScheduler(lambda epoch, lr: lr / 2)
    """

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        optimizer.lr = self.scheduled(epoch, float(optimizer.lr.get_value()))


class ShareScheduler(Scheduler):
    """Sets the share of the truth of a Teacher before each epoch, counted from 0.

    Args:
        teacher: the layer.
        schedule: a function of the epoch, or of the epoch and the present share.

    Raises:
        ConfigError: if the schedule returns anything but a number from 0 to 1.

    Source: the schedules of Bengio et al., "Scheduled Sampling for Sequence Prediction
    with Recurrent Neural Networks", 2015.
    """

    def __init__(self, teacher: object, schedule: Callable[..., float]):
        super().__init__(schedule)
        self.teacher = teacher

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.teacher.share = self.scheduled(epoch, self.teacher.share)
