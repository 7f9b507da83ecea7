"""Attention, teacher forcing and their kin, each against a NumPy loop over rows, on each backend.

The loops index arrays by hand and share no code with the library. Gradients are central differences of the loops.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from recursive import (
    SGD,
    Attention,
    Dense,
    Graph,
    Lambda,
    LayerNormalization,
    Masking,
    Recurrent,
    RecurrentDense,
    RecurrentGRU,
    RecurrentLSTM,
    Recursive,
    Teacher,
    backend,
)
from tests.agreement.test_cases import COMPILER, JAX

BATCH, TIME, IN, HIDDEN = 3, 5, 4, 6
SOURCE, MEMORY, UNITS = 7, 5, 3
LENGTHS = (7, 1, 4)
"""Of the rows of a memory, without padding."""
NUDGE = 1e-6
EACH_BACKEND = pytest.mark.parametrize(
    "target",
    [
        "python",
        pytest.param("jax", marks=[pytest.mark.compiled, JAX]),
        pytest.param("c", marks=[pytest.mark.compiled, COMPILER]),
    ],
)


@dataclass(frozen=True)
class Feature:
    """A container, arrays, and its outputs by a NumPy loop over ``(weights, inputs, draws)``."""

    name: str
    build: Callable[[], Recursive]
    inputs: Callable[[np.random.RandomState], dict]
    oracle: Callable[[dict, dict, dict], dict]
    train: bool = False
    draws: dict[str, tuple[int, ...]] = field(default_factory=dict)
    weights: dict[str, list] = field(default_factory=dict)

    def __str__(self):
        return self.name


def normal(rng, *shape):
    return rng.normal(size=shape)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def hard_sigmoid(z):
    return np.clip(0.2 * z + 0.5, 0, 1)


# Attention: every row by itself, over its data alone


def attending(score, query=HIDDEN, explicit=False, shows_weights=True):
    def build():
        rnn = Recursive(return_sequences=True)
        rnn.add_input("x", dim=IN)
        rnn.add_input("memory", ndim=3, dim=MEMORY, is_sequence=False)
        ports = {"memory": "memory", "query": "h"}
        if explicit:
            rnn.add_input("valid", ndim=2, dim=SOURCE, is_sequence=False)
            ports["mask"] = "valid"
        rnn.add_state("h", dim=query)
        rnn.add_node(Attention(score, dim=UNITS), "att", input=ports)
        rnn.add_node(
            Dense(query, activation="tanh"),
            "new",
            inputs=["x", "att", "h"],
            return_state="h",
            create_output=True,
        )
        if shows_weights:
            rnn.add_output("weights", input="att.weights")
        return rnn

    return build


def padded():
    graph = Graph()
    graph.add_input("memory", ndim=3, dim=MEMORY)
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_node(Masking(), "masked", input="memory")
    ports = {"x": "x", "memory": "masked"}
    graph.add_node(attending("additive")(), "decoder", input=ports)
    graph.add_output("new", input="decoder.new")
    graph.add_output("weights", input="decoder.weights")
    return graph


def score_of(score, w, step, query):
    """One number, of one step of the memory and one query."""
    if score == "dot":
        return step @ query
    if score == "scaled_dot":
        return step @ query / np.sqrt(len(step))
    if score == "general":
        return step @ (query @ w["att.W"])
    units = np.tanh(step @ w["att.W"] + query @ w["att.U"] + w["att.b"])
    return units @ w["att.v"][:, 0]


def read_memory(score, w, memory, query):
    """The mean of one row's memory, ``(steps, dim)``, and the weights."""
    scores = np.array([score_of(score, w, step, query) for step in memory])
    powers = np.exp(scores)
    shares = powers / powers.sum()
    return shares @ memory, shares


def attention_loop(score, lengths=(SOURCE,) * BATCH, prefix=""):
    def oracle(w, given, draws):
        w = {name.removeprefix(prefix): value for name, value in w.items()}
        new, weights = [], np.zeros((BATCH, TIME, SOURCE))
        for row, length in enumerate(lengths):
            memory = given["memory"][row, :length]
            h = np.zeros(w["new.W"].shape[1])
            steps = []
            for t in range(TIME):
                read, shares = read_memory(score, w, memory, h)
                z = np.concatenate([given["x"][row, t], read, h])
                h = np.tanh(z @ w["new.W"] + w["new.b"])
                steps.append(h)
                weights[row, t, :length] = shares
            new.append(np.stack(steps))
        return {"new": np.stack(new), "weights": weights}

    return oracle


