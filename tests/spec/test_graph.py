"""The declaration as frozen plain data, and its way to JSON and back."""

import copy
import dataclasses
import json

import pytest

from recursive.errors import ConfigError, RecursiveError, TapError
from recursive.spec.graph import (
    VERSION,
    GraphSpec,
    InputSpec,
    LayerSpec,
    NodeSpec,
    OutputSpec,
    PortSpec,
    StateSpec,
)
from recursive.spec.names import Ref
from tests.spec.building import SENTENCE

RNN = GraphSpec(
    inputs=(InputSpec("x", ndim=3, dim=4), InputSpec("word", ndim=2, dtype="int")),
    states=(
        StateSpec("h", 6, "rec"),
        StateSpec("g", None, "rec", ((1.0, 2.0), (3.0, 4.0)), True),
    ),
    nodes=(
        NodeSpec(
            "emb",
            LayerSpec("Embedding", {"input_dim": 9, "output_dim": 4}),
            (PortSpec("input", (Ref("word", -1),)),),
        ),
        NodeSpec(
            "rec",
            LayerSpec(
                "Dense",
                {"output_dim": 6, "activation": "tanh", "rows": [[1.5], [None, True]]},
            ),
            (PortSpec("input", (Ref("x"), Ref("h"), Ref("emb", -12)), "ave"),),
        ),
    ),
    outputs=(
        OutputSpec("rec", (Ref("rec"),)),
        OutputSpec("both", (Ref("h", -2), Ref("emb")), "max"),
    ),
    return_sequences=True,
    truncate_gradient=5,
)

WRITTEN = {
    "version": "1.0",
    "loop": True,
    "free": False,
    "inputs": [
        {"name": "x", "ndim": 3, "dtype": "float", "dim": 4, "is_sequence": True},
        {"name": "word", "ndim": 2, "dtype": "int", "dim": None, "is_sequence": True},
    ],
    "states": [
        {"name": "h", "dim": 6, "input": "rec", "initial": 0.0, "stateful": None},
        {
            "name": "g",
            "dim": None,
            "input": "rec",
            "initial": [[1.0, 2.0], [3.0, 4.0]],
            "stateful": True,
        },
    ],
    "nodes": [
        {
            "name": "emb",
            "layer": {
                "class_name": "Embedding",
                "config": {"input_dim": 9, "output_dim": 4},
            },
            "ports": {"input": {"read": ["word_tm1"], "merge_mode": "concat"}},
            "outputs": [],
        },
        {
            "name": "rec",
            "layer": {
                "class_name": "Dense",
                "config": {
                    "output_dim": 6,
                    "activation": "tanh",
                    "rows": [[1.5], [None, True]],
                },
            },
            "ports": {"input": {"read": ["x", "h", "emb_tm12"], "merge_mode": "ave"}},
            "outputs": [],
        },
    ],
    "outputs": [
        {"name": "rec", "read": ["rec"], "merge_mode": "concat"},
        {"name": "both", "read": ["h_tm2", "emb"], "merge_mode": "max"},
    ],
    "return_sequences": True,
    "truncate_gradient": 5,
    "n_steps": None,
    "until": None,
    "stateful": False,
    "return_final_states": False,
    "go_backwards": False,
    "mask": None,
    "unroll": False,
}


def written(change=None):
    data = copy.deepcopy(WRITTEN)
    if change is not None:
        change(data)
    return data


def changed(**fields):
    return lambda data: data.update(fields)


def without(*path):
    def change(data):
        for key in path[:-1]:
            data = data[key]
        del data[path[-1]]

    return change


def at(*path, **fields):
    def change(data):
        for key in path:
            data = data[key]
        data.update(fields)

    return change


def put(value, *path):
    def change(data):
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


def test_a_declaration_is_written_in_the_format_of_its_version():
    assert WRITTEN["version"] == VERSION, "a new version: say in WRITTEN what it writes"
    assert RNN.to_dict() == WRITTEN


