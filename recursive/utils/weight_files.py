"""Weights in files: HDF5 in the layout of Keras 0.1.3, or safetensors.

Files may come from anywhere. So their names, dtypes and shapes are checked against the
model before any array is read, and writes are atomic.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import safetensors
import safetensors.numpy

from recursive.errors import ConfigError, WeightsError
from recursive.utils.files import place_of, write_atomically

Groups = Mapping[str, Mapping[str, np.ndarray]]
"""Arrays by group (``graph``, or ``layer_0``, ``layer_1``...) and by name, in order."""

DAMAGED = (
    OSError,
    LookupError,
    TypeError,
    ValueError,
    RuntimeError,
    AttributeError,
    safetensors.SafetensorError,
)
"""The errors that reading a damaged or foreign file can raise."""


def check_target(path: str | Path) -> None:
    """Check that weights can be written to ``path``.

    Raises:
        ConfigError: for an unknown suffix, a folder, or a folder that does not exist.
    """
    _format(path)
    place_of(path)


def save_weights(path: str | Path, groups: Groups, overwrite: bool) -> None:
    """Write ``groups`` as ``.h5`` or ``.safetensors``, by the suffix of ``path``.

    Raises:
        ConfigError: for another suffix, or a file that exists unless ``overwrite``.
    """
    writer, _ = _format(path)
    if Path(path).exists() and not overwrite:
        raise ConfigError.about(
            "file",
            str(path),
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
        groups: arrays with the expected names and shapes.
        in_2015: the names in each group that HDF5 files of Keras 0.1.3 have, if not
            all. Only these are read from such a file.

    Raises:
        WeightsError: for a file that cannot be read, or with other names, numbers or
            shapes.
    """
    _, reader = _format(path)
    if not Path(path).is_file():
        raise WeightsError.about(
            "file",
            str(path),
            takes="a file of weights",
            got="no such file",
            do="Check the path.",
        )
    try:
        found = reader(path, groups, in_2015 or {})
    except WeightsError:  # a ValueError, but worded already
        raise
    except DAMAGED as error:
        raise WeightsError.about(
            "file",
            str(path),
            takes="a complete file of weights for this model",
            got=f"one that cannot be read ({error})",
            do="Save it again from a model of the same declaration.",
        ) from error
    for group, expected in groups.items():
        for name, value in found[group].items():
            _check_array(path, name, expected[name], value)
            _check_finite(path, name, value)
    return found


# Checks


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
    path: str | Path, name: str, expected: np.ndarray, found: np.ndarray | h5py.Dataset
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
    if found.shape != expected.shape:
        raise WeightsError.about(
            "parameter",
            name,
            takes=f"an array of shape {expected.shape}",
            got=f"{found.shape} in {path}",
            do="Load it into a model of the same declaration.",
        )


def _check_finite(path: str | Path, name: str, value: np.ndarray) -> None:
    if not np.isfinite(value).all():
        raise WeightsError.about(
            "parameter",
            name,
            takes="finite numbers",
            got=f"infinities or NaN in {path}",
            do="Save it again from a model that has not diverged.",
        )


# HDF5


def _write_h5(path: str, groups: Groups) -> None:
    with h5py.File(path, "w") as file:
        # Keras 0.1.3 counts the layers of a Sequential; a Graph has one group.
        if any(group.startswith("layer_") for group in groups):
            file.attrs["nb_layers"] = len(groups)
        for group, arrays in groups.items():
            h5_group = file.create_group(group)
            h5_group.attrs["nb_params"] = len(arrays)
            for index, (name, array) in enumerate(arrays.items()):
                dataset = h5_group.create_dataset(f"param_{index}", data=array)
                dataset.attrs["name"] = np.bytes_(name)


def _read_h5(
    path: str | Path, groups: Groups, in_2015: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, np.ndarray]]:
    with h5py.File(path, "r") as file:
        differing = set(file) ^ set(groups)
        if differing:
            raise KeyError(f"its groups differ in {sorted(differing)}")
        found = {}
        for group, expected in groups.items():
            names = in_2015.get(group, list(expected))
            if int(file[group].attrs["nb_params"]) == len(names):
                expected = {name: expected[name] for name in names}
            found[group] = dict(_read_group(path, file[group], expected))
        return found


def _read_group(
    path: str | Path, group: h5py.Group, expected: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the names and arrays of a group; files of 2015 have no names to compare."""
    _check_number(path, group.name, expected, int(group.attrs["nb_params"]))
    for index, (name, array) in enumerate(expected.items()):
        dataset = group[f"param_{index}"]
        if not isinstance(dataset, h5py.Dataset):
            raise ValueError(f"param_{index} of {group.name} is not an array")
        found_name = _name_of(dataset)
        if found_name not in (None, name):
            raise ValueError(
                f"param_{index} of {group.name} is {found_name}, not {name}"
            )
        # Before reading: a damaged file may declare more values than fit in memory.
        _check_array(path, name, array, dataset)
        yield name, dataset[()]


def _name_of(dataset: h5py.Dataset) -> str | None:
    """The name of the parameter in a dataset, if it has one."""
    if "name" not in dataset.attrs:
        return None
    # Reading damaged text of variable length can hang HDF5, so it is not read.
    is_fixed = dataset.attrs.get_id("name").dtype.kind == "S"
    return dataset.attrs["name"].decode() if is_fixed else None


# safetensors


def _write_safetensors(path: str, groups: Groups) -> None:
    arrays = {}
    for group, named in groups.items():
        for name, array in named.items():
            arrays[f"{group}/{name}"] = np.asarray(array, order="C")
    safetensors.numpy.save_file(arrays, path)


def _read_safetensors(
    path: str | Path, groups: Groups, in_2015: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, np.ndarray]]:
    """Read the arrays; Keras 0.1.3 did not write such files."""
    arrays = safetensors.numpy.load_file(path)
    found = {}
    expected = set()
    for group, named in groups.items():
        found[group] = {}
        for name in named:
            key = f"{group}/{name}"
            expected.add(key)
            if key in arrays:
                found[group][name] = arrays[key]
    differing = set(arrays) ^ expected
    if differing:
        raise KeyError(f"its names differ in {sorted(differing)}")
    return found


FORMATS = {
    ".h5": (_write_h5, _read_h5),
    ".hdf5": (_write_h5, _read_h5),
    ".safetensors": (_write_safetensors, _read_safetensors),
}
"""The functions that write and read a file, by suffix."""


def _format(path: str | Path) -> tuple[Callable, Callable]:
    if not isinstance(path, str | os.PathLike):
        raise ConfigError.about(
            "file",
            str(path),
            takes="a path",
            got=type(path).__name__,
            do="Pass 'weights.h5', for example.",
        )
    suffix = Path(path).suffix
    if suffix not in FORMATS:
        raise ConfigError.about(
            "file",
            str(path),
            takes=f"a suffix of {', '.join(FORMATS)}",
            got=repr(suffix),
            do="Pass 'weights.h5', for example.",
        )
    return FORMATS[suffix]
