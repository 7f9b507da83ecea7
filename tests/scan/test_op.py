"""The reverse pass against scan's own gradient, on random networks; and what of it is in the loop."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.graph.traversal import ancestors
from pytensor.scan.op import Scan
from pytensor.tensor.blas import Dot22, Gemm
from pytensor.tensor.math import Dot

from recursive import (
    GRU,
    Activation,
    Dense,
    Lambda,
    MaxoutDense,
    Recurrent,
    Recursive,
    Reshape,
    Sequential,
    Teacher,
    backend,
    recipes,
)
from recursive.backend.compiling import compile_function
from recursive.scan import op
from recursive.scan.op import Reversible
from tests.cases import with_random_weights
from tests.loop.random_networks import random_network

NETWORKS, TOGETHER = 200, 10


def gradients(rnn, arrays, monkeypatch, repeat=None, sizes_known=True):
    """With respect to every weight and input, of a loss that weighs every value of every output.

    Known sizes make PyTensor's own gradient twice as fast to build; every fifth network learns them when it runs.
    """
    if repeat is not None:
        monkeypatch.setattr(op, "scan", repeat)
    given = {
        name: backend.tensor(
            name,
            str(array.dtype),
            array.shape
            if sizes_known
            else (None, None, *array.shape[2:])[: array.ndim],
        )
        for name, array in arrays.items()
    }
    outputs = rnn(given if len(given) > 1 else next(iter(given.values())))
    outputs = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
    rng = np.random.RandomState(1)
    loss = sum(
        (value * pt.as_tensor(rng.normal(size=value.type.shape[-1]))).sum() ** 2
        for value in outputs
    )
    wanted = [
        *rnn.params,
        *(value for name, value in given.items() if arrays[name].dtype.kind == "f"),
    ]
    monkeypatch.undo()
    return pt.grad(loss, wanted, disconnected_inputs="ignore"), {
        given[name]: value for name, value in arrays.items()
    }


@pytest.mark.compiled
@pytest.mark.parametrize("first", range(0, NETWORKS, TOGETHER))
@pytensor.config.change_flags(traceback__limit=0)
def test_it_equals_scans_own_gradient(first, monkeypatch):
    found, right, values = [], [], {}
    for seed in range(first, first + TOGETHER):
        rnn, arrays = random_network(seed)
        for repeat, group in ((None, found), (backend.scan, right)):
            ours, given = gradients(
                rnn, arrays, monkeypatch, repeat, sizes_known=seed % 5 > 0
            )
            group.extend(ours)
            values |= given
    computed = backend.evaluate([*found, *right], values)
    for ours, scans in zip(computed[: len(found)], computed[len(found) :], strict=True):
        assert np.abs(ours - scans).max() <= 1e-10 * max(1, np.abs(scans).max())


@pytest.mark.compiled
def test_most_random_networks_use_it():
    used = [
        seed
        for seed in range(NETWORKS)
        if any(
            variable.owner is not None and isinstance(variable.owner.op, Reversible)
            for variable in ancestors(outputs_of(random_network(seed)[0]))
        )
    ]
    assert len(used) > NETWORKS / 2


def outputs_of(rnn):
    found = rnn.get_output()
    return list(found.values()) if isinstance(found, dict) else [found]


def loops(outputs):
    """The scans of a compiled gradient by name."""
    function = compile_function([], outputs, [], "python")
    return {
        node.op.name: node.op
        for node in function.maker.fgraph.apply_nodes
        if isinstance(node.op, Scan)
    }


def test_the_way_back_makes_no_product_of_the_way_there_again():
    rnn = with_random_weights(recipes.lstm(4, 6))
    x = pt.as_tensor(np.ones((3, 5, 4)))
    ops = loops(pt.grad(rnn(x).sum(), rnn.params))
    assert set(ops) == {"recursive", "backward"}
    dots = [
        node
        for node in ops["backward"].fgraph.toposort()
        if isinstance(node.op, Dot | Dot22 | Gemm)
    ]
    assert len(dots) == 1, (
        "of the gates' gradients with the turned weights, made as one"
    )
    assert [node.outputs[0].type.shape[-1] for node in dots] == [6]


def gated(**options):
    """A gate, whose value is kept for the way back, two steps of the past, a bias."""
    rnn = Recursive(**options)
    rnn.add_input("x", dim=2)
    rnn.add_state("h", dim=3, initial=0.3)
    rnn.add_node(Dense(2 + 3, 3, activation="sigmoid"), "g", inputs=["x", "h_tm2"])
    rnn.add_node(Dense(2 + 3, 3, activation="tanh"), "new", inputs=["x", "h"])
    rnn.add_node(
        Activation("linear"),
        "rec",
        inputs=["g", "new"],
        merge_mode="mul",
        return_state="h",
        create_output=True,
    )
    return rnn


def differences(function, value):
    """The gradient of the first output of ``function``, by central differences."""
    step, measured = 1e-5, np.empty_like(value)
    for place in np.ndindex(value.shape):
        sides = [value.copy(), value.copy()]
        sides[0][place] += step
        sides[1][place] -= step
        up, down = (function(side)[0] for side in sides)
        measured[place] = (up - down) / (2 * step)
    return measured


@pytest.mark.parametrize(
    "build",
    [
        lambda: recipes.vanilla(2, 3),
        gated,
        lambda: gated(return_sequences=True),
        lambda: gated(return_final_states=True),
        lambda: gated(return_final_states=True, return_sequences=True),
        lambda: recipes.lstm(2, 3),
        lambda: Sequential([GRU(2, 3, return_sequences=True)]),
    ],
    ids=[
        "plain",
        "the last step",
        "all steps",
        "last step and states",
        "all steps and states",
        "LSTM",
        "GRU",
    ],
)
def test_it_has_a_gradient_itself(build):
    rnn = with_random_weights(build())
    x, value = pt.tensor3("x"), np.random.RandomState(0).normal(size=(2, 4, 2))
    outputs = rnn(x)
    outputs = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
    loss = (pt.grad(sum((output**2).sum() for output in outputs), x) ** 2).sum()
    function = compile_function([x], [loss, pt.grad(loss, x)], [], "python")
    expected = differences(function, value)
    assert np.abs(function(value)[1] - expected).max() <= 1e-7 * np.abs(expected).max()


def truncated():
    rnn = recipes.vanilla(2, 3)
    rnn.truncate_gradient = 2
    return rnn


def of_loops():
    """Each step runs a loop over two words that it makes of the past."""
    inner = Recurrent()
    inner.add_input("word", dim=2)
    inner.add_node(Dense(2 + 3, 3), "g", input=["word", "g_tm1"])
    rnn = Recurrent()
    rnn.add_input("x", dim=2)
    rnn.add_node(Dense(2 + 3, 4), "both", input=["x", "read_tm1"])
    rnn.add_node(Reshape(2, 2), "words", input="both")
    rnn.add_node(inner, "read", input="words")
    return rnn


def of_shares():
    """Each step weighs by a softmax of what it remembers."""
    rnn = Recurrent()
    rnn.add_input("x", dim=2)
    rnn.add_node(Dense(2 + 3, 3, activation="softmax"), "share", input=["x", "h_tm1"])
    rnn.add_node(Activation("tanh"), "h", inputs=["share", "h_tm1"], merge_mode="sum")
    return rnn


def of_features():
    """Each step takes the largest of several features."""
    rnn = Recurrent()
    rnn.add_input("x", dim=2)
    rnn.add_node(MaxoutDense(2 + 3, 3, nb_feature=2), "h", input=["x", "h_tm1"])
    return rnn


def of_own(function):
    """Each step calls a function of one's own."""
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=2)
    rnn.add_node(Dense(2 + 3, 3), "d", input=["x", "h_tm1"])
    rnn.add_node(Lambda(function), "h", input="d", create_output=True)
    return rnn


