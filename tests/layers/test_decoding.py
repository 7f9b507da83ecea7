"""States of integers, Greedy and Sample: a decoder that reads the word it has chosen."""

import json

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode

from recursive import (
    SGD,
    Activation,
    Dense,
    Embedding,
    Graph,
    Greedy,
    Identity,
    Lambda,
    Recurrent,
    Recursive,
    Sample,
    Sequential,
    Teacher,
)
from recursive.backend import evaluate
from recursive.errors import (
    BatchSizeError,
    ConfigError,
    DataError,
    DtypeError,
    NodeError,
    ShapeError,
    StateError,
    UnknownNameError,
)
from recursive.models import model_from_json
from recursive.reference import gradients, run
from recursive.shown.loops_in_c import why_not_c
from tests.cases import weights_of, with_random_weights

BATCH, TIME, DIM, HIDDEN, WORDS, READ = 3, 5, 2, 6, 7, 4
START, END = 1, 3
RNG = np.random.RandomState(11)
C = RNG.normal(size=(BATCH, DIM))
CHANCE = RNG.uniform(size=(BATCH, TIME, 1))
BACKENDS = [
    "python",
    pytest.param("c", marks=pytest.mark.compiled),
    pytest.param("jax", marks=pytest.mark.compiled),
    pytest.param("numba", marks=pytest.mark.compiled),
]


def decoder(choice=None, end=False, kind=Recursive, **settings):
    settings = {"return_sequences": True, "n_steps": TIME} | settings
    rnn = kind(**settings)
    rnn.add_input("c", dim=DIM, is_sequence=False)
    rnn.add_state("word", dtype="int", initial=START)
    if end:
        rnn.add_state("ended", dtype="bool", input="next.ended")
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(Embedding(WORDS, READ), "read", input="word")
    rnn.add_node(
        Dense(HIDDEN, activation="tanh"),
        "new",
        input=["read", "h", "c"],
        return_state="h",
    )
    rnn.add_node(
        Dense(WORDS, activation="softmax"), "p", input="new", create_output=True
    )
    ports = {"input": "p", "ended": "ended"} if end else "p"
    rnn.add_node(
        choice or Greedy(), "next", input=ports, return_state="word", create_output=True
    )
    return talkative(rnn, 11)


def talkative(rnn, seed):
    """The network with weights that are large enough for it to say several words."""
    rng = np.random.RandomState(seed)
    rnn.build()
    rnn.set_weights([2 * rng.normal(size=w.shape) for w in rnn.get_weights()])
    return rnn


def softmax(z):
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def drawn(p, chance):
    """The word of each row by the inverse of its distribution."""
    words = []
    for row, u in zip(p, chance[:, 0], strict=True):
        word, total = 0, row[0]
        while u >= total:
            word += 1
            total += row[word]
        words.append(word)
    return np.array(words)


def by_hand(w, c, choose, steps=TIME, word=START, h=None):
    """The probabilities and the words of a decoder, step by step."""
    word = np.full(len(c), word) if np.ndim(word) == 0 else word
    h = np.zeros((len(c), HIDDEN)) if h is None else h
    found, words = [], []
    for t in range(steps):
        z = np.concatenate([w["read.W"][word], h, c], 1)
        h = np.tanh(z @ w["new.W"] + w["new.b"])
        found.append(softmax(h @ w["p.W"] + w["p.b"]))
        word = choose(found[-1], t)
        words.append(word)
    return np.stack(found, 1), np.stack(words, 1)


def greedily(p, t):
    return p.argmax(axis=1)


