"""Truncated backpropagation through time: a training step on each chunk of a batch.

The sequences of a batch are cut into chunks of equal length. States continue from chunk
to chunk, gradients do not.

Source: BPTT(h; h') of Williams and Peng, "An Efficient Gradient-Based Algorithm for
On-Line Training of Recurrent Network Trajectories", 1990, with h = h'.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from recursive.errors import ConfigError, SequenceLengthError
from recursive.layers import config
from recursive.layers.layer import Layer
from recursive.spec.shapes import Shape
from recursive.training import feed
from recursive.training.averages import Measured, combined
from recursive.training.data import Arrays
from recursive.training.states import KeptStates

ARGUMENT = "tbptt_steps"


def train(
    run: Callable[[Arrays], Measured],
    contexts: Collection[str],
    steps: int,
    starts: Collection[str],
    arrays: Arrays,
) -> Measured:
    """Make a training step on each chunk of a batch.

    Args:
        run: the training step, from the arrays of a chunk to its numbers.
        contexts: the names of the arrays that are constant over time; they are not cut.
        steps: the number of steps in a chunk; the last may be shorter.
        starts: the contexts that states start from, for the first chunk alone: the
            others continue from the states of the chunk before.
        arrays: a batch, ``(batch, time, ...)`` each except for ``contexts``.

    Returns:
        The numbers of the batch, in which each step counts the same.
    """
    numbers = []
    for _, chunk in cut(arrays, contexts, steps):
        if numbers:
            chunk = {name: chunk[name] for name in chunk if name not in starts}
        numbers.append(run(chunk))
    return combined(numbers)


def cut(
    arrays: Arrays, contexts: Collection[str], steps: int
) -> Iterator[tuple[int, Arrays]]:
    """Yield the number of steps and the arrays of each chunk.

    >>> import numpy as np
    >>> chunks = cut({"x": np.array([[1, 2, 3]])}, (), 2)
    >>> [(length, chunk["x"].tolist()) for length, chunk in chunks]
    [(2, [[1, 2]]), (1, [[3]])]
    """
    sequences = [array for name, array in arrays.items() if name not in contexts]
    time = sequences[0].shape[1]
    for start in range(0, time, steps):
        chunk = {}
        for name, array in arrays.items():
            if name not in contexts:
                # A slice over time is strided, for which Numba would compile again.
                array = np.ascontiguousarray(array[:, start : start + steps])
            chunk[name] = array
        yield min(steps, time - start), chunk


def checked_contexts(model: Layer, arrays: Arrays, steps: int) -> list[str]:
    """Check that a model can be trained in chunks and return its contexts.

    Args:
        model: a container that is built.
        arrays: all rows, inputs and targets by name.
        steps: the number of steps in a chunk.

    Returns:
        The names of the inputs that are not cut.

    Raises:
        ConfigError: for a model without kept states or sequences, an output that is not
            a sequence, or a loop that gives another result in chunks.
        SequenceLengthError: for sequences of different lengths.
    """
    sequences = feed.sequences(model)
    targets = feed.target_arguments(model, model._measured)
    target_shapes = {target.name: target.shape for target in targets}
    if not KeptStates.of(model).layers:
        raise _refusal(
            "a stateful model",
            "a model without kept states",
            "Pass stateful=True to the recurrent layer.",
            because="states continue from chunk to chunk",
        )
    _check_sequences(sequences, target_shapes)
    check_lengths(ARGUMENT, [*sequences, *target_shapes], arrays)
    for path, loop in config.loops(model).items():
        _check_loop(f"{path or 'the model'} ({type(loop).__name__})", loop, steps)
    inputs = [argument.name for argument in model.arguments()]
    return [name for name in inputs if name not in sequences]


def _check_sequences(sequences: list[str], target_shapes: Mapping[str, Shape]) -> None:
    if not sequences:
        raise _refusal(
            "an input that is a sequence",
            "none",
            "Leave tbptt_steps out, and choose n_steps.",
        )
    for name, shape in target_shapes.items():
        if len(shape) < 3:  # (batch, dim)
            raise _refusal(
                "outputs that are sequences",
                f"one value for all steps from {name!r}",
                "Pass return_sequences=True, or leave tbptt_steps out.",
                because="every chunk needs its own targets",
            )


def check_lengths(argument: str, names: Sequence[str], arrays: Arrays) -> None:
    """Raise a SequenceLengthError unless all these arrays have as many steps."""
    lengths = {name: arrays[name].shape[1] for name in names}
    if len(set(lengths.values())) > 1:
        raise SequenceLengthError.about(
            "argument",
            argument,
            takes="sequences of equal length",
            because="all are cut at the same steps",
            got=", ".join(f"{name}: {length}" for name, length in lengths.items()),
            do=f"Leave {argument} out, or cut them yourself for train_on_batch.",
        )


def _check_loop(name: str, loop: Layer, steps: int) -> None:
    """Raise a ConfigError if chunks and the whole sequence would differ for a loop."""
    if loop.go_backwards:
        raise _refusal(
            "loops that run forwards",
            f"go_backwards=True in {name}",
            "Leave tbptt_steps out, or that layer.",
            because="states continue from one chunk to the next",
        )
    if loop.reset_each_batch:
        raise _refusal(
            "loops that keep all their states",
            f"{', '.join(map(repr, loop.reset_each_batch))} of {name}, "
            "reset before each chunk",
            "Pass stateful=True to it. A state that should be reset needs "
            "stateful=False in add_state.",
        )
    length = getattr(loop, "n_steps", None)
    if length is not None and length > steps:
        raise _refusal(
            f"loops of at most {steps} steps",
            f"n_steps={length} in {name}",
            "Leave n_steps out.",
            because="a chunk has no more",
        )


def refusal(
    argument: str, takes: str, got: str, do: str, because: str | None = None
) -> ConfigError:
    """The error for a model that an argument of ``fit`` cannot be used with."""
    return ConfigError.about(
        "argument", argument, takes=takes, because=because, got=got, do=do
    )


_refusal = partial(refusal, ARGUMENT)
