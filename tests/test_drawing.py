"""Diagrams of a step: their content, their layout without overlaps, and the files."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape
from itertools import combinations, pairwise, product

import pytest

from recursive.drawing import (
    Arrow,
    Box,
    Layout,
    Picture,
    Sketch,
    draw,
    layout,
    sketch,
    unrolled,
)
from recursive.drawing.grid import (
    LINE_SIZE,
    NAME_SIZE,
    TITLE_ROOM,
    TITLE_START,
    text_width,
)
from recursive.errors import ConfigError, MissingPackageError
from recursive.spec.checks import declare, feed
from recursive.spec.graph import (
    GraphSpec,
    InputSpec,
    LayerSpec,
    NodeSpec,
    OutputSpec,
    PortSpec,
    StateSpec,
)
from recursive.spec.names import Ref, parse
from recursive.spec.order import ordered
from recursive.spec.plan import StepPlan

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib draws"
)


# Specs


def start(
    inputs: dict[str, int | None],
    states: dict[str, int] | None = None,
    loop: bool = True,
) -> GraphSpec:
    spec = GraphSpec(loop=loop)
    for name, dim in inputs.items():
        spec = declare(spec, InputSpec(name, dim=dim))
    for name, dim in (states or {}).items():
        spec = declare(spec, StateSpec(name, dim))
    return spec


def node(
    spec: GraphSpec,
    name: str,
    layer: LayerSpec,
    reads: str,
    merge: str = "concat",
    state: str | None = None,
    output: bool = False,
) -> GraphSpec:
    port = PortSpec("input", tuple(map(parse, reads.split())), merge)
    spec = declare(spec, NodeSpec(name, layer, (port,)))
    if state:
        spec = feed(spec, state, name)
    return declare(spec, OutputSpec(name, (Ref(name),))) if output else spec


def output(spec: GraphSpec, name: str, reads: str, merge: str = "concat") -> GraphSpec:
    return declare(spec, OutputSpec(name, tuple(map(parse, reads.split())), merge))


def dense(before: int | None, after: int, activation: str = "linear") -> LayerSpec:
    return LayerSpec(
        "Dense", {"input_dim": before, "output_dim": after, "activation": activation}
    )


def activation(name: str) -> LayerSpec:
    return LayerSpec("Activation", {"activation": name})


def vanilla() -> GraphSpec:
    """The network of keras issue 620."""
    spec = start({"input": None}, {"h": 6})
    spec = node(spec, "i2h", dense(4, 6), "input")
    spec = node(spec, "h2h", dense(6, 6), "h")
    return node(
        spec, "rec", activation("tanh"), "i2h h2h", "sum", state="h", output=True
    )


def stacked() -> GraphSpec:
    spec = start({"x": 4}, {"h1": 6, "h2": 5})
    spec = node(spec, "rec1", dense(10, 6, "tanh"), "x h1", state="h1")
    spec = node(spec, "rec2", dense(11, 5, "tanh"), "rec1 h2", state="h2")
    return node(spec, "y", dense(5, 2, "softmax"), "rec2", output=True)


def taps() -> GraphSpec:
    """Bare h is h_tm1, and so is rec_tm1; i2h_tm1 is the past of a node."""
    spec = start({"x": 4}, {"h": 6, "slow": 3})
    for name, read in {
        "i2h": "x",
        "past": "x_tm2",
        "near": "h",
        "far": "h_tm3",
    }.items():
        spec = node(spec, name, dense(4, 6), read)
    spec = node(spec, "rec", activation("tanh"), "i2h past near far", "sum", state="h")
    spec = node(
        spec, "slower", dense(9, 3, "sigmoid"), "rec_tm1 slow i2h_tm1", state="slow"
    )
    return node(spec, "out", dense(9, 2), "rec slower", output=True)


def twenty() -> GraphSpec:
    """An LSTM, gate by gate, and what may stand on it: twenty nodes."""
    spec, same = start({"x": 8}, {"h": 16, "c": 16}), LayerSpec("Identity")
    for gate in "ifog":
        spec = node(spec, f"x2{gate}", dense(8, 16), "x")
        spec = node(spec, f"h2{gate}", dense(16, 16), "h")
        spec = node(
            spec, f"gate_{gate}", activation("sigmoid"), f"x2{gate} h2{gate}", "sum"
        )
    spec = node(spec, "keep", same, "gate_f c", "mul")
    spec = node(spec, "write", same, "gate_i gate_g", "mul")
    spec = node(spec, "cell", same, "keep write", "sum", state="c")
    spec = node(spec, "squashed", activation("tanh"), "cell")
    spec = node(spec, "hidden", same, "gate_o squashed", "mul", state="h", output=True)
    spec = node(spec, "dropped", LayerSpec("Dropout", {"p": 0.5}), "hidden")
    spec = node(spec, "policy", dense(16, 10, "softmax"), "dropped", output=True)
    return node(spec, "value", dense(16, 1), "hidden", output=True)


def graph() -> GraphSpec:
    spec = start({"picture": 64, "words": None}, loop=False)
    spec = node(
        spec,
        "embedded",
        LayerSpec("Embedding", {"input_dim": 1000, "output_dim": 8}),
        "words",
    )
    spec = node(spec, "seen", dense(64, 8, "relu"), "picture")
    spec = node(spec, "both", dense(16, 8, "relu"), "embedded seen")
    spec = node(spec, "score", dense(8, 1, "sigmoid"), "both")
    return output(output(spec, "answer", "score"), "mixed", "both seen", "ave")


def wide() -> GraphSpec:
    spec, names = start({"x": 4}, {"h": 32}), [f"part_{index}" for index in range(8)]
    for name in names:
        spec = node(spec, name, dense(36, 4, "tanh"), "x h")
    return node(spec, "all", dense(32, 32), " ".join(names), state="h", output=True)


def incomplete() -> GraphSpec:
    """Nothing feeds c, and nothing comes out."""
    spec = start({"x": 4}, {"h": 6, "c": 6})
    return node(spec, "rec", dense(10, 6, "tanh"), "x h", state="h")


def broken() -> GraphSpec:
    """Undeclared names, a cycle, a node without inputs, a state without its node."""

    def made(name: str, *refs: str) -> NodeSpec:
        return NodeSpec(
            name, dense(None, 3), (PortSpec("input", tuple(map(parse, refs))),)
        )

    nodes = (made("a", "b", "x"), made("b", "a", "who_tm1", "s"), made("c"))
    return GraphSpec(
        inputs=(InputSpec("x"),),
        states=(StateSpec("s", 3, "nobody"),),
        nodes=nodes,
        outputs=(OutputSpec("y", (Ref("z"),)),),
    )


def long_names() -> GraphSpec:
    spec = start(
        {"a_rather_long_name_of_an_input": 4}, {"HIDDEN_STATE_OF_THE_MWMWMW": 6}
    )
    layer = LayerSpec(
        "MyOwnLayerWithAVeryLongNameIndeedSoLong",
        {"output_dim": 100, "activation": "$x_1$ & <b>"},
    )
    spec = node(
        spec,
        "zwischengr\N{LATIN SMALL LETTER O WITH DIAERESIS}\N{LATIN SMALL LETTER SHARP S}en",
        layer,
        "a_rather_long_name_of_an_input HIDDEN_STATE_OF_THE_MWMWMW",
        state="HIDDEN_STATE_OF_THE_MWMWMW",
    )
    return node(
        spec,
        "costs",
        LayerSpec("Priced", {"activation": "$x_1$ & <b>"}),
        "HIDDEN_STATE_OF_THE_MWMWMW_tm12",
        output=True,
    )


def begun() -> GraphSpec:
    """Two states that start from one context, and one that starts from another."""
    spec = start({"x": 4}, {"h": 6, "c": 6, "k": 3})
    for context, dim in {"begin": 6, "other": 3}.items():
        spec = declare(spec, InputSpec(context, 2, dim=dim, is_sequence=False))
    first = {"h": "begin", "c": "begin", "k": "other"}
    spec = spec.replace(
        states=tuple(replace(state, initial=first[state.name]) for state in spec.states)
    )
    spec = node(spec, "cell", dense(16, 6, "tanh"), "x c begin", state="c")
    spec = node(spec, "kept", dense(6, 3), "k cell h_tm2", state="k")
    return node(spec, "rec", dense(9, 6, "tanh"), "cell h kept", state="h", output=True)


def begun_and_wide() -> GraphSpec:
    spec = begun()
    for index in range(5):
        spec = node(
            spec,
            f"one_more_reader_{index}",
            dense(6, 6, "hard_sigmoid"),
            "rec",
            output=True,
        )
    return spec


def several() -> GraphSpec:
    """A node of two outputs, of which one is remembered."""
    reads = (PortSpec("input", (Ref("x"), Ref("lstm.cell", -1))),)
    spec = declare(
        start({"x": 4}),
        NodeSpec("lstm", LayerSpec("RecurrentLSTM"), reads, ("output", "cell")),
    )
    return node(
        node(spec, "both", dense(12, 3), "lstm lstm.cell"),
        "one",
        dense(6, 2),
        "lstm.cell",
        output=True,
    )


def drawn_at_random(seed: int) -> GraphSpec:
    draw_from = random.Random(seed)
    states = {f"s{index}": 3 for index in range(draw_from.randint(0, 4))}
    spec = start({f"x{index}": 3 for index in range(draw_from.randint(1, 3))}, states)
    for index in range(draw_from.randint(1, 16)):
        reads = sorted(
            {draw_from.choice(list(spec.names)) for _ in range(draw_from.randint(1, 4))}
        )
        late = [
            f"{name}_tm{draw_from.randint(1, 3)}" if draw_from.random() < 0.15 else name
            for name in reads
        ]
        spec = node(
            spec,
            f"n{index}",
            dense(3, 3),
            " ".join(late),
            "sum",
            output=draw_from.random() < 0.2,
            state=f"s{index}" if f"s{index}" in states else None,
        )
    return spec


def planned(spec: GraphSpec) -> StepPlan:
    """A plan: nodes on inputs alone are hoisted, nodes that feed no state deferred."""
    inputs, fed = (
        {item.name for item in spec.inputs},
        {state.input for state in spec.states},
    )
    nodes = list(ordered(spec))
    read = {
        node.name: {ref.name for other in nodes for ref in other.refs} for node in nodes
    }
    early = [node for node in nodes if all(ref.name in inputs for ref in node.refs)]
    late = [
        node
        for node in nodes
        if node not in early
        and node.name not in fed
        and node.name not in read[node.name]
    ]
    inside = tuple(node for node in nodes if node not in early and node not in late)
    return StepPlan(
        (), (), (), (), (), nodes=inside, hoisted=tuple(early), deferred=tuple(late)
    )


SPECS = {
    spec.__name__: spec()
    for spec in (
        vanilla,
        stacked,
        taps,
        twenty,
        graph,
        wide,
        begun,
        begun_and_wide,
        several,
        incomplete,
        broken,
        long_names,
        GraphSpec,
    )
}
SPECS |= {f"random_{seed}": drawn_at_random(seed) for seed in range(15)}
LAYOUTS = {name: layout(sketch(spec)) for name, spec in SPECS.items()}
LAYOUTS |= {
    f"{name}_unrolled": layout(unrolled(SPECS[name], 3))
    for name in (
        "vanilla",
        "stacked",
        "taps",
        "twenty",
        "wide",
        "incomplete",
        "broken",
        "begun",
        "several",
        "long_names",
        "GraphSpec",
        "random_3",
        "random_11",
    )
}
LAYOUTS |= {
    f"{name}_planned": layout(sketch(SPECS[name], planned(SPECS[name])))
    for name in ("vanilla", "twenty", "taps", "begun", "begun_and_wide")
}

every_layout = pytest.mark.parametrize("found", LAYOUTS.values(), ids=LAYOUTS)
every_spec = pytest.mark.parametrize(
    "name", [name for name in SPECS if not name.startswith("random")]
)


# Rectangles: left, bottom, right, top

Rectangle = tuple[float, float, float, float]


def rectangle(box: Box) -> Rectangle:
    return box.x, box.y, box.x + box.width, box.y + box.height


def overlap(one: Rectangle, other: Rectangle, slack: float = 1e-6) -> bool:
    return (
        one[0] < other[2] - slack
        and other[0] < one[2] - slack
        and one[1] < other[3] - slack
        and other[1] < one[3] - slack
    )


def reach(arrow: Arrow) -> list[Rectangle]:
    """Thin rectangles between an arrow's points, which hold its curves."""
    return [
        (
            min(x, to_x) - 1e-3,
            min(y, to_y) - 1e-3,
            max(x, to_x) + 1e-3,
            max(y, to_y) + 1e-3,
        )
        for (x, y), (to_x, to_y) in pairwise(arrow.points)
    ]


