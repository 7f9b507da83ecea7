"""The networks as graphs of nodes: what is measured of this library."""

from __future__ import annotations

from recursive import recipes
from recursive.layers.cells import Blend, Gate
from recursive.layers.core import Activation, Dense, Identity
from recursive.models import Recurrent, Recursive
from recursive.spec.reads import merge_concat, merge_mul, merge_sum
from tests.bench import random_graph
from tests.bench.contestants import Sizes


def build(network: str, sizes: Sizes) -> Recursive:
    """The network called ``network``, its weights drawn.

    >>> list(build("gru-after", Sizes()).nodes)
    ['z', 'r', 'i2c', 'h2c', 'reset', 'candidate', 'h']
    """
    tanh, sigmoid = "tanh", "sigmoid"
    builders = {
        "vanilla": recipes.vanilla,
        "lstm": lambda *dims: recipes.lstm(*dims, tanh, sigmoid),
        "gru": lambda *dims: recipes.gru(*dims, tanh, sigmoid),
        "gru-after": gru_after,
        "feedback": recipes.gated_feedback,
        "random": lambda *dims: random(*dims, sizes.nodes),
    }
    rnn = builders[network](sizes.input_dim, sizes.dim)
    rnn.complete()
    return rnn


def gru_after(input_dim: int, output_dim: int) -> Recurrent:
    """A GRU that resets after the product, as in cuDNN, PyTorch, and Keras 3 by default."""
    rnn = Recurrent()
    rnn.add_input("x", dim=input_dim)
    for name in ("z", "r"):
        gate = Gate(input_dim, output_dim, activation="sigmoid")
        rnn.add_node(gate, name, input={"input": "x", "prev_hid": "h_tm1"})
    rnn.add_node(Dense(input_dim, output_dim), "i2c", input="x")
    rnn.add_node(Dense(output_dim, output_dim, init="orthogonal"), "h2c", input="h_tm1")
    rnn.add_node(Identity(), "reset", input=merge_mul(["r", "h2c"]))
    rnn.add_node(Activation("tanh"), "candidate", input=merge_sum(["i2c", "reset"]))
    rnn.add_node(
        Blend(),
        "h",
        input={"gate": "z", "old": "h_tm1", "new": "candidate"},
        create_output=True,
    )
    return rnn


def random(input_dim: int, output_dim: int, nodes: int) -> Recurrent:
    """A random graph, each node of ``output_dim`` values."""
    rnn = Recurrent()
    rnn.add_input("x", dim=input_dim)
    *inner, last = random_graph.draw(nodes)
    for node in (*inner, last):
        if node.has_weights:
            layer, read = (
                Dense(output_dim, activation=node.kind),
                merge_concat(list(node.reads)),
            )
        else:
            layer, read = (
                Identity(),
                (merge_mul if node.kind == "mul" else merge_sum)(list(node.reads)),
            )
        rnn.add_node(layer, node.name, input=read, create_output=node is last)
    return rnn
