"""A layer used in several places is one layer: one penalty, one constraint, updates in turn."""

import numpy as np
import pytest

from recursive import (
    SGD,
    Activation,
    AutoEncoder,
    BatchNormalization,
    Bidirectional,
    Dense,
    Graph,
    Merge,
    Recurrent,
    Recursive,
    Sequential,
    TimeDistributedDense,
)
from recursive.constraints import Constraint
from recursive.regularizers import activity_l2, l1, l2
from tests.faults.loops import close, rng_of

ZEROS = np.zeros((3, 4))


def twice_in_a_chain(layer):
    return Sequential([layer, layer])


def chain_in_a_chain(layer):
    return Sequential([Sequential([layer]), layer])


def chains_in_chains(layer):
    return Sequential([Sequential([Sequential([layer]), layer]), layer])


def three_chains(layer):
    return Sequential([Sequential([layer]), Sequential([layer]), Sequential([layer])])


def nodes_of_a_graph(layer):
    graph = Graph()
    graph.add_input("x", dim=4)
    graph.add_node(layer, "a", input="x")
    graph.add_node(Sequential([layer]), "b", input="a", create_output=True)
    return Sequential([graph])


def graph_and_chain(layer):
    return Sequential([nodes_of_a_graph(layer), layer])


def both_parts_of_an_autoencoder(layer):
    return Sequential([AutoEncoder(Sequential([layer]), layer), layer])


CONTAINERS = [
    twice_in_a_chain,
    chain_in_a_chain,
    chains_in_chains,
    three_chains,
    nodes_of_a_graph,
    graph_and_chain,
    both_parts_of_an_autoencoder,
]
containers = pytest.mark.parametrize("container", CONTAINERS, ids=lambda f: f.__name__)


def number_of_uses(container):
    return 2 if container in (*CONTAINERS[:2], nodes_of_a_graph) else 3


def ones(**settings):
    return Dense(4, 4, weights=[np.ones((4, 4))], bias=False, **settings)


def stepped(model, x=ZEROS, target=ZEROS):
    model.compile(SGD(lr=1.0), "mse", backend="python")
    model.train_on_batch(x, target)


@containers
@pytest.mark.parametrize("penalty", [l2(0.01), l1(0.02)], ids=["l2", "l1"])
def test_a_penalty_on_weights_counts_once_wherever_the_layer_stands(container, penalty):
    layer = ones(W_regularizer=penalty)
    stepped(container(layer))
    assert close(layer.W.get_value(), np.full((4, 4), 0.98))


def test_a_penalty_counts_once_in_branches_that_are_merged():
    layer = ones(W_regularizer=l2(0.01))
    model = Sequential([Merge([layer, Sequential([layer])], mode="sum"), layer])
    stepped(model, [ZEROS, ZEROS])
    assert close(layer.W.get_value(), np.full((4, 4), 0.98))


def loop_around(layer, **settings):
    loop = Recurrent(**settings)
    loop.add_input("x", dim=4)
    loop.add_node(layer, "y", input="x")
    loop.add_node(Sequential([layer]), "z", input="y")
    loop.add_output("out", input="z")
    return loop


def test_a_penalty_counts_once_for_nodes_of_a_loop_and_what_stands_behind_it():
    layer = ones(W_regularizer=l2(0.01))
    stepped(Sequential([loop_around(layer), layer]), np.zeros((3, 2, 4)))
    assert close(layer.W.get_value(), np.full((4, 4), 0.98))


def test_a_penalty_counts_once_for_two_directions():
    layer = ones(W_regularizer=l2(0.01))
    both = Bidirectional(
        loop_around(layer),
        merge_mode="sum",
        backward_layer=loop_around(layer, go_backwards=True),
    )
    stepped(Sequential([both]), np.zeros((3, 2, 4)))
    assert close(layer.W.get_value(), np.full((4, 4), 0.98))


def test_a_penalty_counts_once_for_a_layer_in_a_loop_in_a_loop():
    layer = ones(W_regularizer=l2(0.01))
    outer = Recursive()
    outer.add_input("x", ndim=4, dim=4)
    outer.add_node(loop_around(layer), "inner", input="x")
    outer.add_node(layer, "again", input="inner", create_output=True)
    stepped(Sequential([outer]), np.zeros((3, 2, 2, 4)))
    assert close(layer.W.get_value(), np.full((4, 4), 0.98))


def test_two_layers_with_one_regularizer_are_both_penalized():
    penalty = l2(0.01)
    first, second = ones(W_regularizer=penalty), ones(W_regularizer=penalty)
    stepped(Sequential([Sequential([first]), second, first]))
    assert close(first.W.get_value(), np.full((4, 4), 0.98))
    assert close(second.W.get_value(), np.full((4, 4), 0.98))


@containers
def test_a_regularizer_that_the_layer_lists_itself_counts_once(container):
    """In 2015 a layer kept its penalties in ``self.regularizers``."""
    layer = ones()
    layer.regularizers = [l2(0.01).on(layer.W)]
    stepped(container(layer))
    assert close(layer.W.get_value(), np.full((4, 4), 0.98))


class Halved(Constraint):
    """Shows how often it was called."""

    def __call__(self, p):
        return p / 2


@containers
def test_a_constraint_is_applied_once(container):
    layer = ones(W_constraint=Halved())
    stepped(container(layer))
    assert close(layer.W.get_value(), np.full((4, 4), 0.5))


