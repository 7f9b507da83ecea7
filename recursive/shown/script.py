"""The content of a script: the step as text, the starts of states, and gaps.

A gap is a part of a container that has no text, such as a Python function. The script
raises NotImplementedError there, with a sentence that says what to write.
:mod:`recursive.shown.language` turns the content into the text for one library.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from recursive.spec.graph import DRAWN, LEARNED, GraphSpec, LayerSpec, NodeSpec
from recursive.spec.history import final_name
from recursive.spec.plan import Recurrence, StepPlan, source_of
from recursive.spec.shapes import Shape
from recursive.spec.starts import optional_starts, start_name
from recursive.spec.text import ACTIVATIONS, PRODUCTS, callable_name, step_source

WRITTEN = {*PRODUCTS, "Activation", "Blend", "Embedding", "Greedy", "Identity"}
"""The layers that a script can write; any other is a gap."""

Input = tuple[str, tuple[int | None, ...]]
"""The dtype and the shape of an input."""


@dataclass(frozen=True)
class Script:
    """The content of a script.

    Args:
        spec: the declaration.
        plan: the plan of the declared step, with every node in the loop.
        params: the names of each node's parameters.
        shapes: the shape of every value at one step.
        inputs: the dtype and shape of each input.
        floats: the dtype of parameters and states.
        own: the methods that the container's class overrides, as ``Mine.call``.
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
        """The inputs that each step reads a slice of."""
        return [item.name for item in self.spec.inputs if item.is_sequence]

    @property
    def outputs(self) -> dict[str, str]:
        """The value that each output reads, by the name of the output."""
        outputs = self.spec.outputs
        return {output.name: source_of(self.spec, output) for output in outputs}

    @property
    def finals(self) -> dict[str, Recurrence]:
        """The states that are outputs at the end, by the name of the output."""
        if not self.spec.return_final_states:
            return {}
        return {final_name(item.name): item for item in self.plan.recurrences}

    def result(self, value: str) -> str:
        """The expression for ``value`` among the results of a step."""
        return f"results[{self.plan.results.index(value)}]"

    def start(self, item: Recurrence) -> str:
        """The expression for the start of a state, ``(lag, batch, dim)``."""
        if item.dtype != "float":
            return self._start_of_integers(item)
        initial = item.initial
        if isinstance(initial, str):
            known = {LEARNED: f"weights['{item.name}.initial']", DRAWN: "0.0"}
            if self._starts_from_node(item):
                known[initial] = "0.0"  # a gap, which raises before this line
            initial = known.get(initial) or self._context(initial)
        elif isinstance(initial, tuple) and isinstance(initial[0], tuple):
            # A row for each step of the lag, shared by the batch: (lag, 1, dim).
            initial = [[list(row)] for row in initial]
        return f"rows({initial}, {item.lag}, batch, {self.shapes[item.name][-1]})"

    def _start_of_integers(self, item: Recurrence) -> str:
        """The expression for the start of a state of integers, ``(lag, batch)``."""
        initial = item.initial
        if isinstance(initial, str):
            initial = self._context(initial, axes_with_lag=2)
        elif isinstance(initial, tuple):
            # A number for each step of the lag, shared by the batch: (lag, 1).
            initial = [[int(number)] for number in initial]
        else:
            initial = int(initial)
        dtype = {"int": "int32", "bool": "bool"}[item.dtype]
        return f"whole({initial}, {dtype!r}, {item.lag}, batch)"

    def _starts_from_node(self, item: Recurrence) -> bool:
        name = start_name(item.initial)
        return name is not None and name not in self.inputs

    def _context(self, name: str, axes_with_lag: int = 3) -> str:
        """The expression for a context that a state starts from."""
        context = f"inputs[{name!r}]"
        _, shape = self.inputs[name]
        return f"turned({context})" if len(shape) == axes_with_lag else context

    @property
    def gaps(self) -> list[str]:
        """A sentence for each thing that the loop does and a script does not."""
        found = [f"Write here what {method} does in this loop." for method in self.own]
        for item in self.plan.recurrences:
            if item.stateful:
                found.append(
                    f"Start {item.name} from its last value in the previous batch."
                )
            if self._starts_from_node(item):
                found.append(f"Start {item.name} from the node {item.initial!r}.")
        for name in optional_starts(self.spec):
            found.append(f"Start states from {name!r} if it is among the inputs.")
        if self.spec.mask:
            found.append("Keep the states as they are at steps where the mask is 0.")
        return found

    def step(self, reserved: Collection[str]) -> str:
        """The stubs of layers that are gaps, followed by the step.

        No variable of the step has a ``reserved`` name.
        """
        nodes, stubs = [], []
        for node in self.plan.nodes:
            if is_written(node):
                nodes.append(node)
                continue
            stub = _stub_name(node)
            layer = LayerSpec(stub, node.layer.config)
            nodes.append(dataclasses.replace(node, layer=layer))
            stubs.append(_stub(node, stub))
        reserved = {*reserved, *(node.layer.class_name for node in nodes)}
        plan = dataclasses.replace(self.plan, nodes=tuple(nodes))
        return "\n\n\n".join([*stubs, step_source(plan, self.params, reserved)])


def is_written(node: NodeSpec) -> bool:
    """True if a script can write the formula of a node."""
    activation = node.layer.config.get("activation", "linear")
    return node.layer.class_name in WRITTEN and activation in ACTIVATIONS


def _stub_name(node: NodeSpec) -> str:
    kind = callable_name(node.layer.class_name).replace(".", "_")
    return f"{kind}_{node.name}"


def _stub(node: NodeSpec, name: str) -> str:
    """A function that raises NotImplementedError in place of a node."""
    kind = node.layer.class_name
    because = "its formula is not known here"
    if kind == "Lambda":
        because = "its function is Python code"
    sentence = f"Write the node {node.name!r} ({kind}) here: {because}."
    return (
        f"def {name}(*values, **named):\n    # GAP\n"
        f"    raise NotImplementedError({sentence!r})"
    )
