"""A container as its script describes it: the step as text, the first rows of states, and gaps for the rest.

What the text of a script looks like in one library or another is in :mod:`recursive.shown.language`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from recursive.spec.graph import DRAWN, LEARNED, GraphSpec, LayerSpec, NodeSpec
from recursive.spec.history import final_name
from recursive.spec.plan import Recurrence, StepPlan, source_of
from recursive.spec.shapes import Shape
from recursive.spec.text import ACTIVATIONS, PRODUCTS, callable_name, step_source

WRITTEN = {*PRODUCTS, "Activation", "Blend", "Embedding", "Identity"}
"""The layers that a script can write; any other is a gap in it."""

Input = tuple[str, tuple[int | None, ...]]
"""The dtype of an input, and its shape."""


@dataclass(frozen=True)
class Script:
    """All that a script is written from.

    Args:
        spec: the declaration.
        plan: of the step as declared, everything in the loop.
        params: the names of each node's parameters.
        shapes: the shape of every value at one step.
        inputs: the dtype and shape of each input.
        floats: the dtype of parameters and states.
        own: the methods of the formula that the container's class defines itself, as ``Mine.call``.
    """

    spec: GraphSpec
    plan: StepPlan
    params: Mapping[str, tuple[str, ...]]
    shapes: Mapping[str, Shape]
    inputs: Mapping[str, Input]
    floats: str
    own: Sequence[str] = ()

    @property
    def sequences(self) -> list[str]:
        """The inputs of which each step sees a slice."""
        return [item.name for item in self.spec.inputs if item.is_sequence]

    @property
    def outputs(self) -> dict[str, str]:
        """The value that each output is, by its name."""
        return {
            output.name: source_of(self.spec, output) for output in self.spec.outputs
        }

    @property
    def finals(self) -> dict[str, Recurrence]:
        """The states whose last rows are outputs, by the name of the output."""
        return {
            final_name(item.name): item
            for item in self.plan.recurrences
            if self.spec.return_final_states
        }

    def result(self, value: str) -> str:
        """The step's result that is ``value``."""
        return f"results[{self.plan.results.index(value)}]"

    def start(self, item: Recurrence) -> str:
        """The rows before the first step, ``(lag, batch, dim)``, as an expression of every script."""
        initial = item.initial
        if isinstance(initial, str):
            known = {LEARNED: f"weights['{item.name}.initial']", DRAWN: "0.0"}
            initial = known.get(initial) or self._given(initial)
        elif isinstance(initial, tuple) and isinstance(initial[0], tuple):
            initial = [[list(row)] for row in initial]
        return f"rows({initial}, {item.lag}, batch, {self.shapes[item.name][-1]})"

    def _given(self, name: str) -> str:
        context = f"inputs[{name!r}]"
        return f"turned({context})" if len(self.inputs[name][1]) == 3 else context

    @property
    def gaps(self) -> list[str]:
        """What the loop does that a script does not, a sentence each."""
        carried = [item.name for item in self.plan.recurrences if item.stateful]
        found = [
            f"Let {name} start from what it was after the batch before."
            for name in carried
        ]
        return [
            *(f"Write here what {method} makes of this loop." for method in self.own),
            *found,
            *(
                ["Leave the states as they are where the mask is 0."]
                if self.spec.mask
                else []
            ),
        ]

    def step(self, reserved: Collection[str]) -> str:
        """The stubs of layers that cannot be written, then the step, in which no variable has a ``reserved`` name."""
        nodes = tuple(_with_gap(node) for node in self.plan.nodes)
        stubs = [
            _stub(node, marked)
            for node, marked in zip(self.plan.nodes, nodes, strict=True)
            if node != marked
        ]
        reserved = {*reserved, *(node.layer.class_name for node in nodes)}
        plan = dataclasses.replace(self.plan, nodes=nodes)
        return "\n\n\n".join([*stubs, step_source(plan, self.params, reserved)])


def is_written(node: NodeSpec) -> bool:
    """Whether a script can say what a node computes."""
    activation = node.layer.config.get("activation", "linear")
    return node.layer.class_name in WRITTEN and activation in ACTIVATIONS


def _with_gap(node: NodeSpec) -> NodeSpec:
    """``node``, or where no script can write it, one that calls a stub of its own."""
    if is_written(node):
        return node
    kind = callable_name(node.layer.class_name).replace(".", "_")
    return dataclasses.replace(
        node, layer=LayerSpec(f"{kind}_{node.name}", node.layer.config)
    )


def _stub(node: NodeSpec, marked: NodeSpec) -> str:
    kind = node.layer.class_name
    because = (
        "what it computes is Python code"
        if kind == "Lambda"
        else "no formula of it is known here"
    )
    sentence = f"Write the node {node.name!r} ({kind}) here: {because}."
    return (
        f"def {marked.layer.class_name}(*values, **named):\n    # GAP\n"
        f"    raise NotImplementedError({sentence!r})"
    )
