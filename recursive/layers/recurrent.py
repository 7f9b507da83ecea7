"""Recurrent layers with their scan written by hand: what the container is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import activations, backend, initializations
from recursive.errors import ShapeError
from recursive.layers.core import Layer, check_dim, function_config, linear_map
from recursive.spec.shapes import Shape


class RecurrentLayer(Layer):
    """The base of the recurrent layers, which Keras 0.1.3 called ``Recurrent``.

    ``(batch, time, input_dim)`` to ``(batch, output_dim)``, the last step, or with ``return_sequences`` to
    ``(batch, time, output_dim)``. ``truncate_gradient=k`` runs the backward loop over the last k steps of the whole
    sequence.
    """

    input_ndim = 3
    rowwise = True

    def __init__(self, input_dim: int, output_dim: int, truncate_gradient: int, return_sequences: bool,
                 name: str | None, seed: int | None):
        super().__init__(name, seed)
        kind = type(self).__name__
        self.input_dim = check_dim(kind, "input_dim", input_dim)
        self.output_dim = check_dim(kind, "output_dim", output_dim)
        self.truncate_gradient = truncate_gradient
        self.return_sequences = return_sequences

    def get_output_shape_for(self, input_shape: Shape) -> Shape:
        return (input_shape[0], input_shape[1], self.output_dim) if self.return_sequences \
            else (input_shape[0], self.output_dim)

    def in_time(self, states: TensorVariable) -> TensorVariable:
        """``(time, batch, dim)`` as the layer returns it: the last step, or batch first."""
        return states.dimshuffle(1, 0, 2) if self.return_sequences else states[-1]


class SimpleRNN(RecurrentLayer):
    """``h[t] = activation(x[t] @ W + b + h[t-1] @ U)``, ``h[-1] = 0``.

    Source: ``keras.layers.recurrent.SimpleRNN`` of Keras 0.1, whose default activation is a sigmoid.

    >>> SimpleRNN(4, 6)(np.ones((3, 5, 4))).eval().shape
    (3, 6)
    """

    def __init__(self, input_dim: int, output_dim: int, init: str = "glorot_uniform", inner_init: str = "orthogonal",
                 activation: str = "sigmoid", weights: Sequence[np.ndarray] | None = None,
                 truncate_gradient: int = -1, return_sequences: bool = False, name: str | None = None,
                 seed: int | None = None):
        super().__init__(input_dim, output_dim, truncate_gradient, return_sequences, name, seed)
        self.init = initializations.get(init)
        self.inner_init = initializations.get(inner_init)
        self.activation = activations.get(activation)
        rng = self.rng
        self.W = self.init((self.input_dim, self.output_dim), rng=rng)
        self.U = self.inner_init((self.output_dim, self.output_dim), rng=rng)
        self.b = initializations.zero((self.output_dim,))
        self.params = [self.W, self.U, self.b]
        if weights is not None:
            self.set_weights(weights)

    def call(self, x: TensorVariable, train: bool = False) -> TensorVariable:
        if x.ndim != 3:
            raise ShapeError.about("layer", "SimpleRNN", takes="(batch, time, dim)", because="it runs over time",
                                   got=f"{x.ndim} axes", do="Say ndim=3, or 4 for a loop in a loop.")
        projected = linear_map(x.dimshuffle(1, 0, 2), self.W) + self.b
        start = pt.zeros((backend.size(x, 0), self.output_dim), dtype=backend.floatX())
        length = backend.common_length({"input": backend.size(x, 1)})
        [states] = backend.scan(self._step, [projected], [start], [self.U], length, self.truncate_gradient,
                                name="SimpleRNN")
        return self.in_time(states)

    def _step(self, x_t: TensorVariable, h_tm1: TensorVariable, U: TensorVariable) -> list[TensorVariable]:
        return [pt.specify_shape(self.activation(x_t + h_tm1.dot(U)), (None, self.output_dim))]

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "input_dim": self.input_dim, "output_dim": self.output_dim,
                "init": function_config(self.init, initializations.INITIALIZATIONS),
                "inner_init": function_config(self.inner_init, initializations.INITIALIZATIONS),
                "activation": function_config(self.activation, activations.ACTIVATIONS),
                "truncate_gradient": self.truncate_gradient, "return_sequences": self.return_sequences,
                "seed": self.seed}
