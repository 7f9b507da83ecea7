"""Random draws.

Given draws are compared with NumPy loops and central differences. Layers that draw are
judged by the statistics of their output.
"""

import numpy as np
import pytensor
import pytest

from recursive import (
    Dense,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    Graph,
    Recurrent,
    Sequential,
    TimeDistributedDense,
    Zoneout,
)
from recursive.backend import Argument, Program, evaluate
from recursive.errors import ConfigError, ShapeError
from tests.cases import weights_of, with_random_weights
from tests.layers.test_recurrent import BATCH, HIDDEN, IN, TIME, X, value

P_SEQUENCE, P_STEP, SIGMA, P_GAUSSIAN, P_ZONEOUT = 0.3, 0.25, 0.5, 0.2, 0.4


def noisy():
    """A tanh network with noise on the input, on the recurrent value and in time."""
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(GaussianNoise(SIGMA, seed=1), "added", input="x")
    rnn.add_node(GaussianDropout(P_GAUSSIAN, seed=2), "times", input="h_tm1")
    rnn.add_node(Dropout(P_SEQUENCE, seed=3, per="sequence"), "held", input="h_tm1")
    rnn.add_node(Dropout(P_STEP, seed=4), "stepwise", input="added")
    rnn.add_node(
        Dense(IN + 2 * HIDDEN, HIDDEN, activation="tanh"),
        "new",
        input=["stepwise", "times", "held"],
    )
    rnn.add_node(Zoneout(P_ZONEOUT, seed=5), "h", input="new", create_output=True)
    return with_random_weights(rnn)


def draws(rng):
    return {
        "added.noise": rng.normal(size=(BATCH, TIME, IN)),
        "times.noise": rng.normal(size=(BATCH, TIME, HIDDEN)),
        "held.keep": rng.uniform(size=(BATCH, HIDDEN)),
        "stepwise.keep": rng.uniform(size=(BATCH, TIME, IN)),
        "h.keep": rng.uniform(size=(BATCH, TIME, HIDDEN)),
    }


def noisy_loop(w, x, given):
    h, found = np.zeros((BATCH, HIDDEN)), []
    for t in range(TIME):
        added = x[:, t] + SIGMA * given["added.noise"][:, t]
        times = h * (
            1 + np.sqrt(P_GAUSSIAN / (1 - P_GAUSSIAN)) * given["times.noise"][:, t]
        )
        held = np.where(given["held.keep"] >= P_SEQUENCE, h / (1 - P_SEQUENCE), 0)
        stepwise = np.where(
            given["stepwise.keep"][:, t] >= P_STEP, added / (1 - P_STEP), 0
        )
        new = np.tanh(
            np.concatenate([stepwise, times, held], axis=1) @ w["new.W"] + w["new.b"]
        )
        h = np.where(given["h.keep"][:, t] < P_ZONEOUT, h, new)
        found.append(h)
    return np.stack(found, axis=1)


TARGET = np.random.RandomState(3).normal(size=(BATCH, TIME, HIDDEN))


def given_program(rnn, backend="python", learn=True):
    """The outputs, and the gradients of a loss, for an input and all draws."""
    arrays = {"x": X, **draws(np.random.RandomState(1))}
    arguments = [
        Argument(name.replace(".", "_"), "float64", array.shape)
        for name, array in arrays.items()
    ]

    def build(inputs):
        x, *rest = inputs
        output = rnn(x, train=True, **dict(zip(list(arrays)[1:], rest, strict=True)))
        loss = ((output - TARGET) ** 2).sum()
        return [output, *(pytensor.grad(loss, [x, *rnn.params]) if learn else [])], []

    return Program(arguments, build, backend), arrays


@pytest.mark.parametrize(
    ("backend", "learn"), [("python", False), ("jax", True), ("numba", False)]
)
def test_a_network_of_noise_equals_a_numpy_loop_that_is_given_the_same_draws(
    backend, learn
):
    rnn = noisy()
    program, arrays = given_program(rnn, backend, learn)
    found, *gradients = program(*arrays.values())
    assert np.abs(found - noisy_loop(weights_of(rnn), X, arrays)).max() < 1e-12
    if learn:
        _, *expected = given_program(rnn)[0](*arrays.values())
        assert all(
            np.abs(one - other).max() < 1e-10
            for one, other in zip(gradients, expected, strict=True)
        )


def test_its_gradients_equal_central_differences_of_the_numpy_loop():
    rnn = noisy()
    program, arrays = given_program(rnn)
    _, *gradients = program(*arrays.values())
    inputs, rng = {"x": X, **weights_of(rnn)}, np.random.RandomState(4)

    def loss(moved):
        return ((noisy_loop(moved, moved["x"], arrays) - TARGET) ** 2).sum()

    for (name, array), gradient in zip(inputs.items(), gradients, strict=True):
        direction = rng.normal(size=array.shape)
        high, low = (
            loss(inputs | {name: array + sign * 1e-6 * direction}) for sign in (1, -1)
        )
        assert abs((high - low) / 2e-6 - (gradient * direction).sum()) < 1e-6


def test_without_training_nothing_is_drawn_and_zoneout_gives_expected_values():
    rnn, h, expected = noisy(), np.zeros((BATCH, HIDDEN)), []
    w = weights_of(rnn)
    for t in range(TIME):
        new = np.tanh(np.concatenate([X[:, t], h, h], axis=1) @ w["new.W"] + w["new.b"])
        h = P_ZONEOUT * h + (1 - P_ZONEOUT) * new
        expected.append(h)
    assert np.abs(rnn.predict(X) - np.stack(expected, axis=1)).max() < 1e-12
    assert np.array_equal(rnn.predict(X), noisy().predict(X))


