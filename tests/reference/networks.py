"""Layers and networks to test the reference on, with arrays for their inputs."""

import numpy as np

from recursive import (
    GRU,
    JZS1,
    JZS2,
    JZS3,
    LSTM,
    RNN,
    Activation,
    ActivityRegularization,
    Attention,
    AutoEncoder,
    BatchNormalization,
    Bidirectional,
    Blend,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Gate,
    GaussianDropout,
    GaussianNoise,
    Graph,
    Greedy,
    Identity,
    LayerNormalization,
    LeakyReLU,
    Masking,
    MaxoutDense,
    Merge,
    ParametricSoftplus,
    Permute,
    PReLU,
    Recurrent,
    RecurrentDeep,
    RecurrentDense,
    RecurrentGRU,
    RecurrentJZS1,
    RecurrentJZS2,
    RecurrentJZS3,
    RecurrentLSTM,
    Recursive,
    RepeatVector,
    Reshape,
    Sequential,
    SimpleDeepRNN,
    SimpleRNN,
    Switch,
    Teacher,
    ThresholdedLinear,
    ThresholdedReLU,
    TimeDistributedDense,
    Zoneout,
    merge_max,
    merge_mul,
    recipes,
)

BATCH, TIME, IN, HIDDEN = 3, 5, 4, 6
SEQUENCE, ROWS = (BATCH, TIME, IN), (BATCH, IN)
GAP = 0.5
"""The value that Masking masks."""

LAYERS = {
    "Dense": (lambda: Dense(IN, HIDDEN, activation="tanh"), ROWS),
    "Dense without bias": (lambda: Dense(IN, HIDDEN, bias=False), ROWS),
    "Dense over time": (lambda: Dense(IN, HIDDEN, activation="softmax"), SEQUENCE),
    "TimeDistributedDense": (
        lambda: TimeDistributedDense(IN, HIDDEN, activation="softplus"),
        SEQUENCE,
    ),
    "MaxoutDense": (lambda: MaxoutDense(IN, HIDDEN, nb_feature=3), ROWS),
    "MaxoutDense over time": (lambda: MaxoutDense(IN, HIDDEN, nb_feature=3), SEQUENCE),
    "Identity": (Identity, ROWS),
    "ActivityRegularization": (lambda: ActivityRegularization(l1=0.1), ROWS),
    **{
        f"Activation {name}": (lambda name=name: Activation(name), SEQUENCE)
        for name in (
            "linear",
            "tanh",
            "sigmoid",
            "hard_sigmoid",
            "relu",
            "softplus",
            "softmax",
        )
    },
    "LeakyReLU": (lambda: LeakyReLU(0.2), ROWS),
    "PReLU": (lambda: PReLU((TIME, IN)), SEQUENCE),
    "ParametricSoftplus": (lambda: ParametricSoftplus(IN), ROWS),
    "ThresholdedLinear": (lambda: ThresholdedLinear(0.7), ROWS),
    "ThresholdedReLU": (lambda: ThresholdedReLU(0.3), ROWS),
    "LayerNormalization": (LayerNormalization, ROWS),
    "LayerNormalization over time": (lambda: LayerNormalization(IN), SEQUENCE),
    "Masking": (lambda: Masking(GAP), SEQUENCE),
    "BatchNormalization": (lambda: BatchNormalization(IN), ROWS),
    "BatchNormalization of rows": (
        lambda: BatchNormalization((TIME, IN), mode=1),
        SEQUENCE,
    ),
    "Reshape": (lambda: Reshape(2, 2), ROWS),
    "Flatten": (Flatten, SEQUENCE),
    "Permute": (lambda: Permute((2, 1)), SEQUENCE),
    "RepeatVector": (lambda: RepeatVector(7), ROWS),
    "SimpleRNN": (lambda: SimpleRNN(IN, HIDDEN), SEQUENCE),
    "SimpleRNN backwards": (
        lambda: SimpleRNN(
            IN, HIDDEN, activation="tanh", go_backwards=True, return_sequences=True
        ),
        SEQUENCE,
    ),
    "RNN of a chain": (
        lambda: chain_over_time(return_sequences=True),
        SEQUENCE,
    ),
    "RNN of a chain, backwards": (
        lambda: chain_over_time(go_backwards=True),
        SEQUENCE,
    ),
    "SimpleDeepRNN": (
        lambda: SimpleDeepRNN(IN, HIDDEN, depth=3, return_sequences=True),
        SEQUENCE,
    ),
    "GRU": (
        lambda: GRU(IN, HIDDEN, activation="tanh", return_sequences=True),
        SEQUENCE,
    ),
    "LSTM": (lambda: LSTM(IN, HIDDEN), SEQUENCE),
    **{
        kind.__name__: (
            lambda kind=kind: kind(IN, HIDDEN, return_sequences=True),
            SEQUENCE,
        )
        for kind in (JZS1, JZS2, JZS3)
    },
    "JZS1 of equal dims": (lambda: JZS1(IN, IN), SEQUENCE),
    "JZS2 with a seed": (lambda: JZS2(IN, HIDDEN, seed=5), SEQUENCE),
    **{
        f"RNN of {kind.__name__}": (
            lambda kind=kind: RNN(kind(IN, HIDDEN), return_sequences=True),
            SEQUENCE,
        )
        for kind in (
            Gate,
            RecurrentDeep,
            RecurrentDense,
            RecurrentGRU,
            RecurrentJZS1,
            RecurrentJZS2,
            RecurrentJZS3,
            RecurrentLSTM,
        )
    },
    "RNN backwards": (
        lambda: RNN(RecurrentLSTM(IN, HIDDEN, seed=3), go_backwards=True),
        SEQUENCE,
    ),
    "Sequential": (
        lambda: Sequential([Dense(IN, HIDDEN, activation="tanh"), Dense(2)]),
        ROWS,
    ),
    "AutoEncoder": (
        lambda: AutoEncoder(Dense(IN, 2, activation="sigmoid"), Dense(2, IN)),
        ROWS,
    ),
    "AutoEncoder of its code": (
        lambda: AutoEncoder(Dense(IN, 2), Dense(2, IN), output_reconstruction=False),
        ROWS,
    ),
    **{
        f"Bidirectional {mode}": (
            lambda mode=mode: Bidirectional(
                LSTM(IN, HIDDEN, return_sequences=True), merge_mode=mode
            ),
            SEQUENCE,
        )
        for mode in ("concat", "sum", "mul", "ave", "max", None)
    },
    "Bidirectional of last steps": (lambda: Bidirectional(GRU(IN, HIDDEN)), SEQUENCE),
    "Bidirectional of a container": (
        lambda: Bidirectional(plain(return_sequences=True)),
        SEQUENCE,
    ),
}
"""Every layer of one input, and the shape of that."""


