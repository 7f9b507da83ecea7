"""The shape of every name at one step, with layers that are nothing but a rule."""

import itertools
import types

import pytest

from recursive.errors import (
    MergeError,
    NodeError,
    RecursiveError,
    ShapeError,
    StateError,
)
from recursive.spec.graph import (
    GraphSpec,
    InputSpec,
    LayerSpec,
    NodeSpec,
    PortSpec,
    StateSpec,
)
from recursive.spec.names import Ref
from recursive.spec.shapes import check_rows, find_input_dims, infer, input_shape
from tests.spec.building import SENTENCE, node, output


def same(input_dim=None):
    """A rule that keeps the shape of its input, checked if ``input_dim`` is given."""
    return types.SimpleNamespace(
        input_dim=input_dim, get_output_shape_for=lambda shape: shape
    )


def dense(output_dim, input_dim=None):
    """A rule that changes the last size."""
    return types.SimpleNamespace(
        input_dim=input_dim,
        get_output_shape_for=lambda shape: (*shape[:-1], output_dim),
    )


def table(output_dim):
    """A rule that puts a size behind the others, as an embedding does."""
    return types.SimpleNamespace(
        input_dim=None, get_output_shape_for=lambda shape: (*shape, output_dim)
    )


def shapes_of(inputs=(), states=(), nodes=(), outputs=(), loop=True):
    """Shapes of a graph whose nodes are given with their rules."""
    spec = GraphSpec(
        loop=loop,
        inputs=tuple(inputs),
        states=tuple(states),
        nodes=tuple(item for item, _ in nodes),
        outputs=tuple(outputs),
    )
    rules = {item.name: rule for item, rule in nodes}
    found = infer(spec, rules)
    check_rows(spec, rules, found)
    return found


def dims_of(inputs, nodes, states=()):
    """The dims that are found for the inputs."""
    spec = GraphSpec(
        inputs=tuple(inputs),
        states=tuple(states),
        nodes=tuple(item for item, _ in nodes),
    )
    found = find_input_dims(spec, {item.name: rule for item, rule in nodes})
    assert found.replace(inputs=()) == spec.replace(inputs=())
    assert [(item.name, item.ndim, item.dtype) for item in found.inputs] == [
        (item.name, item.ndim, item.dtype) for item in spec.inputs
    ]
    return {item.name: item.dim for item in found.inputs}


X4, Y6, OPEN = InputSpec("x", dim=4), InputSpec("y", dim=6), InputSpec("open")


@pytest.mark.parametrize(
    ("loop", "ndim", "dim", "shape"),
    [
        (True, 3, 4, (None, 4)),
        (True, 3, None, (None, None)),
        (True, 2, None, (None,)),
        (True, 4, 4, (None, None, 4)),
        (False, 2, 4, (None, 4)),
        (False, 1, None, (None,)),
        (False, 3, 4, (None, None, 4)),
        (False, 3, None, (None,) * 3),
    ],
)
def test_an_input_keeps_its_axes_but_time(loop, ndim, dim, shape):
    assert input_shape(GraphSpec(loop=loop), InputSpec("x", ndim, dim=dim)) == shape


def test_shapes_are_carried_from_the_inputs_to_the_outputs():
    found = shapes_of(
        [X4, InputSpec("word", 2, "int"), InputSpec("image", 4, dim=3)],
        [StateSpec("h", 6, "rec")],
        [
            (node("i2h", "x"), dense(6, 4)),
            (node("h2h", "h"), dense(6, 6)),
            (node("emb", "word"), table(5)),
            (node("rec", "i2h", "h2h", mode="sum"), same()),
            (node("pix", "image"), dense(2, 3)),
        ],
        [
            output("rec", "rec"),
            output("y", "rec", "emb"),
            output("z", "rec_tm1"),
            output("past", "image_tm1"),
        ],
    )
    assert found == {
        "x": (None, 4),
        "word": (None,),
        "image": (None, None, 3),
        "h": (None, 6),
        "i2h": (None, 6),
        "h2h": (None, 6),
        "emb": (None, 5),
        "rec": (None, 6),
        "pix": (None, None, 2),
        "y": (None, 11),
        "z": (None, 6),
        "past": (None, None, 3),
    }


