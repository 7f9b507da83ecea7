"""Modes of the backends: what compiles a program, and the loops inside it."""

import sys

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import threadpoolctl
from pytensor.scan.op import Scan

from recursive import LSTM, Dense, Lambda, Recursive, Sequential, TimeDistributedDense, backend, errors
from recursive.backend import Argument, Program, scan


@pytest.mark.parametrize("gradient", [False, True])
def test_plain_python_runs_the_steps_of_a_loop_operation_by_operation(gradient):
    """PyTensor 3.0 would fuse them for C, which in Python is twenty times slower."""
    def build(inputs):
        [states] = scan(lambda x, h: pt.tanh(x + 2 * h), [inputs[0]], [pt.zeros(3)], [], n_steps=5)
        return [pt.grad(states[-1].sum(), inputs[0]) if gradient else states], []

    program = Program([Argument("x", "float64", (5, 3))], build, "python")
    program(np.ones((5, 3)))
    [function] = program._functions.values()
    loops = [node.op for node in function.maker.fgraph.apply_nodes if isinstance(node.op, Scan)]
    assert len(loops) == 1 + gradient
    for loop in loops:
        assert loop.mode == "FAST_COMPILE"
        assert not any(type(node.op).__name__ == "Composite" or "Composite" in str(node.op)
                       for node in loop.fn.maker.fgraph.apply_nodes)


def doubling(target):
    return Program([Argument("x", "float64", (None,))], lambda inputs: ([2 * inputs[0]], []), target)


@pytest.mark.skipif(not backend.is_installed("jax"), reason="JAX is not installed")
def test_a_program_on_jax_keeps_the_shapes_used_last_and_warns_once_where_they_keep_changing(monkeypatch):
    monkeypatch.setattr(backend, "KEPT_SHAPES", 2)
    monkeypatch.setattr(backend, "MANY_SHAPES", 3)
    program = doubling("jax")
    program(np.ones(1))
    program(np.ones(2))
    program(np.ones(1))
    with pytest.warns(errors.ShapesChangeWarning, match=r"3 different shapes, of which \(3,\) is the last.* Pad"):
        program(np.ones(3))
    assert list(program._functions) == [((1,),), ((3,),)]
    assert program(np.ones(4)).pop().tolist() == [2, 2, 2, 2], "without another warning"


def test_a_program_runs_with_one_blas_thread():
    program, seen = doubling("python"), []
    program(np.ones(2))

    class Watched:
        get_shared = staticmethod(list)

        def __call__(self, x):
            seen.extend(pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas")
            return [2 * x]

    program._functions[None] = Watched()
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        assert program(np.ones(2))[0].tolist() == [2, 2]
    assert seen and set(seen) == {1}


def test_auto_says_what_it_is_and_why_once(monkeypatch, capsys):
    backend._tell.cache_clear()
    monkeypatch.setattr(backend, "is_installed", lambda package: package.startswith("jax"))
    assert [backend.resolve_backend("auto"), backend.resolve_backend("auto")] == ["jax", "jax"]
    assert capsys.readouterr().err == "recursive: backend auto is jax, because it is installed, and compiles fastest.\n"
    assert backend.resolve_backend("auto", "it is too much for JAX") == "numba"
    assert "because it is too much for JAX." in capsys.readouterr().err
    monkeypatch.setattr(backend, "is_installed", lambda package: package == "jax")
    assert backend.resolve_backend("auto") == "numba", "jaxlib is missing"
    monkeypatch.setattr(backend, "is_installed", lambda package: False)
    assert backend.resolve_backend("auto") == "numba"
    assert "pip install 'recursive-rnn[jax]'" in capsys.readouterr().err


def test_a_model_that_stops_early_is_not_given_to_jax():
    rnn = Recursive(return_sequences=True, until="stop")
    rnn.add_input("x", dim=2)
    rnn.add_node(Dense(2, 2), "y", input="x", create_output=True)
    rnn.add_node(Lambda(lambda y: y > 9), "stop", input="y")
    rnn.compile(backend="auto")
    assert rnn.backend == "numba"
    rnn.compile(backend="jax")
    with pytest.raises(errors.BackendError, match=r"known number of steps.*Choose backend numba, c or python"):
        rnn.predict(np.ones((1, 3, 2)))


def test_a_truncated_layer_behind_others_is_not_given_to_jax():
    model = Sequential([TimeDistributedDense(2, 2), LSTM(2, 3, truncate_gradient=2)])
    model.compile("sgd", "mse", backend="auto")
    assert model.backend == "numba"


@pytest.mark.parametrize("name", ["", 0, False, {}])
def test_a_backend_of_no_name_is_not_taken_for_none(name):
    with pytest.raises(errors.BackendError, match="takes one of auto, jax"):
        Recursive().compile(backend=name)
    with pytest.raises(errors.BackendError, match="takes one of auto, jax"):
        backend.set_backend(name)


def test_a_backend_that_the_environment_names_wrongly_is_told_with_its_place(monkeypatch):
    monkeypatch.setattr(backend, "_chosen", [])
    monkeypatch.setenv("RECURSIVE_BACKEND", "jaxx")
    with pytest.raises(errors.BackendError, match=r"got 'jaxx', from RECURSIVE_BACKEND\. Did you mean 'jax'"):
        backend.resolve_backend()
    monkeypatch.setenv("RECURSIVE_BACKEND", "")
    assert backend.resolve_backend() in ("jax", "numba")


def test_a_package_whose_finder_raises_is_not_installed(monkeypatch):
    def raising(package):
        raise ImportError(package)

    monkeypatch.setattr(backend.importlib.util, "find_spec", raising)
    assert not backend.is_installed("jax")


def test_a_compiler_that_is_not_there_is_told_of(monkeypatch):
    monkeypatch.setattr(pytensor.config, "cxx", "/no/such/g++")
    with pytest.raises(errors.BackendError, match=r"got '/no/such/g\+\+', which is not there"):
        backend.resolve_backend("c")


def test_c_without_a_blas_says_so_once(monkeypatch, capsys):
    backend._tell.cache_clear()
    monkeypatch.setattr(pytensor.config, "cxx", sys.executable)
    monkeypatch.setattr(backend, "_has_blas", lambda: False)
    assert [backend.resolve_backend("c"), backend.resolve_backend("c")] == ["c", "c"]
    assert capsys.readouterr().err.count("pip install 'recursive-rnn[c]'") == 1


@pytest.mark.parametrize(("name", "words"), [
    ("torch", "takes one of auto, jax, numba, c, python"),
    ("jax", r"takes the package jax.*pip install 'recursive-rnn\[jax\]'"),
    ("c", r"takes a C\+\+ compiler.*Install g\+\+"),
])
def test_a_backend_that_cannot_be_had_is_told_of_before_anything_is_compiled(name, words, monkeypatch):
    monkeypatch.setattr(backend, "is_installed", lambda package: False)
    monkeypatch.setattr(pytensor.config, "cxx", "")
    with pytest.raises(errors.BackendError, match=words):
        Recursive().compile(backend=name)
