"""Arrays in files: read batch by batch, with the numbers of the same arrays in memory."""

import h5py
import numpy as np
import pytest

from recursive import Dense, Embedding, Graph, Recursive, Sequential, errors
from recursive.training.rows import LazyRows, is_lazy
from recursive.utils.io_utils import HDF5Matrix

RNG = np.random.default_rng(2015)
X = RNG.normal(size=(11, 4)).astype("float32")
Y = RNG.normal(size=(11, 2))


class Dataset:
    """An array that h5py would have on a disk, which notes the rows that are read."""

    def __init__(self, array):
        self._array = array
        self.shape = array.shape
        self.dtype = array.dtype
        self.reads = []

    def __len__(self):
        return len(self._array)

    def __getitem__(self, key):
        if not isinstance(key, slice):
            assert np.all(np.diff(key) > 0), "h5py takes increasing numbers only"
        found = self._array[key]
        self.reads.append(len(found))
        return found

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("read as a whole")


def dense():
    model = Sequential([Dense(4, 6, activation="tanh"), Dense(6, 2)])
    model.compile("sgd", "mse")
    return model


def twins(build=dense):
    first, second = build(), build()
    second.set_weights(first.get_weights())
    return first, second


@pytest.mark.parametrize("shuffle", [False, True, "batch"])
@pytest.mark.parametrize("split", [0.0, 0.3])
def test_no_more_than_a_batch_is_read_at_once(shuffle, split):
    in_memory, from_file = twins()
    x, y = Dataset(X), Dataset(Y)
    settings = {
        "batch_size": 4,
        "nb_epoch": 2,
        "verbose": 0,
        "shuffle": shuffle,
        "validation_split": split,
    }
    np.random.seed(1)
    expected = in_memory.fit(X, Y, **settings).history
    np.random.seed(1)
    assert from_file.fit(x, y, **settings).history == expected
    assert max(x.reads) == max(y.reads) == 4
    assert sum(x.reads) == sum(y.reads) == 22, "each row once in each epoch"

    assert from_file.evaluate(x, y, 4, verbose=0) == in_memory.evaluate(
        X, Y, 4, verbose=0
    )
    np.testing.assert_array_equal(from_file.predict(x, 4), in_memory.predict(X, 4))
    assert max(x.reads) == max(y.reads) == 4


