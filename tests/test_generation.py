"""Generation: the number of steps of predict, and beam search held to a search of all sequences."""

import itertools

import numpy as np
import pytest

from recursive import (
    GRU,
    LSTM,
    Attention,
    Dense,
    Embedding,
    Graph,
    Greedy,
    Recursive,
    Sample,
    Sequential,
    Teacher,
    generate,
)
from recursive.errors import (
    ConfigError,
    DataError,
    DtypeError,
    SequenceLengthError,
    ShapeError,
    UnknownNameError,
)
from recursive.training import programs
from tests.cases import weights_of
from tests.layers.test_decoding import (
    BACKENDS,
    BATCH,
    DIM,
    END,
    HIDDEN,
    START,
    TIME,
    WORDS,
    C,
    by_hand,
    decoder,
    greedily,
    softmax,
    talkative,
)

RNG = np.random.RandomState(21)

# The number of steps of predict


@pytest.mark.parametrize("backend", BACKENDS)
def test_predict_takes_the_number_of_steps(backend):
    rnn = decoder()
    rnn.compile(backend=backend)
    _, wanted = by_hand(weights_of(rnn), C, greedily, 9)
    for steps in (9, 2, TIME, 1):
        words = rnn.predict({"c": C}, n_steps=steps)["next"]
        np.testing.assert_array_equal(words, wanted[:, :steps])
    np.testing.assert_array_equal(rnn.predict({"c": C})["next"], wanted[:, :TIME])


def test_one_program_predicts_any_number_of_steps():
    rnn = decoder()
    rnn.compile(backend="python")
    for steps in (9, 2, 3, 4):
        rnn.predict({"c": C}, n_steps=steps)
    compiled = rnn._programs.compiled
    assert list(compiled) == [("predict", "argument", ("c",))]
    [program] = compiled.values()
    assert len(program._functions) == 1


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_the_number_of_steps_holds_with_every_setting(unroll, return_sequences):
    rnn = decoder(Sample(seed=1), unroll=unroll, return_sequences=return_sequences)
    rnn.return_final_states = True
    found = rnn.predict({"c": C}, n_steps=8)
    shape = (BATCH, 8) if return_sequences else (BATCH,)
    assert found["next"].shape == shape
    last = found["next"][:, -1] if return_sequences else found["next"]
    np.testing.assert_array_equal(found["word_final"], last)


def test_only_the_last_programs_of_written_out_loops_are_kept(monkeypatch):
    monkeypatch.setattr(programs, "KEPT_SHAPES", 2)
    rnn = decoder(unroll=True)
    for steps in (1, 2, 3, 4):
        rnn.predict({"c": C}, n_steps=steps)
    assert [key[1] for key in rnn._programs.compiled] == [3, 4]


def test_an_encoder_keeps_its_own_steps_in_front_of_a_decoder():
    inner = decoder()
    graph = Graph()
    graph.add_input("x", ndim=3, dim=4)
    graph.add_node(GRU(4, DIM, seed=1), "encoder", input="x")
    graph.add_node(inner, "decoder", input={"c": "encoder"})
    graph.add_output("words", input="decoder.next")
    x = RNG.normal(size=(BATCH, 6, 4))
    found = graph.predict({"x": x}, n_steps=9)["words"]
    encoded = Sequential([GRU(4, DIM, seed=1)]).predict(x)
    _, wanted = by_hand(weights_of(inner), encoded, greedily, 9)
    np.testing.assert_array_equal(found, wanted)
    batches = graph.predict(iter([{"x": x[:2]}, {"x": x[2:]}]), n_steps=9)
    np.testing.assert_array_equal(batches, wanted)


def test_an_inner_loop_keeps_its_declared_steps():
    outer = Recursive(return_sequences=True, n_steps=2)
    outer.add_input("c", dim=DIM, is_sequence=False)
    outer.add_node(decoder(), "decoder", input={"c": "c"})
    outer.add_output("words", input="decoder.next")
    found = outer.predict({"c": C}, n_steps=4)["words"]
    assert found.shape == (BATCH, 4, TIME)


