"""A plan run over time: names in, the sequence of every value out.

1. Hoisted nodes run on all steps at once, before the loop.
2. The loop runs the nodes that need the past of another node.
3. Deferred nodes run on all steps at once, after the loop.
"""

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
from recursive.loop.nodes import Env, Layers
from recursive.loop.outside import (
    is_steady,
    look_back,
    on_tensors,
    over_time,
    run_over_time,
    without_early_gradient,
)
from recursive.loop.scanned import Scanned, Tensors
from recursive.loop.step import make_step, named_step
from recursive.loop.unrolled import written_out
from recursive.loop.until import until
from recursive.scan.op import last_step
from recursive.spec.names import Ref
from recursive.spec.plan import Recurrence, StepPlan
from recursive.spec.shapes import Shape


@dataclass(frozen=True)
class Loop:
    """A plan and all that it takes to run it.

    Args:
        plan: what runs where, and the order of arguments and results.
        layers: what runs each node.
        params: the layers' parameters, by the plan's names for them.
        shapes: the shape of every name at one step, batch first.
        call: says if the network is training.
        truncate_gradient: the number of last steps that pass a gradient; -1 for all.
        only_last: True to compute what comes after the loop for the last step only.
        until: the node that stops the loop once it is true in every row.
        repeat: the function that runs the steps: a scan, or ``written_out``.
        step: a user's step, from the plan's arguments to the values of all nodes; None
            to build it from the plan.
    """

    plan: StepPlan
    layers: Layers
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
            inputs: sequences and draws ``(time, batch, ...)`` and contexts ``(batch,
                ...)`` by name. The mask of a sequence is about values inside a step,
                such as ``(time, batch, word)``.
            rows: the number of steps and of rows.
            starts: the rows before the first step of each state, ``(lag, batch, dim)``.
            mask: True for unmasked steps, ``(time, batch)``; None if all are.

        Returns:
            Every value that is known outside the loop, ``(time, batch, ...)``, with one
            step if ``only_last``; and the last rows of each state, ``(lag, batch,
            dim)``. The values at masked steps are not filled in yet.
        """
        plan = self.plan
        env: Env = {Ref(name): value for name, value in inputs.items()}
        # Hoisted nodes may read inputs some steps back: zeros before the first step.
        for ref in _reads(plan.hoisted):
            if ref.tap:
                env[ref] = _value_before(inputs[ref.name], -ref.tap)
        run_over_time(
            plan.hoisted, self.layers, env, plan.constant_over_time, rows, self.call
        )

        results: Values = {}
        lasts: dict[str, TensorVariable] = {}
        if plan.results:
            results, lasts = self._run_loop(env, starts, rows[0], mask)
        for name, value in results.items():
            # What is constant over time stays (batch, ...) in env.
            if name not in plan.constant_over_time:
                env[Ref(name)] = value
        self._run_deferred(env, results, starts, rows)

        found = {}
        for ref, value in env.items():
            if not ref.tap:
                found[ref.name] = self._as_result(ref.name, value, rows[0])
        return found, lasts

    def _run_loop(
        self, env: Env, starts: Tensors, length: Size, mask: TensorVariable | None
    ) -> tuple[dict[str, Value], dict[str, TensorVariable]]:
        """Every result over time, and the last rows of each state."""
        plan = plan_with_masks(
            self.plan, self.layers, self.shapes, env, starts, self.call
        )
        scanned = Scanned(
            plan=plan,
            step=self._typed(self._step(plan, env), plan),
            values=tensors_of(env),
            starts=starts,
            params=self.params,
            length=length,
            truncate_gradient=self.truncate_gradient,
            repeat=self.repeat,
        )
        if mask is None:
            found, lasts = scanned.run(may_stop=self.until is not None)
        else:
            found, lasts = masked_scan(scanned, mask)
        return as_results(found), lasts

    def _step(self, plan: StepPlan, env: Env) -> Callable:
        """The step: from the plan's arguments to the plan's results."""
        if self.step is not None:
            self._check_no_masks(plan)
            return named_step(plan, self.layers, self.step, self.call)
        # Steps that are written out are not passed to scan: they may read anything.
        strict = self.repeat is not written_out
        contexts = contexts_in(env)
        return make_step(plan, self.layers, self.params, self.call, strict, contexts)

    def _check_no_masks(self, plan: StepPlan) -> None:
        """Raise a ConfigError if a user's step would need arguments for masks."""
        added = {*map(str, plan.arguments)} - {*map(str, self.plan.arguments)}
        if added:
            raise ConfigError.about(
                "container",
                "recursive",
                takes="values without masks inside a custom _step",
                because="_step has no argument for a mask",
                got=", ".join(sorted(added)),
                do="Put DropMask() before the loop, or compute the mask in the step.",
            )

    def _typed(self, step: Callable, plan: StepPlan) -> Callable:
        """``step``, with the dims of its results in their types, and with ``until``.

        scan refuses a state whose type changes from step to step, as a dim of 1 that is
        known at first and unknown later.
        """

        def typed(*args: TensorVariable) -> object:
            results = dict(zip(plan.results, step(*args), strict=True))
            for state in plan.recurrences:
                _check_dtype(state, results[state.node].dtype)
            for name, value in results.items():
                if name in self.shapes:  # a mask has no shape there
                    shape = self.shapes[name]
                    shape = (None, *shape[1:])[: len(shape)]
                    results[name] = pt.specify_shape(value, shape)
            # A node that feeds two states is a result for each of them.
            values = [results[name] for name in plan.results]
            if self.until is None:
                return values
            return values, until(_all_true(self.until, results[self.until]))

        return typed

    def _run_deferred(
        self, env: Env, results: Values, starts: Tensors, rows: tuple[Size, Size]
    ) -> None:
        """Run what comes after the loop, and add its values to ``env``."""
        plan = self.plan
        states = {item.name: results[item.node] for item in plan.recurrences}
        for ref in _reads(plan.deferred):
            # Before its first step a state has its start; another value has zeros.
            if ref.tap:
                values = states[ref.name] if ref.name in states else env[Ref(ref.name)]
                env[ref] = _value_before(values, -ref.tap, starts.get(ref.name))
        # Without return_sequences, deferred nodes run on the last step alone.
        if self.only_last:
            for ref, value in env.items():
                if not is_steady(ref, plan.constant_over_time):
                    env[ref] = on_tensors(value, lambda x: last_step(x)[None])
            rows = (1, rows[1])
        run_over_time(
            plan.deferred, self.layers, env, plan.constant_over_time, rows, self.call
        )

    def _as_result(self, name: str, value: Value, length: Size) -> Value:
        """A value over time, with the gradient that a truncated loop would give it."""
        length = 1 if self.only_last else length
        if name in self.plan.constant_over_time:
            value = over_time(value, length)
        elif name in self.plan.results:
            return value  # scan itself has truncated its gradient
        tensor = without_early_gradient(value.tensor, self.truncate_gradient, length)
        return Value(tensor, value.mask)


