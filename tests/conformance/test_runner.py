"""Whatever a port does, its case fails with a sentence and the run goes on."""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from xml.etree import ElementTree

import numpy as np
import pytest

from recursive import cli
from recursive.conformance import report, runner
from recursive.conformance.adapter import check_capabilities, load
from recursive.conformance.adapters.numpy import Adapter
from recursive.conformance.forms import UnmetError
from recursive.conformance.remote import PortError, Remote, command_of
from recursive.conformance.runner import Expected, Outcome
from recursive.conformance.suite import Suite, folder_of
from recursive.errors import ConfigError, UnknownNameError

SUITE = Suite()
NUMPY = "recursive.conformance.adapters.numpy:Adapter"


class Broken(Adapter):
    """The interpreter, whose outputs are made other ones."""

    def __init__(self, change):
        self.change = change

    def run(self, model, inputs, **given):
        found = super().run(model, inputs, **given)
        return {
            "outputs": {
                name: self.change(value) for name, value in found["outputs"].items()
            }
        }


def only(adapter, name="taps/h-2", **expected):
    [outcome] = runner.run(adapter, SUITE, [name], Expected(**expected))
    return outcome


def raising(value):
    raise ZeroDivisionError("by nothing")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (raising, "run raised ZeroDivisionError: by nothing"),
        (
            lambda value: value[:, 1:],
            "output 'rec' has shape (3, 4, 6), expected (3, 5, 6)",
        ),
        (
            lambda value: value.astype("float32"),
            "output 'rec' has dtype float32, expected float64",
        ),
        (lambda value: value * np.nan, "output 'rec' is nan at [0, 0, 0]"),
        (lambda value: value + 1e-6, "output 'rec' is off by 1e-06 (tolerance 1e-10)"),
        (lambda value: value.tolist(), "output 'rec' is a list, expected an array"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(change, words):
    outcome = only(Broken(change))
    assert outcome.status == "failed"
    assert words in outcome.words


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "run returned a NoneType, expected a dict"),
        ({}, "run returned no 'outputs' (keys: none)"),
        (
            {"output": {}, "outputs": {}},
            "run returned 'output', expected 'outputs', 'finals', 'nodes'",
        ),
        (
            {"outputs": np.zeros(3)},
            "'outputs' of run is a ndarray, expected a dict of arrays by name",
        ),
        (
            {"outputs": {"rec": np.array(["one"])}},
            "output 'rec' has dtype <U3, expected numbers",
        ),
        ({"outputs": {}}, "output 'rec' is missing (returned: none)"),
        (
            {"outputs": {"rec": np.zeros((3, 5, 6)), "more": np.zeros(3)}},
            "output 'more' was not asked for",
        ),
    ],
)
def test_what_is_no_answer_is_told_of(returned, words):
    adapter = Adapter()
    adapter.run = lambda model, inputs, **given: returned
    assert words in only(adapter).words


def test_states_under_other_names_than_those_of_the_case_are_told_of():
    class Renamed(Adapter):
        def run(self, model, inputs, **given):
            found = super().run(model, inputs, **given)
            return {
                **found,
                "finals": {
                    f"{name}_last": value for name, value in found["finals"].items()
                },
            }

    assert (
        "state 'h_last' was not asked for"
        in only(Renamed(), "stateful/two-batches").words
    )


@pytest.mark.parametrize(
    ("losses", "words"),
    [(["a"] * 10, "expected a list of numbers"), (None, "the loss has shape ()")],
)
def test_losses_that_are_none_are_told_of(losses, words):
    class Lost(Adapter):
        def train(self, model, *given):
            return {**super().train(model, *given), "losses": losses}

    assert words in only(Lost(), "training/sgd").words


def test_the_line_of_the_port_that_raised_is_told():
    line = raising.__code__.co_firstlineno + 1
    assert f"by nothing (test_runner.py, line {line})" in only(Broken(raising)).words


def test_a_port_that_exits_fails_its_case():
    def leaving(value):
        sys.exit(0)

    assert "run raised SystemExit: 0" in only(Broken(leaving)).words


def test_the_first_node_and_time_step_that_diverge_are_named():
    class Late(Adapter):
        def run(self, model, inputs, **given):
            inputs = {**inputs, "x": inputs["x"].copy()}
            inputs["x"][1, 3] += 1
            return super().run(model, inputs, **given)

    words = only(Late(), "vanilla/one-step-back").words
    assert "The first node that diverges is 'i2h' at time step 3 (row 1)" in words


