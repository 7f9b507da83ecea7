"""A user-defined layer may have any name: its formula is used everywhere."""

import json

import numpy as np
import pytest

from recursive import (
    Graph,
    Layer,
    Recurrent,
    RecurrentDense,
    RecursiveError,
    Sequential,
    model_from_json,
    reference,
)
from recursive.layers import cells, core, embeddings, recurrent
from tests.faults.loops import close, gru, hard_sigmoid, randomized, rng_of, rnn

X = rng_of(1).normal(size=(3, 5, 4))
TAKEN = [
    "Product",
    "Products",
    "Rest",
    "ProductShare",
    "Remainder",
    "Half",
    "ProductSlice",
    "FusedProducts",
    "HoistedProduct",
    "SplitLayer",
    "Dense",
    "Identity",
    "Activation",
    "Gate",
    "RecurrentDense",
    "LSTM",
    "Masking",
    "Recurrent",
    "NestedLoop",
]


def named(name, base, **methods):
    """A class of this module by another name."""
    return type(name, (base,), {"__module__": __name__, **methods})


def twice_as_much(self, x, train=False):
    return 2 * x


def loop_of(layer, dim=4, **settings):
    loop = Recurrent(return_sequences=True, **settings)
    loop.add_input("x", dim=4)
    loop.add_node(layer, "own", input="x")
    loop.add_node(RecurrentDense(dim, 3), "h", input="own", create_output=True)
    return loop


@pytest.mark.parametrize("name", TAKEN)
def test_a_user_class_in_a_loop_may_have_any_name(name):
    layer = named(name, Layer, call=twice_as_much)()
    loop = randomized(loop_of(layer))
    expected = rnn(loop.get_weights(), 2 * X)
    assert close(loop.predict(X), expected)
    assert close(Sequential([layer]).predict(X[:, 0]), 2 * X[:, 0])


@pytest.mark.parametrize("name", TAKEN)
def test_a_user_class_behind_a_state_may_have_any_name(name):
    """It stays in the loop: it reads the step before."""
    loop = Recurrent(return_sequences=True)
    loop.add_input("x", dim=4)
    loop.add_node(core.Dense(4, 3), "d", input="x")
    layer = named(name, Layer, call=twice_as_much)()
    loop.add_node(layer, "own", input="h_tm1")
    loop.add_node(core.Activation("tanh"), "h", inputs=["d", "own"], merge_mode="sum")
    loop.add_output("out", input="h")
    W, b = randomized(loop).get_weights()
    h, steps = np.zeros((3, 3)), []
    for t in range(5):
        h = np.tanh(X[:, t] @ W + b + 2 * h)
        steps.append(h)
    assert close(loop.predict(X), np.stack(steps, axis=1))


@pytest.mark.parametrize("name", TAKEN)
def test_explain_and_summary_take_a_user_class_of_any_name(name):
    loop = loop_of(named(name, Layer, call=twice_as_much)())
    randomized(loop)
    assert name in loop.explain() and name in loop.summary()
    trace = loop.trace(X)
    assert close(trace["own"], 2 * X)


def user_dense():
    """Called as the library's, with another formula."""

    def call(self, x, train=False):
        return 2 * core.Dense.call(self, x, train=train)

    return named("Dense", core.Dense, call=call)


def through_loop(weights, factor=2):
    W, b, *cell = weights
    return rnn(cell, factor * (X @ W + b))


def test_a_user_dense_has_its_own_formula_in_the_container():
    loop = randomized(loop_of(user_dense()(4, 2), 2))
    assert close(loop.predict(X), through_loop(loop.get_weights()))


@pytest.mark.parametrize("library", ["numpy", "pytensor"])
def test_no_source_takes_a_user_dense_for_the_librarys(library):
    loop = randomized(loop_of(user_dense()(4, 2), 2))
    assert "GAP" in loop.source(library)
    assert "GAP" not in randomized(loop_of(core.Dense(4, 2), 2)).source(library)


def test_the_reference_does_not_take_a_user_dense_for_the_librarys():
    loop = randomized(loop_of(user_dense()(4, 2), 2))
    weights = {name: p.get_value() for name, p in loop.named_params.items()}
    with pytest.raises(RecursiveError, match=__name__):
        reference.run(loop.spec, weights, {"x": X})


def test_explain_calls_a_user_dense_by_its_module():
    loop = randomized(loop_of(user_dense()(4, 2), 2))
    assert f"{__name__}.Dense" in loop.explain()
    assert __name__ not in randomized(loop_of(core.Dense(4, 2), 2)).explain()


def chain_with(layer):
    return Sequential([core.TimeDistributedDense(4, 4), layer])


def graph_with(layer):
    graph = Graph()
    graph.add_input("x", ndim=3, dim=4)
    graph.add_node(layer, "own", input="x")
    graph.add_node(
        core.TimeDistributedDense(2, 3), "y", input="own", create_output=True
    )
    return Sequential([graph])


def loop_with(layer):
    return loop_of(layer, 2)


MODELS = [chain_with, graph_with, loop_with]
models = pytest.mark.parametrize("model_of", MODELS, ids=lambda f: f.__name__)


def names_in(config):
    """All class names that a configuration holds."""
    if isinstance(config, dict):
        for key in ("name", "class_name"):
            if isinstance(config.get(key), str):
                yield config[key]
        for value in config.values():
            yield from names_in(value)
    elif isinstance(config, list):
        for value in config:
            yield from names_in(value)


