"""Masks and draws given to a layer: which fit, and which errors others raise."""

import numpy as np
import pytensor.tensor as pt
import pytest

from recursive import (
    LSTM,
    Activation,
    Bidirectional,
    Dense,
    Dropout,
    Graph,
    Recurrent,
    Recursive,
    Sequential,
    Zoneout,
    errors,
)
from recursive.backend import evaluate, tensor
from tests.cases import BATCH, HIDDEN, IN, TIME, with_random_weights

X = np.random.RandomState(3).normal(size=(BATCH, TIME, IN))


def dropping(p=0.5, per="step"):
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN, input="rec")
    rnn.add_node(Dropout(p, per=per), "drop", input="h")
    rnn.add_node(
        Dense(IN + HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["x", "drop"],
        create_output=True,
    )
    return with_random_weights(rnn)


# Masks


@pytest.mark.parametrize(
    ("mask", "error", "words"),
    [
        (
            np.ones((BATCH, TIME, 1)),
            errors.ShapeError,
            r"mask 'Recursive' takes \(batch, time\).*; got 3 axes",
        ),
        (np.ones(TIME), errors.ShapeError, "got 1 axes"),
        (np.ones((2, TIME)), errors.ShapeError, "got 2 rows for 3"),
        (np.ones((1, TIME)), errors.ShapeError, "got 1 rows for 3"),
        (np.ones((BATCH, 4)), errors.SequenceLengthError, "input: 5, mask: 4"),
    ],
)
def test_a_container_refuses_a_mask_of_another_shape(mask, error, words):
    with pytest.raises(error, match=words):
        dropping()(X, mask=mask)


@pytest.mark.parametrize(
    ("shape", "error", "words"),
    [
        ((2, TIME), errors.ShapeError, "got another number of rows"),
        ((1, TIME), errors.ShapeError, "got another number of rows"),
        ((BATCH, 4), errors.SequenceLengthError, "input and mask"),
    ],
)
@pytest.mark.parametrize(
    "make", [dropping, lambda: LSTM(IN, 2)], ids=["container", "layer"]
)
def test_unknown_sizes_of_a_mask_are_compared_when_the_program_runs(
    make, shape, error, words
):
    x, mask = (
        tensor("x", "float64", (None, None, IN)),
        tensor("mask", "bool", (None, None)),
    )
    with pytest.raises(error, match=words):
        evaluate([make()(x, mask=mask)], {x: X, mask: np.ones(shape, dtype=bool)})


# Draws


@pytest.mark.parametrize(
    "shape", [(BATCH, 4, HIDDEN), (BATCH, TIME, 1), (1, TIME, HIDDEN), (BATCH, HIDDEN)]
)
def test_a_loop_refuses_a_draw_of_another_shape(shape):
    with pytest.raises(
        errors.ShapeError, match=r"draw 'drop.keep' takes an array of shape \(3, 5, 6\)"
    ):
        dropping()(X, train=True, **{"drop.keep": np.ones(shape)})


def test_a_draw_per_sequence_has_no_time_axis():
    with pytest.raises(
        errors.ShapeError, match=r"takes an array of shape \(3, 6\); got \(3, 5, 6\)"
    ):
        dropping(per="sequence")(
            X, train=True, **{"drop.keep": np.ones((BATCH, TIME, HIDDEN))}
        )


def test_unknown_sizes_of_a_draw_are_compared_when_the_program_runs():
    x, keep = (
        tensor("x", "float64", (None, None, IN)),
        tensor("keep", "float64", (None, None, None)),
    )
    output = dropping()(x, train=True, **{"drop.keep": keep})
    fits = evaluate([output], {x: X, keep: np.ones((BATCH, TIME, HIDDEN))})[0]
    assert fits.shape == (BATCH, TIME, HIDDEN)
    with pytest.raises(
        errors.ShapeError, match=r"draw 'drop\.keep' takes an array of shape"
    ):
        evaluate([output], {x: X, keep: np.ones((BATCH, TIME, 1))})


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        (
            dropping,
            "dorp.keep",
            r"draw 'dorp\.keep' takes the name of a draw; .* Did you mean 'drop\.keep'",
        ),
        (lambda: Dropout(0.5), "kep", "Did you mean 'keep'"),
        (lambda: Dropout(0), "keep", "There are none yet"),
        (lambda: Sequential([Dropout(0.5)]), "layer_0.kep", "Did you mean 'keep'"),
        (
            lambda: Sequential([Dropout(0.5)]),
            "layer_1.keep",
            "draw 'layer_1.keep' takes the name of a part",
        ),
        (
            lambda: Bidirectional(dropping()),
            "forward.drop.keep",
            "There are: 'layer', 'backward_layer'",
        ),
        (
            lambda: Bidirectional(dropping()),
            "layer.dorp.keep",
            r"Did you mean 'drop\.keep'",
        ),
    ],
)
def test_an_unknown_draw_is_refused(make, name, words, train):
    with pytest.raises(errors.DataError, match=words):
        make()(X, train=train, **{name: np.ones((BATCH, TIME, HIDDEN))})