def test_the_truth_that_is_left_out_has_these_steps_too():
    rnn = Recursive(return_sequences=True, n_steps=TIME)
    rnn.add_input("c", dim=DIM, is_sequence=False)
    rnn.add_input("truth", dim=2, training_only=True)
    rnn.add_state("y", dim=2)
    rnn.add_node(Teacher(), "previous", input={"truth": "truth_tm1", "prediction": "y"})
    rnn.add_node(
        Dense(2, activation="tanh"),
        "out",
        input=["previous", "c"],
        return_state="y",
        create_output=True,
    )
    rnn.compile("sgd", "mse")
    truth = RNG.normal(size=(BATCH, TIME, 2))
    rnn.fit({"c": C, "truth": truth}, truth, nb_epoch=1, verbose=0)
    w = weights_of(rnn)
    y, wanted = np.zeros((BATCH, 2)), []
    for _ in range(9):
        y = np.tanh(np.concatenate([y, C], 1) @ w["out.W"] + w["out.b"])
        wanted.append(y)
    found = rnn.predict({"c": C}, n_steps=9)["out"]
    np.testing.assert_allclose(found, np.stack(wanted, 1), atol=1e-12)
    with pytest.raises(SequenceLengthError):
        rnn.train_on_batch({"c": C, "truth": truth[:, :3]}, truth[:, :3])


def test_a_loop_without_inputs_takes_the_number_of_steps():
    rnn = Recursive(return_sequences=True, n_steps=2)
    rnn.add_state("h", dim=1)
    rnn.add_node(Dense(1, 1, init="one"), "n", input="h", return_state="h")
    rnn.add_output("y", input="n")
    assert rnn.predict(n_steps=7).shape == (1, 7, 1)


@pytest.mark.parametrize("n_steps", [0, -1, 2.5, "3", True])
def test_the_number_of_steps_is_an_integer_of_one_or_more(n_steps):
    with pytest.raises(ConfigError, match="n_steps"):
        decoder().predict({"c": C}, n_steps=n_steps)


def test_sequences_of_another_length_are_refused():
    model = Sequential([LSTM(4, 6, return_sequences=True)])
    x = np.ones((BATCH, TIME, 4))
    with pytest.raises(SequenceLengthError, match="n_steps=30"):
        model.predict(x, n_steps=30)
    assert model.predict(x, n_steps=TIME).shape == (BATCH, TIME, 6)
    with pytest.raises(ConfigError, match="reads no sequence"):
        Sequential([Dense(4, 2)]).predict(np.ones((BATCH, 4)), n_steps=3)


# Beam search: the oracle tries every sequence


def probability(w, c, sequence, end, start=START):
    """The probability of a sequence of words for one row, step by step."""
    h, last, total = np.zeros((1, HIDDEN)), start, 0.0
    for word in sequence:
        z = np.concatenate([w["read.W"][[last]], h, c[None]], 1)
        h = np.tanh(z @ w["new.W"] + w["new.b"])
        total += np.log(softmax(h @ w["p.W"] + w["p.b"])[0, word])
        last = word
        if word == end:
            break
    return total


def all_sequences(words, end, limit):
    """Every sequence of ``limit`` words, or up to the end symbol."""
    found = set()
    for sequence in itertools.product(range(words), repeat=limit):
        if end in sequence:
            sequence = sequence[: sequence.index(end) + 1]
        found.add(sequence)
    return sorted(found)


def ranked(w, c, end, limit, alpha, words=WORDS):
    """All sequences with their log-probabilities, the best score first."""
    scored = []
    for sequence in all_sequences(words, end, limit):
        log_p = probability(w, c, sequence, end)
        score = log_p / ((5 + len(sequence)) / 6) ** alpha
        scored.append((score, sequence, log_p))
    return sorted(scored, key=lambda item: -item[0])


LIMIT = 3
PREFIXES = 1 + 6 + 36 + 216  # ended after 1, 2 or 3 words, or not at all


