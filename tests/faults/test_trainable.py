"""Layers that are not learned: ``trainable = False`` and ``params = []``."""

import copy
import json
import pickle
import warnings

import numpy as np
import pytest

from recursive import (
    GRU,
    AutoEncoder,
    Bidirectional,
    Dense,
    Embedding,
    Graph,
    Merge,
    Recurrent,
    RecurrentGRU,
    Recursive,
    Sequential,
    TimeDistributedDense,
    errors,
    model_from_json,
    model_from_yaml,
)
from tests.faults.loops import close, randomized, rng_of

X = rng_of(1).normal(size=(3, 4))
Y = rng_of(2).normal(size=(3, 2))


def warning():
    """The class by name: each test fails by itself while there is none."""
    return errors.TrainableChangedWarning


def by_trainable(layer):
    layer.trainable = False


def by_params(layer):
    layer.params = []


frozen_by = pytest.mark.parametrize(
    "freeze", [by_trainable, by_params], ids=["trainable", "params"]
)


def two_layers():
    first, last = Dense(4, 6, activation="tanh", seed=1), Dense(6, 2, seed=2)
    return first, last, Sequential([first, last])


def values(layer):
    """The weights themselves, however the layer lists them."""
    return [layer.W.get_value(), layer.b.get_value()]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@frozen_by
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_a_layer_that_was_frozen_before_compile_is_not_learned(freeze, optimizer):
    first, last, model = two_layers()
    freeze(first)
    model.compile(optimizer, "mse", backend="python")
    before = values(first), values(last)
    model.train_on_batch(X, Y)
    model.fit(X, Y, nb_epoch=2, verbose=0)
    assert same(values(first), before[0])
    assert not same(values(last), before[1])


@frozen_by
def test_what_is_frozen_still_computes_and_hands_a_gradient_on(freeze):
    first, last, model = two_layers()
    freeze(last)
    model.compile("sgd", "mse", backend="python")
    before = values(first)
    model.train_on_batch(X, Y)
    assert not same(values(first), before)


@pytest.mark.parametrize("suffix", [".h5", ".safetensors"])
@frozen_by
def test_the_weights_of_a_frozen_layer_are_saved_and_loaded(freeze, suffix, tmp_path):
    def made(seed):
        layers = Embedding(7, 4, seed=seed), GRU(4, 3, seed=seed)
        freeze(layers[0])
        return Sequential(list(layers))

    saved, loaded = made(1), made(2)
    saved.save_weights(tmp_path / f"w{suffix}")
    loaded.load_weights(tmp_path / f"w{suffix}")
    words = np.array([[1, 2, 3], [4, 5, 6]])
    assert close(loaded.predict(words), saved.predict(words))
    assert same([loaded.layers[0].W.get_value()], [saved.layers[0].W.get_value()])


@frozen_by
def test_weights_of_a_model_that_was_frozen_fit_one_that_was_not(freeze, tmp_path):
    first, _, frozen = two_layers()
    freeze(first)
    frozen.save_weights(tmp_path / "w.h5")
    *_, other = two_layers()
    randomized(other)
    other.load_weights(tmp_path / "w.h5")
    assert close(other.predict(X), frozen.predict(X))


@frozen_by
def test_get_weights_and_set_weights_have_what_is_frozen(freeze):
    first, _, model = two_layers()
    freeze(first)
    weights = model.get_weights()
    assert [w.shape for w in weights] == [(4, 6), (6,), (6, 2), (2,)]
    model.set_weights([w + 1 for w in weights])
    assert same(values(first), [w + 1 for w in weights[:2]])


@frozen_by
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_frozen_layer_is_frozen_in_what_is_made_from_the_configuration(freeze, form):
    first, _, model = two_layers()
    freeze(first)
    model.compile("sgd", "mse", backend="python")
    again = (
        model_from_json(model.to_json())
        if form == "json"
        else model_from_yaml(model.to_yaml())
    )
    again.compile("sgd", "mse", backend="python")
    before = values(again.layers[0]), values(again.layers[1])
    again.train_on_batch(X, Y)
    assert same(values(again.layers[0]), before[0])
    assert not same(values(again.layers[1]), before[1])


def test_a_model_from_json_that_was_compiled_there_is_frozen_without_compiling_again():
    first, _, model = two_layers()
    first.trainable = False
    model.compile("sgd", "mse", backend="python")
    again = model_from_json(model.to_json())
    before = values(again.layers[0])
    again.train_on_batch(X, Y)
    assert same(values(again.layers[0]), before)


def test_a_configuration_says_nothing_new_of_layers_that_are_learned():
    *_, model = two_layers()
    again = model_from_json(model.to_json())
    assert all(layer.trainable for layer in [again, *again.layers])


