"""The pictures of a demo: loss over epochs, and which class is taken for which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from recursive.callbacks import History


def loss_curve(histories: dict[str, History], path: Path) -> None:
    """Loss on training and test rows over epochs, one colour a model."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for index, (name, history) in enumerate(histories.items()):
        epochs = np.array(history.epoch) + 1
        width = 3.5 - 2 * index
        axes.plot(epochs, history.history["loss"], color=f"C{index}", linewidth=width, label=f"{name}, training")
        axes.plot(epochs, history.history["val_loss"], color=f"C{index}", linewidth=width, linestyle="--",
                  label=f"{name}, test")
    axes.set(xlabel="epoch", ylabel="categorical cross-entropy", yscale="log",
             title="Reading digits, a row of pixels a time step")
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, path: Path) -> None:
    """How many test digits of each class were taken for each class."""
    classes = max(truth.max(), predicted.max()) + 1
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (truth, predicted), 1)
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts, cmap="Blues")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            axes.text(column, row, str(count), ha="center", va="center",
                      color="white" if count > counts.max() / 2 else "black")
    axes.set(xlabel="predicted", ylabel="true", xticks=range(classes), yticks=range(classes),
             title=f"{int(counts.trace())} of {len(truth)} right")
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150)
