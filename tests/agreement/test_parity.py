"""One model through every backend against the NumPy reference: outputs, gradients, ten training steps.

Several containers stand side by side in one graph, so that each backend compiles twice a dtype, and no more.
"""

import numpy as np
import pytensor
import pytest

from recursive import Activation, Dense, Graph, Recurrent, recipes
from recursive.backend import choose
from recursive.layers.cells import RecurrentGRU, RecurrentLSTM
from recursive.optimizers import SGD, Adam
from recursive.reference import run, train
from tests.cases import BATCH, HIDDEN, IN, TIME, with_random_weights

TARGETS = [
    "python",
    pytest.param(
        "jax",
        marks=pytest.mark.skipif(
            not choose.is_installed("jax"), reason="JAX is an extra"
        ),
    ),
    pytest.param("numba", marks=pytest.mark.compiled),
    pytest.param(
        "c",
        marks=[
            pytest.mark.compiled,
            pytest.mark.skipif(
                not pytensor.config.cxx, reason="C code needs a compiler"
            ),
        ],
    ),
]
CLOSE = {"float64": 1e-10, "float32": 1e-4}


def looking_back():
    """Taps on the input and on a value, a masked step, two outputs of which one is deferred, all products joined."""
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_mask("given")
    rnn.add_node(
        Dense(2 * IN + 2 * HIDDEN, HIDDEN, activation="tanh"),
        "h",
        input=["x", "x_tm1", "h_tm1", "h_tm2"],
    )
    rnn.add_node(Dense(HIDDEN, 2), "g", input="h_tm1")
    rnn.add_node(Activation("sigmoid"), "y", input="g", create_output=True)
    return rnn


def cells():
    """A GRU under an LSTM, a node each."""
    rnn = Recurrent()
    rnn.add_input("x", dim=IN)
    rnn.add_node(RecurrentGRU(HIDDEN, activation="tanh"), "low", input="x")
    rnn.add_node(RecurrentLSTM(HIDDEN), "high", input="low")
    return rnn


def model():
    graph = Graph()
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_input("given", ndim=2, dtype="bool")
    smooth = {"activation": "tanh", "inner_activation": "sigmoid"}
    graph.add_node(
        recipes.lstm(IN, HIDDEN, **smooth), "lstm", input="x", create_output=True
    )
    graph.add_node(
        recipes.gru(IN, HIDDEN, **smooth), "gru", input="x", create_output=True
    )
    graph.add_node(
        recipes.gated_feedback(IN, 3, layers=2, return_sequences=True),
        "feedback",
        input="x",
        create_output=True,
    )
    graph.add_node(cells(), "cells", input="x", create_output=True)
    graph.add_node(
        looking_back(), "back", input={"x": "x", "given": "given"}, create_output=True
    )
    return with_random_weights(graph, 2)


def arrays():
    rng = np.random.RandomState(4)
    given = np.ones((BATCH, TIME), bool)
    given[0, 3:], given[1, :2], given[2, 2] = False, False, False
    inputs = {"x": rng.normal(size=(BATCH, TIME, IN)), "given": given}
    shapes = {
        "lstm": (HIDDEN,),
        "gru": (HIDDEN,),
        "feedback": (TIME, 3),
        "cells": (HIDDEN,),
        "back": (TIME, 2),
    }
    return inputs, {
        name: rng.normal(size=(BATCH, *shape)) for name, shape in shapes.items()
    }


def weights(network):
    return {
        name: weight.get_value().astype("float64")
        for name, weight in network.named_weights.items()
    }


def close(found, right, dtype):
    assert found.keys() == right.keys()
    for name, value in found.items():
        scale = max(1, np.abs(right[name]).max())
        assert np.abs(value - right[name]).max() <= CLOSE[dtype] * scale, name


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("target", TARGETS)
def test_every_backend_computes_and_steps_down_the_gradient_as_the_reference(
    target, dtype
):
    with pytensor.config.change_flags(floatX=dtype):
        network, (inputs, targets) = model(), arrays()
        started = weights(network)
        network.compile(SGD(lr=1.0), dict.fromkeys(targets, "mse"), backend=target)
        expected = run(network.spec, started, inputs)
        close(network.predict(inputs), expected.outputs, dtype)

        network.train_on_batch({**inputs, **targets})
        right = train(
            network.spec, started, inputs, targets, {"name": "sgd", "lr": 1.0}, 1
        ).params
        close(weights(network), right, dtype)


@pytest.mark.parametrize("target", TARGETS)
def test_ten_steps_on_every_backend_are_those_of_the_reference(target):
    network, (inputs, targets) = model(), arrays()
    network.compile(Adam(lr=0.01), dict.fromkeys(targets, "mse"), backend=target)
    right = train(
        network.spec,
        weights(network),
        inputs,
        targets,
        {"name": "adam", "lr": 0.01},
        10,
    )
    losses = [network.train_on_batch({**inputs, **targets}) for _ in range(10)]
    assert np.abs(np.array(losses) - right.losses).max() <= 1e-10
    close(weights(network), right.params, "float64")
