"""The container as the thread declared it: results, views, and errors."""

import copy
import pickle

import numpy as np
import pytensor
import pytest

from recursive import (
    Activation,
    Dense,
    Dropout,
    Embedding,
    Graph,
    Identity,
    Lambda,
    Recurrent,
    Recursive,
    Reshape,
    Sequential,
    SimpleRNN,
    errors,
    merge_mul,
    merge_sum,
)
from recursive.backend import Argument, Program, evaluate
from recursive.spec.graph import GraphSpec
from tests.cases import (
    BATCH,
    CASES,
    HIDDEN,
    IN,
    TIME,
    vanilla,
    vanilla_loop,
    weights_of,
    with_random_weights,
)

X = np.random.RandomState(3).normal(size=(3, TIME, IN))


class Thread:
    """The first snippet of the thread, with one full stop corrected to a comma."""

    def __init__(self):
        self.input_dim = 2
        self.state_dim = 2

        self.model = Recursive(return_sequences=True)

        self.model.add_input("input", ndim=3)  # Input is 3D tensor
        self.model.add_state("h", dim=self.state_dim)
        self.model.add_node(
            Dense(self.input_dim, self.state_dim, init="one"),
            name="i2h",
            inputs=[
                "input",
            ],
        )
        self.model.add_node(
            Dense(self.state_dim, self.state_dim, init="orthogonal"),
            name="h2h",
            inputs=[
                "h",
            ],
        )
        self.model.add_node(
            Activation("tanh"),
            name="rec",
            inputs=["i2h", "h2h"],
            merge_mode="sum",
            return_state="h",
            create_output=True,
        )


def test_the_threads_first_snippet_runs_and_equals_a_numpy_loop():
    rnn = Thread().model
    x = np.random.RandomState(1).normal(size=(3, TIME, 2))
    W, b, U, c = rnn.get_weights()
    h, expected = np.zeros((3, 2)), []
    for t in range(TIME):
        h = np.tanh(x[:, t] @ W + b + h @ U + c)
        expected.append(h)
    assert np.array_equal(W, np.ones((2, 2)))
    assert np.abs(rnn.predict(x) - np.stack(expected, axis=1)).max() < 1e-12


def test_the_arguments_of_scan_are_sequences_then_states_then_parameters():
    rnn = with_random_weights(CASES[3].build())
    assert [str(ref) for ref in rnn.declared_plan.arguments] == [
        "x_tm2",
        "x",
        "h_tm3",
        "h_tm2",
        "h_tm1",
        "own_tm1",
        "now.W",
        "now.b",
        "before.W",
        "before.b",
        "far.W",
        "far.b",
        "own.W",
        "own.b",
    ]


def test_states_are_taken_in_the_order_in_which_they_are_declared():
    rnn = with_random_weights(CASES[1].build())
    assert [str(ref) for ref in rnn.declared_plan.arguments[:3]] == [
        "x",
        "hb_tm1",
        "ha_tm1",
    ]
    assert rnn.declared_plan.results == ("rb", "ra")


def test_explain_shows_each_argument_the_step_and_what_runs_outside_it():
    assert (
        vanilla().explain()
        == """\
The arguments of scan's step, in order:

position  kind       name   tap  shape
0         sequence   i2h    t    (batch, 6)
1         state      h      t-1  (batch, 6)
2         parameter  h2h.W       (6, 6)
3         parameter  h2h.b       (6,)

The step:

# before the loop, for all steps at once
i2h = x @ i2h_W + i2h_b

def step(i2h, h_tm1, h2h_W, h2h_b):
    h2h = h_tm1 @ h2h_W + h2h_b
    rec = tanh(i2h + h2h)
    return [rec, h2h]

The gradient: a reverse pass of its own. Each step keeps 0 values for it in addition to its results; the \
gradient of weights is one product after the loop."""
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"truncate_gradient": 2}, "scan's own gradient, since it is truncated."),
        ({"unroll": True, "n_steps": 3}, "that of the steps, which are written out."),
    ],
)
def test_explain_shows_the_kind_of_gradient(settings, words):
    rnn = Recurrent(**settings)
    rnn.add_input("x", dim=IN)
    rnn.add_node(Dense(IN + HIDDEN, HIDDEN), "h", input=["x", "h_tm1"])
    assert f"\nThe gradient: {words}" in rnn.explain()


