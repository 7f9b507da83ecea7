"""Bidirectional: both directions against NumPy loops, padding, weights, files."""

import copy

import numpy as np
import pytensor
import pytest

from recursive import (
    GRU,
    LSTM,
    Bidirectional,
    Dense,
    Dropout,
    Graph,
    Masking,
    Recurrent,
    Recursive,
    Sequential,
    SimpleRNN,
    model_from_json,
)
from recursive.backend import Argument, Program, evaluate
from recursive.errors import ConfigError, MergeError, NodeError
from tests.layers.test_masks import kinds
from tests.layers.test_recurrent import (
    BATCH,
    HIDDEN,
    IN,
    LOOPS,
    TIME,
    X,
    over_time,
    value,
)
from tests.layers.test_recurrent_states import PADDED

MERGED = {
    "concat": lambda a, b: np.concatenate([a, b], axis=-1),
    "sum": np.add,
    "mul": np.multiply,
    "ave": lambda a, b: (a + b) / 2,
    "max": np.maximum,
}


def with_random_weights(layer, seed=3):
    rng = np.random.RandomState(seed)
    layer.complete()
    layer.set_weights([rng.normal(0, 0.5, w.shape) for w in layer.get_weights()])
    return layer


def weights_of(layer, part):
    params = {
        name.removeprefix(f"{part}."): param.get_value()
        for name, param in layer.named_params.items()
        if name.startswith(f"{part}.")
    }
    inner = getattr(layer, part)
    return params | ({"Pmat": inner.Pmat.get_value()} if hasattr(inner, "Pmat") else {})


def expected_of(layer, kind, x):
    """The steps of both directions, in the order of ``x``."""
    step, states = LOOPS[kind]
    return (
        over_time(step, weights_of(layer, "layer"), x, states),
        over_time(step, weights_of(layer, "backward_layer"), x[:, ::-1], states)[
            :, ::-1
        ],
    )


@kinds
def test_both_directions_equal_numpy_loops_from_either_end(kind):
    layer = with_random_weights(Bidirectional(kind(IN, HIDDEN, return_sequences=True)))
    forward, backward = expected_of(layer, kind, X)
    assert (
        np.abs(value(layer(X)) - np.concatenate([forward, backward], axis=-1)).max()
        < 1e-13
    )
    layer.layer.return_sequences = layer.backward_layer.return_sequences = False
    last = np.concatenate([forward[:, -1], backward[:, 0]], axis=-1)
    assert np.abs(value(layer(X)) - last).max() < 1e-13
    assert not np.allclose(forward, backward)


@pytest.mark.parametrize("mode", MERGED)
def test_the_directions_are_merged(mode):
    layer = with_random_weights(
        Bidirectional(GRU(IN, HIDDEN, return_sequences=True), mode)
    )
    expected = MERGED[mode](*expected_of(layer, GRU, X))
    assert np.abs(value(layer(X)) - expected).max() < 1e-13
    assert layer.get_output_shape_for((None, TIME, IN)) == (None, *expected.shape[1:])


def test_without_a_merge_mode_both_are_outputs_that_a_graph_reads_by_name():
    layer = with_random_weights(
        Bidirectional(GRU(IN, HIDDEN, return_sequences=True), merge_mode=None)
    )
    graph = Graph()
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_node(layer, "both", input="x")
    graph.add_output("there", input="both.forward")
    graph.add_output("back", input="both.backward")
    found = graph.predict({"x": X})
    forward, backward = expected_of(layer, GRU, X)
    assert (
        np.abs(found["there"] - forward).max() < 1e-13
        and np.abs(found["back"] - backward).max() < 1e-13
    )
    assert layer.get_output_shape_for((None, TIME, IN)) == dict.fromkeys(
        ("forward", "backward"), (None, TIME, HIDDEN)
    )


def test_a_layer_that_goes_backwards_is_given_one_that_goes_forward():
    layer = with_random_weights(
        Bidirectional(GRU(IN, HIDDEN, return_sequences=True, go_backwards=True), None)
    )
    assert layer.backward_layer.go_backwards is False
    step, _ = LOOPS[GRU]
    expected = {
        "forward": over_time(step, weights_of(layer, "layer"), X[:, ::-1])[:, ::-1],
        "backward": over_time(step, weights_of(layer, "backward_layer"), X),
    }
    for name, found in layer(X).items():
        assert np.abs(value(found) - expected[name]).max() < 1e-13
    mask = pytensor.tensor.as_tensor_variable(PADDED["right"])
    assert np.array_equal(value(layer.get_output_mask_for(X, mask)), PADDED["right"])