def value_of(tensor):
    return evaluate([tensor], {})[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_greedy_decoder_reads_the_word_that_it_has_said(backend):
    rnn = decoder()
    rnn.compile(backend=backend)
    found = rnn.predict({"c": C})
    p, words = by_hand(weights_of(rnn), C, greedily)
    np.testing.assert_allclose(found["p"], p, atol=1e-12)
    np.testing.assert_array_equal(found["next"], words)
    assert found["next"].dtype == "int32"
    assert len(np.unique(words)) > 2  # it does not say one word for ever


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_sampling_decoder_draws_while_predicting(backend):
    rnn = decoder(Sample(seed=4))
    rnn.compile(backend=backend)
    first = rnn.predict({"c": C})["next"]
    second = rnn.predict({"c": C})["next"]
    assert first.dtype == "int32" and (first != second).any()
    again = decoder(Sample(seed=4))
    again.compile(backend=backend)
    np.testing.assert_array_equal(again.predict({"c": C})["next"], first)


@pytest.mark.parametrize("train", [False, True])
def test_given_chances_decide_every_word(train):
    rnn = decoder(Sample(temperature=0.7))
    tensors = rnn({"c": C}, train=train, **{"next.chance": CHANCE})
    found = evaluate([tensors["p"], tensors["next"]], {})

    def choose(p, t):
        colder = p ** (1 / 0.7)
        return drawn(colder / colder.sum(1, keepdims=True), CHANCE[:, t])

    p, words = by_hand(weights_of(rnn), C, choose)
    np.testing.assert_allclose(found[0], p, atol=1e-12)
    np.testing.assert_array_equal(found[1], words)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_words_are_drawn_as_often_as_they_are_probable(temperature):
    p = np.array([0.1, 0.0, 0.6, 0.3])
    model = Sequential([Sample(temperature, seed=2)])
    words = model.predict(np.tile(p, (20_000, 1)), batch_size=None)
    wanted = p ** (1 / temperature)
    shares = np.bincount(words, minlength=4) / len(words)
    np.testing.assert_allclose(shares, wanted / wanted.sum(), atol=0.015)
    assert shares[1] == 0


def test_a_chance_that_rounds_to_one_draws_a_word_that_has_a_probability():
    p = np.array([[0.5, 0.5, 0.0, 0.0]], "float32")
    chance = np.array([[1 - 1e-12]])
    assert value_of(Sample()(p, chance=chance)).tolist() == [1]


def test_a_low_temperature_is_greedy_where_all_probabilities_are_small():
    p = np.full((1, 1000), 0.999 / 999)
    p[0, 700] = 0.001 + 1e-9
    p /= p.sum()
    words = Sequential([Sample(1e-7, seed=1)]).predict(p)
    assert words.tolist() == [700]


def test_sequences_of_probabilities_become_sequences_of_words():
    p = softmax(RNG.normal(size=(BATCH, TIME, WORDS)))
    np.testing.assert_array_equal(value_of(Greedy()(p)), p.argmax(-1))
    words = value_of(Sample()(p, chance=CHANCE))
    for t in range(TIME):
        np.testing.assert_array_equal(words[:, t], drawn(p[:, t], CHANCE[:, t]))


# The end symbol


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_row_stops_at_its_own_end_symbol(backend):
    rnn = decoder(Greedy(end=END), end=True, n_steps=12)
    rnn.compile(backend=backend)
    found = rnn.predict({"c": C})["next"]
    _, words = by_hand(weights_of(rnn), C, greedily, 12)
    lengths = []
    for row in range(BATCH):
        [length, *_] = np.flatnonzero(words[row] == END)
        lengths.append(length)
        np.testing.assert_array_equal(found[row, :length], words[row, :length])
        assert (found[row, length:] == END).all()
    assert len(set(lengths)) == BATCH


def test_until_stops_the_loop_once_every_row_has_ended():
    plain = decoder(Greedy(end=END), end=True, n_steps=40)
    words = plain.predict({"c": C})["next"]
    early = decoder(Greedy(end=END), end=True, n_steps=40, until="next.ended")
    found = early.predict({"c": C})["next"]
    steps = (words != END).sum(axis=1).max() + 1
    assert steps < 40
    np.testing.assert_array_equal(found, words[:, :steps])


def test_the_start_symbol_may_be_the_end_symbol():
    rnn = decoder(Greedy(end=END), end=True)
    spec = rnn.spec.to_dict()
    assert spec["states"][0]["initial"] == START
    spec["states"][0]["initial"] = END
    other = Recursive.from_spec(type(rnn.spec).from_dict(spec), rnn.nodes)
    words = other.predict({"c": C})["next"]
    _, wanted = by_hand(weights_of(rnn), C, greedily, word=END)
    np.testing.assert_array_equal(words[:, 0], wanted[:, 0])
    assert (words != END).any()


# States of integers


def remembering(**settings):
    """A loop that reads the last word it has said, and the one before."""
    rnn = Recursive(return_sequences=True, **settings)
    rnn.add_input("x", dim=DIM)
    rnn.add_state("word", dtype="int", initial=[5, 2])
    rnn.add_state("h", dim=HIDDEN)
    table = Embedding(WORDS, READ)
    rnn.add_node(table, "last", input="word")
    rnn.add_node(table, "older", input="word_tm2")
    rnn.add_node(
        Dense(HIDDEN, activation="tanh"),
        "new",
        input=["x", "last", "older", "h"],
        return_state="h",
        create_output=True,
    )
    rnn.add_node(Dense(WORDS, activation="softmax"), "p", input="new")
    rnn.add_node(Greedy(), "next", input="p", return_state="word", create_output=True)
    return talkative(rnn, 5)


X = RNG.normal(size=(BATCH, TIME, DIM))
MASK = np.array([[1, 1, 0, 1, 1], [0, 1, 1, 0, 1], [1, 1, 1, 1, 0]])


def test_a_state_of_integers_is_read_two_steps_back_from_its_own_initial_numbers():
    rnn = Recursive(return_sequences=True, return_final_states=True)
    rnn.add_input("x", ndim=2, dtype="int")
    rnn.add_state("sum", dtype="int", initial=[3, 10])
    rnn.add_node(
        Lambda(lambda x, last, older: (x + last - older) % 5, ports=("x", "a", "b")),
        "new",
        input={"x": "x", "a": "sum_tm1", "b": "sum_tm2"},
        return_state="sum",
        create_output=True,
    )
    x = RNG.randint(1, 9, size=(BATCH, TIME))
    found = rnn.predict({"x": x})
    past = [np.full(BATCH, 3), np.full(BATCH, 10)]
    for t in range(TIME):
        past.append((x[:, t] + past[-1] - past[-2]) % 5)
        np.testing.assert_array_equal(found["new"][:, t], past[-1])
    np.testing.assert_array_equal(found["sum_final"], np.stack(past[-2:], 1))
    assert found["sum_final"].dtype == "int32"


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"return_final_states": True},
        {"go_backwards": True},
        {"unroll": True, "n_steps": TIME},
        {"return_sequences": False},
    ],
    ids=str,
)
def test_the_reference_agrees(settings, mask):
    rnn = remembering()
    rnn._change(rnn._spec.replace(**settings))
    if mask is not None:
        rnn.add_mask("mask")
    given = {"x": X} if mask is None else {"x": X, "mask": mask}
    wanted = run(rnn.spec, weights_of(rnn), given, shared={"older": "last"}).outputs
    found = rnn.predict(given)
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, atol=1e-12)


