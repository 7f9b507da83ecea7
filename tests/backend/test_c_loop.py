"""Loops in C have the values of plain Python, for any rows, threads, layouts and steps; otherwise scan runs."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

import recursive
from recursive import Dense, Lambda, Masking, Recursive, Sequential, backend, recipes
from recursive.backend import choose, messages, table
from recursive.backend.c_loop import binary, op, products, threads
from recursive.backend.c_loop.refusal import TranslationError
from recursive.errors import BackendError, ConfigError
from tests.cases import CASES, with_random_weights
from tests.loop.random_networks import random_network

pytestmark = pytest.mark.skipif(
    not pytensor.config.cxx, reason="C code needs a compiler"
)

IN_THE_SUITE = {"taps", "merges", "contexts", "words", "dim one"}
"""The cases that run each time; all of them run with the mark ``compiled``."""


@pytest.fixture(autouse=True)
def _threads():
    yield
    recursive.set_threads(None)


def values_and_gradients(rnn, arrays):
    """A program of every output, and of the gradient of every parameter and input."""
    params = list(rnn.named_params.values())

    def build(inputs):
        given = dict(zip(arrays, inputs, strict=True))
        found = rnn(given if len(given) > 1 else inputs[0])
        outputs = list(found.values()) if isinstance(found, dict) else [found]
        rng = np.random.RandomState(5)
        loss = 0.0
        for output in outputs:
            weights = rng.normal(size=(1,) * (output.ndim - 1) + (1,))
            loss += (output * weights.astype(output.dtype)).sum() + (output**2).sum()
        floats = [value for value in inputs if value.dtype.startswith("float")]
        wanted = [*params, *floats]
        return [*outputs, *pt.grad(loss, wanted, disconnected_inputs="ignore")], []

    arguments = []
    for name, array in arrays.items():
        known = array.shape[2:] if array.ndim > 2 else ()
        shape = (None,) * (array.ndim - len(known)) + known
        arguments.append(backend.Argument(name, str(array.dtype), shape))
    return arguments, build


def in_c(rnn, arrays):
    """Values and gradients by loops in C, which must not fall back."""
    program = backend.Program(*values_and_gradients(rnn, arrays), "c")
    program.compile_loops()
    return program(*arrays.values())


def in_python(rnn, arrays):
    return backend.Program(*values_and_gradients(rnn, arrays), "python")(
        *arrays.values()
    )


def assert_close(found, expected, limit):
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        if theirs.size:
            largest = max(1.0, np.abs(theirs).max())
            assert np.abs(ours - theirs).max() <= limit * largest


def prepared(case):
    rnn, arrays = case.build(), case.inputs(np.random.RandomState(3))
    rnn.build({name: (None, *array.shape[1:]) for name, array in arrays.items()})
    return with_random_weights(rnn), arrays


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=str(case),
            marks=() if str(case) in IN_THE_SUITE else pytest.mark.compiled,
        )
        for case in CASES
        if str(case) != "proposal 9"  # an IfElse
    ],
)
def test_every_case_has_the_values_and_gradients_of_plain_python(case):
    rnn, arrays = prepared(case)
    assert_close(in_c(rnn, arrays), in_python(rnn, arrays), 1e-10)


@pytest.mark.compiled
@pytest.mark.parametrize("seed", range(25))
def test_random_networks_have_the_values_and_gradients_of_plain_python(seed):
    rnn, arrays = random_network(seed)
    rnn.return_sequences = True
    try:
        found = in_c(rnn, arrays)
    except TranslationError as refusal:
        assert refusal.operation in (
            "scan's own gradient",
            "AllocEmpty{dtype='float64'}",
        )
        return
    assert_close(found, in_python(rnn, arrays), 1e-10)


def lstm(dtype="float64", rows=13, steps=6, input_dim=5, dim=7):
    """An LSTM of odd dims, and its input."""
    with pytensor.config.change_flags(floatX=dtype):
        rnn = recipes.lstm(input_dim, dim, "tanh", "sigmoid")
        rnn.return_sequences = True
        with_random_weights(rnn)
    x = np.random.default_rng(1).normal(size=(rows, steps, input_dim)).astype(dtype)
    return rnn, x


def test_float32_is_close_to_plain_python():
    rnn, x = lstm("float32")
    with pytensor.config.change_flags(floatX="float32"):
        found, expected = in_c(rnn, {"x": x}), in_python(rnn, {"x": x})
    assert_close(found, expected, 1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_number_of_threads_changes_no_bit(dtype, monkeypatch):
    monkeypatch.setattr(op, "WORTH_A_THREAD", 1e-9)  # even the smallest work is shared
    monkeypatch.setattr(products, "WORTH_A_THREAD", 1)
    rnn, x = lstm(dtype)
    with pytensor.config.change_flags(floatX=dtype):
        program = backend.Program(*values_and_gradients(rnn, {"x": x}), "c")
        program.compile_loops()
        results = []
        for count in (1, 2, 3, 20):  # 20 is more than there are rows
            recursive.set_threads(count)
            results.append(program(x))
    for other in results[1:]:
        for ours, theirs in zip(results[0], other, strict=True):
            assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(5, 700, 40), (13, 2000, 97), (1, 1, 1), (8, 3, 33)])
def test_a_product_adds_up_the_columns_of_its_right_factor(shape, threads, dtype):
    rows, steps, columns = shape
    rng = np.random.default_rng(2)
    left = rng.normal(size=(steps, rows)).astype(dtype)
    right = rng.normal(size=(steps, columns)).astype(dtype) + np.asarray(3, dtype)
    recursive.set_threads(threads)
    made = products.Product(binary.Binary(products.TEXT), has_sums=True)
    outputs = [[None], [None]]
    made.perform(None, [left.T, right], outputs)
    exact = left.T.astype("float64") @ right.astype("float64")
    limit = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(outputs[0][0], exact, rtol=limit, atol=limit * steps)
    sums = right.astype("float64").sum(axis=0)
    np.testing.assert_allclose(outputs[1][0], sums, rtol=limit)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_row_does_not_depend_on_the_others(dtype):
    rnn, x = lstm(dtype)
    with pytensor.config.change_flags(floatX=dtype):
        rnn.compile(backend="c")
        together = rnn.predict_on_batch(x)
        for row in range(len(x)):
            alone = rnn.predict_on_batch(x[row : row + 1])
            assert alone.tobytes() == together[row : row + 1].tobytes()


def test_nan_and_infinities_are_those_of_plain_python():
    rnn, x = lstm(rows=5)
    x[0, 2, 1], x[1, 3, 0], x[2, 1, 2] = np.nan, np.inf, -np.inf
    results = []
    for name in ("c", "python"):
        rnn.compile(backend=name)
        with np.errstate(all="ignore"):
            results.append(rnn.predict(x))
    np.testing.assert_allclose(*results, rtol=1e-10, atol=1e-12)
    assert np.isnan(results[0][0]).any()
    assert not np.isnan(results[0][3:]).any()


@pytest.mark.parametrize("shape", [(1, 6, 5), (13, 1, 5), (1, 1, 5), (70, 3, 5)])
def test_any_number_of_rows_and_steps(shape):
    rnn, _ = lstm()
    x = np.random.default_rng(2).normal(size=shape)
    assert_close(in_c(rnn, {"x": x}), in_python(rnn, {"x": x}), 1e-10)


def test_any_memory_layout():
    rnn, x = lstm()
    program = backend.Program(*values_and_gradients(rnn, {"x": x}), "c")
    program.compile_loops()
    expected = program(x)
    wide = np.zeros((26, 6, 10))
    wide[::2, :, ::2] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    backwards = np.ascontiguousarray(x[:, ::-1])[:, ::-1]
    for other in (np.asfortranarray(x), wide[::2, :, ::2], read_only, backwards):
        np.testing.assert_array_equal(other, x)
        assert_close(program(other), expected, 1e-12)
    for param in rnn.named_params.values():
        param.set_value(np.asfortranarray(param.get_value()), borrow=True)
    assert_close(program(x), expected, 1e-12)


def test_masked_steps_are_those_of_plain_python():
    model = Sequential([Masking(), recipes.lstm(5, 7)])
    with_random_weights(model)
    _, x = lstm()
    x[0, 3:], x[1, :2], x[2] = 0, 0, 0
    results = []
    for name in ("c", "python"):
        model.compile(backend=name)
        results.append(model.predict(x))
    assert_close(results[:1], results[1:], 1e-10)


def test_a_model_learns_the_same():
    """Twenty steps of Adam, with the loss, on both backends."""
    losses = []
    for name in ("c", "python"):
        np.random.seed(3)
        model = Sequential([recipes.lstm(5, 7), Dense(7, 2, activation="softmax")])
        model.compile("adam", "categorical_crossentropy", backend=name)
        x = np.random.default_rng(4).normal(size=(9, 6, 5))
        y = np.eye(2)[(x.sum(axis=(1, 2)) > 0).astype(int)]
        losses.append([model.train_on_batch(x, y) for _ in range(20)])
    np.testing.assert_allclose(*losses, rtol=1e-9)


# Loops that are not translated


def over_the_batch():
    """A node that subtracts the mean of the batch."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_state("s", dim=3)
    rnn.add_node(Dense(4 + 3, 3), "h", inputs=["x", "s"])
    centre = Lambda(lambda h: h - h.mean(axis=0, keepdims=True))
    rnn.add_node(centre, "n", input="h", return_state="s", create_output=True)
    return rnn


