"""The generated step as text: it is Python, it shows all nodes, and it runs."""

import ast
import random
from math import prod

import pytest

from recursive.spec.graph import GraphSpec, InputSpec, StateSpec
from recursive.spec.names import Ref
from recursive.spec.plan import declared
from recursive.spec.text import expression, merged, step_source
from tests.spec.building import node, output

WB = ("n.W", "n.b")


def written(params):
    return {name: name.replace(".", "_") for name in params}


def text_of(spec, params=None):
    text = step_source(declared(spec, params or {}), params or {})
    compile(text, "step", "exec")
    return text


FORMULAS = [
    (node("n", "x", layer="Dense"), WB, "x @ n_W + n_b"),
    (node("n", "x", layer="Dense", activation="linear"), WB, "x @ n_W + n_b"),
    (node("n", "x", layer="Dense", activation="tanh"), WB, "tanh(x @ n_W + n_b)"),
    (
        node("n", "x", layer="Dense", activation="relu", bias=False),
        ("n.W",),
        "relu(x @ n_W)",
    ),
    (node("n", "h_tm2", layer="Dense"), ("n.W",), "h_tm2 @ n_W"),
    (node("n", "x", layer="Dense"), ("other.W", "other.b"), "x @ other_W + other_b"),
    (node("n", "x", "h_tm1", layer="Dense"), WB, "concat([x, h_tm1]) @ n_W + n_b"),
    (node("n", "x", "y", mode="sum", layer="Dense"), WB, "(x + y) @ n_W + n_b"),
    (
        node("n", "x", "y", "z", mode="mul", layer="Dense", activation="tanh"),
        ("n.W",),
        "tanh((x * y * z) @ n_W)",
    ),
    (node("n", "x", "y", mode="ave", layer="Dense"), ("n.W",), "ave([x, y]) @ n_W"),
    (
        node("n", "x", layer="TimeDistributedDense", activation="tanh"),
        WB,
        "tanh(x @ n_W + n_b)",
    ),
    (node("n", "x", layer="Activation", activation="tanh"), (), "tanh(x)"),
    (node("n", "x", layer="Activation", activation="linear"), (), "x"),
    (
        node("n", "x", "y", mode="sum", layer="Activation", activation="tanh"),
        (),
        "tanh(x + y)",
    ),
    (
        node("n", "x", "y", mode="mul", layer="Activation", activation="linear"),
        (),
        "x * y",
    ),
    (
        node("n", "x", "y", layer="Activation", activation="softmax"),
        (),
        "softmax(concat([x, y]))",
    ),
    (node("n", "word", layer="Embedding"), ("n.W",), "n_W[word]"),
    (
        node("n", "word", "tag", mode="sum", layer="Embedding"),
        ("n.W",),
        "n_W[word + tag]",
    ),
    (node("n", "x"), (), "x"),
    (node("n", "x", "x_tm1", mode="max"), (), "max([x, x_tm1])"),
    (node("n", "x", "y", mode="sum"), (), "x + y"),
    (node("n", "x", layer="Dropout", p=0.5), (), "Dropout(x)"),
    (node("n", "x", "y", mode="sum", layer="Lambda"), (), "Lambda(x + y)"),
    (node("n", "x", layer="Mine"), ("n.U", "n.b"), "Mine(x, n_U, n_b)"),
]


@pytest.mark.parametrize(("item", "params", "expected"), FORMULAS)
def test_a_node_is_written_as_its_formula_or_as_a_call(item, params, expected):
    assert expression(item, written(params)) == expected
    compile(expected, "formula", "eval")


MERGED = [
    ("concat", "concat([a, b_tm1, c])"),
    ("sum", "a + b_tm1 + c"),
    ("mul", "a * b_tm1 * c"),
    ("ave", "ave([a, b_tm1, c])"),
    ("max", "max([a, b_tm1, c])"),
]


@pytest.mark.parametrize(("mode", "expected"), MERGED)
def test_several_values_are_written_as_they_are_merged(mode, expected):
    [several] = node("n", "a", "b_tm1", "c", mode=mode).ports
    [single] = node("n", "b_tm1", mode=mode).ports
    assert merged(several) == expected
    assert merged(single) == "b_tm1"


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", "max"])
@pytest.mark.parametrize("bias", [True, False])
def test_the_whole_merge_is_multiplied_by_the_weights(mode, bias):
    text = expression(
        node("n", "a", "b", mode=mode, layer="Dense"), written(WB if bias else ("n.W",))
    )
    tree = ast.parse(text, mode="eval").body
    if bias:
        assert isinstance(tree.op, ast.Add)
        assert tree.right.id == "n_b"
        tree = tree.left
    assert isinstance(tree.op, ast.MatMult)
    assert tree.right.id == "n_W"
    assert {leaf.id for leaf in ast.walk(tree.left) if isinstance(leaf, ast.Name)} >= {
        "a",
        "b",
    }


SANTANA = GraphSpec(
    inputs=(InputSpec("input", dim=4),),
    states=(StateSpec("h", 6, "rec"),),
    outputs=(output("rec", "rec"),),
    nodes=(
        node("i2h", "input", layer="Dense", activation="linear"),
        node("h2h", "h", layer="Dense"),
        node("rec", "i2h", "h2h", mode="sum", layer="Activation", activation="tanh"),
    ),
)
SANTANA_PARAMS = {"i2h": ("i2h.W", "i2h.b"), "h2h": ("h2h.W", "h2h.b"), "rec": ()}


