"""The step of a GraphSpec as a picture: what it is given, what it computes, and what it remembers.

``sketch`` tells what there is to see, or ``unrolled`` for several steps; ``layout`` decides where it lies, as plain
data; a ``Picture`` shows it, and writes it as SVG, PNG, dot or Mermaid. ``draw`` does all of that.
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
    """Write the picture of one step of ``spec`` to ``path``; what is still missing in it is drawn in dashed red.

    Args and errors are those of :meth:`Picture.save`.
    """
    Picture(sketch(spec)).save(path, dark)
