"""``Merge([left, left])``: a branch that stands in two places has one input."""

import numpy as np
import pytest

from recursive import (
    SGD,
    Activation,
    Dense,
    Graph,
    Merge,
    Sequential,
    model_from_json,
)
from recursive.errors import ConfigError

X = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]])
W = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]])


def dense():
    return Dense(2, 3, weights=[W])


def test_a_branch_that_is_merged_with_itself_has_one_input():
    left = Sequential([dense(), Activation("linear")])
    model = Sequential([Merge([left, left], mode="sum")])
    assert model.layers[0].ports == ("input_0",)
    assert model.predict(X) == pytest.approx(2 * X @ W)
    assert len(model.get_weights()) == 2


def test_it_learns_by_both_of_its_places():
    left = dense()
    model = Sequential([Merge([left, left], mode="sum")])
    model.compile(SGD(lr=0.1), "mse", backend="python")
    y = np.ones((3, 3))
    error = 2 * X @ W - y
    assert model.train_on_batch(X, y) == pytest.approx((error**2).mean())
    gradient = 2 * X.T @ (2 * error / error.size)
    assert model.get_weights()[0] == pytest.approx(W - 0.1 * gradient)


def test_a_third_branch_has_an_input_of_its_own():
    left, other = dense(), dense()
    merge = Merge([left, other, left], mode="concat")
    assert merge.ports == ("input_0", "input_1")
    found = Sequential([merge]).predict([X, 10 * X])
    assert found == pytest.approx(np.concatenate([X @ W, 10 * X @ W, X @ W], axis=1))


def test_branches_that_share_a_layer_have_two_inputs():
    first = dense()
    merge = Merge([first, Sequential([first])], mode="concat")
    found = Sequential([merge]).predict([X, 10 * X])
    assert found == pytest.approx(np.concatenate([X @ W, 10 * X @ W], axis=1))


def test_two_layers_have_two_inputs():
    merge = Merge([dense(), dense()])
    with pytest.raises(ConfigError, match="2 inputs"):
        merge([X])


def test_get_output_reads_the_one_input():
    left = dense()
    merge = Merge([left, left], mode="concat")
    left.input = X
    assert merge.get_output().eval() == pytest.approx(np.hstack([X @ W, X @ W]))
    assert len(Merge([left, left]).input) == 1


def test_it_is_written_and_read_with_its_one_input():
    left = dense()
    model = Sequential([Merge([left, left], mode="sum"), Dense(3, 1)])
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    assert again.predict(X) == pytest.approx(model.predict(X))


def test_a_graph_feeds_it_by_its_one_port():
    left = dense()
    graph = Graph()
    graph.add_input("x", dim=2)
    graph.add_node(Merge([left, left]), "m", input={"input_0": "x"})
    graph.add_output("y", input="m")
    assert graph.predict({"x": X})["y"] == pytest.approx(2 * X @ W)
