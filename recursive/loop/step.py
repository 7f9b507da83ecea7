"""The function that scan repeats.

scan calls a step with one tensor for each entry of ``plan.arguments`` and takes back
one for each entry of ``plan.results``: both are lists without names. The step gives the
arguments their names, runs the nodes in order, and picks the results by name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from pytensor.graph.replace import clone_replace, graph_replace
from pytensor.tensor.variable import TensorVariable

from recursive.loop.call import Call, Value
from recursive.loop.closed import check_closed
from recursive.loop.nodes import Layers, as_values, result, run
from recursive.spec.names import Ref
from recursive.spec.plan import StepPlan

Tensors = Mapping[str, TensorVariable]


def make_step(
    plan: StepPlan,
    layers: Layers,
    params: Tensors,
    call: Call,
    strict: bool = True,
    contexts: Collection[str] = (),
) -> Callable:
    """Build the step of a plan.

    Args:
        plan: the order of arguments and results.
        layers: what runs each node.
        params: the variables of the layers, by the plan's names for them.
        call: says if the network is training.
        strict: True to refuse a step that reads anything but its arguments.
        contexts: the inputs that each step sees whole.
    """

    def step(*args: TensorVariable) -> list[TensorVariable]:
        inputs = [_without_history(arg) for arg in args] if strict else args
        # Positions become names: ``h_tm1`` is Ref("h", -1).
        given = dict(zip(plan.arguments, inputs, strict=True))
        env = as_values(given, contexts)
        # Each node's layer is applied to the values that are there by then.
        run(plan.nodes, layers, env, call.in_step())
        if strict:
            check_closed(plan, layers, env, {*inputs, *params.values()}, call.train)
        # Names become positions again.
        results = [result(name, env) for name in plan.results]
        results = with_params(results, params, given)
        return _replaced(results, dict(zip(inputs, args, strict=True)))

    return step


def named_step(
    plan: StepPlan, layers: Layers, values_of: Callable, call: Call
) -> Callable:
    """The step of a user's function, which returns the values of all nodes by name.

    The function has no values for outputs that merge nodes: these are added.
    """

    def step(*args: TensorVariable) -> list[TensorVariable]:
        env = as_values(dict(zip(plan.arguments, args, strict=True)))
        for name, tensor in values_of(*args).items():
            env[Ref(name)] = Value(tensor)
        missing = tuple(node for node in plan.nodes if Ref(node.values[0]) not in env)
        run(missing, layers, env, call.in_step())
        return [result(name, env) for name in plan.results]

    return step


def with_params(
    results: list[TensorVariable], params: Tensors, given: Mapping[Ref, TensorVariable]
) -> list[TensorVariable]:
    """``results``, computed from the parameters in ``given``.

    Layers compute with their own variables; scan passes others in their place.
    """
    replaced = {}
    for name, own in params.items():
        argument = given.get(Ref(name), own)
        if argument is not own:
            replaced[own] = argument
    return clone_replace(results, replaced) if replaced else results


def _without_history(arg: TensorVariable) -> TensorVariable:
    """``arg``, or a placeholder for it if it is computed from other variables.

    A loop inside the step copies its inputs together with all that they are computed
    from. For a context that would be the graph outside of this loop.
    """
    return arg if arg.owner is None else arg.type()


def _replaced(
    results: list[TensorVariable], values: Mapping[TensorVariable, TensorVariable]
) -> list[TensorVariable]:
    """``results`` with a value in place of each placeholder."""
    replaced = {key: value for key, value in values.items() if key is not value}
    return graph_replace(results, replaced, strict=False) if replaced else results
