"""The check that the values of a step have the same sizes at every step.

Values of all steps are one array only if their sizes agree. ``d[d > 0]`` has another
size at each step, since it follows from data. The size of a value is *constant* if it
follows from sizes of the step's inputs, from values that are constant over time, and
from numbers. This module finds out by walking through the formulas of sizes.
"""

from __future__ import annotations

from pytensor.graph.basic import Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.traversal import toposort
from pytensor.tensor.shape import Shape, Shape_i
from pytensor.tensor.variable import TensorVariable


def has_constant_sizes(graph: FunctionGraph, constants: set[Variable]) -> bool:
    """True if every computed array of ``graph`` has constant sizes.

    Args:
        graph: a step, with a ShapeFeature.
        constants: its inputs that are constant over time.
    """
    sizes = _Sizes(graph, constants)
    for value in list(graph.variables):
        if value.owner is None or not isinstance(value, TensorVariable):
            continue
        if not all(map(sizes.is_constant, sizes.shape_of(value))):
            return False
    return True


class _Sizes:
    """The sizes in a graph, each examined once."""

    def __init__(self, graph: FunctionGraph, constants: set[Variable]):
        self.graph = graph
        self.constants = constants
        self._answers: dict[Variable, bool] = {}
        # PyTensor 3.0 stores the shapes that it knows in a dict; later versions compute
        # a shape when they are asked for it.
        self._known = vars(graph.shape_feature).get("shape_of")

    def shape_of(self, value: Variable) -> list[Variable]:
        """The size of each axis, as a formula."""
        feature = self.graph.shape_feature
        if self._known is not None and value not in self._known:
            # A rewrite has removed the value from the graph, but formulas of other
            # sizes still refer to it.
            for node in toposort([value], blockers=set(self._known)):
                feature.on_import(self.graph, node, "sizes")
        return [feature.get_shape(value, axis) for axis in range(value.type.ndim)]

    def is_constant(self, number: Variable) -> bool:
        """True if a number, which is part of the formula of a size, is constant."""
        if number not in self._answers:
            # An array whose size is known only from the array itself leads back here
            # while it is being examined. The answer then is no.
            self._answers[number] = False
            self._answers[number] = self._follows(number)
        return self._answers[number]

    def _follows(self, number: Variable) -> bool:
        node = number.owner
        if node is None:
            return isinstance(number, Constant) or number in self.constants
        if isinstance(node.op, Shape | Shape_i):
            [array] = node.inputs
            if array.owner is None:
                return True  # an input of the step, whose size cannot change
            return all(map(self.is_constant, self.shape_of(array)))
        return all(map(self.is_constant, node.inputs))
