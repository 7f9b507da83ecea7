"""Layers written as in 2015, and outputs of intermediate layers by ``get_output``."""

import copy

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from recursive import (
    GRU,
    LSTM,
    SGD,
    Activation,
    AutoEncoder,
    Dense,
    Dropout,
    Embedding,
    Graph,
    Layer,
    MaskedLayer,
    Masking,
    Merge,
    Recurrent,
    RecurrentDense,
    Recursive,
    Sequential,
    SimpleRNN,
    TimeDistributedDense,
    model_from_json,
)
from recursive.backend import shared
from tests.faults.loops import close, gru, lstm, randomized, rng_of, rnn, sigmoid

X = rng_of(1).normal(size=(3, 4))
STEPS = rng_of(2).normal(size=(3, 5, 4))


class Doubled(Dense):
    """A method of the library's layer overridden, which is called by ``super``."""

    def get_output(self, train=False):
        return 2 * super().get_output(train)


class Alone(Layer):
    """Written for Keras 0.1: nothing but get_output, and get_input in it."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.input_dim, self.output_dim = input_dim, output_dim
        self.W = shared(rng_of(3).normal(size=(input_dim, output_dim)))
        self.params = [self.W]

    def get_output(self, train=False):
        return 2 * pt.dot(self.get_input(train), self.W)

    def get_output_shape_for(self, input_shape):
        return (*input_shape[:-1], self.output_dim)


class Shifted(Dense):
    """Another input."""

    def get_input(self, train=False):
        return super().get_input(train) + 1


def by_get_output(layer, x):
    return 2 * (x @ layer.W.get_value() + layer.b.get_value())


def by_alone(layer, x):
    return 2 * (x @ layer.W.get_value())


def by_get_input(layer, x):
    return (x + 1) @ layer.W.get_value() + layer.b.get_value()


KINDS = [(Doubled, by_get_output), (Alone, by_alone), (Shifted, by_get_input)]
kinds = pytest.mark.parametrize(
    ("kind", "formula"), KINDS, ids=[kind.__name__ for kind, _ in KINDS]
)


@kinds
def test_a_layer_of_2015_computes_what_it_says_alone_in_a_chain(kind, formula):
    layer = kind(4, 3)
    model = randomized(Sequential([layer]))
    assert close(model.predict(X), formula(layer, X))


@kinds
def test_a_layer_of_2015_computes_what_it_says_between_others(kind, formula):
    layer = kind(6, 3)
    first, last = Dense(4, 6), Dense(3, 2)
    model = randomized(Sequential([first, layer, last]))
    W, b, V, c = *first.get_weights(), *last.get_weights()
    assert close(model.predict(X), formula(layer, X @ W + b) @ V + c)


@kinds
def test_a_layer_of_2015_computes_what_it_says_in_chains_in_chains(kind, formula):
    layer = kind(4, 4)
    model = randomized(Sequential([Sequential([Sequential([layer])]), layer]))
    assert close(model.predict(X), formula(layer, formula(layer, X)))


@kinds
def test_a_layer_of_2015_computes_what_it_says_as_a_node_of_a_graph(kind, formula):
    layer = kind(8, 3)
    graph = Graph()
    graph.add_input("a", dim=4)
    graph.add_input("b", dim=4)
    graph.add_node(layer, "y", inputs=["a", "b"], create_output=True)
    randomized(graph)
    found = graph.predict({"a": X, "b": 2 * X})["y"]
    assert close(found, formula(layer, np.concatenate([X, 2 * X], axis=1)))


@kinds
def test_one_layer_of_2015_in_two_nodes_is_given_each_input_in_turn(kind, formula):
    layer = kind(4, 3)
    graph = Graph()
    graph.add_input("a", dim=4)
    graph.add_input("b", dim=4)
    graph.add_node(layer, "ya", input="a", create_output=True)
    graph.add_node(layer, "yb", input="b", create_output=True)
    randomized(graph)
    found = graph.predict({"a": X, "b": 2 * X})
    assert close(found["ya"], formula(layer, X))
    assert close(found["yb"], formula(layer, 2 * X))


@kinds
@pytest.mark.parametrize("unroll", [False, True])
def test_a_layer_of_2015_computes_what_it_says_in_a_loop(kind, formula, unroll):
    layer = kind(7, 3)
    loop = Recursive(
        return_sequences=True, unroll=unroll, n_steps=5 if unroll else None
    )
    loop.add_input("x", dim=4)
    loop.add_state("h", dim=3)
    loop.add_node(layer, "y", inputs=["x", "h"])
    loop.add_node(
        Activation("tanh"), "f", input="y", return_state="h", create_output=True
    )
    randomized(loop)
    h, steps = np.zeros((3, 3)), []
    for t in range(5):
        h = np.tanh(formula(layer, np.concatenate([STEPS[:, t], h], axis=1)))
        steps.append(h)
    assert close(loop.predict(STEPS), np.stack(steps, axis=1))


@kinds
def test_a_layer_of_2015_before_the_state_of_a_loop_computes_what_it_says(
    kind, formula
):
    """It could be computed for all steps at once: it is what it says there as well."""
    layer = kind(4, 3)
    loop = Recurrent(return_sequences=True)
    loop.add_input("x", dim=4)
    loop.add_node(layer, "y", input="x")
    loop.add_node(RecurrentDense(3, 2), "h", input="y", create_output=True)
    randomized(loop)
    cell = loop.nodes["h"].get_weights()
    assert close(loop.predict(STEPS), rnn(cell, formula(layer, STEPS)))


@kinds
def test_a_layer_of_2015_computes_what_it_says_in_other_containers(kind, formula):
    one, two = kind(4, 3), kind(3, 4)
    coded = randomized(Sequential([AutoEncoder(one, two)]))
    assert close(coded.predict(X), formula(two, formula(one, X)))
    left, right = kind(4, 3), kind(4, 3)
    merged = randomized(Sequential([Merge([left, right], mode="concat")]))
    expected = np.concatenate([formula(left, X), formula(right, 2 * X)], axis=1)
    assert close(merged.predict([X, 2 * X]), expected)


@kinds
def test_a_layer_of_2015_says_the_same_when_it_is_called(kind, formula):
    layer = kind(4, 3)
    assert close(layer(X).eval(), formula(layer, X))


@kinds
def test_a_layer_of_2015_learns(kind, formula):
    """One step of gradient descent, against differences by complex steps."""
    layer = kind(4, 3)
    model = randomized(Sequential([layer]))
    model.compile(SGD(lr=0.1), "mse", backend="python")
    target = rng_of(5).normal(size=(3, 3))
    start = layer.W.get_value()
    bias = layer.b.get_value() if kind is not Alone else 0

    def loss(W):
        shown = {Doubled: 2 * (X @ W + bias), Alone: 2 * (X @ W)}.get(
            kind, (X + 1) @ W + bias
        )
        return ((shown - target) ** 2).mean()

    gradient = np.zeros_like(start)
    for place in np.ndindex(start.shape):
        moved = start.astype(complex)
        moved[place] += 1e-30j
        gradient[place] = loss(moved).imag / 1e-30
    model.train_on_batch(X, target)
    assert close(layer.W.get_value(), start - 0.1 * gradient)


@kinds
def test_a_layer_of_2015_is_written_and_read(kind, formula):
    model = randomized(Sequential([kind(4, 3)]))
    text = model.to_json()
    again = model_from_json(text, custom_layers={kind.__name__: kind})
    again.set_weights(model.get_weights())
    assert close(again.predict(X), formula(model.layers[0], X))


@kinds
def test_a_layer_of_2015_says_one_thing_in_the_chain_and_in_the_model(kind, formula):
    layer = kind(4, 3)
    model = randomized(Sequential([layer]))
    function = pytensor.function([layer.input], layer.get_output(train=False))
    assert close(function(X), model.predict(X))


class Thrice(Doubled):
    """A class over one of 2015, with super in the middle."""

    def get_output(self, train=False):
        return super().get_output(train) + self.get_input(train)[:, :3]


def test_super_reaches_through_several_classes_of_2015():
    layer = Thrice(4, 3)
    model = randomized(Sequential([layer]))
    assert close(model.predict(X), by_get_output(layer, X) + X[:, :3])


class OnlyInTraining(Layer):
    def get_output(self, train=False):
        return 3 * self.get_input(train) if train else self.get_input(train)


def test_a_layer_of_2015_knows_whether_the_model_trains():
    dense = Dense(4, 3)
    model = randomized(Sequential([dense, OnlyInTraining()]))
    model.compile(SGD(lr=0.1), "mse", backend="python")
    W, b = dense.get_weights()
    y = X @ W + b
    assert close(model.predict(X), y)
    zeros = np.zeros((3, 3))
    loss = model.test_on_batch(X, zeros)
    assert np.isclose(loss, (y**2).mean())
    assert np.isclose(model.train_on_batch(X, zeros), 9 * (y**2).mean())


class HalfBias(Dense):
    """Its bias is not learned, and its weights are held small."""

    def get_params(self):
        params, regularizers, constraints, updates = super().get_params()
        return params[:1], regularizers, constraints[:1], updates


@pytest.mark.parametrize("nested", [False, True])
def test_get_params_that_is_overridden_says_what_is_learned(nested):
    layer = HalfBias(4, 3)
    model = randomized(Sequential([Sequential([layer]) if nested else layer]))
    model.compile(SGD(lr=0.1), "mse", backend="python")
    W, b = layer.W.get_value(), layer.b.get_value()
    model.train_on_batch(X, np.zeros((3, 3)))
    assert not close(layer.W.get_value(), W)
    assert close(layer.b.get_value(), b)


class Counted(Dense):
    """With an update of its own, as a batch normalization of 2015 had."""

    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        self.batches = shared(0.0)

    def get_params(self):
        params, regularizers, constraints, updates = super().get_params()
        return (
            params,
            regularizers,
            constraints,
            [*updates, (self.batches, self.batches + 1)],
        )


def test_updates_of_get_params_that_is_overridden_are_made():
    layer = Counted(4, 3)
    model = randomized(Sequential([layer, Dense(3, 2)]))
    model.compile("sgd", "mse", backend="python")
    model.predict(X)
    for _ in range(3):
        model.train_on_batch(X, np.zeros((3, 2)))
    assert layer.batches.get_value() == 3


class MaskingOf2015(MaskedLayer):
    """As it stood in ``keras.layers.core`` of Keras 0.1.3."""

    def __init__(self, mask_value=0.0):
        super().__init__()
        self.mask_value = mask_value

    def get_output_mask(self, train=False):
        X = self.get_input(train)
        return pt.any(pt.ones_like(X) * (1.0 - pt.eq(X, self.mask_value)), axis=-1)

    def get_output(self, train=False):
        X = self.get_input(train)
        there = pt.any(1.0 - pt.eq(X, self.mask_value), axis=-1)
        return X * pt.shape_padright(there)


MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0]])


def chain_of(*layers):
    return Sequential(list(layers))


def graph_of(*layers):
    graph = Graph()
    graph.add_input("x", ndim=3, dim=4)
    before = "x"
    for index, layer in enumerate(layers):
        graph.add_node(layer, f"n{index}", input=before)
        before = f"n{index}"
    graph.add_output("y", input=before)
    return Sequential([graph])


@pytest.mark.parametrize("container", [chain_of, graph_of])
def test_a_mask_that_a_layer_of_2015_makes_reaches_the_next_layer(container):
    x = STEPS * MASK[..., None]
    model = randomized(container(MaskingOf2015(), GRU(4, 3, mask_mode="carry")))
    assert close(model.predict(x), gru(model.get_weights(), x, MASK)[:, -1])


class MeanOf2015(MaskedLayer):
    """The mean over the steps that are data: a mask read by get_input_mask."""

    input_ndim = 3

    def get_output(self, train=False):
        X, mask = self.get_input(train), self.get_input_mask(train)
        if mask is None:
            return X.mean(axis=1)
        mask = pt.shape_padright(mask).astype(X.dtype)
        return (X * mask).sum(axis=1) / mask.sum(axis=1)

    def get_output_mask(self, train=False):
        return None

    def get_output_shape_for(self, input_shape):
        return (input_shape[0], input_shape[2])


@pytest.mark.parametrize("container", [chain_of, graph_of])
def test_a_layer_of_2015_reads_the_mask_of_its_input(container):
    x = STEPS * MASK[..., None]
    expected = x.sum(axis=1) / MASK.sum(axis=1)[:, None]
    model = container(Masking(), MeanOf2015())
    assert close(model.predict(x), expected)
    assert close(container(MeanOf2015()).predict(x), x.mean(axis=1))
    behind = randomized(container(Masking(), MeanOf2015(), Dense(4, 2)))
    W, b = behind.get_weights()
    assert close(behind.predict(x), expected @ W + b)


def test_get_output_mask_of_the_chain_is_that_of_a_layer_of_2015():
    model = Sequential([MaskingOf2015(), TimeDistributedDense(4, 3)])
    source = pt.tensor3("x")
    model.layers[0].input = source
    mask = model.layers[1].get_output_mask(train=False)
    found = pytensor.function([source], mask)(STEPS * MASK[..., None])
    assert np.array_equal(found, MASK)


def test_a_plain_layer_passes_its_input_on():
    assert close(Sequential([Layer(), Dense(4, 3)]).layers[0](X).eval(), X)
    model = randomized(Sequential([Dense(4, 3), Layer(), Dense(3, 2)]))
    W, b, V, c = model.get_weights()
    assert close(model.predict(X), (X @ W + b) @ V + c)
    graph = Graph()
    graph.add_input("x", dim=4)
    graph.add_node(Layer(), "y", input="x", create_output=True)
    assert close(graph.predict({"x": X})["y"], X)
    loop = Recurrent(return_sequences=True)
    loop.add_input("x", dim=4)
    loop.add_node(Layer(), "y", input="x", create_output=True)
    assert close(loop.predict(STEPS), STEPS)


def test_a_plain_layer_is_where_a_chain_of_2015_starts():
    start = Layer()
    start.input = pt.matrix()
    dense = Dense(4, 3)
    dense.set_previous(start)
    function = pytensor.function([start.input], dense.get_output())
    W, b = dense.get_weights()
    assert close(function(X), X @ W + b)
    assert start.get_output() is start.input or close(
        pytensor.function([start.input], start.get_output())(X), X
    )


class SlowRNN(SimpleRNN):
    """The step of Keras 0.1.3, with half of the past."""

    def _step(self, x_t, mask_tm1, h_tm1, u):
        return self.activation(x_t + mask_tm1 * pt.dot(0.5 * h_tm1, u))


def test_a_step_of_2015_that_is_overridden_is_the_one_that_runs():
    layer = SlowRNN(4, 3, return_sequences=True)
    model = randomized(Sequential([layer]))
    W, U, b = layer.get_weights()
    assert close(model.predict(STEPS), rnn([W, 0.5 * U, b], STEPS))


class HalfGRU(GRU):
    def get_output(self, train=False):
        return 0.5 * super().get_output(train)


@pytest.mark.parametrize("masked", [False, True])
def test_a_recurrent_layer_with_its_own_output_takes_masks_too(masked):
    layer = HalfGRU(4, 3, return_sequences=True, mask_mode="carry")
    x = STEPS * MASK[..., None] if masked else STEPS
    last = GRU(3, 2, mask_mode="carry")
    model = randomized(Sequential([*([Masking()] if masked else []), layer, last]))
    mask = MASK if masked else None
    hidden = 0.5 * gru(layer.get_weights(), x, mask)
    assert close(model.predict(x), gru(last.get_weights(), hidden, mask)[:, -1])


def doubling(kind):
    """A container whose get_output is overridden."""

    class Doubling(kind):
        def get_output(self, train=False):
            return 2 * super().get_output(train)

    return Doubling


@pytest.mark.parametrize("nested", [False, True])
def test_a_chain_with_its_own_output_computes_it(nested):
    chain = doubling(Sequential)([Dense(4, 3)])
    model = randomized(Sequential([chain, Dense(3, 2)]) if nested else chain)
    W, b, *rest = model.get_weights()
    y = 2 * (X @ W + b)
    assert close(model.predict(X), y @ rest[0] + rest[1] if nested else y)


@pytest.mark.parametrize("nested", [False, True])
def test_a_loop_with_its_own_output_computes_it(nested):
    loop = doubling(Recurrent)(return_sequences=True)
    loop.add_input("x", dim=4)
    loop.add_node(RecurrentDense(4, 3), "h", input="x", create_output=True)
    model = randomized(Sequential([loop]) if nested else loop)
    assert close(model.predict(STEPS), 2 * rnn(model.get_weights(), STEPS))


# Outputs of intermediate layers


def test_adding_a_layer_links_it_to_the_one_before():
    model = randomized(Sequential([Dense(4, 6, activation="tanh"), Dense(6, 2)]))
    model.add(Activation("sigmoid"))
    W, b, V, c = model.get_weights()
    hidden = np.tanh(X @ W + b)
    expected = [hidden, hidden @ V + c, sigmoid(hidden @ V + c)]
    for layer, value in zip(model.layers, expected, strict=True):
        function = pytensor.function(
            [model.layers[0].input], layer.get_output(train=False)
        )
        assert close(function(X), value)


def test_the_recipe_of_the_faq_works_behind_an_embedding_with_its_mask():
    model = randomized(
        Sequential(
            [
                Embedding(7, 4, mask_zero=True),
                LSTM(4, 3, mask_mode="carry"),
                Dense(3, 2),
            ]
        )
    )
    words = np.array([[1, 2, 3, 0], [4, 0, 0, 0]], dtype="int32")
    table, *inner, _, _ = model.get_weights()
    function = pytensor.function(
        [model.layers[0].input], model.layers[1].get_output(train=False)
    )
    expected = lstm(inner, table[words], words != 0)[:, -1]
    assert close(function(words), expected)


def test_the_recipe_of_the_faq_works_with_dropout_in_training_and_without():
    model = randomized(Sequential([Dense(4, 6), Dropout(0.5, seed=1)]))
    W, b = model.get_weights()
    source = model.layers[0].input
    quiet = pytensor.function([source], model.layers[1].get_output(train=False))
    noisy = pytensor.function([source], model.layers[1].get_output(train=True))
    y = X @ W + b
    assert close(quiet(X), y)
    found = noisy(X)
    assert ((found == 0) | (np.abs(found - 2 * y) < 1e-12)).all()
    assert (found == 0).any()


def test_the_output_of_a_chain_is_that_of_its_last_layer():
    inner = Sequential([Dense(4, 6), Activation("tanh")])
    model = randomized(Sequential([inner, Dense(6, 2)]))
    source = model.layers[0].input
    for layer in (model.layers[1], model):
        function = pytensor.function([source], layer.get_output(train=False))
        assert close(function(X), model.predict(X))
    W, b, *_ = model.get_weights()
    function = pytensor.function([source], inner.get_output(train=False))
    assert close(function(X), np.tanh(X @ W + b))


def test_get_input_of_a_layer_in_a_chain_is_what_the_one_before_returns():
    model = randomized(Sequential([Dense(4, 6), Dense(6, 2)]))
    W, b, *_ = model.get_weights()
    function = pytensor.function(
        [model.layers[0].input], model.layers[1].get_input(train=False)
    )
    assert close(function(X), X @ W + b)


def test_a_copy_of_a_chain_is_linked_in_itself():
    model = randomized(Sequential([Dense(4, 6), Dense(6, 2)]))
    again = copy.deepcopy(model)
    model.set_weights([w + 1 for w in model.get_weights()])
    function = pytensor.function(
        [again.layers[0].input], again.layers[1].get_output(train=False)
    )
    assert close(function(X), again.predict(X))


def test_a_link_that_a_layer_has_is_kept():
    first, second = Dense(4, 6), Dense(6, 2)
    second.set_previous(first)
    model = randomized(Sequential([second]))
    W, b, V, c = *first.get_weights(), *second.get_weights()
    function = pytensor.function([first.input], model.layers[0].get_output())
    assert close(function(X), (X @ W + b) @ V + c)


def test_links_between_layers_change_nothing_of_a_model():
    """A layer of one chain in another computes what it is given."""
    layer = Dense(6, 2)
    first = randomized(Sequential([Dense(4, 6), layer]))
    other = Sequential([Dense(3, 6), layer])
    W, b, V, c = first.get_weights()
    assert close(first.predict(X), (X @ W + b) @ V + c)
    U, d, _, _ = other.get_weights()
    assert close(other.predict(X[:, :3]), (X[:, :3] @ U + d) @ V + c)


def small_graph():
    graph = Graph()
    graph.add_input("a", dim=4)
    graph.add_input("b", dim=4)
    graph.add_node(Dense(8, 6, activation="tanh"), "h", inputs=["a", "b"])
    graph.add_node(Dense(6, 2), "y", input="h")
    graph.add_output("first", input="y")
    graph.add_output("second", input="h")
    return graph


def test_a_graph_lists_its_inputs_and_outputs_in_their_order():
    graph = small_graph()
    assert graph.input_order == ["a", "b"]
    assert graph.output_order == ["first", "second"]
    assert list(graph.inputs) == ["a", "b"]
    assert set(graph.outputs) == {"first", "second"}
    assert list(graph.nodes) == ["h", "y"]


def test_nodes_and_outputs_of_a_graph_can_be_computed_from_its_inputs():
    graph = randomized(small_graph())
    sources = [graph.inputs[name].input for name in graph.input_order]
    predicted = graph.predict({"a": X, "b": 2 * X})
    for layer, name in (
        (graph.outputs["first"], "first"),
        (graph.outputs["second"], "second"),
        (graph.nodes["h"], "second"),
        (graph.nodes["y"], "first"),
    ):
        function = pytensor.function(
            sources, layer.get_output(train=False), on_unused_input="ignore"
        )
        assert close(function(X, 2 * X), predicted[name])


def test_a_loop_lists_its_inputs_states_nodes_and_outputs_in_their_order():
    loop = Recursive(return_sequences=True)
    loop.add_input("x", dim=4)
    loop.add_input("u", dim=4)
    loop.add_state("s", dim=2)
    loop.add_state("r", dim=6)
    loop.add_node(Dense(14, 6), "f", inputs=["x", "u", "r"], return_state="r")
    loop.add_node(
        Dense(8, 2), "g", inputs=["f", "s"], return_state="s", create_output=True
    )
    assert loop.input_order == ["x", "u"]
    assert loop.state_order == ["s", "r"]
    assert loop.output_order == ["g"]
    assert list(loop.inputs) == ["x", "u"] and set(loop.outputs) == {"g"}
    assert dict(loop.state_map) == {"s": "g", "r": "f"}
    assert set(loop.namespace) == {"x", "u", "s", "r", "f", "g"}
    assert [config["name"] for config in loop.node_config] == ["f", "g"]
    assert [config["name"] for config in loop.input_config] == ["x", "u"]
    assert [config["name"] for config in loop.state_config] == ["s", "r"]
    assert [config["name"] for config in loop.output_config] == ["g"]
    assert len(loop.initial_states) == 2


def test_the_inputs_of_a_loop_are_where_its_output_starts():
    loop = Recurrent()
    loop.add_input("x", dim=4)
    loop.add_node(RecurrentDense(4, 3), "h", input="x", create_output=True)
    randomized(loop)
    function = pytensor.function([loop.inputs["x"].input], loop.get_output())
    assert close(function(STEPS), rnn(loop.get_weights(), STEPS)[:, -1])


def test_layers_of_a_merge_are_where_its_output_starts():
    left, right = Dense(4, 3), Dense(4, 3)
    model = randomized(Sequential([Merge([left, right], mode="sum"), Dense(3, 2)]))
    W, b, V, c, U, d = model.get_weights()
    function = pytensor.function([left.input, right.input], model.get_output())
    expected = (X @ W + b + 2 * X @ V + c) @ U + d
    assert close(function(X, 2 * X), expected)
