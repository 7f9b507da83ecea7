"""Layers alone: formulas, shapes, parameters, the chain of Keras 0.1."""

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
    Layer,
    Merge,
    Recursive,
    Sequential,
    SimpleRNN,
    TimeDistributedDense,
)
from recursive.backend import Argument, Program, evaluate, tensor
from recursive.errors import (
    ConfigError,
    DataError,
    RecursiveError,
    ShapeError,
    UnknownNameError,
    WeightsError,
)

X2 = np.random.RandomState(0).normal(size=(3, 4))
X3 = np.random.RandomState(0).normal(size=(3, 5, 4))


def value(output):
    return evaluate([output], {})[0]


def test_dense_is_an_affine_map_over_the_last_axis_of_any_number_of_axes():
    layer = Dense(4, 6, activation="tanh")
    layer.set_weights([np.random.normal(size=(4, 6)), np.random.normal(size=6)])
    W, b = layer.get_weights()
    for x in (X2, X3, X3[np.newaxis]):
        assert np.abs(value(layer(x)) - np.tanh(x @ W + b)).max() < 1e-14


def test_a_single_dim_is_the_output_dim_and_that_of_the_input_is_found():
    layer = Dense(6)
    assert layer.params == []
    layer(X2)
    assert [w.shape for w in layer.get_weights()] == [(4, 6), (6,)]


def test_known_dims_draw_their_weights_at_construction_from_numpys_generator():
    np.random.seed(3)
    expected = np.random.uniform(-np.sqrt(6 / 10), np.sqrt(6 / 10), (4, 6))
    np.random.seed(3)
    assert np.array_equal(Dense(4, 6).W.get_value(), expected)


def test_a_seed_draws_the_same_weights_and_leaves_numpys_generator_alone():
    state = np.random.get_state()[1].copy()
    one, other = Dense(4, 6, seed=1), Dense(4, 6, seed=1)
    assert np.array_equal(one.W.get_value(), other.W.get_value())
    assert np.array_equal(np.random.get_state()[1], state)


def test_a_dense_without_bias_has_one_parameter():
    layer = Dense(4, 6, bias=False)
    assert list(layer.named_params) == ["W"]
    assert np.abs(value(layer(X2)) - X2 @ layer.W.get_value()).max() < 1e-14


