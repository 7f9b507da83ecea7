"""What came of a run, to be read: a table by area, JUnit XML for machines, a page of HTML for people."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TextIO
from xml.etree import ElementTree

from recursive.conformance.runner import (
    FAILED,
    NOT_COVERED,
    PASSED,
    SKIPPED,
    STATUSES,
    XFAILED,
    XPASSED,
    Outcome,
)
from recursive.conformance.suite import VERSION


def table(outcomes: Sequence[Outcome]) -> str:
    """How many of each area came to what.

    >>> print(table([Outcome("taps/a", PASSED), Outcome("taps/b", FAILED, "off by 1")]))
    area  passed  failed
    taps       1       1
    all        1       1
    """
    shown = [
        status
        for status in STATUSES
        if status in (PASSED, *(outcome.status for outcome in outcomes))
    ]
    rows = [
        ["area", *shown],
        *(
            [area, *(str(counts[status]) for status in shown)]
            for area, counts in by_area(outcomes).items()
        ),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(
                    cell.rjust(max(width, 6))
                    for cell, width in zip(row[1:], widths[1:], strict=True)
                ),
            ]
        ).rstrip()
        for row in rows
    )


def by_area(outcomes: Sequence[Outcome]) -> dict[str, Counter]:
    """Counts of each status, by area, and of all."""
    found: dict[str, Counter] = {}
    for outcome in outcomes:
        found.setdefault(outcome.area, Counter())[outcome.status] += 1
    return {**found, "all": Counter(outcome.status for outcome in outcomes)}


def told(outcomes: Iterator[Outcome], stream: TextIO) -> Iterator[Outcome]:
    """The same outcomes, with a line on ``stream`` once an area is through: for a log, where no bar can be shown.

    >>> import sys
    >>> found = list(told(iter([Outcome("taps/a", PASSED), Outcome("taps/b", FAILED, "off by 1")]), sys.stdout))
    taps: 1 passed, 1 failed
    """
    for area, group in groupby(outcomes, key=lambda outcome: outcome.area):
        counts: Counter = Counter()
        for outcome in group:
            counts[outcome.status] += 1
            yield outcome
        words = ", ".join(
            f"{counts[status]} {status}" for status in STATUSES if counts[status]
        )
        print(f"{area}: {words}", file=stream, flush=True)


def failures(outcomes: Sequence[Outcome]) -> str:
    """Each case that went otherwise than it should, with its sentence."""
    bad = [outcome for outcome in outcomes if outcome.status in (FAILED, XPASSED)]
    return "\n".join(
        f"{outcome.status}: {outcome.id}\n    {outcome.words}" for outcome in bad
    )


def unseen(methods: Sequence[str]) -> str:
    """A line that says what was not looked at, since the port has no such methods.

    >>> unseen(["grads"])
    'Not looked at: gradients, since it has no grads().'
    """
    known = {"grads": "gradients", "train": "training", "refuses": "what it refuses"}
    return (
        f"Not looked at: {', '.join(known[name] for name in methods)}, since it has no "
        f"{', '.join(f'{name}()' for name in methods)}."
        if methods
        else ""
    )


def verdict(name: str, outcomes: Sequence[Outcome]) -> str:
    """One line: whether the port conforms, and to how much.

    >>> verdict("mine", [Outcome("taps/a", PASSED), Outcome("taps/b", NOT_COVERED)])
    'mine conforms to version 1.0 in all 1 cases that it covers, of 2.'
    >>> verdict("mine", [Outcome("taps/a", PASSED), Outcome("taps/b", SKIPPED)])
    'mine passes 1 of 2 cases of version 1.0 that it covers, of 2. 1 were skipped.'
    """
    counts = Counter(outcome.status for outcome in outcomes)
    covered = len(outcomes) - counts[NOT_COVERED]
    if covered and counts[PASSED] == covered:
        return f"{name} conforms to version {VERSION} in all {covered} cases that it covers, of {len(outcomes)}."
    skipped = f" {counts[SKIPPED]} were skipped." if counts[SKIPPED] else ""
    return (
        f"{name} passes {counts[PASSED]} of {covered} cases of version {VERSION} that it covers, "
        f"of {len(outcomes)}.{skipped}"
    )


def junit(name: str, outcomes: Sequence[Outcome]) -> str:
    """JUnit's XML, as CI systems read it."""
    counts = Counter(outcome.status for outcome in outcomes)
    left_out = (SKIPPED, NOT_COVERED, XFAILED)
    title = _printable(f"conformance {VERSION}: {name}")
    suite = ElementTree.Element(
        "testsuite",
        name=title,
        tests=str(len(outcomes)),
        failures=str(counts[FAILED] + counts[XPASSED]),
        errors="0",
        skipped=str(sum(counts[status] for status in left_out)),
        time=f"{sum(outcome.seconds for outcome in outcomes):.3f}",
    )
    for outcome in outcomes:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=outcome.area,
            name=outcome.id,
            time=f"{outcome.seconds:.3f}",
        )
        if outcome.status != PASSED:
            tag = "skipped" if outcome.status in left_out else "failure"
            ElementTree.SubElement(
                case, tag, message=_printable(f"{outcome.status}: {outcome.words}")
            )
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _printable(text: str) -> str:
    """``text`` without characters that XML cannot hold."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text
    )


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .2rem .8rem; text-align: right; }}
td:first-child, th:first-child {{ text-align: left; }} tr {{ border-bottom: 1px solid #ddd; }}
.failed, .passed-unexpectedly {{ color: #a00; font-weight: bold; }} .passed {{ color: #060; }}
</style>
<h1>{title}</h1><p>{verdict}</p>
<table><tr><th>area</th>{heads}</tr>
{rows}
</table>
<h2>Cases</h2>
<table>
{cases}
</table></html>
"""


def page(name: str, outcomes: Sequence[Outcome]) -> str:
    """One page of HTML, without scripts."""
    shown = [
        status
        for status in STATUSES
        if any(outcome.status == status for outcome in outcomes)
    ]
    rows = [
        f"<tr><td>{html.escape(area)}</td>"
        + "".join(f"<td>{counts[status]}</td>" for status in shown)
        + "</tr>"
        for area, counts in by_area(outcomes).items()
    ]
    cases = [
        f'<tr><td>{html.escape(outcome.id)}</td><td class="{outcome.status.replace(" ", "-")}">{outcome.status}'
        f"</td><td style='text-align: left'>{html.escape(outcome.words)}</td></tr>"
        for outcome in outcomes
    ]
    return PAGE.format(
        title=html.escape(f"{name}: conformance {VERSION}"),
        verdict=html.escape(verdict(name, outcomes)),
        heads="".join(f"<th>{status}</th>" for status in shown),
        rows="\n".join(rows),
        cases="\n".join(cases),
    )
