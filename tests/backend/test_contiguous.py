"""Arrays in one piece, on C and Numba: the same numbers as NumPy's, be they in one piece or not."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode
from pytensor.graph.rewriting.basic import dfs_rewriter

from recursive import backend
from recursive.backend import contiguous
from recursive.backend.contiguous import ContiguousElemwise

needs_compiler = pytest.mark.skipif(
    not pytensor.config.cxx, reason="C code needs a compiler"
)
RNG = np.random.default_rng(4)
A, B = RNG.normal(size=(2, 5, 7))


def compiled(inputs, outputs):
    rewriter = dfs_rewriter(contiguous.contiguous_elemwise)
    mode = Mode("cvm", "fast_run").register((rewriter, 200))
    with pytensor.config.change_flags(on_opt_error="raise"):
        return pytensor.function(inputs, outputs, mode=mode)


def used(function):
    return [
        node
        for node in function.maker.fgraph.apply_nodes
        if isinstance(node.op, ContiguousElemwise)
    ]


@needs_compiler
@pytest.mark.parametrize(
    "turned", [(False, False), (True, False), (True, True)], ids=str
)
def test_elements_are_as_numpys_however_their_arrays_lie(turned):
    x, y = pt.matrices("xy")
    function = compiled([x, y], [pt.exp(x) * y + x, (x - y) ** 2 * pt.tanh(y)])
    a, b = (
        np.asfortranarray(value) if turn else value
        for value, turn in zip((A, B), turned, strict=True)
    )
    assert used(function)
    for found, right in zip(
        function(a, b), (np.exp(A) * B + A, (A - B) ** 2 * np.tanh(B)), strict=True
    ):
        assert np.abs(found - right).max() <= 1e-15 * np.abs(right).max()
    a, b = A[::2], B[::2]
    assert np.abs(function(a, b)[0] - (np.exp(a) * b + a)).max() <= 1e-14


@needs_compiler
def test_what_is_computed_in_place_reads_before_it_writes():
    x = pt.matrix("x")
    summed, turned = pt.cumsum(x, axis=0), pt.cumsum(x, axis=1)
    function = compiled([x], pt.tanh(summed * 2 + summed * turned))
    right = np.tanh(A.cumsum(axis=0) * 2 + A.cumsum(axis=0) * A.cumsum(axis=1))
    assert any(node.op.inplace_pattern for node in used(function))
    assert np.abs(function(A) - right).max() <= 1e-14


@needs_compiler
def test_values_that_are_broadcast_or_may_fail_are_left_to_pytensor():
    x, row, k = pt.matrix("x"), pt.row("row"), pt.lmatrix("k")
    assert used(compiled([x, row], x * row)) == []
    function = compiled([k], (k + 1) // k)
    with pytest.raises(ZeroDivisionError):
        function(np.array([[1, 0]]))
    assert function(np.array([[2, 3]])).tolist() == [[1, 1]]


def test_a_copy_lies_row_after_row_and_has_the_gradient_of_its_original():
    x = pt.matrix("x")
    turned = contiguous.ContiguousCopy()(x.T)
    found, gradient = backend.evaluate([turned, pt.grad((turned**2).sum(), x)], {x: A})
    assert found.flags.c_contiguous and np.array_equal(found, A.T)
    assert np.abs(gradient - 2 * A).max() <= 1e-15
