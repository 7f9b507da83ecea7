"""Texts that ask for too much or hold values that no layer takes: refused in words."""

import json

import numpy as np
import pytensor
import pytest

from recursive import limits
from recursive.callbacks import Callback, CSVLogger, ModelCheckpoint
from recursive.errors import (
    ConfigError,
    DivergenceError,
    RecursiveError,
    WeightsError,
)
from recursive.layers.core import Dense, Dropout
from recursive.layers.normalization import BatchNormalization
from recursive.models import (
    Graph,
    Recursive,
    Sequential,
    model_from_json,
    model_from_yaml,
)
from recursive.optimizers import RMSprop
from recursive.spec.graph import GraphSpec
from recursive.training.config import parse_yaml


def graph():
    model = Graph()
    model.add_input("x", dim=4)
    model.add_node(Dense(4, 6, W_regularizer="l2"), "a", input="x", create_output=True)
    model.compile("sgd", "mse")
    return json.loads(model.to_json())


def loop():
    model = Recursive(return_sequences=True)
    model.add_input("x", dim=4)
    model.add_state("h", dim=6)
    model.add_node(
        Dense(6), "rec", inputs=["x", "h"], return_state="h", create_output=True
    )
    model.compile("sgd", "mse")
    return json.loads(model.to_json())


def changed(config, path, value):
    """``config`` with ``value`` at a path of keys, as text."""
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(config)


def nested(depth):
    config = {"name": "Dense", "input_dim": 4, "output_dim": 6}
    for _ in range(depth):
        config = {"name": "Sequential", "layers": [config]}
    return config


# Limits


def test_yaml_of_brackets_is_refused_by_its_depth():
    # The loader in C has a limit of its own, of 1000.
    with pytest.raises(ConfigError, match=r"nesting depth|at most 200 levels"):
        parse_yaml("[" * 100_000)
    with pytest.raises(ConfigError, match=r"at most 200 levels; got 201.*DEPTH"):
        parse_yaml("{a: " * 50_000)
    with pytest.raises(ConfigError, match="at most 200 levels"):
        parse_yaml("\n".join(" " * depth + "a:" for depth in range(300)))


def test_yaml_of_brackets_is_refused_without_the_loader_in_c(monkeypatch):
    monkeypatch.delattr("yaml.CSafeLoader")
    with pytest.raises(ConfigError, match=r"at most 200 levels; got 201.*DEPTH"):
        parse_yaml("[" * 100_000)


@pytest.mark.parametrize(
    ("read", "limit"), [(model_from_json, "JSON_TEXT"), (model_from_yaml, "YAML_TEXT")]
)
def test_a_long_text_is_refused_before_it_is_parsed(read, limit):
    text = " " * (getattr(limits, limit) + 1)
    with pytest.raises(ConfigError, match=f"characters; got .*{limit}"):
        read(text)


def test_the_depth_of_layers_is_limited():
    assert model_from_json(json.dumps(nested(30))).predict(np.ones((3, 4))).shape
    with pytest.raises(ConfigError, match=r"at most 50 layers in layers.*LAYER_DEPTH"):
        model_from_json(json.dumps(nested(60)))
    with pytest.raises(ConfigError, match="at most 200 levels"):
        model_from_json(json.dumps(nested(300)))
    with pytest.raises(ConfigError, match="DEPTH"):
        GraphSpec.from_dict({"version": "1.0", "inputs": [nested(1000)]})


def test_the_number_of_layers_is_limited(monkeypatch):
    text = Sequential([Dropout(0.5) for _ in range(12)]).to_json()
    model_from_json(text)
    monkeypatch.setattr(limits, "LAYERS", 10)
    with pytest.raises(ConfigError, match=r"at most 10 layers; got 11.*LAYERS"):
        model_from_json(text)


LARGE = {
    "one layer": [{"name": "Dense", "input_dim": 4, "output_dim": 10_000_000}],
    "a square": [{"name": "Dense", "input_dim": 10_000, "output_dim": 10_000}],
    "many layers": [{"name": "Dense", "input_dim": 3000, "output_dim": 3000}] * 3,
    "small ones": [
        {"name": "SimpleDeepRNN", "output_dim": 1, "input_dim": 1, "depth": 10**6}
    ],
    "a fixed matrix": [{"name": "JZS1", "input_dim": 1, "output_dim": 10_000}],
    "orthogonal": [{"name": "SimpleRNN", "input_dim": 1, "output_dim": 10_000}],
    "normalization": [{"name": "BatchNormalization", "input_shape": [9_000_000]}] * 3,
}


@pytest.mark.parametrize("name", LARGE)
def test_parameters_are_counted_before_they_are_drawn(name):
    text = json.dumps({"name": "Sequential", "layers": LARGE[name]})
    with pytest.raises(ConfigError, match=r"at most 20000000 values.*PARAMETERS"):
        model_from_json(text)


