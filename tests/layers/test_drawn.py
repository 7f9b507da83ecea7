"""``draw`` of containers: the layout, several steps, text, files, and errors."""

import importlib.util
import re

import pytest

from recursive import Activation, Dense, Graph, Recursive
from recursive.errors import ConfigError
from recursive.layers.cells import RecurrentLSTM
from recursive.recipes import lstm

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib draws"
)


def vanilla():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=6)
    rnn.add_node(Dense(4, 6), "i2h", input="x")
    rnn.add_node(Dense(6, 6), "h2h", input="h")
    rnn.add_node(
        Activation("tanh"),
        "rec",
        inputs=["i2h", "h2h"],
        merge_mode="sum",
        return_state="h",
    )
    rnn.add_node(Dense(6, 2), "y", input="rec", create_output=True)
    return rnn


def started():
    rnn = Recursive()
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=6)
    rnn.set_state_from("h", "h0")
    rnn.add_node(
        Dense(10, 6), "rec", inputs=["x", "h"], return_state="h", create_output=True
    )
    return rnn


def boxes(picture):
    return {part.name: part for part in picture.drawn.parts if part.kind != "output"}


def links(picture, kind):
    return {
        (link.source.name, link.target.name)
        for link in picture.drawn.links
        if link.kind == kind
    }


def test_nodes_outside_the_loop_are_outside_its_frame():
    found = boxes(vanilla().draw())
    assert found["i2h"].lines[-1] == "before the loop"
    assert found["y"].lines[-1] == "after the loop"
    zones = [found[name].zone for name in ("x", "i2h", "h2h", "rec", "y")]
    assert zones == [0, 1, 2, 2, 3]
    picture = vanilla().draw()
    [frame], drawn = (
        picture.layout.frames,
        {box.name: box for box in picture.layout.boxes if box.kind == "node"},
    )
    inside = {
        name
        for name, box in drawn.items()
        if frame.y < box.y
        and box.y + box.height < frame.y + frame.height
        and frame.x < box.x
        and box.x + box.width < frame.x + frame.width
    }
    assert inside == {"h2h", "rec"}


def test_a_node_whose_input_product_is_hoisted_says_so_and_stays_inside():
    found = boxes(lstm(4, 6).draw())
    split = {
        name
        for name, part in found.items()
        if part.lines[-2:] == ("product with inputs", "before the loop")
    }
    assert split == {"i", "f", "o", "candidate"}
    assert {found[name].zone for name in split} == {2}


def test_a_state_shows_its_initial_value():
    assert boxes(started().draw())["h_tm1"].lines[-1] == "starts from h0"
    assert boxes(started().draw(unrolled=2))["h[0]"].lines[-1] == "starts from h0"


def test_unrolled_each_step_reads_the_step_before_it():
    picture = vanilla().draw(unrolled=3)
    assert links(picture, "carried") == {
        ("h[0]", "h2h[1]"),
        ("rec[1]", "h2h[2]"),
        ("rec[2]", "h2h[3]"),
    }
    assert {
        ("x[3]", "i2h[3]"),
        ("i2h[3]", "rec[3]"),
        ("h2h[3]", "rec[3]"),
        ("y[3]", "y[3]"),
    } <= links(picture, "now")
    assert not links(picture, "feedback")
    assert [frame.name for frame in picture.layout.frames] == [
        "step 1",
        "step 2",
        "step 3",
    ]


def test_unrolled_a_tap_spans_several_steps():
    rnn = Recursive()
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=6)
    rnn.add_node(
        Dense(14, 6),
        "rec",
        inputs=["x_tm1", "x", "h_tm2"],
        return_state="h",
        create_output=True,
    )
    picture = rnn.draw(unrolled=3)
    assert links(picture, "carried") == {
        ("h[-1]", "rec[1]"),
        ("h[0]", "rec[2]"),
        ("rec[1]", "rec[3]"),
    }
    assert {
        source for source, target in links(picture, "now") if target == "rec[3]"
    } == {"x[2]", "x[3]", "rec[3]"}
    assert ("x[0]", "rec[1]") in links(picture, "now")
    assert ("rec[3]", "rec[3]") in links(picture, "now")  # the last is the output