@pytest.mark.parametrize("kind", ["h5py", "HDF5Matrix", "memmap"])
def test_every_kind_of_file_gives_the_numbers_of_arrays(kind, tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["X"], file["y"] = X, Y
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", Y)
    with h5py.File(path, "r") as file:
        if kind == "h5py":
            x, y = file["X"], file["y"]
        elif kind == "HDF5Matrix":
            x, y = HDF5Matrix(path, "X"), HDF5Matrix(path, "y")
        else:
            x = np.load(tmp_path / "X.npy", mmap_mode="r")
            y = np.load(tmp_path / "y.npy", mmap_mode="r")
        assert is_lazy(x) and is_lazy(y)
        in_memory, from_file = twins()
        settings = {"batch_size": 4, "nb_epoch": 2, "verbose": 0}
        np.random.seed(1)
        expected = in_memory.fit(X, Y, validation_split=0.2, **settings).history
        np.random.seed(1)
        found = from_file.fit(x, y, validation_split=0.2, **settings).history
        assert found == expected
        assert from_file.train_on_batch(x, y) == in_memory.train_on_batch(X, Y)
        held_out = {"validation_data": (x, y), "shuffle": "batch"}
        assert np.isfinite(from_file.fit(x, y, **held_out, **settings).history["loss"])[
            0
        ]


@pytest.mark.parametrize(
    "value", [X, X.tolist(), None, "text", 3, np.float64(1), object()]
)
def test_what_is_in_memory_is_not_read_by_rows(value):
    assert not is_lazy(value)


def test_a_series_of_pandas_is_not_indexed_by_label():
    pandas = pytest.importorskip("pandas")
    assert not is_lazy(pandas.Series([1.0, 2.0], index=[1, 0]))


def test_rows_in_a_file_are_cast_and_checked_when_they_are_read():
    model = Sequential([Embedding(5, 3)])
    model.compile("sgd", "mse")
    words = np.ones((11, 2), "int64")
    words[9, 1] = 5
    y = np.zeros((11, 2, 3))
    with pytest.raises(errors.DataError) as caught:
        model.fit(Dataset(words), y, batch_size=4, nb_epoch=1, verbose=0, shuffle=False)
    message = str(caught.value)
    assert "takes integers from 0 to 4" in message
    assert "This is batch 3 of epoch 1." in message
    assert "The model holds the weights after batch 2 of epoch 1." in message
    with pytest.raises(errors.DtypeError, match="takes integers that fit"):
        model.predict(Dataset(np.full((3, 2), 0.5)))


def test_rows_of_another_shape_than_declared_are_refused(tmp_path):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["X"] = X
    rows = HDF5Matrix(path, "X", normalizer=lambda read: read[:, :2])
    with pytest.raises(errors.ShapeError, match=r"rows of shape \(4,\).*\(2,\)"):
        dense().predict(rows)


def test_a_column_of_targets_gets_its_last_axis():
    in_memory, from_file = twins(lambda: compiled(Sequential([Dense(4, 1)])))
    column = Dataset(Y[:, 0])
    assert from_file.evaluate(X, column, 4, verbose=0) == in_memory.evaluate(
        X, Y[:, 0], 4, verbose=0
    )
    assert max(column.reads) == 4


def compiled(model, loss="mse"):
    model.compile("sgd", loss)
    return model


def test_class_weights_are_looked_up_batch_by_batch():
    classes = np.eye(2)[RNG.integers(0, 2, 11)]
    in_memory, from_file = twins()
    settings = {
        "batch_size": 4,
        "nb_epoch": 2,
        "verbose": 0,
        "shuffle": False,
        "class_weight": {0: 1.0, 1: 2.5},
    }
    expected = in_memory.fit(X, classes, **settings).history
    target = Dataset(classes)
    assert from_file.fit(X, target, **settings).history == expected
    assert max(target.reads) == 4


def graph():
    model = Graph()
    model.add_input("x", dim=4)
    model.add_node(Dense(2), "y", input="x", create_output=True)
    return compiled(model, {"y": "mse"})


def test_a_graph_and_a_loop_read_files_too():
    in_memory, from_file = twins(graph)
    rows, data = {"x": X, "y": Y}, {"x": Dataset(X), "y": Dataset(Y)}
    settings = {"batch_size": 4, "nb_epoch": 2, "verbose": 0, "shuffle": False}
    expected = in_memory.fit(rows, **settings).history
    assert from_file.fit(data, **settings).history == expected
    assert max(data["x"].reads) == 4

    rnn = Recursive()
    rnn.add_input("x", dim=4)
    rnn.add_state("h", dim=6)
    rnn.add_node(
        Dense(10, 6),
        "rec",
        inputs=["x", "h"],
        return_state="h",
        create_output=True,
    )
    sequences = RNG.normal(size=(7, 5, 4))
    found = rnn.predict(Dataset(sequences), batch_size=3)
    np.testing.assert_array_equal(found, rnn.predict(sequences, batch_size=3))


def test_a_view_of_rows_reads_nothing():
    source = Dataset(np.arange(8.0))
    rows = LazyRows(source, (), "float64", lambda read: read)
    view = rows.part(2, 7).part(1, 4)
    assert (len(view), view.shape, source.reads) == (3, (3,), [])
    assert view[:].tolist() == [3.0, 4.0, 5.0]
    assert view[np.array([2, 0, 2])].tolist() == [5.0, 3.0, 5.0]
    assert source.reads == [3, 2]


def test_an_array_of_the_right_dtype_is_not_copied_by_fit(monkeypatch):
    model = dense()
    x = X.astype("float64")
    seen = []
    run = model._run

    def noting(kind, arrays):
        seen.append(np.shares_memory(arrays["input"], x))
        return run(kind, arrays)

    monkeypatch.setattr(model, "_run", noting)
    model.fit(x, Y, nb_epoch=1, verbose=0, shuffle="batch", validation_split=0.2)
    assert seen == [True, True]
