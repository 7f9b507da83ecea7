"""Names of Keras 0.1.3 that scripts import, each with a value computed by hand."""

import numpy as np
import pytensor.tensor as pt
import pytest

from recursive import (
    Activation,
    Dense,
    Embedding,
    Graph,
    Layer,
    Merge,
    Recursive,
    Sequential,
    activations,
    models,
    objectives,
    optimizers,
    regularizers,
)
from recursive.errors import ConfigError, DataError, ShapeError
from recursive.layers import containers
from recursive.utils import layer_utils

ROWS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


# Arrays


def test_a_list_of_arrays_is_sliced_array_by_array():
    by_place = models.slice_X([ROWS, 10 * ROWS], 1, 3)
    assert [array.tolist() for array in by_place] == [
        [[3.0, 4.0], [5.0, 6.0]],
        [[30.0, 40.0], [50.0, 60.0]],
    ]
    assert models.slice_X(ROWS, 2).tolist() == [[5.0, 6.0]]
    assert models.slice_X(ROWS, [2, 0]).tolist() == [[5.0, 6.0], [1.0, 2.0]]
    assert models.slice_X([ROWS], np.array([1]))[0].tolist() == [[3.0, 4.0]]


def test_batches_cover_all_rows_and_the_last_may_be_shorter():
    assert models.make_batches(7, 3) == [(0, 3), (3, 6), (6, 7)]
    assert models.make_batches(6, 3) == [(0, 3), (3, 6)]


def test_batches_are_shuffled_whole_and_the_short_one_stays_last():
    order = np.arange(7)
    np.random.seed(3)
    shuffled = models.batch_shuffle(order, 2)
    pairs = shuffled[:6].reshape(3, 2)
    assert shuffled[6] == 6
    assert sorted(pairs.tolist()) == [[0, 1], [2, 3], [4, 5]]
    assert pairs.tolist() != [[0, 1], [2, 3], [4, 5]]
    assert order.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_targets_get_a_second_axis_and_inputs_become_a_list():
    assert models.standardize_y([1, 2, 3]).tolist() == [[1], [2], [3]]
    assert models.standardize_y(ROWS) is ROWS
    assert models.standardize_X(ROWS)[0] is ROWS
    arrays = [ROWS, ROWS]
    assert models.standardize_X(arrays) is arrays


def test_class_weights_become_weights_of_rows_and_of_steps():
    one_hot = np.array([[0, 1, 0], [1, 0, 0]])
    weights = {0: 1.0, 1: 4.0, 2: 9.0}
    found = models.standardize_weights(one_hot, class_weight=weights)
    assert found.tolist() == [[4.0], [1.0]]
    steps = np.array([[[0], [2]], [[1], [1]], [[2], [0]]])
    found = models.standardize_weights(steps, class_weight=weights)
    assert found.tolist() == [[[1.0], [9.0]], [[4.0], [4.0]], [[9.0], [1.0]]]


def test_weights_are_those_of_samples_else_ones():
    assert models.standardize_weights(ROWS).tolist() == [[1.0], [1.0], [1.0]]
    found = models.standardize_weights(ROWS, sample_weight=[1, 2, 3])
    assert found.tolist() == [[1], [2], [3]]


def test_a_class_without_a_weight_and_targets_of_four_axes_are_refused():
    with pytest.raises(DataError, match="none for 1, 2"):
        models.standardize_weights(np.array([[2], [1], [0]]), class_weight={0: 1.0})
    with pytest.raises(ShapeError, match="sample_weight"):
        models.standardize_weights(np.ones((2, 2, 2, 2)), class_weight={0: 1.0})


# Functions of tensors


def test_clip_norm_scales_a_gradient_whose_norm_is_larger():
    g = pt.constant([3.0, 4.0])
    assert optimizers.clip_norm(g, 2.0, 10.0).eval() == pytest.approx([0.6, 0.8])
    assert optimizers.clip_norm(g, 2.0, 1.0).eval().tolist() == [3.0, 4.0]
    assert optimizers.clip_norm(g, 0, 10.0) is g


def test_kl_divergence_of_each_value():
    found = optimizers.kl_divergence(
        pt.constant([0.5, 0.25]), pt.constant([0.25, 0.25])
    )
    assert found.eval() == pytest.approx([-0.25 + 0.5 * np.log(2), 0.0])


