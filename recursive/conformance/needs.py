"""What a case asks of a port: its capabilities, read off the declaration. A case that needs none is of the core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from recursive.spec.graph import DRAWN, LEARNED, GraphSpec

CORE_LAYERS = ("Dense", "Activation", "Identity")
"""What every port has. Any other layer is a capability of its own: ``layer:GRU``."""

CAPABILITIES = {
    "taps": "reads two steps back or more, or inputs of earlier steps",
    "free": "names used before they are declared, past values of nodes that no state remembers",
    "contexts": "inputs without time, which every step sees whole",
    "initial": "states that start from a context, from parameters or from rows of numbers",
    "mask": "a declared mask, or one beside the inputs",
    "n_steps": "a loop without sequences",
    "until": "a loop that a node stops",
    "unroll": "a loop written out",
    "truncate": "a backward loop over the last steps only",
    "go_backwards": "a loop from the last step to the first",
    "final_states": "states after the last step as outputs",
    "stateful": "states that go on to the next batch",
    "draws": "noise of given random numbers, while training",
    "nested": "a container or a chain as a node",
    "graph": "a Graph, which runs once",
    "int": "inputs of whole numbers",
    "bool": "inputs of truth values",
    "float32": "float32 throughout",
    "training": "ten steps of an optimizer",
}
"""Every capability that is no layer, and what it means."""


def capabilities(
    spec: GraphSpec,
    batches: int = 1,
    draws: bool = False,
    mask: bool = False,
    states: bool = False,
    dtype: str = "float64",
    training: bool = False,
) -> list[str]:
    """What a case of ``spec`` needs, sorted.

    >>> capabilities(GraphSpec(truncate_gradient=2, n_steps=4))
    ['n_steps', 'truncate']
    """
    said = {
        "stateful": batches > 1 or states,
        "draws": draws,
        "mask": mask,
        "float32": dtype == "float32",
        "training": training,
    }
    return sorted({name for name, holds in said.items() if holds} | set(_of_spec(spec)))


def _of_spec(spec: GraphSpec) -> Iterator[str]:
    contexts = [item for item in spec.inputs if not item.is_sequence]
    said = {
        "taps": _looks_far_back(spec),
        "free": spec.free or _remembers_itself(spec),
        "contexts": bool(contexts),
        "initial": any(_starts(state.initial) for state in spec.states),
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
        "bool": any(
            item.dtype == "bool" and item.name != spec.mask for item in spec.inputs
        ),
    }
    yield from (name for name, holds in said.items() if holds)
    for node in spec.nodes:
        yield from _of_layer(node.layer.class_name, node.layer.config)


def _of_layer(name: str, config: Mapping[str, object]) -> Iterator[str]:
    """A layer outside the core, and what is inside of it."""
    inner = config.get("spec")
    if inner is not None:
        yield "nested"
        yield from _of_spec(GraphSpec.from_dict(inner))
    elif name == "Sequential":
        yield "nested"
    elif name not in CORE_LAYERS:
        yield f"layer:{name}"
    parts = [
        *(config.get("layers") or ()),
        *(config[key] for key in ("layer", "backward_layer") if key in config),
    ]
    for part in parts:
        yield from _of_layer(part["name"], part)


def _looks_far_back(spec: GraphSpec) -> bool:
    sequences = {item.name for item in spec.inputs}
    refs = [ref for item in (*spec.nodes, *spec.outputs) for ref in item.refs]
    return any(ref.tap < -1 or (ref.tap and ref.name in sequences) for ref in refs)


def _remembers_itself(spec: GraphSpec) -> bool:
    """Whether the past of a node is read that no state remembers."""
    fed = {state.input for state in spec.states} | {state.name for state in spec.states}
    nodes = {value for node in spec.nodes for value in node.values}
    refs = [ref for item in (*spec.nodes, *spec.outputs) for ref in item.refs]
    return any(ref.tap and ref.name in nodes and ref.name not in fed for ref in refs)


def _starts(initial: object) -> bool:
    return (
        isinstance(initial, tuple)
        or initial in (LEARNED, DRAWN)
        or isinstance(initial, str)
    )
