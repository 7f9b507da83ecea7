"""Programs: what compiles them, and the loops inside them."""

import numpy as np
import pytensor.tensor as pt
import pytest
import threadpoolctl
from pytensor.scan.op import Scan

from recursive import backend, errors
from recursive.backend import Argument, Program, scan
from recursive.backend.choose import is_installed


@pytest.mark.parametrize("gradient", [False, True])
def test_plain_python_runs_the_steps_of_a_loop_operation_by_operation(gradient):
    """PyTensor 3.0 would fuse them for C, which in Python is twenty times slower."""

    def build(inputs):
        [states] = scan(
            lambda x, h: pt.tanh(x + 2 * h), [inputs[0]], [pt.zeros(3)], [], n_steps=5
        )
        return [pt.grad(states[-1].sum(), inputs[0]) if gradient else states], []

    program = Program([Argument("x", "float64", (5, 3))], build, "python")
    program(np.ones((5, 3)))
    [function] = program._functions.values()
    loops = [
        node.op
        for node in function.maker.fgraph.apply_nodes
        if isinstance(node.op, Scan)
    ]
    assert len(loops) == 1 + gradient
    for loop in loops:
        assert loop.mode == "FAST_COMPILE"
        assert not any(
            type(node.op).__name__ == "Composite" or "Composite" in str(node.op)
            for node in loop.fn.maker.fgraph.apply_nodes
        )


def doubling(target):
    return Program(
        [Argument("x", "float64", (None,))],
        lambda inputs: ([2 * inputs[0]], []),
        target,
    )


@pytest.mark.skipif(not is_installed("jax"), reason="JAX is not installed")
def test_a_program_on_jax_keeps_the_shapes_used_last_and_warns_once_where_they_keep_changing(
    monkeypatch,
):
    monkeypatch.setattr(backend.program, "KEPT_SHAPES", 2)
    monkeypatch.setattr(backend.program, "MANY_SHAPES", 3)
    program = doubling("jax")
    program(np.ones(1))
    program(np.ones(2))
    program(np.ones(1))
    with pytest.warns(
        errors.ShapesChangeWarning,
        match=r"3 different shapes, of which \(3,\) is the last.* Pad",
    ):
        program(np.ones(3))
    assert list(program._functions) == [((1,),), ((3,),)]
    assert program(np.ones(4)).pop().tolist() == [2, 2, 2, 2], "without another warning"


def test_a_program_runs_with_one_blas_thread():
    program, seen = doubling("python"), []
    program(np.ones(2))

    class Watched:
        get_shared = staticmethod(list)

        def __call__(self, x):
            seen.extend(
                pool["num_threads"]
                for pool in threadpoolctl.threadpool_info()
                if pool["user_api"] == "blas"
            )
            return [2 * x]

    program._functions[None] = Watched()
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        assert program(np.ones(2))[0].tolist() == [2, 2]
    assert seen and set(seen) == {1}
