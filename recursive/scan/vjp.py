"""The vector-Jacobian product of one step, and what of it has to be in the backward loop.

Given the gradient with respect to the results of a step, it gives that with respect to all that the step reads. Only
the past is waited for, by the step before; the rest is computed after the loop, for all steps at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from pytensor.gradient import grad
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.graph.traversal import ancestors, toposort
from pytensor.scalar.basic import (
    EQ,
    GE,
    GT,
    LE,
    LT,
    NEQ,
    Add,
    Cast,
    Identity,
    Mul,
    Neg,
    Sqr,
    Sub,
    Switch,
)
from pytensor.tensor.basic import Alloc, Join, Split
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.rewriting.shape import ShapeFeature
from pytensor.tensor.shape import Shape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import Subtensor
from pytensor.tensor.variable import TensorVariable

from recursive.scan.step_graph import Product, StepGraph, is_size

CHEAP = (Alloc, DimShuffle, Join, Shape_i, SpecifyShape, Split, Subtensor)
"""Operations that are done again rather than their result kept."""

CHEAP_ON_ELEMENTS = (
    Add,
    Cast,
    EQ,
    GE,
    GT,
    Identity,
    LE,
    LT,
    Mul,
    NEQ,
    Neg,
    Sqr,
    Sub,
    Switch,
)
"""The same, element by element."""

Maybe = Variable | None


@dataclass(frozen=True, slots=True)
class Gradients:
    """The gradient with respect to everything that a step reads; None where there is no way to it.

    Args:
        pasts: with respect to each past.
        slices: with respect to each slice.
        constants: with respect to what is the same at every step, this step's share.
        products: with respect to the output of each product with weights.
    """

    pasts: tuple[Maybe, ...]
    slices: tuple[Maybe, ...]
    constants: tuple[Maybe, ...]
    products: tuple[Maybe, ...]

    @property
    def later(self) -> list[Variable]:
        """Those that no earlier step waits for."""
        return there([*self.slices, *self.constants, *self.products])

    def mapped(self, function: Callable[[Variable], Variable]) -> Gradients:
        """``function`` of each that there is."""
        return Gradients(
            *(
                tuple(None if value is None else function(value) for value in group)
                for group in (self.pasts, self.slices, self.constants, self.products)
            )
        )


@dataclass(frozen=True, slots=True)
class Adjoint:
    """A step and its vector-Jacobian product, in one graph.

    Args:
        step: the step.
        outside: for each result the placeholder of the gradient that comes from outside the loop.
        carried: for each past the placeholder of what the step that read it gives back.
        gradients: what is to be found.
        kept: values of the step that the way back reads, and that the loop has to keep.
        emitted: values of the backward loop that later work reads.
        fixed: values of the backward loop that are the same at every step, beside constants and weights themselves.
        read: which placeholders, results, kept and fixed values a step of the backward loop reads.
    """

    step: StepGraph
    outside: tuple[Maybe, ...]
    carried: tuple[Maybe, ...]
    gradients: Gradients
    kept: tuple[Variable, ...] = ()
    emitted: tuple[Variable, ...] = ()
    fixed: tuple[Variable, ...] = ()
    read: frozenset[Variable] = frozenset()

    @property
    def back(self) -> list[Variable]:
        """What a step of the backward loop computes: the gradient of each past that has one, and what is emitted."""
        return [*there(self.gradients.pasts), *self.emitted]


def there(values: Iterable[Maybe]) -> list[Variable]:
    """Those of ``values`` that are not None."""
    return [value for value in values if value is not None]


def adjoint(step: StepGraph, sources: Sequence[int]) -> Adjoint | None:
    """The vector-Jacobian product of ``step``; ``sources`` tells for each past which result it is.

    None where an operation of the step has no gradient, or where values cannot be kept for all steps, since they are
    of another size at each of them, or no arrays.
    """
    try:
        outside, carried, totals, gradients = _differentiated(step, sources)
    except NotImplementedError:
        return None
    arriving = there([*outside, *carried])
    lefts = [product.left for product in step.products]
    found = [*step.results, *totals, *there(gradients.pasts), *gradients.later, *lefts]
    graph = FunctionGraph(
        [*step.inputs, *arriving], found, clone=True, features=[ShapeFeature()]
    )
    new = dict(zip([*step.inputs, *arriving], graph.inputs, strict=True))
    rewrite_graph(graph, include=("canonicalize", "merge"))
    if not _is_of_one_size(graph, {new[value] for value in step.constants}):
        return None
    values = iter(graph.outputs)
    results, totals = (
        [next(values) for _ in group] for group in (step.results, totals)
    )
    gradients = gradients.mapped(lambda _: next(values))
    groups = (step.slices, step.pasts, step.constants, step.weights, outside, carried)
    *placeholders, outside, carried = (
        tuple(new.get(value) for value in group) for group in groups
    )
    products = tuple(
        Product(next(values), new[product.weights]) for product in step.products
    )
    step = StepGraph(*placeholders, step.given, tuple(results), products)
    found = partition(Adjoint(step, outside, carried, gradients), set(totals), graph)
    return (
        found
        if all(isinstance(value, TensorVariable) for value in found.kept)
        else None
    )


def _is_of_one_size(graph: FunctionGraph, fixed: set[Variable]) -> bool:
    """Whether the size of every value follows from those of the inputs, or from what is ``fixed`` at every step."""
    follows: dict[Variable, bool] = {}

    feature = graph.shape_feature
    # PyTensor 3.0 keeps the shapes that it knows in a dict; later ones find a shape when they are asked for it.
    known = vars(feature).get("shape_of")

    def shape_of(value: Variable) -> list[Variable]:
        if known is not None and value not in known:
            # A rewrite has taken the value out of the graph, but sizes of others are still told by it.
            for node in toposort([value], blockers=set(known)):
                feature.on_import(graph, node, "sizes")
        return [feature.get_shape(value, axis) for axis in range(value.type.ndim)]

    def of_sizes(number: Variable) -> bool:
        if number not in follows:
            node = number.owner
            if node is None:
                follows[number] = isinstance(number, Constant) or number in fixed
            elif isinstance(node.op, Shape | Shape_i):
                follows[number] = False  # where nothing tells it but itself
                follows[number] = node.inputs[0].owner is None or all(
                    map(of_sizes, shape_of(node.inputs[0]))
                )
            else:
                follows[number] = all(map(of_sizes, node.inputs))
        return follows[number]

    made = (
        value
        for value in list(graph.variables)
        if value.owner is not None and isinstance(value, TensorVariable)
    )
    return all(of_sizes(size) for value in made for size in shape_of(value))


def _differentiated(
    step: StepGraph,
    sources: Sequence[int],
) -> tuple[list[Maybe], list[Maybe], list[Variable], Gradients]:
    """Placeholders for what arrives from outside and from later steps, their sums for each state, the gradients.

    The results are copied before: else a result that another one reads would hide the way through it.
    """
    copies = {
        place: value.copy()
        for place, value in enumerate(step.results)
        if is_float(value)
    }
    outside = [
        copies[place].type() if place in copies else None
        for place in range(len(step.results))
    ]
    groups = (
        step.pasts,
        step.slices,
        step.constants,
        [product.output for product in step.products],
    )
    wanted = [value for group in groups for value in group if is_float(value)]
    known = {copy: outside[place] for place, copy in copies.items()}
    found = (
        dict(
            zip(
                wanted,
                grad(
                    None,
                    wanted,
                    known_grads=known,
                    disconnected_inputs="ignore",
                    return_disconnected="none",
                ),
                strict=True,
            )
        )
        if known and wanted
        else {}
    )
    gradients = Gradients(
        *(tuple(found.get(value) for value in group) for group in groups)
    )
    carried = [
        None if value is None else past.type()
        for past, value in zip(step.pasts, gradients.pasts, strict=True)
    ]
    totals = {place: outside[place] for place in sources if outside[place] is not None}
    for place, value in zip(sources, carried, strict=True):
        if value is not None:
            totals[place] = totals[place] + value
    replaced = {
        outside[place]: total
        for place, total in totals.items()
        if total is not outside[place]
    }
    moved = iter(clone_replace([*there(gradients.pasts), *gradients.later], replaced))
    return (
        outside,
        carried,
        list(totals.values()),
        gradients.mapped(lambda _: next(moved)),
    )


def partition(whole: Adjoint, totals: set[Variable], graph: FunctionGraph) -> Adjoint:
    """``whole``, and what of it is kept on the way there, done on the way back, and done after that."""
    arriving = there([*whole.outside, *whole.carried])
    late = _depending(set(arriving), graph)
    inside = (late & {*ancestors(there(whole.gradients.pasts)), *totals}) | set(
        there(whole.carried)
    )
    early = {
        value
        for value in graph.variables
        if value not in late and not isinstance(value, Constant)
    }
    whole_values = {
        value for value in inside | early if not side_by_side(value)
    }  # put together later, at once
    emitted = [
        value
        for value in first_reached(whole.gradients.later, whole_values)
        if value in inside - set(whole.outside)
    ]
    lefts = [product.left for product in whole.step.products]
    needed = [
        *first_reached(there(whole.gradients.pasts) + emitted, early),
        *lefts,
        *(
            value
            for value in first_reached(whole.gradients.later, whole_values)
            if value in early
        ),
    ]
    known = {*whole.step.inputs, *whole.step.results}
    kept = _kept(needed, known)
    whole = replace(whole, kept=tuple(kept), emitted=tuple(emitted))
    moving = _depending(
        {*known, *kept, *arriving} - {*whole.step.constants, *whole.step.weights}, graph
    )
    still = {
        value
        for value in graph.variables
        if value not in moving
        and not isinstance(value, Constant)
        and not is_size(value)
    }
    read = first_reached(whole.back, {*known, *kept, *graph.inputs, *still})
    fixed = tuple(value for value in read if value in still and value.owner is not None)
    return replace(whole, fixed=fixed, read=frozenset(read))


def _depending(roots: set[Variable], graph: FunctionGraph) -> set[Variable]:
    """``roots`` and everything in ``graph`` that is computed from them."""
    found = set(roots)
    for node in graph.toposort():
        if not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return found


def first_reached(
    outputs: Iterable[Variable], stop: Collection[Variable]
) -> list[Variable]:
    """Of ``stop``, what is met first on every way back from ``outputs``, each once."""
    met: dict[Variable, None] = {}
    seen: set[Variable] = set()
    waiting = list(outputs)[::-1]
    while waiting:
        value = waiting.pop()
        if value in seen:
            continue
        seen.add(value)
        if value in stop:
            met[value] = None
        elif value.owner is not None:
            waiting.extend(value.owner.inputs[::-1])
    return list(met)


def _kept(needed: Sequence[Variable], known: set[Variable]) -> list[Variable]:
    """What has to be kept so that all ``needed`` values can be had by cheap operations from it and the ``known``."""
    kept: dict[Variable, None] = {}
    cheap = []
    for value in needed:
        if value not in known and not _is_cheap(value):
            kept[value] = None
        elif value not in known:
            cheap.append(value)
    for value in cheap:
        missing = [source for source in _sources(value, known) if source not in kept]
        if len(missing) > 1:
            missing = [value]
        kept.update(dict.fromkeys(missing))
    return list(kept)


def _sources(value: Variable, known: set[Variable]) -> list[Variable]:
    """What cheap operations make ``value`` of, beside the ``known``."""
    found: dict[Variable, None] = {}
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if value in known or isinstance(value, Constant):
            continue
        if _is_cheap(value):
            waiting.extend(value.owner.inputs)
        else:
            found[value] = None
    return list(found)


def _is_cheap(value: Variable) -> bool:
    """Whether it is done again rather than kept."""
    if value.owner is None:
        return False
    op = value.owner.op
    return isinstance(op, CHEAP) or (
        isinstance(op, Elemwise) and isinstance(op.scalar_op, CHEAP_ON_ELEMENTS)
    )


def side_by_side(value: Variable) -> list[Variable]:
    """The values whose rows stand side by side in ``value``; none where it is no such thing."""
    if value.owner is None or not isinstance(value.owner.op, Join):
        return []
    axis, parts = getattr(value.owner.op, "axis", None), value.owner.inputs
    if axis is None:  # PyTensor 3.0: the first input
        axis, parts = getattr(parts[0], "data", 0), parts[1:]
    return parts if axis % value.type.ndim == value.type.ndim - 1 else []


def is_float(value: Variable) -> bool:
    """Whether a value may have a gradient."""
    return value.type.dtype.startswith("float")
