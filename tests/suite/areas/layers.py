"""Nested containers, a Graph that runs once, the layers of 2015, and other dtypes."""

from tests.suite.areas.loops import plain
from tests.suite.areas.past import RIGHT, lags
from tests.suite.declare import (
    HIDDEN,
    IN,
    Net,
    Part,
    activation,
    cell,
    chain,
    dense,
    embedding,
    recurrent,
    vanilla,
)
from tests.suite.drafts import PROPOSAL, Area

area = Area("nesting")


@area("A chain of layers as one node.")
def chained():
    net = (
        Net()
        .input()
        .state("h")
        .node("chain", chain(dense(IN, 2, "sigmoid"), dense(2, HIDDEN)), "x")
    )
    return net.node("rec", activation(), ("sum", ["chain", "h"]), "h", True)


def half() -> Net:
    """A graph of two inputs."""
    net = Net(loop=False).input("a", 3).input("b", 2)
    return net.node("half", dense(5, HIDDEN), ["a", "b"], out=True)


@area("A Graph of several inputs as a node, joined by its ports.", source=PROPOSAL)
def graph_of_two_inputs():
    net = (
        Net()
        .input("x", 3)
        .input("u", 2)
        .state("h")
        .node("g", half().as_part(), {"a": "x", "b": "u"})
    )
    return net.node("rec", activation(), ("sum", ["g", "h"]), "h", True)


@area("A Graph of several outputs as a node, each read by its name.")
def graph_of_two_outputs():
    inner = Net(loop=False).input("a", IN).node("p", dense(IN, 2), "a", out=True)
    inner.node("q", dense(2, 3, "tanh"), "p", out=True)
    net = Net().input().state("h").node("g", inner.as_part(), "x")
    return net.node(
        "rec", dense(5 + HIDDEN, HIDDEN, "tanh"), ["g.q", "h", "g.p"], "h", True
    )


def words(**settings: object) -> Net:
    """A loop over the words of one sentence."""
    net = Net(return_sequences=False, **settings).input("word", steps=2).state("w", 3)
    return net.node("read", dense(IN + 3, 3, "tanh"), ["word", "w"], "w", True)


@area("A loop in a loop: words in sentences.", source="recurrentshop issue 55")
def loop_in_a_loop():
    net = Net().input("text", ndim=4).state("h").node("read", words().as_part(), "text")
    return net.node("rec", dense(3 + HIDDEN, HIDDEN, "tanh"), ["read", "h"], "h", True)


@area("The inner loop sees the outer state as a context.")
def loop_with_a_context():
    inner = (
        Net(return_sequences=False)
        .input("word", steps=2)
        .input("topic", HIDDEN, sequence=False)
        .state("w", 3)
    )
    inner.node(
        "read", dense(IN + HIDDEN + 3, 3, "tanh"), ["word", "topic", "w"], "w", True
    )
    net = Net().input("text", ndim=4).state("h")
    net.node("read", inner.as_part(), {"word": "text", "topic": "h"})
    return net.node("rec", dense(3 + HIDDEN, HIDDEN, "tanh"), ["read", "h"], "h", True)


@area("The inner loop starts from the outer state.")
def loop_started_from_outside():
    inner = (
        Net(return_sequences=False)
        .input("word", steps=2)
        .input("start", 3, sequence=False)
    )
    inner.state("w", 3, "start").node(
        "read", dense(IN + 3, 3, "tanh"), ["word", "w"], "w", True
    )
    net = Net().input("text", ndim=4).state("h", 3)
    net.node("read", inner.as_part(), {"word": "text", "start": "h"})
    return net.node("rec", activation(), ("sum", ["read", "h"]), "h", True)


@area("A stateful loop in a loop: its states are states of the outer one.")
def carried_inside():
    inner = (
        Net(stateful=True, return_sequences=False).input("word", steps=2).state("w", 3)
    )
    inner.node("read", dense(IN + 3, 3, "tanh"), ["word", "w"], "w", True)
    part = Part(
        "Recursive",
        {"spec": inner.spec.to_dict()},
        inner.params,
        past={"w": "w_final"},
        outputs=("output", "w_final"),
        port="word",
    )
    net = Net().input("text", ndim=4).node("inner", part, "text")
    return net.node("y", dense(3, 2), "inner", out=True)