def test_nodes_are_made_outputs_where_a_port_hands_out_none():
    class Silent(Adapter):
        def run(self, model, inputs, **given):
            inputs = {**inputs, "x": inputs["x"].copy()}
            inputs["x"][1, 3] += 1
            return {"outputs": super().run(model, inputs, **given)["outputs"]}

    assert (
        "is 'i2h' at time step 3 (row 1)"
        in only(Silent(), "vanilla/one-step-back").words
    )


@pytest.mark.parametrize("name", ["taps/h-2", "stateful/two-batches"])
def test_where_only_outputs_are_wrong_no_node_is_blamed(name):
    class Rounded(Adapter):
        def run(self, model, inputs, **given):
            found = super().run(model, inputs, **given)
            return {
                **found,
                "outputs": {
                    name: value + 1e-3 for name, value in found["outputs"].items()
                },
            }

    assert "Every node is correct" in only(Rounded(), name).words


def test_nodes_that_no_case_knows_are_told_of():
    class Elsewhere(Adapter):
        def run(self, model, inputs, **given):
            found = super().run(model, inputs, **given)
            return {
                "outputs": {
                    name: value + 1 for name, value in found["outputs"].items()
                },
                "nodes": {
                    f"layer_{name}": value for name, value in found["nodes"].items()
                },
            }

    assert "the case knows none of their names" in only(Elsewhere()).words


def test_a_port_that_changes_what_it_is_given_changes_no_case():
    class Writing(Adapter):
        def run(self, model, inputs, **given):
            found = super().run(model, inputs, **given)
            for value in inputs.values():
                value[:] = 0
            return found

    assert only(Writing(), "vanilla/one-step-back").status == "passed"


def test_a_model_that_is_a_dict_keeps_its_states_between_batches():
    assert only(Adapter(), "stateful/two-batches").status == "passed"


def test_what_a_port_cannot_do_is_not_covered():
    adapter = Adapter()
    adapter.capabilities = {"taps"}
    adapter.train = adapter.refuses = None
    names = [
        "vanilla/one-step-back",
        "taps/h-2",
        "layers/gru",
        "invalid/no-output",
        "training/sgd",
    ]
    outcomes = list(runner.run(adapter, SUITE, names))
    assert [outcome.status for outcome in outcomes] == [
        "passed",
        "passed",
        *["not covered"] * 3,
    ]
    assert outcomes[2].words == "needs graph, layer:GRU"


def test_what_only_a_missing_method_would_show_is_not_covered():
    adapter = Adapter()
    adapter.grads = None
    outcome = only(adapter, "truncation/of-1")
    assert (outcome.status, outcome.words) == ("not covered", "needs grads()")


def test_a_word_that_no_capability_is_called_is_told_of():
    adapter = Adapter()
    adapter.capabilities = {"taps", "tap", "layer:GRU"}
    with pytest.raises(
        UnknownNameError,
        match=r"capability 'tap' takes a word of the list.*Did you mean 'taps'",
    ):
        check_capabilities(adapter)
    check_capabilities(Adapter())


def test_a_case_that_is_known_to_fail_may_and_one_that_passes_all_the_same_is_told_of():
    failing = Broken(lambda value: value + 1)
    assert only(failing, xfails={"taps/*": "we know"}).status == "failed as expected"
    passing = only(Adapter(), xfails={"taps/*": "we know"})
    assert passing.status == "passed unexpectedly"
    assert not runner.good([passing])


def test_skips_are_read_with_their_reasons_and_a_pattern_of_nothing_is_told_of(
    tmp_path,
):
    path = tmp_path / "skips.txt"
    path.write_text("# mine\ntaps/*  # not yet\nmasks/left\n")
    assert runner.read_list(path, SUITE.ids()) == {
        "taps/*": "not yet",
        "masks/left": "listed in skips.txt",
    }
    path.write_text("tops/*\n")
    with pytest.raises(UnknownNameError, match=r"skips.txt lists it"):
        runner.read_list(path, SUITE.ids())
    with pytest.raises(ConfigError, match="no such file"):
        runner.read_list(tmp_path / "none", SUITE.ids())
    path.write_text("\ufefftaps/*\n", encoding="utf-8")
    assert list(runner.read_list(path, SUITE.ids())) == ["taps/*"]


