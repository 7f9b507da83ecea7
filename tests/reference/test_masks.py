"""Masks of the reference: what is expected is computed here, a row at a time, over the entries that are data."""

import dataclasses

import numpy as np
import pytest

from recursive.errors import ConfigError, DataError, ShapeError, UnknownNameError
from recursive.reference import gradients, run, train
from tests.reference.differences import check_gradients
from tests.reference.networks import GAP
from tests.suite.declare import (
    Net,
    Part,
    activation,
    cell,
    chain,
    embedding,
    identity,
    recurrent,
)
from tests.suite.declare import dense as plain_dense


def dense(read, dim, activation="linear"):
    """The same product at every step, which passes a mask on."""
    return dataclasses.replace(
        plain_dense(read, dim, activation), class_name="TimeDistributedDense"
    )


ROWS, STEPS, WORDS, IN, DIM, OUT = 3, 4, 5, 2, 3, 6
MASK = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]], bool)
"""A row with padding, one with gaps, one without data."""


def weights(net, seed=0):
    rng = np.random.RandomState(seed)
    return {name: rng.normal(0, 0.5, shape) for name, shape in net.params.items()}


def normal(*shape, seed=1):
    return np.random.RandomState(seed).normal(size=shape)


def padded(mask=MASK, seed=1):
    """A sequence that is zeros at masked steps, as Masking looks for them."""
    return normal(*mask.shape, IN, seed=seed) * mask[..., None]


def masking(value=0.0):
    return Part("Masking", {"mask_value": value})


def read_mask():
    return Part("ReadMask")


def drop_mask():
    return Part("DropMask")


def graph():
    return Net(loop=False)


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-13)


# By hand, for one row


def hard_sigmoid(z):
    return np.clip(0.2 * z + 0.5, 0, 1)


def lstm(rows, w, name, dim=DIM):
    """h after each of ``rows``, zeros in front."""
    h, c, found = np.zeros(dim), np.zeros(dim), [np.zeros(dim)]
    for x in rows:
        i, f, o, new = (
            x @ w[f"{name}.W_{g}"] + h @ w[f"{name}.U_{g}"] + w[f"{name}.b_{g}"]
            for g in "ifoc"
        )
        c = hard_sigmoid(f) * c + hard_sigmoid(i) * np.tanh(new)
        h = hard_sigmoid(o) * np.tanh(c)
        found.append(h)
    return found


def tanh_loop(rows, w, name, h):
    """h after each of ``rows``, the start in front."""
    found = [h]
    for x in rows:
        h = np.tanh(np.concatenate([x, h]) @ w[f"{name}.W"] + w[f"{name}.b"])
        found.append(h)
    return found


def standing(values, valid):
    """``values``, one for each step of data behind the first, over all steps: a masked step repeats the last."""
    places = np.cumsum(valid)
    return np.array([values[place] for place in places])


def encoder(read=IN, dim=DIM, finals=False, **settings):
    """h = tanh([x, h] W + b)."""
    net = Net(return_final_states=finals, **settings).input("x", read).state("h", dim)
    return net.node("e", dense(read + dim, dim, "tanh"), ["x", "h"], "h", out=True)


def as_part(net, *outputs):
    """The container as a node, with the names of its outputs where there are several."""
    part = net.as_part()
    return dataclasses.replace(part, outputs=outputs) if outputs else part


# Words and sentences


def documents():
    """Padded with 0: sentences of several lengths, and one without words in the middle."""
    found = np.random.RandomState(2).randint(1, 9, (ROWS, STEPS, WORDS))
    found[0, 0, 3:] = found[0, 1, 1:] = found[0, 2] = found[1, 3, ::2] = 0
    found[2] = 0
    return found


READER = recurrent("LSTM", IN, DIM, mask_mode="carry")


def words_to_sentences(reader, **settings):
    net = Net(**settings).input("docs", None, ndim=3, dtype="int", below=9)
    net.state("h", OUT)
    reader(net)
    return net.node("h2", dense(DIM + OUT, OUT, "tanh"), ["sentence", "h"], "h", True)


def as_two_nodes(net):
    net.node("vectors", embedding(9, IN, mask_zero=True), "docs")
    net.node("sentence", READER, "vectors")


def as_one_chain(net):
    net.node("sentence", chain(embedding(9, IN, mask_zero=True), READER), "docs")


def read_by_hand(docs, w, table, name, valid=None):
    found = []
    for row, doc in enumerate(docs):
        sentences = [
            lstm(w[table][words[words != 0]], w, name)[-1]
            for step, words in enumerate(doc)
            if valid is None or valid[row, step]
        ]
        states = tanh_loop(sentences, w, "h2", np.zeros(OUT))
        steps = np.ones(STEPS, bool) if valid is None else valid[row]
        found.append(standing(states, steps))
    return np.array(found)


