"""A report as text: a table for each network, in a terminal or in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from recursive.bench.field import NETWORKS
from recursive.bench.results import Report, Row

HEADINGS = ("", "forward, ms", "train step, ms", "function alone, ms", "first step cold / warm, s", "memory, MB")
AGAINST = "lax"


def lines_of(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """A line for each contender, fastest train step first; what could not be measured comes last, with the reason."""
    measured = sorted((row for row in rows if not row.why), key=lambda row: row.median("train"))
    return [(row.label, _milliseconds(row, "forward"), _milliseconds(row, "train"), _milliseconds(row, "bare"),
             f"{_seconds(row.start)} / {_seconds(row.restart)}", f"{row.base:.0f} + {row.peak - row.base:.0f}")
            for row in measured]


def _milliseconds(row: Row, kind: str) -> str:
    """``12.3 (11.9 to 14.0)``, or a dash."""
    if kind not in row.times:
        return "-"
    spread = row.times[kind]
    return "{} ({} to {})".format(*(_digits(1000 * value)
                                    for value in (spread.median, spread.fastest, spread.slowest)))


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
    """What the table of a network is headed with."""
    nodes = f", {report.sizes['nodes']} nodes" if network == "random" else ""
    return f"{NETWORKS[network]}{nodes}"


def about(report: Report) -> str:
    """Where, when, and at which sizes, in a sentence or two."""
    sizes, machine = report.sizes, report.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (f"float32, batch {sizes['batch']}, {sizes['steps']} steps, {sizes['input_dim']} -> {sizes['dim']}; "
            f"{machine['rounds']} rounds of {machine['calls']} calls, {machine['threads']} threads. "
            f"{machine['processor']}, {machine['cores']} cores, {machine['date']}, Python {machine['python']}, "
            f"{versions}.")


def as_text(report: Report) -> str:
    """For a terminal."""
    return "\n\n".join([about(report), *(f"{title(report, network)}\n{_aligned(report, network)}"
                                         for network in report.networks)])


def _aligned(report: Report, network: str) -> str:
    rows = [row for row in report.rows if row.network == network]
    lines = [HEADINGS, *lines_of(rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEADINGS))]
    aligned = ["  ".join(cell.ljust(width) if place == 0 else cell.rjust(width)
                         for place, (cell, width) in enumerate(zip(line, widths, strict=True))) for line in lines]
    return "\n".join([*aligned, *missing(rows)])


def as_markdown(report: Report) -> str:
    """For a page."""
    parts = [about(report)]
    for network in report.networks:
        rows = [row for row in report.rows if row.network == network]
        table = [HEADINGS, ("---", *["---:"] * (len(HEADINGS) - 1)), *lines_of(rows)]
        parts += [f"### {title(report, network)}", "\n".join(f"| {' | '.join(line)} |" for line in table),
                  *missing(rows)]
    return "\n\n".join(parts) + "\n"
