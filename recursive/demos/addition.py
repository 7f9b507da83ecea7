"""Adding numbers: an encoder reads ``37+85``, a decoder that starts from its state writes ``122``, digit by digit.

All 10,000 sums of two numbers below 100. A thousand of them are held out: 475 pairs, both ways round, and half of the
doubles; so that no sum which is asked was seen the other way round.

Source: Sutskever, Vinyals and Le, 2014, arXiv 1409.3215, for the encoder and the decoder; Zaremba and Sutskever, 2014,
arXiv 1410.4615, for the task.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytensor

from recursive.callbacks import Callback, History, LearningRateScheduler
from recursive.demos import choices
from recursive.layers.cells import RecurrentGRU
from recursive.layers.core import Dense
from recursive.models import Graph, Recursive
from recursive.optimizers import Adam
from recursive.utils import extras

SAID, WRITTEN = "0123456789+ ", "0123456789 "
"""The characters of a question and those of an answer; a blank fills up."""
BELOW, HELD_PAIRS, HELD_DOUBLES = 100, 475, 50
LETTERS_SAID, LETTERS_WRITTEN = 5, 3


@dataclass(frozen=True)
class Sums:
    """Numbers ``(batch, 2)``, and ``said`` ``(batch, 5, 12)``, ``before`` and ``written`` ``(batch, 3, 11)``.

    Each character is a row of 0 and a 1; ``before`` is what was written at the step before, nothing at the first.
    """

    numbers: np.ndarray
    said: np.ndarray
    before: np.ndarray
    written: np.ndarray

    def data(self) -> dict[str, np.ndarray]:
        """By the names of the inputs and of the output."""
        return {"said": self.said, "before": self.before, "decoder": self.written}


def load() -> tuple[Sums, Sums]:
    """The sums to learn from, and the thousand that are held out, in a fixed shuffle.

    >>> [len(part.numbers) for part in load()]
    [9000, 1000]
    """
    rng = np.random.RandomState(0)
    pairs = rng.permutation([(a, b) for a in range(BELOW) for b in range(a)])
    doubles = rng.permutation([(a, a) for a in range(BELOW)])
    held = np.concatenate(
        [pairs[:HELD_PAIRS], pairs[:HELD_PAIRS, ::-1], doubles[:HELD_DOUBLES]]
    )
    learned = np.concatenate(
        [pairs[HELD_PAIRS:], pairs[HELD_PAIRS:, ::-1], doubles[HELD_DOUBLES:]]
    )
    return sums(rng.permutation(learned)), sums(held)


def sums(numbers: np.ndarray) -> Sums:
    """Questions and answers for ``numbers``, ``(batch, 2)``.

    >>> sums(np.array([[7, 85]])).written.argmax(axis=-1).tolist()
    [[9, 2, 10]]
    """
    said = _rows([f"{a}+{b}".ljust(LETTERS_SAID) for a, b in numbers], SAID)
    written = _rows([f"{a + b}".ljust(LETTERS_WRITTEN) for a, b in numbers], WRITTEN)
    before = np.concatenate([np.zeros_like(written[:, :1]), written[:, :-1]], axis=1)
    return Sums(numbers, said, before, written)


def _rows(texts: list[str], letters: str) -> np.ndarray:
    return np.eye(len(letters))[
        [[letters.index(letter) for letter in text] for text in texts]
    ]


def encoder(dim: int) -> Recursive:
    """Reads a question, and hands on what it remembers."""
    rnn = Recursive(return_final_states=True)
    rnn.add_input("x", dim=len(SAID))
    rnn.add_state("h", dim=dim)
    rnn.add_node(
        RecurrentGRU(len(SAID), dim, activation="tanh"),
        "read",
        input={"input": "x", "prev_hid": "h"},
        return_state="h",
        create_output=True,
    )
    return rnn


def decoder(dim: int) -> Recursive:
    """Writes an answer: from what the encoder remembers, and from the digit that it wrote the step before."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=len(WRITTEN))
    rnn.add_state("h", dim=dim)
    rnn.set_state_from("h", "h0")
    rnn.add_node(
        RecurrentGRU(len(WRITTEN), dim, activation="tanh"),
        "write",
        input={"input": "x", "prev_hid": "h"},
        return_state="h",
    )
    rnn.add_node(
        Dense(dim, len(WRITTEN), activation="softmax"),
        "digit",
        input="write",
        create_output=True,
    )
    return rnn


