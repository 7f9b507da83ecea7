"""Adding numbers: an encoder reads ``37+85``, and a decoder writes ``122``.

The decoder starts from the encoder's last state and writes one digit at a time. The
data are all 10,000 sums of two numbers below 100. A thousand of them are held out: 475
pairs, in both orders, and half of the doubles. So no held-out sum is learned in the
other order.

Source: Sutskever, Vinyals and Le, 2014, arXiv 1409.3215, for the encoder and the
decoder; Zaremba and Sutskever, 2014, arXiv 1410.4615, for the task.
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

QUESTION_LETTERS, ANSWER_LETTERS = "0123456789+ ", "0123456789 "
"""The characters of a question and of an answer. A blank fills up."""
QUESTION_LENGTH, ANSWER_LENGTH = 5, 3
BELOW, HELD_PAIRS, HELD_DOUBLES = 100, 475, 50


@dataclass(frozen=True)
class Sums:
    """Some sums, their characters one-hot.

    Args:
        numbers: ``(batch, 2)``.
        question: ``(batch, 5, 12)``.
        previous: the answer one step late, ``(batch, 3, 11)``, zeros at the first step.
        answer: ``(batch, 3, 11)``.
    """

    numbers: np.ndarray
    question: np.ndarray
    previous: np.ndarray
    answer: np.ndarray

    def data(self) -> dict[str, np.ndarray]:
        """The arrays by the names of the inputs and of the output."""
        return {
            "question": self.question,
            "previous": self.previous,
            "decoder": self.answer,
        }


def load() -> tuple[Sums, Sums]:
    """The sums to learn, and the thousand that are held out, in a fixed shuffle.

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
    """The questions and answers of ``numbers``, ``(batch, 2)``.

    >>> sums(np.array([[7, 85]])).answer.argmax(axis=-1).tolist()
    [[9, 2, 10]]
    """
    questions = [f"{a}+{b}".ljust(QUESTION_LENGTH) for a, b in numbers]
    answers = [f"{a + b}".ljust(ANSWER_LENGTH) for a, b in numbers]
    question = _one_hot(questions, QUESTION_LETTERS)
    answer = _one_hot(answers, ANSWER_LETTERS)
    first = np.zeros_like(answer[:, :1])
    previous = np.concatenate([first, answer[:, :-1]], axis=1)
    return Sums(numbers, question, previous, answer)


def _one_hot(texts: list[str], letters: str) -> np.ndarray:
    """Texts of one length as ``(batch, length, letters)``."""
    indices = [[letters.index(letter) for letter in text] for text in texts]
    return np.eye(len(letters))[indices]


def encoder(dim: int) -> Recursive:
    """Reads a question and returns its last state."""
    rnn = Recursive(return_final_states=True)
    rnn.add_input("x", dim=len(QUESTION_LETTERS))
    rnn.add_state("h", dim=dim)
    rnn.add_node(
        RecurrentGRU(len(QUESTION_LETTERS), dim, activation="tanh"),
        "read",
        input={"input": "x", "prev_hid": "h"},
        return_state="h",
        create_output=True,
    )
    return rnn


