"""Every form in which a node declares what it reads, and every wrong form."""

import pytest

from recursive.errors import InvalidNameError, NodeError
from recursive.spec.graph import PortSpec
from recursive.spec.names import Ref
from recursive.spec.reads import (
    merge_ave,
    merge_concat,
    merge_dot,
    merge_max,
    merge_mul,
    merge_sum,
    one_read,
    read_ports,
    read_refs,
)

X, H = Ref("x"), Ref("h", -1)
TWO = ("input", "prev_hid")


def ports_of(
    input=None, inputs=(), merge_mode="concat", ports=("input",), own_past=None
):
    return read_ports("a", "Some", ports, own_past or {}, input, inputs, merge_mode)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ({"input": "x"}, (X,)),
        ({"inputs": "x"}, (X,)),
        ({"inputs": ["x"]}, (X,)),
        ({"inputs": ("x", "h_tm1")}, (X, H)),
        ({"input": ["x", "h_tm1"]}, (X, H)),
        ({"input": merge_concat(["x", "h_tm1"])}, (X, H)),
    ],
)
def test_names_are_read_in_their_order(said, read):
    assert ports_of(**said) == (PortSpec("input", read, "concat"),)


@pytest.mark.parametrize(
    ("merge", "mode"),
    [
        (merge_concat, "concat"),
        (merge_sum, "sum"),
        (merge_mul, "mul"),
        (merge_ave, "ave"),
        (merge_max, "max"),
        (merge_dot, "dot"),
    ],
)
def test_a_merge_says_its_mode_whatever_merge_mode_says(merge, mode):
    assert ports_of(merge(["x", "h_tm1"]), merge_mode="max") == (
        PortSpec("input", (X, H), mode),
    )
    assert merge("long_name").names == ("long_name",), "a string is one name"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            {"input": {"prev_hid": "h_tm1", "input": "x"}},
            (PortSpec("input", (X,)), PortSpec("prev_hid", (H,))),
        ),
        (
            {
                "input": {"prev_hid": merge_sum(["h_tm1", "x"]), "input": ["x", "x"]},
                "merge_mode": "mul",
            },
            (PortSpec("input", (X, X), "mul"), PortSpec("prev_hid", (H, X), "sum")),
        ),
        (
            {"input": {"prev_hid": "h_tm1", "input": "x"}, "merge_mode": "join"},
            (PortSpec("input", (X,)), PortSpec("prev_hid", (H,))),
        ),
        (
            {"inputs": ["prev_hid", "input"], "merge_mode": "join"},
            (
                PortSpec("input", (Ref("input"),)),
                PortSpec("prev_hid", (Ref("prev_hid"),)),
            ),
        ),
        (
            {"input": "x", "own_past": {"prev_hid": "output"}},
            (PortSpec("input", (X,)), PortSpec("prev_hid", (Ref("a", -1),))),
        ),
        (
            {"input": "x", "own_past": {"prev_hid": "cell"}},
            (PortSpec("input", (X,)), PortSpec("prev_hid", (Ref("a.cell", -1),))),
        ),
        (
            {
                "input": {"input": "x", "prev_hid": "x"},
                "own_past": {"prev_hid": "output"},
            },
            (PortSpec("input", (X,)), PortSpec("prev_hid", (X,))),
        ),
    ],
)
def test_ports_are_read_in_the_order_in_which_the_layer_has_them(said, expected):
    assert ports_of(**said, ports=TWO) == expected


def test_join_leaves_the_values_of_one_port_apart():
    assert ports_of(["x", "h_tm1"], merge_mode="join") == (
        PortSpec("input", (X, H), "join"),
    )


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ({"input": "x", "inputs": ["h"]}, NodeError, "takes input or inputs"),
        ({"input": {"input": "x"}}, NodeError, "its Some has one input"),
        (
            {"input": {"input": "x", "prev_hdi": "h"}, "ports": TWO},
            NodeError,
            "Did you mean 'prev_hid'",
        ),
        ({"input": {"input": "x", 3: "h"}, "ports": TWO}, NodeError, "got 3"),
        (
            {"input": {"input": "x"}, "ports": TWO},
            NodeError,
            "got nothing at 'prev_hid'",
        ),
        ({"input": "x", "ports": TWO}, NodeError, "got nothing at 'prev_hid'"),
        (
            {"inputs": ["input", "other"], "merge_mode": "join", "ports": TWO},
            NodeError,
            "got 'other'",
        ),
        ({"input": "x", "ports": ()}, NodeError, "a Some without any"),
        ({"input": ["x", merge_sum(["x"])]}, InvalidNameError, "got a Merged"),
        ({"input": 3}, InvalidNameError, "got a int"),
        ({"input": merge_sum(None)}, InvalidNameError, "got a NoneType"),
        (
            {"input": {"input": None, "prev_hid": "x"}, "ports": TWO},
            InvalidNameError,
            "got a NoneType",
        ),
    ],
)
def test_what_is_said_wrong_is_told(said, error, words):
    with pytest.raises(error, match=words):
        ports_of(**said)


def test_the_older_word_for_a_dict_stands_alone():
    assert one_read("a", "x", None) == "x"
    assert one_read("a", None, {"input": "x"}) == {"input": "x"}
    for given in (("x", {"input": "x"}), (None, "x")):
        with pytest.raises(NodeError, match="as connection_map"):
            one_read("a", *given)


def test_outputs_read_as_nodes_do():
    assert read_refs("y", merge_sum(["x", "h_tm1"]), (), "concat") == ((X, H), "sum")
    assert read_refs("y", None, ["x", "h_tm1"], "ave") == ((X, H), "ave")
