"""A diagram of a network, for notebooks, for files, or as text."""

from __future__ import annotations

import os
from pathlib import Path

from recursive.drawing.layout import Layout, layout
from recursive.drawing.render import as_png, as_svg
from recursive.drawing.sketch import Sketch
from recursive.drawing.text import as_dot, as_mermaid
from recursive.errors import ConfigError
from recursive.utils.files import write_atomically

ENDINGS = ".svg, .png, .dot or .mmd"


class Picture:
    """The diagram that :meth:`recursive.Recursive.draw` returns.

    A notebook shows it. ``print`` writes it as Mermaid text.

    >>> from recursive.drawing import sketch
    >>> from recursive.spec.graph import GraphSpec, InputSpec
    >>> print(Picture(sketch(GraphSpec(inputs=(InputSpec("x", dim=4),)))))
    flowchart LR
        p0["x<br/>input, dim 4"]
        p1["?<br/>output"]
        subgraph z2["one step of scan"]
        end
        style p1 stroke:red,stroke-dasharray:4
    """

    def __init__(self, drawn: Sketch):
        self.drawn = drawn

    @property
    def layout(self) -> Layout:
        """The place of everything, in inches."""
        return layout(self.drawn)

    @property
    def svg(self) -> str:
        """The diagram as SVG: light on dark if the reader prefers dark colours.

        Raises:
            MissingPackageError: if matplotlib is not installed.
        """
        return as_svg(self.layout).decode()

    @property
    def dot(self) -> str:
        """The diagram in the language of Graphviz, which computes its own layout."""
        return as_dot(self.drawn)

    @property
    def mermaid(self) -> str:
        """The diagram as a Mermaid flowchart."""
        return as_mermaid(self.drawn)

    def save(self, path: str | os.PathLike[str], dark: bool | None = None) -> None:
        """Write the diagram as .svg, .png, .dot or .mmd (Mermaid), completely or not.

        Args:
            path: the file; its ending decides the format.
            dark: True for light on dark, False for dark on white. With None, an SVG
                follows the reader's preference and a PNG is white.

        Raises:
            ConfigError: for another ending, or a path that cannot be written.
            MissingPackageError: for .svg or .png if matplotlib is not installed.
        """
        suffix = Path(path).suffix.lower()
        # Functions, because only the one that is needed may be called: SVG and PNG need
        # matplotlib.
        writers = {
            ".svg": lambda: as_svg(self.layout, dark),
            ".png": lambda: as_png(self.layout, bool(dark)),
            ".dot": lambda: f"{self.dot}\n".encode(),
            ".mmd": lambda: f"{self.mermaid}\n".encode(),
        }
        if suffix not in writers:
            raise ConfigError.about(
                "drawing",
                str(path),
                takes=f"a path that ends in {ENDINGS}",
                got=repr(suffix),
                do="Call it 'step.svg', for example.",
            )
        content = writers[suffix]()
        write_atomically(path, lambda place: Path(place).write_bytes(content))

    def _repr_svg_(self) -> str:
        return self.svg

    def __str__(self) -> str:
        return self.mermaid
