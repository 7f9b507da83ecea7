"""Golden arrays by group, and what a difference to one of them means."""

import numpy as np

from recursive.conformance import case
from tests.golden import page

WAITING = {
    "recursive/probes": "no arrays: what the original said to unusual declarations, for the record",
}
"""What is not compared yet, by the start of the name, and why: the one place that says so."""

DIFFERS = """{case}, {array}: differs by {by:.3g}, more than {most:.3g}.
These numbers are what the code of 2015 computed, or (fixed_*) what a NumPy loop does. If the library changed, the
library is wrong. Never write new numbers to make this pass: those of the original cannot be made again here, and
`python -m tests.golden.fixed` makes those of fixed_* again only where the loop in it was wrong."""

EXCEEDS = """{case}, {array}: differs by {by:.3g}, and docs/fidelity.md says {bound} at most. The library is further
from 2015 than it was: find out why. Only for a good reason write the page again: python -m tests.golden.report"""

FURTHEST: dict[str, float] = {}
"""The largest relative difference found so far, by case: what the page is written from."""


def cases(group, start=""):
    """The cases of a group that are judged, by the start of their names; those that wait are left out."""
    names = [
        name
        for name in case.names()
        if name.startswith(f"legacy2015/{group}/{start}") and not waits(name)
    ]
    return [found for found in map(case.read, names) if found.about["judged"]]


def waits(name):
    return any(name.removeprefix("legacy2015/").startswith(start) for start in WAITING)


def judge(golden, found, kind="forward"):
    """Assert that the arrays ``found``, by name, are those of the case, as closely as it asks for and the page says."""
    for name, array in found.items():
        expected = golden.arrays[name]
        assert np.shape(array) == expected.shape, (
            f"{golden}, {name}: {np.shape(array)}, not {expected.shape}"
        )
        unit = max(1.0, np.abs(expected).max())
        most = golden.about["tolerance"][kind] * unit
        by = np.abs(np.asarray(array, dtype=float) - expected).max()
        assert by <= most, DIFFERS.format(case=golden, array=name, by=by, most=most)
        FURTHEST[golden.name] = max(FURTHEST.get(golden.name, 0.0), by / unit)
        bound = page.bounds().get(golden.name, np.inf)
        assert by / unit <= bound, EXCEEDS.format(
            case=golden, array=name, by=by / unit, bound=page.worded(bound)
        )
