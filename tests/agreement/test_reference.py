"""The containers and the NumPy reference, which share no code but the declaration: outputs, every value, gradients."""

import numpy as np
import pytensor
import pytest

from recursive import (
    Dense,
    Graph,
    Merge,
    Sequential,
    Teacher,
    activations,
    backend,
    optimizers,
    recipes,
)
from recursive.layers.config import shared_layers
from recursive.loop.call import Call
from recursive.reference import gradients, run, train
from recursive.spec.graph import OutputSpec
from recursive.spec.names import Ref
from tests.cases import BATCH, CASES, IN, TIME, with_random_weights
from tests.reference.differences import check_gradients
from tests.reference.networks import (
    LAYERS,
    NETWORKS,
    draws,
    embedded,
    going_on,
    in_a_graph,
    looking_back,
    masked,
    nested,
    noisy,
    on_one_input,
    plain,
    prepared,
    some_steps,
    starts,
    text,
    words,
    x_and_c,
    x_c_and_rows,
    x_only,
    x_with_gaps,
)

CODE_OF_ONES_OWN = ("merges", "proposal 9")
"""Cases with a Lambda, which the reference refuses."""


def check(
    container, spec, weights, inputs, training=False, given_draws=None, mask=None
):
    """Compare the two where the loss is a weighted sum of all outputs."""
    shared, given_draws = shared_layers(container), given_draws or {}
    how = {"shared": shared, "train": training, "draws": given_draws, "mask": mask}
    found = run(spec, weights, inputs, **how)
    rng = np.random.RandomState(5)
    cotangents = {
        name: rng.normal(size=value.shape) for name, value in found.outputs.items()
    }
    back = gradients(spec, weights, inputs, cotangents, **how)
    outputs, values, of_params, of_inputs = _by_pytensor(
        container, inputs, cotangents, training, given_draws, mask
    )
    _compare("output", outputs, found.outputs)
    _compare("value", values, found.values)
    _compare("gradient of", of_params, {name: back.params[name] for name in of_params})
    _compare("gradient of", of_inputs, {name: back.inputs[name] for name in of_inputs})
    assert set(of_inputs) == set(back.inputs)
    return found


def _by_pytensor(container, inputs, cotangents, training, given_draws, mask):
    """Outputs and values of all nodes by name, gradients of parameters and of inputs."""
    names = (
        [name for node in container.spec.nodes for name in node.values]
        if container.loop
        else []
    )
    floats = [name for name, value in inputs.items() if value.dtype.kind == "f"]

    def build(given):
        by_name = dict(
            zip((item.name for item in container.spec.inputs), given, strict=True)
        )
        masked = {} if mask is None else {"mask": mask}
        shown = container(by_name, train=training, **masked, **given_draws)
        shown = list(shown.values()) if isinstance(shown, dict) else [shown]
        loss = sum(
            (value * cotangents[name]).sum()
            for name, value in zip(container.output_names, shown, strict=True)
        )
        wrt = [*container.params, *(by_name[name] for name in floats)]
        found = pytensor.grad(loss, wrt, disconnected_inputs="ignore")
        return [
            *shown,
            *_every_value(container, by_name, training, names, mask, given_draws),
            *found,
        ], []

    arguments = [
        backend.Argument(
            item.name, backend.dtype_of(item.dtype), inputs[item.name].shape
        )
        for item in container.spec.inputs
    ]
    results = iter(
        backend.Program(arguments, build, "python")(
            *(
                np.asarray(inputs[item.name], backend.dtype_of(item.dtype))
                for item in container.spec.inputs
            )
        )
    )
    return tuple(
        dict(zip(keys, results, strict=False))
        for keys in (container.output_names, names, container.named_params, floats)
    )


def _every_value(container, inputs, training, names, mask, given_draws):
    if not names:
        return []
    outputs = tuple(
        OutputSpec(f"value_{place}", (Ref(name),)) for place, name in enumerate(names)
    )
    run = container.loop_run(
        given=inputs, outputs=outputs, return_sequences=True, return_final_states=False
    )
    call = Call(training, given_draws)
    found = run.execute(container.as_inputs(inputs, mask), call).outputs
    return [value.tensor for value in found.values()]


