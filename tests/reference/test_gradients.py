"""Every gradient of the reference, by hand, against derivatives found from values alone."""

import numpy as np
import pytest

from tests.reference.differences import check_gradients
from tests.reference.networks import LAYERS, NETWORKS, draws, noisy, on_one_input, prepared


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_pulls_gradients_back_through_its_formula(name):
    build, shape = LAYERS[name]
    spec, weights, inputs = prepared(on_one_input(build(), shape), lambda rng: {"x": rng.normal(size=shape)})
    check_gradients(spec, weights, inputs)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_pulls_gradients_back_through_time(name):
    spec, weights, inputs = prepared(NETWORKS[name][0](), NETWORKS[name][1])
    check_gradients(spec, weights, inputs)


def test_noise_that_is_given_has_a_gradient_like_any_input():
    spec, weights, inputs = prepared(noisy(), lambda rng: {"x": rng.normal(size=(3, 5, 4))})
    check_gradients(spec, weights, inputs, draws=draws(np.random.RandomState(1)), train=True)
