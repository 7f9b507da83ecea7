"""scan with a reverse pass of its own, which ``pytensor.grad`` through a loop then simply uses."""

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
from recursive.scan.backward import Backward, Run, is_there
from recursive.scan.step_graph import Series, holds_graphs, series, trace_step
from recursive.scan.vjp import Adjoint, adjoint, is_float


def scan(
    step: Callable,
    sequences: Sequence[object],
    outputs_info: Sequence[object],
    non_sequences: Sequence[TensorVariable],
    n_steps: Size,
    truncate_gradient: int = -1,
    name: str | None = None,
) -> list[TensorVariable]:
    """``backend.scan`` for the same arguments, with a reverse pass of its own.

    A loop whose gradient is truncated, or whose step has a loop or an IfElse in it, has scan's own gradient; so has one
    of whose step there is no ``adjoint``.
    """
    read = [series(entry, "input") for entry in sequences]
    states = [series(entry, "initial") for entry in outputs_info if entry is not None]
    anatomy = trace_step(step, read, states, non_sequences)
    if truncate_gradient != -1 or holds_graphs(anatomy.results):
        return backend.scan(
            step,
            sequences,
            outputs_info,
            non_sequences,
            n_steps,
            truncate_gradient,
            name,
        )
    places = [place for place, entry in enumerate(outputs_info) if entry is not None]
    sources = [
        place for place, state in zip(places, states, strict=True) for _ in state.taps
    ]
    both_ways = adjoint(anatomy, sources)
    if both_ways is None:
        return backend.scan(
            step,
            sequences,
            outputs_info,
            non_sequences,
            n_steps,
            truncate_gradient,
            name,
        )
    layout = Layout(
        tuple(item.taps for item in read),
        tuple(item.taps for item in states),
        tuple(places),
        n_steps if isinstance(n_steps, int) else None,
    )
    given = [
        *(item.rows for item in (*read, *states)),
        *anatomy.given,
        *([] if layout.n_steps else [n_steps]),
    ]
    found = Reversible(both_ways, layout, name or "loop", given)(
        *given, return_list=True
    )
    return found[: len(anatomy.results)]


def last_step(values: TensorVariable) -> TensorVariable:
    """``values[-1]``.

    A loop with a reverse pass gives the last step of each state as an output of its own: its gradient is then no
    sequence of zeros with one step at the end.
    """
    node = values.owner
    if node is None or not isinstance(node.op, Reversible):
        return values[-1]
    places = node.op.layout.places
    lasts = node.outputs[len(node.outputs) - len(places) :]
    for place, last in zip(places, lasts, strict=True):
        if node.outputs[place] is values:
            return last
    return values[-1]