def asking_after_the_step():
    """The attention reads the new state, and nothing reads it: it leaves the loop."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_input("memory", ndim=3, dim=MEMORY, is_sequence=False)
    rnn.add_state("h", dim=HIDDEN)
    new = Dense(HIDDEN, activation="tanh")
    rnn.add_node(new, "new", inputs=["x", "h"], return_state="h")
    ports = {"memory": "memory", "query": "new"}
    rnn.add_node(Attention("general"), "att", input=ports, create_output=True)
    return rnn


def after_the_step_loop(w, given, draws):
    outputs = np.zeros((BATCH, TIME, MEMORY))
    for row in range(BATCH):
        h = np.zeros(HIDDEN)
        for t in range(TIME):
            z = np.concatenate([given["x"][row, t], h])
            h = np.tanh(z @ w["new.W"] + w["new.b"])
            outputs[row, t], _ = read_memory("general", w, given["memory"][row], h)
    return {"att": outputs}


def x_and_memory(rng):
    return {
        "x": normal(rng, BATCH, TIME, IN),
        "memory": normal(rng, BATCH, SOURCE, MEMORY),
    }


def with_padding(rng):
    given = x_and_memory(rng)
    for row, length in enumerate(LENGTHS):
        given["memory"][row, length:] = 0
    return given


def with_valid(rng):
    valid = np.arange(SOURCE) < np.array(LENGTHS)[:, None]
    return {**x_and_memory(rng), "valid": valid.astype(float)}


# Teacher forcing


def taught(share=1.0, training_only=False):
    def build():
        rnn = Recursive(return_sequences=True)
        rnn.add_input("x", dim=IN)
        rnn.add_input("truth", dim=2, training_only=training_only)
        ports = {"truth": "truth_tm1", "prediction": "y"}
        if isinstance(share, str):
            rnn.add_input(share, ndim=2, dim=1, is_sequence=False)
            ports[share] = share
        rnn.add_state("y", dim=2)
        rnn.add_node(Teacher(share), "previous", input=ports)
        rnn.add_node(
            Dense(IN + 2, 2, activation="tanh"),
            "out",
            inputs=["x", "previous"],
            return_state="y",
            create_output=True,
        )
        return rnn

    return build


def taught_loop(reads_truth):
    """``reads_truth(row, t, given, draws)`` is true if the row reads the truth then."""

    def oracle(w, given, draws):
        outputs = np.zeros((BATCH, TIME, 2))
        for row in range(BATCH):
            y = before = np.zeros(2)
            for t in range(TIME):
                previous = before if reads_truth(row, t, given, draws) else y
                z = np.concatenate([given["x"][row, t], previous])
                y = np.tanh(z @ w["out.W"] + w["out.b"])
                outputs[row, t] = y
                before = given["truth"][row, t] if "truth" in given else None
        return {"out": outputs}

    return oracle


def x_and_truth(rng):
    return {"x": normal(rng, BATCH, TIME, IN), "truth": normal(rng, BATCH, TIME, 2)}


def x_truth_and_rate(rng):
    return {**x_and_truth(rng), "rate": np.array([[0.0], [1.0], [0.5]])}


CHANCE = {"previous.chance": (BATCH, TIME, 1)}


def below(share):
    """Reads the truth where the draw is below a number, or below the row's own rate."""

    def reads(row, t, given, draws):
        own = given["rate"][row, 0] if share == "rate" else share
        return draws["previous.chance"][row, t, 0] < own

    return reads


# Normalized rows, cells without biases, a Lambda of two ports


def normalized():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(Dense(IN + HIDDEN, HIDDEN), "sum", inputs=["x", "h"])
    rnn.add_node(
        LayerNormalization(HIDDEN, epsilon=0.01),
        "norm",
        input="sum",
        return_state="h",
        create_output=True,
    )
    return rnn


def normalized_loop(w, given, draws):
    outputs = np.zeros((BATCH, TIME, HIDDEN))
    for row in range(BATCH):
        h = np.zeros(HIDDEN)
        for t in range(TIME):
            z = np.concatenate([given["x"][row, t], h]) @ w["sum.W"] + w["sum.b"]
            mean = sum(z) / HIDDEN
            variance = sum((z - mean) ** 2) / HIDDEN
            h = w["norm.gamma"] * (z - mean) / np.sqrt(variance + 0.01) + w["norm.beta"]
            outputs[row, t] = h
    return {"norm": outputs}


