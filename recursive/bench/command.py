"""``recursive bench``: what the options ask for, measured or read from a file, then shown and written."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from recursive.bench import field, results, table
from recursive.bench.results import Report
from recursive.bench.sitting import Settings, Sitting, machine


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``recursive bench``."""
    several = {"action": "append", "metavar": "NAME"}
    parser.add_argument("--network", **several, help=f"{', '.join(field.NETWORKS)}; may be repeated (default: all)")
    parser.add_argument("--backend", **several, help=f"{', '.join(field.BACKENDS)}; may be repeated (default: all)")
    parser.add_argument("--peer", **several, help="measure only these peers, or none; may be repeated")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each contender (default: 15)")
    parser.add_argument("--calls", type=int, default=5, help="timed calls in a turn (default: 5)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="cores each may use (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, 2 rounds: shows that all of it runs")
    parser.add_argument("--warm", action="store_true", help="leave the caches as they are: no first calls from cold")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers")


def run(chosen: argparse.Namespace) -> None:
    """Measure, show, write.

    Raises:
        UnknownNameError: for an unknown network, backend or peer.
        ConfigError: for a number below 1, or a file that cannot be read or written.
    """
    report = _measured(chosen)
    print(table.as_text(report))
    if chosen.json:
        chosen.json.write_text(report.to_json(), encoding="utf-8")


def _measured(chosen: argparse.Namespace) -> Report:
    networks = field.chosen_networks(chosen.network)
    contenders = field.chosen_contenders(chosen.backend, chosen.peer)
    numbers = {name: field.positive(name, getattr(chosen, name)) for name in ("rounds", "calls", "threads")}
    sizes = field.QUICK if chosen.quick else field.Sizes()
    if chosen.quick:
        numbers |= {"rounds": 2, "calls": 2}
    settings = Settings(**numbers, cold=not (chosen.quick or chosen.warm))
    steps = sum(settings.rounds + sum(network in contender.networks for contender in contenders)
                for network in networks)
    with _progress(steps) as advance, tempfile.TemporaryDirectory(prefix="recursive-bench-") as folder:
        sitting = Sitting(settings, Path(folder), advance)
        rows = [row for network in networks for row in sitting.measure(network, sizes, contenders)]
    return Report(machine(settings), sizes.to_dict(), rows)


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[str], None]]:
    """A bar on stderr that is moved on with a few words."""
    with tqdm(total=steps, unit="step") as bar:
        def advance(words: str) -> None:
            bar.set_description(words, refresh=False)
            bar.update()

        yield advance
