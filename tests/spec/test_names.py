"""Names, and names at an earlier time."""

import dataclasses
import random
import re

import pytest

from recursive.errors import (
    InvalidNameError,
    RecursiveError,
    ReservedNameError,
    TapError,
)
from recursive.spec.names import Ref, check_name, parse
from tests.spec.building import SENTENCE

LETTERS = "abchtmxyzHTM_0123456789"


def random_names(count):
    """Identifiers that try hard to look like taps, without ending in one."""
    source = random.Random(620)
    while count:
        name = source.choice("abht_") + "".join(
            source.choices(LETTERS, k=source.randrange(8))
        )
        tail = name.rpartition("_tm")[2]
        if not ("_tm" in name and tail.isdigit()):
            count -= 1
            yield name


@pytest.mark.parametrize(
    "name", [*random_names(40), "h", "rec", "i2h", "tm", "_tm", "h_tm", "é"]
)
def test_a_name_at_a_tap_is_read_back_as_it_was_written(name):
    for lag in (1, 2, 9, 10, 123):
        ref = Ref(name, -lag)
        assert str(ref) == f"{name}_tm{lag}"
        assert parse(str(ref)) == ref
    assert str(Ref(name)) == name
    assert parse(name) == Ref(name, 0)


@pytest.mark.parametrize(
    "text",
    [
        "h",
        "h_tm",
        "h_tm1x",
        "tm1",
        "htm1",
        "_tm1",
        "h_TM1",
        "h_tm1_",
        "h_tm-1",
        "h_tm+1",
        "h_tm 1",
        "h_tm1.0",
        "h_tm\N{FULLWIDTH DIGIT ONE}",
        "h_tm\N{SUPERSCRIPT TWO}",
        "",
    ],
)
def test_what_only_resembles_a_tap_is_a_plain_name(text):
    assert parse(text) == Ref(text, 0)


def test_only_the_last_ending_of_several_is_the_tap():
    assert parse("h_tm1_tm2") == Ref("h_tm1", -2)


@pytest.mark.parametrize("text", ["h_tm0", "h_tm00", "h_tm01", "h_tm010", "rec_tm0002"])
def test_a_tap_of_zero_or_with_zeros_in_front_is_refused(text):
    with pytest.raises(TapError) as raised:
        parse(text)
    message = str(raised.value)
    name, _, lag = text.rpartition("_tm")
    assert SENTENCE.fullmatch(message)
    assert f"got _tm{lag}." in message
    assert repr(name) in message
    assert repr(name + "_tm1") in message


@pytest.mark.parametrize(
    "thing", [None, 3, 3.0, b"h", ["h"], ("h",), {"h"}, Ref("h"), str]
)
def test_only_a_string_is_read_as_a_reference(thing):
    with pytest.raises(InvalidNameError) as raised:
        parse(thing)
    assert SENTENCE.fullmatch(str(raised.value))
    assert f" {type(thing).__name__}. " in str(raised.value).partition("; got")[2]


@pytest.mark.parametrize(
    "name",
    [
        *random_names(40),
        "h",
        "_",
        "__",
        "input",
        "output",
        "match",
        "type",
        "print",
        "é",
        "h_tm",
        "_tm1",
        "h_tm1x",
        "X",
    ],
)
def test_a_name_that_is_accepted_is_a_variable_of_python(name):
    check_name("node", name)
    space = {}
    exec(f"def step({name}): return {name}", space)
    assert space["step"](7) == 7


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "a.b",
        "1a",
        "a-b",
        "a\n",
        "h'",
        "class",
        "lambda",
        "None",
        "True",
        "async",
        None,
        3,
        True,
        b"a",
        ["a"],
        {},
        Ref("a"),
    ],
)
@pytest.mark.parametrize("kind", ["input", "state", "node", "output"])
def test_what_cannot_be_a_variable_cannot_be_a_name(kind, name):
    with pytest.raises(InvalidNameError) as raised:
        check_name(kind, name)
    assert type(raised.value) is InvalidNameError
    message = str(raised.value)
    assert SENTENCE.fullmatch(message)
    assert message.startswith(f"{kind} {str(name)!r} takes a name")
    assert f"got {name!r}." in message


@pytest.mark.parametrize(
    "name", ["h_tm1", "h_tm0", "h_tm01", "x_tm12", "h_tm1_tm2", "_tm_tm1", "__tm3"]
)
def test_an_ending_that_reads_an_earlier_time_is_reserved_and_a_free_name_is_offered(
    name,
):
    with pytest.raises(ReservedNameError) as raised:
        check_name("state", name)
    message = str(raised.value)
    assert SENTENCE.fullmatch(message)
    assert message.startswith(f"state {name!r} takes")
    [offered] = re.findall(r"Call it '(\w+)', for example", message)
    check_name("state", offered)


def test_errors_about_names_are_value_errors_of_the_library():
    assert issubclass(ReservedNameError, InvalidNameError)
    assert issubclass(InvalidNameError, RecursiveError)
    assert issubclass(TapError, RecursiveError)
    assert issubclass(RecursiveError, ValueError)


def test_references_sort_by_name_and_then_oldest_first():
    shuffled = [Ref("h"), Ref("a", -1), Ref("h", -10), Ref("h", -2), Ref("a")]
    assert sorted(shuffled) == [
        Ref("a", -1),
        Ref("a"),
        Ref("h", -10),
        Ref("h", -2),
        Ref("h"),
    ]


def test_a_reference_is_frozen_and_can_be_a_key():
    ref = Ref("h", -1)
    assert {ref: 1}[parse("h_tm1")] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        ref.tap = 0


def test_a_tap_beyond_all_reason_is_an_error_of_the_library():
    with pytest.raises(RecursiveError):
        parse("h_tm" + "9" * 5000)


def test_a_name_that_python_would_spell_otherwise_is_refused():
    with pytest.raises(InvalidNameError):
        check_name("input", "\N{MICRO SIGN}")
