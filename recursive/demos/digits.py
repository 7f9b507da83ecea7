"""The thread's vanilla RNN reads handwritten digits, one row of pixels at each step.

The data are scikit-learn's: 1,797 images of 8 x 8 pixels in 10 classes. The last 360 of
a fixed shuffle are the test rows.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytensor

from recursive.callbacks import History
from recursive.demos import choices
from recursive.layers.core import Activation, Dense
from recursive.layers.recurrent import SimpleRNN
from recursive.models import Recursive, Sequential
from recursive.optimizers import Adam
from recursive.utils import extras

PIXELS, CLASSES, TEST_ROWS = 8, 10, 360


@dataclass(frozen=True)
class Digits:
    """Images ``(batch, 8, 8)`` in [0, 1], and one-hot classes ``(batch, 10)``."""

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


def load(rows: int | None = None) -> Digits:
    """The digits, or the first ``rows`` of each part."""
    datasets = extras.load(
        "sklearn.datasets", "examples", "it brings the handwritten digits"
    )
    digits = datasets.load_digits()
    images = digits.images / 16.0
    classes = np.eye(CLASSES)[digits.target]
    order = np.random.RandomState(0).permutation(len(images))
    train = order[:-TEST_ROWS][:rows]
    test = order[-TEST_ROWS:][:rows]
    return Digits(images[train], classes[train], images[test], classes[test])


def vanilla_rnn(dim: int) -> Recursive:
    """The network of keras issue 620 (Santana, 2015), over ``(batch, time, 8)``.

    ``h2h`` has no bias: SimpleRNN has one bias, and two would learn twice as fast.
    """
    rnn = Recursive()
    rnn.add_input("input", ndim=3)
    rnn.add_state("h", dim=dim)
    rnn.add_node(Dense(PIXELS, dim), name="i2h", inputs=["input"])
    rnn.add_node(
        Dense(dim, dim, init="orthogonal", bias=False), name="h2h", inputs=["h"]
    )
    rnn.add_node(
        Activation("tanh"),
        name="rec",
        inputs=["i2h", "h2h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    return rnn


def models(dim: int) -> tuple[Sequential, Sequential]:
    """The container and the hand-written SimpleRNN with the same weights.

    Each is followed by a softmax over the classes.
    """
    rnn = vanilla_rnn(dim)
    container = Sequential([rnn, Dense(dim, CLASSES, activation="softmax")])
    by_hand = Sequential(
        [
            SimpleRNN(PIXELS, dim, activation="tanh"),
            Dense(dim, CLASSES, activation="softmax"),
        ]
    )
    W, b, U, *readout = container.get_weights()
    by_hand.set_weights([W, U, b, *readout])
    return container, by_hand


def run(
    out: Path, quick: bool, backend_name: str | None, seed: int, started: float
) -> float:
    """Build, show, train and compare the networks, and write everything into ``out``.

    Args:
        out: the folder to write to.
        quick: True for a slice of the data and few epochs.
        backend_name: auto, jax, numba, c or python; None is JAX if it is installed,
            else plain Python.
        seed: the seed of the initial weights and of the order of rows.
        started: the time at which the process began, as ``time.time()`` counts it.

    Returns:
        The accuracy on the test rows.

    Raises:
        ConfigError: if ``out`` cannot be a folder, or for a seed that NumPy refuses.
        BackendError: for an unknown or missing backend.
    """
    choices.check(out, seed)
    figures = extras.load(
        "recursive.demos.figures", "examples", "it draws the pictures"
    )
    chosen = choices.chosen_backend(backend_name)
    rows, dim, epochs = (256, 32, 3) if quick else (None, 128, 30)
    digits = load(rows)
    with pytensor.config.change_flags(floatX="float32"):
        np.random.seed(seed)
        container, by_hand = models(dim)
        rnn = container.layers[0]
        print(rnn.explain(), end="\n\n")
        print(f"Training on {len(digits.train_x)} digits, backend {chosen}.")
        _time_first_step(container, digits, chosen, started)
        histories = {
            "Recursive": _train(container, digits, epochs, chosen, seed),
            "SimpleRNN": _train(by_hand, digits, epochs, chosen, seed),
        }
        classes = container.predict(digits.test_x).argmax(axis=-1)
        choices.write(container, {"step": rnn}, out)
    figures.loss_curve(
        histories, out / "loss.png", "Reading digits, one row of pixels at each step"
    )
    figures.confusion_matrix(
        digits.test_y.argmax(axis=-1), classes, out / "confusion.png"
    )
    return _report(histories, classes, digits, out)


def _time_first_step(
    model: Sequential, digits: Digits, backend_name: str, started: float
) -> None:
    """Print the time until the first training step is done, and undo that step."""
    weights = model.get_weights()
    model.compile(Adam(lr=0.002), "categorical_crossentropy", backend=backend_name)
    model.train_on_batch(digits.train_x[:64], digits.train_y[:64])
    print(f"First training step after {time.time() - started:.1f} s.")
    model.set_weights(weights)


def _train(
    model: Sequential, digits: Digits, epochs: int, backend_name: str, seed: int
) -> History:
    np.random.seed(seed)
    model.compile(Adam(lr=0.002), "categorical_crossentropy", backend=backend_name)
    return model.fit(
        digits.train_x,
        digits.train_y,
        batch_size=64,
        nb_epoch=epochs,
        show_accuracy=True,
        validation_data=(digits.test_x, digits.test_y),
    )


def _report(
    histories: dict[str, History], classes: np.ndarray, digits: Digits, out: Path
) -> float:
    """Print the results; return the accuracy on the test rows."""
    accuracy = float(np.mean(classes == digits.test_y.argmax(axis=-1)))
    losses = [history.history["loss"][:5] for history in histories.values()]
    gap = np.abs(np.subtract(*losses)).max()
    print(
        f"\nAccuracy on {len(classes)} test digits: {accuracy:.4f}"
        f" (SimpleRNN by hand: {histories['SimpleRNN'].history['val_acc'][-1]:.4f})"
    )
    print(
        f"Largest difference of their losses in the first {len(losses[0])} epochs: "
        f"{gap:.1e} (float32)"
    )
    print(choices.files_written(out))
    return accuracy