def unbiased():
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(RecurrentDense(IN, 5, activation="tanh", bias=False), "one", input="x")
    rnn.add_node(RecurrentGRU(5, 2, bias=False), "two", input="one")
    cell = RecurrentLSTM(2, HIDDEN, bias=False)
    rnn.add_node(cell, "three", input="two", create_output=True)
    return rnn


def unbiased_loop(w, given, draws):
    outputs = []
    one, two = np.zeros((BATCH, 5)), np.zeros((BATCH, 2))
    three = c = np.zeros((BATCH, HIDDEN))

    def pre(node, gate, x, h):
        return x @ w[f"{node}.W{gate}"] + h @ w[f"{node}.U{gate}"]

    for t in range(TIME):
        one = np.tanh(pre("one", "", given["x"][:, t], one))
        z, r = (hard_sigmoid(pre("two", gate, one, two)) for gate in ("_z", "_r"))
        two = z * two + (1 - z) * sigmoid(pre("two", "_h", one, r * two))
        i, f, o = (
            hard_sigmoid(pre("three", g, two, three)) for g in ("_i", "_f", "_o")
        )
        c = f * c + i * np.tanh(pre("three", "_c", two, three))
        three = o * np.tanh(c)
        outputs.append(three)
    return {"three": np.stack(outputs, axis=1)}


def gated():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=IN)
    rnn.add_node(Dense(IN, IN), "gate", input="h")
    function = Lambda(lambda g, v: pt.tanh(g) * v + v, ports=("g", "v"))
    rnn.add_node(
        function,
        "new",
        input={"g": "gate", "v": "x"},
        return_state="h",
        create_output=True,
    )
    return rnn


def gated_loop(w, given, draws):
    outputs = np.zeros((BATCH, TIME, IN))
    for row in range(BATCH):
        h = np.zeros(IN)
        for t in range(TIME):
            x = given["x"][row, t]
            h = np.tanh(h @ w["gate.W"] + w["gate.b"]) * x + x
            outputs[row, t] = h
    return {"new": outputs}


def x_only(rng):
    return {"x": normal(rng, BATCH, TIME, IN)}


PADDED = Feature(
    "attention over a padded memory",
    padded,
    with_padding,
    attention_loop("additive", LENGTHS, "decoder."),
)
SAMPLED = Feature(
    "teacher with a share",
    taught(0.4),
    x_and_truth,
    taught_loop(below(0.4)),
    train=True,
    draws=CHANCE,
    weights={"previous.rate": [0.4]},
)
ALL_TRUTH = {"previous.rate": [1.0]}
FEATURES = (
    *(
        Feature(
            f"attention, {score}",
            attending(score, MEMORY if "dot" in score else HIDDEN),
            x_and_memory,
            attention_loop(score),
        )
        for score in ("dot", "scaled_dot", "general", "additive")
    ),
    PADDED,
    Feature(
        "attention with a mask that is a value",
        attending("general", explicit=True),
        with_valid,
        attention_loop("general", LENGTHS),
    ),
    Feature(
        "attention after the step",
        asking_after_the_step,
        x_and_memory,
        after_the_step_loop,
    ),
    Feature(
        "teacher, training",
        taught(),
        x_and_truth,
        taught_loop(lambda *_: True),
        train=True,
        draws=CHANCE,
        weights=ALL_TRUTH,
    ),
    Feature(
        "teacher, at rest",
        taught(),
        x_and_truth,
        taught_loop(lambda *_: False),
        weights=ALL_TRUTH,
    ),
    SAMPLED,
    Feature(
        "teacher with a share from a context",
        taught("rate"),
        x_truth_and_rate,
        taught_loop(below("rate")),
        train=True,
        draws=CHANCE,
    ),
    Feature(
        "a truth for training only, training",
        taught(training_only=True),
        x_and_truth,
        taught_loop(lambda *_: True),
        train=True,
        draws=CHANCE,
        weights=ALL_TRUTH,
    ),
    Feature("normalized rows", normalized, x_only, normalized_loop),
    Feature("cells without biases", unbiased, x_only, unbiased_loop),
    Feature("a Lambda of two ports", gated, x_only, gated_loop),
)