def test_time_distributed_softmax_is_softmax_and_is_written_so():
    x = np.zeros((2, 3, 4))
    layer = Activation("time_distributed_softmax")
    assert layer(x).eval() == pytest.approx(np.full((2, 3, 4), 0.25))
    assert layer.get_config()["activation"] == "softmax"
    assert activations.time_distributed_softmax is activations.softmax


def test_the_identity_regularizer_adds_nothing():
    model = Sequential([Dense(2, 1, W_regularizer=regularizers.identity())])
    model.set_weights([np.array([[1.0], [2.0]]), np.array([0.0])])
    model.compile("sgd", "mse", backend="python")
    # Predictions 5, 11, 17; the mean of their squares.
    loss = model.train_on_batch(ROWS, np.zeros((3, 1)))
    assert loss == pytest.approx((25 + 121 + 289) / 3)


def test_weighted_objective_takes_numpy_arrays_of_integers():
    weighted = models.weighted_objective(objectives.get("mse"))
    y_true = np.array([[0, 0], [0, 0], [1, 1]])
    y_pred = np.array([[1, 3], [2, 2], [9, 9]])
    # Row means are 5, 4 and 64: (3 * 5 + 1 * 4) / 4.
    weights = np.array([[3.0], [1.0], [0.0]])
    assert weighted(y_true, y_pred, weights).eval() == pytest.approx(19 / 4)


# Layers


def test_parameters_are_named_by_set_name():
    layer = Dense(2, 3)
    layer.set_name("first")
    assert [param.name for param in layer.params] == ["first_p0", "first_p1"]


def test_init_updates_does_nothing_and_may_not_be_overridden():
    layer = Dense(2, 3)
    layer.init_updates()
    assert layer.updates == []
    with pytest.raises(ConfigError, match="init_updates, which nothing calls"):

        class Counting(Layer):
            def init_updates(self):
                self.updates = []


def test_the_container_is_in_the_module_of_containers():
    assert issubclass(Recursive, containers.Recursive)


def test_a_layer_is_made_by_the_name_of_its_class():
    layer = layer_utils.get_layer("Dense", {"input_dim": 2, "output_dim": 3})
    assert layer.get_output_shape_for((None, 2)) == (None, 3)
    assert layer_utils.get_layer(layer) is layer
    with pytest.raises(ConfigError, match="Did you mean 'Dense'"):
        layer_utils.get_layer("Dens")
    with pytest.raises(ConfigError, match="input_dims"):
        layer_utils.get_layer("Dense", {"input_dims": 2, "output_dim": 3})


def test_a_container_is_made_from_its_configuration_and_that_is_not_changed():
    config = {
        "name": "Sequential",
        "layers": [
            {"name": "Dense", "input_dim": 2, "output_dim": 3},
            {"name": "Activation", "activation": "tanh"},
        ],
    }
    container = layer_utils.container_from_config(config)
    assert container.get_output_shape_for((None, 2)) == (None, 3)
    assert not hasattr(container, "compile")
    assert config["layers"][0]["name"] == "Dense"


def test_a_model_is_made_from_its_configuration():
    config = Sequential([Dense(2, 3, activation="tanh"), Dense(3, 1)]).get_config()
    model = models.model_from_config(config)
    model.set_weights([np.ones((2, 3)), np.zeros(3), np.ones((3, 1)), np.ones(1)])
    model.compile(backend="python")
    expected = 3 * np.tanh(ROWS.sum(axis=1, keepdims=True)) + 1
    assert model.predict(ROWS) == pytest.approx(expected)
    with pytest.raises(ConfigError, match="model class"):
        models.model_from_config({"name": "Dense", "output_dim": 3})


def test_the_shapes_of_a_chain_are_printed(capsys):
    model = Sequential([Embedding(7, 4), Activation("tanh"), Dense(4, 6)])
    layer_utils.print_layer_shapes(model, (3, 5))
    assert capsys.readouterr().out.splitlines() == [
        "input shapes :  [(3, 5)]",
        "shape after Embedding: (3, 5, 4)",
        "shape after Activation: (3, 5, 4)",
        "shape after Dense: (3, 5, 6)",
    ]


