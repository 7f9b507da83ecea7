"""Products in the loop that share an input are fused, from the declaration alone."""

import dataclasses

from recursive.spec.graph import LayerSpec, PortSpec
from recursive.spec.hoist import FusedProducts, Product
from recursive.spec.names import Ref
from recursive.spec.text import step_source
from tests.spec.building import node
from tests.spec.test_hoist import Layer, planned

DENSE = Layer(True, (Product("input", 6, ("W",), ("b",)),))
GATE = Layer(
    True, (Product("input", 6, ("W",), ("b",)), Product("prev_hid", 6, ("U",)))
)


def gate(name, read, past):
    ports = PortSpec("input", (Ref(read),)), PortSpec("prev_hid", (Ref(past, -1),))
    return dataclasses.replace(node(name, read), ports=ports)


def together(plan):
    """The fused products and what they multiply, by the node that computes them."""
    return {
        item.values: tuple(map(str, item.refs))
        for item in plan.nodes
        if isinstance(item, FusedProducts)
    }


def test_what_layers_give_to_the_same_past_is_one_product():
    made = planned(
        node("a", "x", "h"),
        node("b", "x", "h"),
        node("rec", "a", "b"),
        layers={"a": DENSE, "b": DENSE},
    )
    assert together(made) == {("a.late", "b.late"): ("h_tm1",)}
    assert [item.name for item in made.nodes] == ["a.products", "a", "b", "rec"]
    assert [str(ref) for ref in made.nodes[1].refs] == ["a.before", "a.late"]
    assert made.param_names == ("a.W", "b.W", "a.U", "b.U", "rec.W", "rec.b", "rec.U")


def test_products_with_other_pasts_or_in_another_order_stay_apart():
    made = planned(
        node("a", "x", "h"),
        node("b", "x", "h_tm2"),
        node("c", "h", "h_tm2"),
        node("d", "h_tm2", "h"),
        node("rec", "a", "b", "c", "d"),
        layers=dict.fromkeys("abcd", DENSE),
    )
    assert together(made) == {}


def test_a_gate_takes_part_with_each_of_its_products():
    made = planned(
        gate("a", "x", "h"),
        gate("b", "a", "h"),
        node("c", "a"),
        node("rec", "b", "c"),
        layers={"a": GATE, "b": GATE, "c": DENSE},
    )
    assert together(made) == {
        ("a.prev_hid", "b.prev_hid"): ("h_tm1",),
        ("b.late", "c.late"): ("a",),
    }
    assert [item.name for item in made.nodes] == [
        "a.prev_hid_products",
        "a",
        "b.products",
        "b",
        "c",
        "rec",
    ]


def test_biases_are_added_once_where_nothing_was_known_before():
    params = {name: (f"{name}.W", f"{name}.b") for name in ("a", "b", "rec")}
    dense = [
        dataclasses.replace(node(name, "h"), layer=LayerSpec("Dense", {}))
        for name in "ab"
    ]
    made = planned(*dense, node("rec", "a", "b"), layers={"a": DENSE, "b": DENSE})
    text = step_source(made, params)
    assert (
        "a_late, b_late = split(h_tm1 @ concat([a_W, b_W]) + concat([a_b, b_b]), [6, 6])"
        in text
    )
    assert text.count("a_b") == 2, "as an argument, and in that line"