def prepared(feature):
    """The container, its weights, and the arrays that it is given."""
    container = feature.build()
    rng = np.random.RandomState(3)
    given = feature.inputs(rng)
    draws = {name: rng.uniform(size=shape) for name, shape in feature.draws.items()}
    shapes = {name: (None, *value.shape[1:]) for name, value in given.items()}
    container.build(shapes)
    weights = {}
    for name, param in container.named_params.items():
        shape = param.get_value().shape
        value = rng.normal(0, min(0.5, 2 / np.sqrt(shape[0])), shape)
        weights[name] = np.array(feature.weights.get(name, value))
        param.set_value(weights[name])
    return container, weights, given, draws


def computed(container, given, draws, cotangents, train, target):
    """Outputs, gradients of parameters, and gradients of inputs, each by name."""
    names = [item.name for item in container.spec.inputs]

    def build(tensors):
        inputs = dict(zip(names, tensors, strict=False))
        drawn = dict(zip(draws, tensors[len(names) :], strict=True))
        outputs = container(inputs, train=train, **drawn)
        outputs = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
        loss = sum(
            (value * cotangents[name]).sum()
            for name, value in zip(container.output_names, outputs, strict=True)
        )
        wrt = [*container.params, *inputs.values()]
        gradients = pytensor.grad(loss, wrt, disconnected_inputs="ignore")
        return [*outputs, *gradients], []

    values = [*(given[name] for name in names), *draws.values()]
    arguments = [
        backend.Argument(name, str(value.dtype), value.shape)
        for name, value in zip([*names, *draws], values, strict=True)
    ]
    found = iter(backend.Program(arguments, build, target)(*values))
    keys = (container.output_names, container.named_params, names)
    return [dict(zip(each, found, strict=False)) for each in keys]


def check(feature, target):
    container, weights, given, draws = prepared(feature)
    expected = feature.oracle(weights, given, draws)
    rng = np.random.RandomState(5)
    cotangents = {name: normal(rng, *value.shape) for name, value in expected.items()}
    outputs, of_params, of_inputs = computed(
        container, given, draws, cotangents, feature.train, target
    )
    assert set(outputs) == set(expected)
    for name, value in expected.items():
        assert outputs[name].shape == value.shape
        scale = max(1, np.abs(value).max())
        assert np.abs(outputs[name] - value).max() <= 1e-12 * scale, name

    def loss(**changed):
        every = {"weights": weights, "given": given, **changed}
        values = feature.oracle(every["weights"], every["given"], draws)
        return sum((cotangents[name] * value).sum() for name, value in values.items())

    for kind, arrays, gradients in (
        ("weights", weights, of_params),
        ("given", given, of_inputs),
    ):
        for name, value in arrays.items():
            # A mask and a share are compared with 0 and with draws.
            if name in ("valid", "rate"):
                continue
            for index in some_indices(value, rng):
                high, low = value.copy(), value.copy()
                high[index] += NUDGE
                low[index] -= NUDGE
                slope = loss(**{kind: {**arrays, name: high}})
                slope -= loss(**{kind: {**arrays, name: low}})
                slope /= 2 * NUDGE
                off = abs(slope - gradients[name][index])
                assert off < 1e-6 * max(1, abs(slope)), (name, index)
    return outputs, of_inputs


def some_indices(value, rng, count=4):
    chosen = rng.choice(value.size, size=min(count, value.size), replace=False)
    return [np.unravel_index(place, value.shape) for place in chosen]


@pytest.mark.parametrize("feature", FEATURES, ids=str)
def test_a_feature_equals_a_numpy_loop(feature):
    check(feature, "python")


@pytest.mark.compiled
@JAX
@pytest.mark.parametrize("feature", FEATURES, ids=str)
def test_a_feature_equals_a_numpy_loop_on_jax(feature):
    check(feature, "jax")


@pytest.mark.compiled
@COMPILER
@pytest.mark.parametrize("feature", FEATURES, ids=str)
def test_a_feature_equals_a_numpy_loop_on_c(feature):
    check(feature, "c")


@pytest.mark.compiled
@pytest.mark.parametrize("feature", [PADDED, SAMPLED], ids=str)
def test_attention_and_a_teacher_equal_a_numpy_loop_on_numba(feature):
    check(feature, "numba")


@EACH_BACKEND
def test_padding_has_a_weight_and_a_gradient_of_exactly_zero(target):
    outputs, of_inputs = check(PADDED, target)
    for row, length in enumerate(LENGTHS):
        assert (outputs["weights"][row, :, length:] == 0).all()
        assert (of_inputs["memory"][row, length:] == 0).all()
        assert (of_inputs["memory"][row, :length] != 0).all()


# At rest without the truth, and in training, by the methods of a model


