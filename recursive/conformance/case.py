"""One case of the suite, read from its files; NumPy and safetensors are all it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load

from recursive.errors import UnknownNameError, suggest

CASES = Path(__file__).parent / "cases"
"""Where the files are, a folder a tier."""


@dataclass(frozen=True)
class Case:
    """What ``case.json`` says, and the arrays by name.

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
        """The arrays that are called ``<prefix><name>``, by ``name``: parameters in their order, others sorted.

        >>> list(read("legacy2015/layers/simple_rnn").part("w__"))
        ['W', 'U', 'b']
        """
        found = {
            name.removeprefix(prefix): array
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }
        order = list(self.about.get("param_order", ()))
        return dict(
            sorted(
                found.items(),
                key=lambda item: (
                    order.index(item[0]) if item[0] in order else -1,
                    item[0],
                ),
            )
        )


def names() -> tuple[str, ...]:
    """The names of all cases, as the manifest lists them."""
    return tuple(json.loads((CASES / "MANIFEST.json").read_text())["cases"])


def read(name: str) -> Case:
    """The case called ``name``, ``<tier>/<group>/<id>``.

    Raises:
        UnknownNameError: where there is none.
    """
    if name not in names():
        raise UnknownNameError.about(
            "case",
            name,
            takes="the name of a case",
            because="its files are read",
            got="an unknown one",
            do=suggest(name, names()),
        )
    folder = CASES / name
    arrays = folder / "arrays.safetensors"
    return Case(
        name,
        json.loads((folder / "case.json").read_text(encoding="utf-8")),
        load(arrays.read_bytes()) if arrays.exists() else {},
    )
