"""Every case of the table, through every path: the compiled container, its own step, its gradient, each backend."""

import contextlib

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from recursive import (
    SGD,
    Dense,
    Dropout,
    Lambda,
    Recursive,
    Sequential,
    SimpleRNN,
    backend,
)
from recursive.backend import choose, rewrites
from recursive.errors import BackendError
from tests.cases import CASES, HIDDEN, IN, TIME, with_random_weights

EPSILON = 1e-6


def prepared(case):
    rnn, inputs = case.build(), case.inputs(np.random.RandomState(3))
    rnn.build({name: (None, *array.shape[1:]) for name, array in inputs.items()})
    return with_random_weights(rnn), inputs


def expected_of(case, rnn, inputs):
    return case.oracle(
        {name: param.get_value() for name, param in rnn.named_params.items()}, inputs
    )


def tolerance(expected, limit=1e-12):
    return limit * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_container_equals_a_numpy_loop(case):
    rnn, inputs = prepared(case)
    outputs = rnn.predict(inputs)
    expected = expected_of(case, rnn, inputs)
    assert list(outputs) == list(expected)
    for name, sequence in expected.items():
        assert outputs[name].shape == sequence.shape
        assert np.abs(outputs[name] - sequence).max() <= tolerance(sequence)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_without_return_sequences_only_the_last_step_is_returned(case):
    rnn, inputs = prepared(case)
    expected = expected_of(case, rnn, inputs)
    rnn.return_sequences = False
    for name, last in rnn.predict(inputs).items():
        assert np.abs(last - expected[name][:, -1]).max() <= tolerance(expected[name])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_step_called_by_hand_in_a_loop_gives_the_same_numbers(case):
    """``_step`` takes its arguments in the order that ``plan.arguments`` promises, and nothing else."""
    rnn, inputs = prepared(case)
    arguments = rnn.declared_plan.per_step
    dtypes = {name: array.dtype for name, array in inputs.items()}
    dtypes |= {state.name: "int32" for state in rnn.spec.states if state.dtype == "int"}
    symbols = [
        pytensor.tensor.TensorType(
            dtypes.get(ref.name, "float64"), (None,) * _rank(rnn, ref.name)
        )()
        for ref in arguments
    ]
    step = backend.Program(
        [
            backend.Argument(str(ref), symbol.dtype, symbol.type.shape)
            for ref, symbol in zip(arguments, symbols, strict=True)
        ],
        lambda args: (rnn._step(*args), []),
        "python",
    )
    names = [name for node in rnn.spec.nodes for name in node.values]
    feeds = {state.node: state.name for state in rnn.declared_plan.recurrences}
    past = {
        state.name: first_rows(state, rnn.shapes[state.name][-1])
        for state in rnn.declared_plan.recurrences
    }
    sequences = {name: inputs[name] for name in rnn.sequence_names}
    seen = {name: [np.zeros_like(array[:, 0])] * 4 for name, array in sequences.items()}
    found = {name: [] for name in names}
    for t in range(TIME):
        for name, array in sequences.items():
            seen[name].append(array[:, t])
        values = [
            seen[ref.name][ref.tap - 1]
            if ref.name in seen
            else past[ref.name][ref.tap]
            if ref.tap
            else inputs[ref.name]
            for ref in arguments
        ]
        for name, value in zip(names, step(*values), strict=True):
            found[name].append(value)
            if name in feeds:
                past[feeds[name]].append(value)
    for name, sequence in expected_of(case, rnn, inputs).items():
        if name in found:
            assert np.abs(np.stack(found[name], axis=1) - sequence).max() <= tolerance(
                sequence
            )


def first_rows(state, dim):
    """The rows before the first step, oldest first, zeros in front of those that were given."""
    if state.dtype == "int":  # one number per row
        numbers = np.array(state.initial, ndmin=1, dtype="int32")
        return [np.zeros(3, "int32")] * 4 + [np.full(3, number) for number in numbers]
    rows = np.array(state.initial, ndmin=2) * np.ones((1, dim))
    return [np.zeros((3, dim))] * 4 + [np.tile(row, (3, 1)) for row in rows]


