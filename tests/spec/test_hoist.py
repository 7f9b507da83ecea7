"""The nodes that leave the loop, and split products, from the declaration alone."""

from dataclasses import dataclass

import pytest

from recursive.spec.graph import GraphSpec, InputSpec, StateSpec
from recursive.spec.hoist import Product, ProductSlice, SplitLayer, params_of
from recursive.spec.plan import plan
from tests.spec.building import node, output

SHAPES = {"x": (None, 4), "u": (None, 3), "c": (None, 2), "h": (None, 6)}
PRODUCT = Product("input", 6, ("W",), ("b",))


@dataclass
class Layer:
    """A layer as the plan sees it."""

    rowwise: bool = True
    products: tuple[Product, ...] = ()
    splits: bool = True
    draws: tuple[str, ...] = ()


def planned(
    *nodes,
    layers=None,
    draws=None,
    outputs=("rec",),
    constant_draws=(),
    masked=False,
    **fields,
):
    spec = GraphSpec(
        inputs=(InputSpec("x"), InputSpec("u"), InputSpec("c", 2, is_sequence=False)),
        states=(StateSpec("h", 6, "rec"),),
        nodes=nodes,
        outputs=tuple(output(name, name) for name in outputs),
        **fields,
    )
    layers = {item.name: Layer() for item in nodes} | (layers or {})
    params = {
        item.name: (f"{item.name}.W", f"{item.name}.b", f"{item.name}.U")
        for item in nodes
    }
    shapes = SHAPES | {item.name: (None, 6) for item in nodes}
    return plan(spec, params, draws or {}, layers, shapes, masked, constant_draws)


def names(nodes):
    return [item.name for item in nodes]


def placed(made):
    return names(made.hoisted), names(made.nodes), names(made.deferred)


REC = node("rec", "h", "early")


@pytest.mark.parametrize(
    ("nodes", "where"),
    [
        ([node("early", "x"), REC], (["early"], ["rec"], [])),
        ([node("early", "x_tm2", "c"), REC], (["early"], ["rec"], [])),
        (
            [node("first", "x"), node("early", "first"), REC],
            (["first", "early"], ["rec"], []),
        ),
        (
            [node("first", "x"), node("early", "first_tm1"), REC],
            (["first"], ["early", "rec"], []),
        ),
        ([node("early", "x", "h"), REC], ([], ["early", "rec"], [])),
        ([node("early", "x", "h_tm2"), REC], ([], ["early", "rec"], [])),
        (
            [node("early", "x"), REC, node("late", "rec", "x_tm1", "early", "h")],
            (["early"], ["rec"], ["late"]),
        ),
        (
            [node("early", "x"), REC, node("late", "rec"), node("later", "late")],
            (["early"], ["rec"], ["late", "later"]),
        ),
        (
            [node("early", "x"), REC, node("late", "rec"), node("later", "late_tm1")],
            (["early"], ["rec", "late"], ["later"]),
        ),
    ],
    ids=[
        "what reads inputs",
        "at any tap",
        "behind another",
        "but not its past",
        "nor a state",
        "nor its past",
        "what feeds no state",
        "behind another such",
        "but not one with a past",
    ],
)
def test_a_node_runs_where_it_may(nodes, where):
    assert placed(planned(*nodes, outputs=(nodes[-1].name,))) == where


def test_a_layer_that_looks_at_other_rows_stays_with_all_that_it_reads():
    nodes = [
        node("early", "x"),
        REC,
        node("late", "rec"),
        node("mixed", "late"),
        node("end", "mixed"),
    ]
    made = planned(
        *nodes,
        layers={"mixed": Layer(False), "early": Layer(False)},
        outputs=("end",),
    )
    assert placed(made) == ([], ["early", "rec", "late", "mixed"], ["end"])
    assert made.collected == ("mixed",)


