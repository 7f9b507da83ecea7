"""A planned step together with all that scan runs it on, and the loop over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytensor.tensor.variable import TensorVariable

from recursive.backend.sizes import Size
from recursive.loop.state import last_rows, padded, started
from recursive.loop.until import without_wrong_gradient
from recursive.spec.plan import StepPlan

Tensors = Mapping[str, TensorVariable]
Results = tuple[dict[str, TensorVariable], dict[str, TensorVariable]]
"""``(time, batch, ...)`` for each result, and the last rows of each state."""


@dataclass(frozen=True)
class Scanned:
    """A step and what it is repeated over.

    Args:
        plan: the order of the step's arguments and results.
        step: the function from ``plan.arguments`` to ``plan.results``.
        values: sequences ``(time, batch, ...)`` and contexts ``(batch, ...)`` by name.
        starts: the rows before the first step of each state, ``(lag, batch, dim)``.
        params: the parameters, by the plan's names for them.
        length: the number of steps.
        truncate_gradient: the number of last steps that pass a gradient; -1 for all.
        repeat: the function that runs the steps: a scan, or ``written_out``.
    """

    plan: StepPlan
    step: Callable
    values: Tensors
    starts: Tensors
    params: Tensors
    length: Size
    truncate_gradient: int
    repeat: Callable

    @property
    def non_sequences(self) -> list[TensorVariable]:
        """The contexts and parameters, in the order of the step's arguments."""
        contexts = [self.values[name] for name in self.plan.contexts]
        return contexts + [self.params[name] for name in self.plan.param_names]

    def run(self, may_stop: bool = False) -> Results:
        """Run the loop, with all steps unmasked; ``may_stop`` if the step has until."""
        plan = self.plan
        sequences = [padded(item, self.values[item.name]) for item in plan.sequences]
        states = [started(item, self.starts[item.name]) for item in plan.recurrences]
        results = self.repeat(
            self.step,
            sequences=sequences,
            outputs_info=[*states, *[None] * len(plan.collected)],
            non_sequences=self.non_sequences,
            n_steps=self.length,
            truncate_gradient=self.truncate_gradient,
            name="recursive",
        )
        if may_stop:
            results = map(without_wrong_gradient, results)
        found = dict(zip(plan.results, results, strict=True))
        lasts = {}
        for item in plan.recurrences:
            start = self.starts[item.name]
            lasts[item.name] = last_rows(item, start, found[item.node])
        return found, lasts