def turned(d):
    """Rows are cut at a place that is a tensor."""
    return pt.roll(pt.tanh(d), 1, axis=0)


def picked(d):
    """Of the values above zero there are more at one step than at another."""
    return pt.set_subtensor(d[(d > 0).nonzero()], 0.5)


def masked(d):
    return pt.tanh(d + d[d > 0].sum())


def counted(d):
    """scan would repeat a single kept value as often as there were more at another step."""
    return pt.tanh(d + pt.tanh(pt.alloc(d[0, 0], (d > 0).sum())).sum())


OWN = [
    (turned, lambda d: np.roll(np.tanh(d), 1, axis=0)),
    (picked, lambda d: np.where(d > 0, 0.5, d)),
    (masked, lambda d: np.tanh(d + d[d > 0].sum())),
    (counted, lambda d: np.tanh(d + (d > 0).sum() * np.tanh(d[0, 0]))),
]


@pytest.mark.parametrize(("function", "formula"), OWN)
def test_a_loop_that_reads_at_places_which_it_computes_has_values_and_a_gradient(
    function, formula
):
    rnn, x = with_random_weights(of_own(function)), pt.tensor3("x")
    found = rnn(x)
    compiled = compile_function(
        [x], [(found**2).sum(), pt.grad((found**2).sum(), x), found], [], "python"
    )
    W, b = rnn.get_weights()
    for rows in (1, 4):
        value, h, states = (
            np.random.RandomState(rows).normal(size=(rows, 3, 2)),
            np.zeros((rows, 3)),
            [],
        )
        for t in range(3):
            h = formula(np.concatenate([value[:, t], h], axis=1) @ W + b)
            states.append(h)
        np.testing.assert_allclose(
            compiled(value)[2], np.stack(states, axis=1), rtol=1e-12
        )
        expected = differences(compiled, value)
        assert (
            np.abs(compiled(value)[1] - expected).max() <= 1e-7 * np.abs(expected).max()
        )


