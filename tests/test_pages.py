"""The pages of docs/: their code runs, prints what stands below it, and every public name is in the API."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytensor
import pytest

import recursive
from recursive import limits

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(
    r"^```python\n(.*?)^```(?:\n+```text\n(.*?)^```)?", re.DOTALL | re.MULTILINE
)
"""Code, and what it prints, where that stands directly below."""
ELSEWHERE = {
    "contributing": "tests/test_contributing.py",
    "proposal": "tests/test_proposal.py",
    "states": "tests/test_states_page.py",
    "seeing": "tests/test_seeing_page.py",
}
"""Pages whose code another file runs, and judges."""
PAGES = [
    page
    for page in sorted(DOCS.glob("*.md"))
    if page.stem not in ELSEWHERE and BLOCK.search(page.read_text())
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs_from_top_to_bottom_and_prints_what_stands_below_it(
    page, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    # A page may assign a larger limit, which must not hold for other tests.
    monkeypatch.setattr(limits, "PARAMETERS", limits.PARAMETERS)
    names = {"__name__": page.stem}
    with pytensor.config.change_flags(floatX="float64"):
        for number, (code, told) in enumerate(BLOCK.findall(page.read_text())):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, f"{page.name}, block {number}", "exec"), names)
            assert not told or printed.getvalue().strip() == told.strip(), (
                f"block {number}"
            )


def test_the_tour_has_a_network_of_two_states_and_tells_the_order_of_scans_arguments():
    tour = (DOCS / "tour.md").read_text()
    assert DOCS / "tour.md" in PAGES
    assert len(tour.split('add_state("')) >= 4
    listed = [
        tour.index(f"**{kind}**")
        for kind in ("sequences", "states", "contexts", "parameters")
    ]
    assert listed == sorted(listed)


def test_under_each_code_of_the_tour_stands_what_it_prints():
    told = [below for _, below in BLOCK.findall((DOCS / "tour.md").read_text())]
    assert told and all(told)


def named_in_the_api():
    page = (DOCS / "api.md").read_text()
    return re.findall(
        r"^\.\. auto(?:class|function|exception|data):: (\S+)", page, re.MULTILINE
    )


def test_every_public_name_is_in_the_api_once():
    named = [name.removeprefix("recursive.") for name in named_in_the_api()]
    public = [name for name in recursive.__all__ if name != "__version__"]
    assert sorted(name for name in named if "." not in name) == public


def test_every_page_is_named_in_the_index():
    index = (DOCS / "index.md").read_text()
    listed = re.search(r"```\{toctree\}\n(.*?)```", index, re.DOTALL)[1].split()
    pages = {page.stem for page in DOCS.glob("*.md")} - {"index"}
    assert sorted(set(listed) - {":hidden:"}) == sorted(pages)


def test_what_the_tour_says_of_the_loop_by_hand_is_not_true_of_other_weights():
    """The comparison on the page can fail: with one weight moved it does."""
    rng = np.random.RandomState(0)
    names = {}
    blocks = [code for code, _ in BLOCK.findall((DOCS / "tour.md").read_text())]
    with (
        pytensor.config.change_flags(floatX="float64"),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        for code in blocks[:3]:
            exec(code, names)
        names["two"].set_weights(
            [
                weight + 0.1 * rng.normal(size=weight.shape)
                for weight in names["two"].get_weights()
            ]
        )
        assert not np.allclose(
            names["two"].predict(names["x"]), np.stack(names["by_hand"], axis=1)
        )
