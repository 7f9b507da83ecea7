"""The generated step as readable Python: "show me the ``_step``".

The text is made from the plan alone, with a formula for each layer that it knows and a call for any other. It is for
reading: names of parameters are written ``i2h_W``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from recursive.spec.graph import LayerSpec, NodeSpec, PortSpec
from recursive.spec.moves import PART, REST
from recursive.spec.plan import StepPlan

_ATOM = re.compile(r"\w+(\(.*\))?")

Formula = Callable[[LayerSpec, str, Mapping[str, str]], str]


def step_source(plan: StepPlan, params: Mapping[str, tuple[str, ...]]) -> str:
    """The step of ``plan`` as the text of a Python function; ``params`` names each node's parameters.

    What is hoisted is written above it and what is deferred below, where a name stands for all steps at once.

    >>> from recursive.spec.graph import GraphSpec, InputSpec, OutputSpec, StateSpec
    >>> from recursive.spec.names import Ref
    >>> from recursive.spec.plan import declared
    >>> rec = NodeSpec("rec", LayerSpec("Dense", {"activation": "tanh"}),
    ...                (PortSpec("input", (Ref("x"), Ref("h")), "concat"),))
    >>> spec = GraphSpec(inputs=(InputSpec("x"),), states=(StateSpec("h", 6, "rec"),), nodes=(rec,),
    ...                  outputs=(OutputSpec("rec", (Ref("rec"),)),))
    >>> params = {"rec": ("rec.W", "rec.b")}
    >>> print(step_source(declared(spec, params), params))
    def step(x, h_tm1, rec_W, rec_b):
        rec = tanh(concat([x, h_tm1]) @ rec_W + rec_b)
        return [rec]
    """
    words = _Words(plan, params)
    before = [words.line(node) for node in plan.hoisted]
    after = [words.line(node) for node in plan.deferred]
    step = [f"def step({', '.join(words.variables[str(ref)] for ref in plan.arguments)}):",
            *(f"    {words.line(node)}" for node in plan.nodes),
            f"    return [{', '.join(words.variables[name] for name in plan.results)}]"] if plan.results else []
    parts = [_titled("# before the loop, for all steps at once", before), step,
             _titled("# after the loop, for all steps at once", after)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _titled(title: str, lines: list[str]) -> list[str]:
    return [title, *lines] if lines else []


class _Words:
    """What everything in a plan is called: ``i2h.W`` is ``i2h_W``, or ``i2h_W_`` where that is a name already."""

    def __init__(self, plan: StepPlan, params: Mapping[str, tuple[str, ...]]):
        nodes = (*plan.hoisted, *plan.nodes, *plan.deferred)
        refs = (ref for node in nodes for ref in node.refs)
        values = (value for node in nodes for value in node.values)
        held = (name for names in params.values() for name in names)
        self.params = params
        self.variables: dict[str, str] = {}
        names = dict.fromkeys([*map(str, plan.arguments), *map(str, refs), *values, *held])
        taken = {name for name in names if "." not in name}
        for name in names:
            variable = name.replace(".", "_")
            while variable != name and variable in taken:
                variable += "_"
            taken.add(variable)
            self.variables[name] = variable

    def line(self, node: NodeSpec) -> str:
        """A node as the text of an assignment."""
        held = {name: self.variables[name] for name in self.params.get(_maker(node), ())}
        values = ", ".join(self.variables[name] for name in node.values)
        return f"{values} = {expression(node, held, self.variables)}"


def _maker(node: NodeSpec) -> str:
    """The node whose layer, or a part of it, this one runs."""
    return str(node.layer.config["node"]) if node.layer.class_name in (PART, REST) else node.name


def expression(node: NodeSpec, params: Mapping[str, str], variables: Mapping[str, str] | None = None) -> str:
    """What a node computes, as the text of an expression; ``params`` are the variables of its parameters by name."""
    variables = variables or {}
    if node.has_one_port:
        inputs = merged(node.ports[0], variables)
    else:
        inputs = ", ".join(f"{port.name}={merged(port, variables)}" for port in node.ports)
    held = {name.rpartition(".")[2]: variable for name, variable in params.items()}
    if node.layer.class_name == REST:
        return _rest(node, held, variables)
    formula = FORMULAS.get(node.layer.class_name)
    if formula is None or not node.has_one_port:
        return f"{node.layer.class_name}({', '.join([inputs, *params.values()])})"
    return formula(node.layer, inputs, held)


def merged(port: PortSpec, variables: Mapping[str, str] | None = None) -> str:
    """What a port reads, as the text of an expression."""
    names = [(variables or {}).get(str(ref), str(ref)) for ref in port.refs]
    if len(names) == 1:
        return names[0]
    return {"sum": " + ".join(names), "mul": " * ".join(names)}.get(
        port.merge_mode, f"{port.merge_mode}([{', '.join(names)}])")


def _dense(layer: LayerSpec, inputs: str, params: Mapping[str, str]) -> str:
    inputs = inputs if _ATOM.fullmatch(inputs) else f"({inputs})"
    product = f"{inputs} @ {params.get('W', 'W')}" + (f" + {params['b']}" if "b" in params else "")
    return _activated(layer, product)


def _rows(layer: LayerSpec, W: str) -> str:
    """The rows of a matrix that a part of a product multiplies."""
    spans = [f"{W}[{start}:{stop}]" for start, stop in layer.config["rows"]]
    return spans[0] if len(spans) == 1 else f"concat([{', '.join(spans)}], axis=0)"


def _part(layer: LayerSpec, inputs: str, params: Mapping[str, str]) -> str:
    whole = layer.config["layer"]
    if whole.class_name not in PLAIN_PRODUCTS:
        return f"{whole.class_name}.transform_input({', '.join([inputs, *params.values()])})"
    return f"{inputs} @ {_rows(layer, params['W'])}" + (f" + {params['b']}" if "b" in params else "")


def _rest(node: NodeSpec, params: Mapping[str, str], variables: Mapping[str, str]) -> str:
    whole = node.layer.config["layer"]
    before, *others = node.ports
    first = merged(before, variables)
    if whole.class_name not in PLAIN_PRODUCTS:
        read = [f"{port.name}={merged(port, variables)}" for port in others]
        return f"{whole.class_name}.finish({', '.join([first, *read, *params.values()])})"
    later = [f"{merged(port, variables)} @ {_rows(node.layer, params['W'])}" for port in others]
    return _activated(whole, " + ".join([first, *later]))


PLAIN_PRODUCTS = ("Dense", "TimeDistributedDense")
"""Layers that are an activation of one product."""


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
    PART: _part,
}
"""How each layer is written; a layer that is not here is written as a call."""
