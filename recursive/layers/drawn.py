"""A container draws itself."""

from __future__ import annotations

import os

from recursive.drawing import Picture, sketch
from recursive.drawing import unrolled as steps_of
from recursive.spec.plan import StepPlan


class Drawn:
    """``draw``, for whatever has a ``spec``."""

    def draw(
        self, path: str | os.PathLike[str] | None = None, unrolled: int | None = None
    ) -> Picture:
        """A picture of the graph. Of a loop: its step, states as feedback with their taps, what runs outside beside it.

        A notebook shows what is returned; it has ``svg``, ``dot`` and ``mermaid``. What is not complete is drawn as far
        as it goes, and what is missing in it is marked.

        Args:
            path: a file to write as well: .svg, .png, .dot or .mmd (Mermaid).
            unrolled: so many steps, one after the other, with the states going from step to step.

        Raises:
            ConfigError: for another ending, fewer steps than one, or steps of a graph without a loop.
            MissingPackageError: for .svg or .png without matplotlib.

        >>> from recursive.layers.cells import RecurrentDense
        >>> from recursive.models import Recurrent
        >>> rnn = Recurrent()
        >>> rnn.add_input("x", dim=4)
        >>> rnn.add_node(RecurrentDense(6), "h", input="x")
        >>> links = rnn.draw(unrolled=2).drawn.links
        >>> [f"{link.source.name} to {link.target.name}" for link in links if link.kind == "carried"]
        ['h[0] to h[1]', 'h[1] to h[2]']
        """
        picture = Picture(
            sketch(self.spec, self._drawn_plan())
            if unrolled is None
            else steps_of(self.spec, unrolled)
        )
        if path is not None:
            picture.save(path)
        return picture

    def _drawn_plan(self) -> StepPlan | None:
        """What says which nodes run outside the loop, where that is known."""
        return None