def test_the_step_of_the_proposal_reads_as_one_would_write_it():
    assert (
        text_of(SANTANA, SANTANA_PARAMS)
        == """\
def step(input, h_tm1, i2h_W, i2h_b, h2h_W, h2h_b):
    i2h = input @ i2h_W + i2h_b
    h2h = h_tm1 @ h2h_W + h2h_b
    rec = tanh(i2h + h2h)
    return [rec]"""
    )


def test_outputs_that_merge_are_lines_of_their_own_and_are_returned_behind_the_states():
    spec = SANTANA.replace(
        outputs=(
            output("y", "rec", "h"),
            output("past", "input_tm2"),
            output("z", "i2h"),
        )
    )
    assert text_of(spec, SANTANA_PARAMS).splitlines() == [
        "def step(input_tm2, input, h_tm1, i2h_W, i2h_b, h2h_W, h2h_b):",
        "    i2h = input @ i2h_W + i2h_b",
        "    h2h = h_tm1 @ h2h_W + h2h_b",
        "    rec = tanh(i2h + h2h)",
        "    y = concat([rec, h_tm1])",
        "    past = input_tm2",
        "    return [rec, y, past, i2h]",
    ]


def test_weights_that_two_nodes_share_are_written_by_one_name():
    spec = GraphSpec(
        inputs=(InputSpec("x"),),
        nodes=(node("a", "x", layer="Dense"), node("b", "a", layer="Dense")),
        outputs=(output("b", "b"),),
    )
    assert text_of(spec, {"a": WB, "b": WB}) == (
        "def step(x, n_W, n_b):\n    a = x @ n_W + n_b\n"
        "    b = a @ n_W + n_b\n    return [b]"
    )


def test_draws_are_arguments_of_the_text_too():
    spec = GraphSpec(
        inputs=(InputSpec("x"),),
        nodes=(node("drop", "x", layer="Dropout"),),
        outputs=(output("drop", "drop"),),
    )
    text = step_source(declared(spec, {}, {"drop": ("drop.keep",)}), {})
    assert text.startswith("def step(x, drop_keep):\n")
    compile(text, "step", "exec")


MODES = {
    "concat": lambda values: sum(
        10**index * value for index, value in enumerate(values)
    ),
    "sum": sum,
    "mul": prod,
    "ave": lambda values: sum(values) / len(values),
    "max": max,
}


def layer_called(name):
    return lambda value, *params: (
        (len(name) + ord(name[-1])) * value
        + sum((index + 2) * param for index, param in enumerate(params))
    )


@pytest.mark.parametrize("seed", range(40))
def test_the_text_runs_and_computes_the_step(seed):
    source = random.Random(seed)
    names = [f"n{index}" for index in range(source.randrange(2, 9))]
    reads = {
        name: source.choices(
            ["x", "z_tm1", "h", "h_tm2", *names[:index]], k=source.randrange(1, 4)
        )
        for index, name in enumerate(names)
    }
    modes = {name: source.choice(list(MODES)) for name in names}
    params = {
        name: tuple(
            f"{name}.{param}" for param in source.sample("WUb", source.randrange(4))
        )
        for name in names
    }
    spec = GraphSpec(
        inputs=(InputSpec("x"), InputSpec("z")),
        states=(StateSpec("h", 6, names[-1]),),
        nodes=tuple(
            node(name, *reads[name], mode=modes[name], layer=f"Layer_{name}")
            for name in names
        ),
        outputs=(output("y", *names, mode="sum"),),
    )
    made = declared(spec, params)
    given = {ref: source.randrange(1, 9) for ref in made.arguments}

    values = {
        "x": given.get(Ref("x")),
        "z_tm1": given.get(Ref("z", -1)),
        "h": given.get(Ref("h", -1)),
        "h_tm2": given.get(Ref("h", -2)),
    }
    for name in names:
        several = [values[read] for read in reads[name]]
        value = several[0] if len(several) == 1 else MODES[modes[name]](several)
        values[name] = layer_called(name)(
            value, *(given[Ref(param)] for param in params[name])
        )

    space = {f"Layer_{name}": layer_called(name) for name in names} | MODES
    exec(step_source(made, params), space)
    assert space["step"](*given.values()) == [
        values[names[-1]],
        sum(values[name] for name in names),
    ]


WRONG = {
    "an input that is called as a parameter is written": (
        "n_W",
        node("n", "n_W", layer="Dense"),
    ),
    "an activation that is a function": (
        "x",
        node("n", "x", layer="Dense", activation=layer_called),
    ),
}


@pytest.mark.parametrize(("name", "item"), WRONG.values(), ids=WRONG)
def test_the_text_is_python_whatever_things_are_called(name, item):
    text_of(
        GraphSpec(
            inputs=(InputSpec(name),), nodes=(item,), outputs=(output("n", "n"),)
        ),
        {"n": WB},
    )


def test_a_container_as_a_node_is_called_with_the_parameters_of_all_its_layers():
    params = ("net.layer_0.W", "net.layer_0.b", "net.layer_1.W", "net.layer_1.b")
    assert expression(node("net", "x", layer="Sequential"), written(params)) == (
        "Sequential(x, net_layer_0_W, net_layer_0_b, net_layer_1_W, net_layer_1_b)"
    )
