"""Models written as JSON or YAML and read back: same declaration, same outputs."""

import copy
import inspect
import json

import numpy as np
import pytest

import recursive
from recursive import (
    GRU,
    JZS1,
    JZS2,
    JZS3,
    LSTM,
    SGD,
    Activation,
    ActivityRegularization,
    Adam,
    Attention,
    AutoEncoder,
    BatchNormalization,
    Bidirectional,
    Dense,
    DropMask,
    Dropout,
    Embedding,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    Graph,
    Greedy,
    Lambda,
    Layer,
    LayerNormalization,
    LeakyReLU,
    Masking,
    MaxoutDense,
    Merge,
    ParametricSoftplus,
    Permute,
    PReLU,
    ReadMask,
    Recurrent,
    Recursive,
    RepeatVector,
    Reshape,
    RunningAverage,
    Sample,
    Sequential,
    SimpleDeepRNN,
    SimpleRNN,
    Teacher,
    ThresholdedLinear,
    ThresholdedReLU,
    TimeDistributedDense,
    Zoneout,
    errors,
    model_from_json,
    model_from_yaml,
    models,
    objectives,
    optimizers,
    set_backend,
)
from recursive.errors import ConfigError, RecursiveError
from recursive.layers.cells import (
    Blend,
    Cell,
    Gate,
    RecurrentDeep,
    RecurrentDense,
    RecurrentGRU,
    RecurrentLSTM,
)
from recursive.layers.choice import IfElse, Switch
from recursive.layers.config import CLASSES, layer_from_config, shared_layers, walk
from recursive.layers.core import Identity
from recursive.layers.jzs import RecurrentJZS1, RecurrentJZS2, RecurrentJZS3
from recursive.layers.rnn import RNN
from tests.cases import CASES, with_random_weights

RNG = np.random.RandomState(8)
ROWS, SEQUENCES, WORDS = (
    RNG.normal(size=(3, 4)),
    RNG.normal(size=(3, 5, 4)),
    RNG.randint(9, size=(3, 5)),
)

