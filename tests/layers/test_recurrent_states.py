"""Recurrent layers with kept states, run backwards, and with mask mode ``carry``."""

import copy

import numpy as np
import pytensor
import pytest

from recursive import (
    GRU,
    LSTM,
    Dense,
    Embedding,
    Graph,
    Masking,
    Sequential,
    SimpleDeepRNN,
    SimpleRNN,
)
from recursive.backend import Argument, Program, evaluate
from recursive.errors import (
    BatchSizeError,
    ConfigError,
    DataError,
    DtypeError,
    ShapeError,
    UnknownNameError,
)
from recursive.loop.call import Call, Value
from tests.layers.test_masks import MASK, kinds
from tests.layers.test_recurrent import (
    BATCH,
    HIDDEN,
    IN,
    LOOPS,
    TIME,
    X,
    over_time,
    random_weights,
    value,
)

LONG = np.random.RandomState(5).normal(size=(BATCH, 7, IN))
LONG_MASK = np.array([[1, 1, 0, 0, 1, 1, 0], [0, 0, 1, 1, 0, 1, 1], [0] * 7])
"""Cut after steps 3 and 6: a row masked there, one that is not, one all masked."""
CUTS = slice(0, 3), slice(3, 6), slice(6, 7)


def made(kind, **arguments):
    layer = kind(IN, HIDDEN, return_sequences=True, **arguments)
    random_weights(layer)
    return layer


def masked_program(layer, outputs=lambda layer, x, mask: [layer(x, mask=mask)]):
    """A program of an input and a mask."""
    arguments = [
        Argument("x", "float64", (None, None, IN)),
        Argument("mask", "bool", (None, None)),
    ]
    return Program(arguments, lambda inputs: kept(layer, outputs, *inputs), "python")


def kept(layer, outputs, x, mask):
    """The outputs, and the updates of the layer's states."""
    call = Call()
    layer.apply({"input": Value(x, mask)}, call)
    return outputs(layer, x, mask), call.updates


@pytest.mark.parametrize("mode", ["zero", "carry"])
@kinds
def test_batches_of_a_stateful_layer_equal_one_long_sequence_with_masks(kind, mode):
    layer, long = made(kind, mask_mode=mode, stateful=True), made(kind, mask_mode=mode)
    layer.reset_states(BATCH)
    program, mask = masked_program(layer), LONG_MASK == 1
    parts = [program(LONG[:, cut], mask[:, cut])[0] for cut in CUTS]
    [expected] = masked_program(long)(LONG, mask)
    assert np.abs(np.concatenate(parts, axis=1) - expected).max() < 1e-12


@kinds
def test_batches_without_a_mask_equal_one_long_sequence_and_a_reset_is_zeros(kind):
    layer = made(kind, stateful=True)
    model, expected = Sequential([layer]), Sequential([made(kind)]).predict(LONG)
    for _ in range(2):
        parts = [model.predict(LONG[:, cut]) for cut in CUTS]
        assert np.abs(np.concatenate(parts, axis=1) - expected).max() < 1e-12
        first = next(iter(layer.get_states().values()))
        assert np.array_equal(first, parts[-1][:, -1])
        layer.reset_states()
    assert model.predict(LONG[:2]).shape == (2, 7, HIDDEN)


def test_states_can_be_read_and_set_by_name():
    layer = made(LSTM, stateful=True)
    model, long = Sequential([layer]), Sequential([made(LSTM)]).predict(LONG)
    model.predict(LONG[:, :3])
    kept = layer.get_states()
    assert {name: state.shape for name, state in kept.items()} == dict.fromkeys(
        ("h", "c"), (BATCH, HIDDEN)
    )
    model.predict(LONG)
    layer.set_states(kept)
    assert np.abs(model.predict(LONG[:, 3:]) - long[:, 3:]).max() < 1e-12
    assert list(made(SimpleDeepRNN, depth=2, stateful=True).get_states()) == [
        "h1",
        "h2",
        "there1",
        "there2",
    ]
    assert made(GRU).get_states() == {}
    assert made(GRU).rowwise and not layer.rowwise, (
        "a loop cannot make its rows one batch"
    )


def test_predicting_testing_and_training_all_keep_the_states_of_the_weights_before():
    layer = made(GRU, stateful=True)
    model = Sequential([layer])
    model.compile("sgd", "mse")
    y = np.zeros((BATCH, 2, HIDDEN))
    for run in (
        model.predict_on_batch,
        lambda x: model.test_on_batch(x, y),
        lambda x: model.train_on_batch(x, y),
    ):
        weights = {
            name: param.get_value() for name, param in layer.named_params.items()
        }
        layer.reset_states()
        run(X[:, :2])
        assert (
            np.abs(
                layer.get_states()["h"]
                - over_time(LOOPS[GRU][0], weights, X[:, :2])[:, -1]
            ).max()
            < 1e-12
        )
    assert any(
        (param.get_value() != weights[name]).any()
        for name, param in layer.named_params.items()
    )