MERGED = [
    # mode, shapes of inputs, shape of what reads them
    ("concat", [(3, 4)], (None, 4)),
    ("concat", [(3, 4), (3, 6)], (None, 10)),
    ("concat", [(3, 4), (3, 6), (3, 1)], (None, 11)),
    ("concat", [(3, 4), (3, None)], (None, None)),
    ("concat", [(3, None), (3, 6)], (None, None)),
    ("concat", [(4, 2), (4, 3)], (None, None, 5)),
    *itertools.chain.from_iterable(
        [
            (mode, [(3, 4)], (None, 4)),
            (mode, [(3, 4), (3, 4)], (None, 4)),
            (mode, [(3, 4), (3, None)], (None, 4)),
            (mode, [(3, None), (3, 4), (3, 4)], (None, 4)),
            (mode, [(3, None), (3, None)], (None, None)),
            (mode, [(4, 7), (4, 7)], (None, None, 7)),
            (mode, [(2, None), (2, None)], (None,)),
        ]
        for mode in ("sum", "mul", "ave", "max")
    ),
]


@pytest.mark.parametrize(("mode", "inputs", "shape"), MERGED)
def test_a_merge_has_one_shape_for_a_node_and_for_an_output(mode, inputs, shape):
    declared = [
        InputSpec(f"x{index}", ndim, dim=dim)
        for index, (ndim, dim) in enumerate(inputs)
    ]
    names = [item.name for item in declared]
    found = shapes_of(
        declared,
        [],
        [(node("a", *names, mode=mode), same())],
        [output("y", *names, mode=mode)],
    )
    assert (found["a"], found["y"]) == (shape, shape)


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", "max"])
@pytest.mark.parametrize("kind", ["node", "output"])
def test_values_of_another_number_of_axes_are_not_merged(mode, kind):
    inputs = [X4, InputSpec("image", 4, dim=4)]
    reader = {
        "node": {"nodes": [(node("a", "x", "image", mode=mode), same())]},
        "output": {"outputs": [output("a", "x", "image", mode=mode)]},
    }[kind]
    with pytest.raises(MergeError) as raised:
        shapes_of(inputs, **reader)
    sentence = SENTENCE.fullmatch(str(raised.value))
    assert (sentence["kind"], sentence["name"]) == (kind, "a")
    assert repr(mode) in sentence["takes"]
    assert sentence["got"] == "x (None, 4), image (None, None, 4)"


@pytest.mark.parametrize(
    ("mode", "dim", "shape"),
    [
        ("sum", 1, (None, 1)),
        ("ave", 1, (None, 1)),
        ("max", 1, (None, 1)),
        ("mul", 1, (None, None)),
        ("mul", 4, (None, 4)),
    ],
)
def test_a_state_without_a_dim_has_that_of_what_it_is_merged_with_unless_that_may_be_a_gate(
    mode, dim, shape
):
    inputs, states = [InputSpec("x", dim=dim)], [StateSpec("h", None, "rec")]
    found = shapes_of(
        inputs,
        states,
        [(node("later", "h"), same()), (node("rec", "x", "later", mode=mode), same())],
    )
    assert found["h"] == found["rec"] == shape


def test_one_value_a_row_multiplies_a_whole_row():
    """A gate of dim 1 and a value of any dim, in either order."""
    inputs = [InputSpec("gate", dim=1), X4]
    found = shapes_of(
        inputs,
        [],
        [
            (node("a", "gate", "x", mode="mul"), same()),
            (node("b", "x", "gate", mode="mul"), same()),
            (node("c", "gate", "gate", mode="mul"), same()),
        ],
    )
    assert (found["a"], found["b"], found["c"]) == ((None, 4), (None, 4), (None, 1))
    with pytest.raises(MergeError):
        shapes_of(
            [*inputs, InputSpec("y", dim=6)],
            [],
            [(node("a", "gate", "x", "y", mode="mul"), same())],
        )


@pytest.mark.parametrize(
    ("mode", "other"),
    [(mode, 6) for mode in ("sum", "mul", "ave", "max")]
    + [(mode, 1) for mode in ("sum", "ave", "max")],
)
def test_values_of_another_dim_are_merged_by_concat_only(mode, other):
    inputs = [X4, InputSpec("y", dim=other)]
    with pytest.raises(MergeError) as raised:
        shapes_of(inputs, [], [(node("a", "x", "y", mode=mode), same())])
    sentence = SENTENCE.fullmatch(str(raised.value))
    assert sentence["got"] == f"x (None, 4), y (None, {other})"
    assert sentence["do"].endswith("or use concat.")
    assert shapes_of(inputs, [], [(node("a", "x", "y"), same())])["a"] == (
        None,
        4 + other,
    )