def test_explain_mentions_a_loop_inside_a_step():
    inner = Recurrent()
    inner.add_input("word", dim=2)
    inner.add_node(Dense(2 + HIDDEN, HIDDEN), "g", input=["word", "g_tm1"])
    rnn = Recurrent()
    rnn.add_input("x", dim=4)
    rnn.add_node(Dense(4 + HIDDEN, 4), "both", input=["x", "read_tm1"])
    rnn.add_node(Reshape(2, 2), "words", input="both")
    rnn.add_node(inner, "read", input="words")
    assert (
        "The gradient: scan's own gradient, since a step has a loop or an IfElse in it, or "
        "slices or indexes values at positions that it computes."
    ) in rnn.explain()


def test_a_container_lists_its_parameters_inputs_and_outputs():
    rnn = vanilla()
    assert rnn.nodes["i2h"].W is rnn.params[0]
    assert list(rnn.named_params) == ["i2h.W", "i2h.b", "h2h.W", "h2h.b"]
    assert rnn.get_input().type.shape == (None, None, IN)
    assert list(rnn.get_output()) == ["i2h", "h2h", "rec"]
    assert rnn.nb_input == 1
    assert rnn.nb_output == 3
    assert rnn.count_params() == 4 * 6 + 6 + 6 * 6 + 6


def test_the_step_returns_every_node_in_node_order_with_or_without_the_parameters():
    rnn = with_random_weights(vanilla())
    x, h = np.ones((3, IN)), np.full((3, HIDDEN), 0.5)
    own = evaluate(
        rnn._step(pytensor.tensor.constant(x), pytensor.tensor.constant(h)), {}
    )
    w = weights_of(rnn)
    i2h, h2h = x @ w["i2h.W"] + w["i2h.b"], h @ w["h2h.W"] + w["h2h.b"]
    for found, expected in zip(own, (i2h, h2h, np.tanh(i2h + h2h)), strict=True):
        assert np.abs(found - expected).max() < 1e-14
    doubled = [2 * value for value in rnn.get_weights()]
    given = evaluate(rnn._step(x, h, *map(pytensor.tensor.constant, doubled)), {})
    assert np.abs(given[0] - 2 * i2h).max() < 1e-14
    assert np.abs(given[1] - 2 * h2h).max() < 1e-14


def test_the_step_refuses_another_number_of_arguments():
    with pytest.raises(
        errors.DataError, match=r"takes 2 or 6 tensors \(x, h_tm1, i2h.W"
    ):
        vanilla()._step(X[:, 0])


def test_a_list_of_one_name_equals_the_name_and_a_string_means_one_name():
    def declared(**read):
        rnn = Recursive()
        rnn.add_input("x", dim=IN)
        rnn.add_node(Dense(2), "y", create_output=True, **read)
        return rnn.spec

    assert (
        declared(input="x")
        == declared(inputs=["x"])
        == declared(inputs="x")
        == declared(inputs=("x",))
    )


def test_the_declaration_survives_a_round_trip_through_plain_data():
    for case in CASES:
        rnn = with_random_weights(case.build())
        if case.name not in ("merges", "proposal 9"):
            assert GraphSpec.from_dict(rnn.spec.to_dict()) == rnn.spec


def test_a_lambda_is_refused_when_it_is_written():
    with pytest.raises(
        errors.ConfigError,
        match="node 'sumed' takes a layer whose configuration is plain data",
    ):
        CASES[4].build().spec.to_dict()


