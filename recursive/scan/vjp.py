"""The vector-Jacobian product of one step, derived from the step's graph.

For results ``y = f(v)`` and a gradient ``delta = dL/dy``, the vector-Jacobian product
is ``delta . dy/dv = dL/dv``. PyTensor's ``grad`` builds it from ``known_grads``: the
gradients of some variables that it starts from. Here they are placeholders, because
``delta`` is known only in the backward loop.

For the result that feeds a state, ``delta`` is a sum (see the package's docstring)::

    delta = outside + carried           g_t + c_t

``outside`` is the gradient from after the loop. ``carried`` is the gradient from the
later steps that read the state, one placeholder for each tap.

The gradient is never taken with respect to a weight. It stops at the *output* of the
product with that weight: for ``z = a @ W`` it gives ``dz``, and ``dW = a.T dz`` is one
product for all steps after the loop. This is also why the step and its vector-Jacobian
product are one graph: both ``a`` and ``dz`` are needed, computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from pytensor.gradient import grad
from pytensor.graph.basic import Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.tensor.rewriting.shape import ShapeFeature
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.scan.constant_sizes import has_constant_sizes
from recursive.scan.partition import Partition, partition
from recursive.scan.step_graph import Product, StepGraph

Maybe = Variable | None
Group = tuple[Maybe, ...]


@dataclass(frozen=True, slots=True)
class Gradients:
    """The gradient with respect to everything that a step reads.

    None stands for a value that is not a float, or that the results do not depend on,
    or not smoothly.

    Args:
        pasts: with respect to each past.
        slices: with respect to each slice.
        constants: with respect to each constant, of one step.
        products: with respect to the output of each product with weights.
    """

    pasts: Group
    slices: Group
    constants: Group
    products: Group

    @property
    def after_loop(self) -> list[Variable]:
        """The gradients that no other step waits for."""
        return present([*self.slices, *self.constants, *self.products])

    @property
    def every(self) -> list[Variable]:
        """Every gradient that exists."""
        return [*present(self.pasts), *self.after_loop]

    def mapped(self, function: Callable[[Variable], Variable]) -> Gradients:
        """The same groups, with ``function`` applied to every gradient."""
        return Gradients(
            pasts=_mapped(self.pasts, function),
            slices=_mapped(self.slices, function),
            constants=_mapped(self.constants, function),
            products=_mapped(self.products, function),
        )


@dataclass(frozen=True, slots=True)
class StepVJP:
    """A step and its vector-Jacobian product, in one graph.

    Args:
        step: the step.
        outside: for each result, the placeholder of its gradient from after the loop.
        carried: for each past, the placeholder of its gradient from the later step.
        gradients: what the vector-Jacobian product computes.
        parts: which values are stored, computed in the backward loop, or after it.
    """

    step: StepGraph
    outside: Group
    carried: Group
    gradients: Gradients
    parts: Partition = field(default_factory=Partition)

    @property
    def backward_results(self) -> list[Variable]:
        """The results of a step of the backward loop."""
        return [*present(self.gradients.pasts), *self.parts.emitted]


def present(values: Iterable[Maybe]) -> list[Variable]:
    """The values that are not None."""
    return [value for value in values if value is not None]


def is_float(value: Variable) -> bool:
    """True if a value may have a gradient."""
    return value.type.dtype.startswith("float")


def _mapped(group: Group, function: Callable[[Variable], Variable]) -> Group:
    return tuple(None if value is None else function(value) for value in group)


def step_vjp(step: StepGraph, past_result_index: Sequence[int]) -> StepVJP | None:
    """Differentiate ``step`` and decide what its backward loop stores and computes.

    None if an operation of the step has no gradient, or if its values cannot be stored
    for all steps because their sizes differ from step to step, or they are not arrays.

    Args:
        step: the step.
        past_result_index: ``step.pasts[i]`` is the past of
            ``step.results[past_result_index[i]]``.
    """
    try:
        vjp, deltas = _differentiate(step, past_result_index)
    except NotImplementedError:
        return None
    vjp, deltas, graph = _simplified(vjp, deltas)
    if not has_constant_sizes(graph, set(vjp.step.constants)):
        return None
    # Partition the merged graph: before merging, a forward value and its recomputation
    # in the gradient are separate variables.
    parts = partition(
        step=vjp.step,
        arriving=present([*vjp.outside, *vjp.carried]),
        carried=present(vjp.carried),
        deltas=deltas,
        past_gradients=present(vjp.gradients.pasts),
        later_gradients=vjp.gradients.after_loop,
        graph=graph,
        whole=backend.traits().whole_emitted,
    )
    if not all(isinstance(value, TensorVariable) for value in parts.stored):
        return None
    return replace(vjp, parts=parts)


def _differentiate(
    step: StepGraph, past_result_index: Sequence[int]
) -> tuple[StepVJP, list[Variable]]:
    """The vector-Jacobian product, and ``delta`` of each result that feeds a state."""
    # If result A is computed from result B, known_grads={B: ...} makes grad stop at B
    # and ignore the path from A to B. Copies avoid that.
    copies = []
    outside = []
    for result in step.results:
        copy = result.copy() if is_float(result) else None  # integers have none
        copies.append(copy)
        outside.append(None if copy is None else copy.type())

    known = dict(zip(present(copies), present(outside), strict=True))
    gradients = _gradients(step, known)
    # A past has a gradient to carry only if some result depends on it.
    carried = []
    for past, gradient in zip(step.pasts, gradients.pasts, strict=True):
        carried.append(None if gradient is None else past.type())

    # So far the gradients are functions of ``outside`` alone. Put delta in its place:
    # the sum of ``outside`` and of one ``carried`` for each tap that reads the state.
    # ``deltas`` maps ``outside`` to delta, for each result that feeds a state.
    deltas: dict[Variable, Variable] = {}
    for index in past_result_index:
        if outside[index] is not None:
            deltas[outside[index]] = outside[index]
    for index, gradient in zip(past_result_index, carried, strict=True):
        if gradient is not None:
            deltas[outside[index]] = deltas[outside[index]] + gradient
    # The same, without the results for which no later step sends a gradient back.
    sums = {start: delta for start, delta in deltas.items() if delta is not start}
    before = gradients.every
    after = dict(zip(before, clone_replace(before, sums), strict=True))
    gradients = gradients.mapped(after.__getitem__)
    vjp = StepVJP(step, tuple(outside), tuple(carried), gradients)
    return vjp, list(deltas.values())


def _gradients(step: StepGraph, known: dict[Variable, Variable]) -> Gradients:
    """The gradients of a step, given those of (copies of) its results."""
    # The groups of Gradients, at first with the values themselves.
    products = tuple(product.output for product in step.products)
    values = Gradients(step.pasts, step.slices, step.constants, products)
    wanted = [value for value in values.every if is_float(value)]
    found = {}
    if known and wanted:
        gradients = grad(
            None,
            wanted,
            known_grads=known,
            disconnected_inputs="ignore",
            return_disconnected="none",
        )
        found = dict(zip(wanted, gradients, strict=True))
    return values.mapped(found.get)


def _simplified(
    vjp: StepVJP, deltas: list[Variable]
) -> tuple[StepVJP, list[Variable], FunctionGraph]:
    """The same in a new graph, where equal values are one variable.

    Merging lets the backward step use the values of the forward step.
    """
    step = vjp.step
    lefts = [product.left for product in step.products]
    # Left factors are outputs because the products after the loop need them.
    inputs = [*step.inputs, *present(vjp.outside), *present(vjp.carried)]
    outputs = [*step.results, *deltas, *vjp.gradients.every, *lefts]
    graph = FunctionGraph(inputs, outputs, clone=True, features=[ShapeFeature()])
    new_inputs = dict(zip(inputs, graph.inputs, strict=True))
    rewrite_graph(graph, include=("canonicalize", "merge"))
    # Rewrites keep the inputs and replace the outputs, in their order.
    new_outputs = dict(zip(outputs, graph.outputs, strict=True))

    products = []
    for product in step.products:
        weights = new_inputs[product.weights]
        products.append(Product(new_outputs[product.left], weights))
    new_step = StepGraph(
        slices=tuple(map(new_inputs.get, step.slices)),
        pasts=tuple(map(new_inputs.get, step.pasts)),
        constants=tuple(map(new_inputs.get, step.constants)),
        weights=tuple(map(new_inputs.get, step.weights)),
        outer_values=step.outer_values,
        results=tuple(map(new_outputs.get, step.results)),
        products=tuple(products),
    )
    new_vjp = StepVJP(
        step=new_step,
        outside=_mapped(vjp.outside, new_inputs.__getitem__),
        carried=_mapped(vjp.carried, new_inputs.__getitem__),
        gradients=vjp.gradients.mapped(new_outputs.__getitem__),
    )
    return new_vjp, [new_outputs[delta] for delta in deltas], graph
