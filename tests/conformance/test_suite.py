"""The committed files: whole, in their schemas, written anew bit for bit, and damage told of by name."""

import hashlib
import json
import shutil

import jsonschema
import numpy as np
import pytest
import referencing

from recursive.conformance import suite as files
from recursive.conformance.needs import CAPABILITIES, FIRST_CAPABILITIES
from recursive.conformance.suite import Suite, folder_of
from recursive.errors import ConfigError, DataError, UnknownNameError
from recursive.spec.graph import GraphSpec
from tests.suite.areas.invalid import INVALID
from tests.suite.drafts import DRAFTS
from tests.suite.generate import case_of, generate

FIRST = Suite()
"""Version 1.0."""
SUITE = Suite(folder_of("1.1"))
"""Version 1.1, which has all of the first."""
AREAS = {
    "vanilla",
    "states",
    "taps",
    "merges",
    "multi-input",
    "multi-output",
    "contexts",
    "gating",
    "masks",
    "stateful",
    "initial-states",
    "truncation",
    "nesting",
    "until",
    "randomness",
    "training",
    "dtypes",
    "legacy2015",
}
"""Those of version 1.0."""
NEW_AREAS = {"attention", "teacher", "normalization", "bias", "penalties", "starts"}
"""Those that version 1.1 adds, without the arrays that must be refused."""
HASH_OF_FIRST = "c03a7d4cb1b0bd8a4bd12c13dbf726c81be63942c58e20f9fbee2ffa5cf943ca"
"""The sha256 of the names and contents of all files of version 1.0."""


@pytest.fixture(scope="module")
def anew(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    generate(folder)
    return Suite(folder / "v1.1")


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(files.FOLDER, tmp_path / "suite")
    return tmp_path / "suite"


@pytest.fixture
def both(tmp_path):
    """The folder of a copy of version 1.1, next to one of 1.0."""
    for version in ("1.0", "1.1"):
        shutil.copytree(folder_of(version), tmp_path / f"v{version}")
    return tmp_path / "v1.1"


def schema(kind, version="1.1"):
    read = {
        path.name: json.loads(path.read_text())
        for path in (folder_of(version) / "schemas").iterdir()
    }
    known = [
        (name, referencing.Resource.from_contents(content))
        for name, content in read.items()
    ]
    registry = referencing.Registry().with_resources(known)
    return jsonschema.Draft202012Validator(
        read[f"{kind}.schema.json"], registry=registry
    )


def test_there_are_as_many_cases_as_were_asked_for_over_all_areas():
    assert len(FIRST.entries) >= 120
    assert len(FIRST.invalid) >= 40
    assert {entry["area"] for entry in FIRST.entries.values()} >= AREAS
    new = {entry["area"] for entry in SUITE.manifest["cases"]}
    assert new == {*NEW_AREAS, "refused"}


def test_version_1_0_is_what_it_was_byte_for_byte():
    """Its files, and what the generator writes of its schemas and declarations."""
    total = hashlib.sha256()
    for path in sorted(files.FOLDER.rglob("*")):
        if path.is_file():
            total.update(path.relative_to(files.FOLDER).as_posix().encode())
            total.update(path.read_bytes())
    assert total.hexdigest() == HASH_OF_FIRST


def test_version_1_1_has_every_case_of_1_0_as_it_is():
    assert SUITE.ids()[0] == FIRST.ids()[0]
    assert set(FIRST.ids()) < set(SUITE.ids())
    for name in ("taps/h-2", "invalid/no-output"):
        assert SUITE.read(name).about == FIRST.read(name).about
    assert {case["version"] for case in map(about_of, SUITE.ids())} == {"1.0", "1.1"}


def about_of(name):
    return SUITE.read(name).about


def test_what_is_new_needs_something_that_a_port_of_1_0_does_not_claim():
    """So a port that was written for 1.0 does not cover it, and never fails it."""
    of_first = {
        word for entry in FIRST.entries.values() for word in entry["capabilities"]
    }
    for entry in SUITE.manifest["cases"]:
        assert set(entry["capabilities"]) - of_first, entry["id"]


@pytest.mark.parametrize("area", sorted((AREAS | NEW_AREAS) - {"legacy2015"}))
def test_an_area_has_a_case_that_can_be_worked_out_by_hand(area):
    assert any(draft.hand for draft in DRAFTS if draft.area == area)


def test_a_result_worked_out_by_hand_that_is_not_met_is_told_of():
    draft = next(draft for draft in DRAFTS if draft.id == "vanilla/by-hand")
    wrong = {"out/rec": [[[1.0], [2.0], [3.0], [4.0], [6.0]]]}
    with pytest.raises(DataError, match="vanilla/by-hand"):
        case_of(type(draft)(**{**vars(draft), "hand": wrong}))


@pytest.mark.parametrize("name", SUITE.ids())
def test_a_file_is_in_its_schema(name):
    case = SUITE.read(name)
    kind = "invalid" if name in SUITE.invalid else "case"
    schema(kind, case.about["version"]).validate(dict(case.about))


def test_the_manifest_is_in_its_schema_and_lists_every_file():
    cases, invalid = set(), set()
    for suite in (FIRST, SUITE):
        schema("manifest", suite.version).validate(suite.manifest)
        for path in suite.folder.rglob("case.json"):
            cases.add(path.parent.relative_to(suite.folder / "cases").as_posix())
        for path in (suite.folder / "invalid").iterdir():
            invalid.add(f"invalid/{path.stem}")
    assert cases == set(SUITE.entries)
    assert invalid == set(SUITE.invalid)


def test_every_schema_refuses_an_unknown_key():
    for kind in ("spec", "case", "manifest", "invalid"):
        for version in ("1.0", "1.1"):
            assert not schema(kind, version).is_valid({"colour": "red"})


def test_every_capability_that_a_case_needs_is_explained_and_each_that_is_explained_is_needed():
    needed = {
        name for entry in SUITE.entries.values() for name in entry["capabilities"]
    }
    assert {name for name in needed if not name.startswith("layer:")} == set(
        CAPABILITIES
    )
    of_first = {
        name for entry in FIRST.entries.values() for name in entry["capabilities"]
    }
    assert {name for name in of_first if not name.startswith("layer:")} == set(
        FIRST_CAPABILITIES
    )


def test_the_names_of_invalid_declarations_differ():
    assert len({about["id"] for about in INVALID}) == len(INVALID)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_generating_again_gives_the_same_text(anew, version):
    """Of schemas, cases and invalid declarations."""
    for path in sorted(folder_of(version).rglob("*.json")):
        name = path.relative_to(folder_of(version))
        # The manifest has the hashes of arrays, whose last bits differ by machine.
        if name.name != "MANIFEST.json":
            again = anew.folder.parent / f"v{version}" / name
            assert again.read_bytes() == path.read_bytes(), name


@pytest.mark.parametrize("name", SUITE.entries)
def test_generating_again_gives_the_same_inputs_and_outputs(anew, name):
    committed, found = SUITE.read(name), anew.read(name)
    assert committed.about == found.about
    assert set(committed.arrays) == set(found.arrays)
    for key, value in committed.arrays.items():
        again = found.arrays[key]
        assert again.dtype == value.dtype
        if (
            key.rpartition("/")[0].split("/")[-1]
            in ("param", "in", "state0", "draw", "cot")
            and "grad" not in key
        ):
            assert again.tobytes() == value.tobytes(), key
        else:
            off = 1e-12 if value.dtype != "float32" else 1e-6
            np.testing.assert_allclose(again, value, rtol=off, atol=off, err_msg=key)


def test_a_damaged_file_is_named_and_its_hash_compared(copied):
    path = copied / "cases" / "taps" / "h-2" / "arrays.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        DataError,
        match=r"taps/h-2/arrays.safetensors.*sha256 [0-9a-f]{64}.*sha256 [0-9a-f]{64}",
    ):
        Suite(copied).read("taps/h-2")