def normal(rng, *shape):
    return rng.normal(size=shape)


def x_only(rng):
    return {"x": normal(rng, *SEQUENCE)}


def on_one_input(layer, shape):
    """The layer as the one node of a Graph."""
    graph = Graph()
    graph.add_input("x", ndim=len(shape), dim=shape[-1])
    graph.add_node(layer, "y", input="x")
    if len(layer.output_names) == 1:
        graph.add_output("y", input="y")
    for name in layer.output_names if len(layer.output_names) > 1 else ():
        graph.add_output(name, input=f"y.{name}")
    return graph


def plain(**settings):
    rnn = Recursive(**settings)
    rnn.add_input("x", dim=IN)
    rnn.add_node(
        Dense(HIDDEN, activation="tanh"), "h", input=["x", "h_tm1"], create_output=True
    )
    return rnn


def embedded():
    graph = Graph()
    graph.add_input("words", ndim=2, dtype="int")
    graph.add_node(Embedding(9, IN, mask_zero=True), "vectors", input="words")
    graph.add_node(LSTM(IN, HIDDEN, return_sequences=True), "lstm", input="vectors")
    graph.add_node(
        GRU(HIDDEN, 2, mask_mode="carry"), "gru", input="lstm", create_output=True
    )
    return graph


def words(rng):
    return {"words": rng.randint(0, 4, size=(BATCH, TIME)).astype("int32")}


def merged():
    graph = Graph()
    graph.add_input("a", dim=IN)
    graph.add_input("b", dim=HIDDEN)
    for mode in ("sum", "mul", "ave", "max", "dot", "concat"):
        graph.add_node(
            Merge([Dense(IN, 2), Dense(HIDDEN, 2)], mode=mode),
            mode + "ed",
            input={"input_0": "a", "input_1": "b"},
            create_output=True,
        )
    return graph


