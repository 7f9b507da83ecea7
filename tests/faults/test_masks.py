"""Masks belong to values: through loops, containers, contexts, final states and merges."""

import numpy as np
import pytest

import recursive
from recursive import (
    GRU,
    LSTM,
    Activation,
    AutoEncoder,
    Bidirectional,
    Blend,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Graph,
    Identity,
    Lambda,
    Masking,
    Merge,
    Permute,
    Recurrent,
    RecurrentDense,
    RecurrentGRU,
    Recursive,
    RecursiveError,
    Reshape,
    Sequential,
    SimpleRNN,
    Switch,
    TimeDistributedDense,
    model_from_json,
)
from recursive.errors import ConfigError
from tests.faults.loops import close, gru, lstm, randomized, rng_of, rnn, sigmoid

BATCH, SENTENCES, WORDS, NUMBERS, VECTOR, HIDDEN = 3, 4, 5, 7, 2, 6
TEXT = np.array(
    [
        [[1, 2, 3, 0, 0], [4, 0, 0, 0, 0], [5, 6, 1, 2, 3], [2, 2, 0, 0, 0]],
        [[3, 3, 0, 0, 0], [1, 0, 4, 0, 0], [0, 0, 5, 6, 0], [6, 5, 4, 3, 2]],
        [[6, 0, 0, 0, 0], [2, 4, 0, 0, 0], [1, 1, 1, 0, 0], [3, 0, 0, 0, 0]],
    ],
    dtype="int32",
)


def new_layer(name, *args):
    """A layer of the public names; the test fails, and not its import, without it."""
    return getattr(recursive, name)(*args)


def padded(seed=1, time=5, dim=4, lengths=(5, 2, 3)):
    """Random rows, of which each is zero behind its length, and the mask."""
    x = rng_of(seed).normal(size=(len(lengths), time, dim))
    mask = np.arange(time) < np.array(lengths)[:, None]
    return x * mask[..., None], mask


# A mask inside the step of a loop


def words_loop(*named, **settings):
    """A loop over sentences: the layers one after another as nodes, then a state."""
    loop = Recursive(return_sequences=True, **settings)
    loop.add_input("text", ndim=3, dtype="int")
    before = "text"
    for index, layer in enumerate(named):
        loop.add_node(layer, f"n{index}", input=before)
        before = f"n{index}"
    loop.add_state("s", dim=HIDDEN)
    loop.add_node(
        Dense(3 + HIDDEN, HIDDEN, activation="tanh"),
        "s_new",
        input=[before, "s"],
        return_state="s",
        create_output=True,
    )
    return loop


def sentences_by_numpy(vectors, W, b):
    """The loop over sentences, over their vectors ``(batch, sentence, dim)``."""
    state = np.zeros((BATCH, HIDDEN))
    steps = []
    for t in range(vectors.shape[1]):
        state = np.tanh(np.concatenate([vectors[:, t], state], axis=1) @ W + b)
        steps.append(state)
    return np.stack(steps, axis=1)


def words_by_numpy(weights, cell=lstm, between=lambda v: v, text=TEXT):
    table, *inner, W, b = weights
    flat = text.reshape(-1, WORDS)
    last = cell(inner, between(table[flat]), flat != 0)[:, -1]
    return sentences_by_numpy(last.reshape(*text.shape[:2], -1), W, b)


def test_words_and_sentences_as_two_nodes_of_a_loop_skip_the_padding():
    loop = randomized(
        words_loop(
            Embedding(NUMBERS, VECTOR, mask_zero=True),
            LSTM(VECTOR, 3, mask_mode="carry"),
        )
    )
    assert close(loop.predict(TEXT), words_by_numpy(loop.get_weights()))


def test_words_and_sentences_as_two_nodes_are_those_of_one_chain():
    def layers():
        embedding = Embedding(NUMBERS, VECTOR, mask_zero=True)
        return embedding, LSTM(VECTOR, 3, mask_mode="carry")

    nodes = randomized(words_loop(*layers()))
    chain = randomized(words_loop(Sequential(list(layers()))))
    assert close(nodes.predict(TEXT), chain.predict(TEXT))


def test_words_and_sentences_are_the_same_where_the_loop_is_written_out():
    loop = randomized(
        words_loop(
            Embedding(NUMBERS, VECTOR, mask_zero=True),
            LSTM(VECTOR, 3, mask_mode="carry"),
            unroll=True,
            n_steps=SENTENCES,
        )
    )
    assert close(loop.predict(TEXT), words_by_numpy(loop.get_weights()))


@pytest.mark.parametrize(
    "between",
    [Activation("tanh"), TimeDistributedDense(VECTOR, VECTOR), Dropout(0.3)],
    ids=lambda layer: type(layer).__name__,
)
def test_a_node_between_the_one_that_masks_and_the_one_that_skips_passes_the_mask_on(
    between,
):
    loop = randomized(
        words_loop(
            Embedding(NUMBERS, VECTOR, mask_zero=True),
            between,
            GRU(VECTOR, 3, mask_mode="carry"),
        )
    )
    table, *rest = loop.get_weights()
    function = {"Activation": np.tanh, "Dropout": lambda v: v}.get(
        type(between).__name__
    )
    if function is None:
        W, b, *rest = rest
        function = lambda v: v @ W + b  # noqa: E731
    assert close(loop.predict(TEXT), words_by_numpy([table, *rest], gru, function))


def test_a_time_distributed_dense_passes_the_mask_of_a_step_on_as_well():
    loop = randomized(
        words_loop(
            Embedding(NUMBERS, VECTOR, mask_zero=True),
            TimeDistributedDense(VECTOR, VECTOR),
            GRU(VECTOR, 3, mask_mode="carry"),
        )
    )
    table, W, b, *rest = loop.get_weights()
    expected = words_by_numpy([table, *rest], gru, lambda v: v @ W + b)
    assert close(loop.predict(TEXT), expected)


