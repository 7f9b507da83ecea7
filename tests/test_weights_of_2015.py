"""Weights as Keras 0.1.3 had them: fewer arrays than weights, files without means."""

import h5py
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from recursive import (
    GRU,
    Activation,
    AutoEncoder,
    BatchNormalization,
    Dense,
    Graph,
    MaxoutDense,
    Sequential,
    SimpleRNN,
)
from recursive.errors import WeightsError

GAMMA = np.array([1.0, 2.0, 3.0, 4.0])
BETA = np.array([0.5, 0.0, -0.5, 1.0])


# The argument weights


@pytest.mark.parametrize("cls", [SimpleRNN, GRU])
def test_parameters_without_an_array_keep_their_first_values(cls):
    W = np.full((4, 6), 0.25)
    layer = cls(4, 6, weights=[W], seed=3)
    drawn = cls(4, 6, seed=3).get_weights()
    found = layer.get_weights()
    assert found[0].tolist() == W.tolist()
    for value, first in zip(found[1:], drawn[1:], strict=True):
        assert value.tolist() == first.tolist()


def test_a_dense_of_weights_without_a_bias_has_a_bias_of_zeros():
    layer = Dense(2, 3, weights=[np.ones((2, 3))])
    assert layer(np.array([[1.0, 2.0]])).eval().tolist() == [[3.0, 3.0, 3.0]]


def test_an_autoencoder_may_be_given_the_weights_of_its_encoder():
    W, b = np.ones((3, 2)), np.array([1.0, 2.0])
    coder = AutoEncoder(Dense(3, 2), Dense(2, 3, seed=5), weights=[W, b])
    found = coder.get_weights()
    assert (found[0].tolist(), found[1].tolist()) == (W.tolist(), b.tolist())
    assert found[2].tolist() == Dense(2, 3, seed=5).get_weights()[0].tolist()


@pytest.mark.parametrize(
    "build",
    [
        lambda weights: SimpleRNN(4, 6, weights=weights),
        lambda weights: MaxoutDense(4, 6, weights=weights),
        lambda weights: Dense(4, 6, weights=weights),
    ],
)
def test_too_many_arrays_and_other_shapes_are_refused(build):
    with pytest.raises(WeightsError, match="arrays"):
        build([np.ones((4, 6))] * 5)
    with pytest.raises(WeightsError, match="an array of shape"):
        build([np.ones((6, 4))])


def test_set_weights_takes_all_arrays_or_the_parameters():
    layer = SimpleRNN(4, 6)
    with pytest.raises(WeightsError, match="takes 3 arrays"):
        layer.set_weights([np.ones((4, 6))])


# BatchNormalization


def test_batch_normalization_takes_gamma_and_beta_alone():
    layer = BatchNormalization(4, weights=[GAMMA, BETA])
    # Before training the running mean is 0 and the running deviation is 1.
    x = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 2.0, 0.0, 2.0]])
    expected = GAMMA * x / (1 + 1e-6) + BETA
    assert layer(x).eval() == pytest.approx(expected)


def test_running_means_keep_their_values_when_parameters_are_set():
    model = Sequential([BatchNormalization(4)])
    model.set_weights([GAMMA, BETA, np.full(4, 2.0), np.full(4, 4.0)])
    model.set_weights([BETA, GAMMA])
    found = [array.tolist() for array in model.get_weights()]
    assert found == [BETA.tolist(), GAMMA.tolist(), [2.0] * 4, [4.0] * 4]
    with pytest.raises(WeightsError, match="takes 4 arrays"):
        model.set_weights([GAMMA, BETA, GAMMA])


def test_the_shape_of_batch_normalization_may_include_the_rows():
    layer = BatchNormalization((3, 4), weights=[np.ones((3, 4)), np.zeros((3, 4))])
    x = np.arange(12.0).reshape(3, 4)
    layer.input = x
    # Each column is m - 4, m, m + 4: its variance is 32 / 3.
    deviation = np.sqrt(32 / 3 + 1e-6) + 1e-6
    column = np.array([[-4.0], [0.0], [4.0]]) / deviation
    assert layer.get_output(True).eval() == pytest.approx(np.repeat(column, 4, axis=1))