def two_rows(rng):
    return {"a": normal(rng, BATCH, IN), "b": normal(rng, BATCH, HIDDEN)}


def modes():
    """Every merge mode of nodes and outputs; one value a row multiplies a row."""
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_input("u", dim=IN)
    rnn.add_node(Dense(1), "one", input=["x", "h_tm1"])
    rnn.add_node(Identity(), "dotted", input=["x", "u"], merge_mode="dot")
    rnn.add_node(Identity(), "mean", input=["x", "u", "h_tm1"], merge_mode="ave")
    rnn.add_node(Activation("tanh"), "largest", input=merge_max(["u", "h_tm1", "mean"]))
    rnn.add_node(Identity(), "gated", input=merge_mul(["one", "largest", "dotted"]))
    rnn.add_node(Dense(IN, activation="tanh"), "h", input=["gated", "one", "x"])
    rnn.add_output("added", input=["h", "x", "h_tm2"], merge_mode="sum")
    rnn.add_output("product", input=["h", "one"], merge_mode="mul")
    return rnn


def x_and_u(rng):
    return {**x_only(rng), "u": normal(rng, *SEQUENCE)}


def cells():
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(RecurrentDense(3, activation="tanh"), "dense", input="x")
    rnn.add_node(RecurrentGRU(5), "gru", input=["x", "dense"])
    rnn.add_node(RecurrentLSTM(HIDDEN), "lstm", input="gru", create_output=True)
    rnn.add_node(Gate(HIDDEN), "gate", input={"input": "x", "prev_hid": "blend_tm1"})
    rnn.add_node(
        Blend(),
        "blend",
        input={"gate": "gate", "old": "blend_tm2", "new": "lstm.cell"},
        create_output=True,
    )
    return rnn


def cells_without_biases():
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(RecurrentDense(5, bias=False), "one", input="x")
    rnn.add_node(RecurrentGRU(4, bias=False), "two", input="one")
    rnn.add_node(
        RecurrentLSTM(HIDDEN, bias=False), "three", input="two", create_output=True
    )
    return rnn


def searched_cells():
    """The JZS cells and RecurrentDeep in a chain."""
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(RecurrentJZS1(5), "one", input=["x", "three_tm1"])
    rnn.add_node(RecurrentJZS2(5), "two", input="one")
    rnn.add_node(RecurrentJZS3(3), "three", input="two", create_output=True)
    rnn.add_node(RecurrentDeep(HIDDEN, depth=2), "deep", input="three")
    rnn.add_output("back", input=["deep", "deep.h2"])
    return rnn


def looking_back(**settings):
    """Taps of every sort, a state with an initial value per tap, and a context."""

    def build():
        rnn = Recursive(return_sequences=True, **settings)
        rnn.add_input("x", dim=IN)
        rnn.add_input("c", is_sequence=False, dim=2)
        rnn.add_state(
            "h",
            dim=HIDDEN,
            input="rec",
            initial=[[0.5] * HIDDEN, [1, 2, 3, 4, 5, 6], [0, 1, 0, 1, 0, 1]],
        )
        rnn.add_node(Dense(IN, HIDDEN), "now", input="x")
        rnn.add_node(Dense(IN, HIDDEN), "before", input="x_tm2")
        rnn.add_node(Dense(HIDDEN, HIDDEN), "far", input="h_tm3")
        rnn.add_node(Dense(2 + HIDDEN, HIDDEN), "own", input=["c", "own_tm1"])
        rnn.add_node(
            Activation("tanh"),
            "rec",
            inputs=["now", "before", "far", "own", "h"],
            merge_mode="sum",
            create_output=True,
        )
        rnn.add_output("past", inputs=["rec_tm2", "own", "x_tm1"])
        return rnn

    return build


def masked(build):
    def with_mask():
        rnn = build()
        rnn.add_mask()
        return rnn

    return with_mask


def x_and_c(rng):
    return {**x_only(rng), "c": normal(rng, BATCH, 2)}


def some_steps(inputs):
    """The inputs and a mask: gaps; masked first and last steps; all steps masked."""

    def given(rng):
        mask = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]])
        return {**inputs(rng), "mask": mask}

    return given


