"""Penalties and constraints: their formulas, and their effect in training."""

import json

import numpy as np
import pytensor.tensor as pt
import pytest

from recursive import (
    SGD,
    ActivityRegularization,
    Dense,
    Embedding,
    Graph,
    MaxoutDense,
    Recursive,
    Sequential,
    TimeDistributedDense,
    constraints,
    regularizers,
)
from recursive.backend import evaluate, shared
from recursive.errors import NodeError, UnknownNameError

X = np.random.RandomState(0).normal(size=(3, 4))
W = np.random.RandomState(1).normal(size=(4, 6))
LR = 0.1


def stepped(model, x=X):
    """The weights after one step with a loss of 0, which only a penalty can move."""
    model.compile(SGD(lr=LR), "mse")
    model.train_on_batch(x, model.predict(x))
    return model.get_weights()


def value(output):
    return evaluate([output], {})[0]


@pytest.mark.parametrize(
    ("name", "kwargs", "penalty"),
    [
        ("l1", {}, 0.01 * np.abs(W).sum()),
        ("l2", {"l": 0.3}, 0.3 * (W**2).sum()),
        ("l1l2", {"l1": 0.2, "l2": 0.3}, 0.2 * np.abs(W).sum() + 0.3 * (W**2).sum()),
        ("identity", {}, 0.0),
    ],
)
def test_a_penalty_on_a_parameter_is_added_to_the_loss(name, kwargs, penalty):
    rule = regularizers.get(name, kwargs).on(shared(W))
    assert abs(value(rule(pt.constant(2.0))) - 2 - penalty) < 1e-13


@pytest.mark.parametrize(
    ("name", "kwargs", "penalty"),
    [
        ("activity_l1", {"l": 0.3}, 0.3 * np.abs(X @ W).mean(axis=0).sum()),
        ("activity_l2", {}, 0.01 * ((X @ W) ** 2).mean(axis=0).sum()),
        (
            "activity_l1l2",
            {"l1": 0.2, "l2": 0.3},
            (0.2 * np.abs(X @ W) + 0.3 * (X @ W) ** 2).mean(axis=0).sum(),
        ),
    ],
)
def test_a_penalty_on_what_a_layer_returns_reads_the_chain_of_2015(
    name, kwargs, penalty
):
    layer = Dense(
        4,
        6,
        bias=False,
        weights=[W],
        activity_regularizer=regularizers.get(name, kwargs),
    )
    [rule] = layer.get_params()[1]
    found = evaluate([rule(pt.constant(2.0))], {layer.input: X})[0]
    assert abs(found - 2 - penalty) < 1e-13


def test_training_shrinks_the_weights_that_are_penalized_and_no_others():
    rule = regularizers.l2(0.5)
    model = Sequential(
        [
            Dense(4, 6, W_regularizer=rule),
            Dense(6, 2, W_regularizer=rule, b_regularizer="l2"),
            Dense(2, 2),
        ]
    )
    model.set_weights([w + 1 for w in model.get_weights()])
    before = model.get_weights()
    shrunk = (1 - LR, 1, 1 - LR, 1 - 2 * LR * 0.01, 1, 1)
    for after, start, factor in zip(stepped(model), before, shrunk, strict=True):
        np.testing.assert_allclose(after, factor * start, rtol=1e-12)


def test_training_shrinks_what_a_layer_returns_for_both_of_its_outputs_where_it_is_used_twice():
    layer = Dense(
        4,
        4,
        bias=False,
        weights=[W[:, :4]],
        activity_regularizer=regularizers.activity_l2(0.5),
    )
    once, twice = X @ W[:, :4], X @ W[:, :4] @ W[:, :4]
    [after] = stepped(Sequential([layer, layer]))
    by_first = X.T @ once
    by_second = (X.T @ (twice @ W[:, :4].T)) + once.T @ twice
    np.testing.assert_allclose(
        after, W[:, :4] - LR * (by_first + by_second) / len(X), rtol=1e-11
    )


def test_activity_regularization_is_a_layer_that_passes_its_input_on_and_penalizes_it():
    model = Sequential(
        [Dense(4, 6, bias=False, weights=[W]), ActivityRegularization(l1=0.2, l2=0.5)]
    )
    assert np.abs(model.predict(X) - X @ W).max() < 1e-14
    [after] = stepped(model)
    np.testing.assert_allclose(
        after, W - LR * X.T @ (0.2 * np.sign(X @ W) + X @ W) / len(X), rtol=1e-11
    )


