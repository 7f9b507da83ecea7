"""Limits on what a configuration or a file of weights may ask for.

A file may come from anywhere. Without limits a short one can ask for all memory of the
machine. Each limit is a number that can be assigned before a file is read::

    from recursive import limits

    limits.PARAMETERS = 200_000_000

A model that is built in Python has no limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from recursive.errors import ConfigError

JSON_TEXT = 8 * 2**20
"""The number of characters in a JSON text."""
YAML_TEXT = 2**18
"""The number of characters in a YAML text, which takes longer to read."""
DEPTH = 200
"""The number of lists and mappings around a value."""
INTEGER = 2**24
"""The largest absolute value of an integer other than a seed, such as a dim."""
LAYERS = 10_000
"""The number of layers."""
LAYER_DEPTH = 50
"""The number of layers around a layer, such as a Sequential in a Sequential."""
PARAMETERS = 20_000_000
"""The number of values in all parameters that are drawn while a file is read."""
WEIGHTS_HEADER = 8 * 2**20
"""The number of bytes in the header of a safetensors file."""
WEIGHTS_EXTRA = 16 * 2**20
"""The number of bytes that a file of weights may have besides its values."""
CHUNK = 2**20
"""The number of bytes in a chunk of an HDF5 file of weights, or the array's size."""
DATA_CHUNK = 2**28
"""The number of bytes in a chunk of the data set of an ``HDF5Matrix``."""
SUITE_FILE = 64 * 2**20
"""The number of bytes in a file of the conformance suite."""

SMALL_PARAMETER = 1000
"""The number of values that a smaller parameter counts as, for its own overhead."""

_values_left: ContextVar[int | None] = ContextVar("_values_left", default=None)


def check(kind: str, name: str, what: str, found: int, limit: str) -> None:
    """Raise a ConfigError if ``found`` is more than the limit called ``limit``.

    >>> check("config", "model", "layers", 20_000, "LAYERS")
    Traceback (most recent call last):
        ...
    recursive.errors.ConfigError: config 'model' takes at most 10000 layers; got \
20000. If you trust the file, assign a larger recursive.limits.LAYERS.
    """
    most = globals()[limit]
    if found > most:
        raise ConfigError.about(
            kind,
            name,
            takes=f"at most {most} {what}",
            got=str(found) if found < 2**63 else "an integer of more than 63 bits",
            do=f"If you trust the file, assign a larger recursive.limits.{limit}.",
        )


def check_data(name: str, data: object) -> None:
    """Check the depth and the numbers of plain data.

    Raises:
        ConfigError: for a depth above :data:`DEPTH`, an integer above
            :data:`INTEGER`, or a float that is not finite.
    """
    # A loop rather than recursion, which deep data would exhaust.
    level = [data]
    depth = 0
    while level:
        check("config", name, "levels", depth, "DEPTH")
        level = list(_items(name, level))
        depth += 1


def _items(name: str, containers: Sequence[object]) -> Iterator[object]:
    """The items of all lists and mappings among ``containers``."""
    for container in containers:
        if isinstance(container, Mapping):
            for key, value in container.items():
                # A seed may be any integer of 32 bits, which its layer checks.
                if key != "seed" or not _is_short_integer(value):
                    yield value
        elif isinstance(container, list | tuple):
            yield from container
        elif isinstance(container, int):
            size = abs(container)
            check("config", name, "as the size of an integer", size, "INTEGER")
        elif isinstance(container, float) and not math.isfinite(container):
            raise ConfigError.about(
                "config",
                name,
                takes="finite numbers",
                got=repr(container),
                do="Correct the file.",
            )


def _is_short_integer(value: object) -> bool:
    return isinstance(value, int) and abs(value) < 2**63


@contextmanager
def counting_parameters() -> Iterator[None]:
    """Limit the values that are drawn inside the block to :data:`PARAMETERS`."""
    before = _values_left.set(PARAMETERS)
    try:
        yield
    finally:
        _values_left.reset(before)


def count_parameter(shape: Sequence[int]) -> None:
    """Count a parameter before its values are drawn.

    Raises:
        ConfigError: inside :func:`counting_parameters`, if there are too many values.
    """
    left = _values_left.get()
    if left is None:
        return
    values = max(math.prod(shape), SMALL_PARAMETER)
    check(
        "config",
        "model",
        "values in all parameters",
        PARAMETERS - left + values,
        "PARAMETERS",
    )
    _values_left.set(left - values)