def labels(found: Layout) -> list[Rectangle]:
    sizes = [
        (*arrow.label_at, text_width(arrow.label, LINE_SIZE) / 2)
        for arrow in found.arrows
        if arrow.label_at
    ]
    return [(x - half, y - 0.06, x + half, y + 0.06) for x, y, half in sizes]


def title(found: Layout) -> list[Rectangle]:
    words = []
    for frame in found.frames:
        length, (x, y, _, top) = text_width(frame.lines[0], LINE_SIZE), rectangle(frame)
        along, across = (
            (TITLE_START, TITLE_START + length),
            (TITLE_ROOM / 2 - 0.06, TITLE_ROOM / 2 + 0.06),
        )
        words.append(
            (x + across[0], y + along[0], x + across[1], y + along[1])
            if found.rising
            else (x + along[0], top - across[1], x + along[1], top - across[0])
        )
    return words


# Nothing lies on anything else


@every_layout
def test_no_two_boxes_overlap(found):
    assert not [
        pair for pair in combinations(found.boxes, 2) if overlap(*map(rectangle, pair))
    ]


@every_layout
def test_no_arrow_runs_through_a_box(found):
    through = [
        (arrow, box)
        for arrow in found.arrows
        for box in found.boxes
        for part in reach(arrow)
        if overlap(part, rectangle(box), slack=2e-3)
    ]
    assert not through


