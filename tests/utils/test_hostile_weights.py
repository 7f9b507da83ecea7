"""Files of weights that reach out, ask for memory, or were changed."""

import errno
import json
import os
import pickle
import stat
import subprocess
import sys

import h5py
import numpy as np
import pytest
import safetensors.numpy

from recursive import limits
from recursive.errors import ConfigError, RecursiveError, WeightsError
from recursive.layers.core import Dense
from recursive.models import Sequential
from recursive.utils import files, weight_files
from recursive.utils.io_utils import HDF5Matrix
from recursive.utils.weight_files import load_weights, save_weights

GROUPS = {"graph": {"W": np.arange(24.0).reshape(4, 6), "b": np.arange(6.0)}}
SUFFIXES = [".h5", ".safetensors"]
SECRET = np.arange(24.0).tobytes()


def h5_with(path, make):
    """A file for GROUPS whose W is what ``make`` puts in the group."""
    with h5py.File(path, "w") as file:
        group = file.create_group("graph")
        group.attrs["nb_params"] = 2
        group["param_1"] = np.arange(6.0)
        make(group)
    return path


# Files that reach out


def external_storage(group):
    group.create_dataset(
        "param_0", (4, 6), "float64", external=[("secret", 0, len(SECRET))]
    )


def virtual(group):
    layout = h5py.VirtualLayout((4, 6), "float64")
    layout[...] = h5py.VirtualSource("other.h5", "W", (4, 6))
    group.create_virtual_dataset("param_0", layout)


def external_link(group):
    group["param_0"] = h5py.ExternalLink("other.h5", "/W")


def soft_link(group):
    group["/elsewhere"] = np.arange(24.0).reshape(4, 6)
    group["param_0"] = h5py.SoftLink("/elsewhere")


def link_to_a_pipe(group):
    group["param_0"] = h5py.ExternalLink("pipe.h5", "/W")


REACHING = [external_storage, virtual, external_link, soft_link, link_to_a_pipe]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a secret, another HDF5 file and a pipe, which nobody fills."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(SECRET)
    with h5py.File("other.h5", "w") as file:
        file["W"] = np.arange(24.0).reshape(4, 6)
    os.mkfifo("pipe.h5")
    return tmp_path


@pytest.mark.parametrize("make", REACHING)
def test_h5_that_names_another_file_is_refused(folder, make):
    h5_with("w.h5", make)
    if make is soft_link:
        # A second group is refused before; the link itself is looked at here.
        with h5py.File("w.h5", "a") as file:
            file.move("/elsewhere", "/graph/elsewhere")
    with pytest.raises(WeightsError, match=r"link|other files"):
        load_weights("w.h5", GROUPS)


def test_a_group_that_is_a_link_is_refused(folder):
    with h5py.File("w.h5", "w") as file:
        file["graph"] = h5py.ExternalLink("pipe.h5", "/graph")
    with pytest.raises(WeightsError, match="link"):
        load_weights("w.h5", GROUPS)


@pytest.mark.parametrize("make", REACHING)
def test_hdf5_matrix_reads_its_own_file_only(folder, make):
    h5_with("data.h5", make)
    with pytest.raises(ConfigError, match=r"link|other files"):
        HDF5Matrix("data.h5", "graph/param_0")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, suffix):
    os.mkfifo(tmp_path / f"w{suffix}")
    with pytest.raises(WeightsError, match="a pipe or a device"):
        load_weights(tmp_path / f"w{suffix}", GROUPS)
    with pytest.raises(ConfigError, match="a pipe or a device"):
        HDF5Matrix(tmp_path / f"w{suffix}", "X")


# Memory