def container(kind, return_sequences=True, **arguments):
    rnn = kind(return_sequences=return_sequences, **arguments)
    rnn.add_input("x", dim=IN)
    if kind is Recursive:
        rnn.add_state("h", dim=HIDDEN)
    past = "h" if kind is Recursive else "h_tm1"
    rnn.add_node(
        Dense(HIDDEN, activation="tanh"),
        "rec" if kind is Recursive else "h",
        inputs=["x", past],
        **({"return_state": "h"} if kind is Recursive else {}),
        create_output=True,
    )
    return rnn


def tanh_loop(w, x):
    [W], [b] = (
        [array for name, array in w.items() if name.endswith(letter)] for letter in "Wb"
    )
    h, found = np.zeros((len(x), HIDDEN)), []
    for t in range(x.shape[1]):
        h = np.tanh(np.concatenate([x[:, t], h], axis=1) @ W + b)
        found.append(h)
    return np.stack(found, axis=1)


@pytest.mark.parametrize("kind", [Recursive, Recurrent])
def test_containers_run_in_both_directions_too(kind):
    layer = with_random_weights(Bidirectional(container(kind)))
    backward = tanh_loop(weights_of(layer, "backward_layer"), X[:, ::-1])[:, ::-1]
    expected = np.concatenate(
        [tanh_loop(weights_of(layer, "layer"), X), backward], axis=-1
    )
    assert np.abs(value(layer(X)) - expected).max() < 1e-13
    last = copy.deepcopy(layer)
    last.layer.return_sequences = last.backward_layer.return_sequences = False
    expected = np.concatenate(
        [expected[:, -1, :HIDDEN], expected[:, 0, HIDDEN:]], axis=-1
    )
    assert np.abs(value(last(X)) - expected).max() < 1e-13


@pytest.mark.parametrize("padding", PADDED)
@pytest.mark.parametrize(
    "make",
    [
        lambda: LSTM(IN, HIDDEN, return_sequences=True, mask_mode="carry"),
        lambda: container(Recursive),
    ],
    ids=["LSTM", "Recursive"],
)
def test_a_padded_row_has_the_outputs_of_the_row_alone(make, padding):
    layer, mask = (
        with_random_weights(Bidirectional(make())),
        np.array(PADDED[padding]) == 1,
    )
    x, given = (
        pytensor.tensor.tensor3("x"),
        pytensor.tensor.matrix("mask", dtype="bool"),
    )
    output, carried = evaluate(layer.with_mask(x, mask=given), {x: X, given: mask})
    last = copy.deepcopy(layer)
    last.layer.return_sequences = last.backward_layer.return_sequences = False
    [ends] = evaluate([last(x, mask=given)], {x: X, given: mask})
    assert np.array_equal(carried, mask) and last.get_output_mask_for(x, given) is None
    for row, valid in enumerate(mask):
        alone, end = evaluate([layer(x), last(x)], {x: X[row : row + 1, valid]})
        assert np.abs(output[row, valid] - alone[0]).max() < 1e-12
        assert np.abs(ends[row] - end[0]).max() < 1e-12


@pytest.mark.parametrize(
    "make",
    [lambda: GRU(IN, HIDDEN, return_sequences=True), lambda: container(Recurrent)],
    ids=["GRU", "Recurrent"],
)
def test_gradients_equal_central_differences(make):
    layer = with_random_weights(Bidirectional(make()))
    target = np.random.RandomState(1).normal(size=(BATCH, TIME, 2 * HIDDEN))

    def build(inputs):
        loss = ((layer(inputs[0]) - target) ** 2).sum()
        return [loss, *pytensor.grad(loss, layer.params)], []

    program = Program([Argument("x", "float64", (None, None, IN))], build, "python")
    rng, (_, *gradients) = np.random.RandomState(2), program(X)
    for param, gradient in zip(layer.params, gradients, strict=True):
        before, direction = param.get_value(), rng.normal(size=gradient.shape)
        losses = []
        for step in (1e-6, -1e-6):
            param.set_value(before + step * direction)
            losses.append(program(X)[0])
        param.set_value(before)
        assert abs((losses[0] - losses[1]) / 2e-6 - (gradient * direction).sum()) < 1e-6