def test_at_masked_steps_the_word_is_kept():
    rnn = remembering(return_final_states=True)
    rnn.add_mask("mask")
    mask = np.array([[1, 1, 1, 0, 0]] * BATCH)
    found = rnn.predict({"x": X, "mask": mask})
    short = remembering(return_final_states=True).predict({"x": X[:, :3]})
    np.testing.assert_array_equal(found["word_final"], short["word_final"])
    np.testing.assert_array_equal(found["next"][:, 3], short["next"][:, 2])


def test_kept_states_of_integers_continue_the_batch_before():
    whole = remembering().predict({"x": X})
    rnn = remembering(stateful=True)
    first = rnn.predict({"x": X[:, :2]})
    states = rnn.get_states()
    assert states["word"].shape == (2, BATCH) and states["word"].dtype == "int32"
    second = rnn.predict({"x": X[:, 2:]})
    for name in whole:
        joined = np.concatenate([first[name], second[name]], axis=1)
        np.testing.assert_allclose(joined, whole[name], atol=1e-12)
    rnn.set_states(states)
    again = rnn.predict({"x": X[:, 2:]})
    np.testing.assert_array_equal(again["next"], second["next"])
    rnn.reset_states(2)
    assert rnn.get_states()["word"].tolist() == [[5, 5], [2, 2]]