@pytest.mark.parametrize("alpha", [0.0, 0.7, 3.0])
def test_with_a_beam_for_each_sequence_it_is_a_search_of_all(alpha):
    rnn = decoder()
    assert len(all_sequences(WORDS, END, LIMIT)) == PREFIXES
    found = generate(
        rnn,
        {"c": C},
        output="p",
        word="word",
        start=START,
        end=END,
        limit=LIMIT,
        beams=PREFIXES,
        length_penalty=alpha,
    )
    assert found.words.shape == (BATCH, PREFIXES, LIMIT)
    for row in range(BATCH):
        wanted = ranked(weights_of(rnn), C[row], END, LIMIT, alpha)
        for beam, (_, sequence, log_p) in enumerate(wanted):
            length = found.lengths[row, beam]
            assert tuple(found.words[row, beam, :length]) == sequence
            assert (found.words[row, beam, length:] == END).all()
            np.testing.assert_allclose(
                found.log_probabilities[row, beam], log_p, rtol=1e-10
            )
            assert found.ended[row, beam] == (END in sequence)


def beams_by_hand(w, c, beams, limit, alpha, end=END):
    """Beam search with Python lists: a sequence and its log-probability for each beam."""

    def score(item):
        return item[1] / ((5 + len(item[0])) / 6) ** alpha

    kept = [((), 0.0)]
    for _ in range(limit):
        found = []
        for sequence, log_p in kept:
            if sequence and sequence[-1] == end:
                found.append((sequence, log_p))
                continue
            for word in range(WORDS):
                longer = (*sequence, word)
                found.append((longer, probability(w, c, longer, None)))
        kept = sorted(found, key=score, reverse=True)[:beams]
    return kept


@pytest.mark.parametrize("backend", BACKENDS)
def test_fewer_beams_keep_the_best_beginnings(backend):
    rnn = decoder()
    rnn.compile(backend=backend)
    found = generate(
        rnn,
        {"c": C},
        output="p",
        word="word",
        start=START,
        end=END,
        limit=6,
        beams=4,
        length_penalty=0.6,
    )
    for row in range(BATCH):
        wanted = beams_by_hand(weights_of(rnn), C[row], 4, 6, 0.6)
        for beam, (sequence, log_p) in enumerate(wanted):
            length = found.lengths[row, beam]
            assert tuple(found.words[row, beam, :length]) == sequence
            np.testing.assert_allclose(found.log_probabilities[row, beam], log_p)


@pytest.mark.parametrize("backend", BACKENDS[:3])
def test_one_beam_is_greedy(backend):
    rnn = decoder(Greedy(end=END), end=True)
    rnn.compile(backend=backend)
    words = rnn.predict({"c": C}, n_steps=12)["next"]
    found = generate(
        rnn, {"c": C}, output="p", word="word", start=START, end=END, limit=12
    )
    steps = found.words.shape[2]
    np.testing.assert_array_equal(found.words[:, 0], words[:, :steps])
    assert (words[:, steps:] == END).all()
    is_word = (words != END).sum(axis=1) + (words == END).any(axis=1)
    np.testing.assert_array_equal(found.lengths[:, 0], is_word)


def reading_words(one_hot=False, **settings):
    """A decoder that reads its words at an input, and has no state of them."""
    rnn = Recursive(return_sequences=True, **settings)
    rnn.add_input("c", dim=DIM, is_sequence=False)
    if one_hot:
        rnn.add_input("word", dim=WORDS)
    else:
        rnn.add_input("word", ndim=2, dtype="int")
    rnn.add_state("h", dim=HIDDEN)
    read = "word"
    if not one_hot:
        rnn.add_node(Embedding(WORDS, 4), "read", input="word")
        read = "read"
    rnn.add_node(
        Dense(HIDDEN, activation="tanh"),
        "new",
        input=[read, "h", "h_tm2", "c"],
        return_state="h",
    )
    rnn.add_node(
        Dense(WORDS, activation="softmax"), "p", input="new", create_output=True
    )
    return talkative(rnn, 8)


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("stateful", [False, True])
def test_a_word_may_be_an_input_and_states_follow_their_beam(one_hot, stateful):
    rnn = reading_words(one_hot)
    if stateful:
        rnn.stateful = True
    found = generate(
        rnn,
        {"c": C},
        output="p",
        word="word",
        start=START,
        end=END,
        limit=4,
        beams=5,
    )
    whole = reading_words(one_hot)
    for row in range(BATCH):
        for beam in range(5):
            length = found.lengths[row, beam]
            words = found.words[row, beam, :length]
            read = np.concatenate([[START], words[:-1]])
            if one_hot:
                read = np.eye(WORDS)[read]
            p = whole.predict({"c": C[row : row + 1], "word": read[None]})["p"][0]
            log_p = np.log(p[np.arange(length), words]).sum()
            np.testing.assert_allclose(
                found.log_probabilities[row, beam], log_p, rtol=1e-10
            )
    if stateful:  # nothing was kept, nothing was changed
        assert rnn.get_states()["h"].shape[1] == 0


