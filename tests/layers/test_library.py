"""The plain layers of Keras 0.1.

Each is compared with a NumPy formula, in its declared shape, after JSON and in float32.
"""

import contextlib
import json
import pickle

import numpy as np
import pytensor
import pytest

from recursive import (
    Activation,
    ActivityRegularization,
    AutoEncoder,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    LeakyReLU,
    MaxoutDense,
    Merge,
    ParametricSoftplus,
    Permute,
    PReLU,
    Recursive,
    RepeatVector,
    Reshape,
    Sequential,
    SimpleRNN,
    ThresholdedLinear,
    ThresholdedReLU,
    model_from_json,
)
from recursive.backend import Argument, Program, evaluate
from recursive.errors import ConfigError, MergeError, NodeError, ShapeError
from recursive.layers.advanced_activations import ThresholdedReLu

RNG = np.random.RandomState(0)
X2, X3 = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 5, 4))
KINKS = np.array([[-2.0, -1.0, -0.5, 0.0], [0.5, 1.0, 1.5, 2.0]])

LAYERS = {
    "Reshape": (lambda: Reshape(2, 10), X3, lambda w, x: x.reshape(3, 2, 10)),
    "Permute": (lambda: Permute((2, 1)), X3, lambda w, x: x.transpose(0, 2, 1)),
    "Flatten": (Flatten, X3, lambda w, x: x.reshape(3, 20)),
    "RepeatVector": (
        lambda: RepeatVector(7),
        X2,
        lambda w, x: np.repeat(x[:, np.newaxis], 7, axis=1),
    ),
    "ActivityRegularization": (lambda: ActivityRegularization(0.1), X3, lambda w, x: x),
    "MaxoutDense": (
        lambda: MaxoutDense(4, 6, nb_feature=3),
        X2,
        lambda w, x: np.max([x @ w[0][k] + w[1][k] for k in range(3)], axis=0),
    ),
    "LeakyReLU": (LeakyReLU, KINKS, lambda w, x: np.where(x > 0, x, 0.3 * x)),
    "PReLU": (
        lambda: PReLU((4,), init="uniform"),
        KINKS,
        lambda w, x: np.where(x > 0, x, w[0] * x),
    ),
    "ParametricSoftplus": (
        lambda: ParametricSoftplus((5, 4)),
        X3,
        lambda w, x: w[0] * np.log1p(np.exp(w[1] * x)),
    ),
    "ThresholdedLinear": (
        ThresholdedLinear,
        KINKS,
        lambda w, x: np.where(np.abs(x) >= 1, x, 0),
    ),
    "ThresholdedReLU": (
        lambda: ThresholdedReLU(0.5),
        KINKS,
        lambda w, x: np.where(x > 0.5, x, 0),
    ),
    "GaussianNoise": (lambda: GaussianNoise(0.5, seed=1), X2, lambda w, x: x),
    "GaussianDropout": (lambda: GaussianDropout(0.5, seed=1), X2, lambda w, x: x),
    "BatchNormalization": (
        lambda: BatchNormalization((5, 4)),
        X3,
        lambda w, x: w[0] * (x - w[2]) / (w[3] + 1e-6) + w[1],
    ),
    "BatchNormalization, mode 1": (
        lambda: BatchNormalization(4, mode=1),
        X2,
        lambda w, x: (
            w[0]
            * (x - x.mean(axis=-1, keepdims=True))
            / (x.std(axis=-1, keepdims=True) + 1e-6)
            + w[1]
        ),
    ),
    "AutoEncoder": (
        lambda: AutoEncoder(Dense(4, 2), Dense(2, 4)),
        X2,
        lambda w, x: (x @ w[0] + w[1]) @ w[2] + w[3],
    ),
    "its encoder": (
        lambda: AutoEncoder(Dense(4, 2), Dense(2, 4), False),
        X2,
        lambda w, x: x @ w[0] + w[1],
    ),
}
"""For each layer: how to make it, an input, and its output without training."""


def made(name):
    """The layer with random weights, its input, and the expected output."""
    make, x, formula = LAYERS[name]
    layer = make()
    layer.set_weights(
        [
            np.random.RandomState(5).uniform(0.5, 1.5, w.shape)
            for w in layer.get_weights()
        ]
    )
    return layer, x, formula(layer.get_weights(), x)


def value(output):
    return evaluate([output], {})[0]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_its_formula_in_its_declared_shape(name):
    layer, x, expected = made(name)
    found = value(layer(x))
    assert np.abs(found - expected).max() < 1e-14
    assert layer.get_output_shape_for((None, *x.shape[1:])) == (None, *found.shape[1:])


