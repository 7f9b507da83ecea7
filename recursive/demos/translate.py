"""Dates in words to ISO dates: a network reads one character after another, and writes.

An encoder reads ``the third of March nineteen ninety-seven`` in both directions. A
decoder writes ``1997-03-03``. It starts from zeros, so all that it knows of the text
comes through the attention: a heat map shows which characters it reads for each one
that it writes.

Source: Bahdanau, Cho and Bengio, 2015, arXiv 1409.0473.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pytensor

from recursive.callbacks import Callback, History, LearningRateScheduler
from recursive.demos import choices, dates
from recursive.demos.dates import ISO_LENGTH, ISO_LETTERS, TEXT_LETTERS, Dates
from recursive.layers.attention import Attention
from recursive.layers.cells import RecurrentGRU
from recursive.layers.core import Dense
from recursive.layers.embeddings import Embedding
from recursive.layers.recurrent import GRU
from recursive.layers.teacher import Teacher
from recursive.layers.wrappers import Bidirectional
from recursive.models import Recursive
from recursive.optimizers import Adam
from recursive.utils import extras

LETTER_DIM = 32
SHOWN_DAY = date(1997, 3, 3)
SHOWN_FORMS = (dates.in_words, dates.with_weekday, dates.with_slashes)
"""The forms of the day in the heat map."""


def translator(dim: int) -> Recursive:
    """Encoder and decoder in one loop, over the ten characters of the ISO date.

    The encoder is made of nodes that read only a context, the text. So it runs once,
    before the loop.

    Args:
        dim: the units of each direction of the encoder. The decoder has twice as many.
    """
    rnn = Recursive(return_sequences=True, n_steps=ISO_LENGTH)
    rnn.add_input("text", ndim=2, dtype="int", is_sequence=False)
    rnn.add_input("truth", dim=len(ISO_LETTERS), training_only=True)
    rnn.add_state("h", dim=2 * dim)
    rnn.add_state("y", dim=len(ISO_LETTERS))
    letters = Embedding(len(TEXT_LETTERS) + 1, LETTER_DIM, mask_zero=True)
    rnn.add_node(letters, "letters", input="text")
    reader = GRU(
        LETTER_DIM, dim, activation="tanh", return_sequences=True, mask_mode="carry"
    )
    rnn.add_node(Bidirectional(reader), "memory", input="letters")
    rnn.add_node(
        Attention("additive", dim=dim), "read", input={"memory": "memory", "query": "h"}
    )
    rnn.add_node(Teacher(), "previous", input={"truth": "truth_tm1", "prediction": "y"})
    rnn.add_node(
        RecurrentGRU(2 * dim + len(ISO_LETTERS), 2 * dim, activation="tanh"),
        "write",
        input={"input": ["read", "previous"], "prev_hid": "h"},
        return_state="h",
    )
    rnn.add_node(
        Dense(2 * dim, len(ISO_LETTERS), activation="softmax"),
        "iso",
        input="write",
        return_state="y",
        create_output=True,
    )
    rnn.add_output("weights", input="read.weights")
    return rnn


def translate(model: Recursive, texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """The ISO dates that the network writes, one character after another.

    Returns:
        The dates, and the weights of the attention, ``(batch, 10, 54)``.
    """
    found = model.predict({"text": dates.text_array(texts)}, batch_size=1000)
    isos = []
    for numbers in found["iso"].argmax(axis=-1):
        isos.append("".join(ISO_LETTERS[number] for number in numbers))
    return isos, found["weights"]


def share_right(model: Recursive, held: Dates) -> float:
    """The share of dates that are right in every character."""
    isos, _ = translate(model, held.texts)
    return float(np.mean(np.array(isos) == np.array(held.isos)))


class TranslateHeldOut(Callback):
    """Keeps the share of held-out dates that are exactly right after each epoch."""

    def __init__(self, held: Dates):
        self.held = held
        self.shares: list[float] = []

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.shares.append(share_right(self.model, self.held))


def run(
    out: Path, quick: bool, backend_name: str | None, seed: int, started: float
) -> float:
    """Build, show and train the network, and write everything into ``out``.

    On Ctrl-C, the weights and the configuration are written before the program ends.
    Arguments and errors are those of :func:`recursive.demos.digits.run`.

    Returns:
        The share of held-out dates that are exactly right.
    """
    choices.check(out, seed)
    figures = extras.load(
        "recursive.demos.figures", "examples", "it draws the pictures"
    )
    # The library's own choice: C only if the loops become C functions.
    chosen = backend_name or "auto"
    rows, held_rows, dim, epochs = 8000, 1000, 48, 4
    if quick:
        rows, held_rows, dim, epochs = 200, 50, 8, 2
    learned, held = dates.load(rows, held_rows)
    with pytensor.config.change_flags(floatX="float32"):
        np.random.seed(seed)
        model, asking = translator(dim), TranslateHeldOut(held)
        print(model.explain(), end="\n\n")
        print(
            f"Training on {len(learned.texts)} dates, backend {chosen}, "
            f"after {time.time() - started:.1f} s."
        )
        with _written_on_interrupt(model, out):
            history = _train(model, learned, asking, epochs, chosen)
        choices.write(model, {"step": model}, out)
        _print_some(model, held)
        shown = [form(SHOWN_DAY) for form in SHOWN_FORMS]
        isos, weights = translate(model, shown)
    figures.loss_curve(
        {"translator": history}, out / "loss.png", "Translating dates, by characters"
    )
    figures.shares(
        asking.shares, out / "right.png", "Held-out dates that are exactly right"
    )
    figures.attention(weights, shown, isos, out / "attention")
    print(
        f"\nExactly right: {asking.shares[-1]:.4f} of {len(held.texts)} dates "
        f"that were held out, on backend {model.backend}, "
        f"after {time.time() - started:.0f} s"
    )
    print(choices.files_written(out))
    return asking.shares[-1]


@contextmanager
def _written_on_interrupt(model: Recursive, out: Path) -> Iterator[None]:
    """Write the model into ``out`` if Ctrl-C ends the block."""
    try:
        yield
    except KeyboardInterrupt:
        choices.write(model, {"step": model}, out)
        print(f"\nStopped early. {choices.files_written(out)}")
        raise


def _train(
    model: Recursive,
    learned: Dates,
    asking: TranslateHeldOut,
    epochs: int,
    backend_name: str,
) -> History:
    # Large steps first, small ones in the last third of the epochs.
    schedule = LearningRateScheduler(
        lambda epoch: 0.005 if epoch < 0.7 * epochs else 0.001
    )
    model.compile(
        Adam(lr=0.005),
        {"iso": "categorical_crossentropy", "weights": None},
        backend=backend_name,
    )
    held = asking.held
    return model.fit(
        {"text": learned.text, "truth": learned.iso},
        learned.iso,
        batch_size=50,
        nb_epoch=epochs,
        callbacks=[schedule, asking],
        validation_data=({"text": held.text}, held.iso),
    )


def _print_some(model: Recursive, held: Dates) -> None:
    print("\nSome held-out dates:")
    isos, _ = translate(model, held.texts[:8])
    for text, iso in zip(held.texts[:8], isos, strict=True):
        print(f"    {text} = {iso}")
