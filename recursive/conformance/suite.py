"""The suite as files: a folder for each case, and a manifest with their hashes.

``v1.0/cases/<area>/<id>/case.json`` says what runs and with which tolerance.
``arrays.safetensors`` next to it holds every number, by a name with a prefix:

    given     param/<name> in/<name> mask state0/<name> draw/<name> cot/<output>
    expected  out/<name> final/<state> node/<value> grad/param/<name> grad/in/<name>
    training  target/<output>, expected are step/loss trained/<param>

A case of several batches has the arrays of each under ``b0/``, ``b1/`` and so on, and
one set of parameters. ``v1.0/invalid/<id>.json`` is a declaration that must be refused.

``MANIFEST.json`` lists the cases with the sha256 of each file. A file that differs from
its hash is an error: the committed numbers are the suite.

A later version has a folder with the cases that it adds, and a manifest that names the
version it extends. The cases of that one are read where they are, unchanged.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from recursive.conformance import stored
from recursive.conformance.versions import DRAFTS, VERSION, VERSIONS
from recursive.errors import ConfigError, DataError, UnknownNameError, suggest
from recursive.spec.graph import GraphSpec


def folder_of(version: str) -> Path:
    """The folder of the files that a version adds."""
    return Path(__file__).parent / f"v{version}"


FOLDER = folder_of(VERSION)
"""The folder of version 1.0."""

FILES = ("case.json", "arrays.safetensors")
"""The files of a case."""

MANIFEST_FORM = {
    "version": str,
    "cases": [
        {
            "id": str,
            "area": str,
            "capabilities": [str],
            "sha256": dict.fromkeys(FILES, str),
        }
    ],
    "invalid": [{"id": str, "code": str, "sha256": str}],
}
CASE_FORM = {
    "version": str,
    "dtype": str,
    "tolerance": {"outputs": float, "grads": float, "steps": float},
    "id": str,
    "area": str,
    "spec": dict,
    "call": {"batches": int, "train": bool},
}
INVALID_FORM = {"version": str, "id": str, "code": str, "spec": object}
"""The keys of the files that the runner reads, with their types."""

ID_PATTERNS = {"cases": "[a-z0-9-]+/[a-z0-9-]+", "invalid": "[a-z0-9-]+"}
"""The ids of cases and of invalid declarations."""

TOLERANCE = {"outputs": 1e-10, "grads": 1e-9, "steps": 1e-8}
"""The error allowed in float64, relative to the largest value of an array, or to 1."""

Arrays = dict[str, np.ndarray]


def part_of(arrays: Mapping[str, np.ndarray], prefix: str) -> Arrays:
    """The arrays called ``<prefix><name>``, by ``name``."""
    part = {}
    for name, value in arrays.items():
        if name.startswith(prefix):
            part[name.removeprefix(prefix)] = value
    return part


@dataclass(frozen=True)
class Case:
    """A case: the content of ``case.json``, and the arrays by name.

    >>> case = Suite().read("vanilla/one-step-back")
    >>> case.part("out/")["rec"].shape
    (3, 5, 6)
    """

    about: Mapping[str, object]
    arrays: Mapping[str, np.ndarray]

    @property
    def id(self) -> str:
        """The name of the case, ``<area>/<name>``."""
        return str(self.about["id"])

    @property
    def area(self) -> str:
        """The area of the case, such as ``taps``."""
        return str(self.about["area"])

    @cached_property
    def spec(self) -> GraphSpec:
        """The declaration."""
        return GraphSpec.from_dict(self.about["spec"])

    @property
    def batches(self) -> int:
        """The number of batches, which run one after another."""
        return int(self.about["call"]["batches"])

    @property
    def train(self) -> bool:
        """True if noise is on."""
        return bool(self.about["call"]["train"])

    @property
    def refused(self) -> str | None:
        """The class of the error that a run must raise, if it must raise one."""
        return self.about.get("refused")

    def part(self, prefix: str) -> Arrays:
        """The arrays called ``<prefix><name>``, by ``name``."""
        return part_of(self.arrays, prefix)

    def batch(self, number: int) -> Case:
        """One batch as a case: the arrays under ``b<number>/`` and the parameters."""
        if self.batches == 1:
            return self
        arrays = self.part(f"b{number}/")
        for name, value in self.part("param/").items():
            arrays[f"param/{name}"] = value
        return Case(self.about, arrays)

    @property
    def given(self) -> dict[str, object]:
        """The keyword arguments of a run: mask, states, draws, train."""
        return {
            "mask": self.arrays.get("mask"),
            "states": self.part("state0/") or None,
            "draws": self.part("draw/") or None,
            "train": self.train,
        }


@dataclass(frozen=True)
class Invalid:
    """A declaration that must be refused, and the class of the error to raise."""

    about: Mapping[str, object]
    area = "invalid"

    @property
    def id(self) -> str:
        """The name of the case, ``invalid/<name>``."""
        return f"invalid/{self.about['id']}"


class Suite:
    """The cases in a folder, and those of the version that it extends.

    Attributes:
        version: the version of the suite.
        base: the suite that it extends, if any.
        entries: the entry of each case in the manifest, by name.
        invalid: the entry of each invalid declaration, by name.

    Raises:
        DataError: if the manifest is damaged or leaves out a case.
        ConfigError: if the suite has another version.

    >>> len(Suite().ids()) > 300
    True
    >>> Suite(folder_of("1.1")).read("taps/h-2").about["version"]
    '1.0'
    """

    def __init__(self, folder: Path = FOLDER):
        self.folder = Path(folder)
        self.manifest = _read_manifest(self.folder / "MANIFEST.json")
        self.version = self.manifest["version"]
        extended = self.manifest.get("extends")
        self.base = Suite(self.folder.parent / f"v{extended}") if extended else None
        self.entries = dict(self.base.entries) if self.base else {}
        self.invalid = dict(self.base.invalid) if self.base else {}
        for entry in self.manifest["cases"]:
            self.entries[entry["id"]] = entry
        for entry in self.manifest["invalid"]:
            self.invalid[f"invalid/{entry['id']}"] = entry
        self._check_listed()

    @property
    def title(self) -> str:
        """The version, and if it is a draft, as reports name it."""
        return f"{self.version} (draft)" if self.version in DRAFTS else self.version

    def _check_listed(self) -> None:
        """Raise a DataError if the manifest leaves out a case, which would not run."""
        present = set()
        for file in self.folder.glob(f"cases/*/*/{FILES[0]}"):
            present.add(file.parent.relative_to(self.folder / "cases").as_posix())
        for file in self.folder.glob("invalid/*.json"):
            present.add(f"invalid/{file.stem}")
        for name in sorted(present - set(self.entries) - set(self.invalid)):
            raise DataError.about(
                "case",
                name,
                takes="a place in MANIFEST.json",
                got="none",
                do="Install the package again.",
            )

    def ids(self, areas: Iterable[str] = (), patterns: Iterable[str] = ()) -> list[str]:
        """The names of the cases that are in ``areas`` and match one of ``patterns``.

        An empty argument selects all.

        Raises:
            UnknownNameError: for an area or a pattern without a case, or if no case is
                in both.
        """
        every = [*self.entries, *self.invalid]
        known_areas = sorted(set(map(area_of, every)))
        for word in areas:
            if word not in known_areas:
                raise UnknownNameError.about(
                    "area",
                    word,
                    takes="the name of an area",
                    got="an unknown one",
                    do=suggest(word, known_areas),
                )
        for pattern in patterns:
            check_pattern(pattern, every)
        found = []
        for name in every:
            in_area = not areas or area_of(name) in areas
            if in_area and (not patterns or matches(name, patterns)):
                found.append(name)
        if not found:
            raise UnknownNameError.about(
                "case",
                ", ".join(patterns),
                takes="a case of the chosen areas",
                got=f"none in {', '.join(areas)}",
                do="Leave out --area or --case.",
            )
        return found

    def read(self, name: str) -> Case | Invalid:
        """The case called ``name``, its files checked against the manifest.

        Raises:
            DataError: if a file is missing or differs from its hash.
            UnknownNameError: if there is no such case.
        """
        if self.base and (name in self.base.invalid or name in self.base.entries):
            return self.base.read(name)
        if name in self.invalid:
            entry = self.invalid[name]
            content = self._checked(f"invalid/{entry['id']}.json", entry["sha256"])
            return Invalid(self._about(name, content, INVALID_FORM))
        if name not in self.entries:
            raise _unknown_case(name, self.ids(), "the name of a case")
        hashes = self.entries[name]["sha256"]
        about, content = (
            self._checked(f"cases/{name}/{file}", hashes[file]) for file in FILES
        )
        arrays = stored.arrays(f"cases/{name}/{FILES[1]}", content)
        return Case(self._about(name, about, CASE_FORM), arrays)

    def _checked(self, path: str, expected: str) -> bytes:
        content = stored.content_of(self.folder / path, "a file that can be read")
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            raise DataError.about(
                "file",
                path,
                takes=f"content with sha256 {expected}",
                got=f"content with sha256 {found}",
                do="It was changed or damaged: install the package again.",
            )
        return content

    def _about(
        self, name: str, content: bytes, form: Mapping[str, object]
    ) -> dict[str, object]:
        about = stored.mapping(name, content, {})
        if about.get("version") != self.version:
            raise DataError.about(
                "case",
                name,
                takes=f"version {self.version!r}",
                got=repr(about.get("version")),
                do="Install the package again.",
            )
        stored.check_form(name, "the file", about, form)
        return about


def matches(name: str, patterns: Iterable[str]) -> bool:
    """True if a name matches one of some patterns.

    >>> matches("taps/h-2", ["masks/*", "taps/*"])
    True
    """
    return any(fnmatch(name, pattern) for pattern in patterns)


def check_pattern(
    pattern: str, names: Iterable[str], because: str | None = None
) -> None:
    """Raise an UnknownNameError if no case matches ``pattern``."""
    if not any(fnmatch(name, pattern) for name in names):
        takes = "the name of a case, or a pattern"
        raise _unknown_case(pattern, names, takes, because)


def _unknown_case(
    name: str, names: Iterable[str], takes: str, because: str | None = None
) -> UnknownNameError:
    return UnknownNameError.about(
        "case",
        name,
        takes=takes,
        because=because,
        got="an unknown one",
        do=nearest_case(name, names),
    )


def area_of(name: str) -> str:
    """The area in the name of a case.

    >>> area_of("taps/h-2")
    'taps'
    """
    return name.partition("/")[0]


def nearest_case(name: str, names: Iterable[str]) -> str:
    """A sentence that offers the case nearest to ``name``, or else all areas.

    >>> nearest_case("taps/h2", ["taps/h-2", "masks/left"])
    "Did you mean 'taps/h-2'?"
    >>> nearest_case("zzz", ["taps/h-2", "masks/left"])
    "Cases are called 'area/name'. The areas are 'taps', 'masks'."
    """
    near = difflib.get_close_matches(name, list(names), n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    areas = dict.fromkeys(map(area_of, names))
    return f"Cases are called 'area/name'. The areas are {', '.join(map(repr, areas))}."


def _read_manifest(path: Path) -> dict[str, object]:
    content = stored.content_of(path, "a manifest")
    manifest = stored.mapping(path, content, {"version": str})
    version = manifest["version"]
    if version not in VERSIONS:
        raise ConfigError.about(
            "suite",
            str(path.parent),
            takes=f"version {' or '.join(map(repr, VERSIONS))}",
            got=repr(version),
            do="Use the runner of that version.",
        )
    stored.check_form(path, "the file", manifest, MANIFEST_FORM)
    # It is a part of a path, and a version that extends itself would never end.
    before = VERSIONS[: VERSIONS.index(version)]
    if manifest.get("extends") not in (None, *before):
        raise stored.damaged(path, "an earlier version", repr(manifest["extends"]))
    for kind, pattern in ID_PATTERNS.items():
        for entry in manifest[kind]:
            # An id is a part of a path, which must not leave the folder.
            if not re.fullmatch(pattern, entry["id"]):
                raise stored.damaged(path, "ids like 'taps/h-2'", repr(entry["id"]))
    return manifest


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The content of a safetensors file: the same bytes for the same arrays."""
    by_name = {}
    for name in sorted(arrays):
        # ascontiguousarray makes a scalar a vector, so that the shape is restored.
        contiguous = np.ascontiguousarray(arrays[name])
        by_name[name] = contiguous.reshape(np.shape(arrays[name]))
    return save(by_name)


def unpacked(path: str | Path) -> Arrays:
    """The arrays in a safetensors file.

    Raises:
        DataError: if it cannot be read.
    """
    return stored.arrays(path, stored.content_of(path, "a file of arrays"))