@every_layout
def test_no_label_and_no_title_lies_on_a_box_or_an_arrow(found):
    words = [*labels(found), *title(found)]
    taken = [
        *map(rectangle, found.boxes),
        *(part for arrow in found.arrows for part in reach(arrow)),
    ]
    assert not [
        (text, other) for text in words for other in taken if overlap(text, other)
    ]
    assert not [pair for pair in combinations(words, 2) if overlap(*pair)]


@every_layout
def test_everything_lies_inside_the_picture(found):
    parts = [
        *map(rectangle, [*found.boxes, *found.frames]),
        *labels(found),
        *(part for arrow in found.arrows for part in reach(arrow)),
    ]
    assert all(
        min(part[:2]) > 0 and part[2] < found.width and part[3] < found.height
        for part in parts
    )


@every_layout
def test_the_frame_holds_the_nodes_and_nothing_else(found):
    for box, frame in product(found.boxes, found.frames):
        left, bottom, right, top = rectangle(box)
        outer = rectangle(frame)
        inside = (
            outer[0] < left
            and outer[1] < bottom
            and right < outer[2]
            and top < outer[3]
        )
        assert inside or not overlap(rectangle(box), outer)
        assert not inside or box.kind == "node"
    if found.frames:
        framed = [
            box
            for box, frame in product(found.boxes, found.frames)
            if overlap(rectangle(box), rectangle(frame))
        ]
        outside = {
            box
            for box in found.boxes
            if {"before the loop", "after the loop"} & set(box.lines)
        }
        assert sorted(map(str, framed)) == sorted(
            str(box) for box in found.boxes if box.kind == "node" and box not in outside
        )


