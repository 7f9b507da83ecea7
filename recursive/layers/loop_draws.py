"""The random draws of a loop's nodes, made before the loop.

A step is a function of its arguments, so it must not draw. The draws of all steps are
made at once, ``(time, batch, ...)``, and enter the loop as sequences named
``node.draw``. A draw that is constant over time is ``(batch, ...)`` and enters whole.
Most draws are made only while training; some, such as that of a Sample, always.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend.sizes import Size
from recursive.errors import NodeError
from recursive.layers import nodes
from recursive.layers.composite import layers_of
from recursive.layers.draws import checked_draw
from recursive.layers.layer import Layer
from recursive.loop.axes import swap_time
from recursive.spec.graph import DRAWN, GraphSpec, NodeSpec
from recursive.spec.names import split
from recursive.spec.shapes import Shape

Tensors = Mapping[str, TensorVariable]


@dataclass(frozen=True)
class LoopDraws:
    """The random draws of the nodes of a loop.

    Args:
        spec: the declaration.
        layers: the layer of each node.
        shapes: the shape of every name at one step, batch first.
        train: True while training; False leaves out the draws of training.
    """

    spec: GraphSpec
    layers: Mapping[str, Layer]
    shapes: Mapping[str, Shape]
    train: bool = True

    def by_node(self) -> dict[str, tuple[str, ...]]:
        """The draws of each node, as ``node.draw``."""
        found = {}
        for node in self.spec.nodes:
            draws = self._made_by(self.layers[node.name])
            found[node.name] = tuple(f"{node.name}.{draw}" for draw in draws)
        return found

    def _made_by(self, layer: Layer) -> tuple[str, ...]:
        """The draws that a layer makes now."""
        return layer.draws if self.train else layer.predicting_draws

    def names(self) -> list[str]:
        """The draws of all nodes."""
        return [name for names in self.by_node().values() for name in names]

    def constant_names(self) -> set[str]:
        """The draws that are constant over time."""
        found = set()
        for node in self.spec.nodes:
            layer = self.layers[node.name]
            for draw in set(layer.steady_draws).intersection(self._made_by(layer)):
                found.add(f"{node.name}.{draw}")
        return found

    def shape(self, name: str) -> Shape:
        """The shape of a draw at one step, batch first."""
        return nodes.draw_shape(name, self.spec, self.layers, self.shapes)

    def over_time(
        self, rows: tuple[Size, Size], given: Tensors, backwards: bool
    ) -> dict[str, TensorVariable]:
        """The draws of all steps in the order in which the loop runs.

        A draw of unknown shape is left out: its node draws when it runs.

        Args:
            rows: the numbers of steps and of rows.
            given: draws to use instead of random ones, batch first.
            backwards: True if the loop runs from the last step to the first.
        """
        constant = self.constant_names()
        found = {}
        for name in self.names():
            is_constant = name in constant
            # `rows` is (time, batch); a layer's shape at one step starts with the
            # batch.
            leading = rows[1:] if is_constant else rows
            shape = (*leading, *self.shape(name)[1:])
            if name in given and is_constant:
                found[name] = checked_draw(
                    name, pt.as_tensor_variable(given[name]), shape
                )
            elif name in given:
                found[name] = _checked_over_time(name, given[name], shape, backwards)
            elif None not in shape:
                node, draw = split(name)
                found[name] = self.layers[node].sample(draw, shape)
        return found

    def check_steps_draw_nothing(
        self, in_loop: Iterable[NodeSpec], drawn: Iterable[str]
    ) -> None:
        """Raise a NodeError if a node in the loop draws what is not ``drawn``."""
        # The plan may hoist a node that draws, so only nodes that stay are checked.
        for node in in_loop:
            layer = self.layers.get(node.name)
            if layer is not None and self._draws_inside(node, layer, drawn):
                raise NodeError.about(
                    "node",
                    node.name,
                    takes="a layer whose draws have shapes known before the loop",
                    because="draws are made before the loop, when the number of inner "
                    "steps is unknown",
                    got=f"a {type(layer).__name__} with random draws over inner steps",
                    do="Move the noise out of the inner loop, or read no past in this "
                    "node.",
                )

    def _draws_inside(self, node: NodeSpec, layer: Layer, drawn: Iterable[str]) -> bool:
        """True if ``node`` makes draws that were not made before the loop."""
        for draw in self._made_by(layer):
            if f"{node.name}.{draw}" not in drawn:
                return True
        return any(self._draws_over_inner_steps(part) for part in layers_of(layer))

    def _draws_over_inner_steps(self, part: Layer) -> bool:
        """True for an inner loop whose own nodes or states draw."""
        spec = getattr(part, "spec", None)
        if spec is None or not spec.loop:
            return False
        if self.train and any(state.initial == DRAWN for state in spec.states):
            return True
        return any(self._made_by(child) for child in part.children.values())


def _checked_over_time(
    name: str, given: TensorVariable, shape: tuple, backwards: bool
) -> TensorVariable:
    """A given draw ``(batch, time, ...)``, checked, as ``(time, batch, ...)``."""
    steps, batch, *dims = shape
    value = pt.as_tensor_variable(given)
    value = swap_time(checked_draw(name, value, (batch, steps, *dims)))
    return value[::-1] if backwards else value
