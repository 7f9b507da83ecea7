"""Gradient norms over time, which show how the gradient vanishes or explodes.

The gradient with respect to a state at step t is the gradient with respect to zeros
that are added to the state at step t. So every layer of the loop is wrapped in one that
adds zeros to its outputs, and the zeros of all steps enter the loop as random draws do:
one tensor ``(batch, time, dim)`` for each output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from recursive.spec.names import split
from recursive.spec.shapes import Shape, Shapes

ZEROS = "zeros_"
"""The prefix of the draws that are added to the outputs of a layer."""

LAYER = "layer"
"""The name of the wrapped layer, in the names of its own draws."""


class Perturbed(Layer):
    """A layer with a draw added to each of its outputs, but for integers."""

    def __init__(self, layer: Layer):
        super().__init__()
        self._layer = layer
        self.ports = layer.ports
        self.output_names = layer.output_names
        self.input_dim = layer.input_dim
        self._zeros = tuple(ZEROS + name for name in layer.output_names)
        self._own = tuple(f"{LAYER}.{name}" for name in layer.predicting_draws)
        self.draws = (*self._zeros, *self._own)

    def compute(self, inputs: Values, call: Call) -> dict[str, Value]:
        """The outputs of the layer outside of training, each with its draw added."""
        # The call is one of training, as only then a loop takes draws.
        outputs = self._layer.apply(inputs, call.inside(LAYER).training(False))
        perturbed = {}
        for draw, (name, value) in zip(self._zeros, outputs.items(), strict=True):
            # Before the loop, where states start, nothing is perturbed. Words and other
            # integers have no gradient.
            is_float = value.tensor.dtype.startswith("float")
            if is_float and draw in call.draws:
                value = value.with_tensor(value.tensor + call.draws[draw])
            perturbed[name] = value
        return perturbed

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        return self._layer.sample(name.removeprefix(f"{LAYER}."), size)

    def get_output_shape_for(self, input_shape: Shapes) -> Shapes:
        return self._layer.get_output_shape_for(input_shape)

    def draw_shape(self, name: str, input_shape: Shapes) -> Shape:
        if name in self._own:
            return self._layer.draw_shape(name.removeprefix(f"{LAYER}."), input_shape)
        shape = self.get_output_shape_for(input_shape)
        if isinstance(shape, Mapping):
            return shape[name.removeprefix(ZEROS)]
        return shape


@locked
def gradient_norms(rnn: Graph, x: object) -> Series:
    """The norm of the gradient with respect to each state, ``(batch, time)``.

    It is the gradient of the sum of the last output: the first declared output at the
    last step, summed over rows and dims. The state of a step is its value after that
    step. Steps are in the order of the loop.

    Raises:
        RecursiveError: a subclass of it, for a container that is not complete, data
            that does not match it, or a loop that may stop early if PyTensor's gradient
            of such a loop is wrong.
    """
    if rnn.spec.until is not None:
        check_until_gradient()
    arrays, inputs = as_tensors(rnn, x)
    rnn.complete({name: value.type.shape for name, value in inputs.items()})
    run = _perturbed(
        rnn.loop_run(given=inputs, return_sequences=False, return_final_states=False)
    )
    zeros, starts = _zeros(run, rnn, inputs)
    call = Call(train=True, draws={**zeros, **starts})
    outputs = run.execute(rnn.as_inputs(inputs), call).outputs
    last = outputs[rnn.spec.outputs[0].name].tensor.sum()

    states = {}
    for item in rnn.declared_plan.recurrences:
        if item.dtype == "float":
            states[item.name] = item.node
    wrt = [zeros[_draw_of(run, value)] for value in states.values()]
    norms = []
    for gradient in pytensor.grad(last, wrt, disconnected_inputs="ignore"):
        norm = pt.sqrt((gradient**2).sum(axis=-1))
        # Draws are in the order of the data: reversed, they are in that of the loop.
        norms.append(norm[:, ::-1] if rnn.go_backwards else norm)
    given = {inputs[name]: array for name, array in arrays.items()}
    values = backend.evaluate(norms, given)
    return Series(dict(zip(states, values, strict=True)))


def _perturbed(run: LoopRun) -> LoopRun:
    """The loop with every layer perturbed, and with every node in the loop."""
    layers = {name: Perturbed(layer) for name, layer in run.layers.items()}
    return replace(run, layers=layers, moves=False)


def _zeros(
    run: LoopRun, rnn: Graph, inputs: Mapping[str, TensorVariable]
) -> tuple[dict[str, TensorVariable], dict[str, TensorVariable]]:
    """Zeros for every output, ``(batch, time, dim)``, and for drawn starts."""
    sequences = {name: inputs[name].swapaxes(0, 1) for name in rnn.sequence_names}
    length, batch = run.sizes(sequences, inputs)
    floats = backend.floatX()
    zeros = {}
    draws = run.draws(train=True)
    for name in draws.names():
        # The draws of a layer itself, such as those of a Sample, are made as always.
        if not split(name)[1].startswith(ZEROS):
            continue
        shape = (batch, length, *draws.shape(name)[1:])
        zeros[name] = pt.zeros(shape, dtype=floats)
    # Training draws these at random; a gradient is asked for outside of training.
    starts = {}
    for state, draw in run.drawn_starts().items():
        starts[draw] = pt.zeros((batch, rnn.shapes[state][-1]), dtype=floats)
    return zeros, starts


def _draw_of(run: LoopRun, value: str) -> str:
    """The draw that is added to ``value``, an output of a node."""
    for node in run.spec.nodes:
        for output in node.outputs or (MAIN,):
            if value_name(node.name, output) == value:
                names = run.layers[node.name].output_names
                # The node may rename the only output of its layer.
                own = names[0] if len(names) == 1 else output
                return f"{node.name}.{ZEROS}{own}"
    raise KeyError(value)
