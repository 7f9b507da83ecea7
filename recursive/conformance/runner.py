"""Runs cases one after another, whatever the port does, and keeps each outcome."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from recursive.conformance.adapter import Adapter, can, instance, missing
from recursive.conformance.forms import UnmetError
from recursive.conformance.judge import judge
from recursive.conformance.suite import Suite, area_of, check_pattern
from recursive.errors import ConfigError, RecursiveError
from recursive.utils.files import checked_path, file_errors

PASSED, FAILED, NOT_COVERED, SKIPPED = "passed", "failed", "not covered", "skipped"
XFAILED, XPASSED = "failed as expected", "passed unexpectedly"
STATUSES = (PASSED, FAILED, NOT_COVERED, SKIPPED, XFAILED, XPASSED)
"""The possible outcomes. A case is not covered if the port lacks what it needs."""

SHOWN_BY = {"training": "train", "truncate": "grads"}
"""Capabilities that only an optional method can show."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a case, with a sentence if it did not pass."""

    id: str
    status: str
    words: str = ""
    seconds: float = 0.0

    @property
    def area(self) -> str:
        """The area of the case."""
        return area_of(self.id)


@dataclass(frozen=True)
class Expected:
    """The cases to skip and those expected to fail: a reason by pattern."""

    skips: Mapping[str, str] = field(default_factory=dict)
    xfails: Mapping[str, str] = field(default_factory=dict)


def run(
    adapter: Adapter,
    suite: Suite,
    ids: Iterable[str],
    expected: Expected | None = None,
) -> Iterator[Outcome]:
    """The outcome of each case in ``ids``, as soon as it is known.

    >>> from recursive.conformance.adapters.numpy import Adapter
    >>> suite = Suite()
    >>> [outcome.status for outcome in run(Adapter(), suite, suite.ids(areas=["free"]))]
    ['passed', 'passed', 'passed', 'passed']
    """
    expected = expected or Expected()
    for name in ids:
        started = time.perf_counter()
        status, words = _run_case(adapter, suite, name, expected)
        yield Outcome(name, status, words, time.perf_counter() - started)


def _run_case(
    adapter: Adapter, suite: Suite, name: str, expected: Expected
) -> tuple[str, str]:
    """The status of a case, and its sentence."""
    reason = _reason(expected.skips, name)
    if reason is not None:
        return SKIPPED, reason
    lacks = _lacks(adapter, suite, name)
    if lacks:
        return NOT_COVERED, f"needs {', '.join(lacks)}"
    try:
        judge(adapter, suite.read(name))
        failure = None
    # A RecursiveError here is a damaged file, or a port that cannot be started again.
    except (UnmetError, RecursiveError) as error:
        failure = str(error)
    reason = _reason(expected.xfails, name)
    if reason is None:
        return (PASSED, "") if failure is None else (FAILED, failure)
    if failure is None:
        return XPASSED, f"it was expected to fail: {reason}"
    return XFAILED, f"{reason} ({failure})"


def _reason(reasons: Mapping[str, str], name: str) -> str | None:
    """The reason of the first pattern that ``name`` matches, if any."""
    for pattern, reason in reasons.items():
        if fnmatch(name, pattern):
            return reason
    return None


def _lacks(adapter: Adapter, suite: Suite, name: str) -> list[str]:
    """The capabilities and methods that a case needs and the port does not have."""
    if name in suite.invalid:
        return [] if can(adapter, "refuses") else ["refuses()"]
    needs = suite.entries[name]["capabilities"]
    lacks = missing(adapter, needs)
    for capability, method in SHOWN_BY.items():
        if capability in needs and not can(adapter, method):
            lacks.append(f"{method}()")
    return lacks


def check(name: str, adapter: Adapter, suite: Suite | None = None) -> None:
    """Run one case in this process, for a debugger, whatever the port claims.

    Raises:
        UnknownNameError: if there is no such case.
        UnmetError: if the port does not meet it.
    """
    case = (suite or Suite()).read(name)
    judge(instance(adapter), case)


def read_list(path: Path | None, names: Iterable[str]) -> dict[str, str]:
    """The patterns in a file, one on each line, with the reason after a ``#``.

    Raises:
        ConfigError: if the file cannot be read.
        UnknownNameError: for a pattern that no case matches.
    """
    if path is None:
        return {}
    try:
        with file_errors(path, takes="a list of cases", do="Check its path."):
            lines = checked_path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError.about(
            "file",
            str(path),
            takes="a list of cases",
            got=type(error).__name__,
            do="Check its path.",
        ) from error
    reasons = {}
    for line in lines:
        pattern, _, reason = line.partition("#")
        if pattern.strip():
            reason = reason.strip() or f"listed in {Path(path).name}"
            reasons[pattern.strip()] = reason
    for pattern in reasons:
        check_pattern(pattern, names, because=f"{path} lists it")
    return reasons


def good(outcomes: Iterable[Outcome]) -> bool:
    """True if a case ran, and each that ran passed or failed as expected.

    >>> good([Outcome("a/b", PASSED), Outcome("a/c", NOT_COVERED)])
    True
    >>> good([Outcome("a/c", NOT_COVERED)])
    False
    """
    statuses = {outcome.status for outcome in outcomes}
    return bool(statuses & {PASSED, XFAILED}) and not statuses & {FAILED, XPASSED}
