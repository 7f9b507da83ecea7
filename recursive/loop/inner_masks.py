"""Masks of the values inside a step: how they enter the loop and leave it.

A step of sentences reads ``(batch, word)`` of words with a mask of the same shape. Such a mask is one more argument of
the step, next to its value: a sequence, or a context where the value is the same at every step. A mask that a node
makes inside the step is one more result, where the value leaves the loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pytensor.tensor.variable import TensorVariable

from recursive.loop.call import Call, Value
from recursive.loop.step import Appliable, Env, as_values, mask_name, run
from recursive.spec.names import Ref
from recursive.spec.plan import Sequence as PlannedSequence
from recursive.spec.plan import StepPlan
from recursive.spec.shapes import Shape


def plan_with_masks(
    plan: StepPlan,
    layers: Mapping[str, Appliable],
    shapes: Mapping[str, Shape],
    env: Env,
    starts: Mapping[str, TensorVariable],
    call: Call,
) -> StepPlan:
    """``plan`` with masks among its arguments and results, wherever a value has one.

    Args:
        plan: without masks.
        layers: what runs each node.
        shapes: the shape of every name at one step.
        env: what is known before the loop, with its masks.
        starts: the rows before the first step of each state, ``(lag, batch, dim)``.
        call: says whether the network is training.
    """
    masked = {ref.name for ref, value in env.items() if value.mask is not None}
    sequences = list(plan.sequences)
    for item in plan.sequences:
        if item.name in masked:
            sequences.append(PlannedSequence(mask_name(item.name), item.taps))
    masks_of_contexts = [mask_name(name) for name in plan.contexts if name in masked]
    plan = replace(
        plan,
        sequences=tuple(sequences),
        contexts=(*plan.contexts, *masks_of_contexts),
        constant_over_time=plan.constant_over_time | set(masks_of_contexts),
    )
    has_deep_results = any(len(shapes[name]) > 2 for name in plan.collected)
    if not masked and not has_deep_results:
        return plan  # a vector in each row has no axis that could be masked
    made = _masked_results(plan, layers, env, starts, call)
    return replace(plan, collected=(*plan.collected, *map(mask_name, made)))


def _masked_results(
    plan: StepPlan,
    layers: Mapping[str, Appliable],
    env: Env,
    starts: Mapping[str, TensorVariable],
    call: Call,
) -> list[str]:
    """The results that have a mask, found by running one step on the values of the first."""
    over_time = tensors_of(env)
    lags = {item.name: item.lag for item in plan.recurrences}
    given: dict[Ref, TensorVariable] = {}
    for ref in plan.per_step:
        if ref.name in lags:
            given[ref] = starts[ref.name][lags[ref.name] + ref.tap]
        elif ref.name in plan.contexts:
            given[ref] = over_time[ref.name]
        else:
            given[ref] = over_time[ref.name][0]
    values = as_values(given, contexts_in(env))
    run(plan.nodes, layers, values, call.in_step())
    return [name for name in plan.collected if values[Ref(name)].mask is not None]


def contexts_in(env: Env) -> set[str]:
    """The names of the inputs that each step sees whole."""
    return {ref.name for ref, value in env.items() if value.is_context}


def tensors_of(env: Env) -> dict[str, TensorVariable]:
    """The values of now by name, and their masks by the names that a step has for them."""
    found = {}
    for ref, value in env.items():
        if not ref.tap:
            found[ref.name] = value.tensor
            if value.mask is not None:
                found[mask_name(ref.name)] = value.mask
    return found


def as_results(found: Mapping[str, TensorVariable]) -> dict[str, Value]:
    """What a loop returned, each value with its mask."""
    names: Iterable[str] = [
        name for name in found if not name.startswith(mask_name(""))
    ]
    return {name: Value(found[name], found.get(mask_name(name))) for name in names}
