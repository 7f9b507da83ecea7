"""Numbers in the data that are not finite, looked for where a loss is not finite.

Finite losses show that the data needs no look, so it costs nothing as long as all is
well. NaN at a masked step, or in the target of a row of weight 0, is no mistake.
"""

from __future__ import annotations

import numpy as np

from recursive.errors import DataError
from recursive.layers.layer import Layer
from recursive.training import row_weights
from recursive.training.batches import Batch
from recursive.training.data import present
from recursive.training.masked_steps import masked_steps


def check_finite_data(model: Layer, batch: Batch, held: str) -> None:
    """Raise a DataError if the inputs or targets of a batch have NaN or infinity.

    Args:
        model: the model that they were passed to.
        batch: a batch whose loss is not finite.
        held: the weights that the model holds now, for the error.
    """
    masked = masked_steps(model, batch.arrays)
    for argument in present(model.arguments(), batch.arrays):
        array = batch.arrays[argument.name]
        if array.dtype.kind != "f":
            continue
        counts = np.ones(array.shape, bool)
        if argument.name in masked:
            counts &= ~masked[argument.name][..., np.newaxis]
        _check("input", argument.name, array, counts, batch, held)

    outputs = [name for name in model.output_names if name in batch.arrays]
    for name in outputs:
        target = batch.arrays[name]
        counts = row_weights.counts(name, batch.arrays)
        for steps in masked.values():
            # A target of as many steps is masked like the input.
            if target.ndim > 2 and target.shape[:2] == steps.shape:
                axes = (1,) * (target.ndim - 2)
                counts = counts & ~steps.reshape(*steps.shape, *axes)
        _check("target", name, target, counts, batch, held)


def _check(
    kind: str,
    name: str,
    array: np.ndarray,
    counts: np.ndarray,
    batch: Batch,
    held: str,
) -> None:
    found = np.argwhere(~np.isfinite(array) & counts)
    if not len(found):
        return
    first = tuple(found[0])
    value = array[first]
    row, *inner = (int(index) for index in first)
    where = f"in {batch.place}"
    if batch.rows is not None:
        row = int(batch.rows[row])
        where = "of the data"
    do = "Correct the data."
    if kind == "target":
        do = "Correct the data, or give it a sample_weight of 0."
    elif np.isnan(value) and array.ndim == 3:
        do = "Correct the data, or mask such steps: start with Masking(np.nan)."
    raise DataError.about(
        kind,
        name,
        takes="finite numbers",
        got=f"{value} in row {row} {where}, at {name}{[row, *inner]}",
        do=f"{do} {held}",
    )