@pytest.mark.parametrize(
    ("reads", "early", "late"),
    [
        (["x", "h"], (("x",), ((0, 4),)), (("h_tm1",), ((4, 10),))),
        (["h", "x"], (("x",), ((6, 10),)), (("h_tm1",), ((0, 6),))),
        (["x", "h", "u"], (("x", "u"), ((0, 4), (10, 13))), (("h_tm1",), ((4, 10),))),
        (
            ["h", "x", "u_tm1", "h_tm2"],
            (("x", "u_tm1"), ((6, 13),)),
            (("h_tm1", "h_tm2"), ((0, 6), (13, 19))),
        ),
        (["x", "x", "h"], (("x", "x"), ((0, 8),)), (("h_tm1",), ((8, 14),))),
    ],
)
def test_a_product_is_split_by_the_rows_that_meet_what_is_known_before(
    reads, early, late
):
    made = planned(node("rec", *reads), layers={"rec": Layer(True, (PRODUCT,))})
    [part], [rest] = made.hoisted, made.nodes
    assert (part.name, type(part)) == ("rec.before", ProductSlice)
    assert (rest.name, type(rest)) == ("rec", SplitLayer)
    assert (tuple(map(str, part.refs)), part.share.weight_rows) == early
    assert (
        tuple(map(str, rest.ports[1].refs)),
        rest.remainder.shares[0].weight_rows,
    ) == late
    assert [port.name for port in rest.ports] == ["before", "input"]
    assert made.param_names == ("rec.W", "rec.U")
    assert params_of(part, {"rec": ("rec.W", "rec.b", "rec.U")}) == ("rec.W", "rec.b")


def test_a_product_of_inputs_only_leaves_its_weights_outside():
    layers = {"rec": Layer(True, (PRODUCT,))}
    ports = node("rec", "x").ports + tuple(
        port.__class__("prev_hid", port.refs) for port in node("z", "h").ports
    )
    made = planned(
        node("rec", "x").__class__("rec", node("rec", "x").layer, ports),
        layers=layers,
    )
    [part], [rest] = made.hoisted, made.nodes
    assert part.share.weight_rows is None, "all of them"
    assert [port.name for port in rest.ports] == ["before", "prev_hid"]
    assert made.param_names == ("rec.U",)


@pytest.mark.parametrize(
    "nodes", [[node("rec", "x", "h", mode="sum")], [node("rec", "h", "h_tm2")]]
)
def test_a_product_stays_whole_where_it_cannot_be_split(nodes):
    assert placed(planned(*nodes, layers={"rec": Layer(True, (PRODUCT,))})) == (
        [],
        ["rec"],
        [],
    )


def test_what_is_the_same_at_every_step_is_a_context():
    made = planned(
        node("once", "c"),
        node("twice", "once", "c"),
        node("drawn", "once"),
        node("mixed", "once", "x"),
        node("rec", "h", "twice", "c", "drawn", "mixed"),
        draws={"drawn": ("drawn.keep",)},
    )
    assert made.contexts == ("c", "twice")
    assert [item.name for item in made.sequences] == ["drawn", "mixed"]
    assert made.constant_over_time == {"c", "once", "twice"}


def test_draws_that_are_held_are_contexts():
    made = planned(
        node("rec", "h"),
        draws={"rec": ("rec.keep", "rec.other")},
        constant_draws={"rec.keep"},
    )
    assert (made.contexts, [item.name for item in made.sequences]) == (
        ("rec.keep",),
        ["rec.other"],
    )


def test_a_state_may_be_fed_from_outside():
    made = planned(node("rec", "x"), node("y", "h", "rec"), outputs=("y",))
    assert placed(made) == (["rec"], [], ["y"])
    assert (made.results, [item.name for item in made.sequences]) == (("rec",), ["rec"])


def test_nothing_is_moved_out_of_a_loop_that_may_stop():
    made = planned(
        node("early", "x"), REC, node("late", "rec"), outputs=("late",), until="late"
    )
    assert placed(made) == ([], ["early", "rec", "late"], [])


def test_what_looks_back_stays_where_steps_are_masked():
    nodes = [
        node("early", "x_tm1"),
        node("now", "x"),
        node("rec", "h", "early", "now"),
        node("late", "rec", "h"),
        node("end", "rec"),
    ]
    made = planned(*nodes, outputs=("late", "end"), masked=True)
    assert placed(made) == (["now"], ["early", "rec", "late"], ["end"])