def test_a_stateful_layer_keeps_its_states_in_a_chain_and_in_a_graph():
    chain = Sequential([Dense(IN, IN), made(GRU, stateful=True), made_on(HIDDEN)])
    graph = Graph()
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_node(made(GRU, stateful=True), "rnn", input="x", create_output=True)
    expected = Sequential([made(GRU)]).predict(LONG)
    parts = [graph.predict({"x": LONG[:, cut]})["rnn"] for cut in CUTS]
    assert np.abs(np.concatenate(parts, axis=1) - expected).max() < 1e-12
    plain = Sequential([chain.layers[0], made(GRU), made_on(HIDDEN, stateful=False)])
    parts = [chain.predict(LONG[:, cut]) for cut in CUTS]
    assert np.abs(np.concatenate(parts, axis=1) - plain.predict(LONG)).max() < 1e-12


def made_on(dim, stateful=True):
    layer = LSTM(dim, 2, return_sequences=True, stateful=stateful)
    random_weights(layer)
    return layer


def test_stateful_can_be_switched_on_and_off():
    layer = made(GRU)
    model, x = Sequential([layer]), LONG
    expected = model.predict(x)
    layer.stateful = True
    assert (
        list(model.get_states()) == ["layer_0.h"]
        and layer.get_config()["stateful"] is True
    )
    for _ in range(2):
        parts = [model.predict(x[:, cut]) for cut in CUTS]
        assert np.abs(np.concatenate(parts, axis=1) - expected).max() < 1e-12
        model.reset_states()
    layer.stateful = False
    assert model.get_states() == {}
    assert all(np.abs(model.predict(x) - expected).max() < 1e-14 for _ in range(2))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda layer: layer.reset_states(0),
            ConfigError,
            "'batch_size' takes an integer of 1 or more",
        ),
        (lambda layer: layer.reset_states("3"), ConfigError, "got '3'"),
        (lambda layer: layer.reset_states(2.5), ConfigError, "got 2.5"),
        (
            lambda layer: layer.set_states([np.zeros((BATCH, HIDDEN))]),
            DataError,
            "takes a dict by name; got list",
        ),
        (
            lambda layer: layer.set_states({"h": "abc"}),
            DtypeError,
            "state 'h' takes numbers",
        ),
    ],
)
def test_a_layer_refuses_states_that_it_cannot_reset_or_set(make, error, words):
    layer = made(GRU, stateful=True)
    layer.reset_states(2)
    with pytest.raises(error, match=words):
        make(layer)
    assert layer.get_states()["h"].shape == (2, HIDDEN)


def test_a_copy_has_separate_states():
    layer = made(GRU, stateful=True)
    other = copy.deepcopy(layer)
    Sequential([layer]).predict(X)
    assert other.get_states()["h"].shape == (0, HIDDEN)
    assert np.array_equal(
        Sequential([other]).predict(X)[:, -1], layer.get_states()["h"]
    )


def test_states_are_kept_on_jax():
    model = Sequential([LSTM(IN, HIDDEN, return_sequences=True, stateful=True)])
    model.compile("sgd", "mse", backend="jax")
    random_weights(model.layers[0])
    expected = Sequential([made(LSTM)]).predict(LONG[:, :6])
    parts = [model.predict(LONG[:, cut]) for cut in CUTS[:2]]
    assert np.abs(np.concatenate(parts, axis=1) - expected).max() < 1e-12


@kinds
def test_a_layer_that_goes_backwards_returns_the_steps_in_its_order(kind):
    layer, plain = made(kind, go_backwards=True), made(kind)
    assert np.abs(value(layer(X)) - value(plain(X[:, ::-1]))).max() < 1e-13
    output, mask = evaluate(
        layer.with_mask(
            pytensor.tensor.as_tensor_variable(X),
            mask=pytensor.tensor.as_tensor_variable(MASK),
        ),
        {},
    )
    assert np.array_equal(mask, MASK[:, ::-1])
    assert np.abs(output - value(plain(X[:, ::-1], mask=MASK[:, ::-1]))).max() < 1e-13
    layer.return_sequences = False
    step, states = LOOPS[kind]
    weights = random_weights(layer)
    assert (
        np.abs(
            value(layer(X)) - over_time(step, weights, X[:, ::-1], states)[:, -1]
        ).max()
        < 1e-13
    )
    assert layer.get_output_mask_for(X, MASK) is None


