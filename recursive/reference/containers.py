"""A container as a layer: a loop or a Graph inside another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recursive.reference.arrays import (
    Array,
    GraphResult,
    LayerGradients,
    LayerInput,
    LayerResult,
    Scope,
    Value,
    one_or_all,
)
from recursive.reference.graph import run_once
from recursive.reference.loop import final_name, run_over_time
from recursive.reference.order import Names, kept_states
from recursive.reference.table import USE, layer
from recursive.spec.graph import GraphSpec


def run_container(
    spec: GraphSpec, inputs: Mapping[str, Value], scope: Scope
) -> GraphResult:
    """Run a declaration: over time, or once."""
    return (run_over_time if spec.loop else run_once)(spec, inputs, scope)


@layer("Graph", "Recursive", "Recurrent", mask=USE)
def container(config, x, scope):
    """The outputs of a container, of its one input or of a dict by name."""
    spec = GraphSpec.from_dict(config["spec"])
    if scope.in_loop and kept_states(spec):
        return _with_state_ports(spec, x, scope)
    return _as_layer(spec, x, scope)


def _as_layer(spec: GraphSpec, x: LayerInput, scope: Scope) -> LayerResult:
    """The outputs of a container, and the final states that it keeps."""
    is_by_name = isinstance(x, Mapping)
    inputs = x
    if not is_by_name:
        optional = {state.given for state in spec.states}
        [required] = [name for name in spec.input_names if name not in optional]
        inputs = {required: x}
    result = run_container(spec, inputs, scope)
    outputs = list(result.value)

    def back(d):
        found = result.back(d if len(outputs) > 1 else {outputs[0]: d})
        return found if is_by_name else found._replace(x=one_or_all(found.x))

    # The finals of a Graph are the kept states of its layers already.
    finals = result.finals
    if spec.loop:
        finals = {name: finals[name] for name in kept_states(spec)}
    masks = result.masks if len(outputs) > 1 else result.masks.get(outputs[0])
    return LayerResult(one_or_all(result.value), back, masks, finals, result.updates)


def _with_state_ports(spec: GraphSpec, x: LayerInput, scope: Scope) -> LayerResult:
    """A stateful loop in a loop: its kept states are states of the outer loop.

    It reads them at further ports, ``(batch, lag * dim)``, oldest first, and returns
    them after its outputs. A state whose port has no value yet starts as declared.
    """
    names = Names(spec)
    inputs = {item.name: x[item.name] for item in spec.inputs}
    lags = {name: names.lag(name) for name in kept_states(spec)}
    states = {}
    for name, lag in lags.items():
        if name in x:
            states[name] = _oldest_first(_unflattened(x[name].array, lag), lag)
    shows_finals = spec.replace(return_final_states=True)
    result = run_container(shows_finals, inputs, scope.replace(states=states))
    value = {output.name: result.value[output.name] for output in names.outputs}
    for name in lags:
        final = result.value[final_name(name)]
        value[final_name(name)] = final.reshape(len(final), -1)

    def back(d):
        d = dict(d)
        for name, lag in lags.items():
            # The loop inside has final states as outputs, (batch, lag, dim).
            d[final_name(name)] = _unflattened(d[final_name(name)], lag)
        found = result.back(d)
        d_x = dict(found.x)
        for name, lag in lags.items():
            rows = _oldest_first(found.states[name], lag)
            d_x[name] = rows.reshape(len(rows), -1)
        return LayerGradients(d_x, found.params)

    return LayerResult(value, back, result.mask)


def _unflattened(flat: Array, lag: int) -> Array:
    """``(batch, lag * dim)`` as ``(batch, lag, dim)``; unchanged for lag 1."""
    return flat if lag == 1 else flat.reshape(len(flat), lag, -1)


def _oldest_first(rows: Array, lag: int) -> Array:
    """``(batch, lag, dim)`` as ``(lag, batch, dim)``, and back; unchanged for lag 1."""
    return rows if lag == 1 else np.moveaxis(rows, 0, 1)
