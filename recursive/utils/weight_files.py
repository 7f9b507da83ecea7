"""Weights in files: HDF5 in the layout of Keras 0.1.3, or safetensors.

Files may come from anywhere. So their names, dtypes, shapes and sizes are checked
against the model before any array is read, and writes are atomic. A file holds a
checksum of its arrays, which is compared if it is there: files of Keras have none.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from recursive import limits
from recursive.errors import ConfigError, RecursiveError, WeightsError
from recursive.utils import hdf5, safetensors_file
from recursive.utils.files import (
    check_place,
    checked_path,
    existing_file,
    system_number,
    write_atomically,
)

Groups = Mapping[str, Mapping[str, np.ndarray]]
"""Arrays by group (``graph``, or ``layer_0``, ``layer_1``...) and by name, in order."""

Found = tuple[dict[str, dict[str, np.ndarray]], str | None]
"""The arrays of a file by group and name, and its checksum."""

CHECKSUM = "sha256"
"""The name of the checksum: an attribute of HDF5, or an entry of the metadata."""

DAMAGED = (
    OSError,
    LookupError,
    TypeError,
    ValueError,
    RuntimeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)
"""The errors that reading a damaged or foreign file can raise."""


def check_target(path: str | Path) -> None:
    """Check that weights can be written to ``path``, by creating a file in its folder.

    Raises:
        ConfigError: for an unknown suffix, a folder, a read-only file, or a folder that
            does not exist or cannot be written.
    """
    _format(path)
    check_place(path)


def save_weights(path: str | Path, groups: Groups, overwrite: bool) -> None:
    """Write ``groups`` as ``.h5`` or ``.safetensors``, by the suffix of ``path``.

    Raises:
        ConfigError: for another suffix, a file that exists unless ``overwrite``, or a
            place that cannot be written.
        WeightsError: for values that are not finite, which no model could load.
    """
    writer, _ = _format(path)
    path = checked_path(path)
    for arrays in groups.values():
        for name, array in arrays.items():
            _check_finite(name, array, "the model")
    # os.path rather than Path: no error for a name that is too long.
    if not overwrite and _is_there(path):
        raise ConfigError.of_file(
            path,
            errno.EEXIST,
            takes="overwrite=True",
            got="a file that exists",
            do="Choose another name, or pass overwrite=True.",
        )
    write_atomically(path, lambda temporary: writer(temporary, groups))


def load_weights(
    path: str | Path, groups: Groups, in_2015: Mapping[str, Sequence[str]] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Read the arrays of a file, by group and by name.

    Args:
        path: the file.
        groups: arrays with the expected names, shapes and dtypes.
        in_2015: the names in each group that HDF5 files of Keras 0.1.3 have, if not
            all. Only these are read from such a file.

    Raises:
        WeightsError: for a file that cannot be read, or with other names, numbers or
            shapes, a wrong checksum, or values that are not finite in these dtypes.
    """
    _, reader = _format(path)
    path = existing_file(path, WeightsError, "a file of weights")
    try:
        _check_size(path, groups)
        found, checksum = reader(path, groups, in_2015 or {})
    except RecursiveError:  # a ValueError, but worded already
        raise
    except DAMAGED as error:
        raise WeightsError.about(
            "file",
            str(path),
            takes="a complete file of weights for this model",
            got=f"one that cannot be read ({error})",
            do="Save it again from a model of the same declaration.",
        ) from error
    if checksum is not None:
        _check_checksum(path, found, checksum)
    loaded = {}
    for group, expected in groups.items():
        loaded[group] = {}
        for name, value in found[group].items():
            _check_array(path, name, expected[name], value)
            with np.errstate(over="ignore"):
                cast = value.astype(expected[name].dtype, copy=False)
            # After the cast, which makes 1e39 infinite in float32.
            _check_finite(name, cast, str(path))
            loaded[group][name] = cast
    return loaded


# Checks


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # the writer says what is wrong with the path
        return False