@pytest.mark.parametrize(
    "spec",
    [
        RNN,
        GraphSpec(),
        GraphSpec(
            loop=False,
            inputs=(InputSpec("x", ndim=2),),
            outputs=(OutputSpec("y", (Ref("x"),)),),
        ),
        GraphSpec(
            nodes=(
                NodeSpec(
                    "a",
                    LayerSpec("Two"),
                    (
                        PortSpec("left", (Ref("b"),)),
                        PortSpec("right", (Ref("c", -1), Ref("d")), "mul"),
                    ),
                ),
            )
        ),
        RNN.replace(
            loop=False, return_sequences=False, truncate_gradient=-1, states=()
        ),
    ],
    ids=["taps, merges, outputs", "empty", "without a loop", "two ports", "changed"],
)
def test_a_declaration_comes_back_from_json_as_it_was(spec):
    text = json.dumps(spec.to_dict(), allow_nan=False)
    assert GraphSpec.from_dict(json.loads(text)) == spec


def test_a_dict_comes_back_as_it_was():
    assert GraphSpec.from_dict(written()).to_dict() == WRITTEN


def test_what_has_a_default_may_be_left_out_of_a_dict():
    short = {
        "version": "1.0",
        "inputs": [{"name": "x"}],
        "states": [{"name": "h"}],
        "outputs": [],
        "nodes": [
            {
                "name": "a",
                "layer": {"class_name": "Identity"},
                "ports": {"input": {"read": ["x"]}},
            }
        ],
    }
    assert GraphSpec.from_dict(short) == GraphSpec(
        loop=True,
        return_sequences=False,
        truncate_gradient=-1,
        inputs=(InputSpec("x", 3, "float", None),),
        states=(StateSpec("h", None, None),),
        nodes=(
            NodeSpec(
                "a",
                LayerSpec("Identity", {}),
                (PortSpec("input", (Ref("x"),), "concat"),),
            ),
        ),
    )


def test_a_dict_that_is_read_is_left_as_it_is():
    data = written()
    GraphSpec.from_dict(data)
    assert data == WRITTEN


def test_what_was_written_can_be_changed_without_changing_the_declaration():
    data = RNN.to_dict()
    data["nodes"][1]["layer"]["config"]["rows"][0].append(2.5)
    data["inputs"].clear()
    assert RNN.to_dict() == WRITTEN


