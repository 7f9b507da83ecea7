"""``python -m tests.bench`` from the command line to its files, at tiny sizes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import contestants, memory, page, session, worker
from tests.bench.__main__ import main
from tests.bench.results import Report
from tests.bench.session import Session, Settings
from tests.bench.test_results import report


def bench(*arguments):
    return main([*map(str, arguments)])


def test_a_quick_run_shows_a_table_and_writes_json_and_a_page(tmp_path, capsys):
    target = tmp_path / "page.md"
    target.write_text(f"{page.BEGIN}\n{page.END}\n")
    assert (
        bench(
            "--quick",
            "--network",
            "vanilla",
            "--backend",
            "python",
            "--peer",
            "scan-python",
            "--json",
            tmp_path / "bench.json",
            "--markdown",
            target,
        )
        == 0
    )
    shown = capsys.readouterr()
    found = Report.from_json((tmp_path / "bench.json").read_text())
    assert [row.contender for row in found.rows] == ["recursive-python", "scan-python"]
    container, scan = found.rows
    assert list(container.times) == ["forward", "train", "bare"]
    assert list(scan.times) == ["forward", "train"]
    assert all(
        0 < spread.fastest <= spread.median <= spread.slowest and spread.rounds == 2
        for row in found.rows
        for spread in row.times.values()
    )
    assert 0 < container.base < container.peak
    assert all(threads >= 1 for threads in container.pools.values())
    assert "recursive, python" in shown.out
    assert "round 2 of 2" in shown.err
    assert "| recursive, python |" in target.read_text()


def test_a_peer_that_is_not_installed_is_told_with_how_to_install_it(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(contestants.importlib.util, "find_spec", lambda name: None)
    [torch] = [
        contender
        for contender in contestants.CONTENDERS
        if contender.name == "torch-nn"
    ]
    [row] = Session(Settings(1, 1, 1, False), tmp_path, lambda words: None).measure(
        "lstm", contestants.QUICK, [torch]
    )
    assert (
        row.why
        == "torch is not installed: pip install torch==2.13.0 (from PyPI: the one for CPUs)"
    )
    assert row.times == {}


def test_a_contender_that_fails_is_told_and_the_others_go_on(tmp_path):
    python = next(
        contender
        for contender in contestants.CONTENDERS
        if contender.name == "recursive-python"
    )
    broken = contestants.Contender("broken", "nowhere", "broken")
    rows = Session(Settings(1, 1, 1, False), tmp_path, lambda words: None).measure(
        "vanilla", contestants.QUICK, [broken, python]
    )
    assert (
        rows[0].why
        == "ModuleNotFoundError: No module named 'tests.bench.contenders.nowhere'"
    )
    assert "train" in rows[1].times


def test_a_network_that_cannot_be_declared_is_told_for_every_contender(tmp_path):
    python = next(
        contender
        for contender in contestants.CONTENDERS
        if contender.name == "recursive-python"
    )
    impossible = contestants.QUICK.but(dim=-1)
    [row] = Session(Settings(1, 1, 1, False), tmp_path, lambda words: None).measure(
        "vanilla", impossible, [python]
    )
    assert row.why.startswith("the network could not be declared: ShapeError: ")
    assert row.times == {}


def test_a_process_that_dies_is_told_by_its_code(tmp_path):
    job = worker.Job(
        "container",
        "vanilla",
        contestants.QUICK,
        "python",
        1,
        str(tmp_path / "none.npz"),
    )
    with session._process(job, None) as process:
        process.imports()
        process._child.kill()
        with pytest.raises(
            session.ContenderError, match="its process ended with code -9"
        ):
            process.ask("first")


def test_a_process_that_is_busy_when_it_is_closed_is_ended(tmp_path):
    job = worker.Job(
        "container",
        "vanilla",
        contestants.QUICK,
        "python",
        1,
        str(tmp_path / "none.npz"),
    )
    with session._process(job, None) as process:
        pass  # it still imports
    assert process._child.returncode is not None


def test_first_calls_are_measured_with_empty_caches_and_with_full_ones(tmp_path):
    python = next(
        contender
        for contender in contestants.CONTENDERS
        if contender.name == "recursive-python"
    )
    [row] = Session(Settings(1, 1, 1, True), tmp_path, lambda words: None).measure(
        "vanilla", contestants.QUICK, [python]
    )
    assert 0 < row.imports < row.warm
    assert row.cold > 0


def test_a_process_has_its_own_caches_and_says_its_precision_and_threads(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("PYTENSOR_FLAGS", "exception_verbosity=high")
    job = worker.Job("container", "vanilla", contestants.QUICK, "c", 3, "")
    found = session._environment(job, tmp_path)
    assert (
        found["PYTENSOR_FLAGS"]
        == f"exception_verbosity=high,base_compiledir={tmp_path},floatX=float32"
    )
    assert found["OMP_NUM_THREADS"] == found["OPENBLAS_NUM_THREADS"] == "3"
    assert (
        session._environment(job, None)["PYTENSOR_FLAGS"]
        == "exception_verbosity=high,floatX=float32"
    )


def test_what_was_measured_before_an_interrupt_is_kept(monkeypatch, capsys, tmp_path):
    measured = []

    def measure(self, network, sizes, contenders):
        if measured:
            raise KeyboardInterrupt
        measured.append(network)
        return report().rows

    monkeypatch.setattr(Session, "measure", measure)
    assert bench("--quick", "--json", tmp_path / "bench.json") == 130
    assert Report.from_json((tmp_path / "bench.json").read_text()).rows == report().rows


def test_a_page_shows_the_pictures_that_are_drawn_with_it(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures come with the extra 'bench'")
    (tmp_path / "images").mkdir()
    (tmp_path / "page.md").write_text(f"{page.BEGIN}{page.END}")
    (tmp_path / "bench.json").write_text(report().to_json())
    assert (
        bench(
            "--from",
            tmp_path / "bench.json",
            "--markdown",
            tmp_path / "page.md",
            "--plot",
            tmp_path / "images" / "bench.svg",
        )
        == 0
    )
    text = (tmp_path / "page.md").read_text()
    assert "(images/bench.svg)" in text and "### LSTM" in text


def test_a_report_is_shown_again_without_measuring(tmp_path, capsys):
    path = tmp_path / "bench.json"
    path.write_text(report().to_json())
    assert bench("--from", path, "--json", tmp_path / "again.json") == 0
    assert "recursive, jax" in capsys.readouterr().out
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads(
        path.read_text()
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--network", "lsmt"], "Did you mean 'lstm'?"),
        (["--backend", "nmba"], "Did you mean 'numba'?"),
        (["--peer", "kears"], "Did you mean 'keras'?"),
        (["--rounds", "0"], "argument 'rounds' takes"),
        (["--calls", "-1"], "argument 'calls' takes"),
        (["--threads", "0"], "argument 'threads' takes"),
        (["--json", "no/such/folder.json"], "takes a folder that exists"),
        (["--plot", "bench.gif"], "ends in .png or"),
        (["--plot", "no/such/bench.svg"], "takes a folder that exists"),
        (["--json", "/dev/null"], "got a device"),
        (["--markdown", "none.md"], "takes a page that can be read"),
        (["--from", "none.json"], "file that can be read"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_measured(
    monkeypatch, capsys, tmp_path, arguments, words
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Session, "measure", lambda *_: pytest.fail("it measured"))
    assert bench("--quick", *arguments) == 2
    assert words in capsys.readouterr().err


def test_rounds_and_calls_that_are_said_hold_in_a_quick_run_too(monkeypatch, capsys):
    def measure(self, network, sizes, contenders):
        asked.append((self.settings.rounds, self.settings.calls))
        return report().rows

    asked = []
    monkeypatch.setattr(Session, "measure", measure)
    for said in ([], ["--rounds", "1"], ["--calls", "3"]):
        assert bench("--quick", "--network", "lstm", "--peer", "none", *said) == 0
    assert asked == [(2, 2), (1, 2), (2, 3)]


def test_a_file_that_is_no_sitting_is_named(capsys, tmp_path):
    (tmp_path / "bad.json").write_text("[]")
    assert bench("--from", tmp_path / "bad.json") == 2
    assert (
        f"file '{tmp_path / 'bad.json'}' takes what python -m tests.bench --json wrote"
        in capsys.readouterr().err
    )


def test_a_job_goes_to_a_process_and_comes_back():
    job = worker.Job(
        "container", "lstm", contestants.Sizes(batch=3), "c", 2, "weights.npz"
    )
    assert worker.Job.from_json(job.to_json()) == job


def test_the_data_are_the_same_for_all():
    first, second = worker.data(contestants.QUICK), worker.data(contestants.QUICK)
    assert [array.tobytes() for array in first] == [array.tobytes() for array in second]
    assert [array.shape for array in first] == [(4, 10, 8), (4, 16)]


def test_the_peak_of_memory_begins_again_once_forgotten():
    if not memory.STATUS.exists():
        pytest.skip("only Linux can forget it")
    big = bytearray(200 * memory.MEGABYTE)
    high = memory.peak()
    del big
    memory.forget()
    assert memory.peak() < high - 100


def test_the_command_line_loads_no_peer_and_no_tensor_library():
    check = (
        "import sys, recursive.cli;"
        "print([name for name in ('numpy', 'pytensor', 'jax', 'torch', 'keras') if name in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", check], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_the_page_of_the_docs_can_be_filled_and_names_every_option(capsys):
    path = Path(__file__).parents[2] / "docs" / "performance.md"
    page.check(path)
    text = path.read_text()
    with pytest.raises(SystemExit):
        bench("--help")
    options = set(re.findall(r"^  (--\w+)", capsys.readouterr().out, re.M))
    assert len(options) > 10
    assert {option for option in options if option not in text} == set()
    assert [
        contender.label
        for contender in contestants.CONTENDERS
        if f"| {contender.label.partition(', ' + str(contender.backend))[0]} |"
        not in text
    ] == []
