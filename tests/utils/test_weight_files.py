"""Weights in files: the layout, atomic writes, and the files that are refused."""

import json
import os
import signal
import stat
import struct
import subprocess
import sys

import h5py
import numpy as np
import pytest
import safetensors.numpy

from recursive import backend
from recursive.errors import ConfigError, ShapeError, WeightsError
from recursive.layers.core import Activation, Dense, Layer
from recursive.models import Graph, Recursive, Sequential
from recursive.utils import weight_files
from recursive.utils.files import write_atomically
from recursive.utils.weight_files import load_weights, save_weights

SUFFIXES = [".h5", ".hdf5", ".safetensors"]
GROUPS = {
    "layer_0": {"W": np.arange(24.0).reshape(4, 6), "b": np.arange(6.0)},
    "layer_1": {},
    "layer_2": {"W": np.full((6, 2), 0.5), "b": np.zeros(2)},
}
OTHERS = {
    group: {name: array + 100.0 for name, array in arrays.items()}
    for group, arrays in GROUPS.items()
}
"""Like GROUPS, with other numbers."""


def chain():
    return Sequential([Dense(4, 6, activation="tanh"), Activation("tanh"), Dense(6, 2)])


def graph(nodes=("a", "b")):
    model = Graph()
    model.add_input("x", dim=4)
    for name in nodes:
        model.add_node(Dense(4, 6), name, input="x", create_output=True)
    return model


def loop():
    model = Recursive()
    model.add_input("x", dim=4)
    model.add_state("h", dim=6)
    model.add_node(Dense(4, 6), "i2h", input="x")
    model.add_node(Dense(6, 6), "h2h", input="h")
    model.add_node(
        Activation("tanh"),
        "rec",
        inputs=["i2h", "h2h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    return model


def assert_equal_groups(found, groups):
    assert list(found) == list(groups)
    for group, arrays in groups.items():
        assert list(found[group]) == list(arrays)
        for name, array in arrays.items():
            value = found[group][name]
            np.testing.assert_array_equal(value, array)


# The layout


def test_h5_of_a_chain_has_a_group_for_each_layer_as_in_keras_0_1_3(tmp_path):
    model = chain()
    model.save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "r") as file:
        assert file.attrs["nb_layers"] == 3
        assert set(file.attrs) == {"nb_layers", "sha256"}
        assert list(file) == ["layer_0", "layer_1", "layer_2"]
        assert [file[layer].attrs["nb_params"] for layer in file] == [2, 0, 2]
        for layer, dense in (
            ("layer_0", model.layers[0]),
            ("layer_2", model.layers[2]),
        ):
            assert list(file[layer]) == ["param_0", "param_1"]
            np.testing.assert_array_equal(file[layer]["param_0"], dense.W.get_value())
            np.testing.assert_array_equal(file[layer]["param_1"], dense.b.get_value())


@pytest.mark.parametrize("make", [graph, loop])
def test_h5_of_a_graph_has_one_group_with_all_weights_as_in_keras_0_1_3(tmp_path, make):
    model = make()
    model.save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "r") as file:
        assert list(file) == ["graph"]
        assert list(file.attrs) == ["sha256"]
        assert dict(file["graph"].attrs) == {"nb_params": 4}
        for index, weight in enumerate(model.get_weights()):
            np.testing.assert_array_equal(file["graph"][f"param_{index}"], weight)


def test_h5_keeps_the_order_of_more_than_ten_parameters(tmp_path):
    many = {
        "graph": {f"node{index}.W": np.array([float(index)]) for index in range(12)}
    }
    save_weights(tmp_path / "w.h5", many, overwrite=False)
    assert_equal_groups(load_weights(tmp_path / "w.h5", many), many)


