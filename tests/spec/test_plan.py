"""The order of scan's arguments and results, read and run against the declaration."""

import dataclasses
import itertools
import random

import pytest

from recursive.errors import CycleError
from recursive.spec import checks
from recursive.spec.graph import GraphSpec, InputSpec, StateSpec
from recursive.spec.names import Ref
from recursive.spec.plan import (
    Recurrence,
    Sequence,
    declared,
    merged_outputs,
    source_of,
)
from tests.spec.building import node, output


def arguments(spec, params=None, draws=None):
    return [str(ref) for ref in declared(spec, params or {}, draws).arguments]


def results(spec):
    return list(declared(spec, {}).results)


X, Z = InputSpec("x"), InputSpec("z")
RNN = GraphSpec(
    inputs=(X,),
    states=(StateSpec("h", 6, "rec"),),
    outputs=(output("rec", "rec"),),
    nodes=(node("i2h", "x"), node("h2h", "h"), node("rec", "i2h", "h2h", mode="sum")),
)


ARGUMENTS = {
    "an input, a state": (RNN, ["x", "h_tm1"]),
    "inputs as declared, not as read": (
        GraphSpec(
            inputs=(Z, X),
            nodes=(node("a", "x"), node("b", "z", "a")),
            outputs=(output("b", "b"),),
        ),
        ["z", "x"],
    ),
    "an input that nothing reads": (RNN.replace(inputs=(Z, X)), ["z", "x", "h_tm1"]),
    "taps of an input, oldest first": (
        RNN.replace(nodes=(node("rec", "x", "x_tm1", "x_tm10", "x_tm2"),)),
        ["x_tm10", "x_tm2", "x_tm1", "x", "h_tm1"],
    ),
    "only the past of an input": (
        RNN.replace(nodes=(node("rec", "x_tm2", "h"),)),
        ["x_tm2", "h_tm1"],
    ),
    "taps of a state, oldest first": (
        RNN.replace(nodes=(node("rec", "h", "h_tm3", "x", "h_tm2"),)),
        ["x", "h_tm3", "h_tm2", "h_tm1"],
    ),
    "a state and its node share their taps": (
        RNN.replace(
            nodes=(
                node("a", "rec_tm4", "h"),
                node("rec", "a", "h_tm1", "rec_tm1", "rec_tm2"),
            )
        ),
        ["x", "h_tm4", "h_tm2", "h_tm1"],
    ),
    "a state that is read three steps back only": (
        RNN.replace(nodes=(node("rec", "x", "h_tm3"),)),
        ["x", "h_tm3"],
    ),
    "a state that nothing reads": (
        RNN.replace(nodes=(node("rec", "x"),)),
        ["x", "h_tm1"],
    ),
    "states as declared, not as nodes return them": (
        GraphSpec(
            inputs=(X,),
            states=(
                StateSpec("c", 2, "b"),
                StateSpec("d", 2, "a"),
                StateSpec("b0", 2, "b"),
            ),
            nodes=(node("a", "x", "d"), node("b", "a", "b0", "c_tm2")),
            outputs=(output("y", "b"),),
        ),
        ["x", "c_tm2", "d_tm1", "b0_tm1"],
    ),
    "a past that no state remembers, behind the states": (
        RNN.replace(
            nodes=(node("i2h", "x", "i2h_tm2"), node("rec", "i2h", "h", "i2h_tm1"))
        ),
        ["x", "h_tm1", "i2h_tm2", "i2h_tm1"],
    ),
    "taps that only an output reads": (
        RNN.replace(outputs=(output("y", "rec_tm3", "x_tm1"),)),
        ["x_tm1", "x", "h_tm3", "h_tm1"],
    ),
}


