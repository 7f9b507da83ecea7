"""The table of docs/fidelity.md: every golden case, what it holds, and how far the library is from it at most.

A difference is written as a bound, the first power of ten above ten times what was found, and never less than 1e-14:
rounding, which differs from machine to machine, does not change the page.
"""

import functools
import math
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"
BEGIN, END = "<!-- cases: python -m tests.golden.report -->", "<!-- end of cases -->"
LEAST = -14
"""Below this power of ten is rounding."""

HEAD = ["| case | what it holds | differs by at most |", "|---|---|---|"]


def table_in(text):
    """The lines of the table, and what stands before and behind it."""
    before, rest = text.split(BEGIN)
    lines, behind = rest.split(END)
    return before, lines.strip().splitlines(), behind


@functools.cache
def bounds():
    """What the page says, by case; cases that are not judged are left out."""
    _, lines, _ = table_in(PAGE.read_text(encoding="utf-8"))
    cells = [re.fullmatch(r"\| (\S+) \| .* \| (1e[+-]\d\d) \|", line) for line in lines]
    return {f"legacy2015/{found[1]}": float(found[2]) for found in cells if found}


def bound_of(difference):
    """The bound that is written for a difference."""
    return (
        10.0 ** max(LEAST, math.ceil(math.log10(10 * difference)))
        if difference
        else 10.0**LEAST
    )


def worded(bound):
    return f"{bound:.0e}"


def row(golden, last):
    """A line of the table."""
    return f"| {golden.name.removeprefix('legacy2015/')} | {golden.about['why']} | {last} |"