@containers
def test_a_penalty_on_what_a_layer_returns_counts_for_each_of_its_uses(container):
    """As for two layers with the same weights, whose steps are added."""
    x = rng_of(2).normal(size=(3, 4))
    start = rng_of(3).normal(size=(4, 4)) / 3

    penalized = Dense(
        4, 4, weights=[start], bias=False, activity_regularizer=activity_l2(0.3)
    )
    number = number_of_uses(container)
    model = container(penalized)
    model.compile(SGD(lr=0.1), "mse", backend="python")
    model.train_on_batch(x, x)
    expected = start - 0.1 * by_complex_steps(
        lambda W: loss_of(W, x, number, 0.3), start
    )
    assert close(penalized.W.get_value(), expected)


def loss_of(W, x, number, weight):
    y, total = x, 0
    for _ in range(number):
        y = y @ W
        total = total + weight * (y**2).mean(axis=0).sum()
    return total + ((y - x) ** 2).mean()


def by_complex_steps(function, at):
    gradient = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        moved = at.astype(complex)
        moved[place] += 1e-30j
        gradient[place] = function(moved).imag / 1e-30
    return gradient


def normalized(x, gamma, beta, epsilon=1e-6):
    mean = x.mean(axis=0)
    std = np.sqrt(((x - mean) ** 2 + epsilon).mean(axis=0))
    return gamma * (x - mean) / (std + epsilon) + beta, mean, std


def normalization():
    rng = rng_of(4)
    layer = BatchNormalization(4)
    layer.gamma.set_value(rng.uniform(0.5, 2, size=4))
    layer.beta.set_value(rng.normal(size=4))
    return layer, layer.gamma.get_value(), layer.beta.get_value()


def averaged(batches, momentum=0.9):
    mean, std = np.zeros(4), np.ones(4)
    for new_mean, new_std in batches:
        mean = momentum * mean + (1 - momentum) * new_mean
        std = momentum * std + (1 - momentum) * new_std
    return mean, std


@containers
def test_running_means_of_a_shared_layer_take_each_use_in_turn(container):
    layer, gamma, beta = normalization()
    number = number_of_uses(container)
    y = x = rng_of(5).normal(2, 3, size=(6, 4))
    seen = []
    for _ in range(number):
        y, *found = normalized(y, gamma, beta)
        seen.append(found)
    model = container(layer)
    model.compile(SGD(lr=0.1), "mse", backend="python")
    model.train_on_batch(x, x)
    mean, std = averaged(seen)
    assert close(layer.running_mean.get_value(), mean)
    assert close(layer.running_std.get_value(), std)


def test_running_means_of_two_nodes_of_a_graph_take_both_batches():
    layer, gamma, beta = normalization()
    graph = Graph()
    graph.add_input("a", dim=4)
    graph.add_input("b", dim=4)
    graph.add_node(layer, "na", input="a")
    graph.add_node(layer, "nb", input="b")
    graph.add_output("y", inputs=["na", "nb"], merge_mode="sum")
    graph.compile(SGD(lr=0.1), {"y": "mse"}, backend="python")
    a, b = rng_of(5).normal(2, 3, size=(2, 6, 4))
    graph.train_on_batch({"a": a, "b": b, "y": a})
    seen = [normalized(x, gamma, beta)[1:] for x in (a, b)]
    mean, std = averaged(seen)
    assert close(layer.running_mean.get_value(), mean)
    assert close(layer.running_std.get_value(), std)


def test_running_means_of_branches_that_are_merged_take_both_batches():
    layer, gamma, beta = normalization()
    a, b = rng_of(5).normal(2, 3, size=(2, 6, 4))
    model = Sequential([Merge([Sequential([layer]), layer], mode="sum")])
    model.compile(SGD(lr=0.1), "mse", backend="python")
    model.train_on_batch([a, b], a)
    mean, std = averaged([normalized(x, gamma, beta)[1:] for x in (a, b)])
    assert close(layer.running_mean.get_value(), mean)
    assert close(layer.running_std.get_value(), std)


def test_running_means_are_not_changed_by_predicting_or_testing():
    layer, _, _ = normalization()
    model = chain_in_a_chain(layer)
    model.compile(SGD(lr=0.1), "mse", backend="python")
    x = rng_of(5).normal(2, 3, size=(6, 4))
    model.predict(x)
    model.test_on_batch(x, x)
    assert close(layer.running_mean.get_value(), np.zeros(4))


def test_running_means_are_taken_once_for_a_layer_used_once_in_a_chain_in_a_chain():
    layer, gamma, beta = normalization()
    model = Sequential([Sequential([Sequential([layer])])])
    model.compile(SGD(lr=0.1), "mse", backend="python")
    x = rng_of(5).normal(2, 3, size=(6, 4))
    model.train_on_batch(x, x)
    mean, _ = averaged([normalized(x, gamma, beta)[1:]])
    assert close(layer.running_mean.get_value(), mean)


@pytest.mark.parametrize("nested", [False, True])
def test_a_shared_layer_learns_the_sum_of_what_two_would(nested):
    x = rng_of(2).normal(size=(3, 5, 4))
    target = rng_of(3).normal(size=(3, 5, 4))
    start = [rng_of(6).normal(size=(4, 4)), rng_of(7).normal(size=4)]

    def made(first, second):
        tail = Sequential([second]) if nested else second
        model = Sequential([first, Activation("tanh"), tail])
        model.compile(SGD(lr=0.1), "mse", backend="python")
        model.train_on_batch(x, target)

    shared = TimeDistributedDense(4, 4, weights=start)
    made(shared, shared)
    one, two = (TimeDistributedDense(4, 4, weights=start) for _ in range(2))
    made(one, two)
    for index, value in enumerate(shared.get_weights()):
        moved = one.get_weights()[index] + two.get_weights()[index] - start[index]
        assert close(value, moved)