def decoder(dim: int) -> Recursive:
    """Writes an answer, from the encoder's state and the digit of the step before."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=len(ANSWER_LETTERS))
    rnn.add_state("h", dim=dim)
    rnn.set_state_from("h", "h0")
    rnn.add_node(
        RecurrentGRU(len(ANSWER_LETTERS), dim, activation="tanh"),
        "write",
        input={"input": "x", "prev_hid": "h"},
        return_state="h",
    )
    rnn.add_node(
        Dense(dim, len(ANSWER_LETTERS), activation="softmax"),
        "digit",
        input="write",
        create_output=True,
    )
    return rnn


def adder(dim: int) -> Graph:
    """Encoder and decoder in one graph, so that gradients pass between them."""
    model = Graph()
    model.add_input("question", ndim=3, dim=len(QUESTION_LETTERS))
    model.add_input("previous", ndim=3, dim=len(ANSWER_LETTERS))
    model.add_node(encoder(dim), "encoder", input="question")
    model.add_node(
        decoder(dim),
        "decoder",
        input={"x": "previous", "h0": "encoder.h_final"},
        create_output=True,
    )
    return model


def answers(model: Graph, question: np.ndarray) -> np.ndarray:
    """The answers of the network as indices of characters, ``(batch, 3)``.

    Each digit is the likeliest one after the digits that the network wrote itself.
    """
    previous = np.zeros((len(question), ANSWER_LENGTH, len(ANSWER_LETTERS)))
    for step in range(ANSWER_LENGTH):
        digits = _predict(model, question, previous).argmax(axis=-1)
        if step + 1 < ANSWER_LENGTH:
            previous[:, step + 1] = np.eye(len(ANSWER_LETTERS))[digits[:, step]]
    return digits


def _predict(model: Graph, question: np.ndarray, previous: np.ndarray) -> np.ndarray:
    """The probability of each character, ``(batch, 3, 11)``."""
    data = {"question": question, "previous": previous}
    return model.predict(data, batch_size=1000)["decoder"]


def are_right(model: Graph, asked: Sums) -> np.ndarray:
    """True for the answers that are right in every digit, ``(batch,)``."""
    found = answers(model, asked.question)
    return (found == asked.answer.argmax(axis=-1)).all(axis=-1)


class AskHeldOut(Callback):
    """Asks the held-out sums after each epoch, and keeps the share of right answers."""

    def __init__(self, held: Sums):
        self.held = held
        self.shares: list[float] = []

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.shares.append(float(are_right(self.model, self.held).mean()))


def run(
    out: Path, quick: bool, backend_name: str | None, seed: int, started: float
) -> float:
    """Build, show and train the network, and write everything into ``out``.

    Arguments and errors are those of :func:`recursive.demos.digits.run`.

    Returns:
        The share of right answers among the held-out sums.
    """
    choices.check(out, seed)
    figures = extras.load(
        "recursive.demos.figures", "examples", "it draws the pictures"
    )
    chosen = choices.chosen_backend(backend_name)
    learned, held = load()
    dim, epochs = 128, 25
    if quick:
        dim, epochs = 16, 2
        learned, held = sums(learned.numbers[:500]), sums(held.numbers[:100])
    with pytensor.config.change_flags(floatX="float32"):
        np.random.seed(seed)
        model, asking = adder(dim), AskHeldOut(held)
        loops = {name: model.nodes[name] for name in ("encoder", "decoder")}
        print(loops["decoder"].explain(), end="\n\n")
        print(
            f"Training on {len(learned.numbers)} sums, backend {chosen}, "
            f"after {time.time() - started:.1f} s."
        )
        history = _train(model, learned, asking, epochs, chosen)
        choices.write(model, loops, out)
        _print_some(model, held)
        probabilities = _probabilities(model)
    figures.loss_curve(
        {"encoder and decoder": history},
        out / "loss.png",
        "Adding two numbers, digits in, digits out",
    )
    figures.shares(
        asking.shares, out / "right.png", "Held-out sums that are right in every digit"
    )
    figures.sums(probabilities, held.numbers, out / "sums.png")
    print(
        f"\nRight in every digit: {asking.shares[-1]:.4f} of {len(held.numbers)} sums "
        f"that were held out, after {time.time() - started:.0f} s"
    )
    print(choices.files_written(out))
    return asking.shares[-1]


def _train(
    model: Graph, learned: Sums, asking: AskHeldOut, epochs: int, backend_name: str
) -> History:
    # Large steps first, small ones in the last fifth of the epochs.
    schedule = LearningRateScheduler(
        lambda epoch: 0.003 if epoch < 0.8 * epochs else 0.0005
    )
    model.compile(
        Adam(lr=0.003), {"decoder": "categorical_crossentropy"}, backend=backend_name
    )
    return model.fit(
        learned.data(),
        batch_size=100,
        nb_epoch=epochs,
        callbacks=[schedule, asking],
        validation_data=asking.held.data(),
    )


def _probabilities(model: Graph) -> np.ndarray:
    """The probability of the right answer to each sum, ``(100, 100)``."""
    every = sums(np.array([(a, b) for a in range(BELOW) for b in range(BELOW)]))
    found = _predict(model, every.question, every.previous)
    of_digits = (found * every.answer).sum(axis=-1)
    return of_digits.prod(axis=-1).reshape(BELOW, BELOW)


def _print_some(model: Graph, held: Sums) -> None:
    print("\nSome held-out sums:")
    found = answers(model, held.question[:6])
    for (a, b), digits in zip(held.numbers[:6], found, strict=True):
        text = "".join(ANSWER_LETTERS[digit] for digit in digits).strip()
        print(f"    {a} + {b} = {text or '(nothing)'}")