def test_the_same_seeds_reproduce_training_and_every_step_draws_again():
    runs = []
    for _ in range(2):
        rnn = noisy()
        rnn.compile("sgd", "mse")
        runs.append([rnn.train_on_batch(X, TARGET) for _ in range(4)])
    assert runs[0] == runs[1]
    rnn = noisy()
    program = Program(
        [Argument("x", "float64", (None, None, IN))],
        lambda inputs: ([rnn(inputs[0], train=True)], []),
        "python",
    )
    assert not np.array_equal(program(X)[0], program(X)[0])


def test_zoneout_keeps_a_fraction_of_the_values_of_the_previous_step():
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=300)
    rnn.add_node(Zoneout(0.3, seed=1), "h", input="x")
    x = np.random.RandomState(0).normal(size=(20, 4, 300))
    [found] = evaluate([rnn(x, train=True)], {})
    kept = found[:, 1:] == found[:, :-1]
    assert abs(kept.mean() - 0.3) < 0.01
    assert np.array_equal(found[:, 1:][~kept], x[:, 1:][~kept])


def test_zoneout_reads_two_nodes_of_a_graph_and_with_p_0_returns_the_new():
    graph, rng = Graph(), np.random.RandomState(0)
    graph.add_input("new", dim=IN)
    graph.add_input("old", dim=IN)
    graph.add_node(
        Zoneout(0.25), "out", input={"input": "new", "prev": "old"}, create_output=True
    )
    given = {"new": rng.normal(size=(BATCH, IN)), "old": rng.normal(size=(BATCH, IN))}
    assert (
        np.abs(
            graph.predict(given)["out"] - (0.25 * given["old"] + 0.75 * given["new"])
        ).max()
        < 1e-15
    )
    layer = Zoneout(0)
    assert layer.draws == ()
    assert np.array_equal(
        value(layer({"input": given["new"], "prev": given["old"]}, train=True)),
        given["new"],
    )


def test_dropout_per_sequence_drops_the_same_values_at_every_step():
    keep = np.random.RandomState(0).uniform(size=(BATCH, IN))
    found = value(Dropout(0.4, per="sequence")(X, train=True, keep=keep))
    assert np.abs(found - np.where(keep >= 0.4, 1 / 0.6, 0)[:, None] * X).max() < 1e-15
    x = np.ones((20, 7, 300))
    chain = Sequential(
        [
            Dropout(0.4, per="sequence", seed=1),
            TimeDistributedDense(300, 300, "identity"),
        ]
    )
    assert chain.steady_draws == chain.draws == ("layer_0.keep",)
    [found] = evaluate([chain(x, train=True)], {})
    assert np.array_equal(found, np.repeat(found[:, :1], 7, axis=1))
    assert (
        abs((found == 0).mean() - 0.4) < 0.02
        and len({row.tobytes() for row in found[:, 0]}) == 20
    )
    rows = np.ones((BATCH, IN))
    assert np.array_equal(
        value(Dropout(0.4, per="sequence")(rows, train=True, keep=keep)),
        value(Dropout(0.4)(rows, train=True, keep=keep)),
    )


def test_dropout_per_sequence_works_in_a_graph_that_is_a_node():
    inner = Graph()
    inner.add_input("a", ndim=2)
    inner.add_node(
        Dropout(0.5, per="sequence", seed=1), "drop", input="a", create_output=True
    )
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=30)
    rnn.add_node(inner, "dropped", input="x", create_output=True)
    [found] = evaluate([rnn(np.ones((BATCH, TIME, 30)), train=True)], {})
    assert (
        np.array_equal(found, np.repeat(found[:, :1], TIME, axis=1))
        and 0 < (found == 0).mean() < 1
    )


def test_noise_of_another_dtype_does_not_widen_float32():
    with pytensor.config.change_flags(floatX="float32"):
        x, noise = np.ones((2, 3), dtype="float32"), np.zeros((2, 3))
        layers = (
            (GaussianNoise(0.1), {"noise": noise}),
            (GaussianDropout(0.1), {"noise": noise}),
            (Dropout(0.1), {"keep": noise}),
            (Dropout(0.1, per="sequence"), {"keep": noise}),
        )
        assert {layer(x, train=True, **given).dtype for layer, given in layers} == {
            "float32"
        }
        both = {"input": x, "prev": x}
        assert {Zoneout(0.1)(both, train).dtype for train in (True, False)} == {
            "float32"
        }


def zoneout_of_other_dims():
    graph = Graph()
    graph.add_input("new", dim=IN)
    graph.add_input("old", dim=HIDDEN)
    graph.add_node(
        Zoneout(0.25), "out", input={"input": "new", "prev": "old"}, create_output=True
    )
    graph.build()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: Dropout(1),
            ConfigError,
            "layer 'Dropout' takes a fraction p of 0 or more and below 1.*got 1",
        ),
        (lambda: Dropout(-0.1), ConfigError, "got -0.1"),
        (lambda: Dropout(float("nan")), ConfigError, "got nan"),
        (lambda: Dropout("0.5"), ConfigError, "got '0.5'"),
        (lambda: Dropout(True), ConfigError, "got True"),
        (
            lambda: GaussianDropout(1.5),
            ConfigError,
            "layer 'GaussianDropout' takes a fraction p",
        ),
        (
            lambda: Zoneout(1.0),
            ConfigError,
            "layer 'Zoneout' takes a fraction p",
        ),
        (
            lambda: Dropout(0.5, per="sequences"),
            ConfigError,
            "takes per='step' or per='sequence'.*Did you mean 'sequence'",
        ),
        (
            zoneout_of_other_dims,
            ShapeError,
            r"input and prev of one dim.*got input \(None, 4\), prev \(None, 6\)",
        ),
    ],
)
def test_impossible_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
