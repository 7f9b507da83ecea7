"""``recursive demo`` from the command line to its files, and the README that tells people to run it."""

import json
import re
import runpy
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import recursive
from recursive import cli
from recursive.errors import MissingPackageError
from recursive.spec.graph import GraphSpec
from recursive.utils import extras
from tests.agreement.test_cases import JAX

ROOT = Path(__file__).parent.parent
pytest.importorskip("sklearn", reason="the demo needs the extra 'examples'")
FILES = {
    "config.json",
    "confusion.png",
    "loss.png",
    "step.png",
    "step.svg",
    "weights.h5",
}


def run_demo(capsys, *arguments):
    assert cli.main(["demo", *map(str, arguments)]) == 0
    return capsys.readouterr()


def test_the_quick_demo_shows_its_step_trains_and_writes_its_files(tmp_path, capsys):
    out = tmp_path / "demo"
    shown = run_demo(capsys, "--quick", "--backend", "python", "--out", out)
    assert "def step(i2h, h_tm1, h2h_W):" in shown.out
    assert re.search(r"First training step after [0-9.]+ s", shown.out)
    assert "Epoch 3/3" in shown.err
    assert {path.name for path in out.iterdir()} == FILES
    assert all(path.stat().st_size > 0 for path in out.iterdir())
    container, dense = json.loads((out / "config.json").read_text())["layers"]
    assert [node.name for node in GraphSpec.from_dict(container["spec"]).nodes] == [
        "i2h",
        "h2h",
        "rec",
    ]
    assert dense["output_dim"] == 10
    with h5py.File(out / "weights.h5") as file:
        assert file["layer_0"].attrs["nb_params"] == 3
    gap = float(re.search(r"first 3 epochs: (\S+)", shown.out)[1])
    assert gap < 1e-4


@JAX
def test_the_demo_reads_at_least_96_of_100_digits(tmp_path, capsys):
    shown = run_demo(capsys, "--backend", "jax", "--out", tmp_path).out
    assert float(re.search(r"Accuracy on 360 test digits: (\S+)", shown)[1]) >= 0.96


def test_the_same_seed_gives_the_same_files(tmp_path, capsys):
    for name in ("a", "b"):
        run_demo(
            capsys,
            "--quick",
            "--backend",
            "python",
            "--out",
            tmp_path / name,
            "--seed",
            3,
        )
    weights = []
    for name in ("a", "b"):
        with h5py.File(tmp_path / name / "weights.h5") as file:
            weights.append(file["layer_0/param_0"][()])
        assert (tmp_path / name / "step.svg").read_bytes() == (
            tmp_path / "a" / "step.svg"
        ).read_bytes()
    assert np.array_equal(*weights)


def test_the_quick_addition_asks_sums_that_it_has_not_learned_and_writes_its_files(
    tmp_path, capsys
):
    shown = run_demo(
        capsys, "addition", "--quick", "--backend", "python", "--out", tmp_path
    )
    assert "Training on 500 sums" in shown.out
    share, held = re.search(
        r"Right in every digit: (\S+) of (\d+) sums that were held out", shown.out
    ).groups()
    assert held == "100"
    assert 0 <= float(share) <= 1
    assert len(re.findall(r"^    \d+ \+ \d+ = ", shown.out, re.M)) == 6
    files = {path.name for path in tmp_path.iterdir()}
    assert {"loss.png", "right.png", "sums.png", "config.json", "weights.h5"} <= files


def test_the_quick_text_demo_writes_on_by_itself_and_the_same_at_the_same_seed(
    tmp_path, capsys
):
    for name in ("a", "b"):
        shown = run_demo(
            capsys,
            "text",
            "--quick",
            "--backend",
            "python",
            "--out",
            tmp_path / name,
            "--seed",
            3,
        )
    written = (tmp_path / "a" / "written.txt").read_text()
    assert written.startswith("The ")
    assert len(written) == len("The ") + 60 + len("\n")
    assert (tmp_path / "b" / "written.txt").read_text() == written
    assert written.strip() in shown.out
    assert {"loss.png", "state.png", "step.svg", "weights.h5"} <= {
        path.name for path in (tmp_path / "a").iterdir()
    }


def test_an_unknown_backend_is_one_sentence_and_an_exit_code(capsys, tmp_path):
    assert (
        cli.main(
            ["demo", "--quick", "--backend", "jaxx", "--out", str(tmp_path / "none")]
        )
        == 2
    )
    assert "Did you mean 'jax'?" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--seed", "-1", "argument 'seed' takes an integer from 0"),
        ("--seed", str(2**32), "got 4294967296"),
        ("--out", "file", "takes a place for a folder"),
        ("--out", "file/inside", "got the file"),
    ],
)
def test_what_the_demo_cannot_use_is_told_before_it_trains(
    capsys, tmp_path, option, value, words
):
    (tmp_path / "file").write_text("")
    value = str(tmp_path / value) if option == "--out" else value
    assert cli.main(["demo", "--quick", "--backend", "python", option, value]) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert "Training" not in shown.out


def test_a_package_that_is_missing_is_named_with_its_extra():
    with pytest.raises(
        MissingPackageError, match=r"pip install 'recursive-rnn\[examples\]'"
    ):
        extras.load("sklearning", "examples", "it brings the digits")


def test_the_readmes_example_runs(monkeypatch, capsys, tmp_path):
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    script = tmp_path / "example.py"
    script.write_text(code)
    monkeypatch.setattr(sys, "argv", ["example.py"])
    names = runpy.run_path(str(script))
    shown = capsys.readouterr().out
    told = (ROOT / "README.md").read_text()
    _, table, _, before, step = (part.strip() for part in shown.split("\n\n")[:5])
    assert before in told
    assert table in told
    assert step in told
    assert np.isfinite(
        names["model"].evaluate(names["x"], names["x"].sum(axis=(1, 2)), verbose=0)
    )


def test_the_readmes_second_command_is_what_ci_runs():
    commands = re.findall(r"```sh\n(.*?)\n```", (ROOT / "README.md").read_text())
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text()


def test_the_links_of_readme_and_docs_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        prose = re.sub(
            r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE
        )
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", prose):
            assert target.startswith("http") or (page.parent / target).exists(), (
                f"{page.name}: {target}"
            )


def test_the_picture_in_the_readme_shows_the_network_of_its_example():
    picture = (ROOT / "docs" / "images" / "vanilla-rnn.svg").read_text()
    assert all(
        f">{name}<" in picture
        for name in ("input", "h_tm1", "i2h", "h2h", "rec", "t-1")
    )


def test_every_dependency_has_its_reason():
    told = (ROOT / "docs" / "dependencies.md").read_text()
    packages = set(re.findall(r'"([a-z0-9_-]+)>=', (ROOT / "setup.py").read_text()))
    assert {name for name in packages if name not in told} == set()
    assert recursive.__version__ in (ROOT / "docs" / "changelog.md").read_text()
