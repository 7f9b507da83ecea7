"""A weighted average of everything that was seen so far, one step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.errors import ShapeError
from recursive.layers.layer import Layer
from recursive.layers.masks import PASS
from recursive.spec.shapes import Shape, common_shape


class RunningAverage(Layer):
    """The average of all values up to this step, weighted by the exp of their scores.

    ::

        y[t] = sum over k <= t of exp(score[k]) * value[k]
               / sum over k <= t of exp(score[k])

    It is attention over the past that needs no list of it: each element has a total and
    a weight, which grow from step to step. Both are kept relative to the highest score
    so far, so that no exp overflows.

    The ports are ``value`` and ``score``, ``(batch, dim)``, and three for the states of
    the step before: ``prev_total``, ``prev_weight`` and ``prev_highest``. In a
    recurrent container they may be left open; they then read the node's own outputs
    ``total``, ``weight`` and ``highest``. All zeros stand for no step yet.

    Raises:
        ShapeError: for ports of different dims.

    Source: Ostmeyer and Cowell, "Machine Learning on Sequential Data Using a Recurrent
    Weighted Average", 2017.

    >>> from recursive.models import Recurrent
    >>> import numpy as np
    >>> rnn = Recurrent(return_sequences=True)
    >>> rnn.add_input("x", dim=1)
    >>> rnn.add_input("score", dim=1)
    >>> rnn.add_node(RunningAverage(), "y", input={"value": "x", "score": "score"})
    >>> x = np.array([[[1.0], [2.0], [6.0]]])
    >>> rnn({"x": x, "score": np.zeros((1, 3, 1))}).eval().ravel().tolist()
    [1.0, 1.5, 3.0]
    """

    masks = PASS
    rowwise = True
    ports = ("value", "score", "prev_total", "prev_weight", "prev_highest")
    output_names = ("output", "total", "weight", "highest")
    own_past: Mapping[str, str] = MappingProxyType(
        {"prev_total": "total", "prev_weight": "weight", "prev_highest": "highest"}
    )

    def call(
        self, x: Mapping[str, TensorVariable], train: bool = False
    ) -> dict[str, TensorVariable]:
        score, weight, highest = x["score"], x["prev_weight"], x["prev_highest"]
        is_first = pt.eq(weight, 0)
        new_highest = pt.switch(is_first | (score > highest), score, highest)
        # Before the first step there is nothing to keep, and `highest` means nothing.
        kept = pt.exp(pt.switch(is_first, 0, highest - new_highest))
        added = pt.exp(score - new_highest)
        new_total = kept * x["prev_total"] + added * x["value"]
        new_weight = kept * weight + added
        return {
            "output": new_total / new_weight,
            "total": new_total,
            "weight": new_weight,
            "highest": new_highest,
        }

    def get_output_shape_for(
        self, input_shape: Mapping[str, Shape]
    ) -> dict[str, Shape]:
        shape = common_shape(input_shape.values())
        if shape is None:
            raise ShapeError.about(
                "layer",
                "RunningAverage",
                takes="values and scores of one shape",
                got=", ".join(f"{port} {shape}" for port, shape in input_shape.items()),
                do="Bring them to one dim with a Dense first.",
            )
        return dict.fromkeys(self.output_names, shape)