def test_kept_states_of_one_lag_have_a_number_for_each_row():
    rnn = decoder(stateful=True)
    rnn.predict({"c": C})
    words = rnn.get_states()["word"]
    assert words.shape == (BATCH,)
    rnn.set_states({"word": [4, 4, 4]})
    found = rnn.predict({"c": C})["next"]
    h = by_hand_states(weights_of(rnn), C)
    _, wanted = by_hand(weights_of(rnn), C, greedily, word=np.array([4, 4, 4]), h=h)
    np.testing.assert_array_equal(found, wanted)
    with pytest.raises(DtypeError, match="word"):
        rnn.set_states({"word": [0.5, 1, 1]})
    with pytest.raises(ShapeError, match=r"\(batch,\)"):
        rnn.set_states({"word": np.ones((BATCH, 1), int)})
    with pytest.raises(BatchSizeError):
        rnn.predict({"c": C[:2]})


def by_hand_states(w, c):
    """The state h after TIME steps."""
    word, h = np.full(len(c), START), np.zeros((len(c), HIDDEN))
    for _ in range(TIME):
        z = np.concatenate([w["read.W"][word], h, c], 1)
        h = np.tanh(z @ w["new.W"] + w["new.b"])
        word = softmax(h @ w["p.W"] + w["p.b"]).argmax(1)
    return h


def test_a_state_of_integers_starts_from_a_context():
    rnn = decoder()
    rnn.set_state_from("word", "first")
    first = np.array([2, 6, 3])
    found = rnn.predict({"c": C, "first": first})["next"]
    _, words = by_hand(weights_of(rnn), C, greedily, word=first)
    np.testing.assert_array_equal(found, words)
    # A number that the Embedding does not have is refused before it is read.
    with pytest.raises(DataError, match="integers from 0 to 6"):
        rnn.predict({"c": C, "first": first + 1})
    with pytest.raises(DtypeError, match="first"):
        rnn.predict({"c": C, "first": first + 0.5})


def test_a_state_two_steps_back_starts_from_a_context_with_a_number_for_each_lag():
    rnn = remembering()
    rnn.add_input("first", ndim=2, dtype="int", is_sequence=False)
    rnn.set_state_from("word", "first")
    first = np.array([[5, 2], [0, 1], [3, 3]])
    given = {"x": X, "first": first}
    wanted = run(rnn.spec, weights_of(rnn), given, shared={"older": "last"}).outputs
    found = rnn.predict(given)
    np.testing.assert_array_equal(found["next"], wanted["next"])
    same = remembering().predict({"x": X})["next"]
    np.testing.assert_array_equal(found["next"][0], same[0])


def test_files_hold_a_state_of_integers(tmp_path):
    rnn = decoder(Greedy(end=END), end=True)
    text = rnn.to_json()
    states = {state["name"]: state for state in json.loads(text)["spec"]["states"]}
    assert states["word"]["dtype"] == "int" and states["ended"]["dtype"] == "bool"
    assert "dtype" not in states["h"]  # as version 1.0 has it
    again = model_from_json(text)
    again.set_weights(rnn.get_weights())
    np.testing.assert_array_equal(
        again.predict({"c": C})["next"], rnn.predict({"c": C})["next"]
    )


