"""A container that learns: what ``compile`` said, one batch and many, states between batches, compiled functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from pytensor.compile.sharedvalue import SharedVariable

from recursive import objectives, optimizers
from recursive.backend import Argument, Program, floatX, table, to_numpy
from recursive.backend.choose import BACKENDS, resolve_backend
from recursive.callbacks import Callback, History
from recursive.errors import (
    ConfigError,
    DtypeError,
    NotCompiledError,
    TrainableChangedWarning,
    suggest,
)
from recursive.layers import config
from recursive.layers.learned import frozen_now, marks
from recursive.locked import locked
from recursive.spec.shapes import Shape
from recursive.training import data, feed, functions, row_weights, tbptt
from recursive.training.data import Arrays
from recursive.training.files import Stored
from recursive.training.fit import Fit, scores
from recursive.training.states import Carried
from recursive.utils.arguments import count
from recursive.utils.progress import Bar


class Model(Stored):
    """What a container needs to learn. Functions are compiled when first used, and anew when more was declared.

    Source: ``keras.models`` of Keras 0.1.
    """

    loss: str | Callable | Mapping[str, str | Callable] | None = None
    optimizer: optimizers.Optimizer | None = None
    class_mode = "categorical"
    backend: str | None = None
    _targets: tuple[tuple | None, list[Argument]] = (None, [])
    """Of which shapes it was asked last what targets look like, and the answer."""

    @locked
    def compile(
        self,
        optimizer: str | optimizers.Optimizer | None = None,
        loss: str | Callable | Mapping[str, str | Callable] | None = None,
        class_mode: str = "categorical",
        theano_mode: None = None,
        backend: str | None = None,
    ) -> None:
        """Say how to learn. Without a loss, the model can only predict.

        Args:
            optimizer: a name or an Optimizer; required where there is a loss.
            loss: an objective's name or function; a dict by output where there are several outputs.
            class_mode: how accuracy counts: ``categorical`` (the largest value wins) or ``binary``.
            theano_mode: None; Theano's modes are gone.
            backend: auto, jax, numba, c or python; None for the one chosen by ``set_backend``.

        Raises:
            UnknownNameError: for an unknown optimizer or loss.
            ConfigError: where losses do not match the outputs, or for an unknown class mode.
            BackendError: for an unknown or missing backend.
        """
        if (optimizer is None) != (loss is None):
            raise ConfigError.about(
                "model",
                "compile",
                takes="an optimizer and a loss, or neither",
                because="one makes the other small",
                got=f"optimizer={optimizer!r} and loss={loss!r}",
                do="Say both, or neither.",
            )
        if theano_mode is not None:
            raise ConfigError.about(
                "model",
                "compile",
                takes="no theano_mode",
                because="there is no Theano any more",
                got=repr(theano_mode),
                do=f"Say backend= one of {', '.join(BACKENDS)}.",
            )
        if class_mode not in list(functions.ACCURACIES):
            raise ConfigError.about(
                "model",
                "compile",
                takes=f"class_mode {' or '.join(functions.ACCURACIES)}",
                because="accuracy counts by it",
                got=repr(class_mode),
                do=suggest(str(class_mode), functions.ACCURACIES),
            )
        chosen = resolve_backend(backend, self._why_not_jax())
        if loss is not None:
            self._losses(loss)
        self.optimizer = None if optimizer is None else optimizers.get(optimizer)
        self.loss, self.class_mode, self.backend = loss, class_mode, chosen
        self._programs: dict[tuple[str, bool], Program] = {}
        self._targets = Model._targets
        self._frozen = frozen_now(self)
        self._frozen_marks = marks(self._frozen)

    def _why_not_jax(self) -> str | None:
        """Why JAX cannot train the model, if it cannot."""
        inside = [layer for _, layer in config.walk(self)]
        if any(getattr(layer, "until", None) is not None for layer in (self, *inside)):
            return (
                "a loop with until has no known number of steps, which JAX would need"
            )
        if any(getattr(layer, "truncate_gradient", -1) != -1 for layer in inside):
            return "JAX has no truncated gradient that goes on before its loop"
        return None

    def _losses(self, loss: object) -> dict[str, Callable]:
        names = self.output_names
        given = loss if isinstance(loss, Mapping) else dict.fromkeys(names[:1], loss)
        if set(given) != set(names):
            raise ConfigError.about(
                "model",
                "compile",
                takes=f"a loss for each of the outputs {', '.join(names)}",
                because="each is compared with its own target",
                got=repr(loss),
                do="Say loss={'name': 'mse', ...}.",
            )
        return {name: objectives.get(given[name]) for name in names}

    # One batch

    def train_on_batch(
        self,
        X: object,
        y: object = None,
        accuracy: bool = False,
        class_weight: object = None,
        sample_weight: object = None,
    ) -> float | tuple[float, float]:
        """Make one step of the optimizer; the loss is that of before the step.

        Args:
            X: a dict by name (of inputs, and of targets where ``y`` is left out), a list, or an array.
            y: targets, likewise.
            accuracy: True returns ``(loss, accuracy)``.
            class_weight: how much a row counts by its class, ``{0: 1.0, 1: 2.5}``, or a dict of such by output.
            sample_weight: how much each row counts: ``(batch,)``, for a sequence also ``(batch, time)``, or a dict of
                such by output. The loss is divided by the sum of the weights.

        Raises:
            NotCompiledError: before ``compile`` with a loss.
            DataError, ShapeError, DtypeError: for data that does not match the declaration.
        """
        return self._on_batch("train", X, y, accuracy, class_weight, sample_weight)

    def test_on_batch(
        self,
        X: object,
        y: object = None,
        accuracy: bool = False,
        sample_weight: object = None,
    ) -> float | tuple[float, float]:
        """The loss on one batch, or ``(loss, accuracy)``; nothing is learned. Raises as ``train_on_batch``."""
        return self._on_batch("test", X, y, accuracy, None, sample_weight)

    def predict_on_batch(self, X: object) -> np.ndarray | Arrays:
        """The outputs for one batch, as ``predict`` returns them."""
        return self.predict(X, batch_size=None)

    @locked
    def _on_batch(
        self,
        kind: str,
        X: object,
        y: object,
        accuracy: bool,
        class_weight: object,
        sample_weight: object,
    ) -> float | tuple[float, float]:
        self._check_compiled(kind)
        arrays = self._weighted_pairs(X, y, sample_weight)
        logs = self._run(
            kind,
            arrays | row_weights.of_classes(class_weight, arrays, self.output_names),
        )
        return (logs["loss"], logs["acc"]) if accuracy else logs["loss"]

    @locked
    def _weighted_pairs(self, X: object, y: object, sample_weight: object) -> Arrays:
        arrays = feed.pairs(self, X, y, self._targets_for)
        return arrays | row_weights.of_samples(sample_weight, arrays, self.output_names)

    def _targets_for(self, shapes: dict[str, Shape]) -> list[Argument]:
        """What targets look like, for inputs of ``shapes``.

        To infer it takes longer than all other checks of a batch, and most have one shape: the last answer holds until
        more is declared, or compiled anew.
        """
        asked = (self.revision, floatX(), shapes)
        if self._targets[0] != asked:
            self._targets = asked, feed.target_arguments(self, shapes)
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
    ) -> History:
        """Learn from ``X`` and ``y`` for some epochs.

        Where states are carried over, row i of a batch goes on from row i of the batch before: the rows must keep
        their order, and fill their batches. Validation starts from states of its own.

        Args:
            X: a dict by name (of inputs, and of targets where ``y`` is left out), a list, or an array, rows first.
            y: targets, likewise.
            batch_size: rows of a batch.
            nb_epoch: how often all rows are gone through.
            verbose: 0 is silent, 1 shows a progress bar, 2 prints a line an epoch.
            callbacks: what is told of each stage, as in :mod:`recursive.callbacks`.
            validation_split: the share of the last rows that is kept for validation.
            validation_data: ``(X, y)``, ``(X, y, sample_weight)``, or a dict, to validate on.
            shuffle: True draws the order of rows anew for each epoch, from numpy's global generator; ``batch`` that
                of whole batches, their rows staying together.
            show_accuracy: True follows accuracy, as ``acc`` and ``val_acc``.
            class_weight: as in ``train_on_batch``; the loss of validation has none.
            sample_weight: as in ``train_on_batch``; split with the rows.
            reset_states: puts states that are carried over back to their starts before each ``epoch``, or before each
                ``batch``; None lets them go on.
            tbptt_steps: truncated backpropagation through time: cuts the sequences of each batch and their targets
                into chunks of so many steps, the last may be shorter, and makes a training step on each. States go on
                from chunk to chunk, gradients do not.

        Returns:
            The History of ``loss``, and of ``val_loss``, ``acc`` and ``val_acc`` where they were asked for.

        Raises:
            DivergenceError: where the loss is no longer finite; weights and optimizer are then together as at the
                end of the last good epoch, or as before the first.
            KeyboardInterrupt: on Ctrl-C, once the batch under way is done; the model can be used, and fitted on.
            ConfigError: for a ``shuffle`` that would mix rows that go on, or a model that has nothing to reset or to
                cut.
            BatchSizeError: for rows that do not fill their batches, where states go on.
        """
        self._check_compiled("train")
        batch_size, nb_epoch = (
            count("batch_size", batch_size),
            count("nb_epoch", nb_epoch),
        )
        arrays, held_out = _split(
            self._weighted_pairs(X, y, sample_weight), validation_split
        )
        if validation_data is not None:
            held_out = self._validation_pairs(validation_data)
        arrays |= row_weights.of_classes(class_weight, arrays, self.output_names)
        shuffle, carried = _checked_shuffle(shuffle), self._carried()
        carried.check_order(reset_states, shuffle)
        train = partial(self._run, "train")
        if tbptt_steps is not None:
            steps = count("tbptt_steps", tbptt_steps)
            train = partial(tbptt.train, train, self._whole(arrays, steps), steps)
        fit = Fit(
            self,
            train,
            partial(self._run, "test"),
            self._changing,
            batch_size,
            nb_epoch,
            shuffle,
            _followed(show_accuracy),
            carried,
            reset_states,
        )
        try:
            return fit.run(arrays, held_out, verbose, callbacks)
        finally:
            self._leave_jax()

    @locked
    def _whole(self, arrays: Arrays, steps: int) -> list[str]:
        """The inputs that are no sequences, once it is clear that all others can be cut into chunks."""
        sequences = feed.sequences(self)
        targets = {
            argument.name: argument.shape for argument in feed.target_arguments(self)
        }
        tbptt.check(bool(self._carried().layers), sequences, targets, arrays)
        tbptt.check_loops(config.loops(self), steps)
        return [
            argument.name
            for argument in self.arguments()
            if argument.name not in sequences
        ]

    @locked
    def _validation_pairs(self, given: object) -> Arrays:
        if isinstance(given, Mapping):
            return feed.pairs(self, given, None, self._targets_for)
        if not isinstance(given, tuple | list) or len(given) not in (2, 3):
            raise ConfigError.about(
                "argument",
                "validation_data",
                takes="(X, y), (X, y, sample_weight), or a dict",
                because="outputs are compared with targets",
                got=f"{len(given)} of them"
                if isinstance(given, tuple | list)
                else type(given).__name__,
                do="Say validation_data=(X, y).",
            )
        X, y, *sample_weight = given
        return self._weighted_pairs(X, y, sample_weight[0] if sample_weight else None)

    @locked
    def evaluate(
        self,
        X: object,
        y: object = None,
        batch_size: int = 128,
        show_accuracy: bool = False,
        verbose: int = 1,
        sample_weight: object = None,
    ) -> float | tuple[float, float]:
        """The mean loss over all rows, or ``(loss, accuracy)``. Raises as ``train_on_batch``."""
        self._check_compiled("test")
        arrays, batch_size = (
            self._weighted_pairs(X, y, sample_weight),
            count("batch_size", batch_size),
        )
        self._carried().check_batches(data.check_rows(arrays), batch_size)
        with Bar("Evaluate", data.check_rows(arrays), verbose) as bar:
            found = scores(
                partial(self._run, "test"),
                arrays,
                batch_size,
                _followed(show_accuracy),
                bar.advance,
            )
            bar.end(found)
        self._leave_jax()
        return tuple(found.values()) if show_accuracy else found["loss"]

    @locked
    def predict(
        self, X: object = None, batch_size: int | None = 128, verbose: int = 0
    ) -> np.ndarray | Arrays:
        """The outputs for ``X``: an array, or a dict by name for a dict of inputs or where there are several outputs.

        ``batch_size=None`` takes all rows at once. A loop without inputs takes no ``X``, and has one row.

        Raises:
            DataError, ShapeError, DtypeError: for data that does not match the declaration.
            BatchSizeError: for rows that do not fill their batches, where states go on from batch to batch.
        """
        arrays = feed.inputs(self, X)
        rows = data.check_rows(arrays)
        batch_size = rows if batch_size is None else count("batch_size", batch_size)
        self._carried().check_batches(rows, batch_size)
        parts = []
        with Bar("Predict", rows, verbose) as bar:
            for batch in data.batches(np.arange(rows), batch_size):
                parts.append(self._call("predict", data.take(arrays, batch)))
                bar.advance(len(batch), {})
        self._leave_jax()
        outputs = dict(
            zip(
                self.output_names,
                map(np.concatenate, zip(*parts, strict=True)),
                strict=True,
            )
        )
        return (
            outputs
            if isinstance(X, Mapping) or len(outputs) > 1
            else next(iter(outputs.values()))
        )

    # States

    @locked
    def reset_states(self, batch_size: int | None = None) -> None:
        """Put all states that are carried over back to their starts.

        The next batch has ``batch_size`` rows, or, for None, says how many.

        Raises:
            ShapeError: for a ``batch_size`` while the dims of the states are not known.
        """
        if batch_size is None:
            self.build()
        else:
            self.complete()
        self._carried().reset(
            None if batch_size is None else count("batch_size", batch_size)
        )

    @locked
    def get_states(self) -> dict[str, np.ndarray]:
        """Copies of all states that are carried over: ``(batch, dim)``, before the first batch ``(0, dim)``.

        One that is looked back to several steps is ``(lag, batch, dim)``, oldest first. Names are paths,
        ``layer_0.h`` or ``node.h``; those of this container's own states are plain. There are none while their dims
        are not known.
        """
        self.build()
        return self._carried().get()

    @locked
    def set_states(self, states: Mapping[str, np.ndarray]) -> None:
        """Give states that are carried over other values; those that are not named stay as they are.

        Raises:
            DataError: for anything but a dict.
            UnknownNameError: for a name that is none of theirs.
            ShapeError: for another shape, or several numbers of rows; nothing is changed then.
        """
        self.complete()
        self._carried().set(states)

    def _carried(self) -> Carried:
        """The states of this model, and of every layer inside, that go on from batch to batch."""
        carrying = {
            layer: path
            for path, layer in reversed([("", self), *config.walk(self)])
            if layer.carries
        }
        return Carried(
            {
                path: layer.states
                for layer, path in reversed(carrying.items())
                if layer.built
            }
        )

    # Compiled functions

    def _run(self, kind: str, arrays: Arrays) -> dict[str, float]:
        if kind == "train":
            self._warn_of_freezing()
        weighted = len(arrays) > len(self.arguments()) + len(self.output_names)
        loss, accuracy = self._call(kind, arrays, weighted)
        return {"loss": float(loss), "acc": float(accuracy)}

    @locked
    def _call(
        self, kind: str, arrays: Arrays, weighted: bool = False
    ) -> list[np.ndarray]:
        """Run a program on one batch, once the states that go on are ready for its rows."""
        program = self._program(kind, weighted)
        self._states_of_programs.prepare(data.check_rows(arrays))
        return program(*arrays.values())

    @locked
    def _leave_jax(self) -> None:
        """Make weights and carried states hold NumPy arrays, which functions of the user's own can read.

        The slots of the optimizer stay on JAX until they are copied: nothing else reads them, and there are more
        of them than of weights. ``fit`` calls this at the end of an epoch, since it takes time.
        """
        backend = table.BACKENDS.get(self.backend, table.NO_BACKEND)
        if backend.holds_own_arrays:
            to_numpy(self._shared_of_programs)

    def _program(self, kind: str, weighted: bool = False) -> Program:
        """The program that trains, tests or predicts: a new one where more was declared since the last.

        Only a program that is given weights multiplies by them.
        """
        made_of = (self.revision, floatX())
        if vars(self).get("_programs_of") != made_of:
            self._check_floats()
            self._programs, self._states_of_programs = {}, self._carried()
            self._shared_of_programs = [
                *self.named_weights.values(),
                *self._states_of_programs.variables,
            ]
            self._programs_of = made_of
        if (kind, weighted) not in self._programs:
            targets = [] if kind == "predict" else feed.target_arguments(self)
            weights = [row_weights.argument(target) for target in targets if weighted]
            self._programs[kind, weighted] = Program(
                [*self.arguments(), *targets, *weights],
                self._build_of(kind),
                resolve_backend(self.backend, self._why_not_jax()),
            )
        return self._programs[kind, weighted]

    def _check_floats(self) -> None:
        """float32 and float64 are never mixed: a model stays in the floatX that it was made in."""
        for name, param in self.named_params.items():
            if param.dtype != floatX():
                raise DtypeError.about(
                    "parameter",
                    name,
                    takes=f"floatX={param.dtype}",
                    because="it was made so, and widths are never mixed",
                    got=f"floatX={floatX()}",
                    do="Set pytensor.config.floatX before the model is made, and leave it.",
                )

    def _build_of(self, kind: str) -> Callable:
        if kind == "predict":
            return functions.predictor(self)
        losses = self._losses(self.loss)
        if kind == "test":
            return functions.tester(self, losses, self.class_mode)
        frozen = frozen_now(self) | self._frozen
        return functions.trainer(self, losses, self.class_mode, self.optimizer, frozen)

    def _warn_of_freezing(self) -> None:
        """Warn where a layer was frozen or freed since ``compile``: what was compiled does not change."""
        if marks(self._frozen) != self._frozen_marks:
            warnings.warn(
                "A layer was frozen or freed since compile(): this model learns what was learned then. "
                "Call compile() again.",
                TrainableChangedWarning,
                stacklevel=4,
            )

    def _check_compiled(self, kind: str) -> None:
        if self.loss is None:
            raise NotCompiledError.about(
                "model",
                kind,
                takes="a loss and an optimizer",
                because="it compares outputs with targets",
                got="none",
                do="Call compile('adam', 'mse') first, for example.",
            )

    def __getstate__(self) -> dict[str, object]:
        """Everything but compiled functions, which are made again at the next use."""
        return {
            key: value
            for key, value in super().__getstate__().items()
            if key
            not in (
                "_programs",
                "_states_of_programs",
                "_shared_of_programs",
                "_programs_of",
                "_targets",
            )
        }

    @locked
    def _changing(self) -> list[SharedVariable]:
        """What training changes: a copy of it is a copy of the whole run."""
        return [
            *self.named_weights.values(),
            *self.optimizer.state,
            *self._carried().variables,
        ]


def _checked_shuffle(value: object) -> bool | str:
    if value == "batch" or isinstance(value, bool | np.bool_ | int):
        return value if value == "batch" else bool(value)
    raise ConfigError.about(
        "argument",
        "shuffle",
        takes="True, False or 'batch'",
        because="it says what is put in another order",
        got=repr(value),
        do="Say shuffle=True.",
    )


def _followed(show_accuracy: bool) -> tuple[str, ...]:
    return ("loss", "acc") if show_accuracy else ("loss",)


def _split(arrays: Arrays, share: float) -> tuple[Arrays, Arrays]:
    """The rows to learn from, and the last ``share`` of them, kept for validation; none where it is 0."""
    if (
        isinstance(share, bool)
        or not isinstance(share, int | float | np.floating)
        or not 0 <= share < 1
    ):
        raise ConfigError.about(
            "argument",
            "validation_split",
            takes="a share of 0 or more and below 1",
            because="some rows must be left to learn from",
            got=repr(share),
            do="Say 0.1.",
        )
    rows = data.check_rows(arrays)
    start = int(rows * (1 - share))
    first, last = np.arange(start), np.arange(start, rows)
    return data.take(arrays, first), data.take(arrays, last) if share else {}
