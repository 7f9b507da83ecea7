"""The scan whose gradient is this package's reverse pass.

:class:`Reversible` is an operation whose graph is the loop, and whose ``pullback`` is
the reverse pass. ``pytensor.grad`` calls it as it calls that of any other operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph
from pytensor.gradient import disconnected_type, grad
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.replace import clone_replace, graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import Size
from recursive.scan.backward import Backward, LoopInputs, exists
from recursive.scan.step_graph import Tapped, holds_graphs, tapped, trace_step
from recursive.scan.vjp import StepVJP, is_float, step_vjp


def scan(
    step: Callable,
    sequences: Sequence[object],
    outputs_info: Sequence[object],
    non_sequences: Sequence[TensorVariable],
    n_steps: Size,
    truncate_gradient: int = -1,
    name: str | None = None,
) -> list[TensorVariable]:
    """``backend.scan`` with the same arguments and values, and its own reverse pass.

    The gradient is PyTensor's if it is truncated, if the step has a loop or an IfElse
    in it, if an operation of the step has no gradient, or if the step's values cannot
    be stored for all steps.
    """
    if truncate_gradient == -1:
        results = _reversible_scan(
            step, sequences, outputs_info, non_sequences, n_steps, name
        )
        if results is not None:
            return results
    return backend.scan(
        step,
        sequences,
        outputs_info,
        non_sequences,
        n_steps,
        truncate_gradient,
        name,
    )


def _reversible_scan(
    step: Callable,
    sequences: Sequence[object],
    outputs_info: Sequence[object],
    non_sequences: Sequence[TensorVariable],
    n_steps: Size,
    name: str | None,
) -> list[TensorVariable] | None:
    """The results over time; None if the step has no reverse pass here."""
    read = [tapped(entry, "input") for entry in sequences]
    states = []
    result_index = []  # by state
    past_result_index = []  # by state, then by tap
    for index, entry in enumerate(outputs_info):
        if entry is not None:
            state = tapped(entry, "initial")
            states.append(state)
            result_index.append(index)
            past_result_index.extend([index] * len(state.taps))
    graph = trace_step(step, read, states, non_sequences)
    if holds_graphs(graph.results):
        return None
    vjp = step_vjp(graph, past_result_index)
    if vjp is None:
        return None

    # The order of inputs is that of Layout.
    inputs = [item.rows for item in (*read, *states)]
    inputs.extend(graph.outer_values)
    if not isinstance(n_steps, int):
        inputs.append(n_steps)
    layout = Layout(
        sequences=tuple(item.taps for item in read),
        states=tuple(item.taps for item in states),
        result_index=tuple(result_index),
        n_steps=n_steps if isinstance(n_steps, int) else None,
    )
    op = Reversible(vjp, layout, name or "loop", inputs)
    return op(*inputs, return_list=True)[: len(graph.results)]


def last_step(values: TensorVariable) -> TensorVariable:
    """``values[-1]``, of values over time.

    A Reversible returns the last step of each state as an output. Its gradient then is
    one step, instead of a sequence of zeros with one step at the end.
    """
    node = values.owner
    if node is None or not isinstance(node.op, Reversible):
        return values[-1]
    result_index = node.op.layout.result_index
    # The last outputs; none if there are no states.
    lasts = node.outputs[len(node.outputs) - len(result_index) :]
    for index, last in zip(result_index, lasts, strict=True):
        if node.outputs[index] is values:
            return last
    return values[-1]


def describe_gradient(outputs: object) -> str:
    """A sentence that says which gradient the loop behind ``outputs`` has.

    The rarest reason for scan's own gradient is left out of the text: an operation of
    the step has no gradient.
    """
    outputs = list(outputs.values()) if isinstance(outputs, Mapping) else [outputs]
    for variable in ancestors(outputs):
        if variable.owner is not None and isinstance(variable.owner.op, Reversible):
            count = len(variable.owner.op.vjp.parts.stored)
            values = "1 value" if count == 1 else f"{count} values"
            return (
                f"a reverse pass of its own. Each step keeps {values} for it in "
                "addition to its results; the gradient of weights is one product after "
                "the loop."
            )
    return (
        "scan's own gradient, since a step has a loop or an IfElse in it, or slices or "
        "indexes values at positions that it computes."
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """The positions that split the flat inputs of a Reversible.

    The inputs are the rows of every sequence and of every state, the values that are
    constant over time, the weights, and the number of steps if it is not known.

    Args:
        sequences: the taps of each sequence.
        states: the taps of each state.
        result_index: for each state, the index of the result that feeds it.
        n_steps: the number of steps; None if it is the last input.
    """

    sequences: tuple[tuple[int, ...], ...]
    states: tuple[tuple[int, ...], ...]
    result_index: tuple[int, ...]
    n_steps: int | None

    def unpack(self, inputs: Sequence[TensorVariable]) -> LoopInputs:
        """Split the inputs of a Reversible."""
        remaining = iter(inputs)
        sequences = [Tapped(next(remaining), taps) for taps in self.sequences]
        states = [Tapped(next(remaining), taps) for taps in self.states]
        constants = list(remaining)
        n_steps = constants.pop() if self.n_steps is None else self.n_steps
        return LoopInputs(sequences, states, self.result_index, constants, n_steps)


class Reversible(OpFromGraph):
    """A loop and its reverse pass.

    Its outputs are, in this order, every result at every step, the values that are
    stored for the reverse pass, and the last step of each state.
    """

    def __init__(
        self,
        vjp: StepVJP,
        layout: Layout,
        name: str,
        given: Sequence[TensorVariable],
    ):
        self.vjp = vjp
        self.layout = layout
        inputs = [value.type() for value in given]
        outputs = self._forward(inputs, name)
        # inline: compilers see the loop itself, and can rewrite it.
        super().__init__(inputs, outputs, inline=True, name=name)

    def _forward(
        self, inputs: Sequence[TensorVariable], name: str
    ) -> list[TensorVariable]:
        """Build the forward loop."""
        loop = self.layout.unpack(inputs)
        step = self.vjp.step
        step_outputs = [*step.results, *self.vjp.parts.stored]
        # None for results that feed no state, and for stored values.
        outputs_info: list[object] = [None] * len(step_outputs)
        for index, state in zip(loop.result_index, loop.states, strict=True):
            outputs_info[index] = state.entry("initial")

        def storing_step(*args: TensorVariable) -> list[TensorVariable]:
            return clone_replace(
                step_outputs, dict(zip(step.inputs, args, strict=True))
            )

        found = backend.scan(
            storing_step,
            [item.entry("input") for item in loop.sequences],
            outputs_info,
            loop.constants,
            loop.n_steps,
            name=name,
        )
        lasts = [found[index][-1] for index in loop.result_index]
        return [*found, *lasts]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """True for inputs that may have a gradient: floats.

        Integers, such as the number of steps, and bools have none.
        """
        pattern = []
        for value in self.inner_inputs:
            pattern.append([is_float(value)] * len(self.output_types))
        return pattern

    def pullback(
        self,
        inputs: Sequence[TensorVariable],
        outputs: Sequence[TensorVariable],
        output_grads: Sequence[Variable],
    ) -> list[Variable]:
        """The gradient with respect to each input, given that of each output."""
        stored_from = len(self.vjp.step.results)
        lasts_from = stored_from + len(self.vjp.parts.stored)
        if any(map(exists, output_grads[stored_from:lasts_from])):
            # Stored values are read only by a reverse pass. If one has a gradient,
            # someone is differentiating that reverse pass.
            found = self._fallback_gradient(inputs, output_grads)
        else:
            names = (*self.vjp.step.results, *self.vjp.parts.stored)
            found = Backward(
                self.vjp,
                self.layout.unpack(inputs),
                dict(zip(names, outputs[:lasts_from], strict=True)),
                output_grads[:stored_from],
                output_grads[lasts_from:],
            ).gradients()
            if self.layout.n_steps is None:
                found.append(None)  # of the number of steps, an integer
        return list(map(_as_pullback, inputs, found))

    def _fallback_gradient(
        self, inputs: Sequence[TensorVariable], output_grads: Sequence[Variable]
    ) -> list[Variable | None]:
        """PyTensor's own gradient of the loop, to differentiate a reverse pass."""
        # Rebuild the forward loop on fresh placeholders: scan would otherwise see the
        # history of the inputs. Outputs are copied for the reason given in vjp.py: one
        # of them may be computed from another.
        placeholders = [value.type() for value in inputs]
        outputs = self._forward(placeholders, f"{self.name}fallback_gradient")
        known = {}
        for output, gradient in zip(outputs, output_grads, strict=True):
            copy = output.copy()
            if exists(gradient):
                known[copy] = gradient
        found = grad(
            None,
            placeholders,
            known_grads=known,
            disconnected_inputs="ignore",
            return_disconnected="none",
        )
        before = [gradient for gradient in found if gradient is not None]
        given = dict(zip(placeholders, inputs, strict=True))
        after = iter(graph_replace(before, given, strict=False))
        return [None if gradient is None else next(after) for gradient in found]


def _as_pullback(value: TensorVariable, gradient: Variable | None) -> Variable:
    """A gradient as ``pullback`` has to return it."""
    if not is_float(value):
        return disconnected_type()
    # PyTensor refuses a disconnected gradient of a float here.
    return pt.zeros_like(value) if gradient is None else gradient
