"""The linker that puts C loops in place of PyTensor's scans.

PyTensor first rewrites a graph, then hands it to a linker, which makes a program of it.
This one replaces every Scan before it does so. All other operations run as Python
calls of NumPy: outside the loops there are few of them, each on the values of all steps
at once, and nothing has to be compiled for them.
"""

from __future__ import annotations

import itertools

from pytensor.compile.aliasing import infer_reuse_pattern
from pytensor.graph.fg import FunctionGraph
from pytensor.link.vm import VMLinker
from pytensor.scan.op import Scan

from recursive.backend.c_loop.arrays import use_numpy
from recursive.backend.c_loop.binary import Binary
from recursive.backend.c_loop.op import CLoop
from recursive.backend.c_loop.refusal import NotTranslatable
from recursive.backend.c_loop.translate import inline, translate


class LoopLinker(VMLinker):
    """A linker for graphs whose loops all become C functions.

    Its constructor has the arguments of PyTensor's linker.
    """

    def accept(
        self, fgraph: FunctionGraph, no_recycling: object = None, profile: object = None
    ) -> VMLinker:
        """Replace the loops of a graph, and take it on.

        Raises:
            NotTranslatable: if one of them cannot be translated, or if there is none.
            CompilerError: if one of them cannot be compiled.
        """
        if self.fgraph is not None:
            return super().accept(fgraph, no_recycling, profile)
        # Outputs whose arrays belong to the caller, and must not be used again.
        given_away = set(no_recycling or [])
        places = [output in given_away for output in fgraph.outputs]
        inline(fgraph)
        replace_loops(fgraph)
        use_numpy(fgraph)
        owned = list(itertools.compress(fgraph.outputs, places))
        kept = infer_reuse_pattern(fgraph, owned)
        return super().accept(fgraph, kept, profile)


def replace_loops(graph: FunctionGraph) -> None:
    """Put a C loop in place of each Scan of a graph."""
    translated = []
    for node in graph.toposort():
        if isinstance(node.op, Scan):
            translated.append((node, translate(node)))
    if not translated:
        raise NotTranslatable("the program", "has no loop")
    # Every compiler is started before the first is waited for.
    loops = []
    for node, translation in translated:
        binary = Binary(translation.source)
        loops.append((node, CLoop(node.op, translation, binary)))
    for node, loop in loops:
        pairs = list(zip(node.outputs, loop.replace(node), strict=True))
        graph.replace_all_validate(pairs, reason="c_loop")
        loop.load()
