"""The reference against loops written by hand, and against itself.

A run may be cut in two, truncated or stopped early.
"""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

import recursive.reference
from recursive import (
    Activation,
    Dropout,
    Flatten,
    Graph,
    Identity,
    Lambda,
    Recurrent,
    Recursive,
    Sequential,
    merge_mul,
)
from recursive.errors import (
    ConfigError,
    CycleError,
    DataError,
    DtypeError,
    SequenceLengthError,
    ShapeError,
    UnknownNameError,
    WeightsError,
)
from recursive.layers.config import CLASSES, shared_layers
from recursive.layers.core import Dense
from recursive.reference import gradients, run, train
from recursive.reference.arrays import Params, Scope
from recursive.reference.table import LAYERS, compute
from recursive.spec.graph import (
    GraphSpec,
    InputSpec,
    LayerSpec,
    NodeSpec,
    PortSpec,
    Ref,
    StateSpec,
)
from tests.reference.networks import (
    BATCH,
    HIDDEN,
    IN,
    TIME,
    carried_inside,
    cells,
    looking_back,
    masked,
    noisy,
    plain,
    prepared,
    some_steps,
    x_and_c,
    x_only,
)

BASES = {
    "AdvancedActivation",
    "Cell",
    "Choice",
    "GatedCell",
    "JZSCell",
    "ProjectingCell",
    "JZSLayer",
    "Layer",
    "MaskedLayer",
    "NoiseLayer",
    "RecurrentLayer",
    "ShapedActivation",
    "WordChoice",
}
"""Classes that are there to be inherited from."""


def test_every_layer_that_a_declaration_can_name_has_a_formula():
    assert set(CLASSES) - BASES - set(LAYERS) == {"Lambda"}
    assert set(LAYERS) - set(CLASSES) - {"ReadMask", "DropMask"} == {
        "Graph",
        "Recursive",
        "Recurrent",
        "Sequential",
    }


def test_the_reference_knows_nothing_of_the_library_but_the_declaration_and_its_errors():
    for path in Path(recursive.reference.__file__).parent.glob("*.py"):
        for item in ast.walk(ast.parse(path.read_text())):
            names = (
                [item.module]
                if isinstance(item, ast.ImportFrom)
                else [alias.name for alias in item.names]
                if isinstance(item, ast.Import)
                else []
            )
            for name in names:
                allowed = name.split(".")[0] in {"numpy", *sys.stdlib_module_names}
                assert (
                    allowed
                    or name in ("recursive.errors", "recursive.spec.graph")
                    or name.startswith("recursive.reference")
                ), (path.name, name)


def test_masked_rows_stand_still_and_show_their_last_value():
    """By hand: h = tanh([x, h] W + b), a row at a time, over the steps that are data."""
    spec, w, given = prepared(masked(plain)(), some_steps(x_only))
    found = run(spec.replace(return_sequences=True), w, given)
    for row in range(BATCH):
        h = np.zeros(HIDDEN)
        for t in range(TIME):
            if given["mask"][row, t]:
                h = np.tanh(
                    np.concatenate([given["x"][row, t], h]) @ w["h.W"] + w["h.b"]
                )
            np.testing.assert_allclose(found.outputs["h"][row, t], h, atol=1e-15)
        np.testing.assert_allclose(found.finals["h"][row], h, atol=1e-15)


def test_a_tap_reaches_over_steps_that_are_no_data():
    """A row with gaps computes what the row without them computes in fewer steps."""
    spec, w, given = prepared(masked(looking_back())(), some_steps(x_and_c))
    found = run(spec, w, given)
    for row in range(2):
        data = given["mask"][row] != 0
        short = {
            "x": given["x"][row : row + 1, data],
            "c": given["c"][row : row + 1],
            "mask": np.ones((1, data.sum())),
        }
        expected = run(spec, w, short)
        for name, value in expected.outputs.items():
            np.testing.assert_allclose(
                found.outputs[name][row, data], value[0], atol=1e-14
            )
        np.testing.assert_allclose(
            found.finals["h"][:, row], expected.finals["h"][:, 0], atol=1e-14
        )