def test_kept_states_stay_as_they_are():
    rnn = decoder(stateful=True)
    rnn.predict({"c": C})
    before = rnn.get_states()
    arguments = {"output": "p", "word": "word", "start": START, "limit": 4}
    found = generate(rnn, {"c": C[:2]}, **arguments)
    after = rnn.get_states()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
    fresh = generate(decoder(), {"c": C[:2]}, **arguments)
    np.testing.assert_array_equal(found.words, fresh.words)


def attending():
    rnn = Recursive(return_sequences=True, n_steps=TIME)
    rnn.add_input("memory", ndim=3, dim=DIM, is_sequence=False)
    rnn.add_input("h0", dim=HIDDEN, is_sequence=False)
    rnn.add_state("word", dtype="int")
    rnn.add_state("h", dim=HIDDEN, initial="h0")
    rnn.add_node(Attention("general"), "att", input={"memory": "memory", "query": "h"})
    rnn.add_node(Embedding(WORDS, 4), "read", input="word")
    rnn.add_node(
        Dense(HIDDEN, activation="tanh"),
        "new",
        input=["read", "att", "h"],
        return_state="h",
    )
    rnn.add_node(Dense(WORDS, activation="softmax"), "p", input="new")
    rnn.add_node(Greedy(), "next", input="p", return_state="word", create_output=True)
    return talkative(rnn, 4)


def test_each_beam_reads_the_memory_of_its_row_without_its_padding():
    rnn = attending()
    memory, h0 = RNG.normal(size=(BATCH, 6, DIM)), RNG.normal(size=(BATCH, HIDDEN))
    lengths = [6, 2, 4]
    mask = np.arange(6) < np.array(lengths)[:, None]
    arguments = {
        "output": "p",
        "word": "word",
        "start": np.array([1, 2, 3]),
        "end": END,
        "limit": 5,
        "beams": 3,
    }
    found = generate(
        rnn, {"memory": memory, "h0": h0}, masks={"memory": mask}, **arguments
    )
    for row, length in enumerate(lengths):
        given = {"memory": memory[row : row + 1, :length], "h0": h0[row : row + 1]}
        alone = generate(rnn, given, **{**arguments, "start": row + 1})
        steps = alone.words.shape[2]
        np.testing.assert_array_equal(found.words[row, :, :steps], alone.words[0])
        np.testing.assert_allclose(
            found.log_probabilities[row], alone.log_probabilities[0]
        )


def test_an_end_symbol_that_never_comes_is_reported():
    rnn = decoder()
    weights = rnn.get_weights()
    weights[-1][END] = -60.0  # the bias of the end symbol
    rnn.set_weights(weights)
    found = generate(
        rnn, {"c": C}, output="p", word="word", start=START, end=END, limit=8, beams=2
    )
    assert found.words.shape == (BATCH, 2, 8)
    assert not found.ended.any() and (found.lengths == 8).all()


def test_it_ends_once_all_beams_have_ended():
    rnn = decoder()
    weights = rnn.get_weights()
    weights[-1][END] = 60.0
    rnn.set_weights(weights)
    found = generate(
        rnn, {"c": C}, output="p", word="word", start=START, end=END, limit=50
    )
    assert found.words.tolist() == [[[END]]] * BATCH
    assert found.ended.all() and found.lengths.tolist() == [[1]] * BATCH