EXAMPLES = {
    "Activation": (lambda: Activation("hard_sigmoid"), ROWS),
    "ActivityRegularization": (lambda: ActivityRegularization(0.1, 0.2), ROWS),
    "AutoEncoder": (
        lambda: AutoEncoder(
            Dense(4, 2), Sequential([Dense(2, 4)]), output_reconstruction=False
        ),
        ROWS,
    ),
    "BatchNormalization": (
        lambda: BatchNormalization((5, 4), 1e-3, 1, 0.8, seed=3),
        SEQUENCES,
    ),
    "Bidirectional": (
        lambda: Bidirectional(GRU(4, 6, return_sequences=True), "max"),
        SEQUENCES,
    ),
    "Dense": (
        lambda: Dense(4, 6, init="uniform", activation="tanh", bias=False, seed=3),
        ROWS,
    ),
    "DropMask": (DropMask, ROWS),
    "Dropout": (lambda: Dropout(0.25, seed=1, per="sequence"), ROWS),
    "Embedding": (
        lambda: Embedding(9, 6, init="normal", mask_zero=True, seed=2),
        WORDS,
    ),
    "Flatten": (Flatten, ROWS),
    "GRU": (
        lambda: GRU(
            4, 6, "uniform", "identity", "relu", "sigmoid", None, 2, True, "carry"
        ),
        SEQUENCES,
    ),
    "Gate": (lambda: Gate(4, 6, activation="sigmoid"), SEQUENCES),
    "GaussianDropout": (lambda: GaussianDropout(0.25, seed=1), ROWS),
    "GaussianNoise": (lambda: GaussianNoise(0.25, seed=1), ROWS),
    "Identity": (Identity, ROWS),
    "JZS1": (lambda: JZS1(4, 6, return_sequences=True, seed=4), SEQUENCES),
    "JZS2": (lambda: JZS2(4, 6, "normal", seed=4), SEQUENCES),
    "JZS3": (lambda: JZS3(4, 6, inner_activation="hard_sigmoid"), SEQUENCES),
    "LSTM": (lambda: LSTM(4, 6, forget_bias_init="zero", mask_mode="carry"), SEQUENCES),
    "LeakyReLU": (lambda: LeakyReLU(0.1), ROWS),
    "ReadMask": (lambda: Sequential([Masking(), ReadMask()]), SEQUENCES),
    "LayerNormalization": (lambda: LayerNormalization(epsilon=1e-3), ROWS),
    "Masking": (lambda: Masking(0.5), SEQUENCES),
    "MaxoutDense": (
        lambda: MaxoutDense(4, 6, 3, W_regularizer="l2", b_constraint="nonneg"),
        ROWS,
    ),
    "Merge": (
        lambda: Merge([Dense(4, 6), Sequential([Dense(4, 6)])], mode="mul"),
        [ROWS, ROWS + 1],
    ),
    "PReLU": (lambda: PReLU((4,), "uniform", seed=3), ROWS),
    "ParametricSoftplus": (lambda: ParametricSoftplus((4,), 0.3, 2.0), ROWS),
    "Permute": (lambda: Permute((2, 1)), SEQUENCES),
    "RNN": (
        lambda: RNN(RecurrentJZS1(4, 6, seed=3), mask_mode="carry", go_backwards=True),
        SEQUENCES,
    ),
    "RecurrentDeep": (lambda: RecurrentDeep(4, 6, depth=2), SEQUENCES),
    "RecurrentDense": (lambda: RecurrentDense(4, 6, activation="tanh"), SEQUENCES),
    "RecurrentGRU": (lambda: RecurrentGRU(6, init="uniform"), SEQUENCES),
    "RecurrentJZS1": (lambda: RecurrentJZS1(4, 6, seed=4), SEQUENCES),
    "RecurrentJZS2": (lambda: RecurrentJZS2(4, 6, "normal", seed=4), SEQUENCES),
    "RecurrentJZS3": (lambda: RecurrentJZS3(6, activation="sigmoid"), SEQUENCES),
    "RecurrentLSTM": (lambda: RecurrentLSTM(4, 6, forget_bias_init="zero"), SEQUENCES),
    "RepeatVector": (lambda: RepeatVector(3), ROWS),
    "Sample": (
        lambda: Sample(0.5, seed=1),
        np.exp(ROWS) / np.exp(ROWS).sum(axis=-1, keepdims=True),
    ),
    "Reshape": (lambda: Reshape(2, 2), ROWS),
    "SimpleDeepRNN": (
        lambda: SimpleDeepRNN(4, 6, 2, inner_activation="linear"),
        SEQUENCES,
    ),
    "SimpleRNN": (
        lambda: SimpleRNN(4, 6, "uniform", "identity", "relu", None, 2, True),
        SEQUENCES,
    ),
    "ThresholdedLinear": (lambda: ThresholdedLinear(0.5), ROWS),
    "ThresholdedReLU": (lambda: ThresholdedReLU(0.5), ROWS),
    "TimeDistributedDense": (
        lambda: TimeDistributedDense(4, 6, activation="sigmoid"),
        SEQUENCES,
    ),
}
"""Each public layer with arguments other than its defaults, and its inputs."""
OF_PORTS = {
    "Blend": Blend,
    "Switch": Switch,
    "IfElse": IfElse,
    "Zoneout": lambda: Zoneout(0.25, seed=1),
    "Attention": lambda: Attention("additive", dim=3, seed=1),
    "Teacher": lambda: Teacher(0.25, seed=1),
    "Greedy": lambda: Greedy(end=2),
    "RunningAverage": RunningAverage,
}
"""Public layers of several inputs."""
BASES = {
    "AdvancedActivation",
    "Cell",
    "Choice",
    "GatedCell",
    "JZSCell",
    "ProjectingCell",
    "JZSLayer",
    "Lambda",
    "Layer",
    "MaskedLayer",
    "NoiseLayer",
    "RecurrentLayer",
    "ShapedActivation",
    "WordChoice",
}
"""Base classes, and layers that cannot be written."""


