"""Sample and class weights, against losses computed by hand."""

import numpy as np
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
from recursive.errors import ConfigError, DataError, ShapeError
from recursive.training import row_weights
from tests.agreement.test_cases import JAX

RNG = np.random.RandomState(2)
X = RNG.normal(size=(7, 4))
Y = RNG.normal(size=(7, 6))
WEIGHTS = np.array([0.0, 1.0, 2.0, 0.5, 0.0, 3.0, 1.0])
LABELS = np.array([0, 2, 1, 2, 2, 0, 1])
CLASS_WEIGHTS = {0: 1.0, 1: 2.5, 2: 0.0}


def chain(out=6, optimizer="sgd", **options):
    model = Sequential([Dense(4, out, activation="sigmoid")])
    model.compile(optimizer, "mse", **options)
    return model


def mse(model, x=X, y=Y):
    return np.mean((model.predict(x) - y) ** 2, axis=-1)


def test_a_weighted_loss_is_the_mean_by_weight():
    model = chain()
    expected = np.sum(WEIGHTS * mse(model)) / WEIGHTS.sum()
    assert model.test_on_batch(X, Y, sample_weight=WEIGHTS) == pytest.approx(
        expected, rel=1e-12
    )
    assert model.evaluate(
        X, Y, sample_weight=WEIGHTS[:, np.newaxis], verbose=0
    ) == pytest.approx(expected, rel=1e-12)
    assert model.train_on_batch(X, Y, sample_weight=WEIGHTS) == pytest.approx(
        expected, rel=1e-12
    )
    assert model.test_on_batch(X, Y) == pytest.approx(mse(model).mean(), rel=1e-12), (
        "and without weights the plain one"
    )


def test_one_step_with_a_row_counted_twice_is_one_step_with_that_row_twice():
    single, double = chain(optimizer=SGD(lr=0.5)), chain(optimizer=SGD(lr=0.5))
    double.set_weights(single.get_weights())
    single.train_on_batch(X[:3], Y[:3], sample_weight=[1, 2, 0])
    double.train_on_batch(X[[0, 1, 1]], Y[[0, 1, 1]])
    for one, other in zip(single.get_weights(), double.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-14)


def test_weights_of_one_change_nothing_over_several_epochs():
    losses = []
    for weights in (None, np.ones(7)):
        np.random.seed(1)
        model = chain(optimizer="adam")
        losses.append(
            model.fit(
                X, Y, batch_size=3, nb_epoch=4, verbose=0, sample_weight=weights
            ).history["loss"]
        )
    assert np.abs(np.subtract(*losses)).max() < 1e-14


@JAX
def test_weights_mean_the_same_on_jax():
    losses = []
    for backend in ("python", "jax"):
        model = chain(optimizer="adam", backend=backend)
        model.set_weights([np.full(w.shape, 0.1) for w in model.get_weights()])
        losses.append(
            [model.train_on_batch(X, Y, sample_weight=WEIGHTS) for _ in range(3)]
        )
    np.testing.assert_allclose(*losses, rtol=1e-12)


def test_accuracy_counts_rows_by_their_weight():
    model = chain(out=3)
    is_right = model.predict(X).argmax(1) == LABELS
    right = np.sum(WEIGHTS * is_right) / np.sum(WEIGHTS)
    assert model.test_on_batch(
        X, np.eye(3)[LABELS], accuracy=True, sample_weight=WEIGHTS
    )[1] == pytest.approx(right)


@pytest.mark.parametrize(
    "targets", [np.eye(3)[LABELS], LABELS[:, np.newaxis]], ids=["one-hot", "numbers"]
)
def test_class_weights_are_looked_up_by_the_class_of_each_row(targets):
    model = chain(out=targets.shape[1])
    weights = np.array([CLASS_WEIGHTS[label] for label in LABELS])
    expected = np.sum(weights * mse(model, y=targets)) / weights.sum()
    assert model.train_on_batch(
        X, targets, class_weight=CLASS_WEIGHTS
    ) == pytest.approx(expected, rel=1e-12)


