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
from pytensor.graph.rewriting.basic import MergeOptimizer
from pytensor.link.vm import VMLinker
from pytensor.scan.op import Scan

from recursive.backend.c_loop.arrays import use_numpy
from recursive.backend.c_loop.binary import Binary
from recursive.backend.c_loop.op import CLoop
from recursive.backend.c_loop.outside import (
    merge_products,
    merge_sums,
    reuse_buffers,
    set_rows_at_once,
)
from recursive.backend.c_loop.products import TEXT, use_kernel
from recursive.backend.c_loop.refusal import TranslationError
from recursive.backend.c_loop.translate import Loop, Translation, inline, translate


class LoopLinker(VMLinker):
    """A linker for graphs whose loops all become C functions.

    Its constructor has the arguments of PyTensor's linker.
    """

    def accept(
        self, fgraph: FunctionGraph, no_recycling: object = None, profile: object = None
    ) -> VMLinker:
        """Replace the loops of a graph, and take it on.

        Raises:
            TranslationError: if one of them cannot be translated, or if there is none.
            CompilerError: if one of them cannot be compiled.
        """
        if self.fgraph is not None:
            return super().accept(fgraph, no_recycling, profile)
        # Outputs whose arrays belong to the caller, and must not be used again.
        given_away = set(no_recycling or [])
        places = [output in given_away for output in fgraph.outputs]
        inline(fgraph)
        reuse_buffers(fgraph)
        set_rows_at_once(fgraph)
        merge_products(fgraph)
        merge_sums(fgraph)
        MergeOptimizer().rewrite(fgraph)  # what was made twice
        replace_loops(fgraph)
        use_numpy(fgraph)
        owned = list(itertools.compress(fgraph.outputs, places))
        kept = infer_reuse_pattern(fgraph, owned)
        return super().accept(fgraph, kept, profile)


def replace_loops(graph: FunctionGraph) -> None:
    """Put a C loop in place of each Scan of a graph."""
    loops = [Loop(node) for node in graph.toposort() if isinstance(node.op, Scan)]
    if not loops:
        raise TranslationError("the program", "has no loop")
    for loop in loops:
        loop.sink_biases()
    translations = [translate(loop) for loop in loops]
    # Every compiler is started before the first is waited for.
    texts = [TEXT, *[translation.source for translation in translations]]
    products, *binaries = compiled = [Binary(text) for text in texts]
    try:
        _replace(graph, loops, translations, binaries)
        use_kernel(graph, products)
    finally:
        for binary in compiled:
            binary.discard()


def _replace(
    graph: FunctionGraph,
    loops: list[Loop],
    translations: list[Translation],
    binaries: list[Binary],
) -> None:
    made = list(zip(loops, translations, binaries, strict=True))
    # From the last to the first, because a loop may read what an earlier one returns.
    for loop, translation, binary in reversed(made):
        op = CLoop(loop.node.op.name, translation, binary)
        op.find_reversed(graph, loop.node)
        outputs = op.apply_to(loop)
        pairs = list(zip(loop.node.outputs, outputs, strict=True))
        graph.replace_all_validate(pairs, reason="c_loop")
        op.load()
