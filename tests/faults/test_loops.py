"""Loops in loops: with masks, contexts, states and functions, as if each ran alone."""

import numpy as np
import pytest

from recursive import (
    Activation,
    Dense,
    Graph,
    Lambda,
    Masking,
    Recurrent,
    RecurrentGRU,
    Recursive,
    Sequential,
)
from tests.faults.loops import close, gru, randomized, rng_of

BATCH, TIME = 3, 5
X = rng_of(1).normal(size=(BATCH, TIME, 2))
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0]])


def inner_loop(**settings):
    inner = Recurrent(n_steps=4, **settings)
    inner.add_input("c", dim=3, is_sequence=False)
    inner.add_node(
        Dense(6, 3, activation="tanh"), "a", input=["c", "a_tm1"], create_output=True
    )
    return inner


def outer_loop(inner, reads="s", **settings):
    outer = Recursive(return_sequences=True, **settings)
    outer.add_input("x", dim=2)
    outer.add_state("s", dim=3)
    outer.add_node(inner, "n", input=reads)
    outer.add_node(Dense(5, 3), "f", inputs=["x", "n"], return_state="s")
    outer.add_output("o", input="f")
    return outer


def both_by_numpy(weights, x, mask=None, context=None, last=lambda a: a):
    """The outer loop, whose state is the inner loop's context, or starts it."""
    W, b, V, d = weights
    s, steps = np.zeros((len(x), 3)), []
    for t in range(x.shape[1]):
        a = np.zeros((len(x), 3))
        for _ in range(4):
            read = s if context is None else context
            a = last(np.tanh(np.concatenate([read, a], axis=1) @ W + b))
        new = np.concatenate([x[:, t], a], axis=1) @ V + d
        s = new if mask is None else np.where(mask[:, t, None], new, s)
        steps.append(s)
    return np.stack(steps, axis=1)


def test_a_loop_of_its_own_steps_fed_by_a_state_runs_in_a_loop():
    outer = randomized(outer_loop(inner_loop()))
    assert close(outer.predict(X), both_by_numpy(outer.get_weights(), X))


def test_a_loop_of_its_own_steps_fed_by_a_state_runs_behind_masking():
    model = randomized(Sequential([Masking(), outer_loop(inner_loop())]))
    x = X * MASK[..., None]
    assert close(model.predict(x), both_by_numpy(model.get_weights(), x, MASK))


def test_a_loop_of_its_own_steps_fed_by_a_state_runs_with_a_declared_mask():
    outer = Recursive(return_sequences=True)
    outer.add_input("x", dim=2)
    outer.add_mask("there")
    outer.add_state("s", dim=3)
    outer.add_node(inner_loop(), "n", input="s")
    outer.add_node(Dense(5, 3), "f", inputs=["x", "n"], return_state="s")
    outer.add_output("o", input="f")
    randomized(outer)
    expected = both_by_numpy(outer.get_weights(), X, MASK)
    assert close(outer.predict({"x": X, "there": MASK})["o"], expected)


def test_masking_of_rows_without_padding_changes_nothing():
    outer = randomized(outer_loop(inner_loop()))
    masked = Sequential([Masking(), outer])
    assert close(masked.predict(X), both_by_numpy(outer.get_weights(), X))


@pytest.mark.parametrize("masked", [False, True])
def test_such_loops_learn_as_those_that_are_written_out(masked):
    x = X * MASK[..., None] if masked else X
    target = rng_of(4).normal(size=(BATCH, TIME, 3))

    def trained(**settings):
        outer = outer_loop(inner_loop(**settings))
        model = Sequential([Masking(), outer] if masked else [outer])
        randomized(model).compile("sgd", "mse", backend="python")
        model.train_on_batch(x, target)
        return model.get_weights()

    assert all(map(close, trained(), trained(unroll=True)))


