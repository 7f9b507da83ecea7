"""One step: the nodes run one after another, each on what it reads; and the same backwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from recursive.errors import RecursiveError, ShapeError
from recursive.reference.arrays import (
    Array,
    Computed,
    Given,
    Pulled,
    Value,
    Values,
    is_float,
)
from recursive.reference.masks import joined
from recursive.reference.merges import merge
from recursive.reference.table import compute
from recursive.spec.graph import NodeSpec, Ref

Reader = Callable[[Ref], Value]
Giver = Callable[[Ref, Array], None]
"""Where the gradient of what was read goes."""


def read(
    refs: Sequence[Ref], mode: str, reader: Reader, dtype: np.dtype
) -> tuple[Value, Callable[[Array, Giver], None]]:
    """What ``refs`` mean, merged by ``mode``; the way back gives each its share.

    The merged value is data where all of its parts are, and a context if all of them are contexts.
    """
    parts = [reader(ref) for ref in refs]
    array, merge_back = merge([part.array for part in parts], mode, dtype)
    mask = joined(part.mask for part in parts)
    value = Value(array, mask, all(part.is_context for part in parts))

    def back(d: Array | None, giver: Giver) -> None:
        for ref, share in zip(
            refs, [] if d is None else merge_back(d), strict=d is not None
        ):
            if share is not None:
                giver(ref, share)

    return value, back


class Ran:
    """A node that has run: its values by name, its way back, and what its layer handed out beside."""

    def __init__(self, node: NodeSpec, reader: Reader, given: Given):
        self.node = node
        with fitting(node):
            reads = {
                port.name: read(port.refs, port.merge_mode, reader, given.dtype)
                for port in node.ports
            }
            self.ports_back = {name: back for name, (_, back) in reads.items()}
            values = {name: value for name, (value, _) in reads.items()}
            x = values if len(values) > 1 else next(iter(values.values()))
            self.found = compute(node.layer.class_name, node.layer.config, x, given)
            self.values = named(node, self.found)
            self.outputs = with_masks(node, self.found)
            """The values with their masks."""

    def back(self, d: Mapping[str, Array], giver: Giver) -> Pulled:
        """Give everything that the node read its share of the gradient ``d`` of its values; those of its weights."""
        every = {
            name: d.get(name, np.zeros_like(value))
            for name, value in self.values.items()
        }
        value = self.found.value
        pulled = self.found.back(
            dict(zip(value, every.values(), strict=True))
            if isinstance(value, Mapping)
            else next(iter(every.values()))
        )
        for port, back in self.ports_back.items():
            back(pulled.x[port] if len(self.ports_back) > 1 else pulled.x, giver)
        return pulled


@contextmanager
def fitting(node: NodeSpec) -> Iterator[None]:
    """Put into words what NumPy says of arrays that do not fit one another."""
    try:
        yield
    except RecursiveError:
        raise
    except (ValueError, IndexError) as error:
        raise ShapeError.about(
            "node",
            node.name,
            takes="inputs and weights that fit its formula",
            because=f"it is a {node.layer.class_name}",
            got=f"others ({error})",
            do="Compare with the shapes that the container has.",
        ) from error


def named(node: NodeSpec, found: Computed) -> dict[str, Array]:
    """What a node's layer returned, by the names that it is read by."""
    values: Values = found.value
    return dict(
        zip(
            node.values,
            values.values() if isinstance(values, Mapping) else [values],
            strict=True,
        )
    )


def with_masks(node: NodeSpec, found: Computed) -> dict[str, Value]:
    """The same with their masks."""
    output = found.output
    values = output.values() if isinstance(output, Mapping) else [output]
    return dict(zip(node.values, values, strict=True))


def has_gradient(ran: Ran, d: Mapping[str, Array]) -> bool:
    """Whether a gradient arrives at some value of the node."""
    return any(name in d and is_float(value) for name, value in ran.values.items())
