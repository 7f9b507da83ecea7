"""The suite as files: a folder a case, a manifest with the sha256 of each, and what damage looks like.

``v1.0/cases/<area>/<id>/case.json`` says what is run and how closely it must be met; ``arrays.safetensors`` beside it
holds every number by a name with a prefix:

    param/<name> in/<name> mask state0/<name> draw/<name> cot/<output>      what is given
    out/<name> final/<state> node/<value> grad/param/<name> grad/in/<name>  what must come out
    target/<output> step/loss trained/<param>                               of ten steps of training
    b1/in/<name> b1/out/<name> ...                                          of the second batch, where there are several
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from recursive.errors import ConfigError, DataError, UnknownNameError, suggest
from recursive.spec.graph import GraphSpec

VERSION = "1.0"
FOLDER = Path(__file__).parent / f"v{VERSION}"
"""The version of the suite, which is that of the declarations in it, and where its files are."""

FILES = ("case.json", "arrays.safetensors")
"""What is in the folder of a case."""

TOLERANCE = {"outputs": 1e-10, "grads": 1e-9, "steps": 1e-8}
"""How far off a value of float64 may be, of the largest of its array, or of 1 where that is less."""

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """What ``case.json`` says, and the arrays by name.

    >>> case = Suite().read("vanilla/one-step-back")
    >>> case.part("out/")["rec"].shape
    (3, 5, 6)
    """

    about: Mapping[str, object]
    arrays: Mapping[str, np.ndarray]

    @property
    def id(self) -> str:
        """``<area>/<name>``."""
        return str(self.about["id"])

    @property
    def area(self) -> str:
        """What it is about."""
        return str(self.about["area"])

    @cached_property
    def spec(self) -> GraphSpec:
        """The declaration."""
        return GraphSpec.from_dict(self.about["spec"])

    @property
    def batches(self) -> int:
        """How many batches are run, one after another."""
        return int(self.about["call"]["batches"])

    @property
    def train(self) -> bool:
        """Whether noise is on."""
        return bool(self.about["call"]["train"])

    def part(self, prefix: str) -> Arrays:
        """The arrays called ``<prefix><name>``, by ``name``."""
        return {
            name.removeprefix(prefix): value
            for name, value in self.arrays.items()
            if name.startswith(prefix)
        }

    def batch(self, number: int) -> Case:
        """One of several batches by itself: its arrays without their ``b<number>/``, and the parameters."""
        if self.batches == 1:
            return self
        own = self.part(f"b{number}/") | {
            f"param/{name}": value for name, value in self.part("param/").items()
        }
        return Case(self.about, own)

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
    """A declaration that must be refused, and the error class that says why."""

    about: Mapping[str, object]
    area = "invalid"

    @property
    def id(self) -> str:
        """``invalid/<name>``."""
        return f"invalid/{self.about['id']}"


class Suite:
    """The cases in a folder.

    >>> len(Suite().ids()) > 300
    True
    """

    def __init__(self, folder: Path = FOLDER):
        self.folder = Path(folder)
        self.manifest = _json(self.folder / "MANIFEST.json")
        if not isinstance(self.manifest, dict) or not {
            "version",
            "cases",
            "invalid",
        } <= set(self.manifest):
            raise DataError.about(
                "file",
                str(self.folder / "MANIFEST.json"),
                takes="version, cases and invalid",
                because="it lists the cases",
                got="something else",
                do="Install the package again.",
            )
        if self.manifest["version"] != VERSION:
            raise ConfigError.about(
                "suite",
                str(self.folder),
                takes=f"version {VERSION!r}",
                because="other versions may mean other things",
                got=repr(self.manifest["version"]),
                do="Use the runner of that version.",
            )
        self.entries = {entry["id"]: entry for entry in self.manifest["cases"]}
        self.invalid = {
            f"invalid/{entry['id']}": entry for entry in self.manifest["invalid"]
        }
        self._check_listed()

    def _check_listed(self) -> None:
        """Raise a DataError where there is a case that the manifest leaves out: it would not be run, unnoticed."""
        files = self.folder.glob(f"cases/*/*/{FILES[0]}")
        places = {
            file.parent.relative_to(self.folder / "cases").as_posix() for file in files
        }
        places |= {
            f"invalid/{path.stem}" for path in self.folder.glob("invalid/*.json")
        }
        for name in sorted(places - set(self.entries) - set(self.invalid)):
            raise DataError.about(
                "case",
                name,
                takes="a place in MANIFEST.json",
                because="others are not run",
                got="none",
                do="Install the package again.",
            )

    def ids(self, areas: Iterable[str] = (), patterns: Iterable[str] = ()) -> list[str]:
        """The ids of all cases, or of those in ``areas``, or that match one of ``patterns``.

        Raises:
            UnknownNameError: for an area or a pattern that nothing is called, or where no case is of both.
        """
        every = [*self.entries, *self.invalid]
        known = sorted(set(map(area_of, every)))
        for word in areas:
            if word not in known:
                raise UnknownNameError.about(
                    "area",
                    word,
                    takes="the name of an area",
                    because="its cases are run",
                    got="an unknown one",
                    do=suggest(word, known),
                )
        for word in patterns:
            if not any(fnmatch(name, word) for name in every):
                raise UnknownNameError.about(
                    "case",
                    word,
                    takes="the name of a case, or a pattern",
                    because="it is run",
                    got="an unknown one",
                    do=nearest_case(word, every),
                )
        found = [name for name in every if not areas or area_of(name) in areas]
        found = [
            name
            for name in found
            if not patterns or any(fnmatch(name, word) for word in patterns)
        ]
        if not found:
            raise UnknownNameError.about(
                "case",
                ", ".join(patterns),
                takes="a case of the areas that are asked for",
                because="what is run is of both",
                got=f"none in {', '.join(areas)}",
                do="Leave out --area or --case.",
            )
        return found

    def read(self, name: str) -> Case | Invalid:
        """The case called ``name``, its files compared with the hashes in the manifest.

        Raises:
            DataError: where a file is missing, or is not the one that was written.
            UnknownNameError: where no case is called so.
        """
        if name in self.invalid:
            entry = self.invalid[name]
            return Invalid(
                _of_this_version(
                    name, self._checked(f"invalid/{entry['id']}.json", entry["sha256"])
                )
            )
        if name not in self.entries:
            raise UnknownNameError.about(
                "case",
                name,
                takes="the name of a case",
                because="it is read",
                got="an unknown one",
                do=nearest_case(name, [*self.entries, *self.invalid]),
            )
        files = self.entries[name]["sha256"]
        about, arrays = (
            self._checked(f"cases/{name}/{file}", files[file]) for file in FILES
        )
        return Case(_of_this_version(name, about), load(arrays))

    def _checked(self, path: str, expected: str) -> bytes:
        try:
            content = (self.folder / path).read_bytes()
        except OSError as error:
            raise DataError.about(
                "file",
                path,
                takes="a file that can be read",
                because="the manifest lists it",
                got=type(error).__name__,
                do="Install the package again.",
            ) from error
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            raise DataError.about(
                "file",
                path,
                takes=f"the content of sha256 {expected}",
                because="the committed numbers are what counts",
                got=f"one of sha256 {found}",
                do="It was changed or damaged: install the package again.",
            )
        return content


def area_of(name: str) -> str:
    """What a case is about, of its name.

    >>> area_of("taps/h-2")
    'taps'
    """
    return name.partition("/")[0]


def nearest_case(name: str, names: Iterable[str]) -> str:
    """A sentence that offers the case nearest to ``name``, or the areas when none is near.

    >>> nearest_case("taps/h2", ["taps/h-2", "masks/left"])
    "Did you mean 'taps/h-2'?"
    >>> nearest_case("zzz", ["taps/h-2", "masks/left"])
    "Cases are called 'area/name'. There are the areas 'taps', 'masks'."
    """
    near = difflib.get_close_matches(name, list(names), n=1)
    areas = dict.fromkeys(map(area_of, names))
    return (
        f"Did you mean {near[0]!r}?"
        if near
        else f"Cases are called 'area/name'. There are the areas {', '.join(map(repr, areas))}."
    )


def _of_this_version(name: str, content: bytes) -> dict[str, object]:
    about = json.loads(content)
    if about.get("version") != VERSION:
        raise DataError.about(
            "case",
            name,
            takes=f"version {VERSION!r}",
            because="others may mean other things",
            got=repr(about.get("version")),
            do="Install the package again.",
        )
    return about


def _json(path: Path) -> dict[str, object]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError.about(
            "file",
            str(path),
            takes="JSON",
            because="it lists the cases",
            got=str(error),
            do="Install the package again.",
        ) from error


def written(about: Mapping[str, object]) -> bytes:
    """A JSON file, the same for the same content."""
    return (
        json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    ).encode()


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A file of arrays, the same for the same arrays."""
    return save(
        {
            name: np.ascontiguousarray(arrays[name]).reshape(np.shape(arrays[name]))
            for name in sorted(arrays)
        }
    )


