"""Merge modes against NumPy."""

from functools import reduce

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from recursive.backend import evaluate
from recursive.loop.merges import MERGES, merge
from recursive.spec.merging import MODES as DECLARED

FORMULAS = {
    "concat": lambda arrays: np.concatenate(arrays, axis=-1),
    "sum": lambda arrays: np.sum(arrays, axis=0),
    "mul": lambda arrays: np.prod(arrays, axis=0),
    "ave": lambda arrays: np.mean(arrays, axis=0),
    "max": lambda arrays: np.max(arrays, axis=0),
    "dot": lambda arrays: np.einsum("...i,...i->...", *arrays)[..., np.newaxis],
}
SHAPES = {
    "two of two axes": [(3, 4)] * 2,
    "two of three axes": [(3, 5, 4)] * 2,
    "three of two axes": [(3, 4)] * 3,
    "three of three axes": [(3, 5, 4)] * 3,
    "unequal dims": [(3, 4), (3, 6), (3, 1)],
    "unequal dims of three axes": [(3, 5, 4), (3, 5, 6)],
}
MODES = tuple(mode for mode in FORMULAS if mode in MERGES)
CASES = [
    (mode, shapes)
    for mode in MODES
    for shapes in SHAPES
    if (mode == "concat" or "unequal" not in shapes)
    and (mode != "dot" or shapes.startswith("two"))
]


def arrays_for(shapes):
    rng = np.random.RandomState(len(shapes))
    return [rng.normal(size=shape) for shape in SHAPES[shapes]]


@pytest.fixture(scope="module")
def computed():
    """Every case, from one compilation."""
    outputs, values = [], {}
    for mode, shapes in CASES:
        arrays = arrays_for(shapes)
        tensors = [
            pt.TensorType("float64", shape=(None,) * array.ndim)() for array in arrays
        ]
        outputs.append(merge(tensors, mode))
        values |= dict(zip(tensors, arrays, strict=True))
    return dict(zip(CASES, evaluate(outputs, values, backend="python"), strict=True))


def test_the_modes_are_those_that_a_declaration_may_name():
    assert set(MERGES) == set(MODES)
    merging = [name for name, mode in DECLARED.items() if not mode.is_by_name]
    assert list(MERGES) == merging


@pytest.mark.parametrize(("mode", "shapes"), CASES)
def test_mode_merges_as_its_formula(computed, mode, shapes):
    np.testing.assert_allclose(
        computed[mode, shapes],
        FORMULAS[mode](arrays_for(shapes)),
        rtol=1e-14,
        atol=1e-16,
    )


@pytest.mark.parametrize("mode", MODES)
def test_single_tensor_is_passed_on_as_it_is(mode):
    x = pt.dmatrix("x")
    assert merge([x], mode) is x


@pytest.mark.parametrize("mode", MODES)
def test_known_shape_of_the_result_is_known(mode):
    tensors = [pt.TensorType("float64", shape=(None, 4))() for _ in range(2)]
    assert merge(tensors, mode).type.shape == (
        None,
        {"concat": 8, "dot": 1}.get(mode, 4),
    )


@pytest.mark.parametrize("mode", MODES)
def test_gradient_reaches_every_tensor(mode):
    tensors = [pt.dmatrix(str(index)) for index in range(2)]
    arrays = [np.full((3, 4), value) for value in (2.0, 5.0)]
    gradients = pytensor.grad(merge(tensors, mode).sum(), tensors)
    found = evaluate(
        gradients, dict(zip(tensors, arrays, strict=True)), backend="python"
    )
    expected = {
        "concat": (1, 1),
        "sum": (1, 1),
        "mul": (5, 2),
        "ave": (0.5, 0.5),
        "max": (0, 1),
        "dot": (5, 2),
    }
    for gradient, value in zip(found, expected[mode], strict=True):
        np.testing.assert_allclose(gradient, np.full((3, 4), value), rtol=1e-15)


@pytest.mark.parametrize("mode", MODES)
def test_float32_stays_float32(mode):
    with pytensor.config.change_flags(floatX="float32"):
        assert merge([pt.fmatrix(), pt.fmatrix()], mode).dtype == "float32"


@pytest.mark.parametrize("mode", MODES)
def test_float32_merged_with_whole_numbers_stays_float32(mode):
    with pytensor.config.change_flags(floatX="float32"):
        assert merge([pt.fmatrix(), pt.imatrix()], mode).dtype == "float32"


@pytest.mark.parametrize("mode", ["sum", "mul", "max"])
def test_whole_numbers_stay_whole(mode):
    tensors = [pt.imatrix(), pt.imatrix()]
    arrays = [np.array([[1, 2, 3]], "int32"), np.array([[4, 0, -3]], "int32")]
    [found] = evaluate(
        [merge(tensors, mode)],
        dict(zip(tensors, arrays, strict=True)),
        backend="python",
    )
    assert found.dtype == "int32"
    np.testing.assert_array_equal(
        found,
        reduce({"sum": np.add, "mul": np.multiply, "max": np.maximum}[mode], arrays),
    )