def _compare(kind, found, expected):
    for name, value in found.items():
        right = expected[name]
        assert value.shape == right.shape, (kind, name)
        assert np.abs(value - right).max(initial=0) <= 1e-12 * max(
            1, np.abs(right).max(initial=0)
        ), (kind, name)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.name not in CODE_OF_ONES_OWN], ids=str
)
def test_a_case_of_the_table_equals_the_reference(case):
    rnn, inputs = case.build(), case.inputs(np.random.RandomState(3))
    rnn.build({name: (None, *array.shape[1:]) for name, array in inputs.items()})
    with_random_weights(rnn)
    check(
        rnn,
        rnn.spec,
        {name: weight.get_value() for name, weight in rnn.named_weights.items()},
        inputs,
    )


@pytest.mark.parametrize(
    ("name", "training"),
    [
        *((name, False) for name in LAYERS),
        ("BatchNormalization", True),
        ("BatchNormalization of rows", True),
    ],
)
def test_a_layer_equals_the_reference(name, training):
    build, shape = LAYERS[name]
    graph = on_one_input(build(), shape)
    spec, weights, inputs = prepared(graph, lambda rng: {"x": rng.normal(size=shape)})
    check(graph, spec, weights, inputs, training)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_equals_the_reference(name):
    container = NETWORKS[name][0]()
    spec, weights, inputs = prepared(container, NETWORKS[name][1])
    check(container, spec, weights, inputs)


@pytest.mark.parametrize(
    "build", [recipes.vanilla, recipes.gru, recipes.lstm, recipes.gated_feedback]
)
def test_a_recipe_equals_the_reference(build):
    rnn = build(IN, 6, return_sequences=True)
    name = rnn.spec.inputs[0].name
    spec, weights, inputs = prepared(
        rnn, lambda rng: {name: rng.normal(size=(BATCH, TIME, IN))}
    )
    check(rnn, spec, weights, inputs)


def test_noise_that_is_given_makes_the_same_of_both():
    rnn = noisy()
    spec, weights, inputs = prepared(
        rnn, lambda rng: {"x": rng.normal(size=(BATCH, TIME, IN))}
    )
    check(
        rnn,
        spec,
        weights,
        inputs,
        training=True,
        given_draws=draws(np.random.RandomState(1)),
    )


def two_places():
    """A branch in two places of a Merge: alone, around another one, and with two inputs."""
    graph = Graph()
    graph.add_input("a", ndim=2, dim=IN)
    graph.add_input("b", ndim=2, dim=IN)
    left, other = Dense(IN, 6, activation="tanh"), Dense(IN, 6)
    graph.add_node(Merge([left, left], mode="mul"), "squared", input="a")
    ports = {"input_0": "a", "input_1": "b"}
    around = Merge([left, other, left], mode="concat")
    graph.add_node(around, "around", input=ports)
    of_two = Graph()
    of_two.add_input("u", ndim=2, dim=6)
    of_two.add_input("v", ndim=2, dim=IN)
    of_two.add_node(Dense(6 + IN, 6), "w", inputs=["u", "v"], create_output=True)
    ports = {"input_0_u": "squared", "input_0_v": "b"}
    graph.add_node(Merge([of_two, of_two], mode="mul"), "twice", input=ports)
    # A Merge that stands in two places itself has its branches from the first.
    inner = Merge([Dense(6, 6), Sequential([left, other_of(6)])], mode="sum")
    ports = {"input_0": "twice", "input_1": "a"}
    graph.add_node(inner, "inner", input=ports)
    pair = Sequential([Merge([other, other], mode="sum"), Dense(6, 2)])
    graph.add_node(Merge([pair, pair], mode="mul"), "pair", input="b")
    for name in ("around", "inner", "pair"):
        graph.add_output(name, input=name)
    return graph


def other_of(dim):
    return Dense(dim, dim, activation="sigmoid")