def model_with(layer):
    """A model around a layer: a chain, or a loop if the layer reads a state."""
    if not isinstance(layer, Cell):
        return Sequential([layer])
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=4)
    open_ports = {} if layer.own_past else {"prev_hid": "gate_tm1"}
    rnn.add_node(
        layer,
        "gate",
        input={"input": "x", **open_ports} if open_ports else "x",
        create_output=True,
    )
    return rnn


def again(model, through="json", **options):
    text = model.to_json() if through == "json" else model.to_yaml()
    return (model_from_json if through == "json" else model_from_yaml)(text, **options)


def assert_same(model, other, *inputs):
    assert type(other) is type(model)
    assert other.get_config() == model.get_config()
    for given in inputs:
        model.predict(given), other.predict(given)  # which finds the dims that are open
        other.set_weights(model.get_weights())
        found, expected = other.predict(given), model.predict(given)
        for one, two in (
            zip(found.values(), expected.values(), strict=True)
            if isinstance(found, dict)
            else [(found, expected)]
        ):
            assert np.array_equal(one, two)


def test_every_public_layer_has_an_example():
    assert (
        set(EXAMPLES) | set(OF_PORTS)
        == {cls.__name__ for cls in CLASSES.values()} - BASES
    )


def test_every_public_class_can_be_named_by_a_configuration():
    public = {
        name
        for name in recursive.__all__
        if inspect.isclass(thing := getattr(recursive, name))
        and issubclass(thing, Layer)
    }
    assert public - set(models.CLASSES) <= BASES


@pytest.mark.parametrize("name", OF_PORTS)
def test_a_layer_of_several_inputs_comes_back(name):
    graph = Graph()
    layer = OF_PORTS[name]()
    for port in layer.ports:
        graph.add_input(
            port, dtype="bool" if port == "condition" else "float", ndim=2, dim=4
        )
    graph.add_node(
        layer, "node", input={port: port for port in layer.ports}, create_output=True
    )
    found = again(graph)
    assert type(found.nodes["node"]) is type(layer)
    assert found.get_config() == graph.get_config()
    assert found.nodes["node"].ports == layer.ports