@pytest.mark.parametrize("floatx", ["float32", "float64"])
def test_an_array_of_integers_can_be_assigned_as_input(floatx):
    with pytensor.config.change_flags(floatX=floatx):
        layer = BatchNormalization(3, mode=1, weights=[np.ones(3), np.ones(3)])
        layer.input = np.array([1, 2, 3])
        found = layer.get_output(True).eval()
    deviation = np.sqrt(2 / 3) + 1e-6
    expected = np.array([-1.0, 0.0, 1.0]) / deviation + 1
    assert found.dtype == floatx
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("make", [np.asarray, pytensor.shared])
def test_float64_assigned_as_input_is_read_as_floatx(make):
    with pytensor.config.change_flags(floatX="float32"):
        layer = Dense(2, 3, weights=[np.ones((2, 3))])
        layer.input = make(np.array([[1.0, 2.0]], dtype="float64"))
        found = layer.get_output().eval()
    assert found.dtype == "float32"
    assert found.tolist() == [[3.0, 3.0, 3.0]]


def test_a_layer_reads_an_array_as_floatx_and_leaves_a_symbol_as_it_is():
    x = np.array([[1.0, 2.0]], dtype="float64")
    with pytensor.config.change_flags(floatX="float32"):
        layer = Dense(2, 3, weights=[np.ones((2, 3))])
        found = layer(x).eval()
        assert (found.dtype, found.tolist()) == ("float32", [[3.0, 3.0, 3.0]])
        assert Dense(2, 3)(pt.dmatrix()).dtype == "float64"
        steps = np.ones((3, 5, 4), dtype="float64")
        assert GRU(4, 6)(steps, mask=np.ones((3, 5))).eval().dtype == "float32"


# Files


def write_as_in_2015(path, groups, graph=False):
    """A file of Keras 0.1.3: arrays by number, without names."""
    with h5py.File(path, "w") as file:
        if not graph:
            file.attrs["nb_layers"] = len(groups)
        for name, arrays in groups.items():
            group = file.create_group(name)
            group.attrs["nb_params"] = len(arrays)
            for index, array in enumerate(arrays):
                group.create_dataset(f"param_{index}", data=array)


def test_a_chain_reads_a_file_of_2015_which_has_no_running_means(tmp_path):
    W, b = np.arange(8.0).reshape(4, 2), np.array([1.0, -1.0])
    arrays = {"layer_0": [GAMMA, BETA], "layer_1": [], "layer_2": [W, b]}
    write_as_in_2015(tmp_path / "w.h5", arrays)
    model = Sequential([BatchNormalization(4), Activation("linear"), Dense(4, 2)])
    model.layers[0].running_mean.set_value(np.full(4, 2.0))
    model.load_weights(tmp_path / "w.h5")
    found = [array.tolist() for array in model.get_weights()]
    assert found[:2] == [GAMMA.tolist(), BETA.tolist()]
    assert found[2:4] == [[2.0] * 4, [1.0] * 4]
    assert found[4:] == [W.tolist(), b.tolist()]


def test_a_graph_reads_a_file_of_2015_which_has_no_running_means(tmp_path):
    W, b = np.arange(8.0).reshape(4, 2), np.array([1.0, -1.0])
    write_as_in_2015(tmp_path / "w.h5", {"graph": [GAMMA, BETA, W, b]}, graph=True)
    model = Graph()
    model.add_input("x", dim=4)
    model.add_node(BatchNormalization(4), "norm", input="x")
    model.add_node(Dense(4, 2), "y", input="norm", create_output=True)
    model.load_weights(tmp_path / "w.h5")
    found = {name: value.get_value() for name, value in model.named_weights.items()}
    assert found["norm.gamma"].tolist() == GAMMA.tolist()
    assert found["norm.running_std"].tolist() == [1.0] * 4
    assert found["y.W"].tolist() == W.tolist()


def test_a_file_of_2015_with_another_number_of_arrays_is_refused(tmp_path):
    model = Sequential([BatchNormalization(4)])
    before = [array.tolist() for array in model.get_weights()]
    write_as_in_2015(tmp_path / "w.h5", {"layer_0": [GAMMA, BETA, BETA]})
    with pytest.raises(WeightsError, match="takes 4 arrays"):
        model.load_weights(tmp_path / "w.h5")
    assert [array.tolist() for array in model.get_weights()] == before