def started_loop(by_lambda=False):
    """An inner loop that starts from what the outer one gives."""
    inner = Recursive(n_steps=4)
    inner.add_state("a", dim=3)
    inner.set_state_from("a", "start")
    inner.add_input("c", dim=3, is_sequence=False)
    inner.add_node(
        Dense(6, 3, activation="tanh"),
        "f",
        input=["c", "a"],
        return_state="a",
        create_output=not by_lambda,
    )
    if by_lambda:
        inner.add_node(Lambda(lambda a: 2 * a), "g", input="f", create_output=True)
    return inner


def graph_around(inner, inner_reads, masked=False):
    outer = Recursive(return_sequences=True)
    outer.add_input("x", dim=2)
    outer.add_input("c", dim=3, is_sequence=False)
    outer.add_state("s", dim=3)
    outer.add_node(inner, "n", input=inner_reads)
    outer.add_node(Dense(5, 3), "f", inputs=["x", "n"], return_state="s")
    outer.add_output("o", input="f")
    graph = Graph()
    graph.add_input("x", ndim=3, dim=2)
    graph.add_input("v", dim=4)
    graph.add_node(Dense(4, 3, activation="tanh"), "c", input="v")
    if masked:
        graph.add_node(Masking(), "m", input="x")
    reads = {"x": "m" if masked else "x", "c": "c"}
    graph.add_node(outer, "loop", input=reads, create_output=True)
    return randomized(graph)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("by_lambda", [False, True])
def test_an_inner_loop_starts_from_the_outer_state_next_to_a_computed_context(
    masked, by_lambda
):
    graph = graph_around(
        started_loop(by_lambda), {"start": "s", "c": "c"}, masked=masked
    )
    v = rng_of(2).normal(size=(BATCH, 4))
    x = X * MASK[..., None] if masked else X
    C, e, W, b, V, d = graph.get_weights()
    c = np.tanh(v @ C + e)
    s, steps = np.zeros((BATCH, 3)), []
    for t in range(TIME):
        a = s
        for _ in range(4):
            a = np.tanh(np.concatenate([c, a], axis=1) @ W + b)
        read = 2 * a if by_lambda else a
        new = np.concatenate([x[:, t], read], axis=1) @ V + d
        s = np.where(MASK[:, t, None], new, s) if masked else new
        steps.append(s)
    found = graph.predict({"x": x, "v": v})["loop"]
    assert close(found, np.stack(steps, axis=1))


@pytest.mark.parametrize("masked", [False, True])
def test_an_inner_loop_with_a_lambda_reads_the_outer_state(masked):
    inner = Recurrent(n_steps=4)
    inner.add_input("c", dim=3, is_sequence=False)
    inner.add_node(Dense(6, 3, activation="tanh"), "f", input=["c", "a_tm1"])
    inner.add_node(Lambda(lambda a: a * a), "a", input="f", create_output=True)
    outer = outer_loop(inner)
    model = randomized(Sequential([Masking(), outer] if masked else [outer]))
    x = X * MASK[..., None] if masked else X
    expected = both_by_numpy(
        model.get_weights(), x, MASK if masked else None, last=np.square
    )
    assert close(model.predict(x), expected)


@pytest.mark.parametrize("masked", [False, True])
def test_a_loop_in_a_loop_in_a_loop_runs(masked):
    middle = Recurrent(n_steps=2)
    middle.add_input("c", dim=3, is_sequence=False)
    middle.add_node(inner_loop(), "n", input="m_tm1")
    middle.add_node(
        Dense(6, 3, activation="tanh"), "m", input=["c", "n"], create_output=True
    )
    outer = outer_loop(middle)
    model = randomized(Sequential([Masking(), outer] if masked else [outer]))
    x = X * MASK[..., None] if masked else X
    W, b, U, e, V, d = model.get_weights()
    s, steps = np.zeros((BATCH, 3)), []
    for t in range(TIME):
        m = np.zeros((BATCH, 3))
        for _ in range(2):
            a = np.zeros((BATCH, 3))
            for _ in range(4):
                a = np.tanh(np.concatenate([m, a], axis=1) @ W + b)
            m = np.tanh(np.concatenate([s, a], axis=1) @ U + e)
        new = np.concatenate([x[:, t], m], axis=1) @ V + d
        s = np.where(MASK[:, t, None], new, s) if masked else new
        steps.append(s)
    assert close(model.predict(x), np.stack(steps, axis=1))


