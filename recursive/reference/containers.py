"""A container as a layer: a loop or a graph inside another."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from recursive.reference.arrays import (
    Array,
    Computed,
    Given,
    Pulled,
    Read,
    Value,
    Values,
    Whole,
    one_or_all,
)
from recursive.reference.graph import run_once
from recursive.reference.loop import run_over_time
from recursive.reference.order import Names, carries
from recursive.reference.table import USE, layer
from recursive.spec.graph import GraphSpec


def run_container(spec: GraphSpec, inputs: Mapping[str, Value], given: Given) -> Whole:
    """Run a declaration: as a loop over time, or once."""
    return (run_over_time if spec.loop else run_once)(spec, inputs, given)


@layer("Graph", "Recursive", "Recurrent", mask=USE)
def container(config: Mapping[str, object], x: Read, given: Given) -> Computed:
    """The outputs of a container, for its one input or a dict by name.

    A stateful one in a loop has its states as further ports, ``(batch, lag * dim)``, oldest first, and hands them back
    after its outputs: they are states of the loop around it.
    """
    spec = GraphSpec.from_dict(config["spec"])
    names = [item.name for item in spec.inputs]
    ports = dict(x) if isinstance(x, Mapping) else {names[0]: x}
    lags = {
        state.name: Names(spec).lag(state.name)
        for state in Names(spec).histories
        if spec.loop and carries(spec, state)
    }
    if not (given.in_loop and lags):
        return _as_layer(
            run_container(spec, ports, given), spec, lags, isinstance(x, Mapping)
        )
    states = {
        name: _as_rows(ports[name].array, lag)
        for name, lag in lags.items()
        if name in ports
    }
    found = run_container(
        spec.replace(return_final_states=True),
        {name: ports[name] for name in names},
        given.replace(states=states),
    ).computed
    lasts = {name: _flat(found.finals[name], lag) for name, lag in lags.items()}
    shown = {output.name: found.value[output.name] for output in Names(spec).outputs}

    def back(d: Mapping[str, Array]) -> Pulled:
        d_finals = {
            f"{name}_final": _as_rows(d[f"{name}_final"], lag)
            for name, lag in lags.items()
        }
        d_finals = {
            name: np.moveaxis(rows, 0, 1) if rows.ndim == 3 else rows
            for name, rows in d_finals.items()
        }
        pulled = found.back({**{name: d[name] for name in shown}, **d_finals})
        d_states = {name: _flat(pulled.states[name], lag) for name, lag in lags.items()}
        return Pulled({**pulled.x, **d_states}, pulled.params)

    return Computed(
        {**shown, **{f"{name}_final": last for name, last in lasts.items()}},
        back,
        found.mask,
    )


def _as_layer(
    whole: Whole, spec: GraphSpec, carried: Collection[str], by_name: bool
) -> Computed:
    """One output by itself; the states that go on."""
    found = whole.computed
    several = len(found.value) > 1

    def back(d: Values) -> Pulled:
        pulled = found.back(d if several else dict.fromkeys(found.value, d))
        return (
            pulled
            if by_name
            else Pulled(next(iter(pulled.x.values())), pulled.params, pulled.states)
        )

    finals = {
        name: value
        for name, value in found.finals.items()
        if not spec.loop or name in carried
    }
    mask = found.masks if several else found.masks.get(next(iter(found.value)))
    return Computed(one_or_all(dict(found.value)), back, mask, finals, found.updates)


def _as_rows(flat: Array, lag: int) -> Array:
    """``(batch, lag * dim)`` as the rows of a state, ``(lag, batch, dim)`` or ``(batch, dim)``."""
    return flat if lag == 1 else np.moveaxis(flat.reshape(len(flat), lag, -1), 1, 0)


def _flat(rows: Array, lag: int) -> Array:
    """The rows of a state as ``(batch, lag * dim)``."""
    return rows if lag == 1 else np.moveaxis(rows, 0, 1).reshape(rows.shape[1], -1)
