"""The plan as one scan, with what runs before and after it: names in, the sequence of every value out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import Size
from recursive.errors import ConfigError, DtypeError
from recursive.loop.call import Call, Value, Values
from recursive.loop.inner_masks import (
    as_results,
    contexts_in,
    plan_with_masks,
    tensors_of,
)
from recursive.loop.masked import masked_scan
from recursive.loop.outside import (
    is_steady,
    look_back,
    on_tensors,
    over_time,
    run_over_time,
    without_early_gradient,
)
from recursive.loop.state import last_rows, padded, started
from recursive.loop.step import Appliable, Env, make_step, named_step
from recursive.loop.unrolled import written_out
from recursive.loop.until import until, without_wrong_gradient
from recursive.scan.op import last_step
from recursive.spec.names import Ref
from recursive.spec.plan import StepPlan
from recursive.spec.shapes import Shape

Tensors = Mapping[str, TensorVariable]


@dataclass(frozen=True)
class Loop:
    """A plan, and all that it takes to run it.

    Args:
        plan: what runs where, and the order of everything.
        layers: what runs each node, by the node's name.
        params: the layers' parameters, by the names that the plan gives them.
        shapes: the shape of every name at one step, batch first.
        call: says whether the network is training.
        truncate_gradient: how many of the last steps the backward loop runs over; -1 for all.
        only_last: True computes what comes after the loop for the last step only.
        until: the node that stops the loop when it is true in every row.
        repeat: what runs the steps: scan, or the same written out.
        step: the user's own step, from the plan's arguments to the values of all nodes; None makes it from the plan.
    """

    plan: StepPlan
    layers: Mapping[str, Appliable]
    params: Tensors
    shapes: Mapping[str, Shape]
    call: Call
    truncate_gradient: int = -1
    only_last: bool = False
    until: str | None = None
    repeat: Callable = backend.scan
    step: Callable | None = None

    def run(
        self,
        inputs: Values,
        rows: tuple[Size, Size],
        starts: Tensors,
        mask: TensorVariable | None = None,
    ) -> tuple[dict[str, Value], dict[str, TensorVariable]]:
        """Run the plan over time.

        Args:
            inputs: sequences and draws as ``(time, batch, ...)``, contexts as ``(batch, ...)``, by name. The mask of a
                sequence is that of a step's value, ``(time, batch, word)``.
            rows: how many steps and rows there are.
            starts: the rows before the first step of each state, ``(lag, batch, dim)``.
            mask: which steps of which rows are data, ``(time, batch)``; None where all are.

        Returns:
            Every value that is known outside the loop, ``(time, batch, ...)``, one step where only the last is asked;
            and the last rows of each state, ``(lag, batch, dim)``. At masked steps the values mean nothing yet.
        """
        plan = self.plan
        env: Env = {Ref(name): value for name, value in inputs.items()}
        for ref in _refs(plan.hoisted):
            if ref.tap:
                env[ref] = _value_before(inputs[ref.name], -ref.tap)
        run_over_time(
            plan.hoisted, self.layers, env, plan.constant_over_time, rows, self.call
        )
        found, lasts = (
            self._scan(env, starts, rows[0], mask) if plan.results else ({}, {})
        )
        for name, value in found.items():
            if name not in plan.constant_over_time:
                env[Ref(name)] = value
        self._defer(env, found, starts, rows)
        seen = {}
        for ref, value in env.items():
            if not ref.tap:
                seen[ref.name] = self._seen(ref.name, value, rows[0])
        return seen, lasts

    def _scan(
        self, env: Env, starts: Tensors, length: Size, mask: TensorVariable | None
    ) -> tuple[dict[str, Value], dict[str, TensorVariable]]:
        """``(time, batch, ...)`` for each name in ``plan.results``, and the last rows of each state."""
        plan = plan_with_masks(
            self.plan, self.layers, self.shapes, env, starts, self.call
        )
        given = tensors_of(env)
        strict = self.repeat is not written_out
        if self.step is None:
            contexts = contexts_in(env)
            step = make_step(
                plan, self.layers, self.params, self.call, strict, contexts
            )
        elif len(plan.arguments) > len(self.plan.arguments):
            raise ConfigError.about(
                "container",
                "recursive",
                takes="values without masks inside a step, beside a _step of its own",
                because="_step has no argument for a mask",
                got=", ".join(
                    sorted(
                        {*map(str, plan.arguments)} - {*map(str, self.plan.arguments)}
                    )
                ),
                do="Put DropMask() before the loop, or what makes the mask into the step.",
            )
        else:
            step = named_step(plan, self.layers, self.step, self.call)
        step = self._typed(step, plan)
        constants = [self.params[name] for name in plan.constants]
        if mask is not None:
            found, lasts = masked_scan(
                plan,
                self.repeat,
                step,
                mask,
                given,
                starts,
                constants,
                length,
                self.truncate_gradient,
            )
            return as_results(found), lasts
        results = self.repeat(
            step,
            sequences=[padded(item, given[item.name]) for item in plan.sequences],
            outputs_info=[
                *(started(item, starts[item.name]) for item in plan.recurrences),
                *(None for _ in plan.collected),
            ],
            non_sequences=[*(given[name] for name in plan.contexts), *constants],
            n_steps=length,
            truncate_gradient=self.truncate_gradient,
            name="recursive",
        )
        if self.until is not None:
            results = map(without_wrong_gradient, results)
        found = dict(zip(plan.results, results, strict=True))
        lasts = {
            item.name: last_rows(item, starts[item.name], found[item.node])
            for item in plan.recurrences
        }
        return as_results(found), lasts

    def _typed(self, step: Callable, plan: StepPlan) -> Callable:
        """``step`` whose results carry their dims in their types: scan refuses a dim of 1 that changes its type."""
        shapes = self.shapes

        def typed(*args: TensorVariable) -> object:
            results = dict(zip(plan.results, step(*args), strict=True))
            for state in plan.recurrences:
                _check_dtype(state.name, state.node, results[state.node].dtype)
            values = []
            for name, value in results.items():
                if name in shapes:  # a mask has none
                    known = (None, *shapes[name][1:])[: len(shapes[name])]
                    value = pt.specify_shape(value, known)
                values.append(value)
            if self.until is None:
                return values
            return values, until(_truth(self.until, results[self.until]))

        return typed

    def _defer(
        self,
        env: Env,
        found: Values,
        starts: Tensors,
        rows: tuple[Size, Size],
    ) -> None:
        """Run what comes after the loop, which ``found`` its results."""
        states = {item.name: found[item.node] for item in self.plan.recurrences}
        for ref in _refs(self.plan.deferred):
            if ref.tap:
                values = states[ref.name] if ref.name in states else env[Ref(ref.name)]
                env[ref] = _value_before(values, -ref.tap, starts.get(ref.name))
        if self.only_last:
            steady = self.plan.constant_over_time
            for ref, value in env.items():
                if not is_steady(ref, steady):
                    env[ref] = on_tensors(value, lambda x: last_step(x)[None])
            rows = (1, rows[1])
        run_over_time(
            self.plan.deferred,
            self.layers,
            env,
            self.plan.constant_over_time,
            rows,
            self.call,
        )

    def _seen(self, name: str, value: Value, length: Size) -> Value:
        """A value as the outside sees it, over time; what scan did not compute is truncated as if it had."""
        length = 1 if self.only_last else length
        if name in self.plan.constant_over_time:
            value = over_time(value, length)
        elif name in self.plan.results:
            return value
        tensor = without_early_gradient(value.tensor, self.truncate_gradient, length)
        return Value(tensor, value.mask)


def _value_before(
    value: Value, lag: int, before: TensorVariable | None = None
) -> Value:
    """A value of ``lag`` steps before; what lies before the first step is no data where values have a mask."""
    mask = None if value.mask is None else look_back(value.mask, lag)
    return Value(look_back(value.tensor, lag, before), mask, value.is_context)


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
