"""Networks of the literature, declared as graphs: every gate is a node.

Each recipe takes a few lines, shows how a paper's equations become nodes, and gives a
container whose inner values can be read, drawn and changed.
"""

from __future__ import annotations

from recursive.errors import ConfigError
from recursive.layers.cells import Blend, Gate, RecurrentDense
from recursive.layers.core import Activation, Dense, Identity
from recursive.models import Recurrent, Recursive
from recursive.spec.reads import merge_mul, merge_sum


def vanilla(
    input_dim: int,
    output_dim: int,
    activation: str = "tanh",
    return_sequences: bool = False,
) -> Recursive:
    """The simple recurrent network of the proposal, as a graph.

    ::

        i2h = x @ W + b
        h2h = h_tm1 @ U
        rec = activation(i2h + h2h)        h = rec

    Source: Santana, keras issue 620, 2015. One of his two biases is left out, because
    two that are added learn twice as fast.

    >>> vanilla(4, 6).plan.results
    ('rec',)
    """
    rnn = Recursive(return_sequences=return_sequences)
    rnn.add_input("input", dim=input_dim)
    rnn.add_state("h", dim=output_dim)
    rnn.add_node(Dense(input_dim, output_dim), "i2h", input="input")
    rnn.add_node(
        Dense(output_dim, output_dim, init="orthogonal", bias=False), "h2h", input="h"
    )
    rnn.add_node(
        Activation(activation),
        "rec",
        input=merge_sum(["i2h", "h2h"]),
        return_state="h",
        create_output=True,
    )
    return rnn


def gru(
    input_dim: int,
    output_dim: int,
    activation: str = "sigmoid",
    inner_activation: str = "hard_sigmoid",
    return_sequences: bool = False,
) -> Recurrent:
    """A gated recurrent unit as a graph; it computes the same numbers as ``GRU``.

    ::

        z         = inner(x @ W + b + h_tm1 @ U)
        r         = inner(x @ W + b + h_tm1 @ U)
        reset     = r * h_tm1
        candidate = activation(x @ W + b + reset @ U)
        h         = z * h_tm1 + (1 - z) * candidate

    Each node has its own ``W``, ``U`` and ``b``.

    Source: Cho et al., 2014; defaults and formulas of Keras 0.1's GRU.

    >>> list(gru(4, 6).nodes)
    ['z', 'r', 'reset', 'candidate', 'h']
    """
    rnn = Recurrent(return_sequences=return_sequences)
    rnn.add_input("x", dim=input_dim)
    for name in ("z", "r"):
        gate = Gate(input_dim, output_dim, activation=inner_activation)
        rnn.add_node(gate, name, input={"input": "x", "prev_hid": "h_tm1"})
    # The candidate reads r * h_tm1 as its state, in place of h_tm1.
    rnn.add_node(Identity(), "reset", input=merge_mul(["r", "h_tm1"]))
    rnn.add_node(
        RecurrentDense(input_dim, output_dim, activation=activation),
        "candidate",
        input={"input": "x", "prev_hid": "reset"},
    )
    rnn.add_node(
        Blend(),
        "h",
        input={"gate": "z", "old": "h_tm1", "new": "candidate"},
        create_output=True,
    )
    return rnn


