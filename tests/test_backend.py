"""Modes of the backends: what compiles a program, and the loops inside it."""

import numpy as np
import pytensor.tensor as pt
import pytest
from pytensor.scan.op import Scan

from recursive.backend import Argument, Program, scan


@pytest.mark.parametrize("gradient", [False, True])
def test_plain_python_runs_the_steps_of_a_loop_operation_by_operation(gradient):
    """PyTensor 3.0 would fuse them for C, which in Python is twenty times slower."""
    def build(inputs):
        [states] = scan(lambda x, h: pt.tanh(x + 2 * h), [inputs[0]], [pt.zeros(3)], [], n_steps=5)
        return [pt.grad(states[-1].sum(), inputs[0]) if gradient else states], []

    program = Program([Argument("x", "float64", (5, 3))], build, "python")
    program(np.ones((5, 3)))
    [function] = program._functions.values()
    loops = [node.op for node in function.maker.fgraph.apply_nodes if isinstance(node.op, Scan)]
    assert len(loops) == 1 + gradient
    for loop in loops:
        assert loop.mode == "FAST_COMPILE"
        assert not any(type(node.op).__name__ == "Composite" or "Composite" in str(node.op)
                       for node in loop.fn.maker.fgraph.apply_nodes)
