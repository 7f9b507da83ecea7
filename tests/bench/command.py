"""The command ``python -m tests.bench``: measures or reads a report, shows and writes it."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import contestants

if TYPE_CHECKING:
    from tests.bench.results import Report


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m tests.bench``."""
    several = {"action": "append", "metavar": "NAME"}
    parser.add_argument(
        "--network",
        **several,
        help=f"{', '.join(contestants.NETWORKS)}; may be repeated (default: all)",
    )
    parser.add_argument(
        "--backend",
        **several,
        help=f"{', '.join(contestants.BACKENDS)}; may be repeated (default: all)",
    )
    parser.add_argument(
        "--peer",
        **several,
        help="measure these peers only, or none; may be repeated (default: all)",
    )
    parser.add_argument(
        "--rounds", type=int, help="turns of each contender (default: 15, if quick 2)"
    )
    parser.add_argument(
        "--calls", type=int, help="timed calls in a turn (default: 5, if quick 2)"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=os.cpu_count() or 1,
        help="cores each may use (default: all)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="tiny sizes, few rounds: shows that all of it runs",
    )
    parser.add_argument(
        "--warm",
        action="store_true",
        help="leave caches as they are: no first calls from cold",
    )
    parser.add_argument(
        "--scaling",
        action="store_true",
        help="also how time and memory grow in steps (up to 10,000), rows, dim and nodes",
    )
    parser.add_argument(
        "--from",
        type=Path,
        metavar="FILE",
        dest="read",
        help="measure nothing: show what --json has written",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers")
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="put the tables into a page, between its marks",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw, to .svg or .png; growth goes to FILE-scaling",
    )


def run(chosen: argparse.Namespace) -> None:
    """Measure, show, write. The paths are checked before anything is measured.

    Raises:
        UnknownNameError: for an unknown network, backend or peer.
        ConfigError: for a number below 1, or a file that cannot be read or written.
        MissingPackageError: for a picture without matplotlib.
    """
    from recursive.utils.files import place_of, write_text
    from tests.bench import page, plots, results, table

    if chosen.json:
        place_of(chosen.json)
    if chosen.markdown:
        page.check(chosen.markdown)
    if chosen.plot:
        plots.check(chosen.plot)

    def keep(report: Report) -> None:
        if chosen.json:
            write_text(chosen.json, report.to_json())

    report = results.read(chosen.read) if chosen.read else _measured(chosen, keep)
    keep(report)
    print(table.as_text(report))
    pictures = plots.draw(report, chosen.plot) if chosen.plot else {}
    if chosen.markdown:
        page.fill(
            chosen.markdown,
            page.shown(pictures, chosen.markdown) + table.as_markdown(report),
        )


def _measured(chosen: argparse.Namespace, keep: Callable[[Report], None]) -> Report:
    """The report of a session. It is also saved after each network: an hour is long."""
    from tests.bench import scaling
    from tests.bench.results import Report
    from tests.bench.session import Session, Settings, machine

    networks, contenders = (
        contestants.chosen_networks(chosen.network),
        contestants.chosen_contenders(chosen.backend, chosen.peer),
    )
    usual = {"rounds": 2, "calls": 2} if chosen.quick else {"rounds": 15, "calls": 5}
    said = {name: getattr(chosen, name) for name in ("rounds", "calls", "threads")}
    numbers = {
        name: usual[name] if value is None else contestants.positive(name, value)
        for name, value in said.items()
    }
    sizes = contestants.QUICK if chosen.quick else contestants.Sizes()
    settings = Settings(**numbers, cold=not (chosen.quick or chosen.warm))
    steps = sum(
        settings.rounds + sum(network in contender.networks for contender in contenders)
        for network in networks
    )
    steps += scaling.steps_of(settings, sizes, contenders) if chosen.scaling else 0
    with (
        _progress(steps) as advance,
        tempfile.TemporaryDirectory(prefix="recursive-bench-") as folder,
    ):
        session = Session(settings, Path(folder), advance)
        report = Report(machine(settings), sizes.to_dict(), [])
        for network in networks:
            report.rows += session.measure(network, sizes, contenders)
            keep(report)
        report.scaling = (
            scaling.measure(session, sizes, contenders) if chosen.scaling else {}
        )
    return report


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[str], None]]:
    """A bar on stderr that is moved on with a few words."""
    from tqdm import tqdm

    with tqdm(total=steps, unit="step") as bar:

        def advance(words: str) -> None:
            bar.set_description(words, refresh=False)
            bar.update()

        yield advance