def _rank(rnn, name):
    return len(rnn.shapes[name])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_equal_central_differences(case):
    rnn, inputs = prepared(case)
    given = rnn.get_input()
    given = given if isinstance(given, dict) else {rnn.spec.inputs[0].name: given}
    outputs = rnn.get_output()
    outputs = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
    rng = np.random.RandomState(5)
    loss = sum(
        (output * rng.normal(size=(TIME, output.type.shape[-1]))).sum()
        for output in outputs
    )
    continuous = [
        variable for variable in given.values() if variable.dtype == "float64"
    ]
    wrt = [*rnn.params, *continuous]
    values = dict(zip(given.values(), inputs.values(), strict=True))
    program = backend.Program(
        [backend.Argument(v.name, v.dtype, v.type.shape) for v in values],
        lambda args: (_at(args, list(values), [loss, *pytensor.grad(loss, wrt)]), []),
        "python",
    )
    _, *gradients = program(*inputs.values())
    for variable, gradient in zip(wrt, gradients, strict=True):
        for index in _some_indices(gradient.shape, rng):
            high, low = (
                _nudged(program, rnn, inputs, variable, index, sign * EPSILON)
                for sign in (1, -1)
            )
            assert abs((high - low) / (2 * EPSILON) - gradient[index]) < 1e-6 * max(
                1, abs(gradient[index])
            )


def _at(args, symbols, outputs):
    return pytensor.graph.replace.clone_replace(
        outputs, dict(zip(symbols, args, strict=True))
    )


def _some_indices(shape, rng, count=3):
    flat = rng.choice(
        int(np.prod(shape)), size=min(count, int(np.prod(shape))), replace=False
    )
    return [np.unravel_index(index, shape) for index in flat]


def _nudged(program, rnn, inputs, variable, index, by):
    if variable in rnn.params:
        before = variable.get_value()
        after = before.copy()
        after[index] += by
        variable.set_value(after)
        loss = program(*inputs.values())[0]
        variable.set_value(before)
        return loss
    moved = {name: array.copy() for name, array in inputs.items()}
    moved[variable.name][index] += by
    return program(*moved.values())[0]


def installed(name):
    try:
        return choose.resolve_backend(name) == name
    except BackendError:
        return False


JAX = pytest.mark.skipif(
    not installed("jax"), reason="JAX is an extra and is not installed here"
)
COMPILER = pytest.mark.skipif(not installed("c"), reason="there is no C compiler here")


@JAX
@pytest.mark.parametrize("case", CASES, ids=str)
def test_jax_equals_the_numpy_loop(case):
    _check_backend(case, "jax")


@pytest.mark.parametrize("case", CASES[:1], ids=str)
def test_numba_equals_the_numpy_loop(case):
    _check_backend(case, "numba")


@COMPILER
@pytest.mark.parametrize("case", CASES[:1], ids=str)
def test_c_equals_the_numpy_loop(case):
    _check_backend(case, "c")


def _check_backend(case, name):
    rnn, inputs = prepared(case)
    rnn.compile(backend=name)
    expected = expected_of(case, rnn, inputs)
    for output, sequence in rnn.predict(inputs).items():
        assert np.abs(sequence - expected[output]).max() <= tolerance(
            expected[output], 1e-10
        )


@JAX
def test_a_truncated_gradient_that_jax_cannot_cut_names_the_backends_that_can():
    model = Sequential([SimpleRNN(IN, HIDDEN, truncate_gradient=2)])
    losses = []
    for name in ("python", "jax"):
        model.compile("sgd", "mse", backend=name)
        with (
            contextlib.nullcontext()
            if name == "python"
            else pytest.raises(BackendError, match="numba, c or python")
        ):
            losses.append(
                model.train_on_batch(np.ones((3, TIME, IN)), np.ones((3, HIDDEN)))
            )
    assert len(losses) == 1


