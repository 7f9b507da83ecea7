"""The plan as one scan, with what runs before and after it: names in, the sequence of every value out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.errors import DtypeError
from recursive.loop.masked import masked_scan
from recursive.loop.outside import (
    is_steady,
    look_back,
    repeated,
    run_over_time,
    without_early_gradient,
)
from recursive.loop.reversible import last_step
from recursive.loop.state import last_rows, padded, started
from recursive.loop.step import Env, make_step
from recursive.loop.unrolled import written_out
from recursive.loop.until import until, without_wrong_gradient
from recursive.sizes import Size
from recursive.spec.names import Ref
from recursive.spec.plan import StepPlan
from recursive.spec.shapes import Shape

Tensors = Mapping[str, TensorVariable]


@dataclass(frozen=True)
class Loop:
    """A plan, and all that it takes to run it.

    Args:
        plan: what runs where, and the order of everything.
        layers: what each node calls, by the node's name.
        params: the layers' parameters, by the names that the plan gives them.
        shapes: the shape of every name at one step, batch first.
        train: turns dropout on.
        truncate_gradient: how many of the last steps the backward loop runs over; -1 for all.
        only_last: True computes what comes after the loop for the last step only.
        until: the node that stops the loop when it is true in every row.
        repeat: what runs the steps: scan, or the same written out.
    """

    plan: StepPlan
    layers: Mapping[str, Callable]
    params: Tensors
    shapes: Mapping[str, Shape]
    train: bool = False
    truncate_gradient: int = -1
    only_last: bool = False
    until: str | None = None
    repeat: Callable = backend.scan

    def unroll(
        self,
        inputs: Tensors,
        rows: tuple[Size, Size],
        starts: Tensors,
        mask: TensorVariable | None = None,
    ) -> tuple[dict[str, TensorVariable], dict[str, TensorVariable]]:
        """Run the plan over time.

        Args:
            inputs: sequences and draws as ``(time, batch, ...)``, contexts as ``(batch, ...)``, by name.
            rows: how many steps and rows there are.
            starts: the rows before the first step of each state, ``(lag, batch, dim)``.
            mask: which steps of which rows are data, ``(time, batch)``; None where all are.

        Returns:
            Every value that is known outside the loop, ``(time, batch, ...)``, one step where only the last is asked;
            and the last rows of each state, ``(lag, batch, dim)``. At masked steps the values mean nothing yet.
        """
        plan = self.plan
        env: Env = {Ref(name): value for name, value in inputs.items()}
        env |= {
            ref: look_back(inputs[ref.name], -ref.tap)
            for ref in _refs(plan.hoisted)
            if ref.tap
        }
        run_over_time(plan.hoisted, self.layers, env, plan.steady, rows, self.train)
        found, lasts = (
            self._scan(env, starts, rows[0], mask) if plan.results else ({}, {})
        )
        env |= {
            Ref(name): value for name, value in found.items() if name not in plan.steady
        }
        self._defer(env, found, starts, rows)
        return {
            ref.name: self._seen(ref.name, value, rows[0])
            for ref, value in env.items()
            if not ref.tap
        }, lasts

    def _scan(
        self, env: Env, starts: Tensors, length: Size, mask: TensorVariable | None
    ) -> tuple[dict[str, TensorVariable], dict[str, TensorVariable]]:
        """``(time, batch, ...)`` for each name in ``plan.results``, and the last rows of each state."""
        plan = self.plan
        step = self._typed(
            make_step(
                plan,
                self.layers,
                self.params,
                self.train,
                strict=self.repeat is not written_out,
            )
        )
        constants = [self.params[name] for name in plan.constants]
        if mask is not None:
            values = {ref.name: value for ref, value in env.items() if not ref.tap}
            return masked_scan(
                plan,
                self.repeat,
                step,
                mask,
                values,
                starts,
                constants,
                length,
                self.truncate_gradient,
            )
        results = self.repeat(
            step,
            sequences=[padded(item, env[Ref(item.name)]) for item in plan.sequences],
            outputs_info=[
                *(started(item, starts[item.name]) for item in plan.recurrences),
                *(None for _ in plan.collected),
            ],
            non_sequences=[*(env[Ref(name)] for name in plan.contexts), *constants],
            n_steps=length,
            truncate_gradient=self.truncate_gradient,
            name="recursive",
        )
        if self.until is not None:
            results = map(without_wrong_gradient, results)
        found = dict(zip(plan.results, results, strict=True))
        return found, {
            item.name: last_rows(item, starts[item.name], found[item.node])
            for item in plan.recurrences
        }

    def _typed(self, step: Callable) -> Callable:
        """``step`` whose results carry their dims in their types: scan refuses a dim of 1 that changes its type."""
        plan, shapes = self.plan, self.shapes

        def typed(*args: TensorVariable) -> object:
            results = dict(zip(plan.results, step(*args), strict=True))
            for state in plan.recurrences:
                _check_dtype(state.name, state.node, results[state.node].dtype)
            values = [
                pt.specify_shape(
                    results[name], (None, *shapes[name][1:])[: len(shapes[name])]
                )
                for name in plan.results
            ]
            if self.until is None:
                return values
            return values, until(_truth(self.until, results[self.until]))

        return typed

    def _defer(
        self, env: Env, found: Tensors, starts: Tensors, rows: tuple[Size, Size]
    ) -> None:
        """Run what comes after the loop, which ``found`` its results."""
        states = {item.name: found[item.node] for item in self.plan.recurrences}
        for ref in _refs(self.plan.deferred):
            if ref.tap:
                values = states[ref.name] if ref.name in states else env[Ref(ref.name)]
                env[ref] = look_back(values, -ref.tap, starts.get(ref.name))
        if self.only_last:
            steady = self.plan.steady
            env.update(
                {
                    ref: last_step(value)[None]
                    for ref, value in env.items()
                    if not is_steady(ref, steady)
                }
            )
            rows = (1, rows[1])
        run_over_time(
            self.plan.deferred, self.layers, env, self.plan.steady, rows, self.train
        )

    def _seen(self, name: str, value: TensorVariable, length: Size) -> TensorVariable:
        """A value as the outside sees it, over time; what scan did not compute is truncated as if it had."""
        length = 1 if self.only_last else length
        if name in self.plan.steady:
            value = repeated(value, length)
        elif name in self.plan.results:
            return value
        return without_early_gradient(value, self.truncate_gradient, length)


def _refs(nodes: Iterable) -> dict[Ref, None]:
    """Everything that ``nodes`` read, each once."""
    return dict.fromkeys(ref for node in nodes for ref in node.refs)


def _truth(node: str, value: TensorVariable) -> TensorVariable:
    """Whether ``value`` is true in every row."""
    if value.dtype != "bool":
        raise DtypeError.about(
            "node",
            node,
            takes="true or false",
            because="the loop runs until it is true",
            got=value.dtype,
            do="Compare: Lambda(lambda x: x > 10), for example.",
        )
    return value.all()


def _check_dtype(state: str, node: str, dtype: str) -> None:
    """Raise a DtypeError unless the node that feeds a state has the dtype that the state starts with."""
    if dtype != backend.floatX():
        raise DtypeError.about(
            "node",
            node,
            takes=f"values of {backend.floatX()}",
            because=f"it feeds the state {state!r}, which starts from zeros of floatX",
            got=dtype,
            do="Cast them in its layer: Lambda(lambda x: x.astype(...)).",
        )
