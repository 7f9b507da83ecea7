"""Networks of the literature, declared as graphs: a few lines each, every gate a node that can be looked at."""

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
    """``h = activation(x @ W + b + h_tm1 @ U)``, as in the proposal: nodes ``i2h``, ``h2h`` and ``rec``.

    Source: Santana, keras issue 620, 2015; one of his two biases is left out, since two learn twice as fast.

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
    """A gated recurrent unit as a graph: gates ``z`` and ``r``, ``candidate`` and ``h``; the numbers of ``GRU``.

    Source: Cho et al., 2014; defaults and formulas of Keras 0.1's GRU.

    >>> list(gru(4, 6).nodes)
    ['z', 'r', 'reset', 'candidate', 'h']
    """
    rnn = Recurrent(return_sequences=return_sequences)
    rnn.add_input("x", dim=input_dim)
    for name in ("z", "r"):
        gate = Gate(input_dim, output_dim, activation=inner_activation)
        rnn.add_node(gate, name, input={"input": "x", "prev_hid": "h_tm1"})
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
    """Long short-term memory as a graph: gates ``i``, ``f``, ``o``, ``candidate``, cell ``c`` and ``h``.

    The numbers of ``LSTM``, but that the bias of ``f`` starts at zero as all others do.

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
    rnn.add_node(Identity(), "kept", input=merge_mul(["f", "c_tm1"]))
    rnn.add_node(Identity(), "written", input=merge_mul(["i", "candidate"]))
    rnn.add_node(Identity(), "c", input=merge_sum(["kept", "written"]))
    rnn.add_node(Activation(activation), "shown", input="c")
    rnn.add_node(Identity(), "h", input=merge_mul(["o", "shown"]), create_output=True)
    return rnn


def gated_feedback(
    input_dim: int, output_dim: int, layers: int = 3, return_sequences: bool = False
) -> Recurrent:
    """Stacked layers ``h1``, ``h2``, ... of which each reads the gated states of all, one step before.

    ``h[j] = tanh(below @ W[j] + b[j] + sum_i g[i, j] * (h[i]_tm1 @ U[i, j]))``, where ``below`` is the new state of
    the layer below, the input for the first, and the gate ``g[i, j] = sigmoid([below, h[1]_tm1, ...] @ w[i, j])`` is
    one value a row. The last layer is the output.

    Source: Chung et al., 2015, arXiv 1502.02367 (tanh units); elanmart's test of the API in keras issue 620.

    >>> [node.name for node in gated_feedback(4, 6, layers=2).plan.hoisted]
    ['up1', 'gate1to1.before', 'gate2to1.before']
    """
    if not isinstance(layers, int) or layers < 1:
        raise ConfigError.about(
            "recipe",
            "gated_feedback",
            takes="1 layer or more",
            because="the last is the output",
            got=repr(layers),
            do="Say layers=3, for example.",
        )
    numbers = range(1, layers + 1)
    rnn = Recurrent(return_sequences=return_sequences)
    rnn.add_input("x", dim=input_dim)
    before = [f"h{number}_tm1" for number in numbers]
    for upper in numbers:
        below = "x" if upper == 1 else f"h{upper - 1}"
        rnn.add_node(Dense(output_dim), f"up{upper}", input=below)
        for lower, state in zip(numbers, before, strict=True):
            way = f"{lower}to{upper}"
            rnn.add_node(
                Dense(1, activation="sigmoid", bias=False),
                f"gate{way}",
                input=[below, *before],
            )
            rnn.add_node(
                Dense(output_dim, init="orthogonal", bias=False),
                f"back{way}",
                input=state,
            )
            rnn.add_node(
                Identity(), f"fed{way}", input=merge_mul([f"gate{way}", f"back{way}"])
            )
        fed = [f"fed{lower}to{upper}" for lower in numbers]
        rnn.add_node(
            Activation("tanh"), f"h{upper}", input=merge_sum([f"up{upper}", *fed])
        )
    return rnn