REFUSED = {
    "no version": (without("version"), ["version '1.0'", "got None"]),
    "an older version": (changed(version="0.0"), ["version '1.0'", "got '0.0'"]),
    "a version that is a number": (changed(version=0.1), ["version '1.0'", "got 0.1."]),
    "an unknown key": (
        changed(colour="red"),
        ["config 'graph'", "known keys only", "got 'colour'"],
    ),
    "a misspelt key": (
        changed(truncate_gradeint=3),
        ["got 'truncate_gradeint'", "Did you mean 'truncate_gradient'?"],
    ),
    "a key that is a number": (put(4, 3), ["known keys only", "got 3"]),
    "an unknown key of an input": (
        at("inputs", 0, shape=3),
        ["config 'input'", "known keys only", "got 'shape'"],
    ),
    "an unknown key of a state": (
        at("states", 0, dmi=3),
        ["config 'state'", "got 'dmi'", "Did you mean 'dim'?"],
    ),
    "an unknown key of a node": (
        at("nodes", 0, inputs=["x"]),
        ["config 'node'", "known keys only", "got 'inputs'"],
    ),
    "an unknown key of a layer": (
        at("nodes", 0, "layer", code="x"),
        ["config 'layer'", "got 'code'"],
    ),
    "an unknown key of a port": (
        at("nodes", 0, "ports", "input", merge="sum"),
        ["config 'port'", "got 'merge'"],
    ),
    "an unknown key of an output": (
        at("outputs", 0, input="rec"),
        ["config 'output'", "got 'input'"],
    ),
    "no inputs": (without("inputs"), ["config 'graph'", "the key 'inputs'"]),
    "no states": (without("states"), ["config 'graph'", "the key 'states'"]),
    "no nodes": (without("nodes"), ["config 'graph'", "the key 'nodes'"]),
    "no outputs": (without("outputs"), ["config 'graph'", "the key 'outputs'"]),
    "an input without a name": (
        without("inputs", 0, "name"),
        ["config 'input'", "the key 'name'"],
    ),
    "a state without a name": (
        without("states", 0, "name"),
        ["config 'state'", "the key 'name'"],
    ),
    "a node without a name": (
        without("nodes", 0, "name"),
        ["config 'node'", "the key 'name'"],
    ),
    "a node without a layer": (
        without("nodes", 0, "layer"),
        ["config 'node'", "the key 'layer'"],
    ),
    "a node without ports": (
        without("nodes", 0, "ports"),
        ["config 'node'", "the key 'ports'"],
    ),
    "a layer without a class": (
        without("nodes", 0, "layer", "class_name"),
        ["config 'layer'", "'class_name'"],
    ),
    "a port that reads nothing": (
        without("nodes", 0, "ports", "input", "read"),
        ["config 'port'", "the key 'read'"],
    ),
    "an output without a name": (
        without("outputs", 0, "name"),
        ["config 'output'", "the key 'name'"],
    ),
    "an output that reads nothing": (
        without("outputs", 0, "read"),
        ["config 'output'", "the key 'read'"],
    ),
    "inputs as a mapping": (
        changed(inputs={"x": {}}),
        ["config 'inputs'", "a list", "got {'x': {}}"],
    ),
    "nodes as a string": (
        changed(nodes="rec"),
        ["config 'nodes'", "a list", "got 'rec'"],
    ),
    "ports as a list": (
        at("nodes", 0, ports=[]),
        ["config 'ports'", "a mapping", "got []"],
    ),
    "an input as a string": (
        changed(inputs=["x"]),
        ["config 'input'", "a mapping", "got 'x'"],
    ),
    "a state as a list": (changed(states=[["h", 6]]), ["config 'state'", "a mapping"]),
    "a node as null": (
        changed(nodes=[None]),
        ["config 'node'", "a mapping", "got None"],
    ),
    "a port as a list": (
        at("nodes", 0, "ports", input=["x"]),
        ["config 'port'", "a mapping", "got ['x']"],
    ),
    "an output as a string": (
        changed(outputs=["rec"]),
        ["config 'output'", "a mapping", "got 'rec'"],
    ),
    "a layer as its name": (
        at("nodes", 0, layer="Dense"),
        ["config 'layer'", "a mapping", "got 'Dense'"],
    ),
    "a config as a list": (
        at("nodes", 0, "layer", config=[1]),
        ["config 'layer'", "a mapping", "got [1]"],
    ),
    "a read that is one string": (
        at("outputs", 0, read="rec"),
        ["config 'read'", "a list", "got 'rec'"],
    ),
    "a name that is a number": (
        at("inputs", 0, name=3),
        ["config 'input'", "name as str", "got 3"],
    ),
    "a port's name that is a number": (
        put({"read": ["x"]}, "nodes", 0, "ports", 5),
        ["config 'port'", "name as str"],
    ),
    "ndim as text": (at("inputs", 0, ndim="3"), ["ndim as int", "got '3'"]),
    "ndim as a float": (at("inputs", 0, ndim=3.0), ["ndim as int", "got 3.0"]),
    "ndim as a bool": (at("inputs", 0, ndim=True), ["ndim as int", "got True"]),
    "dim as text": (
        at("states", 0, dim="6"),
        ["config 'state'", "dim as int | None", "got '6'"],
    ),
    "dim as a bool": (at("inputs", 0, dim=True), ["dim as int | None", "got True"]),
    "dtype as null": (at("inputs", 0, dtype=None), ["dtype as str", "got None"]),
    "a state's node as a list": (
        at("states", 0, input=["rec"]),
        ["input as str | None", "got ['rec']"],
    ),
    "a merge mode as null": (
        at("outputs", 0, merge_mode=None),
        ["config 'output'", "merge_mode as str", "got None"],
    ),
    "a class as null": (
        at("nodes", 0, "layer", class_name=None),
        ["class_name as str", "got None"],
    ),
    "loop as a number": (changed(loop=1), ["loop as bool", "got 1"]),
    "return_sequences as text": (
        changed(return_sequences="yes"),
        ["return_sequences as bool", "got 'yes'"],
    ),
    "truncate_gradient as a bool": (
        changed(truncate_gradient=False),
        ["truncate_gradient as int", "got False"],
    ),
    "truncate_gradient as null": (
        changed(truncate_gradient=None),
        ["truncate_gradient as int", "got None"],
    ),
}


@pytest.mark.parametrize(("change", "parts"), REFUSED.values(), ids=REFUSED)
def test_a_dict_that_to_dict_did_not_write_is_refused(change, parts):
    with pytest.raises(ConfigError) as raised:
        GraphSpec.from_dict(written(change))
    message = str(raised.value)
    assert SENTENCE.fullmatch(message)
    assert [part for part in parts if part not in message] == [], message