def test_the_shapes_of_branches_are_printed(capsys):
    merge = Merge([Dense(4, 6), Dense(2, 1)], mode="concat")
    layer_utils.print_layer_shapes(Sequential([merge]), [(3, 4), (3, 2)])
    assert capsys.readouterr().out.splitlines()[1:] == ["shape after Merge: (3, 7)"]
    layer_utils.print_layer_shapes(merge, [(3, 4), (3, 2)])
    assert capsys.readouterr().out.splitlines()[1:] == [
        "shape after Dense: (3, 6)",
        "shape after Dense: (3, 1)",
    ]


def test_the_shapes_of_a_graph_are_printed_by_its_nodes(capsys):
    graph = Graph()
    graph.add_input("left", dim=4)
    graph.add_input("right", dim=2)
    graph.add_node(Dense(4, 6), "a", input="left")
    graph.add_node(Dense(8, 1), "b", inputs=["a", "right"])
    graph.add_output("y", input="b")
    layer_utils.print_layer_shapes(graph, {"right": (3, 2), "left": (3, 4)})
    assert capsys.readouterr().out.splitlines()[1:] == [
        "shape after Dense: (3, 6)",
        "shape after Dense: (3, 1)",
    ]


def test_shapes_that_are_missing_and_loops_are_refused():
    merge = Merge([Dense(4, 6), Dense(2, 1)], mode="concat")
    with pytest.raises(DataError, match="input_0, input_1"):
        layer_utils.print_layer_shapes(merge, (3, 4))
    with pytest.raises(ConfigError, match="summary"):
        layer_utils.print_layer_shapes(Recursive(), (3, 5, 4))


# Compiled functions


def linear_model():
    """``x @ [1, 2]`` with SGD of rate 0.1, in a Sequential."""
    model = Sequential([Dense(2, 1)])
    model.set_weights([np.array([[1.0], [2.0]]), np.array([0.0])])
    model.compile(optimizers.SGD(lr=0.1), "mse", backend="python")
    return model


def test_the_compiled_functions_take_arrays_by_position():
    model = linear_model()
    x = np.array([[1.0, 0.0], [0.0, 1.0]])
    y = np.array([[0.0], [0.0]])
    assert model._predict(x).tolist() == [[1.0], [2.0]]
    assert model._test(x, y) == pytest.approx((1 + 4) / 2)
    # Weights 3 and 1: (3 * 1 + 1 * 4) / 4.
    weights = np.array([[3.0], [1.0]])
    assert model._test(x, y, weights) == pytest.approx(7 / 4)
    assert model._train(x, y) == pytest.approx(5 / 2)
    # The gradient of W is [1, 2], that of b is 3.
    W, b = model.get_weights()
    assert W.ravel() == pytest.approx([0.9, 1.8])
    assert b == pytest.approx([-0.3])


def test_accuracies_are_returned_next_to_the_loss():
    model = linear_model()
    x = np.array([[1.0, 0.0], [0.0, 1.0]])
    y = np.array([[1.0], [0.0]])
    assert model._test_with_acc(x, y) == pytest.approx((2.0, 0.5))
    assert model._train_with_acc(x, y) == pytest.approx((2.0, 0.5))


def test_the_functions_of_a_graph_return_lists_in_the_order_of_its_outputs():
    graph = Graph()
    graph.add_input("x", dim=2)
    graph.add_node(Dense(2, 1), "a", input="x")
    graph.add_node(Dense(1, 1), "b", input="a")
    graph.add_output("last", input="b")
    graph.add_output("first", input="a")
    graph.set_weights(
        [np.array([[1.0], [2.0]]), np.array([0.0]), np.array([[3.0]]), np.array([1.0])]
    )
    graph.compile("sgd", {"first": "mse", "last": "mse"}, backend="python")
    x = np.array([[1.0, 1.0]])
    last, first = graph._predict(x)
    assert (last.tolist(), first.tolist()) == ([[10.0]], [[3.0]])
    assert graph._test(x, np.array([[8.0]]), np.array([[0.0]])) == pytest.approx(4 + 9)


def test_another_number_of_arrays_is_refused():
    model = linear_model()
    with pytest.raises(DataError, match="1 arrays"):
        model._train(ROWS)
    with pytest.raises(DataError, match=r"1 arrays \(input\)"):
        model._predict(ROWS, ROWS)
