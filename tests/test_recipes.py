"""The networks of the literature, each next to a NumPy loop written from its paper."""

import numpy as np
import pytest

from recursive import Graph, errors, model_from_json, recipes
from tests.agreement.test_cases import COMPILER, JAX
from tests.cases import with_random_weights
from tests.test_recurrentshop import (
    BATCH,
    HIDDEN,
    IN,
    OUT,
    STEPS,
    TIME,
    Case,
    check_gradient,
    close,
    data,
    dense,
    dense_or_cell,
    lstm_step,
    normal,
    only,
    part,
    prepared,
    sigmoid,
)


def gate(w, name, function, x, h):
    own = part(w, name)
    return function(dense(own, x) + h @ own["U"])


def over_time(w, given, step, *states):
    """The first state after each step."""
    found = []
    for t in range(TIME):
        states = step(w, given["x"][:, t], *states)
        found.append(states[0])
    return np.stack(found, 1)


def zeros(dim=HIDDEN):
    return np.zeros((BATCH, dim))


def zoneout_loop(w, given, train=False, draws=None):
    found, h, c = [], zeros(), zeros()

    def zoned(p, name, new, old, t):
        if not train:
            return p * old + (1 - p) * new
        return np.where(draws[f"{name}.keep"][:, t] < p, old, new)

    for t in range(TIME):
        x = given["x"][:, t]
        i, f, o = (gate(w, name, sigmoid, x, h) for name in "ifo")
        new_c = f * c + i * gate(w, "candidate", np.tanh, x, h)
        h = zoned(0.1, "h", o * np.tanh(new_c), h, t)
        c = zoned(0.4, "c", new_c, c, t)
        found.append(h)
    return np.stack(found, 1)


def normalized(w, x):
    deviation = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    return w["gamma"] * (x - x.mean(axis=1, keepdims=True)) / deviation + w["beta"]


def layer_norm_step(w, x, h, c):
    def total(name):
        found = 0
        for side, value in (("x", x), ("h", h)):
            own = part(w, f"{name}_{side}")
            product = value @ own["layer_0.W"]
            found = found + normalized(part(own, "layer_1"), product)
        return found

    i, f, o = (sigmoid(total(name)) for name in "ifo")
    c = f * c + i * np.tanh(total("candidate"))
    return o * np.tanh(normalized(part(w, "shown.layer_0"), c)), c


def highway_step(w, x, s):
    for level in (1, 2, 3):
        new, carry = dense_or_cell(w, level, x, s)
        s = carry * new + (1 - carry) * s
    return (s,)


PERIODS = (1, 3, 2)


def clockwork_loop(w, given, **_):
    h, found = [zeros(2)] * 3, []
    for t in range(TIME):
        before = list(h)
        for group, period in enumerate(PERIODS):
            if t % period == 0:
                read = [given["x"][:, t]]
                read += [
                    before[other] for other in range(3) if PERIODS[other] >= period
                ]
                own = part(w, f"new{group + 1}")
                h[group] = np.tanh(dense(own, np.concatenate(read, 1)))
        found.append(np.concatenate(h, 1))
    return np.stack(found, 1)


def rwa_loop(w, given, **_):
    """All scores and values are kept, and averaged again at every step."""
    previous = np.tanh(np.tile(w["mean.initial"], (BATCH, 1)))
    scores, values, found = [], [], []
    for t in range(TIME):
        x = given["x"][:, t]
        both = np.concatenate([x, previous], 1)
        values.append(dense(part(w, "u"), x) * np.tanh(dense(part(w, "g"), both)))
        scores.append(both @ w["a.W"])
        shares = np.exp(np.stack(scores) - np.max(scores, axis=0))
        mean = (shares * np.stack(values)).sum(0) / shares.sum(0)
        previous = np.tanh(mean)
        found.append(previous)
    return np.stack(found, 1)


def attention_decoder_loop(w, given, **_):
    h, c, y = zeros(), zeros(), zeros(OUT)
    memory, att, found = given["memory"], part(w, "att"), []
    for _ in range(STEPS):
        units = np.tanh(memory @ att["W"] + (h @ att["U"] + att["b"])[:, None])
        powers = np.exp(units @ att["v"])[..., 0]
        share = powers / powers.sum(1, keepdims=True)
        read = np.concatenate([y, (share[..., None] * memory).sum(1)], 1)
        h, c = lstm_step(part(w, "lstm"), read, h, c, inner=sigmoid)
        y = dense(part(w, "y"), h)
        found.append(y)
    return np.stack(found, 1)