def test_the_limit_of_parameters_can_be_raised_and_does_not_bind_python(monkeypatch):
    text = Sequential([Dense(40, 60)]).to_json()
    # The bias counts as 1000 values.
    monkeypatch.setattr(limits, "PARAMETERS", 2400 + 999)
    with pytest.raises(ConfigError, match="got 3400"):
        model_from_json(text)
    Sequential([Dense(40, 60)])
    monkeypatch.setattr(limits, "PARAMETERS", 2400 + 1000)
    model_from_json(text)


def test_a_dim_that_is_drawn_later_is_limited_too():
    text = json.dumps(
        {"name": "Sequential", "layers": [{"name": "Dense", "input_dim": 300_000_000}]}
    )
    with pytest.raises(ConfigError, match="INTEGER"):
        model_from_json(text)


def test_a_seed_may_be_any_of_32_bits():
    text = Sequential([Dense(4, 6, seed=2**32 - 1)]).to_json()
    assert model_from_json(text).layers[0].seed == 2**32 - 1


# Values that no class takes


YAML = [
    '!!int ""',
    '!!bool ""',
    '!!float ""',
    "a: 0x" + "f" * 5000,
    'a: !!timestamp "x"',
    'a: !!binary "x"',
    '!!int "_"',
    "name: .inf",
    "name: !!set {a}",
    "name: 2001-01-01",
    "? [1]\n: 2",
    "<<: 1",
    "\0",
    "\ud800",
    "&a [*a]",
    "!!python/object/apply:os.system [ls]",
]


@pytest.mark.parametrize("text", YAML)
def test_yaml_that_its_own_constructors_cannot_read_is_refused(text):
    with pytest.raises(ConfigError):
        model_from_yaml(text)