@area("A chain in a graph in a loop.")
def three_deep():
    inner = (
        Net(loop=False)
        .input("a", IN)
        .node("c", chain(dense(IN, 2, "tanh"), dense(2, 3)), "a", out=True)
    )
    net = Net().input().state("h").node("g", inner.as_part(), "x")
    return net.node("rec", dense(3 + HIDDEN, HIDDEN, "tanh"), ["g", "h"], "h", True)


@area("A recurrent layer of 2015 as a node over inner sequences.")
def layer_over_sentences():
    net = (
        Net()
        .input("text", ndim=4)
        .state("h")
        .node("read", recurrent("GRU", IN, 3), "text")
    )
    return net.node("rec", dense(3 + HIDDEN, HIDDEN, "tanh"), ["read", "h"], "h", True)


@area(
    "By hand: each sentence of two ones adds two.",
    rows=1,
    gradients=False,
    given={
        "in/text": [[[[1.0], [1.0]], [[1.0], [1.0]], [[1.0], [1.0]]]],
        "param/read.sum.W": [[1.0], [1.0]],
        "param/read.sum.b": [0.0],
    },
    hand={"out/rec": [[[2.0], [4.0], [6.0]]]},
)
def _by_hand():
    inner = Net(return_sequences=False).input("word", 1, steps=2).state("w", 1)
    inner.node("sum", dense(2, 1), ["word", "w"], "w", True)
    net = (
        Net()
        .input("text", 1, ndim=4, steps=3)
        .state("h", 1)
        .node("read", inner.as_part(), "text")
    )
    return net.node("rec", activation("linear"), ("sum", ["read", "h"]), "h", True)


area = Area("graph")


@area("A Graph runs its nodes once.")
def once():
    net = (
        Net(loop=False)
        .input("a", 3)
        .input("b", IN)
        .node("both", dense(3 + IN, HIDDEN, "tanh"), ["a", "b"], out=True)
    )
    return net.node("y", dense(HIDDEN, 2, "softmax"), "both", out=True)


for mode in ("sum", "mul", "ave", "max"):
    area.add(
        mode,
        f"Branches of a Graph by {mode}.",
        Net(loop=False)
        .input("a", 3)
        .input("b", IN)
        .node("p", dense(3, HIDDEN), "a")
        .node("q", dense(IN, HIDDEN, "tanh"), "b")
        .node("y", dense(HIDDEN, 2), (mode, ["p", "q"]), out=True),
    )


@area("A loop in a Graph.")
def with_a_loop():
    net = (
        Net(loop=False)
        .input("x", ndim=3)
        .node("rnn", plain(return_sequences=False).as_part(), "x")
    )
    shapes = net.shapes
    shapes["x"] = (5, IN)
    return net.node("y", dense(HIDDEN, 2, "sigmoid"), "rnn", out=True)


area = Area("layers")


def over_time(part: Part, **settings: object) -> Net:
    """One layer over a sequence."""
    net = Net(loop=False).input("x", ndim=3).node("y", part, "x", out=True)
    net.shapes["x"] = (5, IN)
    return net


for kind in ("SimpleRNN", "GRU", "LSTM"):
    area.add(
        kind.lower(),
        f"{kind} of Keras 0.1, the whole sequence.",
        over_time(recurrent(kind, IN, HIDDEN, return_sequences=True)),
        source="Keras 0.1.3",
    )
    area.add(
        f"{kind.lower()}-last",
        f"{kind} of Keras 0.1, the last step.",
        over_time(recurrent(kind, IN, HIDDEN)),
        source="Keras 0.1.3",
    )