@pytest.mark.parametrize(
    ("reader", "table", "name"),
    [
        (as_two_nodes, "vectors.W", "sentence"),
        (as_one_chain, "sentence.layer_0.W", "sentence.layer_1"),
    ],
    ids=["two nodes", "one chain"],
)
def test_words_are_read_without_their_padding_and_every_sentence_is_a_step(
    reader, table, name
):
    net = words_to_sentences(reader)
    w, docs = weights(net), documents()
    found = run(net.spec, w, {"docs": docs})
    close(found.outputs["h2"], read_by_hand(docs, w, table, name))
    assert not found.masks, "no mask says which sentences are data"


def test_a_declared_mask_leaves_out_whole_sentences():
    net = words_to_sentences(as_two_nodes).mask()
    w, docs = weights(net), documents()
    found = run(net.spec, w, {"docs": docs, "mask": MASK})
    close(found.outputs["h2"], read_by_hand(docs, w, "vectors.W", "sentence", MASK))
    assert np.array_equal(found.masks["h2"], MASK)


@pytest.mark.parametrize("backwards", [False, True])
def test_words_that_are_embedded_before_the_loop_keep_their_mask_inside_it(backwards):
    inner = Net(go_backwards=backwards).input("text", IN, ndim=4).state("h", OUT)
    inner.node("sentence", READER, "text")
    inner.node("h2", dense(DIM + OUT, OUT, "tanh"), ["sentence", "h"], "h", True)
    net = graph().input("docs", None, ndim=3, dtype="int")
    net.node("vectors", embedding(9, IN, mask_zero=True), "docs")
    net.node("loop", inner.as_part(), {"text": "vectors"}, out=True)
    w, docs = weights(net), documents()
    own = {name.removeprefix("loop."): value for name, value in w.items()}
    read = docs[:, ::-1] if backwards else docs
    found = run(net.spec, w, {"docs": docs})
    close(found.outputs["loop"], read_by_hand(read, own, "vectors.W", "sentence"))
    assert not found.masks


def test_an_inner_loop_stands_still_at_padded_words():
    inner = encoder(return_sequences=False)
    net = Net().input("docs", None, ndim=3, dtype="int")
    net.node("vectors", embedding(9, IN, mask_zero=True), "docs")
    net.node("read", inner.as_part(), {"x": "vectors"}, out=True)
    w, docs = weights(net), documents()
    expected = [
        [
            tanh_loop(w["vectors.W"][s[s != 0]], w, "read.e", np.zeros(DIM))[-1]
            for s in doc
        ]
        for doc in docs
    ]
    close(run(net.spec, w, {"docs": docs}).outputs["read"], expected)


def word_states(**settings):
    """A loop whose output has the words of a sentence, with their mask."""
    net = Net(**settings).input("docs", None, ndim=3, dtype="int").mask()
    net.node("vectors", embedding(9, IN, mask_zero=True), "docs")
    return net.node("word", dense(IN, DIM), "vectors", out=True)


def test_an_output_over_time_has_the_mask_of_the_loop_joined_with_that_of_its_value():
    net, docs = word_states(), documents()
    found = run(net.spec, weights(net), {"docs": docs, "mask": MASK})
    assert np.array_equal(found.masks["word"], (docs != 0) & MASK[..., None])


def test_the_last_step_has_the_mask_of_the_last_value_that_was_data():
    net, docs = word_states(return_sequences=False), documents()
    w = weights(net)
    found = run(net.spec, w, {"docs": docs, "mask": MASK})
    for row, last in ((0, 1), (1, 3)):
        vectors = w["vectors.W"][docs[row, last]]
        close(found.outputs["word"][row], vectors @ w["word.W"] + w["word.b"])
        assert np.array_equal(found.masks["word"][row], docs[row, last] != 0)
    assert not found.outputs["word"][2].any(), "no step was data"
    assert not found.masks["word"][2].any()


def test_a_tap_of_sentences_has_the_mask_that_they_had_and_none_of_data_before_any():
    net = Net().input("text", IN, ndim=4)
    net.node("seen", read_mask(), "text_tm1", out=True)
    net.node("kept", identity(), "text_tm1", out=True)
    words = documents() != 0
    text = normal(ROWS, STEPS, WORDS, IN)
    found = run(net.spec, {}, {"text": text}, mask={"text": words})
    before = np.concatenate([np.zeros_like(words[:, :1]), words[:, :-1]], axis=1)
    assert np.array_equal(found.outputs["seen"], before)
    assert np.array_equal(found.masks["kept"], before)


