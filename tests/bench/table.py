"""A report as text: a table for each network, in a terminal or in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench import scaling, targets
from tests.bench.contestants import NETWORKS
from tests.bench.results import Report, Row

HEADINGS = (
    "",
    "forward, ms",
    "train step, ms",
    "function alone, ms",
    "first step cold / warm, s",
    "memory, MB",
)
AIM_HEADINGS = ("", "measured", "at most", "met")


def lines_of(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """A line for each contender, fastest train step first, failures last with reasons."""
    measured = sorted(
        (row for row in rows if not row.why), key=lambda row: row.median("train")
    )
    return [
        (
            row.label,
            _milliseconds(row, "forward"),
            _milliseconds(row, "train"),
            _milliseconds(row, "bare"),
            f"{_seconds(row.cold)} / {_seconds(row.warm)}",
            f"{row.peak:.0f}",
        )
        for row in measured
    ]


def _milliseconds(row: Row, kind: str) -> str:
    """``12.3 (11.9 to 14.0)``, or a dash."""
    if kind not in row.times:
        return "-"
    spread = row.times[kind]
    return "{} ({} to {})".format(
        *(
            _digits(1000 * value)
            for value in (spread.median, spread.fastest, spread.slowest)
        )
    )


def _digits(value: float) -> str:
    """Three digits that count.

    >>> _digits(0.1234), _digits(12.34), _digits(1234.5)
    ('0.123', '12.3', '1234')
    """
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def missing(rows: Sequence[Row]) -> list[str]:
    """A sentence for each contender that could not be measured."""
    return [f"{row.label}: {row.why}" for row in rows if row.why]


def title(report: Report, network: str) -> str:
    """The heading of the table of a network."""
    nodes = f", {report.sizes['nodes']} nodes" if network == "random" else ""
    return f"{NETWORKS[network]}{nodes}"


def about(report: Report) -> str:
    """Where, when, and at which sizes, in a sentence or two."""
    sizes, machine = report.sizes, report.machine
    versions = ", ".join(
        f"{name} {version}" for name, version in machine["versions"].items()
    )
    return (
        f"float32, batch {sizes['batch']}, {sizes['steps']} steps, {sizes['input_dim']} -> {sizes['dim']}; "
        f"{machine['rounds']} rounds of {machine['calls']} calls, {machine['threads']} threads. "
        f"{machine['processor']}, {machine['cores']} cores, {machine['date']}, Python {machine['python']}, "
        f"{versions}."
    )


def growth(rows: Sequence[Row], axis: str) -> list[tuple[str, ...]]:
    """A line for each contender along ``axis``: ``milliseconds / megabytes`` by size.

    The last column is the power of the size that time grows with at the end: 1 is linear.
    """
    several = scaling.by_contender(rows)
    head = (
        "",
        *(f"{row.sizes[axis]:,}" for row in next(iter(several.values()))),
        "power",
    )
    return [
        head,
        *(
            (label, *map(_point, found), _power(found, axis))
            for label, found in several.items()
        ),
    ]


def _point(row: Row) -> str:
    return "-" if row.why else f"{_digits(1000 * row.median('train'))} / {row.peak:.0f}"


def _power(rows: Sequence[Row], axis: str) -> str:
    power = scaling.exponent(rows, axis)
    return "-" if power is None else f"{power:.2f}"


def _sections(report: Report) -> list[tuple[str, list[tuple[str, ...]], list[str]]]:
    """Of each table its title, its lines, and sentences below it."""
    networks = [
        (title(report, network), [row for row in report.rows if row.network == network])
        for network in report.networks
    ]
    sections = [
        (heading, [HEADINGS, *lines_of(rows)], missing(rows))
        for heading, rows in networks
    ]
    if aimed := targets.lines_of(report):
        sections.append(("Aims", [AIM_HEADINGS, *aimed], []))
    for axis, rows in report.scaling.items():
        sections.append(
            (
                f"Train step, ms / memory, MB, by {scaling.TITLES[axis]}",
                growth(rows, axis),
                missing(rows),
            )
        )
    return sections


def as_text(report: Report) -> str:
    """For a terminal."""
    parts = [
        "\n".join([heading, *aligned(lines), *below])
        for heading, lines, below in _sections(report)
    ]
    return "\n\n".join([about(report), *parts])


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines of cells as columns: the first from the left, the others from the right.

    >>> aligned([("", "ms"), ("LSTM", "12.5")])
    ['        ms', 'LSTM  12.5']
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])])
        for first, *others in lines
    ]


def as_markdown(report: Report) -> str:
    """For a page."""
    parts = [
        "\n\n".join([f"### {heading}", "\n".join(_piped(lines)), *below])
        for heading, lines, below in _sections(report)
    ]
    return "\n\n".join([about(report), *parts]) + "\n"


def _piped(lines: Sequence[Sequence[str]]) -> list[str]:
    head, *rest = (f"| {' | '.join(cells)} |" for cells in lines)
    return [head, "|".join(["", "---", *["---:"] * (len(lines[0]) - 1), ""]), *rest]
