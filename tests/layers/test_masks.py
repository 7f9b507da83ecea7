"""Masks through layers, and masked steps of recurrent layers."""

import numpy as np
import pytensor
import pytest

from recursive import (
    GRU,
    LSTM,
    Activation,
    Dense,
    Dropout,
    Embedding,
    Layer,
    MaskedLayer,
    Masking,
    Sequential,
    SimpleDeepRNN,
    SimpleRNN,
    TimeDistributedDense,
    backend,
)
from recursive.backend import choose, evaluate, tensor
from recursive.errors import BackendError, ConfigError, SequenceLengthError, ShapeError
from tests.layers.test_recurrent import (
    HIDDEN,
    IN,
    LOOPS,
    TIME,
    X,
    over_time,
    random_weights,
    value,
)

MASK = np.array([[1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 0, 1, 0, 1]])
"""Padding on the right, on the left, and inside."""


def kinds(function):
    return pytest.mark.parametrize("kind", LOOPS, ids=lambda kind: kind.__name__)(
        function
    )


@kinds
def test_in_mode_carry_each_row_is_computed_as_if_without_its_masked_steps(kind):
    layer = kind(IN, HIDDEN, return_sequences=True, mask_mode="carry")
    step, states = LOOPS[kind]
    weights, found = random_weights(layer), value(layer(X, mask=MASK))
    for row, valid, output in zip(X, MASK, found, strict=True):
        expected = np.concatenate(
            [
                np.zeros((1, HIDDEN)),
                over_time(step, weights, row[None, valid == 1], states)[0],
            ]
        )
        assert np.abs(output - expected[np.cumsum(valid)]).max() < 1e-13


@pytest.mark.parametrize(
    "kind",
    [kind for kind in LOOPS if kind is not SimpleDeepRNN],
    ids=lambda kind: kind.__name__,
)
def test_a_zeroing_layer_starts_anew_behind_a_masked_step_and_computes_masked_steps_too(
    kind,
):
    """As in Keras 0.1.3. SimpleDeepRNN, with longer lags, is in the golden cases."""
    layer = kind(IN, HIDDEN, return_sequences=True)
    step, states = LOOPS[kind]
    weights, found = random_weights(layer), value(layer(X, mask=MASK))
    for row, valid, output in zip(X, MASK, found, strict=True):
        start = 0
        for t in range(1, TIME + 1):
            if t == TIME or not valid[t - 1]:
                expected = over_time(step, weights, row[None, start:t], states)[0]
                assert np.abs(output[start:t] - expected).max() < 1e-13
                start = t


@pytest.mark.parametrize("mode", ["zero", "carry"])
@kinds
def test_a_mask_of_ones_changes_nothing(kind, mode):
    layer = kind(IN, HIDDEN, mask_mode=mode)
    x = tensor("x", "float64", (None, None, IN))
    plain, masked = evaluate([layer(x), layer(x, mask=np.ones_like(MASK))], {x: X})
    assert np.array_equal(plain, masked)


@kinds
def test_in_mode_carry_masked_values_have_no_influence_and_no_gradient(
    kind,
):
    layer = kind(IN, HIDDEN, mask_mode="carry")
    x = tensor("x", "float64", (None, None, IN))
    loss = (layer(x, mask=MASK) ** 2).sum()
    program = backend.Program(
        [backend.Argument("x", "float64", (None, None, IN))],
        lambda inputs: (
            pytensor.graph.replace.clone_replace(
                [loss, *pytensor.grad(loss, [x, *layer.params])], {x: inputs[0]}
            ),
            [],
        ),
        "python",
    )
    first, second = program(X), program(np.where(MASK[..., None], X, 9.0))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert (first[1][MASK == 0] == 0).all() and (first[1][MASK == 1] != 0).all()


