"""Weights in files: HDF5 in the layout of Keras 0.1.3, or safetensors. Written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np
import safetensors
import safetensors.numpy

from recursive.errors import ConfigError, WeightsError
from recursive.utils.files import place_of, write_atomically

Groups = Mapping[str, Mapping[str, np.ndarray]]
"""Weights by group (``graph``, or ``layer_0``, ``layer_1``...) and by name, in their order."""


def check_target(path: str | Path) -> None:
    """Tell at once whether weights can be written there.

    Raises:
        ConfigError: for an unknown suffix, a folder, or a place in a folder that does not exist.
    """
    _format(path)
    place_of(path)


def save_weights(path: str | Path, groups: Groups, overwrite: bool) -> None:
    """Write ``groups`` as ``.h5`` or ``.safetensors``, as the suffix says.

    Raises:
        ConfigError: for another suffix, or a file that exists unless ``overwrite``.
    """
    writer, _ = _format(path)
    if Path(path).exists() and not overwrite:
        raise ConfigError.about(
            "file",
            str(path),
            takes="overwrite=True",
            because="it would be lost",
            got="a file that exists",
            do="Choose another name, or pass overwrite=True.",
        )
    write_atomically(path, lambda temporary: writer(temporary, groups))


def load_weights(path: str | Path, groups: Groups) -> dict[str, list[np.ndarray]]:
    """The arrays in a file, checked against ``groups``, which are of the names, numbers and shapes expected.

    Raises:
        WeightsError: for a file that cannot be read, or other names, numbers or shapes.
    """
    _, reader = _format(path)
    if not Path(path).is_file():
        raise WeightsError.about(
            "file",
            str(path),
            takes="a file of weights",
            because="they are read from it",
            got="no such file",
            do="Look at the path again.",
        )
    try:
        found = reader(path, groups)
    except WeightsError:
        raise
    except (
        OSError,
        LookupError,
        TypeError,
        ValueError,
        RuntimeError,
        AttributeError,
        safetensors.SafetensorError,
    ) as error:
        raise WeightsError.about(
            "file",
            str(path),
            takes="a whole file of weights for this model",
            because="every parameter is read from it",
            got=f"one that cannot be read ({error})",
            do="Save it again from a model of the same declaration.",
        ) from error
    for group, arrays in groups.items():
        for (name, array), value in zip(arrays.items(), found[group], strict=True):
            _check_kind(path, name, array, value)
            if not np.isfinite(value).all():
                raise WeightsError.about(
                    "parameter",
                    name,
                    takes="finite numbers",
                    because="it is computed with",
                    got=f"infinite ones, or none, in {path}",
                    do="Save it again from a model that has not diverged.",
                )
    return found


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


def _check_kind(
    path: str | Path, name: str, expected: np.ndarray, found: np.ndarray | h5py.Dataset
) -> None:
    """Whether an array, or one that is still in its file, is of the kind and shape that is expected."""
    if found.dtype.kind not in "fiu":
        raise WeightsError.about(
            "parameter",
            name,
            takes="an array of numbers",
            because="it is computed with",
            got=f"{found.dtype} in {path}",
            do="Save it again as float32 or float64.",
        )
    if found.shape != expected.shape:
        raise WeightsError.about(
            "parameter",
            name,
            takes=f"an array of shape {expected.shape}",
            because="the model was declared with it",
            got=f"{found.shape} in {path}",
            do="Load it into a model of the same declaration.",
        )


def _write_h5(path: str, groups: Groups) -> None:
    with h5py.File(path, "w") as file:
        if any(group.startswith("layer_") for group in groups):
            file.attrs["nb_layers"] = len(groups)
        for group, arrays in groups.items():
            inside = file.create_group(group)
            inside.attrs["nb_params"] = len(arrays)
            for index, (name, array) in enumerate(arrays.items()):
                inside.create_dataset(f"param_{index}", data=array).attrs["name"] = (
                    np.bytes_(name)
                )


def _read_h5(path: str | Path, groups: Groups) -> dict[str, list[np.ndarray]]:
    with h5py.File(path, "r") as file:
        if set(file) != set(groups):
            raise KeyError(f"its groups differ in {sorted(set(file) ^ set(groups))}")
        return {
            group: list(_read_group(path, file[group], named))
            for group, named in groups.items()
        }


def _read_group(
    path: str | Path, group: h5py.Group, expected: Mapping[str, np.ndarray]
) -> Iterator[np.ndarray]:
    """The arrays of a group in their order; names are compared where the file has any, which 2015's had not.

    What a file says of its arrays is checked first: it may say more than there is room for.
    """
    _check_number(path, group.name, expected, int(group.attrs["nb_params"]))
    for index, (name, array) in enumerate(expected.items()):
        dataset = group[f"param_{index}"]
        if not isinstance(dataset, h5py.Dataset):
            raise ValueError(f"param_{index} of {group.name} is no array")
        if _name_of(dataset) not in (None, name):
            raise ValueError(
                f"param_{index} of {group.name} is {_name_of(dataset)}, not {name}"
            )
        _check_kind(path, name, array, dataset)
        yield dataset[()]


def _name_of(dataset: h5py.Dataset) -> str | None:
    """The name beside an array; text of fixed length only, since a damaged one of any length can hang HDF5."""
    fixed = "name" in dataset.attrs and dataset.attrs.get_id("name").dtype.kind == "S"
    return dataset.attrs["name"].decode() if fixed else None


def _write_safetensors(path: str, groups: Groups) -> None:
    arrays = {
        f"{group}/{name}": np.asarray(array, order="C")
        for group, named in groups.items()
        for name, array in named.items()
    }
    safetensors.numpy.save_file(arrays, path)


def _read_safetensors(path: str | Path, groups: Groups) -> dict[str, list[np.ndarray]]:
    arrays = safetensors.numpy.load_file(path)
    expected = {f"{group}/{name}" for group, named in groups.items() for name in named}
    if set(arrays) != expected:
        raise KeyError(f"its names differ in {sorted(set(arrays) ^ expected)}")
    return {
        group: [arrays[f"{group}/{name}"] for name in named]
        for group, named in groups.items()
    }


FORMATS = {
    ".h5": (_write_h5, _read_h5),
    ".hdf5": (_write_h5, _read_h5),
    ".safetensors": (_write_safetensors, _read_safetensors),
}
"""How each suffix is written and read."""


def _format(path: str | Path) -> tuple[Callable, Callable]:
    if not isinstance(path, str | os.PathLike):
        raise ConfigError.about(
            "file",
            str(path),
            takes="a path",
            because="it is read or written there",
            got=type(path).__name__,
            do="Say weights.h5, for example.",
        )
    suffix = Path(path).suffix
    if suffix not in FORMATS:
        raise ConfigError.about(
            "file",
            str(path),
            takes=f"a suffix of {', '.join(FORMATS)}",
            because="it decides the format",
            got=repr(suffix),
            do="Say weights.h5, for example.",
        )
    return FORMATS[suffix]