def test_a_loop_whose_step_has_no_gradient_predicts():
    rnn = of_own(lambda d: d * pt.unique(pt.round(pt.tanh(d) * 0)).sum() + 1)
    assert (
        rnn.get_output().eval({rnn.get_input(): np.ones((4, 3, 2))}).tolist()
        == np.ones((4, 3, 3)).tolist()
    )


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: recipes.vanilla(2, 3), True),
        (of_shares, True),
        (of_features, True),
        (truncated, False),
        (of_loops, False),
        *((lambda function=function: of_own(function), False) for function, _ in OWN),
    ],
    ids=[
        "plain",
        "softmax",
        "maxout",
        "truncated",
        "a loop inside",
        *(function.__name__ for function, _ in OWN),
    ],
)
def test_a_loop_that_is_truncated_or_holds_one_or_reads_at_computed_places_has_scans_own_gradient(
    build, expected
):
    used = any(
        variable.owner is not None and isinstance(variable.owner.op, Reversible)
        for variable in ancestors(outputs_of(build()))
    )
    assert used is expected


# Operations over several axes inside a step


def over_middle_axis(function):
    return lambda v: function(v, axis=1, keepdims=True)


def pairwise(v):
    return (v[:, :, None, :] * v[:, None, :, :]).sum(axis=2)


def attention(v):
    scores = pt.matmul(v, v.dimshuffle(0, 2, 1))
    return pt.matmul(pt.special.softmax(scores, axis=-1), v)


THREE_AXES = {
    "softmax over the last axis": lambda v: pt.special.softmax(v, axis=-1),
    "softmax over the middle axis": lambda v: pt.special.softmax(v, axis=1),
    "logarithm of softmax": lambda v: pt.special.log_softmax(v, axis=1),
    "softmax of softmax": lambda v: pt.special.softmax(
        pt.special.softmax(v, axis=-1) * 3, axis=1
    ),
    "attention": attention,
    "a difference from the maximum": lambda v: v - over_middle_axis(pt.max)(v),
    "a product with the mean": lambda v: v * over_middle_axis(pt.mean)(v),
    "a cumulated sum": lambda v: pt.cumsum(v, axis=1),
    "sorted values": lambda v: pt.sort(v, axis=1),
    "places in order": lambda v: v * pt.argsort(v, axis=1),
    "the place of the maximum": lambda v: v * pt.argmax(v, axis=1)[:, None],
    "turned axes": lambda v: v.dimshuffle(0, 2, 1).reshape((v.shape[0], 3, 2)),
    "broadcast values": lambda v: v * v[:, :1],
    "four axes": pairwise,
    "rolled values": lambda v: pt.roll(v, 1, axis=1),
}


