"""Whatever a port does, its case fails with a sentence and the run goes on."""

import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from recursive import cli
from recursive.conformance import report, runner
from recursive.conformance.adapter import load
from recursive.conformance.adapters.numpy import Adapter
from recursive.conformance.judge import UnmetError
from recursive.conformance.runner import Expected, Outcome
from recursive.conformance.stdio import PortError, Remote, command_of
from recursive.conformance.suite import Suite
from recursive.errors import ConfigError, UnknownNameError

SUITE = Suite()
NUMPY = "recursive.conformance.adapters.numpy:Adapter"


class Broken(Adapter):
    """The interpreter, whose outputs are made other ones."""

    def __init__(self, change):
        self.change = change

    def run(self, model, inputs, **given):
        found = super().run(model, inputs, **given)
        return {"outputs": {name: self.change(value) for name, value in found["outputs"].items()}}


def only(adapter, name="taps/h-2", **expected):
    [outcome] = runner.run(adapter, SUITE, [name], Expected(**expected))
    return outcome


def raising(value):
    raise ZeroDivisionError("by nothing")


@pytest.mark.parametrize(("change", "words"), [
    (raising, "run raised ZeroDivisionError: by nothing"),
    (lambda value: value[:, 1:], r"output 'rec' has the shape (3, 4, 6) in place of (3, 5, 6)"),
    (lambda value: value.astype("float32"), "output 'rec' is of float32 in place of float64"),
    (lambda value: value * np.nan, "output 'rec' is nan at [0, 0, 0]"),
    (lambda value: value + 1e-6, "output 'rec' is off by 1e-06 (1e-10 is allowed)"),
    (lambda value: value.tolist(), "output 'rec' is a list in place of an array"),
])
def test_what_is_wrong_is_told_in_a_sentence(change, words):
    outcome = only(Broken(change))
    assert outcome.status == "failed"
    assert words in outcome.words


@pytest.mark.parametrize(("returned", "words"), [
    (None, "run returned a NoneType in place of a dict"), ({}, "outputs returned a NoneType"),
    ({"outputs": {}}, "output 'rec' is missing; there are none"),
    ({"outputs": {"rec": np.zeros((3, 5, 6)), "more": np.zeros(3)}}, "output 'more' was not asked for"),
])
def test_what_is_no_answer_is_told_of(returned, words):
    adapter = Adapter()
    adapter.run = lambda model, inputs, **given: returned
    assert words in only(adapter).words


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

    assert "is 'i2h' at time step 3 (row 1)" in only(Silent(), "vanilla/one-step-back").words


def test_a_port_that_changes_what_it_is_given_changes_no_case():
    class Writing(Adapter):
        def run(self, model, inputs, **given):
            found = super().run(model, inputs, **given)
            for value in inputs.values():
                value[:] = 0
            return found

    assert only(Writing(), "vanilla/one-step-back").status == "passed"


def test_what_a_port_cannot_do_is_not_covered():
    adapter = Adapter()
    adapter.capabilities = {"taps"}
    adapter.train = adapter.refuses = None
    names = ["vanilla/one-step-back", "taps/h-2", "layers/gru", "invalid/no-output", "training/sgd"]
    outcomes = list(runner.run(adapter, SUITE, names))
    assert [outcome.status for outcome in outcomes] == ["passed", "passed", *["not covered"] * 3]
    assert outcomes[2].words == "needs graph, layer:GRU"


def test_a_case_that_is_known_to_fail_may_and_one_that_passes_all_the_same_is_told_of():
    failing = Broken(lambda value: value + 1)
    assert only(failing, xfails={"taps/*": "we know"}).status == "failed as expected"
    passing = only(Adapter(), xfails={"taps/*": "we know"})
    assert passing.status == "passed unexpectedly"
    assert not runner.good([passing])


def test_skips_are_read_with_their_reasons_and_a_pattern_of_nothing_is_told_of(tmp_path):
    path = tmp_path / "skips.txt"
    path.write_text("# mine\ntaps/*  # not yet\nmasks/left\n")
    assert runner.read_list(path, SUITE.ids()) == {"taps/*": "not yet", "masks/left": "listed in skips.txt"}
    path.write_text("tops/*\n")
    with pytest.raises(UnknownNameError, match=r"skips.txt lists it"):
        runner.read_list(path, SUITE.ids())
    with pytest.raises(ConfigError, match="FileNotFoundError"):
        runner.read_list(tmp_path / "none", SUITE.ids())