def test_a_loop_inside_a_loop_skips_the_words_that_another_node_masks():
    inner = Recurrent()
    inner.add_input("word", dim=VECTOR)
    inner.add_node(RecurrentGRU(VECTOR, 3), "h", input="word")
    loop = randomized(words_loop(Embedding(NUMBERS, VECTOR, mask_zero=True), inner))
    assert close(loop.predict(TEXT), words_by_numpy(loop.get_weights(), gru))


def test_both_directions_in_a_loop_skip_the_words_that_another_node_masks():
    both = Bidirectional(GRU(VECTOR, 3, mask_mode="carry"), merge_mode="sum")
    loop = randomized(words_loop(Embedding(NUMBERS, VECTOR, mask_zero=True), both))
    table, *inner, W, b = loop.get_weights()
    flat = TEXT.reshape(-1, WORDS)
    vectors, mask = table[flat], flat != 0
    ahead = gru(inner[:9], vectors, mask)[:, -1]
    back = gru(inner[9:], vectors[:, ::-1], mask[:, ::-1])[:, -1]
    sentences = (ahead + back).reshape(BATCH, SENTENCES, -1)
    assert close(loop.predict(TEXT), sentences_by_numpy(sentences, W, b))


def test_a_graph_and_a_chain_in_a_loop_take_and_give_the_mask_of_a_step():
    graph = Graph()
    graph.add_input("v", ndim=3, dim=VECTOR)
    graph.add_node(Activation("tanh"), "y", input="v", create_output=True)
    loop = randomized(
        words_loop(
            Sequential([Embedding(NUMBERS, VECTOR, mask_zero=True)]),
            graph,
            Sequential([GRU(VECTOR, 3, mask_mode="carry")]),
        )
    )
    expected = words_by_numpy(loop.get_weights(), gru, np.tanh)
    assert close(loop.predict(TEXT), expected)


def test_masking_as_a_node_of_a_loop_masks_for_the_next_node():
    x = rng_of().normal(size=(BATCH, SENTENCES, WORDS, VECTOR))
    mask = np.arange(WORDS) < rng_of(5).randint(1, WORDS, size=(BATCH, SENTENCES, 1))
    loop = Recursive(return_sequences=True)
    loop.add_input("x", ndim=4, dim=VECTOR)
    loop.add_node(Masking(), "m", input="x")
    loop.add_node(GRU(VECTOR, 3, mask_mode="carry"), "w", input="m")
    loop.add_state("s", dim=HIDDEN)
    loop.add_node(
        Dense(3 + HIDDEN, HIDDEN, activation="tanh"),
        "f",
        input=["w", "s"],
        return_state="s",
        create_output=True,
    )
    randomized(loop)
    *inner, W, b = loop.get_weights()
    flat = x.reshape(-1, WORDS, VECTOR), mask.reshape(-1, WORDS)
    last = gru(inner, *flat)[:, -1].reshape(BATCH, SENTENCES, -1)
    found = loop.predict(x * mask[..., None])
    assert close(found, sentences_by_numpy(last, W, b))


def test_a_sentence_without_words_is_still_a_step():
    text = TEXT.copy()
    text[1, 2] = 0
    loop = randomized(
        words_loop(
            Embedding(NUMBERS, VECTOR, mask_zero=True),
            GRU(VECTOR, 3, mask_mode="carry"),
        )
    )
    expected = words_by_numpy(loop.get_weights(), gru, text=text)
    assert close(loop.predict(text), expected)


def test_masked_words_of_a_loop_are_not_learned_from():
    """More padding behind each sentence changes nothing of a training step."""

    def trained(text):
        loop = randomized(
            words_loop(
                Embedding(NUMBERS, VECTOR, mask_zero=True),
                GRU(VECTOR, 3, mask_mode="carry"),
            )
        )
        loop.compile("sgd", "mse", backend="python")
        loss = loop.train_on_batch(text, np.ones((BATCH, SENTENCES, HIDDEN)))
        return [np.asarray(loss), *loop.get_weights()]

    more = np.concatenate([TEXT, np.zeros_like(TEXT)], axis=2)
    found, expected = trained(more), trained(TEXT)
    assert all(map(close, found, expected))


def test_a_mask_of_sentences_and_masks_of_words_hold_together():
    loop = Recursive(return_sequences=True)
    loop.add_input("text", ndim=3, dtype="int")
    loop.add_mask("there")
    loop.add_node(Embedding(NUMBERS, VECTOR, mask_zero=True), "e", input="text")
    loop.add_node(GRU(VECTOR, 3, mask_mode="carry"), "w", input="e")
    loop.add_state("s", dim=HIDDEN)
    loop.add_node(
        RecurrentGRU(3, HIDDEN),
        "f",
        input={"input": "w", "prev_hid": "s"},
        return_state="s",
        create_output=True,
    )
    randomized(loop)
    there = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 1, 0]])
    table, *weights = loop.get_weights()
    flat = TEXT.reshape(-1, WORDS)
    last = gru(weights[:9], table[flat], flat != 0)[:, -1]
    expected = gru(weights[9:], last.reshape(BATCH, SENTENCES, -1), there)
    assert close(loop.predict({"text": TEXT, "there": there})["f"], expected)