SPEC = ("spec", "nodes", 0)
CONFIGS = {
    "lr of 65 bits, as a whole number": (graph, ("optimizer", "lr"), 2**64),
    "lr as a list": (graph, ("optimizer", "lr"), [0.1]),
    "lr that is infinite": (graph, ("optimizer", "lr"), 10**400),
    "a name that is a dict": (graph, ("name",), {"a": 1}),
    "a node's name that is a dict": (graph, (*SPEC, "name"), {"a": 1}),
    "an initial value of 400 digits": (loop, ("spec", "states", 0, "initial"), 10**400),
    "a mask that no input is": (loop, ("spec", "mask"), "gone"),
    "bias of 2": (graph, (*SPEC, "layer", "config", "bias"), 2),
    "a list in l2": (
        graph,
        (*SPEC, "layer", "config", "W_regularizer"),
        {"name": "WeightRegularizer", "l2": [1]},
    ),
    "a list for the argument of l2": (
        graph,
        (*SPEC, "layer", "config", "W_regularizer"),
        {"name": "l2", "l": [1]},
    ),
    "a norm that is text": (
        graph,
        (*SPEC, "layer", "config", "W_constraint"),
        {"name": "MaxNorm", "m": "2"},
    ),
    "10**12 axes": (graph, ("spec", "inputs", 0, "ndim"), 10**12),
    "33 axes": (graph, ("spec", "inputs", 0, "ndim"), 33),
    "a gradient over 2**63 steps": (loop, ("spec", "truncate_gradient"), 2**63),
    "2**40 steps": (loop, ("spec", "n_steps"), 2**40),
    "a weight of the loss that is infinite": (graph, ("loss_weights",), {"a": 10**400}),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_value_that_no_class_takes_is_refused(name):
    make, path, value = CONFIGS[name]
    with pytest.raises(RecursiveError):
        model_from_json(changed(make(), path, value))


# As a float it is an lr like any other.
OTHERS = [name for name in CONFIGS if "65 bits" not in name]


@pytest.mark.parametrize("name", OTHERS)
def test_it_is_refused_without_the_limit_of_integers_too(name, monkeypatch):
    monkeypatch.setattr(limits, "INTEGER", 10**500)
    make, path, value = CONFIGS[name]
    with pytest.raises(RecursiveError):
        model_from_json(changed(make(), path, value))


NUMBERS = {
    "BatchNormalization": ({"input_shape": [4]}, ["epsilon", "momentum"]),
    "LayerNormalization": ({}, ["epsilon"]),
    "LeakyReLU": ({}, ["alpha"]),
    "ParametricSoftplus": ({"input_shape": [4]}, ["alpha_init", "beta_init"]),
    "ThresholdedReLU": ({}, ["theta"]),
    "ThresholdedLinear": ({}, ["theta"]),
    "Masking": ({}, ["mask_value"]),
    "Embedding": ({"input_dim": 4, "output_dim": 6}, ["mask_zero"]),
    "GaussianNoise": ({}, ["sigma"]),
    "Dropout": ({}, ["p"]),
    "Reshape": ({}, ["dims"]),
}


@pytest.mark.parametrize("value", [{}, "x", [1.5], {"a": 1}])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_layer_refuses_what_is_no_number_when_it_is_read(name, value):
    arguments, settings = NUMBERS[name]
    for setting in settings:
        layer = {"name": name, **arguments, setting: value}
        text = json.dumps({"name": "Sequential", "layers": [layer]})
        with pytest.raises(RecursiveError, match=name):
            model_from_json(text)


def test_a_graph_of_2015_whose_name_is_a_dict_is_refused():
    config = {
        "name": "Graph",
        "input_config": [{"name": "x", "ndim": 2}],
        "node_config": [{"name": {"a": 1}, "input": "x"}],
        "output_config": [],
        "nodes": {},
    }
    with pytest.raises(ConfigError):
        model_from_json(json.dumps(config))


# Values that are not finite


def test_set_weights_takes_what_is_finite_in_the_dtype_of_the_weight():
    with pytensor.config.change_flags(floatX="float32"):
        model = Sequential([Dense(1, 1)])
    before = model.get_weights()
    for values in ([[[1e39]], [0.0]], [[[1.0]], [np.nan]], [[[np.inf]], [0.0]]):
        with pytest.raises(WeightsError, match="takes finite numbers of float32"):
            model.set_weights(list(map(np.array, values)))
    for found, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_set_weights_refuses_what_is_no_number():
    with pytest.raises(WeightsError, match=r"parameter 'W' takes numbers of float64"):
        Dense(1, 1).set_weights([[["a"]], [0.0]])


class Spoil(Callback):
    """Makes a variable infinite at the end of the first batch."""

    def __init__(self, variable):
        self.variable = variable

    def on_batch_end(self, batch, logs=None):
        variable = self.variable(self.model)
        values = np.array(variable.get_value())
        values[...] = np.inf
        variable.set_value(values)


def running_mean(model):
    return model.layers[0].running_mean


def slot(model):
    return next(iter(model.optimizer.slots.values()))


@pytest.mark.parametrize("variable", [running_mean, slot])
def test_fit_watches_running_means_and_slots(variable):
    # Both leave the loss and the parameters finite: one is not read while training, and
    # dividing by an infinite mean of squares gives 0.
    model = Sequential([BatchNormalization((4,)), Dense(4, 2)])
    model.compile(RMSprop(), "mse")
    X, y = np.ones((3, 4)), np.ones((3, 2))
    model.fit(X, y, nb_epoch=1, verbose=0)
    good = np.array(variable(model).get_value())
    with pytest.raises(DivergenceError, match="slots that are not finite"):
        model.fit(X, y, nb_epoch=3, verbose=0, callbacks=[Spoil(variable)])
    np.testing.assert_array_equal(variable(model).get_value(), good)


def test_weights_that_are_not_finite_do_not_replace_a_good_file(tmp_path):
    model = Sequential([Dense(4, 2)])
    model.save_weights(tmp_path / "w.h5")
    before = (tmp_path / "w.h5").read_bytes()
    model.layers[0].b.set_value(np.array([1.0, np.nan]))
    with pytest.raises(WeightsError, match=r"'layer_0\.b'|'b' takes finite numbers"):
        model.save_weights(tmp_path / "w.h5", overwrite=True)
    assert (tmp_path / "w.h5").read_bytes() == before


# Callbacks find out before they train


def fit(callback):
    model = Sequential([Dense(4, 2)])
    model.compile("sgd", "mse")
    steps = []

    class Steps(Callback):
        def on_batch_end(self, batch, logs=None):
            steps.append(batch)

    with pytest.raises(RecursiveError) as caught:
        callbacks = [callback, Steps()]
        model.fit(np.ones((3, 4)), np.ones((3, 2)), verbose=0, callbacks=callbacks)
    assert steps == [], "it trained before it found out"
    return caught.value


PATTERNS = [
    "{epoch.foo}.h5",
    "{epoch[0]}.h5",
    "{epoch:{loss}}.h5",
    "{epoch:99999999999}.h5",
    "{epoch:1000}.h5",
    "{gone}.h5",
    "{0}.h5",
    "{.h5",
    "\0.h5",
    "x" * 300 + ".h5",
    "none/w.h5",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_checkpoint_with_a_bad_path_stops_before_training(tmp_path, pattern):
    assert isinstance(fit(ModelCheckpoint(tmp_path / pattern)), ConfigError)


def test_a_checkpoint_in_a_folder_that_cannot_be_written_stops_before_training():
    # The administrator, who may run the tests, may write everywhere but here.
    error = fit(ModelCheckpoint("/proc/weights.h5"))
    assert isinstance(error, ConfigError) and isinstance(error, OSError)


@pytest.mark.parametrize(
    "name", ["\0.csv", "x" * 300, "loop", "none/log.csv", "folder"]
)
@pytest.mark.parametrize("append", [True, False])
def test_a_csv_logger_with_a_bad_path_stops_before_training(tmp_path, name, append):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder").mkdir()
    if "\0" in name:
        with pytest.raises(ConfigError):
            CSVLogger(tmp_path / name, append=append)
    else:
        fit(CSVLogger(tmp_path / name, append=append))


def test_a_csv_logger_does_not_append_to_another_kind_of_file(tmp_path):
    (tmp_path / "log.csv").write_bytes(b"\xff\xfe\x00")
    assert "CSV file" in str(fit(CSVLogger(tmp_path / "log.csv", append=True)))