@pytest.mark.parametrize("through", ["json", "yaml"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer_comes_back(name, through):
    make, given = EXAMPLES[name]
    layer = make()
    model = model_with(layer)
    model.predict(given)
    found = again(model, through)
    found.predict(given)
    assert_same(model, found, given)
    defaults = {
        key: each.default
        for key, each in inspect.signature(CLASSES[name]).parameters.items()
    }
    config = layer.get_config()
    changed = [
        key
        for key, value in config.items()
        if key in defaults and value != defaults[key]
    ]
    assert changed or name in ("Identity", "Flatten")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_network_comes_back_but_one_that_holds_a_function(case):
    rnn = with_random_weights(case.build())
    if any(isinstance(layer, Lambda) for _, layer in walk(rnn)):
        with pytest.raises(
            ConfigError, match="a file must never hold code; got Lambda"
        ):
            rnn.to_json()
        return
    assert_same(rnn, again(rnn), case.inputs(np.random.RandomState(3)))
    declared = case.build()
    assert again(declared).get_config() == declared.get_config(), (
        "before its dims are known, too"
    )


@pytest.mark.parametrize("through", ["json", "yaml"])
def test_containers_in_containers_come_back(through):
    inner = Recursive(truncate_gradient=3, return_sequences=True)
    inner.add_input("u", dim=4)
    inner.add_state("h", dim=6)
    inner.add_node(
        Sequential([Dense(10, 6), Activation("tanh")]),
        "rec",
        inputs=["u", "h"],
        return_state="h",
    )
    inner.add_output("y", inputs=["rec_tm2", "rec"], merge_mode="max")
    graph = Graph()
    graph.add_input("x", ndim=3, dim=4)
    graph.add_node(inner, "loop", input="x")
    graph.add_node(
        Sequential([TimeDistributedDense(6, 2), Activation("softmax")]),
        "out",
        input="loop",
        create_output=True,
    )
    model = Sequential([graph, Lambda(lambda x: x)])
    model.layers.pop()
    assert_same(model, again(model, through), SEQUENCES)


def test_what_was_changed_in_a_layer_after_it_was_added_is_written():
    graph = Graph()
    graph.add_input("x", dim=4)
    chain = Sequential([Dense(4, 6)])
    graph.add_node(chain, "chain", input="x", create_output=True)
    graph.build()
    chain.add(Dense(6, 2))
    assert_same(graph, again(graph), {"x": ROWS})


# Shared layers


def tied():
    layer = Dense(4, 4, activation="tanh")
    chain = Sequential([layer, Activation("relu")])
    graph = Graph()
    graph.add_input("x", dim=4)
    graph.add_node(layer, "first", input="x")
    graph.add_node(chain, "chain", input="first")
    graph.add_node(Dense(4, 2), "own", input="chain")
    graph.add_node(chain, "again", input="chain", create_output=True)
    graph.add_output("o", input="own")
    return Sequential([graph]), {
        "layer_0.chain.layer_0": "layer_0.first",
        "layer_0.again": "layer_0.chain",
    }


def test_shared_layers_are_shared_again():
    model, places = tied()
    assert shared_layers(model) == places
    found = again(model)
    [graph] = found.layers
    assert graph.nodes["chain"].layers[0] is graph.nodes["first"]
    assert graph.nodes["again"] is graph.nodes["chain"]
    assert len(found.params) == len(model.params) == 4
    assert_same(model, found, ROWS)


def test_layers_are_shared_again_inside_layers_made_of_layers():
    tied, code = Dense(4, 4), Dense(4, 4)
    merged = Sequential(
        [
            Merge([tied, Sequential([tied])], mode="mul"),
            AutoEncoder(code, Sequential([code, tied])),
        ]
    )
    assert shared_layers(merged) == {
        "layer_0.layer_1.layer_0": "layer_0.layer_0",
        "layer_1.decoder.layer_0": "layer_1.encoder",
        "layer_1.decoder.layer_1": "layer_0.layer_0",
    }
    found = again(merged)
    assert found.layers[1].decoder.layers[1] is found.layers[0].layers[0]
    assert len(found.params) == len(merged.params) == 4
    assert_same(merged, found, [ROWS, ROWS + 1])


def test_rules_for_parameters_come_back():
    model = Sequential(
        [
            Dense(
                4,
                6,
                W_regularizer="l2",
                activity_regularizer="activity_l1",
                b_constraint="nonneg",
            )
        ]
    )
    found = again(model)
    assert found.get_config() == model.get_config()
    assert [type(rule).__name__ for rule in found.get_params()[1]] == [
        "WeightRegularizer",
        "ActivityRegularizer",
    ]
    spoilt = json.loads(model.to_json())
    spoilt["layers"][0]["W_regularizer"] = {"name": "os.system"}
    with pytest.raises(RecursiveError, match=r"regularizer 'os.system'"):
        model_from_json(json.dumps(spoilt))


@pytest.mark.parametrize(
    "places",
    [
        {"layer_0.first": "layer_0.chain"},
        {"layer_0.first": "layer_0"},
        {"layer_0.chain.layer_0": "layer_0.chain"},
        {"layer_0.nowhere": "layer_0.first"},
        {"layer_0.own": "layer_0.nowhere"},
        {"layer_0.first": "layer_0.first"},
        {"": "layer_0"},
        {"layer_0.own": ["layer_0.first"]},
        ["layer_0.first"],
        {"layer_0.own": None},
    ],
)
def test_places_that_cannot_be_shared_are_refused(places):
    config = json.loads(tied()[0].to_json()) | {"shared": places}
    with pytest.raises(ConfigError, match="'shared' takes"):
        model_from_json(json.dumps(config))


# The arguments of compile


@pytest.mark.parametrize(
    "optimizer",
    [SGD(0.5, 0.9, 0.1, True, 2.0), *(cls() for cls in optimizers.OPTIMIZERS.values())],
    ids=lambda each: type(each).__name__,
)
def test_optimizer_loss_and_class_mode_come_back(optimizer):
    model = Sequential([Dense(4, 6)])
    model.compile(optimizer, "mse", class_mode="binary")
    found = again(model)
    assert found.optimizer.get_config() == optimizer.get_config()
    assert (found.loss, found.class_mode) == ("mse", "binary")
    found.set_weights(model.get_weights())
    target = RNG.normal(size=(3, 6))
    assert [found.train_on_batch(ROWS, target) for _ in range(3)] == [
        model.train_on_batch(ROWS, target) for _ in range(3)
    ]


def test_a_loss_for_each_output_comes_back_and_a_model_that_was_not_compiled_is_not():
    model, _ = tied()
    assert again(model).loss is None
    model.compile(Adam(), {"again": "mse", "o": objectives.hinge})
    assert again(model).loss == {"again": "mse", "o": "hinge"}


class Scaled(Layer):
    """A user-defined layer."""

    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = factor

    def call(self, x, train=False):
        return self.factor * x

    def get_config(self):
        return {"name": "Scaled", "factor": self.factor}


def test_a_layer_of_ones_own_is_read_where_it_is_passed():
    model = Sequential([Dense(4, 6), Scaled(3.0)])
    assert_same(model, again(model, custom_layers={"Scaled": Scaled}), ROWS)
    assert_same(model, again(model, "yaml", custom_layers={"Scaled": Scaled}), ROWS)
    with pytest.raises(
        ConfigError,
        match=r"layer 'Scaled' takes a known class; .* custom_layers=\{'Scaled': Scaled\}",
    ):
        again(model)
    for wrong in ({"Scaled": Scaled()}, {"Scaled": dict}, [Scaled], "Scaled"):
        with pytest.raises(
            ConfigError,
            match="'custom_layers' takes a dict from names to layer classes",
        ):
            again(model, custom_layers=wrong)


# Models that cannot be written


def with_function():
    inner = Graph()
    inner.add_input("x", dim=4)
    inner.add_node(
        Sequential([Dense(4, 6), Lambda(lambda x: x)]),
        "chain",
        input="x",
        create_output=True,
    )
    return Sequential([inner])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            lambda: Sequential([Dense(4, 6), Lambda(lambda x: x)]),
            r"layer 'layer_1' takes a configuration of plain data",
        ),
        (
            lambda: Sequential([Dense(4, 6, activation=lambda x: x)]),
            r"layer 'layer_0' .* got Dense",
        ),
        (
            with_function,
            r"layer 'layer_0.chain.layer_1' .* got Lambda .* Use a layer class of your own",
        ),
    ],
)
def test_functions_are_refused_when_the_model_is_written(model, words):
    for write in (model().to_json, model().to_yaml):
        with pytest.raises(ConfigError, match=words):
            write()