# The order of time


@every_layout
def test_each_box_is_behind_what_it_reads_at_the_same_time(found):
    for arrow in found.arrows:
        before, after = rectangle(arrow.source), rectangle(arrow.target)
        if arrow.kind != "feedback":
            assert before[2 + found.rising] < after[found.rising]


@every_layout
def test_arrows_begin_and_end_at_their_boxes(found):
    along, across = (1, 0) if found.rising else (0, 1)
    for arrow in found.arrows:
        first, last = arrow.points[0], arrow.points[-1]
        source, target = rectangle(arrow.source), rectangle(arrow.target)
        assert (first[along], last[along]) == pytest.approx(
            (source[along + 2], target[along])
        )
        assert source[across] < first[across] < source[across + 2]
        assert target[across] < last[across] < target[across + 2]


@every_layout
def test_feedback_runs_outside_everything(found):
    across = 0 if found.rising else 1
    for arrow in found.arrows:
        if arrow.kind == "feedback":
            places = [point[across] for point in arrow.points]
            edges = [
                rectangle(box)[across + 2 * found.rising]
                for box in (*found.boxes, *found.frames)
            ]
            assert (
                max(places) > max(edges) if found.rising else min(places) < min(edges)
            )


@every_layout
def test_arrows_of_one_time_never_turn_back(found):
    along = 1 if found.rising else 0
    for arrow in found.arrows:
        if arrow.kind != "feedback":
            assert all(
                one[along] <= other[along] for one, other in pairwise(arrow.points)
            )


@every_layout
def test_a_start_ends_beside_the_feedback(found):
    across = 0 if found.rising else 1
    ends = {
        arrow.target: arrow.points[-1][across]
        for arrow in found.arrows
        if arrow.kind == "feedback"
    }
    for arrow in found.arrows:
        if arrow.kind == "start" and arrow.target in ends:
            assert abs(arrow.points[-1][across] - ends[arrow.target]) > 0.1


