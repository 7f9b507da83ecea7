"""Metrics, loss weights and class numbers, against means over all rows by NumPy."""

import json

import numpy as np
import pytensor.tensor as pt
import pytest

from recursive import (
    SGD,
    Dense,
    Graph,
    Masking,
    Recursive,
    Sequential,
    TimeDistributedDense,
)
from recursive.errors import ConfigError, DataError, ShapeError, UnknownNameError
from recursive.metrics import METRICS, Metric, get, top_k
from recursive.models import model_from_json

RNG = np.random.RandomState(11)
ROWS, STEPS, CLASSES = 7, 5, 6
X = RNG.normal(size=(ROWS, STEPS, 4))
LABELS = RNG.randint(0, CLASSES, size=(ROWS, STEPS))
ONE_HOT = np.eye(CLASSES)[LABELS]
WEIGHTS = RNG.choice([0.0, 0.5, 2.0], size=(ROWS, STEPS))
PADDED = (
    X * (np.arange(STEPS) < RNG.randint(1, STEPS + 1, size=ROWS)[:, None])[..., None]
)


def tagger(loss="categorical_crossentropy", **compiled):
    model = Sequential(
        [Masking(), TimeDistributedDense(4, CLASSES, activation="softmax", seed=3)]
    )
    model.compile(SGD(lr=0.0), loss, backend="python", **compiled)
    return model


def crossentropy(p):
    return -np.log(np.take_along_axis(p, LABELS[..., None], axis=-1))[..., 0]


def in_top(p, k):
    best = np.argsort(-p, axis=-1, kind="stable")[..., :k]
    return (best == LABELS[..., None]).any(axis=-1)


def largest(y_true, y_pred):
    return y_pred.max(axis=-1)


def deviation(y_true, y_pred):
    return abs(y_true - y_pred)


VALUES = {
    "accuracy": lambda p: p.argmax(axis=-1) == LABELS,
    "categorical_accuracy": lambda p: p.argmax(axis=-1) == LABELS,
    "sparse_categorical_accuracy": lambda p: p.argmax(axis=-1) == LABELS,
    "binary_accuracy": lambda p: (np.round(p) == ONE_HOT).mean(axis=-1),
    "top_k_categorical_accuracy": lambda p: in_top(p, 5),
    "mae": lambda p: np.abs(p - ONE_HOT).mean(axis=-1),
    "mse": lambda p: ((p - ONE_HOT) ** 2).mean(axis=-1),
    "categorical_crossentropy": crossentropy,
    "perplexity": crossentropy,
}
"""The value of each step by NumPy; the perplexity is exp of the mean."""

OWN = {
    top_k(2): lambda p: in_top(p, 2),
    largest: lambda p: p.max(axis=-1),
    deviation: lambda p: np.abs(p - ONE_HOT).mean(axis=-1),
    Metric("doubled", largest, finish=lambda mean: 2 * mean): lambda p: 2 * p.max(-1),
}


@pytest.mark.parametrize("batch_size", [1, 3, 7])
@pytest.mark.parametrize(
    "loss", ["categorical_crossentropy", "sparse_categorical_crossentropy"]
)
def test_metrics_are_means_over_the_steps_that_count(loss, batch_size):
    names = [*VALUES, *OWN]
    model = tagger(loss, metrics=names)
    y = ONE_HOT if loss == "categorical_crossentropy" else LABELS
    counts = WEIGHTS * (PADDED != 0).any(axis=-1)
    p = model.predict(PADDED)

    def mean(values):
        return (counts * values).sum() / counts.sum()

    expected = {"loss": mean(crossentropy(p))}
    for name, values in {**VALUES, **OWN}.items():
        expected[get(name).name] = mean(values(p))
    expected["perplexity"] = np.exp(expected["perplexity"])
    found = model.evaluate(
        PADDED, y, batch_size=batch_size, sample_weight=WEIGHTS, verbose=0
    )
    by_name = dict(zip(model.metrics_names, found, strict=True))
    assert by_name.keys() == expected.keys()
    for name, value in expected.items():
        assert by_name[name] == pytest.approx(value, rel=1e-9), name

    history = model.fit(
        PADDED,
        y,
        batch_size=batch_size,
        sample_weight=WEIGHTS,
        validation_data=(PADDED, y, WEIGHTS),
        nb_epoch=1,
        verbose=0,
    ).history
    for name, value in expected.items():
        assert history[name] == pytest.approx([value], rel=1e-9)
        assert history[f"val_{name}"] == pytest.approx([value], rel=1e-9)