def test_a_branch_in_two_places_of_a_merge_has_one_input_in_both():
    graph = two_places()
    assert [len(graph.nodes[name].ports) for name in ("squared", "around")] == [1, 2]
    spec, weights, inputs = prepared(
        graph, lambda rng: {name: rng.normal(size=(BATCH, IN)) for name in "ab"}
    )
    found = check(graph, spec, weights, inputs)
    left = np.tanh(
        inputs["a"] @ weights["squared.layer_0.W"] + weights["squared.layer_0.b"]
    )
    np.testing.assert_allclose(found.outputs["around"][:, :6], left, atol=1e-14)
    np.testing.assert_allclose(found.outputs["around"][:, 12:], left, atol=1e-14)
    check_gradients(spec, weights, inputs, shared=shared_layers(graph))


def over_sequences(share):
    """A Teacher of whole sequences, in a Graph."""
    graph = Graph()
    graph.add_input("x", ndim=3, dim=2)
    graph.add_input("truth", ndim=3, dim=2)
    ports = {"truth": "truth", "prediction": "x"}
    if isinstance(share, str):
        graph.add_input(share, ndim=2, dim=1)
        ports[share] = share
    graph.add_node(Teacher(share), "y", input=ports, create_output=True)
    return graph


@pytest.mark.parametrize("share", [0.4, "rate"])
@pytest.mark.parametrize("steps", [TIME, BATCH])
def test_a_teacher_of_sequences_chooses_for_each_row_and_step(share, steps):
    """As many steps as rows too, where one could be taken for the other."""
    graph = over_sequences(share)
    rng = np.random.RandomState(3)
    inputs = {name: rng.normal(size=(BATCH, steps, 2)) for name in ("x", "truth")}
    rates = np.array([[0.2], [0.5], [0.8]])
    if isinstance(share, str):
        inputs["rate"] = rates
    else:
        rates = np.full((BATCH, 1), share)
    graph.build({name: (None, *value.shape[1:]) for name, value in inputs.items()})
    weights = {} if isinstance(share, str) else {"y.rate": np.array([share])}
    chance = rng.uniform(size=(BATCH, steps, 1))
    given = {"y.chance": chance}
    found = check(graph, graph.spec, weights, inputs, True, given)
    for row in range(BATCH):
        for t in range(steps):
            name = "truth" if chance[row, t, 0] < rates[row, 0] else "x"
            assert (found.outputs["y"][row, t] == inputs[name][row, t]).all()
    drawn = backend.evaluate([graph(inputs, train=True)], {})[0]
    assert drawn.shape == (BATCH, steps, 2)


CUT = {
    "starts, 4": (starts, x_c_and_rows, 4),
    "starts, 2": (starts, x_c_and_rows, 2),
    "looking back": (looking_back(return_final_states=True), x_and_c, 2),
    "written out": (looking_back(unroll=True, n_steps=TIME), x_and_c, 2),
    "backwards": (looking_back(go_backwards=True), x_and_c, 3),
    "masked": (masked(plain), some_steps(x_only), 2),
    "nested": (nested, text, 2),
}


@pytest.mark.parametrize("name", CUT)
def test_a_truncated_gradient_equals_the_reference(name):
    build, arrays, steps = CUT[name]
    rnn = build()
    rnn.truncate_gradient = steps
    spec, weights, inputs = prepared(rnn, arrays)
    check(rnn, spec, weights, inputs)


MASK = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
"""Which steps are data, as a layer before would say."""
WITH_STEPS = ("SimpleRNN", "SimpleDeepRNN", "GRU", "LSTM", "JZS1", "JZS2", "JZS3")


@pytest.mark.parametrize("mode", ["zero", "carry"])
@pytest.mark.parametrize("kind", WITH_STEPS)
def test_a_masked_layer_of_2015_equals_the_reference(kind, mode):
    layer = LAYERS[kind][0]()
    layer.mask_mode = mode
    graph = on_one_input(layer, (BATCH, TIME, IN))
    spec, weights, inputs = prepared(graph, x_only)
    check(graph, spec, weights, inputs, mask=MASK)


def test_a_mask_from_the_layer_before_and_a_declared_one_equal_the_reference():
    rnn = masked(looking_back(go_backwards=True))()
    spec, weights, inputs = prepared(rnn, some_steps(x_and_c))
    check(rnn, spec, weights, inputs, mask=MASK)


# States that go on, and training