def unpacked(path: str | Path) -> Arrays:
    """The arrays in a file.

    Raises:
        DataError: where it cannot be read.
    """
    try:
        return load(Path(path).read_bytes())
    except (
        OSError,
        SafetensorError,
        KeyError,
    ) as error:  # KeyError for a dtype that NumPy has not
        raise DataError.about(
            "file",
            str(path),
            takes="arrays of NumPy's dtypes as safetensors",
            because="they are read from it",
            got=str(error),
            do="Write it again.",
        ) from error


def write(
    folder: Path,
    cases: Iterable[Case],
    invalid: Iterable[Mapping[str, object]],
    schemas: Mapping[str, Mapping[str, object]],
) -> None:
    """Write a whole suite, manifest last."""
    (folder / "schemas").mkdir(parents=True, exist_ok=True)
    for name, schema in schemas.items():
        (folder / "schemas" / f"{name}.schema.json").write_bytes(written(schema))
    manifest = {
        "version": VERSION,
        "cases": list(_write_cases(folder, cases)),
        "invalid": list(_write_invalid(folder, invalid)),
    }
    (folder / "MANIFEST.json").write_bytes(written(manifest))


def _write_cases(folder: Path, cases: Iterable[Case]) -> Iterator[dict[str, object]]:
    for case in cases:
        place = folder / "cases" / case.id
        place.mkdir(parents=True, exist_ok=True)
        contents = dict(
            zip(FILES, (written(case.about), packed(case.arrays)), strict=True)
        )
        for name, content in contents.items():
            (place / name).write_bytes(content)
        yield {
            **{key: case.about[key] for key in ("id", "area", "tier", "capabilities")},
            "sha256": {
                name: hashlib.sha256(content).hexdigest()
                for name, content in contents.items()
            },
        }


def _write_invalid(
    folder: Path, invalid: Iterable[Mapping[str, object]]
) -> Iterator[dict[str, object]]:
    (folder / "invalid").mkdir(parents=True, exist_ok=True)
    for about in invalid:
        content = written(about)
        (folder / "invalid" / f"{about['id']}.json").write_bytes(content)
        yield {
            "id": about["id"],
            "code": about["code"],
            "sha256": hashlib.sha256(content).hexdigest(),
        }
