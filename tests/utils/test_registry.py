"""Functions and classes by name."""

import functools

import pytest

from recursive import activations, initializations, objectives, optimizers
from recursive.errors import RecursiveError, UnknownNameError
from recursive.utils.registry import lookup, name_of

TABLE = {"double": lambda x: 2 * x, "half": lambda x: x / 2, "nothing": None}


def test_name_gives_what_the_table_holds():
    assert lookup("function", "double", TABLE) is TABLE["double"]


def test_name_gives_even_what_is_false():
    assert lookup("function", "nothing", TABLE) is None


@pytest.mark.parametrize(
    "thing", [len, str, functools.partial(int, base=2), TABLE["half"]]
)
def test_callable_gives_itself(thing):
    assert lookup("function", thing, TABLE) is thing


def test_unknown_name_is_refused_with_the_nearest_in_the_sentence_all_errors_share():
    with pytest.raises(UnknownNameError) as caught:
        lookup("function", "duoble", TABLE)
    assert str(caught.value) == (
        "function 'duoble' takes a known name or a function; "
        "got 'duoble'. Did you mean 'double'?"
    )


def test_name_that_is_near_to_none_is_refused_with_all_of_them():
    with pytest.raises(
        UnknownNameError, match=r"There are: 'double', 'half', 'nothing'\."
    ):
        lookup("function", "zzz", TABLE)


def test_empty_table_is_told_of():
    with pytest.raises(UnknownNameError, match="There are none yet"):
        lookup("function", "zzz", {})


@pytest.mark.parametrize("identifier", [None, 3, 2.5, "", "DOUBLE", ("double",)])
def test_what_is_neither_a_known_name_nor_a_function_is_refused(identifier):
    with pytest.raises(UnknownNameError):
        lookup("function", identifier, TABLE)


@pytest.mark.parametrize("identifier", [["double"], {"name": "double"}, {"double"}])
def test_list_dict_or_set_is_refused_as_any_other_wrong_name(identifier):
    with pytest.raises(UnknownNameError):
        lookup("function", identifier, TABLE)


@pytest.mark.parametrize(
    ("get", "misspelt", "meant"),
    [
        (activations.get, "sigmod", "sigmoid"),
        (initializations.get, "glorot_unifrom", "glorot_uniform"),
        (objectives.get, "mean_square_error", "mean_squared_error"),
        (optimizers.get, "adagard", "adagrad"),
    ],
)
def test_every_table_offers_the_nearest_name_and_raises_a_value_error(
    get, misspelt, meant
):
    with pytest.raises(ValueError, match=f"Did you mean '{meant}'") as caught:
        get(misspelt)
    assert isinstance(caught.value, UnknownNameError)
    assert isinstance(caught.value, RecursiveError)


def test_name_of_a_function_is_its_own():
    assert name_of(activations.tanh) == "tanh"
    assert (
        lookup("activation", name_of(activations.tanh), activations.ACTIVATIONS)
        is activations.tanh
    )


def test_name_of_a_thing_without_a_name_is_that_of_its_class():
    assert name_of(functools.partial(int, base=2)) == "partial"