def test_a_loss_or_an_optimizer_of_ones_own_is_refused_when_the_model_is_written():
    class Mine(SGD):
        pass

    model = Sequential([Dense(4, 6)])
    model.compile("sgd", lambda y_true, y_pred: (y_true - y_pred) ** 2)
    with pytest.raises(ConfigError, match="takes one that the library provides"):
        model.to_json()
    model.compile(Mine(), "mse")
    with pytest.raises(
        ConfigError, match="optimizer 'Mine' takes one that the library provides"
    ):
        model.to_json()


# Configurations that cannot be read


def config_of(model=None):
    if model is None:
        model = Sequential([Dense(4, 6), Activation("tanh")])
        model.compile("sgd", "mse")
    return json.loads(model.to_json())


def changed(path, value):
    def change():
        config = config_of()
        *parents, last = path
        place = config
        for key in parents:
            place = place[key]
        if value is KeyError:
            del place[last]
        else:
            place[last] = value
        return config

    return change


BAD = [
    (changed(["version"], "0.0"), "version '1.0', or none"),
    (changed(["name"], "Sequentail"), "Did you mean 'Sequential'"),
    (changed(["name"], "Dense"), "the name of a model class"),
    (changed(["name"], 3), "the name of a model class"),
    (changed(["name"], KeyError), "the name of a model class"),
    (changed(["layes"], []), "got 'layes'. Did you mean 'layers'"),
    (changed(["layers"], 3), "'Sequential' takes the arguments of its class"),
    (changed(["layers"], "Dense"), "takes a layer"),
    (changed(["layers", 0], "Dense"), "takes a mapping with a name"),
    (
        changed(["layers", 0, "name"], "Dens"),
        "layer 'Dens' takes a known class; .* Did you mean 'Dense'",
    ),
    (changed(["layers", 0, "name"], "os.system"), "takes a known class"),
    (changed(["layers", 0, "name"], "__import__"), "takes a known class"),
    (
        changed(["layers", 0, "outptu_dim"], 3),
        "got 'outptu_dim'. Did you mean 'output_dim'",
    ),
    (
        changed(["layers", 0, "output_dim"], "3"),
        "an integer of 1 or more as output_dim",
    ),
    (
        changed(["layers", 0, "output_dim"], [3]),
        "an integer of 1 or more as output_dim",
    ),
    (
        changed(["layers", 0, "init"], "os.system"),
        "initialization 'os.system' takes a known name",
    ),
    (changed(["layers", 0, "seed"], "a"), "argument 'seed' takes an integer"),
    (
        changed(["layers", 0], {"name": "Dropout"}),
        "'Dropout' takes the arguments of its class; .* missing",
    ),
    (
        changed(["layers", 0], {"name": "Dense", "output_dim": 0}),
        "an integer of 1 or more",
    ),
    (
        changed(["layers", 0], {"name": "Lambda", "function": "print"}),
        "layer 'Lambda' takes a function",
    ),
    (changed(["optimizer"], "sgd"), "'optimizer' takes a mapping"),
    (changed(["optimizer", "name"], "sdg"), "Did you mean 'sgd'"),
    (changed(["optimizer", "name"], KeyError), "takes a name or an Optimizer"),
    (changed(["optimizer", "lrr"], 3), "Did you mean 'lr'"),
    (changed(["optimizer", "lr"], "a"), "lr"),
    (changed(["loss"], "mes"), "Did you mean 'mse'"),
    (changed(["loss"], KeyError), "an optimizer and a loss"),
    (changed(["class_mode"], "categoric"), "Did you mean 'categorical'"),
    (changed(["theano_mode"], "FAST_RUN"), "PyTensor replaces Theano"),
]