@models
def test_a_user_dense_is_itself_after_a_round_trip(model_of):
    own = user_dense()
    model = randomized(model_of(own(4, 2)))
    text = model.to_json()
    [name] = {name for name in names_in(json.loads(text)) if __name__ in name}
    again = model_from_json(text, custom_layers={name: own})
    again.set_weights(model.get_weights())
    assert close(again.predict(X), model.predict(X))


@models
def test_a_user_dense_is_refused_where_it_is_not_given(model_of):
    text = model_of(user_dense()(4, 2)).to_json()
    with pytest.raises(RecursiveError, match=f"{__name__}.Dense"):
        model_from_json(text)


def test_a_user_dense_and_the_librarys_are_told_apart_in_one_model():
    own = user_dense()
    model = randomized(Sequential([own(4, 2), core.Dense(2, 3)]))
    text = model.to_json()
    [name] = {name for name in names_in(json.loads(text)) if __name__ in name}
    again = model_from_json(text, custom_layers={name: own})
    assert type(again.layers[0]) is own and type(again.layers[1]) is core.Dense
    again.set_weights(model.get_weights())
    assert close(again.predict(X[:, 0]), model.predict(X[:, 0]))


def test_custom_layers_may_say_the_short_name_of_a_user_class():
    own = user_dense()
    model = randomized(Sequential([own(4, 2)]))
    again = model_from_json(model.to_json(), custom_layers={"Dense": own})
    assert type(again.layers[0]) is own


def test_a_class_with_a_new_name_is_called_by_it():
    scaled = named("Scaled", core.Dense, call=twice_as_much)
    text = Sequential([scaled(4, 4)]).to_json()
    assert "Scaled" in names_in(json.loads(text))
    again = model_from_json(text, custom_layers={"Scaled": scaled})
    assert type(again.layers[0]) is scaled


@pytest.mark.parametrize(
    ("base", "method"),
    [
        (core.Dense, "finish"),
        (core.Dense, "transform_input"),
        (cells.RecurrentDense, "finish"),
        (cells.RecurrentGRU, "finish"),
    ],
)
def test_a_part_of_a_formula_that_was_changed_counts_under_the_same_name(base, method):
    def changed(self, *args):
        return 0.5 * getattr(base, method)(self, *args)

    own = named(base.__name__, base, **{method: changed})

    def made(kind):
        loop = Recurrent(return_sequences=True)
        loop.add_input("x", dim=4)
        loop.add_node(kind(4, 3), "h", input="x", create_output=True)
        return randomized(loop)

    found, plain = made(own), made(base)
    assert not close(found.predict(X), plain.predict(X))
    assert "GAP" in found.source("numpy")
    weights = {name: p.get_value() for name, p in found.named_params.items()}
    with pytest.raises(RecursiveError):
        reference.run(found.spec, weights, {"x": X})


def test_other_user_layers_under_the_librarys_names_are_not_taken_for_them():
    def gate(self, x, train=False):
        return 1 - core.Activation.call(self, x, train=train)

    own = named("Activation", core.Activation, call=gate)
    loop = Recurrent(return_sequences=True)
    loop.add_input("x", dim=4)
    loop.add_node(own("hard_sigmoid"), "y", input="x", create_output=True)
    assert close(loop.predict(X), 1 - hard_sigmoid(X))
    assert "GAP" in loop.source("numpy")
    with pytest.raises(RecursiveError):
        reference.run(loop.spec, {}, {"x": X})
    with pytest.raises(RecursiveError):
        model_from_json(loop.to_json())


def test_a_user_recurrent_layer_under_the_librarys_name_is_not_taken_for_it():
    def call(self, x, train=False):
        return 0.5 * recurrent.GRU.call(self, x, train=train)

    own = named("GRU", recurrent.GRU, call=call)
    model = randomized(Sequential([own(4, 3)]))
    assert close(model.predict(X), 0.5 * gru(model.get_weights(), X)[:, -1])
    with pytest.raises(RecursiveError):
        model_from_json(model.to_json())


def test_a_user_embedding_under_the_librarys_name_is_not_taken_for_it():
    def call(self, x, train=False):
        return -embeddings.Embedding.call(self, x, train=train)

    own = named("Embedding", embeddings.Embedding, call=call)
    loop = Recurrent(return_sequences=True)
    loop.add_input("n", ndim=2, dtype="int")
    loop.add_node(own(7, 4), "e", input="n", create_output=True)
    numbers = np.array([[1, 2, 3], [4, 5, 6]])
    [table] = randomized(loop).get_weights()
    assert close(loop.predict(numbers), -table[numbers])
    assert "GAP" in loop.source("numpy")


def test_user_containers_may_have_the_librarys_names():
    for kind in (Sequential, Recurrent):
        own = named(kind.__name__, kind)
        if kind is Sequential:
            inner = own([core.Dense(4, 2)])
        else:
            inner = own(return_sequences=True)
            inner.add_input("x", dim=4)
            inner.add_node(core.Dense(4, 2), "y", input="x", create_output=True)
        model = randomized(Sequential([core.TimeDistributedDense(4, 4), inner]))
        V, c, W, b = model.get_weights()
        assert close(model.predict(X), (X @ V + c) @ W + b)
