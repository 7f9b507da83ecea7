"""The loops of a container as C functions, and the operation that prevents it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.traversal import applys_between
from pytensor.scan.op import Scan

from recursive.backend import table
from recursive.backend.c_loop.refusal import TranslationError
from recursive.backend.c_loop.translate import Loop, Translation, thawed, translate
from recursive.backend.scanning import building_for
from recursive.errors import BackendError

if TYPE_CHECKING:
    from recursive.layers.recursive import Recursive


def c_source(rnn: Recursive) -> str:
    """The C function of the loop of ``rnn``, as backend ``c`` compiles it.

    Raises:
        BackendError: if the loop is not translated; it names the operation.
        RecursiveError: a subclass of it, for a container that is not complete.
    """
    rnn.complete()
    try:
        translations = [translate(Loop(node)) for node in _loops(_outputs(rnn))]
    except TranslationError as refusal:
        raise BackendError.about(
            "backend",
            "c",
            takes="a step that works row by row",
            got=str(refusal),
            do="Use another operation, or leave the loop to PyTensor's scan.",
        ) from refusal
    return "\n".join(map(_text, translations))


def why_not_c(rnn: Recursive) -> str | None:
    """Why backend ``c`` leaves a loop to PyTensor's scan; None if it does not.

    The loop and its reverse pass are both tried.
    """
    outputs = _outputs(rnn)
    try:
        for node in _loops([*outputs, *_gradients(outputs, rnn)]):
            translate(Loop(node))
    except TranslationError as refusal:
        return str(refusal)
    return None


def _outputs(rnn: Recursive) -> list[Variable]:
    """The outputs of a container, built for backend ``c``."""
    with building_for(table.C):
        found = rnn.get_output()
    return list(found.values()) if isinstance(found, Mapping) else [found]


def _gradients(outputs: Iterable[Variable], rnn: Recursive) -> list[Variable]:
    """The gradients of the parameters, which the reverse pass computes."""
    floats = [value for value in outputs if value.dtype.startswith("float")]
    params = list(rnn.named_params.values())
    if not floats or not params:
        return []
    loss = sum(value.sum() for value in floats)
    with building_for(table.C):
        return pt.grad(loss, params, disconnected_inputs="ignore")


def _loops(outputs: Iterable[Variable]) -> Iterator[Apply]:
    """The Scan nodes that outputs are computed from, those inside operations too."""
    for node in applys_between([], outputs):
        if isinstance(node.op, Scan):
            yield node
        elif isinstance(node.op, OpFromGraph):
            yield from _loops(thawed(node.op.fgraph).outputs)


def _text(translation: Translation) -> str:
    """The part of the C text that is about this loop, indented."""
    _, begin, rest = translation.source.partition("static int run_block")
    body = (begin + rest).partition("\nstatic int prepare")[0]
    lines = []
    depth = 0
    for line in body.splitlines():
        depth -= line.startswith("}") * (len(line) - len(line.lstrip("}")))
        lines.append("    " * depth + line if line.strip() else "")
        depth += line.count("{") - line.count("}")
        depth += line.startswith("}") * (len(line) - len(line.lstrip("}")))
    return "\n".join(lines) + "\n"
