"""How much the end hears of each step: gradient norms over time, to see them vanish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytensor
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.layers.graph import Graph
from recursive.layers.layer import Layer
from recursive.layers.loop_run import LoopRun
from recursive.locked import locked
from recursive.loop.call import Call, Value, Values
from recursive.loop.until import check_until_gradient
from recursive.shown.trace import Series, as_tensors
from recursive.spec.graph import MAIN, value_name
from recursive.spec.shapes import Shape, Shapes


class Perturbed(Layer):
    """A layer with zeros added to its outputs: they are what the gradient is asked for.

    The zeros enter the loop as random draws do, one for each output.
    """

    def __init__(self, layer: Layer):
        super().__init__()
        self.draws = tuple(f"nudge_{name}" for name in layer.output_names)
        self._layer = layer
        self.ports, self.output_names = layer.ports, layer.output_names
        self.input_dim = layer.input_dim

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs of the layer outside of training, each with its zeros added."""
        outputs = self._layer.apply(inputs, call.inside("layer").training(False))
        return {
            name: value.with_tensor(value.tensor + call.draws[draw])
            for draw, (name, value) in zip(self.draws, outputs.items(), strict=True)
        }

    def get_output_shape_for(self, input_shape: Shapes) -> Shapes:
        return self._layer.get_output_shape_for(input_shape)

    def draw_shape(self, name: str, input_shape: Shapes) -> Shape:
        found = self.get_output_shape_for(input_shape)
        if isinstance(found, Mapping):
            return found[name.removeprefix("nudge_")]
        return found


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
    rnn.complete({name: value.type.shape for name, value in inputs.items()})
    run = _perturbed(rnn.loop_run(return_sequences=False, return_final_states=False))
    nudges = _nudges(run, rnn, inputs)
    call = Call(train=True, draws={**nudges, **_zero_starts(run, rnn, inputs)})
    outputs = run.execute(rnn.as_inputs(inputs), call).outputs
    last = outputs[rnn.spec.outputs[0].name].tensor.sum()
    states = {item.name: item.node for item in rnn.declared_plan.recurrences}
    asked = [nudges[_nudge_of(run, value)] for value in states.values()]
    gradients = pytensor.grad(last, asked, disconnected_inputs="ignore")
    norms = [pt.sqrt((gradient**2).sum(axis=-1)) for gradient in gradients]
    if rnn.go_backwards:
        norms = [norm[:, ::-1] for norm in norms]
    given = {inputs[name]: array for name, array in arrays.items()}
    values = backend.evaluate(norms, given)
    return Series(dict(zip(states, values, strict=True)))


def _perturbed(run: LoopRun) -> LoopRun:
    """The same loop as declared, nothing moved out of it, with zeros added to every node's outputs."""
    layers = {name: Perturbed(layer) for name, layer in run.layers.items()}
    return replace(run, layers=layers, moves=False)


def _nudges(
    run: LoopRun, rnn: Graph, inputs: Mapping[str, TensorVariable]
) -> dict[str, TensorVariable]:
    """Zeros for each output of each node, ``(batch, time, ...)``."""
    length, batch = _rows(run, rnn, inputs)
    return {
        name: pt.zeros(
            (batch, length, *run.draws.shape(name)[1:]), dtype=backend.floatX()
        )
        for name in run.draws.names()
    }


def _zero_starts(
    run: LoopRun, rnn: Graph, inputs: Mapping[str, TensorVariable]
) -> dict[str, TensorVariable]:
    """Zeros for the starts that training draws at random."""
    _, batch = _rows(run, rnn, inputs)
    return {
        draw: pt.zeros((batch, rnn.shapes[state][-1]), dtype=backend.floatX())
        for state, draw in run.drawn_starts().items()
    }


def _rows(run: LoopRun, rnn: Graph, inputs: Mapping[str, TensorVariable]) -> tuple:
    sequences = {name: inputs[name].swapaxes(0, 1) for name in rnn.sequence_names}
    return run.rows(sequences, inputs)


def _nudge_of(run: LoopRun, value: str) -> str:
    """The draw that is added to ``value``: that of an output of a node."""
    for node in run.spec.nodes:
        for output in node.outputs or (MAIN,):
            if value_name(node.name, output) == value:
                names = run.layers[node.name].output_names
                own = names[0] if len(names) == 1 else output
                return f"{node.name}.nudge_{own}"
    raise KeyError(value)
