"""A Graph: the nodes of a declaration, run once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np

from recursive.reference.arrays import (
    Array,
    Computed,
    Given,
    Pulled,
    Whole,
    outside,
    summed,
)
from recursive.reference.order import Names
from recursive.reference.step import Ran, has_gradient, read
from recursive.spec.graph import GraphSpec, NodeSpec, OutputSpec, Ref


def run_once(spec: GraphSpec, inputs: Mapping[str, Array], given: Given) -> Whole:
    """Every output by name. Nodes hand masks on: what several masked values make is data where all of them are."""
    names, values, masks, ran = Names(spec), dict(inputs), _masks(spec, given.mask), []

    def reader(ref: Ref) -> Array:
        return values[ref.name]

    for node in names.ordered:
        own = given.inside(node.name).replace(mask=_joined(node, masks))
        ran.append(Ran(node, reader, own))
        values.update(ran[-1].values)
        if ran[-1].found.mask is not None:
            masks |= dict.fromkeys(node.values, ran[-1].found.mask)
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

    found_masks = {
        output.name: masks.get(output.refs[0].name)
        if len(output.refs) == 1
        else _joined(output, masks)
        for output in names.outputs
    }
    found = Computed(
        {name: value for name, (value, _) in shown.items()},
        back,
        next(iter(found_masks.values())) if len(found_masks) == 1 else None,
        _of_nodes(ran, "finals"),
        _of_nodes(ran, "updates"),
    )
    return Whole(
        found,
        {name: value for node in ran for name, value in node.values.items()},
        {name: mask for name, mask in found_masks.items() if mask is not None},
    )


def _masks(spec: GraphSpec, mask: Array | None) -> dict[str, Array]:
    """The mask of each input that has steps, where the whole has one."""
    with_steps = [
        item.name for item in spec.inputs if item.ndim > 1 + (item.dtype == "float")
    ]
    return {} if mask is None else dict.fromkeys(with_steps, mask)


def _joined(node: NodeSpec | OutputSpec, masks: Mapping[str, Array]) -> Array | None:
    """Where all that ``node`` reads is data; None where none of it has a mask."""
    found = [
        masks[name] != 0
        for name in dict.fromkeys(ref.name for ref in node.refs)
        if name in masks
    ]
    return reduce(np.logical_and, found) if found else None


def _of_nodes(ran: list[Ran], field: str) -> dict[str, Array]:
    return {
        name: value
        for node in ran
        for name, value in outside(getattr(node.found, field), node.node.name).items()
    }
