"""What a script looks like in a library is a table."""

import dataclasses

import numpy as np
import pytest

from recursive import Dense, Recursive
from recursive.shown import source
from recursive.shown.language import FUNCTIONS
from recursive.shown.numpy_script import NUMPY
from recursive.spec.merging import CALLED
from recursive.spec.text import ACTIVATIONS

LANGUAGES = source.LANGUAGES


def loop():
    rnn = Recursive(return_sequences=True, return_final_states=True)
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=4)
    rnn.add_node(Dense(4, 4, activation="sigmoid"), "new", input="h_tm2")
    rnn.add_node(
        Dense(4, 4, activation="softmax"),
        "rec",
        inputs=["x_tm1", "new"],
        merge_mode="max",
        return_state="h",
        create_output=True,
    )
    rnn.complete()
    return rnn


def test_a_library_with_the_functions_of_numpy_needs_a_table_only(monkeypatch):
    other = dataclasses.replace(
        NUMPY, imports=("import numpy as other",), module="other"
    )
    monkeypatch.setitem(LANGUAGES, "other", other)
    rnn = loop()
    weights = {name: param.get_value() for name, param in rnn.named_params.items()}
    found = []
    for library in ("numpy", "other"):
        names = {}
        exec(rnn.source(library), names)
        found.append(names["run"](weights, {"x": np.ones((3, 5, 4))}))
    assert "np." not in rnn.source("other")
    for name, value in found[0].items():
        np.testing.assert_array_equal(found[1][name], value)


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
def test_every_activation_and_merge_mode_is_a_function_and_a_reserved_name(language):
    called = {*CALLED, *ACTIVATIONS} - {"linear"}  # linear is written as its argument
    assert called <= set(FUNCTIONS)
    assert {*called, language.module} <= language.reserved


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
def test_functions_are_python_and_call_the_library_by_its_name(language):
    for name, text in language.all_functions.items():
        space = {}
        exec(text, space)
        assert callable(space[name])
        assert "xp." not in text
