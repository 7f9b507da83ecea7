"""Cases run one after another through a port's adapter: what each came to, whatever the port does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from recursive.conformance.adapter import Adapter, can, instance, missing
from recursive.conformance.forms import UnmetError
from recursive.conformance.judge import judge
from recursive.conformance.suite import Suite, area_of, nearest_case
from recursive.errors import ConfigError, RecursiveError, UnknownNameError

PASSED, FAILED, NOT_COVERED, SKIPPED = "passed", "failed", "not covered", "skipped"
XFAILED, XPASSED = "failed as expected", "passed unexpectedly"
STATUSES = (PASSED, FAILED, NOT_COVERED, SKIPPED, XFAILED, XPASSED)
"""What may become of a case. It is not covered where the port lacks a capability that it needs."""

SHOWN_BY = {"training": "train", "truncate": "grads"}
"""Capabilities that nothing shows but a method that may be left out."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case, and a sentence where it did not pass."""

    id: str
    status: str
    words: str = ""
    seconds: float = 0.0

    @property
    def area(self) -> str:
        """What the case is about."""
        return area_of(self.id)


@dataclass(frozen=True)
class Expected:
    """Cases that are left out, and those that are known to fail: patterns and why."""

    skips: Mapping[str, str] = field(default_factory=dict)
    xfails: Mapping[str, str] = field(default_factory=dict)

    def reason(self, table: Mapping[str, str], name: str) -> str | None:
        """Why ``name`` is in a table; None where it is not."""
        return next(
            (why for pattern, why in table.items() if fnmatch(name, pattern)), None
        )


def run(
    adapter: Adapter,
    suite: Suite,
    ids: Iterable[str],
    expected: Expected | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Outcome]:
    """The outcome of each case in ``ids``, as it is found.

    >>> from recursive.conformance.adapters.numpy import Adapter
    >>> suite = Suite()
    >>> [outcome.status for outcome in run(Adapter(), suite, suite.ids(areas=["free"]))]
    ['passed', 'passed', 'passed', 'passed']
    """
    expected = expected or Expected()
    for name in ids:
        started = clock()
        status, words = _one(adapter, suite, name, expected)
        yield Outcome(name, status, words, clock() - started)


def _one(
    adapter: Adapter, suite: Suite, name: str, expected: Expected
) -> tuple[str, str]:
    why = expected.reason(expected.skips, name)
    if why is not None:
        return SKIPPED, why
    lacks = _lacks(adapter, suite, name)
    if lacks:
        return NOT_COVERED, f"needs {', '.join(lacks)}"
    try:
        judge(adapter, suite.read(name))
        status, words = PASSED, ""
    except (UnmetError, RecursiveError) as error:
        status, words = FAILED, str(error)
    known = expected.reason(expected.xfails, name)
    if known is None:
        return status, words
    return (
        (XFAILED, f"{known} ({words})")
        if status == FAILED
        else (XPASSED, f"it was expected to fail: {known}")
    )


def _lacks(adapter: Adapter, suite: Suite, name: str) -> list[str]:
    if name in suite.invalid:
        return [] if can(adapter, "refuses") else ["refuses()"]
    needs = suite.entries[name]["capabilities"]
    return [
        *missing(adapter, needs),
        *(
            f"{method}()"
            for word, method in SHOWN_BY.items()
            if word in needs and not can(adapter, method)
        ),
    ]


def check(name: str, adapter: Adapter, suite: Suite | None = None) -> None:
    """Run one case where a debugger can follow, whatever the port claims to do.

    Raises:
        UnknownNameError: where no case is called so.
        UnmetError: where the port does not meet it.
    """
    case = (suite or Suite()).read(name)
    judge(instance(adapter), case)


def read_list(path: Path | None, names: Iterable[str]) -> dict[str, str]:
    """The patterns in a file, one a line, each with its reason behind a ``#``.

    Raises:
        ConfigError: where it cannot be read.
        UnknownNameError: for a pattern that no case is called.
    """
    if path is None:
        return {}
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError.about(
            "file",
            str(path),
            takes="a list of cases",
            because="it is read",
            got=type(error).__name__,
            do="Look at the path again.",
        ) from error
    found = {}
    for line in lines:
        pattern, _, why = (part.strip() for part in line.partition("#"))
        if pattern:
            found[pattern] = why or f"listed in {Path(path).name}"
    for pattern in found:
        if not any(fnmatch(name, pattern) for name in names):
            raise UnknownNameError.about(
                "case",
                pattern,
                takes="the name of a case, or a pattern",
                because=f"{path} lists it",
                got="an unknown one",
                do=nearest_case(pattern, names),
            )
    return found


def good(outcomes: Iterable[Outcome]) -> bool:
    """Whether something was run, nothing failed that was not expected to, and nothing passed that was.

    >>> good([Outcome("a/b", PASSED), Outcome("a/c", NOT_COVERED)]), good([Outcome("a/c", NOT_COVERED)])
    (True, False)
    """
    statuses = {outcome.status for outcome in outcomes}
    return bool(statuses & {PASSED, XFAILED}) and not statuses & {FAILED, XPASSED}