@pytest.mark.parametrize(("config", "words"), BAD, ids=range(len(BAD)))
def test_what_cannot_be_meant_is_refused(config, words):
    with pytest.raises(RecursiveError, match=words):
        model_from_json(json.dumps(config()))


def test_a_declaration_that_breaks_a_rule_or_is_of_another_class_is_refused():
    config = config_of(CASES[0].build())
    with pytest.raises(ConfigError, match="'Graph' takes a spec with loop=False"):
        model_from_json(json.dumps(config | {"name": "Graph"}))
    config["spec"]["states"][0]["input"] = "nothing"
    with pytest.raises(
        RecursiveError, match="state 'h' takes its next value from a node"
    ):
        model_from_json(json.dumps(config))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "plain JSON"),
        ("{", "plain JSON"),
        ("[1]", "'model' takes a mapping"),
        ("3", "takes a mapping"),
        ('{"name": NaN}', "NaN is not a number"),
        ("model.json", "not the name of a file"),
        (3, "takes a string"),
        ("[" * 100_000, "plain JSON"),
    ],
)
def test_text_that_is_no_model_is_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        model_from_json(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "plain YAML"),
        ("a: &a [1]\nb: *a", "refers to another place"),
        ("3", "takes a mapping"),
        (3, "takes a string"),
        ("!!python/object/apply:os.system ['false']", "plain YAML"),
        ("name: !!python/name:os.system", "plain YAML"),
    ],
)
def test_yaml_that_is_no_model_is_refused_and_nothing_in_it_is_run(text, words):
    with pytest.raises(ConfigError, match=words):
        model_from_yaml(text)


