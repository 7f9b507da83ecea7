"""One call of ``fit``.

Each epoch visits every row once, in batches, and makes one training step per batch. It
then validates on held-out rows. Callbacks are called at the start and the end of
training, of each epoch and of each batch, and may stop training after an epoch.

Two accidents can cut this short, and neither leaves a broken model behind:

- The first Ctrl-C waits until the current batch is done, because weights and optimizer
  slots are consistent only between batches.
- If the loss or a weight is no longer finite, weights, optimizer slots and kept states
  return together to the end of the last good epoch, or to where they began, and a
  DivergenceError is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from recursive.callbacks import BaseLogger, Callback, CallbackList, History
from recursive.errors import ConfigError, DivergenceError
from recursive.training import data
from recursive.training.averages import Averages, Measured
from recursive.training.data import Arrays
from recursive.training.measures import LOSS, Measures
from recursive.training.rollback import Rollback
from recursive.training.states import KeptStates
from recursive.utils.interrupt import between_batches

RunBatch = Callable[[Arrays], Measured]
"""A function from the arrays of one batch to its numbers."""


@dataclass(frozen=True)
class Fit:
    """The settings of one call of ``fit``.

    Args:
        model: the model, which callbacks see.
        train: makes one training step on a batch.
        test: computes the loss of a batch without learning from it.
        changing: returns all variables that training changes.
        batch_size: the number of rows in a batch.
        epochs: the numbers of the epochs, from 0.
        shuffle: True shuffles rows in each epoch, ``batch`` shuffles whole batches.
        measures: what is measured on each batch.
        accuracy: True reports accuracies too.
        states: the states kept between batches.
        resets: ``epoch`` or ``batch`` resets the states before each; None never does.
    """

    model: object
    train: RunBatch
    test: RunBatch
    changing: Callable[[], Sequence[SharedVariable]]
    batch_size: int
    epochs: range
    shuffle: bool | str
    measures: Measures
    accuracy: bool
    states: KeptStates
    resets: str | None

    def run(
        self,
        arrays: Arrays,
        held_out: Arrays,
        verbose: int,
        callbacks: Sequence[Callback],
    ) -> History:
        """Train on ``arrays`` and validate on ``held_out``, which may be empty."""
        self._prepare_states(arrays, held_out)
        history = History()
        logger = BaseLogger()
        loggers = [history, logger] if verbose else [history]
        callbacks = CallbackList([*loggers, *CallbackList(callbacks)])
        callbacks._set_model(self.model)
        callbacks._set_params(self._params(arrays, held_out, verbose))

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
                batches = self._train_epoch(
                    arrays, averages, callbacks, check_interrupt
                )
                logs = averages.values()
                self._check_finite(epoch, logs["loss"], batches, rollback)
                # Callbacks may pass weights to functions that take no JAX arrays.
                self.model._release_arrays()
                if held_out:
                    logs |= self._validate(held_out, check_interrupt)
                callbacks.on_epoch_end(epoch, logs)
                rollback.keep(epoch)
                if self.model.stop_training:
                    break
            callbacks.on_train_end()
        return history

    def _train_epoch(
        self,
        arrays: Arrays,
        averages: Averages,
        callbacks: Callback,
        check_interrupt: Callable[[], None],
    ) -> int:
        """Train on every row once and return the number of batches.

        Stops early if the loss is not finite. The mean loss is not finite then either.
        """
        order = self._order(data.check_rows(arrays))
        for index, rows in enumerate(data.batches(order, self.batch_size)):
            self._reset_before("batch")
            logs = {"batch": index, "size": len(rows)}
            callbacks.on_batch_begin(index, dict(logs))
            numbers = self.train(data.take(arrays, rows))
            averages.add(numbers)
            of_batch = Averages.of_batch(self.measures, self.accuracy, numbers)
            found = of_batch.values()
            if not np.isfinite(found[LOSS]):
                break
            callbacks.on_batch_end(index, logs | found)
            check_interrupt()
        return index + 1

    def _order(self, rows: int) -> np.ndarray:
        """The row indices of one epoch in the order they are visited."""
        order = np.arange(rows)
        if self.shuffle == "batch":
            # The reshaped array is a view, so shuffling its rows reorders ``order``
            # itself. A shorter last batch stays last.
            full = rows // self.batch_size * self.batch_size
            np.random.shuffle(order[:full].reshape(-1, self.batch_size))
        elif self.shuffle:
            np.random.shuffle(order)
        return order

    def _validate(
        self, held_out: Arrays, check_interrupt: Callable[[], None]
    ) -> dict[str, float]:
        """The ``val_loss`` and maybe ``val_acc``; kept states are not changed."""

        def test(arrays: Arrays) -> Measured:
            self._reset_before("batch")
            return self.test(arrays)

        def advance(rows: int, logs: dict[str, float]) -> None:
            check_interrupt()

        with self.states.set_aside():
            averages = Averages(self.measures, self.accuracy)
            found = scores(test, held_out, self.batch_size, averages, advance)
        return {f"val_{name}": value for name, value in found.items()}

    def _reset_before(self, stage: str) -> None:
        if self.resets == stage:
            self.states.reset()

    def _params(
        self, arrays: Arrays, held_out: Arrays, verbose: int
    ) -> dict[str, object]:
        """The ``params`` of a callback."""
        metrics = list(Averages(self.measures, self.accuracy).values())
        if held_out:
            metrics += [f"val_{name}" for name in metrics]
        return {
            "batch_size": self.batch_size,
            "nb_epoch": self.epochs.stop,
            "nb_sample": data.check_rows(arrays),
            "verbose": verbose,
            "do_validation": bool(held_out),
            "metrics": metrics,
        }

    def _prepare_states(self, arrays: Arrays, held_out: Arrays) -> None:
        """Prepare kept states for the first batch.

        Raises:
            BatchSizeError: if they would meet batches of unequal size.
        """
        if self.resets == "batch":
            return
        rows = data.check_rows(arrays)
        self.states.check_batches(rows, self.batch_size)
        if held_out:
            self.states.check_batches(data.check_rows(held_out), self.batch_size)
        if self.resets is None:
            self.states.prepare(min(rows, self.batch_size))

    def _check_finite(
        self, epoch: int, loss: float, batches: int, rollback: Rollback
    ) -> None:
        """Roll back and raise a DivergenceError unless loss and weights are finite."""
        # The loss of a batch is computed before its step, so the last step of an epoch
        # can break the weights without any loss showing it.
        if np.isfinite(loss) and _all_finite(self.model.params):
            return
        # If the first loss is bad, so is the copy from the end of the epoch before.
        was_bad_before = batches == 1 and not np.isfinite(loss)
        restored = rollback.restore(at_first_batch=was_bad_before)
        raise DivergenceError.about(
            "model",
            "fit",
            takes="a loss that stays finite",
            got=f"a loss of {loss}, or weights that are not finite, "
            f"in epoch {epoch + 1} of {self.epochs.stop}",
            do="Lower the learning rate, or set clipnorm; "
            f"weights and optimizer are back at {restored}.",
        )


def scores(
    test: RunBatch,
    arrays: Arrays,
    batch_size: int,
    averages: Averages,
    advance: Callable[[int, dict[str, float]], None],
) -> dict[str, float]:
    """Return the means over all rows.

    ``advance`` is called after each batch with its number of rows and the means so far.
    """
    for rows in data.batches(np.arange(data.check_rows(arrays)), batch_size):
        averages.add(test(data.take(arrays, rows)))
        advance(len(rows), averages.values())
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
