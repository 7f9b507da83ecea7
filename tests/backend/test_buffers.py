"""Memory of loops in C is used again, and never while somebody holds an array of it."""

import numpy as np
import pytensor
import pytest

from recursive import recipes
from recursive.backend.c_loop import buffers
from recursive.backend.c_loop.buffers import LINE, SMALLEST, Buffers

SHAPE = (40, 300)


def address(array):
    return array.ctypes.data


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool", "int64"])
@pytest.mark.parametrize("shape", [(3, 5), SHAPE, (0, 4), ()])
def test_an_array_has_the_shape_and_dtype_asked_for(shape, dtype):
    found = Buffers().empty(shape, dtype)
    assert found.shape == shape
    assert found.dtype == dtype
    assert found.flags.c_contiguous
    assert found.flags.writeable


def test_large_arrays_start_at_a_cache_line():
    held = [Buffers().empty((SMALLEST + extra,), "uint8") for extra in range(20)]
    assert {address(array) % LINE for array in held} == {0}


def test_memory_is_used_again_once_nothing_holds_the_array_or_a_view():
    made = Buffers()
    first = made.empty(SHAPE, "float64")
    place = address(first)
    view = first[3:].T
    del first
    second = made.empty(SHAPE, "float64")
    assert address(second) != place
    del view
    third = made.empty(SHAPE, "float64")
    assert address(third) == place


def test_what_is_kept_has_a_limit_and_held_arrays_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(buffers, "KEPT", 3 * SMALLEST)
    made = Buffers()
    held = made.empty((SMALLEST,), "uint8")
    held[:] = 7
    for extra in range(6):
        made.empty((SMALLEST + extra,), "uint8")[:] = 1
    assert sum(block.size for block in made._blocks) <= 3 * SMALLEST
    assert (held == 7).all()


@pytest.mark.skipif(not pytensor.config.cxx, reason="C code needs a compiler")
def test_results_that_a_user_keeps_are_not_changed_by_later_calls():
    rnn = recipes.vanilla(4, 6)
    rnn.return_sequences = True
    rnn.compile("sgd", "mse", backend="c")
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(30, 50, 4)) for _ in range(4)]
    kept = [rnn.predict_on_batch(x) for x in inputs]
    assert kept[0].nbytes >= SMALLEST
    copies = [found.copy() for found in kept]
    for x in inputs:
        rnn.predict_on_batch(x)
        rnn.train_on_batch(x, np.zeros((30, 50, 6)))
    for found, copied in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(found, copied)
