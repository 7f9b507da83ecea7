"""How much the end hears of each step: gradient norms over time, to see them vanish."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytensor
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.layers.graph import Graph
from recursive.layers.layer import Layer, Tensors
from recursive.locked import locked
from recursive.loop.until import check_until_gradient
from recursive.shown.trace import Series, as_tensors
from recursive.spec.plan import declared


class Nudged:
    """A layer whose values that feed states have a nudge of zeros added: it is what the gradient is asked for."""

    def __init__(self, layer: Layer, places: dict[int, str]):
        self.layer, self.places = layer, places
        self.draws = tuple(places.values())

    def __call__(
        self, x: Tensors, train: bool = False, **nudges: TensorVariable
    ) -> Tensors:
        found = self.layer(x, train=train)
        values = list(found.values()) if isinstance(found, Mapping) else [found]
        for place, name in self.places.items():
            values[place] = values[place] + nudges[name]
        return (
            dict(zip(found, values, strict=True))
            if isinstance(found, Mapping)
            else values[0]
        )


@locked
def gradient_norms(rnn: Graph, x: object) -> Series:
    """By state, ``(batch, time)``: the norm of the gradient of the sum of the last output with respect to it.

    The state of a step is what the step leaves; steps are in the order in which the loop ran. The last output is that
    of the last step, summed over rows and values; where there are several outputs, of the first declared.

    Raises:
        RecursiveError: a child of it, for a container that is not complete, data that does not match it, or a loop
            that may stop early where PyTensor's gradient of it is wrong.
    """
    if rnn.spec.until is not None:
        check_until_gradient()
    arrays, inputs = as_tensors(rnn, x)
    inputs = rnn._checked(inputs)
    remembered = {item.name: item.node for item in rnn.declared_plan.recurrences}
    places = _places(rnn, set(remembered.values()))
    nudges = _nudges(rnn, inputs, places)
    found = _nudged(rnn, places)._unrolled(
        rnn.spec.replace(return_sequences=False),
        {**inputs, **nudges},
        False,
        None,
        {},
        {},
    )[1]
    last = found[rnn.spec.outputs[0].name].sum()
    gradients = pytensor.grad(last, list(nudges.values()), disconnected_inputs="ignore")
    norms = [pt.sqrt((gradient**2).sum(axis=-1)).T for gradient in gradients]
    values = backend.evaluate(
        norms, {inputs[name]: array for name, array in arrays.items()}
    )
    by_value = dict(
        zip((value for held in places.values() for value in held), values, strict=True)
    )
    return Series({name: by_value[value] for name, value in remembered.items()})


Places = dict[str, dict[str, int]]
"""The values that feed states, by node, and which of its values each is."""


def _places(rnn: Graph, remembered: set[str]) -> Places:
    places = {
        node.name: {
            value: place
            for place, value in enumerate(node.values)
            if value in remembered
        }
        for node in rnn.spec.nodes
    }
    return {node: held for node, held in places.items() if held}


def _draw(place: int) -> str:
    return f"nudge_{place}"


def _nudges(
    rnn: Graph, inputs: Mapping[str, TensorVariable], places: Places
) -> dict[str, TensorVariable]:
    """Zeros, ``(time, batch, dim)``, for each value that feeds a state."""
    length, batch = rnn._rows(
        {name: inputs[name].swapaxes(0, 1) for name in rnn.sequence_names}, inputs
    )
    return {
        f"{node}.{_draw(place)}": pt.zeros(
            (length, batch, rnn.shapes[value][-1]), dtype=backend.floatX()
        )
        for node, held in places.items()
        for value, place in held.items()
    }


def _nudged(rnn: Graph, places: Places) -> Graph:
    """A view of ``rnn`` that runs as declared, with a nudge in each value that feeds a state."""
    layers = {
        node: Nudged(rnn.nodes[node], {place: _draw(place) for place in held.values()})
        for node, held in places.items()
    }
    draws = {
        node: tuple(f"{node}.{name}" for name in layer.draws)
        for node, layer in layers.items()
    }
    view = copy.copy(rnn)
    view._layers = lambda: {**rnn._layers(), **layers}
    view._plan = lambda spec, train, masked=False: declared(
        spec, rnn.param_names, draws
    )
    return view
