"""Plots of a report: train steps by network, and the growth of time and memory.

An SVG is dark on white or light on dark, as the reader's browser likes it; a PNG is dark on white.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recursive.errors import ConfigError
from recursive.utils import extras
from recursive.utils.files import place_of, write_atomically
from tests.bench import scaling, table
from tests.bench.results import Report, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

LIGHT = {
    "paper": "#ffffff",
    "ink": "#1f2937",
    "line": "#d5dae1",
    "recursive": "#b45309",
    "scan": "#64748b",
    "peer": "#2563eb",
}
DARK = {
    "paper": "#16191f",
    "ink": "#e8ebf0",
    "line": "#3a414d",
    "recursive": "#f5b94f",
    "scan": "#a3aebf",
    "peer": "#7fb0ff",
}
"""Colours on white and on black. Each of the first is replaced by its name in an SVG."""
MARKS = {"jax": "o", "numba": "s", "c": "^", "python": "D"}
STYLES = {"jax": "-", "numba": "--", "c": ":", "python": "-."}
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "recursive", "font.size": 9.0}


def check(path: Path) -> None:
    """Check that pictures can be drawn to ``path``.

    Raises:
        ConfigError: for a suffix but .png or .svg, or a path that cannot be written.
        MissingPackageError: without matplotlib.
    """
    if path.suffix.lower() not in (".png", ".svg"):
        raise ConfigError.about(
            "file",
            str(path),
            takes="a name that ends in .png or .svg",
            because="the ending says the format",
            got=repr(path.suffix),
            do="Say --plot bench.svg, for example.",
        )
    place_of(path)
    extras.load("matplotlib", "bench", "it draws")


def draw(report: Report, path: Path) -> dict[str, Path]:
    """Write all pictures of ``report``; their files, by what each tells."""
    check(path)
    pictures = [("A train step of every contender, in milliseconds.", "", contenders)]
    if report.scaling:
        pictures.append(
            ("How the time and memory of a train step grow.", "-scaling", growth)
        )
    return {
        words: _write(picture, report, path.with_stem(path.stem + ending))
        for words, ending, picture in pictures
    }


def _write(picture: Callable, report: Report, path: Path) -> Path:
    matplotlib = extras.load("matplotlib", "bench", "it draws")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        figure = picture(report)
        save = _save_svg if path.suffix.lower() == ".svg" else _save_png
        write_atomically(path, lambda temporary: save(figure, Path(temporary)))
    return path


def _save_png(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=150)


def _save_svg(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
    path.write_text(adapting(path.read_text(encoding="utf-8")), encoding="utf-8")


def adapting(svg: str) -> str:
    """An SVG in the colours of LIGHT that follows the reader's preference for DARK.

    >>> adapting('<style>*{}</style><path style="stroke: #d5dae1"/>').endswith('<path style="stroke: var(--line)"/>')
    True
    """
    for name, colour in LIGHT.items():
        svg = svg.replace(colour, f"var(--{name})")
    light, dark = (
        " ".join(f"--{name}: {colour};" for name, colour in colours.items())
        for colours in (LIGHT, DARK)
    )
    rules = (
        f"svg {{ {light} }} @media (prefers-color-scheme: dark) {{ svg {{ {dark} }} }}"
    )
    return svg.replace("</style>", f"{rules}</style>", 1)


def contenders(report: Report) -> Figure:
    """A panel for each network with a line for each contender, fastest round to slowest."""
    from matplotlib.figure import Figure

    networks = report.networks
    labels = list(dict.fromkeys(row.label for row in report.rows if not row.why))
    columns = min(2, len(networks))
    figure = Figure(
        figsize=(
            3.2 + 3.2 * columns,
            0.5 + math.ceil(len(networks) / columns) * (0.9 + 0.2 * len(labels)),
        ),
        layout="constrained",
        facecolor=LIGHT["paper"],
    )
    panels = figure.subplots(
        math.ceil(len(networks) / columns),
        columns,
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for panel in panels.flat[len(networks) :]:
        panel.set_visible(False)
    for panel, network in zip(panels.flat, networks, strict=False):
        _dots(
            panel,
            [row for row in report.rows if row.network == network and not row.why],
            labels,
        )
        _dress(panel, table.title(report, network))
    figure.supxlabel(
        "train step, milliseconds (log scale): median, fastest and slowest round",
        color=LIGHT["ink"],
        fontsize=9,
    )
    return figure


def _dots(panel: Axes, rows: Sequence[Row], labels: list[str]) -> None:
    for row in rows:
        place, spread, colour = (
            labels.index(row.label),
            row.times["train"],
            LIGHT[_kind(row)],
        )
        panel.plot(
            [1000 * spread.fastest, 1000 * spread.slowest],
            [place, place],
            color=colour,
            linewidth=1.5,
        )
        panel.plot([1000 * spread.median], [place], "o", color=colour, markersize=6)
    _logarithmic(panel.xaxis)
    panel.set(
        yticks=range(len(labels)), yticklabels=labels, ylim=(len(labels) - 0.5, -0.5)
    )


def growth(report: Report) -> Figure:
    """Two panels for each size that grows: a train step's time, and its memory."""
    from matplotlib.figure import Figure

    axes = list(report.scaling)
    figure = Figure(
        figsize=(9, 2.6 * len(axes) + 0.8),
        layout="constrained",
        facecolor=LIGHT["paper"],
    )
    panels = figure.subplots(len(axes), 2, squeeze=False)
    for (time, memory), axis in zip(panels, axes, strict=True):
        for rows in scaling.by_contender(report.scaling[axis]).values():
            rows = [row for row in rows if not row.why]
            if rows:
                _line(time, rows, axis, [1000 * row.median("train") for row in rows])
                _line(memory, rows, axis, [row.peak for row in rows])
        for panel, what in ((time, "train step, ms"), (memory, "memory, MB")):
            _logarithmic(panel.xaxis)
            _logarithmic(panel.yaxis)
            panel.set_xlabel(scaling.TITLES[axis])
            panel.xaxis.label.set_color(LIGHT["ink"])
            _dress(panel, what)
    handles = {
        handle.get_label(): handle
        for panel in panels[:, 0]
        for handle in panel.get_lines()
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncols=3,
        frameon=False,
        labelcolor=LIGHT["ink"],
    )
    return figure


def _line(panel: Axes, rows: Sequence[Row], axis: str, values: list[float]) -> None:
    backend = rows[0].contender.rpartition("-")[2]
    panel.plot(
        [row.sizes[axis] for row in rows],
        values,
        color=LIGHT[_kind(rows[0])],
        label=rows[0].label,
        marker=MARKS.get(backend, "v" if rows[0].contender == "lax" else "x"),
        linestyle=STYLES.get(backend, "-"),
        linewidth=1.5,
        markersize=4,
    )


def _logarithmic(axis: Axis) -> None:
    """A scale on which 1, 2, 5 and 10 times as much are marked, in plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    {"x": axis.axes.set_xscale, "y": axis.axes.set_yscale}[axis.axis_name]("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axis.set_minor_formatter(NullFormatter())


def _kind(row: Row) -> str:
    return next(
        (kind for kind in ("recursive", "scan") if row.contender.startswith(kind)),
        "peer",
    )


def _dress(panel: Axes, title: str) -> None:
    panel.set_facecolor(LIGHT["paper"])
    panel.set_title(title, color=LIGHT["ink"], loc="left", fontsize=10)
    panel.tick_params(colors=LIGHT["ink"], which="both")
    panel.grid(color=LIGHT["line"], linewidth=0.6)
    for spine in panel.spines.values():
        spine.set_visible(False)