@pytest.mark.parametrize(("spec", "expected"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments_are_inputs_then_states_each_with_its_taps_oldest_first(
    spec, expected
):
    assert arguments(spec) == expected


def test_draws_stand_between_inputs_and_states_and_parameters_behind_all():
    draws = {
        "rec": ("rec.keep", "rec.noise"),
        "i2h": ("i2h.keep",),
        "absent": ("absent.keep",),
    }
    params = {"rec": ("rec.U",), "i2h": ("i2h.W", "i2h.b"), "absent": ("absent.W",)}
    assert arguments(RNN, params, draws) == [
        "x",
        "i2h.keep",
        "rec.keep",
        "rec.noise",
        "h_tm1",
        "i2h.W",
        "i2h.b",
        "rec.U",
    ]


def test_draws_are_left_out_where_there_are_none():
    assert arguments(RNN, {}, {}) == arguments(RNN, {}, None) == ["x", "h_tm1"]


def test_parameters_follow_the_nodes_as_they_run():
    turned = RNN.replace(nodes=RNN.nodes[::-1])
    params = {"rec": ("rec.U",), "h2h": ("h2h.W",), "i2h": ("i2h.W",)}
    assert declared(turned, params).param_names == ("h2h.W", "i2h.W", "rec.U")
    assert [item.name for item in declared(turned, params).nodes] == [
        "h2h",
        "i2h",
        "rec",
    ]


def test_a_parameter_that_two_nodes_share_is_one_argument():
    params = {"i2h": ("i2h.W", "i2h.b"), "h2h": ("i2h.W", "h2h.b"), "rec": ("i2h.b",)}
    assert declared(RNN, params).param_names == ("i2h.W", "i2h.b", "h2h.b")


COLLECTED = {
    "a node that a state remembers is not collected again": (RNN, ["rec"]),
    "a node that none remembers": (
        RNN.replace(outputs=(output("i2h", "i2h"),)),
        ["rec", "i2h"],
    ),
    "an output under another name": (
        RNN.replace(outputs=(output("y", "i2h"),)),
        ["rec", "i2h"],
    ),
    "a remembered node under another name": (
        RNN.replace(outputs=(output("y", "rec"),)),
        ["rec"],
    ),
    "a node that is two outputs": (
        RNN.replace(outputs=(output("i2h", "i2h"), output("y", "i2h"))),
        ["rec", "i2h"],
    ),
    "outputs as declared": (
        RNN.replace(outputs=(output("b", "h2h"), output("a", "i2h"))),
        ["rec", "h2h", "i2h"],
    ),
    "an output that merges": (
        RNN.replace(outputs=(output("y", "rec", "i2h"),)),
        ["rec", "y"],
    ),
    "an output that reads a state": (
        RNN.replace(outputs=(output("y", "h"),)),
        ["rec", "y"],
    ),
    "an output that reads a past": (
        RNN.replace(outputs=(output("y", "rec_tm1"),)),
        ["rec", "y"],
    ),
    "an output that reads an input": (
        RNN.replace(outputs=(output("y", "x"),)),
        ["rec", "y"],
    ),
    "a node that feeds two states is returned for each": (
        RNN.replace(states=(StateSpec("c", 6, "rec"), StateSpec("h", 6, "rec"))),
        ["rec", "rec"],
    ),
    "states as declared": (
        RNN.replace(states=(StateSpec("c", 6, "rec"), StateSpec("h", 6, "i2h"))),
        ["rec", "i2h"],
    ),
    "a past that no state remembers": (
        RNN.replace(
            nodes=(*RNN.nodes, node("a", "i2h_tm1")),
            outputs=(output("a", "a"), output("y", "i2h")),
        ),
        ["rec", "i2h", "a"],
    ),
}


@pytest.mark.parametrize(("spec", "expected"), COLLECTED.values(), ids=COLLECTED)
def test_results_are_the_new_states_and_then_what_is_collected(spec, expected):
    assert results(spec) == expected


SOURCES = [
    (["rec"], "rec"),
    (["i2h"], "i2h"),
    (["h"], "y"),
    (["h_tm2"], "y"),
    (["rec_tm1"], "y"),
    (["i2h_tm1"], "y"),
    (["x"], "y"),
    (["x_tm1"], "y"),
    (["rec", "rec"], "y"),
    (["rec", "i2h"], "y"),
]


@pytest.mark.parametrize(("reads", "source"), SOURCES)
def test_an_output_is_the_node_that_it_reads_or_a_node_that_merges(reads, source):
    item = output("y", *reads, mode="max")
    spec = RNN.replace(outputs=(item,))
    assert source_of(spec, item) == source
    merged = merged_outputs(spec)
    assert [
        (made.name, made.layer.class_name, made.refs, made.ports[0].merge_mode)
        for made in merged
    ] == ([("y", "Identity", item.refs, "max")] if source == "y" else [])
    assert [made.name for made in declared(spec, {}).nodes] == [
        "i2h",
        "h2h",
        "rec",
        *(made.name for made in merged),
    ]


def test_an_output_of_the_name_of_its_node_is_that_node():
    assert source_of(RNN, RNN.outputs[0]) == "rec"
    assert merged_outputs(RNN) == ()


def test_nodes_of_a_plan_read_arguments_or_nodes_before_them():
    spec = RNN.replace(
        nodes=(node("rec", "i2h", "h", "rec_tm2"), node("i2h", "x", "i2h_tm1")),
        outputs=(output("y", "h", "rec"),),
    )
    made = declared(spec, {})
    assert [[str(ref) for ref in item.refs] for item in made.nodes] == [
        ["x", "i2h_tm1"],
        ["i2h", "h_tm1", "h_tm2"],
        ["h_tm1", "rec"],
    ]
    assert [item.name for item in made.nodes] == ["i2h", "rec", "y"]


def test_the_parts_of_a_plan_are_told_apart():
    spec = RNN.replace(nodes=(*RNN.nodes, node("a", "h_tm3", "x_tm2", "x")))
    made = declared(spec, {"a": ("a.W",)}, {"a": ("a.keep",)})
    assert made.sequences == (Sequence("x", (-2, 0)), Sequence("a.keep", (0,)))
    assert made.recurrences == (Recurrence("h", "rec", (-3, -1)),)
    assert made.param_names == ("a.W",)
    assert made.collected == ()


@pytest.mark.parametrize(("taps", "lag"), [((-1,), 1), ((-3,), 3), ((-7, -2, -1), 7)])
def test_a_state_starts_with_as_many_rows_as_it_looks_back(taps, lag):
    assert Recurrence("h", "rec", taps).lag == lag


@pytest.mark.parametrize(
    ("part", "field"),
    [("plan", "param_names"), ("sequence", "taps"), ("recurrence", "node")],
)
def test_a_plan_is_frozen_with_all_its_parts(part, field):
    made = declared(RNN, {})
    item = {
        "plan": made,
        "sequence": made.sequences[0],
        "recurrence": made.recurrences[0],
    }[part]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(item, field, ())


def test_there_is_no_plan_of_a_cycle():
    with pytest.raises(CycleError):
        declared(GraphSpec(inputs=(X,), nodes=(node("a", "b"), node("b", "a"))), {})


# Run against the declaration: numbers, not tensors, and no code shared with the plan

STEPS, PRIME = 6, 10007
MERGES = {
    "sum": sum,
    "max": max,
    "concat": lambda values: sum(
        (index + 2) ** 3 * value for index, value in enumerate(values)
    ),
}


def formula(name, merged, params, draws):
    """A node's value, which differs by node, by parameter and by draw."""
    return (
        sum(map(ord, name)) * merged
        + merged * merged
        + 17 * sum(params)
        + 29 * sum(draws)
        + 5
    ) % PRIME


def split(text):
    """``("h", 2)`` for ``h_tm2``."""
    name, mark, lag = text.rpartition("_tm")
    return (name, int(lag)) if mark else (text, 0)


def as_declared(world):
    """Every output at every step, by recursion over what was declared."""
    known = {}

    def at(name, step):
        if step < 0:
            return 0
        if name in world["inputs"]:
            return world["inputs"][name][step]
        if name in world["states"]:
            return at(world["states"][name], step)
        if (name, step) not in known:
            reads, mode = world["nodes"][name]
            known[name, step] = formula(
                name,
                merged(reads, mode, step),
                [world["values"][param] for param in world["params"][name]],
                [world["values"][draw] * step for draw in world["draws"][name]],
            )
        return known[name, step]

    def merged(reads, mode, step):
        lags = [
            (name, lag or int(name in world["states"]))
            for name, lag in map(split, reads)
        ]
        values = [at(name, step - lag) for name, lag in lags]
        return values[0] if len(values) == 1 else MERGES[mode](values)

    return {
        name: [merged(reads, mode, step) for step in range(STEPS)]
        for name, (reads, mode) in world["outputs"].items()
    }


def as_scanned(world, spec):
    """Every output at every step, with arguments and results by position like scan."""
    made = declared(spec, world["params"], world["draws"])
    draws = {
        name: [world["values"][name] * step for step in range(STEPS)]
        for names in world["draws"].values()
        for name in names
    }
    rows = [[0] * item.lag for item in made.recurrences]
    collected = [[] for _ in made.results]
    for step in range(STEPS):
        values = []
        for item in made.sequences:
            sequence = {**world["inputs"], **draws}[item.name]
            values += [
                sequence[step + tap] if step + tap >= 0 else 0 for tap in item.taps
            ]
        for item, past in zip(made.recurrences, rows, strict=True):
            values += [past[tap] for tap in item.taps]
        values += [world["values"][name] for name in made.param_names]
        env = dict(zip(made.arguments, values, strict=True))
        assert len(env) == len(values)
        for item in made.nodes:
            [port] = item.ports
            read = [env[ref] for ref in port.refs]
            value = read[0] if len(read) == 1 else MERGES[port.merge_mode](read)
            if item.name in world["nodes"]:
                value = formula(
                    item.name,
                    value,
                    [env[Ref(name)] for name in world["params"][item.name]],
                    [env[Ref(name)] for name in world["draws"][item.name]],
                )
            env[Ref(item.name)] = value
        for kept, name in zip(collected, made.results, strict=True):
            kept.append(env[Ref(name)])
        for past, name in zip(rows, made.results, strict=False):
            past.append(env[Ref(name)])
    sequences = dict(zip(made.results, collected, strict=True))
    return {item.name: sequences[source_of(spec, item)] for item in spec.outputs}


def random_world(source):
    """A declaration as plain lists, with values for all that it does not compute."""
    inputs = {
        f"x{index}": source.choices(range(100), k=STEPS)
        for index in range(source.randrange(1, 4))
    }
    states = [f"s{index}" for index in range(source.randrange(4))]
    names = [f"n{index}" for index in range(source.randrange(1, 8))]
    fed = dict.fromkeys(states)
    for state in states:
        fed[state] = source.choice(names)
    once = [name for name in names if list(fed.values()).count(name) < 2]

    def reads(before, count, itself=()):
        past = [
            *inputs,
            *states,
            *(name for name in (*before, *itself) if name in once),
        ]
        return [
            source.choice([*inputs, *states, *before])
            if source.random() < 0.5
            else f"{source.choice(past)}_tm{source.randrange(1, 5)}"
            for _ in range(count)
        ]

    nodes = {
        name: (
            reads(names[:index], source.randrange(1, 4), [name]),
            source.choice(list(MERGES)),
        )
        for index, name in enumerate(names)
    }
    outputs = {
        f"y{index}": (reads(names, source.randrange(1, 4)), source.choice(list(MERGES)))
        for index in range(source.randrange(3))
    }
    outputs[source.choice(names)] = None
    params = {
        name: tuple(source.sample(["W", "U", "b", f"{name}.V"], source.randrange(3)))
        for name in names
    }
    draws = {name: (f"{name}.keep",) if source.random() < 0.3 else () for name in names}
    values = {
        name: source.randrange(1, 1000)
        for name in itertools.chain(*params.values(), *draws.values())
    }
    return {
        "inputs": inputs,
        "states": fed,
        "nodes": nodes,
        "params": params,
        "draws": draws,
        "values": values,
        "outputs": {name: read or ([name], "sum") for name, read in outputs.items()},
    }


@pytest.mark.parametrize("seed", range(80))
def test_a_plan_that_is_scanned_computes_what_was_declared(seed):
    source = random.Random(seed)
    world = random_world(source)
    items = [
        *(InputSpec(name) for name in world["inputs"]),
        *(StateSpec(name, 1) for name in world["states"]),
        *(
            node(name, *reads, mode=mode)
            for name, (reads, mode) in world["nodes"].items()
        ),
        *(
            output(name, *reads, mode=mode)
            for name, (reads, mode) in world["outputs"].items()
        ),
    ]
    spec = GraphSpec()
    for item in items:
        spec = checks.declare(spec, item)
    for state, name in world["states"].items():
        spec = checks.feed(spec, state, name)
    checks.check_whole(spec)
    expected = as_declared(world)
    assert as_scanned(world, spec) == expected

    shuffled = list(spec.nodes)
    source.shuffle(shuffled)
    assert as_scanned(world, spec.replace(nodes=tuple(shuffled))) == expected
