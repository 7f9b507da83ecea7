"""Text, one character at a time: a network predicts the next one, and then writes.

The text comes with Python: the Zen, and topics of the language reference that
``help()`` shows. It depends on the version of Python, and so do the losses a little.

Source: Sutskever, Martens and Hinton, 2011; Graves, 2013, arXiv 1308.0850.
"""

from __future__ import annotations

import codecs
import contextlib
import importlib
import io
import re
import time
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytensor

from recursive.callbacks import History
from recursive.demos import choices
from recursive.layers.cells import RecurrentGRU
from recursive.layers.core import TimeDistributedDense
from recursive.layers.embeddings import Embedding
from recursive.models import Recursive, Sequential
from recursive.optimizers import Adam
from recursive.utils import extras, series
from recursive.utils.files import write_text

TOPICS = ("types", "execmodel", "naming", "objects", "compound")
"""The topics of the language reference, about 110,000 characters of prose."""
ROWS, STEPS, HELD_BATCHES = 32, 50, 4
LENGTH, TEMPERATURE = 600, 0.6


@dataclass(frozen=True)
class Text:
    """The letters in a text, and the text as their indices, ``(length,)``."""

    letters: str
    numbers: np.ndarray

    def batches(self, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """The letters and the next letters of batches ``start`` to ``end``.

        Letters are ``(batches * 32, 50)``, next letters one-hot,
        ``(batches * 32, 50, letters)``. Row r of a batch continues row r of the one
        before.
        """
        first, last = start * ROWS * STEPS, end * ROWS * STEPS
        one_hot = np.eye(len(self.letters), dtype=pytensor.config.floatX)
        following = one_hot[self.numbers[first + 1 : last + 1]]
        X = series.cut(self.numbers[first:last], ROWS, STEPS)
        return X, series.cut(following, ROWS, STEPS)

    @property
    def count(self) -> int:
        """The number of whole batches, in which every letter has a next one."""
        return (len(self.numbers) - 1) // (ROWS * STEPS)


def load() -> Text:
    """The Zen of Python and some topics of its reference, in printable ASCII.

    >>> text = load()
    >>> "".join(text.letters[number] for number in text.numbers[:32])
    'The Zen of Python, by Tim Peters'
    """
    with contextlib.redirect_stdout(io.StringIO()):  # importing it prints it
        zen = codecs.decode(importlib.import_module("this").s, "rot13")
    prose = "\n\n".join([zen, *(topics[name] for name in TOPICS)])
    words = re.sub(r"[^\n -~]", "", prose)
    letters = "".join(sorted(set(words)))
    return Text(letters, np.array([letters.index(letter) for letter in words]))


def predictor(letters: int, dim: int) -> Sequential:
    """The network: from letters ``(batch, time)`` to the probability of each next one.

    Its output is ``(batch, time, letters)``. It is stateful.
    """
    rnn = Recursive(return_sequences=True, stateful=True)
    rnn.add_input("letter", dim=32)
    rnn.add_state("h", dim=dim)
    rnn.add_node(
        RecurrentGRU(32, dim, activation="tanh"),
        "read",
        input={"input": "letter", "prev_hid": "h"},
        return_state="h",
        create_output=True,
    )
    return Sequential(
        [
            Embedding(letters, 32),
            rnn,
            TimeDistributedDense(dim, letters, activation="softmax"),
        ]
    )


def write(
    model: Sequential, text: Text, start: str, length: int, seed: int
) -> tuple[str, np.ndarray]:
    """``start`` continued by ``length`` letters, and the state after each letter read.

    The states are ``(letters, dim)``. The network reads one letter in each call; the
    state that it keeps between calls is its only memory. The next letter is drawn with
    a temperature below 1, which favours the likely ones.
    """
    rng = np.random.RandomState(seed)
    written, states = start, []
    model.reset_states(batch_size=1)
    while len(written) < len(start) + length:
        letter = text.letters.index(written[len(states)])
        chances = model.predict(np.array([[letter]]))[0, 0].astype("float64")
        chances = chances ** (1 / TEMPERATURE)
        states.append(model.get_states()["layer_1.h"][0])
        has_read_all = len(states) == len(written)
        if has_read_all:
            written += text.letters[rng.choice(len(chances), p=chances / chances.sum())]
    return written, np.array(states)


def run(
    out: Path, quick: bool, backend_name: str | None, seed: int, started: float
) -> float:
    """Build, show and train the network, let it write, and keep everything in ``out``.

    Arguments and errors are those of :func:`recursive.demos.digits.run`.

    Returns:
        The loss for each character of held-out text.
    """
    choices.check(out, seed)
    figures = extras.load(
        "recursive.demos.figures", "examples", "it draws the pictures"
    )
    chosen = choices.chosen_backend(backend_name)
    text = load()
    dim, epochs, batches, length = 128, 20, text.count - HELD_BATCHES, LENGTH
    if quick:
        dim, epochs, batches, length = 16, 2, 4, 60
    with pytensor.config.change_flags(floatX="float32"):
        np.random.seed(seed)
        model = predictor(len(text.letters), dim)
        rnn = model.layers[1]
        print(rnn.explain(), end="\n\n")
        print(
            f"Training on {batches * ROWS * STEPS} letters, backend {chosen}, "
            f"after {time.time() - started:.1f} s."
        )
        history = _train(model, text, batches, epochs, chosen)
        written, states = write(model, text, "The ", length, seed)
        choices.write(model, {"step": rnn}, out)
    write_text(out / "written.txt", written + "\n")
    figures.loss_curve(
        {"GRU": history},
        out / "loss.png",
        "Predicting the next character",
        "cross-entropy for each character, nats",
        scale="linear",
    )
    figures.state_over_letters(states[:60, :24], written[:60], out / "state.png")
    losses = history.history["loss"]
    held_loss = history.history["val_loss"][-1]
    print(
        f"\n{written}\n\n"
        f"Loss for each character: {losses[0]:.2f} in the first epoch, "
        f"{losses[-1]:.2f} in the last, {held_loss:.2f} on held-out text; "
        f"guessing has {np.log(len(text.letters)):.2f}. "
        f"After {time.time() - started:.0f} s."
    )
    print(choices.files_written(out))
    return held_loss


def _train(
    model: Sequential, text: Text, batches: int, epochs: int, backend_name: str
) -> History:
    X, Y = text.batches(0, batches)
    model.compile(Adam(lr=0.005), "categorical_crossentropy", backend=backend_name)
    return model.fit(
        X,
        Y,
        batch_size=ROWS,
        nb_epoch=epochs,
        shuffle=False,
        reset_states="epoch",
        validation_data=text.batches(batches, batches + HELD_BATCHES),
    )
