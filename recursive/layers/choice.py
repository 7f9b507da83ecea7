"""Nodes that choose between two values: ``if``, for each value or for the whole batch.

elanmart asked in keras issue 620 (2015) how ``for`` and ``if`` would be handled; the loop is the container, these are
the ``if``.
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
    """The base of layers that choose: ports ``condition``, ``then`` and ``otherwise``."""

    masks = PASS
    ports = ("condition", "then", "otherwise")

    def check_condition(self, condition: TensorVariable) -> None:
        """Raise a DtypeError unless the condition is boolean."""
        if condition.dtype != "bool":
            raise DtypeError.about(
                "port",
                "condition",
                takes="true or false",
                because="one side is chosen by it",
                got=condition.dtype,
                do="Compare: Lambda(lambda x: x > 0), for example.",
            )

    def get_output_shape_for(self, input_shape: Mapping[str, Shape]) -> Shape:
        then, otherwise = input_shape["then"], input_shape["otherwise"]
        shape = common_shape([then, otherwise])
        if shape is None:
            raise ShapeError.about(
                "layer",
                type(self).__name__,
                takes="two sides of one shape",
                because="either may be its value",
                got=f"then {then}, otherwise {otherwise}",
                do="Bring them to one dim with a Dense first.",
            )
        return shape


class Switch(Choice):
    """``then`` where the condition holds and ``otherwise`` where it does not; both sides are computed.

    The condition is ``(batch, dim)``, or ``(batch, 1)`` to choose whole rows.

    >>> import numpy as np
    >>> sides = {"condition": np.array([[True], [False]]), "then": np.ones((2, 1)), "otherwise": np.zeros((2, 1))}
    >>> Switch()(sides).eval().ravel().tolist()
    [1.0, 0.0]
    """

    rowwise = True

    def call(
        self, x: Mapping[str, TensorVariable], train: bool = False
    ) -> TensorVariable:
        self.check_condition(x["condition"])
        return pt.switch(x["condition"], x["then"], x["otherwise"])

    def get_output_shape_for(self, input_shape: Mapping[str, Shape]) -> Shape:
        shape, condition = (
            super().get_output_shape_for(input_shape),
            input_shape["condition"],
        )
        fits = len(condition) == len(shape) and condition[-1] in (None, 1, shape[-1])
        if not fits and shape[-1] is not None:
            raise ShapeError.about(
                "port",
                "condition",
                takes=f"(batch, 1) or (batch, {shape[-1]})",
                because="it chooses rows or single values",
                got=condition,
                do="Keep the axis of the dims: Lambda(lambda x: x[:, :1] > 0), for example.",
            )
        return shape


class IfElse(Choice):
    """``then`` if the condition holds, else ``otherwise``, for the whole batch; the other side need not be computed.

    The condition is one truth value, without axes.

    >>> import numpy as np
    >>> IfElse()({"condition": np.array(True), "then": np.ones((2, 1)), "otherwise": np.zeros((2, 1))}).eval().sum()
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
                takes="one truth value for the whole batch",
                because="one side is computed, for all rows",
                got=input_shape["condition"],
                do="Say Lambda(lambda x: (x > 0).all()), or Switch to choose row by row.",
            )
        return super().get_output_shape_for(input_shape)
