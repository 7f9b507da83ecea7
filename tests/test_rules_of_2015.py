"""Constraints and regularizers without the base class, as 2015 took them."""

import numpy as np
import pytensor.tensor as pt
import pytest

from recursive import SGD, Dense, Sequential, regularizers
from recursive.constraints import NonNeg
from recursive.errors import ConfigError, UnknownNameError

X = np.array([[1.0, 0.0], [0.0, 1.0]])
W = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0]])


class Weighing:
    """A penalty on a parameter: ``10 * sum(p**2)``."""

    def set_param(self, p):
        self.weights = p

    def __call__(self, loss):
        return loss + 10 * pt.sqr(self.weights).sum()


class Quieting:
    """A penalty on an output: ``sum(abs(y))``."""

    def set_layer(self, layer):
        self.watched = layer

    def __call__(self, loss):
        return loss + abs(self.watched.get_output(True)).sum()


def model(**rules):
    found = Sequential([Dense(2, 3, weights=[W], **rules)])
    found.compile(SGD(lr=0.1), "mse", backend="python")
    return found


def test_a_function_is_a_constraint():
    trained = model(W_constraint=lambda p: pt.clip(p, -1.5, 1.5))
    # Targets equal predictions: the step is 0, and the constraint comes after it.
    trained.train_on_batch(X, X @ W)
    assert trained.get_weights()[0] == pytest.approx(np.clip(W, -1.5, 1.5))


def test_an_object_with_set_param_is_a_regularizer():
    trained = model(W_regularizer=Weighing())
    assert trained.train_on_batch(X, X @ W) == pytest.approx(10 * (W**2).sum())
    assert trained.get_weights()[0] == pytest.approx(W - 0.1 * 20 * W)


def test_an_object_with_set_layer_penalizes_an_output_once():
    trained = model(activity_regularizer=Quieting())
    assert trained.train_on_batch(X, X @ W) == pytest.approx(abs(W).sum())
    assert trained.get_weights()[0] == pytest.approx(W - 0.1 * np.sign(W))


def test_one_object_serves_two_layers():
    rule = Weighing()
    layers = [Dense(2, 2, weights=[np.eye(2)], W_regularizer=rule) for _ in range(2)]
    trained = Sequential(layers)
    trained.compile(SGD(lr=0.01), "mse", backend="python")
    assert trained.train_on_batch(X, X) == pytest.approx(2 * 10 * 2)


def test_what_cannot_be_bound_is_refused_where_it_is_passed():
    with pytest.raises(ConfigError, match="set_param"):
        Dense(2, 3, W_regularizer=regularizers.l2)
    with pytest.raises(ConfigError, match="set_layer"):
        Dense(2, 3, activity_regularizer=Weighing())
    with pytest.raises(UnknownNameError):
        Dense(2, 3, W_constraint=NonNeg)
    with pytest.raises(UnknownNameError):
        Dense(2, 3, W_constraint=2.0)


def test_a_rule_that_is_code_is_not_written_to_a_file():
    with pytest.raises(ConfigError, match="plain data"):
        Sequential([Dense(2, 3, W_constraint=lambda p: p)]).to_json()