def test_a_mask_of_words_decides_nothing_about_steps():
    net = Net().input("text", IN, ndim=4).input("x", IN).state("h", DIM)
    net.node("e", dense(IN + DIM, DIM, "tanh"), ["x", "h"], "h", out=True)
    w, x = weights(net), normal(ROWS, STEPS, IN)
    text = normal(ROWS, STEPS, WORDS, IN)
    found = run(net.spec, w, {"text": text, "x": x}, mask={"text": documents() != 0})
    for row in range(ROWS):
        close(found.outputs["e"][row], tanh_loop(x[row], w, "e", np.zeros(DIM))[1:])
    assert not found.masks


# Encoders and decoders


TALK = 6
"""Steps of the decoder."""


def encoder_and_decoder(start=True):
    """A decoder with steps of its own starts from the encoder's last state, or reads its steps as a context."""
    net = graph().input("x", IN, ndim=3).input("y", IN, ndim=3)
    net.node("masked", masking(), "x")
    encoding = as_part(encoder(finals=True), "e", "h_final")
    net.node("enc", encoding, {"x": "masked"})
    decoder = Net().input("y", IN)
    if start:
        decoder.input("c", DIM, sequence=False).state("d", DIM, initial="c")
        decoder.node("n", dense(IN + DIM, DIM, "tanh"), ["y", "d"], "d", out=True)
        read = {"y": "y", "c": "enc.h_final"}
    else:
        decoder.input("memory", DIM, ndim=3, sequence=False).state("d", DIM)
        decoder.node("flat", Part("Flatten"), "memory")
        decoder.node(
            "summed", dense(STEPS * DIM, IN), "flat"
        )  # Flatten would refuse a mask
        decoder.node("in", identity(), ("sum", ["y", "summed"]))
        decoder.node("n", dense(IN + DIM, DIM, "tanh"), ["in", "d"], "d", out=True)
        read = {"y": "y", "memory": "enc.e"}
    net.node("dec", decoder.as_part(), read, out=True)
    net.node("summary", dense(DIM, OUT), "enc.h_final", out=True)
    return net.output("encoded", "enc.e")


def encoded(x, w, row):
    states = tanh_loop(x[row][MASK[row]], w, "enc.e", np.zeros(DIM))
    return standing(states, MASK[row])


@pytest.mark.parametrize("talk", [STEPS, TALK])
def test_a_decoder_that_starts_from_a_masked_encoder_runs_at_all_its_steps(talk):
    net = encoder_and_decoder()
    w, x, y = weights(net), padded(), normal(ROWS, talk, IN, seed=5)
    found = run(net.spec, w, {"x": x, "y": y})
    for row in range(ROWS):
        steps = encoded(x, w, row)
        close(found.outputs["encoded"][row], steps)
        close(found.outputs["dec"][row], tanh_loop(y[row], w, "dec.n", steps[-1])[1:])
        close(
            found.outputs["summary"][row],
            steps[-1] @ w["summary.W"] + w["summary.b"],
        )
    assert set(found.masks) == {"encoded"}
    assert np.array_equal(found.masks["encoded"], MASK)


@pytest.mark.parametrize("talk", [STEPS, TALK])
def test_a_decoder_reads_a_padded_memory_whole_and_runs_at_all_its_steps(talk):
    net = encoder_and_decoder(start=False)
    w, x, y = weights(net), padded(), normal(ROWS, talk, IN, seed=5)
    found = run(net.spec, w, {"x": x, "y": y})
    for row in range(ROWS):
        flat = encoded(x, w, row).ravel()
        summed = flat @ w["dec.summed.W"] + w["dec.summed.b"]
        expected = tanh_loop(y[row] + summed, w, "dec.n", np.zeros(DIM))[1:]
        close(found.outputs["dec"][row], expected)
    assert set(found.masks) == {"encoded"}


def test_a_decoder_without_sequences_is_not_stopped_by_the_mask_of_its_memory():
    """The network of the fault M2, with another layer in place of the Lambda."""
    decoder = Net(n_steps=STEPS).input("memory", DIM, ndim=3, sequence=False)
    decoder.node("c", chain(Part("Flatten"), dense(STEPS * DIM, IN)), "memory")
    decoder.state("h", DIM)
    decoder.node("n", dense(IN + DIM, DIM, "tanh"), ["c", "h"], "h", out=True)
    net = graph().input("x", IN, ndim=3)
    encoding = encoder().as_part()
    parts = chain(masking(), encoding, decoder.as_part())
    net.node("all", parts, "x", out=True)
    w, x = weights(net), padded()
    found = run(net.spec, w, {"x": x})
    for row in range(ROWS):
        states = tanh_loop(x[row][MASK[row]], w, "all.layer_1.e", np.zeros(DIM))
        flat = standing(states, MASK[row]).ravel()
        c = flat @ w["all.layer_2.c.layer_1.W"] + w["all.layer_2.c.layer_1.b"]
        expected = tanh_loop([c] * STEPS, w, "all.layer_2.n", np.zeros(DIM))[1:]
        close(found.outputs["all"][row], expected)
    assert not found.masks