def lstm(
    input_dim: int,
    output_dim: int,
    activation: str = "tanh",
    inner_activation: str = "hard_sigmoid",
    return_sequences: bool = False,
) -> Recurrent:
    """Long short-term memory as a graph.

    ::

        i, f, o   = inner(x @ W + b + h_tm1 @ U)             three gates
        candidate = activation(x @ W + b + h_tm1 @ U)
        c         = f * c_tm1 + i * candidate                kept + written
        h         = o * activation(c)                        o * shown

    Each node has its own ``W``, ``U`` and ``b``. It computes the same numbers as
    ``LSTM`` from the same weights, but here the bias of ``f`` starts at zero too.

    Source: Hochreiter and Schmidhuber, 1997; defaults and formulas of Keras 0.1's LSTM.

    >>> list(lstm(4, 6).nodes)
    ['i', 'f', 'o', 'candidate', 'kept', 'written', 'c', 'shown', 'h']
    """
    rnn = Recurrent(return_sequences=return_sequences)
    rnn.add_input("x", dim=input_dim)
    for name in ("i", "f", "o"):
        gate = Gate(input_dim, output_dim, activation=inner_activation)
        rnn.add_node(gate, name, input={"input": "x", "prev_hid": "h_tm1"})
    rnn.add_node(
        RecurrentDense(input_dim, output_dim, activation=activation),
        "candidate",
        input={"input": "x", "prev_hid": "h_tm1"},
    )
    # c = f * c_tm1 + i * candidate
    rnn.add_node(Identity(), "kept", input=merge_mul(["f", "c_tm1"]))
    rnn.add_node(Identity(), "written", input=merge_mul(["i", "candidate"]))
    rnn.add_node(Identity(), "c", input=merge_sum(["kept", "written"]))
    rnn.add_node(Activation(activation), "shown", input="c")
    rnn.add_node(Identity(), "h", input=merge_mul(["o", "shown"]), create_output=True)
    return rnn


def gated_feedback(
    input_dim: int, output_dim: int, layers: int = 3, return_sequences: bool = False
) -> Recurrent:
    """Stacked layers that each read the gated states of all layers, one step back.

    With ``below`` the new state of the layer below, or the input for the first layer::

        g[i, j] = sigmoid([below, h[1]_tm1, h[2]_tm1, ...] @ w[i, j])      (batch, 1)
        h[j]    = tanh(below @ W[j] + b[j] + sum_i g[i, j] * (h[i]_tm1 @ U[i, j]))

    The nodes of the states are ``h1``, ``h2``, ...; the last is the output.

    Source: Chung et al., 2015, arXiv 1502.02367 (tanh units); elanmart's test of the
    API in keras issue 620.

    >>> [node.name for node in gated_feedback(4, 6, layers=2).plan.hoisted]
    ['up1', 'gate1to1.before', 'gate2to1.before']
    """
    if not isinstance(layers, int) or layers < 1:
        raise ConfigError.about(
            "recipe",
            "gated_feedback",
            takes="1 layer or more",
            got=repr(layers),
            do="Use layers=3, for example.",
        )
    numbers = range(1, layers + 1)
    rnn = Recurrent(return_sequences=return_sequences)
    rnn.add_input("x", dim=input_dim)
    states = [f"h{number}_tm1" for number in numbers]
    for upper in numbers:
        # `below` is the new state at t of the layer underneath; `states` are at t-1.
        below = "x" if upper == 1 else f"h{upper - 1}"
        rnn.add_node(Dense(output_dim), f"up{upper}", input=below)
        terms = [f"up{upper}"]
        for lower in numbers:
            terms.append(_add_feedback(rnn, lower, upper, below, states, output_dim))
        rnn.add_node(Activation("tanh"), f"h{upper}", input=merge_sum(terms))
    return rnn


def _add_feedback(
    rnn: Recurrent,
    lower: int,
    upper: int,
    below: str,
    states: list[str],
    output_dim: int,
) -> str:
    """Add the gated feedback from layer ``lower`` to layer ``upper``.

    Returns:
        The name of the node ``g[lower, upper] * (h[lower]_tm1 @ U[lower, upper])``.
    """
    link = f"{lower}to{upper}"
    gate = Dense(1, activation="sigmoid", bias=False)
    rnn.add_node(gate, f"gate{link}", input=[below, *states])
    back = Dense(output_dim, init="orthogonal", bias=False)
    rnn.add_node(back, f"back{link}", input=states[lower - 1])
    gated = merge_mul([f"gate{link}", f"back{link}"])
    rnn.add_node(Identity(), f"fed{link}", input=gated)
    return f"fed{link}"
