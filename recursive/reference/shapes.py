"""How many values a row each history has, where the declaration does not say.

Nothing is told by rules: the nodes are run on zeros, those first whose inputs are known, until every shape is found.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recursive.errors import ShapeError
from recursive.reference.arrays import Array, Given
from recursive.reference.merges import finds_shape, merge
from recursive.reference.order import Names
from recursive.reference.step import fitting, named
from recursive.reference.table import compute
from recursive.spec.graph import NodeSpec, PortSpec, Ref

ALIKE = ("Blend", "IfElse", "Switch", "Zoneout")
"""Layers whose ports have one shape."""
Known = dict[str, Array]
"""Zeros in the shape of every value that is known so far."""


def find_dims(names: Names, known: Mapping[str, Array], given: Given) -> dict[str, int]:
    """Values a row of every history, from zeros in the shape of the inputs and of the histories that are known.

    Args:
        names: what the names mean.
        known: of inputs at one step, by name, and of histories, as ``name_tm1``.
        given: what the nodes are given; no noise is drawn.

    Raises:
        ShapeError: where a dim cannot be found.
    """
    known, given = dict(known), given.replace(train=False, states={})
    fed = {state.name: state.input for state in names.histories}
    while missing := [name for name in fed if str(Ref(name, -1)) not in known]:
        count = len(known)
        for node in names.ordered:
            known |= _shown(
                node, names, known, given.inside(node.name).replace(in_loop=True)
            )
        known |= {
            str(Ref(name, -1)): known[fed[name]]
            for name in missing
            if fed[name] in known
        }
        if len(known) == count:
            raise ShapeError.about(
                "state",
                missing[0],
                takes="a dim",
                because="it starts from zeros",
                got="none, and nothing that tells it",
                do="Say its dim in the declaration.",
            )
    return {name: known[str(Ref(name, -1))].shape[-1] for name in fed}


def _shown(node: NodeSpec, names: Names, known: Known, given: Given) -> Known:
    """The values of ``node``, computed from zeros; none where too little is known."""
    config, several = node.layer.config, len(node.ports) > 1
    dim = None if config.get("return_sequences") else config.get("output_dim")
    ports = {port.name: _port(port, names, known, given) for port in node.ports}
    there = {name: value for name, value in ports.items() if value is not None}
    if "spec" in config and {item["name"] for item in config["spec"]["inputs"]} <= set(
        there
    ):
        ports = there  # the states that a container hands out may wait
    elif several and there and node.layer.class_name in ALIKE:
        ports = dict.fromkeys(ports, next(iter(there.values()))) | there
    if any(value is None for value in ports.values()):
        return _zeros_of(node, dim, _rows(known), given) if dim else {}
    with np.errstate(all="ignore"), fitting(node):
        x = ports if several else next(iter(ports.values()))
        return named(node, compute(node.layer.class_name, config, x, given))


def _zeros_of(node: NodeSpec, dim: int, rows: int, given: Given) -> Known:
    """Zeros for each output: of ``dim`` values a row, but for the flags of a RecurrentDeep, which are one value."""
    found = {}
    for name in node.values:
        is_flag = node.layer.class_name == "RecurrentDeep" and ".there" in name
        found[name] = np.zeros((rows, 1 if is_flag else dim), given.dtype)
    return found


def _port(port: PortSpec, names: Names, known: Known, given: Given) -> Array | None:
    """What a port reads, of zeros; where one of several that are merged element by element is known, it tells."""
    refs = [names.meaning(ref) for ref in port.refs]
    found = [known.get(_key(ref, names)) for ref in refs]
    there = [value for value in found if value is not None]
    if not there:
        return None
    if len(there) < len(found) and not finds_shape(port.merge_mode, there):
        return None
    return merge(there, port.merge_mode, given.dtype)[0]


def _key(ref: Ref, names: Names) -> str:
    """Under which name zeros are kept: those of an input have one shape at all times."""
    is_past = ref.tap and ref.name in {state.name for state in names.histories}
    return str(Ref(ref.name, -1)) if is_past else ref.name


def _rows(known: Known) -> int:
    return len(next(iter(known.values()))) if known else 1