def test_a_model_with_it_learns_and_is_restored_from_its_configuration():
    model = Sequential(
        [
            Masking(),
            Bidirectional(container(Recurrent), "sum"),
            Bidirectional(SimpleRNN(HIDDEN, 2, "uniform", mask_mode="carry"), "ave"),
            Dense(2, 1),
        ]
    )
    model.compile("adam", "mse")
    y = np.random.RandomState(1).normal(size=(BATCH, 1))
    before = model.test_on_batch(X, y)
    model.fit(X, y, nb_epoch=5, verbose=0)
    assert model.test_on_batch(X, y) < before
    again = model_from_json(model.to_json())
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    assert np.array_equal(again.predict(X), model.predict(X))
    assert (
        again.layers[1].backward_layer.go_backwards
        and not again.layers[1].layer.go_backwards
    )


def test_the_copy_has_separate_weights_states_and_draws():
    layer = Bidirectional(GRU(IN, HIDDEN, stateful=True, seed=4))
    both = layer.layer, layer.backward_layer
    assert all(
        np.array_equal(one, other)
        for one, other in zip(*(part.get_weights() for part in both), strict=True)
    )
    assert not {id(param) for param in both[0].params} & {
        id(param) for param in both[1].params
    }
    Sequential([layer]).predict(X)
    kept = [part.get_states()["h"] for part in both]
    step, _ = LOOPS[GRU]
    expected = [
        over_time(step, weights_of(layer, "layer"), x)[:, -1] for x in (X, X[:, ::-1])
    ]
    assert all(
        np.abs(one - other).max() < 1e-13
        for one, other in zip(kept, expected, strict=True)
    )


@pytest.mark.parametrize("seed", [7, None])
def test_the_draws_of_both_directions_differ(seed):
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(Dropout(0.5, seed=seed), "dropped", input="x", create_output=True)
    both = Bidirectional(rnn, None)(np.ones((BATCH, TIME, IN)), train=True)
    forward, backward = evaluate([both["forward"], both["backward"]], {})
    assert not np.array_equal(forward, backward) and not np.array_equal(
        forward, backward[:, ::-1]
    )


def test_in_a_loop_both_directions_run_over_the_inner_sequences():
    layer = with_random_weights(Bidirectional(GRU(IN, HIDDEN)))
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", ndim=4, dim=IN)
    rnn.add_node(layer, "words", input="x", create_output=True)
    x = np.random.RandomState(3).normal(size=(BATCH, 2, TIME, IN))
    expected = np.stack([value(layer(x[:, t])) for t in range(2)], axis=1)
    assert np.abs(rnn.predict(x) - expected).max() < 1e-13
    assert [node.name for node in rnn.plan.hoisted] == ["words"], (
        "all steps are rows of one call"
    )


def stateful_in_a_loop():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", ndim=4, dim=IN)
    rnn.add_node(Bidirectional(GRU(IN, HIDDEN, stateful=True)), "words", input="x")


def with_two_inputs():
    rnn = container(Recurrent)
    rnn.add_input("u", dim=IN)
    return Bidirectional(rnn)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: Bidirectional(GRU(4, 6), "concatt"),
            MergeError,
            "takes a merge_mode of.*Did you mean 'concat'",
        ),
        (lambda: Bidirectional(GRU(4, 6), "dot"), MergeError, "got 'dot'"),
        (
            lambda: Bidirectional(Dense(4, 6)),
            ConfigError,
            "takes a recurrent layer.*got Dense",
        ),
        (lambda: Bidirectional(GRU), ConfigError, "got type"),
        (
            lambda: Bidirectional(GRU(4, 6), backward_layer=GRU(4, 6)),
            ConfigError,
            "got go_backwards=False and False",
        ),
        (
            lambda: Bidirectional(
                GRU(4, 6),
                backward_layer=GRU(4, 6, return_sequences=True, go_backwards=True),
            ),
            ConfigError,
            "return_sequences=False and True",
        ),
        (
            with_two_inputs,
            ConfigError,
            "takes a layer with one input and one output.*got inputs x, u, outputs h",
        ),
        (
            lambda: Bidirectional(Recursive()),
            ConfigError,
            "got inputs none, outputs none",
        ),
        (
            lambda: Bidirectional(container(Recursive, return_final_states=True)),
            ConfigError,
            "outputs rec, h_final",
        ),
        (stateful_in_a_loop, NodeError, "takes a stateful container by itself"),
    ],
)
def test_layers_that_cannot_run_both_ways_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