def test_going_backwards_may_be_stateful_too():
    layer = made(GRU, go_backwards=True, stateful=True, mask_mode="zero")
    layer.reset_states(BATCH)
    program, mask = masked_program(layer), LONG_MASK == 1
    parts = [
        program(LONG[:, cut], mask[:, cut])[0] for cut in (slice(3, 7), slice(0, 3))
    ]
    [expected] = masked_program(made(GRU, go_backwards=True))(LONG, mask)
    assert np.abs(np.concatenate(parts, axis=1) - expected).max() < 1e-12


PADDED = {
    "right": [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]],
    "left": [[0, 0, 1, 1, 1], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1]],
    "inner": [[1, 0, 1, 0, 1], [0, 1, 0, 0, 1], [1, 1, 0, 0, 0]],
}


@pytest.mark.parametrize("padding", PADDED)
@kinds
def test_padding_changes_no_output_state_or_gradient_of_a_row(kind, padding):
    mask = np.array(PADDED[padding]) == 1
    layer = made(kind, mask_mode="carry", stateful=True)

    def with_gradients(layer, x, mask):
        output = layer(x, mask=mask)
        return [output, *pytensor.grad((output[:, -1] ** 2).sum(), [x, *layer.params])]

    program = masked_program(layer, with_gradients)
    layer.reset_states(BATCH)
    output, of_x, *of_params = program(X, mask)
    states = layer.get_states()
    sums = [np.zeros_like(gradient) for gradient in of_params]
    for row, valid in enumerate(mask):
        layer.reset_states(1)
        alone, x_alone, *params_alone = program(
            X[row : row + 1, valid], np.ones((1, valid.sum()), dtype=bool)
        )
        assert np.abs(output[row, valid] - alone[0]).max() < 1e-12
        assert (
            np.abs(of_x[row, valid] - x_alone[0]).max() < 1e-12
            and (of_x[row, ~valid] == 0).all()
        )
        assert all(
            np.abs(states[name][row] - state[0]).max() < 1e-12
            for name, state in layer.get_states().items()
        )
        sums = [
            total + gradient for total, gradient in zip(sums, params_alone, strict=True)
        ]
    assert all(
        np.abs(total - found).max() < 1e-12
        for total, found in zip(sums, of_params, strict=True)
    )


@kinds
def test_a_row_that_is_masked_everywhere_keeps_its_states(kind):
    layer = made(kind, mask_mode="carry", stateful=True)
    layer.reset_states(BATCH)
    program, mask = masked_program(layer), np.ones((BATCH, TIME), dtype=bool)
    program(X, mask)
    before = layer.get_states()
    mask[1] = False
    program(X, mask)
    for name, state in layer.get_states().items():
        assert np.array_equal(state[1], before[name][1])
        assert name.startswith("there") or (state[0] != before[name][0]).any()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda layer, model: model.predict(X[:2]),
            BatchSizeError,
            r"takes 3 rows.*got 2.*Call reset_states\(\) first",
        ),
        (
            lambda layer, model: layer.set_states({"hh": np.zeros((BATCH, HIDDEN))}),
            UnknownNameError,
            "Did you mean 'h'",
        ),
        (
            lambda layer, model: layer.set_states({"h": np.zeros((BATCH, 5))}),
            ShapeError,
            r"takes \(batch, 6\)",
        ),
        (
            lambda layer, model: layer.set_states({"h": np.zeros((2, HIDDEN))}),
            ShapeError,
            "one number of rows",
        ),
        (
            lambda layer, model: made(GRU).set_states({"h": np.zeros((1, HIDDEN))}),
            UnknownNameError,
            "a state kept between batches",
        ),
        (
            lambda layer, model: layer(X, mask=MASK[:2]),
            ShapeError,
            "got 2 rows for 3. Pass one row of mask entries per row",
        ),
        (
            lambda layer, model: masked_program(made(GRU))(X, MASK[:1] == 1),
            ShapeError,
            "got another number of rows",
        ),
    ],
)
def test_states_and_masks_that_do_not_fit_are_refused(make, error, words):
    layer = made(LSTM, stateful=True)
    model = Sequential([layer])
    model.predict(X)
    before = layer.get_states()
    with pytest.raises(error, match=words):
        make(layer, model)
    assert all(
        np.array_equal(state, before[name])
        for name, state in layer.get_states().items()
    )


def test_masks_come_from_the_layers_before_in_a_stateful_chain():
    layers = (
        Embedding(4, IN, mask_zero=True),
        made(SimpleRNN, mask_mode="carry", stateful=True),
    )
    chain, ids = Sequential(layers), np.array([[3, 0, 1], [0, 0, 2], [0, 0, 0]])
    chain.predict(ids)
    assert (layers[1].get_states()["h"][2] == 0).all()
    xm = layers[0].W.get_value()[ids] * (ids != 0)[..., None]
    again = Sequential([Masking(), copy.deepcopy(layers[1])])
    again.layers[1].reset_states()
    assert np.abs(again.predict(xm)[:, -1] - layers[1].get_states()["h"]).max() < 1e-12
