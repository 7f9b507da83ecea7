"""The dims of states that the declaration leaves open.

There are no rules per layer: the nodes run on zeros, first those whose inputs are
known, again and again until every shape is known. One known shape may stand for others:
the values of an element-wise merge, and the ports of some layers, are alike.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recursive.errors import ShapeError
from recursive.reference.arrays import Array, Scope, listed, one_or_all, present
from recursive.reference.cell_chain import states_of_chain
from recursive.reference.merges import finds_shape, merge
from recursive.reference.order import Names
from recursive.reference.step import shape_errors_at
from recursive.reference.table import compute
from recursive.spec.graph import NodeSpec, PortSpec, Ref

ALIKE = ("Blend", "IfElse", "RunningAverage", "Switch", "Teacher", "Zoneout")
"""Layers whose ports have one shape."""

SHAPED_LIKE = {"Sample": "Greedy"}
"""Layers whose values have the shape of those of another, which needs no draws."""

Known = dict[str, Array]
"""Zeros in the shape of every value known so far, and of histories as ``name_tm1``."""


def find_dims(
    names: Names, known: Mapping[str, Array], scope: Scope
) -> dict[str, tuple[int, ...]]:
    """The dims of every history: ``(dim,)``, or none for integers.

    Args:
        names: the declaration.
        known: zeros in the shape of inputs at one step and of some histories.
        scope: the scope of the loop; noise is off.

    Raises:
        ShapeError: if a dim cannot be found.
    """
    known = dict(known)
    scope = scope.replace(train=False, states={})
    fed_by = names.fed_by
    while missing := [name for name in fed_by if str(Ref(name, -1)) not in known]:
        count = len(known)
        for node in names.ordered:
            inner = scope.child(node.name).replace(in_loop=True)
            known |= _node_values(node, names, known, inner)
        for name in missing:
            if fed_by[name] in known:
                known[str(Ref(name, -1))] = known[fed_by[name]]
        # A round that finds nothing will find nothing the next time.
        if len(known) == count:
            raise ShapeError.about(
                "state",
                missing[0],
                takes="a dim",
                got="none, and nothing to infer it from",
                do="Declare its dim.",
            )
    return {name: known[str(Ref(name, -1))].shape[1:] for name in fed_by}


def _node_values(node: NodeSpec, names: Names, known: Known, scope: Scope) -> Known:
    """The values of ``node``, computed from zeros; none if too little is known."""
    config = node.layer.config
    ports = {port.name: _port(port, names, known, scope) for port in node.ports}
    found = {name: value for name, value in ports.items() if value is not None}
    if "spec" in config:
        # A container's inputs are enough: without its states, it starts from zeros.
        inputs = {item["name"] for item in config["spec"]["inputs"]}
        optional = {state.get("given") for state in config["spec"]["states"]}
        if inputs - optional <= set(found):
            ports = found
    elif node.layer.class_name == "Sequential" and "input" in found:
        # The states of cells in a chain have dims of their own.
        for state in states_of_chain(config):
            if ports[state.full_port] is None:
                shape = (len(found["input"]), state.dim)
                ports[state.full_port] = np.zeros(shape, scope.dtype)
        found = {name: value for name, value in ports.items() if value is not None}
    elif len(ports) > 1 and found and node.layer.class_name in ALIKE:
        one = next(iter(found.values()))
        ports = {name: found.get(name, one) for name in ports}
    if len(present(ports.values())) < len(ports):
        return _declared_values(node, known, scope)
    x = ports if len(node.ports) > 1 else one_or_all(ports)
    # Zeros may divide by zero: only the shape counts.
    with np.errstate(all="ignore"), shape_errors_at(node):
        class_name = node.layer.class_name
        class_name = SHAPED_LIKE.get(class_name, class_name)
        values = listed(compute(class_name, config, x, scope).value)
        return dict(zip(node.values, values, strict=True))


def _declared_values(node: NodeSpec, known: Known, scope: Scope) -> Known:
    """Zeros of the node's ``output_dim``; none if it has none or returns steps."""
    config = node.layer.config
    dim = config.get("output_dim")
    if not dim or config.get("return_sequences"):
        return {}
    rows = len(next(iter(known.values()))) if known else 1
    found = {}
    for name in node.values:
        # RecurrentDeep also returns the flags there1, there2, ..., of dim 1.
        is_flag = node.layer.class_name == "RecurrentDeep" and ".there" in name
        found[name] = np.zeros((rows, 1 if is_flag else dim), scope.dtype)
    return found


def _port(port: PortSpec, names: Names, known: Known, scope: Scope) -> Array | None:
    """Zeros in the shape that a port reads; None if too little is known."""
    values = []
    for ref in map(names.meaning, port.refs):
        # The past of an input has the shape of the input.
        is_past = ref.tap and ref.name in names.fed_by
        values.append(known.get(str(Ref(ref.name, -1)) if is_past else ref.name))
    found = present(values)
    if not found:
        return None
    if len(found) < len(values) and not finds_shape(port.merge_mode, found):
        return None
    return merge(found, port.merge_mode, scope.dtype)[0]