@pytest.mark.parametrize(
    ("build", "settings"),
    [(plain, {}), (looking_back(stateful=True), {"c": (BATCH, 2)})],
    ids=["plain", "looking back"],
)
def test_states_that_go_on_equal_the_reference(build, settings):
    rnn = build(stateful=True) if build is plain else build()
    spec, weights, inputs = prepared(rnn, x_and_c if settings else x_only)
    rnn.compile(backend="python")
    states = {}
    for batch in range(3):
        given = {name: value + batch for name, value in inputs.items()}
        found = run(spec, weights, given, states=states)
        outputs = rnn.predict(given)
        _compare(
            "output",
            outputs if isinstance(outputs, dict) else {"h": outputs},
            found.outputs,
        )
        states = found.finals
        _compare("state", rnn.get_states(), states)


@pytest.mark.parametrize("mode", ["zero", "carry"])
def test_states_of_layers_in_a_graph_equal_the_reference(mode):
    graph = going_on(mask_mode=mode)
    spec, weights, inputs = prepared(graph, x_with_gaps)
    graph.compile(backend="python")
    states = {}
    for _ in range(3):
        found = run(spec, weights, inputs, states=states)
        _compare("output", graph.predict(inputs), found.outputs)
        states = found.finals
        assert set(graph.get_states()) == set(states)
        _compare("state", graph.get_states(), states)


OPTIMIZERS = (
    {"name": "SGD", "lr": 0.1},
    {"name": "SGD", "lr": 0.1, "momentum": 0.9, "decay": 0.01, "nesterov": True},
    {"name": "SGD", "lr": 0.1, "momentum": 0.5, "clipnorm": 0.2},
    {"name": "RMSprop"},
    {"name": "Adagrad"},
    {"name": "Adadelta"},
    {"name": "Adam"},
)


@pytest.mark.parametrize(
    "config", OPTIMIZERS, ids=lambda config: "-".join(map(str, config.values()))
)
def test_ten_steps_of_an_optimizer_equal_the_reference(config):
    _check_training(plain(stateful=True), x_only, config, "mse")


@pytest.mark.parametrize(
    "loss",
    [
        "mae",
        "mape",
        "msle",
        "squared_hinge",
        "hinge",
        "categorical_crossentropy",
        "binary_crossentropy",
        "poisson_loss",
    ],
)
def test_a_loss_makes_the_same_of_both(loss):
    rnn = plain()
    rnn.nodes["h"].activation = activations.softmax
    _check_training(rnn, x_only, {"name": "SGD", "lr": 0.1}, loss)


@pytest.mark.parametrize(
    ("build", "arrays"),
    [
        (embedded, words),
        (in_a_graph, x_with_gaps),
        (masked(looking_back()), some_steps(x_and_c)),
        (
            lambda: on_one_input(LAYERS["BatchNormalization"][0](), (BATCH, IN)),
            lambda rng: {"x": rng.normal(size=(BATCH, IN))},
        ),
    ],
    ids=["words", "a graph", "masked", "running means"],
)
def test_training_through_masks_and_running_means_equals_the_reference(build, arrays):
    _check_training(build(), arrays, {"name": "SGD", "lr": 0.1}, "mse")


def _check_training(model, arrays, config, loss, steps=10):
    spec, weights, inputs = prepared(model, arrays)
    rng = np.random.RandomState(9)
    shapes = {
        name: value.shape for name, value in run(spec, weights, inputs).outputs.items()
    }
    targets = {
        name: rng.uniform(0.1, 0.9, size=shape) for name, shape in shapes.items()
    }
    found = train(spec, weights, inputs, targets, config, steps, loss=loss)
    optimizer = optimizers.get(
        config["name"], {key: value for key, value in config.items() if key != "name"}
    )
    model.compile(optimizer, dict.fromkeys(targets, loss), backend="python")
    losses = [model.train_on_batch(inputs | targets) for _ in range(steps)]
    np.testing.assert_allclose(losses, found.losses, rtol=1e-10)
    for name, weight in model.named_weights.items():
        np.testing.assert_allclose(
            weight.get_value(), found.params[name], rtol=1e-9, atol=1e-10
        )
