"""A container that learns: ``compile``, single batches, ``fit``, and kept states.

``Model`` turns the user's data into arrays by name (:mod:`.feed`, :mod:`.row_weights`)
and runs compiled functions on them (:mod:`.programs`). :mod:`.fit` holds the epochs of
``fit``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from recursive import optimizers
from recursive.backend import Argument, floatX
from recursive.backend.choose import BACKENDS, is_auto, resolve_backend
from recursive.callbacks import Callback, History
from recursive.errors import (
    ConfigError,
    NotCompiledError,
    TrainableChangedWarning,
    suggest,
)
from recursive.layers.learned import frozen_now, marks
from recursive.locked import LOCK, locked
from recursive.metrics import ACCURACIES, Metric
from recursive.spec.shapes import Shape
from recursive.training import data, feed, row_weights, tbptt
from recursive.training import measures as measuring
from recursive.training.averages import Averages, Measured, measured
from recursive.training.batches import (
    Batch,
    Batches,
    IteratorBatches,
    Place,
    RowBatches,
    checked_steps,
    is_iterator,
    located,
    parts_of,
)
from recursive.training.data import Arrays
from recursive.training.files import ModelFiles
from recursive.training.fit import Fit, RunBatch, checked_shuffle, scores
from recursive.training.measures import LOSS, Measures
from recursive.training.nonfinite import check_finite_data
from recursive.training.positional import PositionalFunctions
from recursive.training.programs import Programs, why_not_jax
from recursive.training.recompute import Recompute
from recursive.training.states import KeptStates
from recursive.utils.arguments import count, flag
from recursive.utils.progress import Bar

Metrics = Sequence[str | Callable | Metric] | Mapping[str, Sequence] | None


class Model(ModelFiles, PositionalFunctions):
    """The training methods of a container.

    Functions are compiled when they are first used, and again after more is added to
    the container.

    Source: ``keras.models`` of Keras 0.1.
    """

    loss: str | Callable | Mapping[str, str | Callable] | None = None
    optimizer: optimizers.Optimizer | None = None
    class_mode = "categorical"
    metrics: object = None
    loss_weights: Mapping[str, float] | Sequence[float] | None = None
    backend: str | None = None
    may_change_backend = False

    _programs: Programs | None = None
    _recompute: Recompute | None = None
    _targets: tuple[tuple | None, list[Argument]] = (None, [])
    """The version and shapes that targets were last inferred for, and the result."""

    _measures: tuple[tuple[str, ...], Measures | None] = ((), None)
    """The outputs that the measures were last made for, and the result."""

    @locked
    def compile(
        self,
        optimizer: str | optimizers.Optimizer | None = None,
        loss: str | Callable | Mapping[str, str | Callable] | None = None,
        class_mode: str = "categorical",
        theano_mode: None = None,
        backend: str | None = None,
        metrics: Metrics = None,
        loss_weights: Mapping[str, float] | Sequence[float] | None = None,
    ) -> None:
        """Configure the optimizer, the losses and the metrics.

        A model compiled without a loss can only predict.

        Args:
            optimizer: a name or an Optimizer; required if there is a loss.
            loss: the name or function of an objective; a dict by output if there are
                several outputs. An output whose loss is None takes no target.
            class_mode: the kind of accuracy: ``categorical`` compares the largest
                values, ``binary`` rounds.
            theano_mode: None; PyTensor has no Theano modes.
            backend: auto, jax, numba, c or python; None for the one chosen by
                ``set_backend``.
            metrics: what to report next to the loss: names, functions or Metrics (see
                :mod:`recursive.metrics`), or a dict of such lists by output.
            loss_weights: the factor of each loss in the total, by output or in their
                order; 1 for those left out.

        Raises:
            UnknownNameError: for an unknown optimizer, loss or metric.
            ConfigError: if losses, metrics or weights do not match the outputs, or for
                an unknown class mode.
            BackendError: for an unknown or missing backend.
        """
        # All checks come first: a call that fails changes nothing.
        _check_compile_arguments(optimizer, loss, class_mode, theano_mode)
        chosen = resolve_backend(backend, why_not_jax(self))
        found = None
        if loss is not None:
            found = measuring.of_model(
                loss, loss_weights, metrics, class_mode, self.output_names
            )
        if optimizer is None:
            self.optimizer = None
        elif optimizer is self.optimizer:
            optimizer.restart()
        else:
            self.optimizer = optimizers.get(optimizer).started()
        self.loss = loss
        self.class_mode = class_mode
        self.metrics = metrics
        self.loss_weights = loss_weights
        self.backend = chosen
        self.may_change_backend = is_auto(backend)
        self._programs = None
        self._targets = Model._targets
        self._measures = (self.output_names, found)
        self._frozen = frozen_now(self)
        self._frozen_marks = marks(self._frozen)

    # One batch

    def train_on_batch(
        self,
        X: object,
        y: object = None,
        accuracy: bool = False,
        class_weight: object = None,
        sample_weight: object = None,
    ) -> float | tuple[float, ...]:
        """Make one optimizer step and return the loss from before it.

        With an accuracy or metrics, return a tuple: ``metrics_names`` has their names.

        Args:
            X: inputs, as a dict by name, a list or an array. A dict may hold the
                targets too if ``y`` is left out.
            y: targets, likewise.
            accuracy: True returns ``(loss, accuracy)``.
            class_weight: the weight of a row or step by its class, ``{0: 1.0, 1:
                2.5}``, or a dict of such dicts by output. As for all weights, the loss
                is divided by their sum, so they change nothing in a batch of one class.
            sample_weight: the weight of each row, ``(batch,)``, for a sequence also
                ``(batch, time)``, or a dict of such arrays by output. The loss is
                divided by the sum of the weights.

        Raises:
            NotCompiledError: before ``compile`` with a loss.
            DataError, ShapeError, DtypeError: for data that does not match the
                declaration.
            DataError: for NaN or infinity in the data, if it makes the loss one too.
                The step is made by then.
        """
        return self._on_batch("train", X, y, accuracy, class_weight, sample_weight)

    def test_on_batch(
        self,
        X: object,
        y: object = None,
        accuracy: bool = False,
        sample_weight: object = None,
    ) -> float | tuple[float, ...]:
        """Return what ``train_on_batch`` returns, but without penalties, and learn
        nothing.

        Raises as ``train_on_batch``.
        """
        return self._on_batch("test", X, y, accuracy, None, sample_weight)

    def predict_on_batch(
        self, X: object, n_steps: int | None = None
    ) -> np.ndarray | Arrays:
        """Return the outputs for one batch, in the form that ``predict`` uses."""
        return self.predict(X, batch_size=None, n_steps=n_steps)

    @locked
    def _on_batch(
        self,
        kind: str,
        X: object,
        y: object,
        accuracy: bool,
        class_weight: object,
        sample_weight: object,
    ) -> float | tuple[float, ...]:
        self._check_compiled(kind)
        row_weights.check_one(class_weight, sample_weight)
        is_training = kind == "train"
        arrays = self._weighted_pairs(X, y, sample_weight, training=is_training)
        arrays = self._with_class_weights(arrays, class_weight)
        numbers = self._run(kind, arrays)
        found = Averages.of_batch(self._measured, accuracy, numbers).result()
        loss = found[0] if isinstance(found, tuple) else found
        if not np.isfinite(loss):
            held = "The model is unchanged."
            if is_training:
                held = "The step was made, so load or set the weights again."
            check_finite_data(self, Batch(arrays, Place(1)), held)
        return found

    @locked
    def _weighted_pairs(
        self,
        X: object,
        y: object,
        sample_weight: object,
        lazy: bool = False,
        training: bool = False,
    ) -> Arrays:
        """Inputs, targets and, if there are sample weights, a weight per target.

        Arrays in files are read if not ``lazy``. Inputs for training only may be left
        out if not ``training``.
        """
        outputs = self._measured.outputs
        arrays, steps = feed.pairs(
            self, X, y, outputs, self._targets_for, lazy, training
        )
        weights = row_weights.of_samples(sample_weight, arrays, outputs)
        return arrays | row_weights.without_padding(weights, steps, arrays, outputs)

    def _targets_for(self, shapes: dict[str, Shape]) -> list[Argument]:
        """The targets of the model for inputs of ``shapes``."""
        # Inferring shapes takes longer than all other checks of a batch, and most
        # batches have the same shape. So the last result is reused.
        asked = (self.revision, floatX(), shapes)
        if self._targets[0] != asked:
            self._targets = asked, feed.target_arguments(self, self._measured, shapes)
        return self._targets[1]

    # Many batches

    def fit(
        self,
        X: object,
        y: object = None,
        batch_size: int = 128,
        nb_epoch: int = 100,
        verbose: int = 1,
        callbacks: Sequence[Callback] = (),
        validation_split: float = 0.0,
        validation_data: object = None,
        shuffle: bool | str = True,
        show_accuracy: bool = False,
        class_weight: object = None,
        sample_weight: object = None,
        reset_states: str | None = None,
        tbptt_steps: int | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        recompute: bool = False,
    ) -> History:
        """Train on ``X`` and ``y`` for some epochs.

        In a stateful model, row i of a batch continues row i of the batch before: rows
        must keep their order and fill their batches. Validation starts from initial
        states and leaves those of training unchanged.

        Args:
            X: inputs, as a dict by name, a list or an array, rows first. A dict may
                hold the targets too if ``y`` is left out. Arrays in files (h5py,
                ``np.memmap``, HDF5Matrix) are read batch by batch. Or an iterator or
                iterable of batches: ``(X, y)``, ``(X, y, sample_weight)`` or a dict.
            y: targets, likewise; None for an iterator.
            batch_size: the number of rows in a batch; an iterator has its own.
            nb_epoch: the number of epochs, each of which visits all rows once, or
                takes ``steps_per_epoch`` batches.
            verbose: 1 shows a progress bar, 2 prints a line per epoch, 0 nothing.
            callbacks: called at each stage; see :mod:`recursive.callbacks`.
            validation_split: the share of rows, taken from the end, to validate on.
            validation_data: the rows to validate on: ``(X, y)``,
                ``(X, y, sample_weight)``, a dict, or an iterator or iterable of
                batches. ``validation_split`` is not used then.
            shuffle: True shuffles rows in each epoch with numpy's global generator;
                ``batch`` shuffles whole batches, whose rows stay together, which is
                the fastest for arrays in files. The batches of an iterator keep their
                order.
            show_accuracy: True reports accuracy too, as ``acc`` and ``val_acc``.
            class_weight: as in ``train_on_batch``; not used in validation.
            sample_weight: as in ``train_on_batch``; split like the rows.
            reset_states: resets kept states before each ``epoch`` or each ``batch``;
                None never resets them.
            tbptt_steps: truncated backpropagation through time: cuts the sequences of
                each batch and their targets into chunks of this many steps and makes a
                training step on each. The last chunk may be shorter. States continue
                from chunk to chunk, gradients do not.
            initial_epoch: the number of the first epoch, counted from 0, for a run that
                continues another. The last is still that of ``nb_epoch``.
            steps_per_epoch: the number of batches of an iterator in an epoch. An
                iterator needs it and is continued in the next epoch. An iterable, which
                can start again, is continued likewise; None takes all its batches.
            validation_steps: the number of batches of an iterator in a validation. An
                iterable starts again for each validation.
            recompute: True stores the states of about ``sqrt(time)`` steps only, and
                computes the rest again for the gradient, which is the same: for
                sequences that are too long for memory. A step takes up to 1.4 times as
                long (see ``recursive.training.recompute``).

        Returns:
            The History of ``loss`` and, if there are any, of the penalty, the accuracy,
            the metrics and, with ``val_`` before them, the numbers of validation.

        Raises:
            DivergenceError: if the loss is no longer finite. Weights and optimizer are
                then restored together to the end of the last good epoch, or to their
                values before the first.
            DataError: likewise, if the data has NaN or infinity; or for an iterator
                that ends early, raises an error or yields no batch.
            KeyboardInterrupt: on Ctrl-C, after the current batch. The model can be used
                and trained further.
            ConfigError: for a ``shuffle`` that would mix the rows of a stateful model,
                or a model with nothing to reset or to cut.
            BatchSizeError: if the rows of a stateful model do not fill their batches.
        """
        self._check_compiled("train")
        batch_size = count("batch_size", batch_size)
        nb_epoch = count("nb_epoch", nb_epoch)
        initial_epoch = count("initial_epoch", initial_epoch, least=0)
        shuffle = checked_shuffle(shuffle)
        row_weights.check_one(class_weight, sample_weight)
        steps = checked_steps("steps_per_epoch", steps_per_epoch, X)
        checked_steps("validation_steps", validation_steps, validation_data)
        held_out = None
        if is_iterator(X):
            _check_iterator_arguments(y, sample_weight, validation_split, shuffle)
            to_arrays = partial(
                self._batch_arrays, class_weight=class_weight, training=True
            )
            training = IteratorBatches(X, steps, to_arrays)
            # The first batch builds the model and is checked before training starts.
            arrays = training.peek(initial_epoch + 1)
            shuffle = False
        else:
            arrays = self._weighted_pairs(X, y, sample_weight, lazy=True, training=True)
            share = validation_split if validation_data is None else 0.0
            arrays, rest = data.split(arrays, share)
            if rest:
                held_out = RowBatches(rest, batch_size, validates=True)
            # After the split, because validation has no class weights.
            arrays = self._with_class_weights(arrays, class_weight)
            training = RowBatches(arrays, batch_size, shuffle)
        if validation_data is not None:
            held_out = self._validation_batches(
                validation_data, batch_size, validation_steps
            )
        states = KeptStates.of(self)
        states.check_order(reset_states, shuffle)
        fit = Fit(
            model=self,
            train=self._train_function(arrays, tbptt_steps, recompute),
            test=self._test_batch,
            changing=self._changing,
            batch_size=training.batch_size,
            epochs=range(initial_epoch, nb_epoch),
            measures=self._measured,
            accuracy=show_accuracy,
            states=states,
            resets=reset_states,
        )
        try:
            return fit.run(training, held_out, verbose, callbacks)
        finally:
            # A callback, Ctrl-C or divergence may end fit in the middle of an epoch.
            self._release_arrays()

    @locked
    def _validation_batches(
        self, given: object, batch_size: int, steps: int | None
    ) -> Batches:
        if is_iterator(given):
            return IteratorBatches(
                given, steps, self._batch_arrays, restarts=True, validates=True
            )
        arrays = self._validation_pairs(given)
        return RowBatches(arrays, batch_size, validates=True)

    def _validation_pairs(self, given: object) -> Arrays:
        if isinstance(given, Mapping):
            return self._weighted_pairs(given, None, None, lazy=True)
        is_sequence = isinstance(given, tuple | list)
        if not is_sequence or len(given) not in (2, 3):
            raise ConfigError.about(
                "argument",
                "validation_data",
                takes="(X, y), (X, y, sample_weight), a dict, or an iterator",
                got=f"{len(given)} of them" if is_sequence else type(given).__name__,
                do="Pass validation_data=(X, y), for example.",
            )
        X, y = given[:2]
        sample_weight = given[2] if len(given) == 3 else None
        return self._weighted_pairs(X, y, sample_weight, lazy=True)

    def _batch_arrays(
        self, given: object, class_weight: object = None, training: bool = False
    ) -> Arrays:
        """The arrays of a batch that an iterator yielded."""
        X, y, sample_weight = parts_of(given)
        row_weights.check_one(class_weight, sample_weight)
        arrays = self._weighted_pairs(X, y, sample_weight, training=training)
        return self._with_class_weights(arrays, class_weight)

    def _with_class_weights(self, arrays: Arrays, class_weight: object) -> Arrays:
        outputs = self._measured.outputs
        return arrays | row_weights.of_classes(class_weight, arrays, outputs)

    @locked
    def _train_function(
        self, arrays: Arrays, tbptt_steps: int | None, recompute: bool
    ) -> RunBatch:
        """The training step on one batch, or on its chunks of ``tbptt_steps``.

        ``arrays`` are all rows, or the first batch of an iterator.
        """
        train = partial(self._run, "train")
        if flag("fit", "recompute", recompute):
            if tbptt_steps is not None:
                raise tbptt.refusal(
                    "tbptt_steps",
                    "None if recompute is True",
                    repr(tbptt_steps),
                    "Leave one of them out: truncated gradients need little memory.",
                )
            train = self._recompute_function(arrays)
        if tbptt_steps is not None:
            steps = count("tbptt_steps", tbptt_steps)
            contexts = tbptt.checked_contexts(self, arrays, steps)
            train = partial(tbptt.train, train, contexts, steps, self.optional_ports)

        def train_located(batch: Batch) -> Measured:
            with located(batch.place) if batch.rows is None else nullcontext():
                return train(batch.arrays)

        return train_located

    def _recompute_function(self, arrays: Arrays) -> Callable[[Arrays], Measured]:
        """The training step in segments, compiled once for what is declared now."""
        programs = self._current_programs()
        if self._recompute is None or self._recompute.programs is not programs:
            self._recompute = Recompute(self, programs)
        self._recompute.check_lengths(arrays)
        return locked(self._recompute.train)

    def _test_batch(self, batch: Batch) -> Measured:
        """The numbers of one batch without a training step."""
        with located(batch.place) if batch.rows is None else nullcontext():
            numbers = self._run("test", batch.arrays)
        found = Averages.of_batch(self._measured, False, numbers).values()
        if not np.isfinite(found[LOSS]):
            check_finite_data(self, batch, batch.place.held)
        return numbers

    def evaluate(
        self,
        X: object,
        y: object = None,
        batch_size: int = 128,
        show_accuracy: bool = False,
        verbose: int = 1,
        sample_weight: object = None,
        steps: int | None = None,
    ) -> float | tuple[float, ...]:
        """Return the mean loss over all rows.

        With an accuracy or metrics, return a tuple: ``metrics_names`` has their names.
        Penalties are left out, as in 2015. The result does not depend on
        ``batch_size``.

        Data is as for ``fit``. ``steps`` is the number of batches to take from an
        iterator; None takes all that it yields.

        Raises as ``train_on_batch``, and DataError for NaN or infinity in the data.
        """
        self._check_compiled("test")
        batch_size = count("batch_size", batch_size)
        steps = checked_steps("steps", steps, X, has_one_pass=True)
        if is_iterator(X):
            _check_iterator_arguments(y, sample_weight)
            batches = IteratorBatches(X, steps, self._batch_arrays)
        else:
            arrays = self._weighted_pairs(X, y, sample_weight, lazy=True)
            batches = RowBatches(arrays, batch_size)
            KeptStates.of(self).check_batches(batches.rows, batch_size)
        with self._alone_for(batches), Bar("Evaluate", batches.rows, verbose) as bar:
            averages = Averages(self._measured, show_accuracy)
            found = scores(self._test_batch, batches.epoch(), averages, bar.advance)
            bar.end(found)
        self._release_arrays()
        return averages.result()

    def predict(
        self,
        X: object = None,
        batch_size: int | None = 128,
        verbose: int = 0,
        steps: int | None = None,
        n_steps: int | None = None,
    ) -> np.ndarray | Arrays:
        """Return the outputs for ``X``.

        The result is an array, or a dict by name if ``X`` is a dict or there are
        several outputs.

        Args:
            X: inputs, as a dict by name, a list or an array, rows first. A loop without
                inputs takes none and has one row. Arrays in files are read batch by
                batch. An iterator or iterable yields the inputs of one batch after the
                other, without targets.
            batch_size: the number of rows in a batch; None takes all rows at once.
            verbose: 1 shows a progress bar.
            steps: the number of batches to take from an iterator; None takes all that
                it yields.
            n_steps: the number of steps of each outermost loop that reads no sequence,
                such as a decoder that reads its own output; None for the declared one.
                Loops that read sequences take their steps from these.

        Raises:
            DataError, ShapeError, DtypeError: for data that does not match the
                declaration.
            SequenceLengthError: for ``n_steps`` if all loops read sequences, of another
                length.
            BatchSizeError: if the rows of a stateful model do not fill their batches.
        """
        steps = checked_steps("steps", steps, X, has_one_pass=True)
        n_steps = None if n_steps is None else count("n_steps", n_steps)
        if is_iterator(X):
            to_arrays = partial(self._batch_inputs, n_steps=n_steps)
            batches = IteratorBatches(X, steps, to_arrays)
        else:
            arrays = self._rows_of_inputs(X, n_steps)
            rows = data.check_rows(arrays)
            batch_size = rows if batch_size is None else count("batch_size", batch_size)
            batches = RowBatches(arrays, batch_size)
            KeptStates.of(self).check_batches(rows, batch_size)
        parts = []
        with self._alone_for(batches), Bar("Predict", batches.rows, verbose) as bar:
            for batch in batches.epoch():
                with located(batch.place) if batch.rows is None else nullcontext():
                    parts.append(self._call("predict", batch.arrays, n_steps=n_steps))
                bar.advance(batch.size, {})
        self._release_arrays()

        outputs = {}
        for name, arrays_of_output in zip(
            self.output_names, zip(*parts, strict=True), strict=True
        ):
            outputs[name] = np.concatenate(arrays_of_output)
        if isinstance(X, Mapping) or len(outputs) > 1:
            return outputs
        return next(iter(outputs.values()))

    @locked
    def _batch_inputs(self, given: object, n_steps: int | None = None) -> Arrays:
        return feed.inputs(self, given, n_steps=n_steps)

    @locked
    def _rows_of_inputs(self, X: object, n_steps: int | None = None) -> Arrays:
        return feed.inputs(self, X, lazy=True, n_steps=n_steps)

    def _alone_for(self, batches: Batches) -> AbstractContextManager:
        """The lock during all batches of rows.

        The code of an iterator runs without it: it may wait for another thread.
        """
        return LOCK if batches.rows is not None else nullcontext()

    # States

    @locked
    def reset_states(self, batch_size: int | None = None) -> None:
        """Reset all kept states to their initial values.

        Args:
            batch_size: the number of rows of the next batch; None lets that batch set
                it.

        Raises:
            ShapeError: for a ``batch_size`` before the dims of the states are known.
        """
        if batch_size is None:
            self.build()
        else:
            self.complete()
            batch_size = count("batch_size", batch_size)
        KeptStates.of(self).reset(batch_size)

    @locked
    def get_states(self) -> dict[str, np.ndarray]:
        """Return copies of all kept states, ``(batch, dim)``.

        Before the first batch they have no rows, ``(0, dim)``, and before their dims
        are known there are no states. A state that is read several steps back is
        ``(lag, batch, dim)``, oldest first. Names are paths, ``layer_0.h`` or
        ``node.h``; the states of this container itself have plain names.
        """
        self.build()
        return KeptStates.of(self).get()

    @locked
    def set_states(self, states: Mapping[str, np.ndarray]) -> None:
        """Set kept states to new values; states that are not named keep theirs.

        Raises:
            DataError: for anything but a dict.
            UnknownNameError: for a name that is not a kept state.
            ShapeError: for another shape or different numbers of rows. Nothing is
                changed then.
        """
        self.complete()
        KeptStates.of(self).set(states)

    # Programs

    @property
    def metrics_names(self) -> list[str]:
        """The names of what ``evaluate`` returns: the loss, and the metrics if any.

        >>> from recursive import Dense, Sequential
        >>> model = Sequential([Dense(4, 2)])
        >>> model.compile("sgd", "mse", metrics=["accuracy", "mae"], backend="python")
        >>> model.metrics_names
        ['loss', 'acc', 'mae']
        """
        self._check_compiled("test")
        return Averages(self._measured, accuracy=False).names

    @property
    def _measured(self) -> Measures:
        """The measures for the outputs that are declared now."""
        outputs, found = self._measures
        if outputs != self.output_names:
            found = measuring.of_model(
                self.loss,
                self.loss_weights,
                self.metrics,
                self.class_mode,
                self.output_names,
            )
            self._measures = (self.output_names, found)
        return found

    def _run(self, kind: str, arrays: Arrays) -> Measured:
        """The numbers of one batch; kind ``train`` makes a training step."""
        if kind == "train":
            self._warn_of_freezing()
        inputs = data.present(self.arguments(), arrays)
        weighted = len(arrays) > len(inputs) + len(self._measured.outputs)
        numbers = self._call(kind, arrays, weighted)
        return measured(numbers, self._measured.numbers, data.check_rows(arrays))

    @locked
    def _call(
        self,
        kind: str,
        arrays: Arrays,
        weighted: bool = False,
        n_steps: int | None = None,
    ) -> list[np.ndarray]:
        return self._current_programs().call(kind, arrays, weighted, n_steps)

    def _current_programs(self) -> Programs:
        """The programs for what is declared now."""
        if self._programs is None or not self._programs.is_current():
            self._programs = Programs(self)
        return self._programs

    @locked
    def _release_arrays(self) -> None:
        """Make weights and kept states NumPy arrays, at the end of an epoch or call."""
        if self._programs is not None:
            self._programs.release_arrays()

    def _warn_of_freezing(self) -> None:
        """Warn if a layer was frozen or unfrozen since ``compile``."""
        if marks(self._frozen) != self._frozen_marks:
            warnings.warn(
                "A layer was frozen or unfrozen after compile(): this model still "
                "trains what was trainable then. Call compile() again.",
                TrainableChangedWarning,
                stacklevel=4,
            )

    def _check_compiled(self, kind: str) -> None:
        if self.loss is None:
            raise NotCompiledError.about(
                "model",
                kind,
                takes="a loss and an optimizer",
                got="none",
                do="Call compile('adam', 'mse') first, for example.",
            )

    @locked
    def _changing(self) -> list[SharedVariable]:
        """All variables that training changes."""
        weights = list(self.named_weights.values())
        return weights + self.optimizer.state + KeptStates.of(self).variables

    def __getstate__(self) -> dict[str, object]:
        """The attributes without compiled functions and caches."""
        state = super().__getstate__()
        state.pop("_programs", None)
        state.pop("_recompute", None)
        state.pop("_targets", None)
        state.pop("_measures", None)
        return state


def _check_iterator_arguments(
    y: object,
    sample_weight: object,
    validation_split: float = 0.0,
    shuffle: bool | str = True,
) -> None:
    """Raise a ConfigError for arguments that an iterator leaves without a meaning."""
    wrong = {}
    if y is not None:
        wrong["y"] = "None", "an array", "Yield (X, y)."
    if row_weights.are_given(sample_weight):
        wrong["sample_weight"] = "None", "weights", "Yield (X, y, sample_weight)."
    if validation_split:
        wrong["validation_split"] = (
            "0",
            validation_split,
            "Pass validation_data, which may be an iterator too.",
        )
    if shuffle == "batch":
        wrong["shuffle"] = "True or False", "'batch'", "Shuffle in the iterator."
    for name, (takes, got, do) in wrong.items():
        raise ConfigError.about(
            "argument", name, takes=f"{takes} for an iterator", got=got, do=do
        )


def _check_compile_arguments(
    optimizer: object, loss: object, class_mode: str, theano_mode: None
) -> None:
    if (optimizer is None) != (loss is None):
        raise ConfigError.about(
            "model",
            "compile",
            takes="an optimizer and a loss, or neither",
            got=f"optimizer={optimizer!r} and loss={loss!r}",
            do="Pass both, or neither.",
        )
    if theano_mode is not None:
        raise ConfigError.about(
            "model",
            "compile",
            takes="no theano_mode",
            because="PyTensor replaces Theano",
            got=repr(theano_mode),
            do=f"Pass backend= one of {', '.join(BACKENDS)}.",
        )
    if class_mode not in list(ACCURACIES):
        raise ConfigError.about(
            "model",
            "compile",
            takes=f"class_mode {' or '.join(ACCURACIES)}",
            got=repr(class_mode),
            do=suggest(str(class_mode), ACCURACIES),
        )
