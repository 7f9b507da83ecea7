"""A container's inputs and targets: what arrays they take, and the user's data made into them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from recursive import backend
from recursive.backend import Argument
from recursive.backend.arrays import as_array
from recursive.errors import SequenceLengthError
from recursive.layers.graph import Graph
from recursive.layers.layer import Layer
from recursive.loop.lengths import check_lengths
from recursive.spec.shapes import Shape
from recursive.training import data
from recursive.training.data import Arrays


def inputs(container: Layer, X: object) -> Arrays:
    """An array for each input. What the declaration left open is found from them: the container is built.

    Raises:
        DataError, ShapeError, DtypeError, SequenceLengthError: for data that does not match the declaration.
    """
    arrays = _arrays(container, X)
    container.build(_as_input_shape(container, _shapes(arrays)))
    return arrays


def _arrays(container: Layer, X: object) -> Arrays:
    arguments = {argument.name: argument for argument in container.arguments()}
    given = data.by_name(
        "input", _unlisted(X, list(arguments.values())), list(arguments)
    )
    arrays = {
        name: as_array("input", name, value, arguments[name].dtype)
        for name, value in given.items()
    }
    _check_steps(container, arguments, arrays)
    for name, array in arrays.items():
        data.check_shape("input", arguments[name], array)
        data.check_limit("input", arguments[name], array)
    data.check_rows(arrays)
    if sequences := getattr(container, "sequence_names", ()):
        check_lengths({name: arrays[name].shape[1] for name in sequences})
    return arrays


def _check_steps(
    container: Layer, arguments: Mapping[str, Argument], arrays: Arrays
) -> None:
    """Raise a SequenceLengthError where a loop was declared with another number of steps than a sequence has."""
    first = container
    while getattr(first, "layers", None):  # a Sequential's first layer takes its input
        first = first.layers[0]
    steps = getattr(first, "n_steps", None)
    for name in getattr(first, "sequence_names", ()) if steps is not None else ():
        array, shape = arrays.get(name), arguments[name].shape
        # An array of other axes is told of by its shape.
        if array is None or array.ndim != len(shape) or array.shape[1] == steps:
            continue
        raise SequenceLengthError.about(
            "input",
            name,
            takes=f"{steps} steps",
            because=f"the loop has n_steps={steps}",
            got=str(array.shape[1]),
            do=f"Set n_steps={array.shape[1]} for the loop, or pass sequences of {steps} steps.",
        )


def sequences(container: Layer) -> list[str]:
    """The inputs that have steps: those that a loop says, else by their axes, words one fewer than vectors."""
    named = getattr(container, "sequence_names", None)
    return [
        argument.name
        for argument in container.arguments()
        if (
            len(argument.shape) > 1 + argument.dtype.startswith("float")
            if named is None
            else argument.name in named
        )
    ]


def _shapes(arrays: Arrays) -> dict[str, Shape]:
    return {name: (None, *array.shape[1:]) for name, array in arrays.items()}


def pairs(
    container: Layer,
    X: object,
    y: object,
    targets_for: Callable[[dict[str, Shape]], list[Argument]],
) -> Arrays:
    """An array for each input, then one for each target; ``X`` may be a dict that holds both.

    Args:
        container: what they are for.
        X, y: as the user gave them.
        targets_for: what targets look like, for inputs of some shapes.

    Raises:
        DataError, ShapeError, DtypeError, SequenceLengthError: for data that does not match the declaration.
    """
    if y is None and isinstance(X, Mapping):
        y = {name: value for name, value in X.items() if name in container.output_names}
        X = {name: value for name, value in X.items() if name not in y}
    arrays = _arrays(container, X)
    shapes = _shapes(arrays)
    targets = targets_for(shapes)
    given = data.by_name("target", _unlisted(y, targets), list(container.output_names))
    arrays |= {
        argument.name: _target(argument, given[argument.name]) for argument in targets
    }
    data.check_rows(arrays)
    container.build(_as_input_shape(container, shapes))
    return arrays


def target_arguments(
    container: Layer, shapes: dict[str, Shape] | None = None
) -> list[Argument]:
    """What the targets of a built container look like, for inputs of ``shapes``: its outputs, in floatX."""
    shapes = shapes or {
        argument.name: argument.shape for argument in container.arguments()
    }
    found = container.get_output_shape_for(_as_input_shape(container, shapes))
    found = found if isinstance(found, Mapping) else {container.output_names[0]: found}
    return [Argument(name, backend.floatX(), shape) for name, shape in found.items()]


def _unlisted(given: object, arguments: list[Argument]) -> object:
    """``X`` for ``[X]`` where one array is expected: to Keras 0.1, a list was one of arrays."""
    alone = isinstance(given, list | tuple) and len(given) == len(arguments) == 1
    return given[0] if alone and np.ndim(given[0]) == len(arguments[0].shape) else given


def _target(argument: Argument, value: object) -> np.ndarray:
    """A target as an array; ``(batch,)`` will do where ``(batch, 1)`` is expected."""
    array = as_array("target", argument.name, value, argument.dtype)
    if array.ndim == len(argument.shape) - 1 and argument.shape[-1] == 1:
        array = array[..., np.newaxis]
    data.check_shape("target", argument, array, do=_advice(argument, array))
    return array


def _advice(argument: Argument, array: np.ndarray) -> str:
    """What to do about a target of another shape: whole numbers where rows of values belong may be classes."""
    classes = argument.shape[-1]
    numbers = {len(argument.shape) - 1: "y", len(argument.shape): "y[..., 0]"}.get(
        array.ndim
    )
    one_a_row = array.ndim < len(argument.shape) or array.shape[-1] == 1
    if (
        numbers
        and classes not in (None, 1)
        and one_a_row
        and np.array_equal(array, np.round(array))
    ):
        return f"If they are classes, pass np.eye({classes})[{numbers}]."
    return "Reshape the targets, or mend the layer that computes the output."


def _as_input_shape(container: Layer, shapes: dict[str, Shape]) -> object:
    """Shapes by name for a container with named inputs, the one shape for others."""
    named = isinstance(container, Graph) or len(shapes) > 1
    return shapes if named else next(iter(shapes.values()))
