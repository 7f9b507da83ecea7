"""Layers that choose a word from probabilities: the most probable one, or a draw.

A decoder writes one word after the other. At each step a softmax gives the probability
of each word, one of them is chosen, and the next step reads it::

    decoder.add_state("word", dtype="int", initial=START)
    decoder.add_node(Embedding(words, 4), "read", input="word")
    ...
    decoder.add_node(Greedy(), "choice", input="probabilities", return_state="word")

A number has no gradient: none passes through a choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from recursive import backend
from recursive.backend.sizes import sizes
from recursive.draws import uniform
from recursive.errors import (
    ConfigError,
    DataError,
    NodeError,
    ShapeError,
    StateError,
)
from recursive.layers.layer import Layer
from recursive.layers.masks import PASS
from recursive.layers.noise import seeds_of
from recursive.layers.products import as_floats
from recursive.spec.graph import GraphSpec, StateSpec
from recursive.spec.shapes import Shape, node_shape
from recursive.utils.arguments import count

ENDED = "ended"
"""The port that says which rows have ended, and the output that it is fed by."""


class WordChoice(Layer):
    """The base of layers that choose one of the entries of the last axis.

    Args:
        end: the number of the end symbol; None if there is none.
    """

    masks = PASS
    rowwise = True

    def __init__(
        self, end: int | None = None, name: str | None = None, seed: int | None = None
    ):
        super().__init__(name, seed)
        self.end = None if end is None else count("end", end, least=0)
        if self.end is not None:
            self.ports = ("input", ENDED)
            self.output_names = ("output", ENDED)

    def call(
        self,
        x: TensorVariable | Mapping[str, TensorVariable],
        train: bool = False,
        **draws: TensorVariable,
    ) -> TensorVariable | dict[str, TensorVariable]:
        if self.end is None:
            return self._chosen(as_floats(x), **draws)
        had_ended = pt.neq(x[ENDED], 0)
        chosen = self._chosen(as_floats(x["input"]), **draws)
        words = pt.switch(had_ended, np.int32(self.end), chosen)
        return {"output": words, ENDED: pt.eq(words, np.int32(self.end))}

    def _chosen(self, x: TensorVariable, **draws: TensorVariable) -> TensorVariable:
        """The numbers of the chosen words, without the last axis of ``x``."""
        raise NotImplementedError

    def get_output_shape_for(
        self, input_shape: Shape | Mapping[str, Shape]
    ) -> Shape | dict[str, Shape]:
        shape = self.probabilities(input_shape)
        if len(shape) < 2:
            raise ShapeError.about(
                "layer",
                type(self).__name__,
                takes="a number for each word, (batch, words)",
                got=shape,
                do="Read the softmax of a Dense.",
            )
        words = shape[-1]
        if self.end is not None and words is not None and self.end >= words:
            raise ConfigError.about(
                "layer",
                type(self).__name__,
                takes=f"an end symbol below {words}, the number of words",
                got=str(self.end),
                do="Words are numbered from 0.",
            )
        if self.end is None:
            return shape[:-1]
        return {"output": shape[:-1], ENDED: shape[:-1]}

    def probabilities(self, by_port: Shape | Mapping[str, Shape]) -> Shape:
        """The shape of the probabilities, among those at all ports."""
        return by_port if self.end is None else by_port["input"]


class Greedy(WordChoice):
    """The number of the most probable word, the first one of equals.

    It reads ``(batch, words)``, probabilities or any scores, and returns integers,
    ``(batch,)``, or ``(batch, time)`` for ``(batch, time, words)``. An Embedding or a
    state with ``dtype='int'`` can read them. No gradient passes.

    With an ``end`` symbol each row stops by itself: there is a second port ``ended``
    and a second output ``ended``, true from the end symbol on, and the words after the
    end symbol are the end symbol again. A state with ``dtype='bool'`` takes the output
    of a step to the port of the next.

    Args:
        end: the number of the end symbol; None if there is none.

    Raises:
        ConfigError: for an end symbol that is not the number of a word.
        DataError: for NaN, at run time. JAX cannot raise from a program; there the
            choice is the first NaN.

    >>> Greedy()(np.array([[0.1, 0.7, 0.2], [0.4, 0.2, 0.4]])).eval().tolist()
    [1, 0]
    """

    def _chosen(self, x: TensorVariable) -> TensorVariable:
        error = DataError.about(
            "layer",
            "Greedy",
            takes="numbers",
            got="NaN",
            do="Look for an overflow in what computes them.",
        )
        x = backend.checked_values(x, pt.invert(pt.isnan(x)).all(), error)
        return pt.argmax(x, axis=-1).astype("int32")


class Sample(WordChoice):
    """The number of a word, drawn with given probabilities.

    It reads ``(batch, words)``, the probabilities of a softmax, and returns integers,
    ``(batch,)``, or ``(batch, time)`` for ``(batch, time, words)``. A word is drawn at
    each step of each row, while training and while predicting. No gradient passes.

    The draw is ``chance``, uniform in [0, 1) and ``(batch, 1)``, made for all steps
    before a loop: the word is the first one at which the sum of the probabilities so
    far is above it. A word of probability 0 is never drawn.

    Args:
        temperature: probabilities are raised to the power ``1 / temperature`` first:
            below 1 the most probable words become more so, above 1 less.
        end: the number of the end symbol, as for :class:`Greedy`; None if there is
            none.
        seed: the seed of the draws.

    Raises:
        ConfigError: unless 0 < temperature, and for an end symbol that is not the
            number of a word.
        DataError: for values that are no probabilities, such as scores without a
            softmax, at run time. JAX cannot raise from a program.

    >>> x = np.array([[0.1, 0.7, 0.2]] * 2)
    >>> Sample()(x, chance=np.array([[0.05], [0.85]])).eval().tolist()
    [0, 2]
    """

    draws = ("chance",)
    predicting_draws = ("chance",)

    def __init__(
        self,
        temperature: float = 1.0,
        end: int | None = None,
        name: str | None = None,
        seed: int | None = None,
    ):
        super().__init__(end, name, seed)
        self.temperature = _checked_temperature(temperature)
        self.seeds = seeds_of(seed)

    def _chosen(
        self, x: TensorVariable, chance: TensorVariable | None = None
    ) -> TensorVariable:
        if chance is None:
            chance = self.sample("chance", (*sizes(x)[:-1], 1))
        # Its last axis of one entry, as one that broadcasts.
        chance = pt.as_tensor_variable(chance)[..., 0][..., None].astype(x.dtype)
        sums = pt.cumsum(self._tempered(_checked_probabilities(x)), axis=-1)
        # The last sum instead of 1, and below it: rounding then cannot choose a word
        # after the last one of any probability.
        total = sums[..., -1][..., None]
        is_before = pt.and_(pt.le(sums, chance * total), pt.lt(sums, total))
        return is_before.sum(axis=-1).astype("int32")

    def _tempered(self, x: TensorVariable) -> TensorVariable:
        """The probabilities at the temperature, up to a factor."""
        if self.temperature == 1:
            return x
        # Divided by the largest first: a small temperature makes no 0 of all of them.
        largest = x.max(axis=-1, keepdims=True)
        return (x / largest) ** np.asarray(1 / self.temperature, x.dtype)

    def sample(self, name: str, size: Sequence) -> TensorVariable:
        # Each call spawns another seed, so two uses of a layer draw different words.
        return uniform(size, self.seeds.spawn(1)[0])

    def draw_shape(self, name: str, input_shape: Shape | Mapping[str, Shape]) -> Shape:
        return (*self.probabilities(input_shape)[:-1], 1)


def _checked_probabilities(x: TensorVariable) -> TensorVariable:
    """``x``, which must be 0 or more and sum to 1, at run time."""
    error = DataError.about(
        "layer",
        "Sample",
        takes="probabilities, which are 0 or more and sum to 1",
        got="other values",
        do="Put Activation('softmax') before it.",
    )
    sums_to_one = pt.le(pt.abs(x.sum(axis=-1) - 1), 1e-3)
    has_no_negative = pt.ge(x.min(axis=-1), 0)
    # One condition for each row: backend c checks rows one by one.
    return backend.checked_values(x, (sums_to_one & has_no_negative).all(), error)


def _checked_temperature(temperature: object) -> float:
    is_number = isinstance(temperature, Real) and not isinstance(temperature, bool)
    if not is_number or not 0 < temperature < np.inf:
        raise ConfigError.about(
            "layer",
            "Sample",
            takes="a temperature above 0",
            got=repr(temperature),
            do="Use Sample(0.7), for example, or Greedy() for the most probable word.",
        )
    return float(temperature)


def check_words(
    spec: GraphSpec,
    state: StateSpec,
    limit: int | None,
    layers: Mapping[str, Layer],
    shapes: Mapping[str, Shape],
) -> None:
    """Raise an error if a state holds words that the Embedding reading it lacks.

    Args:
        spec: the declaration.
        state: the state.
        limit: the number of words of that Embedding; None if there is none.
        layers: the layer of each node.
        shapes: the shape of every name at one step.

    Raises:
        StateError: for an initial number.
        NodeError: for a layer that chooses from more words.
    """
    if limit is None or state.dtype != "int":
        return
    numbers = state.initial if isinstance(state.initial, tuple) else (state.initial,)
    for number in numbers:
        if not isinstance(number, str) and not 0 <= number < limit:
            raise StateError.about(
                "state",
                state.name,
                takes=f"an initial number from 0 to {limit - 1}",
                because="an Embedding of as many words reads it",
                got=f"{number:g}",
                do="Correct the start symbol, or give the Embedding more words.",
            )
    for node in spec.nodes:
        layer = layers[node.name]
        if state.input == node.values[0] and isinstance(layer, WordChoice):
            read = layer.probabilities(node_shape(spec, node, layers, shapes))
            words = read[-1]
            if words is not None and words > limit:
                raise NodeError.about(
                    "node",
                    node.name,
                    takes=f"{limit} words or fewer",
                    because=f"an Embedding of as many words reads {state.name!r}",
                    got=str(words),
                    do="Correct the input_dim of the Embedding, or the softmax.",
                )
