"""A Graph: the nodes of a declaration, run once."""

from __future__ import annotations

from collections.abc import Mapping

from recursive.reference.arrays import (
    Array,
    Computed,
    Given,
    Pulled,
    Value,
    Whole,
    outside,
    summed,
)
from recursive.reference.order import Names
from recursive.reference.step import Ran, has_gradient, read
from recursive.spec.graph import GraphSpec, Ref


def run_once(spec: GraphSpec, inputs: Mapping[str, Value], given: Given) -> Whole:
    """Every output by name. Nodes hand values on with their masks."""
    names, values, ran = Names(spec), dict(inputs), []

    def reader(ref: Ref) -> Value:
        return values[ref.name]

    for node in names.ordered:
        ran.append(Ran(node, reader, given.inside(node.name)))
        values.update(ran[-1].outputs)
    shown = {
        output.name: read(output.refs, output.merge_mode, reader, given.dtype)
        for output in names.outputs
    }

    def back(d: Mapping[str, Array]) -> Pulled:
        d_values: dict[str, Array] = {}

        def giver(ref: Ref, share: Array) -> None:
            d_values[ref.name] = (
                d_values[ref.name] + share if ref.name in d_values else share
            )

        params, states = {}, {}
        for name, share in d.items():
            shown[name][1](share, giver)
        for node in reversed(ran):
            if has_gradient(node, d_values):
                pulled = node.back(d_values, giver)
                params = summed(params, outside(pulled.params, node.node.name))
                states = summed(states, outside(pulled.states, node.node.name))
        return Pulled({name: d_values.get(name) for name in inputs}, params, states)

    found = Computed(
        {name: value.array for name, (value, _) in shown.items()},
        back,
        {
            name: value.mask
            for name, (value, _) in shown.items()
            if value.mask is not None
        },
        _of_nodes(ran, "finals"),
        _of_nodes(ran, "updates"),
    )
    return Whole(
        found,
        {name: value for node in ran for name, value in node.values.items()},
    )


def _of_nodes(ran: list[Ran], field: str) -> dict[str, Array]:
    return {
        name: value
        for node in ran
        for name, value in outside(getattr(node.found, field), node.node.name).items()
    }