@pytest.mark.parametrize("kind", ["deepcopy", "pickle"])
def test_a_copy_is_frozen_as_well(kind):
    first, _, model = two_layers()
    first.trainable = False
    again = (
        copy.deepcopy(model)
        if kind == "deepcopy"
        else pickle.loads(pickle.dumps(model))
    )
    again.compile("sgd", "mse", backend="python")
    before = values(again.layers[0])
    again.train_on_batch(X, Y)
    assert same(values(again.layers[0]), before)


# Containers


def chain():
    return Sequential([Dense(4, 3), Dense(3, 4)])


def graph():
    made = Graph()
    made.add_input("x", dim=4)
    made.add_node(Dense(4, 3), "a", input="x")
    made.add_node(Dense(3, 4), "b", input="a", create_output=True)
    return made


def autoencoder():
    return AutoEncoder(Dense(4, 3), Dense(3, 4))


def deep():
    return Sequential([graph(), Sequential([autoencoder()])])


@pytest.mark.parametrize("made", [chain, graph, autoencoder, deep])
@pytest.mark.parametrize("written", [False, True])
def test_a_container_that_is_frozen_freezes_all_layers_inside(made, written):
    inner, last = made(), Dense(4, 2)
    inner.trainable = False
    model = randomized(Sequential([inner, last]))
    if written:
        weights = model.get_weights()
        model = model_from_json(model.to_json())
        model.set_weights(weights)
        inner, last = model.layers
    model.compile("sgd", "mse", backend="python")
    before = inner.get_weights(), last.get_weights()
    model.train_on_batch(X, Y)
    assert same(inner.get_weights(), before[0])
    assert not same(last.get_weights(), before[1])


def loop():
    made = Recursive()
    made.add_input("x", dim=4)
    made.add_state("h", dim=6, initial="learned")
    made.add_node(
        Dense(10, 6, activation="tanh"),
        "f",
        input=["x", "h"],
        return_state="h",
        create_output=True,
    )
    return made


def both_directions():
    return Bidirectional(GRU(4, 3))


def free_loop():
    made = Recurrent()
    made.add_input("x", dim=4)
    made.add_node(RecurrentGRU(4, 6), "h", input="x")
    return made


@pytest.mark.parametrize("made", [loop, both_directions, free_loop])
@pytest.mark.parametrize("written", [False, True])
def test_a_loop_that_is_frozen_freezes_its_nodes_and_learned_starts(made, written):
    inner, last = made(), Dense(6, 2)
    inner.trainable = False
    model = randomized(Sequential([inner, last]))
    if written:
        weights = model.get_weights()
        model = model_from_json(model.to_json())
        model.set_weights(weights)
        inner, last = model.layers
    model.compile("sgd", "mse", backend="python")
    before = inner.get_weights(), last.get_weights()
    model.train_on_batch(rng_of(4).normal(size=(3, 5, 4)), Y)
    assert same(inner.get_weights(), before[0])
    assert not same(last.get_weights(), before[1])


@frozen_by
def test_one_node_of_a_loop_can_be_frozen(freeze):
    made = free_loop()
    dense = Dense(6, 6)
    made.add_node(dense, "y", input="h", create_output=True)
    freeze(dense)
    randomized(made)
    made.compile("sgd", "mse", backend="python")
    before, others = values(dense), made.nodes["h"].get_weights()
    made.train_on_batch(rng_of(4).normal(size=(3, 5, 4)), np.ones((3, 6)))
    assert same(values(dense), before)
    assert not same(made.nodes["h"].get_weights(), others)


def test_one_branch_of_a_merge_and_one_direction_can_be_frozen():
    left, right = Dense(4, 2), Dense(4, 2)
    left.trainable = False
    model = randomized(Sequential([Merge([left, right], mode="sum")]))
    model.compile("sgd", "mse", backend="python")
    before = left.get_weights(), right.get_weights()
    model.train_on_batch([X, X], Y)
    assert same(left.get_weights(), before[0])
    assert not same(right.get_weights(), before[1])
    both = Bidirectional(GRU(4, 3))
    both.backward_layer.trainable = False
    model = randomized(Sequential([both, Dense(6, 2)]))
    model.compile("sgd", "mse", backend="python")
    before = both.layer.get_weights(), both.backward_layer.get_weights()
    model.train_on_batch(rng_of(4).normal(size=(3, 5, 4)), Y)
    assert not same(both.layer.get_weights(), before[0])
    assert same(both.backward_layer.get_weights(), before[1])


