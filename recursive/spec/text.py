"""The generated step as readable Python: "show me the ``_step``".

The text is written from the plan alone. A layer of the library is written as its
formula, any other layer as a call. Names of parameters are written ``i2h_W``. The text
is for reading; :mod:`recursive.shown` adds what it takes to run it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

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
"""An expression that needs no parentheses: a name or a call."""

Formula = Callable[..., str]


def step_source(
    plan: StepPlan,
    params: Mapping[str, tuple[str, ...]],
    reserved: Collection[str] = (),
) -> str:
    """The step of ``plan`` as the text of a Python function.

    Hoisted nodes are written above it and deferred nodes below. There a name stands for
    all steps at once.

    Args:
        plan: the plan.
        params: the names of each node's parameters.
        reserved: names that no variable may have; an underscore is added to those.

    >>> from recursive.spec.graph import GraphSpec, InputSpec, OutputSpec, StateSpec
    >>> from recursive.spec.names import Ref
    >>> from recursive.spec.plan import declared
    >>> reads = (PortSpec("input", (Ref("x"), Ref("h")), "concat"),)
    >>> rec = NodeSpec("rec", LayerSpec("Dense", {"activation": "tanh"}), reads)
    >>> spec = GraphSpec(
    ...     inputs=(InputSpec("x"),),
    ...     states=(StateSpec("h", 6, "rec"),),
    ...     nodes=(rec,),
    ...     outputs=(OutputSpec("rec", (Ref("rec"),)),),
    ... )
    >>> params = {"rec": ("rec.W", "rec.b")}
    >>> print(step_source(declared(spec, params), params))
    def step(x, h_tm1, rec_W, rec_b):
        rec = tanh(concat([x, h_tm1]) @ rec_W + rec_b)
        return [rec]
    """
    variables = _variables(plan, params, reserved)

    def listed(names: Iterable[str]) -> str:
        return ", ".join(map(variables.__getitem__, names))

    def line(node: NodeSpec) -> str:
        own_params = {name: variables[name] for name in params_of(node, params)}
        return f"{listed(node.values)} = {expression(node, own_params, variables)}"

    blocks = []
    if plan.hoisted:
        title = "# before the loop, for all steps at once"
        blocks.append([title, *map(line, plan.hoisted)])
    if plan.results:
        step = [f"def step({listed(map(str, plan.arguments))}):"]
        for node in plan.nodes:
            step.append(f"    {line(node)}")
        step.append(f"    return [{listed(plan.results)}]")
        blocks.append(step)
    if plan.deferred:
        title = "# after the loop, for all steps at once"
        blocks.append([title, *map(line, plan.deferred)])
    return "\n\n".join(map("\n".join, blocks))


def _variables(
    plan: StepPlan,
    params: Mapping[str, tuple[str, ...]],
    reserved: Collection[str],
) -> dict[str, str]:
    """The variable for each name in a plan: ``i2h_W`` for ``i2h.W``."""
    names = list(map(str, plan.arguments))
    nodes = (*plan.hoisted, *plan.nodes, *plan.deferred)
    for node in nodes:
        names += map(str, node.refs)
    for node in nodes:
        names += node.values
    for own_params in params.values():
        names += own_params

    # A name without a dot keeps its spelling, unless it is reserved. Any other variable
    # gets underscores until it differs from all of them: i2h_W_ if i2h_W is a node.
    taken = {name for name in names if "." not in name} | set(reserved)
    variables = {}
    for name in dict.fromkeys(names):
        variable = name.replace(".", "_")
        while variable in taken and (variable != name or variable in reserved):
            variable += "_"
        taken.add(variable)
        variables[name] = variable
    return variables


def expression(
    node: NodeSpec,
    params: Mapping[str, str],
    variables: Mapping[str, str] | None = None,
) -> str:
    """The computation of a node, as the text of an expression.

    ``params`` are the variables of its parameters, and ``variables`` those of the
    values that it reads, by name.
    """
    reads = {port.name: merged(port, variables or {}) for port in node.ports}
    if isinstance(node, ProductSlice):
        return _shares_text(node.shares, params, reads["input"])
    if isinstance(node, FusedProducts):
        dims = [share.product.dim for share in node.shares]
        return f"split({_shares_text(node.shares, params, reads['input'])}, {dims})"
    known = ""
    if isinstance(node, SplitLayer):
        params = {**params, **_weights_used(node.remainder.shares, params)}
        known = reads[node.known.name]

    layer = node.layer
    short_names = {name.rpartition(".")[2]: text for name, text in params.items()}
    if layer.class_name in PRODUCTS:
        return _product(layer, reads, short_names, known)
    if layer.class_name in FORMULAS:
        return FORMULAS[layer.class_name](layer, short_names, **reads)
    return _call(node, reads, params)


def _call(node: NodeSpec, reads: Mapping[str, str], params: Mapping[str, str]) -> str:
    """A node as a call of its layer's class: by position, or by port."""
    function = callable_name(node.layer.class_name)
    if node.has_one_port:
        arguments = [*reads.values(), *params.values()]
        return f"{function}({', '.join(arguments)})"
    keywords = dict(reads)
    short = {split(name)[1].replace(".", "_"): text for name, text in params.items()}
    # Two parameters may have one short name. Then their variables are the keywords.
    is_unique = len(short) == len(params)
    keywords |= short if is_unique else {text: text for text in params.values()}
    arguments = [f"{name}={text}" for name, text in keywords.items()]
    return f"{function}({', '.join(arguments)})"