def test_the_first_of_equal_values_is_ahead_of_the_others():
    model = Sequential([Dense(2, 3, init="zero")])
    model.compile(
        "sgd", "mse", backend="python", metrics=["accuracy", top_k(1), top_k(2)]
    )
    x, y = np.ones((3, 2)), np.eye(3)
    _, accuracy, first, second = model.test_on_batch(x, y)
    assert (accuracy, first, second) == pytest.approx((1 / 3, 1 / 3, 2 / 3))


def test_without_metrics_a_single_number_comes_back():
    model = tagger()
    assert isinstance(model.test_on_batch(X, ONE_HOT), float)
    assert model.metrics_names == ["loss"]


def two_outputs(**compiled):
    graph = Graph()
    graph.add_input("x", ndim=2, dim=4)
    graph.add_node(Dense(4, 2, seed=1), "a", input="x", create_output=True)
    graph.add_node(Dense(4, 1, seed=2), "b", input="x", create_output=True)
    compiled.setdefault("loss", {"a": "mse", "b": "mae"})
    graph.compile(SGD(lr=0.5), backend="python", **compiled)
    return graph


ROW = RNG.normal(size=(3, 4))
A, B = RNG.normal(size=(3, 2)), RNG.normal(size=(3, 1))


def test_metrics_of_several_outputs_have_their_names():
    graph = two_outputs(metrics={"a": ["mae"], "b": ["accuracy", "mse"]})
    assert graph.metrics_names == ["loss", "acc", "a_mae", "b_mse"]
    found = graph.evaluate({"x": ROW, "a": A, "b": B})
    predicted = graph.predict({"x": ROW})
    loss_a = ((predicted["a"] - A) ** 2).mean()
    loss_b = np.abs(predicted["b"] - B).mean()
    expected = (
        loss_a + loss_b,
        (np.round(predicted["b"]) == B).mean(),
        np.abs(predicted["a"] - A).mean(),
        ((predicted["b"] - B) ** 2).mean(),
    )
    assert found == pytest.approx(expected)
    assert two_outputs(metrics=["mae"]).metrics_names == ["loss", "a_mae", "b_mae"]


@pytest.mark.parametrize("weights", [{"b": 3.0}, [1.0, 3.0], (1, 3)])
def test_loss_weights_scale_the_losses_and_their_gradients(weights):
    graph = two_outputs(loss_weights=weights)
    data = {"x": ROW, "a": A, "b": B}
    predicted = graph.predict({"x": ROW})
    loss_a = ((predicted["a"] - A) ** 2).mean()
    loss_b = np.abs(predicted["b"] - B).mean()
    before = graph.named_params["b.W"].get_value()
    history = graph.fit(data, nb_epoch=1, verbose=0).history
    assert history["loss"] == pytest.approx([loss_a + 3 * loss_b])
    assert history["b_loss"] == pytest.approx([loss_b])
    gradient = 3 * ROW.T @ np.sign(predicted["b"] - B) / 3
    np.testing.assert_allclose(
        graph.named_params["b.W"].get_value(), before - 0.5 * gradient, rtol=1e-12
    )


def test_a_loss_of_weight_0_is_reported_and_not_learned():
    graph = two_outputs(loss_weights={"a": 0.0})
    before = graph.named_params["a.W"].get_value()
    history = graph.fit({"x": ROW, "a": A, "b": B}, nb_epoch=2, verbose=0).history
    np.testing.assert_array_equal(graph.named_params["a.W"].get_value(), before)
    assert history["a_loss"][0] == history["a_loss"][1] > 0


def test_an_output_without_a_loss_takes_no_target():
    graph = two_outputs(loss={"a": "mse", "b": None}, metrics=["mae"])
    assert graph.metrics_names == ["loss", "mae"]
    predicted = graph.predict({"x": ROW})
    expected = ((predicted["a"] - A) ** 2).mean(), np.abs(predicted["a"] - A).mean()
    assert graph.evaluate({"x": ROW, "a": A}) == pytest.approx(expected)
    graph.train_on_batch({"x": ROW, "a": A}, sample_weight={"a": np.ones(3)})
    assert set(graph.predict({"x": ROW})) == {"a", "b"}
    with pytest.raises(DataError, match="'b' takes one of the names"):
        graph.train_on_batch({"x": ROW, "a": A, "b": B})
    with pytest.raises(ConfigError, match="outputs with a loss: a; got 'b'"):
        two_outputs(loss={"a": "mse", "b": None}, metrics={"b": ["mae"]})