def test_a_layer_that_two_nodes_use_shares_its_weights():
    rnn = Recursive()
    rnn.add_input("a", dim=IN)
    rnn.add_input("b", dim=IN)
    shared = Dense(IN, HIDDEN)
    rnn.add_node(shared, "left", input="a")
    rnn.add_node(shared, "right", input="b")
    rnn.add_output("both", inputs=["left", "right"], merge_mode="sum")
    assert list(rnn.named_params) == ["left.W", "left.b"]
    found = rnn.predict([X, 2 * X])
    assert np.abs(found - 3 * X[:, -1] @ shared.W.get_value()).max() < 1e-12


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_declared_shape_is_the_evaluated_shape(case):
    rnn, inputs = (
        with_random_weights(case.build()),
        case.inputs(np.random.RandomState(3)),
    )
    shapes = {name: (None, *array.shape[1:]) for name, array in inputs.items()}
    declared = rnn.get_output_shape_for(shapes)
    declared = (
        declared if isinstance(declared, dict) else {rnn.output_names[0]: declared}
    )
    evaluated = rnn.predict(inputs)
    assert {
        name: (None, *array.shape[1:]) for name, array in evaluated.items()
    } == declared


def test_the_dim_of_an_input_is_inferred_from_the_first_batch():
    rnn = Recursive()
    rnn.add_input("x")
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(
        Dense(HIDDEN, activation="tanh"),
        "rec",
        inputs=["x", "h"],
        return_state="h",
        create_output=True,
    )
    with pytest.raises(
        errors.ShapeError, match="node 'rec' takes an input of known dim"
    ):
        rnn.get_output()
    assert rnn.predict(X).shape == (3, HIDDEN)
    assert rnn.spec.inputs[0].dim == IN


def test_the_dim_of_integers_and_booleans_is_inferred_but_not_the_length_of_a_sequence():
    for dtype, x in (
        ("int", np.ones((3, TIME, 2), dtype=int)),
        ("bool", np.ones((3, TIME, 2), dtype=bool)),
    ):
        rnn = Recursive()
        rnn.add_input("x", dtype=dtype)
        rnn.add_node(Dense(HIDDEN), "y", input="x", create_output=True)
        assert rnn.predict(x).shape == (3, HIDDEN)
    graph = Graph()
    graph.add_input("words", ndim=2, dtype="int")
    graph.add_node(Embedding(9, 2), "vectors", input="words", create_output=True)
    assert [
        graph.predict(np.ones((3, time), dtype=int)).shape[1] for time in (5, 4)
    ] == [5, 4]


def test_the_input_stays_the_same_variable_whether_taken_or_assigned_before_the_first_build():
    rnn = vanilla()
    taken = rnn.input
    assert evaluate([rnn.get_output()["rec"]], {taken: X})[0].shape == (3, TIME, HIDDEN)
    rnn = vanilla()
    rnn.input = pytensor.tensor.dtensor3("mine")
    assert evaluate([rnn.get_output()["rec"]], {rnn.input: X})[0].shape == (
        3,
        TIME,
        HIDDEN,
    )


def test_the_dim_of_an_input_is_inferred_from_the_layer_before():
    first, second = Recursive(return_sequences=True), Recursive()
    for rnn, read in ((first, Dense(IN, 3)), (second, Dense(2))):
        rnn.add_input("x")
        rnn.add_node(read, "y", input="x", create_output=True)
    second.set_previous(first)
    found = evaluate([second.get_output()], {first.get_input(): X})[0]
    assert (
        np.abs(
            found
            - X[:, -1] @ first.params[0].get_value() @ second.params[0].get_value()
        ).max()
        < 1e-12
    )