def test_fit_takes_class_weights_for_training_and_sample_weights_for_both_parts():
    targets = np.eye(3)[LABELS]
    options = {"nb_epoch": 1, "verbose": 0, "shuffle": False, "validation_split": 0.4}
    model = chain(out=3)
    before = mse(model, y=targets)
    by_class = np.array([CLASS_WEIGHTS[label] for label in LABELS[:4]])
    history = model.fit(X, targets, class_weight=CLASS_WEIGHTS, **options).history
    assert history["loss"][0] == pytest.approx(
        np.sum(by_class * before[:4]) / by_class.sum()
    )
    assert history["val_loss"][0] == pytest.approx(mse(model, y=targets)[4:].mean())
    before = mse(model, y=targets)
    history = model.fit(X, targets, sample_weight=WEIGHTS, **options).history
    assert history["loss"][0] == pytest.approx(
        np.sum(WEIGHTS[:4] * before[:4]) / WEIGHTS[:4].sum()
    )
    expected = np.sum(WEIGHTS[4:] * mse(model, y=targets)[4:]) / WEIGHTS[4:].sum()
    assert history["val_loss"][0] == pytest.approx(expected)
    given = model.fit(
        X, targets, nb_epoch=1, verbose=0, validation_data=(X, targets, WEIGHTS)
    ).history
    assert given["val_loss"][0] == pytest.approx(
        np.sum(WEIGHTS * mse(model, y=targets)) / WEIGHTS.sum()
    )


def sequences():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_node(Dense(4, 6), "y", input="x", create_output=True)
    rnn.compile("sgd", "mse")
    return rnn, RNG.normal(size=(3, 5, 4)), RNG.normal(size=(3, 5, 6))


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 5), (3, 5, 1)])
def test_a_sequence_has_one_weight_a_row_or_one_a_step(shape):
    rnn, x, y = sequences()
    weights = RNG.uniform(size=shape)
    of_steps = np.broadcast_to(weights.reshape((*shape[:2], 1)[:2]), (3, 5))
    expected = (
        np.sum(of_steps * np.mean((rnn.predict(x) - y) ** 2, axis=-1)) / of_steps.sum()
    )
    assert rnn.test_on_batch(x, y, sample_weight=weights) == pytest.approx(
        expected, rel=1e-12
    )


@pytest.mark.parametrize(
    "weights", [None, RNG.uniform(size=(3, 5))], ids=["alone", "and weights"]
)
def test_masked_steps_have_no_share_in_the_loss(weights):
    model = Sequential([Masking(), TimeDistributedDense(4, 6)])
    model.compile(SGD(lr=0.5), "mse")
    x, y = RNG.normal(size=(3, 5, 4)), RNG.normal(size=(3, 5, 6))
    x[0, 2:] = x[1, :1] = 0.0
    mask = np.any(x != 0, axis=-1) * (np.ones((3, 5)) if weights is None else weights)
    expected = np.sum(mask * np.mean((model.predict(x) - y) ** 2, axis=-1)) / mask.sum()
    assert model.test_on_batch(x, y, sample_weight=weights) == pytest.approx(
        expected, rel=1e-12
    )
    noisy = y + 100 * (mask == 0)[:, :, np.newaxis]
    twin = Sequential([Masking(), TimeDistributedDense(4, 6)])
    twin.compile(SGD(lr=0.5), "mse")
    twin.set_weights(model.get_weights())
    for each, targets in ((model, y), (twin, noisy)):
        each.train_on_batch(x, targets, sample_weight=weights)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(model.get_weights(), twin.get_weights(), strict=True)
    )


def two_outputs():
    graph = Graph()
    graph.add_input("x", dim=4)
    graph.add_node(Dense(4, 6), "a", input="x", create_output=True)
    graph.add_node(Dense(4, 3), "b", input="x", create_output=True)
    graph.compile("sgd", {"a": "mse", "b": "mae"})
    return graph, {"x": X, "a": Y, "b": np.eye(3)[LABELS]}


def test_a_graph_takes_weights_by_output_and_ones_for_those_left_out():
    graph, batch = two_outputs()
    predicted = graph.predict({"x": X})
    a = np.mean((predicted["a"] - batch["a"]) ** 2, axis=-1)
    b = np.mean(abs(predicted["b"] - batch["b"]), axis=-1)
    by_sample = np.sum(WEIGHTS * a) / WEIGHTS.sum() + b.mean()
    assert graph.test_on_batch(batch, {"a": WEIGHTS}) == pytest.approx(
        by_sample, rel=1e-12
    )
    assert graph.evaluate(batch, 7, 0, {"a": WEIGHTS}) == pytest.approx(
        by_sample, rel=1e-12
    )
    by_class = np.array([CLASS_WEIGHTS[label] for label in LABELS])
    expected = a.mean() + np.sum(by_class * b) / by_class.sum()
    assert graph.train_on_batch(batch, {"b": CLASS_WEIGHTS}) == pytest.approx(
        expected, rel=1e-12
    )


def test_fit_of_a_graph_takes_its_arguments_in_the_order_of_keras_0_1():
    graph, batch = two_outputs()
    history = graph.fit(batch, 4, 2, 0, [], 0.0, batch, False, {"b": CLASS_WEIGHTS}, {})
    assert set(history.history) == {
        *("loss", "a_loss", "b_loss"),
        *("val_loss", "val_a_loss", "val_b_loss"),
    }
    assert graph.fit(
        batch, 4, 1, 0, sample_weight={"a": WEIGHTS, "b": WEIGHTS}
    ).epoch == [0]