def test_the_mask_of_a_steps_value_leaves_the_loop_with_it_and_enters_the_next():
    """Words are embedded in one loop and read in the next."""
    first = Recurrent(return_sequences=True)
    first.add_input("text", ndim=3, dtype="int")
    first.add_node(Embedding(NUMBERS, VECTOR, mask_zero=True), "e", input="text")
    first.add_output("out", input="e")
    second = Recurrent(return_sequences=True)
    second.add_input("v", ndim=4, dim=VECTOR)
    second.add_node(GRU(VECTOR, 3, mask_mode="carry"), "w", input="v")
    second.add_node(RecurrentGRU(3, HIDDEN), "s", input="w", create_output=True)
    model = randomized(Sequential([first, second]))
    table, *weights = model.get_weights()
    flat = TEXT.reshape(-1, WORDS)
    last = gru(weights[:9], table[flat], flat != 0)[:, -1]
    expected = gru(weights[9:], last.reshape(BATCH, SENTENCES, -1))
    assert close(model.predict(TEXT), expected)


# AutoEncoder, Dense


def coders():
    encoder = GRU(4, HIDDEN, return_sequences=True, mask_mode="carry")
    return encoder, GRU(HIDDEN, 4, return_sequences=True, mask_mode="carry")


def test_an_autoencoder_hands_the_mask_from_the_encoder_to_the_decoder():
    x, _ = padded()
    encoder, decoder = coders()
    coded = AutoEncoder(Sequential([Masking(), encoder]), decoder)
    nested = randomized(Sequential([coded]))
    flat = randomized(Sequential([Masking(), *coders()]))
    assert close(nested.predict(x), flat.predict(x))


def test_an_autoencoder_behind_masking_takes_the_mask():
    x, mask = padded()
    nested = randomized(Sequential([Masking(), AutoEncoder(*coders())]))
    weights = nested.get_weights()
    expected = gru(weights[9:], gru(weights[:9], x, mask), mask)
    assert close(nested.predict(x), expected)


@pytest.mark.parametrize("reconstruct", [True, False])
def test_what_comes_out_of_an_autoencoder_has_the_mask_of_its_last_part(reconstruct):
    x, mask = padded()
    nested = randomized(
        Sequential(
            [
                Masking(),
                AutoEncoder(*coders(), reconstruct),
                SimpleRNN(4 if reconstruct else HIDDEN, 2, mask_mode="carry"),
            ]
        )
    )
    weights = nested.get_weights()
    hidden = gru(weights[:9], x, mask)
    if reconstruct:
        hidden = gru(weights[9:18], hidden, mask)
    assert close(nested.predict(x), rnn(weights[18:], hidden, mask)[:, -1])


def test_the_loss_of_an_autoencoder_leaves_masked_steps_out():
    x, mask = padded()
    nested = Sequential(
        [
            Masking(),
            AutoEncoder(TimeDistributedDense(4, 2), TimeDistributedDense(2, 4)),
        ]
    )
    randomized(nested).compile("sgd", "mse", backend="python")
    target = rng_of(9).normal(size=x.shape)
    W, b, V, c = nested.get_weights()
    errors = (((x @ W + b) @ V + c - target) ** 2).mean(axis=-1)
    assert np.isclose(nested.test_on_batch(x, target), errors[mask].mean())


def test_an_autoencoder_as_a_node_of_a_graph_and_of_a_loop_hands_the_mask_on():
    x, mask = padded()
    graph = Graph()
    graph.add_input("x", ndim=3, dim=4)
    graph.add_node(Masking(), "m", input="x")
    graph.add_node(AutoEncoder(*coders()), "a", input="m", create_output=True)
    randomized(graph)
    weights = graph.get_weights()
    expected = gru(weights[9:], gru(weights[:9], x, mask), mask)
    assert close(graph.predict({"x": x})["a"], expected)

    def loop(*layers):
        made = Recurrent(return_sequences=True)
        made.add_input("x", ndim=4, dim=4)
        before = "x"
        for index, layer in enumerate(layers):
            made.add_node(layer, f"n{index}", input=before)
            before = f"n{index}"
        made.add_output("y", input=before)
        return randomized(made)

    sequences = np.stack([x, x[:, ::-1]], axis=1)
    encoder, decoder = coders()
    nested = loop(AutoEncoder(Sequential([Masking(), encoder]), decoder))
    flat = loop(Sequential([Masking(), *coders()]))
    assert close(nested.predict(sequences), flat.predict(sequences))


def chain_of(*layers):
    return Sequential(list(layers))


def graph_of(*layers):
    graph = Graph()
    graph.add_input("x", ndim=3, dim=4)
    before = "x"
    for index, layer in enumerate(layers):
        graph.add_node(layer, f"n{index}", input=before)
        before = f"n{index}"
    graph.add_output("y", input=before)
    return Sequential([graph])


@pytest.mark.parametrize("container", [chain_of, graph_of])
def test_a_time_distributed_dense_takes_the_mask_and_passes_it_on(container):
    x, mask = padded()
    model = container(
        Masking(), TimeDistributedDense(4, 3), GRU(3, HIDDEN, mask_mode="carry")
    )
    W, b, *weights = randomized(model).get_weights()
    assert close(model.predict(x), gru(weights, x @ W + b, mask)[:, -1])


@pytest.mark.parametrize("container", [chain_of, graph_of])
def test_the_loss_over_masked_steps_counts_data_only(container):
    x, mask = padded()
    model = randomized(container(Masking(), TimeDistributedDense(4, 3)))
    model.compile("sgd", "mse", backend="python")
    target = rng_of(9).normal(size=(3, 5, 3))
    W, b = model.get_weights()
    errors = ((x @ W + b - target) ** 2).mean(axis=-1)
    assert np.isclose(model.test_on_batch(x, target), errors[mask].mean())


