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
        strict: True raises an error if the step reads any variable but its arguments
            and the parameters; False for unrolled loops.
        contexts: the inputs that each step sees whole.
    """

    def step(*args: TensorVariable) -> list[TensorVariable]:
        inputs = [_without_history(arg) for arg in args] if strict else args
        # Positions become names: ``h_tm1`` is Ref("h", -1).
        given = dict(zip(plan.arguments, inputs, strict=True))
        env = as_values(given, contexts)
        # Run the nodes in order; each reads values that are already in env.
        run(plan.nodes, layers, env, call.in_step())
        if strict:
            check_closed(plan, layers, env, {*inputs, *params.values()}, call.train)
        # Names become positions again.
        results = [result(name, env) for name in plan.results]
        results = with_params(results, params, given)
        return _replaced(results, dict(zip(inputs, args, strict=True)))

    return step


def named_step(
    plan: StepPlan, layers: Layers, user_step: Callable, call: Call
) -> Callable:
    """The step of a user's function, which returns the values of all nodes by name.

    The function has no values for outputs that merge several values, or that read one
    input or one past value. The nodes of these outputs are run after it.

    Args:
        plan: the order of arguments and results.
        layers: what runs each node.
        user_step: the function: ``(*tensors) -> {value name: tensor}``.
        call: says if the network is training.
    """

    def step(*args: TensorVariable) -> list[TensorVariable]:
        env = as_values(dict(zip(plan.arguments, args, strict=True)))
        for name, tensor in user_step(*args).items():
            env[Ref(name)] = Value(tensor)
        # user_step returns all values of a node or none, so the first one tells.
        missing = tuple(node for node in plan.nodes if Ref(node.values[0]) not in env)
        run(missing, layers, env, call.in_step())
        return [result(name, env) for name in plan.results]

    return step


def with_params(
    results: list[TensorVariable], params: Tensors, given: Mapping[Ref, TensorVariable]
) -> list[TensorVariable]:
    """Replace each layer's own variable by scan's argument of the same name, if any.

    Args:
        results: what the layers have computed from their own variables.
        params: the layers' own variables, by name.
        given: scan's arguments.
    """
    replaced = {}
    for name, own in params.items():
        argument = given.get(Ref(name), own)
        if argument is not own:
            replaced[own] = argument
    return clone_replace(results, replaced) if replaced else results


def _without_history(arg: TensorVariable) -> TensorVariable:
    """``arg``, or a placeholder for it if it is computed from other variables.

    scan passes a non-sequence to the step as the outer variable itself, history
    included. A nested loop copies its inputs with their whole history, so it would copy
    the outer graph into the step. The step is built on a placeholder instead;
    :func:`_replaced` puts the argument back.
    """
    return arg if arg.owner is None else arg.type()


def _replaced(
    results: list[TensorVariable], originals: Mapping[TensorVariable, TensorVariable]
) -> list[TensorVariable]:
    """``results`` with the original argument in place of each placeholder."""
    replaced = {key: value for key, value in originals.items() if key is not value}
    return graph_replace(results, replaced, strict=False) if replaced else results
