"""What is right: a declaration run by NumPy, step by step, forwards and backwards.

A port checks itself against these numbers, so they are computed as one would on paper: :mod:`loop` is a loop over
time, :mod:`step` runs the nodes of one step, and :mod:`layers`, :mod:`cells` and their neighbours have the formula of
each layer, and beside it how a gradient goes back through it. Nothing is moved out of the loop, nothing is fast, and
of the rest of the library only the declaration, :class:`~recursive.spec.graph.GraphSpec`, and its errors are known.
"""

from recursive.reference.run import Gradients, Result, gradients, run
from recursive.reference.training import Trained, train

__all__ = ["Gradients", "Result", "Trained", "gradients", "run", "train"]
