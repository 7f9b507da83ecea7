"""The containers, in the room where Keras 0.1.3 had them."""

from recursive.layers.graph import Graph
from recursive.layers.sequential import Sequential

__all__ = ["Graph", "Sequential"]