def test_values_are_joined_along_the_last_axis_only():
    inputs = [InputSpec("word", 2, "int", 9), InputSpec("tag", 2, "int", 8)]
    tables = [
        (node("words", "word"), table(6)),
        (node("tags", "tag"), table(4)),
        (node("more", "word"), table(4)),
    ]
    assert shapes_of(inputs, [], tables, [output("y", "words", "more")], loop=False)[
        "y"
    ] == (None, 9, 10)
    with pytest.raises(MergeError) as raised:
        shapes_of(inputs, [], tables, [output("y", "words", "tags")], loop=False)
    sentence = SENTENCE.fullmatch(str(raised.value))
    assert sentence["got"] == "words (None, 9, 6), tags (None, 8, 4)"
    assert "along the last axis" in sentence["because"]
    assert "concat" not in sentence["do"]


def test_a_layer_reads_the_dim_that_it_was_made_for():
    with pytest.raises(ShapeError) as raised:
        shapes_of(
            [X4, Y6],
            [],
            [
                (node("a", "x"), dense(6, 4)),
                (node("b", "a", "y_tm1", layer="Dense"), dense(2, 6)),
            ],
        )
    sentence = SENTENCE.fullmatch(str(raised.value))
    assert (sentence["kind"], sentence["name"], sentence["got"]) == (
        "node",
        "b",
        "12 from a + y_tm1",
    )
    assert "dim 6" in sentence["takes"]
    assert "Dense" in sentence["because"]


def test_the_dim_that_a_layer_reads_is_the_last_of_any_number_of_axes():
    with pytest.raises(
        ShapeError, match=r"^node 'a' takes an input of dim 4, .* got 3 from image\."
    ):
        shapes_of(
            [InputSpec("image", 4, dim=3)], [], [(node("a", "image"), dense(6, 4))]
        )


def test_a_layer_reads_a_dim_that_is_not_known_yet():
    found = shapes_of(
        [OPEN], [], [(node("a", "open"), dense(6, 4)), (node("b", "open"), same())]
    )
    assert found == {"open": (None, None), "a": (None, 6), "b": (None, None)}


@pytest.mark.parametrize(
    ("rule", "got"), [(dense(5), "(None, 5)"), (same(), "(None, 4)")]
)
def test_a_state_has_the_dim_of_the_node_that_feeds_it(rule, got):
    with pytest.raises(StateError) as raised:
        shapes_of([X4], [StateSpec("h", 6, "rec")], [(node("rec", "x"), rule)])
    sentence = SENTENCE.fullmatch(str(raised.value))
    assert (sentence["kind"], sentence["name"], sentence["got"]) == (
        "state",
        "h",
        f"{got} from node 'rec'",
    )
    assert "dim 6" in sentence["takes"]


@pytest.mark.parametrize(
    ("item", "rule"),
    [
        (InputSpec("x", 4, dim=6), same()),
        (InputSpec("x", 2), same()),
        (InputSpec("x", 3, "int", 6), table(6)),
    ],
)
def test_a_state_is_one_row_of_values(item, rule):
    with pytest.raises(StateError, match=r"^state 'h' takes values of \(batch, dim\)"):
        shapes_of([item], [StateSpec("h", 6, "rec")], [(node("rec", "x"), rule)])


def test_a_state_keeps_its_dim_where_that_of_its_node_is_not_known_yet():
    found = shapes_of(
        [OPEN],
        [StateSpec("h", 6, "rec")],
        [(node("rec", "open"), same()), (node("b", "h"), same(6))],
    )
    assert (found["rec"], found["h"], found["b"]) == (
        (None, None),
        (None, 6),
        (None, 6),
    )