def test_a_dense_takes_no_mask_wherever_it_stands():
    """As in Keras 0.1: the error names the layer that does, in a chain, a graph and a loop alike."""
    words = words_loop(
        Embedding(NUMBERS, VECTOR, mask_zero=True), Dense(VECTOR, 2), GRU(2, 3)
    )
    for model, data in (
        (chain_of(Masking(), Dense(4, 3)), padded()[0]),
        (graph_of(Masking(), Dense(4, 3)), padded()[0]),
        (words, TEXT),
    ):
        with pytest.raises(
            ConfigError,
            match=r"'Dense' takes an input without a mask.*TimeDistributedDense",
        ):
            model.predict(data)


# A mask belongs to one value, not to all that a node reads


def encoder_of(dim=4, **settings):
    encoder = Recursive(return_final_states=True, **settings)
    encoder.add_input("x", dim=dim)
    encoder.add_state("h", dim=HIDDEN)
    encoder.add_node(
        RecurrentGRU(dim, HIDDEN),
        "f",
        input={"input": "x", "prev_hid": "h"},
        return_state="h",
        create_output=True,
    )
    return encoder


def translator(mask_written=False, steps=False):
    decoder = Recursive(return_sequences=True)
    decoder.add_input("y", dim=2)
    decoder.add_state("h", dim=HIDDEN)
    decoder.set_state_from("h", "start")
    decoder.add_node(
        RecurrentGRU(2, HIDDEN),
        "f",
        input={"input": "y", "prev_hid": "h"},
        return_state="h",
        create_output=True,
    )
    graph = Graph()
    graph.add_input("said", ndim=3, dim=4)
    graph.add_input("written", ndim=3, dim=2)
    graph.add_node(Masking(), "m", input="said")
    graph.add_node(encoder_of(return_sequences=steps), "enc", input="m")
    written = "written"
    if mask_written:
        graph.add_node(Masking(), "n", input="written")
        written = "n"
    graph.add_node(
        decoder,
        "dec",
        input={"y": written, "start": "enc.h_final"},
        create_output=True,
    )
    return randomized(graph)


steps = pytest.mark.parametrize("steps", [False, True], ids=["last", "steps"])
"""What the encoder returns next to its final state."""


@steps
@pytest.mark.parametrize("length", [5, 3, 8])
def test_a_decoder_runs_all_its_steps_where_the_encoder_was_padded(length, steps):
    said, mask = padded()
    written = rng_of(2).normal(size=(3, length, 2))
    graph = translator(steps=steps)
    weights = graph.get_weights()
    start = gru(weights[:9], said, mask)[:, -1]
    found = graph.predict({"said": said, "written": written})["dec"]
    assert close(found, gru(weights[9:], written, start=start))


@steps
def test_a_decoder_skips_the_padding_of_its_own_input_only(steps):
    said, mask = padded()
    written, there = padded(seed=4, dim=2, lengths=(3, 5, 1))
    graph = translator(mask_written=True, steps=steps)
    weights = graph.get_weights()
    start = gru(weights[:9], said, mask)[:, -1]
    found = graph.predict({"said": said, "written": written})["dec"]
    assert close(found, gru(weights[9:], written, there, start))


@steps
def test_the_loss_of_a_decoder_counts_all_its_steps_where_the_encoder_was_padded(steps):
    said, _ = padded()
    written = rng_of(2).normal(size=(3, 5, 2))
    graph = translator(steps=steps)
    graph.compile("sgd", {"dec": "mse"}, backend="python")
    given = {"said": said, "written": written}
    found = graph.predict(given)["dec"]
    target = rng_of(6).normal(size=found.shape)
    loss = graph.test_on_batch(given | {"dec": target})
    assert np.isclose(loss, ((found - target) ** 2).mean())


def test_a_context_that_is_masked_stops_no_step_of_a_loop_of_n_steps():
    encoder = Recurrent(return_sequences=True)
    encoder.add_input("x", dim=2)
    encoder.add_node(RecurrentGRU(2, 3), "e", input="x")
    decoder = Recurrent(return_sequences=True, n_steps=4)
    decoder.add_input("memory", ndim=3, dim=3, is_sequence=False)
    decoder.add_node(Lambda(lambda m: m[:, 0]), "c", input="memory")
    decoder.add_node(RecurrentGRU(3, 3), "h", input="c")
    model = randomized(Sequential([Masking(), encoder, decoder]))
    x, mask = padded(dim=2, time=4, lengths=(4, 1))
    weights = model.get_weights()
    memory = gru(weights[:9], x, mask)
    steady = np.repeat(memory[:, :1], 4, axis=1)
    assert close(model.predict(x), gru(weights[9:], steady))


@pytest.mark.parametrize("length", [5, 3])
@pytest.mark.parametrize("unroll", [False, True])
def test_a_context_that_is_masked_stops_no_step_of_a_loop_over_other_inputs(
    length, unroll
):
    decoder = Recursive(
        return_sequences=True, unroll=unroll, n_steps=length if unroll else None
    )
    decoder.add_input("y", dim=2)
    decoder.add_input("memory", ndim=3, dim=4, is_sequence=False)
    decoder.add_state("h", dim=HIDDEN)
    decoder.add_node(Lambda(lambda m: m.sum(axis=1)), "c", input="memory")
    decoder.add_node(
        RecurrentGRU(6, HIDDEN),
        "f",
        input={"input": ["y", "c"], "prev_hid": "h"},
        return_state="h",
        create_output=True,
    )
    graph = Graph()
    graph.add_input("x", ndim=3, dim=4)
    graph.add_input("y", ndim=3, dim=2)
    graph.add_node(Masking(), "m", input="x")
    graph.add_node(decoder, "d", input={"y": "y", "memory": "m"}, create_output=True)
    randomized(graph)
    x, _ = padded()
    y = rng_of(2).normal(size=(3, length, 2))
    context = np.repeat(x.sum(axis=1)[:, None], length, axis=1)
    expected = gru(graph.get_weights(), np.concatenate([y, context], axis=2))
    assert close(graph.predict({"x": x, "y": y})["d"], expected)


