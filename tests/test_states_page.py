"""Every block of docs/states.md runs, from top to bottom, and does what is written beside it."""

import functools
import re
from pathlib import Path

import numpy as np
import pytensor

import recursive

PAGE = (Path(__file__).parent.parent / "docs" / "states.md").read_text()


@functools.cache
def page():
    """What is defined once all blocks have run, and the shapes of states and the weights after each."""
    names, after = {}, []
    recursive.set_backend("python")
    with pytensor.config.change_flags(floatX="float64"):
        for number, block in enumerate(
            re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        ):
            exec(compile(block, f"states.md, block {number}", "exec"), names)
            shapes = {
                name: value.shape for name, value in names["model"].get_states().items()
            }
            after.append((shapes, names["model"].get_weights()))
    return names, after


def test_every_block_of_the_page_runs_in_order():
    names, after = page()
    assert len(after) == 8
    assert names["X"].shape == (12, 5, 4)
    assert names["decoded"].shape == (3, 5, 6)
    assert {name: value.shape for name, value in names["kept"].items()} == {
        "layer_0.h": (3, 6)
    }
    assert after[0][0] == {"layer_0.h": (3, 6)}
    assert after[1][0] == {"layer_0.h": (5, 6)}
    assert "a.initial" in names["starts"].named_params


def test_what_was_predicted_in_pieces_is_in_the_order_of_the_series():
    names, after = page()
    (W, b, V, c), expected = after[0][1], []
    for stretch in names["x"].reshape(3, 20, 4):
        h = np.zeros(6)
        for x in stretch:
            h = np.tanh(np.concatenate([x, h]) @ W + b)
            expected.append(h @ V + c)
    assert np.abs(names["predicted"] - expected).max() < 1e-12


def test_a_mask_is_read_as_a_value():
    names = page()[0]
    assert np.array_equal(names["is_data"], names["mask"] == 1)


def test_a_masked_output_repeats_the_last_step_that_was_data():
    found = page()[0]["found"]
    assert (found[1, 3:] == found[1, 2]).all()
    assert (found[0, 3:] != found[0, 2]).all()


def test_the_readme_leads_to_the_page():
    assert (
        "(docs/states.md)" in (Path(__file__).parent.parent / "README.md").read_text()
    )