@pytest.mark.parametrize("build", [plain, cells, carried_inside])
def test_a_run_goes_on_from_its_final_states(build):
    rnn = build()
    spec, w, given = prepared(
        rnn,
        lambda rng: {
            rnn.spec.inputs[0].name: rng.normal(
                size=(BATCH, TIME, *(2,) * (build is carried_inside), IN)
            )
        },
    )
    spec = spec.replace(return_sequences=True)
    whole = run(spec, w, given)
    [(name, x)] = given.items()
    first = run(spec, w, {name: x[:, :2]})
    second = run(spec, w, {name: x[:, 2:]}, states=first.finals)
    for output, value in whole.outputs.items():
        both = np.concatenate([first.outputs[output], second.outputs[output]], axis=1)
        np.testing.assert_allclose(both, value, atol=1e-14)


def test_a_truncated_gradient_is_that_of_the_last_steps_from_the_states_as_they_were():
    spec, w, given = prepared(cells(), x_only)
    before = run(spec, w, {"x": given["x"][:, :3]})
    cotangents = {
        name: np.random.RandomState(4).normal(size=value.shape)
        for name, value in run(spec, w, given).outputs.items()
    }
    late = gradients(
        spec,
        w,
        {"x": given["x"][:, 3:]},
        {name: d[:, 3:] for name, d in cotangents.items()},
        states=before.finals,
    )
    found = gradients(spec.replace(truncate_gradient=2), w, given, cotangents)
    for name, d in late.params.items():
        np.testing.assert_allclose(found.params[name], d, atol=1e-14)
    np.testing.assert_allclose(found.inputs["x"][:, 3:], late.inputs["x"], atol=1e-14)
    assert not found.inputs["x"][:, :3].any()
    whole = gradients(spec, w, given, cotangents)
    longer = gradients(spec.replace(truncate_gradient=TIME + 1), w, given, cotangents)
    assert all(
        np.array_equal(longer.params[name], d) for name, d in whole.params.items()
    )


def test_a_mask_of_ones_changes_no_gradient_of_a_truncated_loop():
    """What the last steps read of earlier slices of an input counts, with a mask as without."""
    spec, w, given = prepared(looking_back()(), x_and_c)
    spec = spec.replace(truncate_gradient=2)
    cotangents = {
        name: np.ones_like(value) for name, value in run(spec, w, given).outputs.items()
    }
    found = gradients(spec, w, given, cotangents, mask=np.ones((BATCH, TIME)))
    expected = gradients(spec, w, given, cotangents)
    assert expected.inputs["x"][:, 1:3].any(), "slices from before the last two steps"
    for name in given:
        np.testing.assert_allclose(
            found.inputs[name], expected.inputs[name], atol=1e-15
        )


def test_a_loop_stops_after_the_first_step_at_which_until_is_true_in_every_row():
    rnn = Recurrent(return_sequences=True, until="stop")
    rnn.add_input("x", dim=IN)
    rnn.add_input("enough", dtype="bool", dim=1)
    rnn.add_node(
        Dense(3, activation="tanh"), "h", input=["x", "h_tm1"], create_output=True
    )
    rnn.add_node(Identity(), "stop", input="enough")
    enough = np.zeros((BATCH, TIME, 1), bool)
    enough[0, 1] = enough[:, 2] = True
    spec, w, given = prepared(rnn, lambda rng: {**x_only(rng), "enough": enough})
    found = run(spec, w, given).outputs["h"]
    assert found.shape == (BATCH, 3, 3)
    short = {name: value[:, :3] for name, value in given.items()}
    plain_spec = spec.replace(until=None)
    assert np.array_equal(found, run(plain_spec, w, short).outputs["h"])
    d = np.random.RandomState(0).normal(size=found.shape)
    back, expected = (
        gradients(one, w, arrays, {"h": d})
        for one, arrays in ((spec, given), (plain_spec, short))
    )
    assert np.array_equal(back.inputs["x"][:, :3], expected.inputs["x"])
    assert not back.inputs["x"][:, 3:].any()
    rnn.compile(backend="python")
    np.testing.assert_allclose(rnn.predict(given)["h"], found, atol=1e-14)


def test_one_truth_value_chooses_for_the_whole_batch():
    sides = {
        "condition": np.array(True),
        "then": np.ones((2, 1)),
        "otherwise": np.zeros((2, 1)),
    }
    found = compute("IfElse", {}, sides, Scope(Params()))
    assert found.value.sum() == 2
    back = found.back(np.ones((2, 1))).x
    assert back["then"].sum() == 2
    assert not back["otherwise"].any()


