"""The step of a GraphSpec as a diagram: inputs, past values, nodes and outputs.

1. ``sketch`` lists the parts and the links of one step, and ``unrolled`` those of
   several steps.
2. ``layout`` gives each of them a place, as plain data.
3. A ``Picture`` shows them, and writes them as SVG, PNG, dot or Mermaid.

``draw`` does all three.
"""

from __future__ import annotations

import os

from recursive.drawing.layout import Arrow, Box, Layout, layout
from recursive.drawing.picture import Picture
from recursive.drawing.sketch import Sketch, sketch
from recursive.drawing.unrolled import unrolled
from recursive.spec.graph import GraphSpec

__all__ = [
    "Arrow",
    "Box",
    "Layout",
    "Picture",
    "Sketch",
    "draw",
    "layout",
    "sketch",
    "unrolled",
]


def draw(
    spec: GraphSpec, path: str | os.PathLike[str], dark: bool | None = None
) -> None:
    """Write the diagram of one step of ``spec`` to ``path``.

    Parts that lack something are drawn in dashed red. Arguments and errors are those of
    :meth:`Picture.save`.
    """
    Picture(sketch(spec)).save(path, dark)
