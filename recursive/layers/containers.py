"""The containers, importable from the module where those of 2015 were."""

from recursive.layers.graph import Graph
from recursive.layers.recursive import Recursive
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
    "Recursive",
    "Sequential",
    "merge_ave",
    "merge_concat",
    "merge_dot",
    "merge_max",
    "merge_mul",
    "merge_sum",
]
