"""The containers, importable from the module where Keras 0.1.3 had them."""

from recursive.layers.graph import Graph
from recursive.layers.sequential import Sequential
from recursive.spec.reads import (
    merge_ave,
    merge_concat,
    merge_dot,
    merge_max,
    merge_mul,
    merge_sum,
)

__all__ = [
    "Graph",
    "Sequential",
    "merge_ave",
    "merge_concat",
    "merge_dot",
    "merge_max",
    "merge_mul",
    "merge_sum",
]