def starts():
    """States that start from a number, a row, parameters and contexts."""
    rnn = Recursive(return_sequences=True, return_final_states=True)
    rnn.add_input("x", dim=IN)
    for name, initial in (
        ("number", 0.5),
        ("row", [1.0, 2.0]),
        ("learned", "learned"),
        ("given", 0.0),
        ("taps", 0.0),
    ):
        rnn.add_state(name, dim=2, input=f"next_{name}", initial=initial)
    rnn.set_state_from("given", "c")
    rnn.add_input("rows", ndim=3, is_sequence=False, dim=2)
    rnn.set_state_from("taps", "rows")
    for name in ("number", "row", "learned", "given", "taps"):
        read = [
            name,
            "x",
            *(["learned_tm2"] if name == "learned" else []),
            *(["taps_tm3"] if name == "taps" else []),
        ]
        rnn.add_node(
            Dense(2, activation="tanh"), f"next_{name}", input=read, create_output=True
        )
    return rnn


def computed_starts(**settings):
    """States that start from nodes of contexts, at one and two lags, and from an input that may be left out."""

    def build():
        rnn = Recursive(return_final_states=True, **settings)
        rnn.add_input("x", dim=IN)
        rnn.add_input("c", is_sequence=False, dim=2)
        rnn.add_input("rows", ndim=3, is_sequence=False, dim=3)
        rnn.add_node(Dense(HIDDEN, activation="tanh"), "first", input="c")
        rnn.add_node(
            Attention("general"), "att", input={"memory": "rows", "query": "first"}
        )
        rnn.add_state("h", dim=HIDDEN)
        rnn.set_state_from("h", "first")
        rnn.add_state("m", dim=3, initial="att")
        rnn.add_state("o", dim=2, initial="learned", init="normal")
        rnn.set_state_from("o", "o0", optional=True)
        for state, reads in {
            "h": ["x", "h", "h_tm2", "first"],
            "m": ["x", "m"],
            "o": ["x", "o", "h"],
        }.items():
            dim = {"h": HIDDEN, "m": 3, "o": 2}[state]
            rnn.add_node(
                Dense(dim, activation="tanh"),
                f"next_{state}",
                input=reads,
                return_state=state,
                create_output=True,
            )
        return rnn

    return build


def cell_chains():
    """Chains of cells: with other layers between and after, one in another, of words, and as an RNN."""
    rnn = Recurrent(return_sequences=True, return_final_states=True)
    rnn.add_input("x", dim=IN)
    ends_with_a_cell = Sequential(
        [
            RecurrentLSTM(IN, 3, activation="tanh"),
            Dense(3, 2, activation="tanh"),
            RecurrentDeep(2, HIDDEN, depth=2),
            RecurrentGRU(HIDDEN, HIDDEN),
        ]
    )
    rnn.add_node(ends_with_a_cell, "a", input=["x"])
    nested = Sequential(
        [Dense(2), Sequential([RecurrentGRU(3), RecurrentLSTM(2)]), Dense(5)]
    )
    rnn.add_node(nested, "b", input="a")
    rnn.add_node(
        Sequential([RecurrentDense(3, activation="tanh")]),
        "c",
        input={"input": ["b", "a"], "layer_0_prev_hid": "c_tm2"},
        create_output=True,
    )
    rnn.add_output("cell", input="a.layer_0_cell")
    rnn.add_output("b", input="b")
    return rnn


def chain_over_time(**settings):
    chain = Sequential(
        [RecurrentLSTM(3, activation="tanh"), Dense(2), RecurrentGRU(HIDDEN)]
    )
    return RNN(chain, **settings)


def x_c_rows_and_start(rng):
    return {**x_c_and_memory(rng), "o0": normal(rng, BATCH, 2)}


def x_c_and_memory(rng):
    return {**x_only(rng), "c": normal(rng, BATCH, 2), "rows": normal(rng, BATCH, 7, 3)}


def x_c_and_rows(rng):
    return {**x_only(rng), "c": normal(rng, BATCH, 2), "rows": normal(rng, BATCH, 3, 2)}