def test_masking_masks_steps_of_the_mask_value_and_sets_them_to_zero():
    x = np.where(MASK[..., None], X, 7.0)
    x[0, 0, 1] = 7.0
    layer = Masking(mask_value=7.0)
    output, mask = evaluate(layer.with_mask(tensor_of(x)), {})
    assert np.array_equal(mask, MASK == 1)
    assert np.array_equal(output, np.where(MASK[..., None], x, 0.0))
    assert layer.get_config() == {"name": "Masking", "mask_value": 7.0}


def tensor_of(x):
    return pytensor.tensor.as_tensor_variable(x)


def test_masking_keeps_float32():
    with pytensor.config.change_flags(floatX="float32"):
        assert Masking(0.1)(np.full((1, 2, 3), 0.1, dtype="float32")).eval().max() == 0
        assert Masking()(np.ones((1, 2, 3), dtype="float32")).dtype == "float32"


def test_an_embedding_with_mask_zero_masks_the_integer_zero():
    ids = np.array([[3, 0, 1], [0, 0, 2]])
    assert np.array_equal(
        value(Embedding(4, 2, mask_zero=True).get_output_mask_for(ids)), ids != 0
    )
    assert Embedding(4, 2).get_output_mask_for(ids) is None
    assert Embedding(4, 2, mask_zero=True).get_config()["mask_zero"] is True


def test_a_sequential_passes_the_mask_up_to_the_layer_that_returns_one_step():
    chain = Sequential(
        [
            Masking(),
            GRU(IN, HIDDEN, return_sequences=True),
            Activation("tanh"),
            Dropout(0.5),
            TimeDistributedDense(HIDDEN, 2),
        ]
    )
    xm = np.where(MASK[..., None], X, 0.0)
    _, mask = chain.with_mask(tensor_of(xm))
    assert np.array_equal(value(mask), MASK == 1)
    chain.add(LSTM(2, 3))
    chain.add(Dense(3, 2))
    output, mask = chain.with_mask(tensor_of(xm))
    assert mask is None
    masking, gru, tanh, _, dense, lstm, last = chain.layers
    inner = dense(tanh(gru(masking(xm), mask=MASK), mask=MASK), mask=MASK)
    assert np.array_equal(value(output), value(last(lstm(inner, mask=MASK))))


def test_a_chain_of_2015_passes_the_mask_and_applies_every_layer_once():
    class Counting(MaskedLayer):
        calls = 0

        def call(self, x, train=False):
            Counting.calls += 1
            return x

    layers = [
        Embedding(4, IN, mask_zero=True),
        *(Counting() for _ in range(20)),
        SimpleRNN(IN, HIDDEN),
    ]
    for layer, before in zip(layers[1:], layers, strict=False):
        layer.set_previous(before)
    ids = np.array([[3, 0, 1], [0, 0, 2]], dtype="int32")
    output = layers[-1].get_output()
    assert Counting.calls == 20
    assert layers[-1].get_output_mask() is None
    source = layers[0].input
    mask, input_mask, output = evaluate(
        [layers[-2].get_output_mask(), layers[-1].get_input_mask(), output],
        {source: ids},
    )
    assert np.array_equal(mask, ids != 0) and np.array_equal(input_mask, ids != 0)
    assert np.array_equal(output, value(layers[-1](layers[0](ids), mask=ids != 0)))
    assert layers[1].supports_masked_input() and not Dense(2).supports_masked_input()
    assert Counting().get_input_mask() is None