@pytest.fixture
def fast_fallback(monkeypatch):
    """Plain Python in place of PyTensor's scan in C, which compiles for a minute."""
    row = dataclasses.replace(table.C, fallback=table.PYTHON)
    monkeypatch.setitem(table.BACKENDS, "c", row)
    monkeypatch.setattr(table, "FALLBACK", table.PYTHON)


def test_a_step_that_mixes_rows_is_left_to_scan_and_explain_says_why(fast_fallback):
    rnn = with_random_weights(over_the_batch())
    x = np.random.default_rng(0).normal(size=(3, 5, 4))
    results = []
    for name in ("c", "python"):
        rnn.compile(backend=name)
        results.append(rnn.predict(x))
    np.testing.assert_allclose(*results, rtol=1e-12)
    assert (
        "On backend c: PyTensor's scan runs the loop, since Sum{axis=0} computes one row "
        "from several." in rnn.explain()
    )
    assert "On backend c" not in recipes.vanilla(4, 6).explain()
    with pytest.raises(BackendError, match=r"row by row; got Sum\{axis=0\}"):
        rnn.source("c")


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (lambda x, h: pt.sort(x + h, axis=1), "Sort.*has no translation"),
        (lambda x, h: x + h[::-1], "takes a slice"),
        (lambda x, h: x + pt.dot(pt.dot(h, h.T), h), "computes one row from several"),
        (lambda x, h: x + pt.sort(h, axis=1), "has no translation"),
    ],
)
def test_the_operation_that_prevents_a_translation_is_named(step, reason):
    def build(inputs):
        [x] = inputs
        return backend.scan(step, [x], [pt.zeros_like(x[0])], [], x.shape[0]), []

    program = backend.Program(
        [backend.Argument("x", "float64", (None, None, 3))], build, "c"
    )
    with pytest.raises(TranslationError, match=reason):
        program.compile_loops()


