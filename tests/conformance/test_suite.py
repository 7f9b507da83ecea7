"""The committed files: whole, in their schemas, written anew bit for bit, and damage told of by name."""

import json
import shutil

import jsonschema
import numpy as np
import pytest
import referencing

from recursive.conformance import suite as files
from recursive.conformance.needs import CAPABILITIES
from recursive.conformance.suite import Suite
from recursive.errors import ConfigError, DataError, UnknownNameError
from recursive.spec.graph import GraphSpec
from tests.suite.areas.invalid import INVALID
from tests.suite.drafts import DRAFTS
from tests.suite.generate import case_of, generate

SUITE = Suite()
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
"""Those that issue 8 names."""


@pytest.fixture(scope="module")
def anew(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    generate(folder)
    return Suite(folder)


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(files.FOLDER, tmp_path / "suite")
    return tmp_path / "suite"


def schema(kind):
    read = {
        path.name: json.loads(path.read_text())
        for path in (files.FOLDER / "schemas").iterdir()
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
    assert len(SUITE.entries) >= 120
    assert len(SUITE.invalid) >= 40
    assert {entry["area"] for entry in SUITE.entries.values()} >= AREAS


@pytest.mark.parametrize("area", sorted(AREAS - {"legacy2015"}))
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
    schema("invalid" if name in SUITE.invalid else "case").validate(dict(case.about))


def test_the_manifest_is_in_its_schema_and_lists_every_file():
    schema("manifest").validate(SUITE.manifest)
    cases = {
        path.parent.relative_to(files.FOLDER / "cases").as_posix()
        for path in files.FOLDER.rglob("case.json")
    }
    assert cases == set(SUITE.entries)
    assert {
        f"invalid/{path.stem}" for path in (files.FOLDER / "invalid").iterdir()
    } == set(SUITE.invalid)


def test_every_schema_refuses_an_unknown_key():
    for kind in ("spec", "case", "manifest", "invalid"):
        assert not schema(kind).is_valid({"colour": "red"})


def test_every_capability_that_a_case_needs_is_explained_and_each_that_is_explained_is_needed():
    needed = {
        name for entry in SUITE.entries.values() for name in entry["capabilities"]
    }
    assert {name for name in needed if not name.startswith("layer:")} == set(
        CAPABILITIES
    )


def test_the_names_of_invalid_declarations_differ():
    assert len({about["id"] for about in INVALID}) == len(INVALID)


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


def test_a_spec_of_an_unknown_version_is_refused():
    spec = {**SUITE.read("taps/h-2").about["spec"], "version": "0.1"}
    with pytest.raises(ConfigError, match=r"takes version '1.0'"):
        GraphSpec.from_dict(spec)


def test_an_unknown_area_or_case_is_told_of_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'taps'"):
        SUITE.ids(areas=["tasp"])
    with pytest.raises(UnknownNameError, match=r"Did you mean 'taps/h-2'"):
        SUITE.ids(patterns=["taps/h2"])
