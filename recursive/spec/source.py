"""The generated step as readable Python: "show me the ``_step``".

The text is made from the plan alone, with a formula for each layer that it knows and a call for any other. It is for
reading: names of parameters are written ``i2h_W``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from recursive.spec.graph import LayerSpec, NodeSpec, PortSpec
from recursive.spec.plan import StepPlan

_ATOM = re.compile(r"\w+(\(.*\))?")

Formula = Callable[[LayerSpec, str, Mapping[str, str]], str]


def step_source(plan: StepPlan, params: Mapping[str, tuple[str, ...]]) -> str:
    """The step of ``plan`` as the text of a Python function; ``params`` names each node's parameters.

    >>> from recursive.spec.graph import GraphSpec, InputSpec, OutputSpec, StateSpec
    >>> from recursive.spec.names import Ref
    >>> from recursive.spec.plan import plan
    >>> rec = NodeSpec("rec", LayerSpec("Dense", {"activation": "tanh"}),
    ...                (PortSpec("input", (Ref("x"), Ref("h")), "concat"),))
    >>> spec = GraphSpec(inputs=(InputSpec("x"),), states=(StateSpec("h", 6, "rec"),), nodes=(rec,),
    ...                  outputs=(OutputSpec("rec", (Ref("rec"),)),))
    >>> params = {"rec": ("rec.W", "rec.b")}
    >>> print(step_source(plan(spec, params), params))
    def step(x, h_tm1, rec_W, rec_b):
        rec = tanh(concat([x, h_tm1]) @ rec_W + rec_b)
        return [rec]
    """
    variables = _variables(plan)
    lines = [f"def step({', '.join(variables.values())}):"]
    for node in plan.nodes:
        held = {name: variables[name] for name in params.get(node.name, ())}
        lines.append(f"    {node.name} = {expression(node, held)}")
    return "\n".join([*lines, f"    return [{', '.join(plan.results)}]"])


def expression(node: NodeSpec, params: Mapping[str, str]) -> str:
    """What a node computes, as the text of an expression; ``params`` are the variables of its parameters by name."""
    inputs = ", ".join(merged(port) for port in node.ports)
    formula = FORMULAS.get(node.layer.class_name)
    if formula is None:
        return f"{node.layer.class_name}({', '.join([inputs, *params.values()])})"
    return formula(node.layer, inputs, {name.rpartition(".")[2]: held for name, held in params.items()})


def merged(port: PortSpec) -> str:
    """What a port reads, as the text of an expression."""
    names = [str(ref) for ref in port.refs]
    if len(names) == 1:
        return names[0]
    return {"sum": " + ".join(names), "mul": " * ".join(names)}.get(
        port.merge_mode, f"{port.merge_mode}([{', '.join(names)}])")


def _variables(plan: StepPlan) -> dict[str, str]:
    """A Python variable for each argument: ``i2h.W`` is ``i2h_W``, or ``i2h_W_`` where that is a name already."""
    taken = {str(ref) for ref in plan.arguments} | {node.name for node in plan.nodes}
    variables = {}
    for name in map(str, plan.arguments):
        variable = name.replace(".", "_")
        while variable != name and variable in taken:
            variable += "_"
        taken.add(variable)
        variables[name] = variable
    return variables


def _dense(layer: LayerSpec, inputs: str, params: Mapping[str, str]) -> str:
    inputs = inputs if _ATOM.fullmatch(inputs) else f"({inputs})"
    product = f"{inputs} @ {params.get('W', 'W')}" + (f" + {params['b']}" if "b" in params else "")
    return _activated(layer, product)


def _activated(layer: LayerSpec, inputs: str, params: Mapping[str, str] | None = None) -> str:
    activation = layer.config.get("activation", "linear")
    name = getattr(activation, "__name__", activation)
    name = name if str(name).isidentifier() else "activation"
    return inputs if name == "linear" else f"{name}({inputs})"


def _embedding(layer: LayerSpec, inputs: str, params: Mapping[str, str]) -> str:
    return f"{params.get('W', 'W')}[{inputs}]"


def _identity(layer: LayerSpec, inputs: str, params: Mapping[str, str]) -> str:
    return inputs


FORMULAS: dict[str, Formula] = {
    "Dense": _dense,
    "TimeDistributedDense": _dense,
    "Activation": _activated,
    "Embedding": _embedding,
    "Identity": _identity,
}
"""How each layer is written; a layer that is not here is written as a call."""
