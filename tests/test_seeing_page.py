"""Every block of docs/seeing.md runs, from top to bottom, and does what the page says."""

import contextlib
import functools
import importlib.util
import re
import tempfile
from pathlib import Path

import numpy as np
import pytensor
import pytest

import recursive

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "seeing.md").read_text()


@functools.cache
def page():
    names = {}
    recursive.set_backend("python")
    with (
        pytensor.config.change_flags(floatX="float64"),
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
    ):
        exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)), names)
    return names


def test_the_table_of_the_page_is_that_of_its_network():
    [table, _] = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert page()["rnn"].summary().splitlines() == table.splitlines()


@pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None,
    reason="the page draws with matplotlib",
)
def test_the_text_of_the_page_is_the_picture_of_its_network():
    [_, text] = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert page()["rnn"].draw().mermaid == text.strip()


def test_the_script_of_the_page_gives_what_the_trace_has_at_the_last_step():
    names = page()
    assert {name: value.shape for name, value in names["found"].items()} == {
        "rec": (3, 6),
        "y": (3, 2),
    }
    assert np.abs(names["found"]["rec"] - names["rec"][:, -1]).max() < 1e-12
    assert np.abs(names["found"]["y"] - names["trace"]["y"][:, -1]).max() < 1e-12


def test_the_gradient_shrinks_towards_the_first_step():
    norms = page()["norms"]
    assert norms.shape == (3, 5)
    assert (norms[:, 0] < norms[:, -1]).all()


def test_the_readme_leads_to_the_page():
    assert "(docs/seeing.md)" in (ROOT / "README.md").read_text()
