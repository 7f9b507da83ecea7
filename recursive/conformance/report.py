"""Reports of a run: a table and a verdict to read, JUnit XML, a page of HTML."""

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
from recursive.conformance.versions import VERSION

METHODS = {"grads": "gradients", "train": "training", "refuses": "refusals"}
"""The behaviour that each optional method shows."""


def table(outcomes: Sequence[Outcome]) -> str:
    """The number of cases of each area with each status.

    >>> print(table([Outcome("taps/a", PASSED), Outcome("taps/b", FAILED, "off by 1")]))
    area  passed  failed
    taps       1       1
    all        1       1
    """
    by_area = _by_area(outcomes)
    shown = [
        status for status in STATUSES if status == PASSED or by_area["all"][status]
    ]
    area_width = max(map(len, ("area", *by_area)))
    lines = ["  ".join(["area".ljust(area_width), *shown])]
    for area, counts in by_area.items():
        cells = [str(counts[status]).rjust(len(status)) for status in shown]
        lines.append("  ".join([area.ljust(area_width), *cells]))
    return "\n".join(lines)


def _by_area(outcomes: Sequence[Outcome]) -> dict[str, Counter]:
    """The number of outcomes of each status, by area and under ``all``."""
    found: dict[str, Counter] = {}
    for outcome in outcomes:
        found.setdefault(outcome.area, Counter())[outcome.status] += 1
    return {**found, "all": Counter(outcome.status for outcome in outcomes)}


def log_areas(outcomes: Iterator[Outcome], stream: TextIO) -> Iterator[Outcome]:
    """The same outcomes; after each area, print a line on ``stream``.

    It is for logs, which cannot show a progress bar.

    >>> import sys
    >>> outcomes = [Outcome("taps/a", PASSED), Outcome("taps/b", FAILED, "off by 1")]
    >>> found = list(log_areas(iter(outcomes), sys.stdout))
    taps: 1 passed, 1 failed
    """
    for area, group in groupby(outcomes, key=lambda outcome: outcome.area):
        counts: Counter = Counter()
        for outcome in group:
            counts[outcome.status] += 1
            yield outcome
        words = [f"{counts[status]} {status}" for status in STATUSES if counts[status]]
        print(f"{area}: {', '.join(words)}", file=stream, flush=True)


def failures(outcomes: Sequence[Outcome]) -> str:
    """The cases that did not come out as they should, each with its sentence."""
    paragraphs = []
    for outcome in outcomes:
        if outcome.status in (FAILED, XPASSED):
            paragraphs.append(f"{outcome.status}: {outcome.id}\n    {outcome.words}")
    return "\n".join(paragraphs)


def unchecked(methods: Sequence[str]) -> str:
    """A line about the methods that the port lacks; empty if it has all.

    >>> unchecked(["grads"])
    'Not checked: gradients, since the port has no grads().'
    """
    if not methods:
        return ""
    behaviours = ", ".join(METHODS[name] for name in methods)
    calls = ", ".join(f"{name}()" for name in methods)
    return f"Not checked: {behaviours}, since the port has no {calls}."


def verdict(name: str, outcomes: Sequence[Outcome], version: str = VERSION) -> str:
    """One line: whether the port conforms, and in how many cases.

    >>> verdict("mine", [Outcome("taps/a", PASSED), Outcome("taps/b", NOT_COVERED)])
    'mine conforms to version 1.0 in all 1 cases that it covers, of 2.'
    >>> verdict("mine", [Outcome("taps/a", PASSED), Outcome("taps/b", SKIPPED)])
    'mine passes 1 of 2 cases of version 1.0 that it covers, of 2. 1 were skipped.'
    """
    counts = Counter(outcome.status for outcome in outcomes)
    total = len(outcomes)
    covered = total - counts[NOT_COVERED]
    if covered and counts[PASSED] == covered:
        return (
            f"{name} conforms to version {version} in all {covered} cases "
            f"that it covers, of {total}."
        )
    skipped = f" {counts[SKIPPED]} were skipped." if counts[SKIPPED] else ""
    return (
        f"{name} passes {counts[PASSED]} of {covered} cases of version {version} "
        f"that it covers, of {total}.{skipped}"
    )


def junit(name: str, outcomes: Sequence[Outcome], version: str = VERSION) -> str:
    """The outcomes as JUnit XML."""
    counts = Counter(outcome.status for outcome in outcomes)
    left_out = (SKIPPED, NOT_COVERED, XFAILED)
    suite = ElementTree.Element(
        "testsuite",
        name=_printable(f"conformance {version}: {name}"),
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
            message = _printable(f"{outcome.status}: {outcome.words}")
            ElementTree.SubElement(case, tag, message=message)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _printable(text: str) -> str:
    """``text`` with "?" for each character that XML cannot hold."""
    letters = []
    for letter in text:
        is_fine = letter.isprintable() or letter in "\n\t"
        letters.append(letter if is_fine else "?")
    return "".join(letters)


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .2rem .8rem; }}
td, th {{ text-align: left; }} tr {{ border-bottom: 1px solid #ddd; }}
.failed, .passed-unexpectedly {{ color: #a00; font-weight: bold; }}
.passed {{ color: #060; }}
</style>
<h1>{title}</h1><p>{verdict}</p>
<table><tr><th>area</th>{heads}</tr>
{areas}
</table>
<h2>Cases</h2>
<table>
{cases}
</table></html>
"""


def page(name: str, outcomes: Sequence[Outcome], version: str = VERSION) -> str:
    """The outcomes as one page of HTML, without scripts."""
    by_area = _by_area(outcomes)
    shown = [status for status in STATUSES if by_area["all"][status]]
    areas = []
    for area, counts in by_area.items():
        cells = "".join(f"<td>{counts[status]}</td>" for status in shown)
        areas.append(f"<tr><td>{html.escape(area)}</td>{cells}</tr>")
    cases = []
    for outcome in outcomes:
        style = outcome.status.replace(" ", "-")
        cases.append(
            f"<tr><td>{html.escape(outcome.id)}</td>"
            f'<td class="{style}">{outcome.status}</td>'
            f"<td>{html.escape(outcome.words)}</td></tr>"
        )
    return PAGE.format(
        title=html.escape(f"{name}: conformance {version}"),
        verdict=html.escape(verdict(name, outcomes, version)),
        heads="".join(f"<th>{status}</th>" for status in shown),
        areas="\n".join(areas),
        cases="\n".join(cases),
    )