def test_a_state_without_a_dim_has_that_of_its_node_wherever_it_is_read():
    found = shapes_of(
        [X4],
        [StateSpec("h", None, "rec")],
        [
            (node("in", "x"), dense(6)),
            (node("back", "h", "in"), same()),
            (node("rec", "back"), dense(6)),
            (node("far", "h_tm3", "rec"), same()),
        ],
    )
    assert (found["h"], found["back"], found["far"]) == (
        (None, 6),
        (None, 12),
        (None, 12),
    )


def test_states_without_dims_that_feed_one_another_are_all_found():
    states = [StateSpec(f"h{index}", None, f"n{index}") for index in range(5)]
    nodes = [(node(f"n{index}", f"h{index + 1}"), same()) for index in range(4)]
    found = shapes_of([X4], states, [*nodes, (node("n4", "x"), dense(7))])
    assert {
        found[name]
        for name in ("h0", "h1", "h2", "h3", "h4", "n0", "n1", "n2", "n3", "n4")
    } == {(None, 7)}


IMPLICIT = {
    "its own past, added": (
        [(node("a", "x", "a_tm1", mode="sum"), same())],
        {"a": (None, 4)},
    ),
    "its own past, behind a layer": (
        [(node("a", "x", "a_tm1"), dense(6))],
        {"a": (None, 6)},
    ),
    "its own past alone": ([(node("a", "a_tm1"), dense(6))], {"a": (None, 6)}),
    "its own past alone, through a layer of any dim": (
        [(node("a", "a_tm1"), same())],
        {"a": (None, None)},
    ),
    "the past of another": (
        [(node("a", "x"), dense(6)), (node("b", "a_tm2", "x"), same())],
        {"a": (None, 6), "b": (None, 10)},
    ),
}


@pytest.mark.parametrize(("nodes", "expected"), IMPLICIT.values(), ids=IMPLICIT)
def test_the_past_of_a_node_has_the_shape_of_the_node(nodes, expected):
    found = shapes_of([X4], [], nodes)
    assert found == {"x": (None, 4), **expected}


def test_a_layer_checks_the_past_that_it_reads():
    with pytest.raises(
        ShapeError,
        match=r"^node 'a' takes an input of dim 6, .* got 10 from x \+ a_tm1\.",
    ):
        shapes_of([X4], [], [(node("a", "x", "a_tm1"), dense(6, 6))])


def test_shapes_do_not_depend_on_the_order_of_declaration():
    nodes = [
        (node("a", "x"), dense(6)),
        (node("b", "a", "h"), same()),
        (node("c", "b", "x"), same()),
        (node("d", "c"), dense(3)),
    ]
    found = [
        shapes_of([X4], [StateSpec("h", 3, "d")], order)
        for order in itertools.permutations(nodes)
    ]
    assert all(shapes == found[0] for shapes in found)
    assert found[0]["c"] == (None, 13)


def test_without_a_loop_every_axis_stays():
    found = shapes_of(
        [InputSpec("x", 3, dim=4), InputSpec("word", 2, "int", 9)],
        [],
        [
            (node("a", "x"), dense(6, 4)),
            (node("e", "word"), table(6)),
            (node("both", "a", "e", mode="sum"), same()),
        ],
        [output("y", "both", "x")],
        loop=False,
    )
    assert (found["a"], found["e"], found["y"]) == (
        (None, None, 6),
        (None, 9, 6),
        (None, 9, 10),
    )


H6 = StateSpec("h", 6, "a")