def test_an_index_out_of_bounds_is_an_error_of_the_step():
    def build(inputs):
        words, vectors = inputs
        [found] = backend.scan(
            lambda word, h, table: h + table[word],
            [words],
            [pt.zeros((words.shape[1], 3))],
            [vectors],
            words.shape[0],
        )
        return [found], []

    program = backend.Program(
        [
            backend.Argument("words", "int32", (None, None)),
            backend.Argument("vectors", "float64", (None, 3)),
        ],
        build,
        "c",
    )
    program.compile_loops()
    vectors = np.arange(12.0).reshape(4, 3)
    words = np.array([[0, 3], [1, -1]], dtype="int32")
    [found] = program(words, vectors)
    np.testing.assert_array_equal(found, np.cumsum(vectors[words], axis=0))
    for wrong in (4, -5):
        with pytest.raises(IndexError, match="out of bounds"):
            program(np.full_like(words, wrong), vectors)


def test_the_page_shows_the_function_of_the_vanilla_rnn():
    page = Path(recursive.__file__).parent.parent / "docs" / "loops-in-c.md"
    assert recipes.vanilla(4, 6).source("c") in page.read_text("utf-8")


# auto


def test_auto_is_c_if_the_loops_can_be_translated_else_the_next_best(capsys):
    messages.notify_once.cache_clear()
    x = np.random.default_rng(0).normal(size=(3, 5, 4))
    rnn = with_random_weights(recipes.vanilla(4, 3))
    rnn.compile(backend="auto")
    rnn.predict(x)
    assert rnn.backend == "c"
    other = with_random_weights(over_the_batch())
    other.compile(backend="auto")
    assert other.backend == "c"
    other.predict(x)
    assert other.backend == choose.resolve_without_c("it is a test")
    said = capsys.readouterr().err
    assert said.count("backend auto is c, because a C++ compiler is installed") == 1
    assert re.search(r"auto is (jax|numba), because its loops.*Sum\{axis=0\}", said)