def test_a_penalty_of_a_frozen_layer_moves_nothing():
    layer = Dense(4, 2, W_regularizer="l2")
    layer.trainable = False
    model = Sequential([layer, Dense(2, 2)])
    model.compile("sgd", "mse", backend="python")
    before = values(layer)
    model.train_on_batch(X, Y)
    assert same(values(layer), before)


def test_a_constraint_of_a_frozen_layer_moves_nothing():
    layer = Dense(4, 2, W_constraint="nonneg", weights=[-np.ones((4, 2)), np.ones(2)])
    layer.trainable = False
    model = Sequential([layer, Dense(2, 2)])
    model.compile("sgd", "mse", backend="python")
    model.train_on_batch(X, Y)
    assert same(values(layer), [-np.ones((4, 2)), np.ones(2)])


# What is learned is read by compile


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("ran_before", [False, True])
def test_a_change_after_compile_warns_and_the_model_learns_as_compiled(
    learned, ran_before
):
    first, _, model = two_layers()
    first.trainable = learned
    model.compile("sgd", "mse", backend="python")
    if ran_before:
        model.train_on_batch(X, Y)
    first.trainable = not learned
    before = values(first)
    with pytest.warns(warning()):
        model.train_on_batch(X, Y)
    assert same(values(first), before) != learned


def test_fit_warns_of_a_change_too():
    first, _, model = two_layers()
    model.compile("sgd", "mse", backend="python")
    first.trainable = False
    with pytest.warns(warning()):
        model.fit(X, Y, nb_epoch=1, verbose=0)


def test_a_change_of_a_container_warns_and_so_does_one_deep_inside():
    for pick in (lambda m: m.layers[0], lambda m: m.layers[0].layers[0]):
        model = Sequential([Sequential([Dense(4, 3)]), Dense(3, 2)])
        model.compile("sgd", "mse", backend="python")
        pick(model).trainable = False
        with pytest.warns(warning()):
            model.train_on_batch(X, Y)


def test_compile_takes_the_change_up_and_the_warning_ends():
    first, _, model = two_layers()
    model.compile("sgd", "mse", backend="python")
    model.train_on_batch(X, Y)
    first.trainable = False
    model.compile("sgd", "mse", backend="python")
    before = values(first)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.train_on_batch(X, Y)
    assert same(values(first), before)


def test_predicting_and_testing_do_not_warn():
    first, _, model = two_layers()
    model.compile("sgd", "mse", backend="python")
    first.trainable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(X)
        model.test_on_batch(X, Y)
        model.evaluate(X, Y, verbose=0)


def test_the_warning_is_a_user_warning():
    assert issubclass(warning(), UserWarning)


@frozen_by
@pytest.mark.parametrize("ran_before", [False, True])
def test_a_layer_frozen_for_a_joined_model_is_learned_by_the_one_compiled_before(
    freeze, ran_before
):
    """A judge learns by itself; behind a generator it stands still."""
    judge = Dense(2, 1, activation="sigmoid", seed=3)
    alone = Sequential([judge])
    alone.compile("sgd", "mse", backend="python")
    if ran_before:
        alone.train_on_batch(Y, np.ones((3, 1)))
    generator = Dense(4, 2, seed=4)
    freeze(judge)
    joined = Sequential([generator, judge])
    joined.compile("sgd", "mse", backend="python")
    before = values(judge), values(generator)
    joined.train_on_batch(X, np.ones((3, 1)))
    assert same(values(judge), before[0])
    assert not same(values(generator), before[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone.train_on_batch(Y, np.ones((3, 1)))
    assert not same(values(judge), before[0])
    assert same(values(joined.layers[1]), values(judge))


def test_params_emptied_after_compile_and_before_the_first_step_change_nothing():
    first, _, model = two_layers()
    model.compile("sgd", "mse", backend="python")
    first.params = []
    before = values(first)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.train_on_batch(X, Y)
    assert not same(values(first), before)


def test_trainable_is_true_at_first_and_no_argument_of_a_configuration_of_2015():
    layer = Dense(4, 2)
    assert layer.trainable is True
    assert json.loads(Sequential([layer]).to_json()) == json.loads(
        Sequential([Dense(4, 2)]).to_json()
    )


def test_a_frozen_layer_that_is_used_twice_is_frozen_in_both_places():
    layer = TimeDistributedDense(4, 4)
    layer.trainable = False
    last = TimeDistributedDense(4, 2)
    model = Sequential([layer, Sequential([layer]), last])
    model.compile("sgd", "mse", backend="python")
    before = values(layer), values(last)
    x = rng_of(4).normal(size=(3, 5, 4))
    model.train_on_batch(x, np.ones((3, 5, 2)))
    assert same(values(layer), before[0]) and not same(values(last), before[1])