def test_time_flows_to_the_right_unless_that_is_too_wide():
    assert not LAYOUTS["vanilla"].rising
    assert LAYOUTS["vanilla"].width < 8
    assert LAYOUTS["twenty"].rising


def test_arrows_do_not_cross_where_they_need_not():
    places = {box.name: box.x for box in LAYOUTS["graph"].boxes if box.kind != "output"}
    assert (places["words"] < places["picture"]) == (
        places["embedded"] < places["seen"]
    )


# What is shown


def arrows(name: str, kind: str) -> set[tuple[str, str, str]]:
    return {
        (arrow.source.name, arrow.label, arrow.target.name)
        for arrow in LAYOUTS[name].arrows
        if arrow.kind == kind
    }


def lines(name: str) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(box.kind, box.name): box.lines[1:] for box in LAYOUTS[name].boxes}


def test_each_feedback_is_labelled_with_its_tap():
    assert arrows("vanilla", "feedback") == {("rec", "t-1", "h_tm1")}
    assert arrows("stacked", "feedback") == {
        ("rec1", "t-1", "h1_tm1"),
        ("rec2", "t-1", "h2_tm1"),
    }
    assert arrows("taps", "feedback") == {
        ("rec", "t-1", "h_tm1"),
        ("rec", "t-3", "h_tm3"),
        ("slower", "t-1", "slow_tm1"),
        ("i2h", "t-1", "i2h_tm1"),
    }


def test_a_bare_state_and_the_past_of_its_node_are_the_same_box():
    read = {(source, target) for source, _, target in arrows("taps", "now")}
    assert {
        ("h_tm1", "near"),
        ("h_tm1", "slower"),
        ("h_tm3", "far"),
        ("x_tm2", "past"),
    } <= read
    assert ("state", "rec_tm1") not in lines("taps")


def test_boxes_say_their_layers_sizes_and_merges():
    assert lines("vanilla") == {
        ("input", "input"): ("input",),
        ("state", "h_tm1"): ("state, dim 6",),
        ("node", "i2h"): ("Dense 4 -> 6",),
        ("node", "h2h"): ("Dense 6 -> 6",),
        ("node", "rec"): ("Activation tanh", "sum of 2"),
        ("output", "rec"): ("output",),
    }
    assert lines("twenty")["node", "dropped"] == ("Dropout 0.5",)
    assert lines("twenty")["node", "policy"] == ("Dense 16 -> 10, softmax",)
    assert lines("graph")["output", "mixed"] == ("output, ave of 2",)


def test_several_ports_are_told_apart_by_name():
    refs = (Ref("x"), Ref("h"))
    ports = (
        PortSpec("query", refs, "sum"),
        PortSpec("key", refs[:1]),
        PortSpec("value", refs),
    )
    both = NodeSpec("both", LayerSpec("Attention"), ports)
    found = layout(
        sketch(
            GraphSpec(
                inputs=(InputSpec("x", dtype="int"), InputSpec("h")), nodes=(both,)
            )
        )
    )
    assert found.boxes[2].lines == (
        "both",
        "Attention",
        "query: sum of 2",
        "value: concat of 2",
    )
    assert found.boxes[0].lines == ("x", "input, int")
    assert len(found.arrows) == 2


def test_sizes_that_are_not_known_yet_and_containers_are_said_briefly():
    spec = node(
        start({"x": 4}),
        "late",
        LayerSpec("Dense", {"input_dim": None, "output_dim": 6}),
        "x",
    )
    spec = node(spec, "chain", LayerSpec("Sequential", {"layers": [{}, {}]}), "late")
    spec = node(spec, "own", LayerSpec("Activation", {"activation": len}), "chain")
    told = [box.lines[1] for box in layout(sketch(spec)).boxes[1:4]]
    assert told == ["Dense -> 6", "Sequential 2 layers", "Activation len"]


def test_a_state_that_nobody_reads_is_shown():
    spec = node(
        start({"x": 4}, {"h": 6}), "rec", dense(4, 6), "x", state="h", output=True
    )
    assert ("h_tm1", "t-1") in {
        (arrow.target.name, arrow.label) for arrow in layout(sketch(spec)).arrows
    }


def test_an_arrow_leads_from_a_context_to_the_state_that_starts_from_it():
    assert arrows("begun", "start") == {
        ("begin", "", "h_tm1"),
        ("begin", "", "h_tm2"),
        ("begin", "", "c_tm1"),
        ("other", "", "k_tm1"),
    }
    assert arrows("begun_unrolled", "start") == {
        ("begin", "", "h[0]"),
        ("begin", "", "h[-1]"),
        ("begin", "", "c[0]"),
        ("other", "", "k[0]"),
    }


