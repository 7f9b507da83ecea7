"""The graph of one step: placeholders, results, and products with weights.

A step is a Python function of tensors. It is called once on placeholders, which gives
a graph. What the step computes from non-sequences alone, that is, from parameters and
contexts, is taken out of the graph, so that it is computed once before the loop. A
placeholder takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.basic import MergeOptimizer
from pytensor.graph.traversal import applys_between
from pytensor.scan.op import Scan
from pytensor.tensor.math import Dot
from pytensor.tensor.special import LogSoftmax, Softmax
from pytensor.tensor.subtensor import AdvancedSubtensor
from pytensor.tensor.variable import TensorVariable

from recursive.backend import is_lazy

try:
    from pytensor.tensor.subtensor import AdvancedSubtensor1
except ImportError:  # later versions have one operation for both
    AdvancedSubtensor1 = AdvancedSubtensor

# Operations with a graph inside cannot be vectorized over all steps. Some versions of
# PyTensor make Softmax and LogSoftmax such operations; PyTensor vectorizes these two.
WITH_GRAPHS = (Scan, OpFromGraph)
VECTORIZABLE = (Softmax, LogSoftmax)

# ``W[integers]``, by PyTensor's two operations for it.
LOOKUPS = (AdvancedSubtensor, AdvancedSubtensor1)


@dataclass(frozen=True, slots=True)
class Tapped:
    """A sequence or a state as scan takes it: rows in time, and the taps that are read.

    Args:
        rows: of a sequence, ``(lag + time, batch, ...)``: the rows before the first
            step, then those of the steps. Of a state, ``(lag, batch, ...)``: only the
            rows before the first step.
        taps: the steps that are read, relative to the present one, in the order of the
            step's arguments.
    """

    rows: TensorVariable
    taps: tuple[int, ...]

    @property
    def lag(self) -> int:
        """The number of rows before the first step."""
        return max(0, -min(self.taps))

    def entry(self, key: str) -> dict[str, object]:
        """The dict that scan takes for it; ``key`` is ``input`` or ``initial``."""
        rows = self.rows
        if key == "initial" and self.taps == (-1,):
            rows = rows[0]  # scan wants a state of one row without its axis of time
        return {key: rows, "taps": list(self.taps)}


def tapped(entry: object, key: str) -> Tapped:
    """The inverse of :meth:`Tapped.entry`; a bare variable has scan's default taps."""
    if isinstance(entry, dict):
        rows, taps = entry[key], tuple(entry["taps"])
    else:
        rows, taps = entry, (0,) if key == "input" else (-1,)
    if key == "initial" and taps == (-1,):
        rows = rows[None]
    return Tapped(rows, taps)


@dataclass(frozen=True, slots=True)
class Product:
    """``left @ weights`` in a step; the weights are constant over time.

    Or ``weights[left]`` for integers ``left``: the product of as many one-hot rows.
    """

    left: TensorVariable
    weights: TensorVariable
    output: TensorVariable | None = None


@dataclass(frozen=True, slots=True)
class StepGraph:
    """A step as a graph from placeholders to results.

    Args:
        slices: placeholders of the slices of sequences, by sequence, then by tap.
        pasts: placeholders of the past of states, by state, then by tap.
        constants: placeholders of values that are constant over time, without weights.
        weights: placeholders of the right factors of products.
        outer_values: the variables outside the loop that these placeholders stand for:
            those of ``constants``, then those of ``weights``.
        results: the values that the step returns.
        products: the products with weights.
    """

    slices: tuple[TensorVariable, ...]
    pasts: tuple[TensorVariable, ...]
    constants: tuple[TensorVariable, ...]
    weights: tuple[TensorVariable, ...]
    outer_values: tuple[TensorVariable, ...]
    results: tuple[TensorVariable, ...]
    products: tuple[Product, ...]

    @property
    def inputs(self) -> tuple[TensorVariable, ...]:
        """All placeholders, in the order of scan's arguments."""
        return (*self.slices, *self.pasts, *self.constants, *self.weights)