def test_a_context_keeps_its_mask_inside_every_step():
    loop = Recurrent(return_sequences=True)
    loop.add_input("y", dim=2)
    loop.add_input("memory", ndim=3, dim=4, is_sequence=False)
    loop.add_node(GRU(4, 3, mask_mode="carry"), "read", input="memory")
    loop.add_node(RecurrentGRU(5, HIDDEN), "h", input=["y", "read"])
    graph = Graph()
    graph.add_input("x", ndim=3, dim=4)
    graph.add_input("y", ndim=3, dim=2)
    graph.add_node(Masking(), "m", input="x")
    graph.add_node(loop, "d", input={"y": "y", "memory": "m"}, create_output=True)
    randomized(graph)
    x, mask = padded()
    y = rng_of(2).normal(size=(3, 4, 2))
    weights = graph.get_weights()
    read = np.repeat(gru(weights[:9], x, mask)[:, -1:], 4, axis=1)
    expected = gru(weights[9:], np.concatenate([y, read], axis=2))
    assert close(graph.predict({"x": x, "y": y})["d"], expected)


def two_branches():
    graph = Graph()
    graph.add_input("a", ndim=3, dim=4)
    graph.add_input("b", ndim=3, dim=2)
    graph.add_node(
        GRU(4, 3, return_sequences=True, mask_mode="carry"), "left", input="a"
    )
    graph.add_node(
        GRU(2, 3, return_sequences=True, mask_mode="carry"), "right", input="b"
    )
    graph.add_output("l", input="left")
    graph.add_output("r", input="right")
    return graph


@pytest.mark.parametrize("masked", ["a", "b"])
def test_a_graph_of_two_inputs_masks_the_branch_of_the_one_that_is_masked(masked):
    outer = Graph()
    outer.add_input("a", ndim=3, dim=4)
    outer.add_input("b", ndim=3, dim=2)
    outer.add_node(Masking(), "m", input=masked)
    reads = {"a": "a", "b": "b"} | {masked: "m"}
    outer.add_node(two_branches(), "g", input=reads)
    outer.add_output("l", input="g.l")
    outer.add_output("r", input="g.r")
    randomized(outer)
    a, b = padded()[0], padded(seed=2, dim=2)[0]
    masks = {"a": padded()[1], "b": padded()[1]}
    weights = outer.get_weights()
    found = outer.predict({"a": a, "b": b})
    left = gru(weights[:9], a, masks["a"] if masked == "a" else None)
    right = gru(weights[9:], b, masks["b"] if masked == "b" else None)
    assert close(found["l"], left) and close(found["r"], right)


def test_each_output_of_an_inner_graph_has_the_mask_of_its_own_value():
    outer = Graph()
    outer.add_input("a", ndim=3, dim=4)
    outer.add_input("b", ndim=3, dim=2)
    outer.add_node(Masking(), "m", input="a")
    outer.add_node(two_branches(), "g", input={"a": "m", "b": "b"})
    outer.add_output("l", input="g.l")
    outer.add_output("r", input="g.r")
    randomized(outer).compile("sgd", {"l": "mse", "r": "mse"}, backend="python")
    a, mask = padded()
    given = {"a": a, "b": padded(seed=2, dim=2)[0]}
    found = outer.predict(given)
    loss = outer.test_on_batch(
        given | {"l": np.zeros((3, 5, 3))} | {"r": np.zeros((3, 5, 3))}
    )
    left, right = ((found[name] ** 2).mean(axis=-1) for name in "lr")
    assert np.isclose(loss, left[mask].mean() + right.mean())


@pytest.mark.parametrize("layer", [Dense, Flatten, Reshape])
def test_a_final_state_has_no_mask(layer):
    """It is a vector: any layer reads it."""
    made = {
        Dense: lambda: Dense(HIDDEN, 2),
        Flatten: Flatten,
        Reshape: lambda: Reshape(2, 3),
    }[layer]()
    graph = Graph()
    graph.add_input("x", ndim=3, dim=4)
    graph.add_node(Masking(), "m", input="x")
    graph.add_node(encoder_of(return_sequences=True), "enc", input="m")
    graph.add_node(made, "d", input="enc.h_final", create_output=True)
    randomized(graph)
    x, mask = padded()
    weights = graph.get_weights()
    last = gru(weights[:9], x, mask)[:, -1]
    expected = {
        Dense: lambda: last @ weights[9] + weights[10],
        Flatten: lambda: last,
        Reshape: lambda: last.reshape(3, 2, 3),
    }[layer]()
    assert close(graph.predict({"x": x})["d"], expected)


def test_a_final_state_next_to_a_masked_sequence_can_be_given_to_every_step():
    graph = Graph()
    graph.add_input("x", ndim=3, dim=4)
    graph.add_node(Masking(), "m", input="x")
    graph.add_node(encoder_of(return_sequences=True), "enc", input="m")
    graph.add_node(recursive.RepeatVector(3), "times", input="enc.h_final")
    graph.add_node(
        SimpleRNN(HIDDEN, 2, return_sequences=True, mask_mode="carry"),
        "d",
        input="times",
        create_output=True,
    )
    randomized(graph)
    x, mask = padded()
    weights = graph.get_weights()
    last = gru(weights[:9], x, mask)[:, -1:]
    assert close(
        graph.predict({"x": x})["d"], rnn(weights[9:], np.repeat(last, 3, axis=1))
    )


# Values that are merged, several ports