@EACH_BACKEND
def test_a_model_predicts_without_the_truth_and_trains_with_it(target):
    rnn = taught(training_only=True)()
    rnn.compile(SGD(lr=0.0), "mse", backend=target)
    given = x_and_truth(np.random.RandomState(3))
    at_rest = rnn.predict({"x": given["x"]})["out"]
    weights = {name: param.get_value() for name, param in rnn.named_params.items()}
    never = taught_loop(lambda *_: False)(weights, {"x": given["x"]}, {})["out"]
    np.testing.assert_allclose(at_rest, never, atol=1e-12)
    always = taught_loop(lambda *_: True)(weights, given, {})["out"]
    y = np.ones((BATCH, TIME, 2))
    loss = rnn.train_on_batch(given, y)
    assert loss == pytest.approx(((always - y) ** 2).mean(), abs=1e-12)
    loss = rnn.test_on_batch({"x": given["x"]}, y)
    assert loss == pytest.approx(((never - y) ** 2).mean(), abs=1e-12)


RULES = {
    "penalties": {
        "W_regularizer": "l1",
        "U_regularizer": "l2",
        "b_regularizer": "l1l2",
    },
    "constraints": {"W_constraint": "maxnorm", "U_constraint": "nonneg"},
}


@pytest.mark.parametrize("rules", RULES)
@EACH_BACKEND
def test_the_rules_of_a_cell_hold_in_training(target, rules):
    """By hand: the difference that a rule makes to one step of gradient descent."""
    after = []
    for given in ({}, RULES[rules]):
        rnn = Recurrent(return_sequences=True)
        rnn.add_input("x", dim=IN)
        cell = RecurrentDense(IN, HIDDEN, activation="tanh", seed=1, **given)
        rnn.add_node(cell, "h", input="x", create_output=True)
        rng = np.random.RandomState(2)
        before = {}
        for name, param in rnn.named_params.items():
            before[name] = rng.normal(0, 2, param.get_value().shape)
            param.set_value(before[name])
        rnn.compile(SGD(lr=0.1), "mse", backend=target)
        loss = rnn.train_on_batch(
            normal(rng, BATCH, TIME, IN), np.ones((BATCH, TIME, HIDDEN))
        )
        now = {name: param.get_value() for name, param in rnn.named_params.items()}
        after.append((loss, now))
    (plain_loss, plain), (loss, found) = after
    W, U, b = (before[f"h.{name}"] for name in "WUb")
    if rules == "penalties":
        penalty = 0.01 * (abs(W).sum() + (U**2).sum() + abs(b).sum() + (b**2).sum())
        slopes = {"W": np.sign(W), "U": 2 * U, "b": np.sign(b) + 2 * b}
        assert loss == pytest.approx(plain_loss + penalty, rel=1e-12)
        for name, slope in slopes.items():
            expected = plain[f"h.{name}"] - 0.1 * 0.01 * slope
            np.testing.assert_allclose(found[f"h.{name}"], expected, atol=1e-12)
        return
    assert loss == pytest.approx(plain_loss, rel=1e-12)
    norms = np.sqrt((plain["h.W"] ** 2).sum(axis=0))
    assert (norms > 2).any()
    scaled = plain["h.W"] * np.minimum(norms, 2) / (1e-7 + norms)
    np.testing.assert_allclose(found["h.W"], scaled, atol=1e-12)
    np.testing.assert_allclose(found["h.U"], np.maximum(plain["h.U"], 0), atol=1e-12)
    np.testing.assert_allclose(found["h.b"], plain["h.b"], atol=1e-12)


@EACH_BACKEND
def test_an_output_without_a_loss_trains_nothing(target):
    """One step is that of a model in which the output is not there."""
    after = []
    for shows_weights in (True, False):
        rnn = attending("additive", shows_weights=shows_weights)()
        loss = {"new": "mse", "weights": None} if shows_weights else "mse"
        rnn.compile(SGD(lr=0.1), loss, backend=target)
        rng = np.random.RandomState(2)
        given = x_and_memory(rng)
        rnn.build({name: (None, *value.shape[1:]) for name, value in given.items()})
        for param in rnn.named_params.values():
            param.set_value(rng.normal(0, 0.5, param.get_value().shape))
        truth = np.ones((BATCH, TIME, HIDDEN))
        loss = rnn.train_on_batch(given, {"new": truth} if shows_weights else truth)
        after.append([loss, *rnn.get_weights()])
    for found, expected in zip(*after, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)
