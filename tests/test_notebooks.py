"""The notebooks are listed, have solutions and look inside themselves; ``tests/notebooks.py`` runs them."""

import re

import pytest

from tests.notebooks import ROOT, SOURCES, sources

TEXTS = {
    path.relative_to(SOURCES).as_posix(): path.read_text(encoding="utf-8")
    for path in sources()
}
NOTEBOOKS = [name for name in TEXTS if "/" not in name]


def test_the_page_lists_every_notebook_in_order_with_its_idea():
    page = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    assert (
        NOTEBOOKS
        and re.findall(r"^\| `(\S+\.md)` \| \S.* \|$", page, re.MULTILINE) == NOTEBOOKS
    )


def test_every_notebook_has_a_solution_and_every_solution_a_notebook():
    assert [name for name in TEXTS if "/" in name] == [
        f"solutions/{name}" for name in NOTEBOOKS
    ]


@pytest.mark.parametrize("name", TEXTS)
def test_a_notebook_is_text_that_jupytext_reads_and_asserts_what_it_says(name):
    text = TEXTS[name]
    assert text.startswith("---\njupytext:\n") and "format_name: myst" in text
    cells = re.findall(
        r"^```\{code-cell\} ipython3\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    assert cells and any("assert" in cell for cell in cells)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_ends_with_exercises_and_says_where_their_answers_are(name):
    exercises = TEXTS[name].split("\n## Exercises\n")[1]
    assert re.findall(r"^(\d)\. ", exercises, re.MULTILINE) in (
        ["1", "2"],
        ["1", "2", "3"],
    )
    assert f"`solutions/{name}`" in exercises
    assert (
        re.findall(r"^## (\d)\. ", TEXTS[f"solutions/{name}"], re.MULTILINE)[-1]
        == re.findall(r"^(\d)\. ", exercises, re.MULTILINE)[-1]
    )


def test_a_name_chooses_a_notebook_and_its_solution():
    chosen = sources(["the-proposal"])
    assert [path.relative_to(SOURCES).as_posix() for path in chosen] == [
        "01-the-proposal.md",
        "solutions/01-the-proposal.md",
    ]
