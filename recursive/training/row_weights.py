"""The weights of rows in the loss, from ``sample_weight`` and ``class_weight``.

Both become one array per target, ``(batch, 1)``, for sequences ``(batch, time, 1)``.
Without any, there are no such arrays and the loss is the plain mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from recursive.backend import Argument, floatX
from recursive.backend.arrays import as_array
from recursive.errors import ConfigError, DataError, ShapeError
from recursive.training import data
from recursive.training.data import Arrays
from recursive.training.rows import LazyRows


def argument(target: Argument) -> Argument:
    """Return the program input for the weights of a target.

    >>> argument(Argument("y", "float64", (None, None, 6)))
    Argument(name='weights of y', dtype='float64', shape=(None, None, 1))
    """
    return Argument(_key(target.name), floatX(), (*target.shape[:-1], 1))


def of_samples(given: object, arrays: Arrays, outputs: Sequence[str]) -> Arrays:
    """Return the weights of each target from ``sample_weight``.

    Args:
        given: an array, ``(batch,)`` or for a sequence ``(batch, time)``, a dict of
            them by output, in which outputs left out or None have weight 1, or None.
        arrays: the targets by name.
        outputs: the names of the outputs.

    Raises:
        DataError: for unknown outputs, or weights that are negative or not finite.
        ShapeError: unless there is one weight per row or per step.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        given = data.by_name("sample_weight", given, outputs)
    data.check_names("sample_weight", given, outputs)
    weights = {}
    for name, value in given.items():
        if value is not None:
            weights[name] = _checked("sample_weight", name, arrays[name], value)
    return _complete(weights, arrays, outputs)


def without_padding(
    weights: Arrays,
    steps: Mapping[str, np.ndarray],
    arrays: Arrays,
    outputs: Sequence[str],
) -> Arrays:
    """The weights of each target, 0 at the steps that were padded.

    Args:
        weights: the weights from ``sample_weight``; empty if there are none.
        steps: 1 at the steps of a padded target and 0 at its padding, ``(batch,
            time)``, by output.
        arrays: the targets by name.
        outputs: the names of the outputs.
    """
    if not steps:
        return weights
    found = {}
    for name, valid in steps.items():
        valid = valid[..., np.newaxis].astype(floatX())
        found[name] = valid * weights.get(_key(name), 1)
    for name in outputs:
        if name not in found and _key(name) in weights:
            found[name] = weights[_key(name)]
    return _complete(found, arrays, outputs)


def of_classes(given: object, arrays: Arrays, outputs: Sequence[str]) -> Arrays:
    """Return the weights of each target from ``class_weight``.

    The class of a row, or of a step, is the index of its largest value, or its only
    value.

    Args:
        given: weights by class, ``{0: 1.0, 1: 2.5}``, or a dict of such by output, in
            which outputs left out or None have weight 1.
        arrays: the targets by name, and the weights of those that were padded.
        outputs: the names of the outputs.

    Raises:
        ConfigError: for anything but a dict.
        DataError: for unknown outputs, classes without a weight, or weights that are
            negative or not finite.
    """
    if not given:
        return {}
    by_output = given if _is_nested(given) else dict.fromkeys(outputs, given)
    data.check_names("class_weight", by_output, outputs)
    by_output = {name: value for name, value in by_output.items() if value is not None}
    weights = {}
    for name, weight_of_class in by_output.items():
        found = _of_target(name, arrays[name], weight_of_class)
        if _key(name) in arrays:  # weights 0 of padding
            found = found[:] * arrays[_key(name)]
        weights[name] = found
    if not weights:
        return {}
    for name in outputs:
        if name not in weights and _key(name) in arrays:
            weights[name] = arrays[_key(name)]
    return _complete(weights, arrays, outputs)


def check_one(class_weight: object, sample_weight: object) -> None:
    """Raise a ConfigError if there are both class weights and sample weights."""
    if are_given(class_weight) and are_given(sample_weight):
        raise ConfigError.about(
            "argument",
            "class_weight",
            takes="no sample_weight next to it",
            got="both",
            do="Multiply the two, and pass sample_weight.",
        )


