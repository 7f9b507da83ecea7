"""Random graphs: what the checks let through runs and equals the interpreter; what they refuse is a RecursiveError.

``RECURSIVE_DEEP=1`` runs the deep profile: 20,000 in plain Python mode, 200 on each backend.
"""

import os
import zlib

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from recursive.conformance.adapters import pytensor as ports
from recursive.conformance.drafts import Draft
from recursive.conformance.generate import case_of
from recursive.conformance.judge import judge
from recursive.errors import RecursiveError
from tests.agreement.test_cases import COMPILER, JAX
from tests.conformance.graphs import nets, spoilt

pytestmark = pytest.mark.compiled

DEEP = os.environ.get("RECURSIVE_DEEP") == "1"


def examples(usual, deep):
    """Each example is compiled: what fails is shown as it is found, since to make it smaller would take an hour."""
    return settings(max_examples=deep if DEEP else usual, deadline=None, database=None, derandomize=not DEEP,
                    phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck))


def refused(net):
    """The error with which the container refuses a declaration, or None."""
    try:
        ports.container_of(net.spec.to_dict()).complete()
    except RecursiveError as error:
        return error
    return None


def agree(net, adapter):
    if refused(net) is None:
        gradients = zlib.crc32(repr(net.spec).encode()) % 4 == 0
        judge(adapter, case_of(Draft("random/net", "random", "", net, gradients=gradients)))


@examples(300, 20_000)
@given(nets())
def test_a_random_graph_equals_the_interpreter(net):
    agree(net, ports.Python())


@examples(100, 2_000)
@given(spoilt())
def test_a_spoilt_graph_is_refused_with_a_recursive_error_or_runs(net):
    error = refused(net)
    if error is None:
        model = ports.container_of(net.spec.to_dict())
        model.complete()
    else:
        assert str(error).count("takes") >= 1
        assert "because" in str(error)


@JAX
@examples(10, 200)
@given(nets())
def test_a_random_graph_equals_the_interpreter_on_jax(net):
    net.spec = net.spec.replace(truncate_gradient=-1)
    agree(net, ports.JAX())


@COMPILER
@examples(10, 200)
@given(nets())
def test_a_random_graph_equals_the_interpreter_on_c(net):
    agree(net, ports.C())


@pytest.mark.skipif(not DEEP, reason="Numba takes a minute for each gradient: only outputs of few, and by hand")
@examples(10, 200)
@given(nets())
def test_a_random_graph_equals_the_interpreter_on_numba(net):
    agree(net, ports.Numba())
