"""Attention and Teacher: padding, ports and errors. Their values are in the tables of cases."""

import numpy as np
import pytest
from pytensor.tensor import tensor3

from recursive import (
    GRU,
    SGD,
    Attention,
    Dense,
    DropMask,
    Embedding,
    Graph,
    Masking,
    ReadMask,
    Recursive,
    Sequential,
    ShareScheduler,
    Teacher,
    set_backend,
)
from recursive.backend import evaluate
from recursive.errors import ConfigError, DataError, NodeError, ShapeError
from recursive.models import model_from_json
from recursive.reference import run
from tests.cases import weights_of

BATCH, SOURCE, TIME, IN, DIM, HIDDEN = 3, 7, 5, 4, 5, 6
RNG = np.random.RandomState(5)
X = RNG.normal(size=(BATCH, TIME, IN))
LENGTHS = np.array([7, 3, 1])
WORDS = RNG.randint(1, 9, size=(BATCH, SOURCE)) * (np.arange(SOURCE) < LENGTHS[:, None])


@pytest.fixture(autouse=True)
def in_python():
    set_backend("python")
    yield
    set_backend("auto")


def value_of(tensor):
    return evaluate([tensor], {})[0]


def decoder(score="additive", dropped=False, explicit=False):
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_input("memory", ndim=3, dim=DIM, is_sequence=False)
    rnn.add_state("h", dim=HIDDEN)
    ports = {"memory": "memory", "query": "h"}
    if explicit:
        rnn.add_node(ReadMask(), "valid", input="memory")
        ports["mask"] = "valid"
    if dropped:
        rnn.add_node(DropMask(), "unmasked", input="memory")
        ports["memory"] = "unmasked"
    rnn.add_node(Attention(score, seed=1), "att", input=ports)
    rnn.add_node(
        Dense(IN + DIM + HIDDEN, HIDDEN, activation="tanh", seed=2),
        "new",
        inputs=["x", "att", "h"],
        return_state="h",
        create_output=True,
    )
    rnn.add_output("weights", input="att.weights")
    return rnn


def translator(decoder, mask_zero=True):
    graph = Graph()
    graph.add_input("words", ndim=2, dtype="int")
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_node(Embedding(9, 2, mask_zero=mask_zero, seed=3), "e", input="words")
    graph.add_node(GRU(2, DIM, return_sequences=True, seed=4), "encoder", input="e")
    graph.add_node(decoder, "decoder", input={"x": "x", "memory": "encoder"})
    graph.add_output("y", input="decoder.new")
    graph.add_output("weights", input="decoder.weights")
    return graph


@pytest.mark.parametrize("score", ["general", "additive"])
@pytest.mark.parametrize("explicit", [False, True])
def test_a_padded_row_gives_what_it_gives_alone(score, explicit):
    graph = translator(decoder(score, explicit=explicit))
    together = graph.predict({"words": WORDS, "x": X})
    for row, length in enumerate(LENGTHS):
        alone = graph.predict(
            {"words": WORDS[row : row + 1, :length], "x": X[row : row + 1]}
        )
        np.testing.assert_allclose(together["y"][row], alone["y"][0], atol=1e-14)
        weights = together["weights"][row]
        np.testing.assert_allclose(weights[:, :length], alone["weights"][0], atol=1e-14)
        assert (weights[:, length:] == 0).all()


def test_a_mask_as_a_value_is_enough_where_that_of_the_memory_is_dropped():
    masked = translator(decoder()).predict({"words": WORDS, "x": X})
    explicit = translator(decoder(dropped=True, explicit=True))
    found = explicit.predict({"words": WORDS, "x": X})
    np.testing.assert_allclose(found["weights"], masked["weights"], atol=1e-14)
    unmasked = translator(decoder(dropped=True)).predict({"words": WORDS, "x": X})
    assert (unmasked["weights"] > 0).all()


def test_padding_that_is_not_finite_gets_into_no_weight():
    memory = RNG.normal(size=(BATCH, SOURCE, DIM))
    x = {"memory": memory, "query": RNG.normal(size=(BATCH, DIM))}
    mask = np.arange(SOURCE) < LENGTHS[:, None]
    expected = value_of(Attention()(x, mask={"memory": mask})["weights"])
    x["memory"] = np.where(mask[..., None], memory, np.inf)
    found = value_of(Attention()(x, mask={"memory": mask})["weights"])
    np.testing.assert_array_equal(found, expected)


