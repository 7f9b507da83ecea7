"""The pictures of the demos: loss over epochs, which class is taken for which, and what a state remembers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from recursive.callbacks import History


def loss_curve(
    histories: dict[str, History],
    path: Path,
    title: str,
    unit: str = "categorical cross-entropy",
    scale: str = "log",
) -> None:
    """Loss on training and test rows over epochs, one colour a model; the ``scale`` is "log" or "linear"."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for index, (name, history) in enumerate(histories.items()):
        epochs = np.array(history.epoch) + 1
        width = 3.5 - 2 * index
        axes.plot(
            epochs,
            history.history["loss"],
            color=f"C{index}",
            linewidth=width,
            label=f"{name}, training",
        )
        axes.plot(
            epochs,
            history.history["val_loss"],
            color=f"C{index}",
            linewidth=width,
            linestyle="--",
            label=f"{name}, test",
        )
    axes.set(xlabel="epoch", ylabel=unit, yscale=scale, title=title)
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
            axes.text(
                column,
                row,
                str(count),
                ha="center",
                va="center",
                color="white" if count > counts.max() / 2 else "black",
            )
    axes.set(
        xlabel="predicted",
        ylabel="true",
        xticks=range(classes),
        yticks=range(classes),
        title=f"{int(counts.trace())} of {len(truth)} right",
    )
    _save(figure, path)


def shares(values: Sequence[float], path: Path, title: str) -> None:
    """A share between 0 and 1 after each epoch."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(np.arange(len(values)) + 1, values, marker="o", markersize=4)
    axes.set(xlabel="epoch", ylabel="share", ylim=(-0.02, 1.02), title=title)
    axes.grid(alpha=0.3)
    _save(figure, path)


def sums(likely: np.ndarray, held: np.ndarray, path: Path) -> None:
    """How likely the right answer is for each sum of two numbers; those that were held out are outlined.

    Args:
        likely: ``(numbers, numbers)``, the probability of the right answer.
        held: ``(rows, 2)``, the pairs that were not learned from.
        path: where to write to.
    """
    figure = Figure(figsize=(7.5, 6.5), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(likely, cmap="viridis", vmin=0, vmax=1, origin="lower")
    axes.scatter(
        held[:, 1],
        held[:, 0],
        s=11,
        marker="s",
        facecolors="none",
        edgecolors="red",
        linewidths=0.8,
        label="held out",
    )
    axes.set(
        xlabel="second number",
        ylabel="first number",
        title="How likely the network finds the right sum",
    )
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        labelcolor="black",
        facecolor="lightgrey",
        fontsize="small",
    )
    figure.colorbar(image, ax=axes, label="probability of the right answer")
    _save(figure, path)


def state_over_letters(states: np.ndarray, letters: str, path: Path) -> None:
    """Some values of a state, ``(letters, dim)``, one column a letter that was read."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    axes = figure.subplots()
    largest = np.abs(states).max()
    image = axes.imshow(
        states.T, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto"
    )
    axes.set_xticks(
        range(len(letters)),
        [_visible(letter) for letter in letters],
        family="monospace",
        fontsize=9,
    )
    axes.tick_params(axis="x", length=0)
    axes.set(
        xlabel="letter read",
        ylabel="value of the state",
        title="What is remembered, letter by letter",
    )
    figure.colorbar(image, ax=axes)
    _save(figure, path)


def _visible(letter: str) -> str:
    return {" ": "\u2423", "\n": "\u21b5"}.get(letter, letter.replace("$", r"\$"))


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=150)
