"""What runs before and after the loop, against NumPy arrays that are shifted, repeated and cut by hand."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from recursive import Dense, Dropout, Identity, Lambda
from recursive.backend import evaluate
from recursive.loop.call import Call, Value
from recursive.loop.outside import (
    is_steady,
    look_back,
    repeated,
    run_over_time,
    without_early_gradient,
)
from recursive.spec.graph import LayerSpec, NodeSpec, PortSpec
from recursive.spec.names import Ref, parse
from tests.spec.building import node

TIME, BATCH, DIM = 5, 3, 4
X = np.random.RandomState(0).normal(size=(TIME, BATCH, DIM))
C = np.random.RandomState(1).normal(size=(BATCH, 2))


def shifted(x, lag, before):
    return np.stack(
        [
            x[t - lag] if t >= lag else before[len(before) + t - lag]
            for t in range(len(x))
        ]
    )


@pytest.mark.parametrize("lag", [0, 1, 2, TIME - 1, TIME, TIME + 2])
def test_a_look_back_begins_with_zeros_or_with_the_last_rows_that_were_there(lag):
    zeros, before = (
        np.zeros((TIME + 3, BATCH, DIM)),
        np.random.RandomState(2).normal(size=(TIME + 3, BATCH, DIM)),
    )
    x = pt.tensor3("x")
    for found, start in (
        (look_back(x, lag), zeros),
        (look_back(x, lag, pt.constant(before)), before),
    ):
        assert np.array_equal(evaluate([found], {x: X})[0], shifted(X, lag, start))


def test_a_look_back_keeps_whole_numbers_whole():
    words = pt.constant(np.arange(15).reshape(5, 3))
    assert look_back(words, 2).dtype == words.dtype
    assert look_back(words, 2).eval().tolist() == [
        [0] * 3,
        [0] * 3,
        [0, 1, 2],
        [3, 4, 5],
        [6, 7, 8],
    ]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("steps", "passing"), [(-1, 5), (1, 1), (2, 2), (5, 5), (9, 5)]
)
def test_a_gradient_passes_at_the_last_steps_only_and_values_stay(
    steps, passing, known
):
    x = pt.tensor("x", shape=(TIME, BATCH, DIM)) if known else pt.tensor3("x")
    cut = without_early_gradient(x, steps, TIME if known else x.shape[0])
    values, gradient = evaluate([cut, pytensor.grad((cut * X).sum(), x)], {x: X})
    assert np.array_equal(values, X)
    assert np.array_equal(
        gradient, np.where(np.arange(TIME)[:, None, None] >= TIME - passing, X, 0)
    )


@pytest.mark.parametrize(
    ("text", "steady"), [("c", True), ("x", False), ("c_tm1", False), ("x_tm1", False)]
)
def test_the_past_of_what_is_the_same_at_every_step_is_not(text, steady):
    """It starts from what was there before."""
    assert is_steady(parse(text), {"c"}) == steady


def over_time(nodes, layers, given, steady=(), train=False):
    env = {ref: Value(pt.constant(value)) for ref, value in given.items()}
    call = Call(train)
    run_over_time(tuple(nodes), layers, env, steady, (TIME, BATCH), call)
    return {str(ref): value.tensor.eval() for ref, value in env.items()}


def test_every_step_of_every_row_is_a_row_of_one_call():
    calls = []

    def seen(x):
        calls.append(x.type.shape)
        return x[:, :1] + 10 * x[:, 1:2]

    found = over_time(
        [node("a", "x", "x_tm1"), node("b", "a", "x", mode="mul")],
        {"a": Lambda(seen), "b": Identity()},
        {Ref("x"): X, Ref("x", -1): shifted(X, 1, np.zeros((1, BATCH, DIM)))},
    )
    assert calls == [(TIME * BATCH, 2 * DIM)]
    assert np.abs(found["a"] - (X[..., :1] + 10 * X[..., 1:2])).max() < 1e-15
    assert np.abs(found["b"] - (X[..., :1] + 10 * X[..., 1:2]) * X).max() < 1e-14


def test_what_is_steady_is_computed_once_and_repeated_for_those_that_are_not():
    calls = []

    def twice(c):
        calls.append(c.type.shape)
        return 2 * c

    found = over_time(
        [node("once", "c"), node("a", "x", "once", "c")],
        {"once": Lambda(twice), "a": Identity()},
        {Ref("x"): X, Ref("c"): C},
        steady={"c", "once"},
    )
    assert calls == [(BATCH, 2)]
    assert np.array_equal(found["once"], 2 * C)
    same = np.stack([C] * TIME)
    assert np.array_equal(found["a"], np.concatenate([X, 2 * same, same], axis=-1))
    assert np.array_equal(repeated(pt.constant(C), TIME).eval(), same)


def test_the_past_of_a_steady_value_is_read_step_by_step():
    past = np.random.RandomState(4).normal(size=(TIME, BATCH, 2))
    found = over_time(
        [node("a", "c_tm1")],
        {"a": Identity()},
        {Ref("c"): C, Ref("c", -1): past},
        steady={"c"},
    )
    assert np.array_equal(found["a"], past)


def test_a_draw_of_all_steps_meets_the_step_that_it_is_for():
    keep = np.random.RandomState(5).uniform(size=(TIME, BATCH, DIM))
    given = {Ref("x"): X, Ref("drop.keep"): keep}
    found = over_time(
        [node("drop", "x", layer="Dropout")], {"drop": Dropout(0.4)}, given, train=True
    )
    assert np.abs(found["drop"] - X * (keep >= 0.4) / 0.6).max() < 1e-15


def test_values_of_any_number_of_axes_and_of_several_outputs_come_back_in_time():
    images = np.random.RandomState(6).normal(size=(TIME, BATCH, 2, DIM))
    words = np.arange(TIME * BATCH).reshape(TIME, BATCH)
    dense = Dense(DIM, 6)
    both = Lambda(
        lambda x: {
            "output": 2 * x["image"],
            "sum": x["image"].sum(axis=(1, 2)) + x["word"],
        }
    )
    ports = (PortSpec("image", (Ref("image"),)), PortSpec("word", (Ref("word"),)))
    found = over_time(
        [
            NodeSpec("both", LayerSpec("Lambda"), ports, ("output", "sum")),
            node("d", "both"),
        ],
        {"both": both, "d": dense},
        {Ref("image"): images, Ref("word"): words},
    )
    assert np.array_equal(found["both"], 2 * images)
    assert np.abs(found["both.sum"] - images.sum(axis=(2, 3)) - words).max() < 1e-12
    assert np.abs(found["d"] - 2 * images @ dense.W.get_value()).max() < 1e-12