def _check_size(path: Path, groups: Groups) -> None:
    """Raise a ValueError for a file that is too large to be one of ``groups``."""
    values = 0
    for arrays in groups.values():
        values += sum(array.size for array in arrays.values())
    # A number has at most 16 bytes.
    most = 16 * values + limits.WEIGHTS_EXTRA
    size = path.stat().st_size
    if size > most:
        raise ValueError(
            f"it has {size} bytes, too many for {values} numbers, "
            f"with limits.WEIGHTS_EXTRA {limits.WEIGHTS_EXTRA}"
        )


def _checksum(names: Iterable[tuple[str, np.ndarray]]) -> str:
    """The sha256 of the arrays with their names, dtypes and shapes, sorted by name."""
    digest = hashlib.sha256()
    for name, array in sorted(names, key=lambda item: item[0]):
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name} {little.dtype.str} {array.shape}\n".encode())
        digest.update(np.asarray(little, order="C").reshape(-1).view("u1"))
    return digest.hexdigest()


def _named(groups: Groups) -> dict[str, np.ndarray]:
    """The arrays of all groups as ``group/name``."""
    named = {}
    for group, arrays in groups.items():
        for name, array in arrays.items():
            named[f"{group}/{name}"] = np.asarray(array)
    return named


def _check_checksum(path: Path, found: Groups, expected: str) -> None:
    checksum = _checksum(_named(found).items())
    if checksum != expected:
        raise WeightsError.about(
            "file",
            str(path),
            takes=f"arrays with the {CHECKSUM} {expected}, as when it was saved",
            got=checksum,
            do="It was damaged or changed: save it again.",
        )


def _check_number(
    path: str | Path, group: str, expected: Mapping[str, np.ndarray], found: int
) -> None:
    if found != len(expected):
        raise WeightsError.about(
            "file",
            str(path),
            takes=f"{len(expected)} arrays in {group}",
            because=f"the model has {', '.join(expected) or 'no parameters there'}",
            got=str(found),
            do="Load it into a model of the same declaration.",
        )


def _check_array(
    path: str | Path,
    name: str,
    expected: np.ndarray,
    found: np.ndarray | h5py.Dataset | safetensors_file.Entry,
) -> None:
    """Check the dtype and shape of an array, which may still be in its file."""
    if found.dtype.kind not in "fiu":
        raise WeightsError.about(
            "parameter",
            name,
            takes="an array of numbers",
            got=f"{found.dtype} in {path}",
            do="Save it again as float32 or float64.",
        )
    if not np.can_cast(found.dtype, expected.dtype, "same_kind"):
        raise WeightsError.about(
            "parameter",
            name,
            takes=f"an array of {expected.dtype}",
            got=f"{found.dtype} in {path}, which a cast would change",
            do="Save it again from a model of the same declaration.",
        )
    if found.shape != expected.shape:
        raise WeightsError.about(
            "parameter",
            name,
            takes=f"an array of shape {expected.shape}",
            got=f"{found.shape} in {path}",
            do="Load it into a model of the same declaration.",
        )


def _check_finite(name: str, value: np.ndarray, place: str) -> None:
    if not np.isfinite(value).all():
        raise WeightsError.about(
            "parameter",
            name,
            takes=f"finite numbers of {value.dtype}",
            got=f"infinities or NaN in {place}",
            do="Save it again from a model that has not diverged.",
        )


# HDF5


def _write_h5(path: str, groups: Groups) -> None:
    try:
        with h5py.File(path, "w") as file:
            _fill_h5(file, groups)
    except (OSError, RuntimeError) as error:
        # HDF5 has the number of the system's error in its words only.
        raise OSError(system_number(error), str(error)) from error


def _fill_h5(file: h5py.File, groups: Groups) -> None:
    # Keras 0.1.3 counts the layers of a Sequential; a Graph has one group.
    if any(group.startswith("layer_") for group in groups):
        file.attrs["nb_layers"] = len(groups)
    file.attrs[CHECKSUM] = np.bytes_(_checksum(_named(groups).items()))
    for group, arrays in groups.items():
        h5_group = file.create_group(group)
        h5_group.attrs["nb_params"] = len(arrays)
        for index, (name, array) in enumerate(arrays.items()):
            dataset = h5_group.create_dataset(f"param_{index}", data=array)
            dataset.attrs["name"] = np.bytes_(name)


