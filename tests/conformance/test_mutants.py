"""The suite judged: every mistake that a port may make is caught by some case."""

import pytest

from recursive.conformance.suite import Suite, folder_of
from tests.suite.mutants import MUTANTS, Mutant, caught, table

SUITE = Suite(folder_of("1.1"))


def test_there_are_as_many_mutants_as_were_asked_for_and_no_two_of_a_name():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 15


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mistake_is_caught(mutant):
    assert caught(mutant, SUITE) != []


def test_the_interpreter_without_a_mistake_is_not_caught():
    assert caught(Mutant("none"), SUITE) == []


def test_the_page_has_the_table_as_it_is_now():
    from tests.test_docs_of_conformance import PAGE

    assert table(SUITE) in PAGE.read_text(encoding="utf-8")