def test_h5_that_keras_0_1_3_wrote_is_read(tmp_path):
    with h5py.File(tmp_path / "keras.h5", "w") as file:
        file.attrs["nb_layers"] = 3
        for group, arrays in GROUPS.items():
            inside = file.create_group(group)
            inside.attrs["nb_params"] = len(arrays)
            for index, array in enumerate(arrays.values()):
                inside.create_dataset(f"param_{index}", array.shape, dtype="float64")[
                    ...
                ] = array
    model = chain()
    model.load_weights(tmp_path / "keras.h5")
    for weight, array in zip(
        model.get_weights(),
        [*GROUPS["layer_0"].values(), *GROUPS["layer_2"].values()],
        strict=True,
    ):
        np.testing.assert_array_equal(weight, array)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (chain, ["layer_0/W", "layer_0/b", "layer_2/W", "layer_2/b"]),
        (graph, ["graph/a.W", "graph/a.b", "graph/b.W", "graph/b.b"]),
    ],
)
def test_safetensors_names_each_tensor_by_its_group_and_name(tmp_path, make, names):
    model = make()
    model.save_weights(tmp_path / "w.safetensors")
    found = safetensors.numpy.load_file(tmp_path / "w.safetensors")
    assert sorted(found) == names
    for name, weight in zip(names, model.get_weights(), strict=True):
        np.testing.assert_array_equal(found[name], weight)


# There and back


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("make", [chain, graph, loop])
def test_weights_come_back_as_they_were(tmp_path, make, suffix):
    saved, other = make(), make()
    saved.save_weights(str(tmp_path / f"w{suffix}"))
    other.load_weights(str(tmp_path / f"w{suffix}"))
    for found, expected in zip(other.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == "float64"


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(24.0).reshape(4, 6)),
        np.arange(24.0)[::4],
        np.zeros((0, 4)),
        np.float32([1.5]),
    ],
)
def test_arrays_of_any_memory_layout_come_back(tmp_path, array, suffix):
    groups = {"graph": {"w": array}}
    save_weights(tmp_path / f"w{suffix}", groups, overwrite=False)
    [found] = load_weights(tmp_path / f"w{suffix}", groups)["graph"].values()
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


@pytest.mark.parametrize("suffix", [".h5", ".safetensors"])
def test_single_number_comes_back(tmp_path, suffix):
    groups = {"graph": {"scale": np.array(2.5)}}
    save_weights(tmp_path / f"w{suffix}", groups, overwrite=False)
    assert_equal_groups(load_weights(tmp_path / f"w{suffix}", groups), groups)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_model_without_parameters_is_saved_and_loaded(tmp_path, suffix):
    model = Sequential([Activation("tanh")])
    model.save_weights(tmp_path / f"w{suffix}")
    model.load_weights(tmp_path / f"w{suffix}")


