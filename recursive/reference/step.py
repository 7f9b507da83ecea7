"""One step: the nodes run in order, each on what it reads; then the same backwards.

A Graph is one step. A loop repeats it, and reads the past between steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from recursive.errors import RecursiveError, ShapeError
from recursive.reference.arrays import (
    Array,
    LayerGradients,
    Scope,
    Value,
    add,
    is_float,
    listed,
    one_or_all,
)
from recursive.reference.masks import joined
from recursive.reference.merges import merge
from recursive.reference.order import Names
from recursive.reference.table import compute
from recursive.spec.graph import NodeSpec, OutputSpec, PortSpec, Ref

Lookup = Callable[[Ref], Value]
Shares = list[tuple[Ref, Array]]
"""Gradients of what was read, each with its reference."""


class Reading:
    """The input of one port or output: the values of its references, merged.

    The merged value is unmasked where all parts are, and a context if all parts are.
    """

    def __init__(self, item: PortSpec | OutputSpec, lookup: Lookup, dtype: np.dtype):
        parts = [lookup(ref) for ref in item.refs]
        arrays = [part.array for part in parts]
        array, self.merge_back = merge(arrays, item.merge_mode, dtype)
        mask = joined(part.mask for part in parts)
        is_context = all(part.is_context for part in parts)
        self.value = Value(array, mask, is_context)
        # One gradient for each reference, in this order.
        self.refs = item.refs

    def back(self, d: Array | None) -> Shares:
        """The gradient of each part, from that of the merged value."""
        if d is None:
            return []
        shares: Shares = []
        for ref, share in zip(self.refs, self.merge_back(d), strict=True):
            # None is the gradient of integers and truth values.
            if share is not None:
                shares.append((ref, share))
        return shares


class NodeRun:
    """A node that has run: ``values`` has its values by name, with their masks."""

    def __init__(self, node: NodeSpec, lookup: Lookup, scope: Scope):
        self.node = node
        self.readings: dict[str, Reading] = {}
        with shape_errors_at(node):
            for port in node.ports:
                self.readings[port.name] = Reading(port, lookup, scope.dtype)
            ports = {name: reading.value for name, reading in self.readings.items()}
            x = one_or_all(ports)
            self.result = compute(node.layer.class_name, node.layer.config, x, scope)
            output = listed(self.result.output)
            self.values = dict(zip(node.values, output, strict=True))

    def has_gradient(self, d_values: Mapping[str, Array]) -> bool:
        """True if some value of the node has a gradient."""
        return any(
            name in d_values and is_float(value.array)
            for name, value in self.values.items()
        )

    def back(self, d_values: Mapping[str, Array]) -> tuple[LayerGradients, Shares]:
        """The gradients of the layer, and those of what the node has read."""
        d = {}
        for name, value in self.values.items():
            # A value that nothing has read has a gradient of zeros.
            d[name] = d_values.get(name, np.zeros_like(value.array))
        y = self.result.value
        if isinstance(y, Mapping):
            # Inside the layer, its outputs have other names, in the same order.
            d = dict(zip(y, d.values(), strict=True))
        found = self.result.back(d if isinstance(y, Mapping) else one_or_all(d))
        shares: Shares = []
        for port, reading in self.readings.items():
            d_port = found.x[port] if len(self.readings) > 1 else found.x
            shares += reading.back(d_port)
        return found, shares


class StepRun:
    """The nodes and outputs of one step.

    Args:
        names: the declaration.
        lookup: the values from outside the step: inputs and the past.
        scope_of: the scope of each node.
        dtype: the dtype of floats.
    """

    def __init__(
        self,
        names: Names,
        lookup: Lookup,
        scope_of: Callable[[NodeSpec], Scope],
        dtype: np.dtype,
    ):
        self.names = names
        self.lookup = lookup
        self.nodes: list[NodeRun] = []
        self.values: dict[str, Value] = {}
        for node in names.ordered:
            run = NodeRun(node, self._read, scope_of(node))
            self.nodes.append(run)
            self.values |= run.values
        self.outputs: dict[str, Reading] = {}
        for output in names.outputs:
            self.outputs[output.name] = Reading(output, self._read, dtype)

    def _read(self, ref: Ref) -> Value:
        ref = self.names.meaning(ref)
        # Values of this step come first: an input or a past has another name or a tap.
        if not ref.tap and ref.name in self.values:
            return self.values[ref.name]
        return self.lookup(ref)

    def back(
        self,
        d_outputs: Mapping[str, Array],
        d_values: dict[str, Array],
        give: Callable[[Ref, Array], None],
    ) -> dict[str, LayerGradients]:
        """The step backwards; returns the gradients of each node's layer by its name.

        Args:
            d_outputs: the gradients of outputs.
            d_values: the gradients of values that later steps have read.
            give: takes the gradient of a value from outside the step.
        """

        def give_all(shares: Shares) -> None:
            for ref, d in shares:
                ref = self.names.meaning(ref)
                if not ref.tap and ref.name in self.values:
                    add(d_values, ref.name, d)
                else:
                    give(ref, d)

        for name, d in d_outputs.items():
            give_all(self.outputs[name].back(d))
        gradients = {}
        # In reverse order, every reader of a value comes before the node that made it.
        for run in reversed(self.nodes):
            # A node that no output depends on is left out.
            if run.has_gradient(d_values):
                gradients[run.node.name], shares = run.back(d_values)
                give_all(shares)
        return gradients


@contextmanager
def shape_errors_at(node: NodeSpec) -> Iterator[None]:
    """Turn NumPy's errors about shapes into a ShapeError that names the node."""
    try:
        yield
    except RecursiveError:
        raise
    except (ValueError, IndexError) as error:
        raise ShapeError.about(
            "node",
            node.name,
            takes=f"inputs and weights that fit a {node.layer.class_name}",
            got=f"others ({error})",
            do="Compare with the shapes in the container's summary().",
        ) from error
