"""Faults that random compositions found, and their siblings."""

import numpy as np
import pytest

from recursive import (
    GRU,
    AutoEncoder,
    Bidirectional,
    Dense,
    Embedding,
    Graph,
    Lambda,
    Masking,
    Merge,
    Recurrent,
    RecurrentGRU,
    RecursiveError,
    Sequential,
)
from recursive.errors import DataError


def loop_over_words():
    loop = Recurrent()
    loop.add_input("w", ndim=2, dtype="int")
    loop.add_node(Embedding(9, 4), "e", input="w")
    loop.add_node(RecurrentGRU(4, 3), "h", input="e", create_output=True)
    return loop


def graph_over_words():
    graph = Graph()
    graph.add_input("w", ndim=2, dtype="int")
    graph.add_node(Embedding(9, 4), "e", input="w")
    graph.add_node(GRU(4, 3), "h", input="e", create_output=True)
    return graph


def chain_over_words():
    return Sequential([Embedding(9, 4), GRU(4, 3)])


def coder_of_words():
    return AutoEncoder(Embedding(9, 4), GRU(4, 3))


LAYERS = [loop_over_words, graph_over_words, chain_over_words, coder_of_words]


@pytest.mark.parametrize("made", LAYERS, ids=lambda made: made.__name__)
@pytest.mark.parametrize("number", [-1, 9])
@pytest.mark.parametrize("depth", [1, 2])
def test_a_word_without_a_row_is_refused_however_deep_the_embedding_stands(
    made, number, depth
):
    """-1 would read the last row."""
    model = made()
    for _ in range(depth):
        graph = Graph()
        graph.add_input("w", ndim=2, dtype="int")
        graph.add_node(model, "s", input="w", create_output=True)
        model = graph
    words = np.array([[1, 2, number]], dtype="int32")
    with pytest.raises(DataError, match="9 rows of an Embedding"):
        model.predict({"w": words})


@pytest.mark.parametrize("made", LAYERS, ids=lambda made: made.__name__)
def test_a_word_without_a_row_is_refused_in_a_branch(made):
    model = Sequential([Merge([made(), Dense(2, 3)], mode="sum")])
    with pytest.raises(DataError, match="9 rows of an Embedding"):
        model.predict([np.array([[1, -1]], dtype="int32"), np.ones((1, 2))])


def stopping_loop():
    loop = Recurrent(return_sequences=True, until="stop")
    loop.add_input("x", dim=4)
    loop.add_node(
        Dense(7, 3, activation="tanh"), "h", input=["x", "h_tm1"], create_output=True
    )
    loop.add_node(Lambda(lambda h: (h.sum(axis=1) > 5).all()), "stop", input="h")
    return loop


def test_a_loop_that_stops_early_refuses_a_mask_that_arrives_in_words():
    """As it refuses one that is declared: it was a raw TypeError of a list index."""
    with pytest.raises(RecursiveError, match="mask"):
        Sequential([Masking(), stopping_loop()]).predict(np.ones((3, 5, 4)))


def test_an_autoencoder_refuses_an_encoder_of_two_outputs_in_words():
    """As Sequential does: it was a raw TypeError of an unhashable slice."""
    both = Bidirectional(GRU(4, 3), merge_mode=None)
    with pytest.raises(RecursiveError):
        Sequential([AutoEncoder(both, Dense(3, 2))]).predict(np.ones((3, 5, 4)))