@pytest.mark.parametrize(
    "thing",
    [None, 3, "graph", [], [("version", "0.1")], GraphSpec()],
    ids=lambda thing: type(thing).__name__,
)
def test_only_a_mapping_is_read_as_a_declaration(thing):
    with pytest.raises(ConfigError, match=r"^config 'graph' takes a mapping") as raised:
        GraphSpec.from_dict(thing)
    assert SENTENCE.fullmatch(str(raised.value))


def test_a_reference_that_cannot_be_read_is_refused_in_a_dict_too():
    with pytest.raises(TapError, match="h_tm0"):
        GraphSpec.from_dict(written(at("outputs", 0, read=["h_tm0"])))
    with pytest.raises(RecursiveError, match=r"input .3. takes a name"):
        GraphSpec.from_dict(written(at("outputs", 0, read=[3])))


@pytest.mark.parametrize(
    "value",
    [
        len,
        lambda x: x,
        object(),
        {1, 2},
        b"ab",
        1j,
        float("nan"),
        float("inf"),
        [1, [lambda x: x]],
        {"deep": {"er": len}},
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_layer_whose_configuration_is_not_plain_data_cannot_be_written(value):
    node = NodeSpec(
        "act",
        LayerSpec("Lambda", {"function": value}),
        (PortSpec("input", (Ref("x"),)),),
    )
    spec = GraphSpec(inputs=(InputSpec("x"),), nodes=(node,))
    with pytest.raises(ConfigError) as raised:
        spec.to_dict()
    message = str(raised.value)
    assert SENTENCE.fullmatch(message)
    assert message.startswith("node 'act' takes")
    assert "got Lambda (" in message


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (RNN, "inputs"),
        (RNN.inputs[0], "dim"),
        (RNN.states[0], "input"),
        (RNN.nodes[0], "ports"),
        (RNN.nodes[0].layer, "config"),
        (RNN.nodes[0].ports[0], "refs"),
        (RNN.outputs[0], "merge_mode"),
    ],
    ids=lambda thing: thing if isinstance(thing, str) else type(thing).__name__,
)
def test_every_part_of_a_declaration_is_frozen(item, field):
    before = getattr(item, field)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(item, field, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(item, field)
    assert getattr(item, field) is before


def test_a_change_makes_a_copy_and_the_copy_forgets_what_was_derived():
    assert RNN.names["h"] == "state"
    assert RNN.feeds == {"rec": ("h", "g")}
    other = RNN.replace(states=(StateSpec("c", 2, "emb"),))
    assert (other.names.get("h"), other.names["c"], other.feeds) == (
        None,
        "state",
        {"emb": ("c",)},
    )
    assert (RNN.names["h"], RNN.names.get("c"), RNN.feeds) == (
        "state",
        None,
        {"rec": ("h", "g")},
    )


def test_names_tell_the_kind_and_a_node_goes_before_the_output_that_shares_its_name():
    assert RNN.names == {
        "x": "input",
        "word": "input",
        "h": "state",
        "g": "state",
        "emb": "node",
        "rec": "node",
        "both": "output",
    }


def test_a_state_without_a_node_is_fed_by_none():
    assert GraphSpec(states=(StateSpec("h", 6), StateSpec("g", 6, "rec"))).feeds == {
        "rec": ("g",)
    }


def test_a_node_reads_what_its_ports_read_port_by_port():
    node = NodeSpec(
        "a",
        LayerSpec("Two"),
        (PortSpec("left", (Ref("c"), Ref("a", -1))), PortSpec("right", (Ref("b"),))),
    )
    assert node.refs == (Ref("c"), Ref("a", -1), Ref("b"))


@pytest.mark.parametrize(
    "change",
    [
        at("outputs", 0, refs=["rec"]),
        at("outputs", 0, refs=5),
        at("nodes", 0, "ports", "input", refs=5),
        at("nodes", 0, "ports", "input", name="other"),
    ],
)
def test_a_key_that_to_dict_never_writes_is_refused_though_a_field_has_its_name(change):
    with pytest.raises(ConfigError):
        GraphSpec.from_dict(written(change))


def test_a_dict_can_be_changed_after_it_was_read_without_changing_the_declaration():
    data = written()
    spec = GraphSpec.from_dict(data)
    data["nodes"][1]["layer"]["config"]["activation"] = "relu"
    data["nodes"][1]["layer"]["config"]["rows"].clear()
    assert spec == RNN