def places(config, path=()):
    yield path
    items = (
        config.items()
        if isinstance(config, dict)
        else enumerate(config)
        if isinstance(config, list)
        else ()
    )
    for key, value in items:
        yield from places(value, (*path, key))


def test_a_config_with_anything_anywhere_replaced_is_read_or_refused_in_words():
    """Every place in the configurations of a graph and a chain is replaced in turn."""
    rnn = CASES[-1].build()
    rnn.compile("sgd", "mse")
    for config in (config_of(), config_of(rnn), config_of(tied()[0])):
        for path in list(places(config))[1:]:
            for value in (None, "x", -1, 1.5, True, [], {}, [3], {"name": "Dense"}):
                spoilt = copy.deepcopy(config)
                place = spoilt
                for key in path[:-1]:
                    place = place[key]
                place[path[-1]] = value
                try:
                    model_from_json(json.dumps(spoilt))
                except RecursiveError:
                    continue


# Files of Keras 0.1.3

SEQUENTIAL_OF_2015 = {
    "name": "Sequential",
    "class_mode": "categorical",
    "theano_mode": None,
    "loss": "categorical_crossentropy",
    "optimizer": {"name": "RMSprop", "lr": 0.01, "rho": 0.9, "epsilon": 1e-06},
    "layers": [
        {
            "name": "SimpleRNN",
            "input_dim": 4,
            "output_dim": 6,
            "init": "glorot_uniform",
            "inner_init": "orthogonal",
            "activation": "sigmoid",
            "truncate_gradient": -1,
            "return_sequences": False,
        },
        {"name": "Dropout", "p": 0.5},
        {
            "name": "Dense",
            "input_dim": 6,
            "output_dim": 2,
            "init": "glorot_uniform",
            "activation": "softmax",
        },
    ],
}
GRAPH_OF_2015 = {
    "name": "Graph",
    "theano_mode": None,
    "loss": {"out1": "mse", "out2": "mean_absolute_error"},
    "optimizer": {
        "name": "SGD",
        "lr": 0.01,
        "momentum": 0.0,
        "decay": 0.0,
        "nesterov": False,
    },
    "input_config": [
        {"name": "input1", "ndim": 2, "dtype": "float"},
        {"name": "input2", "ndim": 2, "dtype": "float"},
    ],
    "input_order": ["input1", "input2"],
    "node_config": [
        {"name": "dense1", "input": "input1", "inputs": [], "merge_mode": "concat"},
        {"name": "dense2", "input": "input2", "inputs": [], "merge_mode": "concat"},
        {
            "name": "out1",
            "input": None,
            "inputs": ["dense1", "dense2"],
            "merge_mode": "mul",
            "create_output": True,
            "concat_axis": -1,
        },
    ],
    "output_config": [
        {"name": "out1", "input": "out1", "inputs": [], "merge_mode": "concat"},
        {
            "name": "out2",
            "input": None,
            "inputs": ["dense1", "dense2"],
            "merge_mode": "sum",
        },
    ],
    "nodes": {
        "dense1": {
            "name": "Dense",
            "input_dim": 3,
            "output_dim": 4,
            "init": "glorot_uniform",
            "activation": "tanh",
        },
        "dense2": {
            "name": "Dense",
            "input_dim": 5,
            "output_dim": 4,
            "init": "glorot_uniform",
            "activation": "sigmoid",
        },
        "out1": {
            "name": "Dense",
            "input_dim": 4,
            "output_dim": 2,
            "init": "glorot_uniform",
            "activation": "linear",
        },
    },
}


