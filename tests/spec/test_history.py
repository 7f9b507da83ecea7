"""The past values that exist, and the one name of each."""

import pytest

from recursive.spec.graph import GraphSpec, InputSpec, StateSpec
from recursive.spec.history import resolve, with_implicit_states
from recursive.spec.names import Ref, parse
from tests.spec.building import node, output, refs

SPEC = GraphSpec(
    inputs=(InputSpec("x"),),
    states=(StateSpec("h", 6, "rec"), StateSpec("c", 6, "cell"), StateSpec("open")),
    nodes=(node("i2h", "x"), node("rec", "i2h", "h"), node("cell", "c", "rec")),
    outputs=(output("y", "rec", "cell"),),
)

SAME = [
    ("h", "h_tm1"),
    ("h_tm1", "h_tm1"),
    ("h_tm2", "h_tm2"),
    ("rec", "rec"),
    ("rec_tm1", "h_tm1"),
    ("rec_tm7", "h_tm7"),
    ("c", "c_tm1"),
    ("cell", "cell"),
    ("cell_tm2", "c_tm2"),
    ("open", "open_tm1"),
    ("open_tm3", "open_tm3"),
    ("x", "x"),
    ("x_tm1", "x_tm1"),
    ("i2h", "i2h"),
    ("i2h_tm1", "i2h_tm1"),
]


@pytest.mark.parametrize(("read", "meant"), SAME)
def test_every_way_to_read_a_value_has_one_meaning(read, meant):
    found = resolve(SPEC, parse(read))
    assert (found.name, found.tap) == (parse(meant).name, parse(meant).tap)


@pytest.mark.parametrize(("read", "meant"), SAME)
def test_what_a_reference_means_means_itself(read, meant):
    assert resolve(SPEC, resolve(SPEC, parse(read))) == resolve(SPEC, parse(read))


def test_a_state_and_the_node_that_feeds_it_share_one_history():
    assert {resolve(SPEC, ref) for ref in refs("h", "h_tm1", "rec_tm1")} == {
        Ref("h", -1)
    }


def test_a_bare_state_is_the_step_before_and_a_bare_node_is_now():
    assert resolve(SPEC, Ref("h")).tap == -1
    assert resolve(SPEC, Ref("rec")).tap == 0


def test_no_state_is_added_where_every_past_that_is_read_is_remembered():
    assert with_implicit_states(SPEC) == SPEC.states


IMPLICIT = {
    "a node that reads its own past": ([node("a", "x", "a_tm1")], [], ["a"]),
    "a node whose past another reads": (
        [node("a", "x"), node("b", "a", "a_tm2")],
        [],
        ["a"],
    ),
    "several, in the order in which they are read": (
        [
            node("a", "x"),
            node("b", "x"),
            node("c", "b_tm1", "a_tm1"),
            node("d", "a_tm1"),
        ],
        [],
        ["b", "a"],
    ),
    "one history for several taps": (
        [node("a", "x"), node("b", "a_tm1", "a_tm2", "a_tm3")],
        [],
        ["a"],
    ),
    "an output that reads the past of a node": ([node("a", "x")], ["a_tm1"], ["a"]),
    "the past of an input is no state": ([node("a", "x_tm1")], ["x_tm2"], []),
    "the past of a node that a state remembers": (
        [node("rec", "x", "rec_tm1")],
        ["rec_tm2", "h_tm1"],
        [],
    ),
    "nothing of now": ([node("a", "x"), node("b", "a")], ["b"], []),
}


@pytest.mark.parametrize(("nodes", "read", "expected"), IMPLICIT.values(), ids=IMPLICIT)
def test_a_past_that_no_state_remembers_gets_a_history_of_its_own(
    nodes, read, expected
):
    fed = (
        (StateSpec("h", 6, "rec"),) if any(item.name == "rec" for item in nodes) else ()
    )
    outputs = (output("y", *read),) if read else ()
    spec = GraphSpec(
        inputs=(InputSpec("x"),), states=fed, nodes=tuple(nodes), outputs=outputs
    )
    states = with_implicit_states(spec)
    assert states[: len(fed)] == fed
    assert [(state.name, state.dim, state.input) for state in states[len(fed) :]] == [
        (name, None, name) for name in expected
    ]


def test_declared_states_stay_in_front_of_those_that_only_follow_from_a_tap():
    spec = SPEC.replace(nodes=(*SPEC.nodes, node("late", "i2h_tm1", "late_tm1")))
    assert [state.name for state in with_implicit_states(spec)] == [
        "h",
        "c",
        "open",
        "i2h",
        "late",
    ]