@pytest.mark.parametrize("layer", [Dropout(0.5), Dropout(0.5, per="sequence")])
def test_a_layer_outside_a_container_refuses_a_draw_of_another_shape(layer):
    with pytest.raises(
        errors.ShapeError, match=r"draw 'keep' takes an array of shape \(3, (5, )?4\)"
    ):
        layer(X, train=True, keep=np.ones((2, 2)))
    both = {"input": X[:, 0], "prev": X[:, 1]}
    with pytest.raises(errors.ShapeError, match=r"takes an array of shape \(3, 4\)"):
        Zoneout(0.5)(both, train=True, keep=np.ones((BATCH, 1)))


def test_draws_reach_a_loop_in_a_graph_in_a_chain():
    graph, rnn = Graph(), dropping()
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_node(Activation("linear"), "same", input="x")
    graph.add_node(rnn, "rnn", input="same", create_output=True)
    keep = np.random.RandomState(1).uniform(size=(BATCH, TIME, HIDDEN))
    found = Sequential([graph])(X, train=True, **{"layer_0.rnn.drop.keep": keep})
    [found, expected] = evaluate([found, rnn(X, train=True, **{"drop.keep": keep})], {})
    assert (found == expected).all()
    with pytest.raises(
        errors.DataError,
        match=r"draw 'rn\.drop\.keep' takes the name of a part .* mean 'rnn'",
    ):
        graph(X, train=True, **{"rn.drop.keep": keep})


# Noise in an inner loop


def reading(inner, past):
    """A loop over texts, each read by ``inner``, which is hoisted unless ``past``."""
    outer = Recurrent(return_sequences=True)
    outer.add_input("text", ndim=4, dim=IN)
    outer.add_input("start", dim=HIDDEN)
    outer.add_node(
        inner, "read", input={"x": "text", "h0": "rec_tm1" if past else "start"}
    )
    outer.add_node(
        Dense(2 * HIDDEN, HIDDEN), "rec", input=["read", "rec_tm1"], create_output=True
    )
    return outer


def inner_loop(**settings):
    inner = Recurrent()
    inner.add_input("x", dim=IN)
    inner.add_input("h0", is_sequence=False, dim=HIDDEN)
    inner.add_state("h", dim=HIDDEN, input="rec", **{"initial": "h0", **settings})
    inner.add_node(Dropout(0.5, seed=1), "drop", inputs=["x", "h0"])
    inner.add_node(
        Dense(IN + 2 * HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["drop", "h"],
        create_output=True,
    )
    return inner


def test_an_inner_loop_that_would_draw_inside_a_step_is_refused():
    given = {
        "text": np.ones((BATCH, 4, TIME, IN)),
        "start": np.ones((BATCH, 4, HIDDEN)),
    }
    outer = reading(inner_loop(), past=True)
    assert evaluate([outer(given)], {})[0].shape == (BATCH, 4, HIDDEN), (
        "without training nothing is drawn"
    )
    with pytest.raises(
        errors.NodeError,
        match=r"node 'read' takes a layer whose draws .* Recurrent",
    ):
        outer(given, train=True)


def test_an_inner_loop_that_is_hoisted_draws_noise_for_each_of_its_steps():
    outer = reading(inner_loop(), past=False)
    outer.add_output("seen", input="read")
    given = {
        "text": np.ones((BATCH, 4, TIME, IN)),
        "start": np.ones((BATCH, 4, HIDDEN)),
    }
    [found] = evaluate([outer(given, train=True)["seen"]], {})
    assert len({row.tobytes() for row in found.reshape(-1, HIDDEN)}) == 4 * BATCH


def test_a_sequential_with_dropout_and_a_loop_may_be_a_node_that_reads_no_past():
    outer = Recurrent(return_sequences=True)
    outer.add_input("text", ndim=4, dim=IN)
    outer.add_node(
        Sequential([Dropout(0.5, seed=1), LSTM(IN, HIDDEN)]),
        "read",
        input="text",
        create_output=True,
    )
    [found] = evaluate([outer(np.ones((BATCH, 4, TIME, IN)), train=True)], {})
    assert len({row.tobytes() for row in found.reshape(-1, HIDDEN)}) == 4 * BATCH


def test_predict_refuses_a_symbolic_tensor():
    with pytest.raises(
        errors.DataError,
        match=r"input 'x' takes numbers; got a symbol .*\. Pass an array",
    ):
        dropping().predict(pt.zeros((BATCH, TIME, IN)))
