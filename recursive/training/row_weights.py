"""How much each row counts in the loss: ``sample_weight`` and ``class_weight``, made into an array for each target.

The arrays are ``(batch, 1)``, for sequences ``(batch, time, 1)``. Where nobody gave any, there are none, and the loss
is the plain mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from recursive.backend import Argument
from recursive.backend.arrays import as_array
from recursive.errors import ConfigError, DataError, ShapeError
from recursive.training import data
from recursive.training.data import Arrays


def argument(target: Argument) -> Argument:
    """What the weights of a target look like.

    >>> argument(Argument("y", "float64", (None, None, 6)))
    Argument(name='weights of y', dtype='float64', shape=(None, None, 1))
    """
    return Argument(_key(target.name), target.dtype, (*target.shape[:-1], 1))


def of_samples(given: object, arrays: Arrays, outputs: Sequence[str]) -> Arrays:
    """The weights of each target: ``given``, an array or a dict of them by output, and ones for the outputs left out.

    An array is ``(batch,)``, or ``(batch, time)`` where the output is a sequence.

    Raises:
        DataError: for unknown outputs, or weights that are negative or not finite.
        ShapeError: for anything but one weight a row, or one a step.
    """
    if given is None:
        return {}
    by_output = (
        given
        if isinstance(given, Mapping)
        else data.by_name("sample_weight", given, outputs)
    )
    data.check_names("sample_weight", by_output, outputs)
    return _complete(
        {
            name: _checked("sample_weight", name, arrays[name], value)
            for name, value in by_output.items()
        },
        arrays,
        outputs,
    )


def of_classes(given: object, arrays: Arrays, outputs: Sequence[str]) -> Arrays:
    """The weights of each target by the class of each row: ``{0: 1.0, 1: 2.5}``, or a dict of such by output.

    The class is the place of the largest value, or the value itself where a target has one a row.

    Raises:
        ConfigError: for anything but a dict, or where the rows have weights of their own.
        DataError: for unknown outputs, classes without a weight, or weights that are negative or not finite.
        ShapeError: for targets that are sequences.
    """
    if not given:
        return {}
    if any(_key(name) in arrays for name in outputs):
        raise ConfigError.about(
            "argument",
            "class_weight",
            takes="no sample_weight beside it",
            because="either says how much a row counts",
            got="both",
            do="Multiply the two, and pass sample_weight.",
        )
    nested = isinstance(given, Mapping) and any(
        isinstance(value, Mapping) for value in given.values()
    )
    by_output = given if nested else dict.fromkeys(outputs, given)
    data.check_names("class_weight", by_output, outputs)
    return _complete(
        {
            name: _checked(
                "class_weight",
                name,
                arrays[name],
                _looked_up(name, arrays[name], value),
            )
            for name, value in by_output.items()
        },
        arrays,
        outputs,
    )


def _looked_up(name: str, target: np.ndarray, given: object) -> np.ndarray:
    if not isinstance(given, Mapping):
        raise ConfigError.about(
            "class_weight",
            name,
            takes="a dict from classes to weights",
            because="each class is looked up in it",
            got=repr(given),
            do="Say {0: 1.0, 1: 2.5}.",
        )
    if target.ndim != 2:
        raise ShapeError.about(
            "class_weight",
            name,
            takes="targets of one class a row",
            because="each class has a weight",
            got=f"targets of shape {target.shape}",
            do="Pass sample_weight, which may have a weight for each step.",
        )
    classes = (target.argmax(axis=1) if target.shape[1] > 1 else target[:, 0]).tolist()
    missing = sorted(set(classes) - set(given))
    if missing:
        raise DataError.about(
            "class_weight",
            name,
            takes="a weight for every class",
            because="each row has a class",
            got=f"none for {', '.join(f'{label:g}' for label in missing)}",
            do="Give the others a weight of 1.",
        )
    return np.array([given[label] for label in classes])


def _checked(kind: str, name: str, target: np.ndarray, given: object) -> np.ndarray:
    """One weight for each row of the target, or each step of it, with a last axis of 1."""
    weights = as_array(kind, name, given, str(target.dtype))
    rows = target.shape[:-1]
    if weights.shape in ((*rows, 1), (rows[0], 1)):
        weights = weights[..., 0]
    if weights.shape not in (rows, rows[:1]):
        raise ShapeError.about(
            kind,
            name,
            takes=" or ".join(f"{shape}" for shape in dict.fromkeys((rows[:1], rows))),
            because="each row has one weight",
            got=weights.shape,
            do="Pass one weight a row.",
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise DataError.about(
            kind,
            name,
            takes="finite weights of 0 or more",
            because="the loss is divided by their sum",
            got="others",
            do="Look at them again.",
        )
    weights = weights.reshape((*weights.shape, *[1] * (len(rows) - weights.ndim)))
    return np.broadcast_to(weights, rows)[..., np.newaxis]


def _complete(weights: Arrays, arrays: Arrays, outputs: Sequence[str]) -> Arrays:
    """The weights of every output, where there are weights for any."""
    ones = {
        name: np.ones((*arrays[name].shape[:-1], 1), arrays[name].dtype)
        for name in outputs
    }
    return (
        {_key(name): value for name, value in (ones | weights).items()}
        if weights
        else {}
    )


def _key(output: str) -> str:
    """The name of an array of weights: no input or target has such a one, since theirs are identifiers."""
    return f"weights of {output}"
