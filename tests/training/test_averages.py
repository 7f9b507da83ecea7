"""Losses and accuracies over batches of any size, against a mean over all rows by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recursive import (
    SGD,
    ActivityRegularization,
    Callback,
    Dense,
    Graph,
    Masking,
    Recursive,
    Sequential,
    TimeDistributedDense,
)
from recursive.regularizers import l2
from recursive.training import measures
from recursive.training.averages import Averages

RNG = np.random.RandomState(3)
X = RNG.normal(size=(7, 4))
Y = RNG.normal(size=(7, 2))


def dense(**arguments):
    model = Sequential([Dense(4, 2, init="one", **arguments)])
    model.compile(SGD(lr=0.0), "mse", backend="python")
    return model


def squares(model, x=X, y=Y):
    """The mean squared error of each row, ``(batch, ...)``."""
    return ((model.predict(x) - y) ** 2).mean(axis=-1)


@pytest.fixture(scope="module")
def plain():
    return dense()


WEIGHTED = dense()


@settings(max_examples=30, deadline=None)
@given(
    weights=st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=7, max_size=7),
    batch_size=st.integers(1, 8),
)
def test_the_loss_is_the_weighted_mean_over_all_rows(weights, batch_size):
    model = WEIGHTED
    weights = np.array(weights)
    total = weights.sum()
    expected = (weights * squares(model)).sum() / total if total else 0.0
    found = model.evaluate(
        X, Y, batch_size=batch_size, sample_weight=weights, verbose=0
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    history = model.fit(
        X,
        Y,
        batch_size=batch_size,
        sample_weight=weights,
        validation_data=(X, Y, weights),
        nb_epoch=1,
        verbose=0,
    ).history
    np.testing.assert_allclose(history["loss"], [expected], rtol=1e-12)
    np.testing.assert_allclose(history["val_loss"], [expected], rtol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7])
def test_padding_counts_neither_in_the_loss_nor_in_the_accuracy(batch_size):
    model = Sequential([Masking(), TimeDistributedDense(4, 3)])
    model.compile(SGD(lr=0.0), "mse", backend="python")
    lengths = np.array([5, 1, 4, 2, 5, 3, 1])
    valid = np.arange(5) < lengths[:, None]
    x = RNG.normal(size=(7, 5, 4)) * valid[..., None]
    y = np.eye(3)[RNG.randint(0, 3, size=(7, 5))]
    predicted = model.predict(x)
    losses = ((predicted - y) ** 2).mean(axis=-1)
    correct = predicted.argmax(axis=-1) == y.argmax(axis=-1)
    found = model.evaluate(x, y, batch_size=batch_size, show_accuracy=True, verbose=0)
    np.testing.assert_allclose(
        found, (losses[valid].mean(), correct[valid].mean()), rtol=1e-12
    )


@pytest.mark.parametrize("batch_size", [1, 3, 7])
def test_outputs_have_a_loss_each_and_add_up(batch_size):
    graph = Graph()
    graph.add_input("x", ndim=2, dim=4)
    graph.add_node(Dense(4, 2), "a", input="x", create_output=True)
    graph.add_node(Dense(4, 1), "b", input="x", create_output=True)
    graph.compile(SGD(lr=0.0), {"a": "mse", "b": "mae"}, backend="python")
    data = {"x": X, "a": Y, "b": Y[:, :1]}
    weights = {"a": np.arange(7.0), "b": np.ones(7)}
    predicted = graph.predict({"x": X})
    rows_a = ((predicted["a"] - Y) ** 2).mean(axis=-1)
    loss_a = (weights["a"] * rows_a).sum() / weights["a"].sum()
    loss_b = np.abs(predicted["b"] - Y[:, :1]).mean()
    history = graph.fit(
        data, batch_size=batch_size, sample_weight=weights, nb_epoch=1, verbose=0
    ).history
    np.testing.assert_allclose(history["a_loss"], [loss_a], rtol=1e-12)
    np.testing.assert_allclose(history["b_loss"], [loss_b], rtol=1e-12)
    np.testing.assert_allclose(history["loss"], [loss_a + loss_b], rtol=1e-12)


def test_the_reported_loss_is_the_one_that_is_minimised():
    model = dense(W_regularizer=l2(10.0))
    # 8 weights of 1, so the penalty is 10 * 8.
    assert model.train_on_batch(X, Y) == pytest.approx(squares(model).mean() + 80)
    history = model.fit(
        X, Y, batch_size=3, validation_data=(X, Y), nb_epoch=1, verbose=0
    ).history
    assert list(history) == ["loss", "penalty", "val_loss"]
    assert history["penalty"] == pytest.approx([80])
    assert history["loss"] == pytest.approx([squares(model).mean() + 80])
    assert history["val_loss"] == pytest.approx([squares(model).mean()])
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(squares(model).mean())


def test_a_penalty_on_activity_is_reported_too():
    model = Sequential([Dense(4, 2, init="one"), ActivityRegularization(l1=0.5)])
    model.compile(SGD(lr=0.0), "mse", backend="python")
    history = model.fit(X, Y, batch_size=7, nb_epoch=1, verbose=0).history
    expected = history["loss"][0] - squares(model).mean()
    assert history["penalty"] == pytest.approx([expected])
    assert history["penalty"][0] > 0


def test_one_column_is_right_if_it_rounds_to_the_target():
    model = Sequential([Dense(1, 1, init="one")])
    model.compile(SGD(lr=0.0), "mse", backend="python")
    x = np.array([[0.9], [0.2], [0.1], [0.6]])
    y = np.array([[1.0], [0.0], [1.0], [1.0]])
    _, accuracy = model.evaluate(x, y, show_accuracy=True, verbose=0)
    assert accuracy == 0.75


def test_a_row_of_weight_0_does_not_count_in_the_accuracy():
    model = Sequential([Dense(2, 2, init="identity")])
    model.compile(SGD(lr=0.0), "mse", backend="python")
    x = np.eye(2)[[0, 0, 1]]
    y = np.eye(2)[[0, 1, 1]]
    _, accuracy = model.test_on_batch(
        x, y, accuracy=True, sample_weight=np.array([1.0, 0.0, 3.0])
    )
    assert accuracy == 1.0


def test_a_batch_of_weight_0_counts_for_nothing():
    averages = Averages(
        measures.of_model("mse", None, None, "categorical", ("y",)), accuracy=False
    )
    averages.add({"loss y": (2.0, 3.0), "acc y": (0.0, 3.0)})
    averages.add({"loss y": (float("nan"), 0.0), "acc y": (0.0, 0.0)})
    assert averages.values() == {"loss": 2.0}


@pytest.mark.parametrize("steps", [1, 2, 3, 6])
def test_chunks_of_a_sequence_add_up_to_its_loss(steps):
    rnn = Recursive(return_sequences=True, stateful=True)
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=2)
    rnn.add_node(
        Dense(6, 2), "rec", inputs=["x", "h"], return_state="h", create_output=True
    )
    rnn.compile(SGD(lr=0.0), "mse", backend="python")
    x = RNG.normal(size=(6, 6, 4))
    y = RNG.normal(size=(6, 6, 2))
    weights = RNG.randint(0, 3, size=(6, 6)).astype(float)
    predicted = rnn.predict(x)
    rows = ((predicted - y) ** 2).mean(axis=-1)
    history = rnn.fit(
        x,
        y,
        batch_size=6,
        sample_weight=weights,
        tbptt_steps=steps,
        reset_states="batch",
        nb_epoch=1,
        verbose=0,
    ).history
    expected = (weights * rows).sum() / weights.sum()
    np.testing.assert_allclose(history["loss"], [expected], rtol=1e-12)


def test_callbacks_see_the_numbers_of_each_batch(plain):
    seen = []

    class Watch(Callback):
        def on_batch_end(self, batch, logs=None):
            seen.append(logs)

    plain.fit(
        X, Y, batch_size=4, nb_epoch=1, shuffle=False, verbose=0, callbacks=[Watch()]
    )
    losses = squares(plain)
    assert [logs["loss"] for logs in seen] == pytest.approx(
        [losses[:4].mean(), losses[4:].mean()]
    )


def test_the_bar_shows_the_means_of_the_epoch(plain, capsys):
    plain.fit(X, Y, batch_size=3, nb_epoch=1, verbose=2)
    assert f"loss={squares(plain).mean():.4f}" in capsys.readouterr().out