def test_a_custom_layer_can_use_the_mask():
    class Mean(MaskedLayer):
        def call(self, x, train=False):
            return x.mean(axis=1)

        def call_masked(self, x, mask, train=False):
            return (x * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)

        def get_output_mask_for(self, x, mask=None):
            return None

        def get_output_shape_for(self, input_shape):
            return (input_shape[0], *input_shape[2:])

    chain = Sequential([Masking(), Mean(), Dense(IN, 2)])
    xm = np.where(MASK[..., None], X, 0.0)
    expected = np.stack(
        [row[valid == 1].mean(axis=0) for row, valid in zip(X, MASK, strict=True)]
    )
    assert np.abs(value(chain(xm)) - value(chain.layers[-1](expected))).max() < 1e-14


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: Dense(IN, 2)(X, mask=MASK),
            ConfigError,
            "layer 'Dense' takes an input without a mask",
        ),
        (
            lambda: Sequential([Masking(), Dense(IN, 2)])(X),
            ConfigError,
            "layer 'Dense' takes an input without a mask",
        ),
        (
            lambda: Sequential([Dense(IN, 2)])(X, mask=MASK),
            ConfigError,
            "takes an input without a mask",
        ),
        (lambda: Layer()(X, mask=MASK), ConfigError, "takes an input without a mask"),
        (
            lambda: GRU(IN, 2)(X, mask=MASK[..., None]),
            ShapeError,
            r"mask 'GRU' takes \(batch, time\)",
        ),
        (
            lambda: GRU(IN, 2)(X, mask=MASK[:, :3]),
            SequenceLengthError,
            "input: 5, mask: 3",
        ),
        (lambda: GRU(IN, 2, mask_mode="carrry"), ConfigError, "Did you mean 'carry'"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_mask_of_another_unknown_length_is_refused_when_the_program_runs():
    x, mask = (
        tensor("x", "float64", (None, None, IN)),
        tensor("mask", "bool", (None, None)),
    )
    with pytest.raises(SequenceLengthError, match="input and mask"):
        evaluate([LSTM(IN, 2)(x, mask=mask)], {x: X, mask: MASK[:, :4] == 1})


def test_masked_steps_have_no_share_in_the_loss_and_none_in_what_is_learned():
    """Keras 0.1 left them out of the divisor only: their values moved the weights."""
    xm = np.where(MASK[..., None], X, 0.0)
    y = np.random.RandomState(2).normal(size=(3, TIME, 2))
    weights = np.array([1.0, 2.0, 0.5])
    chain = [
        Masking(),
        SimpleRNN(IN, HIDDEN, return_sequences=True, seed=1),
        TimeDistributedDense(HIDDEN, 2, seed=2),
    ]
    models = Sequential(chain), Sequential(chain)
    for model in models:
        model.compile("sgd", "mse")
    errors = ((models[0].predict(xm) - y) ** 2).mean(axis=-1)
    assert abs(models[0].test_on_batch(xm, y) - errors[MASK == 1].mean()) < 1e-14
    shares = MASK * weights[:, None]
    weighted = models[0].test_on_batch(xm, y, sample_weight=weights)
    assert abs(weighted - (shares * errors).sum() / shares.sum()) < 1e-14
    before = models[0].get_weights()
    models[0].train_on_batch(xm, y)
    learned = models[0].get_weights()
    models[0].set_weights(before)
    models[1].train_on_batch(xm, np.where(MASK[..., None], y, 99.0))
    assert all(
        np.array_equal(a, b)
        for a, b in zip(models[1].get_weights(), learned, strict=True)
    )


def installed(name):
    try:
        return choose.resolve_backend(name) == name
    except BackendError:
        return False


@pytest.mark.skipif(
    not installed("jax"), reason="JAX is an extra and is not installed here"
)
@pytest.mark.parametrize("mode", ["zero", "carry"])
def test_a_masked_chain_trains_on_jax_as_in_plain_python(mode):
    ids = np.array([[3, 1, 1, 0, 0], [0, 0, 2, 2, 1], [3, 0, 3, 0, 2]])
    losses = {}
    for name in ("python", "jax"):
        model = Sequential(
            [
                Embedding(4, IN, mask_zero=True, seed=1),
                LSTM(IN, HIDDEN, mask_mode=mode, seed=2),
            ]
        )
        model.compile("sgd", "mse", backend=name)
        losses[name] = [
            model.train_on_batch(ids, np.ones((3, HIDDEN))) for _ in range(3)
        ]
    np.testing.assert_allclose(losses["jax"], losses["python"], rtol=1e-12)
