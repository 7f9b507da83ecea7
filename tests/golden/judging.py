"""Golden arrays by group, and what a difference to one of them means."""

import numpy as np

from recursive.conformance import case

WAITING = {
    "recursive/probes": "no arrays: what the original said to unusual declarations, for the record",
}
"""What is not compared yet, by the start of the name, and why: the one place that says so."""

DIFFERS = """{case}, {array}: differs by {by:.3g}, more than {most:.3g}.
These numbers are what the code of 2015 computed, or (fixed_*) what a NumPy loop does. If the library changed, the
library is wrong. Never write new numbers to make this pass: those of the original cannot be made again here, and
`python -m tests.golden.fixed` makes those of fixed_* again only where the loop in it was wrong."""


def cases(group, start=""):
    """The cases of a group that are judged, by the start of their names; those that wait are left out."""
    names = [name for name in case.names() if name.startswith(f"legacy2015/{group}/{start}") and not waits(name)]
    return [found for found in map(case.read, names) if found.about["judged"]]


def waits(name):
    return any(name.removeprefix("legacy2015/").startswith(start) for start in WAITING)


def judge(golden, found, kind="forward"):
    """Assert that the arrays ``found``, by name, are those of the case, as closely as it asks for."""
    for name, array in found.items():
        expected = golden.arrays[name]
        assert np.shape(array) == expected.shape, f"{golden}, {name}: {np.shape(array)}, not {expected.shape}"
        most = golden.about["tolerance"][kind] * max(1.0, np.abs(expected).max())
        by = np.abs(np.asarray(array, dtype=float) - expected).max()
        assert by <= most, DIFFERS.format(case=golden, array=name, by=by, most=most)
