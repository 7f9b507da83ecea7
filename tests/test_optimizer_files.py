"""Optimizers in files: resumed training equals uninterrupted training."""

import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest
import safetensors.numpy

from recursive import SGD, Adam, Dense, Graph, Sequential, errors
from recursive.optimizers import OPTIMIZERS, Adadelta, Adagrad, RMSprop
from tests.agreement.test_cases import JAX
from tests.test_models import X, Y, model

NAMES = [*OPTIMIZERS, SGD(0.05, 0.9, 0.01, True, 0.5)]


def run(chain, epochs=3):
    return chain.fit(
        X, Y, batch_size=4, nb_epoch=epochs, verbose=0, shuffle=False
    ).history["loss"]


def fresh(optimizer):
    """A new chain with a new optimizer."""
    if not isinstance(optimizer, str):
        config = optimizer.get_config()
        optimizer = OPTIMIZERS[config.pop("name").lower()](**config)
    return model(optimizer)


@pytest.mark.parametrize("suffix", [".h5", ".safetensors"])
@pytest.mark.parametrize(
    "optimizer",
    NAMES,
    ids=lambda each: each if isinstance(each, str) else "sgd, all settings",
)
def test_a_run_that_goes_on_equals_one_that_never_stopped(tmp_path, optimizer, suffix):
    chain = fresh(optimizer)
    run(chain)
    chain.save_weights(tmp_path / f"w{suffix}")
    chain.save_optimizer(tmp_path / f"o{suffix}")
    expected = run(chain)
    resumed = fresh(optimizer)
    resumed.load_weights(tmp_path / f"w{suffix}")
    resumed.load_optimizer(tmp_path / f"o{suffix}")
    assert run(resumed) == expected
    assert all(
        np.array_equal(a, b)
        for a, b in zip(resumed.get_weights(), chain.get_weights(), strict=True)
    )
    forgetful = fresh(optimizer)
    forgetful.load_weights(tmp_path / f"w{suffix}")
    assert (run(forgetful) == expected) == (optimizer == "sgd"), (
        "only plain descent remembers nothing"
    )


def test_a_run_goes_on_in_another_process(tmp_path):
    chain = model("adam")
    run(chain)
    chain.save_weights(tmp_path / "w.h5")
    chain.save_optimizer(tmp_path / "o.h5")
    script = textwrap.dedent(f"""
        from recursive import set_backend
        from tests.test_optimizer_files import model, run
        set_backend("python")
        chain = model("adam")
        chain.load_weights({str(tmp_path / "w.h5")!r})
        chain.load_optimizer({str(tmp_path / "o.h5")!r})
        print(*(loss.hex() for loss in run(chain)))
    """)
    shown = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert [float.fromhex(text) for text in shown.stdout.split()] == run(chain)


@JAX
def test_a_run_goes_on_with_the_layers_in_jax(tmp_path):
    chain = model("adam")
    chain.compile("adam", "mse", backend="jax")
    chain.train_on_batch(X, Y)
    chain.save_optimizer(tmp_path / "o.h5")
    resumed = model("adam")
    resumed.compile("adam", "mse", backend="jax")
    resumed.set_weights(chain.get_weights())
    resumed.load_optimizer(tmp_path / "o.h5")
    assert resumed.train_on_batch(X, Y) == chain.train_on_batch(X, Y)
    assert resumed.test_on_batch(X, Y) == chain.test_on_batch(X, Y)


def test_the_layout_names_the_optimizer_the_parameter_and_the_slot(tmp_path):
    chain = Sequential([Dense(4, 6)])
    chain.compile(SGD(momentum=0.9), "mse")
    chain.train_on_batch(np.ones((3, 4)), np.ones((3, 6)))
    chain.save_optimizer(tmp_path / "o.safetensors")
    found = safetensors.numpy.load_file(tmp_path / "o.safetensors")
    assert set(found) == {
        "SGD/iterations",
        "SGD/layer_0.W.velocity",
        "SGD/layer_0.b.velocity",
    }
    assert found["SGD/iterations"] == 1.0
    assert found["SGD/layer_0.W.velocity"].shape == (4, 6)
    chain.save_optimizer(tmp_path / "o.h5")
    with h5py.File(tmp_path / "o.h5") as file:
        assert list(file) == ["SGD"]
        assert list(file.attrs) == ["sha256"]


def test_a_file_of_another_optimizer_or_model_changes_nothing(tmp_path):
    for suffix in (".h5", ".safetensors"):
        chain = fresh("rmsprop")
        run(chain)
        chain.save_optimizer(tmp_path / f"o{suffix}")
        other = fresh("adagrad")
        with pytest.raises(errors.WeightsError, match="differ in"):
            other.load_optimizer(tmp_path / f"o{suffix}")
        graph = Graph()
        graph.add_input("x", dim=4)
        graph.add_node(Dense(4, 2), "y", input="x", create_output=True)
        graph.compile("rmsprop", {"y": "mse"})
        with pytest.raises(errors.WeightsError):
            graph.load_optimizer(tmp_path / f"o{suffix}")
        assert not any(np.any(value) for value in graph.optimizer.get_state())


def test_a_file_is_not_overwritten_unless_asked_and_needs_an_optimizer(tmp_path):
    chain = fresh("adam")
    chain.save_optimizer(tmp_path / "o.h5")
    with pytest.raises(errors.ConfigError, match="overwrite=True"):
        chain.save_optimizer(tmp_path / "o.h5")
    chain.save_optimizer(tmp_path / "o.h5", overwrite=True)
    chain.compile()
    for call in (chain.save_optimizer, chain.load_optimizer):
        with pytest.raises(errors.NotCompiledError, match="Call compile"):
            call(tmp_path / "p.h5")


@pytest.mark.parametrize(
    "optimizer",
    [SGD(), Adam(), RMSprop(), Adagrad(), Adadelta()],
    ids=lambda o: type(o).__name__,
)
def test_state_is_given_and_taken_as_arrays(optimizer):
    chain = model(optimizer)
    run(chain, 1)
    state = optimizer.get_state()
    assert state[0] == 3.0
    run(chain, 1)
    assert optimizer.get_state()[0] == 6.0
    optimizer.set_state(state)
    assert all(
        np.array_equal(a, b) for a, b in zip(optimizer.get_state(), state, strict=True)
    )
    with pytest.raises(errors.WeightsError, match="takes arrays of the shapes"):
        optimizer.set_state(state[1:])
    assert optimizer.get_state()[0] == 3.0