area.add(
    "time-distributed",
    "A Dense at every step.",
    over_time(
        Part(
            "TimeDistributedDense",
            {"input_dim": IN, "output_dim": HIDDEN, "activation": "sigmoid"},
            {"W": (IN, HIDDEN), "b": (HIDDEN,)},
        )
    ),
)
area.add(
    "maxout",
    "The largest of three maps, in a loop.",
    Net()
    .input()
    .state("h")
    .node(
        "rec",
        Part(
            "MaxoutDense",
            {"input_dim": IN + HIDDEN, "output_dim": HIDDEN, "nb_feature": 3},
            {"W": (3, IN + HIDDEN, HIDDEN), "b": (3, HIDDEN)},
        ),
        ["x", "h"],
        "h",
        True,
    ),
)
area.add(
    "leaky",
    "A leaky relu in a loop.",
    plain().node("y", Part("LeakyReLU", {"alpha": 0.2}), "rec", out=True),
)
area.add(
    "bidirectional",
    "An LSTM in both directions, its steps in the order of the data.",
    over_time(
        Part(
            "Bidirectional",
            {
                "layer": recurrent("LSTM", IN, HIDDEN, return_sequences=True).as_part,
                "backward_layer": recurrent(
                    "LSTM", IN, HIDDEN, return_sequences=True, go_backwards=True
                ).as_part,
                "merge_mode": "concat",
            },
            {
                f"{way}.{name}": shape
                for way in ("layer", "backward_layer")
                for name, shape in recurrent("LSTM", IN, HIDDEN).params.items()
            },
        )
    ),
)

area = Area("dtypes")
area.add(
    "float32-vanilla",
    "float32 throughout: what comes out is float32 too.",
    vanilla(Net().input().state("h")),
    dtype="float32",
)
area.add(
    "float32-taps",
    "float32, two steps back.",
    lags(Net().input().state("h"), 2, 1),
    dtype="float32",
)
area.add(
    "float32-gru",
    "float32, a GRU.",
    Net(free=True).input().node("h", cell("RecurrentGRU", IN, HIDDEN), "x", out=True),
    dtype="float32",
)
area.add(
    "float32-mask",
    "float32, a mask.",
    lags(Net().input().mask().state("h"), 1),
    dtype="float32",
    given={"in/mask": RIGHT},
)


@area("Whole numbers of a step, each a row of an embedding.", source="Keras 0.1.3")
def words_as_numbers():
    net = (
        Net()
        .input("word", None, dtype="int")
        .state("h")
        .node("vector", embedding(9, IN), "word")
    )
    return net.node(
        "rec", dense(IN + HIDDEN, HIDDEN, "tanh"), ["vector", "h"], "h", True
    )


@area(
    "Words that come up several times: the gradient of their row is a sum.",
    given={"in/word": [[1, 1, 1, 2, 1], [0, 8, 0, 8, 0], [3, 4, 5, 6, 7]]},
)
def repeated_words():
    net = (
        Net()
        .input("word", None, dtype="int")
        .state("h")
        .node("vector", embedding(9, IN), "word")
    )
    return net.node(
        "rec", dense(IN + HIDDEN, HIDDEN, "tanh"), ["vector", "h"], "h", True
    )


@area("A word as a context.")
def word_as_context():
    net = Net().input().input("topic", None, dtype="int", sequence=False).state("h")
    net.node("vector", embedding(9, 2), "topic")
    return net.node(
        "rec", dense(IN + 2 + HIDDEN, HIDDEN, "tanh"), ["x", "vector", "h"], "h", True
    )


@area(
    "By hand: three words are 10, 100 and 10, which the loop adds up; the row of two words has the gradient of both.",
    rows=1,
    dtype="float32",
    given={"in/word": [[1, 2, 1]], "param/vector.W": [[1.0], [10.0], [100.0]]},
    hand={
        "out/rec": [[[10.0], [110.0], [120.0]]],
        "grad/param/vector.W": [[0.0], [4.0], [2.0]],
    },
)
def _by_hand():
    net = Net().input("word", None, dtype="int", steps=3, below=3).state("h", 1)
    net.node("vector", embedding(3, 1), "word")
    return net.node("rec", activation("linear"), ("sum", ["vector", "h"]), "h", True)