def test_a_sample_is_written_with_its_temperature_and_seed():
    config = decoder(Sample(0.5, end=END, seed=3), end=True).to_json()
    [layer] = [
        node["layer"]
        for node in json.loads(config)["spec"]["nodes"]
        if node["name"] == "next"
    ]
    assert layer["config"] == {"temperature": 0.5, "end": END, "seed": 3}


@pytest.mark.parametrize("library", ["numpy", "pytensor"])
@pytest.mark.parametrize("has_end", [False, True])
def test_source_writes_states_of_integers(library, has_end):
    rnn = decoder(Greedy(end=END), end=True) if has_end else decoder()
    names = {}
    exec(rnn.source(library), names)
    in_python = Mode(linker="py", optimizer="fast_compile")
    with pytensor.config.change_flags(mode=in_python, cxx=""):
        found = names["run"](weights_of(rnn), {"c": C})
    wanted = rnn.predict({"c": C})
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, atol=1e-12)


def test_source_writes_initial_numbers_and_final_states_of_integers():
    rnn = remembering(return_final_states=True)
    names = {}
    exec(rnn.source("numpy"), names)
    found = names["run"](weights_of(rnn), {"x": X})
    wanted = rnn.predict({"x": X})
    np.testing.assert_array_equal(found["word_final"], wanted["word_final"])


@pytest.mark.parametrize("choice", [Greedy, Sample], ids=["greedy", "sample"])
def test_a_loop_of_words_is_translated_to_c_with_its_checks(choice):
    assert why_not_c(decoder(choice())) is None
    assert "every" in decoder(choice(end=END), end=True).source("c")


def test_explain_writes_a_choice():
    assert "argmax(p)" in decoder().explain()
    assert (
        "until_end(argmax(p), ended_tm1, 3)"
        in decoder(Greedy(end=END), end=True).explain()
    )


def test_trace_summary_and_gradient_norms_take_states_of_integers():
    rnn = decoder(Sample(seed=1))
    traced = rnn.trace({"c": C})
    np.testing.assert_array_equal(traced["word"], traced["next"])
    assert "word" in rnn.summary()
    norms = rnn.gradient_norms({"c": C})
    assert set(norms) == {"h"} and norms["h"].shape == (BATCH, TIME)
    masked = remembering()
    masked.add_mask("mask")
    late = np.array([[0, 0, 1, 1, 1]] * BATCH)
    assert masked.trace({"x": X, "mask": late})["word"][:, 0].tolist() == [2] * BATCH


def test_a_recurrent_container_keeps_words_too():
    rnn = decoder(kind=Recurrent)
    wanted = decoder().predict({"c": C})["next"]
    np.testing.assert_array_equal(rnn.predict({"c": C})["next"], wanted)


def test_a_decoder_is_a_node_of_a_graph_and_of_a_loop():
    inner = decoder()
    graph = Graph()
    graph.add_input("a", dim=DIM)
    graph.add_node(Identity(), "c", input="a")
    graph.add_node(inner, "decoder", input={"c": "c"})
    graph.add_output("words", input="decoder.next")
    wanted = decoder().predict({"c": C})["next"]
    np.testing.assert_array_equal(graph.predict({"a": C})["words"], wanted)

    outer = Recursive(return_sequences=True)
    outer.add_input("x", dim=DIM)
    outer.add_node(inner, "decoder", input={"c": "x"})
    outer.add_output("words", input="decoder.next")
    found = outer.predict({"x": np.stack([C, -C], 1)})["words"]
    np.testing.assert_array_equal(found[:, 0], wanted)


# Gradients


