"""Writes the suite: schemas, cases, invalid declarations, and the manifest last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from recursive.conformance.suite import FILES, Case, packed

About = Mapping[str, object]


def write(
    folder: Path,
    cases: Iterable[Case],
    invalid: Iterable[About],
    schemas: Mapping[str, About],
    version: str,
    extends: str | None = None,
) -> None:
    """Write what a version of the suite adds into ``folder``."""
    for name, schema in schemas.items():
        _write_file(folder / "schemas" / f"{name}.schema.json", as_json(schema))
    manifest = {
        "version": version,
        **({"extends": extends} if extends else {}),
        "cases": [_write_case(folder, case) for case in cases],
        "invalid": [_write_invalid(folder, about) for about in invalid],
    }
    _write_file(folder / "MANIFEST.json", as_json(manifest))


def as_json(about: About) -> bytes:
    """The content of a JSON file: the same bytes for the same object."""
    text = json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _write_case(folder: Path, case: Case) -> dict[str, object]:
    """Write the files of a case; return its entry in the manifest."""
    contents = (as_json(case.about), packed(case.arrays))
    hashes = {}
    for name, content in zip(FILES, contents, strict=True):
        _write_file(folder / "cases" / case.id / name, content)
        hashes[name] = hashlib.sha256(content).hexdigest()
    entry = {key: case.about[key] for key in ("id", "area", "tier", "capabilities")}
    return {**entry, "sha256": hashes}


def _write_invalid(folder: Path, about: About) -> dict[str, object]:
    """Write an invalid declaration; return its entry in the manifest."""
    content = as_json(about)
    _write_file(folder / "invalid" / f"{about['id']}.json", content)
    return {
        "id": about["id"],
        "code": about["code"],
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