def test_what_is_made_of_a_context_is_no_context_and_keeps_its_mask():
    net = Net(n_steps=2).input("memory", IN, ndim=3, sequence=False)
    net.node("keys", dense(IN, DIM), "memory")
    net.node("flat", Part("Flatten"), "keys", out=True)
    memory = normal(ROWS, STEPS, IN)
    with pytest.raises(
        ConfigError, match=r"layer 'Flatten'.*port 'input'.*node 'flat'.*DropMask"
    ):
        run(net.spec, weights(net), {"memory": memory}, mask={"memory": MASK})


def test_an_output_that_shows_a_context_at_every_step_has_its_mask():
    net = Net(n_steps=2).input("memory", IN, ndim=3, sequence=False)
    net.node("keys", dense(IN, DIM), "memory", out=True)
    w, memory = weights(net), normal(ROWS, STEPS, IN)
    found = run(net.spec, w, {"memory": memory}, mask={"memory": MASK})
    expected = memory @ w["keys.W"] + w["keys.b"]
    for step in range(2):
        close(found.outputs["keys"][:, step], expected)
        assert np.array_equal(found.masks["keys"][:, step], MASK)


def test_a_loop_over_a_context_of_the_loop_around_it_takes_its_mask_for_steps():
    inner = encoder(return_sequences=False)
    net = Net(n_steps=2).input("memory", IN, ndim=3, sequence=False)
    net.node("read", inner.as_part(), {"x": "memory"}, out=True)
    w, memory = weights(net), padded()
    found = run(net.spec, w, {"memory": memory}, mask={"memory": MASK})
    for row in range(ROWS):
        last = tanh_loop(memory[row][MASK[row]], w, "read.e", np.zeros(DIM))[-1]
        close(found.outputs["read"][row], [last, last])


# Several inputs


def test_of_two_inputs_of_a_nested_graph_only_the_masked_one_is_masked():
    branches = graph().input("a", IN, ndim=3).input("b", IN, ndim=3)
    branches.node("of_a", READER, "a").node("of_b", READER, "b")
    branches.output("both", ["of_a", "of_b"])
    net = graph().input("x", IN, ndim=3).input("y", IN, ndim=3)
    net.node("masked", masking(), "x")
    net.node("inner", branches.as_part(), {"a": "masked", "b": "y"}, out=True)
    w, x, y = weights(net), padded(), normal(ROWS, STEPS, IN, seed=4)
    found = run(net.spec, w, {"x": x, "y": y})
    for row in range(ROWS):
        of_a = lstm(x[row][MASK[row]], w, "inner.of_a")[-1]
        of_b = lstm(y[row], w, "inner.of_b")[-1]
        close(found.outputs["inner"][row], np.concatenate([of_a, of_b]))
    assert not found.masks


OTHER = np.array([[1, 0, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]], bool)


@pytest.mark.parametrize("merged_before", [False, True], ids=["two ports", "one port"])
def test_a_step_of_two_masked_sequences_is_data_where_both_are(merged_before):
    net = graph().input("x", IN, ndim=3).input("y", IN, ndim=3)
    net.node("left", masking(), "x").node("right", masking(), "y")
    if merged_before:
        loop = encoder(2 * IN).as_part()
        net.node("loop", loop, {"x": ["left", "right"]}, out=True)
    else:
        two = Net().input("x", IN).input("y", IN).state("h", DIM)
        two.node("e", dense(2 * IN + DIM, DIM, "tanh"), ["x", "y", "h"], "h", True)
        net.node("loop", two.as_part(), {"x": "left", "y": "right"}, out=True)
    w, x, y = weights(net), padded(), padded(OTHER, seed=6)
    found, both = run(net.spec, w, {"x": x, "y": y}), MASK & OTHER
    for row in range(ROWS):
        read = np.concatenate([x, y], axis=-1)[row][both[row]]
        states = tanh_loop(read, w, "loop.e", np.zeros(DIM))
        close(found.outputs["loop"][row], standing(states, both[row]))
    assert np.array_equal(found.masks["loop"], both)


def test_a_mask_of_sentences_and_one_of_words_are_joined_where_values_meet():
    net = graph().input("a", IN, ndim=4).input("b", IN, ndim=4)
    net.node("sum", identity(), ("sum", ["a", "b"]), out=True)
    words, sentences = documents() != 0, MASK
    text = normal(ROWS, STEPS, WORDS, IN)
    masks = {"a": sentences, "b": words}
    found = run(net.spec, {}, {"a": text, "b": text}, mask=masks)
    assert np.array_equal(found.masks["sum"], words & sentences[..., None])