@pytest.mark.parametrize("choice", [Greedy(), Sample(seed=1)], ids=["greedy", "sample"])
def test_no_gradient_passes_through_a_choice_and_all_others_do(choice):
    rnn = decoder(choice)
    dy = RNG.normal(size=(BATCH, TIME, WORDS))
    draws = {"next.chance": CHANCE} if isinstance(choice, Sample) else {}
    wanted = gradients(
        rnn.spec, weights_of(rnn), {"c": C}, {"p": dy}, draws=draws, train=True
    ).params
    p = rnn({"c": C}, train=True, **draws)["p"]
    names = list(rnn.named_params)
    found = evaluate(pt.grad((p * dy).sum(), [*rnn.named_params.values()]), {})
    for name, value in zip(names, found, strict=True):
        np.testing.assert_allclose(value, wanted[name], atol=1e-12)
    # Words do not change with a small change of the weights: the difference is exact.
    step = 1e-6
    for name in ("read.W", "h", "p.W"):
        if name not in rnn.named_params:
            continue
        param = rnn.named_params[name]
        before = param.get_value()
        direction = RNG.normal(size=before.shape)
        losses = []
        for sign in (1, -1):
            param.set_value(before + sign * step * direction)
            losses.append((value_of(p) * dy).sum())
        param.set_value(before)
        slope = (losses[0] - losses[1]) / (2 * step)
        np.testing.assert_allclose(
            slope, (wanted[name] * direction).sum(), rtol=1e-6, atol=1e-7
        )


def test_a_loss_on_words_as_numbers_has_no_gradient():
    rnn = decoder()
    rnn.return_final_states = True
    tensors = rnn({"c": C}, train=True)
    loss = tensors["word_final"].astype("float64").sum() + tensors["p"].sum()
    found = evaluate(
        pt.grad(loss, [*rnn.named_params.values()], disconnected_inputs="ignore"), {}
    )
    for value in found:
        np.testing.assert_allclose(value, 0, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS[:3])
def test_a_decoder_of_words_is_trained_with_a_teacher(backend):
    rnn = Recursive(return_sequences=True)
    rnn.add_input("c", dim=DIM, is_sequence=False)
    rnn.add_input("x", dim=DIM)
    rnn.add_input("truth", ndim=2, dtype="int", training_only=True)
    rnn.add_state("word", dtype="int")
    rnn.add_state("h", dim=HIDDEN)
    teacher = Teacher()
    rnn.add_node(
        teacher, "previous", input={"truth": "truth_tm1", "prediction": "word"}
    )
    rnn.add_node(Embedding(WORDS, READ), "read", input="previous")
    rnn.add_node(
        Dense(HIDDEN, activation="tanh"),
        "new",
        input=["read", "h", "c", "x"],
        return_state="h",
    )
    rnn.add_node(
        Dense(WORDS, activation="softmax"), "p", input="new", create_output=True
    )
    rnn.add_node(Greedy(), "next", input="p", return_state="word")
    with_random_weights(rnn)
    teacher.share = 1.0
    truth = RNG.randint(1, WORDS, size=(BATCH, TIME))
    targets = np.eye(WORDS)[truth]
    given = {"c": C, "x": X, "truth": truth}
    weights = weights_of(rnn)
    wanted = run(
        rnn.spec,
        weights,
        given,
        train=True,
        draws={"previous.chance": np.zeros((BATCH, TIME, 1))},
    ).outputs["p"]
    rnn.compile(SGD(lr=0.1), "mse", backend=backend)
    loss = rnn.train_on_batch(given, targets)
    np.testing.assert_allclose(loss, ((wanted - targets) ** 2).mean(), atol=1e-12)
    rnn.set_weights(list(weights.values()))
    rnn.compile(backend="python")
    words = rnn.trace({"c": C, "x": X})["next"]
    reference = run(rnn.spec, weights, {"c": C, "x": X}).values["next"]
    np.testing.assert_array_equal(words, reference)