def test_an_incomplete_container_is_drawn_with_its_gaps():
    rnn = vanilla()
    rnn.add_state("c", dim=3)
    lost = {part.name for part in rnn.draw().drawn.parts if part.missing}
    assert lost == {"c_tm1"}
    assert "stroke:red" in rnn.draw().mermaid
    assert "color=red" in rnn.draw().dot


def test_a_graph_draws_itself_without_a_frame_and_has_no_steps():
    graph = Graph()
    graph.add_input("x", ndim=2, dim=4)
    graph.add_node(Dense(4, 6), "hidden", input="x")
    graph.add_output("y", input="hidden")
    assert not graph.draw().layout.frames
    assert "p0 --> p1" in graph.draw().mermaid
    with pytest.raises(
        ConfigError,
        match="takes a container with a loop, because only a loop has steps",
    ):
        graph.draw(unrolled=3)


@pytest.mark.parametrize("steps", [0, -1, True, 2.0, "3"])
def test_fewer_steps_than_one_are_refused(steps):
    with pytest.raises(
        ConfigError,
        match=r"'unrolled' takes an integer of 1 or more.*Say unrolled=3",
    ):
        vanilla().draw(unrolled=steps)


def test_the_text_has_every_box_every_arrow_and_the_loop():
    picture = vanilla().draw()
    for text, arrow in ((picture.dot, "->"), (picture.mermaid, ">")):
        assert len(re.findall(rf"p\d+ .*{arrow}.* ?p\d+", text)) == len(
            picture.drawn.links
        )
        assert all(part.name in text for part in picture.drawn.parts)
        assert "one step of scan" in text
        assert "t-1" in text


def test_special_characters_of_dot_and_mermaid_are_escaped():
    def a_function(x):
        return x

    a_function.__name__ = 'say "<b>" \\ #1'
    graph = Graph()
    graph.add_input("x", ndim=2, dim=4)
    graph.add_node(Activation(a_function), "odd", input="x")
    text = graph.draw()
    assert 'say \\"<b>\\" \\\\ #1' in text.dot
    assert "say #34;#60;b#62;#34; \\ #35;1" in text.mermaid


@needs_matplotlib
def test_the_ending_of_a_path_sets_the_format(tmp_path):
    begins = {
        "a.svg": b"<?xml",
        "a.PNG": b"\x89PNG",
        "a.dot": b"digraph",
        "a.mmd": b"flowchart",
    }
    for name, head in begins.items():
        assert vanilla().draw(tmp_path / name).drawn
        assert (tmp_path / name).read_bytes().startswith(head)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(begins)


@needs_matplotlib
def test_a_notebook_shows_an_svg_with_a_dark_mode():
    svg = vanilla().draw()._repr_svg_()
    assert "prefers-color-scheme: dark" in svg
    assert "before the loop" in svg


def test_another_ending_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(
        ConfigError, match=r"ends in \.svg, \.png, \.dot or \.mmd.*got '\.jpg'"
    ):
        vanilla().draw(tmp_path / "a.jpg")
    with pytest.raises(ConfigError, match="takes a folder that exists"):
        vanilla().draw(tmp_path / "none" / "a.dot")
    assert not list(tmp_path.iterdir())


def test_unrolled_each_output_of_a_node_goes_to_the_step_that_reads_it():
    rnn = Recursive()
    rnn.add_input("x", dim=4)
    rnn.add_node(
        RecurrentLSTM(4, 6),
        "lstm",
        create_output=True,
        input={"input": "x", "prev_hid": "lstm_tm1", "prev_cell": "lstm.cell_tm1"},
    )
    picture = rnn.draw(unrolled=2)
    assert not [part for part in picture.drawn.parts if part.missing]
    assert links(picture, "carried") == {
        ("lstm[0]", "lstm[1]"),
        ("lstm.cell[0]", "lstm[1]"),
        ("lstm[1]", "lstm[2]"),
    }
