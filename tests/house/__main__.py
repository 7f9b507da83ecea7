"""Readability figures of the package: the old ones, the new ones and the aims.

    python -m tests.house
    python -m tests.house --worst 10
    python -m tests.house --against main

Old figures are those of f78824a, stored in ``old.json``, unless ``--against`` names
another git revision.
:mod:`tests.house.measures` says what is counted.
"""

import argparse
import io
import json
import operator
import subprocess
import tarfile
from pathlib import Path

from tests.house.measures import Module, figures, opening, percent

ROOT = Path(__file__).parents[2]
STORED = Path(__file__).with_name("old.json")
COMPARISONS = {"<=": operator.le, "<": operator.lt, ">=": operator.ge}
AIMS = {
    "tokens": ("<=", 165_000),
    "tokens per code line": ("<=", 8),
    "comprehensions per 100 code lines": ("<=", 3),
    "lines over 88 columns, %": ("<", 2),
    "comments, % of lines": (">=", 4),
    "docstrings opening What...Those": ("<=", 0),
    "root modules, without __init__": ("<=", 14),
    "levels of imports": ("<=", 12),
}


def sources_here() -> dict[str, str]:
    """The text of each file of the working tree, by its path."""
    paths = sorted((ROOT / "recursive").rglob("*.py"))
    return {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in paths
    }


def sources_at(revision: str) -> dict[str, str]:
    """The text of each file of the package at a git revision, by its path."""
    command = ["git", "archive", "--format=tar", revision, "recursive"]
    archive = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    sources = {}
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        for member in files:
            if member.name.endswith(".py"):
                sources[member.name] = files.extractfile(member).read().decode()
    return sources


def shown(value: float) -> str:
    """A figure as the table prints it."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def print_table(old: dict[str, float], new: dict[str, float]) -> None:
    """Print a line for each figure, with its aim if it has one."""
    print(f"{'':38}{'old':>10}{'new':>10}  aim")
    for label, value in new.items():
        aim = ""
        if label in AIMS:
            relation, bound = AIMS[label]
            is_met = COMPARISONS[relation](value, bound)
            aim = f"{relation} {bound:,} {'met' if is_met else 'missed'}"
        line = f"{label:38}{shown(old[label]):>10}{shown(value):>10}  {aim}"
        print(line.rstrip())


def print_worst(sources: dict[str, str], count: int) -> None:
    """Print the places that are furthest from the aims, the worst ones first."""
    functions, dense, packed, docstrings, wide = [], [], [], [], []
    for path, text in sources.items():
        module = Module(text)
        code = max(len(module.code_lines), 1)
        density = percent(len(module.comprehensions), code)
        per_line = len(module.token_lines) / code
        dense.append((density, path, 1, "comprehensions per 100 code lines"))
        packed.append((per_line, path, 1, "tokens per code line"))
        for node in module.functions:
            length = module.body_length(node)
            functions.append((length, path, node.lineno, f"code lines, {node.name}"))
        for node in module.docstrings:
            if opening(node):
                docstrings.append((0, path, node.lineno, opening(node)))
        for number, line in enumerate(module.lines, start=1):
            if len(line) > 88:
                wide.append((len(line), path, number, "columns"))

    print_places("Longest functions", functions, count)
    print_places("Modules with most comprehensions", dense, count)
    print_places("Modules with the fullest lines", packed, count)
    print_places("Docstrings opening What...Another", docstrings, count)
    print_places("Lines over 88 columns", wide, count)


def print_places(title: str, places: list[tuple], count: int) -> None:
    """Print the places with the largest values as ``path:line``."""
    print(f"\n{title} ({min(count, len(places))} of {len(places):,})")
    ordered = sorted(places, key=lambda place: -place[0])
    for value, path, line, note in ordered[:count]:
        figure = f"{shown(value)} " if value else ""
        print(f"  {path}:{line}  {figure}{note}")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.house",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--against", metavar="REF", help="measure the old figures at REF"
    )
    parser.add_argument("--worst", type=int, metavar="N", help="list N of each kind")
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    options = parser.parse_args()

    sources = sources_here()
    new = figures(sources)
    old = json.loads(STORED.read_text())
    if options.against:
        old = figures(sources_at(options.against))

    if options.json:
        print(json.dumps({"old": old, "new": new}, indent=2))
    else:
        print_table(old, new)
    if options.worst:
        print_worst(sources, options.worst)


if __name__ == "__main__":
    main()
