"""Text, a character at a time: a network learns to foretell the next one, and then writes on by itself.

The text comes with Python: the Zen, and topics of the language reference that ``help()`` shows. Another version of
Python has another text, so losses differ a little.

Source: Sutskever, Martens and Hinton, 2011; Graves, 2013, arXiv 1308.0850.
"""

from __future__ import annotations

import codecs
import contextlib
import importlib
import io
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
"""Prose of the language reference, some 110,000 characters."""
ROWS, STEPS, HELD_BATCHES = 32, 50, 4
LENGTH, WARMTH = 600, 0.6


@dataclass(frozen=True)
class Text:
    """Which ``letters`` there are, and a text as their numbers, ``(length,)``."""

    letters: str
    numbers: np.ndarray

    def batches(self, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Batches number ``start`` to ``end``: ``(batches * 32, 50)``, and the next letters, ``(..., 50, letters)``."""
        first, last = start * ROWS * STEPS, end * ROWS * STEPS
        following = np.eye(len(self.letters), dtype=pytensor.config.floatX)[
            self.numbers[first + 1 : last + 1]
        ]
        return series.cut(self.numbers[first:last], ROWS, STEPS), series.cut(
            following, ROWS, STEPS
        )

    @property
    def count(self) -> int:
        """How many whole batches the text has, each letter with one that follows."""
        return (len(self.numbers) - 1) // (ROWS * STEPS)


def load() -> Text:
    """The Zen of Python and some topics of its reference: line ends and printable ASCII only.

    >>> text = load()
    >>> "".join(text.letters[number] for number in text.numbers[:32])
    'The Zen of Python, by Tim Peters'
    """
    with contextlib.redirect_stdout(io.StringIO()):  # importing it prints it
        zen = codecs.decode(importlib.import_module("this").s, "rot13")
    words = "\n\n".join([zen, *(topics[name] for name in TOPICS)])
    words = "".join(
        letter for letter in words if letter == "\n" or " " <= letter <= "~"
    )
    letters = "".join(sorted(set(words)))
    return Text(letters, np.array([letters.index(letter) for letter in words]))


def foreteller(letters: int, dim: int) -> Sequential:
    """Reads letters ``(batch, time)``, says how likely each is the next ``(batch, time, letters)``; it is stateful."""
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
    """``start`` written on by ``length`` letters, and the state after each letter that was read, ``(letters, dim)``.

    One letter is read at a time; that the state goes on from call to call is all the memory there is. The next letter
    is drawn by chance, the likely ones preferred: probabilities to the power of 1 / 0.6.
    """
    rng, written, states = np.random.RandomState(seed), start, []
    model.reset_states(batch_size=1)
    while len(written) < len(start) + length:
        letter = text.letters.index(written[len(states)])
        chances = model.predict(np.array([[letter]]))[0, 0].astype("float64") ** (
            1 / WARMTH
        )
        states.append(model.get_states()["layer_1.h"][0])
        if len(states) == len(written):
            written += text.letters[rng.choice(len(chances), p=chances / chances.sum())]
    return written, np.array(states)


def run(
    out: Path, quick: bool, backend_name: str | None, seed: int, started: float
) -> float:
    """Build, show, train, write and keep everything in ``out``; the loss a character on text that was held out.

    Arguments and errors are those of :func:`recursive.demos.digits.run`.
    """
    choices.check(out, seed)
    figures = extras.load(
        "recursive.demos.figures", "examples", "it draws the pictures"
    )
    chosen, text = choices.chosen_backend(backend_name), load()
    dim, epochs, batches, length = (
        (16, 2, 4, 60) if quick else (128, 20, text.count - HELD_BATCHES, LENGTH)
    )
    with pytensor.config.change_flags(floatX="float32"):
        np.random.seed(seed)
        model = foreteller(len(text.letters), dim)
        print(model.layers[1].explain(), end="\n\n")
        print(
            f"Training on {batches * ROWS * STEPS} letters, backend {chosen}, after {time.time() - started:.1f} s."
        )
        history = _train(model, text, batches, epochs, chosen)
        written, states = write(model, text, "The ", length, seed)
        choices.write(model, {"step": model.layers[1]}, out)
    write_text(out / "written.txt", written + "\n")
    figures.loss_curve(
        {"GRU": history},
        out / "loss.png",
        "Foretelling the next character",
        "cross-entropy a character, nats",
        scale="linear",
    )
    figures.state_over_letters(states[:60, :24], written[:60], out / "state.png")
    print(
        f"\n{written}\n\nLoss a character: {history.history['loss'][0]:.2f} in the first epoch,"
        f" {history.history['loss'][-1]:.2f} in the last, {history.history['val_loss'][-1]:.2f} on text held out;"
        f" {np.log(len(text.letters)):.2f} is guessing. After {time.time() - started:.0f} s."
    )
    print(choices.told(out))
    return history.history["val_loss"][-1]


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