def test_at_kinks_gradients_are_those_of_2015():
    def slope(name, at, **config):
        return float(
            compute(name, config, np.array([[at]]), Scope(Params()))
            .back(np.ones((1, 1)))
            .x[0, 0]
        )

    assert slope("Activation", 0.0, activation="relu") == 0.5
    assert (
        slope("Activation", 2.5, activation="hard_sigmoid")
        == slope("Activation", -2.5, activation="hard_sigmoid")
        == 0.2
    )
    assert slope("LeakyReLU", 0.0, alpha=0.5) == 0.75
    larger = compute(
        "Merge",
        {"layers": [{"name": "Identity"}] * 2, "mode": "max"},
        {"input_0": np.ones((1, 1)), "input_1": np.ones((1, 1))},
        Scope(Params()),
    )
    assert [d.item() for d in larger.back(np.ones((1, 1))).x.values()] == [1, 0], (
        "of two that are equal the first"
    )


def test_floats_are_as_wide_as_the_parameters():
    spec, w, given = prepared(looking_back()(), x_and_c)
    narrow = {name: value.astype("float32") for name, value in w.items()}
    found = run(spec, narrow, given)
    back = gradients(
        spec,
        narrow,
        {name: value.astype("float32") for name, value in given.items()},
        found.outputs,
    )
    every = (found.outputs, found.finals, found.values, back.params, back.inputs)
    assert {value.dtype for arrays in every for value in arrays.values()} == {
        np.dtype("float32")
    }
    for name, value in run(spec, w, given).outputs.items():
        np.testing.assert_allclose(found.outputs[name], value, atol=1e-5)


def test_a_shared_container_may_have_a_shared_layer_inside():
    """By hand: y = x W W at both places, so the gradient of W counts all four."""
    inner = Graph()
    inner.add_input("v", ndim=2, dim=2)
    dense = Dense(2, 2, bias=False)
    inner.add_node(dense, "a", input="v")
    inner.add_node(dense, "b", input="a", create_output=True)
    graph = Graph()
    graph.add_input("x", ndim=2, dim=2)
    graph.add_node(inner, "one", input="x", create_output=True)
    graph.add_node(inner, "two", input="one", create_output=True)
    shared = shared_layers(graph)
    assert len(shared) >= 2
    W = np.array([[0.5, 1.0], [0.25, -2.0]])
    [name] = graph.named_params
    x = np.array([[1.0, -3.0]])
    found = run(graph.spec, {name: W}, {"x": x}, shared=shared)
    np.testing.assert_allclose(found.outputs["two"], x @ W @ W @ W @ W)
    ones = np.ones((1, 2))
    d = gradients(
        graph.spec,
        {name: W},
        {"x": x},
        {"one": np.zeros((1, 2)), "two": ones},
        shared=shared,
    ).params[name]
    expected = np.zeros((2, 2))
    for index in np.ndindex(2, 2):
        moved = np.zeros((2, 2), complex)
        moved[index] = 1e-30j
        V = W + moved
        expected[index] = (x @ V @ V @ V @ V).sum().imag / 1e-30
    np.testing.assert_allclose(d, expected, rtol=1e-12)


def test_weights_of_a_layer_that_stands_twice_are_shared():
    tied, apart = Recurrent(), Recurrent()
    one = Dense(IN, IN, activation="tanh", seed=1)
    for rnn, second in ((tied, one), (apart, Dense(IN, IN, activation="tanh", seed=1))):
        rnn.add_input("x", dim=IN)
        rnn.add_node(one, "once", input="h_tm1")
        rnn.add_node(second, "twice", input="once")
        rnn.add_node(
            Identity(), "h", input=["twice", "x"], merge_mode="sum", create_output=True
        )
    _, w, given = prepared(apart, x_only)
    for letter in "Wb":
        w[f"twice.{letter}"] = w[f"once.{letter}"]
    expected = gradients(apart.spec, w, given, {"h": np.ones((BATCH, IN))}).params
    alone = {name: value for name, value in w.items() if name.startswith("once")}
    found = gradients(
        tied.spec, alone, given, {"h": np.ones((BATCH, IN))}, shared={"twice": "once"}
    ).params
    np.testing.assert_allclose(
        found["once.W"], expected["once.W"] + expected["twice.W"], atol=1e-15
    )
    with pytest.raises(WeightsError, match=r"parameter 'W'.*shared="):
        run(tied.spec, alone, given)


