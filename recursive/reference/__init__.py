"""The NumPy interpreter of declarations: what every other implementation must compute.

A port checks itself against these numbers, so they are computed as on paper: step by
step, forwards and backwards. Nothing is hoisted, and nothing is fast. Of the library,
only the declaration, :class:`~recursive.spec.graph.GraphSpec`, and the errors are used.

Read :mod:`arrays` first (what a layer is given and returns, what a backward function
is), then :mod:`step` (the nodes of one step), :mod:`clock` and :mod:`loop` (the loop
over time). The formulas are in :mod:`layers`, :mod:`cells`, :mod:`recurrent`,
:mod:`noise`, :mod:`composed`, :mod:`containers`, :mod:`activations`, :mod:`merges`,
:mod:`losses` and :mod:`optimizers`.
"""

from recursive.reference.run import Gradients, Result, gradients, run
from recursive.reference.training import Trained, train

__all__ = ["Gradients", "Result", "Trained", "gradients", "run", "train"]
