"""One call of ``fit``.

Each epoch visits every row once, in batches, or takes batches from an iterator, and
makes one training step per batch. It then validates on held-out rows. Callbacks are
called at the start and the end of training, of each epoch and of each batch, and may
stop training after an epoch.

These accidents can cut it short, and none leaves a broken model behind:

- The first Ctrl-C waits until the current batch is done, because weights and optimizer
  slots are consistent only between batches.
- If the loss, a weight, an optimizer slot or a kept state is no longer finite, all of
  them return together to the end of the last good epoch, or to where they began. The
  error is a DataError if the data is not finite, else a DivergenceError.
- If a batch cannot be read or does not fit, the model keeps the weights of the batch
  before, and the error says so (:mod:`.batches`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from recursive.callbacks import BaseLogger, Callback, CallbackList, History
from recursive.errors import ConfigError, DivergenceError
from recursive.training.averages import Averages, Measured
from recursive.training.batches import Batch, Batches
from recursive.training.measures import LOSS, Measures
from recursive.training.nonfinite import check_finite_data
from recursive.training.rollback import Rollback
from recursive.training.states import KeptStates
from recursive.utils.interrupt import between_batches

RunBatch = Callable[[Batch], Measured]
"""A function from one batch to its numbers."""


@dataclass(frozen=True)
class Fit:
    """The settings of one call of ``fit``.

    Args:
        model: the model, which callbacks see.
        train: makes one training step on a batch.
        test: computes the loss of a batch without learning from it.
        changing: returns all variables that training changes.
        batch_size: the number of rows in a batch, None for an iterator.
        epochs: the numbers of the epochs, from 0.
        measures: what is measured on each batch.
        accuracy: True reports accuracies too.
        states: the states kept between batches.
        resets: ``epoch`` or ``batch`` resets the states before each; None never does.
    """

    model: object
    train: RunBatch
    test: RunBatch
    changing: Callable[[], Sequence[SharedVariable]]
    batch_size: int | None
    epochs: range
    measures: Measures
    accuracy: bool
    states: KeptStates
    resets: str | None

    def run(
        self,
        training: Batches,
        held_out: Batches | None,
        verbose: int,
        callbacks: Sequence[Callback],
    ) -> History:
        """Train on the batches of ``training``, validate on those of ``held_out``."""
        self._prepare_states(training, held_out)
        history = History()
        logger = BaseLogger()
        loggers = [history, logger] if verbose else [history]
        callbacks = CallbackList([*loggers, *CallbackList(callbacks)])
        callbacks._set_model(self.model)
        callbacks._set_params(self._params(training, held_out, verbose))

        rollback = Rollback(self.changing)
        self.model.stop_training = False
        # Ctrl-C takes effect where ``check_interrupt`` is called, after a batch.
        with between_batches() as check_interrupt, closing(logger):
            callbacks.on_train_begin()
            for epoch in self.epochs:
                self._reset_before("epoch")
                callbacks.on_epoch_begin(epoch)
                averages = Averages(self.measures, self.accuracy)
                logger.running = averages.values
                batches = training.epoch(epoch + 1)
                latest = self._train_epoch(
                    batches, averages, callbacks, check_interrupt
                )
                logs = averages.values()
                self._check_finite(epoch, logs["loss"], latest, rollback)
                # Callbacks may pass weights to functions that take no JAX arrays.
                self.model._release_arrays()
                if held_out is not None:
                    batches = held_out.epoch(epoch + 1)
                    logs |= self._validate(batches, check_interrupt)
                callbacks.on_epoch_end(epoch, logs)
                rollback.keep(epoch)
                if self.model.stop_training:
                    break
            callbacks.on_train_end()
        return history

    def _train_epoch(
        self,
        batches: Iterable[Batch],
        averages: Averages,
        callbacks: Callback,
        check_interrupt: Callable[[], None],
    ) -> Sequence[Batch]:
        """Train on the batches of one epoch and return the last two.

        Stops early if the loss is not finite. The mean loss is not finite then either.
        """
        latest: deque[Batch] = deque(maxlen=2)
        for index, batch in enumerate(batches):
            latest.append(batch)
            self._reset_before("batch")
            logs = {"batch": index, "size": batch.size}
            callbacks.on_batch_begin(index, dict(logs))
            numbers = self.train(batch)
            averages.add(numbers)
            of_batch = Averages.of_batch(self.measures, self.accuracy, numbers)
            found = of_batch.values()
            if not np.isfinite(found[LOSS]):
                break
            callbacks.on_batch_end(index, logs | found)
            check_interrupt()
        return latest

    def _validate(
        self, batches: Iterable[Batch], check_interrupt: Callable[[], None]
    ) -> dict[str, float]:
        """The ``val_loss`` and maybe ``val_acc``; kept states are not changed."""

        def test(batch: Batch) -> Measured:
            self._reset_before("batch")
            return self.test(batch)

        def advance(rows: int, logs: dict[str, float]) -> None:
            check_interrupt()

        with self.states.set_aside():
            averages = Averages(self.measures, self.accuracy)
            found = scores(test, batches, averages, advance)
        return {f"val_{name}": value for name, value in found.items()}

    def _reset_before(self, stage: str) -> None:
        if self.resets == stage:
            self.states.reset()

    def _params(
        self, training: Batches, held_out: Batches | None, verbose: int
    ) -> dict[str, object]:
        """The ``params`` of a callback."""
        metrics = list(Averages(self.measures, self.accuracy).values())
        if held_out is not None:
            metrics += [f"val_{name}" for name in metrics]
        return {
            "batch_size": self.batch_size,
            "nb_epoch": self.epochs.stop,
            "nb_sample": training.rows,
            "verbose": verbose,
            "do_validation": held_out is not None,
            "metrics": metrics,
        }

    def _prepare_states(self, training: Batches, held_out: Batches | None) -> None:
        """Prepare kept states for the first batch, if its number of rows is known.

        Raises:
            BatchSizeError: if they would meet batches of unequal size.
        """
        if self.resets == "batch":
            return
        for batches in (training, held_out):
            if batches is not None and batches.rows is not None:
                self.states.check_batches(batches.rows, batches.batch_size)
        if self.resets is None and training.rows is not None:
            self.states.prepare(min(training.rows, training.batch_size))

    def _check_finite(
        self, epoch: int, loss: float, latest: Sequence[Batch], rollback: Rollback
    ) -> None:
        """Roll back and raise an error unless all numbers are finite.

        Args:
            epoch: the number of the epoch, from 0.
            loss: the mean loss of its batches.
            latest: its last two batches. The loss of a batch is computed before its
                step, so data that breaks the weights may be in the batch before.
            rollback: restores the weights and the optimizer.
        """
        # The last step of an epoch can break the weights without any loss showing it.
        # Means of squares and running means can overflow while the weights stay finite:
        # so everything that training changes is looked at.
        if np.isfinite(loss) and _all_finite(self.changing()):
            return
        # If the first loss is bad, so is the copy from the end of the epoch before.
        was_bad_before = latest[-1].place.batch == 1 and not np.isfinite(loss)
        restored = rollback.restore(at_first_batch=was_bad_before)
        restored = f"weights and optimizer are back at {restored}."
        for batch in reversed(latest):
            check_finite_data(self.model, batch, held=restored.capitalize())
        raise DivergenceError.about(
            "model",
            "fit",
            takes="a loss that stays finite",
            got=f"a loss of {loss}, or weights or optimizer slots that are not finite, "
            f"in epoch {epoch + 1} of {self.epochs.stop}",
            do=f"Lower the learning rate, or set clipnorm; {restored}",
        )


def scores(
    test: RunBatch,
    batches: Iterable[Batch],
    averages: Averages,
    advance: Callable[[int, dict[str, float]], None],
) -> dict[str, float]:
    """Return the means over all rows.

    ``advance`` is called after each batch with its number of rows and the means so far.
    """
    for batch in batches:
        averages.add(test(batch))
        advance(batch.size, averages.values())
    return averages.values()


def checked_shuffle(value: object) -> bool | str:
    """Return ``shuffle`` as True, False or ``batch``.

    Raises:
        ConfigError: for anything else.
    """
    if value == "batch":
        return "batch"
    if isinstance(value, bool | np.bool_ | int):
        return bool(value)
    raise ConfigError.about(
        "argument",
        "shuffle",
        takes="True, False or 'batch'",
        got=repr(value),
        do="Pass shuffle=True, for example.",
    )


def _all_finite(variables: Sequence[SharedVariable]) -> bool:
    return all(
        np.isfinite(variable.get_value(borrow=True)).all() for variable in variables
    )