def test_dropout_once_a_sequence_is_held_inside_a_graph_too():
    inner = Graph()
    inner.add_input("a", dim=IN)
    inner.add_node(Dropout(0.5, per="sequence"), "drop", input="a", create_output=True)
    for layer, name in (
        (inner, "drop"),
        (Sequential([Dropout(0.5, per="sequence")]), "layer_0"),
    ):
        rnn = Recursive(return_sequences=True)
        rnn.add_input("x", dim=IN)
        rnn.add_node(layer, "held", input="x", create_output=True)
        keep = np.random.RandomState(0).uniform(size=(BATCH, IN))
        found = run(
            rnn.spec,
            {},
            {"x": np.ones((BATCH, TIME, IN))},
            draws={f"held.{name}.keep": keep},
            train=True,
        )
        assert np.array_equal(
            found.outputs["held"], np.repeat(2.0 * (keep >= 0.5)[:, None], TIME, axis=1)
        )


def test_a_state_may_be_fed_by_what_contexts_alone_make():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_input("c", is_sequence=False, dim=2)
    rnn.add_state("s", dim=2, input="same")
    rnn.add_node(Dense(2, 2), "same", input="c")
    rnn.add_node(Identity(), "seen", input=["s", "x"], create_output=True)
    spec, w, given = prepared(rnn, x_and_c)
    found = run(spec, w, given).outputs["seen"][..., :2]
    assert not found[:, 0].any()
    np.testing.assert_allclose(found[:, 3], given["c"] @ w["same.W"] + w["same.b"])


def test_a_dim_that_nobody_declared_is_found_from_what_is_known():
    """What multiplies, or is added, has the dim of the others; a gate of one value a row does not tell."""
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(Dense(1), "gate", input="kept_tm1")
    rnn.add_node(Identity(), "kept", input=merge_mul(["gate", "h_tm2", "x"]))
    rnn.add_node(
        Activation("tanh"),
        "h",
        input=["kept", "h_tm1", "x"],
        merge_mode="sum",
        create_output=True,
    )
    spec, w, given = prepared(rnn, x_only)
    kept, h = np.zeros((BATCH, IN)), [np.zeros((BATCH, IN))] * 2
    for t in range(TIME):
        kept = (kept @ w["gate.W"] + w["gate.b"]) * h[-2] * given["x"][:, t]
        h.append(np.tanh(kept + h[-1] + given["x"][:, t]))
    np.testing.assert_allclose(
        run(spec, w, given).outputs["h"][:, -1], h[-1], atol=1e-15
    )


# What is refused


def refused(error, words, spec, params, inputs, **how):
    with pytest.raises(error, match=words):
        run(spec, params, inputs, **how)


def declared(*nodes, **settings):
    """A declaration of an input ``x``, and of nodes that read what is said, each a Dense."""
    made = tuple(
        NodeSpec(
            name,
            LayerSpec("Dense", {"output_dim": 2}),
            (PortSpec("input", tuple(refs)),),
        )
        for name, *refs in nodes
    )
    return GraphSpec(
        **{"free": True, "inputs": (InputSpec("x", dim=2),), "nodes": made, **settings}
    )


X = {"x": np.ones((1, 3, 2))}
WEIGHTS = {
    f"{name}.{letter}": value
    for name in "ab"
    for letter, value in (("W", np.ones((2, 2))), ("b", np.ones(2)))
}


def test_what_is_given_wrong_is_named():
    spec = declared(("a", Ref("x")))
    refused(WeightsError, "parameter 'W' takes an array", spec, {}, X)
    refused(DataError, "input 'y'.*unknown name", spec, WEIGHTS, {**X, "y": X["x"]})
    refused(DataError, "input 'x'.*got none", spec, WEIGHTS, {})
    refused(ShapeError, "3 axes", spec, WEIGHTS, {"x": np.ones((3, 2))})
    refused(
        ShapeError,
        "input 'x' takes a last axis of 2",
        spec,
        WEIGHTS,
        {"x": np.ones((1, 3, 4))},
    )
    refused(
        ShapeError,
        "input 'x and mask' takes the same number of rows",
        spec,
        WEIGHTS,
        X,
        mask=np.ones((2, 3)),
    )
    refused(
        ShapeError,
        "node 'a' takes inputs and weights that fit",
        spec,
        {**WEIGHTS, "a.W": np.ones((3, 2))},
        X,
    )
    refused(SequenceLengthError, "one length", spec.replace(n_steps=4), WEIGHTS, X)
    refused(
        UnknownNameError, "state 'h'", spec, WEIGHTS, X, states={"h": np.ones((1, 2))}
    )
    with pytest.raises(DataError, match="cotangent 'a'"):
        gradients(spec, WEIGHTS, X, {"a": np.ones((2, 2))})


