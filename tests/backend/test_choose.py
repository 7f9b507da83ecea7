"""Which backend is chosen, and what is told where it cannot be had."""

import importlib.util
import sys

import numpy as np
import pytensor
import pytest

from recursive import (
    LSTM,
    Dense,
    Lambda,
    Recursive,
    Sequential,
    TimeDistributedDense,
    errors,
)
from recursive.backend import choose


def test_auto_says_what_it_is_and_why_once(monkeypatch, capsys):
    choose.notify_once.cache_clear()
    monkeypatch.setattr(pytensor.config, "cxx", sys.executable)
    assert [choose.resolve_backend("auto"), choose.resolve_backend("auto")] == [
        "c",
        "c",
    ]
    assert (
        capsys.readouterr().err
        == "recursive: backend auto is c, because a C++ compiler is installed, and loops in C are fastest.\n"
    )
    assert choose.resolve_backend("auto", "it is too much for JAX") == "numba"
    assert "because it is too much for JAX." in capsys.readouterr().err
    monkeypatch.setattr(pytensor.config, "cxx", "")
    monkeypatch.setattr(
        choose, "is_installed", lambda package: package.startswith("jax")
    )
    assert choose.resolve_backend("auto") == "jax"
    assert (
        capsys.readouterr().err
        == "recursive: backend auto is jax, because no C++ compiler is installed.\n"
    )
    monkeypatch.setattr(choose, "is_installed", lambda package: package == "jax")
    assert choose.resolve_backend("auto") == "numba", "jaxlib is missing"
    monkeypatch.setattr(choose, "is_installed", lambda package: False)
    assert choose.resolve_backend("auto") == "numba"
    assert "pip install 'recursive-rnn[jax]'" in capsys.readouterr().err


def test_a_model_that_stops_early_is_not_given_to_jax():
    rnn = Recursive(return_sequences=True, until="stop")
    rnn.add_input("x", dim=2)
    rnn.add_node(Dense(2, 2), "y", input="x", create_output=True)
    rnn.add_node(Lambda(lambda y: y > 9), "stop", input="y")
    rnn.compile(backend="auto")
    assert rnn.backend == "numba"
    rnn.compile(backend="jax")
    with pytest.raises(
        errors.BackendError,
        match=r"known number of steps.*Choose backend numba, c or python",
    ):
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
        choose.set_backend(name)


def test_a_backend_that_the_environment_names_wrongly_is_told_with_its_place(
    monkeypatch,
):
    monkeypatch.setattr(choose, "_chosen", [])
    monkeypatch.setenv("RECURSIVE_BACKEND", "jaxx")
    with pytest.raises(
        errors.BackendError,
        match=r"got 'jaxx', from RECURSIVE_BACKEND\. Did you mean 'jax'",
    ):
        choose.resolve_backend()
    monkeypatch.setenv("RECURSIVE_BACKEND", "")
    assert choose.resolve_backend() in ("c", "jax", "numba")


def test_a_package_whose_finder_raises_is_not_installed(monkeypatch):
    def raising(package):
        raise ImportError(package)

    monkeypatch.setattr(importlib.util, "find_spec", raising)
    assert not choose.is_installed("jax")


def test_a_compiler_that_is_not_there_is_told_of(monkeypatch):
    monkeypatch.setattr(pytensor.config, "cxx", "/no/such/g++")
    with pytest.raises(
        errors.BackendError, match=r"got '/no/such/g\+\+', which does not exist"
    ):
        choose.resolve_backend("c")


def test_scan_in_c_without_a_blas_says_so_once(monkeypatch, capsys):
    choose.notify_once.cache_clear()
    monkeypatch.setattr(choose, "_has_blas", lambda: False)
    choose.note_missing_blas()
    choose.note_missing_blas()
    assert capsys.readouterr().err.count("pip install 'recursive-rnn[c]'") == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("torch", "takes one of auto, jax, numba, c, python"),
        ("jax", r"takes the package jax.*pip install 'recursive-rnn\[jax\]'"),
        ("c", r"takes a C\+\+ compiler.*Install g\+\+"),
    ],
)
def test_a_backend_that_cannot_be_had_is_told_of_before_anything_is_compiled(
    name, words, monkeypatch
):
    monkeypatch.setattr(choose, "is_installed", lambda package: False)
    monkeypatch.setattr(pytensor.config, "cxx", "")
    with pytest.raises(errors.BackendError, match=words):
        Recursive().compile(backend=name)