@pytest.mark.parametrize("mode", ["sum", "concat", "mul", "max", "ave"])
def test_the_mask_of_merged_values_is_the_and_of_theirs(mode):
    graph = Graph()
    graph.add_input("a", ndim=3, dim=4)
    graph.add_input("b", ndim=3, dim=4)
    for name in "ab":
        graph.add_node(Masking(), f"m{name}", input=name)
    graph.add_node(
        GRU(8 if mode == "concat" else 4, 3, mask_mode="carry"),
        "h",
        inputs=["ma", "mb"],
        merge_mode=mode,
        create_output=True,
    )
    randomized(graph)
    a, left = padded()
    b, right = padded(seed=2, lengths=(3, 5, 1))
    merged = {
        "sum": a + b,
        "mul": a * b,
        "max": np.maximum(a, b),
        "ave": (a + b) / 2,
        "concat": np.concatenate([a, b], axis=2),
    }[mode]
    expected = gru(graph.get_weights(), merged, left & right)[:, -1]
    assert close(graph.predict({"a": a, "b": b})["h"], expected)


@pytest.mark.parametrize("mode", ["sum", "concat"])
def test_branches_that_are_merged_hand_on_the_and_of_their_masks(mode):
    branches = [
        Sequential([Masking(), TimeDistributedDense(4, 3)]),
        Sequential([Masking(), TimeDistributedDense(4, 3)]),
    ]
    model = randomized(
        Sequential(
            [
                Merge(branches, mode=mode),
                GRU(6 if mode == "concat" else 3, 2, mask_mode="carry"),
            ]
        )
    )
    a, left = padded()
    b, right = padded(seed=2, lengths=(3, 5, 1))
    W, c, V, d, *weights = model.get_weights()
    values = [a @ W + c, b @ V + d]
    merged = sum(values) if mode == "sum" else np.concatenate(values, axis=2)
    expected = gru(weights, merged, left & right)[:, -1]
    assert close(model.predict([a, b]), expected)


def test_one_branch_with_a_mask_masks_what_is_merged():
    branches = [
        Sequential([Masking(), TimeDistributedDense(4, 3)]),
        TimeDistributedDense(4, 3),
    ]
    model = randomized(
        Sequential([Merge(branches, mode="sum"), GRU(3, 2, mask_mode="carry")])
    )
    (a, mask), b = padded(), rng_of(8).normal(size=(3, 5, 4))
    W, c, V, d, *weights = model.get_weights()
    expected = gru(weights, a @ W + c + b @ V + d, mask)[:, -1]
    assert close(model.predict([a, b]), expected)


@pytest.mark.parametrize("kind", [Blend, Switch])
def test_a_layer_of_several_ports_joins_their_masks(kind):
    graph = Graph()
    for name in "abc":
        graph.add_input(name, ndim=3, dim=4)
    graph.add_node(Masking(), "ma", input="a")
    graph.add_node(Masking(), "mb", input="b")
    graph.add_node(Activation("sigmoid"), "g", input="c")
    if kind is Switch:
        graph.add_node(Lambda(lambda x: x > 0.5), "cond", input="g")
        reads = {"condition": "cond", "then": "ma", "otherwise": "mb"}
    else:
        reads = {"gate": "g", "old": "ma", "new": "mb"}
    graph.add_node(kind(), "y", input=reads)
    graph.add_node(GRU(4, 3, mask_mode="carry"), "h", input="y", create_output=True)
    randomized(graph)
    a, left = padded()
    b, right = padded(seed=2, lengths=(3, 5, 1))
    c = rng_of(3).normal(size=a.shape)
    gate = sigmoid(c)
    value = np.where(gate > 0.5, a, b) if kind is Switch else gate * a + (1 - gate) * b
    expected = gru(graph.get_weights(), value, left & right)[:, -1]
    assert close(graph.predict({"a": a, "b": b, "c": c})["h"], expected)


def test_the_masks_of_several_sequences_of_a_loop_are_joined():
    loop = Recurrent()
    loop.add_input("a", dim=4)
    loop.add_input("b", dim=4)
    loop.add_node(RecurrentGRU(8, 3), "h", input=["a", "b"])
    graph = Graph()
    for name in "ab":
        graph.add_input(name, ndim=3, dim=4)
        graph.add_node(Masking(), f"m{name}", input=name)
    graph.add_node(loop, "l", input={"a": "ma", "b": "mb"}, create_output=True)
    randomized(graph)
    a, left = padded()
    b, right = padded(seed=2, lengths=(3, 5, 1))
    both = np.concatenate([a, b], axis=2)
    expected = gru(graph.get_weights(), both, left & right)[:, -1]
    assert close(graph.predict({"a": a, "b": b})["l"], expected)


def test_numbers_and_vectors_next_to_a_masked_sequence_are_read_whole():
    """Inputs of other axes, next to one that is masked, in an inner graph."""
    inner = Graph()
    inner.add_input("x", ndim=3, dim=4)
    inner.add_input("v", dim=2)
    inner.add_input("n", ndim=2, dtype="int")
    inner.add_node(GRU(4, 3, mask_mode="carry"), "h", input="x")
    inner.add_node(Embedding(NUMBERS, 2), "e", input="n")
    inner.add_node(GRU(2, 3, mask_mode="carry"), "k", input="e")
    inner.add_node(Dense(8, 2), "y", inputs=["h", "v", "k"], create_output=True)
    outer = Graph()
    outer.add_input("x", ndim=3, dim=4)
    outer.add_input("v", dim=2)
    outer.add_input("n", ndim=2, dtype="int")
    outer.add_node(Masking(), "m", input="x")
    outer.add_node(inner, "g", input={"x": "m", "v": "v", "n": "n"}, create_output=True)
    randomized(outer)
    x, mask = padded()
    v = rng_of(2).normal(size=(3, 2))
    n = rng_of(2).randint(1, NUMBERS, size=(3, 5)).astype("int32")
    w = outer.get_weights()
    h = gru(w[:9], x, mask)[:, -1]
    k = gru(w[10:19], w[9][n])[:, -1]
    expected = np.concatenate([h, v, k], axis=1) @ w[19] + w[20]
    assert close(outer.predict({"x": x, "v": v, "n": n})["g"], expected)