FOUND = {
    "a layer that reads it alone": ([OPEN], [(node("a", "open"), dense(6, 4))], 4),
    "a layer that reads it at a tap": (
        [OPEN],
        [(node("a", "open_tm2"), dense(6, 4))],
        4,
    ),
    "a layer of more axes": (
        [InputSpec("open", 4)],
        [(node("a", "open"), dense(6, 4))],
        4,
    ),
    "an element-wise merge": (
        [OPEN, X4],
        [(node("a", "x", "open", mode="sum"), dense(6, 4))],
        4,
    ),
    "an element-wise merge of unknowns": (
        [OPEN, InputSpec("x")],
        [(node("a", "open", "x", mode="max"), same(5))],
        5,
    ),
    "what a concat leaves over": (
        [OPEN, X4],
        [(node("a", "x", "open", "h"), dense(6, 13))],
        3,
    ),
    "what a concat with a past leaves over": (
        [OPEN, X4],
        [(node("a", "open", "x_tm1", "h_tm2"), dense(6, 13))],
        3,
    ),
    "the second layer, where the first takes any": (
        [OPEN],
        [(node("a", "open"), same()), (node("b", "open"), dense(6, 4))],
        4,
    ),
    "the second layer, where the first reads two unknowns": (
        [OPEN, InputSpec("x")],
        [(node("a", "open", "x"), dense(6, 9)), (node("b", "open"), dense(6, 4))],
        4,
    ),
    "not a concat of two unknowns": (
        [OPEN, InputSpec("x")],
        [(node("a", "open", "x"), dense(6, 9))],
        None,
    ),
    "not a concat that leaves nothing": (
        [OPEN],
        [(node("a", "open", "h"), dense(6, 6))],
        None,
    ),
    "not a concat that leaves less than nothing": (
        [OPEN],
        [(node("a", "open", "h"), dense(6, 2))],
        None,
    ),
    "what a concat with a node leaves over": (
        [OPEN, X4],
        [(node("b", "x"), dense(3)), (node("a", "b", "open"), dense(6, 9))],
        6,
    ),
    "what a concat with a node and a state leaves over": (
        [OPEN, X4],
        [(node("b", "x"), dense(3)), (node("a", "b", "open", "h"), dense(6, 14))],
        5,
    ),
    "what a concat with the past of a node leaves over": (
        [OPEN, X4],
        [(node("b", "x"), dense(3)), (node("a", "b_tm1", "open"), dense(6, 9))],
        6,
    ),
    "what a concat with a node behind a node leaves over": (
        [OPEN, X4],
        [
            (node("b", "x"), dense(3)),
            (node("d", "b", "x"), same()),
            (node("a", "d", "open"), dense(6, 9)),
        ],
        2,
    ),
    "a concat with a node of a dim that is found first": (
        [OPEN, InputSpec("x")],
        [
            (node("b", "x"), same(4)),
            (node("a", "open", "b"), dense(6, 9)),
        ],
        5,
    ),
    "not a concat with a node of unknown dim": (
        [OPEN, InputSpec("x")],
        [(node("b", "x"), same()), (node("a", "open", "b"), dense(6, 9))],
        None,
    ),
    "not a layer that takes any": ([OPEN], [(node("a", "open"), same())], None),
    "not a layer behind another": (
        [OPEN],
        [(node("b", "open"), same()), (node("a", "b"), dense(6, 4))],
        None,
    ),
    "not where there is no dim": (
        [InputSpec("open", 2)],
        [(node("a", "open"), dense(6, 4))],
        None,
    ),
    "not where nothing reads it": ([OPEN, X4], [(node("a", "x"), dense(6, 4))], None),
}


@pytest.mark.parametrize(("inputs", "nodes", "dim"), FOUND.values(), ids=FOUND)
def test_the_dim_of_an_input_is_found_from_what_reads_it(inputs, nodes, dim):
    assert dims_of(inputs, nodes, [H6])["open"] == dim


def test_a_dim_found_in_one_layer_helps_to_find_the_next():
    inputs = [OPEN, InputSpec("x")]
    nodes = [(node("a", "open"), dense(6, 4)), (node("b", "x"), dense(6, 3))]
    assert dims_of(inputs, nodes) == {"open": 4, "x": 3}


def test_a_dim_that_was_given_is_kept_even_where_a_layer_says_otherwise():
    nodes = [(node("a", "x"), dense(6, 9))]
    assert dims_of([X4, OPEN], nodes) == {"x": 4, "open": None}
    with pytest.raises(
        ShapeError, match=r"^node 'a' takes an input of dim 9, .* got 4 from x\."
    ):
        shapes_of([X4], [], nodes)


def test_layers_that_disagree_about_an_input_are_told_apart_once_its_dim_is_found():
    nodes = [(node("a", "open"), dense(6, 4)), (node("b", "open"), dense(6, 5))]
    [dim] = dims_of([OPEN], nodes).values()
    assert dim == 4
    with pytest.raises(
        ShapeError, match=r"^node 'b' takes an input of dim 5, .* got 4 from open\."
    ):
        shapes_of([InputSpec("open", dim=dim)], [], nodes)


# What passes though it could never run


