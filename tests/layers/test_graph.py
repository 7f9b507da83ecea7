"""Dims that a Graph or a loop infers from data, also inside other containers.

The last axis of integers is not a dim if it is time.
"""

import numpy as np
import pytest

from recursive import (
    GRU,
    Dense,
    Embedding,
    Graph,
    Identity,
    Recurrent,
    Recursive,
    Sequential,
    TimeDistributedDense,
)
from recursive.errors import ShapeError

WORDS = np.arange(6).reshape(2, 3)
LONGER = np.arange(10).reshape(2, 5)
DOCUMENTS = np.arange(24).reshape(2, 3, 4) % 10
OTHERS = np.arange(60).reshape(2, 5, 6) % 10


def over_words(layer, name="w"):
    graph = Graph()
    graph.add_input(name, ndim=2, dtype="int")
    graph.add_node(layer, "out", input=name, create_output=True)
    return graph


def table():
    return Embedding(10, 3, seed=1)


NESTED = {
    "Graph[Embedding]": lambda: over_words(table()),
    "Graph[Sequential]": lambda: over_words(Sequential([table()])),
    "Graph[Graph]": lambda: over_words(over_words(table())),
    "Sequential[Graph]": lambda: Sequential([over_words(table())]),
    "Graph[Sequential[Graph]]": lambda: over_words(Sequential([over_words(table())])),
    "Graph[Sequential[Graph[Sequential[Graph]]]]": lambda: over_words(
        Sequential([over_words(Sequential([over_words(table())]))])
    ),
    "Sequential[Sequential[Graph]]": lambda: Sequential(
        [Sequential([over_words(table())])]
    ),
}


def predicted(model, x):
    found = model.predict(x)
    return found if isinstance(found, np.ndarray) else next(iter(found.values()))


@pytest.mark.parametrize("build", NESTED.values(), ids=NESTED)
def test_words_are_looked_up_however_the_table_is_nested(build):
    model = build()
    for words in (WORDS, LONGER):
        found = predicted(model, words)
        np.testing.assert_array_equal(found, model.get_weights()[0][words])


def test_a_layer_after_a_nested_table_infers_its_dim():
    layers = [over_words(table()), TimeDistributedDense(4)]
    model = over_words(Sequential(layers))
    found = predicted(model, WORDS)
    E, W, b = model.get_weights()
    np.testing.assert_allclose(found, E[WORDS] @ W + b)


def test_documents_may_differ_in_numbers_of_sentences_and_words():
    model = Graph()
    model.add_input("d", ndim=3, dtype="int")
    model.add_node(table(), "out", input="d", create_output=True)
    for documents in (DOCUMENTS, OTHERS):
        found = predicted(model, documents)
        np.testing.assert_array_equal(found, model.get_weights()[0][documents])
    assert model.spec.inputs[0].dim is None


def test_a_loop_over_documents_takes_sentences_of_other_lengths():
    model = Recursive(return_sequences=True)
    model.add_input("d", ndim=3, dtype="int")
    model.add_node(table(), "words", input="d")
    model.add_node(GRU(3, 2), "sentence", input="words")
    model.add_state("h", dim=4)
    model.add_node(
        Dense(6, 4),
        "out",
        inputs=["sentence", "h"],
        return_state="h",
        create_output=True,
    )
    assert model.predict(DOCUMENTS).shape == (2, 3, 4)
    assert model.predict(OTHERS).shape == (2, 5, 4)


def test_integers_that_weights_depend_on_have_a_dim():
    model = Recursive(return_sequences=True)
    model.add_input("x", ndim=3, dtype="int")
    model.add_state("h", dim=4)
    model.add_node(
        Dense(4), "out", inputs=["x", "h"], return_state="h", create_output=True
    )
    model.predict(DOCUMENTS)
    assert model.spec.inputs[0].dim == 4


def reading_node_input_and_state(outer):
    """A concat of a node, an input without a dim and a state, all of it in ``outer``."""
    rnn = outer(return_sequences=True)
    rnn.add_input("x")
    rnn.add_input("z", dim=2)
    rnn.add_node(Dense(2, 3), "n", input="z")
    if outer is Recursive:
        rnn.add_state("h", dim=4)
        rnn.add_node(
            Dense(12, 4),
            "o",
            inputs=["n", "x", "h"],
            return_state="h",
            create_output=True,
        )
    else:
        rnn.add_node(Dense(12, 4), "o", inputs=["n", "x", "o_tm1"])
    return rnn


@pytest.mark.parametrize("outer", [Recursive, Recurrent])
def test_the_dim_of_an_input_is_what_a_dense_leaves_over(outer):
    rnn = reading_node_input_and_state(outer)
    assert rnn.get_output().type.shape[-1] == 4
    assert rnn.spec.inputs[0].dim == 5

    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 3, 2))
    weights = rng.normal(size=(2, 3)), rng.normal(size=3)
    W, b = rng.normal(size=(12, 4)) / 4, rng.normal(size=4)
    rnn.set_weights([*weights, W, b])
    found = rnn.predict({"x": x, "z": z})

    h, expected = np.zeros((2, 4)), []
    for t in range(3):
        n = z[:, t] @ weights[0] + weights[1]
        h = np.concatenate([n, x[:, t], h], axis=1) @ W + b
        expected.append(h)
    found = found if isinstance(found, np.ndarray) else found["o"]
    np.testing.assert_allclose(found, np.stack(expected, axis=1))


def test_two_inputs_without_dims_are_found_from_data():
    rnn = Recursive()
    rnn.add_input("x")
    rnn.add_input("z")
    rnn.add_state("h", dim=4)
    rnn.add_node(
        Dense(9, 4), "o", inputs=["x", "z", "h"], return_state="h", create_output=True
    )
    # With open dims the product is not split, and the output is available all the same.
    assert rnn.get_output().type.shape[-1] == 4
    x, z = np.ones((2, 1, 3)), np.full((2, 1, 2), 2.0)
    W, b = rnn.get_weights()
    expected = np.concatenate([x[:, 0], z[:, 0], np.zeros((2, 4))], axis=1) @ W + b
    np.testing.assert_allclose(rnn.predict({"x": x, "z": z})["o"], expected)


def test_a_gate_of_one_value_multiplies_a_past_of_any_dim():
    rnn = Recurrent()
    rnn.add_input("x", dim=2)
    rnn.add_node(Dense(2, 1), "g", input="x")
    rnn.add_node(Identity(), "m", input=["g", "h_tm1"], merge_mode="mul")
    rnn.add_node(Dense(2, 3), "i", input="x")
    rnn.add_node(Identity(), "h", input=["i", "m"], merge_mode="sum")
    x = np.random.default_rng(1).normal(size=(2, 3, 2))
    found = rnn.predict(x)

    G, g, W, b = rnn.get_weights()
    h = np.zeros((2, 3))
    for step in x.swapaxes(0, 1):
        h = step @ W + b + (step @ G + g) * h
    np.testing.assert_allclose(found, h)


def test_dims_that_do_not_fit_inside_a_chain_are_refused_in_a_node_too():
    model = Graph()
    model.add_input("x", dim=4)
    chain = Sequential([Dense(4, 3), Dense(2, 2)])
    model.add_node(chain, "a", input="x", create_output=True)
    with pytest.raises(ShapeError, match=r"'layer_1' takes dim 2.*got 3"):
        model.predict({"x": np.ones((3, 4))})