def told(outputs: object) -> str:
    """In words, which gradient the loop behind ``outputs`` has."""
    outputs = list(outputs.values()) if isinstance(outputs, Mapping) else [outputs]
    ops = (value.owner.op for value in ancestors(outputs) if value.owner is not None)
    kept = [len(op.adjoint.kept) for op in ops if isinstance(op, Reversible)]
    if not kept:
        return (
            "scan's own gradient, since a step has a loop or an IfElse in it, or cuts or picks values at places "
            "that it computes."
        )
    values = "1 value" if kept[0] == 1 else f"{kept[0]} values"
    return (
        f"a reverse pass of its own. Each step keeps {values} for it beside its results; the gradient of weights "
        "is one product after the loop."
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """The order of a loop's inputs.

    They are the rows of every sequence and of every state, what is the same at every step, weights, and the number of
    steps where it is not known.
    """

    sequences: tuple[tuple[int, ...], ...]
    states: tuple[tuple[int, ...], ...]
    places: tuple[int, ...]
    n_steps: int | None

    def run(self, inputs: Sequence[TensorVariable]) -> Run:
        """``inputs`` by what they are."""
        rows = iter(inputs)
        sequences = [Series(next(rows), taps) for taps in self.sequences]
        states = [Series(next(rows), taps) for taps in self.states]
        fixed = list(rows)
        return Run(
            sequences,
            states,
            self.places,
            fixed,
            fixed.pop() if self.n_steps is None else self.n_steps,
        )


class Reversible(OpFromGraph):
    """A loop and its reverse pass.

    Its outputs are every result at every step, what is kept for the way back, and the last step of each state.
    """

    def __init__(
        self,
        both_ways: Adjoint,
        layout: Layout,
        name: str,
        given: Sequence[TensorVariable],
    ):
        self.adjoint, self.layout = both_ways, layout
        inputs = [value.type() for value in given]
        super().__init__(inputs, self._forward(inputs, name), inline=True, name=name)

    def _forward(
        self, inputs: Sequence[TensorVariable], name: str
    ) -> list[TensorVariable]:
        """The loop itself."""
        run, step = self.layout.run(inputs), self.adjoint.step
        outputs = [*step.results, *self.adjoint.kept]
        infos: list[object] = [None] * len(outputs)
        for place, state in zip(run.places, run.states, strict=True):
            infos[place] = state.entry("initial")

        def kept_step(*args: TensorVariable) -> list[TensorVariable]:
            return clone_replace(outputs, dict(zip(step.inputs, args, strict=True)))

        found = backend.scan(
            kept_step,
            [item.entry("input") for item in run.sequences],
            infos,
            run.fixed,
            run.n_steps,
            name=name,
        )
        return [*found, *(found[place][-1] for place in run.places)]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Floats may have a gradient; whole numbers, such as the number of steps, and bools have none."""
        return [
            [is_float(value)] * len(self.output_types) for value in self.inner_inputs
        ]

    def pullback(
        self,
        inputs: Sequence[TensorVariable],
        outputs: Sequence[TensorVariable],
        output_grads: Sequence[Variable],
    ) -> list[Variable]:
        """The gradient with respect to each input, given that with respect to each output."""
        count = len(self.adjoint.step.results)
        kept = slice(count, count + len(self.adjoint.kept))
        if any(map(is_there, output_grads[kept])):
            found = self.fallback_gradient(inputs, output_grads)
        else:
            known = dict(
                zip(
                    (*self.adjoint.step.results, *self.adjoint.kept),
                    outputs,
                    strict=False,
                )
            )
            found = Backward(
                self.adjoint,
                self.layout.run(inputs),
                known,
                output_grads[:count],
                output_grads[kept.stop :],
            ).gradients()
            found += [None] * (len(inputs) - len(found))
        return [
            disconnected_type()
            if not is_float(value)
            else pt.zeros_like(value)
            if gradient is None
            else gradient
            for value, gradient in zip(inputs, found, strict=True)
        ]

    def fallback_gradient(
        self, inputs: Sequence[TensorVariable], output_grads: Sequence[Variable]
    ) -> list[Variable | None]:
        """The same by scan's own gradient: for a gradient of the reverse pass itself, which reads what was kept.

        It is made for inputs of its own, since a step may not hold what the given ones are computed of. Outputs are
        copied, since one whose gradient is given takes none from another that is a part of it.
        """
        inside = [value.type() for value in inputs]
        outputs = [
            value.copy()
            for value in self._forward(inside, f"{self.name}fallback_gradient")
        ]
        known = {
            output: value
            for output, value in zip(outputs, output_grads, strict=True)
            if is_there(value)
        }
        found = grad(
            None,
            inside,
            known_grads=known,
            disconnected_inputs="ignore",
            return_disconnected="none",
        )
        there = [place for place, gradient in enumerate(found) if gradient is not None]
        given = dict(zip(inside, inputs, strict=True))
        replaced = dict(
            zip(
                there,
                graph_replace([found[place] for place in there], given, strict=False),
                strict=True,
            )
        )
        return [replaced.get(place) for place in range(len(found))]
