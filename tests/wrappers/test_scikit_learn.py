"""Models as scikit-learn estimators, in its own tools."""

import numpy as np
import pytest

from recursive import (
    SGD,
    Adam,
    Dense,
    History,
    Recurrent,
    RecurrentDense,
    Sequential,
    errors,
)

pytest.importorskip("sklearn", reason="the wrappers come with the extra 'examples'")
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from recursive.wrappers.scikit_learn import KerasClassifier, KerasRegressor

RNG = np.random.RandomState(1)
X = RNG.normal(size=(60, 4))
NUMBERS = X @ [1.0, -2.0, 0.5, 0.0]
LABELS = np.where(NUMBERS > 0, "yes", "no")
FAST = {"nb_epoch": 20, "train_batch_size": 20, "backend": "python"}


def softmax():
    return Sequential([Dense(4, 2, activation="softmax")])


def linear():
    return Sequential([Dense(4, 1)])


def test_a_classifier_returns_the_labels_that_it_was_given():
    found = KerasClassifier(softmax(), Adam(lr=0.1), **FAST).fit(X, LABELS)
    assert found.classes_.tolist() == ["no", "yes"]
    assert (found.predict(X) == LABELS).mean() > 0.9
    assert found.score(X, LABELS) == (found.predict(X) == LABELS).mean()
    np.testing.assert_allclose(found.predict_proba(X).sum(axis=1), 1)


def test_a_classifier_of_one_column_has_the_probability_of_both_classes():
    model = Sequential([Dense(4, 1, activation="sigmoid")])
    found = KerasClassifier(model, Adam(lr=0.1), "binary_crossentropy", **FAST)
    found.fit(X, LABELS)
    probabilities = found.predict_proba(X)
    assert probabilities.shape == (60, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(
        found.predict(X), np.where(probabilities[:, 1] > 0.5, "yes", "no")
    )


def test_rows_of_0_and_1_are_taken_as_in_2015():
    one_hot = np.stack([NUMBERS <= 0, NUMBERS > 0], axis=1).astype(float)
    found = KerasClassifier(softmax(), Adam(lr=0.1), **FAST).fit(X, one_hot)
    assert found.classes_.tolist() == [0, 1]
    assert found.score(X, one_hot) > 0.9


def test_a_regressor_has_the_score_of_scikit_learn():
    found = KerasRegressor(linear(), Adam(lr=0.1), **FAST).fit(X, NUMBERS)
    predicted = found.predict(X)
    assert predicted.shape == (60,)
    residual = np.sum((NUMBERS - predicted) ** 2)
    total = np.sum((NUMBERS - NUMBERS.mean()) ** 2)
    np.testing.assert_allclose(found.score(X, NUMBERS), 1 - residual / total)


def test_the_model_that_is_given_stays_as_it_is():
    model = linear()
    before = [value.copy() for value in model.get_weights()]
    found = KerasRegressor(model, Adam(lr=0.1), **FAST).fit(X, NUMBERS)
    for value, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, kept)
    assert found.compiled_model_ is not model


def test_a_copy_has_equal_arguments_and_weights_and_is_not_trained():
    found = KerasRegressor(linear(), "sgd", **FAST).fit(X, NUMBERS)
    copied = clone(found)
    assert copied.optimizer == "sgd"
    assert not hasattr(copied, "compiled_model_")
    for value, kept in zip(
        copied.model.get_weights(), found.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(value, kept)


def test_cross_validation_trains_a_model_for_each_part():
    scores = cross_val_score(
        KerasClassifier(softmax(), Adam(lr=0.1), **FAST), X, LABELS, cv=3
    )
    assert scores.shape == (3,)
    assert scores.min() > 0.7


def test_a_grid_search_finds_the_settings_that_learn():
    search = GridSearchCV(
        KerasRegressor(linear, **FAST),
        {"optimizer": [SGD(lr=1e-9), Adam(lr=0.1)], "nb_epoch": [20]},
        cv=2,
    )
    search.fit(X, NUMBERS)
    assert isinstance(search.best_params_["optimizer"], Adam)
    assert search.best_estimator_.score(X, NUMBERS) > 0.5


def test_a_pipeline_scales_and_learns():
    pipeline = make_pipeline(
        StandardScaler(), KerasRegressor(linear(), Adam(lr=0.1), **FAST)
    )
    assert pipeline.fit(X * 100, NUMBERS).score(X * 100, NUMBERS) > 0.5


def test_a_sequence_classifier_is_one_too():
    def recurrent():
        rnn = Recurrent()
        rnn.add_input("x", dim=4)
        rnn.add_node(RecurrentDense(6), "h", input="x")
        return Sequential([rnn, Dense(6, 2, activation="softmax")])

    sequences = RNG.normal(size=(30, 5, 4))
    labels = (sequences.sum(axis=(1, 2)) > 0).astype(int)
    found = KerasClassifier(recurrent, Adam(lr=0.05), **FAST).fit(sequences, labels)
    assert found.score(sequences, labels) > 0.7


def test_a_callback_sees_the_training_of_each_fit():
    history = History()
    regressor = KerasRegressor(linear(), "sgd", callbacks=[history], **FAST)
    for _ in range(2):
        regressor.fit(X, NUMBERS)
        assert len(history.history["loss"]) == FAST["nb_epoch"]


def test_validation_data_have_labels_too():
    found = KerasClassifier(
        softmax(), "sgd", validation_data=(X[:9], LABELS[:9]), **FAST
    ).fit(X, LABELS)
    assert len(found.history_.history["val_loss"]) == 20
    stranger = KerasClassifier(
        softmax(), "sgd", validation_data=(X[:2], ["no", "maybe"]), **FAST
    )
    with pytest.raises(errors.DataError, match="takes labels that fit has seen"):
        stranger.fit(X, LABELS)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda: KerasRegressor(linear()).predict(X), "takes fit before predict"),
        (lambda: KerasRegressor(5, **FAST).fit(X, NUMBERS), "takes a model"),
        (
            lambda: KerasClassifier(softmax(), **FAST).fit(X, np.zeros((60, 2, 2))),
            "takes one label per row",
        ),
    ],
)
def test_what_cannot_be_done_is_named(use, words):
    with pytest.raises(errors.RecursiveError, match=words):
        use()
