"""What a step consists of: what it reads, what is the same at every step, and its products with weights.

A step is called once on placeholders. What it makes of weights alone is taken out of it, to be made once, before the
loop; what remains is a graph from slices, past states and such constants to results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.basic import MergeOptimizer
from pytensor.graph.traversal import applys_between
from pytensor.scan.op import Scan
from pytensor.tensor.math import Dot
from pytensor.tensor.special import LogSoftmax, Softmax
from pytensor.tensor.variable import TensorVariable

from recursive.backend import is_lazy

WITH_GRAPHS = (Scan, OpFromGraph)
"""Operations that hold a graph of their own: what is inside them cannot be run for all steps at once."""

RUN_AT_ONCE = (Softmax, LogSoftmax)
"""Those of them that can."""


@dataclass(frozen=True, slots=True)
class Series:
    """A sequence or a state as scan is given it: rows from the first that is looked back to, and the taps read.

    Args:
        rows: ``(time, batch, ...)`` of a sequence; ``(lag, batch, ...)`` before the first step of a state.
        taps: which steps are read, relative to the present one, in the order in which the step reads them.
    """

    rows: TensorVariable
    taps: tuple[int, ...]

    @property
    def lag(self) -> int:
        """How many steps it looks back at most."""
        return max(0, -min(self.taps))

    def entry(self, key: str) -> dict[str, object]:
        """scan's entry for it, as ``input`` or ``initial``."""
        is_whole = key == "input" or self.taps != (-1,)
        return {key: self.rows if is_whole else self.rows[0], "taps": list(self.taps)}


def series(entry: object, key: str) -> Series:
    """A Series from what scan takes: a variable, or a dict with its taps."""
    if not isinstance(entry, dict):
        return Series(entry, (0,)) if key == "input" else Series(entry[None], (-1,))
    rows, taps = entry[key], tuple(entry["taps"])
    return Series(rows[None] if key == "initial" and taps == (-1,) else rows, taps)


@dataclass(frozen=True, slots=True)
class Product:
    """``left @ weights`` in a step, the weights being the same at every step."""

    left: TensorVariable
    weights: TensorVariable
    output: TensorVariable | None = None


@dataclass(frozen=True, slots=True)
class StepGraph:
    """A step taken apart.

    Args:
        slices: placeholders for the slices of sequences, sequence by sequence, tap by tap.
        pasts: placeholders for past rows of states, state by state, tap by tap.
        constants: placeholders for what is the same at every step, beside weights.
        weights: placeholders for what products multiply by.
        given: what stands outside for each of ``constants``, then of ``weights``.
        results: what the step returns.
        products: every product with weights.
    """

    slices: tuple[TensorVariable, ...]
    pasts: tuple[TensorVariable, ...]
    constants: tuple[TensorVariable, ...]
    weights: tuple[TensorVariable, ...]
    given: tuple[TensorVariable, ...]
    results: tuple[TensorVariable, ...]
    products: tuple[Product, ...]

    @property
    def inputs(self) -> tuple[TensorVariable, ...]:
        """Every placeholder, in the order in which scan gives their values."""
        return (*self.slices, *self.pasts, *self.constants, *self.weights)


def trace_step(
    step: Callable,
    sequences: Sequence[Series],
    states: Sequence[Series],
    non_sequences: Sequence[TensorVariable],
) -> StepGraph:
    """Take ``step`` apart."""
    moving = [item.rows[0].type() for item in (*sequences, *states) for _ in item.taps]
    fixed = [value.type() for value in non_sequences]
    graph = FunctionGraph([*moving, *fixed], list(step(*moving, *fixed)), clone=True)
    MergeOptimizer().rewrite(graph)
    moving, fixed = graph.inputs[: len(moving)], graph.inputs[len(moving) :]
    constants, weights = _without_invariants(graph, moving)
    outside = dict(zip(fixed, non_sequences, strict=True))
    given = (
        clone_replace([*constants, *weights], outside) if constants or weights else []
    )
    held = set(weights.values())
    products = [
        Product(node.inputs[0], node.inputs[1], node.outputs[0])
        for node in graph.toposort()
        if isinstance(node.op, Dot) and node.inputs[1] in held
    ]
    count = sum(len(item.taps) for item in sequences)
    return StepGraph(
        tuple(moving[:count]),
        tuple(moving[count:]),
        tuple(constants.values()),
        tuple(weights.values()),
        tuple(given),
        tuple(constants.get(value, value) for value in graph.outputs),
        tuple(products),
    )


def _without_invariants(
    graph: FunctionGraph,
    moving: Sequence[Variable],
) -> tuple[dict[Variable, Variable], dict[Variable, Variable]]:
    """Put a placeholder in ``graph`` for each value that is the same at every step: of constants, and of weights."""
    changing = set(moving)
    constants: dict[Variable, Variable] = {}
    weights: dict[Variable, Variable] = {}
    for node in graph.toposort():
        if changing.isdisjoint(node.inputs) and not is_size(node.outputs[0]):
            continue
        changing.update(node.outputs)
        for place, value in enumerate(node.inputs):
            if value not in changing and not isinstance(value, Constant):
                is_weight = (
                    isinstance(node.op, Dot)
                    and place == 1
                    and value.ndim == node.inputs[0].ndim == 2
                )
                found = weights if is_weight else constants
                if value not in found:
                    found[value] = value.type()
                    graph.add_input(found[value])
                graph.change_node_input(node, place, found[value])
    for value in graph.outputs:
        if value not in changing and not isinstance(value, Constant):
            constants.setdefault(value, value.type())
    return constants, weights


def is_size(value: Variable) -> bool:
    """Whether it may be a shape, which stays where it is used: a compiler for fixed shapes must see through it."""
    return value.type.dtype.startswith("int") and value.type.ndim < 2


def holds_graphs(results: Sequence[Variable]) -> bool:
    """Whether some operation of a step holds a graph of its own that cannot be run for all steps at once."""
    ops = (
        node.op
        for node in applys_between([], results)
        if not isinstance(node.op, RUN_AT_ONCE)
    )
    return any(isinstance(op, WITH_GRAPHS) or is_lazy(op) for op in ops)