# Refused


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_existing_file_is_overwritten_only_when_asked(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    save_weights(path, GROUPS, overwrite=False)
    with pytest.raises(
        ConfigError, match="takes overwrite=True; got a file that exists"
    ):
        save_weights(path, OTHERS, overwrite=False)
    assert_equal_groups(load_weights(path, GROUPS), GROUPS)
    save_weights(path, OTHERS, overwrite=True)
    assert_equal_groups(load_weights(path, GROUPS), OTHERS)


@pytest.mark.parametrize("name", ["weights.npz", "weights", "weights.h5.bak", ".h5"])
def test_unknown_suffix_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(
        ConfigError, match=r"takes a suffix of \.h5, \.hdf5, \.safetensors"
    ):
        save_weights(tmp_path / name, GROUPS, overwrite=False)
    with pytest.raises(ConfigError, match="takes a suffix"):
        load_weights(tmp_path / name, GROUPS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_file_is_told_of(tmp_path, suffix):
    with pytest.raises(WeightsError, match="no such file"):
        load_weights(tmp_path / f"w{suffix}", GROUPS)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kept", [0, 1, 8, 0.3, 0.6, 0.97, -1])
def test_empty_and_truncated_files_are_refused(tmp_path, suffix, kept):
    path = tmp_path / f"w{suffix}"
    save_weights(path, GROUPS, overwrite=False)
    whole = path.read_bytes()
    path.write_bytes(
        whole[: int(kept * len(whole)) if isinstance(kept, float) else kept]
    )
    with pytest.raises(WeightsError, match="takes a complete file of weights"):
        load_weights(path, GROUPS)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_file_of_something_else_is_refused(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(b"These are not weights. " * 100)
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(path, GROUPS)


def changed(**layers):
    return GROUPS | layers


WRONG = {
    "another shape": changed(layer_0={"W": np.zeros((6, 4)), "b": np.zeros(6)}),
    "another number of axes": changed(layer_0={"W": np.zeros(24), "b": np.zeros(6)}),
    "one array too few": changed(layer_0={"W": np.zeros((4, 6))}),
    "a layer too few": {
        name: arrays for name, arrays in GROUPS.items() if name != "layer_2"
    },
    "another group": {"graph": GROUPS["layer_0"]},
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("wrong", WRONG)
def test_file_of_other_weights_is_refused_and_nothing_is_changed(
    tmp_path, wrong, suffix
):
    path = tmp_path / f"w{suffix}"
    save_weights(path, WRONG[wrong], overwrite=False)
    model = chain()
    before = model.get_weights()
    with pytest.raises(WeightsError):
        load_weights(path, GROUPS)
    with pytest.raises(WeightsError):
        model.load_weights(path)
    for found, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, kept)


EXTRA = {
    "one array too many": changed(layer_1={"W": np.zeros(3)}),
    "a layer too many": changed(layer_3={"W": np.zeros((2, 2)), "b": np.zeros(2)}),
}


@pytest.mark.parametrize(
    ("extra", "suffix"),
    [
        ("one array too many", ".h5"),
        ("one array too many", ".safetensors"),
        ("a layer too many", ".safetensors"),
        ("a layer too many", ".h5"),
    ],
)
def test_file_of_more_weights_than_the_model_has_is_refused(tmp_path, extra, suffix):
    save_weights(tmp_path / f"w{suffix}", EXTRA[extra], overwrite=False)
    with pytest.raises(WeightsError):
        load_weights(tmp_path / f"w{suffix}", GROUPS)


@pytest.mark.parametrize("suffix", [".safetensors", ".h5"])
def test_file_of_other_names_is_refused(tmp_path, suffix):
    save_weights(
        tmp_path / f"w{suffix}", {"graph": {"a.W": np.zeros(3)}}, overwrite=False
    )
    with pytest.raises(WeightsError):
        load_weights(tmp_path / f"w{suffix}", {"graph": {"b.W": np.zeros(3)}})


@pytest.mark.parametrize("suffix", [".safetensors", ".h5"])
def test_weights_never_go_to_a_node_of_another_name(tmp_path, suffix):
    saved, other = graph(("a", "b")), graph(("b", "a"))
    saved.save_weights(tmp_path / f"w{suffix}")
    try:
        other.load_weights(tmp_path / f"w{suffix}")
    except WeightsError:
        return
    np.testing.assert_array_equal(
        other.nodes["a"].W.get_value(), saved.nodes["a"].W.get_value()
    )


BROKEN_H5 = {
    "text for numbers": lambda group: group.create_dataset(
        "param_0", data=np.full((2, 3), b"abc")
    ),
    "complex numbers": lambda group: group.create_dataset(
        "param_0", data=np.full((2, 3), 1j)
    ),
    "a group for an array": lambda group: group.create_group("param_0"),
    "text for a count": lambda group: group.attrs.__setitem__("nb_params", "one"),
    "a list for a count": lambda group: group.attrs.__setitem__("nb_params", [1, 1]),
}


@pytest.mark.parametrize("broken", BROKEN_H5)
def test_h5_with_something_else_in_the_place_of_an_array_is_refused(tmp_path, broken):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        group = file.create_group("graph")
        group.attrs["nb_params"] = 1
        BROKEN_H5[broken](group)
    with pytest.raises(WeightsError):
        load_weights(tmp_path / "w.h5", {"graph": {"W": np.zeros((2, 3))}})


@pytest.mark.parametrize("mark", [b"SNOD", b"HEAP", b"TREE"])
def test_h5_with_a_damaged_table_of_contents_is_refused(tmp_path, mark):
    path = tmp_path / "w.h5"
    save_weights(path, GROUPS, overwrite=False)
    path.write_bytes(path.read_bytes().replace(mark, b"XXXX", 1))
    with pytest.raises(WeightsError):
        load_weights(path, GROUPS)


def test_h5_holds_no_text_of_variable_length(tmp_path):
    save_weights(tmp_path / "w.h5", GROUPS, overwrite=False)
    with h5py.File(tmp_path / "w.h5", "r") as file:
        for group in file.values():
            for holder in (group, *group.values()):
                assert all(
                    holder.attrs.get_id(name).dtype.kind != "O" for name in holder.attrs
                )


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("BF16", 2),
        ("C64", 8),
        ("F8_E4M3", 1),
    ],
)
def test_safetensors_of_numbers_that_numpy_cannot_use_is_refused(tmp_path, kind, size):
    header = json.dumps(
        {"layer_0/scale": {"dtype": kind, "shape": [3], "data_offsets": [0, 3 * size]}}
    ).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(3 * size))
    with pytest.raises(WeightsError):
        Sequential([Scale()]).load_weights(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_model_whose_parameters_cannot_be_drawn_yet_is_not_saved_as_empty(
    tmp_path, suffix
):
    with pytest.raises(ShapeError):
        Sequential([Dense(6), Dense(2)]).save_weights(tmp_path / f"w{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_parameters_that_can_be_drawn_by_now_are_saved(tmp_path, suffix):
    saved, other = (Sequential([Dense(4, 6), Dense(2)]) for _ in range(2))
    saved.save_weights(tmp_path / f"w{suffix}")
    other.load_weights(tmp_path / f"w{suffix}")
    assert [weight.shape for weight in other.get_weights()] == [
        (4, 6),
        (6,),
        (6, 2),
        (2,),
    ]
    for found, expected in zip(other.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


class Scale(Layer):
    """A layer with three numbers as parameter."""

    def __init__(self):
        super().__init__()
        self.scale = backend.shared(np.ones(3))
        self.params = [self.scale]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_weights_of_another_float_are_cast_to_that_of_the_model(tmp_path, suffix):
    save_weights(
        tmp_path / f"w{suffix}",
        {"layer_0": {"scale": np.float32([1, 2, 3])}},
        overwrite=False,
    )
    model = Sequential([Scale()])
    model.load_weights(tmp_path / f"w{suffix}")
    [found] = model.get_weights()
    assert found.dtype == "float64"
    np.testing.assert_array_equal(found, [1.0, 2.0, 3.0])


# Whole or not at all


def half_then(error):
    def write(path):
        with open(path, "wb") as file:
            file.write(b"half of it")
        raise error

    return write


@pytest.mark.parametrize(
    "error", [OSError("disk full"), ZeroDivisionError(), KeyboardInterrupt()]
)
def test_writer_that_fails_midway_leaves_the_old_file_and_no_other(tmp_path, error):
    path = tmp_path / "w.h5"
    path.write_bytes(b"old")
    with pytest.raises(type(error)):
        write_atomically(path, half_then(error))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_writer_that_fails_midway_makes_no_file(tmp_path):
    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "w.h5", half_then(OSError("disk full")))
    assert list(tmp_path.iterdir()) == []


def test_writer_sees_the_suffix_and_never_the_file_itself(tmp_path):
    path, seen = tmp_path / "w.safetensors", []
    path.write_bytes(b"old")

    def write(temporary):
        seen.append(temporary)
        assert path.read_bytes() == b"old"
        with open(temporary, "wb") as file:
            file.write(b"new")

    write_atomically(path, write)
    assert path.read_bytes() == b"new"
    assert seen[0] != str(path) and seen[0].endswith(".safetensors")
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, signal, sys
import numpy as np
from recursive.utils import weight_files

suffix = os.path.splitext(sys.argv[1])[1]
write, read = weight_files.FORMATS[suffix]

def half_then_killed(path, groups):
    write(path, groups)
    os.truncate(path, os.path.getsize(path) // 2)
    os.kill(os.getpid(), signal.SIGKILL)

weight_files.FORMATS[suffix] = half_then_killed, read
weight_files.save_weights(sys.argv[1], {"graph": {"W": np.ones(3)}}, overwrite=True)
"""


@pytest.mark.skipif(
    not hasattr(signal, "SIGKILL"), reason="processes are not killed so on this system"
)
@pytest.mark.parametrize("suffix", [".h5", ".safetensors"])
def test_process_killed_while_it_writes_leaves_the_old_file_whole(tmp_path, suffix):
    path, groups = tmp_path / f"w{suffix}", {"graph": {"W": np.arange(3.0)}}
    save_weights(path, groups, overwrite=False)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, path],
        env=environment,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert_equal_groups(load_weights(path, groups), groups)
    others = {"graph": {"W": np.full(3, 7.0)}}
    save_weights(path, others, overwrite=True)
    assert_equal_groups(load_weights(path, groups), others)


@pytest.fixture
def umask():
    """Sets the umask of this process and restores the previous one."""
    before = os.umask(0)
    os.umask(before)
    yield os.umask
    os.umask(before)


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002, 0o077])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_mode_of_the_file_is_that_of_any_new_file(tmp_path, umask, mask, suffix):
    umask(mask)
    save_weights(tmp_path / f"w{suffix}", GROUPS, overwrite=False)
    (tmp_path / "any").write_bytes(b"")
    modes = [
        stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (f"w{suffix}", "any")
    ]
    assert modes == [0o666 & ~mask] * 2
    assert umask(mask) == mask, "the umask is put back"


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_file_behind_a_symbolic_link_is_written(tmp_path):
    path, link = tmp_path / "run_7.h5", tmp_path / "latest.h5"
    save_weights(path, GROUPS, overwrite=False)
    link.symlink_to(path)
    save_weights(link, OTHERS, overwrite=True)
    assert link.is_symlink()
    assert_equal_groups(load_weights(path, GROUPS), OTHERS)


def test_missing_folder_is_told_of(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        save_weights(tmp_path / "nowhere" / "w.h5", GROUPS, overwrite=False)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_by_the_parameters_name(
    tmp_path, suffix, value
):
    path = tmp_path / f"w{suffix}"
    spoilt = {"graph": {"i2h.b": np.array([1.0, value])}}
    refused = r"parameter 'i2h\.b' takes finite numbers"
    with pytest.raises(WeightsError, match=refused):
        save_weights(path, spoilt, overwrite=False)
    assert not path.exists()
    with open(path, "wb"):
        weight_files.FORMATS[suffix][0](str(path), spoilt)
    with pytest.raises(WeightsError, match=refused):
        load_weights(path, {"graph": {"i2h.b": np.zeros(2)}})


@pytest.mark.parametrize("shape", [(10**6, 10**6), (2**40,), (4, 7)])
def test_an_array_of_another_shape_is_refused_before_it_is_read(tmp_path, shape):
    """HDF5 stores only written chunks: a file may declare more than fits in memory."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        group = file.create_group("graph")
        group.attrs["nb_params"] = 1
        group.create_dataset("param_0", shape, "float64", chunks=(1,) * len(shape))
    with pytest.raises(
        WeightsError, match=r"^parameter 'W' takes an array of shape \(4, 6\)"
    ):
        load_weights(tmp_path / "w.h5", {"graph": {"W": np.zeros((4, 6))}})


@pytest.mark.parametrize("path", [None, 3, b"w.h5", ["w.h5"]])
def test_what_is_no_path_is_refused(path):
    for call in (chain().save_weights, chain().load_weights):
        with pytest.raises(ConfigError, match="takes a path; got"):
            call(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_is_not_overwritten(tmp_path, suffix, overwrite):
    (tmp_path / f"w{suffix}").mkdir()
    with pytest.raises(ConfigError, match=r"got a folder|got a file that exists"):
        chain().save_weights(tmp_path / f"w{suffix}", overwrite=overwrite)
    with pytest.raises(WeightsError, match="got a folder"):
        chain().load_weights(tmp_path / f"w{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [f"w{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_umask_of_the_process_which_other_threads_share_is_left_alone(
    tmp_path, suffix, monkeypatch
):
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
    save_weights(tmp_path / f"w{suffix}", GROUPS, overwrite=False)
