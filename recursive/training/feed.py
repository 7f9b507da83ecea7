"""The user's data as the inputs and targets of a container.

Data is cast and checked against what the container declares. Shapes that the
declaration leaves open are taken from the data, which builds the container.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from recursive import backend
from recursive.backend import Argument
from recursive.backend.arrays import as_array
from recursive.errors import ConfigError, DataError, SequenceLengthError, ShapeError
from recursive.layers import config
from recursive.layers.graph import Graph
from recursive.layers.layer import Layer
from recursive.loop.lengths import check_lengths
from recursive.objectives import takes_class_numbers
from recursive.spec.shapes import Shape
from recursive.training import data, padding
from recursive.training.data import Arrays
from recursive.training.measures import Measures
from recursive.training.rows import LazyRows, is_lazy


def inputs(
    container: Layer,
    X: object,
    lazy: bool = False,
    training: bool = False,
    n_steps: int | None = None,
) -> Arrays:
    """Return an array for each input and build the container for their shapes.

    Args:
        container: the container.
        X: the user's inputs.
        lazy: True leaves arrays in files unread, as LazyRows.
        training: True if inputs that are for training only must be given.
        n_steps: the number of steps of loops without sequences; None for the declared
            one.

    Raises:
        DataError, ShapeError, DtypeError, SequenceLengthError: for data that does not
            match the declaration.
    """
    arrays, _ = _input_arrays(container, X, lazy, training, n_steps)
    if n_steps is not None:
        check_takes_steps(container, arrays, n_steps)
    container.build(_as_input_shape(container, _shapes(arrays)))
    return arrays


def pairs(
    container: Layer,
    X: object,
    y: object,
    outputs: tuple[str, ...],
    targets_for: Callable[[dict[str, Shape]], list[Argument]],
    lazy: bool = False,
    training: bool = False,
) -> tuple[Arrays, dict[str, np.ndarray]]:
    """Return an array for each input and target, and build the container.

    Args:
        container: the container that is trained.
        X: the user's inputs; a dict may hold the targets too if ``y`` is None.
        y: the user's targets.
        outputs: the names of the outputs that have a target.
        targets_for: returns the expected targets for inputs of given shapes.
        lazy: True leaves arrays in files unread, as LazyRows.
        training: True if inputs that are for training only must be given.

    Returns:
        The arrays, and for each target that was padded, 1 at its steps and 0 at the
        padding, ``(batch, time)``.

    Raises:
        DataError, ShapeError, DtypeError, SequenceLengthError: for data that does not
            match the declaration.
    """
    if y is None and isinstance(X, Mapping):
        X, y = _separate(X, outputs)
    arrays, lengths = _input_arrays(container, X, lazy, training)
    shapes = _shapes(arrays)
    targets = targets_for(shapes)
    given = data.by_name("target", _unlisted(y, targets), outputs)
    given, steps = padding.padded_targets(container, targets, given, lengths)
    for argument in targets:
        arrays[argument.name] = _target(argument, given[argument.name], lazy)
    data.check_rows(arrays)
    # Last: data that is refused builds nothing, so other data can still be tried.
    container.build(_as_input_shape(container, shapes))
    return arrays, steps


def _separate(
    values: Mapping[str, object], outputs: tuple[str, ...]
) -> tuple[dict[str, object], dict[str, object]]:
    """Separate a dict of inputs and targets."""
    X, y = {}, {}
    for name, value in values.items():
        if name in outputs:
            y[name] = value
        else:
            X[name] = value
    return X, y


# Inputs


def _input_arrays(
    container: Layer,
    X: object,
    lazy: bool,
    training: bool,
    n_steps: int | None = None,
) -> tuple[Arrays, padding.Lengths]:
    """The inputs, and the lengths of the sequences that were padded."""
    arguments = {argument.name: argument for argument in container.arguments()}
    for name in _missing(container.optional_ports, X, len(arguments)):
        del arguments[name]
    X = _unlisted(X, list(arguments.values()))
    X = padding.with_mask_input(container, X)
    absent = []
    if not training:
        absent = _missing(container.training_ports, X, len(arguments))
    names = [name for name in arguments if name not in absent]
    given = data.by_name("input", X, names)
    given, lengths = padding.padded_inputs(container, sequences, given)
    arrays = {}
    for name, value in given.items():
        arrays[name] = _array("input", arguments[name], value, lazy)
    if absent:
        arrays = _with_zeros(container, arguments, arrays, n_steps)
    # The number of steps comes before shapes, for the better error message.
    _check_steps(container, arguments, arrays, absent if n_steps else ())
    for name, array in arrays.items():
        data.check_shape("input", arguments[name], array)
        data.check_limit("input", arguments[name], array)
    data.check_rows(arrays)
    names = getattr(container, "sequence_names", ())
    check_lengths({name: arrays[name].shape[1] for name in names})
    return arrays, lengths


def _missing(names: Sequence[str], X: object, inputs: int) -> list[str]:
    """The inputs among ``names`` that ``X`` does not have, of all ``inputs``."""
    if isinstance(X, Mapping):
        return [name for name in names if name not in X]
    is_complete = isinstance(X, list | tuple) and len(X) == inputs
    return [] if is_complete and len(X) > 1 else list(names)


def _with_zeros(
    container: Layer,
    arguments: Mapping[str, Argument],
    arrays: Arrays,
    n_steps: int | None,
) -> Arrays:
    """The inputs, with zeros for those that are for training only.

    Nothing reads the zeros: a Teacher reads the prediction instead.

    Raises:
        DataError: if there is no input that tells the number of rows or steps.
        ShapeError: if the dim is not known.
    """
    lengths = [
        arrays[name].shape[1] for name in container.sequence_names if name in arrays
    ]
    declared = container.n_steps if n_steps is None else n_steps
    steps = lengths[0] if lengths else declared
    complete = {}
    for name, argument in arguments.items():
        if name in arrays:
            complete[name] = arrays[name]
            continue
        if steps is None:
            raise DataError.about(
                "input",
                name,
                takes="another sequence, or n_steps, while predicting",
                because="nothing else tells the number of steps",
                got="neither",
                do="Set n_steps of the loop.",
            )
        _, _, *rest = argument.shape
        if None in rest:
            raise ShapeError.about(
                "input",
                name,
                takes="a dim, before it is left out",
                got="none",
                do="Say add_input(name, dim=4, training_only=True).",
            )
        shape = (data.check_rows(arrays), steps, *rest)
        complete[name] = np.zeros(shape, argument.dtype)
    return complete


def _array(
    kind: str, argument: Argument, value: object, lazy: bool
) -> np.ndarray | LazyRows:
    """The value as an array, or as rows of a file that are cast when they are read."""
    if not (lazy and is_lazy(value)):
        return as_array(kind, argument.name, value, argument.dtype)

    def convert(read: np.ndarray) -> np.ndarray:
        array = as_array(kind, argument.name, read, argument.dtype)
        data.check_limit(kind, argument, array)
        return array

    return LazyRows(value, value.shape[1:], argument.dtype, convert)


def check_takes_steps(container: Layer, arrays: Arrays, n_steps: int) -> None:
    """Raise an error unless a loop takes its number of steps from ``n_steps``.

    Raises:
        SequenceLengthError: if all loops read sequences, of another length.
        ConfigError: if there is no loop at all.
    """
    loops = config.loops(container).values()
    specs = [loop.spec for loop in loops if hasattr(loop, "spec")]
    if not all(spec.has_sequences_while_predicting for spec in specs):
        return
    lengths = {name: arrays[name].shape[1] for name in sequences(container)}
    if not loops or not lengths:
        raise ConfigError.about(
            "argument",
            "n_steps",
            takes="a model with a loop that reads no sequence",
            got="a model without one",
            do="Leave n_steps out.",
        )
    if set(lengths.values()) != {n_steps}:
        got = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise SequenceLengthError.about(
            "argument",
            "n_steps",
            takes="the number of steps of the sequences",
            because="each loop reads one",
            got=f"n_steps={n_steps}, {got}",
            do="Leave n_steps out.",
        )


def _check_steps(
    container: Layer,
    arguments: Mapping[str, Argument],
    arrays: Arrays,
    without: Collection[str] = (),
) -> None:
    """Raise a SequenceLengthError if a sequence does not have the steps of its loop.

    Those in ``without`` may have other steps.
    """
    loop = container
    while getattr(loop, "layers", None):  # a Sequential's first layer takes its input
        loop = loop.layers[0]
    steps = getattr(loop, "n_steps", None)
    if steps is None:
        return
    for name in getattr(loop, "sequence_names", ()):
        array = None if name in without else arrays.get(name)
        # The check of shapes reports an array with other axes.
        if array is None or array.ndim != len(arguments[name].shape):
            continue
        if array.shape[1] != steps:
            raise SequenceLengthError.about(
                "input",
                name,
                takes=f"{steps} steps",
                because=f"the loop has n_steps={steps}",
                got=str(array.shape[1]),
                do=f"Set n_steps={array.shape[1]} for the loop, "
                f"or pass sequences of {steps} steps.",
            )


def sequences(container: Layer) -> list[str]:
    """Return the names of the inputs that have a time axis.

    A loop declares them. Other containers show them by their axes:
    ``(batch, time, dim)`` for floats, ``(batch, time)`` for integers.
    """
    declared = getattr(container, "sequence_names", None)
    if declared is not None:
        return [item.name for item in container.arguments() if item.name in declared]
    found = []
    for argument in container.arguments():
        has_dim = argument.dtype.startswith("float")
        if len(argument.shape) > 1 + has_dim:
            found.append(argument.name)
    return found


def _shapes(arrays: Arrays) -> dict[str, Shape]:
    return {name: (None, *array.shape[1:]) for name, array in arrays.items()}


def _as_input_shape(container: Layer, shapes: dict[str, Shape]) -> object:
    """Shapes by name for a container with named inputs, else the only shape."""
    if isinstance(container, Graph) or len(shapes) > 1:
        return shapes
    return next(iter(shapes.values()))


def _unlisted(given: object, arguments: list[Argument]) -> object:
    """``X`` for ``[X]`` if one array is expected: Keras 0.1 took a list of arrays."""
    is_list = isinstance(given, list | tuple)
    if not is_list or not len(given) == len(arguments) == 1:
        return given
    # A list of rows of unequal lengths is no array yet.
    is_array = padding.is_ragged(given[0]) or (
        _ndim(given[0]) == len(arguments[0].shape)
    )
    return given[0] if is_array else given


def _ndim(value: object) -> int:
    return value.ndim if is_lazy(value) else np.ndim(value)


# Targets


def target_arguments(
    container: Layer, measures: Measures, shapes: dict[str, Shape] | None = None
) -> list[Argument]:
    """Return the targets of a built container, one for each output that has a loss.

    A target has the shape of its output and is in floatX. Class numbers are integers,
    ``(batch, 1)`` or ``(batch, time, 1)``.

    Args:
        container: the container.
        measures: the losses of the outputs.
        shapes: the shapes of its inputs; None for the declared ones.
    """
    if not shapes:
        arguments = container.arguments()
        shapes = {argument.name: argument.shape for argument in arguments}
    found = container.get_target_shape_for(_as_input_shape(container, shapes))
    if not isinstance(found, Mapping):
        found = {container.output_names[0]: found}
    targets = []
    for name, objective in measures.losses.items():
        *rows, dim = found[name]
        if takes_class_numbers(objective):
            targets.append(Argument(name, "int64", (*rows, 1), limit=dim))
        else:
            targets.append(Argument(name, backend.floatX(), (*rows, dim)))
    return targets


def _target(
    argument: Argument, value: object, lazy: bool = False
) -> np.ndarray | LazyRows:
    """The target as an array; ``(batch,)`` is accepted for ``(batch, 1)``."""
    array = _array("target", argument, value, lazy)
    if array.ndim == len(argument.shape) - 1 and argument.shape[-1] == 1:
        array = _with_last_axis(array)
    data.check_shape("target", argument, array, do=_advice(argument, array))
    data.check_limit("target", argument, array)
    return array


def _with_last_axis(array: np.ndarray | LazyRows) -> np.ndarray | LazyRows:
    return array.with_last_axis() if isinstance(array, LazyRows) else array[..., None]


def _advice(argument: Argument, array: np.ndarray) -> str:
    """The advice for a target of another shape, which may be class numbers."""
    classes = argument.shape[-1]
    numbers = None
    if array.ndim == len(argument.shape) - 1:
        numbers = "y"
    elif array.ndim == len(argument.shape) and array.shape[-1] == 1:
        numbers = "y[..., 0]"
    if numbers and classes not in (None, 1) and _are_integers(array):
        return f"If they are classes, pass np.eye({classes})[{numbers}]."
    return "Reshape the targets, or correct the layer that computes the output."


def _are_integers(array: np.ndarray | LazyRows) -> bool:
    some = array[:1000]  # a file may be large
    return np.array_equal(some, np.round(some))