@pytest.mark.parametrize("shape", [(ROWS, STEPS), (ROWS, STEPS, 1)])
def test_class_numbers_train_as_one_hot_vectors_do(shape):
    sparse, dense = tagger("sparse_categorical_crossentropy"), tagger()
    for model in (sparse, dense):
        model.optimizer.lr = 0.5
    arguments = {"sample_weight": WEIGHTS}
    found = sparse.train_on_batch(PADDED, LABELS.reshape(shape), **arguments)
    assert found == pytest.approx(dense.train_on_batch(PADDED, ONE_HOT, **arguments))
    for one, other in zip(sparse.get_weights(), dense.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_class_numbers_of_rows_may_have_class_weights():
    model = Sequential([Dense(4, 3, activation="softmax", seed=1)])
    model.compile(SGD(lr=0.0), "sparse_categorical_crossentropy", backend="python")
    labels = np.array([0, 2, 2])
    weights = np.array([1.0, 5.0, 5.0])
    p = model.predict(ROW)
    losses = -np.log(p[np.arange(3), labels])
    found = model.train_on_batch(ROW, labels, class_weight={0: 1.0, 1: 3.0, 2: 5.0})
    assert found == pytest.approx((weights * losses).sum() / weights.sum())


def test_class_numbers_stay_out_of_a_loop_of_one_value():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=CLASSES)
    rnn.add_node(
        Dense(4 + CLASSES, CLASSES, activation="softmax", seed=2),
        "p",
        inputs=["x", "h"],
        return_state="h",
        create_output=True,
    )
    rnn.compile(SGD(lr=0.0), "sparse_categorical_crossentropy", backend="python")
    p = rnn.predict(X)
    assert rnn.evaluate(X, LABELS, verbose=0) == pytest.approx(crossentropy(p).mean())


@pytest.mark.parametrize(
    ("labels", "error", "words"),
    [
        (LABELS + 1, DataError, "target 'output' takes integers from 0 to 5"),
        (LABELS - 1, DataError, "got numbers from -1"),
        (LABELS + 0.5, ValueError, "integers"),
        (ONE_HOT, ShapeError, "target 'output' takes an array of shape"),
    ],
)
def test_targets_that_are_no_class_numbers_are_refused(labels, error, words):
    labels = np.where(labels == 0, 0, labels)
    with pytest.raises(error, match=words):
        tagger("sparse_categorical_crossentropy").train_on_batch(X, labels)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"metrics": ["acuracy"]}, UnknownNameError, "Did you mean 'accuracy'"),
        ({"metrics": [3]}, UnknownNameError, "a known name or a function"),
        ({"metrics": ["mse", "mse"]}, ConfigError, "metric 'mse' takes a name"),
        ({"metrics": [Metric("loss", largest)]}, ConfigError, "metric 'loss'"),
        ({"metrics": {"ouptut": ["mse"]}}, ConfigError, "Did you mean 'output'"),
        ({"loss_weights": 2.0}, ConfigError, "loss_weights"),
        ({"loss_weights": [1.0, 2.0]}, ConfigError, "a list of 1 numbers"),
        ({"loss_weights": {"output": -1}}, ConfigError, "0 or more; got -1"),
        ({"loss_weights": {"output": "a"}}, ConfigError, "0 or more; got 'a'"),
        ({"loss_weights": {"y": 1}}, ConfigError, "outputs with a loss: output"),
    ],
)
def test_metrics_and_weights_that_mean_nothing_are_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        tagger(**arguments)


def pairs(y_true, y_pred):
    return pt.sqr(y_true[:, 0] - y_pred).mean(axis=-1, keepdims=True) + pt.sqr(
        y_true[:, 0] - y_pred
    )


def transposed(y_true, y_pred):
    return pt.sqr(y_true - y_pred).mean(axis=0)


@pytest.mark.parametrize("function", [pairs, transposed])
def test_values_that_belong_to_no_row_are_refused_by_name(function):
    model = Sequential([Dense(4, 1)])
    name = function.__name__
    model.compile("sgd", function, backend="python")
    with pytest.raises(ShapeError, match=f"loss '{name}' takes a function with one"):
        model.train_on_batch(ROW, B)
    model.compile("sgd", "mse", metrics=[function], backend="python")
    with pytest.raises(ShapeError, match=f"metric '{name}' takes a function with one"):
        model.test_on_batch(ROW, B)


def test_metrics_and_loss_weights_are_saved():
    model = two_outputs(
        metrics={"a": ["mae", METRICS["perplexity"]]}, loss_weights={"b": 2}
    )
    text = model.to_json()
    config = json.loads(text)
    assert config["metrics"] == {"a": ["mae", "perplexity"]}
    again = model_from_json(text)
    assert again.metrics_names == model.metrics_names
    again.set_weights(model.get_weights())
    data = {"x": ROW, "a": np.abs(A), "b": B}
    assert again.evaluate(data) == pytest.approx(model.evaluate(data))
    with pytest.raises(
        ConfigError, match="metric 'largest' takes one that the library"
    ):
        two_outputs(metrics=[largest]).to_json()