def test_one_case_can_be_run_under_a_debugger():
    runner.check("taps/h-2", Adapter())
    with pytest.raises(UnmetError, match="off by 1"):
        runner.check("taps/h-2", Broken(lambda value: value + 1))


def test_a_refusal_of_another_kind_or_none_fails():
    adapter = Adapter()
    adapter.refuses = lambda spec: None
    assert "it was accepted, where OutputError" in only(adapter, "invalid/no-output").words
    adapter.refuses = lambda spec: "KeyError"
    assert "refused with 'KeyError' in place of 'OutputError'" in only(adapter, "invalid/no-output").words


@pytest.mark.parametrize("path", ["no_such_module:Adapter", f"{NUMPY}s", "json:dumps", ":"])
def test_an_adapter_that_is_none_is_told_of(path):
    with pytest.raises(ConfigError, match=r"adapter '.*' takes"):
        load(path)


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


def test_a_port_that_hangs_crashes_prints_or_raises_fails_its_case_and_the_run_goes_on(port):
    with Remote(command_of(port), time_limit=8) as adapter:
        found = {outcome.id.rpartition("/")[2]: outcome for outcome in runner.run(
            adapter, SUITE, SUITE.ids(patterns=["truncation/of-*", "training/sgd", "invalid/no-output"]))}
    assert {name for name, outcome in found.items() if outcome.status == "passed"} == {
        "of-3", "of-9", "sgd", "no-output"}
    assert "no answer in 8 s" in found["of-1"].words
    assert "exit code 7" in found["of-2"].words
    assert "ValueError: five" in found["of-5"].words


@pytest.mark.parametrize(("code", "words"), [
    ("print('hello')", "is no JSON"), ("print('{\"id\": 9}')", "not the question of id 1"), ("", "exit code 0")])
def test_a_program_that_does_not_speak_the_protocol_is_told_of(code, words):
    with pytest.raises(PortError, match=words):
        Remote([sys.executable, "-c", f"input(); {code}"], time_limit=20)


def test_a_program_that_is_not_there_is_told_of():
    with pytest.raises(ConfigError, match="takes a program that can be started"):
        Remote(["no-such-program"])


# The command


def test_the_command_prints_a_table_by_area_and_writes_reports(tmp_path, capsys):
    code = cli.main(["conformance", "run", "--adapter", NUMPY, "--area", "taps", "--case", "taps/h-*", "--junit",
                     str(tmp_path / "j.xml"), "--report", str(tmp_path / "r.html")])
    printed = capsys.readouterr().out
    assert code == 0
    assert "taps       5" in printed
    assert "numpy conforms to version 1.0 in all 5 cases that it covers, of 5." in printed
    tree = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert (tree.get("tests"), tree.get("failures"), len(tree)) == ("5", "0", 5)
    assert "<td>taps</td><td>5</td>" in (tmp_path / "r.html").read_text()


def test_the_command_fails_where_a_case_does(tmp_path, capsys, port):
    code = cli.main(["conformance", "run", "--adapter", port, "--case", "truncation/of-5", "--case", "truncation/of-9"])
    printed = capsys.readouterr().out
    assert code == 1
    assert "failed: truncation/of-5\n    run raised PortError: ValueError: five" in printed
    assert "passes 1 of 2 cases" in printed


def test_the_command_says_what_cannot_be_done(capsys, tmp_path):
    assert cli.main(["conformance", "run", "--adapter", NUMPY, "--area", "tasp"]) == 2
    assert cli.main(["conformance", "run", "--adapter", "none_such"]) == 2
    assert cli.main(["conformance", "run", "--adapter", NUMPY, "--junit", str(tmp_path / "no" / "j.xml")]) == 2
    words = capsys.readouterr().err
    assert "Did you mean 'taps'" in words
    assert "takes an answer to 'hello'" in words
    assert "takes a folder that exists" in words


def test_reports_escape_what_a_port_says():
    outcomes = [Outcome("taps/a", "failed", "<b> & \x00")]
    assert "&lt;b&gt; &amp;" in report.page("mine", outcomes)
    assert ElementTree.fromstring(report.junit("mine", outcomes))[0][0].get("message") == "failed: <b> & ?"