@pytest.mark.parametrize(
    ("part", "ports"),
    [
        (Part("Blend"), ("gate", "old", "new")),
        (Part("Zoneout", {"p": 0.25}), ("input", "prev")),
        (
            Part("Merge", {"layers": [{"name": "Identity"}] * 2, "mode": "sum"}),
            ("input_0", "input_1"),
        ),
    ],
    ids=lambda value: getattr(value, "class_name", ""),
)
def test_what_is_made_of_several_masked_ports_is_data_where_all_are(part, ports):
    net = graph().input("x", IN, ndim=3).input("y", IN, ndim=3)
    reads = dict.fromkeys(ports, "x") | {ports[-1]: "y"}
    net.node("n", part, reads, out=True)
    x = normal(ROWS, STEPS, IN)
    found = run(net.spec, {}, {"x": x, "y": x}, mask={"x": MASK, "y": OTHER})
    assert np.array_equal(found.masks["n"], MASK & OTHER)
    found = run(net.spec, {}, {"x": x, "y": x}, mask={"y": OTHER})
    assert np.array_equal(found.masks["n"], OTHER)


# Containers in containers


def test_an_auto_encoder_hands_masks_from_part_to_part():
    flat = chain(masking(), encoder().as_part(), encoder(DIM).as_part())
    encoding = chain(masking(), encoder().as_part())
    parts = {"encoder": encoding, "decoder": encoder(DIM).as_part()}
    nested = Part(
        "AutoEncoder",
        {name: part.as_part for name, part in parts.items()},
        {
            f"{name}.{inner}": shape
            for name, part in parts.items()
            for inner, shape in part.params.items()
        },
    )
    x = padded()
    for part, first, second in (
        (flat, "n.layer_1.e", "n.layer_2.e"),
        (nested, "n.encoder.layer_1.e", "n.decoder.e"),
    ):
        net = graph().input("x", IN, ndim=3).node("n", part, "x", out=True)
        w = weights(net)
        found = run(net.spec, w, {"x": x})
        assert np.array_equal(found.masks["n"], MASK)
        for row in range(ROWS):
            low = tanh_loop(x[row][MASK[row]], w, first, np.zeros(DIM))
            high = tanh_loop(low[1:], w, second, np.zeros(DIM))
            close(found.outputs["n"][row], standing(high, MASK[row]))


def test_a_mask_goes_through_containers_of_containers_inside_a_step():
    """Embedding in a chain in a graph in a graph, read by a layer in another chain."""
    lowest = graph().input("ids", None, ndim=2, dtype="int")
    lowest.node("v", chain(embedding(9, IN, mask_zero=True)), "ids", out=True)
    middle = graph().input("ids", None, ndim=2, dtype="int")
    middle.node("low", lowest.as_part(), {"ids": "ids"})
    middle.node("act", activation("tanh"), "low", out=True)
    net = Net().input("docs", None, ndim=3, dtype="int")
    net.node("words", middle.as_part(), {"ids": "docs"})
    net.node("read", chain(dense(IN, IN), READER), "words", out=True)
    w, docs = weights(net), documents()
    found = run(net.spec, w, {"docs": docs}).outputs["read"]
    for row, doc in enumerate(docs):
        for step, s in enumerate(doc):
            vectors = np.tanh(w["words.low.v.layer_0.W"][s[s != 0]])
            low = vectors @ w["read.layer_0.W"] + w["read.layer_0.b"]
            close(found[row, step], lstm(low, w, "read.layer_1")[-1])


def test_both_directions_read_a_sequence_without_its_padding():
    layers = {
        name: {
            "name": "SimpleRNN",
            "output_dim": DIM,
            "activation": "tanh",
            "mask_mode": "carry",
            "return_sequences": True,
            "go_backwards": name == "backward_layer",
        }
        for name in ("layer", "backward_layer")
    }
    shapes = {"W": (IN, DIM), "U": (DIM, DIM), "b": (DIM,)}
    both = Part(
        "Bidirectional",
        {**layers, "merge_mode": "concat"},
        {f"{name}.{key}": shape for name in layers for key, shape in shapes.items()},
    )
    net = Net().input("text", IN, ndim=4).node("n", both, "text", out=True)
    w, words = weights(net), documents() != 0
    text = normal(ROWS, STEPS, WORDS, IN)
    found = run(net.spec, w, {"text": text}, mask={"text": words})
    assert np.array_equal(found.masks["n"], words)
    for row, step in np.ndindex(ROWS, STEPS):
        valid, expected = words[row, step], []
        for name, order in (("n.layer", 1), ("n.backward_layer", -1)):
            h, states = np.zeros(DIM), [np.zeros(DIM)]
            for x in text[row, step, valid][::order]:
                h = np.tanh(x @ w[name + ".W"] + h @ w[name + ".U"] + w[name + ".b"])
                states.append(h)
            expected.append(standing(states, valid[::order])[::order])
        close(found.outputs["n"][row, step], np.concatenate(expected, axis=-1))


