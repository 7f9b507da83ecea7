"""After a program on JAX: copies, pickles, files, other backends and functions of one's own find NumPy arrays."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytensor
import pytest

from recursive import GRU, Bidirectional, Dense, Sequential
from recursive.backend import to_numpy
from recursive.layers.states import States

pytestmark = pytest.mark.compiled
pytest.importorskip("jax", reason="without JAX nothing is left by it")

X, Y = np.ones((3, 5, 2)), np.zeros((3, 1))


def trained(**settings):
    """A model after two steps of Adam on JAX."""
    model = Sequential([GRU(2, 3, **settings), Dense(3, 1)])
    model.compile("adam", "mse", backend="jax")
    for _ in range(2):
        model.train_on_batch(X, Y)
    return model


@pytest.fixture(scope="module")
def model():
    return trained()


def values(variables):
    return [np.array(variable.get_value()) for variable in variables]


def leave_on_jax(variables):
    """Put arrays of JAX into ``variables``, as a program does."""
    import jax.numpy as jnp

    for variable in variables:
        storage = variable.container.storage
        storage[0] = jnp.asarray(storage[0])


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda it: pickle.loads(pickle.dumps(it)),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize(
    "part", ["model", "layer", "optimizer", "list of params and layers"]
)
def test_a_copy_holds_the_same_numbers_as_numpy_arrays(model, how, part):
    whole = {
        "model": model,
        "layer": model.layers[0],
        "optimizer": model.optimizer,
        "list of params and layers": [model.layers, model.optimizer],
    }[part]
    leave_on_jax(model._changing())

    copied = COPIES[how](whole)

    def held(it):
        if isinstance(it, list):
            return [*it[0][0].params, *it[0][1].params, *it[1].state]
        return it.state if part == "optimizer" else it.params

    for found, expected in zip(held(copied), held(whole), strict=True):
        stored = found.container.storage[0]
        assert type(stored) is np.ndarray
        assert stored.flags.writeable
        np.testing.assert_array_equal(stored, expected.get_value())
        assert found is not expected


def test_a_copied_model_learns_on_another_backend_as_the_first_does_on_jax(model):
    leave_on_jax(model._changing())
    copied = copy.deepcopy(model)
    copied.compile(copied.optimizer, "mse", backend="python")
    on_python = [copied.train_on_batch(X, Y) for _ in range(2)]
    first = copy.deepcopy(model)
    on_jax = [first.train_on_batch(X, Y) for _ in range(2)]
    np.testing.assert_allclose(on_python, on_jax, rtol=1e-9)


def test_a_layer_runs_both_ways_after_training(model):
    leave_on_jax(model._changing())
    both = Bidirectional(model.layers[0])
    output = both(np.ones((1, 5, 2))).eval()
    alone = model.layers[0](np.ones((1, 5, 2))).eval()
    # The data are the same in both directions, and so are the weights.
    np.testing.assert_allclose(output, np.concatenate([alone, alone], axis=-1))


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "CVM", "NUMBA"])
def test_a_function_of_ones_own_reads_the_weights_after_predicting(mode):
    model = trained()
    modes = {"CVM": pytensor.compile.mode.Mode("cvm", "fast_run")}
    total = pytensor.function(
        [], sum(param.sum() for param in model.params), mode=modes.get(mode, mode)
    )
    for _ in range(2):
        model.train_on_batch(X, Y)
        model.predict(X)
        expected = sum(array.sum() for array in model.get_weights())
        np.testing.assert_allclose(total(), expected)


def test_the_weights_can_be_read_at_the_end_of_an_epoch_and_of_fit():
    from recursive.callbacks import Callback

    model = trained()
    types = []

    class Reads(Callback):
        def on_epoch_end(self, epoch, logs=None):
            types.extend(type(p.container.storage[0]) for p in model.params)

    model.fit(X, Y, nb_epoch=2, verbose=0, callbacks=[Reads()])
    types.extend(type(param.container.storage[0]) for param in model.params)
    assert set(types) == {np.ndarray}


def test_carried_states_can_be_read_and_copied_after_predicting():
    model = Sequential([GRU(2, 3, stateful=True)])
    model.compile(backend="jax")
    model.predict(X)
    states = model.layers[0].states
    assert all(
        type(variable.container.storage[0]) is np.ndarray
        for variable in states.variables.values()
    )
    leave_on_jax(states.variables.values())
    np.testing.assert_array_equal(
        copy.deepcopy(states).get()["h"], model.get_states()["layer_0.h"]
    )


def test_states_that_are_copied_hold_numpy_arrays():
    states = States({"h": np.ones((1, 2))})
    states.prepare(3)
    leave_on_jax(states.variables.values())
    np.testing.assert_array_equal(copy.deepcopy(states).get()["h"], np.ones((3, 2)))


def test_a_pickle_is_read_where_there_is_no_jax(model, tmp_path):
    leave_on_jax(model._changing())
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    script = (
        "import pickle, sys; sys.modules['jax'] = None; sys.modules['jaxlib'] = None\n"
        f"model = pickle.load(open({str(tmp_path / 'model.pkl')!r}, 'rb'))\n"
        "print(sum(float(a.sum()) for a in model.get_weights()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    expected = sum(array.sum() for array in model.get_weights())
    assert float(done.stdout) == pytest.approx(expected), done.stderr


def test_weights_are_saved_after_training(model, tmp_path):
    leave_on_jax(model._changing())
    model.save_weights(tmp_path / "w.safetensors")
    model.save_optimizer(tmp_path / "o.safetensors")
    expected, slots = model.get_weights(), model.optimizer.get_state()
    other = trained()
    other.load_weights(tmp_path / "w.safetensors")
    other.load_optimizer(tmp_path / "o.safetensors")
    for found, wanted in zip(other.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    for found, wanted in zip(other.optimizer.get_state(), slots, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_only_arrays_of_others_are_turned_into_numpys():
    variable = pytensor.shared(np.ones(2))
    before = variable.container.storage[0]
    to_numpy([variable])
    assert variable.container.storage[0] is before
