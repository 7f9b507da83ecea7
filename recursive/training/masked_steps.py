"""The steps of the data that a model masks, known from its declaration.

A mask starts at an input in one of two ways. The layers that read the input mask the
steps that hold a certain value: a Masking, or an Embedding with ``mask_zero``
(``Layer.mask_value_at``). Or a loop has a mask as an input, declared by ``add_mask``.
"""

from __future__ import annotations

import numpy as np

from recursive.layers.layer import Layer
from recursive.layers.sequential import Sequential
from recursive.training.data import present


def mask_input(model: Layer) -> str | None:
    """The name of the input that is the mask of a loop, if the model has one."""
    loop = model
    while isinstance(loop, Sequential) and loop.layers:
        loop = loop.layers[0]
    return getattr(getattr(loop, "spec", None), "mask", None)


def masked_steps(model: Layer, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """True at each masked step, ``(batch, time)``, by the input that the mask is for.

    Inputs whose steps are not masked are left out. The mask of a loop is listed by its
    own name.
    """
    found = {}
    for argument in present(model.arguments(), arrays):
        array = arrays[argument.name]
        value = model.mask_value_at(argument.name)
        if value is None or array.ndim < 2:
            continue
        is_value = np.isnan(array) if np.isnan(value) else array == value
        is_integer = array.dtype.kind != "f"
        found[argument.name] = is_value if is_integer else is_value.all(axis=-1)
    mask = mask_input(model)
    if mask is not None:
        found[mask] = arrays[mask] == 0
    return found