def test_a_memory_that_is_all_padding_is_an_error():
    words = WORDS.copy()
    words[1] = 0
    with pytest.raises(DataError, match="one valid step or more in each row"):
        translator(decoder()).predict({"words": words, "x": X})


def test_a_mask_of_another_length_than_the_memory_is_an_error():
    x = {"memory": np.ones((2, 4, 3)), "query": np.ones((2, 3))}
    with pytest.raises(ValueError, match="one mask entry per step"):
        Attention()(x, mask={"memory": np.ones((2, 5))})
    shapes = {"memory": (None, 4, 3), "query": (None, 3), "mask": (None, 5)}
    with pytest.raises(ShapeError, match="port 'mask' takes one entry per step"):
        Attention().get_output_shape_for(shapes)


@pytest.mark.parametrize("length", [1, SOURCE - 1])
def test_a_mask_of_another_length_than_what_an_encoder_returns_is_an_error(length):
    """A mask of one entry too, which could be taken for all steps."""
    inner = Recursive(return_sequences=True)
    inner.add_input("x", dim=IN)
    inner.add_input("memory", ndim=3, dim=DIM, is_sequence=False)
    inner.add_input("valid", ndim=2, dim=length, is_sequence=False)
    inner.add_state("h", dim=DIM)
    ports = {"memory": "memory", "query": "h", "mask": "valid"}
    inner.add_node(Attention(), "att", input=ports, return_state="h")
    inner.add_output("y", input="att")
    graph = Graph()
    graph.add_input("words", ndim=2, dtype="int")
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_input("valid", ndim=2, dim=length)
    graph.add_node(Embedding(9, DIM), "encoder", input="words")
    ports = {"x": "x", "memory": "encoder", "valid": "valid"}
    graph.add_node(inner, "decoder", input=ports, create_output=True)
    given = {"words": WORDS, "x": X, "valid": np.ones((BATCH, length))}
    with pytest.raises(ShapeError, match="port 'mask' takes one entry per step"):
        graph.predict(given)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"score": "dott"}, ConfigError, "Did you mean 'dot'"),
        ({"score": "dot"}, ShapeError, "a memory and a query of equal dim"),
    ],
)
def test_scores_that_cannot_be_are_refused(given, error, words):
    with pytest.raises(error, match=words):
        decoder(**given).predict({"x": X, "memory": np.ones((BATCH, SOURCE, DIM))})


def test_a_query_over_time_belongs_into_a_loop():
    graph = Graph()
    graph.add_input("memory", ndim=3, dim=DIM)
    graph.add_input("query", ndim=3, dim=DIM)
    graph.add_node(
        Attention(),
        "att",
        input={"memory": "memory", "query": "query"},
        create_output=True,
    )
    with pytest.raises(ShapeError, match="port 'query' takes one vector per row"):
        graph.predict({"memory": np.ones((2, 3, DIM)), "query": np.ones((2, 4, DIM))})


def test_the_ports_that_must_be_read_are_named():
    graph = Graph()
    graph.add_input("memory", ndim=3, dim=DIM)
    with pytest.raises(NodeError, match="memory, query; got nothing at 'query'"):
        graph.add_node(Attention(), "att", input={"memory": "memory"})
    with pytest.raises(NodeError, match="memory, query, mask; got 'masks'"):
        graph.add_node(
            Attention(),
            "att",
            input={"memory": "memory", "query": "memory", "masks": "memory"},
        )


def test_a_saved_attention_computes_the_same():
    graph = translator(decoder())
    again = model_from_json(graph.to_json())
    expected = graph.predict({"words": WORDS, "x": X})
    again.predict({"words": WORDS, "x": X})
    again.set_weights(graph.get_weights())
    found = again.predict({"words": WORDS, "x": X})
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)


# Teacher


def free_running(**settings):
    """A decoder whose truth is there for training only, next to a sequence or a context."""
    rnn = Recursive(return_sequences=True, **settings)
    is_sequence = not settings
    rnn.add_input("x", dim=IN, is_sequence=is_sequence)
    rnn.add_input("truth", dim=2, training_only=True)
    rnn.add_state("y", dim=2)
    rnn.add_node(Teacher(), "previous", input={"truth": "truth_tm1", "prediction": "y"})
    rnn.add_node(
        Dense(IN + 2, 2, seed=2),
        "out",
        inputs=["x", "previous"],
        return_state="y",
        create_output=True,
    )
    rnn.compile(SGD(lr=0.0), "mse")
    return rnn


