"""Masks of the values inside a step.

A step may see values that are masked themselves: in a loop over sentences, a step reads
the words of one sentence, ``(batch, word)``, with a mask of that shape. This is another
mask than that of the loop's steps (``masked.py``). The rules:

1. A mask travels next to its value. The mask of an argument of the step is one more
   argument: a sequence if the value is one, with the same taps, or a context.
2. A node passes on the mask of its inputs, drops it, or makes one, as outside a loop.
3. If a result of the step has a mask, that mask is one more result.
4. A vector for each row, ``(batch, dim)``, has no axis that a mask could be about.

Which results have a mask is known only once the nodes have run. So one step is run on
the values of the first step, and what it returns is looked at and thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pytensor.tensor.variable import TensorVariable

from recursive.loop.call import Call, Value
from recursive.loop.nodes import Env, Layers, as_values, mask_name, run
from recursive.spec.names import Ref
from recursive.spec.plan import Sequence as PlannedSequence
from recursive.spec.plan import StepPlan
from recursive.spec.shapes import Shape


def plan_with_masks(
    plan: StepPlan,
    layers: Layers,
    shapes: Mapping[str, Shape],
    env: Env,
    starts: Mapping[str, TensorVariable],
    call: Call,
) -> StepPlan:
    """``plan`` with masks among its arguments and results.

    Args:
        plan: the plan without masks.
        layers: what runs each node.
        shapes: the shape of every name at one step.
        env: the values that are known before the loop, with their masks.
        starts: the rows before the first step of each state, ``(lag, batch, dim)``.
        call: says if the network is training.
    """
    masked = {ref.name for ref, value in env.items() if value.mask is not None}
    plan = _with_mask_arguments(plan, masked)
    has_deep_results = any(len(shapes[name]) > 2 for name in plan.collected)
    if not masked and not has_deep_results:
        return plan  # by rule 4, without running a step
    with_mask = _masked_results(plan, layers, env, starts, call)
    return replace(plan, collected=(*plan.collected, *map(mask_name, with_mask)))


def _with_mask_arguments(plan: StepPlan, masked: set[str]) -> StepPlan:
    sequences = list(plan.sequences)
    for item in plan.sequences:
        if item.name in masked:
            sequences.append(PlannedSequence(mask_name(item.name), item.taps))
    masks_of_contexts = [mask_name(name) for name in plan.contexts if name in masked]
    return replace(
        plan,
        sequences=tuple(sequences),
        contexts=(*plan.contexts, *masks_of_contexts),
        constant_over_time=plan.constant_over_time | set(masks_of_contexts),
    )


def _masked_results(
    plan: StepPlan,
    layers: Layers,
    env: Env,
    starts: Mapping[str, TensorVariable],
    call: Call,
) -> list[str]:
    """The names of the results that have a mask, found by running the first step."""
    over_time = tensors_of(env)
    lags = {item.name: item.lag for item in plan.recurrences}
    given: dict[Ref, TensorVariable] = {}
    for ref in plan.per_step:
        # states: (lag, batch, dim); contexts: (batch, ...); else (time, batch, ...)
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
    """The present values and their masks, by the names that a step has for them."""
    found = {}
    for ref, value in env.items():
        if not ref.tap:
            found[ref.name] = value.tensor
            if value.mask is not None:
                found[mask_name(ref.name)] = value.mask
    return found


def as_results(found: Mapping[str, TensorVariable]) -> dict[str, Value]:
    """The results of a loop, each with its mask."""
    results = {}
    for name, tensor in found.items():
        if not name.startswith(mask_name("")):
            results[name] = Value(tensor, found.get(mask_name(name)))
    return results
