"""What a loop starts from, as scan is told it."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from recursive.loop.state import first_rows, padded, started
from recursive.spec.plan import Recurrence, Sequence

BATCH, DIM = 3, 2


@pytest.mark.parametrize(
    ("initial", "taps", "rows"),
    [
        (0.0, (-1,), [[0, 0]]),
        (1.5, (-3, -1), [[1.5, 1.5]] * 3),
        ((1.0, 2.0), (-1,), [[1, 2]]),
        ((1.0, 2.0), (-2,), [[1, 2], [1, 2]]),
        (((1.0, 2.0), (3.0, 4.0)), (-2, -1), [[1, 2], [3, 4]]),
        (((1.0, 2.0),), (-2, -1), [[1, 2], [1, 2]]),
    ],
)
def test_the_rows_before_the_first_step_are_oldest_first_and_the_same_for_every_row_of_the_batch(
    initial, taps, rows
):
    found = first_rows(Recurrence("h", "h", taps, initial), BATCH, DIM).eval()
    assert found.dtype == pytensor.config.floatX
    assert np.array_equal(
        found, np.stack([np.tile(row, (BATCH, 1)) for row in np.array(rows)])
    )


@pytest.mark.parametrize(
    ("taps", "shape"),
    [((-1,), (BATCH, DIM)), ((-2, -1), (2, BATCH, DIM)), ((-3,), (3, BATCH, DIM))],
)
def test_scan_is_given_one_row_or_all_that_a_state_looks_back_to(taps, shape):
    item = Recurrence("h", "h", taps, 1.0)
    info = started(item, first_rows(item, BATCH, DIM))
    assert (info["initial"].eval().shape, info["taps"]) == (shape, list(taps))


@pytest.mark.parametrize(
    ("taps", "zeros"), [((0,), 0), ((-1, 0), 1), ((-3,), 3), ((-2, -1, 0), 2)]
)
def test_a_sequence_has_zeros_in_front_of_it_for_its_earliest_tap(taps, zeros):
    x = np.arange(20).reshape(5, 4)
    info = padded(Sequence("x", taps), pt.constant(x))
    assert info["taps"] == list(taps)
    assert info["input"].dtype == x.dtype
    assert np.array_equal(
        info["input"].eval(), np.concatenate([np.zeros((zeros, 4)), x])
    )