def test_one_case_can_be_run_under_a_debugger():
    runner.check("taps/h-2", Adapter())
    runner.check("taps/h-2", Adapter)
    with pytest.raises(
        UnknownNameError, match=r"case 'taps/h2' takes the name of a case.*'taps/h-2'"
    ):
        runner.check("taps/h2", Adapter())
    with pytest.raises(UnmetError, match="off by 1"):
        runner.check("taps/h-2", Broken(lambda value: value + 1))


def test_a_refusal_of_another_kind_or_none_fails():
    adapter = Adapter()
    adapter.refuses = lambda spec: None
    assert (
        "it was accepted, expected OutputError"
        in only(adapter, "invalid/no-output").words
    )
    adapter.refuses = lambda spec: "KeyError"
    assert (
        "refused with 'KeyError', expected 'OutputError'"
        in only(adapter, "invalid/no-output").words
    )
    adapter.refuses = lambda spec: KeyError
    assert (
        "refuses returned a type, expected the name of an error"
        in only(adapter, "invalid/no-output").words
    )


DRAFT = Suite(folder_of("1.1"))


def new(adapter, name):
    [outcome] = runner.run(adapter, DRAFT, [name])
    return outcome


def test_a_run_that_must_be_refused_and_is_passes():
    assert new(Adapter(), "refused/memory-of-padding").status == "passed"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no"), "run raised ValueError: no"),
        (None, "it was run, expected DataError: A row of the memory has no valid step"),
    ],
)
def test_a_run_that_must_be_refused_and_is_not_fails(error, words):
    class Lenient(Adapter):
        def run(self, model, inputs, **given):
            if error is not None:
                raise error
            return {"outputs": {}}

    outcome = new(Lenient(), "refused/memory-of-padding")
    assert outcome.status == "failed"
    assert words in outcome.words
    assert "expected DataError" in outcome.words


def test_a_run_that_another_process_refuses_passes_by_the_code_of_its_answer():
    with Remote(command_of(NUMPY)) as port:
        assert new(port, "refused/no-truth-in-training").status == "passed"
        assert new(port, "teacher/training-only-at-rest").status == "passed"


def test_the_draft_is_run_where_it_is_asked_for_and_named_in_the_verdict(capsys):
    said = ["conformance", "run", "--adapter", NUMPY, "--here", "--suite", "1.1"]
    assert cli.main([*said, "--area", "bias"]) == 0
    assert (
        "numpy conforms to version 1.1 (draft) in all 5 cases that it covers, of 5."
        in capsys.readouterr().out
    )
    assert cli.main([*said[:-2], "--area", "vanilla"]) == 0
    assert "conforms to version 1.0 in all 18 cases" in capsys.readouterr().out


def test_a_refusal_of_what_is_right_fails():
    adapter = Adapter()
    adapter.refuses = lambda spec: "TapError"
    assert "refused with 'TapError', but nothing is wrong" in only(adapter).words


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no_such_module:Adapter", "takes module:object.*in the folder that"),
        (f"{NUMPY}s", "takes module:object.*no Adapters in recursive"),
        ("json:dumps", "one without name, capabilities"),
        (":", "which is not the name of a module"),
        ("./mine.py", "which is not the name of a module"),
    ],
)
def test_an_adapter_that_is_none_is_told_of(path, words):
    with pytest.raises(
        ConfigError, match=f"adapter '.*' {words}" if "takes" in words else words
    ):
        load(path)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "def Adapter(:",
            r"a module that can be imported.*SyntaxError: .*\(broken_port.py, line 1\)",
        ),
        ("1 / 0", r"ZeroDivisionError: division by zero \(broken_port.py, line 1\)"),
        ("import sys; sys.exit(0)", "one that raised SystemExit: 0"),
        (
            "import no_such_thing",
            "ModuleNotFoundError: No module named 'no_such_thing'",
        ),
        (
            "class Adapter:\n    def __init__(self, size): pass",
            "a class that needs no arguments.*TypeError",
        ),
        (
            "class Adapter:\n    name, capabilities, build, run = 'mine', 'taps', 1, 1",
            "a set of strings.*got 'taps'",
        ),
        (
            "class Adapter:\n    name, capabilities, build, run = 'mine', None, 1, 1",
            "a set of strings.*got None",
        ),
    ],
)
def test_a_module_or_a_class_that_does_not_work_is_told_of(
    code, words, tmp_path, monkeypatch
):
    (tmp_path / "broken_port.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_port", raising=False)
    with pytest.raises(ConfigError, match=words):
        load("broken_port:Adapter")