def test_states_go_from_step_to_step_where_steps_are_drawn_side_by_side():
    assert arrows("vanilla_unrolled", "carried") == {
        ("h[0]", "", "h2h[1]"),
        ("rec[1]", "", "h2h[2]"),
        ("rec[2]", "", "h2h[3]"),
    }
    assert not arrows("vanilla_unrolled", "feedback")
    read = arrows("taps_unrolled", "carried")
    assert {
        ("h[-2]", "", "far[1]"),
        ("h[0]", "", "far[3]"),
        ("rec[2]", "", "near[3]"),
        ("i2h[0]", "", "slower[1]"),
        ("i2h[2]", "", "slower[3]"),
        ("slower[2]", "", "slower[3]"),
    } <= read
    assert {("x[-1]", "", "past[1]"), ("x[1]", "", "past[3]")} <= arrows(
        "taps_unrolled", "now"
    )


def test_what_is_missing_is_marked_in_every_step():
    missing = {
        box.name: box.lines[-1]
        for box in LAYOUTS["incomplete_unrolled"].boxes
        if box.missing
    }
    assert missing == {"c[0]": "fed by ?", "?": "output"}
    assert [box.missing for box in LAYOUTS["GraphSpec_unrolled"].boxes] == [True, True]
    missing = {
        box.name: box.lines[-1]
        for box in LAYOUTS["broken_unrolled"].boxes
        if box.missing
    }
    assert {
        "c[1]": "reads ?",
        "c[3]": "reads ?",
        "y[2]": "reads z ?",
    }.items() <= missing.items()


def test_inputs_that_nobody_reads_are_shown_in_every_step():
    spec = node(start({"x": 4, "unread": 3}), "n", dense(4, 6), "x", output=True)
    assert {"unread[1]", "unread[2]"} <= {
        box.name for box in layout(unrolled(spec, 2)).boxes
    }


@pytest.mark.parametrize("steps", [0, -1, 1.5, True, "3", None])
def test_another_number_of_steps_is_refused(steps):
    with pytest.raises(ConfigError, match="an integer of 1 or more"):
        unrolled(SPECS["vanilla"], steps)


def test_a_graph_has_no_steps_to_unroll():
    with pytest.raises(ConfigError, match="a container with a loop"):
        unrolled(SPECS["graph"], 3)


def test_a_state_that_has_the_name_of_its_node_keeps_its_words():
    spec = GraphSpec(loop=True, free=True, n_steps=3)
    reads = (PortSpec("input", (Ref("f", -1),)),)
    spec = declare(
        declare(spec, StateSpec("f", 2, "f")), NodeSpec("f", dense(2, 2), reads)
    )
    assert [box.lines for box in layout(sketch(spec)).boxes if box.kind == "state"] == [
        ("f_tm1", "state, dim 2")
    ]


def test_a_graph_has_neither_a_loop_nor_past_values():
    found = LAYOUTS["graph"]
    assert not found.frames
    assert {arrow.kind for arrow in found.arrows} == {"now"}
    assert sorted(box.name for box in found.boxes if box.kind == "output") == [
        "answer",
        "mixed",
    ]


def test_what_is_missing_is_marked():
    missing = {
        box.name: box.lines[-1] for box in LAYOUTS["incomplete"].boxes if box.missing
    }
    assert missing == {"c_tm1": "fed by ?", "?": "output"}
    missing = {
        box.name: box.lines[-1] for box in LAYOUTS["broken"].boxes if box.missing
    }
    assert missing == {
        "s_tm1": "fed by ?",
        "a": "reads b ?",
        "b": "reads who_tm1 ?",
        "c": "reads ?",
        "y": "reads z ?",
    }
    assert [box.missing for box in LAYOUTS["GraphSpec"].boxes] == [True, True]


def test_a_node_of_several_outputs_is_one_box_with_an_arrow_to_each_that_reads_it():
    reads = (PortSpec("input", (Ref("x"), Ref("lstm.cell", -1))),)
    spec = declare(
        start({"x": 4}),
        NodeSpec("lstm", LayerSpec("RecurrentLSTM"), reads, ("output", "cell")),
    )
    spec = node(
        node(spec, "both", dense(12, 3), "lstm lstm.cell"),
        "one",
        dense(6, 2),
        "lstm.cell",
        output=True,
    )
    found = layout(sketch(spec))
    assert not [box.name for box in found.boxes if box.missing]
    assert sorted(
        (arrow.source.name, arrow.target.name, arrow.kind) for arrow in found.arrows
    ) == [
        ("lstm", "both", "now"),
        ("lstm", "lstm.cell_tm1", "feedback"),
        ("lstm", "one", "now"),
        ("lstm.cell_tm1", "lstm", "now"),
        ("one", "one", "now"),
        ("x", "lstm", "now"),
    ]


