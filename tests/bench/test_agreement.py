"""Every peer agrees with the container: output, loss, and weights after one step."""

import functools
import importlib

import numpy as np
import pytensor
import pytest

from tests.bench import contestants, networks
from tests.bench.contenders import container
from tests.bench.contestants import RATE, Sizes

SIZES = Sizes(batch=3, steps=5, input_dim=4, dim=6, nodes=9)
PEERS = {
    contender.module: contender
    for contender in contestants.CONTENDERS
    if contender.module != "container"
}
EXPRESSED = [
    (network, module) for module, peer in PEERS.items() for network in peer.networks
]


def peer_class(module):
    for package in PEERS[module].packages if PEERS[module].backend is None else ():
        pytest.importorskip(package, reason="this peer comes with the extra 'bench'")
    return importlib.import_module(f"tests.bench.contenders.{module}").Runner


def given(network, dtype):
    """Data, and weights that are nowhere zero."""
    np.random.seed(5)
    rng = np.random.RandomState(5)
    x, y = (rng.normal(size=shape).astype(dtype) for shape in ((3, 5, 4), (3, 6)))
    params = networks.build(network, SIZES).named_params
    weights = {
        name: (
            param.get_value() + 0.1 * rng.normal(size=param.get_value().shape)
        ).astype(dtype)
        for name, param in params.items()
    }
    return x, y, weights


def numbers_of(make, network, dtype):
    """The output, the loss, and each parameter's gradient, as the train step has used it."""
    x, y, weights = given(network, dtype)
    runner = make(network, SIZES, weights, "python")
    output, loss = np.array(runner.forward(x)), runner.train(x, y)
    return (
        output,
        loss,
        {
            name: (weights[name] - value) / RATE
            for name, value in runner.weights().items()
        },
    )


@pytest.mark.parametrize(("network", "module"), EXPRESSED)
def test_a_peer_computes_what_the_container_computes(network, module):
    make = peer_class(module)
    dtype, limit = (
        ("float32", 5e-5) if module == "keras_rnn" else ("float64", 1e-12)
    )  # Keras is made for float32
    output, loss, gradients = of_container(network, dtype)
    with pytensor.config.change_flags(floatX=dtype), doubles_in_jax(dtype == "float64"):
        found, found_loss, found_gradients = numbers_of(make, network, dtype)
    assert found.shape == (3, 6)
    assert np.abs(found - output).max() <= limit
    assert abs(found_loss - loss) <= limit
    assert set(found_gradients) == set(gradients)
    for name, gradient in gradients.items():
        assert np.abs(gradient).max() > 1e-4
        assert np.abs(found_gradients[name] - gradient).max() <= limit, name


@functools.cache
def of_container(network, dtype):
    with pytensor.config.change_flags(floatX=dtype):
        return numbers_of(container.Runner, network, dtype)


def doubles_in_jax(wanted):
    jax = pytest.importorskip(
        "jax", reason="peers on JAX, and the setting that the others ignore"
    )
    return jax.enable_x64(wanted)


def test_the_function_alone_makes_the_same_step_as_train_on_batch():
    x, y, weights = given("lstm", "float64")
    one, other = (container.Runner("lstm", SIZES, weights, "python") for _ in range(2))
    first = [one.train(x, y), one.train(x, y)]
    assert [other.train(x, y), other.bare(x, y)] == first
    assert all(
        np.array_equal(value, one.weights()[name])
        for name, value in other.weights().items()
    )


def test_a_gru_that_resets_after_the_product_equals_a_numpy_loop():
    x, _, p = given("gru-after", "float64")

    def sigmoid(value):
        return 1 / (1 + np.exp(-value))

    h = np.zeros((3, 6))
    for now in x.swapaxes(0, 1):
        z = sigmoid(now @ p["z.W"] + p["z.b"] + h @ p["z.U"])
        r = sigmoid(now @ p["r.W"] + p["r.b"] + h @ p["r.U"])
        candidate = np.tanh(
            now @ p["i2c.W"] + p["i2c.b"] + r * (h @ p["h2c.W"] + p["h2c.b"])
        )
        h = z * h + (1 - z) * candidate
    assert (
        np.abs(container.Runner("gru-after", SIZES, p, "python").forward(x) - h).max()
        <= 1e-12
    )
