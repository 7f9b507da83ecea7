"""Where the library is not what the original was: every fault of 2015, what it did then, and what happens now.

What it did then is on record, in words and numbers, in the cases of ``legacy2015``; docs/fidelity.md tells it.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from recursive import (
    Activation,
    Dense,
    Dropout,
    Embedding,
    Graph,
    Identity,
    Lambda,
    Masking,
    Recursive,
    Sequential,
)
from recursive.backend import evaluate
from recursive.conformance import case
from recursive.errors import (
    DuplicateNameError,
    NodeError,
    ShapeError,
    StateError,
    UnknownNameError,
)

ROOT = Path(__file__).parents[1]
X = np.random.RandomState(7).normal(size=(3, 5, 4))
RECORDED = {
    item["probe"]: item["result"]
    for item in case.read("legacy2015/recursive/probes").about["probes"]
}


def rnn_of(*nodes, states=(("h", 6),), **flags):
    """A Recursive over ``x`` of 4, with states and nodes."""
    rnn = Recursive(return_sequences=True, **flags)
    rnn.add_input("x", ndim=3, dim=4)
    for name, dim in states:
        rnn.add_state(name, dim)
    for layer, name, said in nodes:
        rnn.add_node(layer, name, **said)
    return rnn


def output_of(model, value=X, train=False):
    """What the model makes of ``value``."""
    return evaluate([model.get_output(train)], {model.input: value})[0]


def vanilla(**said):
    """i2h and h2h, summed into rec."""
    return rnn_of(
        (Dense(4, 6, activation="tanh"), "i2h", {"input": "x"}),
        (Dense(6, 6, init="identity"), "h2h", {"input": "h"}),
        (Identity(), "rec", {"inputs": ["i2h", "h2h"], "return_state": "h"} | said),
    )


def merged(mode):
    """What rec is where it merges the parts ``i2h`` and ``h2h`` of the vanilla network, by a NumPy loop, and by us."""
    rnn = vanilla(merge_mode=mode, create_output=True)
    i2h = np.tanh(X @ rnn.get_weights()[0])
    h, every = np.zeros((3, 6)), []
    for t in range(X.shape[1]):
        h = {
            "sum": lambda a, b: a + b,
            "mul": lambda a, b: a * b,
            "ave": lambda a, b: (a + b) / 2,
        }[mode](i2h[:, t], h)
        every.append(h)
    return np.stack(every, axis=1), output_of(rnn)


def same(mode):
    expected, found = merged(mode)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def a_single_node():
    rnn = rnn_of(
        (
            Dense(10, 6),
            "rec",
            {"inputs": ["x", "h"], "return_state": "h", "create_output": True},
        )
    )
    assert output_of(rnn).shape == (3, 5, 6)


def an_unknown_name():
    with pytest.raises(UnknownNameError, match="got 'nope'"):
        vanilla(inputs=["nope"])


def a_string(name):
    rnn = rnn_of(
        (Identity(), "copy", {"inputs": name}),
        (Dense(4, 6), "i2h", {"input": "x"}),
        (
            Identity(),
            "rec",
            {
                "inputs": ["i2h", "copy"],
                "merge_mode": "sum",
                "return_state": name,
                "create_output": True,
            },
        ),
        states=[(name, 6)],
    )
    np.testing.assert_allclose(
        output_of(rnn),
        np.cumsum(X @ rnn.get_weights()[0], axis=1),
        rtol=1e-12,
        atol=1e-12,
    )


def a_node_without_inputs():
    with pytest.raises(NodeError, match="node 'n' takes"):
        rnn_of((Dense(6, 6), "n", {}))


def no_states():
    rnn = rnn_of((Dense(4, 6), "out", {"input": "x", "create_output": True}), states=())
    np.testing.assert_allclose(output_of(rnn), X @ rnn.get_weights()[0], rtol=1e-12)


def a_state_before_any_input():
    rnn = Recursive(return_sequences=True)
    rnn.add_state("h", 4)
    rnn.add_input("x", ndim=3, dim=4)
    rnn.add_node(
        Identity(),
        "rec",
        inputs=["x", "h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    np.testing.assert_allclose(output_of(rnn), np.cumsum(X, axis=1), rtol=1e-12)


def a_state_never_returned():
    rnn = rnn_of(
        (
            Identity(),
            "b",
            {
                "inputs": ["x", "h"],
                "merge_mode": "sum",
                "return_state": "h",
                "create_output": True,
            },
        ),
        states=[("k", 4), ("h", 4)],
    )
    with pytest.raises(StateError, match="state 'k' takes"):
        rnn.build()


def an_unknown_state():
    with pytest.raises(
        UnknownNameError, match="state 'nope' takes a name given to add_state"
    ):
        vanilla(return_state="nope")


def second_of_a_chain():
    model = Sequential(
        [Dense(4, 4, init="identity"), vanilla(merge_mode="sum", create_output=True)]
    )
    alone = vanilla(merge_mode="sum", create_output=True)
    alone.set_weights(model.get_weights()[2:])
    np.testing.assert_allclose(model.predict(X), alone.predict(X), rtol=1e-12)


def behind_a_mask():
    rnn, padded = vanilla(merge_mode="sum", create_output=True), X.copy()
    padded[0, 3:] = 0
    found = Sequential([Masking(), rnn]).predict(padded)[0, :3]
    assert np.abs(found - rnn.predict(X[:1, :3])[0]).max() < 1e-12


def a_config():
    config = vanilla(merge_mode="sum", create_output=True).get_config()["spec"]
    assert config["states"] == [
        {"name": "h", "dim": 6, "input": "rec", "initial": 0.0, "stateful": None}
    ]
    assert (config["return_sequences"], config["truncate_gradient"]) == (True, -1)


def integers():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("words", ndim=2, dtype="int")
    rnn.add_node(Embedding(9, 6, init="one"), "rows", input="words", create_output=True)
    assert (
        output_of(rnn, np.ones((3, 5), "int32")).tolist() == np.ones((3, 5, 6)).tolist()
    )


def dropout():
    rnn = rnn_of(
        (Dropout(0.5, seed=1), "drop", {"input": "x", "create_output": True}), states=()
    )
    assert set(
        np.unique(np.round(output_of(rnn, np.ones_like(X), train=True), 12))
    ) == {0.0, 2.0}
    assert set(np.unique(output_of(rnn, np.ones_like(X)))) == {1.0}


def a_duplicate():
    rnn = rnn_of(states=())
    with pytest.raises(DuplicateNameError, match="'x'"):
        rnn.add_state("x", 6)


def an_output_besides():
    rnn = vanilla(merge_mode="sum", create_output=True)
    rnn.add_output("o2", input="i2h")
    found = rnn.predict(X)
    assert list(found) == ["rec", "o2"]
    np.testing.assert_allclose(
        found["o2"], np.tanh(X @ rnn.get_weights()[0]), rtol=1e-12
    )


def a_chain_as_node():
    rnn = rnn_of(
        (
            Sequential([Dense(10, 7), Activation("tanh"), Dense(7, 6)]),
            "rec",
            {"inputs": ["x", "h"], "return_state": "h", "create_output": True},
        )
    )
    assert output_of(rnn).shape == (3, 5, 6)


NOW = {
    "single-node model get_output()": a_single_node,
    "add_node(input='nope') unknown name": an_unknown_name,
    "add_node(inputs='h') bare string one letter": lambda: a_string("h"),
    "add_node(inputs='hid') bare string several letters": lambda: a_string("hid"),
    "merge_mode='mul'": lambda: same("mul"),
    "merge_mode='ave'": lambda: same("ave"),
    "node without inputs, at get_output": a_node_without_inputs,
    "no states at all (plain map)": no_states,
    "add_state before any add_input": a_state_before_any_input,
    "state 'k' never returned; b=a+h (should give 1,2,3)": a_state_never_returned,
    "return_state names an unknown state": an_unknown_state,
    "Recursive as SECOND layer of Sequential: compile+predict": second_of_a_chain,
    "Masking followed by Recursive": behind_a_mask,
    "get_config": a_config,
    "add_input(ndim=2, dtype='int') then get_output": integers,
    "Dropout(0.5) node, get_output(train=True): train flag is not passed on": dropout,
    "duplicate name input/state": a_duplicate,
    "add_output('o2', input='i2h') after create_output on rec": an_output_besides,
    "a Sequential (multi-layer) as a node": a_chain_as_node,
}
"""What happens now, for each unusual declaration of which it is on record what the original said to it."""


@pytest.mark.parametrize("probe", RECORDED)
def test_what_the_original_stumbled_over_is_right_or_told_at_once(probe):
    assert NOW.keys() == RECORDED.keys()
    NOW[probe]()


def test_an_embedding_reads_two_axes_of_whole_numbers_and_not_the_three_of_the_slip_in_the_thread():
    for_words, slip = Graph(), Graph()
    for_words.add_input("input", ndim=2, dtype="int")
    for_words.add_node(Embedding(9, 4), "x", input="input", create_output=True)
    assert for_words.predict({"input": np.ones((3, 5), int)})["x"].shape == (3, 5, 4)
    slip.add_input("input", ndim=3, dtype="int")
    slip.add_node(Embedding(9, 4), "x", input="input", create_output=True)
    with pytest.raises(ShapeError, match="input"):
        slip.predict({"input": np.ones((3, 5), int)})


def test_a_container_inside_a_graph_takes_the_rows_of_what_it_reads():
    """In 2015 its zeros took the number of rows of a placeholder that nobody fed."""
    model = Graph()
    model.add_input("data", ndim=3, dim=7)
    model.add_node(Dense(7, 4), "project", input="data")
    model.add_node(
        vanilla(merge_mode="sum", create_output=True),
        "loop",
        input="project",
        create_output=True,
    )
    assert model.predict({"data": np.ones((3, 5, 7))})["loop"].shape == (3, 5, 6)


def test_join_hands_on_nodes_too_by_their_names():
    """In 2015 it needed named tensors, which the outputs of layers were not."""
    model = Graph()
    model.add_input("x", dim=4)
    for name in ("a", "b"):
        model.add_node(Dense(4, 6), name, input="x")
    model.add_node(
        Lambda(lambda x: 2 * x["a"] - x["b"]),
        "out",
        inputs=["a", "b"],
        merge_mode="join",
        create_output=True,
    )
    a, _, b, _ = model.get_weights()
    np.testing.assert_allclose(
        model.predict({"x": X[:, 0]})["out"],
        X[:, 0] @ (2 * a - b),
        rtol=1e-12,
        atol=1e-12,
    )


def test_no_number_comes_from_keras_0_3_0():
    """Its recurrent layers had wrong formulas."""
    codes = {case.read(name).about["produced_by"]["code"] for name in case.names()}
    assert codes and not [code for code in codes if re.search(r"0\.3\.0\b", code)]


def test_a_dropout_scales_while_training_where_2015_scaled_what_it_predicted():
    """On record: behind Dropout(0.5) ones came out as halves, where nothing was dropped."""
    assert (
        "0.5"
        in RECORDED[
            "Dropout(0.5) node, get_output(train=True): train flag is not passed on"
        ]
    )
    model = Sequential([Dropout(0.5), Dense(4, 6)])
    np.testing.assert_allclose(
        model.predict(X[:, 0]), X[:, 0] @ model.get_weights()[0], rtol=1e-12
    )


def test_every_test_that_the_page_names_is_there():
    named = re.findall(
        r"`(tests/\S+\.py)`::`(test_\w+)`",
        (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8"),
    )
    assert len(named) > 20
    missing = [
        f"{path}::{name}"
        for path, name in named
        if f"def {name}(" not in (ROOT / path).read_text()
    ]
    assert missing == []
