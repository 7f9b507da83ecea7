"""Teacher forcing: a decoder reads the truth while training, else its own output.

A decoder that reads its own wrong output while it learns is far from what it should
read. Teacher forcing gives it the true value of the previous step instead; but then it
never sees its own errors before it has to predict. *Scheduled sampling* is in between:
each row of each step reads the truth with some probability, which falls in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive.backend import shared
from recursive.backend.sizes import size
from recursive.draws import uniform
from recursive.errors import ConfigError, ShapeError
from recursive.layers.layer import Layer
from recursive.layers.masks import PASS
from recursive.layers.noise import seeds_of
from recursive.spec.names import check_name
from recursive.spec.shapes import Shape, common_shape


class Teacher(Layer):
    """The truth while training, the network's own prediction otherwise.

    The ports are ``truth`` and ``prediction``, both ``(batch, dim)``, or both
    ``(batch,)``, the numbers of words. With a ``share``
    below 1, each row reads the truth with this probability at each step, and its
    prediction otherwise. ``chance``, uniform in [0, 1) and ``(batch, 1)``, is drawn for
    all steps before a loop; a row reads the truth where it is below the share. Outside
    a loop both ports may be ``(batch, time, dim)``, and ``chance`` is then
    ``(batch, time, 1)``.

    Args:
        share: the probability of the truth while training, from 0 to 1. It can be
            assigned at any time, ``teacher.share = 0.5``, for example by
            :class:`~recursive.callbacks.ShareScheduler`. A name makes it a third port
            of this name, ``(batch, 1)``, which a context can feed.
        seed: the seed of the draws.

    Raises:
        ConfigError: unless 0 <= share <= 1.
        ShapeError: for ports of different dims.

    Source: Williams and Zipser, 1989; with a share, Bengio et al., 2015.

    >>> values = {"truth": np.array([[1.0]]), "prediction": np.array([[2.0]])}
    >>> teacher = Teacher()
    >>> teacher(values, train=True).eval(), teacher(values).eval()
    (array([[1.]]), array([[2.]]))
    """

    masks = PASS
    rowwise = True
    draws = ("chance",)
    training_ports = ("truth",)
    _trainable = False

    def __init__(
        self,
        share: float | str = 1.0,
        name: str | None = None,
        seed: int | None = None,
    ):
        super().__init__(name, seed)
        self.seeds = seeds_of(seed)
        self.ports = ("truth", "prediction")
        self.share_port: str | None = None
        if isinstance(share, str):
            check_name("port", share)
            self.share_port = share
            self.ports = ("truth", "prediction", share)
        else:
            # A parameter that is never learned: compiled programs read its value, and
            # it is saved with the weights.
            self.rate = shared([_checked(share)], "rate")
            self.params = [self.rate]

    @property
    def share(self) -> float | str:
        """The probability of the truth while training, or the port that gives it."""
        return self.share_port or float(self.rate.get_value()[0])

    @share.setter
    def share(self, value: float) -> None:
        if self.share_port is not None:
            raise ConfigError.about(
                "layer",
                "Teacher",
                takes=f"its share from the port {self.share_port!r}",
                got=f"share = {value!r}",
                do="Pass the share as data, or create the layer with a number.",
            )
        self.rate.set_value(np.array([_checked(value)], self.rate.dtype))

    def call(
        self,
        x: Mapping[str, TensorVariable],
        train: bool = False,
        chance: TensorVariable | None = None,
    ) -> TensorVariable:
        truth, prediction = x["truth"], x["prediction"]
        if not train:
            return prediction
        if chance is None:
            # Words are (batch,), with a draw per row.
            axes = range(max(truth.ndim - 1, 1))
            chance = self.sample("chance", (*[size(truth, axis) for axis in axes], 1))
        share = self.rate if self.share_port is None else x[self.share_port]
        if 1 < share.ndim < truth.ndim:
            # (batch, 1) holds for all steps of a row: (batch, 1, 1).
            share = pt.expand_dims(share, tuple(range(share.ndim, truth.ndim)))
        # The axis of one value goes with every value of a row; an array that is given
        # does not say so in its type.
        chance = pt.as_tensor_variable(chance)
        chance = pt.specify_shape(chance, (*[None] * (chance.ndim - 1), 1))
        reads_truth = pt.lt(chance, share)
        if truth.ndim == 1:  # (batch, 1) would make (batch, batch) of words
            reads_truth = reads_truth[:, 0]
        return pt.switch(reads_truth, truth, prediction)

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        return uniform(size, self.seeds.spawn(1)[0])

    def draw_shape(self, name: str, input_shape: Mapping[str, Shape]) -> Shape:
        truth = input_shape["truth"]
        return (*truth[: max(len(truth) - 1, 1)], 1)

    def get_output_shape_for(self, input_shape: Mapping[str, Shape]) -> Shape:
        truth, prediction = input_shape["truth"], input_shape["prediction"]
        shape = common_shape([truth, prediction])
        if shape is None:
            raise ShapeError.about(
                "layer",
                "Teacher",
                takes="a truth and a prediction of one shape",
                got=f"truth {truth}, prediction {prediction}",
                do="Read the value that the network predicts.",
            )
        return shape


def _checked(share: object) -> float:
    is_number = isinstance(share, Real) and not isinstance(share, bool)
    if not is_number or not 0 <= share <= 1:
        raise ConfigError.about(
            "layer",
            "Teacher",
            takes="a share from 0 to 1, or the name of a port",
            got=repr(share),
            do="Use Teacher(0.5), for example.",
        )
    return float(share)