# Layers that read, make, pass and end masks


def attention(drops=True):
    """A decoder that adds up the data of its memory: ReadMask makes zeros of the rest."""
    net = Net(n_steps=2).input("memory", IN, ndim=3, sequence=False)
    net.node(
        "valid", chain(read_mask(), Part("Reshape", {"dims": [STEPS, 1]})), "memory"
    )
    net.node("scores", dense(IN, 1), "memory")
    net.node("weighted", identity(), ("mul", ["scores", "valid"]))
    flat = [drop_mask(), Part("Flatten")] if drops else [Part("Flatten")]
    net.node("flat", chain(*flat), "weighted")
    return net.node("c", dense(STEPS, DIM), "flat", out=True)


def test_attention_reads_the_mask_of_its_memory_as_a_value():
    net = attention()
    w, memory = weights(net), normal(ROWS, STEPS, IN)
    found = run(net.spec, w, {"memory": memory}, mask={"memory": MASK})
    for row in range(ROWS):
        scores = [
            (memory[row, t] @ w["scores.W"] + w["scores.b"])[0] * MASK[row, t]
            for t in range(STEPS)
        ]
        expected = np.array(scores) @ w["c.W"] + w["c.b"]
        close(found.outputs["c"][row], [expected, expected])
    assert not found.masks


def test_without_drop_mask_the_layer_and_its_node_are_named():
    net = attention(drops=False)
    memory = normal(ROWS, STEPS, IN)
    with pytest.raises(ConfigError, match=r"'Flatten'.*node 'flat\.layer_0'"):
        run(net.spec, weights(net), {"memory": memory}, mask={"memory": MASK})


def test_the_mask_that_is_read_is_all_true_where_there_is_none_and_has_none_itself():
    net = graph().input("x", IN, ndim=3).input("ids", None, ndim=2, dtype="int")
    net.input("text", IN, ndim=4)
    for name in ("x", "ids", "text"):
        net.node(f"of_{name}", read_mask(), name, out=True)
    inputs = {
        "x": normal(ROWS, STEPS, IN),
        "ids": np.zeros((ROWS, STEPS), int),
        "text": normal(ROWS, STEPS, WORDS, IN),
    }
    found = run(net.spec, {}, inputs).outputs
    assert {name: value.shape for name, value in found.items()} == {
        "of_x": (ROWS, STEPS),
        "of_ids": (ROWS, STEPS),
        "of_text": (ROWS, STEPS, WORDS),
    }
    assert all(value.dtype == bool and value.all() for value in found.values())
    masked = run(net.spec, {}, inputs, mask=MASK)
    assert np.array_equal(masked.outputs["of_x"], MASK)
    assert np.array_equal(masked.outputs["of_ids"], MASK)
    words = np.repeat(MASK[..., None], WORDS, axis=-1)
    assert np.array_equal(masked.outputs["of_text"], words)
    assert not masked.masks


def test_a_slice_of_a_masked_sequence_has_no_mask_to_read():
    net = Net().input("x", IN).node("valid", read_mask(), "x", out=True).mask()
    found = run(net.spec, {}, {"x": normal(ROWS, STEPS, IN), "mask": MASK})
    expected = np.logical_or.accumulate(MASK, axis=1)
    assert np.array_equal(found.outputs["valid"], expected), "masked steps repeat"


def test_behind_drop_mask_all_steps_are_data():
    net = graph().input("x", IN, ndim=3)
    net.node("n", chain(masking(), drop_mask(), encoder().as_part()), "x", out=True)
    w, x = weights(net), padded()
    found = run(net.spec, w, {"x": x})
    for row in range(ROWS):
        expected = tanh_loop(x[row], w, "n.layer_2.e", np.zeros(DIM))[1:]
        close(found.outputs["n"][row], expected)
    assert not found.masks


def test_a_second_masking_does_not_forget_the_first():
    net = graph().input("x", IN, ndim=3)
    net.node("n", chain(masking(5.0), masking(7.0)), "x", out=True)
    x = normal(ROWS, STEPS, IN)
    x[0, 1], x[1, 2] = 5.0, 7.0
    x[2, 0] = [5.0, 7.0]
    found = run(net.spec, {}, {"x": x})
    expected = np.ones((ROWS, STEPS), bool)
    expected[0, 1] = expected[1, 2] = False
    assert np.array_equal(found.masks["n"], expected)
    close(found.outputs["n"], x * expected[..., None])


