"""Nodes that choose between two values, for each value or for the whole batch.

elanmart asked in keras issue 620 (2015) how ``for`` and ``if`` would be handled. The
container is the ``for``; these layers are the ``if``.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.errors import DtypeError, ShapeError
from recursive.layers.layer import Layer
from recursive.layers.masks import PASS
from recursive.spec.shapes import Shape, common_shape


class Choice(Layer):
    """The base class: ports ``condition``, ``then`` and ``otherwise``."""

    masks = PASS
    ports = ("condition", "then", "otherwise")

    def check_condition(self, condition: TensorVariable) -> None:
        """Raise a DtypeError unless the condition is boolean."""
        if condition.dtype != "bool":
            raise DtypeError.about(
                "port",
                "condition",
                takes="booleans",
                got=condition.dtype,
                do="Compare values, as in Lambda(lambda x: x > 0).",
            )

    def get_output_shape_for(self, input_shape: Mapping[str, Shape]) -> Shape:
        then = input_shape["then"]
        otherwise = input_shape["otherwise"]
        shape = common_shape([then, otherwise])
        if shape is None:
            raise ShapeError.about(
                "layer",
                type(self).__name__,
                takes="two sides of one shape",
                got=f"then {then}, otherwise {otherwise}",
                do="Bring them to one dim with a Dense first.",
            )
        return shape


class Switch(Choice):
    """A choice for each value: ``then`` where the condition holds, else ``otherwise``.

    The condition is ``(batch, dim)``, or ``(batch, 1)`` to choose whole rows. Both
    sides are computed.

    >>> import numpy as np
    >>> sides = {"then": np.ones((2, 1)), "otherwise": np.zeros((2, 1))}
    >>> condition = np.array([[True], [False]])
    >>> Switch()({"condition": condition, **sides}).eval().ravel().tolist()
    [1.0, 0.0]
    """

    rowwise = True

    def call(
        self, x: Mapping[str, TensorVariable], train: bool = False
    ) -> TensorVariable:
        self.check_condition(x["condition"])
        return pt.switch(x["condition"], x["then"], x["otherwise"])

    def get_output_shape_for(self, input_shape: Mapping[str, Shape]) -> Shape:
        shape = super().get_output_shape_for(input_shape)
        condition = input_shape["condition"]
        # (batch, 1) broadcasts along the last axis; (batch, dim) needs no broadcast.
        fits = len(condition) == len(shape) and condition[-1] in (None, 1, shape[-1])
        if not fits and shape[-1] is not None:
            raise ShapeError.about(
                "port",
                "condition",
                takes=f"(batch, 1) or (batch, {shape[-1]})",
                got=condition,
                do="Keep the last axis, as in Lambda(lambda x: x[:, :1] > 0).",
            )
        return shape


class IfElse(Choice):
    """A choice for the batch: ``then`` if the condition holds, else ``otherwise``.

    The condition is one boolean, without axes. The other side need not be computed.

    >>> import numpy as np
    >>> sides = {"then": np.ones((2, 1)), "otherwise": np.zeros((2, 1))}
    >>> IfElse()({"condition": np.array(True), **sides}).eval().sum()
    np.float64(2.0)
    """

    def call(
        self, x: Mapping[str, TensorVariable], train: bool = False
    ) -> TensorVariable:
        self.check_condition(x["condition"])
        return backend.if_else(x["condition"], x["then"], x["otherwise"])

    def get_output_shape_for(self, input_shape: Mapping[str, Shape]) -> Shape:
        if input_shape["condition"] != ():
            raise ShapeError.about(
                "port",
                "condition",
                takes="one boolean for the whole batch",
                got=input_shape["condition"],
                do="Use Lambda(lambda x: (x > 0).all()), or a Switch to choose by row.",
            )
        return super().get_output_shape_for(input_shape)