def _value_before(
    value: Value, lag: int, before: TensorVariable | None = None
) -> Value:
    """A value as it was ``lag`` steps before.

    If values have a mask, what lies before the first step is masked.
    """
    mask = None if value.mask is None else look_back(value.mask, lag)
    return Value(look_back(value.tensor, lag, before), mask, value.is_context)


def _reads(nodes: Iterable) -> dict[Ref, None]:
    """The names that ``nodes`` read, each once, in order."""
    return dict.fromkeys(ref for node in nodes for ref in node.refs)


def _all_true(node: str, value: TensorVariable) -> TensorVariable:
    """True if ``value`` is true in every row."""
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


def _check_dtype(state: Recurrence, dtype: str) -> None:
    """Raise a DtypeError unless a node has the dtype of the state that it feeds."""
    wanted = backend.dtype_of(state.dtype)
    if dtype != wanted:
        do = "Cast them in its layer: Lambda(lambda x: x.astype(...))."
        if state.dtype == "float" and not dtype.startswith("float"):
            kind = "bool" if dtype == "bool" else "int"
            do = f"Declare add_state({state.name!r}, dtype={kind!r}), or cast them."
        raise DtypeError.about(
            "node",
            state.node,
            takes=f"values of {wanted}",
            because=f"it feeds the state {state.name!r}, which has that dtype",
            got=dtype,
            do=do,
        )
