"""The numbers of 2015, read from their files with NumPy and safetensors alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recursive.conformance import stored
from recursive.errors import UnknownNameError, suggest

CASES = Path(__file__).parent / "cases"
"""The folder of the files, with a folder for each tier."""


@dataclass(frozen=True)
class Case:
    """A case: the content of ``case.json``, and the arrays by name.

    >>> case = read("legacy2015/layers/gru")
    >>> case.about["layer"], case.arrays["out_seq"].shape
    ('GRU', (3, 6, 4))
    """

    name: str
    about: Mapping[str, object]
    arrays: Mapping[str, np.ndarray]

    def __str__(self) -> str:
        return self.name

    def part(self, prefix: str) -> dict[str, np.ndarray]:
        """The arrays called ``<prefix><name>``, by ``name``.

        Parameters come in the order of the layer, after the other arrays by name.

        >>> list(read("legacy2015/layers/simple_rnn").part("w__"))
        ['W', 'U', 'b']
        """
        order = list(self.about.get("param_order", ()))

        def place(name: str) -> tuple[int, str]:
            return (order.index(name) if name in order else -1, name)

        found = {}
        for name, array in self.arrays.items():
            if name.startswith(prefix):
                found[name.removeprefix(prefix)] = array
        return {name: found[name] for name in sorted(found, key=place)}


def names() -> tuple[str, ...]:
    """The names of all cases in the manifest."""
    return tuple(_json(CASES / "MANIFEST.json", {"cases": dict})["cases"])


def read(name: str) -> Case:
    """The case called ``name``, ``<tier>/<group>/<id>``.

    Raises:
        UnknownNameError: if there is no such case.
        DataError: for a damaged file.
    """
    if name not in names():
        raise UnknownNameError.about(
            "case",
            name,
            takes="the name of a case",
            got="an unknown one",
            do=suggest(name, names()),
        )
    folder = CASES / name
    about = _json(folder / "case.json", {})
    path = folder / "arrays.safetensors"
    arrays = {}
    if path.exists():
        arrays = stored.arrays(path, stored.content_of(path, "a file of arrays"))
    return Case(name, about, arrays)


def _json(path: Path, form: Mapping[str, object]) -> dict[str, object]:
    return stored.mapping(path, stored.content_of(path, "a file of JSON"), form)