def test_later_weights_count_and_nothing_is_compiled_again():
    rnn = decoder()
    arguments = {"output": "p", "word": "word", "start": START, "limit": 5}
    first = generate(rnn, {"c": C}, **arguments)
    rnn.set_weights([-w for w in rnn.get_weights()])
    from recursive import generation

    [stepper] = generation._STEPPERS[rnn].values()
    second = generate(rnn, {"c": C}, **arguments)
    assert list(generation._STEPPERS[rnn].values()) == [stepper]
    assert len(stepper._program._functions) == 1
    _, wanted = by_hand(weights_of(rnn), C, greedily)
    np.testing.assert_array_equal(second.words[:, 0], wanted)
    assert (first.words != second.words).any()


def test_a_decoder_without_inputs_has_one_row_or_one_for_each_start():
    rnn = Recursive(n_steps=TIME)
    rnn.add_state("word", dtype="int")
    rnn.add_node(Embedding(WORDS, 4, seed=1), "read", input="word")
    rnn.add_node(Dense(WORDS, activation="softmax", seed=2), "p", input="read")
    rnn.add_node(Sample(), "next", input="p", return_state="word", create_output=True)
    arguments = {"output": "p", "word": "word", "limit": 3, "beams": 2}
    assert generate(rnn, start=2, **arguments).words.shape == (1, 2, 3)
    found = generate(rnn, start=np.array([2, 5]), **arguments)
    alone = generate(rnn, start=5, **arguments)
    np.testing.assert_array_equal(found.words[1], alone.words[0])


def test_other_sequences_are_read_step_by_step():
    rnn = reading_words()
    other = Recursive(return_sequences=True)
    other.add_input("x", dim=DIM)
    other.add_state("word", dtype="int")
    other.add_node(Embedding(WORDS, 4, seed=1), "read", input="word")
    other.add_node(Dense(WORDS, activation="softmax", seed=2), "p", input=["read", "x"])
    other.add_node(Greedy(), "next", input="p", return_state="word", create_output=True)
    x = 9 * RNG.normal(size=(BATCH, TIME, DIM))
    found = generate(other, {"x": x}, output="p", word="word", start=0, limit=TIME)
    np.testing.assert_array_equal(found.words[:, 0], other.predict({"x": x})["next"])
    with pytest.raises(DataError, match="6 steps or more"):
        generate(other, {"x": x}, output="p", word="word", start=0, limit=6)
    assert rnn.built


# Bad input

GIVEN = {"output": "p", "word": "word", "start": START, "end": END, "limit": 3}


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        ({"beams": PREFIXES + 1}, ConfigError, "as many beams as there are sequences"),
        ({"beams": WORDS + 1, "limit": 1}, ConfigError, "beams"),
        ({"beams": 0}, ConfigError, "beams"),
        ({"limit": 0}, ConfigError, "limit"),
        ({"output": "q"}, UnknownNameError, "output 'q'"),
        ({"output": "nxt"}, UnknownNameError, "Did you mean 'next'"),
        ({"output": "next"}, ShapeError, "a probability for each word"),
        ({"output": "new"}, DataError, "sum to 1"),
        ({"word": "wrod"}, UnknownNameError, "Did you mean 'word'"),
        ({"word": "h"}, DtypeError, "state of dtype float"),
        ({"word": "c"}, DtypeError, "input of dtype float"),
        ({"start": WORDS}, ConfigError, "a symbol from 0 to 6"),
        ({"start": -1}, ConfigError, "start"),
        ({"start": [1, 2]}, ShapeError, "one for each row"),
        ({"start": "a"}, ConfigError, "start"),
        ({"end": WORDS}, ConfigError, "a symbol from 0 to 6"),
        ({"end": -1}, ConfigError, "end"),
        ({"length_penalty": -1}, ConfigError, "length_penalty"),
        ({"length_penalty": "a"}, ConfigError, "length_penalty"),
        ({"masks": {"cc": np.ones((BATCH, 2))}}, UnknownNameError, "Did you mean 'c'"),
    ],
    ids=str,
)
def test_generate_refuses(changed, error, match):
    with pytest.raises(error, match=match):
        generate(decoder(), {"c": C}, **{**GIVEN, **changed})


