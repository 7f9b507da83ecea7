"""The table of merge modes: shapes and text follow from it.

No other module of the package names a mode.
"""

import ast
from pathlib import Path

import numpy as np
import pytest

import recursive
from recursive.errors import MergeError
from recursive.spec.graph import GraphSpec, InputSpec
from recursive.spec.merging import CALLED, MODES, MergeMode
from recursive.spec.shapes import infer
from tests.spec.building import SENTENCE, node, output

PACKAGE = Path(recursive.__file__).parent
MERGING = {name: mode for name, mode in MODES.items() if not mode.is_by_name}


def run_as_text(mode, values):
    """The result of the text of a merge, run with NumPy."""
    space = {"xp": np, **values}
    if mode.name in CALLED:
        exec(mode.function, space)
    return eval(mode.text(list(values)), space)


@pytest.mark.parametrize("mode", MERGING.values(), ids=MERGING)
@pytest.mark.parametrize("rows", [1, 3])
def test_the_text_of_a_mode_gives_a_value_of_the_shape_that_the_table_states(
    mode, rows
):
    values = {name: np.ones((rows, 5, 4)) for name in "ab"}
    found = run_as_text(mode, values)
    assert found.shape == mode.merged_shape([(rows, 5, 4)] * 2)


@pytest.mark.parametrize("mode", MERGING.values(), ids=MERGING)
def test_one_row_may_be_merged_with_many_and_unknown_sizes_with_any(mode):
    assert mode.sizes_agree([(1, 5, 4), (3, 5, 4)])
    assert mode.sizes_agree([(None, None, None), (3, 5, 4)])
    assert not mode.sizes_agree([(3, 6, 4), (3, 5, 4)])


@pytest.mark.parametrize("mode", MERGING.values(), ids=MERGING)
def test_a_mode_that_broadcasts_takes_one_value_a_row(mode):
    if not mode.joins_last_axis:
        assert mode.sizes_agree([(3, 4), (3, 1)]) == mode.broadcasts


@pytest.mark.parametrize("mode", MERGING.values(), ids=MERGING)
def test_a_value_of_unknown_shape_leaves_the_rows_open(mode):
    shape = mode.merged_shape([None, (None, 5, 4)])
    assert len(shape) == 3
    assert shape[0] is None


def test_an_operator_stands_between_the_values_in_their_order():
    sub = MergeMode(name="sub", meaning="the difference", operator="-", binary=True)
    assert sub.text(["a", "b"]) == "a - b"


@pytest.mark.parametrize("names", [["x"], ["x", "x", "x"]])
@pytest.mark.parametrize("kind", ["nodes", "outputs"])
def test_a_mode_of_two_values_takes_no_fewer_and_no_more(names, kind):
    binary = next(name for name, mode in MODES.items() if mode.binary)
    read = {"nodes": node, "outputs": output}[kind]("a", *names, mode=binary)
    spec = GraphSpec(inputs=(InputSpec("x", 2, dim=4),), **{kind: (read,)})
    with pytest.raises(MergeError) as raised:
        infer(spec, {})
    sentence = SENTENCE.fullmatch(str(raised.value))
    assert sentence["takes"] == f"two inputs for merge_mode {binary!r}"
    assert sentence["got"] == str(len(names))


@pytest.mark.parametrize("room", ["spec", "loop", "shown", "drawing"])
def test_modules_ask_the_table_and_never_name_a_mode(room):
    found = {
        path.stem
        for path in (PACKAGE / room).rglob("*.py")
        for leaf in ast.walk(ast.parse(path.read_text()))
        if isinstance(leaf, ast.Constant) and leaf.value in tuple(MODES)
    }
    # reads.py has the public functions merge_sum, merge_mul, ...
    # merges.py in ``loop`` is the table of their tensors.
    assert found - {"merging", "reads", "merges"} == set()