def _read_h5(path: Path, groups: Groups, in_2015: Mapping[str, Sequence[str]]) -> Found:
    with h5py.File(path, "r") as file:
        differing = set(file) ^ set(groups)
        if differing:
            raise KeyError(f"its groups differ in {sorted(differing)}")
        found = {}
        for group, expected in groups.items():
            h5_group = hdf5.member(file, group)
            names = in_2015.get(group, list(expected))
            if _number_of_arrays(h5_group) == len(names):
                expected = {name: expected[name] for name in names}
            found[group] = dict(_read_group(path, h5_group, expected))
        return found, _text(file, CHECKSUM)


def _read_group(
    path: Path, group: h5py.Group, expected: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the names and arrays of a group; files of 2015 have no names to compare."""
    _check_number(path, group.name, expected, _number_of_arrays(group))
    for index, (name, array) in enumerate(expected.items()):
        dataset = hdf5.member(group, f"param_{index}")
        if not isinstance(dataset, h5py.Dataset):
            raise ValueError(f"param_{index} of {group.name} is not an array")
        found_name = _text(dataset, "name")
        if found_name not in (None, name):
            raise ValueError(
                f"param_{index} of {group.name} is {found_name}, not {name}"
            )
        # Before reading: a damaged file may declare more values than fit in memory.
        _check_array(path, name, array, dataset)
        hdf5.check_unfiltered(dataset)
        hdf5.check_chunks(dataset, max(limits.CHUNK, array.nbytes))
        yield name, dataset[()]


def _number_of_arrays(group: h5py.Group) -> int:
    number = hdf5.attribute(group, "nb_params", kinds="iu")
    if number is None:
        raise KeyError(f"{group.name} does not say its number of arrays")
    return int(number)


def _text(holder: hdf5.Object, name: str) -> str | None:
    """A text in an attribute, if it is there and of fixed length."""
    if name not in holder.attrs or holder.attrs.get_id(name).dtype.kind != "S":
        return None
    return hdf5.attribute(holder, name, kinds="S").decode()


# safetensors


def _write_safetensors(path: str, groups: Groups) -> None:
    named = _named(groups)
    with open(path, "wb") as file:
        metadata = {CHECKSUM: _checksum(named.items())}
        safetensors_file.write(file, named, metadata)


def _read_safetensors(
    path: Path, groups: Groups, in_2015: Mapping[str, Sequence[str]]
) -> Found:
    """Read the arrays; Keras 0.1.3 did not write such files."""
    expected = _named(groups)

    def check(entries: safetensors_file.Entries) -> None:
        differing = set(entries) ^ set(expected)
        if differing:
            raise KeyError(f"its names differ in {sorted(differing)}")
        for name, entry in entries.items():
            _check_array(path, name, expected[name], entry)

    with path.open("rb") as file:
        arrays, metadata = safetensors_file.read(file, check)
    found = {}
    for group, named in groups.items():
        found[group] = {name: arrays[f"{group}/{name}"] for name in named}
    return found, metadata.get(CHECKSUM)


FORMATS = {
    ".h5": (_write_h5, _read_h5),
    ".hdf5": (_write_h5, _read_h5),
    ".safetensors": (_write_safetensors, _read_safetensors),
}
"""The functions that write and read a file, by suffix."""


def _format(path: str | Path) -> tuple[Callable, Callable]:
    suffix = checked_path(path).suffix
    if suffix not in FORMATS:
        raise ConfigError.about(
            "file",
            str(path),
            takes=f"a suffix of {', '.join(FORMATS)}",
            got=repr(suffix),
            do="Pass 'weights.h5', for example.",
        )
    return FORMATS[suffix]
