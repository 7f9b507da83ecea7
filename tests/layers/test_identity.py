"""A user's class is never taken for a class of the library, whatever its name."""

import json

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from recursive import Recurrent, Recursive, Sequential, backend, reference
from recursive.activations import tanh as library_tanh
from recursive.constraints import MaxNorm
from recursive.errors import ConfigError, RecursiveError, UnknownNameError
from recursive.layers import cells, containers, core, wrappers
from recursive.layers.layer import Layer
from recursive.layers.recurrent import GRU
from recursive.models import model_from_json
from recursive.regularizers import WeightRegularizer
from recursive.spec.hoist import Product

RANDOM = np.random.RandomState(3)
X = RANDOM.normal(size=(3, 5, 4))
HERE = __name__


# The network, and the same in NumPy


def network(layer, hidden=6):
    """A loop whose state ``h`` is the output of ``layer`` for the input and ``h``."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=hidden)
    rnn.add_node(layer, "a", inputs=["x", "h"], return_state="h", create_output=True)
    rnn.complete()
    for param in rnn.named_params.values():
        param.set_value(RANDOM.normal(size=param.get_value().shape) / 3)
    return rnn


def weights(rnn):
    return {name: param.get_value() for name, param in rnn.named_params.items()}


def flat(rnn, formula, W=None):
    """The states over time if a step returns ``formula(z)`` for the product ``z``."""
    W = weights(rnn)["a.W"] if W is None else W
    b, h = weights(rnn)["a.b"], np.zeros((3, W.shape[1]))
    steps = []
    for t in range(X.shape[1]):
        h = formula(np.concatenate([X[:, t], h], axis=-1) @ W + b)
        steps.append(h)
    return np.stack(steps, axis=1)


def assert_close(found, expected):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-12


# Layers of a user


def with_method(name, method, base=core.Dense):
    """A class called ``name`` whose ``method`` makes it compute ``tanh(z) / 2``."""

    def call(self, x, train=False):
        return pt.tanh(core.Dense.transform_input(self, x)) / 2

    def finish(self, total, others):
        return pt.tanh(total) / 2

    def transform_input(self, x):
        return pt.tanh(core.Dense.transform_input(self, x)) / 2

    methods = {
        "call": call,
        "finish": finish,
        "transform_input": transform_input,
    }
    body = {method: methods[method], "__module__": HERE, "__qualname__": name}
    return type(name, (base,), body)


def half_tanh(z):
    return np.tanh(z) / 2


METHODS = ("call", "finish", "transform_input")
NAMES = ("Dense", "MyDense", "Activation", "TimeDistributedDense")


def shown_name(name):
    return name if name == "MyDense" else f"{HERE}.{name}"


OWN = pytest.mark.parametrize("method", METHODS)
CALLED = pytest.mark.parametrize("name", NAMES)


@OWN
@CALLED
def test_predict_runs_the_formula_of_the_class(name, method):
    rnn = network(with_method(name, method)(6))
    assert_close(rnn.predict(X), flat(rnn, half_tanh))


@OWN
def test_the_gradient_is_that_of_the_formula_of_the_class(method):
    rnn = network(with_method("Dense", method)(6))
    x = pt.constant(X)
    param = rnn.named_params["a.W"]
    found = backend.evaluate([pytensor.grad(rnn(x).sum(), param)], {})[0]
    W = weights(rnn)["a.W"]
    for place in [(0, 0), (3, 5), (9, 2)]:
        nudged = W.astype(complex)
        nudged[place] += 1e-30j
        expected = flat(rnn, half_tanh, nudged).sum().imag / 1e-30
        assert abs(found[place] - expected) < 1e-10


@OWN
@CALLED
def test_explain_shows_a_call_of_the_class(name, method):
    text = network(with_method(name, method)(6)).explain()
    assert f"a = {shown_name(name)}(" in text


@OWN
@CALLED
@pytest.mark.parametrize("library", ["numpy", "pytensor"])
def test_source_leaves_a_gap_that_names_the_node_and_the_class(library, name, method):
    rnn = network(with_method(name, method)(6))
    found = {}
    exec(rnn.source(library), found)
    with pytest.raises(NotImplementedError) as refused:
        found["run"](weights(rnn), {"x": X})
    assert "'a'" in str(refused.value)
    assert shown_name(name) in str(refused.value)


@OWN
@CALLED
def test_the_reference_refuses_the_class_and_names_the_node(name, method):
    rnn = network(with_method(name, method)(6))
    with pytest.raises(UnknownNameError) as refused:
        reference.run(rnn.spec, weights(rnn), {"x": X})
    assert "node 'a'" in str(refused.value)
    assert repr(shown_name(name)) in str(refused.value)


@OWN
@CALLED
def test_a_file_names_the_class_and_is_read_with_it(name, method):
    cls = with_method(name, method)
    rnn = network(cls(6))
    again = model_from_json(rnn.to_json(), custom_layers={shown_name(name): cls})
    again.complete()
    again.set_weights(rnn.get_weights())
    assert type(again.nodes["a"]) is cls
    assert_close(again.predict(X), flat(rnn, half_tanh))


@CALLED
def test_a_file_that_is_read_without_the_class_says_what_to_pass(name):
    text = network(with_method(name, "call")(6)).to_json()
    with pytest.raises(ConfigError) as refused:
        model_from_json(text)
    wanted = f"custom_layers={{{shown_name(name)!r}: {name}}}"
    assert wanted in str(refused.value)


@CALLED
def test_the_table_names_the_class(name):
    lines = network(with_method(name, "call")(6)).summary().splitlines()
    assert lines[2].split()[:2] == ["a", shown_name(name)]


def test_a_class_of_the_library_keeps_its_name_and_its_formula():
    rnn = network(core.Dense(6, activation="tanh"))
    assert rnn.get_config()["name"] == "Recursive"
    assert Sequential([]).get_config()["name"] == "Sequential"
    assert containers.Sequential([]).get_config()["name"] == "Sequential"
    expected = flat(rnn, np.tanh)
    assert_close(rnn.predict(X), expected)
    found = reference.run(rnn.spec, weights(rnn), {"x": X}).outputs["a"]
    assert_close(found, expected)
    assert "tanh(" in rnn.explain()


# Names that the plan used


@pytest.mark.parametrize("name", ["Product", "Rest", "Products", "ProductSlice"])
@pytest.mark.parametrize("method", ["call", "finish"])
def test_a_class_may_have_any_name(name, method):
    rnn = network(with_method(name, method)(6))
    assert_close(rnn.predict(X), flat(rnn, half_tanh))
    assert f"a = {name}(" in rnn.explain()
    assert rnn.summary().splitlines()[2].split()[:2] == ["a", name]


class Before(core.Dense):
    """A Dense that adds ten times the input at a port called ``before``."""

    ports = ("input", "before")

    def build(self, input_shape):
        super().build(input_shape["input"])

    def get_output_shape_for(self, input_shape):
        return (None, self.output_dim)

    @property
    def products(self):
        return (Product("input", self.output_dim, ("W",), ("b",)),)

    def finish(self, total, others):
        return pt.tanh(total + 10 * others["before"])

    def call(self, x, train=False):
        return self.finish(self.transform_input(x["input"]), x)


def test_a_port_may_be_called_before():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=6)
    rnn.add_node(
        Before(6),
        "a",
        input={"input": "x", "before": "h"},
        return_state="h",
        create_output=True,
    )
    rnn.complete()
    assert "a.before" in [node.name for node in rnn.plan.hoisted]
    W, h, expected = weights(rnn)["a.W"], np.zeros((3, 6)), []
    for t in range(5):
        h = np.tanh(X[:, t] @ W + weights(rnn)["a.b"] + 10 * h)
        expected.append(h)
    assert_close(rnn.predict(X), np.stack(expected, axis=1))


# A formula that is assigned to an instance


@pytest.mark.parametrize("method", ["call", "finish", "transform_input", "__call__"])
def test_a_formula_cannot_be_assigned_to_one_instance(method):
    layer = core.Dense(10, 6)
    with pytest.raises(ConfigError, match=f"layer 'Dense' takes its formula.*{method}"):
        setattr(layer, method, lambda x, train=False: x)


@pytest.mark.parametrize("method", ["__call__", "with_mask"])
def test_methods_that_only_call_the_formula_cannot_be_overridden(method):
    with pytest.raises(
        ConfigError, match=f"layer 'Mine' takes a method call.*{method}"
    ):
        type("Mine", (core.Dense,), {method: lambda self, x, train=False: x})


# Activations of a user


def tanh(x):
    """Not the hyperbolic tangent."""
    return 2 * x / (1 + abs(x))


def sigmoid(x):
    return x / 3


@pytest.mark.parametrize("own", [tanh, sigmoid])
def test_a_custom_activation_is_named_with_its_module(own):
    rnn = network(core.Dense(6, activation=own))
    assert_close(rnn.predict(X), flat(rnn, own))
    assert f"a = {HERE}.{own.__name__}(" in rnn.explain()
    for library in ("numpy", "pytensor"):
        found = {}
        exec(rnn.source(library), found)
        with pytest.raises(NotImplementedError, match="'a'"):
            found["run"](weights(rnn), {"x": X})
    with pytest.raises(UnknownNameError, match=f"node 'a'.*{own.__name__}"):
        reference.run(rnn.spec, weights(rnn), {"x": X})
    with pytest.raises(ConfigError, match="layer 'a'"):
        rnn.to_json()


def test_the_reference_sees_an_activation_that_was_assigned():
    rnn = network(core.Dense(6, activation="tanh"))
    rnn.nodes["a"].activation = tanh
    with pytest.raises(UnknownNameError, match="node 'a'"):
        reference.run(rnn.spec, weights(rnn), {"x": X})
    rnn.nodes["a"].activation = library_tanh
    found = reference.run(rnn.spec, weights(rnn), {"x": X}).outputs["a"]
    assert_close(found, flat(rnn, np.tanh))


# Containers


class Graph(containers.Graph):
    """A Graph that returns half of the value of its nodes."""

    def call(self, inputs, train=False, **draws):
        found = super().call(inputs, train, **draws)
        return {name: value / 2 for name, value in found.items()}


class Mine(Graph):
    """The same under another name."""


def inner(cls):
    graph = cls()
    graph.add_input("z", dim=10)
    graph.add_node(core.Dense(10, 6, activation="tanh"), "d", input="z")
    graph.add_output("o", input="d")
    return graph


@pytest.mark.parametrize(("cls", "name"), [(Graph, f"{HERE}.Graph"), (Mine, "Mine")])
def test_a_custom_container_keeps_its_formula_as_a_node(cls, name):
    rnn = network(inner(cls))
    W, b = weights(rnn)["a.d.W"], weights(rnn)["a.d.b"]
    h, expected = np.zeros((3, 6)), []
    for t in range(5):
        h = np.tanh(np.concatenate([X[:, t], h], axis=-1) @ W + b) / 2
        expected.append(h)
    expected = np.stack(expected, axis=1)
    assert_close(rnn.predict(X), expected)
    assert f"a = {name}(" in rnn.explain()
    found = {}
    exec(rnn.source("numpy"), found)
    with pytest.raises(NotImplementedError, match="'a'"):
        found["run"](weights(rnn), {"x": X})
    with pytest.raises(UnknownNameError, match=f"'{name}'.*node 'a'"):
        reference.run(rnn.spec, weights(rnn), {"x": X})
    with pytest.raises(ConfigError, match="custom_layers="):
        model_from_json(rnn.to_json())
    again = model_from_json(rnn.to_json(), custom_layers={name: cls})
    again.complete()
    again.set_weights(rnn.get_weights())
    assert_close(again.predict(X), expected)


def test_the_reference_names_a_layer_that_is_deep_inside():
    Dense = with_method("Dense", "call")
    chain = containers.Sequential([core.Dense(10, 6), Dense(6, 6)])
    rnn = network(chain)
    with pytest.raises(UnknownNameError, match=r"node 'a\.layer_1'.*Dense"):
        reference.run(rnn.spec, weights(rnn), {"x": X})
    with pytest.raises(ConfigError, match=r"custom_layers="):
        model_from_json(rnn.to_json())


def test_a_layer_inside_a_wrapper_is_read_with_its_class():
    class GRUOfMine(GRU):
        def step(self, *args):
            return tuple(state / 2 for state in super().step(*args))

    GRUOfMine.__name__ = "GRU"
    GRUOfMine.__qualname__ = "GRU"
    model = Sequential([wrappers.Bidirectional(GRUOfMine(4, 6))])
    text = model.to_json()
    name = f"{HERE}.GRU"
    with pytest.raises(ConfigError) as refused:
        model_from_json(text)
    assert f"custom_layers={{{name!r}: GRU}}" in str(refused.value)
    again = model_from_json(text, custom_layers={name: GRUOfMine})
    again.set_weights(model.get_weights())
    assert type(again.layers[0].layer) is GRUOfMine
    assert_close(again.predict(X), model.predict(X))


class Loop(Recursive):
    """A loop whose output is doubled."""

    def call(self, inputs, train=False, **draws):
        found = super().call(inputs, train, **draws)
        return {name: 2 * value for name, value in found.items()}


def test_a_loop_with_a_custom_call_is_not_written_as_its_loop_alone():
    rnn = Loop(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=6)
    rnn.add_node(
        core.Dense(10, 6, activation="tanh"),
        "a",
        inputs=["x", "h"],
        return_state="h",
        create_output=True,
    )
    assert_close(rnn.predict(X), 2 * flat(rnn, np.tanh))
    assert "Not shown: Loop.call" in rnn.explain()
    for library in ("numpy", "pytensor"):
        found = {}
        exec(rnn.source(library), found)
        with pytest.raises(NotImplementedError, match=r"Loop\.call"):
            found["run"](weights(rnn), {"x": X})


def test_a_custom_model_is_read_with_its_class():
    class Own(Sequential):
        pass

    Own.__name__ = Own.__qualname__ = "Sequential"
    text = Own([core.Dense(4, 6)]).to_json()
    with pytest.raises(ConfigError) as refused:
        model_from_json(text)
    assert f"custom_layers={{'{HERE}.Sequential': Sequential}}" in str(refused.value)
    again = model_from_json(text, custom_layers={f"{HERE}.Sequential": Own})
    assert type(again) is Own


# Configurations of a user


class Dense(core.Dense):
    """A configuration in the form of 2015."""

    def __init__(self, input_dim=None, output_dim=None):
        super().__init__(input_dim, output_dim)

    def call(self, x, train=False):
        return pt.tanh(self.transform_input(x)) / 2

    def get_config(self):
        return {
            "name": self.__class__.__name__,
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
        }


class Claims(Dense):
    """A class that claims the name of a layer of the library."""

    def get_config(self):
        return {**super().get_config(), "name": "Dense"}


class Inherits(Claims):
    """A class that inherits the claim."""


@pytest.mark.parametrize(
    ("cls", "name"),
    [(Dense, f"{HERE}.Dense"), (Claims, "Claims"), (Inherits, "Inherits")],
)
def test_a_custom_configuration_cannot_claim_a_name_of_the_library(cls, name):
    rnn = network(cls(6))
    with pytest.raises(UnknownNameError, match=f"'{name}'.*node 'a'"):
        reference.run(rnn.spec, weights(rnn), {"x": X})
    for model in (rnn, Sequential([cls(4, 6)])):
        with pytest.raises(ConfigError, match="custom_layers="):
            model_from_json(model.to_json())
    again = model_from_json(rnn.to_json(), custom_layers={name: cls})
    again.complete()
    again.set_weights(rnn.get_weights())
    assert_close(again.predict(X), flat(rnn, half_tanh))


def test_two_classes_of_one_name_are_not_written():
    first, second = (with_method("Twin", method) for method in ("call", "finish"))
    model = Sequential([first(4, 6), second(6, 6)])
    with pytest.raises(ConfigError, match=r"layer 'layer_1'.*'Twin'"):
        model.to_json()
    assert json.loads(Sequential([first(4, 6), first(6, 6)]).to_json())


def test_custom_rules_with_a_name_of_the_library_are_not_written():
    def named(base, method):
        return type(base.__name__, (base,), {"__call__": method, "__module__": HERE})

    penalty = named(WeightRegularizer, lambda self, loss: loss + 7 * self.p.sum())
    rule = named(MaxNorm, lambda self, p: 0 * p)
    for layer in (
        core.Dense(4, 6, W_regularizer=penalty(l2=1.0)),
        core.Dense(4, 6, W_constraint=rule(1)),
    ):
        with pytest.raises(RecursiveError, match="layer_0"):
            Sequential([layer]).to_json()


# Moving and splitting layers


@pytest.mark.parametrize(
    "method",
    ["apply", "compute", "get_output", "get_input", "get_output_mask", "call"],
)
def test_a_class_with_another_formula_is_neither_moved_nor_split(method):
    made = type("Mine", (core.Dense,), {method: lambda self, *args, **named: None})
    layer = made(4, 6)
    assert (layer.rowwise, layer.splits) == (False, False)
    below = type("Below", (made,), {})(4, 6)
    assert (below.rowwise, below.splits) == (False, False)
    assert (core.Dense(4, 6).rowwise, core.Dense(4, 6).splits) == (True, True)


def test_a_class_may_declare_that_its_products_are_not_split():
    class Whole(core.Dense):
        splits = False

    class Below(Whole):
        pass

    class Again(Whole):
        products = core.Dense.products

    class AgainWhole(Whole):
        products = core.Dense.products
        splits = False

    assert not Whole.splits
    assert not Below.splits
    assert Again.splits
    assert not AgainWhole.splits
    assert Whole(4, 6).rowwise


def test_a_helper_of_the_formula_may_mix_rows():
    class Centred(core.Dropout):
        def _is_over_time(self, ndim):
            return False

    class Fast(GRU):
        def project(self, x):
            return [
                part - part.mean(axis=1, keepdims=True) for part in super().project(x)
            ]

    class Told(core.Dense):
        def __repr__(self):
            return "told"

    assert not Centred(0.5).rowwise
    assert not Fast(4, 6).rowwise
    assert Told(4, 6).rowwise


def test_a_cell_with_a_custom_finish_keeps_it():
    class RecurrentDense(cells.RecurrentDense):
        def finish(self, total, others):
            return super().finish(total, others) / 2

    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_node(RecurrentDense(6, activation="tanh"), "h", input="x")
    rnn.complete()
    named, h, expected = weights(rnn), np.zeros((3, 6)), []
    for t in range(5):
        h = np.tanh(X[:, t] @ named["h.W"] + named["h.b"] + h @ named["h.U"]) / 2
        expected.append(h)
    assert_close(rnn.predict(X), np.stack(expected, axis=1))
    assert "RecurrentDense(before=" in rnn.explain()
    with pytest.raises(UnknownNameError, match="node 'h'"):
        reference.run(rnn.spec, named, {"x": X})


def test_a_class_with_the_name_of_a_function_in_explain_is_named_with_its_module():
    made = type("tanh", (Layer,), {"call": lambda self, x, train=False: 2 * x})
    made.__module__, made.__qualname__ = HERE, "tanh"
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_node(made(), "a", input="x", create_output=True)
    assert f"a = {HERE}.tanh(x)" in rnn.explain()
    assert_close(rnn.predict(X), 2 * X)