@pytest.mark.parametrize(
    ("inputs", "error", "match"),
    [
        ({}, DataError, "no array"),
        ({"c": C, "d": C}, DataError, "unknown name"),
        ({"c": C[:, :1]}, ShapeError, "c"),
        ({"c": C, "word": C}, DataError, "unknown name"),
    ],
)
def test_generate_refuses_inputs(inputs, error, match):
    with pytest.raises(error, match=match):
        generate(decoder(), inputs, **GIVEN)


def test_a_mask_of_another_length_is_refused():
    rnn = attending()
    given = {"memory": np.ones((2, 6, DIM)), "h0": np.ones((2, HIDDEN))}
    arguments = {**GIVEN, "masks": {"memory": np.ones((2, 5))}}
    with pytest.raises(ShapeError, match="memory"):
        generate(rnn, given, **arguments)
    given["h0"] = np.ones((3, HIDDEN))
    with pytest.raises(ShapeError, match="one number of rows"):
        generate(rnn, given, **GIVEN)


def test_a_decoder_is_a_loop():
    model = Sequential([Dense(4, 2)])
    with pytest.raises(ConfigError, match="Recursive or Recurrent"):
        generate(model, {}, **GIVEN)


def test_a_step_has_no_past_of_a_sequence():
    rnn = Recursive()
    rnn.add_input("word", ndim=2, dtype="int")
    rnn.add_node(Embedding(WORDS, 4), "read", input="word_tm1")
    rnn.add_node(
        Dense(WORDS, activation="softmax"), "p", input="read", create_output=True
    )
    with pytest.raises(ConfigError, match="present step"):
        generate(rnn, {}, **GIVEN)


def test_every_word_has_a_place_in_the_embedding():
    rnn = Recursive()
    rnn.add_input("word", ndim=2, dtype="int")
    rnn.add_node(Embedding(WORDS - 1, 4), "read", input="word")
    rnn.add_node(
        Dense(WORDS, activation="softmax"), "p", input="read", create_output=True
    )
    with pytest.raises(ConfigError, match="each of the 7 words"):
        generate(rnn, {}, **GIVEN)


def starts_from_a_node(optional):
    rnn = Recursive(return_sequences=True, n_steps=4)
    rnn.add_input("c", dim=3, is_sequence=False)
    rnn.add_state("h", dim=5)
    rnn.add_state("word", dtype="int", initial=1)
    rnn.add_node(Dense(3, 5, activation="tanh"), "first", input="c")
    rnn.set_state_from("h", "first")
    if optional:
        rnn.set_state_from("h", "given", optional=True)
    rnn.add_node(Embedding(6, 4), "read", input="word")
    rnn.add_node(
        Dense(5, activation="tanh"), "new", input=["read", "h"], return_state="h"
    )
    rnn.add_node(Dense(6, activation="softmax"), "p", input="new", create_output=True)
    rnn.add_node(Greedy(), "choice", input="p", return_state="word", create_output=True)
    return rnn


@pytest.mark.parametrize("optional", [False, True])
def test_states_start_from_nodes_and_from_inputs_that_may_be_left_out(optional):
    rnn = starts_from_a_node(optional)
    rnn.build()
    rnn.compile(backend="python")
    rng = np.random.default_rng(3)
    inputs = {"c": rng.normal(size=(2, 3))}
    given = {**inputs, "given": rng.normal(size=(2, 5))}
    for arrays in [inputs, given] if optional else [inputs]:
        found = generate(rnn, arrays, output="p", word="word", start=1, limit=4)
        np.testing.assert_array_equal(found.words[:, 0], rnn.predict(arrays)["choice"])
    with pytest.raises(DataError, match="unknown"):
        generate(rnn, {**inputs, "other": 1}, output="p", word="word", start=1, limit=4)
