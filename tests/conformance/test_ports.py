"""The ports: PyTorch and JavaScript on every case that they cover, JAX and Keras on some, which take a second each.

``RECURSIVE_DEEP=1`` runs every case on every port.
"""

import ast
import os
import re
import shutil
import subprocess
from importlib.resources import files
from importlib.util import find_spec

import pytest

from recursive.conformance import runner
from recursive.conformance.adapter import load
from recursive.conformance.adapters import pytensor
from recursive.conformance.needs import CAPABILITIES
from recursive.conformance.remote import Remote, command_of
from recursive.conformance.suite import Suite, folder_of
from tests.test_docs_of_conformance import PAGE

DEEP = os.environ.get("RECURSIVE_DEEP") == "1"
SUITE = Suite()
ADAPTERS = files("recursive.conformance.adapters")
SOME = [
    "vanilla/by-hand",
    "gating/cell-lstm",
    "taps/of-every-sort",
    "masks/taps",
    "stateful/two-batches",
]
CUT = ["truncation/of-1", "until/third"]


def node_version():
    """The major version of Node; 0 where there is none."""
    path = shutil.which("node")
    told = (
        subprocess.run(
            [path, "--version"], capture_output=True, text=True, check=True
        ).stdout
        if path
        else "v0"
    )
    return int(re.match(r"v(\d+)", told)[1])


def needs(package):
    return pytest.mark.skipif(
        find_spec(package) is None, reason=f"{package} is not installed"
    )


NODE = pytest.mark.skipif(
    node_version() < 20, reason="Node 20 or later is not installed"
)


DRAFT = Suite(folder_of("1.1"))
NEW = [entry["id"] for entry in DRAFT.manifest["cases"]]
"""The cases that version 1.1 adds."""


def check(adapter, names, at_least):
    """Run the cases: nothing fails, and as many pass as are said."""
    outcomes = list(runner.run(adapter, SUITE, names))
    assert [
        (outcome.id, outcome.words)
        for outcome in outcomes
        if outcome.status not in (runner.PASSED, runner.NOT_COVERED)
    ] == []
    assert sum(outcome.status == runner.PASSED for outcome in outcomes) >= at_least


@needs("torch")
def test_the_port_in_pytorch_passes_every_case_that_it_covers():
    check(load("recursive.conformance.adapters.torch:Adapter"), SUITE.entries, 201)


@needs("torch")
def test_the_port_in_pytorch_is_asked_nothing_that_is_new_in_1_1():
    check_skips(load("recursive.conformance.adapters.torch:Adapter"))


@NODE
def test_the_port_in_javascript_is_asked_nothing_that_is_new_in_1_1():
    with Remote(["node", str(ADAPTERS / "port.js")]) as port:
        check_skips(port)


def check_skips(adapter):
    """Each new case is not covered, says what it needs, and builds nothing."""
    adapter.build = lambda *_: pytest.fail("it was built")
    outcomes = list(runner.run(adapter, DRAFT, NEW))
    assert {outcome.status for outcome in outcomes} == {runner.NOT_COVERED}
    words = {outcome.id: outcome.words for outcome in outcomes}
    assert words["attention/dot"] == "needs layer:Attention"
    assert words["bias/gru"] == "needs no_bias"


@needs("jax")
def test_the_port_in_jax_passes():
    names = SUITE.entries if DEEP else SOME + CUT
    check(
        load("recursive.conformance.adapters.jax:Adapter"),
        names,
        195 if DEEP else len(names),
    )


@needs("keras")
@needs("jax")
def test_the_port_in_keras_passes():
    """In a process of its own, since Keras has one backend a process."""
    names = SUITE.entries if DEEP else SOME
    with Remote(command_of("recursive.conformance.adapters.keras:Adapter")) as port:
        check(port, names, 158 if DEEP else len(names))


@NODE
def test_the_port_in_javascript_passes_every_case_that_it_covers():
    with Remote(["node", str(ADAPTERS / "port.js")]) as port:
        check(port, SUITE.entries, 165)


@NODE
def test_the_port_in_javascript_answers_a_mistake_with_an_error_and_goes_on():
    question = '{"id": 1, "method": "dance"}\n{"id": 2, "method": "hello"}\n'
    answers = subprocess.run(
        ["node", str(ADAPTERS / "port.js")],
        input=question,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert '"code":"TypeError"' in answers[0]
    assert '"name":"node"' in answers[1]


@pytest.mark.parametrize(
    ("name", "ports"),
    [("walk", []), ("torch", ["walk"]), ("jax", ["walk"]), ("keras", ["jax", "walk"])],
)
def test_a_port_knows_the_format_and_nothing_of_the_package(name, ports):
    tree = ast.parse((ADAPTERS / f"{name}.py").read_text(encoding="utf-8"))
    modules = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    ]
    modules += [
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    ours = {
        module.removeprefix("recursive.conformance.adapters.").split(".")[0]
        for module in modules
        if module.startswith("recursive")
    }
    assert ours == set(ports)


def claimed(name):
    """The capabilities in a port's file, which need not be imported for it."""
    text = (ADAPTERS / name).read_text(encoding="utf-8")
    return set(
        re.findall(
            r'"(.+?)"',
            re.search(
                r"(?:capabilities = frozenset\(\s*\{|CAPABILITIES = \[)(.*?)[}\]]",
                text,
                re.S,
            )[1],
        )
    )


@pytest.mark.parametrize("name", ["torch.py", "jax.py", "keras.py", "port.js"])
def test_no_port_of_1_0_covers_what_is_new(name):
    covered = [
        case
        for case in NEW
        if claimed(name) >= set(DRAFT.entries[case]["capabilities"])
    ]
    assert covered == []


@pytest.mark.parametrize("name", ["torch.py", "jax.py", "keras.py", "port.js"])
def test_every_capability_that_a_port_claims_is_one(name):
    layers = {
        layer
        for entry in SUITE.entries.values()
        for layer in entry["capabilities"]
        if ":" in layer
    }
    assert claimed(name) - set(CAPABILITIES) - layers == set()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("torch.py", "PyTorch"),
        ("jax.py", "JAX"),
        ("keras.py", "Keras 3, on JAX"),
        ("port.js", "JavaScript, on Node 20, without gradients"),
    ],
)
def test_the_page_says_how_many_cases_a_port_covers(name, label):
    covered = sum(
        claimed(name) >= set(entry["capabilities"]) for entry in SUITE.entries.values()
    )
    assert f"| {label} | {covered} |" in PAGE.read_text(encoding="utf-8")


def test_the_page_says_how_many_cases_the_containers_cover():
    on_jax = sum(
        pytensor.JAX.capabilities >= set(entry["capabilities"])
        for entry in SUITE.entries.values()
    )
    words = PAGE.read_text(encoding="utf-8")
    assert f"`truncate` and `until` | {on_jax + len(SUITE.invalid)} |" in words
    assert words.count(f"| {len(SUITE.ids())} | `recursive conformance run") == 4