# In another process


PORT = """
import sys, time, os
from recursive.conformance.adapters.numpy import Adapter as Numpy
class Adapter(Numpy):
    name = "mine"
    def run(self, model, inputs, **given):
        steps = inputs["x"].shape[1]
        if model["spec"].truncate_gradient == 1: time.sleep(60)
        if model["spec"].truncate_gradient == 2: os._exit(7)
        if model["spec"].truncate_gradient == 3: print("to be read by people")
        if model["spec"].truncate_gradient == 5: raise ValueError("five")
        return super().run(model, inputs, **given)
"""


@pytest.fixture
def port(tmp_path, monkeypatch):
    (tmp_path / "my_port.py").write_text(PORT)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(sys.path)}")
    return "my_port:Adapter"


def test_a_port_that_hangs_crashes_prints_or_raises_fails_its_case_and_the_run_goes_on(
    port,
):
    with Remote(command_of(port), time_limit=8) as adapter:
        found = {
            outcome.id.rpartition("/")[2]: outcome
            for outcome in runner.run(
                adapter,
                SUITE,
                SUITE.ids(
                    patterns=["truncation/of-*", "training/sgd", "invalid/no-output"]
                ),
            )
        }
    assert {name for name, outcome in found.items() if outcome.status == "passed"} == {
        "of-3",
        "of-9",
        "sgd",
        "no-output",
    }
    assert "no answer in 8 s" in found["of-1"].words
    assert "exit code 7" in found["of-2"].words
    assert "ValueError: five" in found["of-5"].words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("print('hello')", "is not JSON"),
        ("print('{\"id\": 9}')", "not the answer to the question of id 1"),
        ("", "exit code 0"),
        ("print('{\"id\": 1}')", "a result is an object"),
        ('print(\'{"id": 1, "result": "hi"}\')', "a result is an object"),
        ('print(\'{"id": 1, "error": "oh"}\')', "an error is"),
        (
            'print(\'{"id": 1, "result": {"name": "mine", "capabilities": 5}}\')',
            "are lists of strings",
        ),
        ("import os; os.write(1, b'\\xff\\n')", "is not JSON"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "by signal 9"),
        ("import os, time; os.close(1); time.sleep(60)", "it closed its output"),
    ],
)
def test_a_program_that_does_not_speak_the_protocol_is_told_of(code, words):
    with pytest.raises(PortError, match=words):
        Remote([sys.executable, "-c", f"input(); {code}"], time_limit=20)


def test_a_program_that_starts_others_is_ended_with_them():
    started = time.monotonic()
    with pytest.raises(PortError, match=r"no answer in 0\.5 s"):
        Remote(
            ["sh", "-c", f"{sys.executable} -c 'import time; time.sleep(60)'; true"],
            time_limit=0.5,
        )
    assert time.monotonic() - started < 30


ONCE = """
import json, pathlib, sys
for line in sys.stdin:
    question = json.loads(line)
    answer = json.dumps({"id": question["id"], "result": {"name": "mine", "capabilities": [], "methods": ["refuses"]}})
    flag = pathlib.Path(__file__).with_name("flag")
    if question["method"] == "refuses" and not flag.exists():
        flag.touch()
        print(MISTAKE, flush=True)
        if MISTAKE.startswith("{"):
            sys.exit()
    print(answer, flush=True)
"""


@pytest.mark.parametrize("mistake", ["a line for people", "", '{"id": 3, "res'])
def test_a_line_that_is_no_answer_fails_its_own_case_and_no_other(mistake, tmp_path):
    (tmp_path / "once.py").write_text(ONCE.replace("MISTAKE", repr(mistake)))
    with Remote([sys.executable, str(tmp_path / "once.py")], time_limit=20) as adapter:
        names = [
            f"invalid/{name}" for name in ("no-output", "cycle-of-one", "cycle-of-two")
        ]
        outcomes = list(runner.run(adapter, SUITE, names))
    assert "was answered with" in outcomes[0].words
    assert [
        outcome.words.startswith("it was accepted") for outcome in outcomes[1:]
    ] == [True, True]


