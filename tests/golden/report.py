"""``python -m tests.golden.report`` judges every golden case and writes how far each is into docs/fidelity.md."""

import sys

import pytest

from recursive.conformance import case
from tests.golden import judging, page


def last_cell(golden, furthest):
    """What stands at the end of a case's row: why it is not judged, or how far the library is from it."""
    reasons = [
        reason
        for start, reason in judging.WAITING.items()
        if golden.name.startswith(f"legacy2015/{start}")
    ]
    if reasons:
        return reasons[0]
    if not golden.about["judged"]:
        return f"a fault, on record; fixed_{golden.name.partition('bug_')[2]} is judged"
    return page.worded(page.bound_of(furthest[golden.name]))


def rows(furthest):
    """The table, line by line."""
    return [
        *page.HEAD,
        *(
            page.row(golden, last_cell(golden, furthest))
            for golden in map(case.read, case.names())
        ),
    ]


def write():
    """Judge all cases by their own tolerances alone, then write the table."""
    page.bounds = dict
    failed = pytest.main(["-q", "tests/golden/test_golden.py"])
    if failed:
        return int(failed)
    before, _, behind = page.table_in(page.PAGE.read_text(encoding="utf-8"))
    table = "\n".join(rows(judging.FURTHEST))
    page.PAGE.write_text(
        f"{before}{page.BEGIN}\n{table}\n{page.END}{behind}", encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(write())