def with_three_axes(function, **settings):
    """A loop whose state is fed by ``function`` of ``(batch, 3, 2)``."""
    rnn = Recursive(return_sequences=True, **settings)
    rnn.add_input("x", dim=2)
    rnn.add_state("h", dim=3)
    rnn.add_node(Dense(5, 6, seed=1), "a", inputs=["x", "h"])
    rnn.add_node(Reshape(3, 2), "rows", input="a")
    rnn.add_node(Lambda(function), "b", input="rows")
    rnn.add_node(Reshape(6), "flat", input="b")
    rnn.add_node(
        Dense(6, 3, activation="tanh", seed=2),
        "c",
        input="flat",
        return_state="h",
        create_output=True,
    )
    return rnn


def loss_and_gradients(rnn, x, weighed, shape):
    given = pt.TensorType("float64", shape=shape)("x")
    loss = (rnn(given) * weighed).sum()
    return backend.evaluate(
        [loss, *pt.grad(loss, [given, *rnn.params])], {given: x}, "python"
    )


@pytest.mark.parametrize("function", THREE_AXES.values(), ids=THREE_AXES)
def test_its_gradient_through_values_of_three_axes_is_right(function):
    rng = np.random.default_rng(3)
    x, weighed = rng.normal(size=(2, 3, 2)), rng.normal(size=(2, 3, 3))
    rnn = with_three_axes(function)

    found = loss_and_gradients(rnn, x, weighed, (None, None, 2))

    unrolled = with_three_axes(function, n_steps=3, unroll=True)
    right = loss_and_gradients(unrolled, x, weighed, (None, 3, 2))
    for ours, other in zip(found, right, strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-10)

    # Central differences, along one direction in the data.
    given = pt.TensorType("float64", shape=(None, None, 2))("x")
    loss = (rnn(given) * weighed).sum()
    direction, step = rng.normal(size=x.shape), 1e-6
    [after] = backend.evaluate([loss], {given: x + step * direction}, "python")
    [before] = backend.evaluate([loss], {given: x - step * direction}, "python")
    np.testing.assert_allclose(
        (found[1] * direction).sum(),
        (after - before) / (2 * step),
        rtol=1e-5,
        atol=1e-8,
    )


def test_a_dense_with_softmax_over_rows_of_a_state_learns():
    rnn = Recursive()
    rnn.add_input("x", dim=2)
    rnn.add_state("h", dim=4)
    rnn.add_node(Dense(6, 6), "a", inputs=["x", "h"])
    rnn.add_node(Reshape(3, 2), "rows", input="a")
    rnn.add_node(Dense(2, 2, activation="softmax"), "scores", input="rows")
    rnn.add_node(Reshape(6), "flat", input="scores")
    rnn.add_node(Dense(6, 4), "c", input="flat", return_state="h", create_output=True)
    model = Sequential([rnn])
    model.compile("sgd", "mse", backend="python")
    x, y = np.ones((2, 3, 2)), np.zeros((2, 4))
    first = model.train_on_batch(x, y)
    assert model.train_on_batch(x, y) < first


def test_a_parameter_that_a_step_only_compares_has_a_gradient_of_zeros():
    """It is the same at all steps, and so has no axis of time to sum over."""
    rnn = Recursive()
    rnn.add_input("truth", dim=2)
    rnn.add_state("h", dim=2)
    ports = {"truth": "truth", "prediction": "h"}
    rnn.add_node(Teacher(0.5), "read", input=ports)
    rnn.add_node(
        Lambda(lambda v: 2 * v),
        "next",
        input="read",
        return_state="h",
        create_output=True,
    )
    truth = np.arange(12.0).reshape(3, 2, 2)
    chance = np.array([[[0.1], [0.9]], [[0.9], [0.1]], [[0.9], [0.9]]])
    given = backend.tensor("truth", "float64", (3, None, 2))
    output = rnn(given, train=True, **{"read.chance": chance})
    [rate] = rnn.params
    found = backend.evaluate(
        pt.grad(output.sum(), [given, rate]), {given: truth}, "python"
    )
    # The first row doubles its first truth twice, the second its last once.
    expected = np.zeros((3, 2, 2))
    expected[0, 0] = 4
    expected[1, 1] = 2
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[1], [0.0])
