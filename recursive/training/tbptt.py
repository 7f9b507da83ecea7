"""Truncated backpropagation through time: sequences cut into chunks of some steps, and a training step on each.

States go on from chunk to chunk, gradients do not. Source: BPTT(h; h') of Williams and Peng, "An Efficient
Gradient-Based Algorithm for On-Line Training of Recurrent Network Trajectories", 1990, with h = h'.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np

from recursive.errors import ConfigError, SequenceLengthError
from recursive.spec.shapes import Shape
from recursive.training.data import Arrays
from recursive.utils.progress import Mean


def train(
    run: Callable[[Arrays], dict[str, float]],
    whole: Collection[str],
    steps: int,
    arrays: Arrays,
) -> dict[str, float]:
    """Make a training step with ``run`` on each chunk of ``steps``; the last chunk may be shorter.

    Args:
        run: from the arrays of a chunk to its numbers.
        whole: the names of what is not cut, since it is the same at every step.
        steps: how many steps a chunk has.
        arrays: a batch, ``(batch, time, ...)`` each but for ``whole``.

    Returns:
        The means over the chunks, in which each step counts the same.
    """
    mean = Mean(("loss", "acc"))
    for length, chunk in cut(arrays, whole, steps):
        mean.add(run(chunk), length)
    return mean.values()


def cut(
    arrays: Arrays, whole: Collection[str], steps: int
) -> Iterator[tuple[int, Arrays]]:
    """The chunks of a batch, and how many steps each has.

    >>> import numpy as np
    >>> [(length, chunk["x"].tolist()) for length, chunk in cut({"x": np.array([[1, 2, 3]])}, (), 2)]
    [(2, [[1, 2]]), (1, [[3]])]
    """
    time = next(array.shape[1] for name, array in arrays.items() if name not in whole)
    for start in range(0, time, steps):
        span = slice(start, start + steps)
        yield (
            min(steps, time - start),
            {
                name: array if name in whole else np.ascontiguousarray(array[:, span])
                for name, array in arrays.items()
            },
        )


def check(
    carries: bool,
    sequences: Collection[str],
    targets: Mapping[str, Shape],
    arrays: Arrays,
) -> None:
    """Raise an error where a model cannot be trained in chunks.

    Args:
        carries: whether the model has states that go on.
        sequences: the names of the inputs that are sequences.
        targets: the shapes of the outputs by name.
        arrays: the data.

    Raises:
        ConfigError: without states that go on, without a sequence, or for an output that is none.
        SequenceLengthError: for sequences of several lengths.
    """
    if not carries:
        raise _refused(
            "a model that carries states over",
            "they go on from chunk to chunk",
            "one without",
            "Say stateful=True in the recurrent layer.",
        )
    if not sequences:
        raise _refused(
            "an input that is a sequence",
            "it is cut into chunks",
            "none",
            "Leave tbptt_steps out, and choose n_steps.",
        )
    last = [name for name, shape in targets.items() if len(shape) < 3]
    if last:
        raise _refused(
            "outputs that are sequences",
            "every chunk has targets of its own",
            f"one row for all steps from {', '.join(map(repr, last))}",
            "Say return_sequences=True, or leave tbptt_steps out.",
        )
    lengths = {name: arrays[name].shape[1] for name in (*sequences, *targets)}
    if len(set(lengths.values())) > 1:
        raise SequenceLengthError.about(
            "argument",
            "tbptt_steps",
            takes="sequences of one length",
            because="all are cut at the same steps",
            got=", ".join(f"{name}: {length}" for name, length in lengths.items()),
            do="Leave tbptt_steps out, or cut them yourself for train_on_batch.",
        )


def check_loops(loops: Mapping[str, object], steps: int) -> None:
    """Raise a ConfigError where chunks of ``steps`` would not be what the whole sequence is to one of ``loops``.

    Args:
        loops: the layers that run over the steps that are cut, by their paths.
        steps: how many steps a chunk has.
    """
    for path, loop in loops.items():
        name = f"{path or 'the model'} ({type(loop).__name__})"
        if loop.go_backwards:
            raise _refused(
                "loops that run forwards",
                "states go on from one chunk to the next",
                f"go_backwards=True in {name}",
                "Leave tbptt_steps out, or that layer.",
            )
        if loop.reset_each_batch:
            raise _refused(
                "loops whose states all go on",
                "each chunk goes on from the one before",
                f"{', '.join(map(repr, loop.reset_each_batch))} of {name}, which would start anew at each",
                "Say stateful=True in it; or stateful=False in add_state, for a state that is to.",
            )
        length = getattr(loop, "n_steps", None)
        if length is not None and length > steps:
            raise _refused(
                "loops over as many steps as come",
                f"each chunk has {steps}",
                f"n_steps={length} in {name}",
                "Leave n_steps out.",
            )


def _refused(takes: str, because: str, got: str, do: str) -> ConfigError:
    return ConfigError.about(
        "argument", "tbptt_steps", takes=takes, because=because, got=got, do=do
    )
