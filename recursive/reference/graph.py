"""A Graph: the nodes of a declaration, run once."""

from __future__ import annotations

from collections.abc import Mapping

from recursive.reference.arrays import (
    Array,
    GraphResult,
    LayerGradients,
    Scope,
    Value,
    add,
    collected,
)
from recursive.reference.order import Names
from recursive.reference.step import StepRun
from recursive.spec.graph import GraphSpec, Ref


def run_once(spec: GraphSpec, inputs: Mapping[str, Value], scope: Scope) -> GraphResult:
    """Run a Graph. Its nodes pass values on with their masks."""
    step = StepRun(
        Names(spec),
        lambda ref: inputs[ref.name],
        lambda node: scope.child(node.name),
        scope.dtype,
    )

    def back(d: Mapping[str, Array]) -> LayerGradients:
        d_inputs: dict[str, Array] = {}

        def give(ref: Ref, share: Array) -> None:
            add(d_inputs, ref.name, share)

        found = step.back(d, {}, give)
        return LayerGradients(
            {name: d_inputs.get(name) for name in inputs},
            collected(found, "params"),
            collected(found, "states"),
        )

    results = {run.node.name: run.result for run in step.nodes}
    return GraphResult(
        {name: reading.value.array for name, reading in step.outputs.items()},
        back,
        _masks(step),
        finals=collected(results, "finals"),
        updates=collected(results, "updates"),
        nodes={name: value.array for name, value in step.values.items()},
    )


def _masks(step: StepRun) -> dict[str, Array]:
    """The masks of outputs, by name, for those that have one."""
    masks = {}
    for name, reading in step.outputs.items():
        if reading.value.mask is not None:
            masks[name] = reading.value.mask
    return masks