def test_a_dense_turns_integers_into_floatx():
    with pytensor.config.change_flags(floatX="float32"):
        assert Dense(4, 6)(np.ones((3, 4), dtype="int32")).dtype == "float32"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Dense(0), ShapeError, "integer"),
        (lambda: Dense(4, -1), ShapeError, "integer"),
        (lambda: Dense(4, 2.5), ShapeError, "integer"),
        (lambda: Dense(True), ShapeError, "integer"),
        (lambda: Dense("h"), ShapeError, "integer"),
        (
            lambda: Dense(4, 6, init="glorot_unifrom"),
            UnknownNameError,
            "Did you mean 'glorot_uniform'",
        ),
        (lambda: Activation("tahn"), UnknownNameError, "Did you mean 'tanh'"),
        (lambda: Dropout(1.0), ConfigError, "below 1"),
        (lambda: Dropout("half"), ConfigError, "below 1"),
        (lambda: Lambda("x"), ConfigError, "function"),
        (
            lambda: Lambda(lambda x: x[:, :3], output_dim=4).get_output_shape_for(
                (None, 4)
            ),
            ShapeError,
            r"whose result has dim 4.*got \(any, 3\)",
        ),
        (lambda: Dense(4, 6, weights=[np.ones((4, 6))] * 3), WeightsError, "2 arrays"),
        (
            lambda: Dense(4, 6, weights=[np.ones((6, 4)), np.ones(6)]),
            WeightsError,
            r"\(4, 6\)",
        ),
    ],
)
def test_wrong_arguments_are_refused_at_once(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_layer_whose_initial_weights_do_not_fit_is_not_built():
    layer = Dense(6, weights=[np.ones((3, 3)), np.ones(6)])
    for _ in range(2):
        with pytest.raises(WeightsError):
            layer(X2)


def test_weights_that_do_not_fit_change_nothing():
    layer = Dense(4, 6)
    before = layer.get_weights()
    with pytest.raises(WeightsError, match="parameter 'b'"):
        layer.set_weights([np.ones((4, 6)), np.ones(5)])
    assert all(
        np.array_equal(new, old)
        for new, old in zip(layer.get_weights(), before, strict=True)
    )


def test_dropout_acts_only_while_training():
    assert np.array_equal(value(Dropout(0.5)(X2)), X2)
    assert np.array_equal(value(Dropout(0.0)(X2, train=True)), X2)


def test_dropout_zeroes_its_fraction_and_keeps_the_mean():
    x = np.ones((200, 300))
    out = value(Dropout(0.3, seed=1)(x, train=True))
    assert set(np.round(np.unique(out), 12)) == {0.0, np.round(1 / 0.7, 12)}
    assert abs((out == 0).mean() - 0.3) < 0.01


def test_dropout_uses_the_draw_it_is_given():
    keep = np.random.RandomState(1).uniform(size=X2.shape)
    out = value(Dropout(0.4)(X2, train=True, keep=pytensor.tensor.constant(keep)))
    assert np.abs(out - np.where(keep >= 0.4, X2 / 0.6, 0)).max() < 1e-14


def test_dropout_redraws_at_each_call_and_a_seed_reproduces_the_draws():
    def run():
        program = Program(
            [Argument("x", "float64", (None, 4))],
            lambda x: ([layer(x[0], train=True)], []),
            "python",
        )
        return [program(np.ones((50, 4)))[0] for _ in range(2)]

    layer = Dropout(0.5, seed=4)
    first, second = run()
    layer = Dropout(0.5, seed=4)
    assert not np.array_equal(first, second)
    assert all(
        np.array_equal(a, b) for a, b in zip(run(), (first, second), strict=True)
    )


def test_embedding_looks_rows_up():
    layer = Embedding(9, 6)
    ids = np.array([[0, 8, 3, 3, 1]])
    assert np.array_equal(value(layer(ids)), layer.W.get_value()[ids])


def test_simple_rnn_equals_a_numpy_loop():
    layer = SimpleRNN(4, 6, activation="tanh", return_sequences=True)
    layer.set_weights([np.random.normal(size=w.shape) for w in layer.get_weights()])
    W, U, b = layer.get_weights()
    h, expected = np.zeros((3, 6)), []
    for t in range(5):
        h = np.tanh(X3[:, t] @ W + b + h @ U)
        expected.append(h)
    assert np.abs(value(layer(X3)) - np.stack(expected, 1)).max() < 1e-14
    layer.return_sequences = False
    assert np.abs(value(layer(X3)) - h).max() < 1e-14


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (Dense(4, 6), X2),
        (Dense(4, 6), X3),
        (Dense(4, 6, bias=False), X3),
        (TimeDistributedDense(4, 6), X3),
        (Activation("softmax"), X3),
        (Dropout(0.5), X3),
        (Identity(), X2),
        (Lambda(lambda x: x[:, :2]), X2),
        (Lambda(lambda x: x.sum(axis=-1, keepdims=True)), X2),
        (Embedding(9, 6), np.zeros((3, 5), dtype="int32")),
        (SimpleRNN(4, 6), X3),
        (SimpleRNN(4, 6, return_sequences=True), X3),
    ],
    ids=lambda item: type(item).__name__ if isinstance(item, Layer) else "",
)
def test_the_declared_shape_is_the_evaluated_shape(layer, x):
    declared = layer.get_output_shape_for((None, *x.shape[1:]))
    assert (None, *value(layer(x)).shape[1:]) == declared


def test_a_chain_of_layers_is_one_call_inside_another():
    first, second = Dense(4, 6), Dense(6, 2)
    second.set_previous(first)
    chained = evaluate([second.get_output()], {first.input: X2})[0]
    assert np.array_equal(chained, value(second(first(X2))))
    assert second.input is first.input


def test_the_input_of_a_layer_can_be_assigned():
    layer = Dense(4, 6)
    layer.input = tensor("mine", "float64", (None, 4))
    assert evaluate([layer.get_output()], {layer.input: X2})[0].shape == (3, 6)


def test_a_custom_layer_needs_only_a_call():
    class Scale(Layer):
        def __init__(self):
            super().__init__()
            self.scale = pytensor.shared(np.array(3.0))
            self.params = [self.scale]

        def call(self, x, train=False):
            return self.scale * x

    layer = Scale()
    assert np.array_equal(value(layer(X2)), 3 * X2)
    assert list(layer.named_params) == ["scale"]
    assert layer.count_params() == 1


# Custom initializations


