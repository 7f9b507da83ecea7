"""Random draws of the nodes of a loop: made before it, for all steps at once, or given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.draws import normal
from recursive.errors import NodeError
from recursive.layers.given import checked_draw
from recursive.layers.layer import Layer
from recursive.layers.parts import layers_of
from recursive.loop.axes import swap_time
from recursive.loop.state import all_rows
from recursive.sizes import Size
from recursive.spec.graph import DRAWN
from recursive.spec.plan import Recurrence, StepPlan


class StepDraws:
    """What :class:`Recursive` does so that a step is a function of its arguments, while its nodes draw."""

    draws = steady_draws = ()
    """A loop makes the draws of its nodes itself."""

    def _draw_names(self, train: bool) -> tuple[dict[str, tuple[str, ...]], set[str]]:
        """The random draws of each node, and those that are the same at every step; none unless training."""
        if not train:
            return {}, set()
        draws = {
            node: tuple(f"{node}.{name}" for name in layer.draws)
            for node, layer in self.nodes.items()
        }
        return draws, {
            f"{node}.{name}"
            for node, layer in self.nodes.items()
            for name in layer.steady_draws
        }

    def _draws_over_time(
        self, rows: tuple[Size, Size], given: Mapping[str, TensorVariable]
    ) -> dict[str, TensorVariable]:
        """The draws of all steps at once, ``(time, batch, ...)``; ``(batch, ...)`` where one holds for all steps."""
        draws, held = self._draw_names(True)
        names = [name for names in draws.values() for name in names]
        shapes = {
            name: (*(rows[1:] if name in held else rows), *self._draw_shape(name)[1:])
            for name in names
        }
        return {
            name: self._given_draw(name, given[name], shape, name in held)
            if name in given
            else self.sample(name, shape)
            for name, shape in shapes.items()
            if name in given or None not in shape
        }

    def _drawn_starts(self) -> dict[str, str]:
        """The draws that states start from, by state."""
        return {
            state.name: f"{state.name}.initial"
            for state in self.spec.states
            if state.initial == DRAWN
        }

    def _check_drawn_before(
        self, plan: StepPlan, drawn: Mapping[str, TensorVariable] | None
    ) -> None:
        """Raise a NodeError where a step would have to draw, while training: a step is a function of its arguments."""
        for node in plan.nodes if drawn is not None else ():
            layer = self.nodes.get(node.name)
            if layer is not None and (
                _loops_that_draw(layer)
                or any(f"{node.name}.{name}" not in drawn for name in layer.draws)
            ):
                raise NodeError.about(
                    "node",
                    node.name,
                    takes="a layer that draws what is known before the loop",
                    because="draws are made before it, and the number of inner steps is not known there",
                    got=f"a {type(layer).__name__} with random draws over inner steps",
                    do="Put the noise outside of the inner loop, or read nothing of the past in this node.",
                )

    def _given_draw(
        self, name: str, value: TensorVariable, shape: Sequence[Size], held: bool
    ) -> TensorVariable:
        """A draw that is given, batch first, as the loop takes it."""
        if held:
            return checked_draw(name, pt.as_tensor_variable(value), shape)
        value = checked_draw(
            name, pt.as_tensor_variable(value), (shape[1], shape[0], *shape[2:])
        )
        return self._directed(swap_time(value))

    def _drawn(
        self,
        item: Recurrence,
        shape: tuple[Size, Size, int],
        draws: Mapping[str, TensorVariable],
    ) -> TensorVariable:
        """A drawn start, or the one that is given in its place: ``(batch, dim)``, or ``(batch, taps, dim)``."""
        name, (lag, batch, dim) = self._drawn_starts()[item.name], shape
        if name not in draws:
            return normal(shape, np.random.SeedSequence(np.random.randint(2**31)))
        given = pt.as_tensor_variable(draws[name])
        return all_rows(
            item,
            checked_draw(
                name, given, (batch, dim) if given.ndim == 2 else (batch, lag, dim)
            ),
            batch,
            dim,
        ).astype(backend.floatX())


def _loops_that_draw(layer: Layer) -> bool:
    """Whether a loop inside ``layer`` makes draws of its own."""
    loops = (part for part in layers_of(layer) if isinstance(part, StepDraws))
    return any(
        loop._drawn_starts() or any(loop._draw_names(True)[0].values())
        for loop in loops
    )
