"""The adapters that come with the package: NumPy on every case, PyTensor on some of each area, and on all by hand.

``RECURSIVE_DEEP=1`` runs every case on every backend.
"""

import os

import pytest

from recursive.conformance import runner
from recursive.conformance.adapter import missing
from recursive.conformance.adapters import numpy, pytensor
from recursive.conformance.forms import UnmetError
from recursive.conformance.suite import Suite, folder_of
from tests.agreement.test_cases import COMPILER, JAX

pytestmark = pytest.mark.compiled

DEEP = os.environ.get("RECURSIVE_DEEP") == "1"
SUITE = Suite(folder_of("1.1"))
FEW = [
    next(name for name in SUITE.entries if name.startswith(f"{area}/"))
    for area in ("vanilla", "taps", "masks", "stateful", "gating")
]
CUT_APART = "layers/maxout"
"""A gradient of what was put side by side, which PyTensor 3.0 left to itself cannot cut apart on JAX."""
NEW = [entry["id"] for entry in SUITE.manifest["cases"]]
"""Those that version 1.1 adds."""
SOME = [name for place, name in enumerate(SUITE.entries) if place % 4 == 0]
SOME += [name for name in NEW if name not in SOME]
"""A case in four of version 1.0, for all take minutes, and all that are new."""
NEW_ON_JAX = [
    "attention/additive",
    "attention/encoder-and-decoder",
    "teacher/share",
    "teacher/training-only-at-rest",
    "normalization/in-a-loop",
    "bias/lstm",
    "penalties/penalty-and-constraint",
]


def check(adapter, names):
    outcomes = list(runner.run(adapter, SUITE, names))
    assert [
        (outcome.id, outcome.words)
        for outcome in outcomes
        if outcome.status != runner.PASSED
    ] == []


def test_the_interpreter_passes_every_case():
    check(numpy.Adapter(), SUITE.ids())


def test_every_declaration_that_must_be_refused_is_refused_by_the_containers():
    check(pytensor.Python(), list(SUITE.invalid))


@pytest.mark.parametrize("name", list(SUITE.entries) if DEEP else SOME)
def test_the_containers_pass_in_plain_python(name):
    check(pytensor.Python(), [name])


@JAX
@pytest.mark.parametrize(
    "name",
    [
        name
        for name, entry in SUITE.entries.items()
        if not missing(pytensor.JAX, entry["capabilities"])
    ]
    if DEEP
    else [*FEW, CUT_APART, *NEW_ON_JAX],
)
def test_the_containers_pass_on_jax(name):
    check(pytensor.JAX(), [name])


def test_the_containers_claim_every_capability_but_those_that_jax_refuses():
    needed = {
        word for entry in SUITE.entries.values() for word in entry["capabilities"]
    }
    assert (
        needed
        <= pytensor.Python.capabilities
        == pytensor.C.capabilities
        == pytensor.Numba.capabilities
    )
    refused = {"truncate", "until", "refused_data"}
    assert needed - pytensor.JAX.capabilities == refused


@JAX
@pytest.mark.parametrize("name", ["truncation/of-1", "until/third"])
def test_what_the_containers_do_not_claim_on_jax_is_refused_there(name):
    """Should PyTensor learn it, this tells that it can be claimed."""
    assert [
        outcome.status for outcome in runner.run(pytensor.JAX(), SUITE, [name])
    ] == [runner.NOT_COVERED]
    with pytest.raises(UnmetError, match="BackendError"):
        runner.check(name, pytensor.JAX())


@COMPILER
@pytest.mark.parametrize(
    "name",
    SUITE.entries if DEEP else [*FEW[:2], *NEW_ON_JAX, "refused/memory-of-padding"],
)
def test_the_containers_pass_on_c(name):
    check(pytensor.C(), [name])


@pytest.mark.parametrize("name", SUITE.entries if DEEP else FEW[:1])
def test_the_containers_pass_on_numba(name):
    check(pytensor.Numba(), [name])