CASES = (
    Case(
        ("zoneout_lstm",),
        lambda: recipes.zoneout_lstm(IN, HIDDEN, 0.4, 0.1, return_sequences=True),
        zoneout_loop,
        draws={
            f"{name}.keep": np.random.RandomState(seed).uniform(
                size=(BATCH, TIME, HIDDEN)
            )
            for seed, name in enumerate("ch")
        },
    ),
    Case(
        ("layer_norm_lstm",),
        lambda: recipes.layer_norm_lstm(IN, HIDDEN, return_sequences=True),
        lambda w, given, **_: over_time(w, given, layer_norm_step, zeros(), zeros()),
    ),
    Case(
        ("highway",),
        lambda: recipes.highway(IN, HIDDEN, return_sequences=True),
        lambda w, given, **_: over_time(w, given, highway_step, zeros()),
    ),
    Case(
        ("clockwork",),
        lambda: recipes.clockwork(IN, 2, PERIODS, return_sequences=True),
        clockwork_loop,
    ),
    Case(
        ("rwa",),
        lambda: recipes.rwa(IN, HIDDEN, return_sequences=True),
        rwa_loop,
    ),
    Case(
        ("attention_decoder",),
        lambda: recipes.attention_decoder(5, HIDDEN, OUT, STEPS),
        attention_decoder_loop,
        inputs=lambda: {"memory": normal(BATCH, 7, 5)},
    ),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_recipe_equals_a_numpy_loop_and_so_does_its_copy_from_a_file(case):
    model, weights, given = prepared(case)
    expected = case.oracle(weights, given)
    assert close(only(model.predict(data(given))), expected)
    again = model_from_json(model.to_json())
    again.build()
    again.set_weights(model.get_weights())
    assert close(only(again.predict(data(given))), expected)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_gradient_of_a_recipe_is_that_of_central_differences(case):
    check_gradient(case, "python")


@pytest.mark.parametrize(
    "target", [pytest.param("c", marks=COMPILER), pytest.param("jax", marks=JAX)]
)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.compiled
def test_recipes_on_backends(case, target):
    check_gradient(case, target)


@pytest.mark.parametrize(
    "case", [case for case in CASES if str(case) != "attention_decoder"], ids=str
)
def test_a_recipe_is_masked_stateful_and_nested(case):
    """In two halves as in one, in a graph, and with padding that is not read."""
    rnn, weights, given = prepared(case)
    expected = case.oracle(weights, given)
    x = given["x"]
    if str(case) != "rwa":  # what is learned does not start a state that is kept
        rnn.stateful = True
        halves = [only(rnn.predict(part)) for part in (x[:, :2], x[:, 2:])]
        assert close(np.concatenate(halves, 1), expected)
        rnn.stateful = False
    graph = Graph()
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_node(rnn, "rnn", input="x", create_output=True)
    assert close(graph.predict(x), expected)
    rnn.add_mask()
    mask = np.ones((BATCH, TIME))
    mask[1, 3:] = 0
    padded = np.where(mask[..., None] == 1, x, 1e6)
    found = only(rnn.predict({"x": padded, "mask": mask}))
    assert close(found[0], expected[0])
    assert close(found[1, :3], expected[1, :3])
    assert (found[1, 3:] == found[1, 2]).all()


def test_a_running_average_of_large_scores_does_not_overflow():
    rnn = with_random_weights(recipes.rwa(IN, HIDDEN, return_sequences=True))
    rnn.nodes["a"].W.set_value(1000 * rnn.nodes["a"].W.get_value())
    weights = {name: value.get_value() for name, value in rnn.named_params.items()}
    x = normal(BATCH, TIME, IN)
    assert close(only(rnn.predict(x)), rwa_loop(weights, {"x": x}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: recipes.highway(4, 6, depth=0), "takes 1 layer or more; got 0"),
        (lambda: recipes.seq2seq(4, 6, 2, 3, depth=True), "takes 1 LSTM or more"),
        (lambda: recipes.clockwork(4, 6, ()), r"takes periods of 1 step or more"),
        (lambda: recipes.clockwork(4, 6, (1, 0.5)), r"got \(1, 0.5\)"),
        (lambda: recipes.zoneout_lstm(4, 6, cell=1.0), "takes a fraction p"),
        (
            lambda: recipes.attention_decoder(5, 6, 2, 3, score="sum"),
            "takes a score of",
        ),
    ],
)
def test_what_a_recipe_cannot_build_is_refused(make, message):
    with pytest.raises(errors.ConfigError, match=message):
        make()