@JAX
@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda v: pt.set_subtensor(v[(v > 0).nonzero()], 0.5), "[Nn]onzero"),
        (lambda v: v * v[v > 0].sum(), "boolean indices must be concrete"),
        (
            lambda v: (
                v * v[:, : 1 + (v.sum() > 0).astype("int64")].sum(axis=1, keepdims=True)
            ),
            "must (be|have) static",
        ),
        (
            lambda v: v + pt.repeat(v[0], (v[0] > 0).astype("int64")).sum(),
            "Abstract tracer value",
        ),
        pytest.param(
            lambda v: v * pt.prod(v, axis=1, keepdims=True),
            "no attribute 'mul_without_zeros'",
            marks=(
                pytest.mark.skipif(
                    rewrites.VERSION >= (3, 1),
                    reason="later PyTensors have the gradient of prod on JAX",
                )
            ),
        ),
    ],
)
def test_an_operation_that_jax_has_not_names_the_backends_that_have_it(function, words):
    rnn = Recursive()
    rnn.add_input("x", dim=IN)
    rnn.add_node(Dense(IN, HIDDEN), "d", input="x")
    rnn.add_node(
        Lambda(function, output_dim=HIDDEN), "y", input="d", create_output=True
    )
    rnn.compile("sgd", "mse", backend="jax")
    with pytest.raises(BackendError, match=rf"got .*{words}.*numba, c or python"):
        rnn.train_on_batch(np.ones((3, TIME, IN)), np.ones((3, HIDDEN)))


@JAX
def test_what_a_step_makes_of_a_context_trains_beside_what_it_has_read_on_jax():
    trained = []
    for name in ("python", "jax"):
        rnn = Recursive()
        rnn.add_input("x", dim=2)
        rnn.add_input("c", dim=4, is_sequence=False)
        rnn.add_state("h", dim=3)
        rnn.add_node(Lambda(lambda c: 2 * c), "twice", input="c")
        rnn.add_node(
            Dense(9, 3, activation="tanh", seed=1),
            "y",
            inputs=["x", "h", "twice"],
            return_state="h",
            create_output=True,
        )
        rnn.compile(SGD(lr=0.5), "mse", backend=name)
        rng = np.random.RandomState(0)
        rnn.train_on_batch(
            {"x": rng.normal(size=(3, 2, 2)), "c": rng.normal(size=(3, 4))},
            rng.normal(size=(3, 3)),
        )
        trained.append(rnn.get_weights())
    for python, jax in zip(*trained, strict=True):
        np.testing.assert_allclose(jax, python, atol=1e-6)


@JAX
def test_dropout_in_a_loop_trains_on_jax():
    rnn = Recursive()
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(Dropout(0.5, seed=1), "drop", input="x")
    rnn.add_node(
        Dense(HIDDEN, activation="tanh"),
        "rec",
        inputs=["drop", "h"],
        return_state="h",
        create_output=True,
    )
    rnn.compile(SGD(lr=0.5), "mse", backend="jax")
    x, y = np.ones((3, TIME, IN)), np.ones((3, HIDDEN))
    before = rnn.test_on_batch(x, y)
    assert rnn.test_on_batch(x, y) == before, "nothing is drawn but while training"
    losses = [rnn.train_on_batch(x, y) for _ in range(8)]
    assert len(set(losses)) == 8
    assert rnn.test_on_batch(x, y) < before


@JAX
def test_a_training_step_on_jax_equals_one_in_plain_python():
    weights = {}
    for name in ("python", "jax"):
        rnn, inputs = prepared(CASES[0])
        rnn.return_sequences = False
        rnn.compile("adam", {"i2h": "mse", "h2h": "mse", "rec": "mse"}, backend=name)
        targets = {name: np.ones((3, HIDDEN)) for name in ("i2h", "h2h", "rec")}
        losses = [rnn.train_on_batch(inputs | targets) for _ in range(3)]
        weights[name] = [losses, *rnn.get_weights()]
    for by_python, by_jax in zip(weights["python"], weights["jax"], strict=True):
        np.testing.assert_allclose(by_jax, by_python, rtol=1e-10, atol=1e-12)