def ever_growing():
    calls = itertools.count()

    def grow(shape):
        assert next(calls) < 500, "still not done"
        return (*shape, 4)

    return types.SimpleNamespace(input_dim=None, get_output_shape_for=grow)


PASSING = {
    "rows of numbers joined along the batch": lambda: shapes_of(
        [InputSpec("a", 2, "int"), InputSpec("b", 2, "int")],
        [],
        [(node("e", "a", "b"), table(4))],
    ),
    "a layer made for rows that reads one number": lambda: shapes_of(
        [InputSpec("a", 2)], [], [(node("d", "a"), dense(6, 4))]
    ),
    "a past of three axes": lambda: shapes_of(
        [InputSpec("a", 4, dim=4)], [], [(node("d", "a", "d_tm1", mode="sum"), same())]
    ),
    "a past of one axis": lambda: shapes_of(
        [InputSpec("a", 2)],
        [],
        [(node("d", "a"), same()), (node("e", "d_tm1"), same())],
    ),
    "one value handed over by its name to a layer of one": lambda: shapes_of(
        [X4], [], [(node("a", "x", mode="join"), same())]
    ),
    "a shape that grows with each step": lambda: shapes_of(
        [X4], [], [(node("e", "e_tm1"), ever_growing())]
    ),
}


@pytest.mark.parametrize("graph", PASSING.values(), ids=PASSING)
def test_shapes_that_could_never_run_are_refused(graph):
    with pytest.raises(RecursiveError):
        graph()


def test_a_dim_that_was_found_counts_in_the_concat_of_another():
    nodes = [(node("a", "open"), dense(6, 4)), (node("b", "open", "x"), dense(6, 9))]
    assert dims_of([OPEN, InputSpec("x")], nodes) == {"open": 4, "x": 5}


def rows(count):
    """A rule that returns ``count(rows)`` rows; an unknown number stays unknown."""
    return types.SimpleNamespace(
        input_dim=None,
        get_output_shape_for=lambda shape: (
            None if shape[0] is None else count(shape[0]),
            *shape[1:],
        ),
    )


@pytest.mark.parametrize(
    "count", [lambda rows: 1, lambda rows: rows - 1, lambda rows: 2 * rows]
)
@pytest.mark.parametrize("read", ["x", "h"])
def test_a_node_of_a_loop_that_returns_other_rows_than_it_reads_is_refused(count, read):
    """Scan would give every row the values of a single one."""
    for nodes, outputs, name in [
        ([(node("rec", read), rows(count))], [], "rec"),
        ([(node("some", read), rows(count)), (node("rec", "some"), same())], [], "rec"),
        (
            [(node("rec", "x"), same()), (node("y", read), rows(count))],
            [output("y", "y")],
            "y",
        ),
    ]:
        with pytest.raises(
            NodeError,
            match=rf"node '{name}' takes a row for each row of the batch.*got \d+ of 7",
        ):
            shapes_of([X4], [StateSpec("h", 4, "rec")], nodes, outputs)


