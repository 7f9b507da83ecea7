"""What this library changes in PyTensor computes what PyTensor meant to."""

import numpy as np
import pytensor.tensor as pt
import pytest
from pytensor.graph.replace import vectorize_graph
from pytensor.graph.traversal import ancestors
from pytensor.tensor.blockwise import Blockwise

from recursive import Dense, Lambda, Recurrent, backend
from recursive.backend import rewrites
from recursive.conformance import runner
from recursive.conformance.adapters import pytensor as adapters
from tests.agreement.test_cases import COMPILER, JAX

STEPS = np.random.RandomState(1).normal(size=(5, 3, 10))


def cut_at_every_step(axis, sizes, given):
    """The parts of ``STEPS``, and whether they were cut step by step."""
    step, over_time = (
        pt.tensor("step", shape=(3, 10)),
        pt.tensor("over_time", shape=(5, 3, 10)),
    )
    parts = vectorize_graph(
        pt.split(step, sizes, n_splits=2, axis=axis), {step: over_time}
    )
    step_by_step = any(
        value.owner and isinstance(value.owner.op, Blockwise)
        for value in ancestors(parts)
    )
    return backend.evaluate(parts, {over_time: STEPS, **given}, "python"), step_by_step


@pytest.mark.parametrize(("axis", "sizes"), [(1, [4, 6]), (-1, [4, 6]), (0, [1, 2])])
def test_what_is_cut_alike_at_every_step_is_cut_in_one_operation(axis, sizes):
    parts, step_by_step = cut_at_every_step(axis, sizes, {})
    assert not step_by_step
    for found, expected in zip(
        parts, np.split(STEPS, sizes[:1], axis=1 + axis % 2), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_what_is_the_same_at_every_step_is_put_beside_what_is_not(axis):
    """In one operation on PyTensor 3.0, where JAX cannot compile it step by step."""
    step, fixed, over_time = (
        pt.tensor(name, shape=shape)
        for name, shape in (
            ("step", (3, 10)),
            ("fixed", (3, 10)),
            ("over_time", (5, None, 10)),
        )
    )
    [whole] = vectorize_graph(
        [pt.concatenate([fixed, step, fixed], axis=axis)], {step: over_time}
    )
    step_by_step = any(
        value.owner and isinstance(value.owner.op, Blockwise)
        for value in ancestors([whole])
    )
    assert rewrites.VERSION >= (3, 1) or not step_by_step
    same = np.random.RandomState(2).normal(size=(3, 10))
    [found] = backend.evaluate([whole], {over_time: STEPS, fixed: same}, "python")
    np.testing.assert_array_equal(
        found, [np.concatenate([same, values, same], axis=axis) for values in STEPS]
    )


@pytest.mark.parametrize("sizes", [(5, 1), (1, 5), (1, 1)])
def test_what_is_put_side_by_side_at_every_step_may_have_one_step_for_all(sizes):
    names = ("a", "b", "fixed")
    a, b, fixed = (pt.tensor(name, shape=(3, 10)) for name in names)
    steps = [
        pt.tensor(name, shape=(size, 3, 10))
        for name, size in zip(names, sizes, strict=False)
    ]
    [whole] = vectorize_graph(
        [pt.concatenate([a, fixed, b], axis=1)], dict(zip((a, b), steps, strict=True))
    )
    first, second, same = (
        np.random.RandomState(seed).normal(size=(size, 3, 10))
        for seed, size in enumerate((*sizes, 1))
    )
    [found] = backend.evaluate(
        [whole], {steps[0]: first, steps[1]: second, fixed: same[0]}, "python"
    )
    wide = (max(sizes), 3, 10)
    np.testing.assert_array_equal(
        found,
        np.concatenate(
            [np.broadcast_to(value, wide) for value in (first, same, second)], axis=2
        ),
    )


def test_what_is_cut_at_places_that_are_not_known_before_is_cut_all_the_same():
    sizes = pt.lvector("sizes")
    parts, _ = cut_at_every_step(1, sizes, {sizes: np.array([4, 6])})
    for found, expected in zip(parts, np.split(STEPS, [4], axis=2), strict=True):
        np.testing.assert_array_equal(found, expected)


@COMPILER
@pytest.mark.parametrize(
    "name", ["legacy2015/gru-last-trunc3", "legacy2015/jzs1-square-last-trunc3"]
)
def test_a_truncated_gradient_is_of_its_last_steps_on_c(name):
    runner.check(name, adapters.C())


@JAX
@pytest.mark.parametrize("axes", [(0, 1, 2), (0,), (1,), (0, 2)])
def test_the_gradient_of_a_maximum_on_jax_goes_to_each_of_the_largest(axes):
    values = np.random.RandomState(0).randint(9, size=(3, 4, 5)).astype("float64")
    x, weights = (
        pt.tensor("x", shape=values.shape),
        np.random.RandomState(1).normal(size=values.shape),
    )
    largest = x.max(axis=None if len(axes) == 3 else axes, keepdims=True)
    [found, own] = backend.evaluate(
        [pt.grad((largest * weights).sum(), x), pt.eq(x, largest)], {x: values}, "jax"
    )
    are_largest = values == values.max(axis=axes, keepdims=True)
    np.testing.assert_array_equal(own, are_largest)
    np.testing.assert_allclose(
        found, are_largest * weights.sum(axis=axes, keepdims=True), rtol=1e-12
    )


@JAX
@pytest.mark.parametrize(
    "function",
    [
        lambda x: pt.eq(
            x.max(axis=1), x
        ),  # each column with the maximum of another row
        lambda x: pt.eq(x.max(axis=-1, keepdims=True), x),
        lambda x: pt.eq(x.max(axis=-1, keepdims=True), x.T),
        lambda x: pt.eq((x > 1).astype("int32"), (x > 1).astype("int32").max(axis=0)),
        lambda x: pt.eq(x.max(), x),
    ],
)
def test_what_is_equal_to_a_maximum_on_jax_is_so_in_a_formula_of_ones_own(function):
    x = pt.tensor("x", shape=(3, 3))
    for values in (
        np.random.RandomState(0).normal(size=(3, 3)),
        np.array([[1.0, 2, 2], [3, 3, 3], [0, np.nan, 0]]),
    ):
        [python], [jax] = (
            backend.evaluate([function(x)], {x: values}, name)
            for name in ("python", "jax")
        )
        np.testing.assert_array_equal(jax, python)


@JAX
def test_the_gradient_of_a_maximum_is_not_lost_where_xla_computes_the_values_again():
    rnn = Recurrent(n_steps=2, unroll=True)
    rnn.add_input("x", dim=2)
    rnn.add_node(
        Dense(8, 6, activation="tanh", bias=False), "z", input=["x", "u_tm1", "q_tm1"]
    )
    rnn.add_node(Lambda(lambda z: z[:, :3] - z[:, :3].mean(axis=0)), "u", input="z")
    rnn.add_node(Lambda(lambda u: u.max(axis=1, keepdims=True)), "top", input="u_tm1")
    rnn.add_node(
        Lambda(lambda both: pt.tanh(both["z"][:, 3:] + both["q_tm1"] * both["top"])),
        "q",
        input=["z", "q_tm1", "top"],
        merge_mode="join",
    )
    rnn.add_output("both", ["u", "q"])
    rnn.build()
    x, given = (
        pt.tensor(name, shape=shape)
        for name, shape in (("x", (3, 2, 2)), ("given", (3, 6)))
    )
    gradient = pt.grad((rnn(x) * given).sum(), rnn.params)
    for seed in range(8):
        rng = np.random.RandomState(seed)
        rnn.set_weights([rng.normal(size=(8, 6))])
        values = {x: rng.normal(size=(3, 2, 2)), given: rng.normal(size=(3, 6))}
        [python], [jax] = (
            backend.evaluate(gradient, values, name) for name in ("python", "jax")
        )
        np.testing.assert_allclose(jax, python, rtol=1e-7, atol=1e-12)
