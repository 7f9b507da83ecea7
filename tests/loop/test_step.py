"""What a step may read: draws inside it are told of, with advice that helps."""

import numpy as np
import pytest

from recursive import Dense, Layer, Recurrent
from recursive.draws import uniform
from recursive.errors import NodeError


class AlwaysDrawing(Layer):
    """Keeps about half of the values, while predicting too."""

    draws = ("keep",)

    def sample(self, name, size):
        return uniform(size, np.random.SeedSequence(1))

    def call(self, x, train=False, keep=None):
        keep = self.sample("keep", x.shape) if keep is None else keep
        return x * (keep > 0.5)


class Undeclared(AlwaysDrawing):
    """The same, whose draws are not named."""

    draws = ()

    def call(self, x, train=False):
        return x * (self.sample("keep", x.shape) > 0.5)


def loop(layer, **settings):
    rnn = Recurrent(**settings)
    rnn.add_input("x", dim=2)
    rnn.add_node(Dense(5, 3), "h", input=["x", "d_tm1"])
    rnn.add_node(layer, "d", input="h")
    return rnn


def test_draws_while_predicting_get_advice_that_is_not_followed_already():
    with pytest.raises(NodeError, match="got draws inside a step") as told:
        loop(AlwaysDrawing()).get_output()
    words = str(told.value)
    assert "node 'd'" in words
    assert "made before the loop only while training" in words
    assert "unroll=True" in words


def test_what_is_drawn_while_training_is_made_before_the_loop():
    assert loop(AlwaysDrawing()).get_output(train=True).type.shape == (None, 3)


def test_draws_that_are_not_named_are_to_be_named():
    for train in (False, True):
        with pytest.raises(NodeError, match="Name them in the draws"):
            loop(Undeclared()).get_output(train)


def test_a_loop_that_is_written_out_may_draw_while_predicting():
    rnn = loop(AlwaysDrawing(), n_steps=3, unroll=True)
    found = rnn(np.ones((2, 3, 2))).eval()
    assert found.shape == (2, 3)