@pytest.mark.parametrize(
    ("weights", "error", "words"),
    [
        (
            np.ones(6),
            ShapeError,
            r"sample_weight 'output' takes \(7,\); got \(6,\)",
        ),
        (np.ones((7, 6)), ShapeError, r"got \(7, 6\)"),
        (np.float64(1.0), ShapeError, r"got \(\)"),
        (-WEIGHTS, DataError, "finite weights of 0 or more"),
        (np.full(7, np.nan), DataError, "finite weights of 0 or more"),
        ({"outptu": WEIGHTS}, DataError, "Did you mean 'output'"),
    ],
)
def test_sample_weights_that_mean_nothing_are_refused(weights, error, words):
    model = chain()
    before = model.get_weights()
    for call in (model.train_on_batch, model.test_on_batch, model.fit, model.evaluate):
        with pytest.raises(error, match=words):
            call(X, Y, sample_weight=weights)
    assert all(
        np.array_equal(one, other)
        for one, other in zip(before, model.get_weights(), strict=True)
    )


@pytest.mark.parametrize(
    ("weights", "error", "words"),
    [
        ([1.0, 2.0, 3.0], ConfigError, "a dict from classes to weights"),
        ({0: 1.0}, DataError, "none for 1, 2"),
        (
            {0: 1.0, 1: -1.0, 2: 1.0},
            DataError,
            "class_weight 'output' takes finite weights",
        ),
        ({"outptu": CLASS_WEIGHTS}, DataError, "Did you mean 'output'"),
        ({"output": 3.0}, DataError, "none for 0, 1, 2"),
    ],
)
def test_class_weights_that_mean_nothing_are_refused(weights, error, words):
    with pytest.raises(error, match=words):
        chain(out=3).train_on_batch(X, np.eye(3)[LABELS], class_weight=weights)


def test_class_weights_of_a_sequence_belong_to_its_steps():
    rnn, x, _ = sequences()
    predicted = rnn.predict(x)
    classes = np.arange(predicted[..., 0].size).reshape(predicted.shape[:2]) % 3
    dim = predicted.shape[-1]
    y = np.eye(dim)[classes % dim]
    weight_of_class = {0: 2.0, 1: 0.0, 2: 0.5}
    weights = np.vectorize(weight_of_class.get)(classes % dim)
    errors = ((predicted - y) ** 2).mean(axis=-1)
    expected = (weights * errors).sum() / weights.sum()
    found = rnn.train_on_batch(x, y, class_weight=weight_of_class)
    assert found == pytest.approx(expected, rel=1e-12)


def test_class_weights_take_no_sample_weights_next_to_them():
    with pytest.raises(ConfigError, match="no sample_weight next to it"):
        chain(out=3).train_on_batch(
            X, np.eye(3)[LABELS], class_weight=CLASS_WEIGHTS, sample_weight=WEIGHTS
        )


@pytest.mark.parametrize("given", [None, {}])
def test_where_nobody_gave_any_there_are_no_weights(given):
    arrays = {"x": X, "output": Y}
    assert (
        row_weights.of_samples(given, arrays, ["output"])
        == row_weights.of_classes(given, arrays, ["output"])
        == {}
    )


def test_none_for_an_output_means_no_weights():
    arrays = {"y": np.array([[1.0], [0.0]]), "z": np.array([[0.0], [1.0]])}
    assert row_weights.of_samples({"y": None, "z": None}, arrays, ["y", "z"]) == {}
    assert row_weights.of_classes({"y": None}, arrays, ["y", "z"]) == {}
    some = row_weights.of_samples({"y": None, "z": [2.0, 3.0]}, arrays, ["y", "z"])
    assert [value.tolist() for value in some.values()] == [
        [[1.0], [1.0]],
        [[2.0], [3.0]],
    ]
    some = row_weights.of_classes(
        {"y": {0: 5.0, 1: 7.0}, "z": None}, arrays, ["y", "z"]
    )
    assert [value.tolist() for value in some.values()] == [
        [[7.0], [5.0]],
        [[1.0], [1.0]],
    ]


def test_none_next_to_weights_of_the_other_kind_is_not_both():
    arrays = {"y": np.array([[1.0], [0.0]])}
    arrays |= row_weights.of_samples({"y": [2.0, 3.0]}, arrays, ["y"])
    assert row_weights.of_classes({"y": None}, arrays, ["y"]) == {}
