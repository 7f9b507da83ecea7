"""What the container does: it puts the names back on scan's arguments, runs the nodes, returns what the plan says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import graph_inputs
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.variable import TensorVariable

from recursive.errors import NodeError
from recursive.merges import merge
from recursive.spec.graph import NodeSpec, PortSpec
from recursive.spec.names import Ref
from recursive.spec.plan import StepPlan

Tensors = TensorVariable | dict[str, TensorVariable]
Env = dict[Ref, TensorVariable]
"""Every value that is known during a step, by name and tap."""


def make_step(
    plan: StepPlan,
    layers: Mapping[str, Callable],
    params: Mapping[str, TensorVariable],
    train: bool = False,
    strict: bool = True,
) -> Callable:
    """The function that scan repeats: tensors in the order of ``plan.arguments`` to tensors by ``plan.results``.

    ``layers`` are the nodes' layers by name; ``params`` the variables that those layers hold, by the names that the
    plan gives them. One that is ``strict`` may read nothing else.
    """

    def step(*args: TensorVariable) -> list[TensorVariable]:
        env: Env = dict(zip(plan.arguments, args, strict=True))
        run(plan.nodes, layers, env, train)
        results = [env[Ref(name)] for name in plan.results]
        if strict:
            given = {*args, *params.values()}
            _check_alone(plan.nodes, layers, results, given, env, train)
        return with_params(results, params, env)

    return step


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
            if stranger in _beside(given, [env[Ref(name)] for name in node.values])
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
    nodes: tuple[NodeSpec, ...], layers: Mapping[str, Callable], env: Env, train: bool
) -> None:
    """Compute each node in turn and add its value to ``env``."""
    for node in nodes:
        inputs, draws = given_to(node, layers[node.name], env)
        keep(node, layers[node.name](inputs, train=train, **draws), env)


def given_to(
    node: NodeSpec, layer: Callable, env: Env
) -> tuple[Tensors, dict[str, TensorVariable]]:
    """What a node's layer is called with: its input, or its inputs by port, and its draws by name."""
    inputs = {port.name: read(port, env) for port in node.ports}
    draws = {
        name: env[ref]
        for name in layer.draws
        if (ref := Ref(f"{node.name}.{name}")) in env
    }
    return next(iter(inputs.values())) if node.has_one_port else inputs, draws


def keep(node: NodeSpec, found: Tensors, env: Env) -> None:
    """Add what a node's layer returned to ``env``, by the names of its values."""
    values = found.values() if isinstance(found, Mapping) else [found]
    env.update(zip(map(Ref, node.values), values, strict=True))


def read(port: PortSpec, env: Env) -> TensorVariable | dict[str, TensorVariable]:
    """What a port is given: one value, or several merged or joined by name."""
    if port.merge_mode == "join":
        return {
            name: env[ref]
            for name, ref in zip(
                port.names or map(str, port.refs), port.refs, strict=True
            )
        }
    return merge([env[ref] for ref in port.refs], port.merge_mode)


def with_params(
    results: list[TensorVariable], params: Mapping[str, TensorVariable], env: Env
) -> list[TensorVariable]:
    """``results`` with each layer's own parameter replaced by the one in ``env``, where that is another."""
    given = {
        own: env[Ref(name)]
        for name, own in params.items()
        if env.get(Ref(name), own) is not own
    }
    return clone_replace(results, given) if given else results