def test_a_name_that_a_node_of_several_outputs_does_not_give_is_missing():
    two = NodeSpec(
        "two", LayerSpec("Graph"), (PortSpec("input", (Ref("x"),)),), ("a", "b")
    )
    spec = GraphSpec(
        inputs=(InputSpec("x"),),
        nodes=(two,),
        outputs=(OutputSpec("y", (Ref("two.a"), Ref("two.c"))),),
    )
    assert {
        box.name: box.lines[-1] for box in layout(sketch(spec)).boxes if box.missing
    } == {"y": "reads two.c ?"}


def test_a_whole_network_misses_nothing():
    assert not [
        box
        for name in (
            "vanilla",
            "stacked",
            "taps",
            "twenty",
            "graph",
            "wide",
            "begun",
            "several",
        )
        for box in LAYOUTS[name].boxes
        if box.missing
    ]


# The same as text

SKETCHES = {name: sketch(spec) for name, spec in SPECS.items()} | {
    "vanilla_planned": sketch(SPECS["vanilla"], planned(SPECS["vanilla"])),
    "taps_unrolled": unrolled(SPECS["taps"], 3),
    "begun_unrolled": unrolled(SPECS["begun"], 2),
}
every_sketch = pytest.mark.parametrize("drawn", SKETCHES.values(), ids=SKETCHES)


def told(drawn: Sketch) -> tuple[list[tuple[str, ...]], list[tuple]]:
    """The content of a text: the lines of boxes, the ends and labels of arrows."""
    links = [(link.source.lines, link.target.lines, link.label) for link in drawn.links]
    return sorted(part.lines for part in drawn.parts), sorted(links)


@every_sketch
def test_dot_tells_every_box_and_every_arrow_with_its_tap(drawn):
    text = Picture(drawn).dot
    boxes = {
        name: tuple(re.sub(r"\\(.)", r"\1", line) for line in re.split(r"\\n", words))
        for name, words in re.findall(
            r'^ *(\w+) \[label="((?:[^"\\]|\\.)*)"', text, re.M
        )
    }
    links = [
        (boxes[source], boxes[target], label)
        for source, target, label in re.findall(
            r'^ *(\w+) -> (\w+)(?: \[(?:label="([^"]*)")?[^]]*\])?;$', text, re.M
        )
    ]
    assert (sorted(boxes.values()), sorted(links)) == told(drawn)


@every_sketch
def test_mermaid_tells_every_box_and_every_arrow_with_its_tap(drawn):
    text = Picture(drawn).mermaid
    boxes = {
        name: tuple(
            re.sub(r"#(\d+);", lambda code: chr(int(code[1])), line)
            for line in words.split("<br/>")
        )
        for name, words in re.findall(r'^ *(\w+)\["([^"]*)"\]$', text, re.M)
    }
    links = [
        (boxes[source], boxes[target], label)
        for source, label, target in re.findall(
            r'^ *(\w+) -[-.]+>(?:\|"([^"]*)"\|)? (\w+)$', text, re.M
        )
    ]
    assert (sorted(boxes.values()), sorted(links)) == told(drawn)


def test_texts_put_what_is_in_the_loop_and_nothing_else_into_its_box():
    picture = Picture(SKETCHES["vanilla_planned"])
    inside = re.search(
        r'subgraph z2\["one step of scan"\]\n(.*?)\n    end', picture.mermaid, re.S
    )[1]
    assert re.findall(r'"(\w+)<br/>', inside) == ["h2h", "rec"]
    number = {
        name: index
        for index, name in re.findall(
            r'p(\d+) \[label="(\w+)\\n(?:Dense|Act)', picture.dot
        )
    }
    inside = re.search(
        r'subgraph cluster_2 {\n *label="one step of scan";\n(.*?)}', picture.dot, re.S
    )[1]
    assert re.findall(r"p(\d+);", inside) == [number["h2h"], number["rec"]]