def nested():
    """A loop in a loop, a graph, a chain, a graph of several outputs and one of several inputs."""
    inner = Recurrent()
    inner.add_input("word", dim=IN)
    inner.add_input("topic", is_sequence=False, dim=HIDDEN)
    inner.add_node(
        RecurrentDense(3, activation="tanh"),
        "w",
        input=["word", "topic"],
        create_output=True,
    )
    inner.add_node(Dense(2), "v", input="w", create_output=True)
    half = Graph()
    half.add_input("a", dim=3)
    half.add_input("b", dim=2)
    half.add_node(Dense(5), "half", inputs=["a", "b"], create_output=True)
    outer = Recursive(return_sequences=True)
    outer.add_input("text", ndim=4, dim=IN)
    outer.add_state("h", dim=HIDDEN)
    outer.add_node(inner, "read", input={"word": "text", "topic": "h"})
    outer.add_node(half, "halved", input={"a": "read.w", "b": "read.v"})
    outer.add_node(
        Sequential([Dense(5, HIDDEN), Activation("sigmoid")]), "chain", input="halved"
    )
    outer.add_node(LSTM(IN, HIDDEN), "lstm", input="text")
    outer.add_node(
        Activation("tanh"),
        "rec",
        inputs=["chain", "lstm", "h"],
        merge_mode="sum",
        return_state="h",
        create_output=True,
    )
    return outer


def text(rng):
    return {"text": normal(rng, BATCH, TIME, 2, IN)}


def carried_inside():
    """A stateful loop as a node of a loop: its states are states of the outer one."""
    inner = Recursive(stateful=True)
    inner.add_input("word", dim=IN)
    inner.add_node(
        Dense(3, activation="tanh"),
        "w",
        input=["word", "w_tm1", "w_tm2"],
        create_output=True,
    )
    outer = Recursive(return_sequences=True)
    outer.add_input("text", ndim=4, dim=IN)
    outer.add_node(inner, "read", input="text")
    outer.add_node(Dense(3, 2), "y", input="read", create_output=True)
    return outer


def carried_cell():
    """A stateful loop of a cell inside a loop: a state's name has a dot, ``w.cell``."""
    inner = Recurrent(stateful=True)
    inner.add_input("word", dim=IN)
    inner.add_node(RecurrentLSTM(3), "w", input="word", create_output=True)
    outer = Recursive(return_sequences=True)
    outer.add_input("text", ndim=4, dim=IN)
    outer.add_node(inner, "read", input="text")
    outer.add_node(Dense(3, 2), "y", input="read", create_output=True)
    return outer


def choices():
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_input("which", dtype="bool", dim=IN)
    rnn.add_state("h", dim=IN, input="rec")
    rnn.add_node(Dense(IN, IN), "other", input="h")
    rnn.add_node(
        Switch(),
        "rec",
        input={"condition": "which", "then": "x", "otherwise": "other"},
        create_output=True,
    )
    return rnn


def x_and_which(rng):
    return {**x_only(rng), "which": rng.uniform(size=SEQUENCE) < 0.5}


def in_a_graph():
    """A loop, layers of 2015 and a chain in a Graph: a mask goes through, states are those of each."""
    graph = Graph()
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_node(Masking(GAP), "masked", input="x")
    graph.add_node(plain(return_sequences=True), "rnn", input="masked")
    graph.add_node(
        Sequential(
            [
                TimeDistributedDense(HIDDEN, 3),
                Activation("relu"),
                LSTM(3, 2, return_sequences=True),
            ]
        ),
        "chain",
        input="rnn",
    )
    graph.add_node(
        SimpleDeepRNN(HIDDEN, 2, depth=2, return_sequences=True), "deep", input="rnn"
    )
    graph.add_output("both", input=["chain", "deep"])
    return graph


def x_with_gaps(rng):
    x = normal(rng, *SEQUENCE)
    x[0, 1] = x[1, 3:] = x[2, 0] = GAP
    return {"x": x}


