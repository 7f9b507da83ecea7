"""JSON Schemas of the files, for ports that check what they read."""

from __future__ import annotations

from recursive.conformance.needs import CAPABILITIES
from recursive.conformance.suite import TOLERANCE, VERSION

Schema = dict[str, object]
TEXT, WHOLE, TRUTH, SHA256 = (
    {"type": "string"},
    {"type": "integer"},
    {"type": "boolean"},
    {"type": "string", "pattern": "^[0-9a-f]{64}$"},
)
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
SPEC = of(
    {
        "version": {"const": VERSION},
        "loop": TRUTH,
        "free": TRUTH,
        "inputs": listed(
            of(
                {"name": TEXT},
                ndim={**WHOLE, "minimum": 1},
                dtype={"enum": ["float", "int", "bool"]},
                dim=DIM,
                is_sequence=TRUTH,
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
                    "ports": {"type": "object", "additionalProperties": of(READ)},
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

CAPABILITY = {
    "anyOf": [{"enum": list(CAPABILITIES)}, {"type": "string", "pattern": "^layer:"}]
}
TIER = {"enum": ["core", "optional", "legacy2015", "proposal"]}
TRAINING = of(
    {
        "optimizer": {"type": "object", "required": ["name"]},
        "loss": {"type": ["string", "object"]},
        "steps": {**WHOLE, "minimum": 1},
    }
)
CASE = of(
    {
        "version": {"const": VERSION},
        "id": {"type": "string", "pattern": "^[a-z0-9-]+/[a-z0-9-]+$"},
        "area": TEXT,
        "tier": TIER,
        "why": TEXT,
        "source": TEXT,
        "by_hand": TRUTH,
        "capabilities": listed(CAPABILITY),
        "dtype": {"enum": ["float32", "float64"]},
        "call": of({"train": TRUTH, "batches": {**WHOLE, "minimum": 1}}),
        "tolerance": of(
            {name: {"type": "number", "exclusiveMinimum": 0} for name in TOLERANCE}
        ),
        "training": {"anyOf": [{"type": "null"}, TRAINING]},
        "spec": {"$ref": "spec.schema.json"},
    }
)
INVALID = of(
    {
        "version": {"const": VERSION},
        "id": TEXT,
        "why": TEXT,
        "code": {"type": "string", "pattern": "Error$"},
        "spec": {"type": "object"},
    }
)
MANIFEST = of(
    {
        "version": {"const": VERSION},
        "cases": listed(
            of(
                {
                    "id": TEXT,
                    "area": TEXT,
                    "tier": TIER,
                    "capabilities": listed(CAPABILITY),
                    "sha256": of({"case.json": SHA256, "arrays.safetensors": SHA256}),
                }
            )
        ),
        "invalid": listed(of({"id": TEXT, "code": TEXT, "sha256": SHA256})),
    }
)
SCHEMAS = {
    name: {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{name}.schema.json",
        **schema,
    }
    for name, schema in (
        ("spec", SPEC),
        ("case", CASE),
        ("manifest", MANIFEST),
        ("invalid", INVALID),
    )
}
"""Every schema by the kind of file that it is of."""