@pytest.mark.parametrize(
    ("ending", "begins"), [("dot", "digraph step {"), ("mmd", "flowchart LR")]
)
def test_texts_are_written_to_files(ending, begins, tmp_path):
    Picture(SKETCHES["taps"]).save(tmp_path / f"step.{ending}")
    assert (tmp_path / f"step.{ending}").read_text().startswith(begins)
    assert [path.name for path in tmp_path.iterdir()] == [f"step.{ending}"]


# Files


def svg(name: str, path, dark: bool | None = None) -> bytes:
    draw(SPECS[name], path / "step.svg", dark=dark)
    return (path / "step.svg").read_bytes()


@needs_matplotlib
@every_spec
def test_every_line_is_text_in_the_svg(name, tmp_path):
    written = {
        unescape(text)
        for text in re.findall(
            r"<text[^>]*>([^<]*)</text>", svg(name, tmp_path).decode()
        )
    }
    found = LAYOUTS[name]
    assert written == {line for box in found.boxes for line in box.lines} | {
        arrow.label for arrow in found.arrows if arrow.label
    } | {frame.name for frame in found.frames}


@needs_matplotlib
@pytest.mark.parametrize("dark", [False, True])
def test_two_runs_write_the_same_bytes(dark, tmp_path):
    assert svg("taps", tmp_path, dark) == svg("taps", tmp_path, dark)
    assert b"dc:date" not in svg("taps", tmp_path, dark)
    assert svg("taps", tmp_path, dark) != svg("taps", tmp_path, not dark)


@needs_matplotlib
def test_settings_of_the_user_neither_show_nor_change(tmp_path):
    import matplotlib

    plain = svg("vanilla", tmp_path)
    with matplotlib.rc_context(
        {
            "text.usetex": True,
            "font.size": 30,
            "svg.hashsalt": "salt",
            "lines.linewidth": 9,
        }
    ):
        before = dict(matplotlib.rcParams)
        assert svg("vanilla", tmp_path) == plain
        assert dict(matplotlib.rcParams) == before


@needs_matplotlib
@every_spec
def test_every_line_fits_into_its_box(name):
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.font_manager import FontProperties

    renderer = RendererAgg(10, 10, 72)
    for box in LAYOUTS[name].boxes:
        for index, line in enumerate(box.lines):
            font = FontProperties(
                size=LINE_SIZE if index else NAME_SIZE,
                weight="normal" if index else "bold",
            )
            width, _, _ = renderer.get_text_width_height_descent(
                line, font, ismath=False
            )
            assert width / 72 < box.width - 0.05, line


@needs_matplotlib
def test_a_png_is_as_wide_as_the_layout_at_150_dots_an_inch(tmp_path):
    draw(SPECS["incomplete"], str(tmp_path / "step.PNG"), dark=True)
    head = (tmp_path / "step.PNG").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(head[16:20], "big") == int(LAYOUTS["incomplete"].width * 150)


@pytest.mark.parametrize("name", ["step.jpg", "step", "svg"])
def test_another_ending_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.svg, \.png"):
        draw(SPECS["vanilla"], tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        MissingPackageError, match=r"pip install 'recursive-rnn\[examples\]'"
    ):
        draw(SPECS["vanilla"], tmp_path / "step.svg")


# In a process of its own

SCRIPT = """
import json
import sys
import recursive.drawing
from recursive.spec.graph import GraphSpec
loaded = {"pytensor", "numpy", "matplotlib"} & set(sys.modules)
assert not loaded, loaded
spec = GraphSpec.from_dict(json.loads(sys.argv[1]))
print(recursive.drawing.layout(recursive.drawing.sketch(spec)))
if len(sys.argv) > 2:
    recursive.drawing.draw(spec, sys.argv[2])
    loaded = {"pytensor", "matplotlib.pyplot"} & set(sys.modules)
    assert not loaded, loaded
"""


def run(*arguments: object) -> str:
    """The output of the script in a process with other hashes of strings."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        check=True,
        text=True,
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": "620"},
    ).stdout.strip()


def as_json(spec: GraphSpec) -> str:
    return json.dumps(spec.to_dict())


def test_importing_the_drawing_loads_no_tensors_and_each_process_lays_out_alike():
    assert run(as_json(SPECS["twenty"])) == str(LAYOUTS["twenty"])


@needs_matplotlib
def test_drawing_loads_neither_tensors_nor_pyplot_and_each_process_writes_alike(
    tmp_path,
):
    run(as_json(SPECS["taps"]), tmp_path / "other.svg")
    assert (tmp_path / "other.svg").read_bytes() == svg("taps", tmp_path)