@pytest.mark.parametrize("name", LAYERS)
def test_a_chain_with_the_layer_is_read_from_json_again(name):
    layer, x, expected = made(name)
    model = Sequential([layer])
    again = model_from_json(model.to_json())
    assert type(again.layers[0]) is type(layer)
    assert (
        again.get_config()
        == model.get_config()
        == json.loads(json.dumps(model.get_config()))
    )
    again.set_weights(model.get_weights())
    assert np.abs(value(again(x)) - expected).max() < 1e-14


@pytest.mark.parametrize("name", LAYERS)
def test_float32_stays_float32_while_training_too(name):
    with pytensor.config.change_flags(floatX="float32"):
        make, x, _ = LAYERS[name]
        assert make()(x.astype("float32")).dtype == "float32"
        if name != "its encoder":
            assert make()(x.astype("float32"), train=True).dtype == "float32"


@pytest.mark.parametrize(
    "layer",
    [
        LeakyReLU(),
        PReLU(4),
        ParametricSoftplus(4),
        ThresholdedLinear(),
        ThresholdedReLU(),
        GaussianNoise(0.5),
        GaussianDropout(0.5),
        Dropout(0.5),
        *map(Activation, ("softmax", "softplus", "relu", "tanh", "hard_sigmoid")),
    ],
    ids=lambda layer: getattr(layer, "activation", type(layer)).__name__,
)
@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_integers_become_floats_of_floatx_and_no_wider(layer, dtype):
    with pytensor.config.change_flags(floatX="float32"):
        layer = type(layer)(
            **{key: value for key, value in layer.get_config().items() if key != "name"}
        )
        assert layer(np.ones((2, 4), dtype=dtype), train=True).dtype == "float32"


def test_activations_pass_masks_on_and_layers_that_reorder_steps_do_not():
    passing = {name for name in LAYERS if made(name)[0].supports_masked_input()}
    assert passing == {
        "LeakyReLU",
        "PReLU",
        "ParametricSoftplus",
        "ThresholdedLinear",
        "ThresholdedReLU",
        "GaussianNoise",
        "GaussianDropout",
    }


def test_the_name_of_2015_for_the_thresholded_relu_works_too():
    assert ThresholdedReLu is ThresholdedReLU


def test_gradients_at_the_kinks_are_halfway_as_those_of_relu():
    x = pytensor.tensor.constant(np.zeros((1, 4)))
    [gradient] = evaluate([pytensor.grad(LeakyReLU(0.3)(x).sum(), x)], {})
    assert np.abs(gradient - 0.65).max() < 1e-15


# Noise


def trained(layer, x, runs=1):
    program = Program(
        [Argument("x", "float64", (None, *x.shape[1:]))],
        lambda given: ([layer(given[0], train=True)], []),
        "python",
    )
    return [program(x)[0] for _ in range(runs)]


def test_gaussian_noise_is_added_while_training():
    x = np.full((200, 300), 3.0)
    first, second = trained(GaussianNoise(0.5, seed=1), x, runs=2)
    assert abs(first.mean() - 3) < 0.01 and abs(first.std() - 0.5) < 0.01
    assert not np.array_equal(first, second)
    assert np.array_equal(first, trained(GaussianNoise(0.5, seed=1), x)[0])


def test_gaussian_dropout_multiplies_by_noise_while_training():
    [found] = trained(GaussianDropout(0.2, seed=1), np.full((200, 300), 3.0))
    assert abs(found.mean() - 3) < 0.02 and abs(found.std() - 3 * 0.5) < 0.02


@pytest.mark.parametrize(
    "layer",
    [GaussianNoise(0), GaussianDropout(0)],
    ids=lambda layer: type(layer).__name__,
)
def test_no_noise_is_no_draw(layer):
    assert layer.draws == ()
    assert np.array_equal(trained(layer, X2)[0], X2)


@pytest.mark.parametrize(
    "layer",
    [GaussianNoise(0.5, seed=2), GaussianDropout(0.5, seed=2)],
    ids=lambda layer: type(layer).__name__,
)
def test_noise_in_a_loop_differs_at_every_step_and_has_a_gradient(layer):
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=4)
    rnn.add_node(layer, "noisy", input="x", create_output=True)
    rnn.add_node(
        Dense(4, activation="tanh"), "rec", inputs=["noisy", "h"], return_state="h"
    )
    noisy = value(rnn(np.ones((3, 5, 4)), train=True))
    assert len(np.unique(noisy)) == noisy.size
    rnn.add_output("out", input="rec")
    rnn.compile("sgd", {"noisy": "mse", "out": "mse"})
    assert np.isfinite(rnn.train_on_batch({"x": X3, "noisy": X3, "out": X3}))


# Batch normalization


