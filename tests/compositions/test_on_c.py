"""Random compositions as loops in C: values and gradients are those of plain Python.

A network whose loops cannot be translated, such as one with a loop in a loop, is left
out, and another one is drawn.
"""

import pytensor
import pytest
from hypothesis import HealthCheck, assume, given, settings

from recursive.backend import Program
from recursive.backend.c_loop.refusal import TranslationError
from tests.compositions import relations
from tests.compositions.build import Builder
from tests.compositions.describe import networks
from tests.compositions.test_compositions import DEEP, LIGHT, PHASES

pytestmark = pytest.mark.skipif(
    not pytensor.config.cxx, reason="C code needs a compiler"
)


def in_c_as_in_python(network):
    arrays, _ = relations.data_for(network)
    model = Builder().model(network)
    params = list(model.named_params.values())

    def build(tensors):
        outputs = relations.outputs_of(model, network, tensors)
        floats = [value for value in tensors if value.dtype.startswith("float")]
        cost = sum((output**2).sum() for output in outputs)
        wanted = [*params, *floats]
        gradients = pytensor.grad(cost, wanted, disconnected_inputs="ignore")
        return [*outputs, *gradients], []

    in_c = Program(relations.arguments_of(network), build, "c")
    try:
        in_c.compile_loops()
    except TranslationError:
        assume(False)
    found = in_c(*arrays.values())
    expected = Program(relations.arguments_of(network), build, "python")(
        *arrays.values()
    )
    names = [*network.outputs, *["gradient"] * (len(found) - len(network.outputs))]
    relations.check_same(found, expected, names, "in C")


@settings(
    max_examples=max(1, DEEP // 10) if DEEP else 25,
    deadline=None,
    database=None,
    derandomize=not DEEP,
    phases=PHASES,
    suppress_health_check=list(HealthCheck),
)
@given(networks(share=True, **LIGHT))
def test_loops_in_c_compute_the_values_and_gradients_of_plain_python(network):
    in_c_as_in_python(network)
