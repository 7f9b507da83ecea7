"""The generated step as readable Python: "show me the ``_step``".

The text is made from the plan alone, with a formula for each layer that it knows and a call for any other. It is for
reading: names of parameters are written ``i2h_W``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence

from recursive.spec.graph import LayerSpec, NodeSpec, PortSpec
from recursive.spec.hoist import (
    FusedProducts,
    ProductShare,
    ProductSlice,
    RowRange,
    SplitLayer,
    params_of,
)
from recursive.spec.merging import CALLED, CONCAT, MODES
from recursive.spec.names import split
from recursive.spec.plan import StepPlan

_ATOM = re.compile(r"\w+(\(.*\))?")

Formula = Callable[..., str]


def step_source(
    plan: StepPlan,
    params: Mapping[str, tuple[str, ...]],
    reserved: Collection[str] = (),
) -> str:
    """The step of ``plan`` as the text of a Python function; ``params`` names each node's parameters.

    What is hoisted is written above it and what is deferred below, where a name stands for all steps at once. No
    variable has a ``reserved`` name: where it would, an underscore is added.

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
    words = _Words(plan, params, reserved)
    before = [words.line(node) for node in plan.hoisted]
    after = [words.line(node) for node in plan.deferred]
    step = (
        [
            f"def step({', '.join(words.variables[str(ref)] for ref in plan.arguments)}):",
            *(f"    {words.line(node)}" for node in plan.nodes),
            f"    return [{', '.join(words.variables[name] for name in plan.results)}]",
        ]
        if plan.results
        else []
    )
    parts = [
        _titled("# before the loop, for all steps at once", before),
        step,
        _titled("# after the loop, for all steps at once", after),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _titled(title: str, lines: list[str]) -> list[str]:
    return [title, *lines] if lines else []


class _Words:
    """What everything in a plan is called: ``i2h.W`` is ``i2h_W``, or ``i2h_W_`` where that is a name already."""

    def __init__(
        self,
        plan: StepPlan,
        params: Mapping[str, tuple[str, ...]],
        reserved: Collection[str] = (),
    ):
        nodes = (*plan.hoisted, *plan.nodes, *plan.deferred)
        refs = (ref for node in nodes for ref in node.refs)
        values = (value for node in nodes for value in node.values)
        held = (name for names in params.values() for name in names)
        self.params = params
        self.variables: dict[str, str] = {}
        names = dict.fromkeys(
            [*map(str, plan.arguments), *map(str, refs), *values, *held]
        )
        taken = {name for name in names if "." not in name} | {*reserved}
        for name in names:
            variable = name.replace(".", "_")
            while variable in taken and (variable != name or variable in reserved):
                variable += "_"
            taken.add(variable)
            self.variables[name] = variable

    def line(self, node: NodeSpec) -> str:
        """A node as the text of an assignment."""
        held = {name: self.variables[name] for name in params_of(node, self.params)}
        values = ", ".join(self.variables[name] for name in node.values)
        return f"{values} = {expression(node, held, self.variables)}"


def expression(
    node: NodeSpec,
    params: Mapping[str, str],
    variables: Mapping[str, str] | None = None,
) -> str:
    """What a node computes, as the text of an expression; ``params`` are the variables of its parameters by name."""
    reads = {port.name: merged(port, variables or {}) for port in node.ports}
    if isinstance(node, ProductSlice):
        return _slices(node.shares, params, **reads)
    if isinstance(node, FusedProducts):
        dims = [share.product.dim for share in node.shares]
        return f"split({_slices(node.shares, params, **reads)}, {dims})"
    layer, known = node.layer, ""
    if isinstance(node, SplitLayer):
        params = params | _met(node.remainder.shares, params)
        known = reads[node.known.name]
    held = {name.rpartition(".")[2]: text for name, text in params.items()}
    if layer.class_name in PRODUCTS:
        return _product(layer, reads, held, known)
    if layer.class_name in FORMULAS:
        return FORMULAS[layer.class_name](layer, held, **reads)
    function = callable_name(layer.class_name)
    if node.has_one_port:
        return f"{function}({', '.join([*reads.values(), *params.values()])})"
    named = {split(name)[1].replace(".", "_"): text for name, text in params.items()}
    named = (
        named if len(named) == len(params) else {text: text for text in params.values()}
    )
    return f"{function}({', '.join(f'{name}={text}' for name, text in (reads | named).items())})"


def callable_name(class_name: str) -> str:
    """The name of a class as Python can call it: a class of a function has ``<locals>`` in its name.

    >>> callable_name("__main__.Dense"), callable_name("net.make.<locals>.Dense")
    ('__main__.Dense', 'net.make.Dense')
    """
    path = class_name.replace("<locals>.", "").split(".")
    return ".".join(re.sub(r"\W+", "_", part) for part in path)


def merged(port: PortSpec, variables: Mapping[str, str] | None = None) -> str:
    """What a port reads, as the text of an expression."""
    names = [(variables or {}).get(str(ref), str(ref)) for ref in port.refs]
    if len(names) == 1:
        return names[0]
    return MODES[port.merge_mode].text(names)


def _product(
    layer: LayerSpec, reads: Mapping[str, str], params: Mapping[str, str], known: str
) -> str:
    """A sum of products and an activation; ``known`` is the text of the products that are made elsewhere."""
    terms = [known] if known else []
    terms += (
        [f"{_in_brackets(reads['input'])} @ {params.get('W', 'W')}"]
        if "input" in reads
        else []
    )
    terms += [params["b"]] if "b" in params else []
    terms += (
        [f"{_in_brackets(reads['prev_hid'])} @ {params.get('U', 'U')}"]
        if "prev_hid" in reads
        else []
    )
    return _activated(layer, {}, " + ".join(terms))


def _slices(
    shares: Sequence[ProductShare], params: Mapping[str, str], input: str
) -> str:
    """The product of some rows of weights, of one layer or of several side by side."""
    weights = _met(shares, params)
    biases = [text for name, text in params.items() if name not in weights]
    product = f"{_in_brackets(input)} @ {_beside([*weights.values()])}"
    return f"{product} + {_beside(biases)}" if biases else product


def _beside(variables: Sequence[str]) -> str:
    return variables[0] if len(variables) == 1 else CONCAT.text(variables)


def _in_brackets(text: str) -> str:
    return text if _ATOM.fullmatch(text) else f"({text})"


def _met(shares: Sequence[ProductShare], params: Mapping[str, str]) -> dict[str, str]:
    """The weights that ``shares`` of products multiply by, by name: some of their rows, or all."""
    return {
        name: _rows(variable, share.rows)
        for share in shares
        for name, variable in params.items()
        if split(name)[0] == share.node and split(name)[1] in share.product.weights
    }


def _rows(W: str, rows: tuple[RowRange, ...] | None) -> str:
    if rows is None:
        return W
    slices = [f"{W}[{start}:{stop}]" for start, stop in rows]
    if len(slices) == 1:
        return slices[0]
    return f"{CONCAT.name}([{', '.join(slices)}], axis=0)"


def _activated(layer: LayerSpec, params: Mapping[str, str], input: str) -> str:
    activation = layer.config.get("activation", "linear")
    if activation == "linear":
        return input
    return f"{function_name(activation)}({input})"


def function_name(function: object) -> str:
    """The name of an activation as Python can call it, one that no other activation has.

    A configuration holds an activation of the library by its name, and a function of the user's own as it is. Such a
    function with a library's name is called by its module as well.
    """
    if isinstance(function, str):
        return function
    name = getattr(function, "__name__", "activation")
    if name in WORDS:
        name = f"{getattr(function, '__module__', 'own')}.{name}"
    parts = name.split(".")
    return name if all(part.isidentifier() for part in parts) else "activation"


def _embedding(layer: LayerSpec, params: Mapping[str, str], input: str) -> str:
    return f"{params.get('W', 'W')}[{input}]"


def _identity(layer: LayerSpec, params: Mapping[str, str], input: str) -> str:
    return input


def _blend(
    layer: LayerSpec, params: Mapping[str, str], gate: str, old: str, new: str
) -> str:
    gate = _in_brackets(gate)
    return f"{gate} * {_in_brackets(old)} + (1 - {gate}) * {_in_brackets(new)}"


def _switch(
    layer: LayerSpec,
    params: Mapping[str, str],
    condition: str,
    then: str,
    otherwise: str,
) -> str:
    return f"where({condition}, {then}, {otherwise})"


def _if_else(
    layer: LayerSpec,
    params: Mapping[str, str],
    condition: str,
    then: str,
    otherwise: str,
) -> str:
    return f"{then} if {condition} else {otherwise}"


ACTIVATIONS = (
    "hard_sigmoid",
    "linear",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "tanh",
)
"""The activations of the library, which a configuration names."""
WORDS = frozenset({*ACTIVATIONS, *CALLED, "split", "where"})
"""The functions of the text. A function or class of the user's own must not be shown by one of these names."""

PRODUCTS = ("Dense", "TimeDistributedDense", "RecurrentDense", "Gate")
"""Layers that are an activation of ``input @ W + b``, and of ``prev_hid @ U`` where they have that port."""

FORMULAS: dict[str, Formula] = {
    "Activation": _activated,
    "Embedding": _embedding,
    "Identity": _identity,
    "Blend": _blend,
    "Switch": _switch,
    "IfElse": _if_else,
}
"""How other layers are written, port by port; a layer that is not here is written as a call."""
