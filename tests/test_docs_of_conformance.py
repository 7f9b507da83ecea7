"""The page for a port's author: its adapter, its commands and its numbers are those of the package."""

import os
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from recursive import cli
from recursive.conformance import runner
from recursive.conformance.needs import CAPABILITIES
from recursive.conformance.suite import Suite, folder_of

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "conformance.md"
WORDS = PAGE.read_text(encoding="utf-8")
CODE = re.search(r"```python\n# my_port.py\n(.*?)```", WORDS, re.S)[1]
CHECK = re.search(r"```python\n(from recursive.*?)```", WORDS, re.S)[1]
PORTS = re.findall(
    r"\| (\d+) \| `recursive conformance run --adapter recursive.conformance.adapters.(\w+):(\w+)` \|",
    WORDS,
)
OPTIONS = {
    "--suite": ["1.1"],
    "--area": ["vanilla"],
    "--case": ["vanilla/*"],
    "--skips": ["skips.txt"],
    "--xfails": ["xfails.txt"],
    "--junit": ["junit.xml"],
    "--report": ["report.html"],
    "--time-limit": ["20"],
    "--here": [],
}
"""The options that the page names, each with something to give it."""
SUITE = Suite()


@pytest.fixture
def my_port(tmp_path, monkeypatch):
    """A folder with the page's adapter in it, to run commands in."""
    (tmp_path / "my_port.py").write_text(CODE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def test_the_adapter_on_the_page_passes_what_it_covers_in_under_a_hundred_lines():
    room = {}
    exec(compile(CODE, "my_port.py", "exec"), room)
    outcomes = list(runner.run(room["Adapter"](), SUITE, SUITE.ids()))
    assert runner.good(outcomes)
    assert sum(outcome.status == "passed" for outcome in outcomes) >= 60
    assert len(CODE.splitlines()) < 100


def test_the_page_explains_every_capability():
    assert [
        name
        for name, meaning in CAPABILITIES.items()
        if f"| `{name}` | {meaning} |" not in WORDS
    ] == []


def test_the_page_counts_the_cases():
    core = [entry for entry in SUITE.entries.values() if not entry["capabilities"]]
    assert (
        f"{len(SUITE.entries)} cases with arrays and {len(SUITE.invalid)}\ndeclarations"
        in WORDS
    )
    assert f"the core ({len(core)} cases:" in WORDS
    added = Suite(folder_of("1.1")).manifest
    count, invalid = len(added["cases"]), len(added["invalid"])
    assert f"and {count} more with {invalid} more\ndeclarations" in WORDS
    assert f"against {len(SUITE.ids())} cases" in (ROOT / "README.md").read_text(
        encoding="utf-8"
    )


def test_the_command_of_the_page_says_of_its_adapter_what_the_page_says(
    my_port, capsys
):
    command = re.search(
        r"^recursive (conformance run --adapter my_port:Adapter)$", WORDS, re.M
    )[1]
    assert cli.main(command.split()) == 0
    verdict = capsys.readouterr().out.splitlines()[-1]
    passed, total = re.search(r"all (\d+) cases .* of (\d+)", verdict).groups()
    assert verdict in WORDS
    assert f"-{passed}%2F{total}-" in WORDS


def test_the_options_of_the_page_are_taken(my_port):
    section = WORDS.partition("## Options")[2].partition("## ")[0]
    assert set(re.findall(r"`(--[a-z-]+)", section)) == set(OPTIONS)
    for name in ("skips", "xfails"):
        (my_port / f"{name}.txt").write_text(
            "vanilla/linear  # not yet\n", encoding="utf-8"
        )
    said = [word for option, values in OPTIONS.items() for word in (option, *values)]
    assert cli.main(["conformance", "run", "--adapter", "my_port:Adapter", *said]) == 0
    assert (my_port / "junit.xml").exists()
    assert (my_port / "report.html").exists()


def test_the_example_for_a_debugger_runs():
    exec(compile(CHECK, "check.py", "exec"), {})


def test_the_table_has_every_port_in_python():
    there = {
        path.stem
        for path in Path(str(files("recursive.conformance.adapters"))).glob("*.py")
    }
    assert {module for _, module, _ in PORTS} == there - {"__init__", "walk"}


@pytest.mark.skipif(
    shutil.which("node") is None or os.name != "posix",
    reason="Node and a shell are needed",
)
def test_the_command_for_javascript_runs(my_port):
    command = re.search(
        r"^recursive (conformance run --stdio \"node .*)$", WORDS, re.M
    )[1]
    script = f'python() {{ "{sys.executable}" "$@"; }}\npython -m recursive.cli {command} --area vanilla'
    found = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert (
        "node conforms to version 1.0 in all 18 cases that it covers, of 18." in found
    )
