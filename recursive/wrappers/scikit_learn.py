"""Models as scikit-learn estimators.

They work in ``Pipeline``, ``cross_val_score`` and ``GridSearchCV``. scikit-learn copies
an estimator by its parameters (``clone``) and trains the copy. So the wrapper holds a
model that is not compiled, and ``fit`` compiles and trains a copy of it.

Source: ``keras.wrappers.scikit_learn`` of Keras 0.1. Unlike there, ``fit`` returns the
estimator, ``predict`` of a classifier returns the labels that it was given, and a
regressor is scored by R², since scikit-learn takes the largest score for the best.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from recursive.callbacks import Callback
from recursive.errors import ConfigError, DataError, NotCompiledError
from recursive.optimizers import Optimizer
from recursive.training.model import Model
from recursive.utils import extras
from recursive.utils.np_utils import to_categorical

base = extras.load("sklearn.base", "examples", "these are its estimators")


class BaseWrapper(base.BaseEstimator):
    """A model that is compiled and trained by ``fit``.

    Args:
        model: a model that is not compiled, or a function that returns one.
        optimizer: as ``compile`` takes it.
        loss: as ``compile`` takes it; None is ``default_loss`` of the class.
        train_batch_size: rows per training step.
        test_batch_size: rows per step of ``predict`` and ``score``.
        nb_epoch: the number of epochs.
        shuffle: True trains on the rows in a new order each epoch.
        show_accuracy: True records the accuracy in the history.
        validation_split: the share of the last rows that is used for validation.
        validation_data: arrays to validate with.
        callbacks: callbacks of ``fit``.
        verbose: 0 prints nothing, 1 a progress bar, 2 a line per epoch.
        backend: the backend to compile for.
    """

    default_loss: str

    def __init__(
        self,
        model: Model | Callable[[], Model],
        optimizer: str | Optimizer = "adam",
        loss: str | Callable | None = None,
        train_batch_size: int = 128,
        test_batch_size: int = 128,
        nb_epoch: int = 100,
        shuffle: bool = True,
        show_accuracy: bool = False,
        validation_split: float = 0.0,
        validation_data: Sequence[np.ndarray] | None = None,
        callbacks: Sequence[Callback] | None = None,
        verbose: int = 0,
        backend: str | None = None,
    ):
        # scikit-learn compares the attributes with the arguments: copy nothing.
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.train_batch_size = train_batch_size
        self.test_batch_size = test_batch_size
        self.nb_epoch = nb_epoch
        self.shuffle = shuffle
        self.show_accuracy = show_accuracy
        self.validation_split = validation_split
        self.validation_data = validation_data
        self.callbacks = callbacks
        self.verbose = verbose
        self.backend = backend

    def get_params(self, deep: bool = True) -> dict[str, object]:
        """The arguments of the constructor by name.

        A model has a ``get_params`` of 2015, so scikit-learn must not look inside it.
        """
        return super().get_params(deep=False)

    def __sklearn_clone__(self) -> Self:
        """A new estimator with copies of the arguments, not trained."""
        arguments = self.get_params()
        return type(self)(
            **{name: copy.deepcopy(arguments[name]) for name in arguments}
        )

    def _train(
        self, X: object, targets: np.ndarray, sample_weight: object = None
    ) -> Self:
        self.compiled_model_ = self._new_model()
        self.compiled_model_.compile(
            copy.deepcopy(self.optimizer), self._loss(), backend=self.backend
        )
        self.history_ = self.compiled_model_.fit(
            np.asarray(X),
            targets,
            batch_size=self.train_batch_size,
            nb_epoch=self.nb_epoch,
            verbose=self.verbose,
            shuffle=self.shuffle,
            show_accuracy=self.show_accuracy,
            validation_split=self.validation_split,
            validation_data=self._validation_data(),
            callbacks=list(self.callbacks or []),
            sample_weight=sample_weight,
        )
        self.config_ = self.compiled_model_.get_config()
        self.weights_ = self.compiled_model_.get_weights()
        return self

    def _loss(self) -> str | Callable:
        return self.default_loss if self.loss is None else self.loss

    def _new_model(self) -> Model:
        """A model of its own for each ``fit``, so that the given one stays as it is."""
        if isinstance(self.model, Model):
            return copy.deepcopy(self.model)
        model = self.model() if callable(self.model) else self.model
        if not isinstance(model, Model):
            raise ConfigError.about(
                "wrapper",
                type(self).__name__,
                takes="a model, or a function that returns one",
                got=type(model).__name__,
                do="Pass Sequential([...]), for example.",
            )
        return model

    def _validation_data(self) -> Sequence[np.ndarray] | None:
        return self.validation_data

    def _predicted(self, X: object) -> np.ndarray:
        if not hasattr(self, "compiled_model_"):
            raise NotCompiledError.about(
                "wrapper",
                type(self).__name__,
                takes="fit before predict",
                got="an estimator that is not trained",
                do="Call fit(X, y) first.",
            )
        return self.compiled_model_.predict(
            np.asarray(X), batch_size=self.test_batch_size, verbose=self.verbose
        )


class KerasClassifier(base.ClassifierMixin, BaseWrapper):
    """A model as a classifier.

    Its output is one column per class, or one column for two classes. ``classes_``
    holds the labels in the order of the columns.

    >>> from recursive import Adam, Dense, Sequential
    >>> np.random.seed(1)
    >>> X = np.random.normal(size=(60, 2))
    >>> y = np.where(X[:, 0] > 0, "right", "left")
    >>> model = Sequential([Dense(2, 2, activation="softmax")])
    >>> classifier = KerasClassifier(model, Adam(lr=0.1), nb_epoch=50, backend="python")
    >>> classifier.fit(X, y).predict([[-2.0, 0.0], [2.0, 0.0]]).tolist()
    ['left', 'right']
    """

    default_loss = "categorical_crossentropy"

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Train a copy of the model.

        Args:
            X: the inputs, rows first.
            y: a label per row, ``(batch,)``, or rows of 0 and 1, ``(batch, classes)``.
            sample_weight: a weight per row.
        """
        labels = np.asarray(y)
        if labels.ndim == 1:
            self.classes_ = np.unique(labels)
        elif labels.ndim == 2:
            self.classes_ = np.arange(labels.shape[1])
        else:
            raise DataError.about(
                "target",
                "y",
                takes="one label per row, or rows of 0 and 1",
                got=f"shape {labels.shape}",
                do="Return the last step of a sequence only.",
            )
        return self._train(X, self._targets(labels), sample_weight)

    def _targets(self, labels: np.ndarray) -> np.ndarray:
        """The labels as the loss takes them."""
        if labels.ndim == 2:
            return labels
        columns = np.searchsorted(self.classes_, labels)
        is_known = self.classes_[np.minimum(columns, len(self.classes_) - 1)] == labels
        if not is_known.all():
            raise DataError.about(
                "target",
                "y",
                takes="labels that fit has seen",
                got=repr(labels[~is_known][0].item()),
                do="Train with all labels.",
            )
        if self._loss() == "categorical_crossentropy":
            return to_categorical(columns, len(self.classes_))
        return columns[:, np.newaxis]

    def _validation_data(self) -> Sequence[np.ndarray] | None:
        if self.validation_data is None:
            return None
        X, y, *weights = self.validation_data
        return (X, self._targets(np.asarray(y)), *weights)

    def predict(self, X: object) -> np.ndarray:
        """The most probable label of each row, ``(batch,)``."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X: object) -> np.ndarray:
        """The probability of each class, ``(batch, classes)``."""
        found = self._predicted(X)
        if found.shape[1] == 1:
            return np.concatenate([1 - found, found], axis=1)
        return found

    def score(self, X: object, y: object, sample_weight: object = None) -> float:
        """The accuracy; ``y`` is labels or rows of 0 and 1."""
        labels = np.asarray(y)
        if labels.ndim == 2:
            labels = self.classes_[labels.argmax(axis=1)]
        return super().score(X, labels, sample_weight)


class KerasRegressor(base.RegressorMixin, BaseWrapper):
    """A model as a regressor. Its score is R², by scikit-learn.

    >>> from recursive import Adam, Dense, Sequential
    >>> np.random.seed(1)
    >>> X = np.random.normal(size=(60, 2))
    >>> model = Sequential([Dense(2, 1)])
    >>> regressor = KerasRegressor(model, Adam(lr=0.1), nb_epoch=99, backend="python")
    >>> round(regressor.fit(X, X[:, 0]).score(X, X[:, 0]), 1)
    1.0
    """

    default_loss = "mean_squared_error"

    def fit(self, X: object, y: object, sample_weight: object = None) -> Self:
        """Train a copy of the model on ``y``, ``(batch,)`` or ``(batch, outputs)``."""
        targets = np.asarray(y)
        if targets.ndim == 1:
            targets = targets[:, np.newaxis]
        return self._train(X, targets, sample_weight)

    def predict(self, X: object) -> np.ndarray:
        """The output: ``(batch,)`` for one column, otherwise ``(batch, outputs)``."""
        found = self._predicted(X)
        return found[:, 0] if found.shape[1:] == (1,) else found
