"""The extension guide: each diff applies to the package, and the lines below it print what they say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import recursive

PACKAGE = Path(recursive.__file__).parent
PAGE = Path(__file__).parent.parent / "docs" / "contributing.md"
EXAMPLE = re.compile(
    r"^### (?P<title>.+?)$.*?```diff\n(?P<diff>.*?)```.*?"
    r"```python\n(?P<code>.*?)```\s+```text\n(?P<printed>.*?)```",
    re.DOTALL | re.MULTILINE,
)
EXAMPLES = [match.groupdict() for match in EXAMPLE.finditer(PAGE.read_text())]


def hunks_of(diff):
    """Pairs of a file and a hunk, which is the lines before and the lines after."""
    for part in re.split(r"^--- a/", diff, flags=re.MULTILINE)[1:]:
        path, _, rest = part.partition("\n")
        for hunk in rest.split("@@\n")[1:]:
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            yield path, before, after


def applied(diff, root):
    for path, before, after in hunks_of(diff):
        text = (root / path).read_text()
        assert text.count(before) == 1, f"{path} has {before!r} once"
        (root / path).write_text(text.replace(before, after))


def test_the_guide_has_a_layer_a_merge_mode_an_optimizer_a_callback_and_a_backend():
    titles = [example["title"] for example in EXAMPLES]
    assert titles == [
        "A layer",
        "A merge mode",
        "An optimizer",
        "A callback",
        "A backend",
    ]


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda example: example["title"].replace(" ", "-")
)
def test_an_example_is_the_whole_change(example, tmp_path):
    sources = shutil.ignore_patterns("__pycache__", "v1.0", "cases")
    shutil.copytree(PACKAGE, tmp_path / "recursive", ignore=sources)
    applied(example["diff"], tmp_path)
    run = subprocess.run(
        [sys.executable, "-c", example["code"]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert run.stderr == ""
    assert run.stdout == example["printed"]