def in_little_memory(code, *arguments):
    """Run ``code`` in a process that may use 512 MB more than it starts with."""
    start = """
import resource, sys
import numpy as np
from recursive.errors import RecursiveError
from recursive.utils.weight_files import load_weights
GROUPS = {"graph": {"W": np.zeros((4, 6)), "b": np.zeros(6)}}
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 512 * 2**20,) * 2)
"""
    done = subprocess.run(
        [sys.executable, "-c", start + code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LOAD = """
try:
    load_weights(sys.argv[1], GROUPS)
except RecursiveError as error:
    print(error)
"""


def sparse_safetensors(path):
    """A file of few blocks that declares and has 6 GB."""
    values = 6 * 2**30 // 8
    header = {"graph/W": {"dtype": "F64", "shape": [values]}}
    header["graph/W"]["data_offsets"] = [0, values * 8]
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + values * 8)


def header_of_a_terabyte(path):
    path.write_bytes((2**40).to_bytes(8, "little") + b"{}")


def long_sparse_header(path):
    with open(path, "wb") as file:
        file.write((2**33).to_bytes(8, "little") + b"{}")
        file.truncate(2**33 + 8)


def long_header(path):
    text = b"[" * (15 * 2**20)
    path.write_bytes(len(text).to_bytes(8, "little") + text)


def deep_header(path):
    text = b"[" * 2**20
    path.write_bytes(len(text).to_bytes(8, "little") + text)


@pytest.mark.parametrize(
    "make",
    [
        sparse_safetensors,
        header_of_a_terabyte,
        long_sparse_header,
        long_header,
        deep_header,
    ],
)
def test_large_safetensors_are_refused_in_little_memory(tmp_path, make):
    make(tmp_path / "w.safetensors")
    assert "file of weights" in in_little_memory(LOAD, tmp_path / "w.safetensors")


def large_chunks(group):
    """One chunk of 3.2 GB, which compresses to nothing."""
    group.create_dataset(
        "param_0",
        (4, 6),
        "float64",
        maxshape=(None, None),
        chunks=(20_000, 20_000),
        fillvalue=1.0,
    )


def compressed(group):
    data = np.zeros((4, 6))
    group.create_dataset("param_0", data=data, compression="gzip")


@pytest.mark.parametrize("make", [large_chunks, compressed])
def test_large_and_compressed_chunks_are_refused_in_little_memory(tmp_path, make):
    path = h5_with(tmp_path / "w.h5", make)
    assert "file of weights" in in_little_memory(LOAD, path)


def test_sparse_h5_is_refused(tmp_path):
    path = tmp_path / "w.h5"
    save_weights(path, GROUPS, overwrite=False)
    os.truncate(path, 2**33)
    with pytest.raises(WeightsError, match=r"limits\.WEIGHTS_EXTRA"):
        load_weights(path, GROUPS)


def test_a_limit_can_be_raised(tmp_path, monkeypatch):
    path = h5_with(
        tmp_path / "w.h5",
        lambda group: group.create_dataset(
            "param_0", data=np.ones((4, 6)), maxshape=(None, None), chunks=(512, 512)
        ),
    )
    with pytest.raises(WeightsError, match="chunks of 2097152 bytes"):
        load_weights(path, GROUPS)
    monkeypatch.setattr(limits, "CHUNK", 2**21)
    assert load_weights(path, GROUPS)["graph"]["W"].sum() == 24


BROKEN_HEADERS = {
    "a gap": {
        "graph/W": ("F64", [4, 6], [8, 200]),
        "graph/b": ("F64", [6], [200, 248]),
    },
    "an overlap": {
        "graph/W": ("F64", [4, 6], [0, 192]),
        "graph/b": ("F64", [6], [0, 48]),
    },
    "a negative place": {
        "graph/W": ("F64", [4, 6], [-192, 0]),
        "graph/b": ("F64", [6], [0, 48]),
    },
    "a size that differs": {
        "graph/W": ("F64", [4, 6], [0, 100]),
        "graph/b": ("F64", [6], [100, 148]),
    },
    "a fraction": {
        "graph/W": ("F64", [4, 6.0], [0, 192]),
        "graph/b": ("F64", [6], [192, 240]),
    },
    "a dtype that is a list": {
        "graph/W": (["F64"], [4, 6], [0, 192]),
        "graph/b": ("F64", [6], [192, 240]),
    },
}


@pytest.mark.parametrize("name", BROKEN_HEADERS)
def test_a_header_that_does_not_describe_the_file_is_refused(tmp_path, name):
    header = {}
    for array, (dtype, shape, offsets) in BROKEN_HEADERS[name].items():
        header[array] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    text = json.dumps(header).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(240))
    with pytest.raises(WeightsError, match="a complete file of weights"):
        load_weights(path, GROUPS)


def test_safetensors_that_the_package_wrote_are_read(tmp_path):
    arrays = {f"graph/{name}": value for name, value in GROUPS["graph"].items()}
    path = tmp_path / "w.safetensors"
    safetensors.numpy.save_file(arrays, path, metadata={"format": "np"})
    found = load_weights(path, GROUPS)
    np.testing.assert_array_equal(found["graph"]["W"], GROUPS["graph"]["W"])


