"""Networks of the literature, declared as graphs: every gate is a node.

Each recipe takes a few lines, shows how a paper's equations become nodes, and gives a
container whose inner values can be read, drawn and changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from recursive.errors import ConfigError
from recursive.layers.attention import Attention
from recursive.layers.cells import Blend, Gate, RecurrentDense, RecurrentLSTM
from recursive.layers.core import Activation, Dense, Identity, TimeDistributedDense
from recursive.layers.noise import Zoneout
from recursive.layers.normalization import LayerNormalization
from recursive.layers.running import RunningAverage
from recursive.layers.teacher import Teacher
from recursive.models import Graph, Recurrent, Recursive, Sequential
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
    _check_count("gated_feedback", "layers", "layer", layers)
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


def zoneout_lstm(
    input_dim: int,
    output_dim: int,
    cell: float = 0.5,
    hidden: float = 0.05,
    return_sequences: bool = False,
) -> Recurrent:
    """An LSTM whose states keep their old values at random while it is trained.

    ::

        i, f, o   = sigmoid(x @ W + b + h_tm1 @ U)           three gates
        candidate = tanh(x @ W + b + h_tm1 @ U)
        new_c     = f * c_tm1 + i * candidate                kept + written
        new_h     = o * tanh(new_c)                          o * shown
        c         = zoneout(new_c, c_tm1)       h = zoneout(new_h, h_tm1)

    Outside training, zoneout is the expected value, ``p * old + (1 - p) * new``.

    Args:
        cell: the probability that an element of ``c`` keeps its old value.
        hidden: the same for ``h``.

    Source: Krueger et al., 2016, arXiv 1606.01305.

    >>> list(zoneout_lstm(4, 6).nodes)[-3:]
    ['c', 'new_h', 'h']
    """
    rnn = Recurrent(return_sequences=return_sequences)
    rnn.add_input("x", dim=input_dim)
    read = {"input": "x", "prev_hid": "h_tm1"}
    for name in ("i", "f", "o"):
        gate = Gate(input_dim, output_dim, activation="sigmoid")
        rnn.add_node(gate, name, input=read)
    candidate = RecurrentDense(input_dim, output_dim, activation="tanh")
    rnn.add_node(candidate, "candidate", input=read)
    rnn.add_node(Identity(), "kept", input=merge_mul(["f", "c_tm1"]))
    rnn.add_node(Identity(), "written", input=merge_mul(["i", "candidate"]))
    rnn.add_node(Identity(), "new_c", input=merge_sum(["kept", "written"]))
    rnn.add_node(Activation("tanh"), "shown", input="new_c")
    # Port `prev` of a Zoneout reads its own output of the step before.
    rnn.add_node(Zoneout(cell), "c", input={"input": "new_c"})
    rnn.add_node(Identity(), "new_h", input=merge_mul(["o", "shown"]))
    rnn.add_node(Zoneout(hidden), "h", input={"input": "new_h"}, create_output=True)
    return rnn


def layer_norm_lstm(
    input_dim: int, output_dim: int, return_sequences: bool = False
) -> Recurrent:
    """An LSTM that normalizes what its gates read, and its cell.

    With ``norm`` a layer normalization, each use with its own parameters::

        i, f, o   = sigmoid(norm(x @ W) + norm(h_tm1 @ U))   three gates
        candidate = tanh(norm(x @ W) + norm(h_tm1 @ U))
        c         = f * c_tm1 + i * candidate                kept + written
        h         = o * tanh(norm(c))                        o * shown

    Each gate is normalized by itself, where the paper normalizes all four together.

    Source: Ba, Kiros and Hinton, 2016, arXiv 1607.06450.

    >>> list(layer_norm_lstm(4, 6).nodes)[:3]
    ['i_x', 'i_h', 'i']
    """
    rnn = Recurrent(return_sequences=return_sequences)
    rnn.add_input("x", dim=input_dim)
    gates = {"i": "sigmoid", "f": "sigmoid", "o": "sigmoid", "candidate": "tanh"}
    for name, activation in gates.items():
        W = Dense(input_dim, output_dim, bias=False)
        U = Dense(output_dim, output_dim, init="orthogonal", bias=False)
        for product, side, read in ((W, "x", "x"), (U, "h", "h_tm1")):
            normalized = Sequential([product, LayerNormalization(output_dim)])
            rnn.add_node(normalized, f"{name}_{side}", input=read)
        total = merge_sum([f"{name}_x", f"{name}_h"])
        rnn.add_node(Activation(activation), name, input=total)
    rnn.add_node(Identity(), "kept", input=merge_mul(["f", "c_tm1"]))
    rnn.add_node(Identity(), "written", input=merge_mul(["i", "candidate"]))
    rnn.add_node(Identity(), "c", input=merge_sum(["kept", "written"]))
    shown = Sequential([LayerNormalization(output_dim), Activation("tanh")])
    rnn.add_node(shown, "shown", input="c")
    rnn.add_node(Identity(), "h", input=merge_mul(["o", "shown"]), create_output=True)
    return rnn


def highway(
    input_dim: int, output_dim: int, depth: int = 3, return_sequences: bool = False
) -> Recurrent:
    """A recurrent highway network: a step is ``depth`` gated layers deep.

    With ``s[0]`` the output of the step before::

        new[l]  = tanh(s[l-1] @ U + b)           + x @ W inside, for the first layer
        gate[l] = sigmoid(s[l-1] @ U + b)        + x @ W inside, for the first layer
        s[l]    = gate[l] * new[l] + (1 - gate[l]) * s[l-1]
        y       = s[depth]

    Source: Zilly et al., 2016, arXiv 1607.03474, with the carry gate coupled.

    >>> list(highway(4, 6, depth=2).nodes)
    ['new1', 'gate1', 's1', 'new2', 'gate2', 'y']
    """
    _check_count("highway", "depth", "layer", depth)
    rnn = Recurrent(return_sequences=return_sequences)
    rnn.add_input("x", dim=input_dim)
    before = "y_tm1"
    for level in range(1, depth + 1):
        if level == 1:
            new = RecurrentDense(input_dim, output_dim, activation="tanh")
            gate = Gate(input_dim, output_dim, activation="sigmoid")
            read = {"input": "x", "prev_hid": before}
        else:
            new = Dense(output_dim, output_dim, activation="tanh")
            gate = Dense(output_dim, output_dim, activation="sigmoid")
            read = before
        rnn.add_node(new, f"new{level}", input=read)
        rnn.add_node(gate, f"gate{level}", input=read)
        is_last = level == depth
        name = "y" if is_last else f"s{level}"
        # A Blend gives the gate to the port `old`: here that is the new value.
        blended = {"gate": f"gate{level}", "old": f"new{level}", "new": before}
        rnn.add_node(Blend(), name, input=blended, create_output=is_last)
        before = name
    return rnn


def clockwork(
    input_dim: int,
    output_dim: int,
    periods: Sequence[int] = (1, 2, 4),
    return_sequences: bool = False,
) -> Recurrent:
    """Groups of units that each change only at every so many steps.

    A group with period T reads the groups of its own and of longer periods::

        new[g]  = tanh([x, h[g]_tm1, slower groups one step back] @ W + b)
        tick[g] = 1 at steps 0, T, 2 T, ..., else 0
        h[g]    = tick[g] * new[g] + (1 - tick[g]) * h[g]_tm1
        h       = all h[g], joined

    A clock is a tap: ``tick[t] = tick[t-T]``, which starts from one 1 and zeros.

    Args:
        output_dim: the number of units of each group.
        periods: the period of each group.

    Source: Koutnik et al., "A Clockwork RNN", 2014, arXiv 1402.3511.

    >>> clockwork(4, 6, periods=(1, 2)).plan.recurrences[1].taps
    (-2,)
    """
    are_steps = all(_is_count(period) for period in periods)
    if not periods or not are_steps:
        raise ConfigError.about(
            "recipe",
            "clockwork",
            takes="periods of 1 step or more, one for each group",
            got=repr(periods),
            do="Use periods=(1, 2, 4), for example.",
        )
    rnn = Recurrent(return_sequences=return_sequences)
    rnn.add_input("x", dim=input_dim)
    groups = list(enumerate(periods, start=1))
    for number, period in groups:
        # The rows are those of the steps before the first one, oldest first: the 1 is
        # read at step 0.
        rows = [[1.0]] + [[0.0]] * (period - 1)
        rnn.add_state(f"tick{number}", dim=1, initial=rows)
        rnn.add_node(Identity(), f"tick{number}", input=f"tick{number}_tm{period}")
    for number, period in groups:
        read = ["x"]
        for other, its_period in groups:
            if its_period >= period:
                read.append(f"h{other}_tm1")
        rnn.add_node(Dense(output_dim, activation="tanh"), f"new{number}", input=read)
        # A Blend gives the gate to the port `old`: here that is the new value.
        blended = {
            "gate": f"tick{number}",
            "old": f"new{number}",
            "new": f"h{number}_tm1",
        }
        rnn.add_node(Blend(), f"h{number}", input=blended)
    rnn.add_output("h", inputs=[f"h{number}" for number, _ in groups])
    return rnn


def rwa(input_dim: int, output_dim: int, return_sequences: bool = False) -> Recurrent:
    """A recurrent weighted average: a running attention over the whole past.

    ::

        previous = tanh(mean_tm1)
        u        = x @ W + b
        g        = tanh([x, previous] @ W + b)
        a        = [x, previous] @ W                         the score of this step
        mean     = average of u * g of all steps, weighted by exp(a)
        h        = tanh(mean)

    The first ``mean_tm1`` is learned.

    Source: Ostmeyer and Cowell, 2017, arXiv 1703.01253.

    >>> list(rwa(4, 6).nodes)
    ['previous', 'u', 'g', 'a', 'z', 'mean', 'h']
    """
    rnn = Recurrent(return_sequences=return_sequences)
    rnn.add_input("x", dim=input_dim)
    rnn.add_state("mean", dim=output_dim, initial="learned", init="normal", scale=1.0)
    rnn.add_node(Activation("tanh"), "previous", input="mean_tm1")
    both = ["x", "previous"]
    joined_dim = input_dim + output_dim
    rnn.add_node(Dense(input_dim, output_dim), "u", input="x")
    rnn.add_node(Dense(joined_dim, output_dim, activation="tanh"), "g", input=both)
    rnn.add_node(Dense(joined_dim, output_dim, bias=False), "a", input=both)
    rnn.add_node(Identity(), "z", input=merge_mul(["u", "g"]))
    rnn.add_node(RunningAverage(), "mean", input={"value": "z", "score": "a"})
    rnn.add_node(Activation("tanh"), "h", input="mean", create_output=True)
    return rnn


def attention_decoder(
    memory_dim: int,
    hidden_dim: int,
    output_dim: int,
    n_steps: int,
    score: str = "additive",
    activation: str = "linear",
) -> Recursive:
    """A decoder that looks at a memory at each step, and reads its own output.

    ::

        att  = mean of the memory, weighted by softmax of score(memory, h_tm1)
        h, c = LSTM([y_tm1, att], h_tm1, c_tm1)
        y    = activation(h @ W + b)

    The memory, ``(batch, source, memory_dim)``, is a context: in a Graph, the sequence
    of an encoder, with its mask. Outputs are ``y``, ``(batch, n_steps, output_dim)``,
    and the ``weights`` of the attention, ``(batch, n_steps, source)``.

    Source: Bahdanau, Cho and Bengio, 2015, arXiv 1409.0473, with an LSTM.

    >>> decoder = attention_decoder(5, 6, 2, n_steps=3)
    >>> decoder.get_output_shape_for({"memory": (None, 7, 5)})
    {'y': (None, 3, 2), 'weights': (None, 3, None)}
    """
    rnn = Recursive(return_sequences=True, n_steps=n_steps)
    rnn.add_input("memory", ndim=3, dim=memory_dim, is_sequence=False)
    rnn.add_state("h", dim=hidden_dim, input="lstm")
    rnn.add_state("c", dim=hidden_dim, input="lstm.cell")
    rnn.add_state("last_y", dim=output_dim, input="y")
    rnn.add_node(Attention(score), "att", input={"memory": "memory", "query": "h"})
    lstm = RecurrentLSTM(
        output_dim + memory_dim, hidden_dim, inner_activation="sigmoid"
    )
    rnn.add_node(
        lstm,
        "lstm",
        input={"input": ["last_y", "att"], "prev_hid": "h", "prev_cell": "c"},
    )
    out = Dense(hidden_dim, output_dim, activation=activation)
    rnn.add_node(out, "y", input="lstm", create_output=True)
    rnn.add_output("weights", input="att.weights")
    return rnn


def seq2seq(
    input_dim: int,
    hidden_dim: int,
    output_dim: int,
    output_length: int,
    depth: int = 1,
    peek: bool = False,
    state_sync: bool = True,
    teacher: bool = False,
) -> Graph:
    """A model that reads one sequence and writes another.

    ::

        embedded  = x @ W + b
        h, c, top = encoder: depth LSTMs, which read embedded + top_tm1
        context   = top @ W + b
        y         = decoder: depth LSTMs, each followed by tanh(h @ W + b); they start
                    from the states of the encoder and read y_tm1, first the context

    The input of the model is ``x``, ``(batch, time, input_dim)``, and its output
    ``decoder``, ``(batch, output_length, output_dim)``.

    Args:
        depth: the number of LSTMs of the encoder, and of the decoder.
        peek: True adds the context to what the decoder reads at each step (Cho et al.),
            False only starts it from the context (Sutskever et al.).
        state_sync: True lets all LSTMs of a stack share one state: each reads what the
            one below has just computed. False gives each its own.
        teacher: True adds the input ``truth``, ``(batch, output_length, output_dim)``:
            while training the decoder reads it instead of its own last output.
            Prediction takes any array of that shape and does not read it.

    Source: Sutskever et al., 2014, arXiv 1409.3215; Cho et al., 2014, arXiv 1406.1078;
    ``Seq2Seq`` of Fariz Rahman's library of that name.

    >>> model = seq2seq(4, 6, 2, output_length=3, depth=2)
    >>> model.get_output_shape_for({"x": (None, 5, 4)})
    (None, 3, 2)
    """
    _check_count("seq2seq", "depth", "LSTM", depth)
    states = _stack_states(depth, state_sync)
    encoder = _encoder(hidden_dim, depth, state_sync)
    decoder = _decoder(
        hidden_dim, output_dim, output_length, depth, peek, state_sync, teacher
    )
    model = Graph()
    model.add_input("x", ndim=3, dim=input_dim)
    embedding = TimeDistributedDense(input_dim, hidden_dim)
    model.add_node(embedding, "embedded", input="x")
    model.add_node(encoder, "encoder", input="embedded")
    model.add_node(Dense(hidden_dim, output_dim), "context", input="encoder.top")
    read = {"context": "context"}
    for state in states:
        read[f"{state}0"] = f"encoder.{state}_final"
    if teacher:
        model.add_input("truth", ndim=3, dim=output_dim)
        read["truth"] = "truth"
    model.add_node(decoder, "decoder", input=read, create_output=True)
    return model


def _encoder(hidden_dim: int, depth: int, state_sync: bool) -> Recursive:
    """The encoder of :func:`seq2seq`, with the output ``top`` and its final states."""
    rnn = Recursive(return_final_states=True)
    rnn.add_input("x", dim=hidden_dim)
    _add_stack_states(rnn, hidden_dim, depth, state_sync)
    rnn.add_state("last_top", dim=hidden_dim, input=f"lstm{depth}")
    rnn.add_node(Identity(), "fed", input=merge_sum(["x", "last_top"]))
    below = "fed"
    for level in range(1, depth + 1):
        below = _add_lstm(rnn, level, below, hidden_dim, state_sync)
    rnn.add_output("top", input=below)
    return rnn


def _decoder(
    hidden_dim: int,
    output_dim: int,
    output_length: int,
    depth: int,
    peek: bool,
    state_sync: bool,
    teacher: bool,
) -> Recursive:
    """The decoder of :func:`seq2seq`, whose output is ``y``."""
    rnn = Recursive(return_sequences=True, n_steps=output_length)
    rnn.add_input("context", is_sequence=False, dim=output_dim)
    _add_stack_states(rnn, hidden_dim, depth, state_sync)
    for state in _stack_states(depth, state_sync):
        rnn.set_state_from(state, f"{state}0")
    last = f"out{depth}"
    rnn.add_state("last_y", dim=output_dim, input="taught" if teacher else last)
    rnn.set_state_from("last_y", "context")
    below = "last_y"
    if peek:
        rnn.add_node(Identity(), "fed", input=merge_sum(["context", "last_y"]))
        below = "fed"
    for level in range(1, depth + 1):
        lstm = _add_lstm(rnn, level, below, hidden_dim, state_sync)
        out = Dense(hidden_dim, output_dim, activation="tanh")
        rnn.add_node(out, f"out{level}", input=lstm)
        below = f"out{level}"
    if teacher:
        rnn.add_input("truth", dim=output_dim, training_only=True)
        rnn.add_node(Teacher(), "taught", input={"truth": "truth", "prediction": last})
    rnn.add_output("y", input=last)
    return rnn


def _stack_states(depth: int, state_sync: bool) -> list[str]:
    """The states of a stack of LSTMs: two in all if they share them, else two each."""
    if state_sync:
        return ["h", "c"]
    names = []
    for level in range(1, depth + 1):
        names += [f"h{level}", f"c{level}"]
    return names


def _add_stack_states(
    rnn: Recursive, hidden_dim: int, depth: int, state_sync: bool
) -> None:
    """Declare the states of a stack of LSTMs, ``lstm1`` to ``lstm<depth>``."""
    if state_sync:
        # What the top LSTM computes is the state of the next step.
        rnn.add_state("h", dim=hidden_dim, input=f"lstm{depth}")
        rnn.add_state("c", dim=hidden_dim, input=f"lstm{depth}.cell")
        return
    for level in range(1, depth + 1):
        rnn.add_state(f"h{level}", dim=hidden_dim, input=f"lstm{level}")
        rnn.add_state(f"c{level}", dim=hidden_dim, input=f"lstm{level}.cell")


def _add_lstm(
    rnn: Recursive, level: int, below: str, hidden_dim: int, state_sync: bool
) -> str:
    """Add the LSTM of one level, which reads ``below``; returns its name."""
    if not state_sync:
        past = (f"h{level}", f"c{level}")
    elif level == 1:
        past = ("h", "c")
    else:
        past = (f"lstm{level - 1}", f"lstm{level - 1}.cell")
    read = {"input": below, "prev_hid": past[0], "prev_cell": past[1]}
    rnn.add_node(RecurrentLSTM(hidden_dim), f"lstm{level}", input=read)
    return f"lstm{level}"


def _check_count(recipe: str, argument: str, what: str, value: object) -> None:
    """Raise a ConfigError unless ``value`` is an integer of 1 or more."""
    if not _is_count(value):
        raise ConfigError.about(
            "recipe",
            recipe,
            takes=f"1 {what} or more",
            got=repr(value),
            do=f"Use {argument}=3, for example.",
        )


def _is_count(value: object) -> bool:
    """True for an integer of 1 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