@pytest.mark.parametrize("settings", [{}, {"n_steps": TIME}])
def test_predict_and_evaluate_need_no_truth(settings):
    rnn = free_running(**settings)
    x = X if not settings else X[:, 0]
    W, b = (rnn.named_params[f"out.{name}"].get_value() for name in "Wb")
    y, outputs = np.zeros((BATCH, 2)), []
    for t in range(TIME):
        now = x if settings else x[:, t]
        y = np.concatenate([now, y], axis=1) @ W + b
        outputs.append(y)
    expected = np.stack(outputs, axis=1)
    for given in ({"x": x}, {"x": x, "truth": TRUTH}):
        np.testing.assert_allclose(rnn.predict(given)["out"], expected, atol=1e-14)
    np.testing.assert_allclose(rnn.predict(x), expected, atol=1e-14)
    loss = ((expected - TRUTH) ** 2).mean()
    assert rnn.evaluate({"x": x}, TRUTH, verbose=0) == pytest.approx(loss)
    assert rnn.evaluate(x, TRUTH, verbose=0) == pytest.approx(loss)
    history = rnn.fit(
        {"x": x, "truth": TRUTH},
        TRUTH,
        nb_epoch=1,
        verbose=0,
        validation_data=({"x": x}, TRUTH),
    ).history
    assert history["val_loss"] == pytest.approx([loss])
    assert history["loss"] != pytest.approx([loss])
    again = model_from_json(rnn.to_json())
    again.set_weights(rnn.get_weights())
    np.testing.assert_allclose(again.predict(x), expected, atol=1e-14)
    reference = run(rnn.spec, weights_of(rnn), {"x": x})
    np.testing.assert_allclose(reference.outputs["out"], expected, atol=1e-14)


def test_training_needs_the_truth():
    with pytest.raises(DataError, match="input 'truth' takes an array; got none"):
        free_running().train_on_batch({"x": X}, TRUTH)


def test_what_is_there_for_training_only_is_read_by_a_teacher_alone():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=2)
    rnn.add_input("truth", dim=2, training_only=True)
    rnn.add_node(Dense(4, 2), "out", inputs=["x", "truth_tm1"], create_output=True)
    with pytest.raises(NodeError, match="node 'out' takes values that are there while"):
        rnn.build()
    rnn = Recursive(return_sequences=True)
    rnn.add_input("truth", dim=2, training_only=True)
    rnn.add_node(Dense(2, 2), "other", input="truth")
    with pytest.raises(NodeError, match="got 'truth', which is an input for training"):
        rnn.build()


def test_something_else_tells_the_number_of_steps():
    rnn, _ = taught()
    rnn = Recursive(return_sequences=True)
    rnn.add_input("c", dim=2, is_sequence=False)
    rnn.add_input("truth", dim=2, training_only=True)
    rnn.add_node(
        Teacher(),
        "out",
        input={"truth": "truth", "prediction": "c"},
        create_output=True,
    )
    rnn.compile()
    with pytest.raises(DataError, match="another sequence, or n_steps"):
        rnn.predict({"c": np.ones((3, 2))})


def taught(share=1.0):
    rnn = Recursive(return_sequences=True)
    rnn.add_input("truth", dim=2)
    rnn.add_state("y", dim=2)
    teacher = Teacher(share, seed=1)
    rnn.add_node(teacher, "previous", input={"truth": "truth_tm1", "prediction": "y"})
    rnn.add_node(
        Dense(2, 2, seed=2),
        "out",
        input="previous",
        return_state="y",
        create_output=True,
    )
    rnn.compile(SGD(lr=0.0), "mse")
    return rnn, teacher


TRUTH = RNG.normal(size=(BATCH, TIME, 2))


def taught_by_hand(rnn, reads_truth):
    """The outputs if row ``i`` of step ``t`` reads the truth where ``reads_truth[i, t]``."""
    W, b = (rnn.named_params[f"out.{name}"].get_value() for name in "Wb")
    y = truth = np.zeros((BATCH, 2))
    outputs = []
    for t in range(TIME):
        previous = np.where(reads_truth[:, t, None], truth, y)
        y = previous @ W + b
        truth = TRUTH[:, t]
        outputs.append(y)
    return np.stack(outputs, axis=1)


