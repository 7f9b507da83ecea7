"""Heat maps over time, one for each name: steps to the right, values upwards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recursive.errors import ShapeError
from recursive.utils import extras

WIDTH, HEIGHT = 8.0, 1.3
"""The width of a notebook and the height of one map, in inches."""


def heat_maps(
    series: Mapping[str, np.ndarray], row: int, path: str | Path | None
) -> Any:
    """The matplotlib figure of one row of the batch.

    Args:
        series: arrays ``(batch, time, dim)`` by name.
        row: the row of the batch.
        path: the file to save the figure in, if any.

    Raises:
        MissingPackageError: if matplotlib is not installed.
        ShapeError: for a row that the batch does not have.
    """
    rows = min(len(values) for values in series.values())
    if not isinstance(row, int) or not -rows <= row < rows:
        raise ShapeError.about(
            "row",
            str(row),
            takes=f"a number below {rows}, the size of the batch",
            got=repr(row),
            do="Rows are counted from 0.",
        )
    figures = extras.load("matplotlib.figure", "examples", "it draws the maps")
    figure = figures.Figure(
        figsize=(WIDTH, 0.6 + HEIGHT * len(series)), layout="constrained"
    )
    all_axes = figure.subplots(len(series), sharex=True, squeeze=False)[:, 0]
    for axes, (name, values) in zip(all_axes, series.items(), strict=True):
        _map(figure, axes, name, np.asarray(values[row], dtype=float))
    all_axes[-1].set_xlabel("step")
    all_axes[-1].xaxis.get_major_locator().set_params(integer=True)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _map(figure: Any, axes: Any, name: str, values: np.ndarray) -> None:
    """Draw one map of ``(time, dim)`` or ``(time,)``: red above zero, blue below."""
    values = values.reshape(len(values), -1)
    finite = np.abs(values[np.isfinite(values)])
    # The scale is symmetric, so that white is zero in every map.
    limit = finite.max(initial=0) or 1.0
    image = axes.imshow(
        values.T,
        aspect="auto",
        origin="lower",
        cmap="RdBu_r",
        vmin=-limit,
        vmax=limit,
        interpolation="nearest",
    )
    axes.set_title(name, loc="left", fontsize=9)
    axes.yaxis.get_major_locator().set_params(integer=True)
    figure.colorbar(image, ax=axes)