def are_given(weights: object) -> bool:
    """True unless ``weights`` is None, or a dict without weights."""
    if isinstance(weights, Mapping):
        return any(value is not None for value in weights.values())
    return weights is not None


def _of_target(
    name: str, target: np.ndarray | LazyRows, given: object
) -> np.ndarray | LazyRows:
    """The weights of a target by class; those of rows in a file are read later."""
    if not isinstance(given, Mapping):
        raise ConfigError.about(
            "class_weight",
            name,
            takes="a dict from classes to weights",
            got=repr(given),
            do="Pass {0: 1.0, 1: 2.5}, for example.",
        )

    def look_up(target: np.ndarray) -> np.ndarray:
        rows = _looked_up(name, target, given)
        return _checked("class_weight", name, target, rows)

    if isinstance(target, LazyRows):
        return LazyRows(target, (*target.shape[1:-1], 1), floatX(), look_up)
    return look_up(target)


def _is_nested(given: object) -> bool:
    if not isinstance(given, Mapping):
        return False
    return any(value is None or isinstance(value, Mapping) for value in given.values())


def _looked_up(name: str, target: np.ndarray, given: object) -> np.ndarray:
    """The weight of the class of each row or step: the target without its last axis."""
    is_one_hot = target.shape[-1] > 1
    classes = target.argmax(axis=-1) if is_one_hot else target[..., 0]
    found, places = np.unique(classes, return_inverse=True)
    found = found.tolist()
    missing = [label for label in found if label not in given]
    if missing:
        raise DataError.about(
            "class_weight",
            name,
            takes="a weight for every class",
            got=f"none for {', '.join(f'{label:g}' for label in missing)}",
            do="Give the others a weight of 1.",
        )
    weights = np.array([given[label] for label in found])
    return weights[places].reshape(classes.shape)


def _checked(kind: str, name: str, target: np.ndarray, given: object) -> np.ndarray:
    """One weight for each row or step of the target, with a last axis of 1."""
    weights = as_array(kind, name, given, floatX())
    per_step = target.shape[:-1]  # (batch,) or (batch, time)
    per_row = per_step[:1]
    # A last axis of 1, as of targets, may be there or not.
    if weights.shape in ((*per_step, 1), (*per_row, 1)):
        weights = weights[..., 0]
    if weights.shape not in (per_step, per_row):
        allowed = dict.fromkeys((per_row, per_step))
        raise ShapeError.about(
            kind,
            name,
            takes=" or ".join(map(str, allowed)),
            got=weights.shape,
            do="Pass one weight per row.",
        )
    is_wrong = ~(np.isfinite(weights) & (weights >= 0))
    if is_wrong.any():
        raise DataError.about(
            kind,
            name,
            takes="finite weights of 0 or more",
            because="the loss is divided by their sum",
            got=f"{weights[is_wrong][0]} in row {np.argwhere(is_wrong)[0][0]}",
            do="Correct it, or pass 0 for a row that should not count.",
        )
    # A weight per row applies to all its steps: (batch,) -> (batch, 1) -> (batch,
    # time).
    while weights.ndim < len(per_step):
        weights = weights[..., np.newaxis]
    # A copy, because compilers compile again for arrays with other strides.
    return np.array(np.broadcast_to(weights, per_step))[..., np.newaxis]


def _complete(weights: Arrays, arrays: Arrays, outputs: Sequence[str]) -> Arrays:
    """The weights of every output, with ones for those left out; none if all are."""
    if not weights:
        return {}
    complete = {}
    for name in outputs:
        target = arrays[name]
        ones = np.ones((*target.shape[:-1], 1), floatX())
        complete[_key(name)] = weights.get(name, ones)
    return complete


def counts(output: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """True at each value of a target that counts, for a batch of arrays.

    It is ``(batch, 1)``, or for sequences ``(batch, time, 1)``.
    """
    target = arrays[output]
    ones = np.ones((*target.shape[:-1], 1), bool)
    return ones & (arrays.get(_key(output), ones) != 0)


def _key(output: str) -> str:
    """The name of an array of weights; not an identifier, so nothing else has it."""
    return f"weights of {output}"