ODD = """
from recursive.conformance.adapters.numpy import Adapter as Numpy
import numpy as np
class Adapter(Numpy):
    def run(self, model, inputs, **given):
        found = super().run(model, inputs, **given)
        k = model["spec"].truncate_gradient
        return {1: None, 2: {"outputs": np.zeros(3)}, 3: {"output": {}, **found},
                5: {"outputs": {"rec": [1.0]}}, 9: {"outputs": {"rec": np.array([None])}}}[k]
"""


def test_the_words_are_the_same_in_another_process(tmp_path, monkeypatch):
    (tmp_path / "odd_port.py").write_text(ODD)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(sys.path)}")
    monkeypatch.syspath_prepend(str(tmp_path))
    names = SUITE.ids(patterns=["truncation/of-*"])
    with Remote(command_of("odd_port:Adapter"), time_limit=20) as adapter:
        there = [outcome.words for outcome in runner.run(adapter, SUITE, names)]
    here = [
        outcome.words for outcome in runner.run(load("odd_port:Adapter"), SUITE, names)
    ]
    assert there == here
    assert all(here)


def test_files_that_a_port_should_not_have_written_are_told_of(tmp_path):
    speaking = (
        ONCE.split("    flag")[0].replace('"refuses"', "")
        + """
    if question["method"] == "run":
        from safetensors.numpy import save_file
        import numpy
        save_file({"blah/x": numpy.zeros(3)}, question["out"])
    print(answer, flush=True)
"""
    )
    (tmp_path / "blah.py").write_text(speaking)
    with Remote([sys.executable, str(tmp_path / "blah.py")], time_limit=20) as adapter:
        assert (
            "run wrote 'blah/x', expected a name that begins with out/"
            in only(adapter, "vanilla/one-step-back").words
        )


def test_a_program_that_is_not_there_is_told_of():
    with pytest.raises(ConfigError, match="takes a program that can be started"):
        Remote(["no-such-program"])


# The command


def test_the_command_prints_a_table_by_area_and_writes_reports(tmp_path, capsys):
    code = cli.main(
        [
            "conformance",
            "run",
            "--adapter",
            NUMPY,
            "--area",
            "taps",
            "--case",
            "taps/h-*",
            "--junit",
            str(tmp_path / "j.xml"),
            "--report",
            str(tmp_path / "r.html"),
        ]
    )
    printed = capsys.readouterr().out
    assert code == 0
    assert "taps       5" in printed
    assert (
        "numpy conforms to version 1.0 in all 5 cases that it covers, of 5." in printed
    )
    tree = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert (tree.get("tests"), tree.get("failures"), len(tree)) == ("5", "0", 5)
    assert "<td>taps</td><td>5</td>" in (tmp_path / "r.html").read_text()


def test_where_there_is_no_terminal_each_area_is_told_once_it_is_through(capsys):
    cli.main(
        [
            "conformance",
            "run",
            "--adapter",
            NUMPY,
            "--here",
            "--case",
            "free/*",
            "--case",
            "taps/h-*",
        ]
    )
    assert capsys.readouterr().err.splitlines() == ["free: 4 passed", "taps: 5 passed"]


def test_a_run_that_is_told_to_end_removes_what_it_wrote_for_the_port(tmp_path):
    command = [
        sys.executable,
        "-m",
        "recursive.cli",
        "conformance",
        "run",
        "--stdio",
        "sleep 600",
    ]
    run = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)})
    try:
        while not list(tmp_path.glob("conformance-*/1")) and run.poll() is None:
            time.sleep(0.05)
        run.terminate()
        assert run.wait(60) == 130
    finally:
        run.kill()
    assert list(tmp_path.iterdir()) == []


def test_a_run_interrupted_while_it_starts_the_port_removes_what_it_wrote(
    tmp_path, monkeypatch
):
    def interrupted(_thread):
        raise KeyboardInterrupt

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Remote([sys.executable, "-c", "input()"])
    assert list(tmp_path.iterdir()) == []


def test_the_command_fails_where_a_case_does(tmp_path, capsys, port):
    code = cli.main(
        [
            "conformance",
            "run",
            "--adapter",
            port,
            "--case",
            "truncation/of-5",
            "--case",
            "truncation/of-9",
        ]
    )
    printed = capsys.readouterr().out
    assert code == 1
    assert (
        "failed: truncation/of-5\n    run raised ValueError: five (my_port.py, line 11)"
        in printed
    )
    assert "passes 1 of 2 cases" in printed


