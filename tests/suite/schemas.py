"""JSON Schemas of the files, for ports that check what they read."""

from __future__ import annotations

from recursive.conformance.needs import CAPABILITIES, FIRST_CAPABILITIES
from recursive.conformance.suite import TOLERANCE
from recursive.conformance.versions import VERSIONS

Schema = dict[str, object]
TEXT, WHOLE, TRUTH, SHA256 = (
    {"type": "string"},
    {"type": "integer"},
    {"type": "boolean"},
    {"type": "string", "pattern": "^[0-9a-f]{64}$"},
)
ERROR = {"type": "string", "pattern": "Error$"}
NAMES = {"type": "array", "items": TEXT}
DIM = {"type": ["integer", "null"], "minimum": 1}
MODE = {"enum": ["concat", "sum", "mul", "ave", "max", "dot", "join"]}
ROW = {"type": "array", "items": {"type": "number"}, "minItems": 1}


def of(required: Schema, **optional: Schema) -> Schema:
    """An object of these fields and no others."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def listed(item: Schema) -> Schema:
    """A list of such."""
    return {"type": "array", "items": item}


READ = {"read": {**NAMES, "minItems": 1}, "merge_mode": MODE}
TIER = {"enum": ["core", "optional", "legacy2015", "proposal"]}


def schemas_of(version: str) -> dict[str, Schema]:
    """Every schema of a version by the kind of file that it is of."""
    by_kind = {
        "spec": spec_schema(version),
        "case": case_schema(version),
        "manifest": manifest_schema(version),
        "invalid": invalid_schema(version),
    }
    return {
        name: {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"{name}.schema.json",
            **schema,
        }
        for name, schema in by_kind.items()
    }


def is_first(version: str) -> bool:
    """True for version 1.0, which never changes."""
    return version == VERSIONS[0]


def spec_schema(version: str) -> Schema:
    """The schema of a declaration, which may be of an earlier version."""
    known = VERSIONS[: VERSIONS.index(version) + 1]
    newer = {} if is_first(version) else {"training_only": TRUTH}
    return of(
        {
            "version": {"const": version} if is_first(version) else {"enum": [*known]},
            "loop": TRUTH,
            "free": TRUTH,
            "inputs": listed(
                of(
                    {"name": TEXT},
                    ndim={**WHOLE, "minimum": 1},
                    dtype={"enum": ["float", "int", "bool"]},
                    dim=DIM,
                    is_sequence=TRUTH,
                    **newer,
                )
            ),
            "states": listed(
                of(
                    {"name": TEXT},
                    dim=DIM,
                    input={"type": ["string", "null"]},
                    stateful={"type": ["boolean", "null"]},
                    initial={"anyOf": [{"type": "number"}, TEXT, ROW, listed(ROW)]},
                )
            ),
            "nodes": listed(
                of(
                    {
                        "name": TEXT,
                        "layer": of({"class_name": TEXT}, config={"type": "object"}),
                        "ports": {
                            "type": "object",
                            "additionalProperties": of(READ),
                        },
                    },
                    outputs=NAMES,
                )
            ),
            "outputs": listed(of({"name": TEXT, **READ})),
        },
        return_sequences=TRUTH,
        truncate_gradient=WHOLE,
        n_steps=DIM,
        until={"type": ["string", "null"]},
        stateful=TRUTH,
        return_final_states=TRUTH,
        go_backwards=TRUTH,
        mask={"type": ["string", "null"]},
        unroll=TRUTH,
    )


def capability(version: str) -> Schema:
    """A word of the list of a version, or a layer."""
    words = FIRST_CAPABILITIES if is_first(version) else CAPABILITIES
    return {"anyOf": [{"enum": list(words)}, {"type": "string", "pattern": "^layer:"}]}


def case_schema(version: str) -> Schema:
    """The schema of a ``case.json``."""
    newer = {} if is_first(version) else {"refused": ERROR}
    training = of(
        {
            "optimizer": {"type": "object", "required": ["name"]},
            "loss": {"type": ["string", "object"]},
            "steps": {**WHOLE, "minimum": 1},
        }
    )
    return of(
        {
            "version": {"const": version},
            "id": {"type": "string", "pattern": "^[a-z0-9-]+/[a-z0-9-]+$"},
            "area": TEXT,
            "tier": TIER,
            "why": TEXT,
            "source": TEXT,
            "by_hand": TRUTH,
            "capabilities": listed(capability(version)),
            "dtype": {"enum": ["float32", "float64"]},
            "call": of({"train": TRUTH, "batches": {**WHOLE, "minimum": 1}}),
            "tolerance": of(
                {name: {"type": "number", "exclusiveMinimum": 0} for name in TOLERANCE}
            ),
            "training": {"anyOf": [{"type": "null"}, training]},
            "spec": {"$ref": "spec.schema.json"},
        },
        **newer,
    )


def invalid_schema(version: str) -> Schema:
    """The schema of an ``invalid/<id>.json``."""
    return of(
        {
            "version": {"const": version},
            "id": TEXT,
            "why": TEXT,
            "code": ERROR,
            "spec": {"type": "object"},
        }
    )


def manifest_schema(version: str) -> Schema:
    """The schema of the manifest."""
    newer = {} if is_first(version) else {"extends": {"enum": [*VERSIONS]}}
    return of(
        {
            "version": {"const": version},
            **newer,
            "cases": listed(
                of(
                    {
                        "id": TEXT,
                        "area": TEXT,
                        "tier": TIER,
                        "capabilities": listed(capability(version)),
                        "sha256": of(
                            {"case.json": SHA256, "arrays.safetensors": SHA256}
                        ),
                    }
                )
            ),
            "invalid": listed(of({"id": TEXT, "code": TEXT, "sha256": SHA256})),
        }
    )
