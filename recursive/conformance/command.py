"""``recursive conformance run``.

Modules that only a run needs are imported when it runs, so that the command line starts
fast.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from recursive.conformance.versions import VERSION, VERSIONS
from recursive.errors import ConfigError
from recursive.utils.files import check_place, write_text
from recursive.utils.interrupt import closing

if TYPE_CHECKING:
    from recursive.conformance.adapter import Adapter
    from recursive.conformance.runner import Expected, Outcome
    from recursive.conformance.suite import Suite

DAY = 86400
"""The longest time limit, in seconds."""


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the subcommands to the parser."""
    conformance = commands.add_parser(
        "conformance", help="check a port against the suite"
    )
    inner = conformance.add_subparsers(required=True, metavar="command")
    run = inner.add_parser("run", help="run the cases that a port covers")
    run.set_defaults(run=_run)

    port = run.add_mutually_exclusive_group(required=True)
    port.add_argument("--adapter", help="module:object, from the current folder too")
    port.add_argument(
        "--stdio", help="a command that speaks JSON lines, for other languages"
    )
    run.add_argument(
        "--here",
        action="store_true",
        help="run the adapter in this process, without a time limit, for a debugger",
    )
    run.add_argument(
        "--time-limit",
        type=_seconds,
        default=60.0,
        help="seconds for each answer (default: %(default)g)",
    )
    run.add_argument(
        "--suite",
        choices=VERSIONS,
        default=VERSION,
        help="the version of the suite (default: %(default)s)",
    )
    run.add_argument(
        "--area", action="append", default=[], help="run only this area; repeatable"
    )
    run.add_argument(
        "--case",
        action="append",
        default=[],
        help="run only this case, or those that match a pattern; repeatable",
    )
    run.add_argument(
        "--skips",
        type=Path,
        help="a file of cases to skip, one on each line, with a reason after #",
    )
    run.add_argument(
        "--xfails", type=Path, help="a file of cases that are expected to fail"
    )
    run.add_argument("--junit", type=Path, help="write JUnit XML to this file")
    run.add_argument("--report", type=Path, help="write a page of HTML to this file")


def _run(chosen: argparse.Namespace, started: float) -> int:
    from recursive.conformance import report, runner
    from recursive.conformance.adapter import OPTIONAL, can, check_capabilities
    from recursive.conformance.suite import Suite, folder_of

    suite = Suite(folder_of(chosen.suite))
    ids = suite.ids(chosen.area, chosen.case)
    names = suite.ids()
    skips = runner.read_list(chosen.skips, names)
    xfails = runner.read_list(chosen.xfails, names)
    _check_places([chosen.junit, chosen.report])

    outcomes, interrupted = [], None
    with closing(), _open_port(chosen) as adapter:
        check_capabilities(adapter)
        name = adapter.name
        lacks = [method for method in OPTIONAL if not can(adapter, method)]
        try:
            expected = runner.Expected(skips, xfails)
            outcomes.extend(_outcomes(adapter, suite, ids, expected))
        except KeyboardInterrupt as error:
            interrupted = error

    paragraphs = [
        report.failures(outcomes),
        report.table(outcomes),
        report.unchecked(lacks),
        report.verdict(name, outcomes, suite.title),
    ]
    print("\n\n".join(filter(None, paragraphs)))
    if chosen.junit is not None:
        write_text(chosen.junit, report.junit(name, outcomes, suite.title))
    if chosen.report is not None:
        write_text(chosen.report, report.page(name, outcomes, suite.title))
    if interrupted:
        raise interrupted
    return 0 if runner.good(outcomes) else 1


def _check_places(paths: list[Path | None]) -> None:
    """Raise a ConfigError before the run if a report could not be written after it."""
    places = [check_place(path) for path in paths if path is not None]
    if len(set(places)) < len(places):
        raise ConfigError.about(
            "option",
            "--report",
            takes="another file than --junit",
            got=str(places[0]),
            do="Give them two names.",
        )


def _outcomes(
    adapter: Adapter, suite: Suite, ids: list[str], expected: Expected
) -> Iterable[Outcome]:
    """The outcomes of a run, with a progress bar, or a line an area in a log."""
    from tqdm import tqdm

    from recursive.conformance import report, runner

    # disable=None shows the bar on a terminal only.
    bar = tqdm(ids, desc=adapter.name, unit="case", disable=None, file=sys.stderr)
    outcomes = runner.run(adapter, suite, bar, expected)
    return report.log_areas(outcomes, sys.stderr) if bar.disable else outcomes


def _seconds(text: str) -> float:
    """A time limit."""
    seconds = float(text)
    if not 0 < seconds <= DAY:
        raise argparse.ArgumentTypeError(
            f"takes seconds, more than 0 and at most a day; got {text}"
        )
    return seconds


def _open_port(chosen: argparse.Namespace) -> AbstractContextManager:
    """The adapter that was chosen; closing it ends its process."""
    from recursive.conformance.adapter import load
    from recursive.conformance.remote import PortError, Remote, command_of

    if chosen.here and chosen.stdio:
        raise ConfigError.about(
            "option",
            "--here",
            takes="--adapter",
            because="--stdio starts another process",
            got="--stdio",
            do="Leave one of them out.",
        )
    if chosen.here:
        return nullcontext(load(chosen.adapter))
    command = command_of(chosen.adapter) if chosen.adapter else _split(chosen.stdio)
    try:
        return Remote(command, chosen.time_limit)
    except PortError as error:
        # The process that serves an adapter in Python raises our own errors.
        if chosen.adapter and error.message:
            raise ConfigError(error.message) from error
        raise ConfigError.about(
            "port",
            chosen.adapter or chosen.stdio,
            takes="an answer to 'hello'",
            got=str(error),
            do="docs/conformance.md describes the answer.",
        ) from error


def _split(command: str) -> list[str]:
    """The words of a command."""
    try:
        words, got = shlex.split(command), "nothing"
    except ValueError as error:
        words, got = [], str(error)
    if not words:
        raise ConfigError.about(
            "option",
            "--stdio",
            takes="a command",
            got=got,
            do="Say --stdio 'node port.js', for example.",
        )
    return words