def test_training_normalizes_by_the_batch_and_keeps_running_means(tmp_path):
    layer = BatchNormalization(4, momentum=0.8, epsilon=1e-3)
    model = Sequential([layer])
    model.compile("sgd", "mse")
    gamma, beta, *_ = layer.get_weights()
    mean, std = (
        X2.mean(axis=0),
        np.sqrt(((X2 - X2.mean(axis=0)) ** 2 + 1e-3).mean(axis=0)),
    )
    loss = model.train_on_batch(X2, np.zeros((3, 4)))
    assert abs(loss - ((gamma * (X2 - mean) / (std + 1e-3) + beta) ** 2).mean()) < 1e-15
    found = layer.get_weights()
    assert (
        np.abs(found[2] - 0.2 * mean).max() < 1e-15
        and np.abs(found[3] - (0.8 + 0.2 * std)).max() < 1e-15
    )
    model.train_on_batch(X2, np.zeros((3, 4)))
    gamma, beta, running_mean, running_std = layer.get_weights()
    assert np.abs(running_mean - (0.8 * 0.2 + 0.2) * mean).max() < 1e-15
    expected = gamma * (X2 - running_mean) / (running_std + 1e-3) + beta
    assert np.abs(model.predict(X2) - expected).max() < 1e-14
    assert [w.shape for w in model.get_weights()] == [
        (4,)
    ] * 4 and model.count_params() == 8
    model.save_weights(tmp_path / "weights.safetensors")
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(X2), model.predict(X2))
    other = Sequential([BatchNormalization(4, momentum=0.8, epsilon=1e-3)])
    other.load_weights(tmp_path / "weights.safetensors")
    assert np.array_equal(other.predict(X2), model.predict(X2))


def normalized(z):
    centred = z - z.mean(axis=0)
    return centred / (np.sqrt((centred**2 + 1e-6).mean(axis=0)) + 1e-6)


def test_the_gradient_of_batch_normalization_goes_through_the_mean_and_the_deviation():
    layer = BatchNormalization(
        4, weights=[np.ones(4), np.zeros(4), np.zeros(4), np.ones(4)]
    )
    x = pytensor.tensor.constant(X2)
    share = np.random.RandomState(3).normal(size=X2.shape)
    [gradient] = evaluate([pytensor.grad((layer(x, train=True) * share).sum(), x)], {})
    for index in [(0, 0), (1, 2), (2, 3)]:
        moved = np.zeros_like(X2)
        moved[index] = 1e-6
        high, low = ((share * normalized(z)).sum() for z in (X2 + moved, X2 - moved))
        assert abs((high - low) / 2e-6 - gradient[index]) < 1e-6


def test_running_means_in_a_loop_are_refused_and_normalization_of_rows_is_not():
    for mode, expectation in (
        (0, pytest.raises(NodeError, match="running means")),
        (1, contextlib.nullcontext()),
    ):
        rnn = Recursive()
        rnn.add_input("x", dim=4)
        with expectation:
            rnn.add_node(BatchNormalization(4, mode=mode), "y", input="x")


# Layers that contain layers


def branches(mode, **kwargs):
    return Merge(
        [Sequential([Dense(4, 6), Dropout(0.5)]), SimpleRNN(3, 6)], mode=mode, **kwargs
    )


MERGED = {
    "sum": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "ave": lambda a, b: (a + b) / 2,
    "max": np.maximum,
    "concat": lambda a, b: np.concatenate([a, b], axis=-1),
    "dot": lambda a, b: (a * b).sum(axis=-1, keepdims=True),
}


@pytest.mark.parametrize("mode", MERGED)
def test_merged_branches_each_read_their_own_input(mode):
    layer, given = branches(mode), [X2, X3[..., :3]]
    left, right = layer.layers
    expected = MERGED[mode](value(left(given[0])), value(right(given[1])))
    found = value(layer(given))
    assert np.abs(found - expected).max() < 1e-15
    by_name = {"input_0": given[0], "input_1": given[1]}
    assert np.array_equal(value(layer(by_name)), found)
    shapes = {"input_0": (None, 4), "input_1": (None, 5, 3)}
    assert layer.get_output_shape_for(shapes) == (None, *found.shape[1:])


def test_a_chain_with_two_inputs_learns_and_is_written_and_read(tmp_path):
    model, given, y = (
        Sequential([branches("concat"), Dense(12, 2)]),
        [X2, X3[..., :3]],
        np.ones((3, 2)),
    )
    model.compile("sgd", "mse")
    before = model.test_on_batch(given, y)
    model.fit(given, y, nb_epoch=5, verbose=0)
    assert model.test_on_batch(given, y) < before
    model.save_weights(tmp_path / "weights.h5")
    again = model_from_json(model.to_json())
    again.load_weights(tmp_path / "weights.h5")
    assert np.array_equal(again.predict(given), model.predict(given))
    assert list(model.named_params)[:3] == [
        "layer_0.layer_0.layer_0.W",
        "layer_0.layer_0.layer_0.b",
        "layer_0.layer_1.W",
    ]


