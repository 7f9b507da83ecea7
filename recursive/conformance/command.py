"""``recursive conformance run``. What it takes to run is imported when it does."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from recursive.errors import ConfigError
from recursive.utils.files import place_of, write_text
from recursive.utils.interrupt import closing


def add_to(commands: argparse._SubParsersAction) -> None:
    """Put the subcommands into the parser."""
    chosen = commands.add_parser("conformance", help="check a port against the suite")
    inner = chosen.add_subparsers(required=True, metavar="command")
    run = inner.add_parser("run", help="run the cases that a port covers")
    port = run.add_mutually_exclusive_group(required=True)
    port.add_argument("--adapter", help="module:object, from the present folder too")
    port.add_argument(
        "--stdio", help="a command that speaks JSON lines, for other languages"
    )
    run.add_argument(
        "--area",
        action="append",
        default=[],
        help="run this area only; may be said again",
    )
    run.add_argument(
        "--case",
        action="append",
        default=[],
        help="run these cases only, a name or a pattern",
    )
    run.add_argument(
        "--skips",
        type=Path,
        help="a file of cases to leave out, one a line, with reasons behind #",
    )
    run.add_argument(
        "--xfails", type=Path, help="a file of cases that are known to fail, likewise"
    )
    run.add_argument("--junit", type=Path, help="write JUnit XML here")
    run.add_argument("--report", type=Path, help="write a page of HTML here")
    run.add_argument(
        "--time-limit",
        type=_seconds,
        default=60.0,
        help="seconds an answer (default: %(default)g)",
    )
    run.add_argument(
        "--here",
        action="store_true",
        help="run the adapter in this process, where a debugger can "
        "follow; no time limit then",
    )
    run.add_argument("--suite", type=Path, help=argparse.SUPPRESS)
    run.set_defaults(run=_run)


def _run(chosen: argparse.Namespace, started: float) -> int:
    from tqdm import tqdm

    from recursive.conformance import report, runner
    from recursive.conformance.adapter import OPTIONAL, can, check_capabilities
    from recursive.conformance.suite import FOLDER, Suite

    suite = Suite(chosen.suite or FOLDER)
    ids = suite.ids(chosen.area, chosen.case)
    names = suite.ids()
    expected = runner.Expected(
        runner.read_list(chosen.skips, names), runner.read_list(chosen.xfails, names)
    )
    _check_places(chosen)
    outcomes, interrupted = [], None
    with closing(), _port(chosen) as adapter:
        check_capabilities(adapter)
        name, lacks = (
            adapter.name,
            [method for method in OPTIONAL if not can(adapter, method)],
        )
        bar = tqdm(ids, desc=name, unit="case", disable=None, file=sys.stderr)
        try:
            found = runner.run(adapter, suite, bar, expected)
            outcomes.extend(report.told(found, sys.stderr) if bar.disable else found)
        except KeyboardInterrupt as error:
            interrupted = error
    print(
        "\n\n".join(
            filter(
                None,
                [
                    report.failures(outcomes),
                    report.table(outcomes),
                    report.unseen(lacks),
                    report.verdict(name, outcomes),
                ],
            )
        )
    )
    for path, write in ((chosen.junit, report.junit), (chosen.report, report.page)):
        if path is not None:
            write_text(path, write(name, outcomes))
    if interrupted:
        raise interrupted
    return 0 if runner.good(outcomes) else 1


def _seconds(text: str) -> float:
    """A time limit."""
    seconds = float(text)
    if not 0 < seconds <= DAY:
        raise argparse.ArgumentTypeError(
            f"it takes seconds, more than 0 and a day at most; got {text}"
        )
    return seconds


DAY = 86400


def _port(chosen: argparse.Namespace) -> AbstractContextManager:
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
        if (
            chosen.adapter and error.said
        ):  # a sentence of our own, from the other process
            raise ConfigError(error.said) from error
        raise ConfigError.about(
            "port",
            chosen.adapter or chosen.stdio,
            takes="an answer to 'hello'",
            because="it says what it can do",
            got=str(error),
            do="It is asked as docs/conformance.md says.",
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
            because="it speaks for the port",
            got=got,
            do="Say --stdio 'node port.js', for example.",
        )
    return words


def _check_places(chosen: argparse.Namespace) -> None:
    paths = [path for path in (chosen.junit, chosen.report) if path is not None]
    if len(paths) > len({place_of(path) for path in paths}):
        raise ConfigError.about(
            "file",
            str(chosen.report),
            takes="one report",
            because="a second would overwrite it",
            got="--junit and --report",
            do="Give them two names.",
        )
