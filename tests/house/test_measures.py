"""The figures of tiny sources, counted by hand."""

import ast

from tests.house.measures import (
    Module,
    figures,
    imports_between_rooms,
    is_nested,
    longest_chain,
    spread,
)

SOURCE = '''"""What this is."""

LIMIT = 3  # a reason
"""The string below a constant."""


# A comment.
def first(values):
    """Return a list."""
    chosen = [
        value
        for value in values
    ]
    return [*chosen] if chosen else values


class Shape:
    def area(self):
        return 1

    def name(self):
        return "x"
'''


def measure(source):
    return figures({"recursive/one.py": source})


def test_a_code_line_has_a_token_outside_comments_and_docstrings():
    # 3, 8, 10 to 14, 17 to 19, 21 and 22
    assert measure(SOURCE)["code lines"] == 12
    assert Module(SOURCE).code_lines == {3, 8, 10, 11, 12, 13, 14, 17, 18, 19, 21, 22}


def test_tokens_leave_out_comments_docstrings_and_layout():
    # LIMIT = 3, then def first ( values ) :, then return 1 + 2
    source = (
        'LIMIT = 3  # why\n\n\ndef first(values):\n    """Add."""\n    return 1 + 2\n'
    )
    assert measure(source)["tokens"] == 3 + 6 + 4
    assert measure(source)["tokens per function, median"] == 6 + 4


def test_an_f_string_is_one_token():
    assert len(Module("a = f'{b + 1} and {f(c)}'\n").token_lines) == 3


def test_a_function_body_is_counted_in_code_lines_without_its_docstring():
    new = measure(SOURCE)
    assert new["function body lines, largest"] == 5
    assert new["function body lines, median"] == 1


def test_densities_are_for_100_code_lines():
    new = measure(SOURCE)
    assert new["comprehensions per 100 code lines"] == 100 / 12
    assert new["if-expressions per 100"] == 100 / 12
    assert new["starred unpackings per 100"] == 100 / 12
    assert new["nested comprehensions per 100"] == 0


def test_a_comprehension_is_nested_with_two_loops_or_another_one_inside():
    two_loops = ast.parse("[a for b in c for a in b]", mode="eval").body
    outer = ast.parse("[[a for a in b] for b in c]", mode="eval").body
    assert is_nested(two_loops)
    assert is_nested(outer)
    assert not is_nested(outer.elt)


def test_shares_are_of_the_lines_that_are_not_blank():
    source = "a = 1  # one\n\n# two\n" + "b" * 89 + "\n" + "c" * 101 + "\n"
    new = measure(source)
    assert new["comments, % of lines"] == 50
    assert new["lines over 88 columns, %"] == 50
    assert new["lines over 100 columns, %"] == 25


def test_the_first_word_of_a_docstring_is_compared_as_a_whole():
    source = '"""What it is."""\na = 1\n"""Another."""\nb = 2\n"""Whatever."""\n'
    new = measure(source)
    assert new["docstrings opening What...Another"] == 2
    assert new["docstrings opening What...Those"] == 1
    assert round(new["docstrings opening What...Another, %"]) == 67


def test_files_of_three_lines_are_not_counted_but_their_code_is():
    small = measure("a = 1\n" * 3)
    assert (small["files"], small["lines"], small["code lines"]) == (0, 0, 3)
    larger = measure("a = 1\n" * 4)
    assert (larger["files"], larger["lines"], larger["code lines"]) == (1, 4, 4)


def test_methods_are_those_written_in_the_class():
    assert measure(SOURCE)["most methods in one class"] == 2


def test_a_spread_has_a_median_a_ninth_decile_and_the_largest():
    counts = spread("n", [10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11])
    assert list(counts.values()) == [6, 10, 11]


def test_levels_count_rooms_and_ignore_imports_in_functions():
    sources = {
        "recursive/__init__.py": "from recursive.top import run\n",
        "recursive/top.py": "import numpy\nfrom recursive.inner.one import a\n",
        "recursive/inner/__init__.py": "",
        "recursive/inner/one.py": "from recursive.inner import two\n",
        "recursive/inner/two.py": "from recursive import base\n",
        "recursive/base.py": "def f():\n    import recursive.top\n",
    }
    imports = imports_between_rooms(sources)
    assert imports == {"top": {"inner"}, "inner": {"base"}, "base": set()}
    assert longest_chain(imports) == 3
    assert figures(sources)["root modules, without __init__"] == 2


def test_a_cycle_of_imports_is_walked_once():
    assert longest_chain({"a": {"b"}, "b": {"a", "c"}, "c": set()}) == 3