def going_on(**settings):
    """A Graph of stateful layers of 2015, a chain, both directions and a loop."""
    graph = Graph()
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_node(Masking(GAP), "masked", input="x")
    graph.add_node(
        LSTM(IN, 3, stateful=True, return_sequences=True, **settings),
        "lstm",
        input="masked",
    )
    rnn = Recurrent(return_sequences=True, stateful=True)
    rnn.add_input("x", dim=3)
    rnn.add_state("anew", input="k", initial=2.0, stateful=False)
    rnn.add_node(RecurrentLSTM(2), "cell", input="x")
    rnn.add_node(Dense(2), "o", input=["cell", "o_tm2", "x_tm1"], create_output=True)
    rnn.add_node(Dense(3), "k", input=["anew", "cell"], create_output=True)
    graph.add_node(rnn, "rnn", input="lstm")
    deep = SimpleDeepRNN(
        3, 2, depth=2, stateful=True, return_sequences=True, **settings
    )
    graph.add_node(
        Sequential([TimeDistributedDense(2, 3), deep]), "chain", input="rnn.o"
    )
    graph.add_node(
        Bidirectional(GRU(2, 2, stateful=True, **settings)),
        "both",
        input="chain",
        create_output=True,
    )
    return graph


def noisy():
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_node(Dropout(0.5), "drop", input="x")
    rnn.add_node(Dropout(0.5, per="sequence"), "held", input=["drop", "rec_tm1"])
    rnn.add_node(
        Sequential([GaussianNoise(0.3), Dropout(0.2), Dropout(0.3, per="sequence")]),
        "chain",
        input="held",
    )
    rnn.add_node(Dense(IN + HIDDEN, HIDDEN, activation="tanh"), "new", input="chain")
    rnn.add_node(Zoneout(0.3), "rec", input="new", create_output=True)
    rnn.add_node(GaussianDropout(0.3), "late", input="rec", create_output=True)
    return rnn


def draws(rng):
    width = IN + HIDDEN
    return {
        "drop.keep": rng.uniform(size=SEQUENCE),
        "held.keep": rng.uniform(size=(BATCH, width)),
        "chain.layer_0.noise": normal(rng, BATCH, TIME, width),
        "chain.layer_1.keep": rng.uniform(size=(BATCH, TIME, width)),
        "chain.layer_2.keep": rng.uniform(size=(BATCH, width)),
        "rec.keep": rng.uniform(size=(BATCH, TIME, HIDDEN)),
        "late.noise": normal(rng, BATCH, TIME, HIDDEN),
    }


def noisy_inside():
    """Noise in a loop in a loop: its draws have an axis for the steps of each, but for what is held."""
    inner = Recursive()
    inner.add_input("word", dim=IN)
    inner.add_node(Dropout(0.4), "drop", input="word")
    inner.add_node(Dropout(0.4, per="sequence"), "held", input="drop")
    inner.add_node(
        Dense(3, activation="tanh"), "w", input=["held", "w_tm1"], create_output=True
    )
    outer = Recursive(return_sequences=True)
    outer.add_input("text", ndim=4, dim=IN)
    outer.add_state("h", dim=2, input="y", initial="drawn")
    outer.add_node(inner, "read", input="text")
    outer.add_node(
        Dense(3 + 2, 2, activation="tanh"), "y", input=["read", "h"], create_output=True
    )
    return outer


def draws_inside(rng):
    return {
        "read.drop.keep": rng.uniform(size=(BATCH, TIME, 2, IN)),
        "read.held.keep": rng.uniform(size=SEQUENCE),
        "h.initial": normal(rng, BATCH, 2),
    }


def counted():
    """A loop without sequences."""
    rnn = Recursive(n_steps=4, return_sequences=True)
    rnn.add_input("c", is_sequence=False, dim=2)
    rnn.add_state("h", dim=3, input="next")
    rnn.add_node(
        Dense(3, activation="tanh"), "next", input=["c", "h"], create_output=True
    )
    return rnn


