"""Epochs and batches of ``fit``, and what surrounds them: callbacks, Ctrl-C, a loss that is no longer finite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from recursive.callbacks import BaseLogger, Callback, CallbackList, History
from recursive.errors import DivergenceError
from recursive.training import data
from recursive.training.data import Arrays
from recursive.training.rollback import Rollback
from recursive.training.states import Carried
from recursive.utils.interrupt import between_batches
from recursive.utils.progress import Mean

Run = Callable[[Arrays], dict[str, float]]
"""From the arrays of one batch to its numbers: ``loss``, ``acc``."""


@dataclass(frozen=True)
class Fit:
    """One call of ``fit``.

    Args:
        model: what callbacks are told of.
        train: makes one step on a batch.
        test: the numbers of a batch, nothing learned.
        changing: everything that training changes.
        batch_size: rows of a batch.
        nb_epoch: how often all rows are gone through.
        shuffle: True draws the order of rows anew for each epoch, ``batch`` that of whole batches.
        followed: the names of the numbers to take means of.
        carried: the states that go on from batch to batch.
        resets: before what they start anew: each ``epoch``, each ``batch``, or None.
    """

    model: object
    train: Run
    test: Run
    changing: Callable[[], Sequence[SharedVariable]]
    batch_size: int
    nb_epoch: int
    shuffle: bool | str
    followed: tuple[str, ...]
    carried: Carried
    resets: str | None

    def run(
        self,
        arrays: Arrays,
        held_out: Arrays,
        verbose: int,
        callbacks: Sequence[Callback],
    ) -> History:
        """Learn from ``arrays``, validate on ``held_out`` where there is any."""
        self._check_batches(arrays, held_out)
        history, logger = History(), BaseLogger()
        told = CallbackList(
            [history, *([logger] if verbose else []), *CallbackList(callbacks)]
        )
        told._set_model(self.model)
        told._set_params(
            {
                "batch_size": self.batch_size,
                "nb_epoch": self.nb_epoch,
                "nb_sample": data.check_rows(arrays),
                "verbose": verbose,
                "do_validation": bool(held_out),
                "metrics": [
                    *self.followed,
                    *(f"val_{name}" for name in self.followed if held_out),
                ],
            }
        )
        rollback = Rollback(self.changing)
        self.model.stop_training = False
        with between_batches() as check_interrupt, closing(logger):
            told.on_train_begin()
            for epoch in range(self.nb_epoch):
                self._reset("epoch")
                told.on_epoch_begin(epoch)
                mean = self._epoch(arrays, told, check_interrupt)
                self._check_finite(epoch, mean, rollback)
                self.model._leave_jax()
                logs = mean.values()
                if held_out:
                    found = self._validate(held_out, check_interrupt)
                    logs |= {f"val_{name}": value for name, value in found.items()}
                told.on_epoch_end(epoch, logs)
                rollback.keep(epoch)
                if self.model.stop_training:
                    break
            told.on_train_end()
        return history

    def _epoch(
        self, arrays: Arrays, told: CallbackList, check_interrupt: Callable[[], None]
    ) -> Mean:
        """Go through all rows once; stops early where the loss is not finite, which the mean then shows."""
        order = np.arange(data.check_rows(arrays))
        if self.shuffle == "batch":
            whole = order[: len(order) // self.batch_size * self.batch_size].reshape(
                -1, self.batch_size
            )
            np.random.shuffle(whole)
        elif self.shuffle:
            np.random.shuffle(order)
        mean = Mean(self.followed)
        for index, rows in enumerate(data.batches(order, self.batch_size)):
            self._reset("batch")
            told.on_batch_begin(index, {"batch": index, "size": len(rows)})
            logs = self.train(data.take(arrays, rows))
            mean.add(logs, len(rows))
            if not np.isfinite(logs["loss"]):
                break
            told.on_batch_end(
                index,
                {
                    "batch": index,
                    "size": len(rows),
                    **{name: logs[name] for name in self.followed},
                },
            )
            check_interrupt()
        return mean

    def _validate(
        self, held_out: Arrays, check_interrupt: Callable[[], None]
    ) -> dict[str, float]:
        """The numbers of other data, with states of their own: training goes on as if it had not been."""

        def test(arrays: Arrays) -> dict[str, float]:
            self._reset("batch")
            return self.test(arrays)

        with self.carried.set_aside():
            return scores(
                test,
                held_out,
                self.batch_size,
                self.followed,
                lambda *_: check_interrupt(),
            )

    def _reset(self, before: str) -> None:
        if self.resets == before:
            self.carried.reset()

    def _check_batches(self, arrays: Arrays, held_out: Arrays) -> None:
        """Raise a BatchSizeError where states would go on from batches of one size to some of another."""
        if self.resets == "batch":
            return
        for rows in map(data.check_rows, [arrays, *([held_out] if held_out else [])]):
            self.carried.check_batches(rows, self.batch_size)
        if self.resets is None:
            self.carried.prepare(min(data.check_rows(arrays), self.batch_size))

    def _check_finite(self, epoch: int, mean: Mean, rollback: Rollback) -> None:
        """The loss is that of before each step: the last one of an epoch may spoil the weights, and not show it."""
        loss = mean.values()["loss"]
        if np.isfinite(loss) and all(
            np.isfinite(value.get_value(borrow=True)).all()
            for value in self.model.params
        ):
            return
        restored = rollback.restore(at_first_batch=mean.rows <= self.batch_size)
        raise DivergenceError.about(
            "model",
            "fit",
            takes="a loss that stays finite",
            because="its gradient moves the weights",
            got=f"a loss of {loss}, or weights that are not finite, in epoch {epoch + 1} of {self.nb_epoch}",
            do=f"Lower the learning rate, or set clipnorm; weights and optimizer are back at {restored}.",
        )


def scores(
    test: Run,
    arrays: Arrays,
    batch_size: int,
    followed: Sequence[str],
    advance: Callable[[int, dict[str, float]], None],
) -> dict[str, float]:
    """The means over all rows; ``advance`` is told of the rows of each batch, and the means so far."""
    mean = Mean(followed)
    for rows in data.batches(np.arange(data.check_rows(arrays)), batch_size):
        mean.add(test(data.take(arrays, rows)), len(rows))
        advance(len(rows), mean.values())
    return mean.values()