# Masks as values, and layers that refuse one


def test_read_mask_gives_the_mask_as_a_value():
    graph = Graph()
    graph.add_input("x", ndim=3, dim=4)
    graph.add_node(Masking(), "m", input="x")
    graph.add_node(new_layer("ReadMask"), "r", input="m", create_output=True)
    x, mask = padded()
    found = graph.predict({"x": x})["r"]
    assert found.dtype == bool and np.array_equal(found, mask)


def test_read_mask_gives_ones_where_there_is_none():
    graph = Graph()
    graph.add_input("x", ndim=3, dim=4)
    graph.add_node(new_layer("ReadMask"), "r", input="x", create_output=True)
    found = graph.predict({"x": padded()[0]})["r"]
    assert found.dtype == bool and np.array_equal(found, np.ones((3, 5), bool))


def attention(read_mask):
    """A decoder of four steps whose scores leave the padding of the memory out."""
    import pytensor.tensor as pt

    def weighted(memory, there):
        scores = pt.switch(there, memory.sum(axis=-1), -1e9)
        return (pt.special.softmax(scores, axis=-1)[..., None] * memory).sum(axis=1)

    class Attend(recursive.Layer):
        ports = ("memory", "there")

        def call(self, x, train=False):
            return weighted(x["memory"], x["there"])

        def get_output_shape_for(self, input_shape):
            shape = input_shape["memory"]
            return (shape[0], shape[2])

    loop = Recurrent(return_sequences=True, n_steps=4)
    loop.add_input("memory", ndim=3, dim=4, is_sequence=False)
    loop.add_node(read_mask, "r", input="memory")
    loop.add_node(Attend(), "a", input={"memory": "memory", "there": "r"})
    loop.add_node(RecurrentDense(4, HIDDEN), "h", input="a")
    return loop


def test_attention_over_padded_memory_reads_the_mask_of_its_context():
    model = randomized(Sequential([Masking(), attention(new_layer("ReadMask"))]))
    x, mask = padded()
    scores = np.where(mask, x.sum(axis=-1), -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    read = (weights[..., None] * x).sum(axis=1)
    expected = rnn(model.get_weights(), np.repeat(read[:, None], 4, axis=1))
    assert close(model.predict(x), expected)


def test_read_mask_in_a_loop_reads_the_mask_of_a_steps_value():
    loop = Recurrent(return_sequences=True)
    loop.add_input("text", ndim=3, dtype="int")
    loop.add_node(Embedding(NUMBERS, VECTOR, mask_zero=True), "e", input="text")
    loop.add_node(new_layer("ReadMask"), "r", input="e", create_output=True)
    randomized(loop)
    assert np.array_equal(loop.predict(TEXT), TEXT != 0)


@pytest.mark.parametrize("container", [chain_of, graph_of])
def test_drop_mask_ends_a_mask(container):
    x, _ = padded()
    model = container(
        Masking(), new_layer("DropMask"), GRU(4, HIDDEN, mask_mode="carry")
    )
    randomized(model)
    assert close(model.predict(x), gru(model.get_weights(), x)[:, -1])


def test_behind_drop_mask_a_layer_that_refuses_masks_can_stand_and_all_steps_count():
    x, _ = padded()
    model = Sequential([Masking(), new_layer("DropMask"), Flatten()])
    assert close(model.predict(x), x.reshape(3, -1))
    model = Sequential([Masking(), new_layer("DropMask"), Activation("tanh")])
    model.compile("sgd", "mse", backend="python")
    loss = model.test_on_batch(x, np.ones_like(x))
    assert np.isclose(loss, ((np.tanh(x) - 1) ** 2).mean())


def test_drop_mask_in_a_loop_ends_the_mask_of_a_step():
    loop = randomized(
        words_loop(
            Embedding(NUMBERS, VECTOR, mask_zero=True),
            new_layer("DropMask"),
            GRU(VECTOR, 3, mask_mode="carry"),
        )
    )
    table, *inner, W, b = loop.get_weights()
    last = gru(inner, table[TEXT.reshape(-1, WORDS)])[:, -1]
    expected = sentences_by_numpy(last.reshape(BATCH, SENTENCES, -1), W, b)
    assert close(loop.predict(TEXT), expected)


@pytest.mark.parametrize("name", ["ReadMask", "DropMask"])
def test_layers_of_masks_are_written_and_read(name):
    graph = Graph()
    graph.add_input("x", ndim=3, dim=4)
    graph.add_node(Masking(), "m", input="x")
    graph.add_node(new_layer(name), "r", input="m", create_output=True)
    x, _ = padded()
    again = model_from_json(graph.to_json())
    assert np.array_equal(again.predict({"x": x})["r"], graph.predict({"x": x})["r"])


@pytest.mark.parametrize(
    "layer",
    [Flatten(), Reshape(20), Permute((2, 1)), Lambda(lambda x: x + 1)],
    ids=lambda layer: type(layer).__name__,
)
@pytest.mark.parametrize("container", [chain_of, graph_of])
def test_layers_that_mix_steps_refuse_a_mask_by_name(layer, container):
    with pytest.raises(RecursiveError, match=type(layer).__name__):
        container(Masking(), layer).predict(padded()[0])


@pytest.mark.parametrize(
    "layer",
    [Flatten(), Lambda(lambda x: x[:, 0])],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_mix_steps_refuse_the_mask_of_a_step_by_name(layer):
    loop = Recurrent(return_sequences=True)
    loop.add_input("text", ndim=3, dtype="int")
    loop.add_node(Embedding(NUMBERS, VECTOR, mask_zero=True), "e", input="text")
    loop.add_node(layer, "f", input="e", create_output=True)
    with pytest.raises(RecursiveError, match=type(layer).__name__):
        loop.predict(TEXT)


def test_a_masked_sequence_in_a_loop_can_be_read_by_layers_that_refuse_masks():
    """At one step of ``(batch, time, dim)`` there is no mask: a row is ``(batch, dim)``."""
    x, mask = padded()
    loop = Recurrent(return_sequences=True)
    loop.add_input("x", dim=4)
    loop.add_node(Reshape(2, 2), "r", input="x")
    loop.add_node(Flatten(), "f", input="r")
    loop.add_node(RecurrentGRU(4, 3), "h", input="f")
    model = randomized(Sequential([Masking(), loop]))
    assert close(model.predict(x), gru(model.get_weights(), x, mask))


# Masking and Embedding


def with_value(value):
    x, mask = padded()
    return np.where(mask[..., None], x, value), mask


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 7.0])
def test_masking_masks_any_value_and_leaves_zeros(value):
    x, mask = with_value(value)
    model = Sequential([Masking(value), Activation("linear")])
    assert close(model.predict(x), np.where(mask[..., None], x, 0))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 7.0])
