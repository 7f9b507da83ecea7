"""Objects that an HDF5 file holds itself.

An HDF5 file can name other files: by external and soft links, by data sets with
external storage, and by virtual data sets. Reading one would read any file of the
machine, and a pipe would never end. So everything is looked at before it is opened or
read.
"""

from __future__ import annotations

import h5py
import numpy as np

Object = h5py.Group | h5py.Dataset

ATTRIBUTE = 2**16
"""The number of bytes in an attribute that is read."""


def member(group: h5py.Group, name: str) -> Object:
    """The object called ``name`` in ``group``; names with ``/`` lead through groups.

    Raises:
        KeyError: if there is none.
        ValueError: for a link, or a data set whose values are in another file.
    """
    found = group
    for part in name.strip("/").split("/"):
        found = _child(found, part)
    return found


def _child(group: Object, name: str) -> Object:
    key = name.encode()
    if not isinstance(group, h5py.Group) or not group.id.links.exists(key):
        raise KeyError(f"{group.name} has no {name!r}")
    # Only the link is read here. Asking the group for the object would follow it.
    if group.id.links.get_info(key).type != h5py.h5l.TYPE_HARD:
        raise ValueError(f"{name} of {group.name} is a link, which may leave the file")
    found = group[name]
    if isinstance(found, h5py.Dataset):
        _check_inside(found)
    return found


def _check_inside(dataset: h5py.Dataset) -> None:
    """Raise a ValueError unless the values are in the file of the data set."""
    # Before its shape is asked for, which depends on the other files of a virtual one.
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"the values of {dataset.name} are in other files")


def check_unfiltered(dataset: h5py.Dataset) -> None:
    """Raise a ValueError for a filter.

    A compressed chunk may become a thousand times as large, whatever size it declares.
    """
    if dataset.id.get_create_plist().get_nfilters():
        raise ValueError(f"{dataset.name} is compressed or filtered")


def check_chunks(dataset: h5py.Dataset, most: int) -> None:
    """Raise a ValueError for a chunk of over ``most`` bytes.

    A whole chunk is read for each of its values.
    """
    if dataset.chunks is None:
        return
    size = int(np.prod(dataset.chunks, dtype=object)) * dataset.dtype.itemsize
    if size > most:
        raise ValueError(f"{dataset.name} has chunks of {size} bytes")


def attribute(holder: Object, name: str, kinds: str) -> object:
    """An attribute that is a single value, or None if there is none.

    Args:
        holder: the object that has it.
        name: its name.
        kinds: the letters of the kinds of dtypes that it may have. Text of variable
            length is of none: reading damaged text of it can hang HDF5.

    Raises:
        ValueError: for an attribute of another kind, a list, or a long one.
    """
    if name not in holder.attrs:
        return None
    found = holder.attrs.get_id(name)
    is_single = found.shape == () and found.get_storage_size() <= ATTRIBUTE
    if found.dtype.kind not in kinds or not is_single:
        raise ValueError(f"{name} of {holder.name} is not a single value")
    return holder.attrs[name]