def test_merges_in_merges_have_names_for_all_their_inputs():
    inner = Merge([Dense(4, 6), Dense(3, 6)])
    layer = Merge([inner, Dense(2, 6)])
    assert layer.ports == ("input_0_input_0", "input_0_input_1", "input_1")
    given = [X2, X2[:, :3], X2[:, :2]]
    expected = sum(
        value(dense(x))
        for dense, x in zip([*inner.layers, layer.layers[1]], given, strict=True)
    )
    assert np.abs(value(layer(given)) - expected).max() < 1e-14
    assert [x.name for x in layer.input] == ["input"] * 3
    assert layer.count_params() == 30 + 24 + 18


def test_an_open_dim_of_a_branch_is_found_from_the_data():
    model = Sequential([Merge([Dense(6), Dense(3, 6)])])
    assert model.predict([X2, X2[:, :3]]).shape == (3, 6)


def test_an_autoencoder_learns_to_reconstruct_and_then_returns_the_code():
    model = Sequential(
        [
            AutoEncoder(
                Sequential([Dense(4, 2, activation="tanh"), Dropout(0.1)]), Dense(2, 4)
            )
        ]
    )
    model.compile("adam", "mse")
    before = model.test_on_batch(X2, X2)
    model.fit(X2, X2, nb_epoch=30, verbose=0)
    assert model.test_on_batch(X2, X2) < before
    assert model.predict(X2).shape == X2.shape
    model.layers[0].output_reconstruction = False
    encoder = model.layers[0].encoder
    assert np.array_equal(model.predict(X2), value(encoder(X2)))
    assert list(model.named_params) == [
        "layer_0.encoder.layer_0.W",
        "layer_0.encoder.layer_0.b",
        "layer_0.decoder.W",
        "layer_0.decoder.b",
    ]


def test_an_autoencoder_starts_from_the_weights_of_both():
    weights = [np.ones((4, 2)), np.ones(2), np.ones((2, 4)), np.ones(4)]
    found = AutoEncoder(Dense(4, 2), Dense(2, 4), weights=weights).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(found, weights, strict=True))


def test_a_reshape_in_front_leaves_the_number_of_axes_open():
    model = Sequential([Reshape(2, 2), SimpleRNN(2, 6)])
    assert model.predict(X2).shape == (3, 6)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Reshape(0, 2), ShapeError, "integer"),
        (
            lambda: Reshape(2, 3).get_output_shape_for((None, 5, 4)),
            ShapeError,
            "takes 6 values a row",
        ),
        (lambda: Permute((0, 1)), ShapeError, "the axes .1, 2. in some order"),
        (lambda: Permute((1, 1)), ShapeError, "got .1, 1."),
        (lambda: RepeatVector(0), ShapeError, "integer"),
        (lambda: MaxoutDense(4, 6, nb_feature=0), ShapeError, "nb_feature"),
        (lambda: BatchNormalization(4, mode=2), ConfigError, "mode 0 or 1"),
        (lambda: BatchNormalization(0), ShapeError, "input_shape"),
        (lambda: PReLU((0,)), ShapeError, "input_shape"),
        (lambda: GaussianNoise(-1), ConfigError, "sigma of 0 or more"),
        (lambda: GaussianDropout(1), ConfigError, "below 1"),
        (lambda: Merge([Dense(4, 6)]), ConfigError, "two layers or more"),
        (lambda: Merge([Dense(4, 6), "x"]), ConfigError, "two layers or more"),
        (
            lambda: Merge([Dense(4, 6), Dense(4, 6)], mode="summ"),
            MergeError,
            "Did you mean 'sum'",
        ),
        (
            lambda: Merge([Dense(4, 6)] * 3, mode="dot"),
            MergeError,
            "two branches for mode 'dot'",
        ),
        (lambda: branches("sum")([X2]), ConfigError, "2 inputs"),
        (lambda: branches("sum")([X2, X3, X3]), ConfigError, "2 inputs"),
        (
            lambda: Merge([Dense(4, 6), Dense(4, 5)]).get_output_shape_for(
                [(None, 4)] * 2
            ),
            ShapeError,
            "one shape",
        ),
    ],
)
def test_impossible_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_merge_is_unmasked_where_all_of_its_branches_are():
    left, right = (Embedding(5, 4, mask_zero=True) for _ in range(2))
    words = [np.array([[1, 0, 2]]), np.array([[3, 4, 0]])]
    merged, mask = Merge([left, right]).with_mask(words)
    assert mask.eval().tolist() == [[True, False, False]]
    expected = left.W.get_value()[words[0]] + right.W.get_value()[words[1]]
    assert np.array_equal(merged.eval(), expected)