def adder(dim: int) -> Graph:
    """Both in one graph: the decoder's first state is the encoder's last, and a gradient goes from one to the other."""
    model = Graph()
    model.add_input("said", ndim=3, dim=len(SAID))
    model.add_input("before", ndim=3, dim=len(WRITTEN))
    model.add_node(encoder(dim), "encoder", input="said")
    model.add_node(
        decoder(dim),
        "decoder",
        input={"x": "before", "h0": "encoder.h_final"},
        create_output=True,
    )
    return model


def answers(model: Graph, said: np.ndarray) -> np.ndarray:
    """What the network writes, ``(batch, 3)``: each digit is the likeliest after those that it wrote itself."""
    before = np.zeros((len(said), LETTERS_WRITTEN, len(WRITTEN)))
    for step in range(LETTERS_WRITTEN):
        likeliest = model.predict({"said": said, "before": before}, batch_size=1000)[
            "decoder"
        ].argmax(axis=-1)
        if step + 1 < LETTERS_WRITTEN:
            before[:, step + 1] = np.eye(len(WRITTEN))[likeliest[:, step]]
    return likeliest


def right(model: Graph, asked: Sums) -> np.ndarray:
    """Which answers are right in every digit, ``(batch,)``."""
    return (answers(model, asked.said) == asked.written.argmax(axis=-1)).all(axis=-1)


class Asking(Callback):
    """Asks the sums that were held out after each epoch, and keeps the share of right answers."""

    def __init__(self, asked: Sums):
        self.asked = asked
        self.shares: list[float] = []

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.shares.append(float(right(self.model, self.asked).mean()))


def run(
    out: Path, quick: bool, backend_name: str | None, seed: int, started: float
) -> float:
    """Build, show, train and write everything into ``out``; the share of right answers among the sums held out.

    Arguments and errors are those of :func:`recursive.demos.digits.run`.
    """
    choices.check(out, seed)
    figures = extras.load(
        "recursive.demos.figures", "examples", "it draws the pictures"
    )
    chosen, (learned, held) = choices.chosen_backend(backend_name), load()
    dim, epochs = (16, 2) if quick else (128, 25)
    if quick:
        learned, held = sums(learned.numbers[:500]), sums(held.numbers[:100])
    with pytensor.config.change_flags(floatX="float32"):
        np.random.seed(seed)
        model, asking = adder(dim), Asking(held)
        print(model.nodes["decoder"].explain(), end="\n\n")
        print(
            f"Training on {len(learned.numbers)} sums, backend {chosen}, after {time.time() - started:.1f} s."
        )
        history = _train(model, learned, held, asking, epochs, chosen)
        choices.write(
            model,
            {"encoder": model.nodes["encoder"], "decoder": model.nodes["decoder"]},
            out,
        )
        every = sums(np.array([(a, b) for a in range(BELOW) for b in range(BELOW)]))
        _show(model, held)
        found = model.predict(
            {"said": every.said, "before": every.before}, batch_size=1000
        )["decoder"]
    likely = (found * every.written).sum(axis=-1).prod(axis=-1).reshape(BELOW, BELOW)
    figures.loss_curve(
        {"encoder and decoder": history},
        out / "loss.png",
        "Adding two numbers, digits in, digits out",
    )
    figures.shares(
        asking.shares,
        out / "right.png",
        "Sums never seen that are right in every digit",
    )
    figures.sums(likely, held.numbers, out / "sums.png")
    print(
        f"\nRight in every digit: {asking.shares[-1]:.4f} of {len(held.numbers)} sums that were held out,"
        f" after {time.time() - started:.0f} s"
    )
    print(choices.told(out))
    return asking.shares[-1]


def _train(
    model: Graph,
    learned: Sums,
    held: Sums,
    asking: Asking,
    epochs: int,
    backend_name: str,
) -> History:
    """Large steps first; small ones in the last fifth, to come to rest."""
    slower = LearningRateScheduler(
        lambda epoch: 0.003 if epoch < 0.8 * epochs else 0.0005
    )
    model.compile(
        Adam(lr=0.003), {"decoder": "categorical_crossentropy"}, backend=backend_name
    )
    return model.fit(
        learned.data(),
        batch_size=100,
        nb_epoch=epochs,
        callbacks=[slower, asking],
        validation_data=held.data(),
    )


def _show(model: Graph, held: Sums) -> None:
    print("\nA few that were held out:")
    for (a, b), digits in zip(
        held.numbers[:6], answers(model, held.said[:6]), strict=True
    ):
        print(
            f"    {a} + {b} = {''.join(WRITTEN[digit] for digit in digits).strip() or '(nothing)'}"
        )
