"""The capabilities that a case needs, derived from its declaration.

A case that needs none belongs to the core, which every port must pass.
"""

from __future__ import annotations

from collections.abc import Mapping

from recursive.spec.graph import DRAWN, GraphSpec
from recursive.spec.names import Ref
from recursive.spec.starts import start_name

CORE_LAYERS = ("Dense", "Activation", "Identity")
"""The layers that every port has. Any other is a capability, such as ``layer:GRU``."""

RULES = ("_regularizer", "_constraint")
"""The ends of the names of settings that only training reads."""

FIRST_CAPABILITIES = {
    "taps": "reads two steps back or more, or inputs of earlier steps",
    "free": "names used before their declaration, past values of nodes without a state",
    "contexts": "inputs without time, which every step reads whole",
    "initial": "states that start from a context, parameters or rows of numbers",
    "mask": "a declared mask, or one next to the inputs",
    "n_steps": "a loop without sequences",
    "until": "a loop that a node stops",
    "unroll": "an unrolled loop",
    "truncate": "a reverse pass over the last steps only",
    "go_backwards": "a loop from the last step to the first",
    "final_states": "states after the last step as outputs",
    "stateful": "states kept between batches",
    "draws": "noise from given draws, in training",
    "nested": "a container or a chain as a node",
    "graph": "a Graph, which runs once",
    "int": "integer inputs",
    "bool": "boolean inputs",
    "float32": "float32 throughout",
    "training": "ten steps of an optimizer",
}
"""The meaning of every capability of version 1.0, except those of layers."""

NEW_CAPABILITIES = {
    "training_only": "inputs that are given in training only",
    "starts": "states that start from a node, an optional input or scaled draws",
    "no_bias": "recurrent cells without biases",
    "penalties": "penalties on parameters, and constraints, in training",
    "unlearned": "outputs without a loss, in training",
    "refused_data": "arrays that must be refused when they are run",
}
"""The meaning of every capability that version 1.1 adds."""

CAPABILITIES = {**FIRST_CAPABILITIES, **NEW_CAPABILITIES}
"""The meaning of every capability except those of layers."""


def capabilities(
    spec: GraphSpec,
    batches: int = 1,
    draws: bool = False,
    mask: bool = False,
    states: bool = False,
    dtype: str = "float64",
    training: bool = False,
    unlearned: bool = False,
    refused: bool = False,
) -> list[str]:
    """The capabilities that a case of ``spec`` needs, sorted.

    >>> capabilities(GraphSpec(truncate_gradient=2, n_steps=4))
    ['n_steps', 'truncate']
    """
    needed = {
        "stateful": batches > 1 or states,
        "draws": draws,
        "mask": mask,
        "float32": dtype == "float32",
        "training": training,
        "unlearned": unlearned,
        "refused_data": refused,
    }
    return sorted({*_true(needed), *_of_spec(spec)})


def _of_spec(spec: GraphSpec) -> set[str]:
    """The capabilities that a declaration and its layers need."""
    needed = {
        "taps": _has_long_taps(spec),
        "free": spec.free or _has_undeclared_past(spec),
        "contexts": not all(item.is_sequence for item in spec.inputs),
        # Any other start is one number.
        "initial": any(isinstance(state.initial, str | tuple) for state in spec.states),
        "starts": _has_computed_starts(spec),
        "mask": spec.mask is not None,
        "n_steps": spec.n_steps is not None and not spec.unroll,
        "until": spec.until is not None,
        "unroll": spec.unroll,
        "truncate": spec.truncate_gradient != -1,
        "go_backwards": spec.go_backwards,
        "final_states": spec.return_final_states,
        "graph": not spec.loop,
        "stateful": spec.stateful or any(state.stateful for state in spec.states),
        "int": any(item.dtype == "int" for item in spec.inputs),
        "training_only": any(item.training_only for item in spec.inputs),
        "bool": any(
            item.dtype == "bool" and item.name != spec.mask for item in spec.inputs
        ),
    }
    found = _true(needed)
    for node in spec.nodes:
        found |= _of_layer(node.layer.class_name, node.layer.config)
    return found


def _has_computed_starts(spec: GraphSpec) -> bool:
    """True for a start that is a node, that may be left out, or draws with a scale."""
    contexts = spec.context_names
    for state in spec.states:
        name = start_name(state.initial)
        is_node = name is not None and name not in contexts
        is_drawn = state.initial == DRAWN and (state.init or state.scale)
        if is_node or is_drawn or state.given is not None:
            return True
    return False


def _true(needed: Mapping[str, bool]) -> set[str]:
    return {name for name, is_needed in needed.items() if is_needed}


def _of_layer(name: str, config: Mapping[str, object]) -> set[str]:
    """The capabilities that a layer and the layers inside it need."""
    found = set()
    spec = config.get("spec")
    if spec is not None:
        found |= {"nested"} | _of_spec(GraphSpec.from_dict(spec))
    elif name == "Sequential":
        found.add("nested")
    elif name not in CORE_LAYERS:
        found.add(f"layer:{name}")
    # The Dense layers of version 1.0 have this setting, its cells do not.
    if name.startswith("Recurrent") and config.get("bias") is False:
        found.add("no_bias")
    if any(key.endswith(RULES) and rule for key, rule in config.items()):
        found.add("penalties")
    inner = list(config.get("layers") or ())
    for key in ("layer", "backward_layer"):
        if key in config:
            inner.append(config[key])
    for layer in inner:
        found |= _of_layer(layer["name"], layer)
    return found


def _refs(spec: GraphSpec) -> list[Ref]:
    """Everything that nodes and outputs read."""
    refs = []
    for item in (*spec.nodes, *spec.outputs):
        refs += item.refs
    return refs


def _has_long_taps(spec: GraphSpec) -> bool:
    """True if a value of two steps back is read, or an input of an earlier step."""
    inputs = {item.name for item in spec.inputs}
    return any(ref.tap < -1 or (ref.tap and ref.name in inputs) for ref in _refs(spec))


def _has_undeclared_past(spec: GraphSpec) -> bool:
    """True if the past of a node is read that no declared state keeps."""
    kept = set()
    for state in spec.states:
        kept |= {state.name, state.input}
    values = set()
    for node in spec.nodes:
        values |= set(node.values)
    return any(ref.tap and ref.name in values - kept for ref in _refs(spec))
