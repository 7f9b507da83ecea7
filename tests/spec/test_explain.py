"""The plan explained to a reader."""

import re

from recursive.spec.explain import explain
from recursive.spec.graph import GraphSpec, InputSpec, StateSpec
from recursive.spec.plan import declared
from recursive.spec.text import step_source
from tests.spec.building import node, output

PARAMS = {"emb": ("emb.W",), "rec": ("rec.W", "rec.b")}
SIZES = {"emb.W": (50, 4), "rec.W": (16, 6), "rec.b": (6,)}
SHAPES = {
    "x": (None, 4),
    "word": (None,),
    "image": (None, None, 2),
    "h": (None, 6),
    "emb": (None, 4),
    "rec": (None, 6),
}
SPEC = GraphSpec(
    inputs=(
        InputSpec("x", dim=4),
        InputSpec("word", 2, "int"),
        InputSpec("image", 4, dim=2),
    ),
    states=(StateSpec("h", 6, "rec"),),
    nodes=(
        node("emb", "word", layer="Embedding"),
        node(
            "rec",
            "x",
            "x_tm2",
            "emb_tm1",
            "h_tm3",
            "h",
            layer="Dense",
            activation="tanh",
        ),
    ),
    outputs=(output("rec", "rec"),),
)


def test_the_table_says_for_each_argument_what_it_is_and_when_and_how_large():
    assert (
        explain(declared(SPEC, PARAMS), SHAPES, SIZES, PARAMS)
        == """\
The arguments of scan's step, in order:

position  kind       name   tap  shape
0         sequence   x      t-2  (batch, 4)
1         sequence   x      t    (batch, 4)
2         sequence   word   t    (batch,)
3         sequence   image  t    (batch, any, 2)
4         state      h      t-3  (batch, 6)
5         state      h      t-1  (batch, 6)
6         state      emb    t-1  (batch, 4)
7         parameter  emb.W       (50, 4)
8         parameter  rec.W       (16, 6)
9         parameter  rec.b       (6,)

The step:

def step(x_tm2, x, word, image, h_tm3, h_tm1, emb_tm1, emb_W, rec_W, rec_b):
    emb = emb_W[word]
    rec = tanh(concat([x, x_tm2, emb_tm1, h_tm3, h_tm1]) @ rec_W + rec_b)
    return [rec, emb]"""
    )


def test_the_table_has_the_arguments_of_the_plan_and_the_text_its_step():
    made = declared(SPEC, PARAMS)
    text = explain(made, SHAPES, SIZES, PARAMS)
    rows = re.findall(r"^(\d+) +(\w+) +([\w.]+) +(t(?:-\d+)?)? *\(", text, re.MULTILINE)
    assert [int(position) for position, *_ in rows] == list(range(len(made.arguments)))
    assert [(name, int(tap[1:] or 0)) for _, _, name, tap in rows] == [
        (ref.name, ref.tap) for ref in made.arguments
    ]
    assert text.endswith("\n\n" + step_source(made, PARAMS))


def test_columns_are_as_wide_as_their_longest_cell_and_no_line_ends_in_spaces():
    long = "a_rather_long_name_for_an_input"
    spec = GraphSpec(
        inputs=(InputSpec(long), InputSpec("x")),
        nodes=(node("a", long, "x_tm12"),),
        outputs=(output("a", "a"),),
    )
    lines = explain(
        declared(spec, {}), {long: (None, None), "x": (None, 4)}, {}, {}
    ).splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    head, first, second = lines[2:5]
    for column, one, two in (
        ("name", long, "x"),
        ("tap", "t ", "t-12"),
        ("shape", "(batch, any)", "(batch, 4)"),
    ):
        place = head.index(column)
        assert first[place:].startswith(one)
        assert second[place:].startswith(two)


def test_a_step_without_parameters_or_states_is_explained():
    spec = GraphSpec(inputs=(InputSpec("x"),), outputs=(output("y", "x"),))
    assert (
        explain(declared(spec, {}), {"x": (None, 4), "y": (None, 4)}, {}, {})
        == """\
The arguments of scan's step, in order:

position  kind      name  tap  shape
0         sequence  x     t    (batch, 4)

The step:

def step(x):
    y = x
    return [y]"""
    )