def test_the_truth_is_read_while_training_only():
    rnn, _ = taught()
    never = taught_by_hand(rnn, np.zeros((BATCH, TIME), bool))
    always = taught_by_hand(rnn, np.ones((BATCH, TIME), bool))
    np.testing.assert_allclose(rnn.predict({"truth": TRUTH})["out"], never, atol=1e-14)
    loss = rnn.train_on_batch(TRUTH, TRUTH)
    assert loss == pytest.approx(((always - TRUTH) ** 2).mean())
    assert rnn.evaluate(TRUTH, TRUTH, verbose=0) == pytest.approx(
        ((never - TRUTH) ** 2).mean()
    )


def test_a_share_chooses_for_each_row_and_step():
    rnn, teacher = taught(0.5)
    chance = RNG.uniform(size=(BATCH, TIME, 1))
    found = value_of(rnn(TRUTH, train=True, **{"previous.chance": chance}))
    np.testing.assert_allclose(found, taught_by_hand(rnn, chance[..., 0] < 0.5))
    teacher.share = 0.2
    found = value_of(rnn(TRUTH, train=True, **{"previous.chance": chance}))
    np.testing.assert_allclose(found, taught_by_hand(rnn, chance[..., 0] < 0.2))


def test_draws_may_be_given_without_a_known_shape():
    rnn, _ = taught(0.5)
    chance = RNG.uniform(size=(BATCH, TIME, 1))
    given = tensor3("chance", dtype="float64")
    output = rnn(TRUTH, train=True, **{"previous.chance": given})
    [found] = evaluate([output], {given: chance}, "python")
    np.testing.assert_allclose(found, taught_by_hand(rnn, chance[..., 0] < 0.5))


def test_a_schedule_sets_the_share_and_a_file_keeps_it(tmp_path):
    rnn, teacher = taught(1.0)
    before = rnn.get_weights()
    rnn.compile(SGD(lr=0.1), "mse")
    scheduler = ShareScheduler(teacher, lambda epoch, share: share / 2)
    rnn.fit(TRUTH, TRUTH, nb_epoch=2, verbose=0, callbacks=[scheduler])
    assert teacher.share == 0.25
    assert not np.array_equal(before[1], rnn.named_params["out.W"].get_value())
    rnn.save_weights(tmp_path / "w.h5")
    other, its_teacher = taught(1.0)
    other.load_weights(tmp_path / "w.h5")
    assert its_teacher.share == 0.25
    assert model_from_json(rnn.to_json()).nodes["previous"].share == 0.25


def test_a_share_may_come_from_a_context():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("truth", dim=2)
    rnn.add_input("rate", ndim=2, dim=1, is_sequence=False)
    rnn.add_state("y", dim=2)
    rnn.add_node(
        Teacher("rate"),
        "previous",
        input={"truth": "truth_tm1", "prediction": "y", "rate": "rate"},
    )
    rnn.add_node(
        Dense(2, 2, seed=2),
        "out",
        input="previous",
        return_state="y",
        create_output=True,
    )
    rnn.compile(SGD(lr=0.0), "mse")
    rate = np.array([[0.0], [1.0], [0.0]])
    expected = taught_by_hand(rnn, np.repeat(rate == 1, TIME, axis=1))
    found = rnn.train_on_batch({"truth": TRUTH, "rate": rate}, TRUTH)
    assert found == pytest.approx(((expected - TRUTH) ** 2).mean())
    with pytest.raises(ConfigError, match="its share from the port 'rate'"):
        rnn.nodes["previous"].share = 0.5


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), True, None])
def test_a_share_lies_between_0_and_1(share):
    with pytest.raises(ConfigError, match="a share from 0 to 1"):
        Teacher(share)
    with pytest.raises(ConfigError, match="a share from 0 to 1"):
        Teacher().share = share


def test_truth_and_prediction_have_one_dim():
    with pytest.raises(ShapeError, match="a truth and a prediction of one shape"):
        Teacher()({"truth": np.ones((3, 2)), "prediction": np.ones((3, 4))})


def test_a_masked_chain_passes_its_mask_through_a_teacher():
    chain = Sequential([Masking(), GRU(IN, DIM, return_sequences=True)])
    x = X.copy()
    x[0, 2:] = 0
    value, mask = chain.with_mask(x)
    _, found = Teacher().with_mask(
        {"truth": value, "prediction": value}, mask={"truth": mask, "prediction": mask}
    )
    np.testing.assert_array_equal(value_of(found)[0], [1, 1, 0, 0, 0])
