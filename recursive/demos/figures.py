"""The plots of the demos: losses, shares, confusion, sums, a state and attention."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from recursive.callbacks import History
from recursive.drawing.render import LIGHT, SETTINGS, with_dark_colours
from recursive.utils.files import write_text


def loss_curve(
    histories: dict[str, History],
    path: Path,
    title: str,
    unit: str = "categorical cross-entropy",
    scale: str = "log",
) -> None:
    """Plot the loss on training and test rows over epochs, one colour for each model.

    Args:
        histories: the history of each model by name.
        path: the file to write.
        title: the title of the plot.
        unit: the label of the loss.
        scale: the scale of the loss, "log" or "linear".
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for index, (name, history) in enumerate(histories.items()):
        epochs = np.array(history.epoch) + 1
        width = 3.5 - 2 * index  # equal curves show as a thin line on a thick one
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
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, path: Path) -> None:
    """Plot the number of test digits of each class by predicted class."""
    classes = max(truth.max(), predicted.max()) + 1
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (truth, predicted), 1)
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts, cmap="Blues")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if count > counts.max() / 2 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color)
    axes.set(
        xlabel="predicted",
        ylabel="true",
        xticks=range(classes),
        yticks=range(classes),
        title=f"{int(counts.trace())} of {len(truth)} right",
    )
    _save(figure, path)


def shares(values: Sequence[float], path: Path, title: str) -> None:
    """Plot a share between 0 and 1 after each epoch."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(np.arange(len(values)) + 1, values, marker="o", markersize=4)
    axes.set(xlabel="epoch", ylabel="share", ylim=(-0.02, 1.02), title=title)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    _save(figure, path)


def sums(likely: np.ndarray, held: np.ndarray, path: Path) -> None:
    """Plot the probability of the right answer to each sum, held-out sums outlined.

    Args:
        likely: the probabilities, ``(numbers, numbers)``.
        held: the held-out pairs, ``(rows, 2)``.
        path: the file to write.
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
        title="Probability of the right sum",
    )
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        labelcolor="black",
        facecolor="lightgrey",
        fontsize="small",
    )
    figure.colorbar(image, ax=axes, label="probability")
    _save(figure, path)


def state_over_letters(states: np.ndarray, letters: str, path: Path) -> None:
    """Plot some values of a state, ``(letters, dim)``, one column for each letter."""
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
        title="The state, letter by letter",
    )
    figure.colorbar(image, ax=axes)
    _save(figure, path)


def attention(
    weights: np.ndarray, texts: Sequence[str], written: Sequence[str], path: Path
) -> None:
    """Plot which characters of each text are read for each one that is written.

    Writes a PNG on white, and an SVG that is dark if its reader prefers dark colours.

    Args:
        weights: the weights of the attention, ``(texts, characters, source)``.
        texts: the texts that were read.
        written: what the network wrote.
        path: the file to write, without its suffix.
    """
    longest = max(map(len, texts))
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(
            figsize=(1.3 + 0.17 * longest, 1.2 + 2.2 * len(texts)),
            facecolor=LIGHT["paper"],
            layout="constrained",
        )
        heights = [10] * len(texts) + [1]
        *maps, key = figure.subplots(len(heights), height_ratios=heights)
        for axes, values, text, line in zip(maps, weights, texts, written, strict=True):
            _cells(axes, values[:, : len(text)], longest)
            _letters_around(axes, text, line)
        _key_of_weights(key, longest)
        figure.suptitle(
            "Characters read (columns) for each character written (rows)",
            color=LIGHT["ink"],
            fontsize=11,
        )
        _save(figure, path.with_suffix(".png"))
        with io.BytesIO() as file:
            FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
            svg = file.getvalue()
    write_text(path.with_suffix(".svg"), with_dark_colours(svg).decode())


def _cells(axes: Axes, weights: np.ndarray, columns: int) -> None:
    """Draw a cell for each weight, the more opaque the larger."""
    full = LIGHT["input"][1]
    rows, used = weights.shape
    # Not an image, whose colours could not change with the paper.
    axes.add_patch(Rectangle((0, 0), used, rows, facecolor=LIGHT["node"][0]))
    for (row, column), weight in np.ndenumerate(weights):
        if weight > 0.005:  # less cannot be seen
            cell = Rectangle((column, row), 1, 1, facecolor=full, alpha=float(weight))
            axes.add_patch(cell)
    axes.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal", anchor="W")
    axes.set_facecolor("none")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _letters_around(axes: Axes, text: str, line: str) -> None:
    """Write ``text`` above the columns, and ``line`` to the left of the rows."""
    style = {"family": "monospace", "fontsize": 9, "color": LIGHT["ink"]}
    above = [_visible(letter) for letter in text]
    axes.set_xticks(np.arange(len(text)) + 0.5, above, **style)
    axes.set_yticks(np.arange(len(line)) + 0.5, list(line), **style)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)


def _key_of_weights(axes: Axes, columns: int) -> None:
    """Draw a cell for each tenth from 0 to 1."""
    tenths = np.linspace(0, 1, 11)
    _cells(axes, tenths[np.newaxis], columns)
    axes.set_xticks(
        [0.5, 5.5, 10.5], ["0", "0.5", "weight 1"], fontsize=9, color=LIGHT["ink"]
    )
    axes.set_yticks([])
    axes.tick_params(length=0)


def _visible(letter: str) -> str:
    """A sign for a blank or a line end; a dollar escaped, as it starts a formula."""
    return {" ": "\u2423", "\n": "\u21b5"}.get(letter, letter.replace("$", r"\$"))


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)  # without it, saving would look for a display
    figure.savefig(path, dpi=150)
