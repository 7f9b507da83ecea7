"""The table of backends: a row is all that a backend needs."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import recursive
from recursive.backend import Argument, Program, table, target, traits

PACKAGE = Path(recursive.__file__).parent
ASKING = ("backend", "scan", "loop", "layers", "training")
COMPARED = re.compile(r"""[!=]= ?["'](jax|numba|c|python)["']""")


def test_a_row_is_enough_to_run_a_program(monkeypatch):
    row = replace(table.PYTHON, name="snake", fixes_shapes=True)
    monkeypatch.setitem(table.BACKENDS, "snake", row)
    seen = []

    def build(inputs):
        seen.append((target(), traits().fixes_shapes, inputs[0].type.shape))
        return [2 * inputs[0]], []

    program = Program([Argument("x", "float64", (None,))], build, "snake")
    assert program(np.ones(2))[0].tolist() == [2, 2]
    assert program(np.ones(3))[0].tolist() == [2, 2, 2]
    assert seen == [("snake", True, (2,)), ("snake", True, (3,))]


def test_outside_a_program_there_is_no_backend():
    assert target() is None
    assert traits() is table.NO_BACKEND


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("fixes_shapes", False, "numba, c or python"),
        ("fixes_shapes", True, "jax"),
        ("contiguous_rows", False, "jax, c or python"),
    ],
)
def test_errors_name_the_backends_that_have_a_property(name, value, text):
    assert table.names_with(name, value) == text


def test_modules_ask_for_properties_and_never_for_names():
    comparing = []
    for package in ASKING:
        for path in sorted((PACKAGE / package).glob("*.py")):
            if COMPARED.search(path.read_text("utf-8")):
                comparing.append(path.name)
    assert comparing == []
