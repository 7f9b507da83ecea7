"""A picture of a network: shown by a notebook, written to a file, or taken as text."""

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
    """What :meth:`recursive.Recursive.draw` gives. A notebook shows it; ``print`` tells it as Mermaid text.

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
        """Where everything lies, in inches."""
        return layout(self.drawn)

    @property
    def svg(self) -> str:
        """The picture as SVG: dark on white, or light on dark where the reader's colours are dark.

        Raises:
            MissingPackageError: without matplotlib.
        """
        return as_svg(self.layout).decode()

    @property
    def dot(self) -> str:
        """The picture in the language of Graphviz, which then lays it out its own way."""
        return as_dot(self.drawn)

    @property
    def mermaid(self) -> str:
        """The picture as a Mermaid flowchart."""
        return as_mermaid(self.drawn)

    def save(self, path: str | os.PathLike[str], dark: bool | None = None) -> None:
        """Write it: .svg, .png, .dot or .mmd (Mermaid), as the ending says; whole or not at all.

        Args:
            path: where to.
            dark: light on dark, or dark on white; None leaves that to the reader of an SVG, and a PNG is white.

        Raises:
            ConfigError: for another ending, or a place where no file can be.
            MissingPackageError: for .svg or .png without matplotlib.
        """
        suffix = Path(path).suffix.lower()
        ways = {
            ".svg": lambda: as_svg(self.layout, dark),
            ".png": lambda: as_png(self.layout, bool(dark)),
            ".dot": lambda: f"{self.dot}\n".encode(),
            ".mmd": lambda: f"{self.mermaid}\n".encode(),
        }
        if suffix not in ways:
            raise ConfigError.about(
                "drawing",
                str(path),
                takes=f"a path that ends in {ENDINGS}",
                because="the ending says the format",
                got=repr(suffix),
                do="Call it 'step.svg', for example.",
            )
        written = ways[suffix]()
        write_atomically(path, lambda place: Path(place).write_bytes(written))

    def _repr_svg_(self) -> str:
        return self.svg

    def __str__(self) -> str:
        return self.mermaid