# The checksum


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_flipped_bit_in_the_arrays_is_found(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    save_weights(path, GROUPS, overwrite=False)
    content = bytearray(path.read_bytes())
    place = content.index(np.float64(5.0).tobytes() + np.float64(6.0).tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="takes arrays with the sha256"):
        load_weights(path, GROUPS)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_without_a_checksum_is_read(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"w{suffix}"
    monkeypatch.setattr(weight_files, "CHECKSUM", "unused")
    save_weights(path, GROUPS, overwrite=False)
    monkeypatch.undo()
    np.testing.assert_array_equal(
        load_weights(path, GROUPS)["graph"]["W"], GROUPS["graph"]["W"]
    )


# Values that a cast makes infinite


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_values_are_finite_in_the_dtype_of_the_model(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    save_weights(path, {"graph": {"W": np.array([1e39])}}, overwrite=False)
    with pytest.raises(WeightsError, match="takes finite numbers of float32"):
        load_weights(path, {"graph": {"W": np.float32([0])}})


def test_integers_do_not_take_fractions(tmp_path):
    path = tmp_path / "w.h5"
    save_weights(path, {"graph": {"W": np.array([1.5])}}, overwrite=False)
    with pytest.raises(WeightsError, match="takes an array of int64"):
        load_weights(path, {"graph": {"W": np.array([1])}})


# Modes, leftovers, a full disk


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_that_is_saved_again_keeps_its_mode(tmp_path, suffix, mode):
    path = tmp_path / f"w{suffix}"
    save_weights(path, GROUPS, overwrite=False)
    path.chmod(mode)
    save_weights(path, GROUPS, overwrite=True)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_nobody_can_read_a_private_file_while_it_is_written(tmp_path):
    path = tmp_path / "private"
    path.touch(mode=0o600)

    def write(temporary):
        assert stat.S_IMODE(os.stat(temporary).st_mode) == 0o600

    files.write_atomically(path, write)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_read_only_file_is_not_replaced(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    save_weights(path, GROUPS, overwrite=False)
    path.chmod(0o444)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="got a read-only file") as caught:
        save_weights(path, GROUPS, overwrite=True)
    assert isinstance(caught.value, PermissionError)
    assert path.read_bytes() == before


def test_temporary_files_of_processes_that_ended_are_removed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    )
    ended = tmp_path / f"{files._prefix()}{done.stdout.strip()}-0123.h5"
    running = tmp_path / f"{files._prefix()}{os.getpid()}-0123.h5"
    of_another_machine = tmp_path / f".recursive-01234567-{done.stdout.strip()}-0.h5"
    kept = {running, of_another_machine, tmp_path / "w.h5"}
    for path in (ended, running, of_another_machine):
        path.touch()
    save_weights(tmp_path / "w.h5", GROUPS, overwrite=False)
    assert set(tmp_path.iterdir()) == kept


KILLED = """
import os, signal, sys
from recursive.utils import files
files.write_atomically(sys.argv[1], lambda path: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path):
    subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "w.h5"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert len(list(tmp_path.iterdir())) == 1
    save_weights(tmp_path / "w.h5", GROUPS, overwrite=False)
    assert list(tmp_path.iterdir()) == [tmp_path / "w.h5"]


FULL = """
import resource, signal, sys
import numpy as np
from recursive.utils.weight_files import save_weights
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16,) * 2)
try:
    save_weights(sys.argv[1], {"graph": {"W": np.ones(2**17)}}, overwrite=True)
except ValueError as error:
    print(type(error).__name__, isinstance(error, OSError), error.errno, error)
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_disk_that_is_full_is_an_error_of_this_library(tmp_path, suffix):
    path = tmp_path / f"w{suffix}"
    save_weights(path, GROUPS, overwrite=False)
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FULL, path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(f"ConfigError True {errno.EFBIG} file"), done
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_errors_of_the_disk_name_the_file(tmp_path, number):
    def write(temporary):
        raise OSError(number, os.strerror(number))

    with pytest.raises(ConfigError, match=os.strerror(number)) as caught:
        files.write_atomically(tmp_path / "w.h5", write)
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == number
    assert caught.value.filename == str(tmp_path / "w.h5")


# Paths


BAD_PATHS = {
    "NUL": ("a\0b.h5", None),
    "half of a character": ("\ud800.h5", None),
    "300 letters": ("x" * 300 + ".h5", OSError),
    "a loop of links": ("loop.h5", OSError),
    "a file as a folder": ("file/w.h5", OSError),
    "a folder that is not there": ("none/w.h5", FileNotFoundError),
    "a folder": ("folder.h5", IsADirectoryError),
}


@pytest.mark.parametrize("name", BAD_PATHS)
def test_every_bad_path_is_an_error_of_this_library_and_the_system(tmp_path, name):
    (tmp_path / "loop.h5").symlink_to(tmp_path / "loop.h5")
    (tmp_path / "file").touch()
    (tmp_path / "folder.h5").mkdir()
    text, os_class = BAD_PATHS[name]
    path = str(tmp_path / text)
    model = Sequential([Dense(4, 6)])
    calls = [
        lambda: model.save_weights(path),
        lambda: model.save_weights(path, overwrite=True),
        lambda: model.load_weights(path),
        lambda: weight_files.check_target(path),
        lambda: files.write_text(path, "text"),
        lambda: HDF5Matrix(path, "X"),
    ]
    for call in calls:
        with pytest.raises(RecursiveError) as caught:
            call()
        if os_class is not None and "got a file that exists" not in str(caught.value):
            assert isinstance(caught.value, os_class)


def test_a_missing_file_is_a_file_not_found_error_too(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file") as caught:
        load_weights(tmp_path / "w.h5", GROUPS)
    assert isinstance(caught.value, WeightsError)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(copy, WeightsError) and isinstance(copy, FileNotFoundError)
    assert (str(copy), copy.errno) == (str(caught.value), errno.ENOENT)


def test_a_file_that_may_not_be_read_is_a_permission_error(tmp_path, monkeypatch):
    path = tmp_path / "w.h5"
    save_weights(path, GROUPS, overwrite=False)

    def forbidden(*arguments, **keywords):
        raise PermissionError(errno.EACCES, "Permission denied")

    # The administrator, who may run the tests, can read any file.
    monkeypatch.setattr(type(path), "open", forbidden)
    with pytest.raises(PermissionError) as caught:
        load_weights(path, GROUPS)
    assert isinstance(caught.value, WeightsError)
