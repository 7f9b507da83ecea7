"""Every backward function of the reference, against derivatives of its values."""

import numpy as np
import pytest

from recursive.reference import run
from tests.reference.differences import check_gradients
from tests.reference.networks import (
    LAYERS,
    NETWORKS,
    carried_inside,
    cells,
    chances,
    draws,
    draws_inside,
    going_on,
    looking_back,
    noisy,
    noisy_inside,
    on_one_input,
    prepared,
    taught,
    text,
    x_and_c,
    x_and_truth,
    x_only,
    x_truth_and_rate,
    x_with_gaps,
)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_pulls_gradients_back_through_its_formula(name):
    build, shape = LAYERS[name]
    spec, weights, inputs = prepared(
        on_one_input(build(), shape), lambda rng: {"x": rng.normal(size=shape)}
    )
    check_gradients(spec, weights, inputs)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_pulls_gradients_back_through_time(name):
    spec, weights, inputs = prepared(NETWORKS[name][0](), NETWORKS[name][1])
    check_gradients(spec, weights, inputs)


@pytest.mark.parametrize(
    ("build", "arrays", "given"),
    [
        (noisy, x_only, draws),
        (noisy_inside, text, draws_inside),
        (taught(), x_and_truth, chances),
        (taught("rate"), x_truth_and_rate, chances),
    ],
    ids=["noise", "noise in a loop in a loop", "teacher", "teacher with a port"],
)
def test_noise_that_is_given_has_a_gradient_like_any_input(build, arrays, given):
    spec, weights, inputs = prepared(build(), arrays)
    check_gradients(
        spec, weights, inputs, draws=given(np.random.RandomState(1)), train=True
    )


def test_a_batch_that_is_normalized_has_a_gradient_through_its_mean_and_deviation():
    build, shape = LAYERS["BatchNormalization"]
    spec, weights, inputs = prepared(
        on_one_input(build(), shape), lambda rng: {"x": rng.normal(size=shape)}
    )
    check_gradients(spec, weights, inputs, train=True)


@pytest.mark.parametrize(
    ("build", "arrays"),
    [
        (cells, x_only),
        (looking_back(), x_and_c),
        (carried_inside, text),
        (going_on, x_with_gaps),
        (lambda: going_on(mask_mode="carry"), x_with_gaps),
    ],
    ids=["cells", "looking back", "carried inside", "a graph", "a graph that carries"],
)
def test_states_that_a_run_goes_on_from_have_a_gradient(build, arrays):
    spec, weights, inputs = prepared(build(), arrays)
    states = run(spec, weights, inputs).finals
    check_gradients(spec, weights, inputs, states=states)