@pytest.mark.parametrize("masked", [False, True])
def test_an_inner_loop_over_the_outer_context_and_from_the_outer_state_runs(masked):
    """The words of a memory are read anew at every step, from where the step before ended."""
    inner = Recursive()
    inner.add_input("word", dim=3)
    inner.add_state("a", dim=3)
    inner.set_state_from("a", "start")
    inner.add_node(
        RecurrentGRU(3, 3),
        "f",
        input={"input": "word", "prev_hid": "a"},
        return_state="a",
        create_output=True,
    )
    outer = Recursive(return_sequences=True)
    outer.add_input("x", dim=2)
    outer.add_input("memory", ndim=3, dim=3, is_sequence=False)
    outer.add_state("s", dim=3)
    outer.add_node(inner, "n", input={"word": "memory", "start": "s"})
    outer.add_node(
        Dense(5, 3, activation="tanh"), "f", inputs=["x", "n"], return_state="s"
    )
    outer.add_output("o", input="f")
    graph = Graph()
    graph.add_input("x", ndim=3, dim=2)
    graph.add_input("y", ndim=3, dim=3)
    graph.add_node(Activation("tanh"), "t", input="y")
    graph.add_node(Masking(), "m", input="t")
    memory = "m" if masked else "t"
    graph.add_node(
        outer, "loop", input={"x": "x", "memory": memory}, create_output=True
    )
    randomized(graph)
    there = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])
    y = rng_of(3).normal(size=(BATCH, 4, 3)) * there[..., None]
    *cell, V, d = graph.get_weights()
    s, steps = np.zeros((BATCH, 3)), []
    for t in range(TIME):
        n = gru(cell, np.tanh(y), there if masked else None, start=s)[:, -1]
        s = np.tanh(np.concatenate([X[:, t], n], axis=1) @ V + d)
        steps.append(s)
    found = graph.predict({"x": X, "y": y})["loop"]
    assert close(found, np.stack(steps, axis=1))


@pytest.mark.parametrize("masked", [False, True])
def test_an_inner_loop_that_starts_from_a_state_learns(masked):
    graph = graph_around(started_loop(), {"start": "s", "c": "c"}, masked=masked)
    graph.compile("sgd", {"loop": "mse"}, backend="python")
    x = X * MASK[..., None] if masked else X
    given = {"x": x, "v": rng_of(2).normal(size=(BATCH, 4))}
    target = np.ones((BATCH, TIME, 3))
    first = graph.train_on_batch(given | {"loop": target})
    assert graph.test_on_batch(given | {"loop": target}) < first


def test_an_inner_loop_that_reads_a_context_given_as_data_runs_behind_masking():
    outer = Recursive(return_sequences=True)
    outer.add_input("x", dim=2)
    outer.add_input("c", dim=3, is_sequence=False)
    outer.add_state("s", dim=3)
    outer.add_node(inner_loop(), "n", input="c")
    outer.add_node(Dense(8, 3), "f", inputs=["x", "n", "s"], return_state="s")
    outer.add_output("o", input="f")
    graph = Graph()
    graph.add_input("x", ndim=3, dim=2)
    graph.add_input("c", dim=3)
    graph.add_node(Masking(), "m", input="x")
    graph.add_node(outer, "l", input={"x": "m", "c": "c"}, create_output=True)
    randomized(graph)
    c = rng_of(2).normal(size=(BATCH, 3))
    x = X * MASK[..., None]
    W, b, V, d = graph.get_weights()
    a = np.zeros((BATCH, 3))
    for _ in range(4):
        a = np.tanh(np.concatenate([c, a], axis=1) @ W + b)
    s, steps = np.zeros((BATCH, 3)), []
    for t in range(TIME):
        new = np.concatenate([x[:, t], a, s], axis=1) @ V + d
        s = np.where(MASK[:, t, None], new, s)
        steps.append(s)
    found = graph.predict({"x": x, "c": c})["l"]
    assert close(found, np.stack(steps, axis=1))