def test_a_chain_of_keras_0_1_3_is_read_and_learns():
    model = model_from_json(json.dumps(SEQUENTIAL_OF_2015))
    assert [type(layer).__name__ for layer in model.layers] == [
        "SimpleRNN",
        "Dropout",
        "Dense",
    ]
    assert model.optimizer.get_config()["name"] == "RMSprop"
    assert np.isfinite(model.train_on_batch(SEQUENCES, np.eye(2)[[0, 1, 1]]))
    assert_same(model, again(model), SEQUENCES)


def test_a_graph_of_keras_0_1_3_is_read_and_computes_what_it_says():
    model = model_from_json(json.dumps(GRAPH_OF_2015))
    assert model.output_names == ("out1", "out2")
    a, b = RNG.normal(size=(3, 3)), RNG.normal(size=(3, 5))
    W1, b1, W2, b2, W3, b3 = model.get_weights()
    dense1, dense2 = np.tanh(a @ W1 + b1), 1 / (1 + np.exp(-(b @ W2 + b2)))
    found = model.predict({"input1": a, "input2": b})
    np.testing.assert_allclose(found["out1"], (dense1 * dense2) @ W3 + b3, atol=1e-14)
    np.testing.assert_allclose(found["out2"], dense1 + dense2, atol=1e-14)
    assert model.loss == {"out1": "mse", "out2": "mean_absolute_error"}
    assert_same(model, again(model), {"input1": a, "input2": b})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("node_config", 3, "'node_config' takes a list"),
        ("input_config", [3], "'input_config' takes a mapping"),
        ("input_config", [{"name": "x", "dmin": 2}], "got 'dmin'"),
        ("input_config", [{"ndim": 2}], "'input_config' takes the arguments"),
        ("nodes", {}, "node 'dense1' takes a layer in 'nodes'"),
        ("output_config", [{"name": "o", "input": "nothing"}], "nothing"),
        (
            "node_config",
            [GRAPH_OF_2015["node_config"][0] | {"concat_axis": 0}],
            "concat_axis -1",
        ),
        ("nodez", [], "Did you mean 'nodes'"),
    ],
)
def test_a_damaged_graph_of_keras_0_1_3_is_refused(key, value, words):
    with pytest.raises(RecursiveError, match=words):
        model_from_json(json.dumps(GRAPH_OF_2015 | {key: value}))


def test_a_layer_alone_can_be_made_from_its_config():
    assert layer_from_config(Dense(4, 6).get_config(), CLASSES).output_dim == 6
    with pytest.raises(errors.ConfigError, match="takes a mapping with a name"):
        layer_from_config(None, CLASSES)


def test_the_backend_is_the_machines_business_and_not_in_the_file():
    set_backend("python")
    model = Sequential([Dense(4, 6)])
    model.compile("sgd", "mse", backend="python")
    assert "backend" not in json.loads(model.to_json())


class Times(Layer):
    """A layer whose configuration does not find its argument."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.by = factor

    def call(self, x, train=False):
        return self.by * x


def test_a_layer_whose_argument_would_be_lost_is_not_written():
    with pytest.raises(
        ConfigError,
        match=r"'layer_1' takes its argument 'factor' in its configuration.*self\.factor",
    ):
        Sequential([Dense(4, 6), Times(3.0)]).to_json()
