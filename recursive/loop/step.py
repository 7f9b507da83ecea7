"""What the container does: it puts the names back on scan's arguments, runs the nodes, returns what the plan says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import clone_replace, graph_replace
from pytensor.graph.traversal import graph_inputs
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.variable import TensorVariable

from recursive.errors import NodeError
from recursive.loop.call import Call, Value, Values, joined_with
from recursive.loop.merges import merge
from recursive.spec.graph import NodeSpec, PortSpec
from recursive.spec.merging import MODES
from recursive.spec.names import Ref
from recursive.spec.plan import StepPlan

Env = dict[Ref, Value]
"""Every value that is known during a step, by name and tap."""


class Appliable(Protocol):
    """What runs a node: its layer, or a part of one or several."""

    draws: tuple[str, ...]

    def apply(self, inputs: Values, call: Call) -> Values:
        """The outputs by name, in their order."""


def mask_name(name: str) -> str:
    """The name by which the mask of a value enters a step and leaves it; no node can have it.

    >>> mask_name("words")
    'mask of words'
    """
    return f"mask of {name}"


def make_step(
    plan: StepPlan,
    layers: Mapping[str, Appliable],
    params: Mapping[str, TensorVariable],
    call: Call,
    strict: bool = True,
    contexts: Collection[str] = (),
) -> Callable:
    """The function that scan repeats: tensors in the order of ``plan.arguments`` to tensors by ``plan.results``.

    Args:
        plan: the order of arguments and results.
        layers: what runs each node, by the node's name.
        params: the variables that the layers hold, by the names that the plan gives them.
        call: says whether the network is training.
        strict: True refuses a step that reads anything else.
        contexts: the inputs that each step sees whole.
    """

    def step(*args: TensorVariable) -> list[TensorVariable]:
        alone = [_on_its_own(arg) for arg in args] if strict else args
        given = dict(zip(plan.arguments, alone, strict=True))
        env = as_values(given, contexts)
        run(plan.nodes, layers, env, call.in_step())
        results = [_result(name, env) for name in plan.results]
        if strict:
            known = {*alone, *params.values()}
            _check_alone(plan.nodes, layers, results, known, env, call.train)
        results = with_params(results, params, given)
        stand_ins = {
            own: arg for own, arg in zip(alone, args, strict=True) if own is not arg
        }
        return graph_replace(results, stand_ins, strict=False) if stand_ins else results

    return step


def _on_its_own(arg: TensorVariable) -> TensorVariable:
    """A stand-in for an argument that is computed from others.

    A loop inside the step copies what it is given together with all that it is computed from. Of a context that would
    be the graph outside of this loop, which a step may not read.
    """
    return arg if arg.owner is None else arg.type()


def named_step(
    plan: StepPlan,
    layers: Mapping[str, Appliable],
    values_of: Callable,
    call: Call,
) -> Callable:
    """As :func:`make_step`, of a function of the user's own that returns the values of all declared nodes by name.

    What outputs merge is not among these, and is added.
    """

    def step(*args: TensorVariable) -> list[TensorVariable]:
        env = as_values(dict(zip(plan.arguments, args, strict=True)))
        for name, tensor in values_of(*args).items():
            env[Ref(name)] = Value(tensor)
        missing = tuple(node for node in plan.nodes if Ref(node.values[0]) not in env)
        run(missing, layers, env, call.in_step())
        return [_result(name, env) for name in plan.results]

    return step


def as_values(
    given: Mapping[Ref, TensorVariable], contexts: Collection[str] = ()
) -> Env:
    """What a step is given, each value with the mask that came with it; ``contexts`` are the inputs that are ones."""
    env: Env = {}
    for ref, tensor in given.items():
        mask = given.get(Ref(mask_name(ref.name), ref.tap))
        env[ref] = Value(tensor, mask, ref.name in contexts)
    return env


def _result(name: str, env: Env) -> TensorVariable:
    """What a step returns under ``name``: a value, or the mask of one."""
    if Ref(name) in env:
        return env[Ref(name)].tensor
    return env[Ref(name.removeprefix(mask_name("")))].mask


def _check_alone(
    nodes: tuple[NodeSpec, ...],
    layers: Mapping[str, Callable],
    results: list[TensorVariable],
    given: set[TensorVariable],
    env: Env,
    train: bool,
) -> None:
    """Raise a NodeError where a step reads what it is not given, as a function of the user's own may."""
    for stranger in _beside(given, results):
        node = next(
            node
            for node in nodes
            if stranger
            in _beside(given, [env[Ref(name)].tensor for name in node.values])
        )
        if isinstance(stranger.type, RandomType):
            raise NodeError.about(
                "node",
                node.name,
                takes="draws that are made before the loop",
                because="a step is a function of what it is given",
                got="draws inside a step",
                do=_advice_on_draws(layers[node.name], train),
            )
        raise NodeError.about(
            "node",
            node.name,
            takes="a function of its inputs and parameters",
            because="scan is given all that a step reads, before it runs",
            got=f"one that reads the variable {stranger} of its own",
            do="Hold an array of NumPy in its place, or say unroll=True; what is learned belongs in "
            "self.params of a layer of your own, what is drawn into its draws.",
        )