def test_rows_may_change_in_between():
    nodes = [
        (node("both", "x"), rows(lambda rows: 2 * rows)),
        (node("rec", "both"), rows(lambda rows: rows // 2)),
    ]
    assert shapes_of([X4], [StateSpec("h", 4, "rec")], nodes)["rec"] == (None, 4)


def test_rows_matter_where_there_is_a_batch_and_a_value_is_handed_on():
    first, mean = (
        rows(lambda rows: 1),
        types.SimpleNamespace(
            input_dim=None, get_output_shape_for=lambda shape: (1, *shape[1:])
        ),
    )
    kept = [(node("some", "x"), first), (node("rec", "x"), same())]
    assert shapes_of([X4], [StateSpec("h", 4, "rec")], kept, [output("y", "rec")])[
        "y"
    ] == (None, 4)
    alone = shapes_of([], [StateSpec("h", 4, "rec")], [(node("rec", "h"), mean)])
    assert alone["rec"] == (1, 4)
    added = [(node("mean", "x"), mean), (node("rec", "x", "mean", mode="sum"), same())]
    assert shapes_of([X4], [StateSpec("h", 4, "rec")], added)["rec"] == (None, 4)


@pytest.mark.parametrize(
    ("count", "loop"),
    [
        (lambda rows: rows, True),
        (lambda rows: None, True),
        (lambda rows: 2 * rows, False),
    ],
)
def test_rows_that_are_kept_or_not_known_pass_and_so_do_others_outside_of_a_loop(
    count, loop
):
    assert shapes_of(
        [X4 if loop else InputSpec("x", 2, dim=4)],
        [],
        [(node("a", "x"), rows(count))],
        loop=loop,
    )["a"] == (None, 4)


def test_a_function_that_is_made_for_another_number_of_rows_is_not_asked():
    def of_three(shape):
        if shape[0] not in (None, 3):
            raise ValueError("three rows only")
        return shape

    rule = types.SimpleNamespace(input_dim=None, get_output_shape_for=of_three)
    assert shapes_of([X4], [StateSpec("h", 4, "rec")], [(node("rec", "x"), rule)])[
        "h"
    ] == (None, 4)


def test_a_state_of_a_known_number_of_rows_is_that_of_a_batch_of_so_many():
    three = types.SimpleNamespace(
        input_dim=None, get_output_shape_for=lambda shape: (3, *shape[1:])
    )
    assert shapes_of([X4], [StateSpec("h", None, "rec")], [(node("rec", "x"), three)])[
        "h"
    ] == (3, 4)


def test_a_state_of_one_row_for_the_whole_batch_is_refused():
    one = types.SimpleNamespace(
        input_dim=None, get_output_shape_for=lambda shape: (1, *shape[1:])
    )
    with pytest.raises(
        StateError,
        match=r"takes values of \(batch, dim\).*got \(1, 4\) from node 'rec'",
    ):
        shapes_of([X4], [StateSpec("h", 4, "rec")], [(node("rec", "x"), one)])


# What is not known is not taken for the part that is


@pytest.mark.parametrize("reads", [("g", "m_tm1"), ("m_tm1", "g"), ("g", "g", "h_tm1")])
def test_one_value_a_row_tells_nothing_of_a_past_that_it_multiplies(reads):
    found = shapes_of(
        [X4],
        [],
        [
            (node("g", "x"), dense(1)),
            (node("m", *reads, mode="mul"), same()),
            (node("i", "x"), dense(6)),
            (node("h", "i", "m", mode="sum"), same()),
        ],
    )
    assert found["h"] == (None, 6)


def test_a_layer_may_read_a_past_that_one_value_a_row_multiplies():
    found = shapes_of(
        [X4],
        [],
        [
            (node("g", "x"), dense(1)),
            (node("h", "g", "h_tm1", mode="mul"), dense(6, 6)),
        ],
    )
    assert found["h"] == (None, 6)


def test_several_values_a_row_tell_the_dim_of_a_past_that_they_multiply():
    found = shapes_of(
        [X4],
        [],
        [
            (node("g", "x"), dense(6)),
            (node("m", "g", "m_tm1", mode="mul"), same()),
        ],
    )
    assert found["m"] == (None, 6)


def test_a_rule_that_cannot_do_without_a_dim_leaves_the_others_to_be_found():
    def doubled(shape):
        return (*shape[:-1], 2 * shape[-1])

    rule = types.SimpleNamespace(input_dim=None, get_output_shape_for=doubled)
    nodes = [
        (node("b", "x"), same()),
        (node("c", "b"), rule),
        (node("a", "open", "b"), dense(6, 9)),
    ]
    assert dims_of([OPEN, InputSpec("x")], nodes) == {"open": None, "x": None}


# Words


def test_values_of_other_axes_get_advice_that_changes_the_axes():
    steps = InputSpec("steps", 3, dim=4)
    row = InputSpec("row", 2, dim=4)
    with pytest.raises(MergeError, match=r"RepeatVector\(n\).*Flatten\(\)"):
        shapes_of(
            [steps, row],
            [],
            [(node("a", "steps", "row", mode="sum"), same())],
            (),
            False,
        )


def test_a_layer_of_two_ports_without_a_rule_is_told_to_give_one():
    two = NodeSpec(
        "a",
        LayerSpec("Mine", {}),
        (PortSpec("p", (Ref("x"),)), PortSpec("q", (Ref("x"),))),
    )
    with pytest.raises(
        NodeError, match="Give the layer a get_output_shape_for"
    ) as raised:
        shapes_of([X4], [], [(two, same())])
    assert SENTENCE.fullmatch(str(raised.value))