def test_a_layer_behind_masking_skips_the_steps_of_any_value(value):
    x, mask = with_value(value)
    model = randomized(Sequential([Masking(value), GRU(4, HIDDEN, mask_mode="carry")]))
    expected = gru(model.get_weights(), np.where(mask[..., None], x, 0), mask)
    assert close(model.predict(x), expected[:, -1])


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("mask_mode", ["carry", "zero"])
def test_weights_are_finite_after_a_step_on_what_masking_masked(value, mask_mode):
    x, mask = with_value(value)

    def trained(x, value):
        model = Sequential(
            [
                Masking(value),
                TimeDistributedDense(4, 3),
                GRU(3, HIDDEN, mask_mode=mask_mode),
            ]
        )
        randomized(model).compile("sgd", "mse", backend="python")
        model.train_on_batch(x, np.ones((3, HIDDEN)))
        return model.get_weights()

    expected = trained(np.where(mask[..., None], x, 7.0), 7.0)
    assert all(map(close, trained(x, value), expected))


def twice_masked():
    """Steps of zeros behind, and of sevens in front."""
    x, mask = padded()
    x[0, 0] = x[2, 1] = 7.0
    second = mask.copy()
    second[0, 0] = second[2, 1] = False
    return x, second


@pytest.mark.parametrize("container", [chain_of, graph_of])
def test_a_second_masking_adds_to_the_first(container):
    x, mask = twice_masked()
    model = randomized(
        container(Masking(0.0), Masking(7.0), GRU(4, HIDDEN, mask_mode="carry"))
    )
    assert close(model.predict(x), gru(model.get_weights(), x, mask)[:, -1])


def test_a_second_masking_adds_to_the_first_in_a_loop():
    x, mask = twice_masked()
    loop = Recurrent()
    loop.add_input("x", ndim=4, dim=4)
    loop.add_node(Masking(0.0), "m", input="x")
    loop.add_node(Masking(7.0), "n", input="m")
    loop.add_node(GRU(4, 3, mask_mode="carry"), "h", input="n", create_output=True)
    randomized(loop)
    expected = gru(loop.get_weights(), x, mask)[:, -1]
    assert close(loop.predict(x[:, None]), expected)


def test_a_masking_behind_layers_that_pass_a_mask_adds_to_it():
    x, _ = padded()
    dense = TimeDistributedDense(4, 4, weights=[np.eye(4), np.full(4, 7.0)])
    seven = padded(lengths=(4, 2, 3))[1]
    x = x * seven[..., None]
    x[0, 4] = 0.0
    model = Sequential([Masking(3.0), dense, Masking(7.0)])
    model.add(GRU(4, HIDDEN, mask_mode="carry"))
    x[1, 0] = 3.0
    there = seven.copy()
    there[1, 0] = False
    values = np.where(there[..., None], x, 0) + 7.0
    values = np.where(there[..., None], values, 0)
    model.layers[-1].set_weights(
        [rng_of(4).normal(size=w.shape) for w in model.layers[-1].get_weights()]
    )
    expected = gru(model.layers[-1].get_weights(), values, there)[:, -1]
    assert close(model.predict(x), expected)


def test_a_masking_behind_an_embedding_adds_to_its_mask():
    table = rng_of().normal(size=(NUMBERS, 2))
    table[3] = 7.0
    numbers = TEXT[0]
    model = Sequential(
        [
            Embedding(NUMBERS, 2, mask_zero=True, weights=[table]),
            Masking(7.0),
            GRU(2, HIDDEN, mask_mode="carry"),
        ]
    )
    mask = (numbers != 0) & (numbers != 3)
    weights = model.layers[-1].get_weights()
    expected = gru(weights, table[numbers], mask)[:, -1]
    assert close(model.predict(numbers), expected)


def test_an_identity_hands_a_joined_mask_on():
    x, mask = twice_masked()
    model = randomized(
        Sequential(
            [Masking(), Identity(), Masking(7.0), GRU(4, HIDDEN, mask_mode="carry")]
        )
    )
    assert close(model.predict(x), gru(model.get_weights(), x, mask)[:, -1])