def _advice_on_draws(layer: Callable, train: bool) -> str:
    """What to do about a layer that draws inside a step."""
    if train or not layer.draws:
        return "Name them in the draws of a layer of your own, which makes them in sample, or say unroll=True."
    return (
        "The draws of a layer are made before the loop only while training: return a value without them "
        "unless train is true, pass the input of noise in as a sequence, or say unroll=True."
    )


def _beside(given: set[TensorVariable], values: list[TensorVariable]) -> list[Variable]:
    """What ``values`` are computed of beside what is ``given``, and constants."""
    return [
        value
        for value in graph_inputs(values, given)
        if not isinstance(value, Constant) and value not in given
    ]


def run(
    nodes: tuple[NodeSpec, ...],
    layers: Mapping[str, Appliable],
    env: Env,
    call: Call,
) -> None:
    """Apply each node's layer in turn and add its values to ``env``."""
    for node in nodes:
        layer = layers[node.name]
        draws = draws_in(node, layer, env)
        outputs = layer.apply(inputs_of(node, env), call.inside(node.name, draws))
        env.update(zip(map(Ref, node.values), outputs.values(), strict=True))


def draws_in(node: NodeSpec, layer: Appliable, env: Env) -> dict[str, TensorVariable]:
    """The draws of a node that were made before the loop, by the names that its layer has for them."""
    found = {}
    for name in layer.draws:
        ref = Ref(f"{node.name}.{name}")
        if ref in env:
            found[name] = env[ref].tensor
    return found


def inputs_of(node: NodeSpec, env: Env) -> dict[str, Value]:
    """What a node's layer is applied to, by port; by name where one port is joined from several values."""
    inputs: dict[str, Value] = {}
    for port in node.ports:
        if MODES[port.merge_mode].is_by_name:
            names = port.names or tuple(map(str, port.refs))
            inputs |= {
                name: env[ref] for name, ref in zip(names, port.refs, strict=True)
            }
        else:
            inputs[port.name] = read(port, env)
    return inputs


def read(port: PortSpec, env: Env) -> Value:
    """What a port is given: one value, or several merged, data where all of them are."""
    values = [env[ref] for ref in port.refs]
    if len(values) == 1:
        return values[0]
    merged = merge([value.tensor for value in values], port.merge_mode)
    return joined_with(merged, values)


def with_params(
    results: list[TensorVariable],
    params: Mapping[str, TensorVariable],
    given: Mapping[Ref, TensorVariable],
) -> list[TensorVariable]:
    """``results`` with each layer's own parameter replaced by the one that is given, where that is another."""
    replaced = {
        own: given[Ref(name)]
        for name, own in params.items()
        if given.get(Ref(name), own) is not own
    }
    return clone_replace(results, replaced) if replaced else results