def test_half_of_the_words_come_from_the_teacher():
    truth, prediction = np.arange(1, 6), np.arange(11, 16)
    ports = {"truth": truth, "prediction": prediction}
    chance = np.array([[0.1], [0.9], [0.2], [0.6], [0.4]])
    found = value_of(Teacher(0.5)(ports, train=True, chance=chance))
    assert found.tolist() == [1, 12, 3, 14, 5]


# Bad input


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"dtype": "int", "dim": 3}, "no dim"),
        ({"dtype": "int", "initial": 0.5}, "integers"),
        ({"dtype": "int", "initial": [[1], [2]]}, "integers"),
        ({"dtype": "int", "initial": 2**31}, "integers"),
        ({"dtype": "int", "initial": "learned"}, "integers"),
        ({"dtype": "int", "initial": "drawn"}, "integers"),
        ({"dtype": "bool", "initial": 2}, "0 or 1"),
        ({"dtype": "bool", "initial": -1}, "0 or 1"),
    ],
)
def test_a_state_of_integers_refuses(settings, match):
    rnn = Recursive(n_steps=3)
    with pytest.raises(StateError, match=match):
        rnn.add_state("word", **settings)


def test_an_unknown_dtype_of_a_state_has_a_near_one():
    with pytest.raises(DtypeError, match="Did you mean 'int'"):
        Recursive().add_state("word", dtype="int3")


def loop_with(state, layer, reads="x", **inputs):
    rnn = Recursive()
    rnn.add_input("x", **({"dim": 4} | inputs))
    rnn.add_state("s", **state)
    rnn.add_node(layer, "next", input=reads, return_state="s", create_output=True)
    return rnn


@pytest.mark.parametrize(
    ("rnn", "error", "match"),
    [
        (lambda: loop_with({"dtype": "int"}, Dense(4)), StateError, "one number"),
        (
            lambda: loop_with({}, Greedy()),
            StateError,
            r"values of \(batch, dim\)",
        ),
        (
            lambda: loop_with({"dtype": "bool"}, Greedy()),
            DtypeError,
            "values of bool",
        ),
    ],
)
def test_a_state_refuses_a_node_of_another_kind(rnn, error, match):
    with pytest.raises(error, match=match):
        rnn().predict(np.ones((BATCH, TIME, 4)))


def test_a_context_of_another_dtype_is_no_start():
    rnn = decoder()
    rnn.set_state_from("word", "c2")
    other = decoder()
    other.add_input("f", dim=2, is_sequence=False)
    other.set_state_from("word", "f")
    with pytest.raises(DtypeError, match="a context of ints"):
        other.build()


def test_words_that_the_embedding_does_not_have_are_refused():
    rnn = Recursive(n_steps=2)
    rnn.add_state("word", dtype="int", initial=WORDS)
    rnn.add_node(Embedding(WORDS, READ), "read", input="word")
    rnn.add_node(Dense(9, activation="softmax"), "p", input="read")
    rnn.add_node(Greedy(), "next", input="p", return_state="word", create_output=True)
    with pytest.raises(StateError, match="an initial number from 0 to 6"):
        rnn.build()
    other = Recursive(n_steps=2)
    other.add_state("word", dtype="int", initial=1)
    other.add_node(Embedding(WORDS, READ), "read", input="word")
    other.add_node(Dense(9, activation="softmax"), "p", input="read")
    other.add_node(Greedy(), "next", input="p", return_state="word", create_output=True)
    with pytest.raises(NodeError, match="7 words or fewer"):
        other.build()


def test_numbers_for_another_lag_are_refused():
    rnn = Recursive()
    rnn.add_input("x", dim=4)
    rnn.add_state("s", dtype="int", initial=[1, 2, 3])
    rnn.add_node(Embedding(5, 4), "e", input="s_tm2")
    rnn.add_node(Greedy(), "n", input=["x", "e"], return_state="s", create_output=True)
    with pytest.raises(StateError, match="1 or 2 initial rows"):
        rnn.build()