def callable_name(class_name: str) -> str:
    """The name of a class as Python can call it.

    The name of a class that was defined in a function contains ``<locals>``.

    >>> callable_name("__main__.Dense"), callable_name("net.make.<locals>.Dense")
    ('__main__.Dense', 'net.make.Dense')
    """
    path = class_name.replace("<locals>.", "").split(".")
    return ".".join(re.sub(r"\W+", "_", part) for part in path)


def merged(port: PortSpec, variables: Mapping[str, str] | None = None) -> str:
    """The value that a port reads, as the text of an expression."""
    names = list(map(str, port.refs))
    if variables:
        names = [variables.get(name, name) for name in names]
    if len(names) == 1:
        return names[0]
    return MODES[port.merge_mode].text(names)


# Products


def _product(
    layer: LayerSpec, reads: Mapping[str, str], params: Mapping[str, str], known: str
) -> str:
    """An activation of a sum of products; ``known`` is the text of known products."""
    terms = []
    if known:
        terms.append(known)
    if "input" in reads:
        terms.append(_times(reads["input"], params.get("W", "W")))
    if "b" in params:
        terms.append(params["b"])
    if "prev_hid" in reads:
        terms.append(_times(reads["prev_hid"], params.get("U", "U")))
    return _activated(layer, {}, " + ".join(terms))


def _times(value: str, weights: str) -> str:
    return f"{_in_parentheses(value)} @ {weights}"


def _in_parentheses(text: str) -> str:
    """An expression that can be an operand."""
    return text if _ATOM.fullmatch(text) else f"({text})"


def _shares_text(
    shares: Sequence[ProductShare], params: Mapping[str, str], input: str
) -> str:
    """The text of shares of products, concatenated if there are several."""
    weights = _weights_used(shares, params)
    product = _times(input, _concatenated(weights.values()))
    biases = [_bias_of(share, params, weights) for share in shares]
    if not any(biases):
        return product
    # A share without a bias still has its place in the sum.
    written = []
    for share, bias in zip(shares, biases, strict=True):
        written.append(bias or f"zeros({share.product.dim})")
    return f"{product} + {_concatenated(written)}"


def _bias_of(
    share: ProductShare, params: Mapping[str, str], weights: Mapping[str, str]
) -> str:
    """The text of the biases that a share adds, empty for none."""
    own = []
    for name, text in params.items():
        if split(name)[0] == share.node and name not in weights and share.bias:
            own.append(text)
    return _concatenated(own) if own else ""


def _concatenated(variables: Iterable[str]) -> str:
    variables = list(variables)
    return variables[0] if len(variables) == 1 else CONCAT.text(variables)


def _weights_used(
    shares: Iterable[ProductShare], params: Mapping[str, str]
) -> dict[str, str]:
    """The text of the weights that ``shares`` multiply by, by name."""
    weights = {}
    for share in shares:
        for name, variable in params.items():
            node, short = split(name)
            if node == share.node and short in share.product.weights:
                weights[name] = _rows_of(variable, share.weight_rows)
    return weights


def _rows_of(W: str, rows: tuple[RowRange, ...] | None) -> str:
    """The text of some rows of a matrix."""
    if rows is None:
        return W
    slices = [f"{W}[{start}:{stop}]" for start, stop in rows]
    if len(slices) == 1:
        return slices[0]
    return f"{CONCAT.name}([{', '.join(slices)}], axis=0)"


# Formulas of other layers, with the text of each port as an argument


def _activated(layer: LayerSpec, params: Mapping[str, str], input: str) -> str:
    activation = layer.config.get("activation", "linear")
    if activation == "linear":
        return input
    return f"{function_name(activation)}({input})"


def function_name(function: object) -> str:
    """The unique name of an activation, as Python can call it.

    A configuration holds the name of an activation of the library, or a user's function
    itself. A user's function with a name of the library is written with its module.
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
    gate, old, new = map(_in_parentheses, (gate, old, new))
    return f"{gate} * {old} + (1 - {gate}) * {new}"


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


def _greedy(
    layer: LayerSpec, params: Mapping[str, str], input: str, ended: str | None = None
) -> str:
    words = f"argmax({input})"
    end = layer.config.get("end")
    return words if end is None else f"until_end({words}, {ended}, {end})"


ACTIVATIONS = (
    "hard_sigmoid",
    "linear",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
    "tanh",
)
"""The activations of the library."""
WORDS = frozenset(
    {*ACTIVATIONS, *CALLED, "argmax", "split", "until_end", "where", "zeros"}
)
"""The functions of the text. A user's function must not be written with such a name."""

PRODUCTS = ("Dense", "TimeDistributedDense", "RecurrentDense", "Gate")
"""Layers that are an activation of ``input @ W + b``, with ``prev_hid @ U`` if read."""

FORMULAS: dict[str, Formula] = {
    "Activation": _activated,
    "Embedding": _embedding,
    "Identity": _identity,
    "Blend": _blend,
    "Switch": _switch,
    "IfElse": _if_else,
    "Greedy": _greedy,
}
"""The formulas of other layers. A layer that is not here is written as a call."""
