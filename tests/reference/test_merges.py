"""The reference states its merge modes on its own: an error in the library's table cannot hide in both."""

import ast
from pathlib import Path

import pytest

from recursive import reference
from recursive.reference.merges import MERGES
from recursive.spec.merging import MODES

FILES = sorted(Path(reference.__file__).parent.glob("*.py"))


def test_the_reference_has_every_mode_that_merges():
    assert set(MERGES) == {name for name, mode in MODES.items() if not mode.is_by_name}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_reference_imports_neither_the_table_nor_the_tensor_functions(path):
    imported = {
        item.module
        for item in ast.walk(ast.parse(path.read_text()))
        if isinstance(item, ast.ImportFrom)
    }
    assert not imported & {"recursive.spec.merging", "recursive.loop.merges"}