def test_a_stateful_decoder_of_words_is_no_node_of_a_loop():
    rnn = Recursive()
    rnn.add_input("x", dim=DIM)
    inner = decoder(stateful=True)
    with pytest.raises(NodeError, match="floats"):
        rnn.add_node(inner, "decoder", input={"c": "x"})


@pytest.mark.parametrize("temperature", [0, -1, np.inf, np.nan, "1", True, None])
def test_sample_takes_a_temperature_above_zero(temperature):
    with pytest.raises(ConfigError, match="temperature above 0"):
        Sample(temperature)


@pytest.mark.parametrize("end", [-1, 0.5, "end"])
def test_an_end_symbol_is_the_number_of_a_word(end):
    with pytest.raises(ConfigError, match="end"):
        Greedy(end=end)


def test_an_end_symbol_above_all_words_is_refused():
    with pytest.raises(ConfigError, match="end symbol below 7"):
        decoder(Greedy(end=WORDS), end=True)


@pytest.mark.parametrize(
    "values", [[[2.0, -1.0]], [[0.5, 0.6]], [[np.nan, 0.5]], [[0.1, 0.1]]]
)
def test_sample_refuses_what_is_no_probability(values):
    with pytest.raises(DataError, match="probabilities"):
        value_of(Sample()(np.array(values)))


def test_greedy_refuses_nan():
    with pytest.raises(DataError, match="NaN"):
        value_of(Greedy()(np.array([[1.0, np.nan]])))


@pytest.mark.parametrize("backend", [*BACKENDS[:2], BACKENDS[3]])
def test_a_loop_refuses_nan_in_any_row(backend):
    rnn = decoder()
    rnn.compile(backend=backend)
    c = np.array(C)
    c[2] = np.nan
    with pytest.raises(DataError, match="NaN"):
        rnn.predict({"c": c})


def test_a_choice_needs_an_axis_of_words():
    with pytest.raises(ShapeError, match=r"\(batch, words\)"):
        Greedy().get_output_shape_for((None,))


def test_given_chances_need_one_for_each_row_and_step():
    rnn = decoder(Sample())
    with pytest.raises(ShapeError, match="chance"):
        rnn({"c": C}, **{"next.chance": CHANCE[:, :3]})
    with pytest.raises(DataError, match=r"Did you mean 'next\.chance'"):
        rnn({"c": C}, **{"next.chanse": CHANCE})


def test_words_are_not_drawn_over_inner_steps():
    outer = Recursive()
    outer.add_input("x", dim=DIM)
    outer.add_state("h", dim=DIM)
    outer.add_node(decoder(Sample()), "decoder", input={"c": "h"})
    outer.add_node(
        Lambda(lambda p: p[:, -1, :DIM]), "next", input="decoder.p", return_state="h"
    )
    outer.add_output("h2", input="next")
    with pytest.raises(NodeError, match="random draws over inner steps"):
        outer.predict(np.ones((BATCH, TIME, DIM)))


def test_the_reference_needs_the_chances():
    rnn = decoder(Sample())
    with pytest.raises(DataError, match="chance"):
        run(rnn.spec, weights_of(rnn), {"c": C})
    found = run(rnn.spec, weights_of(rnn), {"c": C}, draws={"next.chance": CHANCE})
    tensor = rnn({"c": C}, **{"next.chance": CHANCE})["next"]
    np.testing.assert_array_equal(found.outputs["next"], value_of(tensor))


def test_an_unknown_context_to_start_from():
    rnn = decoder()
    with pytest.raises(UnknownNameError, match="Did you mean 'word'"):
        rnn.set_state_from("wrod", "first")


def test_activation_before_a_choice_is_what_it_reads():
    scores = RNG.normal(size=(BATCH, WORDS))
    model = Sequential([Activation("softmax"), Greedy()])
    np.testing.assert_array_equal(model.predict(scores), scores.argmax(1))