def test_a_penalty_in_a_graph_counts_too_and_testing_knows_of_none():
    graph = Graph()
    graph.add_input("x", dim=4)
    graph.add_node(
        Dense(4, 6, bias=False, weights=[W], activity_regularizer="activity_l2"),
        "y",
        input="x",
        create_output=True,
    )
    graph.compile(SGD(lr=LR), "mse")
    assert graph.test_on_batch({"x": X, "y": X @ W}) < 1e-25
    graph.train_on_batch({"x": X, "y": X @ W})
    np.testing.assert_allclose(
        graph.get_weights()[0], W - LR * 0.02 * X.T @ (X @ W) / len(X), rtol=1e-11
    )


@pytest.mark.parametrize(
    "layer",
    [
        Dense(6, activity_regularizer="activity_l1"),
        Sequential([Dense(6), ActivityRegularization(0.1)]),
    ],
    ids=["itself", "inside"],
)
def test_a_penalty_on_what_is_returned_inside_a_loop_is_refused(layer):
    rnn = Recursive()
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=6)
    with pytest.raises(
        NodeError,
        match="node 'rec' takes a layer without a penalty on its output or running means",
    ):
        rnn.add_node(
            layer, "rec", inputs=["x", "h"], return_state="h", create_output=True
        )


CONSTRAINED = {
    "maxnorm": lambda w: (
        w
        * np.minimum(np.linalg.norm(w, axis=0), 2)
        / (1e-7 + np.linalg.norm(w, axis=0))
    ),
    "nonneg": lambda w: np.where(w < 0, 0, w),
    "unitnorm": lambda w: w / np.linalg.norm(w, axis=-1, keepdims=True),
    "identity": lambda w: w,
}


@pytest.mark.parametrize("name", CONSTRAINED)
def test_a_constraint_holds_after_a_step(name):
    model = Sequential(
        [
            Dense(
                4,
                6,
                weights=[3 * W, np.ones(6)],
                W_constraint=name,
                b_constraint="nonneg",
            )
        ]
    )
    after, b = stepped(model)
    np.testing.assert_allclose(after, CONSTRAINED[name](3 * W), rtol=1e-12, atol=1e-15)
    assert np.array_equal(b, np.ones(6))


def test_a_norm_of_zero_stays_zero():
    w = np.zeros((2, 3))
    for name in CONSTRAINED:
        assert np.array_equal(value(constraints.get(name)(pt.constant(w))), w)


def test_an_embedding_takes_its_rules_where_keras_had_them():
    layer = Embedding(5, 4, "uniform", "l2", "activity_l1", "unitnorm", True)
    assert layer.mask_zero is True
    ids = np.array([[1, 2], [3, 0], [2, 4]])
    [after] = stepped(Sequential([layer]), ids)
    np.testing.assert_allclose(np.linalg.norm(after, axis=-1), 1, rtol=1e-12)
    assert [type(rule).__name__ for rule in layer.get_params()[1]] == [
        "WeightRegularizer",
        "ActivityRegularizer",
    ]


def test_one_bias_less_layer_has_rules_for_what_it_has():
    layer = Dense(4, 6, bias=False, b_regularizer="l2", b_constraint="nonneg")
    params, penalties, rules, _ = layer.get_params()
    assert (len(params), len(penalties), len(rules)) == (1, 0, 1)


@pytest.mark.parametrize(
    "kind", [Dense, TimeDistributedDense, MaxoutDense], ids=lambda kind: kind.__name__
)
def test_the_configuration_of_a_layer_holds_its_rules_as_plain_values(kind):
    layer = kind(
        4,
        6,
        W_regularizer=regularizers.l1l2(0.1, 0.2),
        activity_regularizer="activity_l2",
        W_constraint=constraints.maxnorm(3),
        b_constraint="nonneg",
    )
    config = json.loads(json.dumps(layer.get_config()))
    assert config.pop("name") == kind.__name__
    again = kind(**config)
    assert again.get_config() == layer.get_config()
    assert (
        again.W_regularizer.l2 == 0.2
        and again.W_constraint.m == 3
        and again.b_regularizer is None
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: regularizers.get("actvity_l2"),
            "regularizer 'actvity_l2' takes .* Did you mean 'activity_l2'",
        ),
        (lambda: constraints.get("maxnrm"), "Did you mean 'maxnorm'"),
        (
            lambda: Dense(4, 6, W_regularizer=regularizers.WeightRegularizer),
            "takes a known name, a configuration or a Regularizer",
        ),
        (
            lambda: Dense(4, 6, W_constraint=constraints.nonneg),
            "takes a known name, a configuration or a Constraint",
        ),
        (lambda: Dense(4, 6, W_constraint={"m": 3}), "constraint 'None'"),
    ],
)
def test_unknown_rules_are_refused_and_the_nearest_offered(make, words):
    with pytest.raises(UnknownNameError, match=words):
        make()
