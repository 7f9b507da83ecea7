"""The step of a GraphSpec as a picture: what it is given, what it computes, and what it remembers.

``layout`` decides where everything lies, as plain data; ``draw`` writes it as PNG or SVG, with matplotlib.
"""

from __future__ import annotations

from recursive.drawing.layout import Arrow, Box, Layout, layout
from recursive.drawing.render import draw

__all__ = ["Arrow", "Box", "Layout", "draw", "layout"]