def reading_its_reader():
    """A cell, whose own past has a dim that is said, and whose input has one that is found later."""
    rnn = Recurrent(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(
        RecurrentGRU(IN + 2, HIDDEN), "cell", input=["x", "out_tm1"], return_state="h"
    )
    rnn.add_node(Dense(HIDDEN, 2), "out", input="cell", create_output=True)
    return rnn


SOURCE = 7
"""The steps of a memory."""


def attending(score, query=HIDDEN, **settings):
    """A decoder that reads a memory before each step, and its weights as an output."""

    def build():
        rnn = Recursive(return_sequences=True, **settings)
        rnn.add_input("x", dim=IN)
        rnn.add_input("memory", ndim=3, dim=5, is_sequence=False)
        rnn.add_state("h", dim=query)
        rnn.add_node(
            Attention(score, dim=3),
            "att",
            input={"memory": "memory", "query": "h"},
        )
        rnn.add_node(
            Dense(query, activation="tanh"),
            "new",
            input=["x", "att", "h"],
            return_state="h",
            create_output=True,
        )
        rnn.add_output("weights", input="att.weights")
        return rnn

    return build


def attending_after_the_step():
    """An attention whose query is the new state, with a mask that is a value."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_input("memory", ndim=3, dim=5, is_sequence=False)
    rnn.add_input("valid", ndim=2, dim=SOURCE, is_sequence=False)
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(
        Dense(HIDDEN, activation="tanh"), "new", input=["x", "h"], return_state="h"
    )
    rnn.add_node(
        Attention("general"),
        "att",
        input={"memory": "memory", "query": "new", "mask": "valid"},
        create_output=True,
    )
    return rnn


def x_and_memory(rng):
    return {**x_only(rng), "memory": normal(rng, BATCH, SOURCE, 5)}


def x_memory_and_valid(rng):
    valid = np.arange(SOURCE) < np.array([[7], [1], [4]])
    return {**x_and_memory(rng), "valid": valid.astype(float)}


def encoder_and_decoder():
    """A Graph in which the decoder attends to the masked steps of an encoder."""
    graph = Graph()
    graph.add_input("source", ndim=3, dim=IN)
    graph.add_input("x", ndim=3, dim=IN)
    graph.add_node(Masking(GAP), "masked", input="source")
    graph.add_node(GRU(IN, 5, return_sequences=True), "encoder", input="masked")
    graph.add_node(
        attending("additive")(),
        "decoder",
        input={"x": "x", "memory": "encoder"},
    )
    graph.add_output("y", input="decoder.new")
    graph.add_output("weights", input="decoder.weights")
    return graph


def source_with_gaps(rng):
    source = normal(rng, BATCH, SOURCE, IN)
    source[1, 3:] = source[2, 5:] = GAP
    return {"source": source, "x": normal(rng, *SEQUENCE)}


def taught(share=0.5):
    """A decoder that reads the truth of the step before, or what it predicted."""

    def build():
        rnn = Recursive(return_sequences=True)
        rnn.add_input("x", dim=IN)
        rnn.add_input("truth", dim=2)
        if isinstance(share, str):
            rnn.add_input(share, ndim=2, dim=1, is_sequence=False)
        rnn.add_state("h", dim=HIDDEN)
        rnn.add_state("y", dim=2)
        ports = {"truth": "truth_tm1", "prediction": "y"}
        if isinstance(share, str):
            ports[share] = share
        rnn.add_node(Teacher(share), "previous", input=ports)
        rnn.add_node(
            Dense(HIDDEN, activation="tanh"),
            "new",
            input=["x", "previous", "h"],
            return_state="h",
        )
        rnn.add_node(Dense(2), "out", input="new", return_state="y", create_output=True)
        return rnn

    return build


def speaking():
    """A decoder that reads the last word it has said, and the one before."""
    rnn = Recursive(return_sequences=True)
    rnn.add_input("x", dim=IN)
    rnn.add_state("word", dtype="int", initial=[4, 2])
    rnn.add_state("h", dim=HIDDEN)
    rnn.add_node(Embedding(5, 3), "read", input="word")
    rnn.add_node(Embedding(5, 2), "older", input="word_tm2")
    rnn.add_node(
        Dense(HIDDEN, activation="tanh"),
        "new",
        input=["x", "read", "older", "h"],
        return_state="h",
        create_output=True,
    )
    rnn.add_node(Dense(5, activation="softmax"), "p", input="new", create_output=True)
    rnn.add_node(Greedy(), "said", input="p", return_state="word")
    return rnn


def x_and_truth(rng):
    return {**x_only(rng), "truth": normal(rng, BATCH, TIME, 2)}


def x_truth_and_rate(rng):
    return {**x_and_truth(rng), "rate": rng.uniform(size=(BATCH, 1))}


def chances(rng):
    return {"previous.chance": rng.uniform(size=(BATCH, TIME, 1))}


NETWORKS = {
    "plain": (plain, x_only),
    "embedded": (embedded, words),
    "merged": (merged, two_rows),
    "modes": (modes, x_and_u),
    "cells": (cells, x_only),
    "cells of a search": (searched_cells, x_only),
    "looking back": (looking_back(), x_and_c),
    "looking back, backwards": (looking_back(go_backwards=True), x_and_c),
    "looking back, written out": (looking_back(unroll=True, n_steps=TIME), x_and_c),
    "looking back, final states": (looking_back(return_final_states=True), x_and_c),
    "masked": (masked(plain), some_steps(x_only)),
    "masked, looking back": (
        masked(looking_back(return_final_states=True)),
        some_steps(x_and_c),
    ),
    "masked, backwards": (masked(looking_back(go_backwards=True)), some_steps(x_and_c)),
    "starts": (starts, x_c_and_rows),
    "zoneout LSTM": (lambda: recipes.zoneout_lstm(IN, HIDDEN), x_only),
    "layer-norm LSTM": (lambda: recipes.layer_norm_lstm(IN, HIDDEN), x_only),
    "highway": (lambda: recipes.highway(IN, HIDDEN, return_sequences=True), x_only),
    "clockwork": (lambda: recipes.clockwork(IN, 2, (1, 3, 2)), x_only),
    "rwa": (lambda: recipes.rwa(IN, HIDDEN, return_sequences=True), x_only),
    "attention decoder": (
        lambda: recipes.attention_decoder(5, HIDDEN, 2, 4),
        lambda rng: {"memory": normal(rng, BATCH, 7, 5)},
    ),
    "seq2seq": (lambda: recipes.seq2seq(IN, HIDDEN, 2, 3, 2, peek=True), x_only),
    "cell chains": (cell_chains, x_only),
    "cell chains, masked": (masked(cell_chains), some_steps(x_only)),
    "computed starts": (computed_starts(return_sequences=True), x_c_rows_and_start),
    "computed starts, last step": (computed_starts(), x_c_rows_and_start),
    "computed starts, written out": (
        computed_starts(unroll=True, n_steps=TIME),
        x_c_rows_and_start,
    ),
    "computed starts, masked": (
        masked(computed_starts(return_sequences=True, go_backwards=True)),
        some_steps(x_c_rows_and_start),
    ),
    "nested": (nested, text),
    "carried inside": (carried_inside, text),
    "carried cell": (carried_cell, text),
    "choices": (choices, x_and_which),
    "in a graph": (in_a_graph, x_with_gaps),
    "reading its reader": (reading_its_reader, x_only),
    **{
        f"attention, {score}": (
            attending(score, 5 if "dot" in score else HIDDEN),
            x_and_memory,
        )
        for score in ("dot", "scaled_dot", "general", "additive")
    },
    "attention, backwards": (attending("additive", go_backwards=True), x_and_memory),
    "attention, written out": (
        attending("general", unroll=True, n_steps=TIME),
        x_and_memory,
    ),
    "attention after the step": (attending_after_the_step, x_memory_and_valid),
    "encoder and decoder": (encoder_and_decoder, source_with_gaps),
    "taught": (taught(), x_and_truth),
    "speaking": (speaking, x_only),
    "speaking, masked": (masked(speaking), some_steps(x_only)),
    "cells without biases": (cells_without_biases, x_only),
    "counted": (counted, lambda rng: {"c": normal(rng, BATCH, 2)}),
}
"""Networks without noise: how each is built, and arrays for its inputs."""


def weights_of(container, seed=7):
    """Random values for all weights by name: positive where a layer divides by them."""
    container.complete()
    rng = np.random.RandomState(seed)
    found = {
        name: rng.normal(0, 0.5, weight.get_value().shape)
        for name, weight in container.named_weights.items()
    }
    for name in found:
        if name.endswith("running_std"):
            found[name] = 1 + np.abs(found[name])
    for name, value in found.items():
        container.named_weights[name].set_value(value)
    return found


def prepared(container, inputs, seed=3):
    """The declaration, weights and inputs."""
    given = inputs(np.random.RandomState(seed))
    container.build(
        {name: (None, *np.shape(value)[1:]) for name, value in given.items()}
    )
    weights = weights_of(container)
    return container.spec, weights, given
