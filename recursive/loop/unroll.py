"""The plan as one scan: names in, the sequence of every result out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.errors import DtypeError
from recursive.loop.state import initial_state, padded
from recursive.loop.step import make_step
from recursive.spec.plan import StepPlan
from recursive.spec.shapes import Shape


def unroll(plan: StepPlan, layers: Mapping[str, Callable], params: Mapping[str, TensorVariable],
           sequences: Mapping[str, TensorVariable], shapes: Mapping[str, Shape], train: bool = False,
           truncate_gradient: int = -1) -> dict[str, TensorVariable]:
    """Run the step of ``plan`` over time.

    Args:
        plan: the order of everything.
        layers: the nodes' layers by name.
        params: the layers' parameters, by the names that the plan gives them.
        sequences: inputs and draws as ``(time, batch, ...)``, by name.
        shapes: the shape of every name at one step, batch first.
        train: turns dropout on.
        truncate_gradient: how many of the last steps the backward loop runs over; -1 for all.

    Returns:
        ``(time, batch, dim)`` for each name in ``plan.results``.
    """
    length = backend.common_length({item.name: backend.size(sequences[item.name], 0) for item in plan.sequences})
    batch = backend.size(sequences[plan.sequences[0].name], 1)
    states = [initial_state(item, batch, shapes[item.name][-1]) for item in plan.recurrences]
    results = backend.scan(
        _typed(make_step(plan, layers, params, train), plan, shapes),
        sequences=[padded(item, sequences[item.name]) for item in plan.sequences],
        outputs_info=[*states, *(None for _ in plan.collected)],
        non_sequences=[params[name] for name in plan.constants],
        n_steps=length, truncate_gradient=truncate_gradient, name="recursive")
    return dict(zip(plan.results, results, strict=True))


def _typed(step: Callable, plan: StepPlan, shapes: Mapping[str, Shape]) -> Callable:
    """``step`` whose results carry their dims in their types: scan refuses a state of dim 1 that changes its type."""

    def typed(*args: TensorVariable) -> list[TensorVariable]:
        results = dict(zip(plan.results, step(*args), strict=True))
        for state in plan.recurrences:
            _check_dtype(state.name, state.node, results[state.node].dtype)
        return [pt.specify_shape(results[name], (None, *shapes[name][1:])) for name in plan.results]

    return typed


def _check_dtype(state: str, node: str, dtype: str) -> None:
    """Raise a DtypeError unless the node that feeds a state has the dtype that the state starts with."""
    if dtype != backend.floatX():
        raise DtypeError.about("node", node, takes=f"values of {backend.floatX()}",
                               because=f"it feeds the state {state!r}, which starts from zeros of floatX",
                               got=dtype, do="Cast them in its layer: Lambda(lambda x: x.astype(...)).")