def trace_step(
    step: Callable,
    sequences: Sequence[Tapped],
    states: Sequence[Tapped],
    non_sequences: Sequence[TensorVariable],
) -> StepGraph:
    """Call ``step`` on placeholders and return its graph."""
    slices = _placeholders(sequences)
    pasts = _placeholders(states)
    inner_non_sequences = [value.type() for value in non_sequences]
    inputs = [*slices, *pasts, *inner_non_sequences]
    graph = FunctionGraph(inputs, list(step(*inputs)), clone=True)
    # Two layers may compute the same product: merged, it is differentiated once.
    MergeOptimizer().rewrite(graph)

    # The graph is a clone: from here on its own inputs are the placeholders.
    changing = graph.inputs[: len(slices) + len(pasts)]
    inner_non_sequences = graph.inputs[len(changing) :]
    constants, weights = _replace_invariants(graph, changing)
    invariants = [*constants, *weights]
    outer_values = []
    if invariants:
        inner_to_outer = dict(zip(inner_non_sequences, non_sequences, strict=True))
        outer_values = clone_replace(invariants, inner_to_outer)
    return StepGraph(
        slices=tuple(changing[: len(slices)]),
        pasts=tuple(changing[len(slices) :]),
        constants=tuple(constants.values()),
        weights=tuple(weights.values()),
        outer_values=tuple(outer_values),
        results=tuple(constants.get(value, value) for value in graph.outputs),
        products=_products(graph, set(weights.values())),
    )


def _placeholders(items: Sequence[Tapped]) -> list[TensorVariable]:
    """A variable for each read of each item, of the type that one step sees."""
    found = []
    for item in items:
        for _ in item.taps:
            found.append(item.rows[0].type())
    return found


def _products(graph: FunctionGraph, weights: set[Variable]) -> tuple[Product, ...]:
    products = []
    for node in graph.toposort():
        if isinstance(node.op, Dot) and node.inputs[1] in weights:
            left, right = node.inputs
            products.append(Product(left, right, node.outputs[0]))
        elif _is_lookup(node) and node.inputs[0] in weights:
            right, left = node.inputs
            products.append(Product(left, right, node.outputs[0]))
    return tuple(products)


Placeholders = dict[Variable, Variable]
"""The placeholder that replaces each value."""


def _replace_invariants(
    graph: FunctionGraph, changing: Sequence[Variable]
) -> tuple[Placeholders, Placeholders]:
    """Replace values of ``graph`` that are constant over time by placeholders.

    Args:
        graph: a step; it is changed.
        changing: the inputs that change from step to step.

    Returns:
        The placeholders of values that are not weights, and those of weights.
    """
    # Values that change from step to step, and sizes. A size stays in the step even if
    # it is constant over time: JAX must see that it is static.
    stays_in_step = set(changing)
    constants: Placeholders = {}
    weights: Placeholders = {}
    # In this order a node comes after all that it reads. If a node that stays reads a
    # value that does not, the value becomes a placeholder.
    for node in graph.toposort():
        reads_outside_only = stays_in_step.isdisjoint(node.inputs)
        if reads_outside_only and not is_size(node.outputs[0]):
            continue
        stays_in_step.update(node.outputs)
        for place, value in enumerate(node.inputs):
            if value in stays_in_step or isinstance(value, Constant):
                continue
            found = weights if _is_weight(node, place) else constants
            if value not in found:
                found[value] = value.type()
                graph.add_input(found[value])
            graph.change_node_input(node, place, found[value])
    # A result may itself be constant over time.
    for value in graph.outputs:
        if value not in stays_in_step and not isinstance(value, Constant):
            constants.setdefault(value, value.type())
    return constants, weights


def _is_weight(node: Apply, place: int) -> bool:
    """True for the right factor of a product of two matrices, or for looked-up rows."""
    if _is_lookup(node):
        return place == 0
    if not isinstance(node.op, Dot) or place != 1:
        return False
    return node.inputs[0].ndim == node.inputs[1].ndim == 2


def _is_lookup(node: Apply) -> bool:
    """True for rows of a matrix at integers, ``(batch,)``, as an Embedding reads."""
    if not isinstance(node.op, LOOKUPS) or len(node.inputs) != 2:
        return False
    rows, indices = node.inputs
    is_vector = indices.type.ndim == 1 and indices.type.dtype.startswith("int")
    return is_vector and rows.type.ndim == node.outputs[0].type.ndim == 2


def is_size(value: Variable) -> bool:
    """True for any integer scalar or vector: it may be a size or a shape.

    Sizes are computed where they are used, since JAX must see that they are static.
    """
    return value.type.dtype.startswith("int") and value.type.ndim < 2


def holds_graphs(results: Sequence[Variable]) -> bool:
    """True if an operation has a graph inside that cannot be vectorized, or is lazy."""
    for node in applys_between([], results):
        if isinstance(node.op, VECTORIZABLE):
            continue
        if isinstance(node.op, WITH_GRAPHS) or is_lazy(node.op):
            return True
    return False