def test_masking_behind_an_embedding_keeps_the_padding_of_words():
    net = graph().input("ids", None, ndim=2, dtype="int")
    parts = chain(embedding(9, IN, mask_zero=True), masking())
    net.node("n", parts, "ids", out=True)
    w = weights(net)
    w["n.layer_0.W"][3] = 0
    ids = np.array([[1, 0, 3, 4]])
    found = run(net.spec, w, {"ids": ids})
    assert found.masks["n"].tolist() == [[True, False, False, True]]


@pytest.mark.parametrize("gap", [np.inf, -np.inf, np.nan, "nan", "inf"])
def test_masking_of_infinite_and_undefined_gaps_leaves_exact_zeros(gap):
    net = graph().input("x", IN, ndim=3).node("n", masking(gap), "x", out=True)
    x = normal(ROWS, STEPS, IN)
    x[~MASK] = float(gap)
    x[0, 0, 0] = float(gap)
    found = run(net.spec, {}, {"x": x})
    assert np.array_equal(found.masks["n"], MASK), "one value of two is no gap"
    assert np.array_equal(found.outputs["n"][MASK], x[MASK], equal_nan=True)
    assert not found.outputs["n"][~MASK].any()
    back = gradients(net.spec, {}, {"x": x}, {"n": np.ones_like(x)})
    assert np.array_equal(back.inputs["x"], np.repeat(MASK[..., None], IN, axis=-1))


def test_a_masking_inside_a_step_makes_zeros_and_no_mask():
    """One step, ``(batch, dim)``, has no mask."""
    net = Net().input("x", IN).node("m", masking(5.0), "x")
    net.node("flat", Part("Flatten"), "m", out=True)
    x = normal(ROWS, STEPS, IN)
    x[0, 1] = 5.0
    found = run(net.spec, {}, {"x": x})
    assert not found.outputs["flat"][0, 1].any()
    assert not found.masks


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("Flatten", {}),
        ("Reshape", {"dims": [IN, STEPS]}),
        ("Permute", {"dims": [2, 1]}),
        ("RepeatVector", {"n": 2}),
        ("BatchNormalization", {}),
    ],
)
def test_a_layer_that_moves_or_mixes_steps_refuses_a_mask(name, config):
    net = graph().input("x", IN, ndim=3)
    net.node("n", Part(name, config), "x", out=True)
    with pytest.raises(ConfigError, match=f"layer '{name}'.*port 'input'.*node 'n'"):
        run(net.spec, {}, {"x": normal(ROWS, STEPS, IN)}, mask=MASK)


def test_a_cell_names_the_port_that_has_the_mask():
    net = graph().input("x", IN, ndim=3).input("h", DIM, ndim=3)
    step = cell("RecurrentDense", IN, DIM)
    net.node("n", step, {"input": "x", "prev_hid": "h"}, out=True)
    inputs = {"x": normal(ROWS, STEPS, IN), "h": normal(ROWS, STEPS, DIM)}
    with pytest.raises(ConfigError, match=r"'RecurrentDense'.*port 'prev_hid'"):
        run(net.spec, weights(net), inputs, mask={"h": MASK})


def test_a_mask_that_fits_no_input_is_named():
    net = graph().input("x", IN, ndim=3).node("n", identity(), "x", out=True)
    x = {"x": normal(ROWS, STEPS, IN)}
    for wrong in (MASK[:, :2], MASK[:, 0], np.ones((ROWS, STEPS, IN))):
        with pytest.raises(ShapeError, match="mask 'x'"):
            run(net.spec, {}, x, mask={"x": wrong})
    with pytest.raises(DataError, match=r"mask 'y'.*unknown name"):
        run(net.spec, {}, x, mask={"y": MASK})
    loop = Net().input("x", IN).node("n", identity(), "x", out=True)
    with pytest.raises(ShapeError, match=r"mask=\{'x': mask\}"):
        run(loop.spec, {}, x, mask=np.ones((ROWS, STEPS, IN)))


# Gradients and training


@pytest.mark.parametrize("name", ["documents", "decoder", "memory", "attention"])
def test_gradients_through_masks_are_those_of_the_complex_step(name):
    text = {"x": padded(), "y": normal(ROWS, TALK, IN)}
    cases = {
        "documents": (words_to_sentences(as_two_nodes), {"docs": documents()}, None),
        "decoder": (encoder_and_decoder(), text, None),
        "memory": (encoder_and_decoder(start=False), text, None),
        "attention": (
            attention(),
            {"memory": normal(ROWS, STEPS, IN)},
            {"memory": MASK},
        ),
    }
    net, inputs, mask = cases[name]
    if "x" in inputs:  # a gap that is moved would be data
        inputs = {**inputs, "x": np.where(MASK[..., None], inputs["x"], GAP)}
        for node in net.spec.nodes:
            if node.layer.class_name == "Masking":
                node.layer.config["mask_value"] = GAP
    check_gradients(net.spec, weights(net), inputs, mask=mask)


