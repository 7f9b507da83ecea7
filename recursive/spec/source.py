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
    arguments = ", ".join(variable(str(ref)) for ref in plan.arguments)
    lines = [f"def step({arguments}):"]
    lines += [f"    {node.name} = {expression(node, params.get(node.name, ()))}" for node in plan.nodes]
    return "\n".join([*lines, f"    return [{', '.join(plan.results)}]"])


def expression(node: NodeSpec, params: tuple[str, ...]) -> str:
    """What a node computes, as the text of an expression."""
    inputs = ", ".join(merged(port) for port in node.ports)
    named = {name.rpartition(".")[2]: variable(name) for name in params}
    formula = FORMULAS.get(node.layer.class_name, _call)
    return formula(node.layer, inputs, named)


def merged(port: PortSpec) -> str:
    """What a port reads, as the text of an expression."""
    names = [str(ref) for ref in port.refs]
    if len(names) == 1:
        return names[0]
    return {"sum": " + ".join(names), "mul": " * ".join(names)}.get(
        port.merge_mode, f"{port.merge_mode}([{', '.join(names)}])")


def variable(name: str) -> str:
    """A name as a Python variable: ``i2h.W`` is ``i2h_W``."""
    return name.replace(".", "_")


def _call(layer: LayerSpec, inputs: str, params: Mapping[str, str]) -> str:
    return f"{layer.class_name}({', '.join([inputs, *params.values()])})"


def _dense(layer: LayerSpec, inputs: str, params: Mapping[str, str]) -> str:
    inputs = inputs if _ATOM.fullmatch(inputs) else f"({inputs})"
    product = f"{inputs} @ {params.get('W', 'W')}" + (f" + {params['b']}" if "b" in params else "")
    return _activated(layer, product)


def _activated(layer: LayerSpec, inputs: str, params: Mapping[str, str] | None = None) -> str:
    activation = layer.config.get("activation", "linear")
    return inputs if activation == "linear" else f"{activation}({inputs})"


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