def test_what_cannot_be_run_is_named():
    refused(
        CycleError,
        "a and b waiting",
        declared(("a", Ref("b")), ("b", Ref("a"))),
        WEIGHTS,
        X,
    )
    grown = declared(("a", Ref("x")), states=(StateSpec("s", 3, "a"),))
    refused(ShapeError, r"state 's' takes values of \(1, 3\)", grown, WEIGHTS, X)
    refused(
        DtypeError,
        "node 'a' takes truth values",
        declared(("a", Ref("x")), until="a"),
        WEIGHTS,
        X,
    )
    unknown = NodeSpec(
        "a", LayerSpec("Identity"), (PortSpec("input", (Ref("a", -1),)),)
    )
    refused(ShapeError, "state 'a' takes a dim", declared(nodes=(unknown,)), {}, X)
    wrong = declared(
        ("a", Ref("x")), states=(StateSpec("a", 2, "a", initial="learned"),)
    )
    refused(ShapeError, "takes rows of", wrong, {**WEIGHTS, "a.initial": np.ones(3)}, X)


def test_code_from_outside_is_not_run():
    rnn = Recursive()
    rnn.add_input("x", dim=2)
    rnn.add_node(Lambda(lambda x: x), "y", input="x", create_output=True)
    refused(
        UnknownNameError,
        "layer 'Lambda'.*runs no code but its own.*node 'y'.*run the network",
        rnn.spec,
        {},
        X,
    )


def test_noise_is_never_drawn_here():
    spec, w, given = prepared(noisy(), x_only)
    refused(DataError, "draw 'keep'.*draws nothing itself", spec, w, given, train=True)
    refused(
        ShapeError,
        "draw 'keep'",
        spec,
        w,
        given,
        train=True,
        draws={"drop.keep": np.ones((BATCH, TIME, 1))},
    )


def test_a_mask_is_refused_where_steps_are_mixed():
    graph = Graph()
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_node(Flatten(), "y", input="x", create_output=True)
    spec, w, given = prepared(graph, x_only)
    refused(
        ConfigError,
        "layer 'Flatten' takes an input without a mask at its port 'input'",
        spec,
        w,
        given,
        mask=np.ones((BATCH, TIME)),
    )


def one_dense(**rules):
    """A Dense in a chain in a Graph, with rules."""
    graph = Graph()
    graph.add_input("x", dim=2)
    graph.add_node(
        Sequential([Dense(2, 2, bias=False, **rules)]),
        "y",
        input="x",
        create_output=True,
    )
    return graph.spec


def test_a_penalty_on_an_output_is_not_left_out_in_silence():
    spec = one_dense(activity_regularizer="activity_l2")
    with pytest.raises(ConfigError, match=r"layer 'y.layer_0'.*activity_regularizer"):
        train(spec, {}, {"x": np.ones((1, 2))}, {"y": np.ones((1, 2))})


def test_a_penalty_and_a_constraint_of_a_layer_inside_another():
    """By hand: x is 0, so that the loss is 0 and the penalty alone moves W."""
    rules = {"W_regularizer": {"name": "WeightRegularizer", "l1": 0.5, "l2": 0.25}}
    rules["W_constraint"] = "nonneg"
    W = np.array([[2.0, -4.0], [0.0, 1.0]])
    found = train(
        one_dense(**rules),
        {"y.layer_0.W": W},
        {"x": np.zeros((1, 2))},
        {"y": np.zeros((1, 2))},
        {"name": "SGD", "lr": 1.0},
        steps=1,
    )
    assert found.losses == [0.5 * 7 + 0.25 * 21]
    moved = W - (0.5 * np.sign(W) + 0.5 * W)
    np.testing.assert_allclose(found.params["y.layer_0.W"], np.maximum(moved, 0))
    assert moved.min() < 0
