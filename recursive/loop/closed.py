"""The check that a step is closed: it reads its arguments and nothing else.

scan is given everything that its step reads. A layer can read more: a variable that a
user's function holds, or a random draw that it makes inside the step.
"""

from __future__ import annotations

from pytensor.graph.basic import Constant, Variable
from pytensor.graph.traversal import graph_inputs
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.variable import TensorVariable

from recursive.errors import NodeError
from recursive.loop.nodes import Appliable, Env, Layers, result
from recursive.spec.graph import NodeSpec
from recursive.spec.names import Ref
from recursive.spec.plan import StepPlan


def check_closed(
    plan: StepPlan,
    layers: Layers,
    env: Env,
    given: set[TensorVariable],
    train: bool,
) -> None:
    """Raise a NodeError if a step reads a variable that is not ``given``.

    Args:
        plan: the nodes and results of the step.
        layers: what runs each node.
        env: every value of the step.
        given: the arguments and parameters.
        train: True while training.
    """
    results = [result(name, env) for name in plan.results]
    for stranger in _strangers(results, given):
        node = _first_reader(stranger, plan.nodes, env, given)
        if isinstance(stranger.type, RandomType):
            raise NodeError.about(
                "node",
                node.name,
                takes="draws that are made before the loop",
                because="a step is a function of its arguments",
                got="draws inside a step",
                do=_advice_on_draws(layers[node.name], train),
            )
        raise NodeError.about(
            "node",
            node.name,
            takes="a function of its inputs and parameters",
            because="scan is given all that a step reads, before it runs",
            got=f"one that also reads the variable {stranger}",
            do="Use a NumPy array instead, or unroll=True. A custom layer keeps what "
            "it learns in self.params, and names what it draws in draws.",
        )


def _strangers(
    values: list[TensorVariable], given: set[TensorVariable]
) -> list[Variable]:
    """The variables that ``values`` depend on, but for constants and ``given``."""
    found = []
    for variable in graph_inputs(values, given):
        if not isinstance(variable, Constant) and variable not in given:
            found.append(variable)
    return found


def _first_reader(
    stranger: Variable,
    nodes: tuple[NodeSpec, ...],
    env: Env,
    given: set[TensorVariable],
) -> NodeSpec:
    def reads(node: NodeSpec) -> bool:
        outputs = [env[Ref(name)].tensor for name in node.values]
        return stranger in _strangers(outputs, given)

    return next(filter(reads, nodes))


def _advice_on_draws(layer: Appliable, train: bool) -> str:
    """Advice for a layer that draws inside a step."""
    if train or not layer.draws:
        return (
            "Name them in the draws of a custom layer, which makes them in sample, or "
            "use unroll=True."
        )
    return (
        "The draws of a layer are made before the loop only while training: return a "
        "value without them unless train is true, pass the input of noise in as a "
        "sequence, or use unroll=True."
    )