def test_a_loss_counts_the_words_that_are_data():
    net, docs = word_states(), documents()
    w = weights(net)
    inputs = {"docs": docs, "mask": MASK}
    y = normal(ROWS, STEPS, WORDS, DIM, seed=8)
    found = train(net.spec, w, inputs, {"word": y}, steps=1)
    counted = (docs != 0) & MASK[..., None]
    words = w["vectors.W"][docs] @ w["word.W"] + w["word.b"]
    close(found.losses, [((words - y) ** 2)[counted].mean()])


def two_layers(**settings):
    inner = graph().input("a", IN, ndim=2).node("low", dense(IN, DIM), "a", out=True)
    part = as_part(inner)
    part = dataclasses.replace(part, config={**part.config, **settings})
    net = graph().input("x", IN, ndim=2).node("in", part, {"a": "x"})
    return net.node("y", dense(DIM, 1), "in", out=True)


def test_a_layer_that_is_not_trainable_runs_as_any_other_and_stays_as_it_is():
    free, fixed = two_layers(), two_layers(trainable=False)
    w, inputs = weights(free), {"x": normal(ROWS, IN)}
    targets = {"y": np.ones((ROWS, 1))}
    expected = run(free.spec, w, inputs).outputs["y"]
    assert np.array_equal(run(fixed.spec, w, inputs).outputs["y"], expected)
    learned = train(free.spec, w, inputs, targets, steps=1).params
    found = train(fixed.spec, w, inputs, targets, steps=1).params
    for name, value in w.items():
        inside = name.startswith("in.")
        assert np.array_equal(found[name], value if inside else learned[name]), name
        assert not np.array_equal(learned[name], value), name


def test_gradients_of_what_is_not_learned_have_no_share_in_the_clipped_norm():
    net = two_layers(trainable=False)
    w, inputs = weights(net), {"x": normal(ROWS, IN)}
    targets = {"y": np.full((ROWS, 1), 9.0)}
    sgd = {"name": "sgd", "lr": 1.0, "clipnorm": 0.1}
    found = train(net.spec, w, inputs, targets, sgd, steps=1).params
    moved = [(found[name] - w[name]).ravel() for name in ("y.W", "y.b")]
    close(np.linalg.norm(np.concatenate(moved)), 0.1)


def test_a_layer_that_stands_twice_is_not_learned_if_it_is_fixed_at_one_place():
    part = dense(IN, IN)
    fixed = dataclasses.replace(part, config={**part.config, "trainable": False})
    net = graph().input("x", IN, ndim=2).node("once", part, "x")
    net.node("twice", fixed, "once", out=True)
    w = {name: value for name, value in weights(net).items() if "once" in name}
    inputs, targets = {"x": normal(ROWS, IN)}, {"twice": np.ones((ROWS, IN))}
    found = train(net.spec, w, inputs, targets, steps=1, shared={"twice": "once"})
    assert all(np.array_equal(found.params[name], value) for name, value in w.items())


# Layers that are not the library's


@pytest.mark.parametrize("deep", [False, True], ids=["a node", "inside a chain"])
def test_a_class_of_another_module_is_refused_by_its_whole_name(deep):
    part = Part("__main__.Dense", {"output_dim": DIM})
    net = graph().input("x", IN, ndim=2)
    net.node("n", chain(identity(), part) if deep else part, "x", out=True)
    place = "n.layer_1" if deep else "n"
    words = rf"layer '__main__.Dense'.*node '{place}'.*module __main__.*run the network"
    with pytest.raises(UnknownNameError, match=words):
        run(net.spec, {}, {"x": normal(ROWS, IN)})


@pytest.mark.parametrize("deep", [False, True], ids=["a node", "inside a chain"])
def test_a_dense_takes_no_mask(deep):
    layer = chain(identity(), plain_dense(IN, DIM)) if deep else plain_dense(IN, DIM)
    net = (
        graph()
        .input("x", IN, ndim=3)
        .node("m", Part("Masking", {"mask_value": 0.0}), "x")
    )
    net.node("n", layer, "m", out=True)
    with pytest.raises(ConfigError, match=r"'Dense'.*port 'input'.*node 'n"):
        run(net.spec, weights(net), {"x": normal(ROWS, STEPS, IN)})
