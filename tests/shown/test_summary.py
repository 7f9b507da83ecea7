"""The table of a container."""

import pytest

from recursive import Activation, Dense, Recursive
from recursive.errors import StateError


def network():
    rnn = Recursive()
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=6, initial="learned")
    rnn.add_state("g", dim=5, initial=0.5)
    rnn.add_node(Dense(4, 6), "i2h", input="x")
    rnn.add_node(Dense(9, 5), "mixed", inputs=["x", "g"], return_state="g")
    rnn.add_node(Dense(6, 6), "a", input="h")
    rnn.add_node(Dense(6, 6), "b", inputs=["h"])
    rnn.add_node(
        Activation("tanh"),
        "rec",
        inputs=["i2h", "a", "b"],
        merge_mode="sum",
        return_state="h",
    )
    rnn.add_node(Dense(6, 2), "y", inputs=["rec"], create_output=True)
    rnn.add_node(Dense(6, 3), "late", inputs=["h_tm2"], create_output=True)
    return rnn


EXPECTED = """\
node   layer       reads      shape       parameters  runs
-----  ----------  ---------  ----------  ----------  -------------------------------------------------------------
i2h    Dense       x          (batch, 6)          30  before the loop
mixed  Dense       x, g       (batch, 5)          50  its product with inputs before the loop, the rest in the loop
a      Dense       h          (batch, 6)          42  in the loop
b      Dense       h          (batch, 6)          42  in the loop
rec    Activation  i2h, a, b  (batch, 6)           0  in the loop
y      Dense       rec        (batch, 2)          14  after the loop
late   Dense       h_tm2      (batch, 3)          21  after the loop

Parameters: 205
  of which h.initial: 6

One product with h_tm1 for a, b

state  fed by  taps      starts from    shape
-----  ------  --------  -------------  ----------
h      rec     t-2, t-1  a learned row  (batch, 6)
g      mixed   t-1       0.5            (batch, 5)"""


def test_the_table_says_what_each_node_is_and_where_it_runs():
    assert network().summary().splitlines() == EXPECTED.splitlines()


def test_a_network_that_is_not_complete_says_so():
    rnn = Recursive()
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=6)
    rnn.add_node(Dense(6, 6), "y", input="h", create_output=True)
    with pytest.raises(StateError, match="'h'"):
        rnn.summary()


def test_a_parameter_that_two_nodes_share_is_counted_once():
    rnn, shared = Recursive(), Dense(6, 6)
    rnn.add_input("x", dim=6)
    rnn.add_state("h", dim=6)
    rnn.add_node(shared, "a", input="x")
    rnn.add_node(shared, "b", input="h")
    rnn.add_node(
        Activation("tanh"),
        "rec",
        inputs=["a", "b"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    counted = {
        line.split()[0]: line.split()[5] for line in rnn.summary().splitlines()[2:4]
    }
    assert counted == {"a": "42", "b": "0"}
    assert "Parameters: 42" in rnn.summary()