# Compilers, caches, threads


def test_a_compiler_that_fails_is_told_of_in_one_sentence(
    fast_fallback, monkeypatch, capsys, tmp_path
):
    messages.notify_once.cache_clear()
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\necho 'error: no space left' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(pytensor.config, "cxx", str(broken))
    rnn = with_random_weights(recipes.vanilla(4, 3))
    x = np.ones((2, 3, 4))
    rnn.compile(backend="c")
    found = rnn.predict(x)
    rnn.compile(backend="python")
    np.testing.assert_array_equal(found, rnn.predict(x))
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "no space left" in line] == [
        "recursive: backend c runs PyTensor's scan on Numba, because a loop could not "
        "be compiled: error: no space left"
    ]


SOURCE = 'extern "C" int loop(long x) { return (int) x + 1; }'


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    binary.folder.cache_clear()
    monkeypatch.setattr(binary, "usual_folder", lambda: tmp_path / "loops")
    yield tmp_path / "loops"
    binary.folder.cache_clear()


def test_a_binary_is_compiled_once_for_each_processor(empty_cache, monkeypatch):
    import ctypes

    assert binary.Binary(SOURCE).load([ctypes.c_long])(1) == 2
    assert len(list(empty_cache.iterdir())) == 1, "nothing but the binary is left"
    again = binary.Binary(SOURCE)
    assert again._process is None, "it is in the cache"
    monkeypatch.setattr(binary, "processor", lambda: "another processor")
    other = binary.Binary(SOURCE)
    assert other.path != again.path
    other.load([ctypes.c_long])


def test_a_file_that_is_no_library_is_an_error_of_the_compiler(empty_cache):
    made = binary.Binary(SOURCE)
    made.discard()
    assert list(empty_cache.iterdir()) == [], "a compiler that is ended leaves nothing"
    made.path.write_bytes(b"not a library")
    with pytest.raises(binary.CompilerError):
        binary.Binary(SOURCE).load([])


def test_a_cache_that_cannot_be_written_to_is_told_of_once(
    empty_cache, monkeypatch, capsys, tmp_path
):
    messages.notify_once.cache_clear()
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    monkeypatch.setattr(binary, "usual_folder", lambda: in_the_way / "loops")
    folders = {binary.folder(), binary.folder()}
    assert len(folders) == 1
    assert folders.pop().is_dir()
    assert capsys.readouterr().err.count("kept in a temporary folder") == 1


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
def test_a_wrong_number_of_threads_is_told_of(count):
    with pytest.raises(ConfigError, match="takes a positive integer"):
        recursive.set_threads(count)


def test_the_number_of_threads_is_that_of_openmp_unless_it_is_set(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert threads.thread_count() == 5
    recursive.set_threads(2)
    assert threads.thread_count() == 2
    recursive.set_threads(None)
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert threads.thread_count() >= 1


FORKING = """
import os, numpy as np, recursive
from recursive import recipes
from recursive.backend.c_loop import op
op.WORTH_A_THREAD = 1e-9
recursive.set_threads(2)
rnn = recipes.lstm(5, 7)
rnn.compile(backend="c")
x = np.ones((9, 4, 5))
before = rnn.predict_on_batch(x)
child = os.fork()
if child == 0:
    os._exit(int(rnn.predict_on_batch(x).tobytes() != before.tobytes()))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_goes_on():
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=100)
