"""Lists of rows of different lengths, padded so that the network ignores the padding.

A row is padded before its first step, as ``pad_sequences`` does. At that end, padding
changes no result of a recurrent layer of Keras 0.1, whose last output is the step at
the end, masked or not. An input is padded with the value that the layers that read it
mask. A loop with ``add_mask`` needs no such value: it gets the mask itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from recursive.backend import Argument
from recursive.errors import ConfigError, DataError, SequenceLengthError
from recursive.layers import config
from recursive.layers.layer import Layer
from recursive.preprocessing.sequence import pad_sequences
from recursive.training.masked_steps import mask_input

SIDE = "pre"
"""The end at which rows are padded."""

Lengths = dict[str, list[int]]
"""The number of steps of each row, by the name of the input that was padded."""


def is_ragged(value: object) -> bool:
    """True for rows of different lengths: a list, or an array of objects.

    >>> is_ragged([[1, 2], [3]]), is_ragged([[1, 2], [3, 4]])
    (True, False)
    """
    if isinstance(value, np.ndarray):
        is_list = value.dtype == object and value.ndim == 1
    else:
        is_list = isinstance(value, list | tuple)
    if not is_list:
        return False
    lengths = set()
    for row in value:
        if not isinstance(row, list | tuple | np.ndarray) or np.ndim(row[:1]) == 0:
            return False
        lengths.add(len(row))
    return len(lengths) > 1


def with_mask_input(container: Layer, X: object) -> object:
    """``X`` with the mask of its rows, if a loop has a mask that ``X`` leaves out."""
    if not isinstance(X, Mapping):
        return X
    ragged = [value for value in X.values() if is_ragged(value)]
    if not ragged:
        return X
    mask = mask_input(container)
    if mask is None or mask in X:
        return X
    return {**X, mask: [np.ones(len(row), bool) for row in ragged[0]]}


def padded_inputs(
    container: Layer,
    sequences: Callable[[Layer], list[str]],
    given: Mapping[str, object],
) -> tuple[dict[str, object], Lengths]:
    """Pad the inputs that are sequences and have rows of different lengths.

    Args:
        container: the model.
        sequences: returns the names of its inputs that are sequences.
        given: all inputs by name.

    Returns:
        The inputs and the lengths of the rows of those that were padded.

    Raises:
        SequenceLengthError: for a model that masks nothing, or other lengths than
            those of the mask of a loop.
        ConfigError: for a layer whose result would depend on the padding.
        DataError: for a row without steps.
    """
    ragged = [name for name, value in given.items() if is_ragged(value)]
    if not ragged:
        return dict(given), {}
    names = sequences(container)
    ragged = [name for name in ragged if name in names]
    lengths = {name: _lengths(name, given[name]) for name in ragged}
    if not ragged:
        return dict(given), {}

    _check_mask_modes(container, ragged)
    mask = mask_input(container)
    if mask is not None:
        _check_one_mask(mask, names, lengths)
    dtypes = {argument.name: argument.dtype for argument in container.arguments()}
    padded = dict(given)
    for name in ragged:
        value = 0.0 if mask is not None else container.mask_value_at(name)
        if value is None:
            raise _not_masked(name)
        padded[name] = pad_sequences(
            given[name], dtype=dtypes[name], padding=SIDE, value=value
        )
    return padded, lengths


def padded_targets(
    container: Layer,
    targets: Sequence[Argument],
    given: Mapping[str, object],
    inputs: Lengths,
) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """Pad the targets that are sequences and have rows of different lengths.

    Args:
        container: the model.
        targets: the targets of the model.
        given: the user's targets by name.
        inputs: the lengths of the rows of the inputs that were padded.

    Returns:
        The targets, and for each that was padded, 1 at its steps and 0 at the padding,
        ``(batch, time)``.

    Raises:
        DataError: for a row without steps.
        SequenceLengthError: for other lengths than those of any padded input.
        ConfigError: for a layer that returns its steps backwards.
    """
    padded = dict(given)
    steps = {}
    for argument in targets:
        value = given[argument.name]
        is_sequence = len(argument.shape) > 2
        if not (is_sequence and is_ragged(value)):
            continue
        lengths = _lengths(argument.name, value, kind="target")
        _check_order_of_steps(container, argument.name)
        _check_lengths(argument.name, lengths, inputs)
        padded[argument.name] = pad_sequences(value, dtype=argument.dtype, padding=SIDE)
        ones = [np.ones(length) for length in lengths]
        steps[argument.name] = pad_sequences(ones, dtype="float64", padding=SIDE)
    return padded, steps


def _lengths(name: str, rows: Sequence[object], kind: str = "input") -> list[int]:
    lengths = [len(row) for row in rows]
    if 0 in lengths:
        raise DataError.about(
            kind,
            name,
            takes="rows of one step or more",
            got=f"row {lengths.index(0)} without steps",
            do="Leave it out.",
        )
    return lengths


def _check_lengths(name: str, lengths: list[int], inputs: Lengths) -> None:
    if lengths in inputs.values():
        return
    got = "an array of inputs, which has equally many steps in each row"
    if inputs:
        other, expected = next(iter(inputs.items()))
        row = _first_difference(lengths, expected)
        if row is None:
            return  # the check of rows names the numbers of rows
        got = f"row {row} of {lengths[row]} steps and {expected[row]} in {other!r}"
    raise SequenceLengthError.about(
        "target",
        name,
        takes="as many steps in each row as the input",
        got=got,
        do="Correct the lengths, or pad the targets and pass sample_weight.",
    )


def _check_one_mask(mask: str, names: Sequence[str], lengths: Lengths) -> None:
    """Raise an error unless all sequences of a loop have rows of the same lengths."""
    first, expected = next(iter(lengths.items()))
    for name in names:
        found = lengths.get(name)
        if found == expected:
            continue
        got = "rows of one length"
        if found is not None:
            row = _first_difference(found, expected)
            if row is None:
                return  # the check of rows names the numbers of rows
            got = (
                f"{found[row]} steps in row {row}, where {first!r} has {expected[row]}"
            )
        raise SequenceLengthError.about(
            "input",
            name,
            takes=f"rows of the same lengths as {first!r}",
            because=f"the mask {mask!r} is for all sequences of the loop",
            got=got,
            do=f"Leave the mask out, or pad all sequences and {mask!r} yourself."
            if name == mask
            else f"Pad all sequences and pass {mask!r} yourself.",
        )


def _first_difference(found: list[int], expected: list[int]) -> int | None:
    if len(found) != len(expected):
        return None
    for row, (length, other) in enumerate(zip(found, expected, strict=True)):
        if length != other:
            return row
    return None


def _check_mask_modes(container: Layer, ragged: Sequence[str]) -> None:
    """Raise a ConfigError for a layer whose result would depend on the padding.

    With ``mask_mode='zero'`` a masked step computes, and zeroes the states that the
    next step reads. Padding before the first step is then harmless only if the layer
    runs forwards from zeros.
    """
    for path, layer in [("", container), *config.walk(container)]:
        if getattr(layer, "mask_mode", None) != "zero":
            continue
        if layer.go_backwards or layer.carries:
            is_ = "runs backwards" if layer.go_backwards else "is stateful"
            raise ConfigError.about(
                "input",
                ragged[0],
                takes="rows of one length",
                because=f"{path or 'the model'} ({type(layer).__name__}) {is_} with "
                "mask_mode='zero', so its result depends on the padding",
                got="rows of different lengths",
                do="Pass mask_mode='carry' to the layer.",
            )


def _check_order_of_steps(container: Layer, name: str) -> None:
    """Raise a ConfigError for a layer whose output has the padding at the other end."""
    for path, layer in config.walk(container):
        is_half = path.endswith("backward_layer")  # Bidirectional reverses it again
        if is_half or not getattr(layer, "go_backwards", False):
            continue
        if layer.return_sequences:
            raise ConfigError.about(
                "target",
                name,
                takes="rows of one length",
                because=f"{path} ({type(layer).__name__}) returns its steps backwards, "
                "with the padding after the last",
                got="rows of different lengths",
                do="Pad the targets there and pass sample_weight, 0 for padding.",
            )


def _not_masked(name: str) -> SequenceLengthError:
    return SequenceLengthError.about(
        "input",
        name,
        takes="rows of one length",
        because="nothing masks it, so padding would count as data",
        got="rows of different lengths",
        do="Start with Masking() or Embedding(mask_zero=True), declare add_mask() in "
        "a loop, or pad them with preprocessing.sequence.pad_sequences.",
    )