def test_a_custom_init_may_take_only_the_shape_and_return_an_array():
    def thirds(shape):
        return np.full(shape, 1 / 3)

    for layer in (
        Dense(4, 6, init=thirds),
        Embedding(4, 6, init=thirds),
        SimpleRNN(4, 6, init=thirds),
    ):
        assert (layer.W.get_value() == 1 / 3).all() and layer.W.type.shape == (4, 6)
    assert (Dense(4, 6, init=np.ones).W.get_value() == 1).all()


def test_an_init_that_takes_rng_draws_from_the_seed():
    def squares(shape, rng=None):
        return (rng or np.random).uniform(size=shape) ** 2

    expected = np.random.RandomState(3).uniform(size=(4, 6)) ** 2
    assert np.array_equal(Dense(4, 6, init=squares, seed=3).W.get_value(), expected)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: Dense(4, 6, init=lambda shape: np.ones(shape), seed=3),
            ConfigError,
            "takes an argument rng",
        ),
        (
            lambda: Dense(4, 6, init=lambda shape: np.ones(3)),
            ShapeError,
            r"values of shape \(4, 6\)",
        ),
    ],
)
def test_a_custom_init_that_does_not_fit_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


# Integers


def test_a_lambda_of_several_ports_takes_its_tensors_in_their_order():
    x = np.arange(12.0).reshape(3, 4)
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_input("y", dim=1)
    rnn.add_state("h", dim=4)
    rnn.add_node(
        Lambda(lambda a, b: a - 2 * b, ports=("a", "b")),
        "new",
        input={"b": "h", "a": "x"},
        return_state="h",
        create_output=True,
    )
    rnn.add_node(
        Lambda(lambda a, b: a * b, ports=["a", "b"]),
        "out",
        input={"a": "new", "b": "y"},
        create_output=True,
    )
    sequence = np.stack([x, x + 1], axis=1)
    y = np.array([[[2.0], [3.0]]] * 3)
    rnn.compile(backend="python")
    found = rnn.predict({"x": sequence, "y": y})
    expected = np.stack([x, x + 1 - 2 * x], axis=1)
    np.testing.assert_array_equal(found["new"], expected)
    np.testing.assert_array_equal(found["out"], expected * y)


@pytest.mark.parametrize(
    ("ports", "error"),
    [
        ("ab", "takes a list of names as ports"),
        ((), "takes a list of names as ports"),
        (("a", "a"), "takes ports of different names"),
        (("a", "b c"), "port 'b c' takes a name"),
    ],
)
def test_the_ports_of_a_lambda_are_names(ports, error):
    with pytest.raises(RecursiveError, match=error):
        Lambda(lambda a, b: a, ports=ports)


def test_a_lambda_on_integers_is_probed_with_integers():
    rows = pytensor.shared(np.ones((9, 6)), shape=(9, 6))
    assert Lambda(lambda ids: rows[ids]).get_output_shape_for((None, 5)) == (None, 5, 6)


def test_a_lambda_that_cannot_be_probed_reports_the_error_of_its_function():
    with pytest.raises(ConfigError, match="one that raises ZeroDivisionError"):
        Lambda(lambda x: x * (1 // 0)).get_output_shape_for((None, 4))


def containers_of_an_embedding():
    graph, rnn, free = Graph(), Recursive(), Graph()
    for container, ndim in ((graph, 2), (rnn, 2), (free, 2)):
        container.add_input("words", ndim=ndim, dtype="int")
    graph.add_node(Embedding(9, 6), "vectors", input="words", create_output=True)
    free.add_node(
        Sequential([Embedding(9, 6)]), "vectors", input="words", create_output=True
    )
    rnn.add_node(Embedding(9, 6), "vectors", input="words", create_output=True)
    return [
        Sequential([Embedding(9, 6)]),
        Sequential([Merge([Embedding(9, 6), Embedding(12, 6)])]),
        graph,
        free,
        rnn,
    ]


@pytest.mark.parametrize(
    "container", containers_of_an_embedding(), ids=lambda item: type(item).__name__
)
@pytest.mark.parametrize("number", [9, -1])
def test_integers_without_a_row_in_an_embedding_are_refused_at_the_input(
    container, number
):
    ids = np.array([[0, 8], [number, 3]])
    given = [ids, ids] if len(container.arguments()) > 1 else ids
    with pytest.raises(
        DataError,
        match=rf"takes integers from 0 to 8, .* got numbers from {min(number, 0)} to",
    ):
        container.predict(given)