def test_the_command_says_what_cannot_be_done(capsys, tmp_path):
    assert cli.main(["conformance", "run", "--adapter", NUMPY, "--area", "tasp"]) == 2
    assert cli.main(["conformance", "run", "--adapter", "none_such"]) == 2
    assert (
        cli.main(
            [
                "conformance",
                "run",
                "--adapter",
                NUMPY,
                "--junit",
                str(tmp_path / "no" / "j.xml"),
            ]
        )
        == 2
    )
    words = capsys.readouterr().err
    assert "Did you mean 'taps'" in words
    assert "adapter 'none_such' takes module:object" in words
    assert "takes a folder that exists" in words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--stdio", "sh -c 'read x; echo no'"],
            "takes an answer to 'hello'.*is not JSON",
        ),
        (["--stdio", "'unbalanced"], "option '--stdio' takes a command"),
        (["--stdio", "node x.js", "--here"], "option '--here' takes --adapter"),
        (["--adapter", NUMPY, "--junit", "."], "takes the name of a file"),
        (["--adapter", NUMPY, "--report", "."], "takes the name of a file"),
        (
            ["--adapter", NUMPY, "--report", "same", "--junit", "same"],
            "option '--report' takes another file than --junit",
        ),
        (
            ["--adapter", NUMPY, "--area", "masks", "--case", "taps/h-2"],
            "a case of the chosen areas.* got none in masks",
        ),
        (
            ["--adapter", NUMPY, "--case", "nope/*"],
            "Cases are called 'area/name'. The areas are 'vanilla'",
        ),
    ],
)
def test_options_that_cannot_be_followed_are_told_of(
    options, words, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["conformance", "run", *options]) == 2
    assert re.search(words, capsys.readouterr().err)


@pytest.mark.parametrize("limit", ["-1", "0", "nan", "inf", "soon"])
def test_a_time_limit_that_is_none_is_told_of(limit, capsys):
    with pytest.raises(SystemExit):
        cli.main(["conformance", "run", "--adapter", NUMPY, "--time-limit", limit])
    assert "--time-limit" in capsys.readouterr().err


def test_what_was_found_before_ctrl_c_is_printed_and_written(
    capsys, tmp_path, monkeypatch
):
    def interrupted(*given):
        yield Outcome("taps/h-2", "failed", "off by 1")
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run", interrupted)
    code = cli.main(
        [
            "conformance",
            "run",
            "--adapter",
            NUMPY,
            "--here",
            "--junit",
            str(tmp_path / "j.xml"),
        ]
    )
    assert code == 130
    assert "failed: taps/h-2\n    off by 1" in capsys.readouterr().out
    assert len(ElementTree.parse(tmp_path / "j.xml").getroot()) == 1


def test_results_are_printed_where_a_report_cannot_be_written(
    capsys, tmp_path, monkeypatch
):
    folder = tmp_path / "reports"
    folder.mkdir()
    run = runner.run

    def run_and_remove(*given):
        yield from run(*given)
        folder.rmdir()

    monkeypatch.setattr(runner, "run", run_and_remove)
    options = [
        "--adapter",
        NUMPY,
        "--here",
        "--case",
        "taps/h-2",
        "--junit",
        str(folder / "j.xml"),
    ]
    assert cli.main(["conformance", "run", *options]) == 2
    said = capsys.readouterr()
    assert "in all 1 cases" in said.out
    assert "takes a folder that exists" in said.err


def test_what_a_port_has_no_method_for_is_told(capsys, tmp_path, monkeypatch):
    (tmp_path / "short_port.py").write_text(
        "from recursive.conformance.adapters.numpy import Adapter\n"
        "Adapter = type('Short', (Adapter,), {'grads': None, 'train': None})"
    )
    monkeypatch.chdir(tmp_path)
    cli.main(
        ["conformance", "run", "--adapter", "short_port", "--here", "--area", "taps"]
    )
    assert (
        "Not checked: gradients, training, since the port has no grads(), train()."
        in capsys.readouterr().out
    )


def test_reports_escape_what_a_port_says():
    outcomes = [Outcome("taps/a", "failed", "<b> & \x00")]
    assert (
        ElementTree.fromstring(report.junit("mine", outcomes))[0][0].get("message")
        == "failed: <b> & ?"
    )
    assert "&lt;b&gt; &amp;" in report.page("mine", outcomes)
