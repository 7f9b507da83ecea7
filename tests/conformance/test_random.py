"""Random graphs: what the checks let through runs and equals the interpreter; what they refuse is a RecursiveError.

``RECURSIVE_DEEP=20000`` runs the deep profile, other graphs each time: so many in plain Python mode, a hundredth of
them on each backend.
"""

import os
import zlib

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from recursive.backend.rewrites import VERSION
from recursive.conformance.adapters import pytensor as ports
from recursive.conformance.judge import judge
from recursive.errors import RecursiveError
from tests.agreement.test_cases import COMPILER, JAX
from tests.conformance.graphs import nets, spoilt
from tests.suite.drafts import Draft
from tests.suite.generate import case_of

DEEP = int(os.environ.get("RECURSIVE_DEEP", 0))
NUMBA = pytest.mark.skipif(
    not DEEP and VERSION >= (3, 1),
    reason="it compiles for minutes, so that it is run on the "
    "oldest PyTensor only, or with RECURSIVE_DEEP",
)


def examples(usual, share=1.0):
    """Each example is compiled: what fails is shown as it is found, since to make it smaller would take an hour."""
    return settings(
        max_examples=max(usual, int(DEEP * share)),
        deadline=None,
        database=None,
        derandomize=not DEEP,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


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
        judge(
            adapter,
            case_of(Draft("random/net", "random", "", net, gradients=gradients)),
        )


@examples(300)
@given(nets())
def test_a_random_graph_equals_the_interpreter(net):
    agree(net, ports.Python())


@examples(100, 0.1)
@given(spoilt())
def test_a_spoilt_graph_is_refused_with_a_recursive_error_or_runs(net):
    error = refused(net)
    if error is None:
        agree(net, ports.Python())
    else:
        assert str(error).count("takes") >= 1
        assert "; got " in str(error)


@JAX
@examples(10, 0.01)
@given(nets())
def test_a_random_graph_equals_the_interpreter_on_jax(net):
    net.spec = net.spec.replace(truncate_gradient=-1)
    agree(net, ports.JAX())


@COMPILER
@examples(10, 0.01)
@given(nets())
def test_a_random_graph_equals_the_interpreter_on_c(net):
    agree(net, ports.C())


@NUMBA
@examples(10, 0.01)
@given(nets())
def test_a_random_graph_equals_the_interpreter_on_numba(net):
    agree(net, ports.Numba())