def test_containers_run_inside_containers():
    """A loop in a loop over ``(batch, time, inner time, dim)``, and a loop in a Graph in a Sequential."""
    inner, outer = Recursive(), Recursive(return_sequences=True)
    inner.add_input("x", dim=IN)
    inner.add_state("h", dim=HIDDEN)
    inner.add_node(
        Dense(IN + HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["x", "h"],
        return_state="h",
        create_output=True,
    )
    outer.add_input("x", ndim=4)
    outer.add_state("h", dim=HIDDEN)
    outer.add_node(inner, "inner", input="x")
    outer.add_node(
        Activation("tanh"),
        "rec",
        inputs=["inner", "h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    x = np.random.normal(size=(3, TIME, 2, IN))
    W, b = inner.get_weights()
    h, expected = np.zeros((3, HIDDEN)), []
    for t in range(TIME):
        g = np.zeros((3, HIDDEN))
        for s in range(2):
            g = np.tanh(np.concatenate([x[:, t, s], g], 1) @ W + b)
        h = np.tanh(g + h)
        expected.append(h)
    assert np.abs(outer.predict(x) - np.stack(expected, 1)).max() < 1e-12
    graph = Graph()
    graph.add_input("x", ndim=3)
    graph.add_node(inner, "inner", input="x", create_output=True)
    found = Sequential([graph, Dense(HIDDEN, 2, init="one")]).predict(x[:, 0])
    g = np.zeros((3, HIDDEN))
    for s in range(2):
        g = np.tanh(np.concatenate([x[:, 0, s], g], 1) @ W + b)
    assert np.abs(found - g.sum(1, keepdims=True)).max() < 1e-12


def test_batch_one_and_dim_one_work_and_train():
    rnn = Recursive()
    rnn.add_input("x", dim=1)
    rnn.add_state("h", dim=1)
    rnn.add_node(
        Dense(1, activation="tanh"),
        "rec",
        inputs=["x", "h"],
        return_state="h",
        create_output=True,
    )
    rnn.compile("sgd", "mse")
    losses = [rnn.train_on_batch(np.ones((1, TIME, 1)), [0.5]) for _ in range(20)]
    assert losses[-1] < losses[0]


def test_dropout_in_a_loop_draws_before_it_and_has_a_gradient():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(Dense(IN, HIDDEN), "i2h", input="x")
    rnn.add_node(
        Sequential([Dropout(0.5, seed=2), Activation("linear")]),
        "drop",
        input="i2h",
        create_output=True,
    )
    rnn.add_node(
        Activation("tanh"),
        "rec",
        inputs=["drop", "h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    program = Program(
        [Argument("x", "float64", (None, None, IN))],
        lambda x: (
            [
                *(outputs := rnn(x[0], train=True)).values(),
                pytensor.grad(outputs["rec"].sum(), rnn.params[0]),
            ],
            [],
        ),
        "python",
    )
    dropped, _, gradient = program(X)
    plain = X @ rnn.params[0].get_value()
    kept = dropped != 0
    assert 0.2 < kept.mean() < 0.8
    assert np.abs(dropped[kept] - 2 * plain[kept]).max() < 1e-12
    assert len({tuple(step) for step in kept.reshape(-1, HIDDEN)}) > 10, (
        "draws differ between steps and rows"
    )
    assert np.abs(gradient).max() > 0
    assert not np.array_equal(program(X)[0], dropped), "each call draws again"


@pytest.mark.parametrize("cast", ["float32", "int64"])
def test_a_state_fed_with_another_dtype_is_refused_before_scan_would_complain(cast):
    rnn = Recursive()
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=IN)
    rnn.add_node(
        Lambda(lambda x: x.astype(cast)),
        "rec",
        inputs=["x", "h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    with pytest.raises(
        errors.DtypeError, match=f"node 'rec' takes values of float64, .* got {cast}"
    ):
        rnn.get_output()


def test_a_container_survives_pickle_and_deepcopy_with_its_weights_and_optimizer():
    rnn = with_random_weights(vanilla())
    rnn.return_sequences = False
    rnn.compile("adam", dict.fromkeys(rnn.output_names, "mse"))
    targets = dict.fromkeys(rnn.output_names, np.ones((3, HIDDEN)))
    rnn.train_on_batch({"x": X, **targets})
    twins = [copy.deepcopy(rnn), pickle.loads(pickle.dumps(rnn))]
    expected = [rnn.train_on_batch({"x": X, **targets}) for _ in range(3)]
    for twin in twins:
        assert [twin.train_on_batch({"x": X, **targets}) for _ in range(3)] == expected
        assert all(
            np.array_equal(a, b)
            for a, b in zip(twin.get_weights(), rnn.get_weights(), strict=True)
        )
        assert twin.params[0] is not rnn.params[0]


def test_a_node_added_after_compile_makes_the_functions_stale():
    rnn = with_random_weights(vanilla())
    rnn.compile()
    before = rnn.predict(X)
    rnn.add_node(Lambda(lambda x: 2 * x), "twice", input="rec", create_output=True)
    after = rnn.predict(X)
    assert set(after) - set(before) == {"twice"}
    assert np.array_equal(after["twice"], 2 * before["rec"])


def test_a_layer_added_inside_a_node_makes_the_functions_stale_too():
    inner = Sequential([Activation("linear")])
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(inner, "y", input="x", create_output=True)
    assert np.array_equal(rnn.predict(X), X)
    inner.add(Lambda(lambda x: -x))
    assert np.array_equal(rnn.predict(X), -X)


@pytest.mark.parametrize("container", [Recursive, Recurrent])
def test_the_declaration_follows_an_activation_that_is_replaced(container):
    rnn = container()
    rnn.add_input("x", dim=IN)
    rnn.add_node(Dense(HIDDEN, activation="tanh"), "y", input="x", create_output=True)
    rnn.complete()
    rnn.nodes["y"].activation = "relu"
    assert rnn.spec.nodes[0].layer.config["activation"] == "relu"


def test_sequences_of_unequal_length_are_refused_even_where_scan_would_shorten_them():
    rnn = Recursive()
    rnn.add_input("a", dim=IN)
    rnn.add_input("b", dim=IN)
    rnn.add_node(
        Activation("linear"),
        "sum",
        inputs=["a", "b"],
        merge_mode="sum",
        create_output=True,
    )
    with pytest.raises(errors.SequenceLengthError, match=r"got a: 5, b: 4"):
        rnn.predict({"a": X, "b": X[:, :4]})
    symbols = list(rnn.get_input().values())
    for long, short in ((X, X[:, :4]), (X[:, :4], X)):
        with pytest.raises(errors.SequenceLengthError):
            evaluate([rnn.get_output()], dict(zip(symbols, (long, short), strict=True)))


def test_sequences_of_no_steps_are_refused():
    rnn = vanilla()
    with pytest.raises(errors.SequenceLengthError, match="1 step or more"):
        rnn.predict(X[:, :0])
    with pytest.raises(errors.SequenceLengthError):
        evaluate([rnn.get_output()["rec"]], {rnn.get_input(): X[:, :0]})


def declare(*calls):
    """A container with an input x and a state h, and further calls on it."""

    def make():
        rnn = Recursive()
        rnn.add_input("x", dim=IN)
        rnn.add_state("h", dim=HIDDEN)
        for method, arguments in calls:
            getattr(rnn, method)(**arguments)
        rnn.build()

    return make


def node(name="rec", **changes):
    return "add_node", {
        "layer": Dense(HIDDEN),
        "name": name,
        "inputs": ["x", "h"],
        "return_state": "h",
        "create_output": True,
    } | changes


def with_node(layer):
    """The output of a container in which ``layer`` reads the slices ``(batch, dim)`` of x."""
    rnn = Recursive()
    rnn.add_input("x", dim=IN)
    rnn.add_node(layer, "y", input="x", create_output=True)
    return rnn.get_output()


REFUSED = [
    (declare(node(inputs=["x", "hh"])), errors.UnknownNameError, "Did you mean 'h'"),
    (
        declare(node(), node("later", return_state="hh")),
        errors.UnknownNameError,
        "Did you mean 'h'",
    ),
    (
        declare(node(), node(return_state=None)),
        errors.DuplicateNameError,
        "existing node",
    ),
    (declare(node("x")), errors.DuplicateNameError, "existing input"),
    (declare(node("rec_tm1")), errors.ReservedNameError, "does not end in _tm"),
    (
        declare(("add_input", {"name": "x_tm2"})),
        errors.ReservedNameError,
        "does not end in _tm",
    ),
    (
        declare(("add_state", {"name": "h", "dim": 2})),
        errors.DuplicateNameError,
        "existing state",
    ),
    (
        declare(("add_state", {"name": "a b", "dim": 2})),
        errors.InvalidNameError,
        "letters, digits",
    ),
    (
        declare(("add_state", {"name": "lambda", "dim": 2})),
        errors.InvalidNameError,
        "keyword",
    ),
    (declare(node(merge_mode="cnocat")), errors.MergeError, "Did you mean 'concat'"),
    (
        declare(node(inputs=["x"], merge_mode="cnocat")),
        errors.MergeError,
        "Did you mean 'concat'",
    ),
    (
        declare(node(inputs=["x", "h"], merge_mode="sum")),
        errors.MergeError,
        r"x \(None, 4\), h \(None, 6\)",
    ),
    (declare(node(inputs=[])), errors.NodeError, "at least one input"),
    (declare(node(inputs=(), input=None)), errors.NodeError, "at least one input"),
    (declare(node(input="x")), errors.NodeError, "input or inputs"),
    (declare(node(layer="Dense")), errors.NodeError, "takes a layer"),
    (declare(node(layer=Dense)), errors.NodeError, "takes a layer"),
    (declare(node(inputs=["x", 3])), errors.InvalidNameError, "takes a name"),
    (
        declare(node(return_state=None)),
        errors.StateError,
        "that nothing returns|no node that returns it",
    ),
    (declare(node(), node("again")), errors.StateError, "from one node"),
    (declare(node(layer=Dense(5))), errors.StateError, "dim 6"),
    (
        declare(node(layer=Dense(9, HIDDEN))),
        errors.ShapeError,
        "takes an input of dim 9.*got 10",
    ),
    (declare(node(create_output=False)), errors.OutputError, "create_output=True"),
    (declare(node(inputs=["x", "h_tm0"])), errors.TapError, "_tm1 or more"),
    (
        declare(node(), ("add_output", {"name": "y", "input": "reck"})),
        errors.UnknownNameError,
        "'rec'",
    ),
    (
        declare(node(), ("add_output", {"name": "h", "input": "h"})),
        errors.DuplicateNameError,
        "existing state",
    ),
    (
        declare(node(), ("add_output", {"name": "y"})),
        errors.OutputError,
        "at least one node",
    ),
    (
        declare(("add_input", {"name": "z", "ndim": 1})),
        errors.ShapeError,
        "ndim of 2 to 32",
    ),
    (
        declare(("add_input", {"name": "z", "ndim": "3"})),
        errors.ShapeError,
        "ndim of 2 to 32",
    ),
    (
        declare(("add_input", {"name": "z", "dtype": "flaot"})),
        errors.DtypeError,
        "Did you mean 'float'",
    ),
    (declare(("add_input", {"name": "z", "dim": 0})), errors.ShapeError, "1 or more"),
    (declare(("add_state", {"name": "z", "dim": -1})), errors.ShapeError, "1 or more"),
    (lambda: with_node(Embedding(9, 2)), errors.DtypeError, "dtype='int'"),
    (lambda: with_node(SimpleRNN(IN, 2)), errors.ShapeError, "batch, time, dim"),
    (
        lambda: (rnn := vanilla()).add_node(rnn, "itself", input="x"),
        errors.NodeError,
        "part of itself",
    ),
    (
        lambda: (rnn := vanilla()).add_node(Sequential([rnn]), "itself", input="x"),
        errors.NodeError,
        "part of itself",
    ),
    (
        lambda: Sequential([vanilla(), Dense(2)]).predict(X),
        errors.ConfigError,
        "3 outputs",
    ),
    (
        lambda: Recursive().build(),
        errors.NodeError,
        "at least one sequence, or n_steps",
    ),
    (lambda: Graph().build(), errors.NodeError, "at least one input"),
    (lambda: Sequential().predict(X), errors.ConfigError, "at least one layer"),
    (lambda: Sequential([Dense]), errors.ConfigError, "takes a layer"),
]


@pytest.mark.parametrize(("make", "error", "words"), REFUSED, ids=range(len(REFUSED)))
def test_an_error_says_what_is_taken_what_was_given_and_what_to_do(make, error, words):
    with pytest.raises(error, match=words) as caught:
        make()
    assert type(caught.value) is error
    assert " takes " in str(caught.value)
    assert "; got " in str(caught.value)


@pytest.mark.parametrize("settings", [{}, {"stateful": True}])
def test_a_state_whose_dim_follows_from_itself_alone_must_declare_it(settings):
    def multiplied(merge):
        rnn = Recurrent(return_sequences=True, **settings)
        rnn.add_input("x", dim=1)
        rnn.add_node(Lambda(lambda h: h / 2), "half", input="h_tm1")
        rnn.add_node(Identity(), "h", input=merge(["x", "half"]), create_output=True)
        return rnn

    words = r"^state 'h' takes a known dim, .* add_state\('h', dim=1, input='h'\)"
    with pytest.raises(errors.StateError, match=words):
        multiplied(merge_mul).predict(X[..., :1])
    with pytest.raises(errors.StateError, match=words):
        multiplied(merge_mul).complete()
    assert multiplied(merge_sum).predict(X[..., :1]).shape == (3, TIME, 1)


def test_a_refused_declaration_changes_nothing():
    rnn = vanilla()
    before = rnn.spec
    with pytest.raises(errors.UnknownNameError):
        rnn.add_node(Dense(2), "bad", input="nothing", create_output=True)
    with pytest.raises(errors.UnknownNameError):
        rnn.add_node(Dense(2), "bad", input="x", return_state="nothing")
    assert rnn.spec is before
    assert "bad" not in rnn.nodes


def test_a_graph_runs_the_same_nodes_once():
    graph = Graph()
    graph.add_input("a", dim=3)
    graph.add_input("ids", ndim=2, dtype="int")
    graph.add_node(Embedding(9, 2), "vectors", input="ids")
    graph.add_node(
        Dense(3, 4, activation="tanh"), "left", input="a", create_output=True
    )
    graph.add_node(Lambda(lambda x: x.sum(axis=1)), "bag", input="vectors")
    graph.add_output("both", inputs=["left", "bag"])
    a, ids = np.random.normal(size=(3, 3)), np.random.randint(9, size=(3, 5))
    found = graph.predict({"a": a, "ids": ids})
    left = np.tanh(a @ graph.nodes["left"].W.get_value())
    bag = graph.nodes["vectors"].W.get_value()[ids].sum(axis=1)
    assert np.abs(found["left"] - left).max() < 1e-14
    assert np.abs(found["both"] - np.concatenate([left, bag], axis=1)).max() < 1e-14


def test_a_graph_reads_no_past_values():
    graph = Graph()
    graph.add_input("a", dim=3)
    with pytest.raises(errors.TapError, match="a Graph runs once"):
        graph.add_node(Dense(2), "y", input="a_tm1")


def test_a_container_is_a_layer_of_a_sequential():
    single = Recursive()
    single.add_input("x", dim=IN)
    single.add_state("h", dim=HIDDEN)
    single.add_node(
        Dense(IN + HIDDEN, HIDDEN, activation="tanh"),
        "rec",
        inputs=["x", "h"],
        return_state="h",
        create_output=True,
    )
    model = Sequential([Dense(3, IN), single, Dense(2)])
    x = np.random.normal(size=(3, TIME, 3))
    (W, b), (V, c), (R, d) = (
        layer.get_weights() for layer in [*model.layers[:2], Dense(HIDDEN, 2)]
    )
    model.build((None, None, 3))
    model.layers[2].set_weights([R, d])
    h = np.zeros((3, HIDDEN))
    for t in range(TIME):
        h = np.tanh(np.concatenate([x[:, t] @ W + b, h], 1) @ V + c)
    assert np.abs(model.predict(x) - (h @ R + d)).max() < 1e-12


def test_gradients_are_cut_off_before_the_last_k_steps_of_the_whole_sequence():
    """With ``truncate_gradient=2`` of 5 steps, earlier steps give no gradient."""
    rnn = with_random_weights(vanilla())
    rnn.truncate_gradient = 2
    loss = rnn.get_output()["rec"].sum()
    gradient = evaluate(
        [pytensor.grad(loss, rnn.nodes["i2h"].W)], {rnn.get_input(): X}
    )[0]
    w = weights_of(rnn)
    rec = vanilla_loop(w, {"x": X})["rec"]
    last = 1 - rec[:, 4] ** 2
    before = (last @ w["h2h.W"].T + 1) * (1 - rec[:, 3] ** 2)
    expected = X[:, 4].T @ last + X[:, 3].T @ before
    assert np.abs(gradient - expected).max() < 1e-12


def test_the_past_of_a_node_is_declared_before_it_starts_from_a_context():
    rnn = Recurrent()
    rnn.add_input("x", dim=2)
    rnn.add_node(Dense(5, 3), "h", input=["x", "h_tm1"])
    with pytest.raises(
        errors.UnknownNameError, match=r"Say add_state\('h', input='h'\) first"
    ):
        rnn.set_state_from("h", "start")

    rnn.add_state("h", input="h")
    rnn.set_state_from("h", "start")
    x, start = np.ones((2, 1, 2)), np.full((2, 3), 0.5)
    W, b = (rnn.complete(), rnn.get_weights())[1]
    expected = np.concatenate([x[:, 0], start], axis=1) @ W + b
    found = rnn({"x": x, "start": start}).eval()
    np.testing.assert_allclose(found, expected)


def test_products_with_and_without_a_bias_are_fused_and_keep_their_biases():
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(Dense(HIDDEN, HIDDEN, bias=False), "a", input="h_tm1")
    rnn.add_node(Dense(HIDDEN, HIDDEN), "b", input="h_tm1")
    rnn.add_node(Dense(IN, HIDDEN), "c", input="x")
    rnn.add_node(
        Activation("tanh"), "h", input=merge_sum(["a", "b", "c"]), create_output=True
    )
    rnn.complete()
    with_random_weights(rnn)
    assert (
        "a_late, b_late = split(h_tm1 @ concat([a_W, b_W]) + concat([zeros(6), b_b]), [6, 6])"
        in rnn.explain()
    )
    weights = {name: value.get_value() for name, value in rnn.named_params.items()}
    x = np.random.RandomState(3).normal(size=(BATCH, TIME, IN))
    h, steps = np.zeros((BATCH, HIDDEN)), []
    for t in range(TIME):
        past = h @ (weights["a.W"] + weights["b.W"]) + weights["b.b"]
        h = np.tanh(past + x[:, t] @ weights["c.W"] + weights["c.b"])
        steps.append(h)
    rnn.compile(backend="python")
    np.testing.assert_allclose(rnn.predict(x), np.stack(steps, axis=1), atol=1e-12)