@pytest.mark.parametrize("name", ["cases/taps/h-2/case.json", "invalid/no-output.json"])
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(DataError, match="no such file"):
        Suite(copied).read("taps/h-2" if "taps" in name else "invalid/no-output")


@pytest.mark.parametrize("text", ["", "{", "[1, 2"])
def test_a_damaged_manifest_is_named(copied, text):
    (copied / "MANIFEST.json").write_text(text)
    with pytest.raises(DataError, match=r"MANIFEST.json"):
        Suite(copied)


@pytest.mark.parametrize(
    ("kind", "name"), [("cases", "taps/h-2"), ("invalid", "no-output")]
)
def test_a_case_that_the_manifest_leaves_out_is_named(copied, kind, name):
    manifest = json.loads((copied / "MANIFEST.json").read_text())
    manifest[kind] = [entry for entry in manifest[kind] if entry["id"] != name]
    (copied / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(
        DataError, match=rf"case '(invalid/)?{name}' takes a place in MANIFEST.json"
    ):
        Suite(copied)


def test_a_suite_of_another_version_is_refused(copied):
    (copied / "MANIFEST.json").write_text(
        '{"version": "2.0", "cases": [], "invalid": []}'
    )
    with pytest.raises(ConfigError, match=r"version '1.0'"):
        Suite(copied)


@pytest.mark.parametrize("version", ["1.1", "2.0", "../v1.0"])
def test_a_suite_extends_an_earlier_version(both, version):
    manifest = json.loads((both / "MANIFEST.json").read_text())
    (both / "MANIFEST.json").write_text(json.dumps({**manifest, "extends": version}))
    with pytest.raises(DataError, match="takes an earlier version"):
        Suite(both)


def test_a_damaged_file_of_the_version_that_is_extended_is_named(both):
    assert Suite(both).read("taps/h-2").id == "taps/h-2"
    (both.parent / "v1.0" / "cases" / "taps" / "h-2" / "case.json").write_text("{}")
    with pytest.raises(DataError, match=r"taps/h-2/case.json.*sha256"):
        Suite(both).read("taps/h-2")


def test_the_version_of_a_declaration_is_the_first_that_holds_it():
    at_rest = SUITE.read("teacher/training-only").about["spec"]
    before = SUITE.read("attention/dot").about["spec"]
    assert (at_rest["version"], before["version"]) == ("1.1", "1.0")
    for spec in (at_rest, before):
        assert GraphSpec.from_dict(spec).to_dict() == spec
    with pytest.raises(ConfigError, match=r"takes version '1.1' for a field.*'truth'"):
        GraphSpec.from_dict({**at_rest, "version": "1.0"})


def test_a_spec_of_an_unknown_version_is_refused():
    spec = {**SUITE.read("taps/h-2").about["spec"], "version": "0.1"}
    with pytest.raises(ConfigError, match=r"takes version '1.0'"):
        GraphSpec.from_dict(spec)


def test_an_unknown_area_or_case_is_told_of_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'taps'"):
        SUITE.ids(areas=["tasp"])
    with pytest.raises(UnknownNameError, match=r"Did you mean 'taps/h-2'"):
        SUITE.ids(patterns=["taps/h2"])
