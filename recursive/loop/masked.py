"""A step that is told which rows are data: where one is not, its states stay as they are, and no time passes for it.

Whatever the step looks back to is kept in a window of the last rows that were data, so that a tap reaches over padding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import Size, size
from recursive.scan.op import last_step
from recursive.spec.names import Ref
from recursive.spec.plan import StepPlan

Tensors = Mapping[str, TensorVariable]


def masked_scan(
    plan: StepPlan,
    repeat: Callable,
    step: Callable,
    mask: TensorVariable,
    values: Tensors,
    before: Tensors,
    constants: list[TensorVariable],
    length: Size,
    truncate_gradient: int,
) -> tuple[dict[str, TensorVariable], dict[str, TensorVariable]]:
    """Run ``step`` over time where ``mask``, ``(time, batch)``, is true.

    Args:
        plan: the order of the step's arguments and results.
        repeat: what runs the steps.
        step: from ``plan.arguments`` to ``plan.results``.
        mask: which steps of which rows are data.
        values: sequences and contexts by name.
        before: the rows before the first step of each state.
        constants: the parameters, as the plan orders them.
        length: how many steps there are.
        truncate_gradient: how many of the last steps the backward loop runs over; -1 for all.

    Returns:
        ``(time, batch, ...)`` for each result, as computed, and the last rows of each state.
    """
    windows = {
        **{item.name: before[item.name] for item in plan.recurrences},
        **_windows(plan, values),
    }
    names = [item.name for item in plan.sequences]
    nodes = {item.name: item.node for item in plan.recurrences}

    def masked(valid: TensorVariable, *args: TensorVariable) -> list[TensorVariable]:
        now = dict(zip(names, args, strict=False))
        past = dict(zip(windows, args[len(names) :], strict=False))
        rest = args[len(names) + len(windows) :]
        contexts = dict(zip(plan.contexts, rest, strict=False))
        seen = [_seen(ref, now, past, contexts) for ref in plan.per_step]
        results = dict(
            zip(plan.results, step(*seen, *rest[len(plan.contexts) :]), strict=True)
        )
        moved = [
            _slid(window, results[nodes[name]] if name in nodes else now[name], valid)
            for name, window in past.items()
        ]
        return [*moved, *(results[name] for name in plan.results)]

    found = repeat(
        masked,
        sequences=[mask, *(values[name] for name in names)],
        outputs_info=[*windows.values(), *(None for _ in plan.results)],
        non_sequences=[*(values[name] for name in plan.contexts), *constants],
        n_steps=length,
        truncate_gradient=truncate_gradient,
        name="masked",
    )
    lasts = {
        name: last_step(window) for name, window in zip(windows, found, strict=False)
    }
    return dict(zip(plan.results, found[len(windows) :], strict=True)), lasts


def _windows(plan: StepPlan, values: Tensors) -> dict[str, TensorVariable]:
    """Zeros for the last rows of each sequence that is looked back to."""
    lags = {item.name: -min(item.taps) for item in plan.sequences if min(item.taps)}
    return {
        name: pt.zeros(
            (lag, *(size(values[name], axis) for axis in range(1, values[name].ndim))),
            dtype=values[name].dtype,
        )
        for name, lag in lags.items()
    }


def _seen(ref: Ref, now: Tensors, past: Tensors, contexts: Tensors) -> TensorVariable:
    """The value that a step reads: of now, or from the window of what was data before."""
    if ref.tap:
        return past[ref.name][ref.tap]
    return now[ref.name] if ref.name in now else contexts[ref.name]


def _slid(
    window: TensorVariable, new: TensorVariable, valid: TensorVariable
) -> TensorVariable:
    """``window`` with ``new`` behind its last row and without its first, in the rows of the batch that are data."""
    slid = (
        pt.concatenate([window[1:], new[None]], axis=0)
        if size(window, 0) != 1
        else new[None]
    )
    return pt.switch(valid.dimshuffle("x", 0, *["x"] * (window.ndim - 2)), slid, window)


def last_valid(mask: TensorVariable, length: Size) -> TensorVariable:
    """The number of the last step that was data, at each step of ``mask``, ``(time, batch)``; -1 before any."""
    steps = pt.switch(mask, pt.arange(length).dimshuffle(0, "x"), -1)
    [last] = backend.scan(
        pt.maximum, [steps], [steps[0]], [], length, name="last_valid"
    )
    return last


def filled(values: TensorVariable, last: TensorVariable) -> TensorVariable:
    """``values``, ``(time, batch, ...)``, with each step replaced by the ``last`` that was data, zeros before any."""
    found = values[pt.maximum(last, 0), pt.arange(size(values, 1)).dimshuffle("x", 0)]
    return pt.switch(
        pt.ge(last, 0).dimshuffle(0, 1, *["x"] * (values.ndim - 2)), found, 0
    ).astype(values.dtype)
